import { describe, expect, test } from "vitest";
import { NEVER, SEC_US } from "../../../../../src/base/time.ts";
import { Family } from "../../../../../src/wire/bgp/family.ts";
import { RefreshSubtype } from "../../../../../src/wire/bgp/route-refresh.ts";
import {
  BENCH_FSM,
  benchConfig,
  END_OF_RIB,
  join,
  KEEPALIVE,
  notification,
  openBytes,
  otherConfig,
  PeerBench,
  refreshBytes,
  updateBytes,
} from "../../../../support/bgp-bench.ts";

const V4 = Family.IPV4_UNICAST;
const PREFIX = [24, 10, 1, 2];

describe("coming up", () => {
  test("dials at once, opens, confirms at once, is Established", () => {
    const bench = new PeerBench();
    expect(bench.give({ t: "start" })).toEqual(["dial 1"]);
    expect(bench.state).toBe("Connect");
    expect(bench.give({ t: "connected", conn: 1 })).toEqual(["send 1 OPEN"]);
    expect(bench.receive(1, openBytes())).toEqual(["send 1 KEEPALIVE"]);
    expect(bench.state).toBe("OpenConfirm");
    expect(bench.receive(1, KEEPALIVE)).toEqual(["up"]);
    expect(bench.state).toBe("Established");
    expect(bench.peer.status().counters.established).toBe(1);
  });

  test("answers a call while it waits to dial, and does not dial then", () => {
    const bench = new PeerBench(benchConfig({ fsm: { ...BENCH_FSM, connectDelaySec: 2 } }));
    expect(bench.give({ t: "start" })).toEqual([]);
    expect(bench.state).toBe("Active");
    const conn = bench.call();
    expect(bench.lines).toEqual([`send ${conn} OPEN`]);
    bench.receive(conn, openBytes(), KEEPALIVE);
    expect(bench.state).toBe("Established");
    expect(bench.peer.status().incoming).toBe(true);
    expect(bench.wait(20).filter((line) => line.startsWith("dial"))).toEqual([]);
  });

  test("what arrives in one piece is processed in order in one go", () => {
    const bench = new PeerBench();
    const conn = bench.dial();
    const lines = bench.receive(conn, openBytes(), KEEPALIVE, updateBytes([PREFIX]), END_OF_RIB);
    expect(lines).toEqual(["up", "update", `endOfRib ${V4}`, `send ${conn} KEEPALIVE`]);
  });

  test("what arrives octet by octet is the same", () => {
    const bench = new PeerBench();
    const conn = bench.dial();
    for (const octet of join(openBytes(), KEEPALIVE, updateBytes([PREFIX]))) {
      bench.receive(conn, Uint8Array.of(octet));
    }
    expect(bench.lines.slice(2)).toEqual([`send ${conn} KEEPALIVE`, "up", "update"]);
  });

  test("a driver that does not take everything out loses nothing", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    const bytes = join(updateBytes([PREFIX]), updateBytes([[16, 10, 3]]), KEEPALIVE);
    for (let at = 0; at < bytes.length; at += 30) {
      bench.peer.handle({ t: "received", conn, bytes: bytes.slice(at, at + 30) }, bench.now);
    }
    bench.peer.handle({ t: "closed", conn }, bench.now);
    expect(bench.drain()).toEqual(["update", "update", "down lost"]);
    const updates = bench.outputs.flatMap((out) => (out.t === "update" ? [out.update] : []));
    expect(updates.map((one) => one.announced[0]?.prefixes.lens[0])).toEqual([24, 16]);
    for (const { attributeBlock } of updates)
      expect([...attributeBlock.subarray(0, 4)]).toEqual([0x40, 1, 1, 0]);
  });

  test("nothing that was buffered behind a fault is processed", () => {
    const bench = new PeerBench();
    const conn = bench.dial();
    const lines = bench.receive(conn, openBytes(), updateBytes([PREFIX]), KEEPALIVE, END_OF_RIB);
    expect(lines).toEqual([`send ${conn} KEEPALIVE N5/2:2`, `close ${conn} flushed`]);
    expect(bench.state).toBe("Idle");
  });

  test("a refused connection waits for ConnectRetry, in Active, and takes a call meanwhile", () => {
    const bench = new PeerBench();
    bench.give({ t: "start" });
    bench.give({ t: "connectFailed", conn: 1, message: "connection refused" });
    expect(bench.state).toBe("Active");
    expect(bench.wait(14.9)).toEqual([]);
    expect(bench.wait(5.1)).toEqual(["dial 2"]);
    const conn = bench.call();
    expect(bench.lines.at(-1)).toBe(`send ${conn} OPEN`);
  });

  test("a connection that takes longer than ConnectRetry is given up for another", () => {
    const bench = new PeerBench();
    bench.give({ t: "start" });
    expect(bench.wait(20)).toEqual(["close 1", "dial 2"]);
    expect(bench.give({ t: "connected", conn: 1 })).toEqual(["close 1"]);
    expect(bench.give({ t: "connected", conn: 2 })).toEqual(["send 2 OPEN"]);
  });

  test("a neighbour that never sends an OPEN is told that the hold timer has expired, after four minutes", () => {
    const bench = new PeerBench();
    const conn = bench.dial();
    expect(bench.wait(239)).toEqual([]);
    expect(bench.wait(1)).toEqual([`send ${conn} N4/0`, `close ${conn} flushed`]);
  });

  test("passive: never dials, runs no timer, takes calls", () => {
    const bench = new PeerBench(benchConfig({ fsm: { ...BENCH_FSM, passive: true } }));
    bench.give({ t: "start" });
    expect(bench.state).toBe("Active");
    expect(bench.peer.nextDeadline()).toBe(NEVER);
    const conn = bench.call();
    bench.receive(conn, openBytes(), KEEPALIVE);
    expect(bench.state).toBe("Established");
    bench.give({ t: "closed", conn });
    expect(bench.state).toBe("Active");
    expect(bench.peer.nextDeadline()).toBe(NEVER);
  });

  test("extended messages are taken as soon as we have announced them", () => {
    const bench = new PeerBench(benchConfig({ extendedMessage: true }));
    const conn = bench.establish(openBytes(otherConfig({ extendedMessage: true })));
    const many = Array.from({ length: 3000 }, (_, i) => [24, 10, i >> 8, i & 255]);
    expect(bench.receive(conn, updateBytes(many))).toEqual(["update"]);
    const old = new PeerBench();
    const other = old.establish();
    expect(old.receive(other, updateBytes(many))[0]).toMatch(/^send \d+ N1\/2:/);
  });
});

describe("timers of a session", () => {
  test("a KEEPALIVE is answered with ours as soon as our jitter allows it, once, and no sooner", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    const { keepaliveAt } = bench.peer.status();
    // 90 s of hold time: every 30 s, or a quarter of that sooner.
    const soonest = bench.now + 22.5 * SEC_US;
    expect(bench.peer.keepaliveFrom).toBe(soonest);
    expect(keepaliveAt).toBeGreaterThan(soonest);
    bench.now = soonest - 1;
    expect(bench.receive(conn, KEEPALIVE)).toEqual([]);
    expect(bench.give({ t: "keepalive" })).toEqual([]);
    bench.now = soonest;
    expect(bench.receive(conn, KEEPALIVE)).toEqual([`send ${conn} KEEPALIVE`]);
    expect(bench.receive(conn, KEEPALIVE)).toEqual([]);
    expect(bench.peer.status().keepaliveAt).toBeGreaterThanOrEqual(soonest + 22.5 * SEC_US);
    // Nothing is left of the timer as it was.
    expect(bench.peer.nextDeadline()).toBeGreaterThanOrEqual(soonest + 22.5 * SEC_US);
  });

  test("what is asked for is sooner: also after an UPDATE, and when a neighbour's KEEPALIVE is answered", () => {
    const { fsm } = benchConfig();
    const bench = new PeerBench(benchConfig({ fsm: { ...fsm, keepaliveSec: 8 } }));
    const conn = bench.establish();
    expect(bench.peer.keepaliveFrom).toBe(bench.now + 6 * SEC_US);
    expect(bench.wait(8)).toEqual([`send ${conn} KEEPALIVE`]);
    bench.peer.transmit(updateBytes([PREFIX]), bench.now);
    bench.drain();
    expect(bench.peer.keepaliveFrom).toBe(bench.now + 6 * SEC_US);
    expect(bench.peer.status().keepaliveAt).toBeLessThanOrEqual(bench.now + 8 * SEC_US);
  });

  test("without a hold time there is nothing to send, nor where there is no session", () => {
    const bench = new PeerBench();
    expect(bench.peer.keepaliveFrom).toBe(NEVER);
    bench.establish(openBytes(otherConfig({ holdTimeSec: 0 })));
    bench.now += 1000 * SEC_US;
    expect(bench.peer.keepaliveFrom).toBe(NEVER);
    expect(bench.give({ t: "keepalive" })).toEqual([]);
  });

  test("KEEPALIVEs are a second apart at least, however short the hold time", () => {
    const bench = new PeerBench();
    const conn = bench.establish(openBytes(otherConfig({ holdTimeSec: 3 })));
    // A third of three seconds, or a quarter of that sooner: less than a second.
    const soonest = bench.now + SEC_US;
    expect(bench.peer.keepaliveFrom).toBe(soonest);
    bench.now = soonest - 1;
    expect(bench.receive(conn, KEEPALIVE)).not.toContain(`send ${conn} KEEPALIVE`);
  });

  test("the next session does not inherit when the last one was to send a KEEPALIVE", () => {
    const bench = new PeerBench(benchConfig({ fsm: { ...BENCH_FSM, passive: true } }));
    bench.give({ t: "start" });
    const first = bench.call();
    bench.receive(first, openBytes(), KEEPALIVE);
    expect(bench.peer.keepaliveFrom).toBeGreaterThan(bench.now);
    bench.give({ t: "closed", conn: first });
    expect(bench.peer.keepaliveFrom).toBe(NEVER);
    const second = bench.call();
    bench.receive(second, openBytes(otherConfig({ holdTimeSec: 0 })), KEEPALIVE);
    expect(bench.state).toBe("Established");
    bench.now += 1000 * SEC_US;
    expect(bench.peer.keepaliveFrom).toBe(NEVER);
    expect(bench.give({ t: "keepalive" })).toEqual([]);
  });

  test("KEEPALIVEs go out at a third of the hold time, jittered; the hold timer is re-armed by what comes", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    for (let i = 0; i < 20; i++) {
      const sent = bench.wait(30).filter((line) => line === `send ${conn} KEEPALIVE`);
      expect(sent.length).toBeGreaterThanOrEqual(1);
      expect(sent.length).toBeLessThanOrEqual(2);
      bench.receive(conn, i % 2 === 0 ? KEEPALIVE : updateBytes([PREFIX]));
    }
    expect(bench.state).toBe("Established");
    expect(bench.wait(91).slice(-3)).toEqual([
      `send ${conn} N4/0`,
      "down local 4/0",
      `close ${conn} flushed`,
    ]);
  });

  test("the smaller hold time counts, and half a message re-arms nothing", () => {
    const bench = new PeerBench();
    const conn = bench.establish(openBytes(otherConfig({ holdTimeSec: 9 })));
    expect(bench.peer.status().negotiated?.holdTimeSec).toBe(9);
    bench.wait(8.9);
    bench.receive(conn, KEEPALIVE.subarray(0, 18));
    expect(bench.wait(0.2).at(-1)).toBe(`close ${conn} flushed`);
  });

  test("sending an UPDATE re-arms the keepalive timer", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    for (let i = 0; i < 30; i++) {
      bench.wait(10);
      bench.receive(conn, KEEPALIVE);
      expect(bench.peer.transmit(updateBytes([PREFIX]), bench.now)).toBe(true);
      expect(bench.drain()).toEqual([`send ${conn} UPDATE`]);
    }
    expect(bench.lines.filter((line) => line.endsWith("KEEPALIVE"))).toHaveLength(1);
  });

  test("hold time 0: no timer at all, for ever", () => {
    const bench = new PeerBench(benchConfig({ holdTimeSec: 0 }));
    const conn = bench.establish();
    expect(bench.peer.nextDeadline()).toBe(NEVER);
    bench.receive(conn, updateBytes([PREFIX]), KEEPALIVE);
    bench.peer.transmit(updateBytes([PREFIX]), bench.now);
    bench.drain();
    expect(bench.peer.nextDeadline()).toBe(NEVER);
    expect(bench.state).toBe("Established");
  });

  test("whoever waits for the engine re-arms its timer seldom, however much arrives", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    const deadlines = new Set<number>();
    for (let i = 0; i < 1000; i++) {
      bench.now += 1000;
      bench.receive(conn, updateBytes([PREFIX]));
      deadlines.add(bench.peer.nextDeadline());
    }
    expect(deadlines.size).toBe(1);
  });

  test("a neighbour that takes nothing for eight minutes is left (RFC 9687)", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    bench.give({ t: "blocked", conn });
    for (let i = 0; i < 15; i++) {
      bench.wait(30);
      bench.receive(conn, KEEPALIVE);
    }
    expect(bench.state).toBe("Established");
    expect(bench.lines.filter((line) => line.endsWith("KEEPALIVE"))).toHaveLength(1);
    expect(bench.wait(31)).toEqual([`send ${conn} N8/0`, "down local 8/0", `close ${conn} flushed`]);
  });

  test("one that takes a little now and then is kept", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    bench.give({ t: "blocked", conn });
    for (let i = 0; i < 40; i++) {
      bench.wait(30);
      bench.give({ t: "progress", conn });
      bench.receive(conn, KEEPALIVE);
    }
    expect(bench.state).toBe("Established");
    expect(bench.give({ t: "drained", conn })).toEqual([`send ${conn} KEEPALIVE`]);
  });
});

describe("going down", () => {
  test("stop says why, with the administrator's words, and leaves no timer", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    expect(bench.give({ t: "stop", text: "bye" })).toEqual([
      `send ${conn} N6/2:3,98,121,101`,
      "down local 6/2",
      `close ${conn} flushed`,
    ]);
    expect(bench.state).toBe("Idle");
    expect(bench.peer.nextDeadline()).toBe(NEVER);
    expect(bench.give({ t: "closed", conn })).toEqual([]);
  });

  test("a dial that completes after the stop is closed", () => {
    const bench = new PeerBench();
    bench.give({ t: "start" });
    expect(bench.give({ t: "stop" })).toEqual(["close 1"]);
    expect(bench.give({ t: "connected", conn: 1 })).toEqual(["close 1"]);
    expect(bench.peer.nextDeadline()).toBe(NEVER);
  });

  test("a call while down, or while waiting after a fault, is refused", () => {
    const bench = new PeerBench();
    const early = bench.call();
    expect(bench.lines).toEqual([`close ${early}`]);
    const conn = bench.dial();
    bench.receive(conn, KEEPALIVE);
    expect(bench.state).toBe("Idle");
    const late = bench.call();
    expect(bench.lines.at(-1)).toBe(`close ${late}`);
  });

  test("reset says so and comes back soon, ready for a call at once", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    expect(bench.give({ t: "reset" })).toEqual([
      `send ${conn} N6/4`,
      "down local 6/4",
      `close ${conn} flushed`,
    ]);
    expect(bench.state).toBe("Active");
    expect(bench.wait(1)).toEqual(["dial 2"]);
  });

  test("reset ends any wait", () => {
    const waiting = new PeerBench();
    waiting.give({ t: "start" });
    waiting.give({ t: "connectFailed", conn: 1, message: "refused" });
    expect(waiting.give({ t: "reset" })).toEqual(["dial 2"]);
    const bench = new PeerBench();
    const conn = bench.dial();
    bench.receive(conn, KEEPALIVE);
    expect(bench.state).toBe("Idle");
    expect(bench.give({ t: "reset" })).toEqual(["dial 2"]);
    bench.give({ t: "stop" });
    expect(bench.give({ t: "reset" })).toEqual([]);
    expect(bench.peer.nextDeadline()).toBe(NEVER);
  });

  test("the fast detector ends a session, and keeps none from coming up", () => {
    const bench = new PeerBench();
    bench.give({ t: "start" });
    expect(bench.give({ t: "bfdDown" })).toEqual([]);
    bench.give({ t: "connected", conn: 1 });
    bench.receive(1, openBytes(), KEEPALIVE);
    expect(bench.give({ t: "bfdDown" })).toEqual(["send 1 N6/10", "down local 6/10", "close 1 flushed"]);
    expect(bench.state).toBe("Active");
  });

  test("a lost session is taken up again within a second, and a call is welcome before", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    expect(bench.give({ t: "closed", conn, message: "reset by peer" })).toEqual(["down lost"]);
    expect(bench.state).toBe("Active");
    const again = bench.call();
    bench.receive(again, openBytes(), KEEPALIVE);
    expect(bench.state).toBe("Established");
  });

  test("a NOTIFICATION is never answered, in no state", () => {
    for (const before of [[], [openBytes()], [openBytes(), KEEPALIVE]]) {
      for (const said of [
        notification(6, 2),
        notification(2, 1),
        notification(99, 99, 1, 2),
        notification(3, 1),
      ]) {
        const bench = new PeerBench();
        const conn = bench.dial();
        bench.receive(conn, ...before);
        const lines = bench.receive(conn, said, KEEPALIVE);
        expect(lines.filter((line) => line.startsWith("send"))).toEqual([]);
        expect(lines.at(-1)).toBe(`close ${conn}`);
        if (before.length === 2) expect(lines[0]).toMatch(/^down remote/);
      }
    }
  });

  test("faults are waited for, longer each time; purpose is not", () => {
    const bench = new PeerBench();
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) {
      const conn = i === 0 ? bench.dial() : bench.ids.next() - 1;
      if (i > 0) bench.give({ t: "connected", conn: lastDial(bench) });
      bench.receive(i === 0 ? conn : lastDial(bench), openBytes(undefined, { holdTimeSec: 1 }));
      expect(bench.state).toBe("Idle");
      waits.push(Math.round(bench.idleFor));
      bench.wait(40);
    }
    expect(waits[0]).toBeLessThanOrEqual(5);
    for (let i = 1; i < 4; i++) expect(waits[i]).toBeGreaterThan(waits[i - 1] as number);
    expect(waits[3]).toBeLessThanOrEqual(30);
  });
});

function lastDial(bench: PeerBench): number {
  const dial = bench.outputs.findLast((out) => out.t === "dial");
  return dial?.t === "dial" ? dial.conn : 0;
}

describe("OPENs that are refused", () => {
  const cases = [
    { name: "another AS", open: openBytes(otherConfig({ localAs: 65000 })), want: "N2/2:0,0,253,232" },
    { name: "hold time 1", open: openBytes(undefined, { holdTimeSec: 1 }), want: "N2/6:0,1" },
    { name: "our identifier", open: openBytes(benchConfig()), want: "N2/3:10,0,0,1" },
    { name: "identifier 0", open: openBytes(undefined, { bgpId: 0 }), want: "N2/3:0,0,0,0" },
    {
      name: "no family in common",
      open: openBytes(otherConfig({ families: [{ family: Family.IPV6_UNICAST }] })),
      want: "N2/7:1,4,0,1,0,1",
    },
  ];
  test.each(cases)("$name", ({ open, want }) => {
    const bench = new PeerBench();
    const conn = bench.dial();
    expect(bench.receive(conn, open)).toEqual([`send ${conn} ${want}`, `close ${conn} flushed`]);
    expect(bench.peer.status().backOffUntil).toBeLessThanOrEqual(bench.now + 5 * SEC_US);
  });

  test("a wrong version is answered with ours", () => {
    const bench = new PeerBench();
    const conn = bench.dial();
    const open = openBytes();
    open[19] = 3;
    expect(bench.receive(conn, open)[0]).toBe(`send ${conn} N2/1:0,4`);
  });

  test("a neighbour that stumbles over capabilities is tried once without (knob)", () => {
    const bench = new PeerBench(benchConfig({ capabilityFallback: true }));
    const conn = bench.dial();
    bench.receive(conn, notification(2, 4));
    bench.wait(10);
    bench.give({ t: "connected", conn: lastDial(bench) });
    const open = bench.outputs.findLast((out) => out.t === "send");
    expect(open?.t === "send" ? open.bytes.length : 0).toBe(29);
    bench.receive(lastDial(bench), notification(2, 4));
    bench.wait(30);
    bench.give({ t: "connected", conn: lastDial(bench) });
    const full = bench.outputs.findLast((out) => out.t === "send");
    expect(full?.t === "send" ? full.bytes.length : 0).toBeGreaterThan(29);
  });
});

describe("messages of a session", () => {
  test("RFC 7606: only what must reset the session does", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    // ORIGIN 9: the route is treated as withdrawn.
    const odd = [0x40, 1, 1, 9, 0x40, 2, 0, 0x40, 3, 4, 10, 0, 0, 2];
    expect(bench.receive(conn, updateBytes([PREFIX], odd))).toEqual(["update"]);
    expect(bench.peer.counters.treatedAsWithdraw).toBe(1);
    // A second NEXT_HOP: the first counts.
    const twice = [0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 3, 4, 10, 0, 0, 2, 0x40, 3, 4, 10, 0, 0, 3];
    expect(bench.receive(conn, updateBytes([PREFIX], twice))).toEqual(["update"]);
    expect(bench.peer.counters.attributesDiscarded).toBe(1);
    // A prefix of 33 bits.
    expect(bench.receive(conn, updateBytes([[33, 10, 0, 0, 0, 0]]))).toEqual([
      `send ${conn} N3/10`,
      "down local 3/10",
      `close ${conn} flushed`,
    ]);
  });

  test("headers: marker, length, type", () => {
    const cases = [
      { bytes: KEEPALIVE.with(3, 0), want: "N1/1" },
      { bytes: KEEPALIVE.with(17, 18), want: "N1/2:0,18" },
      { bytes: KEEPALIVE.with(18, 9), want: "N1/3:9" },
      { bytes: refreshBytes(V4, 1).subarray(0, 22).with(17, 22), want: "N7/1" },
    ];
    for (const { bytes, want } of cases) {
      const bench = new PeerBench();
      const conn = bench.establish();
      const lines = bench.receive(conn, bytes);
      expect(lines[0]?.startsWith(`send ${conn} ${want}`)).toBe(true);
      expect(lines[1]).toMatch(/^down local/);
    }
  });

  test("a second OPEN is an FSM error", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    expect(bench.receive(conn, openBytes())[0]).toBe(`send ${conn} N5/3:1`);
    const early = new PeerBench();
    const other = early.dial();
    expect(early.receive(other, openBytes(), openBytes())[0]).toBe(`send ${other} KEEPALIVE N5/2:1`);
  });

  test("route refresh, and enhanced refresh both ways (RFC 2918, RFC 7313)", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    expect(bench.receive(conn, refreshBytes(V4, RefreshSubtype.REQUEST))).toEqual([`refreshRequested ${V4}`]);
    expect(bench.receive(conn, refreshBytes(Family.IPV6_UNICAST, 0), refreshBytes(V4, 200))).toEqual([]);
    expect(bench.receive(conn, refreshBytes(V4, RefreshSubtype.EORR))).toEqual([]);
    const begin = refreshBytes(V4, RefreshSubtype.BORR);
    expect(bench.receive(conn, begin, begin)).toEqual([`refreshBegun ${V4}`, `refreshBegun ${V4}`]);
    expect(bench.receive(conn, refreshBytes(V4, RefreshSubtype.EORR))).toEqual([`refreshEnded ${V4}`]);
    bench.receive(conn, begin);
    for (let i = 0; i < 12; i++) {
      bench.wait(30);
      bench.receive(conn, KEEPALIVE);
    }
    expect(bench.lines.filter((line) => line.includes("late"))).toEqual([`refreshEnded ${V4} late`]);
    expect(bench.peer.refresh(V4, RefreshSubtype.REQUEST, bench.now)).toBe(true);
    expect(bench.drain()).toEqual([`send ${conn} REFRESH`]);
    expect(bench.peer.refresh(Family.IPV6_UNICAST, RefreshSubtype.REQUEST, bench.now)).toBe(true);
    expect(bench.drain()).toEqual([]);
  });

  test("a refresh that was not negotiated is neither asked for nor answered", () => {
    const bench = new PeerBench();
    const conn = bench.establish(openBytes(otherConfig({ routeRefresh: false })));
    expect(bench.peer.refresh(V4, RefreshSubtype.REQUEST, bench.now)).toBe(true);
    expect(bench.drain()).toEqual([]);
    expect(bench.receive(conn, refreshBytes(V4, 0), refreshBytes(V4, 1))).toEqual([]);
    expect(bench.state).toBe("Established");
  });

  test("too many prefixes: a warning, then Cease/1 with the bound, and the wait that is configured", () => {
    const prefixLimit = { limit: 8, warnPercent: 75, restartSec: 60 };
    const bench = new PeerBench(benchConfig({ families: [{ family: V4, prefixLimit }] }));
    const conn = bench.establish();
    const count = (n: number): string[] => bench.give({ t: "prefixCount", family: V4, count: n });
    for (const n of [5, 6, 7, 8]) expect(count(n)).toEqual([]);
    const warnings = bench.outputs.filter((out) => out.t === "trace" && out.trace.t === "prefixLimit");
    expect(warnings).toHaveLength(1);
    expect(count(9)).toEqual([`send ${conn} N6/1:0,1,1,0,0,0,8`, "down local 6/1", `close ${conn} flushed`]);
    expect(bench.wait(59)).toEqual([]);
    expect(bench.wait(1)).toEqual(["dial 2"]);
  });

  test("too many prefixes without a wait: down until it is started again", () => {
    const prefixLimit = { limit: 8, warnPercent: 75, restartSec: undefined };
    const bench = new PeerBench(benchConfig({ families: [{ family: V4, prefixLimit }] }));
    bench.establish();
    bench.give({ t: "prefixCount", family: V4, count: 9 });
    expect(bench.peer.nextDeadline()).toBe(NEVER);
    expect(bench.give({ t: "start" })).toEqual(["dial 2"]);
  });
});

describe("writing", () => {
  test("many chunks leave in one write; a full socket stops the queue, not the engine", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    const update = updateBytes([PREFIX]);
    for (let i = 0; i < 50; i++) bench.peer.transmit(update, bench.now);
    const lines = bench.drain();
    expect(lines).toHaveLength(1);
    expect(lines[0]?.match(/UPDATE/g)).toHaveLength(50);
    bench.give({ t: "blocked", conn });
    expect(bench.peer.writable).toBe(false);
    expect(bench.peer.transmit(update, bench.now)).toBe(false);
    expect(bench.drain()).toEqual([]);
    expect(bench.give({ t: "drained", conn })).toEqual(["writable"]);
    expect(bench.peer.transmit(update, bench.now)).toBe(true);
    expect(bench.drain()).toEqual([`send ${conn} UPDATE`]);
  });

  test("the queue is bounded: it says no, and says when it has room again", () => {
    const bench = new PeerBench();
    bench.establish();
    const chunk = join(...Array.from({ length: 100 }, () => updateBytes([PREFIX])));
    let taken = 0;
    while (bench.peer.transmit(chunk, bench.now)) taken++;
    expect(taken * chunk.length).toBeLessThan(300 * 1024);
    const lines = bench.drain();
    expect(lines.filter((line) => line === "writable")).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith("send")).length).toBeGreaterThan(3);
    expect(bench.peer.status().queuedBytes).toBe(0);
  });

  test("without a session nothing is taken", () => {
    const bench = new PeerBench();
    bench.dial();
    expect(bench.peer.transmit(KEEPALIVE, bench.now)).toBe(false);
    expect(bench.peer.refresh(V4, RefreshSubtype.REQUEST, bench.now)).toBe(false);
  });

  test("a NOTIFICATION overtakes what a full socket has not taken", () => {
    const bench = new PeerBench();
    const conn = bench.establish();
    bench.peer.transmit(updateBytes([PREFIX]), bench.now);
    bench.peer.handle({ t: "blocked", conn }, bench.now);
    expect(bench.give({ t: "stop" })).toEqual([
      `send ${conn} N6/2`,
      "down local 6/2",
      `close ${conn} flushed`,
    ]);
  });
});

describe("dynamic neighbours", () => {
  const config = benchConfig({
    dynamic: true,
    peerAs: new Set([64512, 65001]),
    fsm: { ...BENCH_FSM, passive: true },
  });

  test("expire with their session", () => {
    const bench = new PeerBench(config);
    bench.give({ t: "start" });
    expect(bench.lines).toEqual([]);
    const conn = bench.call();
    bench.receive(conn, openBytes(), KEEPALIVE);
    expect(bench.give({ t: "closed", conn })).toEqual(["down lost", "expired"]);
    expect(bench.peer.nextDeadline()).toBe(NEVER);
  });

  test("of another AS are told so, and only expire when the wait after the fault is over", () => {
    const bench = new PeerBench(config);
    bench.give({ t: "start" });
    const conn = bench.call();
    expect(bench.receive(conn, openBytes(otherConfig({ localAs: 65009 })))).toEqual([
      `send ${conn} N2/2:0,0,253,241`,
      `close ${conn} flushed`,
    ]);
    expect(bench.wait(6)).toEqual(["expired"]);
  });

  test("whose range is taken away are told Cease/3", () => {
    const bench = new PeerBench(config);
    bench.give({ t: "start" });
    const conn = bench.call();
    bench.receive(conn, openBytes(), KEEPALIVE);
    expect(bench.give({ t: "cease", subcode: 3 })).toEqual([
      `send ${conn} N6/3`,
      "down local 6/3",
      `close ${conn} flushed`,
      "expired",
    ]);
  });
});
