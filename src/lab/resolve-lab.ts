// A LabFile → a Lab: every node with its name, address and pods, and the checks that span several keys. What is wrong comes
// back as faults with the path that they concern, all at once.
import {
  contains,
  formatIpv4,
  formatPrefix,
  type Ipv4Addr,
  netmask,
  overlaps,
  type Prefix,
  parseCidr,
  parseIpv4,
  prefixOf,
} from "../base/ipv4-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type NetConf, parseNetConf } from "../control/flannel/net-conf.ts";
import { type Carrier, hostAddresses } from "../io/host-address.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import type { LabFault } from "./lab-file.ts";
import type { LabFile } from "./lab-schema.ts";
import type { DocPath } from "./yaml-source.ts";

/** The backends that podloom has, as Flannel spells them. */
export const BACKENDS: readonly string[] = ["vxlan"];

/** Which store holds the keys. */
export type StoreChoice =
  | { readonly kind: "embedded" }
  | { readonly kind: "etcd" }
  | { readonly kind: "external"; readonly endpoints: readonly string[] };

/** A pod as the lab file asks for it. */
export interface LabPod {
  readonly name: string;
  readonly ip: Ipv4Addr | undefined;
}

/** A node as the lab file asks for it. */
export interface LabNode {
  readonly name: string;
  /** Its underlay address. */
  readonly address: Ipv4Addr;
  readonly pods: readonly LabPod[];
}

/** When an ended node process is started again. */
export interface RestartRule {
  readonly policy: "on-failure" | "always" | "never";
  readonly maxRetries: number;
  readonly backoffMs: number;
}

/** A lab that is ready to run. Plain data: it crosses process boundaries. */
export interface Lab {
  readonly name: string;
  /** Flannel's net-conf.json, as it goes into `<etcdPrefix>/config`. */
  readonly networkJson: string;
  /** The pod network and the backend in use, for display. */
  readonly network: Prefix;
  readonly backend: string;
  readonly underlay: { readonly subnet: Prefix; readonly carrier: Carrier; readonly mtuBytes: number };
  readonly nodes: readonly LabNode[];
  readonly store: StoreChoice;
  readonly etcdPrefix: string;
  readonly lease: { readonly ttlSec: number; readonly mode: "keepalive" | "renew" };
  readonly strict: boolean;
  readonly restart: RestartRule;
}

/** Collects faults while the checks run. */
class Faults {
  readonly list: LabFault[] = [];

  add(path: DocPath, message: string, remedy: string): void {
    this.list.push({ path, message, remedy });
  }
}

/** Resolves `file`. @param fallbackName the lab's name when the file gives none */
export function resolveLab(file: LabFile, fallbackName: string): Result<Lab, readonly LabFault[]> {
  const faults = new Faults();
  const subnet = resolveSegment(file, faults);
  const nodes = resolveNodes(file, subnet, faults);
  const networkJson = JSON.stringify(file.network);
  const network = checkNetwork(file, networkJson, faults);
  if (network !== undefined) {
    checkRoom(network, nodes, faults);
    if (subnet !== undefined && overlaps(network.network, subnet)) {
      const pair = `${formatPrefix(network.network)} overlaps the underlay ${formatPrefix(subnet)}`;
      faults.add(
        ["network", "Network"],
        `the pod network ${pair}`,
        "Choose another Network or underlay.subnet.",
      );
    }
  }
  if (subnet !== undefined) checkCarrier(file, nodes, faults);
  if (faults.list.length > 0 || network === undefined || subnet === undefined) return err(faults.list);
  return ok({
    name: file.name ?? fallbackName,
    networkJson,
    network: network.network,
    backend: network.backend.type.toLowerCase(),
    underlay: { subnet, carrier: file.underlay.carrier, mtuBytes: file.underlay.mtu },
    nodes,
    store: storeChoice(file.store),
    etcdPrefix: file.etcdPrefix,
    lease: {
      mode: file.lease.mode,
      ttlSec: file.lease.ttlSec ?? (file.lease.mode === "renew" ? 86_400 : 20),
    },
    strict: file.strict,
    restart: file.restart,
  });
}

/** The choice that `embedded`, `etcd` or `http://a:1,http://b:2` stands for. The schema has checked the text. */
export function storeChoice(text: string): StoreChoice {
  if (text === "embedded" || text === "etcd") return { kind: text };
  return { kind: "external", endpoints: text.split(",") };
}

function resolveSegment(file: LabFile, faults: Faults): Prefix | undefined {
  const path = ["underlay", "subnet"];
  const cidr = parseCidr(file.underlay.subnet);
  if (!cidr.ok) {
    faults.add(path, cidr.error, "Write it as 192.168.56.0/24.");
    return undefined;
  }
  const subnet = prefixOf(cidr.value.addr, cidr.value.len);
  if (subnet.addr !== cidr.value.addr) {
    faults.add(
      path,
      `"${file.underlay.subnet}" has bits set beyond its length`,
      `Write it as ${formatPrefix(subnet)}.`,
    );
    return undefined;
  }
  if (subnet.len < 8 || subnet.len > 30) {
    faults.add(
      path,
      `the prefix length must be 8 to 30, not ${subnet.len}`,
      "192.168.56.0/24 has room for 253 nodes.",
    );
    return undefined;
  }
  return subnet;
}

/** The nodes with names, addresses and pods filled in. Without a sound `subnet` every address is 0. */
function resolveNodes(file: LabFile, subnet: Prefix | undefined, faults: Faults): LabNode[] {
  const wishes = nodeWishes(file);
  const taken = new Map<Ipv4Addr, string>();
  const seen = new Map<string, number>();
  wishes.forEach((wish, i) => {
    const earlier = seen.get(wish.name);
    if (earlier !== undefined) {
      const remedy = "Every node needs a name of its own.";
      faults.add(
        ["nodes", i, "name"],
        `two nodes are named "${wish.name}" (nodes[${earlier}] is the other)`,
        remedy,
      );
    }
    seen.set(wish.name, i);
    if (wish.address !== undefined && subnet !== undefined) takeAddress(wish, i, subnet, taken, faults);
  });
  const free = freeAddresses(subnet, taken);
  const nodes: LabNode[] = [];
  for (const wish of wishes) {
    const address = wish.address === undefined ? free.next().value : parseIpv4(wish.address);
    if (address === undefined && subnet !== undefined) {
      const room = 2 ** (32 - subnet.len) - 3;
      const message = `${formatPrefix(subnet)} has room for ${room} nodes, the lab has ${wishes.length}`;
      faults.add(
        ["underlay", "subnet"],
        message,
        "Widen it, for example to 192.168.0.0/16, or run fewer nodes.",
      );
      break;
    }
    nodes.push({ name: wish.name, address: address ?? 0, pods: wish.pods });
  }
  checkPodNames(nodes, faults);
  return nodes;
}

interface NodeWish {
  readonly name: string;
  readonly address: string | undefined;
  readonly pods: readonly LabPod[];
}

type PodWishes = number | readonly (string | { readonly name: string; readonly ip?: string | undefined })[];

function nodeWishes(file: LabFile): NodeWish[] {
  const { nodes } = file;
  if (Array.isArray(nodes)) {
    return nodes.map((node) => ({
      name: node.name,
      address: node.address,
      pods: podWishes(node.name, node.pods ?? 2),
    }));
  }
  return Array.from({ length: nodes.count }, (_, i) => {
    const name = `${nodes.prefix}${i + 1}`;
    return { name, address: undefined, pods: podWishes(name, nodes.pods) };
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

function takeAddress(
  wish: NodeWish,
  i: number,
  subnet: Prefix,
  taken: Map<Ipv4Addr, string>,
  faults: Faults,
): void {
  const path = ["nodes", i, "address"];
  const address = parseIpv4(wish.address as string);
  if (address === undefined) {
    faults.add(
      path,
      `"${wish.address}" is not an IPv4 address`,
      "Write it without leading zeros, like 192.168.56.2.",
    );
    return;
  }
  const text = formatIpv4(address);
  const last = (subnet.addr | ~netmask(subnet.len)) >>> 0;
  if (!contains(subnet, address)) {
    const remedy = "Choose an address inside underlay.subnet, or change that.";
    faults.add(path, `${text} is outside the underlay ${formatPrefix(subnet)}`, remedy);
  } else if (address === subnet.addr || address === last) {
    const what = address === last ? "broadcast" : "network";
    faults.add(path, `${text} is the ${what} address of ${formatPrefix(subnet)}`, "Choose one between them.");
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
  subnet: Prefix | undefined,
  taken: ReadonlyMap<Ipv4Addr, string>,
): Generator<Ipv4Addr, undefined> {
  if (subnet === undefined) return undefined;
  const last = (subnet.addr | ~netmask(subnet.len)) >>> 0;
  for (let address = subnet.addr + 2; address < last; address++) {
    if (!taken.has(address)) yield address;
  }
  return undefined;
}

function checkPodNames(nodes: readonly LabNode[], faults: Faults): void {
  const owner = new Map<string, string>();
  nodes.forEach((node, i) => {
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

function checkNetwork(file: LabFile, json: string, faults: Faults): NetConf | undefined {
  const { Type, DirectRouting } = file.network.Backend;
  if (!BACKENDS.includes(Type.toLowerCase())) {
    const remedy = `podloom has: ${BACKENDS.join(", ")}.`;
    faults.add(["network", "Backend", "Type"], `unknown backend type: ${Type}`, remedy);
    return undefined;
  }
  if (file.network.EnableIPv4 === false) {
    faults.add(
      ["network", "EnableIPv4"],
      "podloom emulates IPv4 only, so it must be true",
      "Leave the key out.",
    );
  }
  if (DirectRouting === true) {
    const remedy = "Leave the key out: every pair of nodes is then encapsulated.";
    faults.add(["network", "Backend", "DirectRouting"], "DirectRouting is not available yet", remedy);
  }
  const conf = parseNetConf(json);
  if (!conf.ok) {
    faults.add(
      ["network"],
      conf.error,
      "Change Network, SubnetLen, SubnetMin or SubnetMax as the message says.",
    );
    return undefined;
  }
  return conf.value;
}

/** Is there a subnet for every node, and an address for every pod? */
function checkRoom(conf: NetConf, nodes: readonly LabNode[], faults: Faults): void {
  const subnets = Math.floor((conf.subnetMax - conf.subnetMin) / 2 ** (32 - conf.subnetLen)) + 1;
  if (subnets < nodes.length) {
    const message = `out of subnets: ${formatPrefix(conf.network)} has ${subnets} of /${conf.subnetLen}, the lab has ${nodes.length} nodes`;
    faults.add(["network"], message, "Widen Network, lengthen SubnetLen, or run fewer nodes.");
  }
  // The base address, the bridge's own (.1) and the broadcast address are not a pod's.
  const podsMax = 2 ** (32 - conf.subnetLen) - 3;
  nodes.forEach((node, i) => {
    if (node.pods.length > podsMax) {
      const message = `${node.pods.length} pods do not fit into a /${conf.subnetLen}, which has room for ${podsMax}`;
      faults.add(["nodes", i, "pods"], message, "Shorten network.SubnetLen, or run fewer pods on a node.");
    }
    node.pods.forEach((pod, j) => {
      if (pod.ip === undefined || contains(conf.network, pod.ip)) return;
      const message = `${formatIpv4(pod.ip)} is outside the pod network ${formatPrefix(conf.network)}`;
      faults.add(["nodes", i, "pods", j, "ip"], message, "Choose an address inside network.Network.");
    });
  });
}

function checkCarrier(file: LabFile, nodes: readonly LabNode[], faults: Faults): void {
  const addresses = nodes.map((node) => node.address);
  try {
    hostAddresses(addresses, file.underlay.carrier);
  } catch (thrown) {
    const remedy = thrown instanceof PodloomError ? thrown.remedy : undefined;
    faults.add(["underlay"], messageOf(thrown), remedy ?? "Choose another underlay.subnet.");
  }
}
