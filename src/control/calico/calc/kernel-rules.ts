// Which routes BIRD puts into the kernel, and through what (specs on Calico, sections 2.2 and 3.3): its filter
// `calico_kernel_programming`.
import { contains, type Ipv4Addr, type Prefix, parseCidr, prefixOf } from "../../../base/ipv4-addr.ts";
import type { BGPConfigurationSpec, IPPoolSpec } from "../resources.ts";
import type { CalicoVersion } from "./desired-peer.ts";

/** A pool as routing sees it. Those that are disabled still have pods. */
export interface KernelPool {
  readonly cidr: Prefix;
  readonly encap: "ipip" | "vxlan" | "none";
  /** IPIP only to those who are not in the node's own subnet. */
  readonly crossSubnet: boolean;
  readonly enabled: boolean;
  /** May its routes be told to peers? */
  readonly exported: boolean;
}

export interface KernelRules {
  readonly serviceCidrs: readonly Prefix[];
  readonly pools: readonly KernelPool[];
  /** Which pools are BIRD's to program; the others are Felix's. VXLAN is always Felix's. */
  readonly programs: { readonly ipip: boolean; readonly noEncap: boolean };
}

/** `tunnel`: through tunl0; false: straight. */
export type KernelVerdict = { readonly t: "reject" } | { readonly t: "accept"; readonly tunnel: boolean };

const REJECT: KernelVerdict = { t: "reject" };
const STRAIGHT: KernelVerdict = { t: "accept", tunnel: false };
const TUNNEL: KernelVerdict = { t: "accept", tunnel: true };

/** Undefined: its prefix cannot be read. */
export function kernelPool(spec: IPPoolSpec): KernelPool | undefined {
  const cidr = parseCidr(spec.cidr);
  if (!cidr.ok) return undefined;
  const { ipipMode = "Never", vxlanMode = "Never" } = spec;
  return {
    cidr: prefixOf(cidr.value.addr, cidr.value.len),
    encap: ipipMode !== "Never" ? "ipip" : vxlanMode !== "Never" ? "vxlan" : "none",
    crossSubnet: ipipMode === "CrossSubnet",
    enabled: spec.disabled !== true,
    exported: spec.disableBGPExport !== true,
  };
}

/** `programClusterRoutes` of the BGPConfiguration, which is complementary to the FelixConfiguration's. */
export function programsBy(
  mode: BGPConfigurationSpec["programClusterRoutes"],
  version: CalicoVersion,
): KernelRules["programs"] {
  const effective = mode ?? (version === "3.33" ? "EnabledNoEncapOnly" : "Enabled");
  return {
    ipip: effective === "Enabled" || effective === "EnabledIPIPOnly",
    noEncap: effective === "Enabled" || effective === "EnabledNoEncapOnly",
  };
}

/**
 * @param nextHop where BGP says that the route leads; undefined for a route that leads nowhere, like the blackhole of an own block
 * @param subnet the node's own; undefined while it is not known: then everybody is outside
 */
export function kernelVerdict(
  rules: KernelRules,
  dst: Prefix,
  nextHop: Ipv4Addr | undefined,
  subnet: Prefix | undefined,
): KernelVerdict {
  if (rules.serviceCidrs.some((cidr) => holds(cidr, dst))) return REJECT;
  const pool = rules.pools.find(({ cidr }) => holds(cidr, dst));
  if (pool === undefined) return STRAIGHT;
  switch (pool.encap) {
    case "vxlan":
      return REJECT;
    case "none":
      return rules.programs.noEncap ? STRAIGHT : REJECT;
    case "ipip":
      if (!rules.programs.ipip) return REJECT;
      if (!pool.crossSubnet || nextHop === undefined) return TUNNEL;
      return subnet !== undefined && isNear(subnet, nextHop) ? STRAIGHT : TUNNEL;
  }
}

/** A node with a /32 is alone on its subnet. */
function isNear(subnet: Prefix, addr: Ipv4Addr): boolean {
  return subnet.len < 32 && contains(subnet, addr);
}

function holds(cidr: Prefix, net: Prefix): boolean {
  return net.len >= cidr.len && contains(cidr, net.addr);
}
