import { describe, expect, test } from "vitest";
import { KEYSPACE_END } from "../../../../src/io/embedded/byte-key.ts";
import { Refused } from "../../../../src/io/embedded/errors.ts";
import type { RequestOp, TxnOp } from "../../../../src/io/embedded/operations.ts";
import type { Store } from "../../../../src/io/embedded/store.ts";
import { compareOf, deleteOf, newStore, putOf, rangeOf, text, txnOf } from "./requests.ts";

function stateOf(store: Store): string {
  const { kvs, revision } = store.range(rangeOf("\0", KEYSPACE_END));
  return `${kvs.map((kv) => `${kv.key}=${text(kv)}`).join(" ")}@${revision}`;
}

function expectRefused(store: Store, txn: TxnOp, reason: string): void {
  const before = stateOf(store);
  expect(() => store.txn(txn)).toThrow(reason);
  expect(stateOf(store)).toBe(before);
}

/** a=5, b=7; a at version 2, create 2, mod 4; revision 4. */
function ab(): Store {
  const store = newStore();
  store.put(putOf("a", "1"));
  store.put(putOf("b", "7"));
  store.put(putOf("a", "5"));
  return store;
}

describe("compares", () => {
  test.each([
    { compare: compareOf("a", "VERSION", "EQUAL", 2), want: true },
    { compare: compareOf("a", "VERSION", "GREATER", 2), want: false },
    { compare: compareOf("a", "CREATE", "LESS", 3), want: true },
    { compare: compareOf("a", "MOD", "NOT_EQUAL", 4), want: false },
    { compare: compareOf("a", "VALUE", "EQUAL", "5"), want: true },
    { compare: compareOf("a", "VALUE", "LESS", "6"), want: true },
    { compare: compareOf("a", "LEASE", "EQUAL", "0"), want: true },
    { compare: compareOf("a", "LEASE", "LESS", "9223372036854775807"), want: true },
    { compare: compareOf("a", "LEASE", "GREATER", "-9223372036854775808"), want: true },
    { compare: compareOf("a", "VALUE", "GREATER", "4", "c"), want: true },
    { compare: compareOf("a", "VALUE", "GREATER", "5", "c"), want: false },
    { compare: compareOf("a", "CREATE", "GREATER", 0, KEYSPACE_END), want: true },
  ])("$compare.span.key $compare.target $compare.result", ({ compare, want }) => {
    expect(ab().txn(txnOf([compare], [])).succeeded).toBe(want);
  });

  test("on a missing key a value never compares, and everything else is 0", () => {
    const store = ab();
    const holds = (...args: Parameters<typeof compareOf>): boolean =>
      store.txn(txnOf([compareOf(...args)], [])).succeeded;
    expect(holds("x", "VALUE", "NOT_EQUAL", "1")).toBe(false);
    expect(holds("x", "VALUE", "EQUAL", "")).toBe(false);
    expect(holds("x", "CREATE", "EQUAL", 0)).toBe(true);
    expect(holds("x", "VERSION", "LESS", 1)).toBe(true);
    expect(holds("x", "LEASE", "EQUAL", "0")).toBe(true);
    expect(holds("x", "CREATE", "EQUAL", 0, "z")).toBe(true);
  });

  test("all must hold; none is success", () => {
    const store = ab();
    const yes = compareOf("a", "VERSION", "EQUAL", 2);
    const no = compareOf("b", "VERSION", "EQUAL", 2);
    expect(store.txn(txnOf([yes, no], [])).succeeded).toBe(false);
    expect(store.txn(txnOf([], [])).succeeded).toBe(true);
  });

  test("nested ones look at the state before the whole transaction", () => {
    const store = ab();
    const inner = txnOf(
      [compareOf("n", "CREATE", "EQUAL", 0)],
      [putOf("x", "absent")],
      [putOf("x", "present")],
    );
    store.txn(txnOf([], [putOf("n", "1"), inner]));
    expect(text(store.mvcc.get("x"))).toBe("absent");
  });
});

describe("effects", () => {
  test("everything has one revision, and later operations see earlier ones", () => {
    const store = ab();
    const reply = store.txn(
      txnOf([], [putOf("c", "1"), rangeOf("c"), deleteOf("a"), rangeOf("\0", KEYSPACE_END)]),
    );
    expect(reply.revision).toBe(5);
    expect(reply.replies.map((r) => (r.t === "range" ? r.kvs.map((kv) => kv.key).join("") : r.t))).toEqual([
      "put",
      "c",
      "delete",
      "bc",
    ]);
    expect(store.revision).toBe(5);
  });

  test("one that writes nothing makes no revision", () => {
    const store = ab();
    expect(store.txn(txnOf([], [])).revision).toBe(4);
    expect(store.txn(txnOf([], [rangeOf("a"), deleteOf("nothing")])).revision).toBe(4);
  });

  test("takes the failure branch, nested to any depth, and reports the path", () => {
    const store = ab();
    const never = compareOf("a", "VERSION", "EQUAL", 99);
    const reply = store.txn(
      txnOf([never], [], [txnOf([], [txnOf([never], [], [putOf("deep", "1")]), putOf("mid", "1")])]),
    );
    expect(reply).toMatchObject({
      succeeded: false,
      revision: 5,
      replies: [
        { t: "txn", succeeded: true, revision: 0, replies: [{ t: "txn", succeeded: false }, { t: "put" }] },
      ],
    });
    expect(stateOf(store)).toBe("a=5 b=7 deep=1 mid=1@5");
  });

  test("prev_kv and ignore_value are per operation", () => {
    const store = ab();
    const [put, deletion] = store.txn(
      txnOf([], [putOf("a", "", { ignoreValue: true, prevKv: true }), deleteOf("b", undefined, true)]),
    ).replies;
    expect(put).toMatchObject({ prevKv: { modRevision: 4 } });
    expect(deletion).toMatchObject({ deleted: 1, prevKvs: [{ key: "b" }] });
    expect(stateOf(store)).toBe("a=5@5");
    expect(store.mvcc.get("a")?.version).toBe(3);
  });

  test("a key put in one nested transaction and deleted in the next changes twice in one revision", () => {
    const store = newStore();
    store.txn(txnOf([], [txnOf([], [putOf("a", "1")]), txnOf([], [deleteOf("a")])]));
    expect(stateOf(store)).toBe("@2");
    const limits = { revisions: 9, bytes: 999, scan: 99 };
    const { events } = store.mvcc.history({ key: "a", end: undefined }, 2, 2, limits);
    expect(events.map((kv) => kv.version)).toEqual([1, 0]);
  });
});

describe("refusals leave no trace", () => {
  test("a key put twice", () => {
    const store = ab();
    expectRefused(store, txnOf([], [putOf("x", "1"), putOf("x", "2")]), Refused.DUPLICATE_KEY.text);
    // Even in the branch that is not taken.
    expectRefused(store, txnOf([], [], [putOf("x", "1"), putOf("x", "2")]), Refused.DUPLICATE_KEY.text);
    expectRefused(
      store,
      txnOf([], [txnOf([], [putOf("x", "1")]), putOf("x", "2")]),
      Refused.DUPLICATE_KEY.text,
    );
  });

  test("a key put and deleted by range", () => {
    const store = ab();
    expectRefused(store, txnOf([], [putOf("x", "1"), deleteOf("a", "z")]), Refused.DUPLICATE_KEY.text);
    expectRefused(
      store,
      txnOf([], [deleteOf("x"), txnOf([], [putOf("x", "1")])]),
      Refused.DUPLICATE_KEY.text,
    );
  });

  test("but the two branches of one transaction may write the same key", () => {
    const store = newStore();
    store.txn(txnOf([], [txnOf([], [putOf("x", "1")], [putOf("x", "2")])]));
    expect(text(store.mvcc.get("x"))).toBe("1");
  });

  test("and a delete from a key on overlaps nothing, as in etcd", () => {
    const store = ab();
    store.txn(txnOf([], [deleteOf("a", KEYSPACE_END), putOf("a", "new")]));
    expect(stateOf(store)).toBe("a=new@5");
    expect(store.mvcc.get("a")).toMatchObject({ createRevision: 5, version: 1 });
  });

  test("more than 128 operations, counting down through the levels", () => {
    const puts = (n: number, prefix = ""): RequestOp[] =>
      Array.from({ length: n }, (_, i) => putOf(`${prefix}${i}`, "1"));
    const store = newStore();
    expect(store.txn(txnOf([], puts(128))).replies).toHaveLength(128);
    expectRefused(store, txnOf([], puts(129)), Refused.TOO_MANY_OPS.text);
    const nested = (n: number): TxnOp => txnOf([], [...puts(27, "o"), txnOf([], puts(n, "i"))]);
    expect(store.txn(nested(100)).succeeded).toBe(true);
    expectRefused(store, nested(101), Refused.TOO_MANY_OPS.text);
  });

  test("a lease that does not exist, although an earlier operation was fine", () => {
    expectRefused(
      ab(),
      txnOf([], [putOf("x", "1"), putOf("y", "1", { lease: "77" })]),
      Refused.LEASE_NOT_FOUND.text,
    );
  });

  test("ignore_value of a key that does not exist before the transaction", () => {
    const op = putOf("x", "", { ignoreValue: true });
    expectRefused(ab(), txnOf([], [putOf("y", "1"), op]), Refused.KEY_NOT_FOUND.text);
  });

  test("a read of the future or of what is compacted", () => {
    const store = ab();
    store.compact(3);
    const read = (revision: number): TxnOp =>
      txnOf([], [putOf("x", "1"), rangeOf("a", undefined, { revision })]);
    expectRefused(store, read(5), Refused.FUTURE_REVISION.text);
    expectRefused(store, read(2), Refused.COMPACTED.text);
    expectRefused(store, read(-1), Refused.COMPACTED.text);
  });

  test("an empty key, an empty operation, a value or lease that is to be ignored", () => {
    const store = ab();
    expectRefused(store, txnOf([compareOf("", "VERSION", "EQUAL", 1)], []), Refused.EMPTY_KEY.text);
    expectRefused(store, txnOf([], [], [putOf("", "1")]), Refused.EMPTY_KEY.text);
    expectRefused(store, txnOf([], [{ t: "empty" }]), Refused.KEY_NOT_FOUND.text);
    expectRefused(store, txnOf([], [putOf("a", "1", { ignoreValue: true })]), Refused.VALUE_PROVIDED.text);
    const both = putOf("a", "1", { ignoreLease: true, lease: "1" });
    expectRefused(store, txnOf([], [both]), Refused.LEASE_PROVIDED.text);
  });
});
