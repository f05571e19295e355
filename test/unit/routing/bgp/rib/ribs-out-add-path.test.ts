import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../../../../src/base/time.ts";
import type { RibPeer, RibPeerConfig } from "../../../../../src/routing/bgp/rib/rib-peer.ts";
import { Community } from "../../../../../src/wire/bgp/communities.ts";
import { expectedTable, knownTable, type Listener, OutWorld } from "../../../../support/out-world.ts";
import { V4 } from "../../../../support/rib-world.ts";

const CLIENT: Partial<RibPeerConfig> = { rrClient: true };
const EXTERNAL: Partial<RibPeerConfig> = { internal: false };
const WITH_IDS = { addPathTx: [V4] };

function isAsExpected(w: OutWorld, ...listeners: readonly Listener[]): void {
  for (const one of listeners) {
    expect(knownTable(one)).toEqual(expectedTable(w, one));
    expect(one.redundant).toEqual([]);
  }
}

/** "path 2" and where it leads. */
function short(heard: readonly string[]): string[] {
  return heard.map((text) => text.replace("10.1.0.0/16 ", "").replace(/ \[.*/, ""));
}

describe("where ADD-PATH is spoken", () => {
  function world(addPathMax: number): { w: OutWorld; from: RibPeer[]; a: Listener } {
    const w = new OutWorld();
    const from = [2, 3, 4].map((n) => w.peer(n, CLIENT));
    for (const [i, peer] of from.entries()) {
      w.announce(peer, ["10.1.0.0/16"], { localPref: 100 + i }, peer.config.addr);
    }
    const a = w.neighbor(9, CLIENT, { addPathMax }, WITH_IDS);
    return { w, from, a };
  }

  test("several paths are told, the best ones, each under its own identifier", () => {
    const { w, from, a } = world(2);
    expect(short(w.hear(a))).toEqual(["+path 3 via 10.0.0.4", "+path 2 via 10.0.0.3", "eor 257"]);
    isAsExpected(w, a);
    w.withdraw(from[2] as RibPeer, ["10.1.0.0/16"]);
    expect(short(w.hear(a))).toEqual(["-path 3", "+path 1 via 10.0.0.2"]);
    // The order of those that are told is nobody's business.
    w.announce(from[0] as RibPeer, ["10.1.0.0/16"], { localPref: 500 }, ipv4("10.0.0.2"));
    expect(short(w.hear(a))).toEqual(["+path 1 via 10.0.0.2"]);
    expect(w.out.count(a.peer, V4)).toBe(2);
    isAsExpected(w, a);
  });

  test("identifiers stay as long as their paths", () => {
    const { w, from, a } = world(9);
    w.hear(a);
    for (const localPref of [300, 50, 200]) {
      w.announce(from[1] as RibPeer, ["10.1.0.0/16"], { localPref }, ipv4("10.0.0.3"));
      expect(short(w.hear(a))).toEqual(["+path 2 via 10.0.0.3"]);
    }
    isAsExpected(w, a);
  });

  test("one alone is the best one, under the identifier that it has", () => {
    const { w, from, a } = world(1);
    expect(short(w.hear(a))).toEqual(["+path 3 via 10.0.0.4", "eor 257"]);
    w.withdraw(from[2] as RibPeer, ["10.1.0.0/16"]);
    expect(short(w.hear(a))).toEqual(["-path 3", "+path 2 via 10.0.0.3"]);
    isAsExpected(w, a);
  });

  test("what policy or communities keep back makes room for the next", () => {
    const { w, from, a } = world(2);
    w.hear(a);
    const communities = [Community.NO_ADVERTISE];
    w.announce(from[2] as RibPeer, ["10.1.0.0/16"], { localPref: 500, communities });
    expect(short(w.hear(a)).toSorted()).toEqual(["+path 1 via 10.0.0.2", "-path 3"]);
    expect(w.out.explain(a.peer, w.dest("10.1.0.0/16"))).toBe(
      "path 3 of p4: NO_ADVERTISE; path 2 of p3: told; path 1 of p2: told",
    );
    isAsExpected(w, a);
  });

  test("a source is told the others' paths, and nobody else's identifiers", () => {
    const { w, a } = world(3);
    const b = w.join(w.peer(10, CLIENT), { addPathMax: 3 }, WITH_IDS);
    w.announce(b.peer, ["10.1.0.0/16"], { localPref: 900 }, ipv4("10.0.0.10"));
    w.settle();
    isAsExpected(w, a, b);
    expect([...a.table.keys()].toSorted()).toEqual(
      [2, 3, 4].map((id) => `10.1.0.0/16 path ${id}`).toSorted(),
    );
    expect([...b.table.keys()].toSorted()).toEqual([2, 3].map((id) => `10.1.0.0/16 path ${id}`).toSorted());
    expect(w.out.stats.groups).toBe(1);
    expect(w.out.explain(b.peer, w.dest("10.1.0.0/16"))).toBe(
      "path 4 of p10: learnt from it; path 3 of p4: told; path 2 of p3: told; path 1 of p2: not one of the 3 best",
    );
  });
});

describe("the interval between advertisements", () => {
  const mraiSec = 10;

  test("does not hold up the first table, nor withdrawals; then holds up what comes too soon", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    w.announce(x, ["10.1.0.0/16"]);
    const a = w.neighbor(3, {}, { mraiSec });
    expect(w.hear(a)).toHaveLength(2);
    w.announce(x, ["10.2.0.0/16"]);
    expect(w.hear(a)).toEqual(["+10.2.0.0/16 via 10.0.0.9 [65001]"]);
    w.announce(x, ["10.3.0.0/16"]);
    expect(w.hear(a)).toEqual([]);
    const due = w.out.nextDeadline();
    // Jittered: three quarters of it at least, and less than all of it.
    expect(due).toBeGreaterThanOrEqual(w.now + 7.5 * SEC_US);
    expect(due).toBeLessThanOrEqual(w.now + 10 * SEC_US);
    w.withdraw(x, ["10.1.0.0/16"]);
    expect(w.hear(a)).toEqual(["-10.1.0.0/16"]);
    w.announce(x, ["10.4.0.0/16"]);
    w.now = due - 1;
    expect(w.hear(a)).toEqual([]);
    expect(w.out.nextDeadline()).toBe(due);
    w.now = due;
    expect(w.hear(a).map((text) => text.split(" ")[0])).toEqual(["+10.3.0.0/16", "+10.4.0.0/16"]);
    w.now += 20 * SEC_US;
    w.announce(x, ["10.5.0.0/16"]);
    expect(w.hear(a)).toHaveLength(1);
    isAsExpected(w, a);
  });

  test("is another each time, and does not hold up who has just come", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    const a = w.neighbor(3, {}, { mraiSec });
    w.settle();
    const waits = new Set<number>();
    for (let i = 1; i < 6; i++) {
      w.announce(x, [`10.${i}.0.0/16`]);
      w.settle();
      w.announce(x, [`10.${i}.0.0/17`]);
      w.settle();
      waits.add(w.out.nextDeadline() - w.now);
      w.now = w.out.nextDeadline();
      w.settle();
      w.now += 20 * SEC_US;
    }
    expect(waits.size).toBe(5);
    w.announce(x, ["11.0.0.0/16"]);
    w.settle();
    w.announce(x, ["12.0.0.0/16"]);
    w.settle();
    const b = w.neighbor(4, {}, { mraiSec });
    w.settle();
    expect(b.heard.at(-1)).toBe("eor 257");
    isAsExpected(w, a, b);
  });

  test("of a neighbour that does not read is not waited for twice", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    const a = w.neighbor(3, {}, { mraiSec });
    w.settle();
    w.unblock(a, 0);
    w.announce(x, ["10.1.0.0/16"]);
    w.settle();
    w.announce(x, ["10.2.0.0/16"]);
    w.settle();
    expect(w.out.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    w.now += 20 * SEC_US;
    w.unblock(a);
    w.settle();
    expect(a.take()).toHaveLength(3);
    isAsExpected(w, a);
  });
});
