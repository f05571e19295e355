// Gets this node a subnet, or gets its own one back. Read specs on flannel §1.4 to §1.6 first, then etcd §4 on claims.
//
// What is safe by default, and how flanneld (`strict`) differs:
//   - every claim is a transaction: a new subnet on its key not existing, one that exists on its mod revision. flanneld
//     overwrites a lease with its own PublicIP unconditionally;
//   - a lost race is tried again with the list that the failed transaction returns. flanneld dies;
//   - a lease with our PublicIP that is not known as ours (by the etcd lease that the last run left in its state file) is
//     taken over only when its holder no longer refreshes it (`holder-probe.ts`): two nodes with one address are told so.
//     flanneld lets both use it;
//   - a claim whose outcome is unknown is found again by its etcd lease, whose id nobody else can have;
//   - a key without an etcd lease is a reservation for the PublicIP in its value. Only that node converts it.
import { formatIpv4, formatPrefix, type Prefix } from "../../base/ipv4-addr.ts";
import { type Instant, NEVER, SEC_US } from "../../base/time.ts";
import { encodeUtf8 } from "../../base/utf8.ts";
import { Backoff } from "../datastore/backoff.ts";
import {
  type KeyValue,
  type LeaseId,
  NO_LEASE,
  type StoreErrorCode,
  type StoreEvent,
  type StoreOp,
} from "../datastore/messages.ts";
import { type OpIds, PendingOps } from "../datastore/pending-ops.ts";
import { type LogOutput, logOutput } from "../log.ts";
import { type Claim, claimTxn, rangeReply, removeTxn, type Seize } from "./claim.ts";
import { type ClaimContext, type ClaimJob, decideClaim } from "./claim-decision.ts";
import { HolderProbe } from "./holder-probe.ts";
import { emitLeaseAttrs, type LeaseAttrs } from "./lease-attrs.ts";
import type { NetConf } from "./net-conf.ts";
import { subnetsRange } from "./subnet-key.ts";

/** Lists that one acquisition reads before it gives up, and lost races that it goes through on each. */
const ROUNDS_MAX = 10;
const RACES_PER_ROUND = 10;

/** Complaints remembered, so that each is made once. A hostile store may produce any number. */
const SAID_MAX = 1_000;

export interface AcquirerOptions extends ClaimContext {
  readonly ids: OpIds;
}

export type AcquirerOutput =
  | { readonly t: "op"; readonly op: StoreOp }
  /** A lease is wanted now: answer with `leaseReady`. */
  | { readonly t: "needLease" }
  /** The store says that the lease given does not exist. Another will be asked for. */
  | { readonly t: "leaseGone"; readonly lease: LeaseId }
  | {
      readonly t: "claimed";
      readonly subnet: Prefix;
      readonly lease: LeaseId;
      readonly createRevision: number;
      readonly modRevision: number;
      /** The configuration that the subnet was chosen by; undefined for a subnet that was got back. */
      readonly config: NetConf | undefined;
    }
  /** The subnet to be got back is somebody else's now. */
  | { readonly t: "taken"; readonly message: string }
  | { readonly t: "fatal"; readonly message: string }
  | LogOutput;

type What =
  | { readonly t: "list" | "forget" }
  | { readonly t: "ttl"; readonly seize: Seize }
  | { readonly t: "remove"; readonly key: string; readonly kvs: readonly KeyValue[] }
  | { readonly t: "claim"; readonly claim: Claim; readonly lease: LeaseId };

const FAILED = "Error registering network: failed to acquire lease:";

export class LeaseAcquirer {
  readonly #options: AcquirerOptions;
  readonly #ops: PendingOps<What>;
  readonly #backoff: Backoff;
  readonly #outputs: AcquirerOutput[] = [];
  #job: ClaimJob | undefined;
  #value: Uint8Array = new Uint8Array(0);
  #lease: LeaseId | undefined;
  /** Waits for a lease. */
  #wanted: Claim | undefined;
  #rounds = 0;
  #races = 0;
  #probe: { readonly key: string; readonly holder: HolderProbe } | undefined;
  /** When to read the list again. */
  #retryAt: Instant = NEVER;
  /** Said already: a key that is bad stays bad from list to list. */
  readonly #said = new Set<string>();

  constructor(options: AcquirerOptions) {
    this.#options = options;
    this.#ops = new PendingOps(options.ids);
    this.#backoff = new Backoff(options.rng);
  }

  get busy(): boolean {
    return this.#job !== undefined;
  }

  /** Takes any subnet, by flanneld's algorithm. @param lease one that is already there */
  acquire(config: NetConf, attrs: LeaseAttrs, lease: LeaseId | undefined, now: Instant): void {
    this.#start({ t: "acquire", config }, attrs, lease, now);
  }

  /** Gets back the subnet that was ours under `oldLease`. */
  reclaim(
    subnet: Prefix,
    oldLease: LeaseId,
    attrs: LeaseAttrs,
    lease: LeaseId | undefined,
    now: Instant,
  ): void {
    this.#start({ t: "reclaim", subnet, oldLease }, attrs, lease, now);
  }

  /** A lease to claim with. */
  leaseReady(lease: LeaseId, now: Instant): void {
    this.#lease = lease;
    const claim = this.#wanted;
    this.#wanted = undefined;
    if (claim !== undefined) this.#claim(claim, now);
  }

  /** The lease that was given is no more. */
  leaseLost(): void {
    this.#lease = undefined;
  }

  stop(): void {
    this.#job = undefined;
    this.#wanted = undefined;
    this.#retryAt = NEVER;
    this.#ops.clear();
  }

  /** Takes an event of the store. Answers false when it is somebody else's. */
  handle(event: StoreEvent, now: Instant): boolean {
    if (!("id" in event)) return false;
    const op = this.#ops.settle(event.id);
    if (op === undefined) return false;
    if (this.#job === undefined || op.what.t === "forget") return true;
    if (event.t === "opFailed") this.#onFailed(op.what, event.code, event.message, now);
    else if (event.t === "rangeDone") this.#onRange(op.what, event.kvs, now);
    else if (event.t === "txnDone") this.#onTxn(op.what, event, now);
    else if (event.t === "leaseTimeToLive")
      this.#onTtl(op.what, event.ttlSec, event.grantedTtlSec, op.sentAt, now);
    return true;
  }

  tick(now: Instant): void {
    for (let op = this.#ops.expire(now); op !== undefined; op = this.#ops.expire(now)) {
      if (op.what.t !== "forget") this.#onFailed(op.what, "timeout", "no answer", now);
    }
    if (now < this.#retryAt) return;
    this.#retryAt = NEVER;
    this.#list(now);
  }

  poll(): AcquirerOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    return Math.min(this.#retryAt, this.#ops.nextDeadline());
  }

  #start(job: ClaimJob, attrs: LeaseAttrs, lease: LeaseId | undefined, now: Instant): void {
    this.stop();
    this.#job = job;
    this.#value = encodeUtf8(emitLeaseAttrs(attrs));
    this.#lease = lease;
    this.#rounds = 0;
    this.#races = 0;
    this.#probe = undefined;
    this.#backoff.reset();
    this.#list(now);
  }

  // ---- reading ----

  #list(now: Instant): void {
    const id = this.#ops.issue({ t: "list" }, now);
    this.#emitOp({ t: "range", id, range: subnetsRange(this.#options.prefix) });
  }

  #onRange(what: What, kvs: readonly KeyValue[], now: Instant): void {
    this.#backoff.reset();
    if (what.t !== "list") return;
    this.#rounds++;
    this.#races = 0;
    this.#decide(kvs, undefined, now);
  }

  // ---- deciding ----

  /** @param removed the key that this round has removed */
  #decide(kvs: readonly KeyValue[], removed: string | undefined, now: Instant): void {
    const progress = { kvs, lease: this.#lease, value: this.#value, removed, raced: this.#races > 0 };
    const { decision, logs } = decideClaim(this.#options, this.#job as ClaimJob, progress);
    for (const log of logs) this.#logOnce(log.message, log.level);
    switch (decision.t) {
      case "held":
        this.#finish(decision.subnet, decision.kv.lease, decision.kv, decision.kv.modRevision);
        return;
      case "claim":
        this.#claim(decision.claim, now);
        return;
      case "seize":
        if (decision.ask) this.#askHolder(decision.seize, now);
        else this.#seize(decision.seize, kvs, now);
        return;
      case "taken":
        this.stop();
        this.#outputs.push(decision);
        return;
      case "exhausted":
        this.#fatal(`${FAILED} ${decision.message}`);
        return;
    }
  }

  // ---- a lease with our address ----

  #askHolder(seize: Seize, now: Instant): void {
    const kv = seize.seen;
    const key = `${kv.key}@${kv.lease}`;
    if (this.#probe?.key !== key) {
      this.#probe = { key, holder: new HolderProbe() };
      const ip = formatIpv4(this.#options.publicIp);
      this.#log(
        "info",
        `Lease ${kv.key} names our address ${ip} but is not known as ours: watching whether it is renewed`,
      );
    }
    this.#emitOp({ t: "leaseTimeToLive", id: this.#ops.issue({ t: "ttl", seize }, now), lease: kv.lease });
  }

  #onTtl(what: What, ttlSec: number, grantedTtlSec: number, sentAt: Instant, now: Instant): void {
    const probe = this.#probe;
    if (what.t !== "ttl" || probe === undefined) return;
    const verdict = probe.holder.judge(ttlSec, grantedTtlSec, sentAt, now);
    const kv = what.seize.seen;
    if (verdict === "alive") {
      this.#fatal(
        `lease for ${formatIpv4(this.#options.publicIp)} is held by another live node: ${kv.key} (etcd lease ${kv.lease}) ` +
          "is being renewed. Give every node an address of its own, or stop the other one",
      );
    } else if (verdict === "dead") {
      this.#log("info", `Nobody renews lease ${kv.key}: taking it over`);
      this.#seize(what.seize, [], now);
    } else {
      // Not a new round: nothing was tried and nothing failed.
      this.#rounds = 0;
      this.#retryAt = now + SEC_US;
    }
  }

  /** @param kvs the list that the decision was made by, if it is still good */
  #seize(seize: Seize, kvs: readonly KeyValue[], now: Instant): void {
    if (!seize.remove) {
      this.#claim(seize, now);
      return;
    }
    const id = this.#ops.issue({ t: "remove", key: seize.seen.key, kvs }, now);
    this.#emitOp(removeTxn(id, seize.seen, seize.kind === "force"));
  }

  // ---- claiming ----

  #claim(claim: Claim, now: Instant): void {
    const lease = this.#lease;
    if (lease === undefined) {
      this.#wanted = claim;
      this.#outputs.push({ t: "needLease" });
      return;
    }
    const id = this.#ops.issue({ t: "claim", claim, lease }, now);
    this.#emitOp(claimTxn(id, this.#options.prefix, claim, this.#value, lease));
  }

  #onTxn(what: What, event: Extract<StoreEvent, { readonly t: "txnDone" }>, now: Instant): void {
    this.#backoff.reset();
    const listed = rangeReply(event.replies);
    if (what.t === "remove") {
      // flanneld goes on with the list it had: what it has just deleted blocks its subnet still.
      if (event.succeeded && what.kvs.length > 0) this.#decide(what.kvs, what.key, now);
      else this.#list(now);
      return;
    }
    if (what.t !== "claim") return;
    const { claim, lease } = what;
    if (!event.succeeded) {
      this.#onLostRace(listed ?? [], now);
    } else if (lease !== this.#lease) {
      // The claim stands on a lease that has been lost meanwhile.
      this.#list(now);
    } else {
      const seen = claim.kind === "fresh" ? undefined : claim.seen;
      this.#finish(claim.subnet, lease, listed?.[0] ?? seen, event.header.revision);
      this.#revokeOrphan(seen, lease, now);
    }
  }

  /** The lease of our last run, or of a holder that is dead, has nothing left to hold. */
  #revokeOrphan(seen: KeyValue | undefined, lease: LeaseId, now: Instant): void {
    const { strict, judgeHolders } = this.#options;
    if (seen === undefined || strict || !judgeHolders || seen.lease === NO_LEASE || seen.lease === lease)
      return;
    this.#emitOp({ t: "leaseRevoke", id: this.#ops.issue({ t: "forget" }, now), lease: seen.lease });
  }

  #onLostRace(kvs: readonly KeyValue[], now: Instant): void {
    if (this.#options.strict && this.#job?.t === "acquire") {
      this.#fatal(`${FAILED} subnet already exists`);
      return;
    }
    this.#races++;
    if (this.#races < RACES_PER_ROUND) this.#decide(kvs, undefined, now);
    else if (this.#rounds < ROUNDS_MAX || this.#job?.t === "reclaim") this.#retryAt = this.#backoff.next(now);
    else this.#fatal(`${FAILED} max retries reached trying to acquire a subnet`);
  }

  #finish(subnet: Prefix, lease: LeaseId, kv: KeyValue | undefined, revision: number): void {
    const config = this.#job?.t === "acquire" ? this.#job.config : undefined;
    const ip = formatIpv4(this.#options.publicIp);
    this.#log("info", `Allocated lease (ip: ${formatPrefix(subnet)} ipv6: ::/0) to current node (${ip}) `);
    this.stop();
    const createRevision = kv?.createRevision ?? revision;
    this.#outputs.push({ t: "claimed", subnet, lease, createRevision, modRevision: revision, config });
  }

  #onFailed(what: What, code: StoreErrorCode, message: string, now: Instant): void {
    if (code === "denied" || code === "invalid" || code === "unimplemented") {
      this.#fatal(`${FAILED} the store refuses: ${message}`);
      return;
    }
    if (what.t === "claim" && code === "leaseNotFound") {
      if (this.#lease === what.lease) this.#lease = undefined;
      this.#outputs.push({ t: "leaseGone", lease: what.lease });
    }
    this.#probe?.holder.reset();
    // Whether a claim was done or not shows in the next list.
    this.#rounds = 0;
    this.#logOnce(`acquiring a lease: ${message}, trying again`);
    this.#retryAt = this.#backoff.next(now);
  }

  #fatal(message: string): void {
    this.stop();
    this.#outputs.push({ t: "fatal", message });
  }

  #emitOp(op: StoreOp): void {
    this.#outputs.push({ t: "op", op });
  }

  #log(level: LogOutput["level"], message: string): void {
    this.#outputs.push(logOutput(level, message));
  }

  /** What is said already is for debugging only: a key that is bad stays bad from list to list. */
  #logOnce(message: string, level: LogOutput["level"] = "warn"): void {
    this.#log(this.#said.has(message) ? "debug" : level, message);
    if (this.#said.size < SAID_MAX) this.#said.add(message);
  }
}
