// Calico's resources in a store, one at a time: made where there is none, compared and replaced where there is one.
import { emitResourceKey } from "../control/calico/calico-keys.ts";
import type { CalicoResource, NodeResource } from "../control/calico/resources.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { type CalicoClient, refusal } from "./calico-client.ts";
import { canonical } from "./store-network.ts";

/** What becomes of a different document that is there already. */
export type Existing = "keep" | "refuse" | "replace";

/**
 * Sees to it that the resource is there.
 *
 * @throws PodloomError PL_CONFIG_FOREIGN when a different one is there and is not to be replaced, or when this one does not fit
 *   in with what is there
 */
export async function ensureResource(
  client: CalicoClient,
  resource: CalicoResource,
  existing: Existing,
): Promise<void> {
  const { kind, metadata } = resource;
  const id = { kind, name: metadata.name };
  let isForeign = false;
  const outcome = await client.request({
    t: "edit",
    id,
    change: (current) => {
      if (current === undefined) return resource;
      if (existing === "keep" || says(current, resource)) return undefined;
      isForeign = existing === "refuse";
      if (isForeign) return undefined;
      return resource.kind === "Node" && current.kind === "Node" ? mergeNode(current, resource) : resource;
    },
  });
  const key = emitResourceKey(id);
  if (isForeign) {
    throw new PodloomError(
      "PL_CONFIG_FOREIGN",
      `the store holds another ${kind} "${metadata.name}" than the lab file, under ${key}`,
      { remedy: "Write what it says into the lab file, or replace it with --force-config." },
    );
  }
  if (outcome.t !== "refused") return;
  if (outcome.code === "unavailable") throw refusal(outcome);
  throw new PodloomError("PL_CONFIG_FOREIGN", `the lab's ${kind} "${metadata.name}": ${outcome.message}`, {
    remedy: "Change the lab file, or remove what is in its way: podloom delete KIND NAME --etcd URL",
  });
}

/** Does what stands in the store say what the lab file says? Of a Node, which the node itself completes, only that counts. */
function says(stored: CalicoResource, wanted: CalicoResource): boolean {
  if (wanted.kind === "Node" && stored.kind === "Node") {
    return canonical(mergeNode(stored, wanted)) === canonical(stored);
  }
  const content = ({ spec, metadata: { labels, annotations } }: CalicoResource): string =>
    canonical({ spec, labels: labels ?? {}, annotations: annotations ?? {} });
  return content(stored) === content(wanted);
}

/** What a node wrote of itself stays; an AS or a cluster id that the lab file does not give goes. */
function mergeNode(stored: NodeResource, wanted: NodeResource): NodeResource {
  const { asNumber: _, routeReflectorClusterID: __, ...bgp } = stored.spec.bgp ?? {};
  const labels = { ...stored.metadata.labels, ...wanted.metadata.labels };
  const merged = { ...bgp, ...wanted.spec.bgp };
  return {
    ...stored,
    metadata: { ...stored.metadata, ...(Object.keys(labels).length > 0 && { labels }) },
    spec: { ...stored.spec, ...wanted.spec, ...(Object.keys(merged).length > 0 && { bgp: merged }) },
  };
}
