// What may happen to a block, as pure functions: each answers a new block. Specs on Calico §1.3 and §1.5. The sequence number
// grows when the block is written (`nextBlock`), not when it is changed: an allocation is pinned to the number that the block had
// when it was read, as in Calico.
import type { Ipv4Addr, Prefix } from "../../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import type { AllocationAttribute, IpamBlock } from "./ipam-block.ts";
import { NIL_ATTRIBUTES } from "./ipam-block-json.ts";

/** Windows hosts hold the first and last addresses of their blocks under this handle: such a block counts as empty. */
const WINDOWS_RESERVED = "windows-reserved-ipam-handle";

/** How many addresses a block has. */
export function blockSize(cidr: Prefix): number {
  return 2 ** (32 - cidr.len);
}

export function addrOf(block: IpamBlock, ordinal: number): Ipv4Addr {
  return block.cidr.addr + ordinal;
}

/** The ordinal of an address; undefined outside of the block. */
export function ordinalOf(block: IpamBlock, addr: Ipv4Addr): number | undefined {
  const ordinal = addr - block.cidr.addr;
  return ordinal >= 0 && ordinal < blockSize(block.cidr) ? ordinal : undefined;
}

/** Who has this ordinal; undefined: nobody. */
export function ownerOf(block: IpamBlock, ordinal: number): AllocationAttribute | undefined {
  const index = block.allocations[ordinal];
  return index === undefined ? undefined : block.attributes[index];
}

/**
 * A block that has just been claimed.
 * @param wallNs now, in nanoseconds since 1970: where its sequence number starts, so that a block which is deleted and made again
 * never pins two allocations to one number
 */
export function newBlock(cidr: Prefix, host: string, claimTime: string, wallNs: bigint): IpamBlock {
  const size = blockSize(cidr);
  return {
    cidr,
    host,
    affinityClaimTime: claimTime,
    allocations: Array.from({ length: size }, () => undefined),
    unallocated: Array.from({ length: size }, (_, ordinal) => ordinal),
    attributes: NIL_ATTRIBUTES,
    sequenceNumber: wallNs,
    sequenceNumberForAllocation: new Map(),
    deleted: false,
  };
}

/** The block as it is written: every write has its own sequence number. */
export function nextBlock(block: IpamBlock): IpamBlock {
  return { ...block, sequenceNumber: BigInt.asUintN(64, block.sequenceNumber + 1n) };
}

/** Nobody's block any more. Those who have addresses in it keep them. */
export function withoutHost(block: IpamBlock): IpamBlock {
  return { ...block, host: undefined, affinityClaimTime: undefined };
}

export function isEmpty(block: IpamBlock): boolean {
  return block.allocations.every(
    (_, ordinal) =>
      block.allocations[ordinal] === undefined ||
      ownerOf(block, ordinal)?.handleId?.toLowerCase() === WINDOWS_RESERVED,
  );
}

export type IsReserved = (addr: Ipv4Addr) => boolean;

/** How many addresses can be had. */
export function freeCount(block: IpamBlock, isReserved: IsReserved): number {
  return block.unallocated.filter((ordinal) => !isReserved(addrOf(block, ordinal))).length;
}

/** Gives up to `count` addresses away, from the head of the free ones; reserved ones keep their places. */
export function allocate(
  block: IpamBlock,
  count: number,
  owner: AllocationAttribute,
  isReserved: IsReserved,
): { readonly block: IpamBlock; readonly ordinals: readonly number[] } {
  const ordinals: number[] = [];
  const unallocated: number[] = [];
  for (const ordinal of block.unallocated) {
    if (ordinals.length < count && !isReserved(addrOf(block, ordinal))) ordinals.push(ordinal);
    else unallocated.push(ordinal);
  }
  return { block: give({ ...block, unallocated }, ordinals, owner), ordinals };
}

/** Gives one address away; undefined when somebody has it. */
export function allocateOrdinal(
  block: IpamBlock,
  ordinal: number,
  owner: AllocationAttribute,
): IpamBlock | undefined {
  if (block.allocations[ordinal] !== undefined) return undefined;
  const unallocated = block.unallocated.filter((free) => free !== ordinal);
  return give({ ...block, unallocated }, [ordinal], owner);
}

function give(block: IpamBlock, ordinals: readonly number[], owner: AllocationAttribute): IpamBlock {
  if (ordinals.length === 0) return block;
  const known = block.attributes.findIndex((attribute) => isSame(attribute, owner));
  const index = known < 0 ? block.attributes.length : known;
  const allocations = [...block.allocations];
  const sequenceNumberForAllocation = new Map(block.sequenceNumberForAllocation);
  for (const ordinal of ordinals) {
    allocations[ordinal] = index;
    sequenceNumberForAllocation.set(ordinal, block.sequenceNumber);
  }
  const attributes = known < 0 ? [...block.attributes, owner] : block.attributes;
  return { ...block, allocations, attributes, sequenceNumberForAllocation };
}

/** Deep equality, as Go's reflect.DeepEqual: no attributes and empty ones differ. */
function isSame(a: AllocationAttribute, b: AllocationAttribute): boolean {
  if (a.handleId !== b.handleId) return false;
  const [x, y] = [a.secondary, b.secondary];
  if (x === undefined || y === undefined) return x === y;
  const names = Object.keys(x);
  return (
    names.length === Object.keys(y).length &&
    names.every((name) => Object.hasOwn(y, name) && x[name] === y[name])
  );
}

/** One address to release; with what the asker believes of it, if anything. */
export interface ReleaseItem {
  readonly ordinal: number;
  readonly sequenceNumber?: bigint | undefined;
  readonly handle?: string | undefined;
}

/** The asker's belief is out of date: nothing is released. */
export interface ReleaseConflict {
  readonly t: "badSequenceNumber" | "badHandle";
  readonly ordinal: number;
  readonly message: string;
}

export interface Released {
  readonly block: IpamBlock;
  /** What was released, in the order of asking: the tail of the free ones now. */
  readonly ordinals: readonly number[];
  /** What nobody had. */
  readonly notAllocated: readonly number[];
  readonly byHandle: ReadonlyMap<string, number>;
}

/** Releases addresses, all or none. */
export function release(block: IpamBlock, items: readonly ReleaseItem[]): Result<Released, ReleaseConflict> {
  const ordinals = new Set<number>();
  const notAllocated = new Set<number>();
  const byHandle = new Map<string, number>();
  for (const { ordinal, sequenceNumber, handle } of items) {
    const pinned = block.sequenceNumberForAllocation.get(ordinal) ?? 0n;
    if (sequenceNumber !== undefined && sequenceNumber !== pinned) {
      const message = `update conflict: bad sequence number: the allocation's is ${pinned}, not ${sequenceNumber}`;
      return err({ t: "badSequenceNumber", ordinal, message });
    }
    const owner = ownerOf(block, ordinal);
    if (owner === undefined) {
      notAllocated.add(ordinal);
      continue;
    }
    const found = handleName(owner);
    if (handle !== undefined && handle !== found) {
      const message = `update conflict: bad handle: the address belongs to "${found}", not to "${handle}"`;
      return err({ t: "badHandle", ordinal, message });
    }
    if (!ordinals.has(ordinal) && found !== "") byHandle.set(found, (byHandle.get(found) ?? 0) + 1);
    ordinals.add(ordinal);
  }
  const list = [...ordinals];
  return ok({ block: take(block, list), ordinals: list, notAllocated: [...notAllocated], byHandle });
}

/** The ordinals that a handle has. */
export function ordinalsOfHandle(block: IpamBlock, handle: string): readonly number[] {
  const out: number[] = [];
  for (let ordinal = 0; ordinal < block.allocations.length; ordinal++) {
    const owner = ownerOf(block, ordinal);
    if (owner !== undefined && handleName(owner) === handle) out.push(ordinal);
  }
  return out;
}

/** A handle's name in an attribute. An old migration left handles with a carriage return and more behind them. */
export function handleName(owner: AllocationAttribute): string {
  return owner.handleId?.split("\r")[0] ?? "";
}

/** Frees ordinals, and drops the attributes that nobody refers to any more because of it. */
function take(block: IpamBlock, ordinals: readonly number[]): IpamBlock {
  if (ordinals.length === 0) return block;
  const candidates = new Set(ordinals.map((ordinal) => block.allocations[ordinal]));
  const allocations = [...block.allocations];
  const sequenceNumberForAllocation = new Map(block.sequenceNumberForAllocation);
  for (const ordinal of ordinals) {
    allocations[ordinal] = undefined;
    sequenceNumberForAllocation.delete(ordinal);
  }
  for (const index of allocations) candidates.delete(index);
  const renumbered = new Map<number, number>();
  const attributes = block.attributes.filter((_, index) => {
    if (candidates.has(index)) return false;
    renumbered.set(index, renumbered.size);
    return true;
  });
  return {
    ...block,
    allocations: allocations.map((index) => (index === undefined ? undefined : renumbered.get(index))),
    unallocated: [...block.unallocated, ...ordinals],
    attributes,
    sequenceNumberForAllocation,
  };
}
