import fc from "fast-check";
import { expect, test } from "vitest";
import { contains, type Prefix, prefixOf } from "../../../src/base/ipv4-addr.ts";
import { LpmTable } from "../../../src/base/lpm.ts";

// Few distinct address bits, so that prefixes nest and collide all the time.
const addr = fc
  .tuple(fc.nat(7), fc.nat(3), fc.nat(0xffff))
  .map(([high, mid, low]) => (high * 0x20000000 + mid * 0x40000 + low) >>> 0);
const prefix = fc
  .tuple(addr, fc.constantFrom(0, 1, 8, 14, 16, 24, 31, 32))
  .map(([a, len]): Prefix => prefixOf(a, len));
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ t: fc.constant("set" as const), prefix, value: fc.nat(1000) }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constant("del" as const), prefix, value: fc.constant(0) }) },
);

test("longest-prefix match equals a linear search, through any sets and deletions", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.array(addr, { minLength: 1, maxLength: 10 }),
      (steps, addrs) => {
        const table = new LpmTable<number>();
        const oracle = new Map<string, { prefix: Prefix; value: number }>();
        const key = (p: Prefix) => `${p.addr}/${p.len}`;
        for (const s of steps) {
          if (s.t === "set") {
            table.set(s.prefix, s.value);
            oracle.set(key(s.prefix), s);
          } else {
            expect(table.del(s.prefix)).toBe(oracle.delete(key(s.prefix)));
          }
          expect(table.get(s.prefix)).toBe(oracle.get(key(s.prefix))?.value);
        }
        expect(table.size).toBe(oracle.size);
        const rows = [...oracle.values()].sort(
          (a, b) => b.prefix.len - a.prefix.len || a.prefix.addr - b.prefix.addr,
        );
        expect([...table.values()]).toEqual(rows.map((row) => row.value));
        for (const a of addrs) {
          expect(table.lookup(a)).toBe(rows.find((row) => contains(row.prefix, a))?.value);
          for (const len of [0, 1, 16, 32, 33]) {
            const shorter = rows.find((row) => row.prefix.len < len && contains(row.prefix, a));
            expect(table.lookupShorter(a, len)).toBe(shorter?.value);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});
