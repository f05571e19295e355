import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ProbeArgs, ProbeResult } from "../../../src/io/ipc/protocol.ts";
import {
  measureReachability,
  type PodAddress,
  planPairs,
  REACHABILITY_DEFAULTS,
} from "../../../src/measure/reachability.ts";
import { summarize } from "../../../src/measure/statistics.ts";

function pods(count: number): PodAddress[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `p${i}`,
    node: `n${i % 3}`,
    ip: `10.244.${i >> 8}.${i & 255}`,
  }));
}

const reply = (target: string, rttUs: number[], sent = rttUs.length): ProbeResult => ({
  target,
  sent,
  received: rttUs.length,
  rttUs,
});

describe("planPairs", () => {
  test("all ordered pairs while there are few", () => {
    const plan = planPairs(pods(6), 2000, 1);
    expect(plan.count).toBe(30);
    expect(plan.sampled).toBe(false);
    for (const [from, targets] of plan.targets) expect(targets.map((to) => to.name)).not.toContain(from.name);
  });

  test("beyond the limit a sample: exactly so many, no pair twice, none with itself, the same for the same seed", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 3, max: 60 }),
        fc.integer({ min: 1, max: 300 }),
        fc.nat(),
        (n, max, seed) => {
          const all = n * (n - 1);
          const plan = planPairs(pods(n), max, seed);
          const names = plan.targets.flatMap(([from, targets]) =>
            targets.map((to) => `${from.name}>${to.name}`),
          );
          expect(names).toHaveLength(Math.min(all, max));
          expect(plan.count).toBe(names.length);
          expect(new Set(names).size).toBe(names.length);
          expect(names.some((name) => name.split(">")[0] === name.split(">")[1])).toBe(false);
          expect(planPairs(pods(n), max, seed)).toEqual(plan);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe("measureReachability", () => {
  const options = { ...REACHABILITY_DEFAULTS, count: 3 };

  test("counts losses of all pings, and times without the first, which resolves addresses", async () => {
    const asked: ProbeArgs[] = [];
    const result = await measureReachability(
      {
        probe: (args) => {
          asked.push(args);
          return Promise.resolve(
            args.targets.map((target) =>
              args.pod === "p0" && target.endsWith(".1")
                ? { ...reply(target, [], 3), error: "Destination Host Unreachable" }
                : reply(target, [9000, 100, 300]),
            ),
          );
        },
      },
      pods(3),
      options,
    );
    // Each source greets one pod of another node first, alone, then one of each further node.
    expect(asked.map((args) => args.targets.length)).toEqual([1, 1, 2, 1, 1, 2, 1, 1, 2]);
    expect(result).toMatchObject({
      pairsTotal: 6,
      sampleSeed: undefined,
      sent: 18,
      received: 15,
      pairsWithLoss: 1,
      firstReplyCounted: false,
    });
    expect(result.rtt).toMatchObject({ count: 10, minUs: 100, medianUs: 200, maxUs: 300 });
    expect(result.pairs[0]).toEqual({
      from: "p0",
      to: "p1",
      sent: 3,
      received: 0,
      rtt: undefined,
      error: "Destination Host Unreachable",
    });
  });

  test("one ping a pair is the one that counts", async () => {
    const probe = (args: ProbeArgs): Promise<ProbeResult[]> =>
      Promise.resolve(args.targets.map((t) => reply(t, [700])));
    const result = await measureReachability({ probe }, pods(2), { ...options, count: 1 });
    expect(result).toMatchObject({ firstReplyCounted: true, rtt: { count: 2, medianUs: 700 } });
  });

  test("what was not even tried counts as lost", async () => {
    const result = await measureReachability({ probe: () => Promise.resolve([]) }, pods(2), options);
    expect(result).toMatchObject({ sent: 6, received: 0, pairsWithLoss: 2 });
  });

  test("says that it took a sample", async () => {
    const probe = (args: ProbeArgs): Promise<ProbeResult[]> =>
      Promise.resolve(args.targets.map((t) => reply(t, [1, 1, 1])));
    const result = await measureReachability({ probe }, pods(20), { ...options, pairsMax: 50, seed: 7 });
    expect(result).toMatchObject({ pairsTotal: 380, sampleSeed: 7, pairsWithLoss: 0 });
    expect(result.pairs).toHaveLength(50);
  });

  test("ends when it is told to", async () => {
    const abort = new AbortController();
    const probe = (args: ProbeArgs): Promise<ProbeResult[]> => {
      abort.abort(new Error("enough"));
      return Promise.resolve(args.targets.map((t) => reply(t, [1])));
    };
    const measuring = measureReachability({ probe }, pods(9), {
      ...options,
      concurrency: 1,
      signal: abort.signal,
    });
    await expect(measuring).rejects.toThrow("enough");
  });
});

test("the p99 of a hundred samples is between the two largest, the median between the middle ones", () => {
  const samples = Array.from({ length: 100 }, (_, i) => i + 1).reverse();
  expect(summarize(samples)).toMatchObject({
    count: 100,
    minUs: 1,
    medianUs: 50.5,
    p99Us: 99.01,
    maxUs: 100,
  });
  expect(summarize([])).toBeUndefined();
});
