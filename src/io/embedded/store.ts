// The embedded etcd without its sockets: key space, leases and watches joined. Every change of state goes through this class
// and ends in #commit(), the one place that makes a revision visible. Pure logic: `now` is an argument.
import { assert, unreachable } from "../../base/assert.ts";
import type { Rng } from "../../base/rng.ts";
import { type Instant, MS_US, SEC_US } from "../../base/time.ts";
import type { LeaseId } from "../../control/datastore/messages.ts";
import { NO_LEASE } from "../../control/datastore/messages.ts";
import { Refused, refuse } from "./errors.ts";
import { type LeaseInfo, Lessor } from "./lessor.ts";
import { Mvcc } from "./mvcc.ts";
import type {
  DeleteOp,
  DeleteReply,
  KeyValue,
  PutOp,
  PutReply,
  RangeOp,
  RangeReply,
  RequestOp,
  RequestReply,
  TxnOp,
  TxnReply,
} from "./operations.ts";
import { isSortKnown, range } from "./range.ts";
import { checkOp, checkOverlaps, checkTxn, decide, validate } from "./txn.ts";
import { WatchHub } from "./watch-hub.ts";

/** How often tick() has to be called at least. */
export const TICK_US = 250 * MS_US;

/** A longer silence between two ticks was a stall: nobody could renew a lease meanwhile. */
const STALL_US = 1 * SEC_US;

/** Leases ended in one tick; the next tick goes on. */
const REVOKE_BUDGET = 1000;

/** Revisions beyond the retention before the next automatic compaction, so that it comes in small steps. */
const COMPACTION_STEP = 1000;

export interface StoreOptions {
  readonly rng: Rng;
  /** History to keep, in revisions; 0 never compacts by itself. */
  readonly autoCompactionRetention: number;
  /** Size above which a watch response is split, for clients that allow it. */
  readonly fragmentBytes: number;
  /** Called when {@link Store.work} has something to do. */
  readonly wake: () => void;
}

export class Store {
  readonly mvcc = new Mvcc();
  readonly lessor: Lessor;
  readonly hub: WatchHub;
  readonly #retention: number;
  readonly #wake: () => void;
  #lastTick: Instant;

  constructor(options: StoreOptions, now: Instant) {
    this.lessor = new Lessor(options.rng);
    this.hub = new WatchHub(this.mvcc, options.fragmentBytes, options.wake);
    this.#retention = options.autoCompactionRetention;
    this.#wake = options.wake;
    this.#lastTick = now;
  }

  get revision(): number {
    return this.mvcc.revision;
  }

  range(op: RangeOp): RangeReply {
    checkOp(op, 0);
    if (!isSortKnown(op)) refuse(Refused.INVALID_SORT_OPTION);
    return range(this.mvcc, op);
  }

  put(op: PutOp): PutReply {
    checkOp(op, 0);
    if (op.lease !== NO_LEASE && !this.lessor.has(op.lease)) refuse(Refused.LEASE_NOT_FOUND);
    if ((op.ignoreValue || op.ignoreLease) && this.mvcc.get(op.key) === undefined)
      refuse(Refused.KEY_NOT_FOUND);
    const reply = this.#applyPut(op);
    this.#commit();
    return reply;
  }

  deleteRange(op: DeleteOp): DeleteReply {
    checkOp(op, 0);
    const reply = this.#applyDelete(op);
    this.#commit();
    return reply;
  }

  txn(op: TxnOp): TxnReply {
    checkTxn(op);
    checkOverlaps(op);
    checkSorts(op);
    const path = decide(this.mvcc, op);
    validate(this.mvcc, this.lessor, op, path);
    const { reply, used } = this.#applyTxn(op, path, 0);
    assert(used === path.length, "every decision of a transaction is used once");
    this.#commit();
    return { ...reply, revision: this.mvcc.revision };
  }

  /** Forgets older history. Returns the current revision. Refuses with COMPACTED or FUTURE_REVISION. */
  compact(revision: number): number {
    this.mvcc.compact(revision);
    this.#wake();
    return this.mvcc.revision;
  }

  leaseGrant(id: LeaseId, ttlSec: number, now: Instant): { readonly id: LeaseId; readonly ttlSec: number } {
    this.tick(now);
    return this.lessor.grant(id, ttlSec, now);
  }

  /** Ends a lease and deletes its keys in one revision. Refuses with LEASE_NOT_FOUND. */
  leaseRevoke(id: LeaseId): void {
    // Sorted, so that a watcher sees the same order everywhere.
    for (const key of this.lessor.revoke(id)) this.mvcc.deleteRange({ key, end: undefined });
    this.#commit();
  }

  /** Returns the time to live in seconds; 0 when there is no such lease (any more). */
  leaseRenew(id: LeaseId, now: Instant): number {
    this.tick(now);
    return this.lessor.renew(id, now);
  }

  leaseInfo(id: LeaseId, now: Instant): LeaseInfo {
    this.tick(now);
    return this.lessor.info(id, now);
  }

  /**
   * Ends the leases that have run out. When it was not called for more than a second the process was stopped or starved, and
   * so were the keep-alives: then all leases start again instead.
   */
  tick(now: Instant): void {
    if (now - this.#lastTick > STALL_US) this.lessor.extendAll(now);
    this.#lastTick = now;
    for (const id of this.lessor.due(now, REVOKE_BUDGET)) this.leaseRevoke(id);
  }

  /** When tick() wants to be called next. */
  nextDeadline(): Instant {
    return Math.min(this.#lastTick + TICK_US, this.lessor.nextDeadline());
  }

  /** Does a piece of what can wait: slow watchers, freeing compacted history. Returns true when more is left. */
  work(budget: number): boolean {
    const lagging = this.hub.pump(budget);
    this.mvcc.prune(budget);
    return lagging || this.mvcc.pruneDue;
  }

  #commit(): void {
    const changes = this.mvcc.commit();
    if (changes.length === 0) return;
    this.hub.publish(this.mvcc.revision, changes);
    const compactTo = this.mvcc.revision - this.#retention;
    if (this.#retention > 0 && compactTo - this.mvcc.compactRevision > COMPACTION_STEP)
      this.compact(compactTo);
  }

  #applyPut(op: PutOp): PutReply {
    const old = op.ignoreValue || op.ignoreLease ? (this.mvcc.get(op.key) as KeyValue) : undefined;
    const value = op.ignoreValue && old !== undefined ? old.value : op.value;
    const lease = op.ignoreLease && old !== undefined ? old.lease : op.lease;
    const previous = this.mvcc.put(op.key, value, lease);
    this.lessor.attach(op.key, lease);
    return { t: "put", revision: this.mvcc.readRevision, prevKv: op.prevKv ? previous : undefined };
  }

  #applyDelete(op: DeleteOp): DeleteReply {
    const deleted = this.mvcc.deleteRange(op.span);
    for (const kv of deleted) if (kv.lease !== NO_LEASE) this.lessor.attach(kv.key, NO_LEASE);
    return {
      t: "delete",
      revision: this.mvcc.readRevision,
      deleted: deleted.length,
      prevKvs: op.prevKv ? deleted : [],
    };
  }

  /** Applies the branch that `path[at]` chose. `used` counts the decisions of this transaction and those inside it. */
  #applyTxn(txn: TxnOp, path: readonly boolean[], at: number): { reply: TxnReply; used: number } {
    const succeeded = path[at] === true;
    let used = 1;
    const replies: RequestReply[] = [];
    for (const op of succeeded ? txn.success : txn.failure) {
      if (op.t === "txn") {
        const inner = this.#applyTxn(op, path, at + used);
        used += inner.used;
        replies.push(inner.reply);
      } else {
        replies.push(this.#apply(op));
      }
    }
    return { reply: { t: "txn", revision: 0, succeeded, replies }, used };
  }

  #apply(op: Exclude<RequestOp, TxnOp>): RequestReply {
    switch (op.t) {
      case "range":
        return range(this.mvcc, op);
      case "put":
        return this.#applyPut(op);
      case "delete":
        return this.#applyDelete(op);
      case "empty":
        return refuse(Refused.KEY_NOT_FOUND);
      default:
        return unreachable(op);
    }
  }
}

function checkSorts(txn: TxnOp): void {
  for (const op of [...txn.success, ...txn.failure]) {
    if (op.t === "txn") checkSorts(op);
    else if (op.t === "range" && !isSortKnown(op)) refuse(Refused.INVALID_SORT_OPTION);
  }
}
