// Keeps a copy of a key range: one list, then a watch from the next revision, for ever. Read specs on etcd §4 first. The
// rules that keep it from ever losing an event silently:
//   - it resumes after the revision of the last *event* that it applied, never after a header's or a progress answer's;
//   - a watch that is silent for 4 s, although asked every 1.5 s, is dead;
//   - any end of a watch other than a broken stream means a new list and a diff, which yields what the gap has hidden;
//   - a cluster id that changes, or a revision that goes back, means that the store was wiped or restored: a new list;
//   - so does a store that a broken watch goes on in, and that does not know the newest key that we know;
//   - an empty list where there was something is believed only when a second read says the same.
// Not here: fragments, several watches on one stream, filters.
import type { Rng } from "../../base/rng.ts";
import { below } from "../../base/rng.ts";
import { type Instant, MS_US, NEVER, SEC_US } from "../../base/time.ts";
import { type LogOutput, logOutput } from "../log.ts";
import { Backoff } from "./backoff.ts";
import type { KeyRange, KeyValue, ResponseHeader, StoreEvent, StoreOp, WatchedEvent } from "./messages.ts";
import { type OpIds, PendingOps } from "./pending-ops.ts";
import { isSame, StoreWitness, type Verdict } from "./store-witness.ts";

/** After so much silence the watch is asked for a sign of life, in microseconds. */
const PROBE_US = 1_500 * MS_US;
/** After so much silence the watch is dead, in microseconds. */
const DEAD_US = 4 * SEC_US;
/** An empty list is read again after 200 to 400 ms. */
const CONFIRM_MIN_US = 200 * MS_US;
const CONFIRM_SPREAD_US = 200 * MS_US;

/** `Synced`: the watch stands. `Syncing`: it is being set up. `Disconnected`: the last attempt failed. */
export type StoreStatus = "Synced" | "Syncing" | "Disconnected";

export type ReflectorOutput =
  | { readonly t: "op"; readonly op: StoreOp }
  /** The whole list, before the differences that it makes. `wiped`: this is not the store that we knew. */
  | {
      readonly t: "snapshot";
      readonly kvs: readonly KeyValue[];
      readonly header: ResponseHeader;
      readonly wiped: boolean;
    }
  /** `origin` list: the difference between a list and what was known. `previous`: what the key held before. */
  | {
      readonly t: "put";
      readonly origin: "list" | "watch";
      readonly kv: KeyValue;
      readonly previous: KeyValue | undefined;
    }
  /** `kv` has key and modRevision only. A delete that a list implies has the list's revision. */
  | {
      readonly t: "delete";
      readonly origin: "list" | "watch";
      readonly kv: KeyValue;
      readonly previous: KeyValue;
    }
  /** A list has been applied in full. */
  | { readonly t: "synced"; readonly revision: number }
  | { readonly t: "status"; readonly status: StoreStatus }
  | LogOutput;

type Phase =
  | { readonly t: "idle" }
  | { readonly t: "listing" }
  | { readonly t: "waiting"; readonly until: Instant; readonly then: "list" | "watch" }
  | {
      readonly t: "watching";
      readonly watch: number;
      readonly created: boolean;
      /** It goes on where another broke: is this the same store? */
      readonly resumed: boolean;
      /** When the watch was last heard of. */
      heardAt: Instant;
      /** When to ask it for a sign of life. */
      probeAt: Instant;
    };

const IDLE: Phase = { t: "idle" };

export class Reflector {
  readonly #range: KeyRange;
  readonly #ids: OpIds;
  readonly #rng: Rng;
  readonly #backoff: Backoff;
  readonly #lists: PendingOps<"list">;
  readonly #witness: StoreWitness;
  readonly #items = new Map<string, KeyValue>();
  readonly #outputs: ReflectorOutput[] = [];
  #phase: Phase = IDLE;
  #status: StoreStatus = "Syncing";
  /** Revision of the last event applied, or of the list. */
  #revision = 0;
  #clusterId: string | undefined;
  /** The last list was empty although we know keys: read once more. */
  #confirming = false;
  /** By a witness, this is not the store that we knew. */
  #replaced = false;

  constructor(options: { readonly range: KeyRange; readonly ids: OpIds; readonly rng: Rng }) {
    this.#range = options.range;
    this.#ids = options.ids;
    this.#rng = options.rng;
    this.#backoff = new Backoff(options.rng);
    this.#lists = new PendingOps(options.ids);
    this.#witness = new StoreWitness(options.ids);
  }

  get status(): StoreStatus {
    return this.#status;
  }

  /** The keys as last seen. Borrowed. */
  get items(): ReadonlyMap<string, KeyValue> {
    return this.#items;
  }

  start(now: Instant): void {
    if (this.#phase.t === "idle") this.#list(now);
  }

  /** Ends the watch. Nothing more is reported. */
  stop(): void {
    this.#dropWatch();
    this.#lists.clear();
    this.#witness.clear();
    this.#phase = IDLE;
  }

  /** Reads everything anew: somebody knows of a reason to doubt the watch. */
  relist(now: Instant): void {
    if (this.#phase.t === "idle" || this.#phase.t === "listing") return;
    this.#dropWatch();
    this.#list(now);
  }

  /** Takes an event of the store. Answers false when it is somebody else's. */
  handle(event: StoreEvent, now: Instant): boolean {
    switch (event.t) {
      case "rangeDone":
        if (this.#hearWitness(event, now)) return true;
        if (this.#lists.settle(event.id) === undefined) return false;
        this.#onList(event.header, event.kvs, now);
        return true;
      case "opFailed":
        if (this.#hearWitness(event, now)) return true;
        if (this.#lists.settle(event.id) === undefined) return false;
        this.#log("debug", `list of ${this.#range.key} failed: ${event.message}`);
        this.#lost(now, "list");
        return true;
      case "watchCreated":
      case "watchEvents":
      case "watchProgressed":
      case "watchCanceled":
      case "watchBroken":
        return this.#onWatch(event, now);
      default:
        return false;
    }
  }

  /** Does what is due. Call when {@link nextDeadline} has come. */
  tick(now: Instant): void {
    if (this.#lists.expire(now) !== undefined) {
      this.#log("debug", `list of ${this.#range.key} was never answered`);
      this.#lost(now, "list");
    }
    if (this.#witness.expire(now)) this.#onVerdict("silent", now);
    const phase = this.#phase;
    if (phase.t === "waiting" && now >= phase.until) {
      // Without a key there is nothing to know the store by, and nothing to list.
      if (phase.then === "list" || this.#items.size === 0) this.#list(now);
      else this.#watch(true, now);
      return;
    }
    if (phase.t !== "watching") return;
    if (now >= phase.heardAt + DEAD_US) {
      this.#log("info", `the watch on ${this.#range.key} is silent: reconnecting`);
      this.#dropWatch();
      this.#lost(now, "watch");
    } else if (phase.created && now >= phase.probeAt) {
      phase.probeAt = now + PROBE_US;
      this.#emitOp({ t: "watchProgress", watch: phase.watch });
    }
  }

  poll(): ReflectorOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    const phase = this.#phase;
    switch (phase.t) {
      case "idle":
        return NEVER;
      case "listing":
        return this.#lists.nextDeadline();
      case "waiting":
        return phase.until;
      case "watching":
        return Math.min(
          phase.heardAt + DEAD_US,
          phase.created ? phase.probeAt : NEVER,
          this.#witness.nextDeadline(),
        );
    }
  }

  // ---- listing ----

  #list(now: Instant): void {
    this.#witness.clear();
    this.#phase = { t: "listing" };
    this.#emitOp({ t: "range", id: this.#lists.issue("list", now), range: this.#range });
  }

  #onList(header: ResponseHeader, kvs: readonly KeyValue[], now: Instant): void {
    const wiped =
      this.#replaced ||
      (this.#clusterId !== undefined && (this.#isOther(header) || header.revision < this.#revision));
    const fresh = this.#readList(kvs);
    if (fresh.size === 0 && this.#items.size > 0 && !this.#confirming) {
      this.#confirming = true;
      this.#log(
        "warn",
        `the list of ${this.#range.key} is suddenly empty: reading it again before believing it`,
      );
      const until = now + CONFIRM_MIN_US + below(this.#rng, CONFIRM_SPREAD_US);
      this.#phase = { t: "waiting", until, then: "list" };
      return;
    }
    this.#confirming = false;
    this.#replaced = false;
    if (wiped) this.#log("warn", "the store was wiped or restored: starting from its present content");
    this.#clusterId = header.clusterId;
    this.#revision = header.revision;
    this.#outputs.push({ t: "snapshot", kvs: [...fresh.values()], header, wiped });
    this.#replaceItems(fresh, header.revision);
    this.#outputs.push({ t: "synced", revision: header.revision });
    this.#watch(false, now);
  }

  /** What is usable of a list: keys of the range, each once. */
  #readList(kvs: readonly KeyValue[]): Map<string, KeyValue> {
    const fresh = new Map<string, KeyValue>();
    for (const kv of kvs) if (this.#isInRange(kv.key)) fresh.set(kv.key, kv);
    return fresh;
  }

  #replaceItems(fresh: ReadonlyMap<string, KeyValue>, revision: number): void {
    for (const [key, previous] of this.#items) {
      if (fresh.has(key)) continue;
      this.#items.delete(key);
      const kv = { ...previous, value: new Uint8Array(0), modRevision: revision };
      this.#outputs.push({ t: "delete", origin: "list", kv, previous });
    }
    for (const [key, kv] of fresh) {
      const previous = this.#items.get(key);
      this.#items.set(key, kv);
      const same = previous !== undefined && isSame(previous, kv);
      if (!same) this.#outputs.push({ t: "put", origin: "list", kv, previous });
    }
  }

  // ---- watching ----

  #watch(resumed: boolean, now: Instant): void {
    const watch = this.#ids.take();
    this.#phase = { t: "watching", watch, created: false, resumed, heardAt: now, probeAt: now + PROBE_US };
    if (this.#status !== "Disconnected") this.#setStatus("Syncing");
    this.#emitOp({ t: "watchOpen", watch, range: this.#range, startRevision: this.#revision + 1 });
  }

  #onWatch(
    event: Extract<
      StoreEvent,
      { readonly t: `watch${"Created" | "Events" | "Progressed" | "Canceled" | "Broken"}` }
    >,
    now: Instant,
  ): boolean {
    const phase = this.#phase;
    // A watch that we gave up may still speak.
    if (phase.t !== "watching" || phase.watch !== event.watch) return false;
    phase.heardAt = now;
    phase.probeAt = now + PROBE_US;
    switch (event.t) {
      case "watchCreated":
        if (this.#isAnotherStore(event.header)) return this.#relist(now);
        this.#backoff.reset();
        this.#phase = { ...phase, created: true };
        this.#setStatus("Synced");
        if (phase.resumed && this.#items.size > 0)
          this.#emitOp(this.#witness.ask(this.#items.values(), this.#revision, now));
        return true;
      case "watchEvents":
        if (this.#isOther(event.header)) return this.#relist(now);
        this.#apply(event.events);
        return true;
      case "watchProgressed":
        // Only a sign of life: servers before 3.4.25 may be ahead here of events that they have not sent yet.
        if (this.#isAnotherStore(event.header)) this.#relist(now);
        return true;
      case "watchCanceled":
        this.#onCanceled(event.compactRevision, event.reason, now);
        return true;
      case "watchBroken":
        this.#log("debug", `the watch on ${this.#range.key} broke: ${event.message}`);
        this.#lost(now, "watch");
        return true;
    }
  }

  #hearWitness(event: Extract<StoreEvent, { readonly t: "rangeDone" | "opFailed" }>, now: Instant): boolean {
    const verdict = this.#witness.hear(event);
    if (verdict !== undefined) this.#onVerdict(verdict, now);
    return verdict !== undefined;
  }

  /** The answer to whether this is the store that we knew. What the watch told meanwhile was taken; a list puts it right. */
  #onVerdict(verdict: Verdict, now: Instant): void {
    if (verdict === "silent") {
      this.#dropWatch();
      this.#lost(now, "watch");
    } else if (verdict !== "same") {
      this.#replaced = verdict === "other";
      this.#relist(now);
    }
  }

  #onCanceled(compactRevision: number, reason: string, now: Instant): void {
    if (compactRevision > 0) {
      this.#log("info", `etcd watch for ${this.#range.key} fell behind compaction, re-listing and resuming`);
    } else {
      this.#log(
        "warn",
        `the store ended the watch on ${this.#range.key}: ${reason === "" ? "no reason" : reason}`,
      );
    }
    // A store that says so does answer.
    this.#lost(now, "list", compactRevision > 0 ? "Syncing" : "Disconnected");
  }

  #apply(events: readonly WatchedEvent[]): void {
    const before = this.#revision;
    for (const { t, kv } of events) {
      // Hostile or repeated: nothing before the point of resumption can be news.
      if (!Number.isSafeInteger(kv.modRevision) || kv.modRevision < before || !this.#isInRange(kv.key))
        continue;
      this.#revision = Math.max(this.#revision, kv.modRevision);
      const previous = this.#items.get(kv.key);
      if (previous !== undefined && previous.modRevision >= kv.modRevision) continue;
      if (t === "put") {
        this.#items.set(kv.key, kv);
        this.#outputs.push({ t: "put", origin: "watch", kv, previous });
      } else if (previous !== undefined) {
        this.#items.delete(kv.key);
        this.#outputs.push({ t: "delete", origin: "watch", kv, previous });
      }
    }
  }

  /** Drops the watch and lists anew. Always true, for the caller's convenience. */
  #relist(now: Instant): true {
    this.#dropWatch();
    this.#lost(now, "list", "Syncing");
    return true;
  }

  #lost(now: Instant, then: "list" | "watch", status: StoreStatus = "Disconnected"): void {
    this.#witness.clear();
    this.#setStatus(status);
    this.#phase = { t: "waiting", until: this.#backoff.next(now), then };
  }

  #dropWatch(): void {
    if (this.#phase.t === "watching") this.#emitOp({ t: "watchCancel", watch: this.#phase.watch });
  }

  #isOther(header: ResponseHeader): boolean {
    return this.#clusterId !== undefined && header.clusterId !== this.#clusterId;
  }

  #isAnotherStore(header: ResponseHeader): boolean {
    return this.#isOther(header) || header.revision < this.#revision;
  }

  #isInRange(key: string): boolean {
    const { key: first, rangeEnd } = this.#range;
    if (rangeEnd === undefined) return key === first;
    return key >= first && (rangeEnd === "\0" || key < rangeEnd);
  }

  #setStatus(status: StoreStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    this.#outputs.push({ t: "status", status });
  }

  #emitOp(op: StoreOp): void {
    this.#outputs.push({ t: "op", op });
  }

  #log(level: LogOutput["level"], message: string): void {
    this.#outputs.push(logOutput(level, message));
  }
}
