// Keeps one etcd lease alive, and knows until when it may be trusted. Read specs on etcd §4 first. The rules:
//   - validity counts from the *sending* of a keep-alive that was answered, less a margin; never from the answer;
//   - when it ends, the holder is fenced, by its own clock alone; `isValid(now)` tells the truth even if no timer fired,
//     as after SIGSTOP, so ask it before every act;
//   - time that the machine has slept counts, although its clock stood still (`slept`);
//   - a store that cannot be reached kills no lease: the same one is retried until the server says that it is gone.
import { type Rng, unit } from "../../base/rng.ts";
import { type Instant, NEVER, SEC_US } from "../../base/time.ts";
import { type LogOutput, logOutput } from "../log.ts";
import { Backoff } from "./backoff.ts";
import type { LeaseId, StoreEvent, StoreOp } from "./messages.ts";
import { OP_DEADLINE_US, type OpIds, PendingOps } from "./pending-ops.ts";

export type LeaseKeeperOutput =
  | { readonly t: "op"; readonly op: StoreOp }
  /** There is a lease. `sentAt`: when it was asked for, so what its time counts from. */
  | { readonly t: "granted"; readonly lease: LeaseId; readonly ttlSec: number; readonly sentAt: Instant }
  /** Validity has ended while the lease may still be alive at the server. Whoever acts under it must stop. */
  | { readonly t: "fenced"; readonly reason: string }
  /** The same lease was found alive after all. */
  | { readonly t: "unfenced" }
  /** The server no longer has the lease. `start` asks for another. */
  | { readonly t: "lost"; readonly lease: LeaseId }
  /** A stop is complete: the lease is revoked, or left to its time. */
  | { readonly t: "stopped" }
  | LogOutput;

export interface LeaseKeeperOptions {
  /** Time to live to ask for, in seconds. */
  readonly ttlSec: number;
  readonly ids: OpIds;
  readonly rng: Rng;
}

type What = "grant" | "keepAlive" | "revoke";

/** What is subtracted from the time to live: an allowance for clocks that do not run at the same rate. */
export function leaseMarginUs(ttlSec: number): number {
  return Math.max(SEC_US, (ttlSec * SEC_US) / 10);
}

export class LeaseKeeper {
  readonly #ttlSec: number;
  readonly #rng: Rng;
  readonly #backoff: Backoff;
  readonly #ops: PendingOps<What>;
  readonly #outputs: LeaseKeeperOutput[] = [];
  #phase: "idle" | "granting" | "keeping" | "stopping" | "stopped" = "idle";
  #lease: LeaseId | undefined;
  /** What the server last granted, in seconds: the pace of keep-alives. */
  #grantedSec = 0;
  #validUntil: Instant = 0;
  #fenced = false;
  #failing = false;
  /** When to grant, or to send the next keep-alive. */
  #nextAt: Instant = NEVER;

  constructor(options: LeaseKeeperOptions) {
    this.#ttlSec = options.ttlSec;
    this.#rng = options.rng;
    this.#backoff = new Backoff(options.rng);
    this.#ops = new PendingOps(options.ids);
  }

  /** The lease in use; undefined before the first grant and after a loss. */
  get lease(): LeaseId | undefined {
    return this.#lease;
  }

  /** Until when the lease may be relied on; in the past when it may not. */
  get validUntil(): Instant {
    return this.#validUntil;
  }

  /** May one act under the lease now? Right even when no timer has fired yet. */
  isValid(now: Instant): boolean {
    return this.#phase === "keeping" && now < this.#validUntil;
  }

  /** Asks for a lease, until there is one. No effect while there is one or one is asked for. */
  start(now: Instant): void {
    if (this.#phase !== "idle") return;
    this.#phase = "granting";
    this.#grant(now);
  }

  /** Asks the server at once whether the lease lives. */
  probe(now: Instant): void {
    if (this.#phase === "keeping") this.#keepAlive(now);
  }

  /** Somebody learnt otherwise that the server does not have `lease` any more. */
  gone(lease: LeaseId, now: Instant): void {
    if (this.#phase === "keeping" && lease === this.#lease) this.#lose(now);
  }

  /** Leaves the lease, revoking it if asked to; `stopped` follows. */
  stop(revoke: boolean, now: Instant): void {
    if (this.#phase === "stopping" || this.#phase === "stopped") return;
    const lease = this.#lease;
    this.#ops.clear();
    this.#nextAt = NEVER;
    if (lease === undefined || !revoke) {
      this.#finish();
      return;
    }
    this.#phase = "stopping";
    this.#emitOp({ t: "leaseRevoke", id: this.#ops.issue("revoke", now), lease });
  }

  /** Takes an event of the store. Answers false when it is somebody else's. */
  handle(event: StoreEvent, now: Instant): boolean {
    if (event.t === "slept") {
      this.#onSlept(event.forUs, now);
      return true;
    }
    this.#fenceIfDue(now);
    if (
      event.t !== "opFailed" &&
      event.t !== "leaseGranted" &&
      event.t !== "leaseKeptAlive" &&
      event.t !== "leaseRevoked"
    ) {
      return false;
    }
    const op = this.#ops.settle(event.id);
    if (op === undefined) return false;
    switch (event.t) {
      case "leaseGranted":
        this.#onGranted(event.lease, event.ttlSec, op.sentAt, now);
        break;
      case "leaseKeptAlive":
        if (event.lease === this.#lease) this.#onKeptAlive(event.ttlSec, op.sentAt, now);
        break;
      case "leaseRevoked":
        this.#finish();
        break;
      case "opFailed":
        this.#onFailed(op.what, event.code === "leaseNotFound", event.message, now);
        break;
    }
    return true;
  }

  /** Does what is due. Call when {@link nextDeadline} has come, and before acting after a long silence. */
  tick(now: Instant): void {
    this.#fenceIfDue(now);
    for (let op = this.#ops.expire(now); op !== undefined; op = this.#ops.expire(now)) {
      this.#onFailed(op.what, false, "no answer", now);
    }
    if (now < this.#nextAt) return;
    if (this.#phase === "granting") this.#grant(now);
    else if (this.#phase === "keeping") this.#keepAlive(now);
  }

  poll(): LeaseKeeperOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    const fence = this.#phase === "keeping" && !this.#fenced ? this.#validUntil : NEVER;
    return Math.min(this.#nextAt, this.#ops.nextDeadline(), fence);
  }

  #grant(now: Instant): void {
    this.#nextAt = NEVER;
    this.#emitOp({ t: "leaseGrant", id: this.#ops.issue("grant", now), ttlSec: this.#ttlSec });
  }

  #onGranted(lease: LeaseId, ttlSec: number, sentAt: Instant, now: Instant): void {
    if (this.#phase !== "granting") return;
    this.#phase = "keeping";
    this.#lease = lease;
    this.#fenced = false;
    this.#succeeded();
    this.#extend(ttlSec, sentAt);
    this.#outputs.push({ t: "granted", lease, ttlSec, sentAt });
    this.#nextAt = Math.max(now, sentAt + this.#intervalUs());
    this.#fenceIfDue(now);
  }

  #keepAlive(now: Instant): void {
    const lease = this.#lease as LeaseId;
    // A keep-alive that is not answered before the next is due is given up: its answer could prove little by then.
    const id = this.#ops.issue("keepAlive", now, Math.min(OP_DEADLINE_US, (this.#grantedSec * SEC_US) / 3));
    this.#nextAt = now + this.#intervalUs();
    this.#emitOp({ t: "leaseKeepAlive", id, lease });
  }

  #onKeptAlive(ttlSec: number, sentAt: Instant, now: Instant): void {
    if (this.#phase !== "keeping") return;
    if (ttlSec <= 0) {
      this.#lose(now);
      return;
    }
    this.#succeeded();
    this.#extend(ttlSec, sentAt);
    this.#fenceIfDue(now);
    if (this.#fenced && now < this.#validUntil) {
      this.#fenced = false;
      this.#outputs.push({ t: "unfenced" });
    }
  }

  #onFailed(what: What, notFound: boolean, message: string, now: Instant): void {
    if (what === "revoke") {
      if (!notFound)
        this.#log("warn", `the lease could not be revoked (${message}): it will expire by itself`);
      this.#finish();
      return;
    }
    if (what === "keepAlive" && notFound) {
      this.#lose(now);
      return;
    }
    // The first failure is news, its repetitions are not.
    const level = this.#failing ? "debug" : "warn";
    this.#failing = true;
    this.#log(level, `${what === "grant" ? "lease grant" : "keep-alive"} failed, trying again: ${message}`);
    this.#nextAt = Math.min(this.#nextAt, this.#backoff.next(now));
  }

  /** The lease may have ended, and somebody else may have what hung on it: ask before anything else. */
  #onSlept(forUs: number, now: Instant): void {
    this.#validUntil -= forUs;
    this.#ops.backdate(forUs);
    this.#fenceIfDue(now);
    this.probe(now);
  }

  #lose(now: Instant): void {
    const lease = this.#lease as LeaseId;
    this.#validUntil = Math.min(this.#validUntil, now);
    this.#fence("the store no longer has the lease");
    this.#phase = "idle";
    this.#lease = undefined;
    this.#nextAt = NEVER;
    this.#ops.clear();
    this.#outputs.push({ t: "lost", lease });
  }

  #finish(): void {
    this.#phase = "stopped";
    this.#validUntil = 0;
    this.#nextAt = NEVER;
    this.#ops.clear();
    this.#outputs.push({ t: "stopped" });
  }

  #succeeded(): void {
    this.#failing = false;
    this.#backoff.reset();
  }

  /** Never shortens: answers may overtake each other. */
  #extend(ttlSec: number, sentAt: Instant): void {
    const until = sentAt + ttlSec * SEC_US - leaseMarginUs(ttlSec);
    this.#grantedSec = ttlSec;
    this.#validUntil = Math.max(this.#validUntil, until);
  }

  #fenceIfDue(now: Instant): void {
    if (this.#phase !== "keeping" || now < this.#validUntil) return;
    this.#fence("the lease could not be renewed in time");
  }

  #fence(reason: string): void {
    if (this.#fenced) return;
    this.#fenced = true;
    this.#outputs.push({ t: "fenced", reason });
  }

  /** A third of the time to live, with 10 % jitter either way. */
  #intervalUs(): number {
    return Math.floor(((this.#grantedSec * SEC_US) / 3) * (0.9 + 0.2 * unit(this.#rng)));
  }

  #emitOp(op: StoreOp): void {
    this.#outputs.push({ t: "op", op });
  }

  #log(level: LogOutput["level"], message: string): void {
    this.#outputs.push(logOutput(level, message));
  }
}
