import fc from "fast-check";
import { expect, test } from "vitest";
import { prefix } from "../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { flowHash, HashPolicy } from "../../../src/stack/ip/multipath-hash.ts";
import { Multipath } from "../../../src/stack/multipath.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Route } from "../../../src/stack/route.ts";
import { TestWire } from "../../support/test-wire.ts";

const stack = new NetStack({ rng: new SeededRng(1) });
const devices = Array.from({ length: 8 }, (_, i) => new TestWire(stack, `e${i}`, 1, 1500));
const RANGE = 2 ** 31;

/** One next hop a device. */
function over(weights: readonly number[]): Multipath {
  const common = {
    table: "main",
    type: "unicast",
    dst: prefix("10.0.0.0/8"),
    src: undefined,
    scope: "global",
    proto: "boot",
    metric: 0,
  } as const;
  const hops = weights.map((weight, i) => {
    return { via: i + 1, dev: devices[i] as TestWire, onlink: false, weight };
  });
  return new Multipath(common, hops);
}

const weights = fc.array(fc.oneof(fc.constantFrom(1, 2, 256), fc.integer({ min: 1, max: 256 })), {
  minLength: 2,
  maxLength: 8,
});

test("whatever dies, those alive share the whole range by their weights, to within rounding, and the dead get nothing", () => {
  fc.assert(
    fc.property(weights, fc.array(fc.tuple(fc.nat(7), fc.boolean()), { maxLength: 12 }), (all, changes) => {
      const multipath = over(all);
      const dead = new Set<number>();
      for (const [i, dies] of changes) {
        multipath.setDead(devices[i] as TestWire, dies);
        if (dies) dead.add(i);
        else dead.delete(i);
      }
      const alive = all.map((weight, i) => (dead.has(i) ? 0 : weight));
      const total = alive.reduce((sum, weight) => sum + weight, 0);
      expect(multipath.allDead).toBe(total === 0);
      let from = -1;
      for (const [i, weight] of alive.entries()) {
        const bound = multipath.upperBound(i);
        if (weight === 0) {
          expect(bound).toBe(-1);
          continue;
        }
        expect(Math.abs(bound - from - (RANGE * weight) / total)).toBeLessThanOrEqual(1);
        // Both ends of its stretch are its own.
        expect(multipath.select(from + 1)).toBe(multipath.paths[i]);
        expect(multipath.select(bound)).toBe(multipath.paths[i]);
        from = bound;
      }
      expect(from).toBe(total === 0 ? -1 : RANGE - 1);
    }),
  );
});

test("a flow's hash is the same both ways, small, and of addresses as signed or unsigned", () => {
  const word = fc.integer({ min: 0, max: 0xffff_ffff });
  fc.assert(
    fc.property(
      word,
      word,
      word,
      fc.constantFrom(0, 1),
      fc.nat(65535),
      fc.nat(65535),
      (seed, x, y, ...rest) => {
        const [policy, sport, dport] = rest;
        const there = flowHash(policy, seed, x, y, 17, (sport << 16) | dport);
        expect(flowHash(policy, seed, y | 0, x | 0, 17, (dport << 16) | sport)).toBe(there);
        expect(there).toBeGreaterThanOrEqual(0);
        expect(there).toBeLessThan(RANGE);
        if (policy === HashPolicy.L3) expect(flowHash(policy, seed, x, y, 6, 0)).toBe(there);
      },
    ),
  );
});

// The seed is given: the addresses are neighbours, as pods' are, and the counts are always the same.
test.each([
  [HashPolicy.L3, [1, 1]],
  [HashPolicy.L3, [1, 3]],
  [HashPolicy.L4, [1, 1, 1, 1]],
  [HashPolicy.L4, [5, 1, 2]],
] as const)("flows spread by weight: policy %i, weights %j", (policy, given) => {
  const multipath = over(given);
  const total = given.reduce((sum: number, weight) => sum + weight, 0);
  const counts = new Map<Route | undefined, number>();
  const flows = 20_000;
  for (let i = 0; i < flows; i++) {
    const [src, dst, ports] =
      policy === HashPolicy.L3
        ? [0x0a140100 + (i & 127), 0x0a1e0000 + (i >> 7), 0]
        : [0x0a140101, 0x0a1e0001, (30_000 + i) << 16];
    const path = multipath.select(flowHash(policy, 7, src, dst, 17, ports));
    counts.set(path, (counts.get(path) ?? 0) + 1);
  }
  for (const [i, weight] of given.entries()) {
    const share = (counts.get(multipath.paths[i]) ?? 0) / flows;
    expect(Math.abs(share - weight / total)).toBeLessThan(0.015);
  }
});
