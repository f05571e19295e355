// Which subnet each node leases, as far as the lab file says, and whether its pods can have the addresses that they ask for.
// A node draws its subnet at random unless it is told one, so only a told one can promise an address.

import { countOf } from "../base/count-of.ts";
import {
  contains,
  formatIpv4,
  formatPrefix,
  type Ipv4Addr,
  type Prefix,
  parseCidr,
  prefixOf,
} from "../base/ipv4-addr.ts";
import type { NetConf } from "../control/flannel/net-conf.ts";
import type { DocPath, DocumentFaults } from "../io/document/problem.ts";
import type { LabFile } from "./lab-schema.ts";
import type { LabNode } from "./resolve-lab.ts";
import { countSubnets, leasable } from "./resolve-network.ts";
import { type NodeWish, nodePath } from "./resolve-nodes.ts";

/** What is known of a node's subnet: undefined that it is drawn, `wrong` that what the file says cannot be. */
type Told = Prefix | "wrong" | undefined;

/** The nodes with the subnets that they are told, and the faults of subnets and pods' addresses. */
export function resolveSubnets(
  file: LabFile,
  wishes: readonly NodeWish[],
  nodes: readonly LabNode[],
  conf: NetConf,
  faults: DocumentFaults,
): LabNode[] {
  const told = toldSubnets(wishes, conf, faults);
  checkPodCounts(file, nodes, conf, faults);
  checkPodAddresses(nodes, told, conf, faults);
  if (told.every((subnet) => subnet === undefined)) return [...nodes];
  // Once one is told, all are: a node that drew at random could be given what another was promised.
  const taken = new Set(told.flatMap((subnet) => (typeof subnet === "object" ? [subnet.addr] : [])));
  const free = freeSubnets(conf, taken);
  return nodes.map((node, i) => {
    const subnet = told[i];
    return { ...node, subnet: typeof subnet === "object" ? subnet : free.next().value };
  });
}

function* freeSubnets(conf: NetConf, taken: ReadonlySet<Ipv4Addr>): Generator<Prefix, undefined> {
  const size = 2 ** (32 - conf.subnetLen);
  for (let addr = conf.subnetMin; addr <= conf.subnetMax; addr += size) {
    if (!taken.has(addr)) yield { addr, len: conf.subnetLen };
  }
  return undefined;
}

function toldSubnets(wishes: readonly NodeWish[], conf: NetConf, faults: DocumentFaults): Told[] {
  const owners = new Map<Ipv4Addr, string>();
  return wishes.map((wish, i) => {
    if (wish.subnet === undefined) return undefined;
    const path = ["nodes", i, "subnet"];
    const subnet = readSubnet(wish.subnet, path, conf, faults);
    if (subnet === undefined) return "wrong";
    const other = owners.get(subnet.addr);
    if (other !== undefined) {
      const message = `${formatPrefix(subnet)} is the subnet of both ${other} and ${wish.name}`;
      faults.add(path, message, "Give one of them another subnet, or leave the key out.");
    }
    owners.set(subnet.addr, wish.name);
    return subnet;
  });
}

function readSubnet(text: string, path: DocPath, conf: NetConf, faults: DocumentFaults): Prefix | undefined {
  const cidr = parseCidr(text);
  if (!cidr.ok) {
    faults.add(path, cidr.error, `Write it like ${formatIpv4(conf.subnetMin)}/${conf.subnetLen}.`);
    return undefined;
  }
  const { addr, len } = cidr.value;
  const subnet = prefixOf(addr, conf.subnetLen);
  if (len !== conf.subnetLen) {
    const message = `"${text}" is a /${len}, but the nodes of this network lease a /${conf.subnetLen}`;
    faults.add(path, message, `Write it as ${formatPrefix(subnet)}, or set network.SubnetLen to ${len}.`);
    return undefined;
  }
  if (subnet.addr !== addr) {
    faults.add(path, `"${text}" has bits set beyond its length`, `Write it as ${formatPrefix(subnet)}.`);
    return undefined;
  }
  if (addr < conf.subnetMin || addr > conf.subnetMax) {
    const range = `${formatIpv4(conf.subnetMin)} to ${formatIpv4(conf.subnetMax)}`;
    const message = `"${text}" is not one of the subnets that may be leased, ${range}`;
    faults.add(path, message, `Choose one of them, or change ${rangeKeys(conf)}.`);
    return undefined;
  }
  return subnet;
}

function rangeKeys(conf: NetConf): string {
  return `network.SubnetMin and SubnetMax inside ${formatPrefix(conf.network)}`;
}

/** Has each subnet an address for every pod of its node? */
function checkPodCounts(
  file: LabFile,
  nodes: readonly LabNode[],
  conf: NetConf,
  faults: DocumentFaults,
): void {
  // The base address, the bridge's own (.1) and the broadcast address are not a pod's.
  const podsMax = 2 ** (32 - conf.subnetLen) - 3;
  for (const [i, node] of nodes.entries()) {
    if (node.pods.length <= podsMax) continue;
    const pods = countOf(node.pods.length, "pod does", "pods do");
    const message = `${pods} not fit into a /${conf.subnetLen}, which has room for ${podsMax}`;
    const remedy = `Run at most ${countOf(podsMax, "pod")} on a node, or shorten network.SubnetLen.`;
    faults.add(nodePath(file, i, "pods"), message, remedy);
    if (!Array.isArray(file.nodes)) return;
  }
}

function checkPodAddresses(
  nodes: readonly LabNode[],
  told: readonly Told[],
  conf: NetConf,
  faults: DocumentFaults,
): void {
  const single = countSubnets(conf) === 1 ? { addr: conf.subnetMin, len: conf.subnetLen } : undefined;
  const owners = new Map<Ipv4Addr, string>();
  nodes.forEach((node, i) => {
    const subnet = told[i] ?? single;
    node.pods.forEach((pod, j) => {
      if (pod.ip === undefined || subnet === "wrong") return;
      const path = ["nodes", i, "pods", j, "ip"];
      const text = formatIpv4(pod.ip);
      const other = owners.get(pod.ip);
      if (other !== undefined) {
        const remedy = "Give one of them another address, or leave the address out.";
        faults.add(path, `${text} is the address of both ${other} and ${pod.name}`, remedy);
      }
      owners.set(pod.ip, pod.name);
      const refusal = refuseAddress(pod.ip, subnet, node.name, conf);
      if (refusal !== undefined) faults.add(path, `${text} ${refusal.message}`, refusal.remedy);
    });
  });
}

interface Refusal {
  readonly message: string;
  readonly remedy: string;
}

/** Why a pod cannot have `ip`; undefined when it can. @param subnet its node's; undefined: nobody knows it beforehand */
function refuseAddress(
  ip: Ipv4Addr,
  subnet: Prefix | undefined,
  node: string,
  conf: NetConf,
): Refusal | undefined {
  const [first, last] = leasable(conf);
  if (!contains(conf.network, ip)) {
    return {
      message: `is outside the pod network ${formatPrefix(conf.network)}`,
      remedy: "Choose an address inside network.Network, in the subnet of the node.",
    };
  }
  if (ip < first || ip > last) {
    const message = `is in no subnet that may be leased: those hold ${formatIpv4(first)} to ${formatIpv4(last)}`;
    return { message, remedy: `Choose an address of those, or change ${rangeKeys(conf)}.` };
  }
  const home = prefixOf(ip, conf.subnetLen);
  const range = (of: Prefix): string =>
    `${formatIpv4(of.addr + 2)} to ${formatIpv4(of.addr + 2 ** (32 - of.len) - 2)}`;
  const offset = ip - home.addr;
  const role = ["the network address", "the gateway's address"][offset];
  const broadcast = offset === 2 ** (32 - home.len) - 1 ? "the broadcast address" : undefined;
  const taken = role ?? broadcast;
  if (taken !== undefined) {
    return {
      message: `is ${taken} of ${formatPrefix(home)}`,
      remedy: `Choose one from ${range(subnet ?? home)}.`,
    };
  }
  if (subnet === undefined) {
    return {
      message: `cannot be promised: ${node} draws its subnet when it starts`,
      remedy: `Give ${node} the subnet beforehand: subnet: ${formatPrefix(home)}.`,
    };
  }
  if (contains(subnet, ip)) return undefined;
  return {
    message: `is outside ${formatPrefix(subnet)}, the subnet of ${node}`,
    remedy: `Choose one from ${range(subnet)}, or change the subnet.`,
  };
}
