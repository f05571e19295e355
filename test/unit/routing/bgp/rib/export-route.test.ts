import { describe, expect, test } from "vitest";
import { ipv4, prefix as ipv4Prefix } from "../../../../../src/base/ipv4-addr.ts";
import type { Rewrite } from "../../../../../src/routing/bgp/policy/policy.ts";
import type { ExportConfig } from "../../../../../src/routing/bgp/rib/export-config.ts";
import { type ExportTarget, exportRoute } from "../../../../../src/routing/bgp/rib/export-route.ts";
import type { RibPeer } from "../../../../../src/routing/bgp/rib/rib-peer.ts";
import {
  NEXT_HOP_SELF,
  type Path,
  type PolicySets,
  RouteAttributes,
} from "../../../../../src/routing/bgp/rib/route.ts";
import { SegmentType } from "../../../../../src/wire/bgp/as-path.ts";
import { Origin, type PathAttributes } from "../../../../../src/wire/bgp/attributes/path-attributes.ts";
import { Community } from "../../../../../src/wire/bgp/communities.ts";
import type { NextHop } from "../../../../../src/wire/bgp/next-hop.ts";
import { ipv6 } from "../../../../support/bgp.ts";
import { compiled } from "../../../../support/bgp-policy.ts";
import { EXPORT, nextHopText } from "../../../../support/out-world.ts";
import {
  attributes,
  pathOf,
  peerConfig,
  policy,
  prefix,
  rewriting,
  V4,
  way,
} from "../../../../support/rib-world.ts";

const local: RibPeer = {
  config: peerConfig("local"),
  id: 0,
  bgpId: ipv4("10.0.0.1"),
  as: 64512,
  local: true,
};

function neighbor(n: number, internal: boolean, rrClient = false): RibPeer {
  const addr = ipv4(`10.0.0.${n}`);
  return {
    config: peerConfig(`p${n}`, { addr, internal, rrClient }),
    id: n,
    bgpId: addr,
    as: 65000,
    local: false,
  };
}

const external = neighbor(2, false);
const client = neighbor(3, true, true);
const nonClient = neighbor(4, true);

/** A path that a source told. */
function path(
  source: RibPeer,
  given: Partial<PathAttributes> = {},
  nextHop: NextHop = source.local ? NEXT_HOP_SELF : ipv4("10.0.0.9"),
  dest = "10.1.0.0/16",
): Path {
  const route = new RouteAttributes(attributes(source.local ? { asPath: way(), ...given } : given), nextHop);
  return {
    ...pathOf(),
    source,
    received: route,
    imported: route,
    dest: { ...prefix(dest), paths: [], best: undefined, multipath: [], dirty: false, holders: 0 },
  };
}

function to(given: Partial<ExportTarget> = {}, config: Partial<ExportConfig> = {}): ExportTarget {
  return {
    internal: true,
    peerAs: 64512,
    rrClient: false,
    clusterId: ipv4("10.0.0.100"),
    extNextHop: [],
    ...given,
    config: { ...EXPORT, ...config },
  };
}

const toExternal = (config: Partial<ExportConfig> = {}, given: Partial<ExportTarget> = {}): ExportTarget =>
  to({ internal: false, peerAs: 65007, ...given }, config);
const toClient = to({ rrClient: true });
const toNonClient = to();

/** The route, which must be told. */
function told(from: Path, target: ExportTarget): RouteAttributes {
  const exported = exportRoute(from, target);
  if ("refused" in exported) throw new Error(`not told: ${exported.refused}`);
  return exported.route;
}

function refusal(from: Path, target: ExportTarget): string | undefined {
  const exported = exportRoute(from, target);
  return "refused" in exported ? exported.refused : undefined;
}

describe("who is told what", () => {
  const targets = { external: toExternal(), client: toClient, "non-client": toNonClient };
  test.each([
    ["local", local, { external: "yes", client: "yes", "non-client": "yes" }],
    ["external", external, { external: "yes", client: "yes", "non-client": "yes" }],
    ["client", client, { external: "yes", client: "reflected", "non-client": "reflected" }],
    ["non-client", nonClient, { external: "yes", client: "reflected", "non-client": "iBGP to iBGP" }],
  ])("what is %s", (_, source, cells) => {
    const seen = Object.entries(targets).map(([name, target]) => {
      const exported = exportRoute(path(source), target);
      if ("refused" in exported) return [name, exported.refused];
      return [name, exported.route.attributes.clusterList.length > 0 ? "reflected" : "yes"];
    });
    expect(Object.fromEntries(seen)).toEqual(cells);
  });

  test("what cannot be used is told to nobody", () => {
    expect(refusal({ ...path(external), ineligible: "asLoop" }, toClient)).toBe("it cannot be used");
    expect(refusal({ ...path(external), imported: undefined }, toClient)).toBe("it cannot be used");
  });

  test("another AS is not told what has been through it, unless it wants to be", () => {
    const through = path(client, { asPath: way(65001, 65007, 65003) });
    expect(refusal(through, toExternal())).toBe("AS 65007 is in its path");
    expect(told(through, toExternal({ checkPeerAs: false })).asPathLength).toBe(4);
    // Inside the AS nobody looks.
    expect(refusal(through, toNonClient)).toBeUndefined();
    const inSet = path(external, {
      asPath: [...way(65001), { type: SegmentType.SET, asns: [65003, 65007] }],
    });
    expect(refusal(inSet, toExternal())).toBe("AS 65007 is in its path");
  });
});

describe("well-known communities, after policy", () => {
  test.each([
    ["NO_EXPORT", Community.NO_EXPORT, "NO_EXPORT", undefined],
    ["NO_EXPORT_SUBCONFED", Community.NO_EXPORT_SUBCONFED, "NO_EXPORT_SUBCONFED", undefined],
    ["NO_ADVERTISE", Community.NO_ADVERTISE, "NO_ADVERTISE", "NO_ADVERTISE"],
    ["GRACEFUL_SHUTDOWN", Community.GRACEFUL_SHUTDOWN, undefined, undefined],
    ["BLACKHOLE", Community.BLACKHOLE, undefined, undefined],
  ])("%s", (_, community, outside, inside) => {
    for (const source of [local, external, client]) {
      const tagged = path(source, { communities: [community] });
      expect(refusal(tagged, toExternal())).toBe(outside);
      expect(refusal(tagged, toClient)).toBe(inside);
    }
  });

  test("a policy that adds one is heard, and one that takes one away", () => {
    const adding = rewriting(() => ({ communities: [Community.NO_EXPORT] }));
    const clearing = rewriting(() => ({ communities: [] }));
    expect(refusal(path(external), toExternal({ policy: adding }))).toBe("NO_EXPORT");
    const tagged = path(external, { communities: [Community.NO_EXPORT] });
    expect(refusal(tagged, toExternal({ policy: clearing }))).toBeUndefined();
  });

  test("a policy that refuses names its rule, or itself", () => {
    const by = (rule?: string): ExportConfig["policy"] =>
      policy(() => undefined, rule === undefined ? { name: "out" } : { name: "out", rule });
    expect(refusal(path(local), toExternal({ policy: by("rule 3") }))).toBe("refused by rule 3");
    expect(refusal(path(local), toExternal({ policy: by() }))).toBe("refused by the default of policy out");
  });
});

const everything: Partial<PathAttributes> = {
  origin: Origin.EGP,
  asPath: way(65001, 65002),
  nextHop: ipv4("10.0.0.9"),
  med: 7,
  localPref: 300,
  atomicAggregate: true,
  aggregator: { as: 65002, addr: ipv4("10.9.9.9") },
  communities: [1, 2],
  extCommunities: [
    { high: 0x00020000, low: 1 },
    { high: 0x40020000, low: 2 },
  ],
  ipv6ExtCommunities: [
    [0x00020000, 0, 0, 0, 1],
    [0x40020000, 0, 0, 0, 2],
  ],
  largeCommunities: [{ global: 1, local1: 2, local2: 3 }],
  unknown: [{ type: 99, flags: 0xe0, value: Uint8Array.of(1, 2) }],
  partial: [8],
};

describe("to another AS", () => {
  test("our AS in front, next hop ours, nothing that is between us", () => {
    const from = path(client, {
      ...everything,
      originatorId: ipv4("10.0.0.3"),
      clusterList: [ipv4("10.0.0.3")],
    });
    const { attributes: a, nextHop } = told(from, toExternal());
    expect(a).toEqual({
      ...attributes(everything),
      asPath: way(64512, 65001, 65002),
      nextHop: ipv4("10.0.0.1"),
      med: undefined,
      localPref: undefined,
      originatorId: undefined,
      clusterList: [],
      extCommunities: [{ high: 0x00020000, low: 1 }],
      ipv6ExtCommunities: [[0x00020000, 0, 0, 0, 1]],
    });
    expect(nextHop).toBe(ipv4("10.0.0.1"));
  });

  test("the AS of ours that this neighbour knows", () => {
    expect(told(path(external), toExternal({ localAs: 65099 })).attributes.asPath).toEqual(way(65099, 65001));
  });

  test("what policy prepends stands behind us, and a full sequence gets another in front", () => {
    const twice = rewriting((old) => ({ asPath: way(64512, 64512, ...(old.asPath?.[0]?.asns ?? [])) }));
    expect(told(path(external), toExternal({ policy: twice })).attributes.asPath).toEqual(
      way(64512, 64512, 64512, 65001),
    );
    const full = way(...Array.from({ length: 255 }, () => 65001));
    expect(told(path(external, { asPath: full }), toExternal()).attributes.asPath).toEqual([
      ...way(64512),
      ...full,
    ]);
  });

  test("a set is not prepended to, and segments of a confederation do not leave it", () => {
    const set = { type: SegmentType.SET, asns: [1, 2] };
    const confed = { type: SegmentType.CONFED_SEQUENCE, asns: [65100] };
    expect(told(path(external, { asPath: [confed, set] }), toExternal()).attributes.asPath).toEqual([
      ...way(64512),
      set,
    ]);
  });

  test("MED: a neighbour's is kept to ourselves, our own and policy's are told", () => {
    const med = (from: Path, config: Partial<ExportConfig> = {}): number | undefined =>
      told(from, toExternal(config)).attributes.med;
    expect(med(path(external, { med: 7 }))).toBeUndefined();
    expect(med(path(client, { med: 7 }))).toBeUndefined();
    expect(med(path(local, { med: 7 }))).toBe(7);
    const setting = policy(({ route }) => {
      return new RouteAttributes({ ...route.attributes, med: 8 }, route.nextHop, 0, {
        nextHop: undefined,
        med: true,
      });
    });
    expect(med(path(external, { med: 7 }), { policy: setting })).toBe(8);
  });
});

describe("inside the AS", () => {
  test("what another AS told is told as it is, with a LOCAL_PREF", () => {
    const { attributes: a, nextHop } = told(path(external, everything), toNonClient);
    expect(a).toEqual(attributes(everything));
    expect(nextHop).toBe(ipv4("10.0.0.9"));
    expect(told(path(external), toNonClient).attributes.localPref).toBe(100);
    expect(told(path(external, { localPref: 0 }), toNonClient).attributes.localPref).toBe(0);
    expect(told(path(external, { localPref: 2 ** 31 + 5 }), toNonClient).attributes.localPref).toBe(
      2 ** 31 + 5,
    );
  });

  test("our own begins with an empty path, and has an origin", () => {
    const own = path(local, { origin: undefined, asPath: undefined });
    const { attributes: a, nextHop } = told(own, toNonClient);
    expect(a).toMatchObject({ origin: Origin.IGP, asPath: [], localPref: 100, nextHop: ipv4("10.0.0.1") });
    expect(a).toMatchObject({ originatorId: undefined, clusterList: [] });
    expect(nextHop).toBe(ipv4("10.0.0.1"));
  });

  test("what is reflected says whose it is, and where it has been", () => {
    const once = told(path(client, everything), toNonClient);
    expect(once.attributes).toEqual({
      ...attributes(everything),
      originatorId: client.bgpId,
      clusterList: [ipv4("10.0.0.100")],
    });
    expect(once.nextHop).toBe(ipv4("10.0.0.9"));
    const again = told(
      path(nonClient, { originatorId: ipv4("10.7.7.7"), clusterList: [ipv4("10.7.7.1")] }),
      toClient,
    );
    expect(again.attributes).toMatchObject({
      originatorId: ipv4("10.7.7.7"),
      clusterList: [ipv4("10.0.0.100"), ipv4("10.7.7.1")],
    });
  });
});

describe("next hops", () => {
  const own = "10.0.0.1";
  const far = "10.0.0.9";
  /** Per mode: to another AS, inside, and reflected. */
  test.each([
    ["auto", local, own, own, undefined],
    ["auto", external, own, far, undefined],
    ["auto", client, own, undefined, far],
    ["self", local, own, own, undefined],
    ["self", external, own, own, undefined],
    ["self", client, own, undefined, far],
    ["forceSelf", external, own, own, undefined],
    ["forceSelf", client, own, undefined, own],
    ["keep", local, own, own, undefined],
    ["keep", external, far, far, undefined],
    ["keep", client, far, undefined, far],
  ] as const)("%s", (nextHop, source, outside, inside, reflected) => {
    const from = path(source);
    const seen = (target: ExportTarget): string => nextHopText(told(from, target).nextHop);
    expect(seen(toExternal({ nextHop }))).toBe(outside);
    if (inside !== undefined) expect(seen(to({}, { nextHop }))).toBe(inside);
    if (reflected !== undefined) expect(seen(to({ rrClient: true }, { nextHop }))).toBe(reflected);
  });

  test("a way of our own to somewhere else is told inside, not outside", () => {
    const via = path(local, {}, ipv4("10.0.0.9"));
    expect(nextHopText(told(via, toNonClient).nextHop)).toBe(far);
    expect(nextHopText(told(via, toExternal()).nextHop)).toBe(own);
    expect(nextHopText(told(via, to({}, { nextHop: "self" })).nextHop)).toBe(own);
  });

  test("a third party on the subnet that we share", () => {
    const shared = toExternal({ sharedSubnet: ipv4Prefix("10.0.0.0/24") });
    expect(nextHopText(told(path(external), shared).nextHop)).toBe(far);
    expect(nextHopText(told(path(external, {}, ipv4("10.0.1.9")), shared).nextHop)).toBe(own);
    expect(nextHopText(told(path(local), shared).nextHop)).toBe(own);
    const self = toExternal({ sharedSubnet: ipv4Prefix("10.0.0.0/24"), nextHop: "self" });
    expect(nextHopText(told(path(external), self).nextHop)).toBe(own);
  });

  test("policy has the last word", () => {
    const sets = (nextHop: PolicySets["nextHop"]): ExportConfig["policy"] =>
      policy(({ route }) => {
        return new RouteAttributes(route.attributes, ipv4("10.5.5.5"), 0, { nextHop, med: false });
      });
    const given = { policy: sets("given"), nextHop: "forceSelf" } as const;
    expect(nextHopText(told(path(client), to({ rrClient: true }, given)).nextHop)).toBe("10.5.5.5");
    expect(nextHopText(told(path(external), toExternal(given)).nextHop)).toBe("10.5.5.5");
    const self = { policy: sets("self"), nextHop: "keep" } as const;
    expect(nextHopText(told(path(client), to({ rrClient: true }, self)).nextHop)).toBe(own);
  });
});

describe("a compiled policy", () => {
  const out = (set: Rewrite): ExportConfig["policy"] =>
    compiled({ name: "out", rules: [{ set, action: "accept" }], default: "reject" }, "export");

  test("sets what is told", () => {
    const set = out({
      med: 5,
      nextHop: "self",
      prepend: [64512],
      communities: { add: [Community.BLACKHOLE] },
    });
    const { attributes: a, nextHop } = told(
      path(external, { med: 7 }),
      toExternal({ policy: set, nextHop: "keep" }),
    );
    expect(a).toMatchObject({ med: 5, asPath: way(64512, 64512, 65001), communities: [Community.BLACKHOLE] });
    expect(nextHopText(nextHop)).toBe("10.0.0.1");
    const given = out({ nextHop: ipv4("10.5.5.5") });
    expect(nextHopText(told(path(external), toExternal({ policy: given })).nextHop)).toBe("10.5.5.5");
    expect(
      told(path(external, { med: 7 }), toExternal({ policy: out({ med: null }) })).attributes.med,
    ).toBeUndefined();
  });

  test("is asked before communities are", () => {
    const add = out({ communities: { add: [Community.NO_EXPORT] } });
    expect(refusal(path(external), toExternal({ policy: add }))).toBe("NO_EXPORT");
    expect(refusal(path(external), to({}, { policy: add }))).toBeUndefined();
    const clear = out({ communities: { clear: true } });
    const tagged = path(external, { communities: [Community.NO_ADVERTISE] });
    expect(refusal(tagged, toExternal({ policy: clear }))).toBeUndefined();
  });

  test("that refuses says by which rule", () => {
    const rules = [{ action: "reject" as const, match: { source: ["external" as const] } }];
    const none = compiled({ name: "out", rules, default: "accept" }, "export");
    expect(refusal(path(external), toExternal({ policy: none }))).toBe("refused by rule 1");
    expect(refusal(path(local), toExternal({ policy: none }))).toBeUndefined();
  });
});

describe("next hops of IPv6", () => {
  const dest = "2001:db8:1::/48";
  const far: NextHop = { global: ipv6("2001:db8::9"), linkLocal: ipv6("fe80::9") };
  const localAddr6 = ipv6("2001:db8::1");

  test("our own, where we have one; the link-local address stays on its link", () => {
    const from = path(external, { nextHop: ipv4("10.0.0.9") }, far, dest);
    const kept = told(from, toNonClient);
    expect(nextHopText(kept.nextHop)).toBe("2001:db8::9");
    expect(kept.attributes.nextHop).toBeUndefined();
    expect(nextHopText(told(from, toExternal({ localAddr6 })).nextHop)).toBe("2001:db8::1");
    expect(refusal(from, toExternal())).toBe("we have no IPv6 address to give as its next hop");
    expect(refusal(path(local, {}, NEXT_HOP_SELF, dest), toNonClient)).toBe(
      "we have no IPv6 address to give as its next hop",
    );
    expect(nextHopText(told(path(local, {}, NEXT_HOP_SELF, dest), to({}, { localAddr6 })).nextHop)).toBe(
      "2001:db8::1",
    );
  });

  test("an IPv4 address is none", () => {
    const from = path(external, {}, ipv4("10.0.0.9"), dest);
    expect(refusal(from, toNonClient)).toBe("its next hop is an IPv4 address");
  });

  test("IPv4 routes may have one where the neighbour takes it", () => {
    const from = path(external, {}, far);
    const text = "its next hop is an IPv6 address, which the neighbour does not take";
    expect(refusal(from, toNonClient)).toBe(text);
    const route = told(from, to({ extNextHop: [V4] }));
    expect(nextHopText(route.nextHop)).toBe("2001:db8::9");
    expect(route.attributes.nextHop).toBeUndefined();
    expect(nextHopText(told(from, toExternal()).nextHop)).toBe("10.0.0.1");
  });
});
