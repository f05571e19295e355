// The nodes block of a lab file: names, underlay addresses and pods of every node.

import { countOf } from "../base/count-of.ts";
import { formatPrefix, type Ipv4Addr, parseIpv4 } from "../base/ipv4-addr.ts";
import { NAME_LENGTH_MAX } from "../base/name-rule.ts";
import { nearestWord } from "../base/nearest-word.ts";
import { type DocPath, type DocumentFaults, keyText } from "../io/document/problem.ts";
import type { LabFile } from "./lab-schema.ts";
import { RESERVED_NODE_NAMES } from "./names.ts";
import type { LabNode, LabPod } from "./resolve-lab.ts";
import {
  freeAddresses,
  type LabSegment,
  readMember,
  segmentPath,
  type TakenAddresses,
} from "./resolve-segments.ts";

/** A node as the lab file asks for it, before anything is filled in. */
export interface NodeWish {
  readonly name: string;
  readonly address: string | undefined;
  readonly subnet: string | undefined;
  readonly segment: string | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly asNumber: number | undefined;
  readonly routeReflectorClusterID: string | undefined;
  readonly pods: readonly LabPod[];
}

interface PodWish {
  readonly name: string;
  readonly ip?: string | undefined;
  readonly namespace?: string | undefined;
}
type PodWishes = number | readonly (string | PodWish)[];

const NO_WISHES = {
  address: undefined,
  subnet: undefined,
  segment: undefined,
  labels: undefined,
  asNumber: undefined,
  routeReflectorClusterID: undefined,
} as const;

/** The wishes, one a node. */
export function nodeWishes(file: LabFile): NodeWish[] {
  const { nodes } = file;
  if (Array.isArray(nodes)) {
    return nodes.map((node) => ({ ...NO_WISHES, ...node, pods: podWishes(node.name, node.pods ?? 2) }));
  }
  return Array.from({ length: nodes.count }, (_, i) => {
    const name = `${nodes.prefix}${i + 1}`;
    return { ...NO_WISHES, name, pods: podWishes(name, nodes.pods) };
  });
}

function podWishes(node: string, pods: PodWishes): LabPod[] {
  const wishes =
    typeof pods === "number"
      ? Array.from({ length: pods }, (_, i): PodWish => ({ name: `${node}-pod${i + 1}` }))
      : pods.map((pod): PodWish => (typeof pod === "string" ? { name: pod } : pod));
  return wishes.map(({ name, ip, namespace }) => ({
    name,
    ip: ip === undefined ? undefined : parseIpv4(ip),
    namespace,
  }));
}

/** Where a key of the node with that number stands: counted nodes share theirs. */
export function nodePath(file: LabFile, i: number, key: string): DocPath {
  return Array.isArray(file.nodes) ? ["nodes", i, key] : ["nodes", key];
}

/** The nodes with addresses filled in. Without sound `segments` there are none. */
export function resolveNodes(
  file: LabFile,
  wishes: readonly NodeWish[],
  segments: readonly LabSegment[],
  taken: TakenAddresses,
  faults: DocumentFaults,
): LabNode[] {
  const places = wishes.map((wish, i) => placeOf(wish, i, segments, taken, faults));
  const free = segments.map(({ subnet }) => freeAddresses(subnet, taken));
  const nodes: LabNode[] = [];
  for (const [i, wish] of wishes.entries()) {
    const { at, address: told } = places[i] as Place;
    const segment = segments[at] as LabSegment;
    const address = told ?? free[at]?.next().value;
    if (address === undefined) {
      const room = 2 ** (32 - segment.subnet.len) - 3;
      const message = `${formatPrefix(segment.subnet)} has room for ${countOf(room, "node")}, the lab has ${wishes.length}`;
      const remedy = "Widen it, for example to 192.168.0.0/16, or run fewer nodes.";
      faults.add(segmentPath(file, at), message, remedy);
      break;
    }
    const { name, pods, labels, asNumber, routeReflectorClusterID } = wish;
    nodes.push({
      name,
      address,
      segment,
      subnet: undefined,
      pods,
      labels,
      asNumber,
      routeReflectorClusterID,
    });
  }
  return nodes;
}

/** Which segment a node is in, and its address if it was told one. */
interface Place {
  readonly at: number;
  readonly address: Ipv4Addr | undefined;
}

function placeOf(
  wish: NodeWish,
  i: number,
  segments: readonly LabSegment[],
  taken: TakenAddresses,
  faults: DocumentFaults,
): Place {
  const inTurn = i % segments.length;
  const named = wish.segment === undefined ? undefined : segmentNamed(wish.segment, i, segments, faults);
  if (wish.address === undefined) return { at: named ?? inTurn, address: undefined };
  const path = ["nodes", i, "address"];
  const choices = named === undefined ? segments : [segments[named] as LabSegment];
  const where = segments.length === 1 ? "underlay.subnet" : "its segment";
  const subnets = choices.map((segment) => segment.subnet);
  const found = readMember(wish.address, subnets, path, where, faults);
  const address = found?.addr ?? parseIpv4(wish.address) ?? 0;
  if (found !== undefined) taken.take(address, wish.name, path, true);
  return { at: named ?? found?.subnet ?? inTurn, address };
}

function segmentNamed(
  name: string,
  i: number,
  segments: readonly LabSegment[],
  faults: DocumentFaults,
): number | undefined {
  const at = segments.findIndex((segment) => segment.name === name);
  if (at >= 0) return at;
  const known = segments.map((segment) => segment.name);
  const near = nearestWord(name, known);
  const remedy = near === undefined ? `There are: ${known.join(", ")}.` : `Did you mean "${near}"?`;
  faults.add(["nodes", i, "segment"], `there is no segment "${name}"`, remedy);
  return undefined;
}

/** Checks the names of nodes, pods, routers and announcers: each kind of process logs under its name. */
export function checkNames(file: LabFile, wishes: readonly NodeWish[], faults: DocumentFaults): void {
  const seen = new Map<string, string>();
  wishes.forEach((wish, i) => checkName(wish.name, ["nodes", i, "name"], "nodes", seen, faults));
  for (const kind of ["routers", "announcers"] as const) {
    (file[kind] ?? []).forEach(({ name }, i) => checkName(name, [kind, i, "name"], kind, seen, faults));
  }
  checkPodNames(wishes, faults);
  checkLengths(file, wishes, faults);
}

function checkName(
  name: string,
  path: readonly (string | number)[],
  kind: string,
  seen: Map<string, string>,
  faults: DocumentFaults,
): void {
  const earlier = seen.get(name);
  if (earlier !== undefined) {
    const both = earlier.startsWith(kind) ? `two ${kind} are` : `two of the lab are`;
    const message = `${both} named "${name}" (${earlier} is the other)`;
    faults.add(path, message, `Every ${kind.slice(0, -1)} needs a name of its own.`);
  }
  seen.set(name, keyText(path.slice(0, -1)));
  if (RESERVED_NODE_NAMES.includes(name)) {
    const message = `"${name}" is reserved: the lab's own ${name} logs under that name`;
    faults.add(path, message, `Choose another name, such as ${name}-1.`);
  }
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
