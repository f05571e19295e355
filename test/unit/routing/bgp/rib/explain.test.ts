import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import { DEFAULT_DECISION, type DecisionOptions } from "../../../../../src/routing/bgp/rib/decision.ts";
import { explain } from "../../../../../src/routing/bgp/rib/explain.ts";
import type { Path } from "../../../../../src/routing/bgp/rib/route.ts";
import { Origin } from "../../../../../src/wire/bgp/attributes/path-attributes.ts";
import { ipv6 } from "../../../../support/bgp.ts";
import { type PathParts, pathOf, policy, prefix, RibWorld, way } from "../../../../support/rib-world.ts";

const P = "10.1.0.0/16";

/** One line a path: what was chosen, its neighbour, the step, the reason. */
function lines(paths: readonly Path[], given: Partial<DecisionOptions> = {}, best?: Path): string[] {
  const dest = { ...prefix(P), paths, best, multipath: [], dirty: false, holders: 0 };
  return explain(dest, { ...DEFAULT_DECISION, ...given }).map(
    ({ path, chosen, step, reason }) =>
      `${chosen ?? "-"} ${path.source.config.name} ${step ?? "-"}: ${reason}`,
  );
}

describe("why a path lost", () => {
  const cases: { loser: PathParts; winner: PathParts; step: number; name: string; reason: string }[] = [
    { loser: {}, winner: { weight: 10 }, step: 1, name: "weight", reason: "weight 0 < 10 of w" },
    {
      loser: { attributes: { localPref: 90 } },
      winner: {},
      step: 2,
      name: "LOCAL_PREF",
      reason: "LOCAL_PREF 90 < 100 of w",
    },
    {
      loser: {},
      winner: { local: true },
      step: 3,
      name: "local origin",
      reason: "told by l, while another is our own",
    },
    {
      loser: { attributes: { asPath: way(1, 2) } },
      winner: { attributes: { asPath: way(1) } },
      step: 4,
      name: "AS_PATH length",
      reason: "AS_PATH length 2 > 1 of w",
    },
    {
      loser: { attributes: { origin: Origin.INCOMPLETE } },
      winner: { attributes: { origin: Origin.EGP } },
      step: 5,
      name: "ORIGIN",
      reason: "ORIGIN incomplete > EGP of w",
    },
    {
      loser: { attributes: { med: 20 } },
      winner: {},
      step: 6,
      name: "MED",
      reason: "MED 20 > missing of w",
    },
    {
      loser: { internal: true },
      winner: {},
      step: 7,
      name: "external over internal",
      reason: "l is internal, w external",
    },
    {
      loser: { metric: 7 },
      winner: { metric: 5 },
      step: 8,
      name: "metric to the next hop",
      reason: "metric to the next hop 7 > 5 of w",
    },
    {
      loser: { bgpId: ipv4("10.0.0.9") },
      winner: { bgpId: ipv4("10.0.0.9"), attributes: { originatorId: ipv4("10.0.0.2") } },
      step: 11,
      name: "router ID",
      reason: "router ID 10.0.0.9 > 10.0.0.2 of w",
    },
    {
      loser: { attributes: { clusterList: [1] } },
      winner: {},
      step: 12,
      name: "CLUSTER_LIST length",
      reason: "CLUSTER_LIST length 1 > 0 of w",
    },
    {
      loser: { addr: ipv4("200.0.0.1") },
      winner: { addr: ipv4("10.0.0.1") },
      step: 13,
      name: "neighbour address",
      reason: "neighbour address 200.0.0.1 > 10.0.0.1 of w",
    },
    { loser: { pathId: 9 }, winner: { pathId: 8 }, step: 14, name: "path ID", reason: "path ID 9 > 8 of w" },
  ];
  for (const { loser, winner, step, name, reason } of cases) {
    test(`step ${step}`, () => {
      const paths = [pathOf({ ...loser, name: "l" }), pathOf({ ...winner, name: "w" })];
      expect(lines(paths)).toEqual([`best w ${step}: decided by ${name}`, `- l ${step}: ${reason}`]);
    });
  }

  test("the choice so far", () => {
    const old = pathOf({ name: "old", bgpId: 9, addr: 9 });
    expect(lines([pathOf({ name: "young" }), old], { preferOldest: true }, old)).toEqual([
      "best old 10: decided by choice so far",
      "- young 10: that of old is chosen already, and no worse",
    ]);
  });

  test("MED names the one of its own AS that it lost to, even if that is not the best", () => {
    const one = pathOf({ name: "one", bgpId: 3, attributes: { asPath: way(10), med: 5 } });
    const two = pathOf({ name: "two", bgpId: 1, attributes: { asPath: way(10), med: 10 } });
    const three = pathOf({ name: "three", bgpId: 2, attributes: { asPath: way(20) } });
    expect(lines([one, two, three])).toEqual([
      "best three 11: decided by router ID",
      "- one 11: router ID 0.0.0.3 > 0.0.0.2 of three",
      "- two 6: MED 10 > 5 of one",
    ]);
    expect(lines([one, two, three], { alwaysCompareMed: true })[2]).toBe(
      "- two 6: MED 10 > missing of three",
    );
  });

  test("who lost later comes sooner, who is not eligible last", () => {
    const paths = [
      pathOf({ name: "a", ineligible: "ownClusterId", attributes: { clusterList: [ipv4("1.2.3.4"), 5] } }),
      pathOf({ name: "b", attributes: { localPref: 1 } }),
      pathOf({ name: "c", ineligible: "ownOriginatorId", attributes: { originatorId: ipv4("1.2.3.4") } }),
      pathOf({ name: "d", metric: 3 }),
      pathOf({ name: "e" }),
    ];
    expect(lines(paths)).toEqual([
      "best e 8: decided by metric to the next hop",
      "- d 8: metric to the next hop 3 > 0 of e",
      "- b 2: LOCAL_PREF 1 < 100 of e",
      "- a -: cluster loop: ours is in its CLUSTER_LIST, 1.2.3.4 0.0.0.5",
      "- c -: it is our own: 1.2.3.4 is its ORIGINATOR_ID",
    ]);
  });

  test("nothing to choose from, and nothing at all", () => {
    expect(lines([pathOf({ name: "a" })])).toEqual(["best a -: the only eligible path"]);
    expect(lines([])).toEqual([]);
  });
});

describe("who shares the load", () => {
  test("and why others do not", () => {
    const hop = (n: number): PathParts => ({ name: `p${n}`, bgpId: n, addr: n, nextHop: n });
    const paths = [
      pathOf(hop(1)),
      pathOf({ ...hop(2), nextHop: 1 }),
      pathOf({ ...hop(3), attributes: { asPath: way(65009) } }),
      pathOf(hop(4)),
      pathOf(hop(5)),
      pathOf({ ...hop(6), metric: 1 }),
    ];
    expect(lines(paths, { multipathMax: 3 })).toEqual([
      "best p1 11: decided by router ID",
      "multipath p4 11: as good as that of p1 but for the tie-break: router ID 0.0.0.4 > 0.0.0.1 of p1",
      "multipath p5 11: as good as that of p1 but for the tie-break: router ID 0.0.0.5 > 0.0.0.1 of p1",
      "- p2 11: router ID 0.0.0.2 > 0.0.0.1 of p1; shares no load: 3 paths do already",
      "- p3 11: router ID 0.0.0.3 > 0.0.0.1 of p1; shares no load: its AS_PATH is another",
      "- p6 8: metric to the next hop 1 > 0 of p1",
    ]);
    expect(lines(paths.slice(0, 2), { multipathMax: 3 })[1]).toBe(
      "- p2 11: router ID 0.0.0.2 > 0.0.0.1 of p1; shares no load: another path with its next hop does",
    );
  });
});

describe("why a path takes no part", () => {
  function reasons(world: RibWorld): string[] {
    world.run();
    const { options } = world.rib;
    return explain(world.dest(P), options.decision, options.localAs).map(({ reason }) => reason);
  }

  test("AS loop", () => {
    const world = new RibWorld();
    world.announce(world.peer(2), [P], { asPath: way(65001, 64512, 64513) });
    const loop = "AS loop: 64512 is in its path";
    expect(reasons(world)).toEqual([loop]);
    expect(explain(world.dest(P), DEFAULT_DECISION)[0]?.reason).toBe("AS loop: our own is in its path");
    world.announce(world.peer(3, { allowLocalAs: 1 }), [P], { asPath: way(64512, 64512) });
    expect(reasons(world)).toEqual([loop, `${loop} 2 times, which is more than 1`]);
    world.announce(world.peer(4, { localAs: 65010 }), [P], { asPath: way(65001, 65010) });
    expect(reasons(world)).toContain("AS loop: 65010 is in its path");
  });

  test("a prefix of multicast addresses", () => {
    const world = new RibWorld();
    world.announce(world.peer(2), ["224.0.0.0/8"]);
    world.run();
    expect(explain(world.dest("224.0.0.0/8"), DEFAULT_DECISION)[0]?.reason).toBe(
      "its prefix is one of multicast addresses",
    );
  });

  test("policy", () => {
    const world = new RibWorld();
    const named = policy(() => undefined, { name: "from-p2", rule: "no-transit" });
    world.announce(world.peer(2, { importPolicy: named }), [P]);
    world.announce(world.peer(3, { importPolicy: policy(() => undefined, { name: "none" }) }), [P]);
    expect(reasons(world)).toEqual([
      "refused by import policy from-p2: no-transit",
      "refused by import policy none: no rule accepts it",
    ]);
  });

  test("next hops", () => {
    const world = new RibWorld({
      nextHopMetric: () => undefined,
      isLocalAddress: (hop) => hop === ipv4("10.0.0.1"),
    });
    world.announce(world.peer(2), [P], {}, ipv4("224.0.0.5"));
    world.announce(world.peer(3), [P], {}, ipv4("10.0.0.1"));
    world.announce(world.peer(4), [P], {}, { global: ipv6("2001:db8::7"), linkLocal: undefined });
    expect(reasons(world)).toEqual([
      "nothing can be sent to its next hop, 224.0.0.5",
      "its next hop, 10.0.0.1, is an address of ours",
      "there is no way to its next hop, 2001:db8::7",
    ]);
  });
});
