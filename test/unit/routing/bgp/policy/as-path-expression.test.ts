import { describe, expect, test } from "vitest";
import {
  type AsPathMatcher,
  compilePathExpression,
} from "../../../../../src/routing/bgp/policy/as-path-matcher.ts";
import { type AsPath, SegmentType } from "../../../../../src/wire/bgp/as-path.ts";
import { path } from "../../../../support/bgp-policy.ts";

function matcherOf(expression: string): AsPathMatcher {
  const matcher = compilePathExpression(expression, 1000);
  if (!matcher.ok) throw new Error(matcher.error);
  return matcher.value;
}

function matches(expression: string, asPath: AsPath): boolean {
  return matcherOf(expression).matches(asPath);
}

function fault(expression: string, maxLength = 1000): string {
  const matcher = compilePathExpression(expression, maxLength);
  return matcher.ok ? "" : matcher.error;
}

interface Idiom {
  readonly expression: string;
  readonly takes: readonly string[];
  readonly leaves: readonly string[];
}

// What the manuals of routers teach, and what is made of it.
const idioms: readonly Idiom[] = [
  { expression: "^$", takes: [""], leaves: ["64512", "(64512)", "{64512}"] },
  { expression: ".*", takes: ["", "64512", "64512 64513 {1 2}"], leaves: [] },
  { expression: ".+", takes: ["64512"], leaves: [""] },
  { expression: ".", takes: ["1"], leaves: [""] },
  { expression: "_", takes: ["", "1", "1 2"], leaves: [] },
  { expression: "[0-9]+", takes: ["64512", "1 2", "{1}"], leaves: [""] },
  { expression: "^[0-9]+$", takes: ["64512", "1"], leaves: ["", "1 2", "{1}", "(1)"] },
  { expression: "^[0-9]+_[0-9]+$", takes: ["1 2", "64512 64513"], leaves: ["1", "1 2 3", "1 {2}"] },
  { expression: "^[0-9]+(_[0-9]+)?$", takes: ["1", "1 2"], leaves: ["", "1 2 3"] },
  {
    expression: "_64512_",
    takes: ["64512", "64512 1", "1 64512", "1 64512 2", "{64512}", "1 {2 64512 3}", "(64512) 1", "[1 64512]"],
    leaves: ["", "164512", "645120", "1 164512 2", "6451 2", "64512645"],
  },
  {
    expression: "^64513_",
    takes: ["64513", "64513 1", "64513 {1}"],
    leaves: ["1 64513", "645131", "{64513}"],
  },
  { expression: "_64513$", takes: ["64513", "1 64513"], leaves: ["64513 1", "{64513}", "164513"] },
  { expression: "^64513 ", takes: ["64513 1", "64513 {1}"], leaves: ["64513", "1 64513 1"] },
  { expression: "^64513$", takes: ["64513"], leaves: ["64513 64513", "164513", ""] },
  {
    expression: "^64513(_64513)*$",
    takes: ["64513", "64513 64513 64513"],
    leaves: ["64513 1", "64513 64513 1"],
  },
  { expression: "(64512|64513)+", takes: ["64512", "1 64513", "164513"], leaves: ["1 2", "6451 3"] },
  {
    expression: "^(64512_|64513_)+$",
    takes: ["64512", "64512 64513", "64513 64513 64512"],
    leaves: ["", "64512 1", "1 64512"],
  },
  { expression: "^(_64512_)+$", takes: ["64512 64512 64512"], leaves: ["64512 1"] },
  {
    expression: "_64512_64513_",
    takes: ["64512 64513", "1 64512 64513 2", "64512 {64513}"],
    leaves: ["64512 1 64513"],
  },
  { expression: "_64512_.*_64513_", takes: ["64512 64513", "64512 1 2 64513"], leaves: ["64513 64512"] },
  { expression: "_6451[2-4]_", takes: ["64512", "1 64514"], leaves: ["64511", "64515", "6451"] },
  { expression: "_6451[24]_", takes: ["64512", "64514"], leaves: ["64513"] },
  { expression: "_6451[^2-4]_", takes: ["64515", "64510"], leaves: ["64512", "64514"] },
  {
    expression: "_(6451[2-9]|645[2-9][0-9]|64[6-9][0-9][0-9]|65[0-4][0-9][0-9]|655[0-2][0-9]|6553[0-4])_",
    takes: ["64512", "1 65534", "65000"],
    leaves: ["64511", "65535", "64"],
  },
  {
    expression: "_[0-9][0-9][0-9][0-9][0-9][0-9]+_",
    takes: ["100000", "1 4200000000"],
    leaves: ["65535", "1 2"],
  },
  { expression: "._1", takes: ["2 1", "{1}", "22 21 1"], leaves: ["21", "2", "21 2"] },
  { expression: "1?2", takes: ["2", "12", "32"], leaves: ["1", "13"] },
  { expression: "^1*$", takes: ["", "1", "111"], leaves: ["12"] },
  { expression: "^1+$", takes: ["1", "111"], leaves: ["", "12"] },
  { expression: "^1|2$", takes: ["1 3", "3 2"], leaves: ["3 1 3", "2 3"] },
  { expression: "^(|1)$", takes: ["", "1"], leaves: ["2"] },
  { expression: "^()$", takes: [""], leaves: ["1"] },
  { expression: "1$|^2", takes: ["2 3", "3 1"], leaves: ["1 2"] },
  { expression: "^((1|2)*|(1*)*)*$", takes: ["", "1", "1221"], leaves: ["1 2"] },
  { expression: "^1??1+*$", takes: ["", "1", "11"], leaves: ["2"] },
  // Sets and confederations: braces stand for themselves, parentheses and brackets are escaped.
  { expression: "{", takes: ["{1}"], leaves: ["1", "(1)"] },
  { expression: "\\{.*\\}", takes: ["{1}", "1 {2 3}"], leaves: ["1", "(1)"] },
  { expression: "_{64514}", takes: ["{64514}", "1 {64514}"], leaves: ["64514", "{64514 1}"] },
  { expression: "{64514 64515}$", takes: ["1 {64514 64515}"], leaves: ["{64514 64515} 1"] },
  { expression: "^64512 {", takes: ["64512 {1}"], leaves: ["{1}", "64512 1 {2}"] },
  { expression: "\\(65001\\)", takes: ["(65001) 1"], leaves: ["65001", "(65001 65002)", "{65001}"] },
  { expression: "^\\([0-9 ]+\\)$", takes: ["(65001 65002)"], leaves: ["(1) 2", "[1]"] },
  { expression: "\\[65001 65002\\]", takes: ["[65001 65002] 1"], leaves: ["65001 65002"] },
  { expression: "^\\(65001\\) 64512$", takes: ["(65001) 64512"], leaves: ["(65001) 64512 1"] },
  { expression: "[](){}[]", takes: ["(1)", "{1}", "[1]"], leaves: ["1 2"] },
  { expression: "[^]0-9 {}()[]", takes: [], leaves: ["1", "{1} (2) [3]"] },
  { expression: "[\\]1]", takes: ["1", "[2]"], leaves: ["{2}"] },
  { expression: "[ ]", takes: ["1 2"], leaves: ["1"] },
  { expression: "[^0-9]", takes: ["1 2", "{1}"], leaves: ["1"] },
];

describe("what routers' expressions mean", () => {
  test.each(idioms)("$expression", ({ expression, takes, leaves }) => {
    const cases = [...takes.map((one) => [one, true]), ...leaves.map((one) => [one, false])] as const;
    // What was learnt from one path must be right for the next, whichever comes first.
    for (const order of [cases, cases.toReversed()]) {
      const matcher = matcherOf(expression);
      for (const [one, held] of [...order, ...order])
        expect(matcher.matches(path(String(one))), `"${one}"`).toBe(held);
    }
  });

  test("AS numbers of four octets are written in full", () => {
    const all: AsPath = [{ type: SegmentType.SEQUENCE, asns: [4294967295, 1000000000, 10, 1] }];
    expect(matches("^4294967295 1000000000 10 1$", all)).toBe(true);
  });

  test("segments follow each other as numbers do", () => {
    const two: AsPath = [
      { type: SegmentType.SEQUENCE, asns: [1, 2] },
      { type: SegmentType.SEQUENCE, asns: [3] },
    ];
    expect(matches("^1 2 3$", two)).toBe(true);
  });
});

describe("what is wrong is said, with its place", () => {
  test.each([
    ["", /empty.*\^\$/],
    ["64512)", /character 6: "\)" without a "\("/],
    ["(64512", /character 1: "\(" without a "\)"/],
    ["1(2(3)", /character 2: "\("/],
    ["[0-9", /character 1: "\[" without a "\]"/],
    ["1[", /character 2: "\["/],
    ["[]", /character 1: "\["/],
    ["[^]", /character 1: "\["/],
    ["*", /character 1: "\*" repeats nothing/],
    ["1|+", /character 3: "\+" repeats nothing/],
    ["(?:1)", /character 2: "\?" repeats nothing/],
    ["(?=1)", /repeats nothing/],
    ["[9-0]", /character 2: a range/],
    ["[0-]", /a range/],
    ["[0- ]", /a range/],
    ["[ -9]", /a range/],
    ["[[:digit:]]", /":" is in no path/],
    ["64512,64513", /character 6: "," is in no path.*"_"/],
    ["AS64512", /character 1: "A" is in no path/],
    ["64.5x", /character 5: "x" is in no path/],
    ["1\\", /character 2: "\\" at the end/],
    ["\\d+", /"\\d" means nothing.*\[0-9\]/],
    ["\\1", /"\\1" means nothing/],
    ["\\.", /"." is in no path/],
    ["1{3}", /character 2: there are no repeat counts/],
    ["(_64512){2,3}", /repeat counts/],
    ["[0-9]{5}", /repeat counts/],
    ["1*{2}", /repeat counts/],
    ["1{,3}", /repeat counts/],
    ["[_]", /"_" is in no path/],
    ["ä", /is in no path/],
    ["1\n2", /is in no path/],
  ])("%j", (expression, says) => {
    expect(fault(expression)).toMatch(says);
  });

  test("bounded in length and in depth", () => {
    expect(fault("1".repeat(101), 100)).toBe("it has 101 characters, 100 are allowed");
    expect(fault("1".repeat(100), 100)).toBe("");
    expect(fault(`${"(".repeat(32)}1${")".repeat(32)}`)).toBe("");
    expect(fault(`${"(".repeat(33)}1${")".repeat(33)}`)).toMatch(/nested deeper than 32/);
    expect(fault("(1)".repeat(300))).toBe("");
    expect(fault(`1${"*".repeat(999)}`)).toBe("");
  });
});

describe("strangers write the paths", () => {
  /** As many AS numbers as the longest message has room for. */
  const LONGEST = 16_000;
  const long = (as: number): AsPath => [
    { type: SegmentType.SEQUENCE, asns: Array.from({ length: LONGEST }, () => as) },
  ];

  // A backtracking matcher would still be at it when the universe ends.
  test.each([
    ["^([0-9]+_?)+$", true],
    ["^([0-9]+_?)+ $", false],
    ["^(1*)*(1*)*(1*)*2$", false],
    ["(1|11|1_)*2$", false],
    ["^((.*)*)*[)]$", false],
    ["(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)2", false],
    ["^(_1_|_1|1_|1)*2$", false],
    // Automatons of 2^60 states and more, were they all made.
    [`(1|2).*1${".".repeat(60)}2$`, false],
    [`1${"[^2]".repeat(200)}2`, false],
  ])("%s takes time that grows with the path alone", (expression, held) => {
    const before = performance.now();
    for (const as of [1, 11, 1111111111]) expect(matches(expression, long(as))).toBe(held);
    // A second at most, even on a busy machine; exponential time would not end at all.
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  test("what is forgotten for want of room is still right", () => {
    // 2^12 states: more than are kept. The twelfth symbol before the end must be a 1.
    const narrow = matcherOf(`1${"[12]".repeat(11)}$`);
    const wide = matcherOf(`1${"[ 12]".repeat(11)}$`);
    let seed = 1;
    const digits = Array.from({ length: 4000 }, () => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed > 1073741824 ? "1" : "2";
    });
    for (let end = 100; end < digits.length; end += 13) {
      const text = digits.slice(end - 9, end).join("");
      const lead = digits.slice(0, 9).join("");
      // One AS number has ten digits at most: the expression looks at one alone, so it never holds over a blank.
      expect(narrow.matches(path(`${lead} ${text}`))).toBe(false);
    }
    for (let end = 100; end < digits.length; end += 13) {
      const numbers = Array.from({ length: 30 }, (_, i) => digits.slice(end - 9 - i, end - i).join(""));
      const text = numbers.join(" ");
      expect(wide.matches(path(text)), text).toBe(text.at(-12) === "1");
    }
  });
});
