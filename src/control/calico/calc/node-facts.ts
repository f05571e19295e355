// What BGP needs to know of a Calico node, read from its resource.
import { type Ipv4Addr, type Prefix, parseCidr, parseIpv4, prefixOf } from "../../../base/ipv4-addr.ts";
import type { NodeResource } from "../resources.ts";

export interface NodeFacts {
  readonly name: string;
  /** As it is written, for the comparison that says who dials. */
  readonly ipText: string;
  readonly ip: Ipv4Addr;
  /** The node's segment: what is in it is reached without a gateway. A /32 holds nobody. */
  readonly subnet: Prefix;
  /** Its own; undefined: the cluster's. */
  readonly asNumber: number | undefined;
  /** "" when it reflects nothing. */
  readonly clusterId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ipipTunnelAddr: Ipv4Addr | undefined;
}

const NO_LABELS: Readonly<Record<string, string>> = {};

/** Undefined: it has no IPv4 address that could be used, so nobody peers with it. */
export function nodeFacts({ metadata, spec }: NodeResource): NodeFacts | undefined {
  const { bgp } = spec;
  if (bgp?.ipv4Address === undefined) return undefined;
  const text = bgp.ipv4Address.includes("/") ? bgp.ipv4Address : `${bgp.ipv4Address}/32`;
  const cidr = parseCidr(text);
  if (!cidr.ok) return undefined;
  const { addr, len } = cidr.value;
  return {
    name: metadata.name,
    ipText: text.slice(0, text.indexOf("/")),
    ip: addr,
    subnet: prefixOf(addr, len),
    asNumber: bgp.asNumber,
    clusterId: bgp.routeReflectorClusterID ?? "",
    labels: metadata.labels ?? NO_LABELS,
    ipipTunnelAddr: bgp.ipv4IPIPTunnelAddr === undefined ? undefined : parseIpv4(bgp.ipv4IPIPTunnelAddr),
  };
}

/** Is everything that makes peers the same? Tunnel addresses do not. */
export function samePeering(x: NodeFacts | undefined, y: NodeFacts | undefined): boolean {
  if (x === undefined || y === undefined) return x === y;
  return (
    x.ipText === y.ipText &&
    x.subnet.len === y.subnet.len &&
    x.asNumber === y.asNumber &&
    x.clusterId === y.clusterId &&
    sameLabels(x.labels, y.labels)
  );
}

function sameLabels(x: NodeFacts["labels"], y: NodeFacts["labels"]): boolean {
  const keys = Object.keys(x);
  return keys.length === Object.keys(y).length && keys.every((key) => x[key] === y[key]);
}
