// One node's part of Flannel's protocol: reads the configuration, acquires a subnet, keeps it, and reports the leases of
// the other nodes. Read specs on flannel §0 and §1 first, then etcd §4. This file joins the parts and decides what a loss
// means; the parts are: `config-reader`, `lease-acquirer` (claims), `lease-holder` and `renew-holder` (the two lease modes),
// `lease-feed` (peers, and what becomes of the own key).
//
// Driving it: `start`, then after each of `handle` (one event of the store) and `tick` (when `nextDeadline` has come) drain
// `poll`. After a long pause call `tick` before anything else, or ask `isValid` before each act: it fences by the clock.
//
// When the own subnet is lost:
//   - the etcd lease ended (outage, partition, suspend, wiped store): the node is fenced, and claims the same subnet again
//     with a new lease. `acquired` comes once more, with a new epoch; if somebody else has it, `revoked`;
//   - the key was deleted while its lease lives, or somebody wrote it: `revoked`, as flanneld ends then.
// In renew mode any end of the key is `revoked`, as in flanneld.
import { type Instant, NEVER } from "../../base/time.ts";
import { encodeUtf8 } from "../../base/utf8.ts";
import type { LeaseId, StoreEvent } from "../datastore/messages.ts";
import { OpIds } from "../datastore/pending-ops.ts";
import type { StoreStatus } from "../datastore/reflector.ts";
import { logOutput } from "../log.ts";
import { ConfigReader } from "./config-reader.ts";
import { type AcquirerOutput, LeaseAcquirer } from "./lease-acquirer.ts";
import { emitLeaseAttrs, type LeaseAttrs, type OwnLease } from "./lease-attrs.ts";
import { LeaseFeed, type LeaseFeedOutput } from "./lease-feed.ts";
import { type HolderOutput, KeepaliveHolder, type LeaseHolder } from "./lease-holder.ts";
import type { NetConf } from "./net-conf.ts";
import { RenewHolder } from "./renew-holder.ts";
import { emitSubnetKey } from "./subnet-key.ts";
import type { SubnetManagerOptions, SubnetOutput, SubnetPhase, SubnetStatus } from "./subnet-messages.ts";

export type { OwnLease } from "./lease-attrs.ts";
export type {
  LeaseOptions,
  SubnetManagerOptions,
  SubnetOutput,
  SubnetPhase,
  SubnetStatus,
} from "./subnet-messages.ts";

/** What the parts have in common. `handle` answers false for an event that is not the part's. */
interface Part {
  handle(event: StoreEvent, now: Instant): boolean;
  tick(now: Instant): void;
  nextDeadline(): Instant;
}

const REVOKED = "Lease has been revoked. Shutting down daemon.";

export class SubnetManager {
  readonly #options: SubnetManagerOptions;
  readonly #reader: ConfigReader;
  readonly #acquirer: LeaseAcquirer;
  readonly #holder: LeaseHolder;
  readonly #feed: LeaseFeed;
  /** All of these, the holder first: what time has done to the lease comes before anything else. */
  readonly #parts: readonly Part[];
  readonly #outputs: SubnetOutput[] = [];
  #phase: SubnetPhase = "idle";
  #storeStatus: StoreStatus = "Syncing";
  #config: NetConf | undefined;
  #attrs: LeaseAttrs | undefined;
  #own: OwnLease | undefined;
  #stopped = false;

  constructor(options: SubnetManagerOptions) {
    const { prefix, strict, lease, rng } = options;
    const ids = new OpIds();
    this.#options = options;
    this.#reader = new ConfigReader({ prefix, strict, ids });
    this.#acquirer = new LeaseAcquirer({
      ...options,
      previousLease: options.previousLease,
      judgeHolders: lease.mode === "keepalive",
      ids,
    });
    this.#holder =
      lease.mode === "keepalive"
        ? new KeepaliveHolder({ ttlSec: lease.ttlSec, ids, rng })
        : new RenewHolder({ ttlSec: lease.ttlSec, renewMarginSec: lease.renewMarginSec, strict, ids });
    this.#feed = new LeaseFeed({ ...options, ids });
    this.#parts = [this.#holder, this.#feed, this.#acquirer, this.#reader];
  }

  /** Begins to read the configuration; `config` or `fatal` follows. */
  start(now: Instant): void {
    if (this.#phase !== "idle") return;
    this.#phase = "config";
    this.#reader.read(true, now);
    this.#drain(now);
  }

  /** Acquires a subnet for a node that is reached as `attrs` say; `acquired` or `fatal` follows. */
  acquire(attrs: LeaseAttrs, now: Instant): void {
    if (this.#phase !== "configured") return;
    this.#phase = "acquiring";
    this.#attrs = attrs;
    // flanneld reads the configuration anew here: it may have changed while the backend was being built.
    this.#reader.read(false, now);
    this.#drain(now);
  }

  /** May this node act as the holder of its subnet now? Right even when no timer has fired yet. */
  isValid(now: Instant): boolean {
    return this.#own !== undefined && this.#holder.isValid(now);
  }

  /** Leaves: ends the watch, revokes the lease if asked to; `stopped` follows. */
  stop(revoke: boolean, now: Instant): void {
    if (this.#phase === "stopping") return;
    if (this.#phase === "ended") {
      this.#sayStopped();
      return;
    }
    this.#phase = "stopping";
    this.#reader.stop();
    this.#acquirer.stop();
    this.#feed.stop();
    this.#holder.stop(revoke, now);
    this.#drain(now);
  }

  /** Takes an event of the store. */
  handle(event: StoreEvent, now: Instant): void {
    // First what time has done: a late event must not be acted on with a lease that has ended.
    this.#holder.tick(now);
    this.#drain(now);
    if (this.#feed.status === "Syncing" && this.#own === undefined) this.#noteReach(event);
    for (const part of this.#parts) if (part.handle(event, now)) break;
    this.#drain(now);
  }

  /** Does what is due. Call when {@link nextDeadline} has come. */
  tick(now: Instant): void {
    for (const part of this.#parts) {
      part.tick(now);
      this.#drain(now);
    }
  }

  poll(): SubnetOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    let at = NEVER;
    for (const part of this.#parts) at = Math.min(at, part.nextDeadline());
    return at;
  }

  status(): SubnetStatus {
    return {
      phase: this.#phase,
      store: this.#storeStatus,
      own: this.#own,
      validUntil: this.#own === undefined ? 0 : this.#holder.validUntil,
      peers: this.#feed.peers(),
      ignored: this.#feed.ignored(),
    };
  }

  // ---- what the parts say ----

  /** Moves the parts' outputs on, until none has anything to say. */
  #drain(now: Instant): void {
    for (;;) {
      const held = this.#holder.poll();
      if (held !== undefined) {
        this.#onHolder(held, now);
        continue;
      }
      const read = this.#reader.poll();
      if (read !== undefined) {
        if (read.t === "config") this.#onConfig(read.config, now);
        else if (read.t === "refused") this.#onRefused(read.message, now);
        else this.#emit(read);
        continue;
      }
      const claimed = this.#acquirer.poll();
      if (claimed !== undefined) {
        this.#onAcquirer(claimed, now);
        continue;
      }
      const fed = this.#feed.poll();
      if (fed === undefined) return;
      this.#onFeed(fed, now);
    }
  }

  #onConfig(config: NetConf, now: Instant): void {
    this.#config = config;
    if (this.#phase === "config") {
      this.#phase = "configured";
      this.#emit({ t: "config", config });
    } else if (this.#phase === "acquiring") {
      this.#acquirer.acquire(config, this.#attrs as LeaseAttrs, this.#holder.lease, now);
    }
  }

  #onRefused(message: string, now: Instant): void {
    const acquiring = this.#phase === "acquiring";
    this.#fail(acquiring ? `Error registering network: failed to acquire lease: ${message}` : message, now);
  }

  #onAcquirer(output: AcquirerOutput, now: Instant): void {
    switch (output.t) {
      case "needLease": {
        const { lease } = this.#holder;
        if (lease !== undefined) this.#acquirer.leaseReady(lease, now);
        else this.#holder.request(now);
        return;
      }
      case "leaseGone":
        this.#holder.gone(output.lease, now);
        return;
      case "claimed":
        this.#onClaimed(output, now);
        return;
      case "taken":
        this.#revoke(output.message, now);
        return;
      case "fatal":
        this.#fail(output.message, now);
        return;
      default:
        this.#emit(output);
    }
  }

  #onClaimed(claimed: AcquirerOutput & { t: "claimed" }, now: Instant): void {
    const { subnet, lease, createRevision, modRevision } = claimed;
    const attrs = this.#attrs as LeaseAttrs;
    this.#phase = "running";
    this.#hold({ subnet, lease, epoch: createRevision, attrs }, modRevision, now);
  }

  /** The own key is in the store as `own` says. */
  #hold(own: OwnLease, modRevision: number, now: Instant): void {
    const { prefix, publicIp } = this.#options;
    this.#own = own;
    this.#emit({ t: "acquired", lease: own, config: this.#config as NetConf });
    const key = emitSubnetKey(prefix, own.subnet);
    const value = encodeUtf8(emitLeaseAttrs(own.attrs));
    this.#holder.hold(
      { key, value, publicIp, lease: own.lease, createRevision: own.epoch, modRevision },
      now,
    );
    this.#feed.follow(own, now);
  }

  #onHolder(output: HolderOutput, now: Instant): void {
    switch (output.t) {
      case "granted":
        if (this.#acquirer.busy) this.#acquirer.leaseReady(output.lease, now);
        return;
      case "lost":
        this.#onLost(output.lease, now);
        return;
      case "renewed":
        this.#onRenewed(output.lease, now);
        return;
      case "revoked":
        this.#revoke(output.message, now);
        return;
      case "stopped":
        // After `revoked` and `fatal` the lease is given back as well, but nobody waits for it.
        if (this.#phase === "stopping") this.#sayStopped();
        this.#phase = "ended";
        return;
      default:
        this.#emit(output);
    }
  }

  #onRenewed(lease: LeaseId, now: Instant): void {
    if (this.#own === undefined || this.#own.lease === lease) return;
    this.#own = { ...this.#own, lease };
    this.#feed.follow(this.#own, now);
    this.#emit({ t: "acquired", lease: this.#own, config: this.#config as NetConf });
  }

  /** The etcd lease has ended. What hung on it is claimed again. */
  #onLost(lease: LeaseId, now: Instant): void {
    const own = this.#own;
    // A wiped etcd that starts with the same flags has the same cluster id; when it has grown past the revision that we knew,
    // nothing in its answers tells. But it does not have our lease.
    this.#feed.relist(now);
    if (this.#phase === "running" && own !== undefined) {
      this.#phase = "reclaiming";
      this.#emit(logOutput("warn", "the lease has ended: claiming the same subnet again"));
      this.#acquirer.reclaim(own.subnet, lease, own.attrs, this.#holder.lease, now);
    } else {
      this.#acquirer.leaseLost();
    }
    if (this.#acquirer.busy && this.#holder.lease === undefined) this.#holder.request(now);
  }

  // ---- the leases below the prefix ----

  #onFeed(output: LeaseFeedOutput, now: Instant): void {
    switch (output.t) {
      case "ownPut":
        this.#holder.onPut(output.kv, now);
        return;
      case "ownGone":
        this.#holder.onGone(output.revision, output.wiped, now);
        return;
      case "ownRestored":
        this.#hold(
          { ...(this.#own as OwnLease), epoch: output.kv.createRevision },
          output.kv.modRevision,
          now,
        );
        return;
      case "status":
        this.#setStoreStatus(output.status);
        return;
      default:
        this.#emit(output);
    }
  }

  // ---- ends ----

  #revoke(why: string, now: Instant): void {
    this.#emit(logOutput("error", why));
    this.#emit(logOutput("error", REVOKED));
    this.#end(now);
    this.#emit({ t: "revoked" });
  }

  #fail(message: string, now: Instant): void {
    this.#end(now);
    this.#emit({ t: "fatal", message });
  }

  /** Stops all parts and gives the lease back, without waiting for it. */
  #end(now: Instant): void {
    this.#phase = "ended";
    this.#reader.stop();
    this.#acquirer.stop();
    this.#feed.stop();
    this.#holder.stop(true, now);
    // Its operations must be out before the end is said.
    for (let out = this.#holder.poll(); out !== undefined; out = this.#holder.poll())
      this.#onHolder(out, now);
    for (let out = this.#feed.poll(); out !== undefined; out = this.#feed.poll()) {
      if (out.t === "op") this.#emit(out);
    }
  }

  #sayStopped(): void {
    if (!this.#stopped) this.#emit({ t: "stopped" });
    this.#stopped = true;
  }

  /** Before the watch stands, what becomes of our questions tells whether the store can be reached. */
  #noteReach(event: StoreEvent): void {
    if (event.t !== "opFailed") this.#setStoreStatus("Syncing");
    else if (event.code === "unavailable" || event.code === "timeout") this.#setStoreStatus("Disconnected");
  }

  #setStoreStatus(status: StoreStatus): void {
    if (this.#storeStatus === status) return;
    this.#storeStatus = status;
    this.#emit({ t: "status", status });
  }

  #emit(output: SubnetOutput): void {
    this.#outputs.push(output);
  }
}
