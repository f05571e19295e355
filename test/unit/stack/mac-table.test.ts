import fc from "fast-check";
import { expect, test } from "vitest";
import { MacTable } from "../../../src/stack/mac-table.ts";

function viewOf(mac: number): DataView {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint16(2, Math.floor(mac / 0x1_0000_0000));
  view.setUint32(4, mac >>> 0);
  return view;
}

// Few addresses, so that they meet again; some that differ in one half only, and the extremes.
const address = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: 40 }).map((n) => n * 0x1_0000_0000 + 0xffff_fff0),
  fc.constantFrom(0, 0xffff_ffff, 0xffff_0000_0000, 0xffff_ffff_ffff),
);

test("behaves as a Map, whatever is stored, deleted and looked up", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom("set", "delete"), address), { maxLength: 300 }),
      fc.integer(),
      (ops, salt) => {
        const table = new MacTable<number>(1000, salt);
        const model = new Map<number, number>();
        ops.forEach(([op, mac], n) => {
          if (op === "set") {
            expect(table.set(mac, n)).toBe(true);
            model.set(mac, n);
          } else expect(table.delete(mac)).toBe(model.delete(mac));
          expect(table.find(viewOf(mac), 2)).toBe(model.get(mac));
        });
        for (const [mac, value] of model) expect(table.get(mac)).toBe(value);
        expect(table.entries()).toEqual([...model].sort((a, b) => a[0] - b[0]));
        expect(table.size).toBe(model.size);
      },
    ),
    { numRuns: 200 },
  );
});

test("a full table takes no new address but replaces an old one's value", () => {
  const table = new MacTable<string>(2, 0);
  expect([table.set(1, "a"), table.set(2, "b"), table.set(3, "c"), table.set(2, "d")]).toEqual([
    true,
    true,
    false,
    true,
  ]);
  expect(table.get(2)).toBe("d");
  expect(table.get(3)).toBeUndefined();
});
