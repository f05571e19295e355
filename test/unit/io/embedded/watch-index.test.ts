import fc from "fast-check";
import { expect, test } from "vitest";
import { KEYSPACE_END, prefixEnd, type Span, spanContains } from "../../../../src/io/embedded/byte-key.ts";
import type { KeyValue } from "../../../../src/io/embedded/operations.ts";
import { WatchIndex } from "../../../../src/io/embedded/watch-index.ts";

const key = fc.string({ unit: fc.constantFrom("a", "b", "/", "\xff"), minLength: 1, maxLength: 4 });
const span: fc.Arbitrary<Span> = fc.oneof(
  key.map((k) => ({ key: k, end: undefined })),
  key.map((k) => ({ key: k, end: prefixEnd(k) })),
  key.map((k) => ({ key: k, end: KEYSPACE_END })),
  fc.tuple(key, key).map(([k, end]) => ({ key: k, end })),
);

function change(k: string): KeyValue {
  return { key: k, value: new Uint8Array(0), createRevision: 2, modRevision: 2, version: 1, lease: "0" };
}

test("every watcher gets exactly the changes in its span, in order, whatever was added and removed before", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(span, fc.boolean()), { maxLength: 20 }),
      fc.array(key, { maxLength: 10 }),
      (watchers, keys) => {
        const index = new WatchIndex<number>();
        watchers.forEach(([s], id) => index.add(s, id));
        watchers.forEach(([s, removed], id) => {
          if (removed) index.remove(s, id);
        });
        const got = new Map<number, string[]>();
        index.dispatch(keys.map(change), (ids, events) => {
          for (const id of ids) got.set(id, [...(got.get(id) ?? []), ...events.map((kv) => kv.key)]);
        });
        watchers.forEach(([s, removed], id) => {
          const expected = removed ? [] : keys.filter((k) => spanContains(s, k));
          expect(got.get(id) ?? []).toEqual(expected);
        });
      },
    ),
    { numRuns: 500 },
  );
});
