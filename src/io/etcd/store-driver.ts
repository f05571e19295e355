// Performs what pure code asks of the store, and says what became of it. The only place where store operations meet a
// connection. It never throws and never retries: pure code decides what an outcome means.
import { MS_US } from "../../base/time.ts";
import { type StoreErrorCode, type StoreEvent, type StoreOp } from "../../control/datastore/messages.ts";
import { type SleepClock, SystemSleepClock } from "../sleep-clock.ts";
import {
  CALL_DEADLINE_MS,
  type EtcdTransport,
  type KeepAliveStream,
  StoreError,
  type WatchMessage,
  type WatchStream,
} from "./etcd-transport.ts";

/** Operations that may be under way at once; one more fails as `unavailable`. */
const PENDING_MAX = 1024;

/** How often it is asked whether the machine has slept, when nothing else happens. */
const SLEEP_CHECK_MS = 5_000;
/** Shorter sleeps are not told one by one; they add up. */
const SLEEP_TOLD_US = 100 * MS_US;

/** The part of a StoreOp that one reply answers. */
type UnaryOp = Extract<
  StoreOp,
  { readonly t: "range" | "txn" | "leaseGrant" | "leaseRevoke" | "leaseTimeToLive" }
>;

interface OpenWatch {
  readonly stream: WatchStream;
  /** Ends a watch that nobody confirms; undefined once it is confirmed. */
  timer: NodeJS.Timeout | undefined;
}

interface PendingKeepAlive {
  readonly id: number;
  readonly lease: string;
  readonly sentAtMs: number;
}

/** Performs {@link StoreOp}s over one {@link EtcdTransport}. One watch stream a watch, one keep-alive stream for all leases. */
export class StoreDriver {
  readonly #transport: EtcdTransport;
  readonly #emit: (event: StoreEvent) => void;
  readonly #watches = new Map<number, OpenWatch>();
  #keepAlive: KeepAliveStream | undefined;
  /** Sent and not answered, oldest first: the server answers those of one lease in their order. */
  #keepAlives: PendingKeepAlive[] = [];
  #keepAliveTimer: NodeJS.Timeout | undefined;
  readonly #clock: SleepClock;
  /** How long the machine had slept when it was told last. */
  #sleptUs: number;
  readonly #sleepTimer: NodeJS.Timeout;
  #pending = 0;
  #closed = false;

  /**
   * @param emit receives every event, never from within {@link perform}
   */
  constructor(
    transport: EtcdTransport,
    emit: (event: StoreEvent) => void,
    clock: SleepClock = new SystemSleepClock(),
  ) {
    this.#transport = transport;
    this.#emit = emit;
    this.#clock = clock;
    this.#sleptUs = clock.sleptUs();
    this.#sleepTimer = setInterval(() => this.checkSleep(), SLEEP_CHECK_MS).unref();
  }

  /** Says so if the machine has slept. Call before each act under a lease: no timer need have fired. */
  checkSleep(): void {
    const forUs = this.#clock.sleptUs() - this.#sleptUs;
    if (forUs < SLEEP_TOLD_US || this.#closed) return;
    this.#sleptUs += forUs;
    this.#emit({ t: "slept", forUs });
  }

  /** Starts `op`. Its outcome comes as an event; after {@link close} nothing comes. */
  perform(op: StoreOp): void {
    if (this.#closed) return;
    switch (op.t) {
      case "watchOpen":
        this.#openWatch(op);
        return;
      case "watchProgress":
        this.#watches.get(op.watch)?.stream.progress();
        return;
      case "watchCancel":
        this.#dropWatch(op.watch);
        return;
      case "leaseKeepAlive":
        this.#sendKeepAlive(op.id, op.lease);
        return;
      default:
        this.#performUnary(op);
    }
  }

  /** Ends everything and the transport. Resolves when nothing is left. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const watch of [...this.#watches.keys()]) this.#dropWatch(watch);
    this.#keepAlive?.cancel();
    this.#keepAlive = undefined;
    clearTimeout(this.#keepAliveTimer);
    clearInterval(this.#sleepTimer);
    await this.#transport.close();
  }

  #say(event: StoreEvent): void {
    // What was sent before a sleep may be answered after it.
    this.checkSleep();
    if (!this.#closed) this.#emit(event);
  }

  #fail(id: number, code: StoreErrorCode, message: string): void {
    this.#say({ t: "opFailed", id, code, message });
  }

  #performUnary(op: UnaryOp): void {
    if (this.#pending >= PENDING_MAX) {
      queueMicrotask(() =>
        this.#fail(op.id, "unavailable", `more than ${PENDING_MAX} operations are under way`),
      );
      return;
    }
    this.#pending++;
    this.#unary(op).then(
      (event) => {
        this.#pending--;
        this.#say(event);
      },
      (thrown: unknown) => {
        this.#pending--;
        if (!(thrown instanceof StoreError)) throw thrown;
        this.#fail(op.id, thrown.reason, thrown.message);
      },
    );
  }

  async #unary(op: UnaryOp): Promise<StoreEvent> {
    const { id } = op;
    switch (op.t) {
      case "range":
        return { t: "rangeDone", id, ...(await this.#transport.range(op.range, op.revision)) };
      case "txn":
        return { t: "txnDone", id, ...(await this.#transport.txn(op.compares, op.success, op.failure)) };
      case "leaseGrant":
        return { t: "leaseGranted", id, ...(await this.#transport.leaseGrant(op.ttlSec)) };
      case "leaseRevoke":
        await this.#transport.leaseRevoke(op.lease);
        return { t: "leaseRevoked", id, lease: op.lease };
      case "leaseTimeToLive":
        return {
          t: "leaseTimeToLive",
          id,
          lease: op.lease,
          ...(await this.#transport.leaseTimeToLive(op.lease)),
        };
    }
  }

  #openWatch(op: Extract<StoreOp, { readonly t: "watchOpen" }>): void {
    const { watch } = op;
    this.#dropWatch(watch);
    const stream = this.#transport.openWatch(op.range, op.startRevision, {
      message: (message) => this.#watched(watch, message),
      broken: (error) => this.#watchBroken(watch, error.message),
    });
    const timer = setTimeout(
      () => this.#watchBroken(watch, "the watch was not confirmed in time"),
      CALL_DEADLINE_MS,
    );
    this.#watches.set(watch, { stream, timer });
  }

  #watched(watch: number, message: WatchMessage): void {
    const { header } = message;
    const open = this.#watches.get(watch);
    if (open === undefined) return;
    clearTimeout(open.timer);
    if (message.canceled) {
      this.#dropWatch(watch);
      const { compactRevision, reason } = message;
      this.#say({ t: "watchCanceled", watch, compactRevision, reason });
      return;
    }
    if (message.created) this.#say({ t: "watchCreated", watch, header });
    if (message.events.length > 0) this.#say({ t: "watchEvents", watch, header, events: message.events });
    else if (!message.created) this.#say({ t: "watchProgressed", watch, header });
  }

  #watchBroken(watch: number, message: string): void {
    if (!this.#watches.has(watch)) return;
    this.#dropWatch(watch);
    this.#say({ t: "watchBroken", watch, message });
  }

  #dropWatch(watch: number): void {
    const open = this.#watches.get(watch);
    if (open === undefined) return;
    this.#watches.delete(watch);
    clearTimeout(open.timer);
    open.stream.cancel();
  }

  #sendKeepAlive(id: number, lease: string): void {
    if (this.#keepAlives.length >= PENDING_MAX) {
      queueMicrotask(() =>
        this.#fail(id, "unavailable", `more than ${PENDING_MAX} keep-alives are under way`),
      );
      return;
    }
    this.#keepAlive ??= this.#transport.openKeepAlive({
      message: (kept) => this.#keptAlive(kept.lease, kept.ttlSec),
      broken: (error) => this.#keepAliveBroken(error.reason, error.message),
    });
    this.#keepAlives.push({ id, lease, sentAtMs: performance.now() });
    this.#keepAlive.send(lease);
    this.#armKeepAliveTimer();
  }

  #keptAlive(lease: string, ttlSec: number): void {
    const at = this.#keepAlives.findIndex((pending) => pending.lease === lease);
    if (at < 0) return;
    const [answered] = this.#keepAlives.splice(at, 1) as [PendingKeepAlive];
    this.#armKeepAliveTimer();
    this.#say({ t: "leaseKeptAlive", id: answered.id, lease, ttlSec });
  }

  /** The stream is given up, and all that waited on it fails; the next keep-alive opens another. */
  #keepAliveBroken(code: StoreErrorCode, message: string): void {
    this.#keepAlive?.cancel();
    this.#keepAlive = undefined;
    const failed = this.#keepAlives;
    this.#keepAlives = [];
    this.#armKeepAliveTimer();
    for (const { id } of failed) this.#fail(id, code, message);
  }

  #armKeepAliveTimer(): void {
    clearTimeout(this.#keepAliveTimer);
    this.#keepAliveTimer = undefined;
    const oldest = this.#keepAlives[0];
    if (oldest === undefined || this.#closed) return;
    const leftMs = oldest.sentAtMs + CALL_DEADLINE_MS - performance.now();
    this.#keepAliveTimer = setTimeout(
      () => this.#keepAliveBroken("timeout", "no answer to a keep-alive in time"),
      Math.max(leftMs, 0),
    );
  }
}
