import { describe, expect, test } from "vitest";
import { KEYSPACE_END } from "../../../../src/io/embedded/byte-key.ts";
import type { Store } from "../../../../src/io/embedded/store.ts";
import type { WatchRequest, WatchStream } from "../../../../src/io/embedded/watch-hub.ts";
import { deleteOf, newStore, putOf, settle, TestSink, txnOf, watchOf } from "./requests.ts";

const ALL = ["\0", KEYSPACE_END] as const;

function open(store: Store, ...requests: readonly WatchRequest[]): { sink: TestSink; stream: WatchStream } {
  const sink = new TestSink();
  const stream = store.hub.open(sink);
  for (const request of requests) stream.create(request);
  return { sink, stream };
}

describe("creating", () => {
  test("`created` comes first, then the history, then what happens", () => {
    const store = newStore();
    store.put(putOf("a", "1"));
    const { sink } = open(store, watchOf("a", undefined, { startRevision: 2 }));
    store.put(putOf("a", "2"));
    settle(store);
    store.put(putOf("a", "3"));
    expect(sink.responses[0]).toMatchObject({ watchId: 0, created: true, revision: 2, events: [] });
    expect(sink.events()).toEqual(["a=1@2", "a=2@3", "a=3@4"]);
  });

  test("ids count up from 0 on each stream, past the ones that the client chose", () => {
    const store = newStore();
    const { sink } = open(store, watchOf("a"), watchOf("a", undefined, { watchId: 1 }), watchOf("a"));
    expect(sink.responses.map((r) => r.watchId)).toEqual([0, 1, 2]);
    expect(open(store, watchOf("a")).sink.responses[0]?.watchId).toBe(0);
  });

  test("a duplicate id is refused with id -1, created and canceled", () => {
    const { sink } = open(
      newStore(),
      watchOf("a", undefined, { watchId: 7 }),
      watchOf("b", undefined, { watchId: 7 }),
    );
    expect(sink.responses[1]).toMatchObject({
      watchId: -1,
      created: true,
      canceled: true,
      cancelReason: "mvcc: duplicate watch ID provided on the WatchStream",
    });
  });

  test("an empty range is refused likewise", () => {
    const { sink } = open(newStore(), watchOf("b", "a"), watchOf("b", "b"));
    for (const response of sink.responses) {
      expect(response).toMatchObject({
        watchId: -1,
        canceled: true,
        cancelReason: "mvcc: watcher range is empty",
      });
    }
  });

  test("start revision 0 is from now on", () => {
    const store = newStore();
    store.put(putOf("a", "1"));
    const { sink } = open(store, watchOf("a"));
    store.put(putOf("a", "2"));
    settle(store);
    expect(sink.events()).toEqual(["a=2@3"]);
  });

  test("a start revision in the future waits for it", () => {
    const store = newStore();
    const { sink } = open(store, watchOf("a", undefined, { startRevision: 4 }));
    for (const value of ["1", "2", "3", "4"]) store.put(putOf("a", value));
    settle(store);
    expect(sink.events()).toEqual(["a=3@4", "a=4@5"]);
  });
});

describe("events", () => {
  test("all of one revision come in one response, in the order of the operations", () => {
    const store = newStore();
    store.put(putOf("d", "0"));
    const { sink } = open(store, watchOf("a", "z"));
    store.txn(txnOf([], [putOf("c", "1"), deleteOf("d"), putOf("a", "1"), putOf("zz", "1")]));
    expect(sink.responses).toHaveLength(2);
    expect(sink.events()).toEqual(["c=1@3", "-d@3", "a=1@3"]);
    expect(sink.responses[1]?.revision).toBe(3);
  });

  test("the header has the event's revision when synced, and the current one while catching up", () => {
    const store = newStore();
    for (const value of ["1", "2", "3"]) store.put(putOf("a", value));
    const { sink } = open(store, watchOf("a", undefined, { startRevision: 2 }));
    settle(store);
    expect(sink.responses.map((r) => r.revision)).toEqual([4, 4]);
    store.put(putOf("a", "4"));
    expect(sink.responses[2]?.revision).toBe(5);
  });

  test("filters leave out puts or deletes, and then send nothing at all", () => {
    const store = newStore();
    const { sink: puts } = open(store, watchOf(...ALL, { noDelete: true }));
    const { sink: deletes } = open(store, watchOf(...ALL, { noPut: true }));
    const { sink: none } = open(store, watchOf(...ALL, { noPut: true, noDelete: true }));
    store.put(putOf("a", "1"));
    store.deleteRange(deleteOf("a"));
    expect(puts.events()).toEqual(["a=1@2"]);
    expect(deletes.events()).toEqual(["-a@3"]);
    expect(none.responses).toHaveLength(1);
  });

  test("prev_kv is the version before, none for a creation, also in history, never a compacted one", () => {
    const store = newStore();
    for (const value of ["1", "2"]) store.put(putOf("a", value));
    store.deleteRange(deleteOf("a"));
    const from = (startRevision: number): (number | undefined)[] => {
      const { sink } = open(store, watchOf("a", undefined, { startRevision, prevKv: true }));
      settle(store);
      return sink.responses.flatMap((r) => r.events.map((event) => event.prevKv?.modRevision));
    };
    expect(from(2)).toEqual([undefined, 2, 3]);
    store.compact(3);
    expect(from(3)).toEqual([undefined, 3]);
    const { sink } = open(store, watchOf("b", undefined, { prevKv: true }), watchOf("b"));
    store.put(putOf("b", "1"));
    store.put(putOf("b", "2"));
    expect(sink.responses.flatMap((r) => r.events.map((e) => e.prevKv?.modRevision))).toEqual([
      undefined,
      undefined,
      5,
      undefined,
    ]);
  });

  test("a key deleted and created again in one revision: the deletion has a prev_kv, the creation has none", () => {
    const store = newStore();
    store.put(putOf("a", "1"));
    const { sink } = open(store, watchOf("a", undefined, { prevKv: true }));
    store.txn(txnOf([], [deleteOf("a", KEYSPACE_END), putOf("a", "2")]));
    expect(sink.events()).toEqual(["-a@3", "a=2@3"]);
    expect(sink.responses[1]?.events.map((event) => event.prevKv?.modRevision)).toEqual([2, undefined]);
  });

  test("watchers that see the same share one array of events", () => {
    const store = newStore();
    const sinks = [1, 2].map(() => open(store, watchOf("a", "b")).sink);
    store.put(putOf("a", "1"));
    expect(sinks[0]?.responses[1]?.events).toBe(sinks[1]?.responses[1]?.events);
  });

  test("fragments split a large response between events; without the option it stays whole", () => {
    const store = newStore({ fragmentBytes: 200 });
    const { sink } = open(store, watchOf(...ALL, { fragment: true }), watchOf(...ALL));
    store.txn(
      txnOf(
        [],
        ["a", "b", "c", "d", "e"].map((key) => putOf(key, "x".repeat(40))),
      ),
    );
    const [, , ...responses] = sink.responses;
    const whole = responses.filter((r) => r.watchId === 1);
    const parts = responses.filter((r) => r.watchId === 0);
    expect(whole.map((r) => r.events.length)).toEqual([5]);
    expect(parts.map((r) => [r.events.length, r.fragment ?? false])).toEqual([
      [2, true],
      [2, true],
      [1, false],
    ]);
    expect(parts.flatMap((r) => r.events.map((e) => e.kv.key)).join("")).toBe("abcde");
  });
});

describe("cancelling", () => {
  test("says canceled and then nothing; an unknown id is met with silence", () => {
    const store = newStore();
    const { sink, stream } = open(store, watchOf("a"));
    stream.cancel(5);
    stream.cancel(0);
    store.put(putOf("a", "1"));
    expect(sink.responses.map((r) => [r.created ?? false, r.canceled ?? false])).toEqual([
      [true, false],
      [false, true],
    ]);
    expect(store.hub.watcherCount).toBe(0);
  });

  test("a closed stream leaves nothing behind, lagging watchers included", () => {
    const store = newStore();
    store.put(putOf("a", "1"));
    const { sink, stream } = open(store, watchOf("a", undefined, { startRevision: 2 }), watchOf("a"));
    stream.close();
    settle(store);
    store.put(putOf("a", "2"));
    expect(sink.responses).toHaveLength(2);
    expect(store.hub.watcherCount).toBe(0);
  });

  test("a start before the compaction is canceled with compact_revision and header revision 0", () => {
    const store = newStore();
    for (const value of ["1", "2", "3"]) store.put(putOf("a", value));
    store.compact(3);
    const { sink, stream } = open(store, watchOf("a", undefined, { startRevision: 2 }));
    settle(store);
    expect(sink.responses[0]).toMatchObject({ created: true, revision: 4 });
    expect(sink.responses[1]).toEqual({
      watchId: 0,
      revision: 0,
      canceled: true,
      compactRevision: 3,
      events: [],
    });
    // Its id stays taken until the client cancels it too.
    stream.create(watchOf("a"));
    expect(sink.responses[2]?.watchId).toBe(1);
    stream.cancel(0);
    expect(sink.responses[3]).toMatchObject({ watchId: 0, canceled: true });
  });

  test("a start at the compact revision is fine, and sees a deletion there", () => {
    const store = newStore();
    store.put(putOf("a", "1"));
    store.deleteRange(deleteOf("a"));
    store.compact(3);
    settle(store);
    const { sink } = open(store, watchOf("a", undefined, { startRevision: 3 }));
    settle(store);
    expect(sink.events()).toEqual(["-a@3"]);
  });
});

describe("a slow client", () => {
  test("costs no memory: after its last response nothing is sent, and the history catches it up", () => {
    const store = newStore();
    const { sink, stream } = open(store, watchOf(...ALL));
    sink.room = 3;
    for (let i = 0; i < 5000; i++) store.put(putOf("k", String(i)));
    settle(store);
    expect(sink.responses).toHaveLength(4);
    sink.room = Number.POSITIVE_INFINITY;
    stream.drained();
    settle(store);
    store.put(putOf("k", "last"));
    const events = sink.events();
    expect(events).toHaveLength(5001);
    expect(new Set(events).size).toBe(5001);
    expect(events[4999]).toBe("k=4999@5001");
    // 1,000 revisions a response.
    expect(sink.responses.length).toBeLessThan(12);
  });

  test("may stall again in the middle of catching up", () => {
    const store = newStore();
    for (let i = 0; i < 3500; i++) store.put(putOf("k", String(i)));
    const { sink, stream } = open(store);
    sink.room = 2;
    stream.create(watchOf("k", undefined, { startRevision: 2 }));
    settle(store);
    expect(sink.events()).toHaveLength(1000);
    for (let round = 0; round < 3; round++) {
      sink.room = 1;
      stream.drained();
      settle(store);
    }
    const want = Array.from({ length: 3500 }, (_, i) => `k=${i}@${i + 2}`);
    expect(sink.events()).toEqual(want);
  });

  test("does not hold up a fast one", () => {
    const store = newStore();
    const slow = open(store, watchOf("k"));
    slow.sink.room = 0;
    const fast = open(store, watchOf("k"));
    store.put(putOf("k", "1"));
    store.put(putOf("k", "2"));
    expect(fast.sink.events()).toEqual(["k=1@2", "k=2@3"]);
  });

  test("is canceled when the compaction overtakes it", () => {
    const store = newStore({ retention: { mode: "revision", revisions: 1000 } });
    const { sink, stream } = open(store, watchOf("k"));
    sink.room = 1;
    for (let i = 0; i < 5000; i++) store.put(putOf("k", String(i)));
    sink.room = Number.POSITIVE_INFINITY;
    stream.drained();
    settle(store);
    const last = sink.responses[sink.responses.length - 1];
    expect(last).toMatchObject({ canceled: true, compactRevision: store.mvcc.compactRevision });
    expect(sink.events()).toEqual(["k=0@2"]);
  });

  test("is not canceled for having had nothing to see since long before the compaction", () => {
    const store = newStore();
    const { sink, stream } = open(store, watchOf("mine"), watchOf("other"));
    for (let i = 0; i < 100; i++) store.put(putOf("third", String(i)));
    store.compact(90);
    sink.room = 1;
    store.put(putOf("other", "1"));
    store.put(putOf("mine", "1"));
    sink.room = Number.POSITIVE_INFINITY;
    stream.drained();
    settle(store);
    expect(sink.events()).toEqual(["other=1@102", "mine=1@103"]);
  });
});

describe("progress", () => {
  test("a request is answered with id -1 and the current revision", () => {
    const store = newStore();
    const { sink, stream } = open(store, watchOf("a"));
    store.put(putOf("b", "1"));
    stream.requestProgress();
    expect(sink.responses[1]).toEqual({ watchId: -1, revision: 2, events: [] });
  });

  test("the answer never overtakes events that are still to come", () => {
    const store = newStore();
    for (let i = 0; i < 2500; i++) store.put(putOf("k", String(i)));
    const { sink, stream } = open(store, watchOf("k", undefined, { startRevision: 2 }));
    stream.requestProgress();
    stream.requestProgress();
    expect(sink.responses).toHaveLength(1);
    settle(store);
    const at = sink.responses.findIndex((r) => r.watchId === -1);
    expect(at).toBe(sink.responses.length - 1);
    expect(sink.responses[at]?.revision).toBe(2501);
    expect(sink.events()).toHaveLength(2500);
  });

  test("progress_notify reports to watchers that had nothing since the last time", () => {
    const store = newStore();
    const { sink } = open(store, watchOf("a", undefined, { progressNotify: true }), watchOf("a"));
    sink.take();
    store.put(putOf("b", "1"));
    store.hub.progressTick();
    expect(sink.take()).toEqual([{ watchId: 0, revision: 2, events: [] }]);
    store.put(putOf("a", "1"));
    sink.take();
    store.hub.progressTick();
    expect(sink.take()).toEqual([]);
    store.hub.progressTick();
    expect(sink.take()).toEqual([{ watchId: 0, revision: 3, events: [] }]);
  });
});
