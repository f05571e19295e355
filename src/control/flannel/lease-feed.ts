// Everything below `<prefix>/subnets` as one node follows it, once it has a subnet: a `reflector` with a `lease-watcher` for
// the peers, what becomes of the node's own key, and a `ghost-cleaner` for keys that it left behind by mistake.
import type { Ipv4Addr, Prefix } from "../../base/ipv4-addr.ts";
import type { Rng } from "../../base/rng.ts";
import type { Instant } from "../../base/time.ts";
import { type KeyValue, NO_LEASE, type StoreEvent, type StoreOp } from "../datastore/messages.ts";
import type { OpIds } from "../datastore/pending-ops.ts";
import { Reflector, type ReflectorOutput, type StoreStatus } from "../datastore/reflector.ts";
import type { LogOutput } from "../log.ts";
import { GhostCleaner } from "./ghost-cleaner.ts";
import type { OwnLease, PeerLease } from "./lease-attrs.ts";
import {
  type LeaseWatcher,
  type LeaseWatcherOutput,
  SafeLeaseWatcher,
  StrictLeaseWatcher,
} from "./lease-watcher.ts";
import { emitSubnetKey, parseSubnetKey, subnetsRange } from "./subnet-key.ts";

export interface LeaseFeedOptions {
  readonly prefix: string;
  readonly publicIp: Ipv4Addr;
  readonly strict: boolean;
  readonly ids: OpIds;
  readonly rng: Rng;
}

export type LeaseFeedOutput =
  | { readonly t: "op"; readonly op: StoreOp }
  | { readonly t: "added" | "removed"; readonly lease: PeerLease }
  /** What {@link LeaseFeed.ignored} answers has changed. */
  | { readonly t: "ignored" }
  /** All leases that there are have been reported. Once. */
  | { readonly t: "synced" }
  | { readonly t: "status"; readonly status: StoreStatus }
  /** The own key holds this. */
  | { readonly t: "ownPut"; readonly kv: KeyValue }
  /** The own key is gone. `wiped`: with all that the store held. */
  | { readonly t: "ownGone"; readonly revision: number; readonly wiped: boolean }
  /** A store that was restored with our key in it: it counts its revisions anew. */
  | { readonly t: "ownRestored"; readonly kv: KeyValue }
  | LogOutput;

export class LeaseFeed {
  readonly #options: LeaseFeedOptions;
  readonly #reflector: Reflector;
  readonly #cleaner: GhostCleaner;
  readonly #outputs: LeaseFeedOutput[] = [];
  #watcher: LeaseWatcher | undefined;
  #own: OwnLease | undefined;
  #ignoredVersion = 0;
  #synced = false;

  constructor(options: LeaseFeedOptions) {
    const { prefix, ids, rng } = options;
    this.#options = options;
    this.#reflector = new Reflector({ range: subnetsRange(prefix), ids, rng });
    this.#cleaner = new GhostCleaner({ ids, rng });
  }

  /** The node holds `own`, from now on. The first call begins the watch. */
  follow(own: OwnLease, now: Instant): void {
    this.#own = own;
    if (this.#watcher !== undefined) return;
    const { publicIp, strict } = this.#options;
    const self = { subnet: own.subnet, publicIp };
    this.#watcher = strict ? new StrictLeaseWatcher(self) : new SafeLeaseWatcher(self);
    this.#reflector.start(now);
    this.#drain(now);
  }

  /** Reads all leases anew. */
  relist(now: Instant): void {
    this.#reflector.relist(now);
    this.#drain(now);
  }

  get status(): StoreStatus {
    return this.#reflector.status;
  }

  /** The leases of peers that are reported as present. */
  peers(): readonly PeerLease[] {
    return this.#watcher?.peers() ?? [];
  }

  /** Subnets of leases that were read and are rightly reported to nobody. */
  ignored(): readonly Prefix[] {
    return this.#watcher?.ignored.subnets() ?? [];
  }

  /** Ends the watch. Of what is still to be polled only the operations matter. */
  stop(): void {
    this.#reflector.stop();
    this.#cleaner.stop();
  }

  /** Takes an event of the store. Answers false when it is somebody else's. */
  handle(event: StoreEvent, now: Instant): boolean {
    const taken = this.#reflector.handle(event, now) || this.#cleaner.handle(event, now);
    this.#drain(now);
    return taken;
  }

  tick(now: Instant): void {
    this.#reflector.tick(now);
    this.#cleaner.tick(now);
    this.#drain(now);
  }

  poll(): LeaseFeedOutput | undefined {
    return this.#outputs.shift() ?? this.#reflectedOp() ?? this.#cleaner.poll();
  }

  nextDeadline(): Instant {
    return Math.min(this.#reflector.nextDeadline(), this.#cleaner.nextDeadline());
  }

  #drain(now: Instant): void {
    for (let out = this.#reflector.poll(); out !== undefined; out = this.#reflector.poll()) {
      this.#onReflector(out, now);
    }
  }

  /** What the reflector still asks for after `stop`. */
  #reflectedOp(): LeaseFeedOutput | undefined {
    for (let out = this.#reflector.poll(); out !== undefined; out = this.#reflector.poll()) {
      if (out.t === "op") return out;
    }
    return undefined;
  }

  #onReflector(output: ReflectorOutput, now: Instant): void {
    const watcher = this.#watcher as LeaseWatcher;
    switch (output.t) {
      case "snapshot":
        this.#onSnapshot(output, now);
        this.#report(watcher.reset(output.kvs));
        return;
      case "put":
      case "delete":
        // What a list implies was reported with the list.
        if (output.origin === "list") return;
        this.#onWatched(output, now);
        this.#report(watcher.update({ t: output.t, kv: output.kv }));
        return;
      case "synced":
        if (!this.#synced) this.#outputs.push({ t: "synced" });
        this.#synced = true;
        return;
      default:
        this.#outputs.push(output);
    }
  }

  #report(outputs: readonly LeaseWatcherOutput[]): void {
    for (const output of outputs) this.#outputs.push(output);
    const { version } = (this.#watcher as LeaseWatcher).ignored;
    if (version !== this.#ignoredVersion) this.#outputs.push({ t: "ignored" });
    this.#ignoredVersion = version;
  }

  #onWatched(event: { readonly t: "put" | "delete"; readonly kv: KeyValue }, now: Instant): void {
    const { kv } = event;
    if (kv.key !== this.#ownKey) {
      if (event.t === "put") this.#removeGhost(kv, now);
    } else if (event.t === "put") {
      this.#outputs.push({ t: "ownPut", kv });
    } else {
      this.#outputs.push({ t: "ownGone", revision: kv.modRevision, wiped: false });
    }
  }

  #onSnapshot(snapshot: ReflectorOutput & { t: "snapshot" }, now: Instant): void {
    const { kvs, header, wiped } = snapshot;
    const own = this.#own;
    const kv = kvs.find((candidate) => candidate.key === this.#ownKey);
    for (const other of kvs) if (other !== kv) this.#removeGhost(other, now);
    if (own === undefined) return;
    if (kv === undefined || (wiped && kv.lease !== own.lease)) {
      this.#outputs.push({ t: "ownGone", revision: header.revision, wiped });
    } else {
      this.#outputs.push({ t: wiped ? "ownRestored" : "ownPut", kv });
    }
  }

  /** A second key on our lease. */
  #removeGhost(kv: KeyValue, now: Instant): void {
    const own = this.#own?.lease;
    if (this.#options.strict || own === undefined || own === NO_LEASE || kv.lease !== own) return;
    if (parseSubnetKey(kv.key) !== undefined) this.#cleaner.remove(kv, now);
  }

  get #ownKey(): string | undefined {
    return this.#own === undefined ? undefined : emitSubnetKey(this.#options.prefix, this.#own.subnet);
  }
}
