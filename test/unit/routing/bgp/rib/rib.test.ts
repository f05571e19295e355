import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import type { RibListener } from "../../../../../src/routing/bgp/rib/route.ts";
import { Family } from "../../../../../src/wire/bgp/family.ts";
import {
  attributes,
  peerConfig,
  prefix,
  RibWorld,
  rewriting,
  textOf,
  update,
  V4,
  V6,
  way,
} from "../../../../support/rib-world.ts";

const P = "10.1.0.0/16";
const Q = "10.2.0.0/16";

describe("updates", () => {
  test("what is announced is chosen, what is withdrawn is gone", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.announce(p2, [P, Q]);
    expect(world.best(P)).toBe("-");
    expect(world.run()).toEqual([`${P} p2 *`, `${Q} p2 *`]);
    expect(world.path(P, p2)).toMatchObject({ pathId: 0, localId: 1, stale: false, at: world.now });
    world.withdraw(p2, [P, "10.9.0.0/16"]);
    expect(world.run()).toEqual([`${P} - *`]);
    expect(world.rib.lookup(prefix(P))).toBeUndefined();
    expect(world.rib.count(V4)).toBe(1);
    expect(world.rib.stats).toMatchObject({ updates: 2, announced: 2, withdrawn: 1, decisionRuns: 3 });
  });

  test("a prefix that one message withdraws and announces is announced", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.rib.apply(p2, update({ withdraw: [P], announce: [P] }), 0);
    expect(world.run()).toEqual([`${P} p2 *`]);
    world.rib.apply(p2, update({ withdraw: [P, Q], announce: [P] }), 0);
    world.run();
    expect(world.best(P)).toBe("p2");
  });

  test("a neighbour's withdrawal takes none of another's", () => {
    const world = new RibWorld();
    const [p2, p3] = [world.peer(2), world.peer(3)];
    world.announce(p2, [P]);
    world.withdraw(p3, [P]);
    expect(world.run()).toEqual([`${P} p2 *`]);
  });

  test("another announcement replaces the one before it", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.announce(p2, [P], { med: 1 });
    world.run();
    world.now = 2_000_000;
    world.announce(p2, [P], { med: 2 });
    expect(world.run()).toEqual([`${P} p2 *`]);
    expect(world.path(P, p2)).toMatchObject({
      at: 2_000_000,
      localId: 1,
      received: { attributes: { med: 2 } },
    });
    expect(world.dest(P).paths).toHaveLength(1);
  });

  test("what is announced again unchanged costs no decision, whether the objects are the same or equal", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    const given = {
      clusterList: [7],
      communities: [1, 2],
      largeCommunities: [{ global: 1, local1: 2, local2: 3 }],
    };
    const first = update({ announce: [P, Q], attributes: attributes(given) });
    world.rib.apply(p2, first, 1);
    world.run();
    const { received } = world.path(P, p2);
    world.rib.apply(p2, first, 2);
    world.rib.apply(p2, update({ announce: [P], attributes: attributes(structuredClone(given)) }), 3);
    expect(world.run()).toEqual([]);
    expect(world.rib.stats).toMatchObject({ unchanged: 3, decisionRuns: 2 });
    expect(world.path(P, p2).received).toBe(received);
    expect(world.path(P, p2).at).toBe(1);
  });

  test("the routes of an UPDATE share their attributes, and so do those of the next with the same ones", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    const same = attributes();
    world.rib.apply(p2, update({ announce: [P, Q], attributes: same }), 0);
    world.rib.apply(p2, update({ announce: ["10.3.0.0/16"], attributes: same }), 0);
    world.rib.apply(p2, update({ announce: ["10.4.0.0/16"], attributes: same, nextHop: 7 }), 0);
    const { received } = world.path(P, p2);
    expect(world.path(Q, p2).received).toBe(received);
    expect(world.path("10.3.0.0/16", p2).received).toBe(received);
    expect(world.path("10.4.0.0/16", p2).received.nextHop).toBe(7);
    expect(world.path(P, p2).imported).toBe(received);
  });

  test("a next hop of IPv6 is compared by value", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    const same = attributes();
    const text = "2001:db8:1::/48";
    world.rib.apply(p2, update({ announce: [text], attributes: same }), 0);
    world.run();
    world.rib.apply(p2, update({ announce: [text, "2001:db8:2::/48"], attributes: same }), 0);
    expect(world.run()).toEqual(["2001:db8:2::/48 p2 *"]);
    expect(world.path(text, p2).received).toBe(world.path("2001:db8:2::/48", p2).received);
  });

  test("a burst of updates to one prefix costs one decision", () => {
    const world = new RibWorld();
    const [p2, p3] = [world.peer(2), world.peer(3)];
    for (let med = 0; med < 50; med++) {
      world.announce(p2, [P], { med });
      world.announce(p3, [P], { med });
      world.withdraw(p3, [P]);
    }
    expect(world.run()).toEqual([`${P} p2 *`]);
    expect(world.rib.stats.decisionRuns).toBe(1);
  });

  test("what comes and goes between two runs is never told", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.announce(p2, [P]);
    world.withdraw(p2, [P]);
    expect(world.run()).toEqual([]);
    expect(world.rib.count(V4)).toBe(0);
  });

  test("another path is told without a change of the best", () => {
    const world = new RibWorld();
    const [p2, p3] = [world.peer(2), world.peer(3)];
    world.announce(p2, [P]);
    world.run();
    world.announce(p3, [P]);
    expect(world.run()).toEqual([`${P} p2`]);
    world.withdraw(p2, [P]);
    expect(world.run()).toEqual([`${P} p3 *`]);
    world.announce(p2, [P]);
    world.announce(p3, [P], { med: 7 });
    expect(world.run()).toEqual([`${P} p2 *`]);
    expect(world.rib.stats.bestChanges).toBe(3);
  });

  test("attributes that policy makes equal again are no change of the best", () => {
    const world = new RibWorld();
    const p2 = world.peer(2, { importPolicy: rewriting(() => ({ med: undefined })) });
    world.announce(p2, [P], { med: 1 });
    world.run();
    world.announce(p2, [P], { med: 2 });
    expect(world.run()).toEqual([`${P} p2`]);
  });
});

describe("budget", () => {
  test("a run decides for so many at most, in the order in which they changed", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    const texts = Array.from({ length: 7 }, (_, i) => `10.${i}.0.0/16`);
    world.announce(p2, texts);
    const { rib } = world;
    expect(rib.run(0, 3)).toBe(true);
    expect(world.heard).toHaveLength(3);
    world.announce(p2, ["10.0.0.0/16"], { med: 1 });
    expect(rib.run(0, 4)).toBe(true);
    expect(world.heard).toHaveLength(7);
    expect(rib.run(0, 5)).toBe(false);
    expect(world.heard.map((one) => one.split(" ")[0])).toEqual([...texts, "10.0.0.0/16"]);
    expect(rib.run(0, 5)).toBe(false);
    expect(rib.run(0, 0)).toBe(false);
  });
});

describe("prefixes", () => {
  const texts = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/16",
    "200.1.2.0/24",
    "255.255.255.255/32",
    "128.0.0.0/1",
  ];
  const six = [
    "::/0",
    "2001:db8::/32",
    "2001:db8::/48",
    "fd00:1:2:3::/64",
    "fd00:1:2:3::/65",
    "fd00:1:2:3:8000::/65",
    "fd00:1:2:3::1/128",
  ];

  test("same address and another length is another destination; the high half is unsigned", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.announce(p2, [...texts, ...six]);
    expect(world.run()).toHaveLength(13);
    expect(world.rib.count(V4)).toBe(6);
    expect(world.rib.count(V6)).toBe(7);
    expect([...world.rib.destinations(V4)].map(textOf).toSorted()).toEqual(texts.toSorted());
    expect([...world.rib.destinations(V6)].map(textOf).toSorted()).toEqual(six.toSorted());
    for (const text of [...texts, ...six]) {
      const dest = world.dest(text);
      const { family, a, b, c, d, len } = dest;
      expect({ family, a, b, c, d, len }).toEqual(prefix(text));
      expect(world.rib.lookup({ family, a, b, c, d, len })).toBe(dest);
    }
    expect(world.rib.lookup(prefix("10.0.0.0/9"))).toBeUndefined();
    world.withdraw(p2, [...texts.slice(1), ...six.slice(1)]);
    world.run();
    expect([...world.rib.destinations(V4)].map(textOf)).toEqual(["0.0.0.0/0"]);
    expect([...world.rib.destinations(V6)].map(textOf)).toEqual(["::/0"]);
  });

  test("families have nothing to do with each other", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.announce(p2, ["0.0.0.0/0", "::/0"]);
    world.run();
    expect(world.rib.prefixCount(p2, V4)).toBe(1);
    expect(world.rib.prefixCount(p2, V6)).toBe(1);
    world.withdraw(p2, ["0.0.0.0/0"]);
    expect(world.run()).toEqual(["0.0.0.0/0 - *"]);
    expect(world.best("::/0")).toBe("p2");
  });

  test("other families have no table", () => {
    const world = new RibWorld();
    expect(() => world.rib.destinations(Family.L2VPN_EVPN)).toThrow("unicast");
  });

  test("the table may change while it is walked", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.announce(p2, texts);
    world.run();
    const seen: string[] = [];
    for (const dest of world.rib.destinations(V4)) {
      seen.push(textOf(dest));
      world.withdraw(p2, [textOf(dest)]);
      world.run();
    }
    expect(seen.toSorted()).toEqual(texts.toSorted());
    expect(world.rib.count(V4)).toBe(0);
  });
});

describe("our own routes", () => {
  test("win over what is learnt, and need neither policy nor next hop", () => {
    const world = new RibWorld({ nextHopMetric: () => undefined });
    const p2 = world.peer(2);
    world.originate(P);
    world.announce(p2, [P]);
    expect(world.run()).toEqual([`${P} local *`]);
    const path = world.path(P, world.rib.local);
    expect(path).toMatchObject({ ineligible: undefined, metric: 0, pathId: 0 });
    expect(path.source).toMatchObject({ local: true, id: 0, as: 64512, bgpId: ipv4("10.0.0.1") });
    expect([...world.rib.pathsOf(world.rib.local, V4)]).toEqual([path]);
  });

  test("announced again with the same attributes is nothing, with others a change", () => {
    const world = new RibWorld();
    world.originate(P, { med: 1 });
    world.run();
    world.originate(P, { med: 1 });
    expect(world.run()).toEqual([]);
    world.originate(P, { med: 2 });
    expect(world.run()).toEqual([`${P} local *`]);
    expect(world.rib.prefixCount(world.rib.local, V4)).toBe(1);
  });

  test("are taken back once", () => {
    const world = new RibWorld();
    world.originate(P);
    expect(world.rib.withdraw(prefix(Q), 0)).toBe(false);
    expect(world.rib.withdraw(prefix(P), 0)).toBe(true);
    expect(world.rib.withdraw(prefix(P), 0)).toBe(false);
    world.run();
    expect(world.rib.count(V4)).toBe(0);
  });

  test("withdrawing ours leaves a neighbour's", () => {
    const world = new RibWorld();
    world.originate("2001:db8::/32");
    world.announce(world.peer(2), ["2001:db8::/32"]);
    world.run();
    world.rib.withdraw(prefix("2001:db8::/32"), 0);
    expect(world.run()).toEqual(["2001:db8::/32 p2 *"]);
    expect(world.rib.withdraw(prefix("2001:db8::/32"), 0)).toBe(false);
  });
});

describe("ADD-PATH", () => {
  test("a neighbour may tell several paths, and withdraw one of them", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.announce(p2, [`${P} path 1`], { med: 30 });
    world.announce(p2, [`${P} path 2`], { med: 10 });
    world.announce(p2, [`${P} path 4000000000`], { med: 20 });
    expect(world.run()).toEqual([`${P} p2 *`]);
    expect(world.dest(P).best?.pathId).toBe(2);
    expect(world.rib.prefixCount(p2, V4)).toBe(3);
    world.withdraw(p2, [`${P} path 2`, `${P} path 3`]);
    expect(world.run()).toEqual([`${P} p2 *`]);
    expect(world.dest(P).best?.pathId).toBe(4_000_000_000);
    world.announce(p2, [`${P} path 1`], { med: 5 });
    expect(world.run()).toEqual([`${P} p2 *`]);
    expect(world.dest(P).best?.pathId).toBe(1);
    expect(world.rib.prefixCount(p2, V4)).toBe(2);
  });

  test("local identifiers are unique, kept, and few", () => {
    const world = new RibWorld();
    const peers = [2, 3, 4].map((n) => world.peer(n));
    for (const peer of peers) world.announce(peer, [`${P} path 7`, `${P} path 8`]);
    const ids = (): number[] => world.dest(P).paths.map((path) => path.localId);
    expect(new Set(ids())).toEqual(new Set([1, 2, 3, 4, 5, 6]));
    const kept = world.path(P, peers[2] as never, 8).localId;
    for (let i = 0; i < 100; i++) {
      world.withdraw(peers[0] as never, [`${P} path 7`]);
      world.withdraw(peers[1] as never, [`${P} path 8`]);
      world.announce(peers[1] as never, [`${P} path 8`]);
      world.announce(peers[0] as never, [`${P} path 7`], { med: i });
    }
    expect(new Set(ids()).size).toBe(6);
    expect(Math.max(...ids())).toBe(6);
    expect(world.path(P, peers[2] as never, 8).localId).toBe(kept);
    world.announce(
      peers[0] as never,
      [9, 10, 11].map((id) => `${P} path ${id}`),
    );
    expect(new Set(ids())).toEqual(new Set([1, 2, 3, 4, 5, 6, 7, 8, 9]));
  });

  test("hundreds of paths of one prefix are told apart", () => {
    const world = new RibWorld();
    const [p2, p3] = [world.peer(2), world.peer(3)];
    const texts = Array.from({ length: 300 }, (_, i) => `${P} path ${i}`);
    for (const peer of [p2, p3]) world.announce(peer, texts);
    world.run();
    expect(world.dest(P).paths).toHaveLength(600);
    world.withdraw(
      p2,
      texts.filter((_, i) => i % 3 !== 0),
    );
    for (const [i, text] of texts.entries()) world.announce(p3, [text], { med: 1000 - i });
    world.run();
    const { paths, best } = world.dest(P);
    expect(paths).toHaveLength(400);
    expect(new Set(paths.map((path) => path.localId)).size).toBe(400);
    expect(paths.filter((path) => path.source === p2).every((path) => path.pathId % 3 === 0)).toBe(true);
    for (const { pathId, received } of paths.filter((path) => path.source === p3)) {
      expect(received.attributes.med).toBe(1000 - pathId);
    }
    expect(best).toMatchObject({ source: p2, pathId: 0 });
    world.withdraw(p2, texts);
    world.withdraw(p3, texts);
    world.run();
    expect(world.rib.count(V4)).toBe(0);
  });
});

describe("destinations", () => {
  test("a holder keeps the object when the last path is gone, and the next path finds it", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.announce(p2, [P]);
    world.run();
    const dest = world.dest(P);
    dest.holders += 2;
    world.withdraw(p2, [P]);
    world.run();
    expect(world.dest(P)).toBe(dest);
    expect(dest).toMatchObject({ paths: [], best: undefined, multipath: [] });
    world.rib.releaseHolder(dest);
    world.announce(p2, [P]);
    world.run();
    expect(world.dest(P)).toBe(dest);
    world.withdraw(p2, [P]);
    world.run();
    world.rib.releaseHolder(dest);
    expect(world.rib.lookup(prefix(P))).toBeUndefined();
    expect(() => world.rib.releaseHolder(dest)).toThrow("holder");
  });

  test("one that is released while it waits for a decision is told first", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.announce(p2, [P]);
    world.run();
    const dest = world.dest(P);
    dest.holders++;
    world.withdraw(p2, [P]);
    world.rib.releaseHolder(dest);
    expect(world.dest(P)).toBe(dest);
    expect(world.run()).toEqual([`${P} - *`]);
    expect(world.rib.count(V4)).toBe(0);
  });

  test("a listener that releases it does not take it from the next listener", () => {
    const world = new RibWorld();
    const { rib } = world;
    const p2 = world.peer(2);
    const letsGo: RibListener = { changed: (dest) => dest.best === undefined && rib.releaseHolder(dest) };
    const takes: RibListener = { changed: (dest) => dest.best === undefined && dest.holders++ };
    rib.listen(letsGo);
    rib.listen(takes);
    world.announce(p2, [P]);
    world.run();
    const dest = world.dest(P);
    dest.holders++;
    world.withdraw(p2, [P]);
    world.run();
    expect(world.dest(P)).toBe(dest);
    expect(dest.holders).toBe(1);
  });

  test("paths and multipath of one, of several, of none", () => {
    const world = new RibWorld({}, { multipathMax: 2 });
    const [p2, p3] = [world.peer(2), world.peer(3)];
    world.announce(p2, [P], {}, ipv4("10.0.0.2"));
    world.run();
    const dest = world.dest(P);
    expect(dest.multipath).toEqual([world.path(P, p2)]);
    world.announce(p3, [P], {}, ipv4("10.0.0.3"));
    expect(dest.multipath).toHaveLength(1);
    expect(world.run()).toEqual([`${P} p2`]);
    expect(dest.multipath).toEqual([world.path(P, p2), world.path(P, p3)]);
    world.withdraw(p2, [P]);
    world.run();
    expect(dest.multipath).toEqual([world.path(P, p3)]);
    expect(dest.paths).toHaveLength(1);
  });
});

describe("neighbours", () => {
  test("have identifiers that are never used again", () => {
    const { rib } = new RibWorld();
    const p2 = rib.addPeer(peerConfig("p2"));
    rib.delPeer(p2, 0);
    const again = rib.addPeer(peerConfig("p2"));
    expect(again.id).not.toBe(p2.id);
    expect([...rib.peers()]).toEqual([again]);
    expect(again).toMatchObject({ local: false, bgpId: 0, as: 64512 });
    expect(rib.addPeer(peerConfig("p3", { internal: false })).as).toBe(0);
    expect(() => rib.prefixCount(p2, V4)).toThrow("neighbour");
  });

  test("one that is deleted leaves nothing", () => {
    const world = new RibWorld();
    const [p2, p3] = [world.peer(2), world.peer(3)];
    world.announce(p2, [P, Q, "2001:db8::/32"]);
    world.announce(p3, [Q]);
    world.run();
    const own = world.path(P, p2);
    expect([...world.rib.pathsOf(p2, V4)]).toContain(own);
    world.rib.refreshBegun(p2, V4, 0);
    world.rib.delPeer(p2, 0);
    expect(world.run().toSorted()).toEqual([`${P} - *`, `${Q} p3 *`, "2001:db8::/32 - *"]);
    expect(world.rib.count(V4)).toBe(1);
    expect(world.rib.count(V6)).toBe(0);
    expect(world.dest(Q).paths).toEqual([world.path(Q, p3)]);
    expect([...world.rib.peers()]).toEqual([p3]);
  });

  test("another identifier decides anew, and is told even if the choice is the same", () => {
    const world = new RibWorld();
    const [p2, p3] = [world.peer(2), world.peer(3)];
    world.announce(p2, [P]);
    world.announce(p3, [P]);
    world.run();
    world.rib.peerUp(p3, { as: 64512, bgpId: ipv4("10.0.0.3") }, 0);
    expect(world.run()).toEqual([]);
    world.rib.peerUp(p2, { as: 64512, bgpId: ipv4("1.0.0.0") }, 0);
    expect(world.run()).toEqual([`${P} p2 *`]);
    world.rib.peerUp(p3, { as: 64512, bgpId: ipv4("0.0.0.1") }, 0);
    expect(world.run()).toEqual([`${P} p3 *`]);
  });

  test("another role is told, since reflection goes by it", () => {
    const world = new RibWorld();
    const p2 = world.peer(2);
    world.announce(p2, [P]);
    world.run();
    world.rib.configure(p2, { ...p2.config }, 0);
    expect(world.run()).toEqual([]);
    world.rib.configure(p2, { ...p2.config, rrClient: true }, 0);
    expect(world.run()).toEqual([`${P} p2 *`]);
  });
});

describe("the choice so far", () => {
  test("stays with preferOldest, unless something better comes", () => {
    for (const preferOldest of [true, false]) {
      const world = new RibWorld({}, { preferOldest });
      const [p2, p3] = [world.peer(2, { internal: false }), world.peer(3, { internal: false })];
      world.announce(p3, [P], { asPath: way(65003) });
      world.run();
      world.announce(p2, [P], { asPath: way(65002) });
      world.run();
      expect(world.best(P)).toBe(preferOldest ? "p3" : "p2");
      world.announce(p2, [P], { asPath: way(65002), origin: 0, localPref: 200 });
      world.run();
      expect(world.best(P)).toBe("p2");
    }
  });
});
