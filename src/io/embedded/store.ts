// The embedded etcd without its sockets: key space, leases and watches joined. Every change of state goes through this class
// and into its journal. A commit is published to the watchers when the journal has it safe; whoever sends a reply waits for
// the journal too. Pure logic: `now` is an argument.
import { assert, unreachable } from "../../base/assert.ts";
import type { Rng } from "../../base/rng.ts";
import { type Instant, MS_US, SEC_US } from "../../base/time.ts";
import type { LeaseId } from "../../control/datastore/messages.ts";
import { NO_LEASE } from "../../control/datastore/messages.ts";
import { type Alarm, Alarms, AlarmType } from "./alarms.ts";
import { AutoCompactor, type Retention } from "./auto-compactor.ts";
import { Refused, refuse } from "./errors.ts";
import type { Journal } from "./journal/journal.ts";
import type { Contents } from "./journal/replay.ts";
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
import { LEASE_COST_BYTES, putCost, txnCost } from "./quota.ts";
import { isSortKnown, range } from "./range.ts";
import { checkOp, checkOverlaps, checkTxn, decide, validate } from "./txn.ts";
import { WatchHub } from "./watch-hub.ts";

/** How often tick() has to be called at least. */
export const TICK_US = 250 * MS_US;

/** A longer silence between two ticks was a stall: nobody could renew a lease meanwhile. */
const STALL_US = 1 * SEC_US;

/** Leases ended in one tick; the next tick goes on. */
const REVOKE_BUDGET = 1000;

export interface StoreOptions {
  readonly rng: Rng;
  readonly retention: Retention;
  readonly journal: Journal;
  /** Size at which writes are refused until somebody makes room and disarms the alarm. */
  readonly quotaBytes: number;
  /** Operations that a transaction may have. */
  readonly txnOpsMax: number;
  /** Size above which a watch response is split, for clients that allow it. */
  readonly fragmentBytes: number;
  /** Called when {@link Store.work} has something to do. */
  readonly wake: () => void;
}

/** A store in which nothing was ever written. */
export function noContents(rng: Rng): Contents {
  return { mvcc: new Mvcc(), lessor: new Lessor(rng), alarms: new Alarms() };
}

export class Store {
  readonly mvcc: Mvcc;
  readonly lessor: Lessor;
  readonly alarms: Alarms;
  readonly hub: WatchHub;
  readonly #options: StoreOptions;
  readonly #journal: Journal;
  readonly #compactor: AutoCompactor;
  readonly #wake: () => void;
  #lastTick: Instant;
  /** Sequence number of the last record about a lease. */
  #leaseRecord = 0;
  /** Who raises an alarm here. */
  #memberId = "0";

  /** @param contents that were there before; see {@link resume} */
  constructor(options: StoreOptions, now: Instant, contents: Contents = noContents(options.rng)) {
    this.mvcc = contents.mvcc;
    this.lessor = contents.lessor;
    this.alarms = contents.alarms;
    this.hub = new WatchHub(this.mvcc, options.fragmentBytes, options.wake);
    this.#options = options;
    this.#journal = options.journal;
    this.#compactor = new AutoCompactor(options.retention, now);
    this.#wake = options.wake;
    this.#lastTick = now;
  }

  get revision(): number {
    return this.mvcc.revision;
  }

  /** The last record on which what a client may know of leases depends. */
  get leaseRecord(): number {
    return this.#leaseRecord;
  }

  /**
   * The contents have been read from files, or there were none. Leases begin anew: nobody could renew them meanwhile.
   * @param memberId who raises alarms here
   */
  resume(now: Instant, memberId: string): void {
    this.#memberId = memberId;
    this.hub.restored();
    this.lessor.extendAll(now);
    this.#lastTick = now;
  }

  range(op: RangeOp): RangeReply {
    checkOp(op, 0);
    if (!isSortKnown(op)) refuse(Refused.INVALID_SORT_OPTION);
    return range(this.mvcc, op);
  }

  put(op: PutOp): PutReply {
    this.#checkRoom(putCost(op));
    checkOp(op, 0);
    this.#checkAlarms(true);
    if (op.lease !== NO_LEASE && !this.lessor.has(op.lease)) refuse(Refused.LEASE_NOT_FOUND);
    if ((op.ignoreValue || op.ignoreLease) && this.mvcc.get(op.key) === undefined)
      refuse(Refused.KEY_NOT_FOUND);
    const reply = this.#applyPut(op);
    this.#commit();
    return reply;
  }

  deleteRange(op: DeleteOp): DeleteReply {
    checkOp(op, 0);
    this.#checkAlarms(false);
    const reply = this.#applyDelete(op);
    this.#commit();
    return reply;
  }

  txn(op: TxnOp): TxnReply {
    const cost = txnCost(op);
    this.#checkRoom(cost);
    checkTxn(op, this.#options.txnOpsMax);
    checkOverlaps(op);
    checkSorts(op);
    if (!isReadOnly(op)) this.#checkAlarms(cost > 0);
    const path = decide(this.mvcc, op);
    validate(this.mvcc, this.lessor, op, path);
    const { reply, used } = this.#applyTxn(op, path, 0);
    assert(used === path.length, "every decision of a transaction is used once");
    this.#commit();
    return { ...reply, revision: this.mvcc.revision };
  }

  /** Forgets older history. Returns the current revision. Refuses with COMPACTED or FUTURE_REVISION. */
  compact(revision: number): number {
    this.#checkAlarms(false);
    this.mvcc.compact(revision);
    this.#journal.append({ t: "compact", revision });
    this.#wake();
    return this.mvcc.revision;
  }

  leaseGrant(id: LeaseId, ttlSec: number, now: Instant): { readonly id: LeaseId; readonly ttlSec: number } {
    this.tick(now);
    this.#checkRoom(LEASE_COST_BYTES);
    this.#checkAlarms(true);
    const lease = this.lessor.grant(id, ttlSec, now);
    this.#leaseRecord = this.#journal.append({ t: "grant", ...lease });
    return lease;
  }

  /** Ends a lease and deletes its keys in one revision. Refuses with LEASE_NOT_FOUND. */
  leaseRevoke(id: LeaseId): void {
    this.#checkAlarms(false);
    this.#endLease(id);
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
    for (const id of this.lessor.due(now, REVOKE_BUDGET)) this.#endLease(id);
    const compactTo = this.#compactor.tick(now, this.hub.revision, this.mvcc.compactRevision);
    if (compactTo !== undefined) this.#compactTo(compactTo);
  }

  /** When tick() wants to be called next. */
  nextDeadline(): Instant {
    return Math.min(this.#lastTick + TICK_US, this.lessor.nextDeadline(), this.#compactor.nextDeadline());
  }

  /** Does a piece of what can wait: slow watchers, freeing compacted history. Returns true when more is left. */
  work(budget: number): boolean {
    const lagging = this.hub.pump(budget);
    this.mvcc.prune(budget);
    return lagging || this.mvcc.pruneDue;
  }

  /** Raises or takes back an alarm. Returns those that this changed, or that were active already when raised. */
  setAlarm(memberId: string, alarm: number, active: boolean): readonly Alarm[] {
    const had = this.alarms.has(memberId, alarm);
    if (had !== active) {
      this.alarms.set(memberId, alarm, active);
      this.#journal.append({ t: "alarm", memberId, alarm, active });
    }
    return had || active ? [{ memberId, alarm }] : [];
  }

  #commit(): void {
    const changes = this.mvcc.commit();
    if (changes.length === 0) return;
    const { revision } = this.mvcc;
    this.#journal.append({ t: "commit", revision, changes });
    this.#publish(revision, changes);
  }

  #endLease(id: LeaseId): void {
    // Sorted, so that a watcher sees the same order everywhere.
    for (const key of this.lessor.revoke(id)) this.mvcc.deleteRange({ key, end: undefined });
    const changes = this.mvcc.commit();
    const revision = changes.length === 0 ? 0 : this.mvcc.revision;
    this.#leaseRecord = this.#journal.append({ t: "revoke", id, revision, changes });
    if (changes.length > 0) this.#publish(revision, changes);
  }

  #publish(revision: number, changes: readonly KeyValue[]): void {
    this.#journal.whenDurable(() => {
      this.hub.publish(revision, changes);
      // Of what has been published only: nobody is to lose an event that is still on its way to the disk.
      const compactTo = this.#compactor.committed(revision, this.mvcc.compactRevision);
      if (compactTo !== undefined) this.#compactTo(compactTo);
    });
  }

  /** Automatic compaction. */
  #compactTo(revision: number): void {
    this.mvcc.compact(revision);
    this.#journal.append({ t: "compact", revision });
    this.#wake();
  }

  /** Refuses what would grow the store beyond its quota, and raises the alarm. */
  #checkRoom(costBytes: number): void {
    if (costBytes === 0 || this.mvcc.sizeBytes + costBytes < this.#options.quotaBytes) return;
    this.setAlarm(this.#memberId, AlarmType.NOSPACE, true);
    refuse(Refused.NO_SPACE);
  }

  /** Refuses what an active alarm forbids. @param grows it needs room */
  #checkAlarms(grows: boolean): void {
    if (this.alarms.isActive(AlarmType.CORRUPT)) refuse(Refused.CORRUPT);
    if (grows && this.alarms.isActive(AlarmType.NOSPACE)) refuse(Refused.NO_SPACE);
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

function isReadOnly(txn: TxnOp): boolean {
  return [...txn.success, ...txn.failure].every((op) => op.t === "range");
}

function checkSorts(txn: TxnOp): void {
  for (const op of [...txn.success, ...txn.failure]) {
    if (op.t === "txn") checkSorts(op);
    else if (op.t === "range" && !isSortKnown(op)) refuse(Refused.INVALID_SORT_OPTION);
  }
}
