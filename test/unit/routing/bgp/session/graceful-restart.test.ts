import { describe, expect, test } from "vitest";
import { NEVER, SEC_US } from "../../../../../src/base/time.ts";
import type {
  GracefulRestartConfig,
  PeerConfig,
} from "../../../../../src/routing/bgp/session/peer-config.ts";
import { localOpen } from "../../../../../src/routing/bgp/session/peer-config.ts";
import { RestartDeferral } from "../../../../../src/routing/bgp/speaker/restart-deferral.ts";
import { Family } from "../../../../../src/wire/bgp/family.ts";
import { HEADER_LEN } from "../../../../../src/wire/bgp/header.ts";
import { DEFAULT_RULES, negotiate } from "../../../../../src/wire/bgp/negotiated.ts";
import { capabilitiesOf, type OpenMessage, parseOpen } from "../../../../../src/wire/bgp/open.ts";
import {
  benchConfig,
  END_OF_RIB,
  KEEPALIVE,
  notification,
  openBytes,
  otherConfig,
  PeerBench,
} from "../../../../support/bgp-bench.ts";

const V4 = Family.IPV4_UNICAST;
const V6 = Family.IPV6_UNICAST;

const GR: GracefulRestartConfig = {
  restartTimeSec: 50,
  notification: false,
  helperOnly: false,
  peerRestartMaxSec: 4095,
  staleTimeSec: 100,
};

const both = [{ family: V4 }, { family: V6 }];

function bench(gr: Partial<GracefulRestartConfig> = {}, given: Partial<PeerConfig> = {}): PeerBench {
  return new PeerBench(benchConfig({ gracefulRestart: { ...GR, ...gr }, families: both, ...given }));
}

/** The neighbour's OPEN: which families it keeps, and with what bits. */
function peerOpen(
  families: readonly { readonly family: Family; readonly forwarding: boolean }[],
  bits: {
    readonly notification?: boolean;
    readonly restarting?: boolean;
    readonly restartTimeSec?: number;
  } = {},
): Uint8Array {
  const config = otherConfig({ families: both, gracefulRestart: undefined });
  const gr = {
    t: "graceful-restart",
    restarting: bits.restarting ?? false,
    notification: bits.notification ?? false,
    restartTimeSec: bits.restartTimeSec ?? 30,
    families,
  } as const;
  return openBytes({ ...config, extraCapabilities: [gr] });
}

const KEEPS_BOTH = [
  { family: V4, forwarding: true },
  { family: V6, forwarding: true },
];

describe("helping a neighbour over its restart (RFC 4724#4.2)", () => {
  test("routes of the listed families outlive the connection, until the neighbour has told all again", () => {
    const b = bench();
    const conn = b.establish(peerOpen(KEEPS_BOTH));
    expect(b.give({ t: "closed", conn })).toEqual([`down lost keep ${V4},${V6}`]);
    expect(b.peer.status().stale).toEqual([V4, V6]);
    const again = b.call();
    expect(b.receive(again, peerOpen(KEEPS_BOTH, { restarting: true }), KEEPALIVE)).toEqual([
      "up",
      `send ${again} KEEPALIVE`,
    ]);
    const up = b.outputs.findLast((out) => out.t === "peerUp");
    expect(up?.t === "peerUp" ? up.restarting : undefined).toBe(true);
    expect(b.receive(again, END_OF_RIB)).toEqual([`endOfRib ${V4}`, `flush ${V4} endOfRib`]);
    expect(b.receive(again, END_OF_RIB)).toEqual([`endOfRib ${V4}`]);
    expect(b.peer.status().stale).toEqual([V6]);
  });

  test("it must be back in the time that it asked for, or less, if we have less patience", () => {
    for (const { peerRestartMaxSec, wait } of [
      { peerRestartMaxSec: 4095, wait: 30 },
      { peerRestartMaxSec: 10, wait: 10 },
    ]) {
      const b = bench({ peerRestartMaxSec });
      b.give({ t: "closed", conn: b.establish(peerOpen(KEEPS_BOTH)) });
      expect(b.wait(wait - 0.5).filter((line) => line.startsWith("flush"))).toEqual([]);
      expect(b.wait(0.5)).toEqual([`flush ${V4} restartTime`, `flush ${V6} restartTime`]);
    }
  });

  test("back in time, it must end its table in time", () => {
    const b = bench({}, { holdTimeSec: 0 });
    b.give({ t: "closed", conn: b.establish(peerOpen(KEEPS_BOTH)) });
    b.wait(0.5);
    b.receive(b.call(), peerOpen(KEEPS_BOTH), KEEPALIVE);
    expect(b.wait(99)).toEqual([]);
    expect(b.wait(1)).toEqual([`flush ${V4} staleTime`, `flush ${V6} staleTime`]);
    expect(b.peer.nextDeadline()).toBe(NEVER);
  });

  test("what it does not list in its new OPEN, or did not forward meanwhile, goes with that OPEN", () => {
    const b = bench();
    b.give({ t: "closed", conn: b.establish(peerOpen(KEEPS_BOTH)) });
    const again = b.call();
    const open = peerOpen([{ family: V4, forwarding: false }], { restarting: true });
    expect(b.receive(again, open)).toEqual([
      `flush ${V4} notPreserved`,
      `flush ${V6} notPreserved`,
      `send ${again} KEEPALIVE`,
    ]);
    const other = bench();
    other.give({ t: "closed", conn: other.establish(peerOpen(KEEPS_BOTH)) });
    const without = openBytes(otherConfig({ families: both, gracefulRestart: undefined }));
    expect(other.receive(other.call(), without).slice(0, 2)).toEqual([
      `flush ${V4} notPreserved`,
      `flush ${V6} notPreserved`,
    ]);
  });

  test("families that it did not list, or that are not spoken, go at once", () => {
    const b = bench({}, { families: [{ family: V4 }] });
    const conn = b.establish(peerOpen([...KEEPS_BOTH, { family: 0x0104, forwarding: true }]));
    expect(b.give({ t: "closed", conn })).toEqual([`down lost keep ${V4}`]);
    const none = bench();
    expect(none.give({ t: "closed", conn: none.establish(peerOpen([])) })).toEqual(["down lost"]);
    const zero = bench();
    const noTime = zero.establish(peerOpen(KEEPS_BOTH, { restartTimeSec: 0 }));
    expect(zero.give({ t: "closed", conn: noTime })).toEqual(["down lost"]);
  });

  test("lost again before its End-of-RIB: what was stale already goes, what is new stays", () => {
    const b = bench();
    b.give({ t: "closed", conn: b.establish(peerOpen(KEEPS_BOTH)) });
    const again = b.call();
    b.receive(again, peerOpen(KEEPS_BOTH), KEEPALIVE, END_OF_RIB);
    expect(b.give({ t: "closed", conn: again })).toEqual([
      `flush ${V6} lostAgain`,
      `down lost keep ${V4},${V6}`,
    ]);
  });

  test("attempts that fail meanwhile cost it nothing but time", () => {
    const b = bench();
    b.give({ t: "closed", conn: b.establish(peerOpen(KEEPS_BOTH)) });
    const again = b.call();
    b.receive(again, peerOpen(KEEPS_BOTH), notification(2, 0));
    expect(b.peer.status().stale).toEqual([V4, V6]);
    expect(b.wait(30).filter((line) => line.startsWith("flush"))).toHaveLength(2);
  });

  test("stopping it forgets everything", () => {
    const b = bench();
    b.give({ t: "closed", conn: b.establish(peerOpen(KEEPS_BOTH)) });
    expect(b.give({ t: "stop" })).toEqual([`flush ${V4} stopped`, `flush ${V6} stopped`]);
    expect(b.peer.nextDeadline()).toBe(NEVER);
  });

  test("neither side alone can have it", () => {
    const deaf = bench({}, { gracefulRestart: undefined });
    expect(deaf.give({ t: "closed", conn: deaf.establish(peerOpen(KEEPS_BOTH)) })).toEqual(["down lost"]);
    const alone = bench();
    const plain = openBytes(otherConfig({ families: both, gracefulRestart: undefined }));
    expect(alone.give({ t: "closed", conn: alone.establish(plain) })).toEqual(["down lost"]);
  });
});

describe("after a NOTIFICATION (RFC 4724#4, RFC 8538#4)", () => {
  const said = [
    { name: "the neighbour's Cease/4", bytes: notification(6, 4), keep: true },
    { name: "the neighbour's hard reset", bytes: notification(6, 9, 6, 2), keep: false },
    { name: "the neighbour's hold timer", bytes: notification(4, 0), keep: true },
    { name: "our fault found", bytes: openBytes(), keep: true },
  ];
  test.each(said)("$name: routes stay only where both sides have said N", ({ bytes, keep }) => {
    for (const ours of [false, true]) {
      for (const theirs of [false, true]) {
        const b = bench({ notification: ours });
        const conn = b.establish(peerOpen(KEEPS_BOTH, { notification: theirs }));
        const down = b.receive(conn, bytes).find((line) => line.startsWith("down"));
        expect(down?.includes("keep")).toBe(keep && ours && theirs);
      }
    }
  });

  test("our hold timer: gone at once without N, kept with it", () => {
    for (const n of [false, true]) {
      const b = bench({ notification: n });
      b.establish(peerOpen(KEEPS_BOTH, { notification: n }));
      const down = b.wait(91).find((line) => line.startsWith("down"));
      expect(down).toBe(n ? `down local 4/0 keep ${V4},${V6}` : "down local 4/0");
    }
  });

  test("with N a shutdown is a hard reset that carries the words; a reset is one if asked", () => {
    const b = bench({ notification: true });
    const conn = b.establish(peerOpen(KEEPS_BOTH, { notification: true }));
    expect(b.give({ t: "stop", text: "x" }).slice(0, 2)).toEqual([
      `send ${conn} N6/9:6,2,1,120`,
      "down local 6/9",
    ]);
    for (const hard of [false, true]) {
      const c = bench({ notification: true });
      const other = c.establish(peerOpen(KEEPS_BOTH, { notification: true }));
      expect(c.give({ t: "reset", hard })[0]).toBe(`send ${other} ${hard ? "N6/9:6,4" : "N6/4"}`);
    }
    const plain = bench();
    const third = plain.establish(peerOpen(KEEPS_BOTH));
    expect(plain.give({ t: "stop" })[0]).toBe(`send ${third} N6/2`);
  });
});

function sentOpen(b: PeerBench): OpenMessage {
  const send = b.outputs.findLast((out) => out.t === "send");
  const bytes = send?.t === "send" ? send.bytes : new Uint8Array(0);
  const parsed = parseOpen(bytes.subarray(0, (bytes[HEADER_LEN - 2] as number) || bytes.length));
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value.open;
}

describe("restarting oneself (RFC 4724#4.1)", () => {
  const preserving = { families: [{ family: V4, forwardingPreserved: true }, { family: V6 }] };

  test("the OPEN says R, and F where forwarding went on; neither once the restart is complete", () => {
    const b = bench({}, preserving);
    b.give({ t: "start", restarting: true });
    b.give({ t: "connected", conn: 1 });
    const gr = capabilitiesOf(sentOpen(b), "graceful-restart")[0];
    expect(gr?.restarting).toBe(true);
    expect(gr?.restartTimeSec).toBe(50);
    expect(gr?.families).toEqual([
      { family: V4, forwarding: true },
      { family: V6, forwarding: false },
    ]);
    b.receive(1, peerOpen(KEEPS_BOTH), KEEPALIVE);
    b.give({ t: "restartComplete" });
    b.give({ t: "closed", conn: 1 });
    b.wait(1);
    b.give({ t: "connected", conn: 2 });
    const later = capabilitiesOf(sentOpen(b), "graceful-restart")[0];
    expect(later?.restarting).toBe(false);
    // Only the session was lost: forwarding has gone on in all families.
    expect(later?.families.every((one) => one.forwarding)).toBe(true);
  });

  test("the first OPEN of a fresh start promises nothing", () => {
    const b = bench({}, preserving);
    b.give({ t: "start" });
    b.give({ t: "connected", conn: 1 });
    const gr = capabilitiesOf(sentOpen(b), "graceful-restart")[0];
    expect(gr?.restarting).toBe(false);
    expect(gr?.families.some((one) => one.forwarding)).toBe(false);
  });
});

describe("deferring the choice of routes (RFC 4724#4.1)", () => {
  const ours = localOpen(benchConfig({ gracefulRestart: GR, families: both }), {
    restarting: true,
    continued: false,
    without: "nothing",
  });
  function negotiated(open: Uint8Array) {
    const parsed = parseOpen(open);
    if (!parsed.ok) throw new Error(parsed.error.message);
    return negotiate(ours, parsed.value.open, DEFAULT_RULES);
  }
  const expecting = [
    { peer: "a", families: [V4, V6] },
    { peer: "b", families: [V4] },
  ];

  test("each family waits for the End-of-RIB of all who keep our routes", () => {
    const deferral = new RestartDeferral(expecting, 120, 0);
    expect(deferral.deferred(V4)).toBe(true);
    expect(deferral.peerUp("a", negotiated(peerOpen(KEEPS_BOTH)))).toEqual([]);
    expect(deferral.peerUp("b", negotiated(peerOpen(KEEPS_BOTH)))).toEqual([]);
    expect(deferral.endOfRib("a", V6)).toEqual([V6]);
    expect(deferral.endOfRib("a", V6)).toEqual([]);
    expect(deferral.endOfRib("a", V4)).toEqual([]);
    expect(deferral.done).toBe(false);
    expect(deferral.endOfRib("b", V4)).toEqual([V4]);
    expect(deferral.done).toBe(true);
    expect(deferral.nextDeadline()).toBe(NEVER);
  });

  test("not for those who do not know of it, who restart themselves, or who are not expected any more", () => {
    const deferral = new RestartDeferral(expecting, 120, 0);
    expect(deferral.peerUp("a", negotiated(peerOpen(KEEPS_BOTH, { restarting: true })))).toEqual([V6]);
    const plain = openBytes(otherConfig({ families: both, gracefulRestart: undefined }));
    expect(deferral.peerUp("b", negotiated(plain))).toEqual([V4]);
    const other = new RestartDeferral(expecting, 120, 0);
    expect(other.forget("a")).toEqual([V6]);
    expect(other.deferred(V4)).toBe(true);
  });

  test("and not longer than the deferral time", () => {
    const deferral = new RestartDeferral(expecting, 120, 5 * SEC_US);
    expect(deferral.nextDeadline()).toBe(125 * SEC_US);
    expect(deferral.expire(124 * SEC_US)).toEqual([]);
    expect(deferral.expire(125 * SEC_US)).toEqual([V4, V6]);
    expect(deferral.done).toBe(true);
    expect(new RestartDeferral([], 120, 0).done).toBe(true);
  });
});
