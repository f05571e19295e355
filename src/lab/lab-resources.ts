// Calico's documents in a lab file: each checked by itself, then against the lab's nodes and against each other.
import { formatIpv4 } from "../base/ipv4-addr.ts";
import { checkResource } from "../control/calico/check-resource.ts";
import type { CalicoResource, NodeResource } from "../control/calico/resources.ts";
import type { DocPath, DocumentFaults } from "../io/document/problem.ts";
import { calicoOf, type LabFile } from "./lab-schema.ts";
import type { LabNode } from "./resolve-lab.ts";
import type { NodeWish } from "./resolve-nodes.ts";

/** A resource, and its number among the file's documents; undefined: it was made of a node's keys. */
export interface PlacedResource {
  readonly resource: CalicoResource;
  readonly at: number | undefined;
}

/** The documents of the file that are sound by themselves, and Nodes for those that the lab file says something of. */
export function checkLabResources(
  file: LabFile,
  wishes: readonly NodeWish[],
  nodes: readonly LabNode[],
  faults: DocumentFaults,
): PlacedResource[] {
  const placed = calicoOf(file).resources.flatMap((document, at): PlacedResource[] => {
    const checked = checkResource({ apiVersion: "projectcalico.org/v3", ...document });
    if (checked.ok) return [{ resource: checked.value, at }];
    const remedy = `Write it as Calico's ${document.kind} takes it.`;
    for (const { path, message } of checked.error) faults.add(pathOf(at, ...path), message, remedy);
    return [];
  });
  checkTwice(placed, faults);
  checkPeers(placed, wishes, faults);
  const told = placed.flatMap(({ resource, at }) => (resource.kind === "Node" ? [{ resource, at }] : []));
  for (const { resource, at } of told) checkNode(resource, at as number, nodes, faults);
  const made = nodes
    .flatMap((node) => nodeResource(node) ?? [])
    .map((resource) => ({ resource, at: undefined }));
  return [...placed, ...made];
}

/** What the lab file says of a node's Node; undefined when that is nothing. The node itself adds its address. */
function nodeResource({
  name,
  labels,
  asNumber,
  routeReflectorClusterID,
}: LabNode): NodeResource | undefined {
  if (labels === undefined && asNumber === undefined && routeReflectorClusterID === undefined)
    return undefined;
  const bgp = {
    ...(asNumber !== undefined && { asNumber }),
    ...(routeReflectorClusterID !== undefined && { routeReflectorClusterID }),
  };
  return {
    kind: "Node",
    apiVersion: "projectcalico.org/v3",
    metadata: { name, ...(labels !== undefined && { labels }) },
    spec: Object.keys(bgp).length === 0 ? {} : { bgp },
  };
}

function checkTwice(placed: readonly PlacedResource[], faults: DocumentFaults): void {
  const seen = new Map<string, number>();
  for (const { resource, at } of placed) {
    const { kind, metadata } = resource;
    const id = `${kind} ${metadata.name}`;
    const earlier = seen.get(id);
    if (earlier !== undefined) {
      const message = `two documents are the ${kind} "${metadata.name}" (resources[${earlier}] is the other)`;
      faults.add(pathOf(at, "metadata", "name"), message, "Give one of them another name, or join them.");
    }
    seen.set(id, at as number);
  }
}

/** A BGPPeer of a node that does not exist would be silently without effect. */
function checkPeers(
  placed: readonly PlacedResource[],
  wishes: readonly NodeWish[],
  faults: DocumentFaults,
): void {
  const known = new Set(wishes.map(({ name }) => name));
  for (const { resource } of placed) if (resource.kind === "Node") known.add(resource.metadata.name);
  const names = [...known];
  const some = names.length > 12 ? `${names.slice(0, 12).join(", ")}, …` : names.join(", ");
  for (const { resource, at } of placed) {
    const node = nodeNamedBy(resource);
    if (node === undefined || known.has(node.name)) continue;
    faults.add(
      pathOf(at, ...node.path),
      `there is no node "${node.name}"`,
      `Name one of the lab's: ${some}.`,
    );
  }
}

/** The node that a resource is for, and the key that says so. */
function nodeNamedBy(
  resource: CalicoResource,
): { readonly name: string; readonly path: DocPath } | undefined {
  if (resource.kind === "BGPPeer") {
    const { node } = resource.spec;
    return node === undefined || node === "" ? undefined : { name: node, path: ["spec", "node"] };
  }
  const ofNode = resource.kind === "BGPConfiguration" || resource.kind === "FelixConfiguration";
  const { name } = resource.metadata;
  if (!ofNode || !name.startsWith("node.")) return undefined;
  return { name: name.slice("node.".length), path: ["metadata", "name"] };
}

/** A Node document of one of the lab's own nodes must not contradict what the lab says of it. */
function checkNode(
  document: NodeResource,
  at: number,
  nodes: readonly LabNode[],
  faults: DocumentFaults,
): void {
  const node = nodes.find(({ name }) => name === document.metadata.name);
  if (node === undefined) return;
  if (nodeResource(node) !== undefined) {
    const message = `${node.name} has labels, asNumber or routeReflectorClusterID under nodes, and a document of its own`;
    faults.add(pathOf(at, "metadata", "name"), message, "Say everything in one of the two places.");
  }
  const told = document.spec.bgp?.ipv4Address;
  const own = `${formatIpv4(node.address)}/${node.segment.subnet.len}`;
  if (told === undefined || told === own) return;
  const remedy = `Leave it out: ${node.name} writes it itself. Or write ${own}.`;
  faults.add(pathOf(at, "spec", "bgp", "ipv4Address"), `${told} is not the address of ${node.name}`, remedy);
}

function pathOf(at: number | undefined, ...keys: DocPath): DocPath {
  return ["calico", "resources", at ?? 0, ...keys];
}
