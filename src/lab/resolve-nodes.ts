// The nodes block of a lab file: names, underlay addresses and pods of every node.

import { countOf } from "../base/count-of.ts";
import {
  contains,
  formatIpv4,
  formatPrefix,
  type Ipv4Addr,
  netmask,
  type Prefix,
  parseIpv4,
} from "../base/ipv4-addr.ts";
import { NAME_LENGTH_MAX } from "../base/name-rule.ts";
import type { DocPath, DocumentFaults } from "../io/document/problem.ts";
import type { LabFile } from "./lab-schema.ts";
import { RESERVED_NODE_NAMES } from "./names.ts";
import type { LabNode, LabPod } from "./resolve-lab.ts";

/** A node as the lab file asks for it, before anything is filled in. */
export interface NodeWish {
  readonly name: string;
  readonly address: string | undefined;
  readonly subnet: string | undefined;
  readonly pods: readonly LabPod[];
}

type PodWishes = number | readonly (string | { readonly name: string; readonly ip?: string | undefined })[];

/** The wishes, one a node. */
export function nodeWishes(file: LabFile): NodeWish[] {
  const { nodes } = file;
  if (Array.isArray(nodes)) {
    return nodes.map((node) => ({
      name: node.name,
      address: node.address,
      subnet: node.subnet,
      pods: podWishes(node.name, node.pods ?? 2),
    }));
  }
  return Array.from({ length: nodes.count }, (_, i) => {
    const name = `${nodes.prefix}${i + 1}`;
    return { name, address: undefined, subnet: undefined, pods: podWishes(name, nodes.pods) };
  });
}

function podWishes(node: string, pods: PodWishes): LabPod[] {
  if (typeof pods === "number") {
    return Array.from({ length: pods }, (_, i) => ({ name: `${node}-pod${i + 1}`, ip: undefined }));
  }
  return pods.map((pod) =>
    typeof pod === "string"
      ? { name: pod, ip: undefined }
      : { name: pod.name, ip: pod.ip === undefined ? undefined : parseIpv4(pod.ip) },
  );
}

/** Where a key of the node with that number stands: counted nodes share theirs. */
export function nodePath(file: LabFile, i: number, key: string): DocPath {
  return Array.isArray(file.nodes) ? ["nodes", i, key] : ["nodes", key];
}

/** The nodes with addresses filled in. Without a sound `segment` every address is 0. */
export function resolveNodes(
  file: LabFile,
  wishes: readonly NodeWish[],
  segment: Prefix | undefined,
  faults: DocumentFaults,
): LabNode[] {
  checkNodeNames(wishes, faults);
  checkPodNames(wishes, faults);
  checkLengths(file, wishes, faults);
  const taken = new Map<Ipv4Addr, string>();
  wishes.forEach((wish, i) => {
    if (wish.address !== undefined && segment !== undefined) takeAddress(wish, i, segment, taken, faults);
  });
  const free = freeAddresses(segment, taken);
  const nodes: LabNode[] = [];
  for (const wish of wishes) {
    const address = wish.address === undefined ? free.next().value : parseIpv4(wish.address);
    if (address === undefined && segment !== undefined) {
      const room = 2 ** (32 - segment.len) - 3;
      const message = `${formatPrefix(segment)} has room for ${countOf(room, "node")}, the lab has ${wishes.length}`;
      const remedy = "Widen it, for example to 192.168.0.0/16, or run fewer nodes.";
      faults.add(["underlay", "subnet"], message, remedy);
      break;
    }
    nodes.push({ name: wish.name, address: address ?? 0, subnet: undefined, pods: wish.pods });
  }
  return nodes;
}

function checkNodeNames(wishes: readonly NodeWish[], faults: DocumentFaults): void {
  const seen = new Map<string, number>();
  wishes.forEach((wish, i) => {
    const path = ["nodes", i, "name"];
    const earlier = seen.get(wish.name);
    if (earlier !== undefined) {
      const message = `two nodes are named "${wish.name}" (nodes[${earlier}] is the other)`;
      faults.add(path, message, "Every node needs a name of its own.");
    }
    seen.set(wish.name, i);
    if (RESERVED_NODE_NAMES.includes(wish.name)) {
      const message = `"${wish.name}" is reserved: the lab's own ${wish.name} logs under that name`;
      faults.add(path, message, `Choose another name, such as ${wish.name}-1.`);
    }
  });
}

function checkPodNames(wishes: readonly NodeWish[], faults: DocumentFaults): void {
  const owner = new Map<string, string>();
  wishes.forEach((node, i) => {
    node.pods.forEach((pod, j) => {
      const other = owner.get(pod.name);
      if (other !== undefined) {
        const message = `two pods are named "${pod.name}" (on ${other} and on ${node.name})`;
        faults.add(["nodes", i, "pods", j], message, "Every pod of a lab needs a name of its own.");
      }
      owner.set(pod.name, node.name);
    });
  });
}

/** The schema bounds what is written; names that are put together here may still come out too long. */
function checkLengths(file: LabFile, wishes: readonly NodeWish[], faults: DocumentFaults): void {
  for (const [i, wish] of wishes.entries()) {
    const tooLong = [wish.name, ...wish.pods.map((pod) => pod.name)].find(
      (name) => name.length > NAME_LENGTH_MAX,
    );
    if (tooLong === undefined) continue;
    const message = `"${tooLong}" is ${tooLong.length} characters long, a name may have ${NAME_LENGTH_MAX}`;
    const listed = Array.isArray(file.nodes);
    faults.add(nodePath(file, i, listed ? "name" : "prefix"), message, "Make it shorter.");
    if (!listed) return;
  }
}

function takeAddress(
  wish: NodeWish,
  i: number,
  segment: Prefix,
  taken: Map<Ipv4Addr, string>,
  faults: DocumentFaults,
): void {
  const path = ["nodes", i, "address"];
  const address = parseIpv4(wish.address as string);
  if (address === undefined) {
    const remedy = "Write it without leading zeros, like 192.168.56.2.";
    faults.add(path, `"${wish.address}" is not an IPv4 address`, remedy);
    return;
  }
  const text = formatIpv4(address);
  const last = (segment.addr | ~netmask(segment.len)) >>> 0;
  if (!contains(segment, address)) {
    const remedy = "Choose an address inside underlay.subnet, or change that.";
    faults.add(path, `${text} is outside the underlay ${formatPrefix(segment)}`, remedy);
  } else if (address === segment.addr || address === last) {
    const what = address === last ? "broadcast" : "network";
    const remedy = `Choose one from ${formatIpv4(segment.addr + 1)} to ${formatIpv4(last - 1)}.`;
    faults.add(path, `${text} is the ${what} address of ${formatPrefix(segment)}`, remedy);
  }
  const other = taken.get(address);
  if (other !== undefined) {
    const remedy = "Give one of them another address, or leave the address out.";
    faults.add(path, `${text} is the address of both ${other} and ${wish.name}`, remedy);
  }
  taken.set(address, wish.name);
}

/** Addresses that no node asked for, from .2 upward, as virtual-machine hosts number them. */
function* freeAddresses(
  segment: Prefix | undefined,
  taken: ReadonlyMap<Ipv4Addr, string>,
): Generator<Ipv4Addr, undefined> {
  if (segment === undefined) return undefined;
  const last = (segment.addr | ~netmask(segment.len)) >>> 0;
  for (let address = segment.addr + 2; address < last; address++) {
    if (!taken.has(address)) yield address;
  }
  return undefined;
}
