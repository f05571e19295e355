// Leases. Pure logic: time comes in as `now`, expired leases are handed out by due(), and their keys are deleted by the
// store, which alone knows how.
import type { Rng } from "../../base/rng.ts";
import { type Instant, SEC_US } from "../../base/time.ts";
import { Timer, TimerQueue } from "../../base/timer-queue.ts";
import type { LeaseId } from "../../control/datastore/messages.ts";
import { NO_LEASE } from "../../control/datastore/messages.ts";
import type { ByteKey } from "./byte-key.ts";
import { Refused, refuse } from "./errors.ts";

/** Shorter times to live are raised to this, as an etcd with its default election timeout does. */
const TTL_SEC_MIN = 2;

const TTL_SEC_MAX = 9_000_000_000;

/** What a client may know of a lease. */
export interface LeaseInfo {
  /** Whole seconds left, rounded down; -1 for a lease that does not exist. */
  readonly ttlSec: number;
  readonly grantedTtlSec: number;
  /** Sorted. */
  readonly keys: readonly ByteKey[];
}

class Lease {
  readonly id: LeaseId;
  readonly ttlSec: number;
  readonly keys = new Set<ByteKey>();
  readonly expiry: Timer;

  constructor(id: LeaseId, ttlSec: number, expired: (lease: Lease) => void) {
    this.id = id;
    this.ttlSec = ttlSec;
    this.expiry = new Timer(() => expired(this));
  }
}

export class Lessor {
  readonly #rng: Rng;
  readonly #leases = new Map<LeaseId, Lease>();
  readonly #leaseOfKey = new Map<ByteKey, Lease>();
  readonly #timers = new TimerQueue();
  #expired: LeaseId[] = [];

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  get size(): number {
    return this.#leases.size;
  }

  has(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  /**
   * Creates a lease.
   * @param id "0" to have one chosen
   * Refuses with LEASE_EXISTS or LEASE_TTL_TOO_LARGE.
   */
  grant(id: LeaseId, ttlSec: number, now: Instant): { readonly id: LeaseId; readonly ttlSec: number } {
    if (ttlSec > TTL_SEC_MAX) refuse(Refused.LEASE_TTL_TOO_LARGE);
    if (this.#leases.has(id)) refuse(Refused.LEASE_EXISTS);
    const granted = Math.max(ttlSec, TTL_SEC_MIN);
    const free = id === NO_LEASE ? this.#freeId() : id;
    this.restore(free, granted, now);
    return { id: free, ttlSec: granted };
  }

  /** A lease as it was granted, and written down, before. */
  restore(id: LeaseId, ttlSec: number, now: Instant): void {
    const lease = new Lease(id, ttlSec, (due) => this.#expired.push(due.id));
    this.#leases.set(id, lease);
    this.#refresh(lease, now);
  }

  /** All leases as they were granted. */
  grants(): readonly { readonly id: LeaseId; readonly ttlSec: number }[] {
    return [...this.#leases.values()].map(({ id, ttlSec }) => ({ id, ttlSec }));
  }

  /** Ends a lease. Returns the keys that hung on it, sorted: the caller deletes them. Refuses with LEASE_NOT_FOUND. */
  revoke(id: LeaseId): readonly ByteKey[] {
    const lease = this.#leases.get(id);
    if (lease === undefined) refuse(Refused.LEASE_NOT_FOUND);
    this.#timers.cancel(lease.expiry);
    this.#leases.delete(id);
    for (const key of lease.keys) this.#leaseOfKey.delete(key);
    return [...lease.keys].sort();
  }

  /** Counts from the start again. Returns the time to live in seconds; 0 when there is no such lease. */
  renew(id: LeaseId, now: Instant): number {
    const lease = this.#leases.get(id);
    if (lease === undefined) return 0;
    this.#refresh(lease, now);
    return lease.ttlSec;
  }

  info(id: LeaseId, now: Instant): LeaseInfo {
    const lease = this.#leases.get(id);
    if (lease === undefined) return { ttlSec: -1, grantedTtlSec: 0, keys: [] };
    const ttlSec = Math.max(0, Math.floor((lease.expiry.at - now) / SEC_US));
    return { ttlSec, grantedTtlSec: lease.ttlSec, keys: [...lease.keys].sort() };
  }

  /** The ids of all leases, the one that expires first in front. */
  list(): readonly LeaseId[] {
    const leases = [...this.#leases.values()];
    return leases.sort((a, b) => a.expiry.at - b.expiry.at).map((lease) => lease.id);
  }

  /** Hangs `key` on a lease (taking it off another); "0" takes it off. The lease must exist. */
  attach(key: ByteKey, id: LeaseId): void {
    const old = this.#leaseOfKey.get(key);
    if (old === undefined ? id === NO_LEASE : old.id === id) return;
    old?.keys.delete(key);
    const lease = this.#leases.get(id);
    if (lease === undefined) {
      this.#leaseOfKey.delete(key);
    } else {
      lease.keys.add(key);
      this.#leaseOfKey.set(key, lease);
    }
  }

  /** All leases get their full time to live again: what etcd does after an election, we do after a stall. */
  extendAll(now: Instant): void {
    for (const lease of this.#leases.values()) this.#refresh(lease, now);
  }

  /** The leases that have run out, at most `budget` of them; each has still to be revoked. */
  due(now: Instant, budget: number): readonly LeaseId[] {
    this.#timers.run(now, budget);
    const expired = this.#expired;
    this.#expired = [];
    return expired;
  }

  nextDeadline(): Instant {
    return this.#timers.nextDeadline();
  }

  #refresh(lease: Lease, now: Instant): void {
    this.#timers.set(lease.expiry, now + lease.ttlSec * SEC_US);
  }

  /** A random id that is free: positive and 63 bits wide, as etcd's are. */
  #freeId(): LeaseId {
    for (;;) {
      const high = BigInt(this.#rng.u32() >>> 1);
      const id = ((high << 32n) | BigInt(this.#rng.u32())).toString();
      if (id !== NO_LEASE && !this.#leases.has(id)) return id;
    }
  }
}
