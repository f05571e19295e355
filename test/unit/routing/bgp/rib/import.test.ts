import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import { type Ineligible, RouteAttributes } from "../../../../../src/routing/bgp/rib/route.ts";
import { SegmentType } from "../../../../../src/wire/bgp/as-path.ts";
import type { PathAttributes } from "../../../../../src/wire/bgp/attributes/path-attributes.ts";
import { Community } from "../../../../../src/wire/bgp/communities.ts";
import type { NextHop } from "../../../../../src/wire/bgp/next-hop.ts";
import { ipv6 } from "../../../../support/bgp.ts";
import {
  ACCEPT,
  attributes,
  policy,
  prefix,
  REJECT,
  RibWorld,
  rewriting,
  update,
  V4,
  way,
} from "../../../../support/rib-world.ts";

const P = "10.1.0.0/16";
const Q = "10.2.0.0/16";

/** Why the path of a neighbour with these attributes takes no part. */
function why(
  given: Partial<PathAttributes>,
  nextHop: NextHop = ipv4("10.0.0.9"),
  allowLocalAs = 0,
): Ineligible | undefined {
  const world = new RibWorld({
    nextHopMetric: (hop) => (hop === ipv4("10.0.0.66") ? undefined : 5),
    isLocalAddress: (hop) => hop === ipv4("10.0.0.1"),
  });
  const p2 = world.peer(2, { internal: false, allowLocalAs });
  world.announce(p2, [P], given, nextHop);
  world.run();
  const { ineligible, stale, metric } = world.path(P, p2);
  expect(world.best(P)).toBe(ineligible === undefined ? "p2" : "-");
  expect(metric).toBe(ineligible === undefined ? 5 : 0);
  expect(stale).toBe(false);
  return ineligible;
}

describe("eligibility", () => {
  test("nothing against it", () => {
    expect(why({})).toBeUndefined();
    expect(why({ asPath: way(65001, 64513) })).toBeUndefined();
    expect(why({ originatorId: ipv4("10.0.0.7"), clusterList: [ipv4("10.0.0.7")] })).toBeUndefined();
  });

  test("our AS in its path, more often than allowed", () => {
    expect(why({ asPath: way(65001, 64512) })).toBe("asLoop");
    expect(why({ asPath: [{ type: SegmentType.SET, asns: [1, 64512] }] })).toBe("asLoop");
    expect(why({ asPath: way(65001, 64512) }, undefined, 1)).toBeUndefined();
    expect(why({ asPath: way(64512, 65001, 64512) }, undefined, 1)).toBe("asLoop");
    expect(why({ asPath: way(64512, 65001, 64512) }, undefined, 2)).toBeUndefined();
  });

  test("the AS that stands in for ours with the neighbour, in its path, is a loop as well", () => {
    const world = new RibWorld();
    const p2 = world.peer(2, { internal: false, localAs: 65010 });
    const p3 = world.peer(3, { internal: false });
    for (const peer of [p2, p3]) world.announce(peer, [P], { asPath: way(65001, 65010) });
    world.run();
    expect([world.path(P, p2).ineligible, world.path(P, p3).ineligible]).toEqual(["asLoop", undefined]);
    expect(world.best(P)).toBe("p3");
  });

  test("RFC 4271#6.3: a prefix of multicast addresses is no route, and no fault of the session", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    const bad = ["224.0.0.0/4", "239.1.2.0/24", "ff00::/8", "ff02::/16"];
    const good = ["0.0.0.0/0", "224.0.0.0/3", "223.255.255.0/24", "240.0.0.0/8", "::/0", "fe00::/7"];
    world.announce(p2, [...bad, ...good]);
    world.run();
    expect(bad.map((text) => world.path(text, p2).ineligible)).toEqual(bad.map(() => "martianPrefix"));
    expect(good.map((text) => world.best(text))).toEqual(good.map(() => "p2"));
  });

  test("our own route, and our own cluster", () => {
    expect(why({ originatorId: ipv4("10.0.0.1") })).toBe("ownOriginatorId");
    expect(why({ clusterList: [ipv4("10.0.0.7"), ipv4("10.0.0.1")] })).toBe("ownClusterId");
    const world = new RibWorld({ clusterId: 7 });
    world.announce(world.peer(2), [P], { clusterList: [7] });
    world.announce(world.peer(3), [Q], { clusterList: [ipv4("10.0.0.1")] });
    world.run();
    expect(world.dest(P).paths[0]?.ineligible).toBe("ownClusterId");
    expect(world.best(Q)).toBe("p3");
  });

  test("next hops to which nothing can be sent, or that are ours, or that there is no way to", () => {
    for (const text of ["0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255"]) {
      expect(why({}, ipv4(text))).toBe("martianNextHop");
    }
    for (const text of ["::", "ff02::1"]) {
      expect(why({}, { global: ipv6(text), linkLocal: undefined })).toBe("martianNextHop");
    }
    expect(why({}, ipv4("127.0.0.1"))).toBeUndefined();
    expect(why({}, ipv4("10.0.0.1"))).toBe("ownNextHop");
    expect(why({}, ipv4("10.0.0.66"))).toBe("unreachable");
  });

  test("a path that takes no part is kept all the same, and told of to nobody", () => {
    const world = new RibWorld({ nextHopMetric: () => undefined });
    const p2 = world.peer(2);
    world.announce(p2, [P]);
    expect(world.run()).toEqual([]);
    expect(world.rib.prefixCount(p2, V4)).toBe(1);
    expect(world.dest(P).paths).toHaveLength(1);
  });

  test("one that stops to take part gives way to the next", () => {
    const world = new RibWorld();
    const [p2, p3] = [world.peer(2), world.peer(3)];
    world.announce(p2, [P]);
    world.announce(p3, [P]);
    world.run();
    world.announce(p2, [P], { asPath: way(64512) });
    expect(world.run()).toEqual([`${P} p3 *`]);
  });
});

describe("import policy", () => {
  test("is asked for each route, with its prefix and its source", () => {
    const asked: string[] = [];
    const importPolicy = policy((input) => {
      asked.push(`${input.prefix.a >>> 16}/${input.prefix.len} ${input.source.config.name}`);
      return input.prefix.len === 16 ? input.route : undefined;
    });
    const world = new RibWorld();
    const p2 = world.peer(2, { importPolicy });
    world.announce(p2, [P, "10.0.0.0/8", Q, "11.0.0.0/8"]);
    expect(asked).toEqual(["2561/16 p2", "2560/8 p2", "2562/16 p2", "2816/8 p2"]);
    expect(world.run()).toEqual([`${P} p2 *`, `${Q} p2 *`]);
    expect(world.path("10.0.0.0/8", p2)).toMatchObject({ ineligible: "rejected", imported: undefined });
    expect(world.path(P, p2).imported).toBe(world.path(Q, p2).received);
  });

  test("changes what is chosen, not what was received", () => {
    const world = new RibWorld();
    const p2 = world.peer(2, { importPolicy: rewriting(() => ({ localPref: 300 })) });
    const p3 = world.peer(3);
    world.announce(p2, [P, Q], { asPath: way(65001, 65002) });
    world.announce(p3, [P]);
    world.run();
    expect(world.best(P)).toBe("p2");
    const { received, imported } = world.path(P, p2);
    expect(received.localPref).toBe(100);
    expect(imported?.localPref).toBe(300);
    expect(world.path(Q, p2).imported).toBe(imported);
  });

  test("what it changes per prefix stays with the prefix", () => {
    const results = new Map<number, RouteAttributes>();
    const importPolicy = policy(({ prefix: { len }, route }) => {
      const result =
        results.get(len) ?? new RouteAttributes({ ...route.attributes, med: len }, route.nextHop);
      results.set(len, result);
      return result;
    });
    const world = new RibWorld();
    const p2 = world.peer(2, { importPolicy });
    const texts = ["10.0.0.0/8", P, "11.0.0.0/8", Q];
    world.announce(p2, texts);
    const meds = texts.map((text) => world.path(text, p2).imported?.attributes.med);
    expect(meds).toEqual([8, 16, 8, 16]);
  });

  test("routes that it makes the same of, or refuses, are still what they came as", () => {
    const same = new RouteAttributes(attributes(), 7);
    const world = new RibWorld();
    const p2 = world.peer(2, { importPolicy: policy(() => same) });
    const p3 = world.peer(3, { importPolicy: REJECT });
    for (const peer of [p2, p3]) {
      world.announce(peer, [P, "2001:db8::/32"]);
      expect(world.path(P, peer).received.nextHop).toBe(ipv4("10.0.0.9"));
      expect(world.path("2001:db8::/32", peer).received.nextHop).toHaveProperty("global");
    }
  });

  test("the next hop that it sets is the one that must be reached, and loops are those of the path as it came", () => {
    const world = new RibWorld({ nextHopMetric: (hop) => (hop === 7 ? 70 : undefined) });
    const importPolicy = policy(({ route }) => {
      return new RouteAttributes({ ...route.attributes, asPath: way(64512, 65001) }, 7);
    });
    const p2 = world.peer(2, { importPolicy });
    world.announce(p2, [P]);
    world.announce(p2, [Q], { asPath: way(64512) });
    world.run();
    expect(world.path(P, p2)).toMatchObject({ ineligible: undefined, metric: 70 });
    expect(world.path(Q, p2)).toMatchObject({ ineligible: "asLoop" });
  });

  test("a loop is named before the policy that would have refused it", () => {
    const world = new RibWorld();
    const p2 = world.peer(2, { importPolicy: REJECT });
    world.announce(p2, [P], { asPath: way(64512) });
    expect(world.path(P, p2)).toMatchObject({ ineligible: "asLoop", imported: undefined });
  });

  test("another one is asked about all that was received", () => {
    const world = new RibWorld();
    const p2 = world.peer(2, { importPolicy: REJECT });
    const p3 = world.peer(3);
    world.announce(p2, [P, "2001:db8::/32"]);
    world.announce(p3, [P]);
    world.run();
    expect(world.best(P)).toBe("p3");
    const at = world.path(P, p2).at;
    world.now += 1_000_000;
    world.rib.configure(p2, { ...p2.config, importPolicy: ACCEPT }, world.now);
    expect(world.run().toSorted()).toEqual([`${P} p2 *`, "2001:db8::/32 p2 *"]);
    expect(world.path(P, p2).at).toBe(at);
    world.rib.configure(p2, { ...p2.config, importPolicy: rewriting(() => ({ localPref: 50 })) }, world.now);
    expect(world.run().toSorted()).toEqual([`${P} p3 *`, "2001:db8::/32 p2 *"]);
    world.rib.configure(p2, { ...p2.config, importPolicy: REJECT }, world.now);
    expect(world.run().toSorted()).toEqual([`${P} p3`, "2001:db8::/32 - *"]);
    expect(world.rib.prefixCount(p2, V4)).toBe(1);
  });

  test("asked again with the same answers, nothing is decided", () => {
    const world = new RibWorld();
    // Fresh, equal objects each time.
    const importPolicy = policy(({ route }) => {
      return new RouteAttributes({ ...route.attributes, communities: [1, 2] }, route.nextHop);
    });
    const p2 = world.peer(2, { importPolicy });
    world.announce(p2, [P, Q]);
    world.run();
    const { decisionRuns } = world.rib.stats;
    world.rib.reimport(p2, 0);
    expect(world.run()).toEqual([]);
    expect(world.rib.stats.decisionRuns).toBe(decisionRuns);
  });

  test("another allowance for our own AS is a reason to ask again", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.announce(p2, [P], { asPath: way(65001, 64512) });
    expect(world.run()).toEqual([]);
    world.rib.configure(p2, { ...p2.config, allowLocalAs: 1 }, 0);
    expect(world.run()).toEqual([`${P} p2 *`]);
  });
});

describe("graceful shutdown of a session", () => {
  const leaving = { communities: [Community.GRACEFUL_SHUTDOWN], localPref: 200 };

  test("LOCAL_PREF 0 for what an external neighbour will take away, after its policy", () => {
    const world = new RibWorld();
    const importPolicy = rewriting(() => ({ localPref: 900 }));
    const p2 = world.peer(2, { internal: false, importPolicy });
    const p3 = world.peer(3, { internal: false });
    world.announce(p2, [P, Q], { communities: leaving.communities });
    world.announce(p3, [P], { asPath: way(65003, 65004, 65005) });
    world.run();
    expect(world.best(P)).toBe("p3");
    expect(world.best(Q)).toBe("p2");
    const { received, imported } = world.path(P, p2);
    expect(received.localPref).toBe(100);
    expect(imported?.localPref).toBe(0);
    expect(imported?.attributes.communities).toEqual(leaving.communities);
    expect(world.path(Q, p2).imported).toBe(imported);
    world.rib.apply(p2, update({ announce: ["10.3.0.0/16"], attributes: received.attributes }), 0);
    expect(world.path("10.3.0.0/16", p2).imported).toBe(imported);
  });

  test("not for an internal one, nor where policy took the community away", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    const p3 = world.peer(3, { internal: false, importPolicy: rewriting(() => ({ communities: [] })) });
    world.announce(p2, [P], leaving);
    world.announce(p3, [P], { communities: leaving.communities });
    world.run();
    expect(world.path(P, p2).imported?.localPref).toBe(200);
    expect(world.path(P, p3).imported?.localPref).toBe(100);
  });
});

describe("ways to next hops", () => {
  test("a metric that changes, a way that is lost and found again", () => {
    const metrics = new Map<NextHop, number>([
      [22, 10],
      [33, 20],
    ]);
    const world = new RibWorld({ nextHopMetric: (hop) => metrics.get(hop) });
    const [p2, p3] = [world.peer(2), world.peer(3)];
    world.announce(p2, [P, Q], {}, 22);
    world.announce(p3, [P], {}, 33);
    world.announce(p3, ["10.3.0.0/16"], { asPath: way(64512) }, 33);
    world.originate("10.4.0.0/16");
    world.run();
    expect(world.best(P)).toBe("p2");
    world.rib.nextHopsChanged(0);
    expect(world.run()).toEqual([]);
    metrics.set(22, 30);
    world.rib.nextHopsChanged(0);
    expect(world.run().toSorted()).toEqual([`${P} p3 *`, `${Q} p2`]);
    expect(world.path(Q, p2)).toMatchObject({ metric: 30, received: { nextHop: 22 } });
    metrics.delete(22);
    world.rib.nextHopsChanged(0);
    expect(world.run().toSorted()).toEqual([`${P} p3`, `${Q} - *`]);
    expect(world.path(Q, p2).ineligible).toBe("unreachable");
    metrics.set(22, 5);
    metrics.delete(33);
    world.rib.nextHopsChanged(0);
    expect(world.run().toSorted()).toEqual([`${P} p2 *`, `${Q} p2 *`]);
    expect(world.path("10.3.0.0/16", p3).ineligible).toBe("asLoop");
  });

  test("an address that becomes ours", () => {
    let own: NextHop = 0;
    const world = new RibWorld({ isLocalAddress: (hop) => hop === own });
    const p2 = world.peer(2, {
      importPolicy: policy(({ prefix: { len }, route }) => (len > 8 ? route : undefined)),
    });
    world.announce(p2, [P, "10.0.0.0/8"], {}, 22);
    world.run();
    own = 22;
    world.rib.nextHopsChanged(0);
    expect(world.run()).toEqual([`${P} - *`]);
    expect(world.path(P, p2).ineligible).toBe("ownNextHop");
    expect(world.path("10.0.0.0/8", p2).ineligible).toBe("rejected");
    expect(world.rib.lookup(prefix(P))).toBeDefined();
  });
});
