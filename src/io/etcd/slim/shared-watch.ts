// Several watches on one stream. The server confirms them in the order in which they were asked for, and numbers them.
import type { KeyRange, WatchedEvent } from "../../../control/datastore/messages.ts";
import { StoreError, type StreamSink, type WatchMessage, type WatchStream } from "../etcd-transport.ts";
import { BidiStream } from "./bidi-stream.ts";
import { header, keyRange, watchedEvent } from "./convert.ts";
import type { GrpcClient } from "./grpc-client.ts";
import { WatchRequest, WatchResponse } from "./rpc-tables.ts";

/** The `watch_id` of what concerns no watch, or all of them. */
const NO_WATCH_ID = -1;
/** Events of one message, in all its fragments. */
const EVENTS_MAX = 4_000_000;

interface Watch {
  readonly sink: StreamSink<WatchMessage>;
  /** The server's number; undefined until it has confirmed the watch. */
  id: number | undefined;
  over: boolean;
  /** It has asked for progress, and heard nothing since. */
  asked: boolean;
  /** What has come of a message that is not complete. */
  fragments: WatchedEvent[];
}

/** The stream that new watches join, until it breaks or falls silent; then the next ones get another. */
export class SharedWatches {
  readonly #client: GrpcClient;
  #current: SharedWatch | undefined;

  constructor(client: GrpcClient) {
    this.#client = client;
  }

  open(range: KeyRange, startRevision: number, sink: StreamSink<WatchMessage>): WatchStream {
    if (this.#current === undefined || this.#current.closedToOthers)
      this.#current = new SharedWatch(this.#client);
    return this.#current.open(range, startRevision, sink);
  }
}

class SharedWatch {
  readonly #client: GrpcClient;
  readonly #stream: BidiStream<typeof WatchRequest.fields, typeof WatchResponse.fields>;
  /** Asked for and not confirmed, oldest first. */
  readonly #asked: Watch[] = [];
  readonly #byId = new Map<number, Watch>();
  #silent = false;

  constructor(client: GrpcClient) {
    this.#client = client;
    this.#stream = new BidiStream(client, "/etcdserverpb.Watch/Watch", WatchRequest, WatchResponse, {
      message: (message) => this.#received(message),
      broken: (error) => this.#broken(error),
    });
  }

  /** Is it of no use to another watch? */
  get closedToOthers(): boolean {
    return this.#silent || this.#stream.over;
  }

  open(range: KeyRange, startRevision: number, sink: StreamSink<WatchMessage>): WatchStream {
    const watch: Watch = { sink, id: undefined, over: false, asked: false, fragments: [] };
    this.#asked.push(watch);
    this.#stream.write({
      create_request: {
        ...keyRange(range),
        start_revision: startRevision,
        progress_notify: true,
        fragment: true,
      },
    });
    return { progress: () => this.#progress(watch), cancel: () => this.#cancel(watch) };
  }

  #progress(watch: Watch): void {
    if (watch.over) return;
    watch.asked = true;
    this.#stream.write({ progress_request: {} });
  }

  #cancel(watch: Watch): void {
    if (watch.over) return;
    watch.over = true;
    if (watch.id === undefined || watch.asked) {
      // It was given up waiting. Others may wait as vainly: the next watch gets a stream of its own.
      this.#silent = true;
      this.#stream.suspect();
    }
    if (watch.id !== undefined) {
      this.#byId.delete(watch.id);
      this.#stream.write({ cancel_request: { watch_id: watch.id } });
    }
    this.#endWhenIdle();
  }

  #endWhenIdle(): void {
    if (this.#byId.size === 0 && this.#asked.every(({ over }) => over)) this.#stream.cancel();
  }

  #received(message: WatchResponse): void {
    try {
      if (message.created) this.#created(message);
      else if (message.watch_id === NO_WATCH_ID) this.#progressed(message);
      else {
        const watch = this.#byId.get(message.watch_id);
        // Of one that has been cancelled meanwhile.
        if (watch !== undefined) this.#told(watch, message);
      }
    } catch (thrown) {
      if (!(thrown instanceof StoreError)) throw thrown;
      this.#stream.fail(thrown);
    }
  }

  #created(message: WatchResponse): void {
    const watch = this.#asked.shift();
    if (watch === undefined)
      throw new StoreError("unknown", "the server confirmed a watch that nobody asked for");
    const token = this.#stream.unprovenToken;
    if (message.canceled) {
      if (token !== undefined && /permission denied|invalid auth token/.test(message.cancel_reason)) {
        // A server that was started anew knows no tokens, and says so of a watch in these words only.
        this.#client.forget(token);
        this.#asked.unshift(watch);
        throw new StoreError("unavailable", "the server does not know our token any more");
      }
      if (!watch.over) this.#told(watch, message);
      return;
    }
    this.#stream.prove();
    if (watch.over) {
      this.#stream.write({ cancel_request: { watch_id: message.watch_id } });
      return;
    }
    watch.id = message.watch_id;
    this.#byId.set(message.watch_id, watch);
    this.#told(watch, message);
  }

  /** The answer to a question for progress names no watch: it is for all that have asked. */
  #progressed(message: WatchResponse): void {
    for (const watch of [...this.#byId.values()]) if (watch.asked) this.#told(watch, message);
  }

  #told(watch: Watch, message: WatchResponse): void {
    watch.asked = false;
    const events = message.events.map(watchedEvent);
    if (message.fragment || watch.fragments.length > 0) {
      for (const event of events) watch.fragments.push(event);
      if (watch.fragments.length > EVENTS_MAX)
        throw new StoreError("unknown", "the server sent a message without end");
      if (message.fragment) return;
    }
    const all = watch.fragments.length > 0 ? watch.fragments : events;
    watch.fragments = [];
    if (message.canceled) {
      watch.over = true;
      if (watch.id !== undefined) this.#byId.delete(watch.id);
    }
    watch.sink.message({
      header: header(message.header),
      created: message.created,
      canceled: message.canceled,
      compactRevision: message.compact_revision,
      reason: message.cancel_reason,
      events: all,
    });
    if (message.canceled) this.#endWhenIdle();
  }

  #broken(error: StoreError): void {
    const watches = [...this.#asked.splice(0), ...this.#byId.values()];
    this.#byId.clear();
    for (const watch of watches) {
      if (watch.over) continue;
      watch.over = true;
      watch.sink.broken(error);
    }
  }
}
