// The addresses of a node's tunnel devices: a /32 each from a pool that asks for the tunnel, held in IPAM by a handle of the node's, told
// to the others in its Node resource. A machine of one step at a time: check() says what is to be done next. Specs on Calico §2.3.
import { contains, formatIpv4, type Ipv4Addr, type Prefix, parseIpv4 } from "../../../base/ipv4-addr.ts";
import type { Pool } from "../../../control/calico/calc/pool-table.ts";
import type { IpamBlock } from "../../../control/calico/ipam/ipam-block.ts";
import type { IpamRequest } from "../../../control/calico/ipam/ipam-messages.ts";

export type TunnelKind = "ipip" | "vxlan";

/** What the store says, as far as it matters here. */
export interface TunnelFacts {
  readonly node: string;
  /** Pools that may be used on this node. */
  readonly pools: readonly Pool[];
  /** The address in the Node resource, as text. */
  readonly told: string | undefined;
  readonly blocks: readonly IpamBlock[];
}

export type TunnelStep =
  /** The device has this address; undefined: there is no such tunnel. */
  | { readonly t: "settled"; readonly addr: Ipv4Addr | undefined }
  | { readonly t: "ipam"; readonly request: IpamRequest }
  /** Write it into the Node resource; undefined: take it out. */
  | { readonly t: "tell"; readonly addr: Ipv4Addr | undefined };

export function tunnelHandle(kind: TunnelKind, node: string): string {
  return `${kind}-tunnel-addr-${node}`;
}

/** The pools whose traffic needs the tunnel, and that may give it an address. */
export function tunnelPools(kind: TunnelKind, pools: readonly Pool[]): Pool[] {
  return pools.filter((pool) => {
    const mode = kind === "ipip" ? pool.ipipMode : pool.vxlanMode;
    return !pool.disabled && mode !== "Never" && pool.allowedUses.includes("Tunnel");
  });
}

/** What is to be done next, seeing what there is. @param given an address that IPAM has just given and that is not told yet */
export function tunnelStep(kind: TunnelKind, facts: TunnelFacts, given: Ipv4Addr | undefined): TunnelStep {
  const { node, told } = facts;
  const pools = tunnelPools(kind, facts.pools);
  const handle = tunnelHandle(kind, node);
  const toldAddr = told === undefined ? undefined : parseIpv4(told.split("/")[0] as string);
  if (pools.length === 0) {
    if (told === undefined) return { t: "settled", addr: undefined };
    // First its address, then the word of it: who crashes between the two finds the word, and begins again.
    if (toldAddr !== undefined && holds(facts, toldAddr, handle)) {
      return { t: "ipam", request: { t: "releaseByHandle", handle } };
    }
    return { t: "tell", addr: undefined };
  }
  const usable = (addr: Ipv4Addr): boolean => pools.some(({ cidr }) => contains(cidr, addr));
  if (given !== undefined && usable(given)) {
    return toldAddr === given ? { t: "settled", addr: given } : { t: "tell", addr: given };
  }
  if (toldAddr !== undefined && usable(toldAddr)) {
    if (holds(facts, toldAddr, handle)) return { t: "settled", addr: toldAddr };
    if (!isTaken(facts, toldAddr)) return { t: "ipam", request: again(kind, facts, handle, toldAddr) };
  }
  if (toldAddr !== undefined && holds(facts, toldAddr, handle)) {
    return { t: "ipam", request: { t: "releaseByHandle", handle } };
  }
  // Who died between IPAM's answer and the word of it has an address already.
  const held = heldAddresses(facts, handle).find(usable);
  if (held !== undefined) return { t: "tell", addr: held };
  return {
    t: "ipam",
    request: anew(
      kind,
      facts,
      handle,
      pools.map(({ cidr }) => cidr),
    ),
  };
}

/** Its allocation was lost: the same address once more. */
function again(kind: TunnelKind, facts: TunnelFacts, handle: string, addr: Ipv4Addr): IpamRequest {
  return { t: "assignIp", host: facts.node, addr, handle, attributes: attributesOf(kind, facts.node) };
}

function anew(
  kind: TunnelKind,
  { node }: TunnelFacts,
  handle: string,
  pools: readonly Prefix[],
): IpamRequest {
  const attributes = attributesOf(kind, node);
  return { t: "autoAssign", host: node, count: 1, handle, attributes, use: "Tunnel", pools };
}

function attributesOf(kind: TunnelKind, node: string): Record<string, string> {
  return { node, type: kind === "ipip" ? "ipipTunnelAddress" : "vxlanTunnelAddress" };
}

/** Does the address's block say that this node's tunnel has it? */
export function holdsTunnel(kind: TunnelKind, facts: TunnelFacts, addr: Ipv4Addr): boolean {
  return holds(facts, addr, tunnelHandle(kind, facts.node));
}

function holds(facts: TunnelFacts, addr: Ipv4Addr, handle: string): boolean {
  return attributeAt(facts.blocks, addr)?.handleId === handle;
}

function isTaken(facts: TunnelFacts, addr: Ipv4Addr): boolean {
  return attributeAt(facts.blocks, addr) !== undefined;
}

function heldAddresses({ blocks }: TunnelFacts, handle: string): Ipv4Addr[] {
  return blocks.flatMap(({ cidr, attributes, allocations }) => {
    const ours = attributes.findIndex(({ handleId }) => handleId === handle);
    if (ours < 0) return [];
    return allocations.flatMap((at, ordinal) => (at === ours ? [(cidr.addr + ordinal) >>> 0] : []));
  });
}

/** Whose an address is, as its block says. */
export function attributeAt(
  blocks: Iterable<IpamBlock>,
  addr: Ipv4Addr,
): IpamBlock["attributes"][number] | undefined {
  for (const { cidr, allocations, attributes } of blocks) {
    if (!contains(cidr, addr)) continue;
    const at = allocations[addr - cidr.addr];
    return at === undefined ? undefined : attributes[at];
  }
  return undefined;
}

/** For a log. */
export function describeTunnelStep(kind: TunnelKind, step: TunnelStep): string {
  const device = kind === "ipip" ? "tunl0" : "vxlan.calico";
  switch (step.t) {
    case "settled":
      return step.addr === undefined
        ? `no pool asks for ${device}`
        : `${device} has ${formatIpv4(step.addr)}`;
    case "tell":
      return step.addr === undefined
        ? `taking the address of ${device} out of the node's resource`
        : `telling the others that ${device} has ${formatIpv4(step.addr)}`;
    case "ipam":
      return step.request.t === "releaseByHandle"
        ? `giving back the address of ${device}`
        : `asking IPAM for an address for ${device}`;
  }
}
