// How a host comes to own a block: affinity `pending`, the block, affinity `confirmed`. Specs on Calico §1.4, steps 3 and 4. A block
// that belongs to another host makes the own affinity stale, and it is deleted.
import { formatPrefix, type Prefix } from "../../../base/ipv4-addr.ts";
import type { KeyValue } from "../../datastore/messages.ts";
import type { AffinityState } from "../calico-updates.ts";
import { newBlock, nextBlock } from "./block-allocation.ts";
import { formatClaimTime } from "./claim-time.ts";
import { emitIpamBlock } from "./ipam-block-json.ts";
import { CAS_TRIES, type IpamContext, readBlock, type StoredBlock, tooManyTries } from "./ipam-context.ts";
import { affinityKey, blockKey } from "./ipam-keys.ts";
import { emitAffinity, parseAffinity } from "./ipam-values.ts";
import {
  createKey,
  deleteKey,
  getKey,
  IpamFault,
  type Seen,
  type Steps,
  updateKey,
  type Write,
} from "./store-steps.ts";

/** An affinity with the revision that a write is guarded by. */
export interface StoredAffinity extends Seen {
  readonly state: AffinityState;
}

export function readAffinity(kv: KeyValue): StoredAffinity {
  const state = parseAffinity(kv.value);
  if (!state.ok) throw new IpamFault("corrupt", `${kv.key} cannot be used: ${state.error}`);
  return { key: kv.key, modRevision: kv.modRevision, state: state.value };
}

/** A block to allocate from. `stale`: it is not this host's. `retry`: somebody was faster at one of the keys. */
type Claimed =
  | { readonly t: "own"; readonly stored: StoredBlock; readonly created: boolean }
  | { readonly t: "stale" }
  | { readonly t: "retry" };

const RETRY: Claimed = { t: "retry" };
const STALE: Claimed = { t: "stale" };

export class BlockClaim {
  readonly #context: IpamContext;
  readonly #host: string;

  constructor(context: IpamContext, host: string) {
    this.#context = context;
    this.#host = host;
  }

  /** Claims the block: makes an affinity if there is none. Undefined: another host has the block. */
  *claim(cidr: Prefix): Steps<{ readonly stored: StoredBlock; readonly created: boolean } | undefined> {
    for (let i = 0; i < CAS_TRIES; i++) {
      const affinity = yield* this.#pendingAffinity(cidr);
      const claimed: Claimed = affinity === undefined ? RETRY : yield* this.#fromAffinity(cidr, affinity);
      if (claimed.t === "own") return claimed;
      if (claimed.t === "stale") return undefined;
    }
    throw tooManyTries(`block ${formatPrefix(cidr)}`);
  }

  /** The block of an affinity that this host was listed with. Undefined: the affinity is gone, or was stale. */
  *load(cidr: Prefix): Steps<StoredBlock | undefined> {
    for (let i = 0; i < CAS_TRIES; i++) {
      const kv = yield* getKey(affinityKey(this.#host, cidr));
      if (kv === undefined) return undefined;
      const claimed = yield* this.#fromAffinity(cidr, readAffinity(kv));
      if (claimed.t === "own") return claimed.stored;
      if (claimed.t === "stale") return undefined;
    }
    throw tooManyTries(`block ${formatPrefix(cidr)}`);
  }

  /** An affinity that is pending, or was confirmed before; undefined when somebody was faster. */
  *#pendingAffinity(cidr: Prefix): Steps<StoredAffinity | undefined> {
    const key = affinityKey(this.#host, cidr);
    const created = yield* createKey(key, emitAffinity("pending"));
    if (created.t === "done") return { key, modRevision: created.modRevision, state: "pending" };
    if (created.current === undefined) return undefined;
    const affinity = readAffinity(created.current);
    return affinity.state === "confirmed" ? affinity : yield* this.#write(affinity, "pending");
  }

  *#fromAffinity(cidr: Prefix, affinity: StoredAffinity): Steps<Claimed> {
    const kv = yield* getKey(blockKey(cidr));
    if (kv === undefined) return yield* this.#create(cidr, affinity);
    const stored = readBlock(kv);
    if (stored.block.host !== this.#host) return yield* this.#dropStale(cidr, affinity);
    if (affinity.state === "confirmed") return { t: "own", stored, created: false };
    return yield* this.#reconfirm(stored, affinity);
  }

  *#create(cidr: Prefix, affinity: StoredAffinity): Steps<Claimed> {
    const pending = affinity.state === "pending" ? affinity : yield* this.#write(affinity, "pending");
    if (pending === undefined) return RETRY;
    const wallNs = this.#context.wallNs();
    const block = newBlock(cidr, this.#host, formatClaimTime(wallNs), wallNs);
    const key = blockKey(cidr);
    // Calico guards this write by the block's absence alone. Guarded by the affinity too, one that arrives late, after its
    // host has given the affinity up, makes no block that nobody looks after.
    const write = yield* createKey(key, emitIpamBlock(block), [pending]);
    let stored: StoredBlock = { key, modRevision: write.t === "done" ? write.modRevision : 0, block };
    if (write.t === "lost") {
      if (write.current === undefined) return RETRY;
      stored = readBlock(write.current);
      if (stored.block.host !== this.#host) return yield* this.#dropStale(cidr, pending);
    }
    return (yield* this.#confirm(cidr, pending)) ? { t: "own", stored, created: true } : RETRY;
  }

  /** The block is ours, but the affinity does not say so for sure: a new revision of the block stops others that act on the old. */
  *#reconfirm(stored: StoredBlock, affinity: StoredAffinity): Steps<Claimed> {
    const pending = yield* this.#write(affinity, "pending");
    if (pending === undefined) return RETRY;
    const block = nextBlock(stored.block);
    const write = yield* updateKey(stored, emitIpamBlock(block));
    if (write.t === "lost") return RETRY;
    const fresh: StoredBlock = { key: stored.key, modRevision: write.modRevision, block };
    return (yield* this.#confirm(block.cidr, pending)) ? { t: "own", stored: fresh, created: false } : RETRY;
  }

  *#confirm(cidr: Prefix, pending: StoredAffinity): Steps<boolean> {
    const write: Write = yield* updateKey(pending, emitAffinity("confirmed"));
    if (write.t === "done") return true;
    this.#context.log("debug", `The affinity of ${formatPrefix(cidr)} changed while it was being confirmed`);
    return write.current !== undefined && readAffinity(write.current).state === "confirmed";
  }

  *#dropStale(cidr: Prefix, affinity: StoredAffinity): Steps<Claimed> {
    this.#context.log(
      "warn",
      `Block ${formatPrefix(cidr)} does not match the affinity of ${this.#host}, deleting stale affinity`,
    );
    const write = yield* deleteKey(affinity);
    return write.t === "done" ? STALE : RETRY;
  }

  *#write(affinity: StoredAffinity, state: AffinityState): Steps<StoredAffinity | undefined> {
    const write = yield* updateKey(affinity, emitAffinity(state));
    return write.t === "done" ? { key: affinity.key, modRevision: write.modRevision, state } : undefined;
  }
}
