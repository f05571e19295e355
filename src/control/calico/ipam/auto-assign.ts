// The request `autoAssign`: first the host's own blocks, then a new one, then, unless affinity is strict, anybody's. Specs on
// Calico §1.4.
import { contains, formatPrefix, type Ipv4Addr, type Prefix } from "../../../base/ipv4-addr.ts";
import { releaseUnselected } from "./affinity-release.ts";
import { allocate, freeCount } from "./block-allocation.ts";
import { assignInBlock, type BlockAssign } from "./block-assign.ts";
import { BlockClaim } from "./block-claim.ts";
import { blocksOf, findUsableBlock } from "./block-search.ts";
import type { AllocationAttribute } from "./ipam-block.ts";
import {
  CAS_TRIES,
  formatPools,
  type IpamContext,
  type IpamPool,
  isWhollyReserved,
  poolOf,
  readBlocks,
  readConfig,
  reservedBy,
  type StoredBlock,
  tooManyTries,
} from "./ipam-context.ts";
import { BLOCKS_RANGE, hostAffinitiesRange, parseAffinityKey } from "./ipam-keys.ts";
import type { IpamAnswer, IpamRequest } from "./ipam-messages.ts";
import type { IpamConfig } from "./ipam-values.ts";
import { IpamFault, listKeys, type Steps } from "./store-steps.ts";

/** What a host may own when nothing else is configured: a safeguard against runaway claims. */
const BLOCKS_PER_HOST_DEFAULT = 20;

type AutoAssignRequest = Extract<IpamRequest, { readonly t: "autoAssign" }>;

export class AutoAssign {
  readonly #context: IpamContext;
  readonly #request: AutoAssignRequest;
  readonly #owner: AllocationAttribute;
  readonly #claims: BlockClaim;
  readonly #isReserved: (addr: Ipv4Addr) => boolean;
  readonly #reservations: readonly Prefix[];
  readonly #enabled: readonly IpamPool[];
  /** What has been assigned so far: it is answered even if the rest fails. */
  readonly addrs: Ipv4Addr[] = [];

  constructor(context: IpamContext, request: AutoAssignRequest) {
    this.#context = context;
    this.#request = request;
    this.#owner = { handleId: request.handle, secondary: request.attributes };
    this.#claims = new BlockClaim(context, request.host);
    this.#reservations = context.reservations();
    this.#enabled = context.pools(request.host, request.namespace).filter((pool) => !pool.disabled);
    this.#isReserved = reservedBy(this.#reservations);
  }

  *run(): Steps<IpamAnswer> {
    const { count } = this.#request;
    const pools = this.#usablePools();
    const affine = yield* this.#affineBlocks(pools);
    const config = yield* readConfig();
    yield* this.#fromAffineBlocks(affine);
    const newBlocks = yield* this.#fromNewBlocks(pools, affine.length, config);
    if (this.#missing > 0 && !config.strictAffinity) yield* this.#borrow(pools);
    if (this.#missing === 0) return { addrs: this.addrs, error: undefined };
    // The list of exhausted pools is Calico's own; it says so even when a pool is only reserved.
    const reason =
      newBlocks ??
      (config.strictAffinity
        ? "No more free affine blocks and strict affinity enabled"
        : `No IPs available in pools: ${formatPools(pools)}`);
    const message = `Assigned ${this.addrs.length} out of ${count} requested IPv4 addresses; ${reason}`;
    return { addrs: this.addrs, error: { code: "noAddresses", message } };
  }

  get #missing(): number {
    return this.#request.count - this.addrs.length;
  }

  /** The pools that the request may use: those that it names, or all that select it; and of those, the ones for its use. */
  #usablePools(): readonly IpamPool[] {
    const { host, use } = this.#request;
    const selecting = this.#selectingPools();
    if (selecting.length === 0) throw new IpamFault("noPools", `no configured Calico pools for node ${host}`);
    const pools = selecting.filter((pool) => pool.allowedUses.includes(use));
    if (pools.length > 0) return pools;
    throw new IpamFault(
      "noPools",
      `cannot find a qualified ippool, no pools match the required use (${use})`,
    );
  }

  #selectingPools(): readonly IpamPool[] {
    const enabled = this.#enabled;
    const asked = this.#request.pools ?? [];
    if (asked.length === 0) {
      return enabled.filter((pool) => pool.automatic && pool.selectsNode && pool.selectsNamespace);
    }
    return asked.map((cidr) => {
      const found = enabled.find((pool) => pool.cidr.addr === cidr.addr && pool.cidr.len === cidr.len);
      if (found !== undefined) return found;
      throw new IpamFault(
        "noPools",
        `the given pool (${formatPrefix(cidr)}) does not exist, or is not enabled`,
      );
    });
  }

  /** The host's own blocks in `pools`. Those in pools that no longer select the host are given up if they are empty. */
  *#affineBlocks(pools: readonly IpamPool[]): Steps<readonly Prefix[]> {
    const { host } = this.#request;
    const usable: Prefix[] = [];
    const unselected: Prefix[] = [];
    for (const kv of yield* listKeys(hostAffinitiesRange(host))) {
      const name = parseAffinityKey(kv.key);
      if (name === undefined || name.host !== host) continue;
      if (poolOf(pools, name.cidr.addr) !== undefined) usable.push(name.cidr);
      else if (poolOf(this.#enabled, name.cidr.addr)?.selectsNode === false) unselected.push(name.cidr);
    }
    yield* releaseUnselected(this.#context, host, unselected);
    return usable;
  }

  *#fromAffineBlocks(cidrs: readonly Prefix[]): Steps<void> {
    for (const cidr of cidrs) {
      if (this.#missing === 0) return;
      if (isWhollyReserved(this.#reservations, cidr)) continue;
      const stored = yield* this.#skippingCorrupt(this.#claims.load(cidr));
      if (stored !== undefined) yield* this.#skippingCorrupt(this.#takeFrom(stored, true));
    }
  }

  /**
   * Claims blocks until there is enough. Answers why it ended, when that is neither enough nor a full pool. At the limit of blocks
   * Calico does not borrow: the request fails.
   */
  *#fromNewBlocks(pools: readonly IpamPool[], owned: number, config: IpamConfig): Steps<string | undefined> {
    const { host } = this.#request;
    const limit = config.maxBlocksPerHost > 0 ? config.maxBlocksPerHost : BLOCKS_PER_HOST_DEFAULT;
    let blocks = owned;
    for (let i = 0; this.#missing > 0; i++) {
      if (blocks >= limit) {
        this.#context.log(
          "warn",
          `Unable to allocate a new IPAM block; host already has ${blocks} blocks but blocks per host limit is ${limit}`,
        );
        throw new IpamFault("blockLimit", "cannot allocate new block due to per host block limit");
      }
      if (!config.autoAllocateBlocks) return "failed to find or claim a block";
      if (i === CAS_TRIES) throw tooManyTries(`a block for ${host}`);
      const cidr = yield* findUsableBlock(this.#context, host, pools);
      if (cidr === undefined) return undefined;
      const claimed = yield* this.#claims.claim(cidr);
      if (claimed === undefined) continue;
      if (claimed.created) blocks++;
      yield* this.#takeFrom(claimed.stored, true);
    }
    return undefined;
  }

  /** Addresses of other hosts' blocks, and of those that nobody owns. */
  *#borrow(pools: readonly IpamPool[]): Steps<void> {
    const { host } = this.#request;
    const { blocks } = readBlocks(yield* listKeys(BLOCKS_RANGE), this.#context.log);
    const existing = new Map(blocks.map((stored) => [formatPrefix(stored.block.cidr), stored]));
    for (const pool of pools) {
      // Every block of the pool that exists, in the host's own order, so that borrowers spread as claimers do.
      const inPool = blocks.some(({ block }) => contains(pool.cidr, block.cidr.addr));
      if (!inPool) continue;
      for (const cidr of blocksOf(pool, host, this.#context.rng)) {
        if (this.#missing === 0) return;
        const stored = existing.get(formatPrefix(cidr));
        if (stored !== undefined) yield* this.#takeFrom(stored, false);
      }
    }
  }

  /** Takes what the block has, as far as it is needed. @param own only while it is the host's */
  *#takeFrom(stored: StoredBlock, own: boolean): Steps<void> {
    let current: StoredBlock | undefined = stored;
    for (let i = 0; i < CAS_TRIES; i++) {
      if (current === undefined || (own && current.block.host !== this.#request.host)) return;
      if (freeCount(current.block, this.#isReserved) === 0) return;
      const { block, ordinals } = allocate(current.block, this.#missing, this.#owner, this.#isReserved);
      const outcome: BlockAssign = yield* assignInBlock(current, block, ordinals, this.#owner);
      if (outcome.t === "assigned") {
        this.addrs.push(...outcome.addrs);
        return;
      }
      current = outcome.current;
    }
    throw tooManyTries(`block ${formatPrefix(stored.block.cidr)}`);
  }

  /** One block that cannot be used does not keep the others from being used. */
  *#skippingCorrupt<T>(steps: Steps<T>): Steps<T | undefined> {
    try {
      return yield* steps;
    } catch (fault) {
      if (!(fault instanceof IpamFault) || fault.code !== "corrupt") throw fault;
      this.#context.log("warn", fault.message);
      return undefined;
    }
  }
}
