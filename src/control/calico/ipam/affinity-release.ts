// How a block stops being a host's: affinity `pendingDeletion`, then the block is deleted if it is empty or else left without an
// owner, then the affinity goes. Specs on Calico §1.5. Each step is guarded by what was read, so that a host that allocates
// meanwhile wins and keeps the block; a crash leaves an affinity that its host confirms anew or that a later release finishes.
import { contains, formatPrefix, type Prefix } from "../../../base/ipv4-addr.ts";
import { isEmpty, nextBlock, withoutHost } from "./block-allocation.ts";
import { readAffinity, type StoredAffinity } from "./block-claim.ts";
import { emitIpamBlock } from "./ipam-block-json.ts";
import {
  CAS_TRIES,
  type IpamContext,
  readBlock,
  readBlocks,
  type StoredBlock,
  tooManyTries,
} from "./ipam-context.ts";
import {
  AFFINITIES_RANGE,
  affinityKey,
  BLOCKS_RANGE,
  blockKey,
  hostAffinitiesRange,
  parseAffinityKey,
} from "./ipam-keys.ts";
import type { IpamAnswer } from "./ipam-messages.ts";
import { emitAffinity } from "./ipam-values.ts";
import { deleteKey, getKey, IpamFault, listKeys, type Steps, updateKey, type Write } from "./store-steps.ts";

interface ReleaseOptions {
  readonly requireEmpty: boolean;
  /** The block must still have this sequence number: so two hosts that reclaim one block cannot free each other's. */
  readonly sequenceNumber?: bigint;
  /** Delete an affinity whose block does not exist. Only for the host itself, or when it is gone: it may be about to create it. */
  readonly orphans: boolean;
}

/** `released`: the affinity is gone. `retry`: somebody was faster. */
export type AffinityRelease = "released" | "notEmpty" | "notFound" | "changed" | "notOurs" | "retry";

/** One try at releasing a host's affinity to a block. */
export function* releaseAffinity(
  host: string,
  cidr: Prefix,
  options: ReleaseOptions,
): Steps<AffinityRelease> {
  const kv = yield* getKey(affinityKey(host, cidr));
  if (kv === undefined) return "notFound";
  const affinity = readAffinity(kv);
  const blockKv = yield* getKey(blockKey(cidr));
  if (blockKv === undefined) {
    if (!options.orphans) return "notFound";
    return (yield* deleteKey(affinity)).t === "done" ? "released" : "retry";
  }
  const stored = readBlock(blockKv);
  if (options.sequenceNumber !== undefined && options.sequenceNumber !== stored.block.sequenceNumber)
    return "changed";
  if (stored.block.host !== undefined && stored.block.host !== host) {
    return (yield* deleteKey(affinity)).t === "done" ? "notOurs" : "retry";
  }
  if (options.requireEmpty && !isEmpty(stored.block)) return "notEmpty";
  return yield* giveUp(affinity, stored);
}

function* giveUp(affinity: StoredAffinity, stored: StoredBlock): Steps<AffinityRelease> {
  const marked = yield* updateKey(affinity, emitAffinity("pendingDeletion"));
  if (marked.t === "lost") return "retry";
  if ((yield* disown(stored)).t === "lost") return "retry";
  const gone = yield* deleteKey({ key: affinity.key, modRevision: marked.modRevision });
  return gone.t === "done" ? "released" : "retry";
}

/** Deletes an empty block; one with addresses becomes nobody's. */
export function disown(stored: StoredBlock): Steps<Write> {
  if (isEmpty(stored.block)) return deleteKey(stored);
  return updateKey(stored, emitIpamBlock(nextBlock(withoutHost(stored.block))));
}

/** Gives up the affine blocks among `cidrs` that are empty: those whose pool no longer selects the host. */
export function* releaseUnselected(
  context: IpamContext,
  host: string,
  cidrs: readonly Prefix[],
): Steps<void> {
  for (const cidr of cidrs) {
    let outcome: AffinityRelease = "retry";
    for (let i = 0; i < CAS_TRIES && outcome === "retry"; i++) {
      outcome = yield* releaseAffinity(host, cidr, { requireEmpty: true, orphans: true });
    }
    context.log("info", `Block ${formatPrefix(cidr)}, whose pool no longer selects ${host}: ${outcome}`);
  }
}

/** The request `releaseHostAffinities`. Blocks that name the host without an affinity, left by whatever, are given up as well. */
export function* releaseHostAffinities(
  context: IpamContext,
  host: string,
  requireEmpty: boolean,
): Steps<IpamAnswer> {
  const kept: string[] = [];
  for (const kv of yield* listKeys(hostAffinitiesRange(host))) {
    const name = parseAffinityKey(kv.key);
    if (name === undefined || name.host !== host) {
      context.log("warn", `Ignoring ${kv.key}: it is no affinity's key`);
      continue;
    }
    let outcome: AffinityRelease = "retry";
    for (let i = 0; outcome === "retry"; i++) {
      if (i === CAS_TRIES) throw tooManyTries(kv.key);
      outcome = yield* releaseAffinity(host, name.cidr, { requireEmpty, orphans: true });
    }
    if (outcome === "notEmpty") kept.push(formatPrefix(name.cidr));
  }
  const { blocks } = readBlocks(yield* listKeys(BLOCKS_RANGE), context.log);
  for (const stored of blocks) {
    if (stored.block.host !== host || kept.includes(formatPrefix(stored.block.cidr))) continue;
    if (requireEmpty && !isEmpty(stored.block)) kept.push(formatPrefix(stored.block.cidr));
    // One with an affinity has been claimed since; and whoever writes it before we do keeps it.
    else if ((yield* getKey(affinityKey(host, stored.block.cidr))) === undefined) yield* disown(stored);
  }
  if (kept.length === 0) return { addrs: [], error: undefined };
  throw new IpamFault("conflict", `block '${kept.join("', '")}' is not empty`);
}

/** The request `releasePoolAffinities`. */
export function* releasePoolAffinities(context: IpamContext, pool: Prefix): Steps<IpamAnswer> {
  for (const kv of yield* listKeys(AFFINITIES_RANGE)) {
    const name = parseAffinityKey(kv.key);
    if (name === undefined) context.log("warn", `Ignoring ${kv.key}: it is no affinity's key`);
    if (name === undefined || !contains(pool, name.cidr.addr)) continue;
    let outcome: AffinityRelease = "retry";
    for (let i = 0; outcome === "retry"; i++) {
      if (i === CAS_TRIES) throw tooManyTries(kv.key);
      outcome = yield* releaseAffinity(name.host, name.cidr, { requireEmpty: false, orphans: true });
    }
  }
  return { addrs: [], error: undefined };
}
