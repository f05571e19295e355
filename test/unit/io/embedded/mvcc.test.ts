import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KEYSPACE_END } from "../../../../src/io/embedded/byte-key.ts";
import { Refused } from "../../../../src/io/embedded/errors.ts";
import { type HistoryLimits, Mvcc } from "../../../../src/io/embedded/mvcc.ts";
import { bytes, eventText, span, text } from "./requests.ts";

const ALL = span("\0", KEYSPACE_END);
const UNLIMITED: HistoryLimits = { revisions: 1e9, bytes: 1e9, scan: 1e9 };

function put(mvcc: Mvcc, key: string, value: string): number {
  mvcc.put(key, bytes(value), "0");
  mvcc.commit();
  return mvcc.revision;
}

function del(mvcc: Mvcc, key: string): void {
  mvcc.deleteRange(span(key));
  mvcc.commit();
}

function pruneAll(mvcc: Mvcc): void {
  while (mvcc.pruneDue) mvcc.prune(3);
}

function history(mvcc: Mvcc, from: number, limits = UNLIMITED): string[] {
  return mvcc.history(ALL, from, mvcc.revision, limits).events.map(eventText);
}

describe("revisions", () => {
  test("start at 1 and grow by one a writing commit", () => {
    const mvcc = new Mvcc();
    expect(mvcc.revision).toBe(1);
    expect(put(mvcc, "a", "1")).toBe(2);
    mvcc.put("b", bytes("1"), "0");
    mvcc.put("c", bytes("1"), "0");
    mvcc.deleteRange(span("a"));
    mvcc.commit();
    expect(mvcc.revision).toBe(3);
    expect(mvcc.get("b")?.modRevision).toBe(3);
    expect(mvcc.get("c")?.modRevision).toBe(3);
  });

  test("a commit of nothing, and a delete of nothing, make none", () => {
    const mvcc = new Mvcc();
    mvcc.commit();
    del(mvcc, "a");
    expect(mvcc.revision).toBe(1);
  });

  test("an open write is visible to reads before it is committed", () => {
    const mvcc = new Mvcc();
    mvcc.put("a", bytes("1"), "0");
    expect(mvcc.readRevision).toBe(2);
    expect(mvcc.range(ALL, 0, 0).kvs.map(text)).toEqual(["1"]);
  });

  test("create revision and version start again when a key is created again", () => {
    const mvcc = new Mvcc();
    put(mvcc, "a", "1");
    put(mvcc, "a", "2");
    expect(mvcc.get("a")).toMatchObject({ createRevision: 2, modRevision: 3, version: 2 });
    del(mvcc, "a");
    expect(mvcc.get("a")).toBeUndefined();
    put(mvcc, "a", "3");
    expect(mvcc.get("a")).toMatchObject({ createRevision: 5, modRevision: 5, version: 1 });
  });

  test("a deletion in the history carries the key and its revision, nothing else", () => {
    const mvcc = new Mvcc();
    put(mvcc, "a", "1");
    del(mvcc, "a");
    const [, deletion] = mvcc.history(ALL, 2, 3, UNLIMITED).events;
    expect(deletion).toEqual({
      key: "a",
      value: new Uint8Array(0),
      createRevision: 0,
      modRevision: 3,
      version: 0,
      lease: "0",
    });
  });
});

describe("reads in the past", () => {
  test("see what was there, and refuse the future", () => {
    const mvcc = new Mvcc();
    put(mvcc, "a", "1");
    put(mvcc, "a", "2");
    del(mvcc, "a");
    expect([1, 2, 3, 4].map((at) => text(mvcc.range(span("a"), at, 0).kvs[0]))).toEqual([
      undefined,
      "1",
      "2",
      undefined,
    ]);
    expect(text(mvcc.getAt("a", 3))).toBe("2");
    expect(() => mvcc.range(ALL, 5, 0)).toThrow(Refused.FUTURE_REVISION.text);
    expect(mvcc.range(span("a"), -7, 0).count).toBe(0);
  });

  test("the count is of all matches, before the limit", () => {
    const mvcc = new Mvcc();
    for (const key of ["a", "b", "c", "d"]) put(mvcc, key, "1");
    del(mvcc, "b");
    const { kvs, count } = mvcc.range(ALL, 0, 2);
    expect(kvs.map((kv) => kv.key)).toEqual(["a", "c"]);
    expect(count).toBe(3);
  });
});

describe("compaction", () => {
  test("refuses older reads at once, allows the compact revision itself, and refuses to go back", () => {
    const mvcc = new Mvcc();
    for (const value of ["1", "2", "3"]) put(mvcc, "a", value);
    mvcc.compact(3);
    expect(() => mvcc.range(ALL, 2, 0)).toThrow(Refused.COMPACTED.text);
    expect(text(mvcc.range(ALL, 3, 0).kvs[0])).toBe("2");
    expect(() => mvcc.compact(3)).toThrow(Refused.COMPACTED.text);
    expect(() => mvcc.compact(5)).toThrow(Refused.FUTURE_REVISION.text);
    expect(mvcc.getAt("a", 2)).toBeUndefined();
  });

  test("revision 0 can be compacted once, as in etcd", () => {
    const mvcc = new Mvcc();
    mvcc.compact(0);
    expect(() => mvcc.compact(0)).toThrow(Refused.COMPACTED.text);
  });

  test("keeps the deletion at the compact revision for a watch that starts there", () => {
    const mvcc = new Mvcc();
    put(mvcc, "a", "1");
    del(mvcc, "a");
    mvcc.compact(3);
    pruneAll(mvcc);
    expect(history(mvcc, 3)).toEqual(["-a@3"]);
  });

  test("frees what cannot be read any more, in pieces, and forgets deleted keys", () => {
    const mvcc = new Mvcc();
    for (let i = 0; i < 100; i++) put(mvcc, `k${i % 10}`, String(i));
    for (let i = 0; i < 5; i++) del(mvcc, `k${i}`);
    const before = mvcc.sizeBytes;
    mvcc.compact(mvcc.revision);
    expect(mvcc.prune(10)).toBe(10);
    expect(mvcc.pruneDue).toBe(true);
    pruneAll(mvcc);
    expect(mvcc.keyCount).toBe(5);
    expect(mvcc.sizeBytes).toBeLessThan(before / 10);
    expect(mvcc.range(ALL, 0, 0).kvs.map(text)).toEqual(["95", "96", "97", "98", "99"]);
  });

  test("a key that was pruned away can come back", () => {
    const mvcc = new Mvcc();
    put(mvcc, "a", "1");
    del(mvcc, "a");
    mvcc.compact(3);
    pruneAll(mvcc);
    expect(mvcc.keyCount).toBe(0);
    put(mvcc, "a", "2");
    mvcc.compact(4);
    pruneAll(mvcc);
    expect(text(mvcc.get("a"))).toBe("2");
  });
});

describe("history", () => {
  test("comes in slices that never split a revision", () => {
    const mvcc = new Mvcc();
    for (const key of ["a", "b", "c"]) {
      mvcc.put(`${key}1`, bytes("x"), "0");
      mvcc.put(`${key}2`, bytes("x"), "0");
      mvcc.commit();
    }
    for (const limits of [
      { revisions: 1, bytes: 1e9, scan: 1e9 },
      { revisions: 1e9, bytes: 1, scan: 1e9 },
      { revisions: 1e9, bytes: 1e9, scan: 1 },
    ]) {
      const slice = mvcc.history(ALL, 2, mvcc.revision, limits);
      expect(slice.events.map(eventText)).toEqual(["a1=x@2", "a2=x@2"]);
      expect(slice.nextRevision).toBe(3);
    }
    expect(mvcc.history(ALL, 3, 3, UNLIMITED)).toMatchObject({ nextRevision: 4 });
    expect(history(mvcc, 3)).toEqual(["b1=x@3", "b2=x@3", "c1=x@4", "c2=x@4"]);
  });

  test("a slice is bounded by what it looks at, even when nothing matches", () => {
    const mvcc = new Mvcc();
    for (let i = 0; i < 50; i++) put(mvcc, "other", String(i));
    const slice = mvcc.history(span("mine"), 2, mvcc.revision, { revisions: 10, bytes: 10, scan: 20 });
    expect(slice).toEqual({ events: [], nextRevision: 22, scanned: 20 });
  });
});

type Step = { readonly t: "put" | "del" | "compact" | "prune"; readonly key: string; readonly n: number };

const step: fc.Arbitrary<Step> = fc.record({
  t: fc.constantFrom("put", "put", "put", "del", "compact", "prune"),
  key: fc.constantFrom("a", "aa", "b", "c"),
  n: fc.nat(9),
});

test("any mix of writes, compactions and prunings reads like a list of snapshots", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const mvcc = new Mvcc();
      const snapshots: ReadonlyMap<string, string>[] = [new Map(), new Map()];
      const log: string[] = [];
      for (const { t, key, n } of steps) {
        const latest = snapshots[snapshots.length - 1] as ReadonlyMap<string, string>;
        if (t === "put") {
          put(mvcc, key, String(n));
          snapshots.push(new Map(latest).set(key, String(n)));
          log.push(`${key}=${n}@${mvcc.revision}`);
        } else if (t === "del") {
          del(mvcc, key);
          if (!latest.has(key)) continue;
          const next = new Map(latest);
          next.delete(key);
          snapshots.push(next);
          log.push(`-${key}@${mvcc.revision}`);
        } else if (t === "compact" && mvcc.revision - n > mvcc.compactRevision) {
          mvcc.compact(mvcc.revision - n);
        } else if (t === "prune") {
          mvcc.prune(n);
        }
      }
      expect(mvcc.revision).toBe(snapshots.length - 1);
      const oldest = Math.max(1, mvcc.compactRevision);
      for (let at = oldest; at <= mvcc.revision; at++) {
        const expected = [...(snapshots[at] as ReadonlyMap<string, string>)].sort(([a], [b]) =>
          a < b ? -1 : 1,
        );
        expect(mvcc.range(ALL, at, 0).kvs.map((kv) => [kv.key, text(kv)])).toEqual(expected);
      }
      const kept = log.filter((event) => Number(event.split("@")[1]) >= oldest);
      expect(history(mvcc, oldest)).toEqual(kept);
    }),
    { numRuns: 300 },
  );
});
