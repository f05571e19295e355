// Which block a host that needs one tries to claim. Specs on Calico §1.4, step 4. Calico seeds Go's generator with the host's name;
// here the name's hash is the start itself, so that the order is the host's own and lasts, and hosts spread over the pool.
import { formatPrefix, type Prefix } from "../../../base/ipv4-addr.ts";
import { below, type Rng } from "../../../base/rng.ts";
import { encodeUtf8 } from "../../../base/utf8.ts";
import { releaseAffinity } from "./affinity-release.ts";
import { freeCount, isEmpty } from "./block-allocation.ts";
import { parseClaimTime } from "./claim-time.ts";
import type { IpamBlock } from "./ipam-block.ts";
import {
  CAS_TRIES,
  type IpamContext,
  type IpamPool,
  isWhollyReserved,
  readBlocks,
  reservedBy,
  type StoredBlock,
} from "./ipam-context.ts";
import { BLOCKS_RANGE } from "./ipam-keys.ts";
import { deleteKey, listKeys, type Steps } from "./store-steps.ts";

/** How long a block that was claimed is left to its host although it is empty: it is about to be used. */
const RECLAIM_AGE_MIN_NS = 60n * 1_000_000_000n;

/** FNV-1, 32 bits, of the UTF-8 of `text`. */
export function fnv1(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of encodeUtf8(text)) hash = Math.imul(hash, 0x01000193) ^ byte;
  return hash >>> 0;
}

/** The blocks of a pool from the host's own start, round to it again. Single addresses start anywhere, as their order is no matter. */
export function* blocksOf(pool: IpamPool, host: string, rng: Rng): Generator<Prefix> {
  if (pool.blockSize < pool.cidr.len) return;
  const count = 2 ** (pool.blockSize - pool.cidr.len);
  const size = 2 ** (32 - pool.blockSize);
  const start = pool.blockSize === 32 ? below(rng, count) : fnv1(host) % count;
  for (let i = 0; i < count; i++) {
    yield { addr: pool.cidr.addr + ((start + i) % count) * size, len: pool.blockSize };
  }
}

/** A block that is free, or the host's own and not full, or has just been taken from a host that did not use it. */
export function* findUsableBlock(
  context: IpamContext,
  host: string,
  pools: readonly IpamPool[],
): Steps<Prefix | undefined> {
  const reservations = context.reservations();
  const isReserved = reservedBy(reservations);
  const { blocks, unusable } = readBlocks(yield* listKeys(BLOCKS_RANGE), context.log);
  const existing = new Map<string, StoredBlock | undefined>(
    blocks.map((b) => [formatPrefix(b.block.cidr), b]),
  );
  for (const cidr of unusable) existing.set(formatPrefix(cidr), undefined);
  const reclaimable: StoredBlock[] = [];
  for (const pool of pools) {
    for (const cidr of blocksOf(pool, host, context.rng)) {
      if (isWhollyReserved(reservations, cidr)) continue;
      const name = formatPrefix(cidr);
      if (!existing.has(name)) return cidr;
      const stored = existing.get(name);
      if (stored === undefined || freeCount(stored.block, isReserved) === 0) continue;
      if (stored.block.host === host) return cidr;
      if (isEmpty(stored.block)) reclaimable.push(stored);
    }
  }
  for (const stored of reclaimable) if (yield* reclaim(context, stored)) return stored.block.cidr;
  return undefined;
}

function* reclaim(context: IpamContext, stored: StoredBlock): Steps<boolean> {
  const { cidr, host, sequenceNumber } = stored.block;
  const name = formatPrefix(cidr);
  if (host === undefined) return (yield* deleteKey(stored)).t === "done";
  if (context.wallNs() - claimedAt(stored.block) < RECLAIM_AGE_MIN_NS) {
    context.log("debug", `Block ${name} was claimed a moment ago by ${host}, not trying to reclaim it`);
    return false;
  }
  for (let i = 0; i < CAS_TRIES; i++) {
    const outcome = yield* releaseAffinity(host, cidr, {
      requireEmpty: true,
      sequenceNumber,
      orphans: false,
    });
    if (outcome === "released") {
      context.log("info", `Reclaimed empty block ${name} of ${host}`);
      return true;
    }
    if (outcome !== "retry") {
      context.log("debug", `Block ${name} of ${host} could not be reclaimed: ${outcome}`);
      return false;
    }
  }
  return false;
}

/** A block without a claim time was claimed long ago. */
function claimedAt(block: IpamBlock): bigint {
  return (block.affinityClaimTime === undefined ? undefined : parseClaimTime(block.affinityClaimTime)) ?? 0n;
}
