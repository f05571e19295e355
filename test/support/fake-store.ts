// A store for pure tests: `fake-etcd.ts` behind a network on a virtual clock, with faults. Many connections share it.
//
//   const store = new FakeStore(rng);              // store.put(…), store.dump(), store.outage(…), store.compact(), …
//   const conn = store.connect();
//   conn.submit(op, now);                          // what an engine asks
//   for (let e = conn.poll(now); e; e = conn.poll(now)) engine.handle(e, now);
//   now = Math.min(engine.nextDeadline(), conn.nextDeadline());
//
// Every connection behaves as io's driver does: each call has a deadline of 3 s and then answers opFailed, watches of one
// connection arrive in order, unary replies overtake each other and the watches.
import { below, type Rng, unit } from "../../src/base/rng.ts";
import { type Instant, MS_US, NEVER, SEC_US } from "../../src/base/time.ts";
import { Timer, TimerQueue } from "../../src/base/timer-queue.ts";
import type {
  KeyRange,
  KeyValue,
  LeaseId,
  StoreEvent,
  StoreOp,
} from "../../src/control/datastore/messages.ts";
import { type Commit, FakeEtcd, inRange, type UnaryOp } from "./fake-etcd.ts";

/** What the network does to every message. Change it at any time. */
export interface Faults {
  /** One-way delay: uniform between these, in microseconds. */
  delayMinUs: number;
  delayMaxUs: number;
  /** Probability that an operation is lost before the server sees it. */
  loseRequest: number;
  /** Probability that it is carried out and its answer is lost. */
  loseReply: number;
  /** Probability that it arrives very late, up to `stragglerUs`: perhaps long after the client gave it up. */
  straggle: number;
  stragglerUs: number;
  /** The driver's deadline for a call; NEVER: an answer that is lost is never made up for. */
  callDeadlineUs: number;
}

const CALM: Faults = {
  delayMinUs: 200,
  delayMaxUs: 2 * MS_US,
  loseRequest: 0,
  loseReply: 0,
  straggle: 0,
  stragglerUs: 6 * SEC_US,
  callDeadlineUs: 3 * SEC_US,
};

export class FakeStore {
  readonly etcd = new FakeEtcd();
  readonly faults: Faults = { ...CALM };
  readonly #rng: Rng;
  readonly #timers = new TimerQueue();
  readonly #connections: Connection[] = [];
  readonly #expiry = new Timer((at) => {
    if (this.#up) this.etcd.expire(at);
    this.#changed(at);
  });
  #up = true;
  #now: Instant = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  connect(): Connection {
    const connection = new Connection(this);
    this.#connections.push(connection);
    return connection;
  }

  /** Lets everything happen that is due by `now`, in order of time. */
  run(now: Instant): void {
    while (this.#timers.nextDeadline() <= now) {
      this.#now = Math.max(this.#now, this.#timers.nextDeadline());
      this.#timers.run(this.#now, 1);
    }
    this.#now = Math.max(this.#now, now);
  }

  /** When something happens next of its own accord: an arrival, a delivery, the end of a lease. */
  nextDeadline(): Instant {
    return this.#timers.nextDeadline();
  }

  get now(): Instant {
    return this.#now;
  }

  get isUp(): boolean {
    return this.#up;
  }

  /** No messages are under way and nobody waits. */
  get quiet(): boolean {
    return this.#connections.every((connection) => connection.idle);
  }

  // ---- what tests do to the store ----

  /** The server is down from `from` to `to`: connections are refused, watches break, no lease runs down. */
  outage(from: Instant, to: Instant): void {
    this.at(from, (now) => {
      this.#up = false;
      for (const connection of this.#connections) connection.reset("connection refused", now);
    });
    this.at(to, (now) => {
      this.#up = true;
      this.etcd.restart(now);
      this.#changed(now);
    });
  }

  /** Forgets all revisions before `revision`, the present one if none is given. */
  compact(revision: number = this.etcd.revision): void {
    this.etcd.compact(revision);
  }

  /** The server restarts with an empty data directory. */
  wipe(): void {
    this.etcd.wipe();
    for (const connection of this.#connections) connection.reset("connection reset", this.#now);
    this.#changed(this.#now);
  }

  dump(): KeyValue[] {
    return this.etcd.dump();
  }

  /** Writes as `etcdctl put` does. */
  put(key: string, text: string | Uint8Array, lease?: LeaseId): void {
    this.etcd.put(key, text, lease);
    this.#changed(this.#now);
  }

  del(key: string): void {
    this.etcd.del(key);
    this.#changed(this.#now);
  }

  grant(ttlSec: number): LeaseId {
    const lease = this.etcd.grant(ttlSec, this.#now);
    this.#changed(this.#now);
    return lease;
  }

  revoke(lease: LeaseId): void {
    this.etcd.revoke(lease);
    this.#changed(this.#now);
  }

  /** Text of a key's value. */
  text(key: string): string | undefined {
    const kv = this.etcd.get(key);
    return kv === undefined ? undefined : new TextDecoder().decode(kv.value);
  }

  // ---- for connections ----

  /** Runs `fire` at `at`. */
  at(at: Instant, fire: (now: Instant) => void): Timer {
    const timer = new Timer(fire);
    this.#timers.set(timer, Math.max(at, this.#now));
    return timer;
  }

  cancel(timer: Timer): void {
    this.#timers.cancel(timer);
  }

  delay(): number {
    const { delayMinUs, delayMaxUs, straggle, stragglerUs } = this.faults;
    if (this.chance(straggle)) return below(this.#rng, stragglerUs);
    return delayMinUs + below(this.#rng, delayMaxUs - delayMinUs + 1);
  }

  chance(probability: number): boolean {
    return probability > 0 && unit(this.#rng) < probability;
  }

  execute(op: UnaryOp, now: Instant): StoreEvent {
    if (!this.#up) return { t: "opFailed", id: op.id, code: "unavailable", message: "connection refused" };
    const answer = this.etcd.execute(op, now);
    this.#changed(now);
    return answer;
  }

  #changed(now: Instant): void {
    for (const connection of this.#connections) connection.pump(now);
    const at = this.#up ? this.etcd.nextExpiry() : NEVER;
    if (this.#expiry.at !== at) this.#timers.set(this.#expiry, at);
  }
}

interface Watch {
  readonly id: number;
  readonly range: KeyRange;
  /** First revision that has not been sent; undefined until the request has arrived. */
  next: number | undefined;
}

/** One client's connection. */
export class Connection {
  readonly #store: FakeStore;
  readonly #inbox: StoreEvent[] = [];
  readonly #watches = new Map<number, Watch>();
  /** Unary operations that wait, with their deadline. */
  readonly #waiting = new Map<number, Timer>();
  /** The watch stream is ordered: nothing is delivered before this. */
  #streamAt: Instant = 0;
  #holeUntil: Instant = 0;
  #holeFrom: Instant = NEVER;

  constructor(store: FakeStore) {
    this.#store = store;
  }

  get idle(): boolean {
    return this.#inbox.length === 0 && this.#waiting.size === 0;
  }

  get hasInput(): boolean {
    return this.#inbox.length > 0;
  }

  /** Nothing passes in either direction from `from` to `to`; what was sent arrives afterwards, as TCP has it. */
  blackHole(from: Instant, to: Instant): void {
    this.#holeFrom = from;
    this.#holeUntil = to;
  }

  /** Breaks every watch of this connection. */
  breakWatches(now: Instant, message = "stream reset"): void {
    for (const watch of [...this.#watches.keys()]) this.#breakWatch(watch, message, now);
  }

  submit(op: StoreOp, now: Instant): void {
    const store = this.#store;
    store.run(now);
    switch (op.t) {
      case "watchOpen":
        this.#watches.set(op.watch, { id: op.watch, range: op.range, next: undefined });
        store.at(this.#arrival(now), (at) => this.#openWatch(op.watch, op.startRevision, at));
        return;
      case "watchProgress":
        store.at(this.#arrival(now), (at) => {
          const { header } = store.etcd;
          if (store.isUp) this.#stream(op.watch, { t: "watchProgressed", watch: op.watch, header }, at);
        });
        return;
      case "watchCancel":
        this.#watches.delete(op.watch);
        return;
      default:
        this.#submitUnary(op, now);
    }
  }

  /** The next event for the client, if it has arrived by `now`. */
  poll(now: Instant): StoreEvent | undefined {
    this.#store.run(now);
    return this.#inbox.shift();
  }

  /** When to poll again at the latest. It may be early: the store is shared. */
  nextDeadline(): Instant {
    return this.#inbox.length > 0 ? this.#store.now : this.#store.nextDeadline();
  }

  /** The server closes the connection: what waits fails, with its outcome unknown. */
  reset(message: string, now: Instant): void {
    for (const id of [...this.#waiting.keys()]) {
      this.#settle(id, { t: "opFailed", id, code: "unavailable", message });
    }
    this.breakWatches(now, message);
  }

  /** Sends what watches have not been sent yet. */
  pump(now: Instant): void {
    for (const watch of this.#watches.values()) if (watch.next !== undefined) this.#sendEvents(watch, now);
  }

  #submitUnary(op: UnaryOp, now: Instant): void {
    const store = this.#store;
    const { id } = op;
    const { callDeadlineUs, loseRequest, loseReply } = store.faults;
    const timeout: StoreEvent = { t: "opFailed", id, code: "timeout", message: "deadline exceeded" };
    this.#waiting.set(
      id,
      store.at(now + callDeadlineUs, () => this.#settle(id, timeout)),
    );
    if (store.chance(loseRequest)) return;
    store.at(this.#arrival(now), (at) => {
      const answer = store.execute(op, at);
      if (store.chance(loseReply)) return;
      store.at(this.#arrival(at), () => this.#settle(id, answer));
    });
  }

  #settle(id: number, event: StoreEvent): void {
    const timer = this.#waiting.get(id);
    if (timer === undefined) return;
    this.#store.cancel(timer);
    this.#waiting.delete(id);
    this.#inbox.push(event);
  }

  /** When a message that is sent now gets through. */
  #arrival(now: Instant): Instant {
    const at = now + this.#store.delay();
    return this.#isInHole(now) || this.#isInHole(at) ? this.#holeUntil + this.#store.delay() : at;
  }

  #isInHole(at: Instant): boolean {
    return at >= this.#holeFrom && at < this.#holeUntil;
  }

  #openWatch(id: number, startRevision: number, now: Instant): void {
    const watch = this.#watches.get(id);
    const store = this.#store;
    if (watch === undefined) return;
    if (!store.isUp) {
      this.#breakWatch(id, "connection refused", now);
      return;
    }
    const { header, compactRevision } = store.etcd;
    this.#stream(id, { t: "watchCreated", watch: id, header }, now);
    if (startRevision < compactRevision) {
      this.#stream(id, { t: "watchCanceled", watch: id, compactRevision, reason: "" }, now);
      return;
    }
    watch.next = startRevision;
    this.#sendEvents(watch, now);
  }

  #sendEvents(watch: Watch, now: Instant): void {
    const { etcd } = this.#store;
    const from = watch.next as number;
    if (from > etcd.revision) return;
    const first = etcd.history[0]?.revision ?? from;
    const commits: readonly Commit[] = etcd.history.slice(Math.max(0, from - first));
    watch.next = etcd.revision + 1;
    const events = commits.flatMap((c) => c.events.filter((event) => inRange(watch.range, event.kv.key)));
    if (events.length > 0)
      this.#stream(watch.id, { t: "watchEvents", watch: watch.id, header: etcd.header, events }, now);
  }

  /** Delivers on the watch stream, in order; what a broken or cancelled watch still had on its way is lost. */
  #stream(id: number, event: StoreEvent, now: Instant): void {
    this.#streamAt = Math.max(this.#arrival(now), this.#streamAt);
    const watch = this.#watches.get(id);
    this.#store.at(this.#streamAt, () => {
      if (watch === undefined || this.#watches.get(id) !== watch) return;
      if (event.t === "watchCanceled") this.#watches.delete(id);
      this.#inbox.push(event);
    });
  }

  #breakWatch(id: number, message: string, now: Instant): void {
    if (!this.#watches.delete(id)) return;
    this.#store.at(now, () => this.#inbox.push({ t: "watchBroken", watch: id, message }));
  }
}
