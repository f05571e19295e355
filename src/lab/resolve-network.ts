// The network block of a lab file: Flannel's own checks, each complaint at the key that it is about, and ours.

import { countOf } from "../base/count-of.ts";
import {
  contains,
  formatIpv4,
  formatPrefix,
  type Ipv4Addr,
  overlaps,
  type Prefix,
  parseCidr,
  prefix,
  prefixOf,
} from "../base/ipv4-addr.ts";
import { type NetConf, parseNetConf } from "../control/flannel/net-conf.ts";
import type { DocPath, DocumentFaults } from "../io/document/problem.ts";
import type { FlannelFile } from "./lab-schema.ts";

/** The backends that podloom has, as Flannel spells them. */
const BACKENDS: readonly string[] = ["vxlan"];

/** Addresses that no host of a network can have: Linux drops packets from and to them. */
const NO_HOSTS: readonly (readonly [Prefix, string])[] = [
  [prefix("0.0.0.0/8"), 'the addresses of "this host"'],
  [prefix("127.0.0.0/8"), "the loopback addresses"],
  [prefix("224.0.0.0/3"), "the multicast and reserved addresses"],
];

/** Refuses a network that holds addresses which no host can have. */
export function checkUsable(network: Prefix, path: DocPath, example: string, faults: DocumentFaults): void {
  const found = NO_HOSTS.find(([range]) => overlaps(range, network));
  if (found === undefined) return;
  const message = `${formatPrefix(network)} lies among ${found[1]}, ${formatPrefix(found[0])}`;
  faults.add(path, message, `Choose a private network such as ${example}.`);
}

/** Flannel's configuration with its defaults filled in; undefined when it is refused. */
export function checkNetwork(file: FlannelFile, json: string, faults: DocumentFaults): NetConf | undefined {
  const { EnableIPv4, EnableIPv6, IPv6Network, Backend } = file.network;
  if (!BACKENDS.includes(Backend.Type.toLowerCase())) {
    const remedy = `podloom has: ${BACKENDS.join(", ")}.`;
    faults.add(["network", "Backend", "Type"], `unknown backend type: ${Backend.Type}`, remedy);
    return undefined;
  }
  if (Backend.DirectRouting === true) {
    const remedy = "Leave the key out: every pair of nodes is then encapsulated.";
    faults.add(["network", "Backend", "DirectRouting"], "DirectRouting is not available yet", remedy);
  }
  if (EnableIPv4 === false) {
    const message = "podloom emulates IPv4 only, so it must be true";
    faults.add(["network", "EnableIPv4"], message, "Leave the key out.");
    return undefined;
  }
  // Known keys, so that nobody who pastes a dual-stack configuration is told that he has mistyped another.
  if (EnableIPv6 === true || IPv6Network !== undefined) {
    const key = EnableIPv6 === true ? "EnableIPv6" : "IPv6Network";
    faults.add(["network", key], "IPv6 is not available yet", "Leave EnableIPv6 and IPv6Network out.");
    return undefined;
  }
  const conf = parseNetConf(json);
  if (!conf.ok) {
    const [path, remedy] = explain(conf.error, file);
    faults.add(path, conf.error, remedy);
    return undefined;
  }
  checkUsable(conf.value.network, ["network", "Network"], "10.244.0.0/16", faults);
  if (conf.value.subnetMax < conf.value.subnetMin) {
    const { subnetMin, subnetMax } = conf.value;
    const message = `the last subnet, ${formatIpv4(subnetMax)}, comes before the first, ${formatIpv4(subnetMin)}`;
    faults.add(limitPath(file), message, "Exchange SubnetMin and SubnetMax, or leave one of them out.");
    return undefined;
  }
  return conf.value;
}

/** The key that bounds how many subnets there are. */
function limitPath(file: FlannelFile): DocPath {
  const { SubnetMin, SubnetMax } = file.network;
  return [
    "network",
    SubnetMax !== undefined ? "SubnetMax" : SubnetMin !== undefined ? "SubnetMin" : "Network",
  ];
}

/** Is there a subnet for every node? */
export function checkSubnetCount(
  conf: NetConf,
  nodes: number,
  file: FlannelFile,
  faults: DocumentFaults,
): void {
  const subnets = countSubnets(conf);
  if (subnets >= nodes) return;
  const path = limitPath(file);
  const where = `${formatIpv4(conf.subnetMin)} to ${formatIpv4(conf.subnetMax)}`;
  const of = path[1] === "Network" ? formatPrefix(conf.network) : where;
  const message = `out of subnets: ${of} has ${subnets} of /${conf.subnetLen}, the lab has ${countOf(nodes, "node")}`;
  const widen = path[1] === "Network" ? "Widen Network" : `Widen Network or change ${path[1]}`;
  faults.add(path, message, `${widen}, lengthen SubnetLen, or run fewer nodes.`);
}

/** How many subnets may be leased. */
export function countSubnets(conf: NetConf): number {
  return (conf.subnetMax - conf.subnetMin) / 2 ** (32 - conf.subnetLen) + 1;
}

/** The first and the last address of the subnets that may be leased. */
export function leasable(conf: NetConf): readonly [Ipv4Addr, Ipv4Addr] {
  return [conf.subnetMin, conf.subnetMax + 2 ** (32 - conf.subnetLen) - 1];
}

/** Which key a sentence of {@link parseNetConf} is about, and what to do. */
function explain(message: string, file: FlannelFile): readonly [DocPath, string] {
  const cidr = parseCidr(file.network.Network);
  const network = cidr.ok ? prefixOf(cidr.value.addr, cidr.value.len) : prefix("10.244.0.0/16");
  const key = /^(SubnetMin|SubnetMax|SubnetLen|VNI|Port|MTU)\b/.exec(message)?.[1];
  switch (key) {
    case "SubnetMin":
    case "SubnetMax":
      return [["network", key], `Write the first address of a subnet, such as ${subnetIn(network, file)}.`];
    case "VNI":
    case "Port":
      return [["network", "Backend", key], "Give a number in that range, or leave the key out."];
    case "MTU":
      return [["network", "Backend", key], "Leave the key out: it is then the underlay's."];
    default:
      break;
  }
  if (key === "SubnetLen" || message.includes("four subnets")) {
    const longest = `from ${network.len + 2} to 30`;
    const remedy = network.len > 28 ? "Widen Network to a /28 at least." : `Give a length ${longest}.`;
    return [["network", "SubnetLen"], remedy];
  }
  return [["network", "Network"], "Widen it, for example to 10.244.0.0/16."];
}

/** A subnet's address to show: the second of the network, the first that Flannel leases. */
function subnetIn(network: Prefix, file: FlannelFile): string {
  const len = file.network.SubnetLen ?? (network.len <= 22 ? 24 : network.len + 2);
  const addr = (network.addr + 2 ** (32 - len)) >>> 0;
  return formatIpv4(contains(network, addr) ? addr : network.addr);
}
