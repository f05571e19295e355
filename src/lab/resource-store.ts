// Calico's resources in a store, one at a time: made where there is none, compared and replaced where there is one.
import { randomUUID } from "node:crypto";
import { emitResourceKey, type ResourceId } from "../control/calico/calico-keys.ts";
import { emitResource, readResource } from "../control/calico/check-resource.ts";
import type { CalicoResource, NodeResource } from "../control/calico/resources.ts";
import { type KeyValue, NO_LEASE } from "../control/datastore/messages.ts";
import type { EtcdTransport } from "../io/etcd/etcd-transport.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { canonical, retried } from "./store-network.ts";

/** What becomes of a different document that is there already. */
export type Existing = "keep" | "refuse" | "replace";

/** Others may write the same document meanwhile: a node that starts, somebody's calicoctl. */
const ATTEMPTS = 5;

export class ResourceStore {
  readonly #transport: EtcdTransport;

  constructor(transport: EtcdTransport) {
    this.#transport = transport;
  }

  /**
   * Sees to it that the resource is there.
   *
   * @throws PodloomError PL_CONFIG_FOREIGN when a different one is there and is not to be replaced
   */
  async ensure(resource: CalicoResource, existing: Existing): Promise<void> {
    const key = emitResourceKey(idOf(resource));
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const found = await this.#create(key, resource);
      if (found === undefined || existing === "keep") return;
      const read = readResource(idOf(resource), found.value);
      if (read.ok && says(read.value, resource)) return;
      if (existing === "refuse") throw foreign(key, resource);
      const merged = read.ok ? merge(read.value, resource) : stamped(resource);
      if (await this.#replace(key, merged, found)) return;
    }
    throw new PodloomError("PL_CONFIG_FOREIGN", `${key} changes faster than it can be replaced`, {
      remedy: "See who writes it: etcdctl watch shows each change.",
    });
  }

  /** Answers what stands there already; undefined: it was created. */
  async #create(key: string, resource: CalicoResource): Promise<KeyValue | undefined> {
    const absent = { key, target: "version", op: "equal", operand: 0 } as const;
    const put = { t: "put", key, value: emitResource(stamped(resource)), lease: NO_LEASE } as const;
    const range = { t: "range", range: { key, rangeEnd: undefined } } as const;
    const outcome = await retried(() => this.#transport.txn([absent], [put], [range]));
    const reply = outcome.replies[0];
    return !outcome.succeeded && reply?.t === "range" ? reply.kvs[0] : undefined;
  }

  async #replace(key: string, resource: CalicoResource, found: KeyValue): Promise<boolean> {
    const same = { key, target: "mod", op: "equal", operand: found.modRevision } as const;
    const put = { t: "put", key, value: emitResource(resource), lease: NO_LEASE } as const;
    return (await retried(() => this.#transport.txn([same], [put], []))).succeeded;
  }
}

function idOf({ kind, metadata }: CalicoResource): ResourceId {
  const { name, namespace } = metadata;
  return { kind, name, ...(namespace !== undefined && { namespace }) };
}

function stamped<R extends CalicoResource>(resource: R): R {
  const creationTimestamp = `${new Date().toISOString().slice(0, 19)}Z`;
  return { ...resource, metadata: { uid: randomUUID(), creationTimestamp, ...resource.metadata } };
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

function merge(stored: CalicoResource, wanted: CalicoResource): CalicoResource {
  if (wanted.kind === "Node" && stored.kind === "Node") return mergeNode(stored, wanted);
  const { labels, annotations, ...metadata } = stored.metadata;
  return { ...wanted, metadata: { ...metadata, ...wanted.metadata } } as CalicoResource;
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

function foreign(key: string, { kind, metadata }: CalicoResource): PodloomError {
  return new PodloomError(
    "PL_CONFIG_FOREIGN",
    `the store holds another ${kind} "${metadata.name}" than the lab file, under ${key}`,
    { remedy: "Write what it says into the lab file, or replace it with --force-config." },
  );
}
