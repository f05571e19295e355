// Flannel's own way to hold a subnet: an etcd lease of a day, never kept alive, replaced by a new one an hour before its
// end. Read specs on flannel §1.5 and §1.7 (own lease) first.
//
// By default a renewal is a transaction on the mod revision that this node wrote last, and the node is fenced when its lease
// may have ended: one that slept past it never takes back a subnet that another owns. With `strict` a renewal is a blind
// put, nothing is fenced, and quirk Q3 holds: one failed first read of the own lease ends its monitoring for good.
import { type Instant, NEVER, SEC_US } from "../../base/time.ts";
import { leaseMarginUs } from "../datastore/lease-keeper.ts";
import { type KeyValue, type LeaseId, NO_LEASE, type StoreEvent } from "../datastore/messages.ts";
import { type OpIds, PendingOps } from "../datastore/pending-ops.ts";
import { logOutput } from "../log.ts";
import { rangeReply } from "./claim.ts";
import { formatGoDuration } from "./go-duration.ts";
import type { HeldKey, HolderOutput, LeaseHolder } from "./lease-holder.ts";
import { parsePeer } from "./lease-watcher.ts";

type What =
  | { readonly t: "grant" | "monitor" | "revoke" }
  | { readonly t: "put"; readonly lease: LeaseId }
  | { readonly t: "ttl"; readonly kv: KeyValue };

/** When a lease was asked for, and how long it lives. */
interface Grant {
  readonly sentAt: Instant;
  readonly ttlSec: number;
}

const RETRY_US = 60 * SEC_US;

export interface RenewOptions {
  readonly ttlSec: number;
  readonly renewMarginSec: number;
  readonly strict: boolean;
  readonly ids: OpIds;
}

export class RenewHolder implements LeaseHolder {
  readonly #options: RenewOptions;
  readonly #ops: PendingOps<What>;
  readonly #outputs: HolderOutput[] = [];
  /** Leases granted to us of which a key of ours may hang on one. */
  readonly #grants = new Map<LeaseId, Grant>();
  /** Granted, and not used for a put yet. */
  #spare: LeaseId | undefined;
  #held: HeldKey | undefined;
  #fenced = false;
  #monitoring = true;
  /** When the key's lease ends, by this node's reckoning. */
  #expiresAt: Instant = NEVER;
  #renewAt: Instant = NEVER;
  /** Retry of a first grant. */
  #grantAt: Instant = NEVER;
  #stopping = false;

  constructor(options: RenewOptions) {
    this.#options = options;
    this.#ops = new PendingOps(options.ids);
  }

  get lease(): LeaseId | undefined {
    return this.#held?.lease ?? this.#spare;
  }

  get validUntil(): Instant {
    if (this.#options.strict) return this.#expiresAt;
    const marginUs = Math.min(
      leaseMarginUs(this.#options.ttlSec),
      (this.#options.renewMarginSec * SEC_US) / 2,
    );
    return this.#expiresAt - marginUs;
  }

  isValid(now: Instant): boolean {
    return this.#held !== undefined && (this.#options.strict || now < this.validUntil);
  }

  request(now: Instant): void {
    if (this.#spare !== undefined) this.#outputs.push({ t: "granted", lease: this.#spare });
    else this.#grant(now);
  }

  hold(held: HeldKey, now: Instant): void {
    this.#held = held;
    this.#spare = undefined;
    const grant = this.#grants.get(held.lease) ?? { sentAt: now, ttlSec: this.#options.ttlSec };
    this.#expire(grant.sentAt + grant.ttlSec * SEC_US, now);
    if (this.#options.strict) {
      const id = this.#ops.issue({ t: "monitor" }, now);
      this.#outputs.push({ t: "op", op: { t: "range", id, range: { key: held.key, rangeEnd: undefined } } });
    }
    this.#settle(now);
  }

  onPut(kv: KeyValue, now: Instant): void {
    const held = this.#held;
    if (held === undefined || !this.#monitoring || kv.modRevision < held.modRevision) return;
    if (kv.lease === held.lease) {
      this.#held = { ...held, modRevision: kv.modRevision };
    } else if (this.#options.strict) {
      this.#outputs.push({
        t: "op",
        op: { t: "leaseTimeToLive", id: this.#ops.issue({ t: "ttl", kv }, now), lease: kv.lease },
      });
    } else {
      this.#examine(kv, now);
    }
  }

  onGone(revision: number, wiped: boolean, now: Instant): void {
    const held = this.#held;
    if (held === undefined || !this.#monitoring || (!wiped && revision < held.modRevision)) return;
    this.#revoked(`${held.key} is gone from the store`, now);
  }

  gone(lease: LeaseId): void {
    this.#grants.delete(lease);
    if (lease !== this.#spare) return;
    this.#spare = undefined;
    this.#outputs.push({ t: "lost", lease });
  }

  stop(revoke: boolean, now: Instant): void {
    if (this.#stopping) return;
    this.#stopping = true;
    const lease = this.lease;
    if (revoke && this.#held !== undefined && !this.#fenced) this.#fence("stopping");
    this.#held = undefined;
    this.#spare = undefined;
    this.#renewAt = NEVER;
    this.#grantAt = NEVER;
    this.#expiresAt = NEVER;
    this.#ops.clear();
    if (!revoke || lease === undefined) {
      this.#outputs.push({ t: "stopped" });
      return;
    }
    this.#outputs.push({
      t: "op",
      op: { t: "leaseRevoke", id: this.#ops.issue({ t: "revoke" }, now), lease },
    });
  }

  handle(event: StoreEvent, now: Instant): boolean {
    if (event.t === "slept") this.#onSlept(event.forUs);
    this.#settle(now);
    if (!("id" in event)) return event.t === "slept";
    const op = this.#ops.settle(event.id);
    if (op === undefined) return false;
    const { what } = op;
    if (event.t === "opFailed") this.#onFailed(what, event.message, now);
    else if (what.t === "revoke") this.#outputs.push({ t: "stopped" });
    else if (event.t === "leaseGranted")
      this.#onGranted(event.lease, { sentAt: op.sentAt, ttlSec: event.ttlSec }, now);
    else if (event.t === "txnDone" && what.t === "put") {
      const kv = rangeReply(event.replies)?.[0];
      if (event.succeeded) this.#onRenewed(what.lease, kv?.modRevision ?? event.header.revision, now);
      else if (kv === undefined) this.#revoked("the key of the lease is gone from the store", now);
      else this.#examine(kv, now);
    } else if (event.t === "rangeDone") this.#onMonitor(event.kvs[0], now);
    else if (event.t === "leaseTimeToLive" && what.t === "ttl")
      this.#onForeignLease(what.kv, event.ttlSec, now);
    return true;
  }

  tick(now: Instant): void {
    this.#settle(now);
    for (let op = this.#ops.expire(now); op !== undefined; op = this.#ops.expire(now)) {
      this.#onFailed(op.what, "no answer", now);
    }
    if (now >= this.#renewAt || now >= this.#grantAt) {
      this.#renewAt = NEVER;
      this.#grantAt = NEVER;
      this.#grant(now);
    }
  }

  poll(): HolderOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    const fence =
      this.#held !== undefined && !this.#fenced && !this.#options.strict ? this.validUntil : NEVER;
    return Math.min(this.#renewAt, this.#grantAt, this.#ops.nextDeadline(), fence);
  }

  /** All that has been counted from before the sleep has come nearer. */
  #onSlept(forUs: number): void {
    this.#expiresAt -= forUs;
    this.#renewAt -= forUs;
    this.#ops.backdate(forUs);
    for (const [lease, grant] of this.#grants) {
      this.#grants.set(lease, { ...grant, sentAt: grant.sentAt - forUs });
    }
  }

  #grant(now: Instant): void {
    const id = this.#ops.issue({ t: "grant" }, now);
    this.#outputs.push({ t: "op", op: { t: "leaseGrant", id, ttlSec: this.#options.ttlSec } });
  }

  #onGranted(lease: LeaseId, grant: Grant, now: Instant): void {
    for (const [old, { sentAt, ttlSec }] of this.#grants) {
      if (sentAt + ttlSec * SEC_US < now) this.#grants.delete(old);
    }
    this.#grants.set(lease, grant);
    if (this.#held === undefined) {
      this.#spare = lease;
      this.#outputs.push({ t: "granted", lease });
    } else {
      this.#put(this.#held, lease, now);
    }
  }

  #put(held: HeldKey, lease: LeaseId, now: Instant): void {
    const { key, value, modRevision } = held;
    const range = { key, rangeEnd: undefined };
    this.#outputs.push({
      t: "op",
      op: {
        t: "txn",
        id: this.#ops.issue({ t: "put", lease }, now),
        compares: this.#options.strict ? [] : [{ key, target: "mod", op: "equal", operand: modRevision }],
        success: [
          { t: "put", key, value, lease },
          { t: "range", range },
        ],
        failure: [{ t: "range", range }],
      },
    });
  }

  #onRenewed(lease: LeaseId, modRevision: number, now: Instant): void {
    const held = this.#held;
    const grant = this.#grants.get(lease);
    if (held === undefined || grant === undefined) return;
    this.#held = { ...held, lease, modRevision };
    for (const old of this.#grants.keys()) if (old !== lease) this.#grants.delete(old);
    this.#expire(grant.sentAt + grant.ttlSec * SEC_US, now);
    const left = formatGoDuration(this.#expiresAt - now);
    this.#outputs.push(
      { t: "renewed", lease },
      logOutput("info", `Lease renewed, new expiration in ${left}`),
    );
    this.#settle(now);
  }

  /** The key is not as we wrote it last: it may be ours all the same, or somebody else's. */
  #examine(kv: KeyValue, now: Instant): void {
    const held = this.#held;
    if (held === undefined) return;
    if (this.#grants.has(kv.lease)) {
      // A renewal whose answer was lost, or a hand that changed the value and left the lease.
      this.#onRenewed(kv.lease, kv.modRevision, now);
      return;
    }
    const peer = parsePeer(kv);
    if (kv.lease === NO_LEASE && peer.ok && peer.value.attrs.publicIp === held.publicIp) {
      this.#outputs.push(logOutput("info", `${held.key} was written without a lease: giving it one again`));
      this.#held = { ...held, modRevision: kv.modRevision };
      this.#renewAt = now;
      return;
    }
    this.#revoked(`${held.key} was taken over by another process`, now);
  }

  /** Strict: whoever wrote the own key, flanneld takes its expiry for its own. */
  #onForeignLease(kv: KeyValue, ttlSec: number, now: Instant): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = { ...held, lease: kv.lease, modRevision: kv.modRevision };
    this.#expire(now + ttlSec * SEC_US, now);
    this.#outputs.push(
      logOutput("info", `Waiting for ${formatGoDuration(this.#renewAt - now)} to renew lease`),
    );
  }

  #onMonitor(kv: KeyValue | undefined, now: Instant): void {
    if (kv === undefined) this.#stopMonitoring("etcdserver: key not found");
    else
      this.#outputs.push(
        logOutput("info", `Waiting for ${formatGoDuration(this.#renewAt - now)} to renew lease`),
      );
  }

  /** Q3. */
  #stopMonitoring(message: string): void {
    this.#monitoring = false;
    this.#renewAt = NEVER;
    this.#outputs.push(
      logOutput("error", `Subnet watch failed: ${message}`),
      logOutput("info", "Stopped monitoring lease"),
    );
  }

  #onFailed(what: What, message: string, now: Instant): void {
    if (what.t === "revoke") {
      this.#outputs.push(
        logOutput("warn", `the lease could not be revoked (${message}): it will expire by itself`),
      );
      this.#outputs.push({ t: "stopped" });
    } else if (what.t === "monitor") {
      this.#stopMonitoring(message);
    } else if (what.t !== "ttl" && this.#held === undefined) {
      this.#outputs.push(logOutput("warn", `lease grant failed, trying again: ${message}`));
      this.#grantAt = now + SEC_US;
    } else if (what.t !== "ttl") {
      this.#outputs.push(logOutput("error", `Error renewing lease (trying again in 1 min): ${message}`));
      this.#renewAt = this.#monitoring ? now + this.#retryUs : NEVER;
    }
  }

  /** A minute, or less where the margin is too short for that. */
  get #retryUs(): number {
    if (this.#options.strict) return RETRY_US;
    return Math.min(RETRY_US, Math.max(SEC_US, (this.#options.renewMarginSec * SEC_US) / 10));
  }

  /** The lease ends at `at`: renew it the margin before, but not before a third of its time has passed. */
  #expire(at: Instant, now: Instant): void {
    const { ttlSec, renewMarginSec, strict } = this.#options;
    this.#expiresAt = at;
    if (!this.#monitoring) return;
    const renewAt = at - renewMarginSec * SEC_US;
    this.#renewAt = strict ? Math.max(now, renewAt) : Math.max(renewAt, at - (ttlSec * SEC_US * 2) / 3);
  }

  #revoked(message: string, now: Instant): void {
    if (!this.#fenced) this.#fence("the subnet was lost");
    this.#held = undefined;
    this.#renewAt = NEVER;
    this.#expiresAt = Math.min(this.#expiresAt, now);
    this.#outputs.push({ t: "revoked", message });
  }

  #settle(now: Instant): void {
    if (this.#held === undefined || this.#options.strict) return;
    const valid = this.isValid(now);
    if (!valid && !this.#fenced) this.#fence("the lease could not be renewed in time");
    if (valid && this.#fenced) {
      this.#fenced = false;
      this.#outputs.push({ t: "unfenced" });
    }
  }

  #fence(reason: string): void {
    this.#fenced = true;
    this.#outputs.push({ t: "fenced", reason });
  }
}
