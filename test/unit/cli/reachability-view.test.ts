// The matrix of `up` and `verify`, losses above all: what is lost must be seen in the cell, in a line, and in the summary.
import { describe, expect, test } from "vitest";
import { formatMsShort } from "../../../src/cli/format.ts";
import { printReachability, summaryLine } from "../../../src/cli/reachability-view.ts";
import { Terminal } from "../../../src/cli/terminal.ts";
import type { PairResult, Reachability } from "../../../src/measure/reachability.ts";

const RTT = { count: 4, minUs: 300, medianUs: 410, p99Us: 830, maxUs: 830 };

function pair(from: string, to: string, received = 5, error?: string): PairResult {
  return { from, to, sent: 5, received, rtt: received === 0 ? undefined : RTT, error };
}

function result(
  pods: readonly string[],
  pairs: readonly PairResult[],
  more: Partial<Reachability> = {},
): Reachability {
  const sum = (of: (one: PairResult) => number) => pairs.reduce((total, one) => total + of(one), 0);
  return {
    pods: pods.map((name) => ({ name, node: "n", ip: "10.244.1.2" })),
    pairs,
    pairsTotal: pairs.length,
    sampleSeed: undefined,
    sent: sum((one) => one.sent),
    received: sum((one) => one.received),
    pairsWithLoss: pairs.filter((one) => one.received < one.sent).length,
    firstReplyCounted: false,
    rtt: RTT,
    ...more,
  };
}

/** @param columns of the terminal; undefined: a pipe */
function printed(of: Reachability, columns?: number): string[] {
  let text = "";
  const isTTY = columns !== undefined;
  const sink = {
    write: (more: string) => (text += more),
    isTTY,
    columns: columns ?? 0,
    hasColors: () => true,
  };
  printReachability(of, new Terminal(sink, sink, {}));
  return text.trimEnd().split("\n");
}

describe("the matrix", () => {
  test("rows send, columns answer; each cell is the pair's median and p99", () => {
    expect(printed(result(["a", "b"], [pair("a", "b"), pair("b", "a")]))).toEqual([
      "RTT in ms, median/p99; rows send, columns answer",
      "            a           b",
      "a           ·   0.41/0.83",
      "b   0.41/0.83           ·",
      "",
      "2/2 ordered pod pairs reachable, 0 of 10 pings lost, RTT median 0.410 ms, p99 0.830 ms (first reply of each pair not counted)",
    ]);
  });

  test("a terminal that is too narrow for both figures gets the medians, whatever colours add to a line", () => {
    const lossy = result(["a", "b"], [pair("a", "b", 3), pair("b", "a")]);
    const wide = "b   0.41/0.83                      ·";
    expect(printed(lossy, wide.length)[0]).toBe("RTT in ms, median/p99; rows send, columns answer");
    expect(printed(lossy, wide.length)[3]).toBe(wide);
    expect(printed(lossy, wide.length - 1).slice(0, 4)).toEqual([
      "RTT in ms, median; rows send, columns answer",
      "       a                 b",
      "a      ·   \u001b[31m0.41 (2/5 lost)\u001b[39m",
      "b   0.41                 ·",
    ]);
    // A pipe takes lines of any length.
    expect(printed(lossy)[0]).toContain("median/p99");
  });

  test("milliseconds are short in a cell: two digits, or as many as there are before the point", () => {
    expect([71, 994, 996, 9949, 9951, 140_200].map(formatMsShort)).toEqual([
      "0.07",
      "0.99",
      "1.0",
      "9.9",
      "10",
      "140",
    ]);
  });

  test("says `lost` where nothing came back and how many where some did; each lossy pair has a line with its reason", () => {
    const why = "Destination Host Unreachable";
    const lines = printed(
      result(["a", "b", "c"], [pair("a", "b", 0, why), pair("b", "c", 3), pair("c", "a")]),
    );
    expect(lines[2]).toMatch(/^a +· +lost +\?$/);
    expect(lines[3]).toMatch(/^b +\? +· +0\.41\/0\.83 \(2\/5 lost\)$/);
    expect(lines.slice(-3)).toEqual([
      `a → b: 5 of 5 pings lost: ${why}`,
      "b → c: 2 of 5 pings lost",
      "2/3 ordered pod pairs reachable, 7 of 15 pings lost, RTT median 0.410 ms, p99 0.830 ms (first reply of each pair not counted)",
    ]);
  });

  test("is left out when no terminal shows it; the losses are not", () => {
    const pods = Array.from({ length: 13 }, (_, i) => `p${i}`);
    const lossy = Array.from({ length: 25 }, (_, i) => pair("p0", `x${i}`, 0));
    const lines = printed(result(pods, lossy));
    expect(lines[0]).toBe("p0 → x0: 5 of 5 pings lost");
    expect(lines).toHaveLength(22);
    expect(lines[20]).toBe("… and 5 more pairs with losses");
    expect(lines[21]).toMatch(/^0\/25 ordered pod pairs reachable, 125 of 125 pings lost/);
  });
});

describe("the summary", () => {
  const terminal = new Terminal({ write: () => undefined }, { write: () => undefined }, {});

  test("of a sample says so, and how to draw it again", () => {
    const sample = result(["a", "b"], [pair("a", "b")], { sampleSeed: 7, pairsTotal: 9900 });
    expect(summaryLine(sample, terminal)).toMatch(/\(a sample of 1 of 9900 pairs, seed 7\)$/);
  });

  test("has no RTT when nothing came back", () => {
    const lost = result(["a", "b"], [pair("a", "b", 0)], { rtt: undefined });
    expect(summaryLine(lost, terminal)).toBe("0/1 ordered pod pair reachable, 5 of 5 pings lost");
  });

  test("counts the first reply where it is the only one, and then says nothing of it", () => {
    const single = result(["a", "b"], [pair("a", "b")], { firstReplyCounted: true });
    expect(summaryLine(single, terminal)).toMatch(/p99 0\.830 ms$/);
  });

  test("is red as soon as one ping is lost", () => {
    expect(printed(result(["a", "b"], [pair("a", "b", 4)]), 80).at(-1)).toContain("\u001b[31m1/1 ordered");
    expect(printed(result(["a", "b"], [pair("a", "b")]), 80).at(-1)).toContain("\u001b[32m1/1 ordered");
  });
});
