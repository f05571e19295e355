import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import type { RibPeerConfig } from "../../../../../src/routing/bgp/rib/rib-peer.ts";
import { Community } from "../../../../../src/wire/bgp/communities.ts";
import { ipv6 } from "../../../../support/bgp.ts";
import {
  block,
  EXPORT,
  expectedTable,
  knownTable,
  type Listener,
  OutWorld,
} from "../../../../support/out-world.ts";
import { policy, rewriting, V4, V6, way } from "../../../../support/rib-world.ts";

const CLIENT: Partial<RibPeerConfig> = { rrClient: true };
const EXTERNAL: Partial<RibPeerConfig> = { internal: false };

function isAsExpected(w: OutWorld, ...listeners: readonly Listener[]): void {
  for (const one of listeners) {
    expect(knownTable(one)).toEqual(expectedTable(w, one));
    expect(one.redundant).toEqual([]);
  }
}

describe("a session that comes up", () => {
  test("is told everything, then End-of-RIB, and afterwards what changes", () => {
    const w = new OutWorld();
    w.originate("10.1.0.0/16");
    const x = w.peer(2, EXTERNAL);
    w.announce(x, ["10.2.0.0/16"], { asPath: way(65002) });
    const a = w.neighbor(3);
    expect(w.hear(a)).toEqual([
      "+10.1.0.0/16 via 10.0.0.1 []",
      "+10.2.0.0/16 via 10.0.0.9 [65002]",
      `eor ${V4}`,
    ]);
    w.announce(x, ["10.2.0.0/16", "10.3.0.0/16"], { asPath: way(65002, 7) });
    expect(w.hear(a)).toEqual(["+10.2.0.0/16 via 10.0.0.9 [65002 7]", "+10.3.0.0/16 via 10.0.0.9 [65002 7]"]);
    w.withdraw(x, ["10.2.0.0/16"]);
    expect(w.hear(a)).toEqual(["-10.2.0.0/16"]);
    expect(w.hear(a)).toEqual([]);
    isAsExpected(w, a);
  });

  test("hears End-of-RIB for each family that was negotiated, even if there is nothing", () => {
    const w = new OutWorld();
    const a = w.neighbor(2, {}, {}, { families: [V4, V6] });
    expect(w.hear(a).toSorted()).toEqual([`eor ${V4}`, `eor ${V6}`]);
    const b = w.neighbor(3, {}, {}, { families: [V6] });
    w.originate("10.1.0.0/16");
    expect(w.hear(b)).toEqual([`eor ${V6}`]);
    expect(w.hear(a)).toEqual(["+10.1.0.0/16 via 10.0.0.1 []"]);
    expect(w.out.stats).toMatchObject({ endOfRibs: 3, members: 2, groups: 2 });
  });

  test("hears End-of-RIB only when all that has come in has been decided about", () => {
    const w = new OutWorld();
    for (const text of block(20)) w.originate(text);
    const a = w.neighbor(2);
    w.out.run(w.now, 100);
    expect(a.take()).toEqual([]);
    w.rib.run(w.now, 15);
    w.out.run(w.now, 100);
    expect(a.take()).toHaveLength(15);
    w.rib.run(w.now, 15);
    expect(w.out.nextDeadline()).toBe(0);
    w.out.run(w.now, 100);
    expect(a.take()).toHaveLength(6);
    expect(a.ended).toEqual([V4]);
  });

  test("hears of IPv6 as well", () => {
    const w = new OutWorld();
    w.originate("2001:db8:1::/48");
    const x = w.peer(2, EXTERNAL);
    w.announce(x, ["2001:db8:2::/48"], { asPath: way(65002) });
    const a = w.neighbor(3, EXTERNAL, { localAddr6: ipv6("2001:db8::1") }, { families: [V6] });
    expect(w.hear(a)).toEqual([
      "+2001:db8:1::/48 via 2001:db8::1 [64512]",
      "+2001:db8:2::/48 via 2001:db8::1 [64512 65002]",
      `eor ${V6}`,
    ]);
    const b = w.neighbor(4, EXTERNAL, {}, { families: [V6] });
    expect(w.hear(b)).toEqual([`eor ${V6}`]);
    w.withdraw(x, ["2001:db8:2::/48"]);
    expect(w.hear(a)).toEqual(["-2001:db8:2::/48"]);
    isAsExpected(w, a, b);
  });

  test("waits until a restart is over", () => {
    const w = new OutWorld();
    w.rib.hold(V4);
    w.out.hold(V4);
    w.originate("10.1.0.0/16");
    w.originate("2001:db8:1::/48");
    const a = w.neighbor(2, {}, { localAddr6: ipv6("2001:db8::1") }, { families: [V4, V6] });
    expect(w.hear(a)).toEqual(["+2001:db8:1::/48 via 2001:db8::1 []", `eor ${V6}`]);
    expect(w.out.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    const later = w.neighbor(3);
    w.rib.release(V4);
    w.out.release(V4, w.now);
    // Until the RIB has decided, the restart is not over.
    expect(w.out.run(w.now, 100)).toBe(false);
    expect(w.out.explain(a.peer, w.dest("10.1.0.0/16"))).toBe("nothing is told before the restart is over");
    expect(a.take()).toEqual([]);
    expect(w.hear(a)).toEqual(["+10.1.0.0/16 via 10.0.0.1 []", `eor ${V4}`]);
    expect(later.take()).toEqual(["+10.1.0.0/16 via 10.0.0.1 []", `eor ${V4}`]);
  });

  test("is told what holds, though what it met was on its way to something else and back", () => {
    // The other way is another route, or none that can be used.
    for (const other of [way(65009), way(65001, 64512)]) {
      const w = new OutWorld();
      const x = w.peer(2, EXTERNAL);
      w.announce(x, ["10.1.0.0/16"]);
      w.run();
      // Not decided about, when the first of a group comes and all is judged for it.
      w.announce(x, ["10.1.0.0/16"], { asPath: other });
      const a = w.neighbor(3);
      w.out.run(w.now, 1000);
      w.announce(x, ["10.1.0.0/16"]);
      w.settle();
      isAsExpected(w, a);
      expect(a.table.size).toBe(1);
    }
  });

  test("joins a group that knows its table in the midst of changes", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    const all = block(3000);
    w.announce(x, all, { asPath: way(65002) });
    const a = w.neighbor(3);
    w.settle();
    const b = w.neighbor(4);
    w.announce(x, all.slice(0, 1000), { asPath: way(65002, 1) });
    w.withdraw(x, all.slice(900, 1200));
    w.rib.run(w.now, 700);
    w.out.run(w.now, 500);
    w.announce(x, all.slice(1100, 1150), { asPath: way(65002, 2) });
    w.settle(500);
    isAsExpected(w, a, b);
    expect(b.heard.at(-1)).toBe(`eor ${V4}`);
    expect(w.out.stats.groups).toBe(1);
  });
});

describe("messages", () => {
  /** IPv4 /24 take four octets; attributes of ours to an internal neighbour 21 or so. */
  test("are filled to the last octet that fits", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    w.announce(x, block(5000), { asPath: way(65002) });
    const a = w.neighbor(3);
    w.settle();
    const updates = a.lengths.slice(0, -1);
    expect(updates.slice(0, -1).every((octets) => octets > 4096 - 4)).toBe(true);
    expect(updates).toHaveLength(5);
    w.withdraw(x, block(5000));
    a.lengths = [];
    w.settle();
    expect(a.lengths.slice(0, -1).every((octets) => octets > 4096 - 4)).toBe(true);
    expect(a.lengths).toHaveLength(5);
    expect(a.table.size).toBe(0);
  });

  test("are filled just as well when there is time for little at once", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    w.announce(x, block(5000), { asPath: way(65002) });
    const a = w.neighbor(3);
    w.settle(100);
    expect(a.lengths).toHaveLength(6);
    expect(a.table.size).toBe(5000);
  });

  test("may be as long as was negotiated", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    w.announce(x, block(20_000), { asPath: way(65002) });
    const a = w.neighbor(3, {}, {}, { txMaxBytes: 65535 });
    w.settle();
    expect(a.lengths[0]).toBeGreaterThan(65535 - 4);
    expect(a.lengths).toHaveLength(3);
  });

  test("hold what shares attributes, wherever it comes from, and a chunk holds many messages", () => {
    const w = new OutWorld();
    const [x, y] = [w.peer(2, CLIENT), w.peer(3, CLIENT)];
    // To another AS it makes no difference which client a route comes from.
    for (const [i, text] of block(200).entries()) {
      w.announce(i % 2 === 0 ? x : y, [text], { asPath: way(65100 + (i % 5)) });
    }
    const a = w.neighbor(4, EXTERNAL);
    w.settle();
    expect(a.table.size).toBe(200);
    expect(a.lengths.length - 1).toBeLessThanOrEqual(10);
    expect(a.chunks).toHaveLength(2);
  });

  test("withdraw first, then announce", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    w.announce(x, ["10.1.0.0/16", "10.2.0.0/16"]);
    const a = w.neighbor(3);
    w.hear(a);
    w.announce(x, ["10.3.0.0/16"]);
    w.withdraw(x, ["10.1.0.0/16", "10.2.0.0/16"]);
    expect(w.hear(a).map((text) => text.split(" ")[0])).toEqual([
      "-10.1.0.0/16",
      "-10.2.0.0/16",
      "+10.3.0.0/16",
    ]);
    expect(a.chunks.length).toBe(3);
  });

  test("say nothing about what was given up before it was told, or is again what it was", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    w.originate("10.9.0.0/16");
    const a = w.neighbor(3, {}, { mraiSec: 5 });
    w.hear(a);
    w.announce(x, ["10.1.0.0/16"]);
    w.hear(a);
    // The interval has begun: what follows waits.
    w.announce(x, ["10.2.0.0/16"]);
    w.announce(x, ["10.1.0.0/16"], { med: 5 });
    expect(w.hear(a)).toEqual([]);
    expect(w.out.pending(a.peer)).toBe(2);
    w.withdraw(x, ["10.2.0.0/16"]);
    w.announce(x, ["10.1.0.0/16"]);
    w.settle();
    expect(w.out.pending(a.peer)).toBe(0);
    w.now += 10_000_000;
    expect(w.hear(a)).toEqual([]);
    expect(w.out.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    isAsExpected(w, a);
  });

  test("say nothing where another path makes the same route", () => {
    const w = new OutWorld();
    const [x, y] = [w.peer(2, CLIENT), w.peer(3, CLIENT)];
    w.announce(x, ["10.1.0.0/16"], { localPref: 200 }, ipv4("10.0.0.2"));
    w.announce(y, ["10.1.0.0/16"], { localPref: 100 }, ipv4("10.0.0.3"));
    const a = w.neighbor(4, EXTERNAL);
    const b = w.neighbor(5, CLIENT);
    expect(w.hear(a)).toHaveLength(2);
    b.take();
    w.withdraw(x, ["10.1.0.0/16"]);
    expect(w.hear(a)).toEqual([]);
    // Inside, the next hop is another.
    expect(b.take()).toEqual(["+10.1.0.0/16 via 10.0.0.3 [65001]"]);
    isAsExpected(w, a, b);
  });

  test("are withdrawn and counted when the attributes leave no room", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    const long = { communities: Array.from({ length: 1010 }, (_, i) => i) };
    w.announce(x, ["10.1.0.0/16"]);
    const short = w.neighbor(3);
    const extended = w.neighbor(4, {}, {}, { txMaxBytes: 65535 });
    w.settle();
    short.take();
    extended.take();
    w.announce(x, ["10.1.0.0/16"], long);
    expect(w.hear(short)).toEqual(["-10.1.0.0/16"]);
    expect(extended.take()).toEqual(["+10.1.0.0/16 via 10.0.0.9 [65001]"]);
    expect(w.out.stats.tooLong).toBe(1);
    expect(w.out.explain(short.peer, w.dest("10.1.0.0/16"))).toBe(
      "its attributes leave no room for it in a message",
    );
    w.announce(x, ["10.1.0.0/16"]);
    expect(w.hear(short)).toEqual(["+10.1.0.0/16 via 10.0.0.9 [65001]"]);
    w.leave(short);
    expect(w.out.stats.tooLong).toBe(1);
  });

  test("RFC 8654#4: go without what may be discarded, if that makes room", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    // As below: with 1,009 communities there are two octets to spare.
    const communities = (count: number) => Array.from({ length: count }, (_, i) => i);
    const spare = { atomicAggregate: true, aggregator: { as: 65001, addr: 1 } };
    w.announce(x, ["10.1.2.0/24"], { communities: communities(1009), ...spare });
    w.announce(x, ["10.2.2.0/24"], { communities: communities(1010), ...spare });
    w.announce(x, ["10.3.2.0/24"], { communities: communities(1000), ...spare });
    w.run();
    const short = w.neighbor(3);
    const extended = w.neighbor(4, {}, {}, { txMaxBytes: 65535 });
    w.settle();
    const toldOf = (peer: typeof short.peer) =>
      [...w.out.dump(peer, V4)].map(({ dest, route: { attributes: a } }) => [
        dest.a >>> 16,
        a.communities.length,
        a.atomicAggregate,
        a.aggregator?.as,
      ]);
    expect(toldOf(short.peer).sort(([x], [y]) => Number(x) - Number(y))).toEqual([
      [0x0a01, 1009, false, undefined],
      [0x0a03, 1000, true, 65001],
    ]);
    expect(toldOf(extended.peer).map(([, , atomic]) => atomic)).toEqual([true, true, true]);
    expect(w.out.stats.tooLong).toBe(1);
    expect(short.table.size).toBe(2);
  });

  test("fit exactly, or not at all", () => {
    // 4096 = 23 octets, ORIGIN 4, AS_PATH 9, NEXT_HOP 7, LOCAL_PREF 7, communities 4 + 4n, and the prefix.
    for (const [extra, told] of [
      [0, true],
      [4, false],
    ] as const) {
      const w = new OutWorld();
      const x = w.peer(2, EXTERNAL);
      const room = 4096 - 23 - 4 - 9 - 7 - 7 - 4;
      const value = new Uint8Array(((room - 4) % 4) + 4 * 255 - 8 + extra);
      const count = (room - 4 - (4 + value.length - extra)) / 4;
      const unknown = [{ type: 99, flags: 0xe0, value }];
      w.announce(x, ["10.1.2.0/24"], { communities: Array.from({ length: count }, (_, i) => i), unknown });
      const a = w.neighbor(3);
      w.settle();
      expect(a.table.size).toBe(told ? 1 : 0);
      if (told) expect(a.lengths[0]).toBe(4096);
    }
  });
});

describe("a group", () => {
  test("is told with the same octets, encoded once", () => {
    const w = new OutWorld();
    w.originate("10.1.0.0/16");
    const members = [2, 3, 4, 5].map((n) => w.neighbor(n));
    w.settle();
    const [first, ...others] = members;
    for (const other of others) expect(other.chunks[0]).toBe(first?.chunks[0]);
    expect(w.out.stats).toMatchObject({ groups: 1, members: 4 });
    const { encodedBytes, sentBytes } = w.out.stats;
    expect(sentBytes).toBe(4 * encodedBytes);
    expect(w.out.stats.sharedSends).toBe(3);
  });

  test("is made of those who are told the same", () => {
    const w = new OutWorld();
    const accept = policy((input) => input.route);
    const groups = (...listeners: readonly Listener[]): number => {
      const count = w.out.stats.groups;
      for (const one of listeners) w.leave(one);
      w.settle();
      return count;
    };
    const as = (n: number): Partial<RibPeerConfig> => ({ internal: false, addr: ipv4(`10.0.0.${n}`) });
    // An internal peer, a client; two ASs; the same AS with another policy, local AS, next hop, encoding.
    expect(groups(w.neighbor(2), w.neighbor(3), w.neighbor(4, CLIENT), w.neighbor(5, CLIENT))).toBe(2);
    expect(groups(w.neighbor(6, as(6)), w.neighbor(7, as(7)))).toBe(2);
    const any = { checkPeerAs: false };
    expect(groups(w.neighbor(8, as(8), any), w.neighbor(9, as(9), any))).toBe(1);
    expect(groups(w.neighbor(10), w.neighbor(11, {}, { policy: accept }))).toBe(2);
    expect(groups(w.neighbor(12), w.neighbor(13, {}, { nextHop: "keep" }))).toBe(2);
    expect(groups(w.neighbor(14), w.neighbor(15, {}, { localAddr: 9 }))).toBe(2);
    expect(groups(w.neighbor(16), w.neighbor(17, {}, {}, { as4: false }))).toBe(2);
    expect(groups(w.neighbor(18), w.neighbor(19, {}, {}, { txMaxBytes: 65535 }))).toBe(2);
    expect(groups(w.neighbor(20), w.neighbor(21, {}, {}, { addPathTx: [V4] }))).toBe(2);
    expect(groups(w.neighbor(22), w.neighbor(23, {}, {}, { extNextHop: [V4] }))).toBe(2);
    expect(groups(w.neighbor(24), w.neighbor(25, {}, { mraiSec: 5 }))).toBe(2);
    // What does not show in the octets makes no difference.
    const none = { holdTimeSec: 3, rxMaxBytes: 65535, addPathRx: [V4], refresh: false };
    expect(groups(w.neighbor(26), w.neighbor(27, {}, { addPathMax: 4 }, none))).toBe(1);
    expect(w.out.stats.groups).toBe(0);
  });

  test("leaves nothing behind", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    w.announce(x, block(100));
    const a = w.neighbor(3);
    const b = w.neighbor(4, EXTERNAL);
    w.settle();
    w.rib.peerDown(x, [], w.now);
    w.leave(b);
    w.settle();
    expect(a.table.size).toBe(0);
    expect(w.rib.count(V4)).toBe(0);
    w.announce(x, block(100));
    w.run();
    w.leave(a);
    w.rib.peerDown(x, [], w.now);
    w.settle();
    expect(w.rib.count(V4)).toBe(0);
    expect(w.out.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("split horizon", () => {
  test("the best path moves from one client to another, to us, and back", () => {
    const w = new OutWorld();
    const a = w.neighbor(2, CLIENT);
    const b = w.neighbor(3, CLIENT);
    const c = w.neighbor(4, CLIENT);
    for (const one of [a, b, c]) w.hear(one);
    const heard = (): string[][] => {
      w.settle();
      isAsExpected(w, a, b, c);
      return [a, b, c].map((one) => one.take().map((text) => text.replace(/ \[.*/, "")));
    };
    w.announce(a.peer, ["10.1.0.0/16"], {}, ipv4("10.0.0.2"));
    const viaA = "+10.1.0.0/16 via 10.0.0.2";
    const viaB = "+10.1.0.0/16 via 10.0.0.3";
    const gone = "-10.1.0.0/16";
    expect(heard()).toEqual([[], [viaA], [viaA]]);
    w.announce(b.peer, ["10.1.0.0/16"], { localPref: 200 }, ipv4("10.0.0.3"));
    expect(heard()).toEqual([[viaB], [gone], [viaB]]);
    w.originate("10.1.0.0/16", { localPref: 300 });
    const ours = "+10.1.0.0/16 via 10.0.0.1";
    expect(heard()).toEqual([[ours], [ours], [ours]]);
    w.withdraw(b.peer, ["10.1.0.0/16"]);
    expect(heard()).toEqual([[], [], []]);
    w.rib.withdraw(w.dest("10.1.0.0/16"), w.now);
    expect(heard()).toEqual([[gone], [viaA], [viaA]]);
    w.withdraw(a.peer, ["10.1.0.0/16"]);
    expect(heard()).toEqual([[], [gone], [gone]]);
    expect(w.out.stats.groups).toBe(1);
  });

  test("what is told alike passes from one member to another: only these two hear of it", () => {
    const w = new OutWorld();
    // Towards another AS all next hops are ours, so that nothing shows whose route it is.
    const same = { checkPeerAs: false, nextHop: "self" } as const;
    const [a, b, c] = [2, 3, 4].map((n) => w.neighbor(n, EXTERNAL, same)) as [Listener, Listener, Listener];
    w.announce(a.peer, ["10.1.0.0/16"], { localPref: 200 });
    w.announce(b.peer, ["10.1.0.0/16"], { localPref: 100 });
    w.settle();
    isAsExpected(w, a, b, c);
    for (const one of [a, b, c]) one.take();
    w.withdraw(a.peer, ["10.1.0.0/16"]);
    w.settle();
    const route = "+10.1.0.0/16 via 10.0.0.1 [64512 65001]";
    expect([a, b, c].map((one) => one.take())).toEqual([[route], ["-10.1.0.0/16"], []]);
    isAsExpected(w, a, b, c);
  });

  test("nobody is told that it is its own next hop", () => {
    const w = new OutWorld();
    const a = w.neighbor(2, CLIENT);
    const b = w.neighbor(3, CLIENT);
    w.announce(a.peer, ["10.1.0.0/16"], {}, b.peer.config.addr);
    w.originate("10.2.0.0/16");
    w.settle();
    expect(b.take().filter((text) => text.includes("10.1"))).toEqual([]);
    expect(w.out.explain(b.peer, w.dest("10.1.0.0/16"))).toBe("it would be its own next hop");
    w.announce(a.peer, ["10.2.0.0/16"], { localPref: 500 }, b.peer.config.addr);
    expect(w.hear(b)).toEqual(["-10.2.0.0/16"]);
    isAsExpected(w, a, b);
  });

  test("withdrawals for many reach those alone who were told", () => {
    const w = new OutWorld();
    const [a, b, c] = [2, 3, 4].map((n) => w.neighbor(n, CLIENT)) as [Listener, Listener, Listener];
    w.announce(a.peer, block(50));
    w.announce(b.peer, block(50, 50));
    w.announce(c.peer, block(50, 100));
    w.settle();
    for (const one of [a, b, c]) {
      one.take();
      w.withdraw(one.peer, block(150));
    }
    w.settle();
    expect([a, b, c].map((one) => one.take().length)).toEqual([100, 100, 100]);
    isAsExpected(w, a, b, c);
  });
});

describe("a route that may not be told any more", () => {
  test("is withdrawn from those who know it", () => {
    const w = new OutWorld();
    const [x, y] = [w.peer(2), w.peer(3, EXTERNAL)];
    const inside = w.neighbor(4);
    const outside = w.neighbor(5, EXTERNAL);
    w.announce(y, ["10.1.0.0/16", "10.2.0.0/16"]);
    for (const one of [inside, outside]) w.hear(one);
    w.announce(y, ["10.2.0.0/16"], { communities: [Community.NO_EXPORT] });
    // A better path from inside the AS is not for the inside.
    w.announce(x, ["10.1.0.0/16"], { localPref: 200 });
    expect(w.hear(inside)).toEqual(["-10.1.0.0/16", "+10.2.0.0/16 via 10.0.0.9 [65001]"]);
    expect(outside.take()).toEqual(["-10.2.0.0/16"]);
    isAsExpected(w, inside, outside);
  });
});

describe("another configuration", () => {
  test("tells the difference, and nothing else", () => {
    const w = new OutWorld();
    w.originate("10.1.0.0/16");
    w.originate("10.2.0.0/24");
    const a = w.neighbor(2, EXTERNAL);
    w.hear(a);
    const short = policy(({ prefix, route }) => (prefix.len < 24 ? route : undefined));
    w.out.reconfigure(a.peer, { ...EXPORT, policy: short }, w.now);
    expect(w.hear(a)).toEqual(["-10.2.0.0/24"]);
    const tagged = rewriting(() => ({ communities: [5] }));
    w.out.reconfigure(a.peer, { ...EXPORT, policy: tagged }, w.now);
    expect(w.hear(a).map((text) => text.split(" ")[0])).toEqual(["+10.1.0.0/16", "+10.2.0.0/24"]);
    w.out.reconfigure(a.peer, { ...EXPORT, policy: tagged }, w.now);
    expect(w.hear(a)).toEqual([]);
    expect(knownTable(a)).toEqual(expectedTable(w, a, { ...EXPORT, policy: tagged }));
    expect(a.redundant).toEqual([]);
    expect(w.out.stats.groups).toBe(1);
  });

  test("takes a member from a group that others stay in", () => {
    const w = new OutWorld();
    w.announce(w.peer(9, EXTERNAL), block(500));
    const a = w.neighbor(2);
    const b = w.neighbor(3);
    w.settle();
    for (const one of [a, b]) one.take();
    const none = policy(() => undefined);
    w.out.reconfigure(a.peer, { ...EXPORT, policy: none }, w.now);
    w.settle();
    expect(a.take()).toHaveLength(500);
    expect(a.table.size).toBe(0);
    expect(b.take()).toEqual([]);
    w.out.reconfigure(a.peer, EXPORT, w.now);
    w.settle();
    isAsExpected(w, a, b);
    expect(w.out.stats.groups).toBe(1);
    expect(a.ended).toEqual([V4]);
  });

  test("with little time for it, and in a group of its own, tells the difference too", () => {
    const w = new OutWorld();
    w.announce(w.peer(9, EXTERNAL), block(500));
    const a = w.neighbor(2);
    w.settle();
    a.take();
    const odd = policy(({ prefix, route }) => ((prefix.a & 0x100) === 0 ? route : undefined));
    w.out.reconfigure(a.peer, { ...EXPORT, policy: odd }, w.now);
    w.settle(10);
    expect(a.heard.every((text) => text.startsWith("-"))).toBe(true);
    expect(a.take()).toHaveLength(250);
  });

  test("with a refresh that was asked for before", () => {
    const w = new OutWorld();
    w.originate("10.1.0.0/16");
    const a = w.neighbor(2);
    w.hear(a);
    w.out.refresh(a.peer, V4, w.now);
    w.out.reconfigure(a.peer, { ...EXPORT, nextHop: "forceSelf" }, w.now);
    expect(w.hear(a)).toEqual([`borr ${V4}`, "+10.1.0.0/16 via 10.0.0.1 []", `eorr ${V4}`]);
  });

  test("in a group of neighbours that do not read: it does not wait for them", () => {
    const w = new OutWorld();
    const x = w.peer(9, EXTERNAL);
    w.announce(x, block(10));
    const tagged = { policy: rewriting(() => ({ communities: [5] })) };
    const a = w.neighbor(2);
    const b = w.neighbor(3, {}, tagged);
    w.settle();
    w.unblock(b, 0);
    for (const count of [9, 8, 7]) {
      w.withdraw(x, block(1, count));
      w.settle();
    }
    w.out.reconfigure(a.peer, { ...EXPORT, ...tagged }, w.now);
    w.settle();
    expect(knownTable(a)).toEqual(expectedTable(w, a, { ...EXPORT, ...tagged }));
    w.unblock(b);
    w.settle();
    isAsExpected(w, b);
  });
});

describe("what is known of a neighbour", () => {
  const originator = (w: OutWorld, listener: Listener): number | undefined => {
    w.settle();
    return listener.table.get("10.1.0.0/16")?.attributes.originatorId;
  };

  test("a router identifier that has changed is told", () => {
    const w = new OutWorld();
    const x = w.peer(2, CLIENT);
    w.announce(x, ["10.1.0.0/16"]);
    const a = w.neighbor(3, CLIENT);
    expect(originator(w, a)).toBe(ipv4("10.0.0.2"));
    w.rib.peerDown(x, [V4], w.now);
    w.rib.peerUp(x, { as: 64512, bgpId: ipv4("10.7.7.7") }, w.now);
    expect(originator(w, a)).toBe(ipv4("10.7.7.7"));
    isAsExpected(w, a);
  });

  test("so is a role", () => {
    const w = new OutWorld();
    const x = w.peer(2);
    w.announce(x, ["10.1.0.0/16"]);
    const a = w.neighbor(3);
    expect(w.hear(a)).toEqual([`eor ${V4}`]);
    w.rib.configure(x, { ...x.config, ...CLIENT }, w.now);
    expect(w.hear(a)).toHaveLength(1);
    w.rib.configure(x, { ...x.config, rrClient: false }, w.now);
    expect(w.hear(a)).toEqual(["-10.1.0.0/16"]);
    w.rib.configure(a.peer, { ...a.peer.config, ...CLIENT }, w.now);
    w.out.reconfigure(a.peer, EXPORT, w.now);
    expect(w.hear(a)).toHaveLength(1);
    isAsExpected(w, a);
  });
});

describe("for people", () => {
  test("what was told, and how much waits", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    w.announce(x, block(20), { asPath: way(65002) });
    const a = w.neighbor(3, CLIENT);
    const b = w.neighbor(4, CLIENT);
    w.announce(b.peer, block(5, 100));
    w.settle();
    expect(w.out.count(a.peer, V4)).toBe(25);
    expect(w.out.count(b.peer, V4)).toBe(20);
    expect(w.out.count(b.peer, V6)).toBe(0);
    expect([...w.out.dump(b.peer, V4)]).toHaveLength(20);
    const [first] = w.out.dump(a.peer, V4);
    expect(first).toMatchObject({ pathId: 0, route: { nextHop: ipv4("10.0.0.9"), localPref: 100 } });
    w.unblock(a, 0);
    w.announce(x, block(3, 200));
    w.settle();
    expect(w.out.pending(a.peer)).toBe(3);
    expect(w.out.pending(b.peer)).toBe(0);
    expect([...w.out.dump(w.peer(5), V4)]).toEqual([]);
  });

  test("why a route is told, or is not", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    const y = w.peer(3);
    w.announce(x, ["10.1.0.0/16"], { asPath: way(65005, 65001) });
    w.announce(y, ["10.2.0.0/16"]);
    w.announce(x, ["10.3.0.0/16"], { communities: [Community.NO_EXPORT] });
    w.originate("10.4.0.0/16");
    const ruled = policy(({ prefix, route }) => (prefix.len === 8 ? undefined : route), { rule: "rule 3" });
    w.originate("12.0.0.0/8");
    const outside = w.neighbor(5, EXTERNAL, { policy: ruled });
    const inside = w.neighbor(6);
    const why = (listener: Listener, text: string): string => w.out.explain(listener.peer, w.dest(text));
    w.run();
    expect(why(inside, "10.4.0.0/16")).toBe("about to be told");
    w.settle();
    expect(why(outside, "10.1.0.0/16")).toBe("AS 65005 is in its path");
    expect(why(inside, "10.2.0.0/16")).toBe("iBGP to iBGP");
    expect(why(outside, "10.3.0.0/16")).toBe("NO_EXPORT");
    expect(why(inside, "10.3.0.0/16")).toBe("told");
    expect(why(outside, "12.0.0.0/8")).toBe("refused by rule 3");
    w.announce(inside.peer, ["10.5.0.0/16"]);
    w.settle();
    expect(why(inside, "10.5.0.0/16")).toBe("learnt from it");
    expect(w.out.explain(w.peer(7), w.dest("10.5.0.0/16"))).toBe("there is no session");
    w.originate("2001:db8::/32");
    expect(why(inside, "2001:db8::/32")).toBe("IPv6 unicast is not spoken in this session");
  });
});
