import { describe, expect, test } from "vitest";
import { KEYSPACE_END } from "../../../../src/io/embedded/byte-key.ts";
import { Refused } from "../../../../src/io/embedded/errors.ts";
import { type RangeOp, SortOrder, SortTarget } from "../../../../src/io/embedded/operations.ts";
import type { Store } from "../../../../src/io/embedded/store.ts";
import { newStore, putOf, rangeOf } from "./requests.ts";

/** a: created 2, modified 5, version 2, value 9; b: 3/3/1/8; c: 4/4/1/7. Revision 5. */
function abc(): Store {
  const store = newStore();
  store.put(putOf("a", "1"));
  store.put(putOf("b", "8"));
  store.put(putOf("c", "7"));
  store.put(putOf("a", "9"));
  return store;
}

function keys(store: Store, options: Partial<RangeOp>): string {
  return store
    .range(rangeOf("\0", KEYSPACE_END, options))
    .kvs.map((kv) => kv.key)
    .join("");
}

describe("range", () => {
  test("an empty range_end is one key, a range is half open, \\0 is everything from the key on", () => {
    const store = abc();
    expect(store.range(rangeOf("b")).kvs).toHaveLength(1);
    expect(store.range(rangeOf("a", "c")).kvs.map((kv) => kv.key)).toEqual(["a", "b"]);
    expect(store.range(rangeOf("b", KEYSPACE_END)).kvs.map((kv) => kv.key)).toEqual(["b", "c"]);
    expect(store.range(rangeOf("c", "a")).count).toBe(0);
  });

  test.each([
    { name: "key, descending", options: { sortOrder: SortOrder.DESCEND }, want: "cba" },
    {
      name: "value",
      options: { sortOrder: SortOrder.ASCEND, sortTarget: SortTarget.VALUE },
      want: "cba",
    },
    {
      name: "modification, descending",
      options: { sortOrder: SortOrder.DESCEND, sortTarget: SortTarget.MOD },
      want: "acb",
    },
    {
      name: "creation, descending",
      options: { sortOrder: SortOrder.DESCEND, sortTarget: SortTarget.CREATE },
      want: "cba",
    },
    {
      name: "version, equal ones in key order",
      options: { sortOrder: SortOrder.ASCEND, sortTarget: SortTarget.VERSION },
      want: "bca",
    },
    { name: "a sort target without an order ascends", options: { sortTarget: SortTarget.MOD }, want: "bca" },
  ])("sorts by $name", ({ options, want }) => {
    expect(keys(abc(), options)).toBe(want);
  });

  test("the limit is applied after bounds and sort, and count is before all of them", () => {
    const reply = abc().range(
      rangeOf("\0", KEYSPACE_END, { limit: 1, sortOrder: SortOrder.DESCEND, maxModRevision: 4 }),
    );
    expect(reply.kvs.map((kv) => kv.key)).toEqual(["c"]);
    expect(reply).toMatchObject({ more: true, count: 3 });
  });

  test("a limit counts what is within the bounds only", () => {
    const reply = abc().range(rangeOf("\0", KEYSPACE_END, { limit: 1, maxModRevision: 4 }));
    expect(reply.kvs.map((kv) => kv.key)).toEqual(["b"]);
    expect(reply).toMatchObject({ more: true, count: 3 });
  });

  test("a limit that cuts nothing off leaves `more` unset; a negative one is none", () => {
    const store = abc();
    expect(store.range(rangeOf("\0", KEYSPACE_END, { limit: 3 }))).toMatchObject({ more: false, count: 3 });
    expect(store.range(rangeOf("\0", KEYSPACE_END, { limit: 2 }))).toMatchObject({ more: true, count: 3 });
    expect(store.range(rangeOf("\0", KEYSPACE_END, { limit: -1 })).kvs).toHaveLength(3);
  });

  test("bounds on creation and modification are inclusive", () => {
    const store = abc();
    expect(keys(store, { minModRevision: 4 })).toBe("ac");
    expect(keys(store, { maxModRevision: 4 })).toBe("bc");
    expect(keys(store, { minCreateRevision: 3 })).toBe("bc");
    expect(keys(store, { maxCreateRevision: 3 })).toBe("ab");
  });

  test("count_only returns no keys, keys_only is told to the encoder", () => {
    const store = abc();
    const all = ["\0", KEYSPACE_END] as const;
    expect(store.range(rangeOf(...all, { countOnly: true, limit: 1 }))).toMatchObject({
      kvs: [],
      count: 3,
      more: false,
    });
    expect(store.range(rangeOf(...all, { keysOnly: true })).keysOnly).toBe(true);
  });

  test("the header's revision is the current one, also for a read of the past", () => {
    expect(abc().range(rangeOf("a", undefined, { revision: 2 }))).toMatchObject({ revision: 5 });
  });

  test("refuses an empty key and an unknown sort option", () => {
    const store = abc();
    expect(() => store.range(rangeOf(""))).toThrow(Refused.EMPTY_KEY.text);
    expect(() => store.range(rangeOf("a", "b", { sortTarget: 9 }))).toThrow(Refused.INVALID_SORT_OPTION.text);
  });
});
