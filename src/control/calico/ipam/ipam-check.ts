// What is wrong with the addresses of a cluster: the findings of `calicoctl ipam check` (specs on Calico §6), and two kinds that
// calicoctl does not look for, though they are what a crash leaves: affinities that do not match their block (a blackhole route on
// a node that does not own it), and handles that count other addresses than the blocks hold.
import { contains, formatIpv4, formatPrefix, type Ipv4Addr, type Prefix } from "../../../base/ipv4-addr.ts";
import { addrOf, ownerOf } from "./block-allocation.ts";
import type { AllocationAttribute, IpamBlock } from "./ipam-block.ts";
import type { IpamState, ListedAffinity, ListedHandle } from "./ipam-state.ts";

const WINDOWS_RESERVED = "windows-reserved-ipam-handle";

export interface IpamCheckInput {
  readonly state: Pick<IpamState, "blocks" | "affinities" | "handles">;
  readonly pools: readonly { readonly cidr: Prefix; readonly disabled: boolean }[];
  /** Each node with its tunnel addresses. */
  readonly nodes: readonly { readonly name: string; readonly tunnelAddrs: readonly Ipv4Addr[] }[];
  readonly workloads: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly addrs: readonly Ipv4Addr[];
  }[];
}

/** An allocated address, compared with what is known of its use. */
export interface CheckedAllocation {
  readonly addr: Ipv4Addr;
  readonly block: IpamBlock;
  readonly attribute: AllocationAttribute;
  readonly sequenceNumber: bigint;
  /** Who it was given to, else the block's host; empty: nobody. */
  readonly node: string;
  readonly borrowed: boolean;
  /** `Node(w1)`, `Workload(shop/web-0)`; none: leaked. */
  readonly owners: readonly string[];
}

export interface AddrInUse {
  readonly addr: Ipv4Addr;
  readonly owners: readonly string[];
}

/**
 * `noBlock`: the block does not exist. `notOwner`: the block belongs to another host, or to nobody. `unconfirmed`: the block is
 * the host's, but a claim or a release of it did not come to its end. `noAffinity`: a block's host has no affinity to it.
 */
export interface AffinityFinding {
  readonly t: "noBlock" | "notOwner" | "unconfirmed" | "noAffinity";
  readonly host: string;
  readonly cidr: Prefix;
  readonly message: string;
}

/** A handle that exists and has addresses, but not as many in a block as it counts. */
export interface MiscountedHandle {
  readonly id: string;
  readonly block: string;
  readonly counted: number;
  readonly held: number;
}

export interface IpamCheck {
  readonly blocks: readonly IpamBlock[];
  readonly allocations: readonly CheckedAllocation[];
  readonly activePools: readonly Prefix[];
  readonly nodeAddrs: number;
  readonly workloadAddrs: number;
  readonly inUse: readonly AddrInUse[];
  readonly leaked: readonly CheckedAllocation[];
  readonly outsidePools: readonly AddrInUse[];
  readonly notAllocated: readonly AddrInUse[];
  readonly leakedHandles: readonly ListedHandle[];
  readonly matchedHandles: number;
  /** Named in blocks, but there is no such handle. calicoctl lists these without counting them as problems. */
  readonly missingHandles: readonly string[];
  readonly affinities: readonly AffinityFinding[];
  readonly miscounted: readonly MiscountedHandle[];
  /** What `Check complete; found N problems.` says: calicoctl's own, and our two kinds. */
  readonly problems: number;
}

export function checkIpam(input: IpamCheckInput): IpamCheck {
  const { blocks, affinities, handles } = input.state;
  const { owners, nodeAddrs, workloadAddrs } = collectUse(input);
  const allocations = blocks.flatMap((block) => allocationsOf(block, owners));
  const allocated = new Set(allocations.map(({ addr }) => addr));
  const activePools = input.pools.filter((pool) => !pool.disabled).map((pool) => pool.cidr);
  const inUse = [...owners].map(([addr, names]) => ({ addr, owners: names }));
  const strangers = inUse.filter(({ addr }) => !allocated.has(addr));
  const isActive = ({ addr }: AddrInUse) => activePools.some((cidr) => contains(cidr, addr));
  const leaked = allocations.filter((allocation) => allocation.owners.length === 0);
  const held = countHeld(allocations);
  const known = new Set(handles.map(({ id }) => id));
  const leakedHandles = handles.filter(({ id }) => !held.has(id));
  const affinityFindings = checkAffinities(blocks, affinities);
  const miscounted = checkCounts(handles, held);
  const problems =
    leaked.length + strangers.length + leakedHandles.length + affinityFindings.length + miscounted.length;
  return {
    blocks,
    allocations,
    activePools,
    nodeAddrs,
    workloadAddrs,
    inUse,
    leaked,
    outsidePools: strangers.filter((one) => !isActive(one)),
    notAllocated: strangers.filter(isActive),
    leakedHandles,
    matchedHandles: handles.length - leakedHandles.length,
    missingHandles: [...held.keys()].filter((id) => !known.has(id)),
    affinities: affinityFindings,
    miscounted,
    problems,
  };
}

function collectUse({ nodes, workloads }: IpamCheckInput) {
  const owners = new Map<Ipv4Addr, string[]>();
  let [nodeAddrs, workloadAddrs] = [0, 0];
  const add = (addr: Ipv4Addr, name: string) => {
    const names = owners.get(addr);
    if (names === undefined) owners.set(addr, [name]);
    else names.push(name);
  };
  for (const { name, tunnelAddrs } of nodes) {
    for (const addr of tunnelAddrs) add(addr, `Node(${name})`);
    nodeAddrs += tunnelAddrs.length;
  }
  for (const { namespace, name, addrs } of workloads) {
    for (const addr of addrs) add(addr, `Workload(${namespace}/${name})`);
    workloadAddrs += addrs.length;
  }
  return { owners, nodeAddrs, workloadAddrs };
}

function allocationsOf(
  block: IpamBlock,
  owners: ReadonlyMap<Ipv4Addr, readonly string[]>,
): readonly CheckedAllocation[] {
  return block.allocations.flatMap((_, ordinal) => {
    const attribute = ownerOf(block, ordinal);
    if (attribute === undefined) return [];
    const addr = addrOf(block, ordinal);
    const node = attribute.secondary?.["node"] || block.host || "";
    const windows = attribute.handleId === WINDOWS_RESERVED ? ["Reserved for Windows"] : [];
    return [
      {
        addr,
        block,
        attribute,
        sequenceNumber: block.sequenceNumberForAllocation.get(ordinal) ?? 0n,
        node,
        borrowed: node !== (block.host ?? ""),
        owners: [...windows, ...(owners.get(addr) ?? [])],
      },
    ];
  });
}

/** How many addresses each handle has in each block, as the blocks say. */
function countHeld(
  allocations: readonly CheckedAllocation[],
): ReadonlyMap<string, ReadonlyMap<string, number>> {
  const held = new Map<string, Map<string, number>>();
  for (const { attribute, block } of allocations) {
    const { handleId } = attribute;
    if (handleId === undefined || handleId === WINDOWS_RESERVED) continue;
    const counts = held.get(handleId) ?? new Map<string, number>();
    const name = formatPrefix(block.cidr);
    counts.set(name, (counts.get(name) ?? 0) + 1);
    held.set(handleId, counts);
  }
  return held;
}

function checkCounts(
  handles: readonly ListedHandle[],
  held: ReadonlyMap<string, ReadonlyMap<string, number>>,
): readonly MiscountedHandle[] {
  return handles.flatMap(({ id, counts }) => {
    const real = held.get(id);
    if (real === undefined) return [];
    const names = new Set([...counts.keys(), ...real.keys()]);
    return [...names].flatMap((block) => {
      const [counted, has] = [counts.get(block) ?? 0, real.get(block) ?? 0];
      return counted === has ? [] : [{ id, block, counted, held: has }];
    });
  });
}

function checkAffinities(
  blocks: readonly IpamBlock[],
  affinities: readonly ListedAffinity[],
): readonly AffinityFinding[] {
  const byCidr = new Map(blocks.map((block) => [formatPrefix(block.cidr), block]));
  const found = affinities.flatMap(({ host, cidr, state }): AffinityFinding[] => {
    const name = formatPrefix(cidr);
    const block = byCidr.get(name);
    const of = `the ${state} affinity of ${host} to ${name}`;
    if (block === undefined) return [{ t: "noBlock", host, cidr, message: `${of} has no block` }];
    if (block.host !== host) {
      const message = `${of} is stale: the block belongs to ${block.host ?? "nobody"}`;
      return [{ t: "notOwner", host, cidr, message }];
    }
    return state === "confirmed" ? [] : [{ t: "unconfirmed", host, cidr, message: `${of} is not confirmed` }];
  });
  const known = new Set(affinities.map(({ host, cidr }) => `${host} ${formatPrefix(cidr)}`));
  for (const { host, cidr } of blocks) {
    if (host === undefined || known.has(`${host} ${formatPrefix(cidr)}`)) continue;
    const message = `the block ${formatPrefix(cidr)} belongs to ${host}, which has no affinity to it`;
    found.push({ t: "noAffinity", host, cidr, message });
  }
  return found;
}

/** An allocation's attributes as calicoctl prints them. */
export function formatAttribute({ handleId, secondary }: AllocationAttribute): string {
  const names = Object.keys(secondary ?? {}).sort();
  const extra = names.map((name) => `${name}=${secondary?.[name] as string}`).join(",");
  return `Main:${handleId ?? "<none>"} Extra:${extra}`;
}

/** Nodes by how many addresses they were given, most first. */
export function topNodes(
  check: IpamCheck,
): readonly { readonly node: string; readonly allocations: number }[] {
  const counts = new Map<string, number>();
  for (const { node } of check.allocations) counts.set(node, (counts.get(node) ?? 0) + 1);
  return [...counts]
    .map(([node, allocations]) => ({ node, allocations }))
    .sort((a, b) => b.allocations - a.allocations || (a.node < b.node ? -1 : 1));
}

/** An address for a line of text. */
export function addrText({ addr }: { readonly addr: Ipv4Addr }): string {
  return formatIpv4(addr);
}
