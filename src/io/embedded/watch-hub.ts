// Watches. Pure logic over the store's history. A watcher is synced (it is in the index, commits come to it as they happen)
// or it lags (it remembers one number, the next revision it has to see, and reads the history in slices). Whoever does not
// drain its stream lags: that is why a slow client costs the server no memory. A lagging watcher whose revision is
// compacted away is cancelled, and the client lists again.
import type { Span } from "./byte-key.ts";
import type { HistoryLimits, Mvcc } from "./mvcc.ts";
import { isTombstone, type KeyValue } from "./operations.ts";
import { WatchIndex } from "./watch-index.ts";

/** Stands for "no watcher": in a refusal, and in a progress report that is for the whole stream. */
const NO_WATCH_ID = -1;

const SLICE: HistoryLimits = { revisions: 1000, bytes: 1 << 20, scan: 20_000 };

/** What one event takes on the wire beside its keys and values: tags, lengths, three revisions, a lease. */
const EVENT_OVERHEAD_BYTES = 48;

export interface WatchEvent {
  readonly kv: KeyValue;
  /** Set when it was asked for, existed and is not compacted. */
  readonly prevKv: KeyValue | undefined;
}

export interface WatchResponse {
  readonly watchId: number;
  /** For the header: of the events, or the current one while catching up. */
  readonly revision: number;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly cancelReason?: string;
  /** More of the same revision follows. */
  readonly fragment?: boolean;
  /** The same array for all watchers that see the same: who encodes it may keep the result. */
  readonly events: readonly WatchEvent[];
}

/** One client's stream, as the hub sees it. */
export interface WatchSink {
  /** Takes the response in any case; false: no more events until {@link WatchStream.drained}. */
  send(response: WatchResponse): boolean;
}

export interface WatchRequest {
  /** 0: the stream chooses. */
  readonly watchId: number;
  readonly span: Span;
  /** 0: from the next revision on. May lie in the future. */
  readonly startRevision: number;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly progressNotify: boolean;
}

class Watcher {
  readonly id: number;
  readonly stream: WatchStream;
  readonly request: WatchRequest;
  /** `ended`: cancelled by compaction; its id stays taken until the client cancels it too, as in etcd. */
  state: "synced" | "lagging" | "ended" = "synced";
  /** The first revision that it has not seen. */
  nextRevision: number;
  /** Nothing was sent since the last progress tick. */
  quiet = true;

  constructor(id: number, stream: WatchStream, request: WatchRequest, nextRevision: number) {
    this.id = id;
    this.stream = stream;
    this.request = request;
    this.nextRevision = nextRevision;
  }
}

export class WatchHub {
  readonly #mvcc: Mvcc;
  readonly #index = new WatchIndex<Watcher>();
  /** Lagging watchers whose stream takes more, in order of service. */
  readonly #queue = new Set<Watcher>();
  readonly #notified = new Set<Watcher>();
  readonly #fragmentBytes: number;
  /** Called when {@link pump} has something to do. */
  readonly #wake: () => void;
  /** What has been published: never ahead of it, even where the store already is. */
  #revision: number;
  #watcherCount = 0;

  /** @param fragmentBytes size above which a response is split, for watchers that allow it */
  constructor(mvcc: Mvcc, fragmentBytes: number, wake: () => void) {
    this.#mvcc = mvcc;
    this.#fragmentBytes = fragmentBytes;
    this.#wake = wake;
    this.#revision = mvcc.revision;
  }

  get revision(): number {
    return this.#revision;
  }

  get compactRevision(): number {
    return this.#mvcc.compactRevision;
  }

  get watcherCount(): number {
    return this.#watcherCount;
  }

  open(sink: WatchSink): WatchStream {
    return new WatchStream(this, sink);
  }

  /** The store was read from its files: what is in it has been published before. */
  restored(): void {
    this.#revision = this.#mvcc.revision;
  }

  /** Publishes one commit: `changes` are all of its, in order. */
  publish(revision: number, changes: readonly KeyValue[]): void {
    this.#revision = revision;
    this.#index.dispatch(changes, (watchers, kvs) => {
      let plain: readonly WatchEvent[] | undefined;
      let withPrev: readonly WatchEvent[] | undefined;
      for (const watcher of watchers) {
        if (watcher.nextRevision > revision) continue;
        if (watcher.stream.blocked) {
          this.#fallBehind(watcher, revision);
          continue;
        }
        watcher.nextRevision = revision + 1;
        if (watcher.request.prevKv) withPrev ??= this.#eventsOf(kvs, true);
        else plain ??= this.#eventsOf(kvs, false);
        const events = filter(watcher.request, (watcher.request.prevKv ? withPrev : plain) ?? []);
        if (events.length > 0) this.#send(watcher, revision, events);
      }
    });
  }

  /** Serves lagging watchers, about `budget` log entries' worth. Returns true when some are still waiting. */
  pump(budget: number): boolean {
    let left = budget;
    for (const watcher of this.#queue) {
      if (left <= 0) break;
      this.#queue.delete(watcher);
      left -= this.#catchUp(watcher) + 1;
    }
    return this.#queue.size > 0;
  }

  /** Reports progress to the watchers that want it and had nothing since the last tick. */
  progressTick(): void {
    for (const watcher of this.#notified) {
      if (watcher.quiet && watcher.state === "synced" && !watcher.stream.blocked) {
        watcher.stream.send({ watchId: watcher.id, revision: this.#revision, events: [] });
      }
      watcher.quiet = true;
    }
  }

  /** For {@link WatchStream}: starts a watcher. */
  start(id: number, stream: WatchStream, request: WatchRequest): Watcher {
    const next = request.startRevision === 0 ? this.#revision + 1 : request.startRevision;
    const watcher = new Watcher(id, stream, request, next);
    this.#watcherCount++;
    if (request.progressNotify) this.#notified.add(watcher);
    if (next > this.#revision) {
      this.#index.add(request.span, watcher);
    } else {
      watcher.state = "lagging";
      stream.lagging.add(watcher);
      this.resume(watcher);
    }
    return watcher;
  }

  /** For {@link WatchStream}: forgets a watcher. */
  stop(watcher: Watcher): void {
    this.#watcherCount--;
    this.#leave(watcher);
  }

  /** For {@link WatchStream}: serves a lagging watcher again. */
  resume(watcher: Watcher): void {
    this.#queue.add(watcher);
    this.#wake();
  }

  #leave(watcher: Watcher): void {
    if (watcher.state === "synced") this.#index.remove(watcher.request.span, watcher);
    this.#queue.delete(watcher);
    this.#notified.delete(watcher);
    watcher.state = "ended";
    watcher.stream.lagging.delete(watcher);
    watcher.stream.settleProgress();
  }

  #fallBehind(watcher: Watcher, revision: number): void {
    // It has seen all that concerned it before. Without this it would look as old as its last event, and be cancelled when
    // that is compacted.
    watcher.nextRevision = revision;
    this.#index.remove(watcher.request.span, watcher);
    watcher.state = "lagging";
    watcher.stream.lagging.add(watcher);
  }

  /** Sends one slice of history. Returns the log entries that it cost. */
  #catchUp(watcher: Watcher): number {
    const { stream, request } = watcher;
    // It stays in the stream's set of laggards; drained() resumes it.
    if (stream.blocked) return 0;
    const compacted = this.#mvcc.compactRevision;
    if (watcher.nextRevision < compacted) {
      this.#leave(watcher);
      stream.send({
        watchId: watcher.id,
        revision: 0,
        canceled: true,
        compactRevision: compacted,
        events: [],
      });
      return 0;
    }
    const slice = this.#mvcc.history(request.span, watcher.nextRevision, this.#revision, SLICE);
    watcher.nextRevision = slice.nextRevision;
    const events = filter(request, this.#eventsOf(slice.events, request.prevKv));
    if (events.length > 0) this.#send(watcher, this.#revision, events);
    if (watcher.nextRevision > this.#revision) {
      watcher.state = "synced";
      stream.lagging.delete(watcher);
      this.#index.add(request.span, watcher);
      stream.settleProgress();
    } else {
      this.#queue.add(watcher);
    }
    return slice.scanned;
  }

  #eventsOf(kvs: readonly KeyValue[], prevKv: boolean): readonly WatchEvent[] {
    return kvs.map((kv) => {
      const isCreation = kv.createRevision === kv.modRevision;
      const wanted = prevKv && !isCreation;
      return { kv, prevKv: wanted ? this.#mvcc.getAt(kv.key, kv.modRevision - 1) : undefined };
    });
  }

  #send(watcher: Watcher, revision: number, events: readonly WatchEvent[]): void {
    watcher.quiet = false;
    if (!watcher.request.fragment || events.length < 2) {
      watcher.stream.send({ watchId: watcher.id, revision, events });
      return;
    }
    let from = 0;
    let bytes = 0;
    for (let i = 0; i < events.length; i++) {
      const size = sizeOf(events[i] as WatchEvent);
      if (i > from && bytes + size >= this.#fragmentBytes) {
        watcher.stream.send({ watchId: watcher.id, revision, fragment: true, events: events.slice(from, i) });
        from = i;
        bytes = 0;
      }
      bytes += size;
    }
    watcher.stream.send({ watchId: watcher.id, revision, events: from === 0 ? events : events.slice(from) });
  }
}

/** The watchers of one client stream: their ids, and whether the client takes what we send. */
export class WatchStream {
  readonly #hub: WatchHub;
  readonly #sink: WatchSink;
  readonly #watchers = new Map<number, Watcher>();
  /** For the hub: watchers of this stream that are not up to date. */
  readonly lagging = new Set<Watcher>();
  #nextId = 0;
  #blocked = false;
  #progressWanted = false;

  constructor(hub: WatchHub, sink: WatchSink) {
    this.#hub = hub;
    this.#sink = sink;
  }

  /** The client does not take more for now. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Starts a watcher: says `created`, or `created` and `canceled` with the reason. */
  create(request: WatchRequest): void {
    const { revision } = this.#hub;
    const refused = this.#refusal(request);
    if (refused !== undefined) {
      this.send({
        watchId: NO_WATCH_ID,
        revision,
        created: true,
        canceled: true,
        cancelReason: refused,
        events: [],
      });
      return;
    }
    const id = request.watchId === 0 ? this.#freeId() : request.watchId;
    this.send({ watchId: id, revision, created: true, events: [] });
    this.#watchers.set(id, this.#hub.start(id, this, request));
  }

  /** Ends a watcher and says so. An unknown id is met with silence, as etcd does. */
  cancel(watchId: number): void {
    const watcher = this.#watchers.get(watchId);
    if (watcher === undefined) return;
    this.#watchers.delete(watchId);
    this.#hub.stop(watcher);
    this.send({ watchId, revision: this.#hub.revision, canceled: true, events: [] });
  }

  /**
   * Answers with the current revision, but not before every watcher of the stream has seen everything up to it: several
   * requests made meanwhile get one answer.
   */
  requestProgress(): void {
    this.#progressWanted = true;
    this.settleProgress();
  }

  /** The client takes more again. */
  drained(): void {
    this.#blocked = false;
    for (const watcher of this.lagging) this.#hub.resume(watcher);
  }

  /** The client is gone. */
  close(): void {
    this.#progressWanted = false;
    for (const watcher of this.#watchers.values()) this.#hub.stop(watcher);
    this.#watchers.clear();
  }

  /** For the hub. */
  send(response: WatchResponse): void {
    if (!this.#sink.send(response)) this.#blocked = true;
  }

  /** For the hub: a watcher has caught up or gone. */
  settleProgress(): void {
    if (!this.#progressWanted || this.lagging.size > 0) return;
    this.#progressWanted = false;
    this.send({ watchId: NO_WATCH_ID, revision: this.#hub.revision, events: [] });
  }

  #refusal(request: WatchRequest): string | undefined {
    const { key, end } = request.span;
    if (end !== undefined && key >= end) return "mvcc: watcher range is empty";
    if (!this.#watchers.has(request.watchId) || request.watchId === 0) return undefined;
    return "mvcc: duplicate watch ID provided on the WatchStream";
  }

  #freeId(): number {
    while (this.#watchers.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }
}

function filter(request: WatchRequest, events: readonly WatchEvent[]): readonly WatchEvent[] {
  if (!request.noPut && !request.noDelete) return events;
  return events.filter(({ kv }) => (isTombstone(kv) ? !request.noDelete : !request.noPut));
}

function sizeOf({ kv, prevKv }: WatchEvent): number {
  const own = kv.key.length + kv.value.length + EVENT_OVERHEAD_BYTES;
  return prevKv === undefined ? own : own + prevKv.key.length + prevKv.value.length + EVENT_OVERHEAD_BYTES;
}
