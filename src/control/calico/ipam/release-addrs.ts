// The requests `releaseByHandle` and `releaseIps`: the block first, then the handle. Specs on Calico §1.5. Both may be asked again
// at any time, and then finish what a crash left.
import {
  contains,
  formatIpv4,
  formatPrefix,
  type Ipv4Addr,
  type Prefix,
  prefixOf,
} from "../../../base/ipv4-addr.ts";
import { addrOf, isEmpty, nextBlock, ordinalOf, ordinalsOfHandle, release } from "./block-allocation.ts";
import { decrementHandle, readHandle } from "./handle-count.ts";
import type { IpamBlock } from "./ipam-block.ts";
import { emitIpamBlock } from "./ipam-block-json.ts";
import {
  CAS_TRIES,
  type IpamContext,
  poolOf,
  readBlock,
  readBlocks,
  type StoredBlock,
  tooManyTries,
} from "./ipam-context.ts";
import { BLOCKS_RANGE, blockKey, handleKey } from "./ipam-keys.ts";
import type { AllocationBelief, IpamAnswer } from "./ipam-messages.ts";
import { parseBlockCidr } from "./ipam-values.ts";
import { deleteKey, getKey, IpamFault, listKeys, type Steps, updateKey, type Write } from "./store-steps.ts";

/** All addresses of a handle. */
export class ReleaseByHandle {
  readonly #handle: string;
  readonly addrs: Ipv4Addr[] = [];

  constructor(handle: string) {
    this.#handle = handle;
  }

  *run(): Steps<IpamAnswer> {
    const kv = yield* getKey(handleKey(this.#handle));
    if (kv === undefined) return { addrs: [], error: undefined };
    let fault: IpamFault | undefined;
    for (const name of readHandle(kv).keys()) {
      const cidr = parseBlockCidr(name);
      if (!cidr.ok) continue;
      try {
        yield* this.#fromBlock(cidr.value);
      } catch (error) {
        // A block that cannot be used must not keep the addresses in others from being freed.
        if (!(error instanceof IpamFault) || error.code !== "corrupt") throw error;
        fault ??= error;
      }
    }
    if (fault !== undefined) throw fault;
    return { addrs: this.addrs, error: undefined };
  }

  *#fromBlock(cidr: Prefix): Steps<void> {
    for (let i = 0; i < CAS_TRIES; i++) {
      const kv = yield* getKey(blockKey(cidr));
      if (kv !== undefined && !(yield* this.#freeIn(readBlock(kv)))) continue;
      // No address of the handle is left there, and no write that was under way can add one: its guard has failed.
      yield* decrementHandle(this.#handle, cidr, "all");
      return;
    }
    throw tooManyTries(`block ${formatPrefix(cidr)}`);
  }

  /**
   * Frees what the handle has. A block without any is written all the same: the handle counts addresses there, so that a write
   * that gives it one may still be on its way from before a crash, and fails then.
   */
  *#freeIn(stored: StoredBlock): Steps<boolean> {
    const items = ordinalsOfHandle(stored.block, this.#handle).map((ordinal) => ({ ordinal }));
    const released = release(stored.block, items);
    if (!released.ok) return false;
    const write = yield* writeReleased(stored, released.value.block);
    if (write.t === "lost") {
      if (!write.unsure) return false;
      // Perhaps it was done, and the block written since; it is read again, and what was ours must not be taken for released twice.
      const current = write.current === undefined ? undefined : readBlock(write.current).block;
      const gone = items.filter(({ ordinal }) => !isSameAllocation(stored.block, current, ordinal));
      this.addrs.push(...gone.map(({ ordinal }) => addrOf(stored.block, ordinal)));
      return false;
    }
    this.addrs.push(...released.value.ordinals.map((ordinal) => addrOf(stored.block, ordinal)));
    return true;
  }
}

/** Particular addresses. Those that nobody has are no error: they are left out of the answer. */
export class ReleaseIps {
  readonly #context: IpamContext;
  readonly #wanted: readonly Ipv4Addr[];
  readonly #believed: ReadonlyMap<Ipv4Addr, AllocationBelief>;
  readonly addrs: Ipv4Addr[] = [];

  constructor(
    context: IpamContext,
    addrs: readonly Ipv4Addr[],
    believed: ReadonlyMap<Ipv4Addr, AllocationBelief> = new Map(),
  ) {
    this.#context = context;
    this.#believed = believed;
    this.#wanted = [...new Set(addrs)];
  }

  *run(): Steps<IpamAnswer> {
    for (const [cidr, addrs] of yield* this.#byBlock()) yield* this.#fromBlock(cidr, addrs);
    return { addrs: this.addrs, error: undefined };
  }

  /** Which block each address is in: its pool tells, or else the list of all blocks, as pools may be deleted. */
  *#byBlock(): Steps<ReadonlyMap<Prefix, readonly Ipv4Addr[]>> {
    const pools = this.#context.pools(undefined, undefined);
    const byName = new Map<string, { readonly cidr: Prefix; readonly addrs: Ipv4Addr[] }>();
    let listed: readonly Prefix[] | undefined;
    for (const addr of this.#wanted) {
      const pool = poolOf(pools, addr);
      let cidr = pool === undefined ? undefined : prefixOf(addr, pool.blockSize);
      if (cidr === undefined) {
        listed ??= readBlocks(yield* listKeys(BLOCKS_RANGE), this.#context.log).blocks.map(
          ({ block }) => block.cidr,
        );
        cidr = listed.find((block) => contains(block, addr));
      }
      if (cidr === undefined) {
        this.#context.log("debug", `${formatIpv4(addr)} is in no block: it is not assigned`);
        continue;
      }
      const group = byName.get(formatPrefix(cidr)) ?? { cidr, addrs: [] };
      group.addrs.push(addr);
      byName.set(formatPrefix(cidr), group);
    }
    return new Map([...byName.values()].map(({ cidr, addrs }) => [cidr, addrs]));
  }

  *#fromBlock(cidr: Prefix, addrs: readonly Ipv4Addr[]): Steps<void> {
    let first: IpamBlock | undefined;
    for (let i = 0; i < CAS_TRIES; i++) {
      const kv = yield* getKey(blockKey(cidr));
      if (kv === undefined) return;
      const stored = readBlock(kv);
      first ??= stored.block;
      const before = first;
      // What was given to somebody else since we first looked is not what we were asked to release.
      const ordinals = addrs
        .map((addr) => ordinalOf(stored.block, addr) as number)
        .filter((ordinal) => isSameAllocation(before, stored.block, ordinal));
      const items = ordinals.map((ordinal) => ({
        ordinal,
        ...this.#believed.get(addrOf(stored.block, ordinal)),
      }));
      const released = release(stored.block, items);
      if (!released.ok) throw new IpamFault("conflict", released.error.message);
      if (released.value.ordinals.length === 0) return;
      const write = yield* writeReleased(stored, released.value.block);
      if (write.t === "lost" && !(write.unsure && this.#isDone(write, stored, released.value.ordinals)))
        continue;
      this.addrs.push(...released.value.ordinals.map((ordinal) => addrOf(stored.block, ordinal)));
      for (const [handle, count] of released.value.byHandle) yield* decrementHandle(handle, cidr, count);
      return;
    }
    throw tooManyTries(`block ${formatPrefix(cidr)}`);
  }

  /** Nobody but us was asked to release them: if they are gone, our write was done before the other's. */
  #isDone(
    write: Extract<Write, { readonly t: "lost" }>,
    stored: StoredBlock,
    ordinals: readonly number[],
  ): boolean {
    const current = write.current === undefined ? undefined : readBlock(write.current).block;
    return ordinals.every((ordinal) => !isSameAllocation(stored.block, current, ordinal));
  }
}

/** Nobody's block is deleted with its last address. */
function writeReleased(stored: StoredBlock, block: IpamBlock): Steps<Write> {
  if (block.host === undefined && isEmpty(block)) return deleteKey(stored);
  return updateKey(stored, emitIpamBlock(nextBlock(block)));
}

/** Does the ordinal belong to the same allocation in both? Each is pinned to its own sequence number. */
function isSameAllocation(before: IpamBlock, now: IpamBlock | undefined, ordinal: number): boolean {
  if (
    now === undefined ||
    now.allocations[ordinal] === undefined ||
    before.allocations[ordinal] === undefined
  ) {
    return false;
  }
  return before.sequenceNumberForAllocation.get(ordinal) === now.sequenceNumberForAllocation.get(ordinal);
}
