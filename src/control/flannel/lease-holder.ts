// Holding a subnet's key: what both lease modes have in common, and the mode that keeps one etcd lease alive. Flannel's own
// mode is in `renew-holder.ts`. Read specs on etcd §4 (LeaseKeeper) first.
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import { type Rng } from "../../base/rng.ts";
import { type Instant, NEVER } from "../../base/time.ts";
import { Backoff } from "../datastore/backoff.ts";
import { LeaseKeeper } from "../datastore/lease-keeper.ts";
import {
  type KeyValue,
  type LeaseId,
  NO_LEASE,
  type StoreEvent,
  type StoreOp,
} from "../datastore/messages.ts";
import { type OpIds, PendingOps } from "../datastore/pending-ops.ts";
import { type LogOutput, logOutput } from "../log.ts";
import { parsePeer } from "./lease-watcher.ts";

/** The key that this node holds. */
export interface HeldKey {
  readonly key: string;
  readonly value: Uint8Array;
  readonly publicIp: Ipv4Addr;
  readonly lease: LeaseId;
  readonly createRevision: number;
  readonly modRevision: number;
}

export type HolderOutput =
  | { readonly t: "op"; readonly op: StoreOp }
  /** There is a lease to claim with. */
  | { readonly t: "granted"; readonly lease: LeaseId }
  | { readonly t: "fenced"; readonly reason: string }
  | { readonly t: "unfenced" }
  /** The etcd lease has ended without anybody's will: the key may be claimed again. */
  | { readonly t: "lost"; readonly lease: LeaseId }
  /** The key hangs on this etcd lease now. */
  | { readonly t: "renewed"; readonly lease: LeaseId }
  /** Somebody took the key away. */
  | { readonly t: "revoked"; readonly message: string }
  | { readonly t: "stopped" }
  | LogOutput;

export interface LeaseHolder {
  /** The etcd lease to claim with, or that the key hangs on. */
  readonly lease: LeaseId | undefined;
  /** Until when this node may act as the holder; NEVER without a limit. */
  readonly validUntil: Instant;
  /** May this node act as the holder now? Right even when no timer has fired yet. */
  isValid(now: Instant): boolean;
  /** Asks for a lease; `granted` follows. */
  request(now: Instant): void;
  /** The key has been claimed. */
  hold(held: HeldKey, now: Instant): void;
  /** The watch shows that the held key was written. */
  onPut(kv: KeyValue, now: Instant): void;
  /** The watch or a list of this revision shows that the held key is gone. `wiped`: so is the store that we knew. */
  onGone(revision: number, wiped: boolean, now: Instant): void;
  /** The store says that `lease` does not exist. */
  gone(lease: LeaseId, now: Instant): void;
  stop(revoke: boolean, now: Instant): void;
  handle(event: StoreEvent, now: Instant): boolean;
  tick(now: Instant): void;
  poll(): HolderOutput | undefined;
  nextDeadline(): Instant;
}

/** One etcd lease for as long as the node lives, and its key on it. */
export class KeepaliveHolder implements LeaseHolder {
  readonly #keeper: LeaseKeeper;
  readonly #ops: PendingOps<"ttl" | "reattach">;
  readonly #backoff: Backoff;
  readonly #outputs: HolderOutput[] = [];
  #held: HeldKey | undefined;
  /** The key was seen to be gone; `wiped` if it went with its store. */
  #missing: { readonly wiped: boolean } | undefined;
  #fenced = false;
  /** `lost` was said: until the key is held again, whoever claims it decides what its writes mean. */
  #lost = false;
  /** When to ask again whether the lease of the missing key lives. */
  #askAt: Instant = NEVER;

  constructor(options: { readonly ttlSec: number; readonly ids: OpIds; readonly rng: Rng }) {
    this.#keeper = new LeaseKeeper(options);
    this.#ops = new PendingOps(options.ids);
    this.#backoff = new Backoff(options.rng);
  }

  get lease(): LeaseId | undefined {
    return this.#keeper.lease;
  }

  get validUntil(): Instant {
    return this.#keeper.validUntil;
  }

  isValid(now: Instant): boolean {
    return this.#held !== undefined && this.#missing === undefined && this.#keeper.isValid(now);
  }

  request(now: Instant): void {
    this.#keeper.start(now);
    this.#drain(now);
  }

  hold(held: HeldKey, now: Instant): void {
    this.#held = held;
    this.#missing = undefined;
    this.#lost = false;
    this.#askAt = NEVER;
    this.#ops.clear();
    this.#settle(now, "the lease ended before its subnet was claimed");
  }

  onPut(kv: KeyValue, now: Instant): void {
    const held = this.#held;
    if (held === undefined || this.#lost || kv.modRevision < held.modRevision) return;
    if (kv.lease === held.lease) {
      this.#held = { ...held, modRevision: kv.modRevision, createRevision: kv.createRevision };
      this.#missing = undefined;
      this.#settle(now, "");
      return;
    }
    const peer = parsePeer(kv);
    const isOurs = peer.ok && peer.value.attrs.publicIp === held.publicIp;
    if (kv.lease === NO_LEASE && isOurs) {
      // Written by hand, without a lease: a reservation for us. Nobody else takes it, and it hangs on our lease again.
      this.#outputs.push(
        logOutput("info", `${held.key} was written without a lease: attaching it to ours again`),
      );
      this.#held = { ...held, modRevision: kv.modRevision, createRevision: kv.createRevision };
      this.#reattach(now);
      return;
    }
    this.#missing = { wiped: false };
    this.#settle(now, "somebody else holds the key of the lease");
    const who = isOurs ? "another process with this node's address" : "another node";
    this.#outputs.push({ t: "revoked", message: `${held.key} was taken over by ${who}` });
  }

  onGone(revision: number, wiped: boolean, now: Instant): void {
    const held = this.#held;
    if (held === undefined || this.#lost || this.#missing !== undefined) return;
    if (!wiped && revision < held.modRevision) return;
    this.#missing = { wiped };
    this.#settle(now, "the key of the lease is gone from the store");
    this.#askTtl(now);
  }

  gone(lease: LeaseId, now: Instant): void {
    this.#keeper.gone(lease, now);
    this.#drain(now);
  }

  stop(revoke: boolean, now: Instant): void {
    this.#ops.clear();
    this.#askAt = NEVER;
    if (revoke && this.#held !== undefined) {
      this.#missing = { wiped: false };
      this.#settle(now, "stopping");
    }
    this.#held = undefined;
    this.#keeper.stop(revoke, now);
    this.#drain(now);
  }

  handle(event: StoreEvent, now: Instant): boolean {
    if (this.#keeper.handle(event, now)) {
      this.#drain(now);
      return true;
    }
    this.#drain(now);
    if (event.t !== "leaseTimeToLive" && event.t !== "txnDone" && event.t !== "opFailed") return false;
    const op = this.#ops.settle(event.id);
    if (op === undefined) return false;
    if (event.t === "leaseTimeToLive") this.#onTtl(event.lease, event.ttlSec, now);
    else if (event.t === "opFailed") this.#onFailed(now);
    // A transaction that did not succeed was overtaken by another write, which the watch shows.
    return true;
  }

  tick(now: Instant): void {
    this.#keeper.tick(now);
    this.#drain(now);
    while (this.#ops.expire(now) !== undefined) this.#onFailed(now);
    if (now < this.#askAt) return;
    this.#askAt = NEVER;
    if (this.#missing !== undefined) this.#askTtl(now);
    else this.#reattach(now);
  }

  poll(): HolderOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    return Math.min(this.#keeper.nextDeadline(), this.#ops.nextDeadline(), this.#askAt);
  }

  /** The key is gone: by hand, if its lease lives; else because the lease has ended. */
  #askTtl(now: Instant): void {
    const lease = this.#held?.lease;
    if (lease === undefined || lease !== this.#keeper.lease) return;
    this.#outputs.push({ t: "op", op: { t: "leaseTimeToLive", id: this.#ops.issue("ttl", now), lease } });
  }

  #onTtl(lease: LeaseId, ttlSec: number, now: Instant): void {
    const held = this.#held;
    const missing = this.#missing;
    if (held === undefined || missing === undefined || lease !== this.#keeper.lease) return;
    if (ttlSec < 0) this.gone(lease, now);
    else if (missing.wiped) this.#sayLost(lease);
    else this.#outputs.push({ t: "revoked", message: `${held.key} was deleted while its lease was alive` });
  }

  #sayLost(lease: LeaseId): void {
    this.#lost = true;
    this.#askAt = NEVER;
    this.#ops.clear();
    this.#outputs.push({ t: "lost", lease });
  }

  #reattach(now: Instant): void {
    const held = this.#held;
    if (held === undefined) return;
    const { key, value, lease, modRevision } = held;
    this.#outputs.push({
      t: "op",
      op: {
        t: "txn",
        id: this.#ops.issue("reattach", now),
        compares: [{ key, target: "mod", op: "equal", operand: modRevision }],
        success: [{ t: "put", key, value, lease }],
        failure: [],
      },
    });
  }

  #onFailed(now: Instant): void {
    this.#askAt = this.#backoff.next(now);
  }

  #drain(now: Instant): void {
    for (let out = this.#keeper.poll(); out !== undefined; out = this.#keeper.poll()) {
      switch (out.t) {
        case "op":
        case "log":
        case "stopped":
          this.#outputs.push(out);
          break;
        case "granted":
          this.#outputs.push({ t: "granted", lease: out.lease });
          break;
        case "fenced":
          this.#settle(now, out.reason);
          break;
        case "unfenced":
          this.#settle(now, "");
          break;
        case "lost":
          if (this.#held !== undefined) this.#missing ??= { wiped: false };
          this.#settle(now, "the store no longer has the lease");
          this.#sayLost(out.lease);
          break;
      }
    }
  }

  /** Says so when this node has become, or has ceased to be, the valid holder. */
  #settle(now: Instant, reason: string): void {
    if (this.#held === undefined) return;
    const fenced = !this.isValid(now);
    if (fenced === this.#fenced) return;
    this.#fenced = fenced;
    this.#outputs.push(fenced ? { t: "fenced", reason } : { t: "unfenced" });
  }
}
