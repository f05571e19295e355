// The attributes of routes, each way: inside an AS, between ASs, and through several of both.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import type { Policy, PolicyRule } from "../../src/routing/bgp/policy/policy.ts";
import { SegmentType } from "../../src/wire/bgp/as-path.ts";
import { Origin } from "../../src/wire/bgp/attributes/path-attributes.ts";
import { Community, parseExtCommunity } from "../../src/wire/bgp/communities.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import type { Bird } from "../support/bird.ts";
import { BirdLab, eventually } from "../support/bird-lab.ts";
import { asBirdPrints, type BirdRoute } from "../support/bird-text.ts";
import { commandUnavailable } from "../support/command.ts";
import { host, type LiveSpeaker } from "../support/live-speaker.ts";

const unavailable = commandUnavailable("bird");

/** BIRD's routes: one with every attribute that a filter can set, a plain one, one that is not to leave the AS, and a loop. */
const STATIC = `
protocol static nets {
  ipv4;
  route 10.1.0.0/24 blackhole {
    bgp_origin = ORIGIN_EGP; bgp_path.prepend(65001); bgp_path.prepend(4200000001);
    bgp_med = 5; bgp_local_pref = 2147482623;
    bgp_community.add((64512,7)); bgp_community.add((64512,1));
    bgp_ext_community.add((rt,64512,9)); bgp_ext_community.add((ro,10.0.0.1,7));
    bgp_ext_community.add((generic, 0x43000000, 1));
    bgp_large_community.add((4200000001,2,3)); bgp_large_community.add((1,2,4294967295));
  };
  route 10.1.1.0/24 blackhole;
  route 10.1.2.0/24 blackhole { bgp_community.add((65535,65281)); };
  route 10.1.3.0/24 blackhole { bgp_path.prepend(64512); };
}
`;

/** Ours: the same for 10.2.0.0/24. The last of the extended communities is not for other ASs. */
const DRESSING: PolicyRule = {
  match: { prefixes: [{ family: Family.IPV4_UNICAST, prefix: prefix("10.2.0.0/24") }] },
  set: {
    med: 4294967295,
    localPref: 2147482623,
    origin: Origin.INCOMPLETE,
    prepend: [4200000002, 65002],
    communities: { add: [64512 * 65536 + 7, 64512 * 65536 + 1] },
    extCommunities: {
      add: ["rt:64512:9", "ro:10.0.0.1:7", "0x4300000000000001"].map((text) => {
        return parseExtCommunity(text) ?? { high: 0, low: 0 };
      }),
    },
    largeCommunities: {
      add: [
        { global: 4200000001, local1: 2, local2: 3 },
        { global: 1, local1: 2, local2: 4294967295 },
      ],
    },
  },
  action: "accept",
};
const DRESS: Policy = { name: "dress", rules: [DRESSING], default: "accept" };

/** What no configuration of ours gives a route. */
const STRANGE = {
  asPath: [
    { type: SegmentType.SEQUENCE, asns: [65003, 4200000004] },
    { type: SegmentType.SET, asns: [65005, 65006] },
  ],
  atomicAggregate: true,
  aggregator: { as: 4200000003, addr: ipv4("10.9.9.9") },
  unknown: [{ type: 199, flags: 0xc0, value: Uint8Array.of(1, 2, 0xff) }],
};

function originateAll(live: LiveSpeaker): void {
  live.originate("10.2.0.0/24");
  live.originate("10.2.1.0/24", { med: 17 });
  live.originate("10.2.2.0/24", { communities: [Community.NO_EXPORT] });
  live.originate("10.2.3.0/24", { communities: [Community.NO_ADVERTISE] });
  live.announce("10.2.4.0/24", STRANGE);
}

function attributes(routes: Iterable<BirdRoute>): Record<string, BirdRoute["attributes"]> {
  return Object.fromEntries([...routes].map((route) => [route.prefix, route.attributes]));
}

function asBirdSeesIn(live: LiveSpeaker, remote: string): Record<string, Record<string, string>> {
  return Object.fromEntries(live.ribIn(remote).map((row) => [row.prefix, asBirdPrints(row)]));
}

/** Inside an AS, all that goes out is what the other side has. */
const EVERYTHING = {
  community: "(64512,1) (64512,7)",
  ext_community: "(rt, 64512, 9) (ro, 10.0.0.1, 7) (generic, 0x43000000, 0x1)",
  large_community: "(1, 2, 4294967295) (4200000001, 2, 3)",
};
const STRANGE_TEXT = { atomic_aggr: "", aggregator: "10.9.9.9 AS4200000003", "c7 [t]": "01 02 ff" };

describe.skipIf(unavailable !== undefined)(`inside an AS${unavailable ?? ""}`, () => {
  const OURS = "10.80.1.1";
  const BIRD = "10.80.1.2";
  const lab = new BirdLab();
  let ours: LiveSpeaker;
  let bird: Bird;

  beforeAll(async () => {
    const port = await lab.port(BIRD);
    ours = await lab.speaker(OURS, 64512);
    bird = await lab.bird(
      BIRD,
      `${STATIC}
protocol bgp ours from quick {
  local ${host(BIRD)} port ${port} as 64512; neighbor ${host(OURS)} as 64512; passive;
  ipv4 { igp table underlay; import all; export where source = RTS_STATIC; next hop address ${BIRD}; };
}
`,
    );
    originateAll(ours);
    ours.join(BIRD, { as: 64512, port, routes: { exportPolicy: DRESS } });
  });
  afterAll(() => lab.close());

  test("BIRD has ours as they are", async () => {
    const plain = { origin: "IGP", as_path: "", next_hop: OURS, local_pref: "100" };
    await eventually(async () =>
      expect(attributes(await bird.routes("protocol ours"))).toEqual({
        "10.2.0.0/24": {
          ...EVERYTHING,
          origin: "Incomplete",
          as_path: "4200000002 65002",
          next_hop: OURS,
          med: "4294967295",
          local_pref: "2147482623",
        },
        "10.2.1.0/24": { ...plain, med: "17" },
        "10.2.2.0/24": { ...plain, community: "(65535,65281)" },
        "10.2.4.0/24": { ...plain, ...STRANGE_TEXT, as_path: "65003 4200000004 {65005 65006}" },
      }),
    );
  });

  test("we have BIRD's as they are", async () => {
    const plain = { origin: "IGP", as_path: "", next_hop: BIRD, local_pref: "100" };
    await eventually(() =>
      expect(asBirdSeesIn(ours, BIRD)).toEqual({
        "10.1.0.0/24": {
          ...EVERYTHING,
          origin: "EGP",
          as_path: "4200000001 65001",
          next_hop: BIRD,
          med: "5",
          local_pref: "2147482623",
        },
        "10.1.1.0/24": plain,
        "10.1.2.0/24": { ...plain, community: "(65535,65281)" },
        "10.1.3.0/24": { ...plain, as_path: "64512" },
      }),
    );
    expect(ours.routes().get("10.1.0.0/24")).toMatchObject({ source: "internal", chosen: "best" });
  });

  test("a changed route replaces the old one, and one that is taken back goes, both ways", async () => {
    ours.originate("10.2.1.0/24", { med: 18 });
    await eventually(async () =>
      expect((await bird.table("protocol ours")).get("10.2.1.0/24")?.attributes).toMatchObject({ med: "18" }),
    );
    ours.withdraw("10.2.1.0/24");
    await eventually(async () => expect((await bird.table("protocol ours")).has("10.2.1.0/24")).toBe(false));
    expect([...(await bird.table("protocol ours")).keys()]).toHaveLength(3);
    await bird.ask("disable nets");
    await eventually(() => expect(ours.ribIn(BIRD)).toEqual([]));
    await bird.ask("enable nets");
    await eventually(() => expect(ours.ribIn(BIRD)).toHaveLength(4));
    expect(ours.peer(BIRD)).toMatchObject({ established: 1, dropped: 0 });
  });
});

// 64512: A -- 4200000010: BIRD -- 64513: B -- 65020: BIRD again, with a table of its own.
describe.skipIf(unavailable !== undefined)(`between ASs${unavailable ?? ""}`, () => {
  const [A, BIRD, B, FAR] = ["10.80.2.1", "10.80.2.2", "10.80.2.3", "10.80.2.4"] as const;
  const lab = new BirdLab();
  let a: LiveSpeaker;
  let b: LiveSpeaker;
  let bird: Bird;

  beforeAll(async () => {
    const [port, farPort] = [await lab.port(BIRD), await lab.port(FAR)];
    a = await lab.speaker(A, 64512);
    b = await lab.speaker(B, 64513);
    bird = await lab.bird(
      BIRD,
      `${STATIC}
ipv4 table far;
template bgp near from quick {
  local ${host(BIRD)} port ${port} as 4200000010;
  ipv4 {
    igp table underlay; import all; next hop address ${BIRD};
    export filter { if net = 10.1.1.0/24 then bgp_med = 6; accept; };
  };
}
protocol bgp a from near { neighbor ${host(A)} as 64512; passive; }
protocol bgp b from near { neighbor ${host(B)} as 64513; passive; }
protocol bgp beyond from quick {
  local ${host(FAR)} port ${farPort} as 65020; neighbor ${host(B)} port ${b.port} as 64513; router id ${FAR};
  ipv4 { table far; igp table underlay; import all; export none; };
}
`,
    );
    b.join(FAR, { as: 65020 });
    b.join(BIRD, {
      as: 4200000010,
      port,
      routes: {
        importPolicy: {
          name: "in",
          rules: [{ set: { localPref: 200 }, action: "accept" }],
          default: "reject",
        },
      },
    });
    originateAll(a);
    a.join(BIRD, { as: 4200000010, port, routes: { exportPolicy: DRESS } });
  });
  afterAll(() => lab.close());

  const OUTSIDE = { ...EVERYTHING, ext_community: "(rt, 64512, 9) (ro, 10.0.0.1, 7)" };

  test("BIRD has ours with our AS in front, without what is for inside the AS", async () => {
    // BIRD shows the LOCAL_PREF that it assumes.
    const plain = { origin: "IGP", as_path: "64512", next_hop: A, local_pref: "100" };
    await eventually(async () =>
      expect(attributes(await bird.routes("protocol a"))).toEqual({
        "10.2.0.0/24": {
          ...plain,
          ...OUTSIDE,
          origin: "Incomplete",
          as_path: "64512 4200000002 65002",
          med: "4294967295",
        },
        "10.2.1.0/24": { ...plain, med: "17" },
        "10.2.4.0/24": { ...plain, ...STRANGE_TEXT, as_path: "64512 65003 4200000004 {65005 65006}" },
      }),
    );
  });

  test("we have BIRD's with its AS in front", async () => {
    const plain = { origin: "IGP", as_path: "4200000010", next_hop: BIRD };
    const [first, ...others] = await eventually(() => {
      const rows = Object.entries(asBirdSeesIn(a, BIRD));
      expect(rows).toHaveLength(4);
      return rows;
    });
    expect(first).toEqual([
      "10.1.0.0/24",
      { ...plain, ...OUTSIDE, origin: "EGP", as_path: "4200000010 4200000001 65001" },
    ]);
    expect(Object.fromEntries(others)).toEqual({
      "10.1.1.0/24": { ...plain, med: "6" },
      "10.1.2.0/24": { ...plain, community: "(65535,65281)" },
      "10.1.3.0/24": { ...plain, as_path: "4200000010 64512" },
    });
    expect(a.routes().get("10.1.1.0/24")).toMatchObject({ source: "external", chosen: "best" });
  });

  test("what we pass on has both ASs in its path, our next hop, and neither MED nor LOCAL_PREF of others", async () => {
    const far = { origin: "IGP", next_hop: B, local_pref: "100" };
    const strange = "64513 4200000010 64512 65003 4200000004 {65005 65006}";
    await eventually(async () =>
      // Not 10.1.2.0/24, which must not leave AS 64513, and which BIRD should have kept to itself.
      expect(attributes(await bird.routes("table far"))).toEqual({
        "10.1.0.0/24": {
          ...far,
          ...OUTSIDE,
          origin: "EGP",
          as_path: "64513 4200000010 4200000001 65001",
        },
        "10.1.1.0/24": { ...far, as_path: "64513 4200000010" },
        "10.1.3.0/24": { ...far, as_path: "64513 4200000010 64512" },
        "10.2.0.0/24": {
          ...far,
          ...OUTSIDE,
          origin: "Incomplete",
          as_path: "64513 4200000010 64512 4200000002 65002",
        },
        "10.2.1.0/24": { ...far, as_path: "64513 4200000010 64512" },
        "10.2.4.0/24": { ...far, ...STRANGE_TEXT, as_path: strange },
      }),
    );
    expect(b.ribIn(BIRD).find((row) => row.prefix === "10.1.2.0/24")).toMatchObject({
      communities: ["no-export"],
    });
  });

  test("an attribute that nobody knows has travelled with Partial set", () => {
    const [path] = [...b.speaker.rib.pathsOf(b.neighbor(BIRD).ribPeer, Family.IPV4_UNICAST)].filter(
      (one) => one.received.attributes.unknown.length > 0,
    );
    expect(path?.received.attributes.unknown).toEqual([
      { type: 199, flags: 0xe0, value: STRANGE.unknown[0]?.value },
    ]);
  });

  test("what has our AS in its path is kept, and not used", () => {
    const looped = a.paths().filter((row) => row.prefix === "10.1.3.0/24");
    expect(looped).toMatchObject([{ asPath: "4200000010 64512", chosen: "" }]);
    expect(looped[0]?.why).toBe("AS loop: 64512 is in its path");
  });

  test("when the first AS takes a route back, the last loses it", async () => {
    a.withdraw("10.2.4.0/24");
    await eventually(async () => expect((await bird.table("table far")).has("10.2.4.0/24")).toBe(false));
    expect((await bird.table("table far")).size).toBe(5);
  });
});

describe.skipIf(unavailable !== undefined)(`what is rare${unavailable ?? ""}`, () => {
  const [OURS, BIRD] = ["10.80.3.1", "10.80.3.2"] as const;
  const lab = new BirdLab();
  afterEach(() => lab.close());

  /** @param nets BIRD's routes @param line of its session @param channel of its channel */
  const world = async (
    birdAs: number,
    nets: string,
    line = "",
    channel = "",
  ): Promise<{ ours: LiveSpeaker; bird: Bird }> => {
    const port = await lab.port(BIRD);
    const bird = await lab.bird(
      BIRD,
      `
protocol static nets { ipv4; ${nets} }
protocol bgp ours from quick {
  local ${host(BIRD)} port ${port} as ${birdAs}; neighbor ${host(OURS)} as 64512; passive; ${line}
  ipv4 { igp table underlay; import all; export where source = RTS_STATIC; next hop address ${BIRD}; ${channel} };
}
`,
    );
    const ours = await lab.speaker(OURS, 64512);
    ours.join(BIRD, { as: birdAs, port });
    return { ours, bird };
  };

  // A segment holds 255 ASs: there are two.
  test("a path through 300 ASs, each way", async () => {
    const asns = Array.from({ length: 300 }, (_, i) => 4_200_000_000 + i);
    const prepends = [...asns].reverse().map((as) => `bgp_path.prepend(${as});`);
    const { ours, bird } = await world(65010, `route 10.1.0.0/24 blackhole { ${prepends.join(" ")} };`);
    ours.announce("10.2.0.0/24", { asPath: [{ type: SegmentType.SEQUENCE, asns }] });
    await eventually(() => expect(ours.routes().get("10.1.0.0/24")?.asPath).toBe(`65010 ${asns.join(" ")}`));
    // BIRD does not print paths of this length.
    const filter = "bgp_path.first = 64512 && bgp_path.last = 4200000299 && bgp_path.len = 301";
    await eventually(async () =>
      expect(await bird.ask(`show route where ${filter} protocol ours`)).toMatch(/^10\.2\.0\.0\/24 /m),
    );
  });

  test("RFC 9234: BIRD has a role, we have none; its mark is passed on as it is", async () => {
    const { ours, bird } = await world(65010, "route 10.1.0.0/24 blackhole;", "local role provider;");
    await eventually(() => expect(ours.routes().get("10.1.0.0/24")?.unknown).toEqual(["35:0000fdf2"]));
    expect(bird.log).not.toMatch(/Error/);
  });

  test("a route that leads to ourselves is kept, and not used", async () => {
    const { ours } = await world(64512, "route 10.1.0.0/24 blackhole;", "", `next hop address ${OURS};`);
    await eventually(() => expect(ours.ribIn(BIRD)).toMatchObject([{ nextHop: OURS, chosen: "" }]));
    expect(ours.routes().size).toBe(0);
    expect(ours.paths()[0]?.why).toMatch(/is an address of ours/);
  });

  test("RFC 8326: what is about to go away is the last choice", async () => {
    const nets = "route 10.1.0.0/24 blackhole { bgp_community.add((65535,0)); };";
    const { ours } = await world(65010, nets);
    await eventually(() =>
      expect(ours.routes().get("10.1.0.0/24")).toMatchObject({ localPref: 0, communities: ["gshut"] }),
    );
  });
});
