// What a node says of itself in its Node resource. What others have put there (labels, a route reflector's cluster, an AS number) stays.
import { formatIpv4, type Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { NodeResource, NodeSpec } from "./resources.ts";

/** How the node takes IPIP: names of carriers, with commas. A node without the annotation is a real one: it takes IP protocol 4. */
export const IPIP_CARRIERS = "podloom.io/ipip-carriers";

export interface OwnNodeFacts {
  readonly name: string;
  readonly addr: Ipv4Addr;
  /** Prefix length of the segment. */
  readonly len: number;
  readonly ipipTunnelAddr: Ipv4Addr | undefined;
  readonly vxlanTunnelAddr: Ipv4Addr | undefined;
  /** Undefined: leave it as it is. */
  readonly ipipCarriers: readonly string[] | undefined;
}

export function sameFacts(a: OwnNodeFacts, b: OwnNodeFacts): boolean {
  return (
    a.name === b.name &&
    a.addr === b.addr &&
    a.len === b.len &&
    a.ipipTunnelAddr === b.ipipTunnelAddr &&
    a.vxlanTunnelAddr === b.vxlanTunnelAddr &&
    a.ipipCarriers?.join() === b.ipipCarriers?.join()
  );
}

/** The resource as it should be; undefined: `current` says all that, and nothing else. */
export function ownNode(current: NodeResource | undefined, facts: OwnNodeFacts): NodeResource | undefined {
  const wanted = desired(current, facts);
  return current !== undefined && saysTheSame(current, wanted) ? undefined : wanted;
}

function desired(current: NodeResource | undefined, facts: OwnNodeFacts): NodeResource {
  const { name, addr, len, ipipTunnelAddr, vxlanTunnelAddr, ipipCarriers } = facts;
  const address = formatIpv4(addr);
  const { ipv4IPIPTunnelAddr: _ipip, ...bgp } = current?.spec.bgp ?? {};
  const { ipv4VXLANTunnelAddr: _vxlan, ...spec } = current?.spec ?? {};
  const annotations = ipipCarriers === undefined ? {} : { [IPIP_CARRIERS]: ipipCarriers.join(",") };
  return {
    kind: "Node",
    apiVersion: "projectcalico.org/v3",
    metadata: {
      ...current?.metadata,
      name,
      annotations: { ...current?.metadata.annotations, ...annotations },
    },
    spec: {
      ...spec,
      addresses: [
        { address: `${address}/${len}`, type: "CalicoNodeIP" },
        { address, type: "InternalIP" },
      ],
      bgp: {
        ...bgp,
        ipv4Address: `${address}/${len}`,
        ...(ipipTunnelAddr === undefined ? {} : { ipv4IPIPTunnelAddr: formatIpv4(ipipTunnelAddr) }),
      },
      orchRefs: [{ nodeName: name, orchestrator: "k8s" }],
      ...(vxlanTunnelAddr === undefined ? {} : { ipv4VXLANTunnelAddr: formatIpv4(vxlanTunnelAddr) }),
    },
  };
}

function saysTheSame(a: NodeResource, b: NodeResource): boolean {
  const told = ({ spec, metadata }: NodeResource): readonly unknown[] => [
    spec.bgp?.ipv4Address,
    spec.bgp?.ipv4IPIPTunnelAddr,
    spec.ipv4VXLANTunnelAddr,
    metadata.annotations?.[IPIP_CARRIERS],
    addressTexts(spec),
  ];
  return JSON.stringify(told(a)) === JSON.stringify(told(b));
}

function addressTexts({ addresses }: NodeSpec): string[] {
  return (addresses ?? []).map(({ address, type }) => `${type ?? ""} ${address}`).sort();
}

/** The carriers that a node takes IPIP by. */
export function ipipCarriersOf({ metadata }: NodeResource): readonly string[] {
  const told = metadata.annotations?.[IPIP_CARRIERS];
  return told === undefined ? ["proto4"] : told.split(",");
}
