import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KEYSPACE_END, prefixEnd } from "../../../../src/io/embedded/byte-key.ts";
import { KeyIndex } from "../../../../src/io/embedded/key-index.ts";

function scan(index: KeyIndex<string>, from: string, to: string): string[] {
  const found: string[] = [];
  index.scan(from, to, (value) => {
    found.push(value);
    return true;
  });
  return found;
}

const key = fc.string({ unit: fc.constantFrom("\0", "a", "b", "\xff"), minLength: 1, maxLength: 5 });

describe("key index", () => {
  test("agrees with a sorted array, whatever is inserted and removed", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), key), { maxLength: 300 }), key, key, (steps, from, to) => {
        const index = new KeyIndex<string>();
        const oracle = new Set<string>();
        for (const [insert, k] of steps) {
          if (insert && !oracle.has(k)) index.insert(k, k);
          else if (!insert) expect(index.remove(k)).toBe(oracle.has(k));
          if (insert) oracle.add(k);
          else oracle.delete(k);
        }
        expect(index.size).toBe(oracle.size);
        const expected = [...oracle].filter((k) => k >= from && k < to).sort();
        expect(scan(index, from, to)).toEqual(expected);
        expect(scan(index, "", KEYSPACE_END)).toEqual([...oracle].sort());
      }),
      { numRuns: 200 },
    );
  });

  test("stays sorted over many chunks, in any order of arrival", () => {
    for (const step of [1, 7919, 9999]) {
      const index = new KeyIndex<string>();
      const keys = Array.from({ length: 10_000 }, (_, i) => String((i * step) % 10_000).padStart(5, "0"));
      for (const k of keys) index.insert(k, k);
      expect(scan(index, "", KEYSPACE_END)).toEqual([...keys].sort());
      expect(scan(index, "04998", "05002")).toEqual(["04998", "04999", "05000", "05001"]);
      for (const k of keys) expect(index.remove(k)).toBe(true);
      expect(index.size).toBe(0);
      expect(scan(index, "", KEYSPACE_END)).toEqual([]);
    }
  });

  test("stops when the visitor has enough", () => {
    const index = new KeyIndex<string>();
    for (const k of ["a", "b", "c"]) index.insert(k, k);
    const found: string[] = [];
    index.scan("", KEYSPACE_END, (k) => found.push(k) < 2);
    expect(found).toEqual(["a", "b"]);
  });

  test("the end of a prefix carries over 0xff, and of 0xff alone it is the end of everything", () => {
    expect(prefixEnd("ab")).toBe("ac");
    expect(prefixEnd("a\xff\xff")).toBe("b");
    expect(prefixEnd("\xff")).toBe(KEYSPACE_END);
  });
});
