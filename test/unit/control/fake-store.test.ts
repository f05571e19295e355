// The store that pure tests run on: what it promises, so that a simulation proves something.
import { describe, expect, test } from "vitest";
import { SeededRng } from "../../../src/base/rng.ts";
import { type Instant, MS_US, SEC_US } from "../../../src/base/time.ts";
import { encodeUtf8 } from "../../../src/base/utf8.ts";
import type { StoreEvent, StoreOp } from "../../../src/control/datastore/messages.ts";
import { type Connection, FakeStore } from "../../support/fake-store.ts";

const RANGE = { key: "/p", rangeEnd: "/q" };

function setUp(): { store: FakeStore; conn: Connection; until: (at: Instant) => StoreEvent[] } {
  const store = new FakeStore(new SeededRng(1));
  const conn = store.connect();
  const until = (at: Instant) => {
    const events: StoreEvent[] = [];
    for (let event = conn.poll(at); event !== undefined; event = conn.poll(at)) events.push(event);
    return events;
  };
  return { store, conn, until };
}

const put = (id: number, key: string, lease = "0"): StoreOp => ({
  t: "txn",
  id,
  compares: [{ key, target: "create", op: "equal", operand: 0 }],
  success: [{ t: "put", key, value: encodeUtf8("v"), lease }],
  failure: [{ t: "range", range: RANGE }],
});

test("an answer takes a moment in either direction", () => {
  const { conn, until } = setUp();
  conn.submit({ t: "range", id: 1, range: RANGE }, 0);
  expect(until(300)).toEqual([]);
  expect(until(5 * MS_US)).toEqual([
    { t: "rangeDone", id: 1, header: { clusterId: "1001", revision: 1 }, kvs: [] },
  ]);
});

test("transactions compare before, write one revision, and see their own puts", () => {
  const { store, conn, until } = setUp();
  conn.submit(put(1, "/p/a"), 0);
  until(SEC_US);
  conn.submit(put(2, "/p/a"), SEC_US);
  const [lost] = until(2 * SEC_US);
  expect(lost).toMatchObject({
    succeeded: false,
    header: { revision: 2 },
    replies: [{ t: "range", kvs: [{ key: "/p/a" }] }],
  });
  expect(store.dump()).toMatchObject([{ key: "/p/a", createRevision: 2, modRevision: 2, version: 1 }]);
  const range = { t: "range", range: RANGE } as const;
  const write = { t: "put", key: "/p/b", value: encodeUtf8("w"), lease: "0" } as const;
  conn.submit({ t: "txn", id: 3, compares: [], success: [write, range], failure: [] }, 2 * SEC_US);
  expect(until(3 * SEC_US)).toMatchObject([
    { replies: [{ t: "put" }, { kvs: [{ key: "/p/a" }, { key: "/p/b" }] }] },
  ]);
});

test("a lease ends on time, with all its keys in one revision; unknown ones are TTL 0, -1, or an error", () => {
  const { store, conn, until } = setUp();
  const lease = store.grant(5);
  store.put("/p/a", "v", lease);
  store.put("/p/b", "v", lease);
  conn.submit({ t: "watchOpen", watch: 9, range: RANGE, startRevision: store.etcd.revision + 1 }, 0);
  until(5 * SEC_US - 1);
  expect(store.dump()).toHaveLength(2);
  const events = until(6 * SEC_US);
  expect(events).toMatchObject([
    { t: "watchEvents", events: [{ t: "delete", kv: { key: "/p/a" } }, { kv: { key: "/p/b" } }] },
  ]);
  conn.submit({ t: "leaseKeepAlive", id: 1, lease }, 6 * SEC_US);
  conn.submit({ t: "leaseTimeToLive", id: 2, lease }, 6 * SEC_US);
  conn.submit({ t: "leaseRevoke", id: 3, lease }, 6 * SEC_US);
  conn.submit(put(4, "/p/c", lease), 6 * SEC_US);
  const answers = until(7 * SEC_US).sort((a, b) => ("id" in a && "id" in b ? a.id - b.id : 0));
  expect(answers).toMatchObject([
    { t: "leaseKeptAlive", ttlSec: 0 },
    { t: "leaseTimeToLive", ttlSec: -1 },
    { t: "opFailed", code: "leaseNotFound" },
    { t: "opFailed", code: "leaseNotFound" },
  ]);
  expect(store.dump()).toEqual([]);
});

describe("watches", () => {
  test("start at the compact revision, but not below it", () => {
    const { store, conn, until } = setUp();
    for (let i = 0; i < 5; i++) store.put("/p/a", String(i));
    store.compact(4);
    conn.submit({ t: "watchOpen", watch: 1, range: RANGE, startRevision: 4 }, 0);
    expect(until(SEC_US).map((e) => (e.t === "watchEvents" ? e.events.length : e.t))).toEqual([
      "watchCreated",
      3,
    ]);
    conn.submit({ t: "watchOpen", watch: 2, range: RANGE, startRevision: 3 }, SEC_US);
    expect(until(2 * SEC_US)).toMatchObject([
      { t: "watchCreated" },
      { t: "watchCanceled", compactRevision: 4, reason: "" },
    ]);
  });

  test("arrive in order, and lose what is on its way when they break", () => {
    const { store, conn, until } = setUp();
    store.faults.delayMaxUs = 50 * MS_US;
    conn.submit({ t: "watchOpen", watch: 1, range: RANGE, startRevision: 2 }, 0);
    until(SEC_US);
    for (let i = 0; i < 50; i++) store.put("/p/a", String(i));
    const revisions = until(2 * SEC_US).flatMap((e) =>
      e.t === "watchEvents" ? e.events.map((x) => x.kv.modRevision) : [],
    );
    expect(revisions).toEqual(Array.from({ length: 50 }, (_, i) => i + 2));
    store.put("/p/b", "v");
    conn.breakWatches(2 * SEC_US);
    expect(until(3 * SEC_US)).toEqual([{ t: "watchBroken", watch: 1, message: "stream reset" }]);
  });
});

describe("faults", () => {
  test("a lost request and a lost answer both end in a timeout after 3 s; only one was carried out", () => {
    const { store, conn, until } = setUp();
    store.faults.loseRequest = 1;
    conn.submit(put(1, "/p/a"), 0);
    store.faults.loseRequest = 0;
    store.faults.loseReply = 1;
    conn.submit(put(2, "/p/b"), 0);
    expect(until(3 * SEC_US - 1)).toEqual([]);
    expect(until(3 * SEC_US)).toMatchObject([
      { id: 1, code: "timeout" },
      { id: 2, code: "timeout" },
    ]);
    expect(store.dump().map((kv) => kv.key)).toEqual(["/p/b"]);
  });

  test("in an outage calls are refused, watches break, and leases stand still; afterwards they have their full time", () => {
    const { store, conn, until } = setUp();
    const lease = store.grant(5);
    store.put("/p/a", "v", lease);
    conn.submit({ t: "watchOpen", watch: 1, range: RANGE, startRevision: 2 }, 0);
    until(SEC_US);
    store.outage(SEC_US, 60 * SEC_US);
    conn.submit({ t: "range", id: 1, range: RANGE }, 2 * SEC_US);
    expect(until(3 * SEC_US)).toMatchObject([{ t: "watchBroken" }, { t: "opFailed", code: "unavailable" }]);
    until(65 * SEC_US - 1);
    expect(store.dump()).toHaveLength(1);
    until(65 * SEC_US);
    expect(store.dump()).toHaveLength(0);
  });

  test("out of a black hole a call arrives although it was given up", () => {
    const { store, conn, until } = setUp();
    conn.blackHole(0, 10 * SEC_US);
    conn.submit(put(1, "/p/a"), 0);
    expect(until(9 * SEC_US)).toMatchObject([{ id: 1, code: "timeout" }]);
    expect(store.dump()).toEqual([]);
    expect(until(11 * SEC_US)).toEqual([]);
    expect(store.dump()).toHaveLength(1);
  });

  test("a wiped store is another cluster at revision 1", () => {
    const { store, conn, until } = setUp();
    store.put("/p/a", "v", store.grant(5));
    store.wipe();
    conn.submit({ t: "range", id: 1, range: RANGE }, 0);
    expect(until(SEC_US)).toMatchObject([{ header: { clusterId: "1002", revision: 1 }, kvs: [] }]);
    expect(store.etcd.leases()).toEqual([]);
  });
});
