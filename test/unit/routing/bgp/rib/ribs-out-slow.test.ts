// Neighbours that do not take what they are sent, and neighbours that want it again.
import { describe, expect, test } from "vitest";
import type { RibPeer, RibPeerConfig } from "../../../../../src/routing/bgp/rib/rib-peer.ts";
import {
  block,
  EXPORT,
  expectedTable,
  knownTable,
  type Listener,
  OutWorld,
} from "../../../../support/out-world.ts";
import { rewriting, V4, V6, way } from "../../../../support/rib-world.ts";

const CLIENT: Partial<RibPeerConfig> = { rrClient: true };
const EXTERNAL: Partial<RibPeerConfig> = { internal: false };

function isAsExpected(w: OutWorld, ...listeners: readonly Listener[]): void {
  for (const one of listeners) {
    expect(knownTable(one)).toEqual(expectedTable(w, one));
    expect(one.redundant).toEqual([]);
    expect(one.refreshing.size).toBe(0);
  }
}

/** `changes` changes of `prefixes` prefixes, a few at a time, with everything sent that is taken. */
function churn(w: OutWorld, x: RibPeer, prefixes: readonly string[], changes: number): void {
  for (let n = 0; n < changes; ) {
    const some = Array.from({ length: 20 }, () => prefixes[(n++ * 7919) % prefixes.length] as string);
    if (n % 3 === 0) w.withdraw(x, some);
    else w.announce(x, some, { asPath: way(65002, 65100 + (n % 11)) });
    w.settle();
  }
}

describe("a member that takes nothing for a while", () => {
  const prefixes = block(400);

  test("is told the final state, once; the others are not held up", () => {
    const w = new OutWorld({}, 4096);
    const x = w.peer(2, EXTERNAL);
    w.announce(x, prefixes, { asPath: way(65002) });
    const [slow, a, b] = [3, 4, 5].map((n) => w.neighbor(n)) as [Listener, Listener, Listener];
    w.settle();
    w.unblock(slow, 0);
    const before = slow.chunks.length;
    for (let round = 0; round < 20; round++) {
      churn(w, x, prefixes, 500);
      isAsExpected(w, a, b);
    }
    expect(slow.chunks.length).toBe(before);
    expect(w.out.stats.splitOffs).toBe(1);
    // 10,000 changes, and no more to remember than there are prefixes.
    expect(w.out.pending(slow.peer)).toBeLessThanOrEqual(prefixes.length);
    slow.take();
    w.unblock(slow);
    w.settle();
    isAsExpected(w, slow, a, b);
    const heard = slow.take();
    expect(new Set(heard).size).toBe(heard.length);
    expect(heard.length).toBeLessThanOrEqual(prefixes.length);
    // Back in step, it shares octets with the others.
    w.originate("10.255.0.0/16");
    w.settle();
    expect(slow.chunks.at(-1)).toBe(a.chunks.at(-1));
  });

  test("alone in its group, costs nothing: changes wait where they are", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    w.announce(x, prefixes, { asPath: way(65002) });
    const slow = w.neighbor(3);
    w.settle();
    w.unblock(slow, 0);
    const before = w.out.stats.encodedBytes;
    churn(w, x, prefixes, 10_000);
    expect(w.out.stats.encodedBytes - before).toBeLessThan(200);
    expect(w.out.stats.splitOffs).toBe(0);
    expect(w.out.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    w.unblock(slow);
    w.settle();
    isAsExpected(w, slow);
  });

  test("for a moment only, gets the same octets as the others", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    const [slow, a] = [3, 4].map((n) => w.neighbor(n)) as [Listener, Listener];
    w.settle();
    w.unblock(slow, 0);
    for (let i = 0; i < 5; i++) {
      w.announce(x, prefixes, { asPath: way(65002, 65100 + i) });
      w.settle();
    }
    expect(w.out.pending(slow.peer)).toBe(5 * prefixes.length);
    // It takes two chunks, then three.
    expect(w.out.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    w.unblock(slow, 2);
    expect(w.out.nextDeadline()).toBe(0);
    w.settle();
    w.unblock(slow);
    w.settle();
    expect(slow.chunks.length).toBe(a.chunks.length);
    for (const [i, chunk] of slow.chunks.entries()) expect(chunk).toBe(a.chunks[i]);
    expect(w.out.stats.splitOffs).toBe(0);
    isAsExpected(w, slow, a);
  });

  test("and is a source meanwhile: its own routes are not its news", () => {
    // The chunk that told it of 10.1.0.0/16 was taken, those after it were not: among them one about the same prefix, for another.
    const w = new OutWorld({}, 0);
    const [a, b] = [2, 3].map((n) => w.neighbor(n, CLIENT)) as [Listener, Listener];
    const x = w.peer(9, CLIENT);
    w.originate("10.1.0.0/16");
    w.settle();
    w.announce(b.peer, ["10.1.0.0/16"], { localPref: 200 });
    w.announce(x, ["10.2.0.0/16"]);
    w.unblock(a, 1);
    w.settle();
    expect(a.take().at(-1)).toBe("+10.1.0.0/16 via 10.0.0.9 [65001]");
    w.unblock(a);
    w.settle();
    expect(a.take()).toEqual(["+10.2.0.0/16 via 10.0.0.9 [65001]"]);
    isAsExpected(w, a, b);
  });

  test("leaves and comes back: nothing of the old session is sent", () => {
    const w = new OutWorld({}, 0);
    const x = w.peer(2, EXTERNAL);
    const a = w.neighbor(3);
    const slow = w.neighbor(4);
    w.settle();
    w.unblock(slow, 0);
    churn(w, x, prefixes, 1000);
    w.leave(slow);
    const again = w.join(slow.peer);
    churn(w, x, prefixes, 100);
    isAsExpected(w, a, again);
    expect(again.ended).toEqual([V4]);
  });

  test("keeps nothing in memory that is gone, once it has heard so, or has left", () => {
    for (const logMaxBytes of [0, 100_000]) {
      for (const leaves of [false, true]) {
        const w = new OutWorld({}, logMaxBytes);
        const x = w.peer(2, EXTERNAL);
        w.announce(x, prefixes, { asPath: way(65002) });
        const [slow, a] = [3, 4].map((n) => w.neighbor(n)) as [Listener, Listener];
        w.settle();
        w.unblock(slow, 0);
        w.withdraw(x, prefixes);
        w.settle();
        expect(a.table.size).toBe(0);
        expect(w.rib.count(V4)).toBe(prefixes.length);
        if (leaves) w.leave(slow);
        else w.unblock(slow);
        w.settle();
        expect(w.rib.count(V4)).toBe(0);
        if (!leaves) expect(slow.table.size).toBe(0);
      }
    }
  });

  test("does not hear of what went and came back as it was", () => {
    const w = new OutWorld({}, 150);
    const x = w.peer(2, EXTERNAL);
    w.announce(x, prefixes.slice(0, 10), { asPath: way(65002) });
    const [slow, a] = [3, 4].map((n) => w.neighbor(n)) as [Listener, Listener];
    w.settle();
    w.unblock(slow, 0);
    slow.take();
    w.withdraw(x, prefixes.slice(0, 10));
    w.settle();
    w.announce(x, prefixes.slice(0, 10), { asPath: way(65002) });
    w.settle();
    expect(w.out.stats.splitOffs).toBe(1);
    w.unblock(slow);
    w.settle();
    expect(slow.take()).toEqual([]);
    isAsExpected(w, slow, a);
  });

  test("comes up blocked, with a table that keeps changing", () => {
    const w = new OutWorld({}, 1000);
    const x = w.peer(2, EXTERNAL);
    w.announce(x, block(2000), { asPath: way(65002) });
    const a = w.neighbor(3);
    w.settle();
    const slow = w.join(w.peer(4));
    slow.room = 0;
    churn(w, x, prefixes, 500);
    slow.refused = true;
    w.unblock(slow, 1);
    churn(w, x, prefixes, 500);
    expect(slow.ended).toEqual([]);
    w.unblock(slow);
    w.settle();
    isAsExpected(w, a, slow);
    expect(slow.heard.at(-1)).toBe(`eor ${V4}`);
  });
});

describe("a table of a size", () => {
  test("is told to a latecomer in messages that are full, in spite of changes and of pauses", {
    timeout: 120_000,
  }, () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    const all = block(70_000);
    for (let i = 0; i < 7; i++) {
      w.announce(x, all.slice(10_000 * i, 10_000 * (i + 1)), { asPath: way(65002, i + 1) });
    }
    const a = w.neighbor(3);
    w.settle();
    const b = w.join(w.peer(4));
    b.room = 1;
    w.settle();
    expect(b.refused).toBe(true);
    expect(b.table.size).toBeGreaterThan(10_000);
    w.withdraw(x, all.slice(0, 5));
    w.withdraw(x, all.slice(-5));
    w.announce(x, all.slice(35_000, 35_005), { asPath: way(65002) });
    w.announce(x, block(5, 80_000), { asPath: way(65002) });
    w.settle();
    for (let turns = 0; b.ended.length === 0 && turns < 100; turns++) {
      w.unblock(b, 1);
      w.settle();
    }
    w.unblock(b);
    w.settle();
    isAsExpected(w, a, b);
    expect(b.lengths.filter((octets) => octets > 4090).length).toBeGreaterThan(60);
    expect(b.lengths.length).toBeLessThan(95);
  });

  test("is not judged at one go", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    w.announce(x, block(10_000), { asPath: way(65002) });
    const a = w.neighbor(3);
    w.run();
    let turns = 0;
    while (w.out.run(w.now, 500)) turns++;
    expect(turns).toBeGreaterThan(15);
    isAsExpected(w, a);
  });

  test("that never stops changing is told all the same", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    const all = block(2000);
    w.announce(x, all, { asPath: way(65002) });
    const a = w.neighbor(3);
    w.run();
    // More changes than there is time for, turn after turn.
    for (let turn = 0; turn < 200; turn++) {
      w.announce(x, all.slice(0, 600), { asPath: way(65002, turn + 1) });
      w.run();
      w.out.run(w.now, 500);
    }
    expect(a.table.size).toBe(2000);
    w.settle();
    isAsExpected(w, a);
  });
});

describe("a refresh", () => {
  const prefixes = block(3);

  test("is answered between its marks, with everything", () => {
    const w = new OutWorld();
    const x = w.peer(2, EXTERNAL);
    w.announce(x, prefixes, { asPath: way(65002) });
    const a = w.neighbor(3);
    const b = w.neighbor(4);
    for (const one of [a, b]) w.hear(one);
    w.out.refresh(a.peer, V4, w.now);
    const heard = w.hear(a);
    expect(heard[0]).toBe(`borr ${V4}`);
    expect(heard.at(-1)).toBe(`eorr ${V4}`);
    expect(heard.slice(1, -1).map((text) => text.split(" ")[0])).toEqual(prefixes.map((text) => `+${text}`));
    expect(b.take()).toEqual([]);
    w.announce(x, ["10.9.0.0/16"], { asPath: way(65002) });
    w.settle();
    expect(a.chunks.at(-1)).toBe(b.chunks.at(-1));
    isAsExpected(w, a, b);
    expect(w.out.stats.refreshes).toBe(1);
  });

  test("has no marks where the neighbour does not know them", () => {
    const w = new OutWorld();
    w.originate("10.1.0.0/16");
    const a = w.neighbor(3, {}, {}, { enhancedRefresh: false });
    w.hear(a);
    w.out.refresh(a.peer, V4, w.now);
    expect(w.hear(a)).toEqual(["+10.1.0.0/16 via 10.0.0.1 []"]);
  });

  test("of a family that is not spoken, or of a neighbour that is not there, is ignored", () => {
    const w = new OutWorld();
    const a = w.neighbor(3);
    w.hear(a);
    w.out.refresh(a.peer, V6, w.now);
    w.out.refresh(w.peer(4), V4, w.now);
    expect(w.hear(a)).toEqual([]);
  });

  test("waits for the End-of-RIB, and one after another; what is asked twice before is answered once", () => {
    const w = new OutWorld();
    w.originate("10.1.0.0/16");
    const a = w.join(w.peer(3));
    w.out.refresh(a.peer, V4, w.now);
    w.out.refresh(a.peer, V4, w.now);
    const route = "+10.1.0.0/16 via 10.0.0.1 []";
    expect(w.hear(a)).toEqual([route, `eor ${V4}`, `borr ${V4}`, route, `eorr ${V4}`]);
  });

  test("amid changes and pauses ends with the final state", () => {
    const w = new OutWorld({}, 500);
    const x = w.peer(2, EXTERNAL);
    const all = block(300);
    w.announce(x, all, { asPath: way(65002) });
    const [a, b] = [3, 4].map((n) => w.neighbor(n)) as [Listener, Listener];
    w.settle();
    w.out.refresh(a.peer, V4, w.now);
    w.unblock(a, 1);
    w.settle();
    expect(a.refreshing.has(V4)).toBe(true);
    w.withdraw(x, all.slice(0, 50));
    w.announce(x, all.slice(40, 60), { asPath: way(65002, 5) });
    churn(w, x, all, 400);
    w.out.refresh(a.peer, V4, w.now);
    w.unblock(a);
    w.settle();
    isAsExpected(w, a, b);
    const marks = a.heard.filter((text) => text.includes("orr"));
    expect(marks).toEqual(["borr 257", "eorr 257", "borr 257", "eorr 257"]);
  });

  test("under way, and the configuration changes: the end is told once", () => {
    const w = new OutWorld();
    w.announce(w.peer(2, EXTERNAL), block(100), { asPath: way(65002) });
    const a = w.neighbor(3);
    w.settle();
    a.take();
    w.out.refresh(a.peer, V4, w.now);
    w.unblock(a, 1);
    w.settle();
    const tagged = rewriting(() => ({ communities: [7] }));
    w.out.reconfigure(a.peer, { ...EXPORT, policy: tagged }, w.now);
    w.unblock(a);
    w.settle();
    expect(a.heard.filter((text) => text.includes("orr"))).toEqual(["borr 257", "eorr 257"]);
    expect(knownTable(a)).toEqual(expectedTable(w, a, { ...EXPORT, policy: tagged }));
  });
});
