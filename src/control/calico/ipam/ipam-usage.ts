// What `calicoctl ipam show` shows, as data: how full pools and blocks are, who borrows, whose an address is. Specs on Calico §6.
import { contains, formatIpv4, type Ipv4Addr, type Prefix } from "../../../base/ipv4-addr.ts";
import { addrOf, blockSize, ordinalOf, ownerOf } from "./block-allocation.ts";
import type { AllocationAttribute, IpamBlock } from "./ipam-block.ts";

export interface Usage {
  readonly cidr: Prefix;
  readonly capacity: number;
  readonly inUse: number;
  readonly free: number;
}

export interface PoolUsage extends Usage {
  readonly blocks: readonly Usage[];
}

export interface IpamUsage {
  readonly pools: readonly PoolUsage[];
  /** Blocks whose pool was deleted: `--show-blocks` lists them last, without a pool. */
  readonly orphans: readonly Usage[];
}

/** `ipam show`, and with its blocks `ipam show --show-blocks`. */
export function ipamUsage(pools: readonly Prefix[], blocks: readonly IpamBlock[]): IpamUsage {
  const byPool = new Map<Prefix | undefined, Usage[]>([...pools, undefined].map((pool) => [pool, []]));
  for (const block of blocks) {
    const pool = pools.find((pool) => contains(pool, block.cidr.addr));
    byPool.get(pool)?.push(usageOf(block));
  }
  return {
    pools: pools.map((cidr) => {
      const own = byPool.get(cidr) ?? [];
      const capacity = 2 ** (32 - cidr.len);
      const inUse = own.reduce((sum, block) => sum + block.inUse, 0);
      return { cidr, capacity, inUse, free: capacity - inUse, blocks: own };
    }),
    orphans: byPool.get(undefined) ?? [],
  };
}

function usageOf(block: IpamBlock): Usage {
  const capacity = blockSize(block.cidr);
  const free = block.unallocated.length;
  return { cidr: block.cidr, capacity, inUse: capacity - free, free };
}

/** A total as the tables print it: Go's `%.5g`. */
export function formatTotal(n: number): string {
  if (n < 100_000) return String(n);
  const [digits, exponent] = n.toExponential(4).split("e+") as [string, string];
  return `${digits.replace(/\.?0+$/, "")}e+${exponent.padStart(2, "0")}`;
}

/** A share as the tables print it: `5 (0%)`, Go's `%.5g (%.f%%)`, which rounds halves to the even number. */
export function formatShare(n: number, capacity: number): string {
  const percent = (100 * n) / capacity;
  const down = Math.floor(percent);
  const rounded = percent - down === 0.5 ? down + (down % 2) : Math.round(percent);
  return `${formatTotal(n)} (${rounded}%)`;
}

/** A row of `ipam show --show-borrowed`. */
export interface BorrowedAddr {
  readonly addr: Ipv4Addr;
  readonly borrowingNode: string;
  readonly block: Prefix;
  /** Empty: nobody owns the block any more. */
  readonly blockOwner: string;
  /** `pod`, or the type of a tunnel address. */
  readonly type: string;
  /** `namespace/pod`, or empty. */
  readonly allocatedTo: string;
}

export interface BorrowedAddrs {
  readonly rows: readonly BorrowedAddr[];
  /** Very old allocations do not say whose they are. */
  readonly unclassified: number;
}

export function borrowedAddrs(blocks: readonly IpamBlock[]): BorrowedAddrs {
  const rows: BorrowedAddr[] = [];
  let unclassified = 0;
  for (const block of blocks) {
    for (let ordinal = 0; ordinal < block.allocations.length; ordinal++) {
      const owner = ownerOf(block, ordinal);
      if (owner === undefined) continue;
      const of = owner.secondary ?? {};
      const borrowingNode = of["node"];
      const blockOwner = block.host ?? "";
      if (borrowingNode === undefined) unclassified++;
      else if (borrowingNode !== blockOwner) {
        const pod = of["pod"];
        const type = pod === undefined ? (of["type"] ?? "") : "pod";
        const allocatedTo = pod === undefined ? "" : `${of["namespace"] ?? ""}/${pod}`;
        rows.push({
          addr: addrOf(block, ordinal),
          borrowingNode,
          block: block.cidr,
          blockOwner,
          type,
          allocatedTo,
        });
      }
    }
  }
  return { rows, unclassified };
}

/** Whose an address is; undefined: nobody's. */
export function assignmentOf(blocks: readonly IpamBlock[], addr: Ipv4Addr): AllocationAttribute | undefined {
  for (const block of blocks) {
    const ordinal = ordinalOf(block, addr);
    if (ordinal !== undefined) return ownerOf(block, ordinal);
  }
  return undefined;
}

/** The lines of `ipam show --ip=…`. */
export function formatAssignment(blocks: readonly IpamBlock[], addr: Ipv4Addr): readonly string[] {
  const owner = assignmentOf(blocks, addr);
  const text = formatIpv4(addr);
  if (owner === undefined) return [`${text} is not assigned`];
  const names = Object.keys(owner.secondary ?? {}).sort();
  const attributes = names.map((name) => `  ${name}: ${owner.secondary?.[name] as string}`);
  return [
    `IP ${text} is in use`,
    `Handle ID: ${owner.handleId ?? "<none>"}`,
    ...(names.length === 0 ? ["No attributes defined"] : ["Attributes:", ...attributes]),
  ];
}
