import { describe, expect, test } from "vitest";
import { SEC_US } from "../../../../src/base/time.ts";
import { KEYSPACE_END } from "../../../../src/io/embedded/byte-key.ts";
import { Refused } from "../../../../src/io/embedded/errors.ts";
import type { Journal } from "../../../../src/io/embedded/journal/journal.ts";
import type { JournalRecord } from "../../../../src/io/embedded/journal/record.ts";
import { type Store, TICK_US } from "../../../../src/io/embedded/store.ts";
import {
  bytes,
  deleteOf,
  newStore,
  putOf,
  rangeOf,
  settle,
  TestSink,
  text,
  txnOf,
  watchOf,
} from "./requests.ts";

/** Ticks as the server does, up to and including `to`. Returns `to`. */
function run(store: Store, from: number, to: number): number {
  for (let now = from; now < to; now = Math.min(to, now + TICK_US)) store.tick(now);
  store.tick(to);
  return to;
}

describe("put", () => {
  test("ignore_value keeps the value, ignore_lease keeps the lease", () => {
    const store = newStore();
    const { id } = store.leaseGrant("5", 60, 0);
    store.put(putOf("a", "1", { lease: id }));
    store.put(putOf("a", "", { ignoreValue: true }));
    expect(store.mvcc.get("a")).toMatchObject({ value: bytes("1"), lease: "0", version: 2 });
    store.put(putOf("a", "2", { lease: id }));
    store.put(putOf("a", "3", { ignoreLease: true }));
    expect(store.mvcc.get("a")).toMatchObject({ value: bytes("3"), lease: "5", version: 4 });
  });

  test("refuses what etcd refuses, and changes nothing", () => {
    const store = newStore();
    expect(() => store.put(putOf("", "1"))).toThrow(Refused.EMPTY_KEY.text);
    expect(() => store.put(putOf("a", "1", { lease: "9" }))).toThrow(Refused.LEASE_NOT_FOUND.text);
    expect(() => store.put(putOf("a", "", { ignoreValue: true }))).toThrow(Refused.KEY_NOT_FOUND.text);
    expect(() => store.put(putOf("a", "1", { ignoreValue: true }))).toThrow(Refused.VALUE_PROVIDED.text);
    expect(() => store.put(putOf("a", "1", { ignoreLease: true, lease: "9" }))).toThrow(
      Refused.LEASE_PROVIDED.text,
    );
    expect(store.revision).toBe(1);
  });

  test("prev_kv is the replaced version, none for a creation", () => {
    const store = newStore();
    expect(store.put(putOf("a", "1", { prevKv: true })).prevKv).toBeUndefined();
    expect(text(store.put(putOf("a", "2", { prevKv: true })).prevKv)).toBe("1");
    expect(store.put(putOf("a", "3")).prevKv).toBeUndefined();
  });
});

describe("delete", () => {
  test("counts, returns what was there in key order, and is one revision", () => {
    const store = newStore();
    for (const key of ["c", "a", "b"]) store.put(putOf(key, key));
    const reply = store.deleteRange(deleteOf("a", KEYSPACE_END, true));
    expect(reply).toMatchObject({ deleted: 3, revision: 5 });
    expect(reply.prevKvs.map(text)).toEqual(["a", "b", "c"]);
    expect(store.deleteRange(deleteOf("a", KEYSPACE_END))).toMatchObject({ deleted: 0, revision: 5 });
  });

  test("takes the key off its lease", () => {
    const store = newStore();
    store.leaseGrant("5", 60, 0);
    store.put(putOf("a", "1", { lease: "5" }));
    store.deleteRange(deleteOf("a"));
    expect(store.leaseInfo("5", 0).keys).toEqual([]);
    store.put(putOf("a", "2"));
    store.leaseRevoke("5");
    expect(text(store.mvcc.get("a"))).toBe("2");
  });
});

describe("leases", () => {
  test("an expired lease deletes all its keys in one revision, sorted", () => {
    const store = newStore();
    const sink = new TestSink();
    store.hub.open(sink).create(watchOf("\0", KEYSPACE_END));
    store.leaseGrant("5", 3, 0);
    for (const key of ["c", "a", "b"]) store.put(putOf(key, "1", { lease: "5" }));
    store.put(putOf("other", "1"));
    const now = run(store, 0, 3 * SEC_US - 1);
    expect(store.revision).toBe(5);
    run(store, now, 3 * SEC_US);
    expect(store.revision).toBe(6);
    expect(sink.events().slice(4)).toEqual(["-a@6", "-b@6", "-c@6"]);
    expect(store.leaseInfo("5", 3 * SEC_US).ttlSec).toBe(-1);
  });

  test("revoking one without keys makes no revision; an unknown one is refused", () => {
    const store = newStore();
    store.leaseGrant("5", 3, 0);
    store.leaseRevoke("5");
    expect(store.revision).toBe(1);
    expect(() => store.leaseRevoke("5")).toThrow(Refused.LEASE_NOT_FOUND.text);
  });

  test("a key that is put again without a lease outlives it", () => {
    const store = newStore();
    store.leaseGrant("5", 2, 0);
    store.leaseGrant("6", 60, 0);
    store.put(putOf("plain", "1", { lease: "5" }));
    store.put(putOf("moved", "1", { lease: "5" }));
    store.put(putOf("plain", "2"));
    store.put(putOf("moved", "2", { lease: "6" }));
    run(store, 0, 3 * SEC_US);
    expect(store.range(rangeOf("\0", KEYSPACE_END)).count).toBe(2);
    store.leaseRevoke("6");
    expect(store.range(rangeOf("\0", KEYSPACE_END)).kvs.map((kv) => kv.key)).toEqual(["plain"]);
  });

  test("a lease that ran out is not renewed, even before the next tick", () => {
    const store = newStore();
    store.leaseGrant("5", 2, 0);
    const now = run(store, 0, 1.9 * SEC_US);
    expect(store.leaseRenew("5", now + 0.1 * SEC_US)).toBe(0);
  });

  test("keep-alives hold it for ever, and their end ends it", () => {
    const store = newStore();
    store.leaseGrant("5", 2, 0);
    store.put(putOf("a", "1", { lease: "5" }));
    let now = 0;
    for (let i = 0; i < 10; i++) {
      now = run(store, now, now + 1.5 * SEC_US);
      expect(store.leaseRenew("5", now)).toBe(2);
    }
    expect(text(store.mvcc.get("a"))).toBe("1");
    run(store, now, now + 2 * SEC_US);
    expect(store.mvcc.get("a")).toBeUndefined();
  });

  test("a stall of more than a second extends them all instead of ending any", () => {
    const store = newStore();
    store.leaseGrant("5", 2, 0);
    store.leaseGrant("6", 10, 0);
    const stopped = run(store, 0, 1 * SEC_US);
    const resumed = stopped + 30 * SEC_US;
    store.tick(resumed);
    expect(store.leaseInfo("5", resumed)).toMatchObject({ ttlSec: 2 });
    expect(store.leaseInfo("6", resumed)).toMatchObject({ ttlSec: 10 });
    run(store, resumed, resumed + 2 * SEC_US);
    expect(store.leaseInfo("5", resumed + 2 * SEC_US).ttlSec).toBe(-1);
  });

  test("a renewal that arrives first after a stall finds its lease alive", () => {
    const store = newStore();
    store.leaseGrant("5", 2, 0);
    expect(store.leaseRenew("5", 10 * SEC_US)).toBe(2);
  });

  test("the next deadline is never later than the tick that finds a stall", () => {
    const store = newStore();
    store.leaseGrant("5", 60, 0);
    expect(store.nextDeadline()).toBe(TICK_US);
    run(store, 0, 59.9 * SEC_US);
    expect(store.nextDeadline()).toBe(60 * SEC_US);
  });
});

describe("automatic compaction", () => {
  test("keeps the configured history, give or take one step, and frees the rest", () => {
    const store = newStore({ retention: { mode: "revision", revisions: 100 } });
    for (let i = 0; i < 5000; i++) {
      store.put(putOf(`k${i % 7}`, String(i)));
      settle(store);
      expect(store.revision - store.mvcc.compactRevision).toBeLessThanOrEqual(1101);
    }
    expect(store.mvcc.compactRevision).toBeGreaterThan(3000);
    expect(store.mvcc.pruneDue).toBe(false);
    expect(store.mvcc.sizeBytes).toBeLessThan(1200 * 80);
  });

  test("0 keeps everything", () => {
    const store = newStore({ retention: { mode: "off" } });
    for (let i = 0; i < 3000; i++) store.put(putOf("k", String(i)));
    expect(text(store.range(rangeOf("k", undefined, { revision: 2 })).kvs[0])).toBe("0");
  });
});

test("a transaction that creates 128 keys on a lease is undone by that lease in one revision", () => {
  const store = newStore();
  store.leaseGrant("5", 60, 0);
  const puts = Array.from({ length: 128 }, (_, i) => putOf(`k${i}`, "1", { lease: "5" }));
  expect(store.txn(txnOf([], puts)).revision).toBe(2);
  store.leaseRevoke("5");
  expect(store.revision).toBe(3);
  expect(store.range(rangeOf("\0", KEYSPACE_END)).count).toBe(0);
});

describe("compaction by time", () => {
  test("keeps the history of the period, and comes as often as it is noted", () => {
    const store = newStore({ retention: { mode: "periodic", periodUs: 100 * SEC_US } });
    let now = 0;
    for (let i = 0; i < 300; i++) {
      now = run(store, now, now + SEC_US);
      store.put(putOf("k", String(i)));
      settle(store);
      // One put a second: the history of the last 100 s, and at most a tenth of that beyond.
      const kept = store.revision - store.mvcc.compactRevision;
      if (i > 120) expect(kept).toBeGreaterThanOrEqual(100);
      if (i > 120) expect(kept).toBeLessThanOrEqual(112);
    }
  });
});

describe("a full store", () => {
  test("raises the alarm, refuses what grows, and serves the rest until it is disarmed", () => {
    const store = newStore({ quotaBytes: 2000 });
    store.resume(0, "77");
    store.put(putOf("a", "x".repeat(1500)));
    expect(() => store.put(putOf("b", "x".repeat(1500)))).toThrow(Refused.NO_SPACE.text);
    expect(store.alarms.list()).toEqual([{ memberId: "77", alarm: 1 }]);
    expect(() => store.put(putOf("b", "1"))).toThrow(Refused.NO_SPACE.text);
    expect(() => store.txn(txnOf([], [putOf("b", "1")]))).toThrow(Refused.NO_SPACE.text);
    expect(() => store.leaseGrant("1", 60, 0)).toThrow(Refused.NO_SPACE.text);
    expect(store.txn(txnOf([], [rangeOf("a")])).replies).toHaveLength(1);
    expect(store.deleteRange(deleteOf("a")).deleted).toBe(1);
    store.compact(store.revision);
    settle(store);
    expect(() => store.put(putOf("b", "1"))).toThrow(Refused.NO_SPACE.text);
    expect(store.setAlarm("77", 1, false)).toEqual([{ memberId: "77", alarm: 1 }]);
    store.put(putOf("b", "1"));
  });
});

describe("the journal", () => {
  test("holds back replies' events until it has them, and a compaction does not overtake them", () => {
    const journal = new SlowJournal();
    const store = newStore({ journal, retention: { mode: "revision", revisions: 1 } });
    const sink = new TestSink();
    store.hub.open(sink).create(watchOf("\0", KEYSPACE_END));
    for (let i = 0; i < 2000; i++) store.put(putOf("k", String(i)));
    expect(sink.events()).toEqual([]);
    expect(store.mvcc.compactRevision).toBe(-1);
    expect(store.hub.revision).toBe(1);
    journal.finish();
    expect(sink.events()).toHaveLength(2000);
    expect(store.hub.revision).toBe(2001);
    expect(store.mvcc.compactRevision).toBeGreaterThan(900);
  });

  test("a lease and all its keys end in one record", () => {
    const journal = new SlowJournal();
    const store = newStore({ journal });
    store.leaseGrant("5", 2, 0);
    store.put(putOf("a", "1", { lease: "5" }));
    store.put(putOf("b", "1", { lease: "5" }));
    run(store, 0, 2 * SEC_US);
    expect(journal.records.at(-1)).toMatchObject({ t: "revoke", id: "5", revision: 4 });
    expect(store.leaseRecord).toBe(4);
  });
});

/** A disk that is done when it is told. */
class SlowJournal implements Journal {
  readonly records: JournalRecord[] = [];
  readonly #waiting: (() => void)[] = [];

  get last(): number {
    return this.records.length;
  }

  append(record: JournalRecord): number {
    return this.records.push(record);
  }

  whenDurable(then: () => void): void {
    this.#waiting.push(then);
  }

  finish(): void {
    for (const then of this.#waiting.splice(0)) then();
  }
}
