import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import {
  DEFAULT_DECISION,
  type DecisionOptions,
  decide,
  rank,
} from "../../../../../src/routing/bgp/rib/decision.ts";
import type { Path } from "../../../../../src/routing/bgp/rib/route.ts";
import { SegmentType } from "../../../../../src/wire/bgp/as-path.ts";
import { Origin } from "../../../../../src/wire/bgp/attributes/path-attributes.ts";
import { type PathParts, pathOf, way } from "../../../../support/rib-world.ts";

function names(paths: readonly Path[]): string[] {
  return paths.map((path) => path.source.config.name);
}

function bestOf(paths: readonly Path[], given: Partial<DecisionOptions> = {}, current?: Path): string {
  return decide(paths, { ...DEFAULT_DECISION, ...given }, current).best?.source.config.name ?? "-";
}

function permutations<T>(list: readonly T[]): T[][] {
  if (list.length < 2) return [[...list]];
  return list.flatMap((one, i) => permutations(list.toSpliced(i, 1)).map((rest) => [one, ...rest]));
}

/** Each step with what makes a path better at it, and what makes it worse. All are independent of each other. */
const STEPS: { name: string; good: PathParts; bad: PathParts }[] = [
  { name: "1 weight", good: { weight: 1 }, bad: { weight: 0 } },
  {
    name: "2 LOCAL_PREF",
    good: { attributes: { localPref: 0xffffffff } },
    bad: { attributes: { localPref: 0x7fffffff } },
  },
  { name: "3 local", good: { local: true }, bad: { local: false } },
  {
    name: "4 AS_PATH",
    good: { attributes: { asPath: way(65001) } },
    bad: { attributes: { asPath: way(65001, 65002) } },
  },
  {
    name: "5 ORIGIN",
    good: { attributes: { origin: Origin.EGP } },
    bad: { attributes: { origin: Origin.INCOMPLETE } },
  },
  { name: "6 MED", good: { attributes: { med: 7 } }, bad: { attributes: { med: 0x80000000 } } },
  { name: "7 external", good: { internal: false }, bad: { internal: true } },
  { name: "8 metric", good: { metric: 10 }, bad: { metric: 20 } },
  { name: "11 router ID", good: { bgpId: 5 }, bad: { bgpId: 0xe0000001 } },
  {
    name: "12 CLUSTER_LIST",
    good: { attributes: { clusterList: [9] } },
    bad: { attributes: { clusterList: [1, 2] } },
  },
  { name: "13 address", good: { addr: 1 }, bad: { addr: 0xf0000001 } },
  { name: "14 path ID", good: { pathId: 3 }, bad: { pathId: 0xfffffff0 } },
];

function combined(name: string, parts: readonly PathParts[]): Path {
  const all: PathParts = Object.assign({}, ...parts);
  return pathOf({ ...all, name, attributes: Object.assign({}, ...parts.map((one) => one.attributes)) });
}

describe("each step, with all that follow contradicting it", () => {
  for (const [k, step] of STEPS.entries()) {
    test(step.name, () => {
      const same = STEPS.slice(0, k).map((one) => one.bad);
      const later = STEPS.slice(k + 1);
      const winner = combined("winner", [...same, step.good, ...later.map((one) => one.bad)]);
      const loser = combined("loser", [...same, step.bad, ...later.map((one) => one.good)]);
      expect(bestOf([winner, loser])).toBe("winner");
      expect(bestOf([loser, winner])).toBe("winner");
      expect(names(rank([loser, winner], DEFAULT_DECISION))).toEqual(["winner", "loser"]);
    });
  }
});

describe("single steps", () => {
  test("LOCAL_PREF is 100 where there is none", () => {
    const without = pathOf({ name: "without", attributes: { asPath: way(65001, 65002) } });
    expect(bestOf([without, pathOf({ name: "99", attributes: { localPref: 99 } })])).toBe("without");
    expect(bestOf([without, pathOf({ name: "101", attributes: { localPref: 101 } })])).toBe("101");
  });

  test("a set counts as one AS, a confederation as none", () => {
    const set = { type: SegmentType.SET, asns: [1, 2, 3] };
    const confed = { type: SegmentType.CONFED_SEQUENCE, asns: [4, 5, 6] };
    const asPath = [confed, ...way(65001), set];
    const two = pathOf({ name: "two", bgpId: 9, attributes: { asPath } });
    expect(bestOf([pathOf({ name: "three", attributes: { asPath: way(65001, 2, 3) } }), two])).toBe("two");
    expect(bestOf([pathOf({ name: "equal", attributes: { asPath: way(65001, 2) } }), two])).toBe("equal");
  });

  test("no ORIGIN counts as incomplete", () => {
    const none = pathOf({ name: "none", bgpId: 1, attributes: { origin: undefined } });
    expect(bestOf([none, pathOf({ name: "egp", bgpId: 2, attributes: { origin: Origin.EGP } })])).toBe("egp");
    expect(bestOf([none, pathOf({ name: "?", bgpId: 2, attributes: { origin: Origin.INCOMPLETE } })])).toBe(
      "none",
    );
  });

  test("no MED counts as 0, or as worse than all", () => {
    const without = pathOf({ name: "without", bgpId: 2 });
    const worst = pathOf({ name: "worst", bgpId: 1, attributes: { med: 0xffffffff } });
    const zero = pathOf({ name: "zero", bgpId: 1, attributes: { med: 0 } });
    expect(bestOf([without, worst])).toBe("without");
    expect(bestOf([without, zero])).toBe("zero");
    expect(bestOf([without, worst], { missingMedWorst: true })).toBe("worst");
  });

  test("MED compares inside an AS, unless always", () => {
    const low = pathOf({ name: "low", bgpId: 2, attributes: { asPath: way(65001), med: 1 } });
    const high = pathOf({ name: "high", bgpId: 1, attributes: { asPath: way(65002), med: 9 } });
    expect(bestOf([low, high])).toBe("high");
    expect(bestOf([low, high], { alwaysCompareMed: true })).toBe("low");
  });

  test("MED groups: confederations are skipped, a set at the head is its neighbour's, none of all is our own AS", () => {
    const confed = [{ type: SegmentType.CONFED_SEQUENCE, asns: [4] }, ...way(65001)];
    const set = [{ type: SegmentType.SET, asns: [65009] }];
    const cases: [PathParts, PathParts, boolean][] = [
      [{ attributes: { asPath: confed } }, { attributes: { asPath: way(65001) } }, true],
      [{ as: 65001, attributes: { asPath: set } }, { attributes: { asPath: way(65001) } }, true],
      [{ as: 65002, attributes: { asPath: set } }, { attributes: { asPath: way(65001) } }, false],
      [
        { internal: true, as: 64512, attributes: { asPath: [] } },
        { internal: true, as: 64513, attributes: { asPath: [] } },
        true,
      ],
      [
        { internal: true, attributes: { asPath: set } },
        { internal: true, attributes: { asPath: way(65009) } },
        false,
      ],
    ];
    for (const [x, y, comparable] of cases) {
      const low = pathOf({ ...x, name: "low", bgpId: 2, attributes: { ...x.attributes, med: 1 } });
      const high = pathOf({ ...y, name: "high", bgpId: 1, attributes: { ...y.attributes, med: 9 } });
      expect(bestOf([high, low])).toBe(comparable ? "low" : "high");
    }
  });

  test("an ORIGINATOR_ID stands for the neighbour's identifier", () => {
    const reflected = pathOf({ name: "reflected", bgpId: 9, attributes: { originatorId: 3 } });
    expect(bestOf([reflected, pathOf({ name: "direct", bgpId: 4 })])).toBe("reflected");
    expect(bestOf([reflected, pathOf({ name: "direct", bgpId: 2 })])).toBe("direct");
  });
});

describe("MED is not transitive", () => {
  // 1 beats 2 by MED, 2 beats 3 and 3 beats 1 by router ID.
  const one = pathOf({ name: "one", bgpId: 3, attributes: { asPath: way(10), med: 5 } });
  const two = pathOf({ name: "two", bgpId: 1, attributes: { asPath: way(10), med: 10 } });
  const three = pathOf({ name: "three", bgpId: 2, attributes: { asPath: way(20), med: 0 } });

  test("whatever the order, a group's higher MEDs go first", () => {
    for (const paths of permutations([one, two, three])) expect(bestOf(paths)).toBe("three");
  });

  test("a loser that takes its group's lowest MED with it changes the winner", () => {
    expect(bestOf([two, three])).toBe("two");
    expect(bestOf([one, three])).toBe("three");
  });

  test("ranking is deciding again and again", () => {
    for (const paths of permutations([one, two, three])) {
      expect(names(rank(paths, DEFAULT_DECISION))).toEqual(["three", "one", "two"]);
    }
  });
});

describe("the oldest", () => {
  const options = { preferOldest: true };
  const old = pathOf({ name: "old", bgpId: 9, addr: 9 });
  const young = pathOf({ name: "young", bgpId: 1, addr: 1 });

  test("an external path that was chosen stays, if the option is on", () => {
    expect(bestOf([young, old], options, old)).toBe("old");
    expect(bestOf([young, old], options, undefined)).toBe("young");
    expect(bestOf([young, old], {}, old)).toBe("young");
    expect(names(rank([young, old], { ...DEFAULT_DECISION, ...options }, undefined, old))).toEqual([
      "old",
      "young",
    ]);
  });

  test("not one that is worse, gone, not eligible, or internal", () => {
    const worse = pathOf({ name: "worse", metric: 1, bgpId: 9 });
    expect(bestOf([young, worse], options, worse)).toBe("young");
    expect(bestOf([young], options, old)).toBe("young");
    const useless = pathOf({ name: "useless", ineligible: "unreachable" });
    expect(bestOf([young, useless], options, useless)).toBe("young");
    const internal = pathOf({ name: "internal", internal: true, bgpId: 9 });
    const other = pathOf({ name: "other", internal: true, bgpId: 1 });
    expect(bestOf([internal, other], options, internal)).toBe("other");
  });

  test("two sessions with one router are told apart by address", () => {
    const near = pathOf({ name: "near", bgpId: 9, addr: 3 });
    expect(bestOf([young, old, near], options, old)).toBe("near");
  });
});

describe("which take part", () => {
  test("none of none, and none of those that are not eligible", () => {
    expect(decide([], DEFAULT_DECISION, undefined)).toEqual({ best: undefined, multipath: [] });
    const rejected = pathOf({ ineligible: "rejected" });
    const looping = pathOf({ ineligible: "asLoop", weight: 9 });
    expect(bestOf([rejected, looping])).toBe("-");
    expect(rank([rejected, looping], DEFAULT_DECISION)).toEqual([]);
    expect(bestOf([rejected, pathOf({ name: "one" }), looping])).toBe("one");
  });

  test("neither paths nor their order is touched", () => {
    const paths = [3, 1, 2].map((addr) => pathOf({ name: `p${addr}`, addr, bgpId: addr }));
    decide(paths, { ...DEFAULT_DECISION, multipathMax: 9 }, undefined);
    rank(paths, DEFAULT_DECISION);
    expect(names(paths)).toEqual(["p3", "p1", "p2"]);
  });
});

describe("rank", () => {
  test("has a maximum", () => {
    const paths = [4, 2, 3, 1].map((bgpId) => pathOf({ name: `p${bgpId}`, bgpId }));
    expect(names(rank(paths, DEFAULT_DECISION, 2))).toEqual(["p1", "p2"]);
    expect(rank(paths, DEFAULT_DECISION, 0)).toEqual([]);
    const groups = paths.map((path, i) =>
      pathOf({
        name: path.source.config.name,
        bgpId: path.source.bgpId,
        attributes: { asPath: way(i % 2), med: i },
      }),
    );
    expect(rank(groups, DEFAULT_DECISION, 1)).toHaveLength(1);
  });
});

describe("multipath", () => {
  const hop = (n: number): number => ipv4(`10.0.1.${n}`);
  const member = (n: number, given: PathParts = {}): Path =>
    pathOf({ name: `p${n}`, bgpId: n, addr: n, nextHop: hop(n), ...given });

  function shared(paths: readonly Path[], given: Partial<DecisionOptions> = {}): string[] {
    const options = { ...DEFAULT_DECISION, multipathMax: 4, ...given };
    const { best, multipath } = decide(paths, options, undefined);
    expect(multipath[0]).toBe(best);
    return names(multipath);
  }

  test("off unless asked for", () => {
    expect(shared([member(1), member(2)], { multipathMax: 1 })).toEqual(["p1"]);
  });

  test("what is equal up to the metric shares the load, in the order of the tie-breaks", () => {
    for (const paths of permutations([member(1), member(2), member(3)])) {
      expect(shared(paths)).toEqual(["p1", "p2", "p3"]);
      expect(shared(paths, { multipathMax: 2 })).toEqual(["p1", "p2"]);
    }
  });

  test("what is worse at any step before does not", () => {
    const worse: PathParts[] = [
      { metric: 1 },
      { internal: true },
      { attributes: { med: 1 } },
      { attributes: { localPref: 99 } },
    ];
    for (const given of worse) expect(shared([member(1), member(2, given)])).toEqual(["p1"]);
  });

  test("through the same ASs alone, unless relaxed", () => {
    const other = member(2, { attributes: { asPath: way(65002) } });
    const longer = member(3, { attributes: { asPath: way(65002, 65003) } });
    expect(shared([member(1), other, longer])).toEqual(["p1"]);
    expect(shared([member(1), other, longer], { multipathRelax: true })).toEqual(["p1", "p2"]);
    const relaxed = { multipathRelax: true, multipathMax: 2 };
    const high = member(2, { attributes: { asPath: way(65002), med: 9 } });
    expect(shared([member(1), member(3), high], relaxed)).toEqual(["p1", "p2"]);
  });

  test("each next hop once: two ways to hear of one are no two ways to go", () => {
    const echo = member(2, { nextHop: hop(1) });
    expect(shared([member(1), echo, member(3)], { multipathMax: 2 })).toEqual(["p1", "p3"]);
  });
});
