import { describe, expect, test } from "vitest";
import { SeededRng } from "../../../src/base/rng.ts";
import { type Instant, MS_US, SEC_US } from "../../../src/base/time.ts";
import { encodeUtf8 } from "../../../src/base/utf8.ts";
import type { KeyValue, StoreEvent, StoreOp, WatchedEvent } from "../../../src/control/datastore/messages.ts";
import { OpIds } from "../../../src/control/datastore/pending-ops.ts";
import { Reflector, type ReflectorOutput } from "../../../src/control/datastore/reflector.ts";

const RANGE = { key: "/p", rangeEnd: "/q" };

function kv(key: string, modRevision: number, text = "v", createRevision = modRevision): KeyValue {
  return { key, value: encodeUtf8(text), createRevision, modRevision, version: 1, lease: "0" };
}
function putEvent(pair: KeyValue): WatchedEvent {
  return { t: "put", kv: pair };
}
function delEvent(key: string, modRevision: number): WatchedEvent {
  return {
    t: "delete",
    kv: { key, value: new Uint8Array(0), createRevision: 0, modRevision, version: 0, lease: "0" },
  };
}

/** Drives one reflector by hand. */
class Bench {
  readonly reflector = new Reflector({ range: RANGE, ids: new OpIds(), rng: new SeededRng(3) });
  now: Instant = 0;
  readonly ops: StoreOp[] = [];
  said: ReflectorOutput[] = [];

  constructor() {
    this.reflector.start(0);
    this.drain();
  }

  drain(): void {
    for (let out = this.reflector.poll(); out !== undefined; out = this.reflector.poll()) {
      if (out.t === "op") this.ops.push(out.op);
      else this.said.push(out);
    }
  }

  /** Lets time pass, with every timer on its moment. */
  wait(us: number): void {
    const until = this.now + us;
    while (this.reflector.nextDeadline() <= until) {
      this.now = Math.max(this.now, this.reflector.nextDeadline());
      this.reflector.tick(this.now);
      this.drain();
    }
    this.now = until;
  }

  feed(event: StoreEvent): boolean {
    const taken = this.reflector.handle(event, this.now);
    this.drain();
    return taken;
  }

  last<T extends StoreOp["t"]>(t: T): Extract<StoreOp, { readonly t: T }> {
    return this.ops.findLast((op) => op.t === t) as Extract<StoreOp, { readonly t: T }>;
  }

  get watch(): number {
    return this.last("watchOpen").watch;
  }

  list(kvs: readonly KeyValue[], revision: number, clusterId = "1"): void {
    this.feed({ t: "rangeDone", id: this.last("range").id, header: { clusterId, revision }, kvs });
  }

  created(revision: number, clusterId = "1"): void {
    this.feed({ t: "watchCreated", watch: this.watch, header: { clusterId, revision } });
  }

  events(revision: number, ...events: WatchedEvent[]): void {
    this.feed({ t: "watchEvents", watch: this.watch, header: { clusterId: "1", revision }, events });
  }

  /** `+key@rev`, `-key@rev`, of what was said since the last call. */
  changes(): string[] {
    const said = this.said;
    this.said = [];
    return said.flatMap((out) => {
      if (out.t === "put") return [`+${out.kv.key}@${out.kv.modRevision}`];
      if (out.t === "delete") return [`-${out.kv.key}@${out.kv.modRevision}`];
      return [];
    });
  }

  get statuses(): string[] {
    return this.said.flatMap((out) => (out.t === "status" ? [out.status] : []));
  }
}

test("lists, then watches from the next revision", () => {
  const bench = new Bench();
  expect(bench.ops).toEqual([{ t: "range", id: 1, range: RANGE }]);
  bench.list([kv("/p/a", 5), kv("/p/b", 7)], 9);
  expect(bench.last("watchOpen")).toMatchObject({ range: RANGE, startRevision: 10 });
  expect(bench.said.map((out) => out.t)).toEqual(["snapshot", "put", "put", "synced"]);
  bench.created(9);
  expect(bench.statuses).toEqual(["Synced"]);
});

test("put and delete carry what the key held before", () => {
  const bench = new Bench();
  const a = kv("/p/a", 5);
  bench.list([a], 9);
  bench.created(9);
  bench.said = [];
  const a2 = kv("/p/a", 10, "w", 5);
  bench.events(11, putEvent(a2), delEvent("/p/a", 11));
  expect(bench.said).toEqual([
    { t: "put", origin: "watch", kv: a2, previous: a },
    {
      t: "delete",
      origin: "watch",
      kv: expect.objectContaining({ key: "/p/a", modRevision: 11 }),
      previous: a2,
    },
  ]);
  expect(bench.reflector.items.size).toBe(0);
});

describe("it resumes after the last event that it applied", () => {
  function broken(prepare: (bench: Bench) => void): number {
    const bench = new Bench();
    bench.list([kv("/p/a", 5)], 9);
    bench.created(9);
    prepare(bench);
    bench.feed({ t: "watchBroken", watch: bench.watch, message: "reset" });
    bench.wait(3 * SEC_US);
    return bench.last("watchOpen").startRevision;
  }

  test("not after the header's revision", () => {
    expect(broken((bench) => bench.events(500, putEvent(kv("/p/a", 12))))).toBe(13);
  });

  test("not after a progress answer's revision: servers before 3.4.25 may be ahead of their events there", () => {
    expect(
      broken((bench) =>
        bench.feed({ t: "watchProgressed", watch: bench.watch, header: { clusterId: "1", revision: 500 } }),
      ),
    ).toBe(10);
  });

  test("after the list's revision when there was no event", () => {
    expect(broken(() => undefined)).toBe(10);
  });
});

test("compaction: a new list, and the difference that the gap has hidden", () => {
  const bench = new Bench();
  bench.list([kv("/p/a", 5), kv("/p/b", 6), kv("/p/c", 7)], 9);
  bench.created(9);
  bench.changes();
  bench.feed({ t: "watchCanceled", watch: bench.watch, compactRevision: 40, reason: "" });
  bench.wait(60 * MS_US);
  bench.list([kv("/p/a", 5), kv("/p/c", 41, "new", 41), kv("/p/d", 42)], 43);
  // A store that ends a watch does answer.
  expect(bench.statuses).toEqual(["Syncing"]);
  expect(bench.changes()).toEqual(["-/p/b@43", "+/p/c@41", "+/p/d@42"]);
  expect(bench.last("watchOpen").startRevision).toBe(44);
});

test("told to doubt: a new list at once, but no second one beside it, and none after the end", () => {
  const bench = new Bench();
  const lists = (): number => bench.ops.filter((op) => op.t === "range").length;
  const relist = (): number => {
    bench.reflector.relist(bench.now);
    bench.drain();
    return lists();
  };
  expect(relist()).toBe(1);
  bench.list([kv("/p/a", 5)], 9);
  expect(relist()).toBe(2);
  expect(bench.last("watchCancel").watch).toBe(bench.watch);
  bench.list([kv("/p/b", 6)], 9);
  expect(bench.changes()).toEqual(["+/p/a@5", "-/p/a@9", "+/p/b@6"]);
  bench.created(9);
  bench.feed({ t: "watchBroken", watch: bench.watch, message: "" });
  expect(relist()).toBe(3);
  bench.reflector.stop();
  expect(relist()).toBe(3);
});

test("any other end of the watch is said, and leads to a list as well", () => {
  const bench = new Bench();
  bench.list([], 9);
  bench.created(9);
  bench.feed({ t: "watchCanceled", watch: bench.watch, compactRevision: 0, reason: "permission denied" });
  expect(bench.said.at(-2)).toMatchObject({
    t: "log",
    level: "warn",
    message: expect.stringContaining("permission denied"),
  });
  expect(bench.statuses.at(-1)).toBe("Disconnected");
  const lists = bench.ops.filter((op) => op.t === "range").length;
  bench.wait(60 * MS_US);
  expect(bench.ops.filter((op) => op.t === "range")).toHaveLength(lists + 1);
});

describe("an empty list where there was something", () => {
  function suddenlyEmpty(): Bench {
    const bench = new Bench();
    bench.list([kv("/p/a", 5), kv("/p/b", 6)], 9);
    bench.created(9);
    bench.feed({ t: "watchCanceled", watch: bench.watch, compactRevision: 20, reason: "" });
    // A store that has compacted does answer.
    expect(bench.statuses.at(-1)).toBe("Syncing");
    bench.wait(60 * MS_US);
    bench.changes();
    bench.list([], 30);
    return bench;
  }

  test("is read again before anything is dropped", () => {
    const bench = suddenlyEmpty();
    expect(bench.changes()).toEqual([]);
    bench.wait(190 * MS_US);
    expect(bench.ops.filter((op) => op.t === "range")).toHaveLength(2);
    bench.wait(220 * MS_US);
    expect(bench.ops.filter((op) => op.t === "range")).toHaveLength(3);
    bench.list([], 31);
    expect(bench.changes()).toEqual(["-/p/a@31", "-/p/b@31"]);
  });

  test("is forgotten when the second read shows otherwise", () => {
    const bench = suddenlyEmpty();
    bench.wait(410 * MS_US);
    bench.list([kv("/p/a", 5), kv("/p/b", 6)], 31);
    expect(bench.changes()).toEqual([]);
    expect(bench.reflector.items.size).toBe(2);
  });

  test("survives a second read that fails", () => {
    const bench = suddenlyEmpty();
    bench.wait(410 * MS_US);
    bench.feed({ t: "opFailed", id: bench.last("range").id, code: "unavailable", message: "x" });
    expect(bench.changes()).toEqual([]);
    bench.wait(3 * SEC_US);
    bench.list([], 33);
    expect(bench.changes()).toEqual(["-/p/a@33", "-/p/b@33"]);
  });
});

describe("a store that is not the one we knew", () => {
  test.each([
    ["another cluster id when the watch is created", "2", 50],
    ["a lower revision when the watch is created", "1", 3],
  ])("%s: a new list", (_name, clusterId, revision) => {
    const bench = new Bench();
    bench.list([kv("/p/a", 5)], 9);
    bench.created(9);
    bench.feed({ t: "watchBroken", watch: bench.watch, message: "reset" });
    bench.wait(60 * MS_US);
    bench.created(revision, clusterId);
    bench.wait(3 * SEC_US);
    expect(bench.last("watchCancel").watch).toBe(bench.watch);
    bench.changes();
    bench.list([kv("/p/b", 2)], 3, clusterId);
    expect(bench.changes()).toEqual(["-/p/a@3", "+/p/b@2"]);
    expect(bench.last("watchOpen").startRevision).toBe(4);
  });

  test("is said with the snapshot", () => {
    const bench = new Bench();
    bench.list([kv("/p/a", 5)], 9);
    bench.created(9);
    bench.feed({ t: "watchCanceled", watch: bench.watch, compactRevision: 20, reason: "" });
    bench.wait(60 * MS_US);
    bench.said = [];
    bench.list([kv("/p/a", 2)], 2, "1");
    expect(bench.said.find((out) => out.t === "snapshot")).toMatchObject({ wiped: true });
    // The same key and value, but another life of it.
    expect(bench.changes()).toEqual(["+/p/a@2"]);
  });
});

describe("a store that a broken watch goes on in", () => {
  /** /p/a@5 and /p/b@8 are known up to revision 9; then the watch breaks and stands again. */
  function resumed(kvs: readonly KeyValue[] = [kv("/p/a", 5), kv("/p/b", 8, "v", 3)]): Bench {
    const bench = new Bench();
    bench.list(kvs, 9);
    bench.created(9);
    bench.ops.length = 0;
    bench.feed({ t: "watchBroken", watch: bench.last("watchOpen")?.watch ?? 2, message: "reset" });
    bench.wait(60 * MS_US);
    bench.said = [];
    return bench;
  }

  test("is asked for the newest key as it was then: the same store says the same, and nothing is listed", () => {
    const bench = resumed();
    expect(bench.ops.map(({ t }) => t)).toEqual(["watchOpen"]);
    bench.created(30);
    // Changed since: that is no reason for doubt.
    bench.events(31, putEvent(kv("/p/b", 31, "w", 3)));
    const asked = bench.last("range");
    expect(asked).toMatchObject({ range: { key: "/p/b", rangeEnd: undefined }, revision: 9 });
    bench.list([kv("/p/b", 8, "v", 3)], 31);
    bench.wait(3 * SEC_US);
    expect(bench.ops.filter(({ t }) => t === "range")).toEqual([asked]);
    expect(bench.changes()).toEqual(["+/p/b@31"]);
    expect(bench.reflector.status).toBe("Synced");
  });

  test.each([
    ["has no such key then", []],
    ["had another value then", [kv("/p/b", 8, "w", 3)]],
    ["had another life of it then", [kv("/p/b", 8, "v", 4)]],
    ["had another version of it then", [kv("/p/b", 7, "v", 3)]],
  ])("is another one when it %s: what it holds is listed", (_, found) => {
    const bench = resumed();
    bench.created(30);
    bench.events(31, putEvent(kv("/p/c", 31)));
    bench.list(found, 31);
    expect(bench.last("watchCancel").watch).toBe(bench.watch);
    bench.wait(60 * MS_US);
    expect(bench.last("range")).not.toHaveProperty("revision");
    bench.said = [];
    bench.list([kv("/p/a", 2), kv("/p/c", 31)], 31);
    expect(bench.said.find((out) => out.t === "snapshot")).toMatchObject({ wiped: true });
    expect(bench.changes()).toEqual(["-/p/b@31", "+/p/a@2"]);
    expect(bench.last("watchOpen").startRevision).toBe(32);
  });

  test("is listed when it has forgotten that revision, and not called another", () => {
    const bench = resumed();
    bench.created(30);
    bench.feed({ t: "opFailed", id: bench.last("range").id, code: "compacted", message: "" });
    bench.wait(60 * MS_US);
    bench.said = [];
    bench.list([kv("/p/a", 5), kv("/p/b", 8, "v", 3)], 31);
    expect(bench.said.find((out) => out.t === "snapshot")).toMatchObject({ wiped: false });
    expect(bench.changes()).toEqual([]);
  });

  test.each([true, false])("is asked again when it did not say (told of it: %s)", (told) => {
    const bench = resumed();
    bench.created(30);
    const first = bench.last("range").id;
    if (told) bench.feed({ t: "opFailed", id: first, code: "unavailable", message: "" });
    for (let i = 0; i < 6 && bench.ops.filter(({ t }) => t === "watchOpen").length < 2; i++) {
      // The watch lives: it is not its silence that ends it.
      bench.wait(SEC_US);
      bench.feed({ t: "watchProgressed", watch: bench.watch, header: { clusterId: "1", revision: 30 } });
    }
    bench.created(30);
    expect(bench.last("watchOpen").startRevision).toBe(10);
    expect(bench.last("range").id).not.toBe(first);
    bench.list([], 31);
    bench.wait(60 * MS_US);
    expect(bench.last("range")).not.toHaveProperty("revision");
  });

  test("is listed when there is no key to know it by", () => {
    const bench = resumed([]);
    expect(bench.ops.map(({ t }) => t)).toEqual(["range"]);
    expect(bench.last("range")).not.toHaveProperty("revision");
  });
});

describe("hostile and odd input", () => {
  test("keys outside the range, repeated keys and old events change nothing", () => {
    const bench = new Bench();
    bench.list([kv("/p/a", 5), kv("/p/a", 5), kv("/zzz", 5)], 9);
    bench.created(9);
    expect(bench.changes()).toEqual(["+/p/a@5"]);
    bench.events(
      12,
      putEvent(kv("/elsewhere", 10)),
      putEvent(kv("/p/a", 4, "old")),
      delEvent("/p/a", 3),
      putEvent(kv("/p/a", Number.NaN)),
      delEvent("/p/unknown", 11),
    );
    expect(bench.changes()).toEqual([]);
    expect([...bench.reflector.items.keys()]).toEqual(["/p/a"]);
  });

  test("one revision in two responses is applied once", () => {
    const bench = new Bench();
    bench.list([], 9);
    bench.created(9);
    bench.events(10, putEvent(kv("/p/a", 10)), putEvent(kv("/p/b", 10)));
    bench.events(10, putEvent(kv("/p/b", 10)), putEvent(kv("/p/c", 10)));
    expect(bench.changes()).toEqual(["+/p/a@10", "+/p/b@10", "+/p/c@10"]);
  });

  test("what a watch says after it was given up is nobody's", () => {
    const bench = new Bench();
    bench.list([], 9);
    bench.created(9);
    const old = bench.watch;
    bench.wait(5 * SEC_US);
    const header = { clusterId: "1", revision: 10 };
    expect(bench.feed({ t: "watchEvents", watch: old, header, events: [putEvent(kv("/p/a", 10))] })).toBe(
      false,
    );
    expect(bench.changes()).toEqual([]);
  });

  test("answers to nobody's questions are left to others", () => {
    const bench = new Bench();
    expect(bench.feed({ t: "rangeDone", id: 77, header: { clusterId: "1", revision: 1 }, kvs: [] })).toBe(
      false,
    );
    expect(bench.feed({ t: "leaseGranted", id: 1, lease: "1", ttlSec: 5 })).toBe(false);
  });
});

test("after stop it is silent", () => {
  const bench = new Bench();
  bench.list([], 9);
  bench.created(9);
  bench.reflector.stop();
  bench.drain();
  expect(bench.ops.at(-1)).toEqual({ t: "watchCancel", watch: bench.watch });
  expect(bench.reflector.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
});
