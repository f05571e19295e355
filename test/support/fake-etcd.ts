// etcd's data model in memory: revisions, leases on a virtual clock, transactions, history and compaction. No network and
// no time of its own; `fake-store.ts` adds both. It exists so that pure tests need no process, and models only what the
// store's contract says (the contract suite runs the same questions against the real ones).
import type { Instant } from "../../src/base/time.ts";
import { NEVER, SEC_US } from "../../src/base/time.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import {
  type Compare,
  type KeyRange,
  type KeyValue,
  type LeaseId,
  NO_LEASE,
  type ResponseHeader,
  type StoreErrorCode,
  type StoreEvent,
  type StoreOp,
  type TxnOp,
  type TxnReply,
  type WatchedEvent,
} from "../../src/control/datastore/messages.ts";

interface Lease {
  readonly id: LeaseId;
  readonly ttlSec: number;
  expiresAt: Instant;
  readonly keys: Set<string>;
}

/** One revision's events. */
export interface Commit {
  readonly revision: number;
  readonly events: readonly WatchedEvent[];
}

/** Operations that a reply answers. */
export type UnaryOp = Exclude<StoreOp, { readonly t: "watchOpen" | "watchProgress" | "watchCancel" }>;

const NO_BYTES = new Uint8Array(0);
/** etcd's shortest lease. */
const TTL_MIN_SEC = 2;

class Refused extends Error {
  readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function inRange(range: KeyRange, key: string): boolean {
  if (range.rangeEnd === undefined) return key === range.key;
  return key >= range.key && (range.rangeEnd === "\0" || key < range.rangeEnd);
}

export class FakeEtcd {
  revision = 1;
  compactRevision = 0;
  clusterId = "1001";
  readonly history: Commit[] = [];
  readonly #kvs = new Map<string, KeyValue>();
  /** All that a key has been, tombstones included. */
  readonly #versions = new Map<string, KeyValue[]>();
  readonly #leases = new Map<LeaseId, Lease>();
  #nextLease = 0x694d_7b00_0000_0000n;

  get header(): ResponseHeader {
    return { clusterId: this.clusterId, revision: this.revision };
  }

  /** All keys, sorted. */
  dump(): KeyValue[] {
    return [...this.#kvs.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  get(key: string): KeyValue | undefined {
    return this.#kvs.get(key);
  }

  leases(): LeaseId[] {
    return [...this.#leases.keys()];
  }

  nextExpiry(): Instant {
    let at = NEVER;
    for (const lease of this.#leases.values()) if (lease.expiresAt < at) at = lease.expiresAt;
    return at;
  }

  /** Ends the leases whose time is up. */
  expire(now: Instant): void {
    for (const lease of [...this.#leases.values()]) if (lease.expiresAt <= now) this.#dropLease(lease);
  }

  /** After an outage etcd gives every lease its full time again. */
  restart(now: Instant): void {
    for (const lease of this.#leases.values()) lease.expiresAt = now + lease.ttlSec * SEC_US;
  }

  compact(revision: number): void {
    this.compactRevision = Math.max(this.compactRevision, revision);
    while ((this.history[0]?.revision ?? Number.POSITIVE_INFINITY) < this.compactRevision)
      this.history.shift();
  }

  /** The data directory is gone, and with it everything. */
  wipe(): void {
    this.clusterId = String(Number(this.clusterId) + 1);
    this.revision = 1;
    this.compactRevision = 0;
    this.history.length = 0;
    this.#kvs.clear();
    this.#versions.clear();
    this.#leases.clear();
  }

  put(key: string, text: string | Uint8Array, lease: LeaseId = NO_LEASE): void {
    const value = typeof text === "string" ? encodeUtf8(text) : text;
    this.#txn({ t: "txn", id: 0, compares: [], success: [{ t: "put", key, value, lease }], failure: [] });
  }

  del(key: string): void {
    const range = { key, rangeEnd: undefined };
    this.#txn({ t: "txn", id: 0, compares: [], success: [{ t: "delete", range }], failure: [] });
  }

  grant(ttlSec: number, now: Instant): LeaseId {
    const id = String(this.#nextLease++);
    const ttl = Math.max(TTL_MIN_SEC, ttlSec);
    this.#leases.set(id, { id, ttlSec: ttl, expiresAt: now + ttl * SEC_US, keys: new Set() });
    return id;
  }

  revoke(lease: LeaseId): boolean {
    const found = this.#leases.get(lease);
    if (found !== undefined) this.#dropLease(found);
    return found !== undefined;
  }

  /** Carries out `op`. Never throws. */
  execute(op: UnaryOp, now: Instant): StoreEvent {
    try {
      return this.#execute(op, now);
    } catch (thrown) {
      if (!(thrown instanceof Refused)) throw thrown;
      return { t: "opFailed", id: op.id, code: thrown.code, message: thrown.message };
    }
  }

  #execute(op: UnaryOp, now: Instant): StoreEvent {
    const { id } = op;
    switch (op.t) {
      case "range":
        return { t: "rangeDone", id, header: this.header, kvs: this.#rangeAt(op.range, op.revision ?? 0) };
      case "txn":
        return this.#txn(op);
      case "leaseGrant": {
        const lease = this.grant(op.ttlSec, now);
        return { t: "leaseGranted", id, lease, ttlSec: Math.max(TTL_MIN_SEC, op.ttlSec) };
      }
      case "leaseRevoke":
        if (!this.revoke(op.lease))
          throw new Refused("leaseNotFound", "etcdserver: requested lease not found");
        return { t: "leaseRevoked", id, lease: op.lease };
      case "leaseKeepAlive": {
        const lease = this.#leases.get(op.lease);
        if (lease !== undefined) lease.expiresAt = now + lease.ttlSec * SEC_US;
        return { t: "leaseKeptAlive", id, lease: op.lease, ttlSec: lease?.ttlSec ?? 0 };
      }
      case "leaseTimeToLive": {
        const lease = this.#leases.get(op.lease);
        const ttlSec = lease === undefined ? -1 : Math.floor((lease.expiresAt - now) / SEC_US);
        return { t: "leaseTimeToLive", id, lease: op.lease, ttlSec, grantedTtlSec: lease?.ttlSec ?? 0 };
      }
    }
  }

  #rangeAt(range: KeyRange, revision: number): KeyValue[] {
    if (revision === 0) return this.#range(range);
    if (revision > this.revision)
      throw new Refused("invalid", "etcdserver: mvcc: required revision is a future revision");
    if (revision < this.compactRevision)
      throw new Refused("compacted", "etcdserver: mvcc: required revision has been compacted");
    const then = [...this.#versions.values()].map((all) => all.findLast((kv) => kv.modRevision <= revision));
    return then.filter((kv) => kv !== undefined && kv.version > 0 && inRange(range, kv.key)) as KeyValue[];
  }

  #range(range: KeyRange): KeyValue[] {
    return this.dump().filter((kv) => inRange(range, kv.key));
  }

  #txn(op: Extract<StoreOp, { readonly t: "txn" }>): StoreEvent {
    const succeeded = op.compares.every((compare) => this.#holds(compare));
    const ops = succeeded ? op.success : op.failure;
    const keys = ops.flatMap((o) => (o.t === "put" ? [o.key] : []));
    if (new Set(keys).size < keys.length)
      throw new Refused("invalid", "etcdserver: duplicate key given in txn request");
    for (const o of ops) {
      if (o.t === "put" && o.lease !== NO_LEASE && !this.#leases.has(o.lease)) {
        throw new Refused("leaseNotFound", "etcdserver: requested lease not found");
      }
    }
    const events: WatchedEvent[] = [];
    const revision = this.revision + 1;
    const replies = ops.map((o) => this.#apply(o, revision, events));
    if (events.length > 0) this.#commit(events);
    return { t: "txnDone", id: op.id, header: this.header, succeeded, replies };
  }

  #holds(compare: Compare): boolean {
    const kv = this.#kvs.get(compare.key);
    let order: number;
    if (compare.target === "value") {
      if (kv === undefined) return false;
      order = compareBytes(kv.value, compare.operand as Uint8Array);
    } else if (compare.target === "lease") {
      const have = BigInt(kv?.lease ?? NO_LEASE);
      const want = BigInt(compare.operand as LeaseId);
      order = have < want ? -1 : have > want ? 1 : 0;
    } else {
      const field = { version: kv?.version, create: kv?.createRevision, mod: kv?.modRevision }[
        compare.target
      ];
      order = Math.sign((field ?? 0) - (compare.operand as number));
    }
    return { equal: order === 0, notEqual: order !== 0, less: order < 0, greater: order > 0 }[compare.op];
  }

  #apply(op: TxnOp, revision: number, events: WatchedEvent[]): TxnReply {
    switch (op.t) {
      case "range":
        return { t: "range", kvs: this.#range(op.range) };
      case "delete": {
        const gone = this.#range(op.range);
        for (const kv of gone) events.push(this.#remove(kv, revision));
        return { t: "delete", deleted: gone.length };
      }
      case "put": {
        const old = this.#kvs.get(op.key);
        this.#leases.get(old?.lease ?? NO_LEASE)?.keys.delete(op.key);
        this.#leases.get(op.lease)?.keys.add(op.key);
        const kv: KeyValue = {
          key: op.key,
          value: op.value,
          createRevision: old?.createRevision ?? revision,
          modRevision: revision,
          version: (old?.version ?? 0) + 1,
          lease: op.lease,
        };
        this.#kvs.set(op.key, kv);
        this.#remember(kv);
        events.push({ t: "put", kv });
        return { t: "put" };
      }
    }
  }

  #remove(kv: KeyValue, revision: number): WatchedEvent {
    this.#kvs.delete(kv.key);
    this.#leases.get(kv.lease)?.keys.delete(kv.key);
    const { key } = kv;
    const tombstone = {
      key,
      value: NO_BYTES,
      createRevision: 0,
      modRevision: revision,
      version: 0,
      lease: NO_LEASE,
    };
    this.#remember(tombstone);
    return { t: "delete", kv: tombstone };
  }

  #dropLease(lease: Lease): void {
    this.#leases.delete(lease.id);
    const kvs = [...lease.keys].sort().map((key) => this.#kvs.get(key) as KeyValue);
    const events = kvs.map((kv) => this.#remove(kv, this.revision + 1));
    if (events.length > 0) this.#commit(events);
  }

  #remember(kv: KeyValue): void {
    const versions = this.#versions.get(kv.key);
    if (versions === undefined) this.#versions.set(kv.key, [kv]);
    else versions.push(kv);
  }

  #commit(events: readonly WatchedEvent[]): void {
    this.revision++;
    this.history.push({ revision: this.revision, events });
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = (a[i] as number) - (b[i] as number);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}
