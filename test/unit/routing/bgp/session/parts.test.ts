import { describe, expect, test } from "vitest";
import { NEVER } from "../../../../../src/base/time.ts";
import {
  describeNotice,
  describeTrace,
  messageName,
} from "../../../../../src/routing/bgp/session/bgp-trace.ts";
import { Deadlines } from "../../../../../src/routing/bgp/session/deadlines.ts";
import { localOpen, peerConfig } from "../../../../../src/routing/bgp/session/peer-config.ts";
import { PeerCounters } from "../../../../../src/routing/bgp/session/peer-status.ts";
import { PrefixLimits } from "../../../../../src/routing/bgp/session/prefix-limits.ts";
import { RecentAttributes } from "../../../../../src/routing/bgp/session/recent-attributes.ts";
import { SendQueue } from "../../../../../src/routing/bgp/session/send-queue.ts";
import { NO_ATTRIBUTES } from "../../../../../src/wire/bgp/attributes/path-attributes.ts";
import { codeOf } from "../../../../../src/wire/bgp/capabilities.ts";
import { Family } from "../../../../../src/wire/bgp/family.ts";
import { hardResetNotice, shutdownNotice } from "../../../../../src/wire/bgp/notification.ts";
import {
  benchConfig,
  KEEPALIVE,
  notification,
  openBytes,
  PeerBench,
  updateBytes,
} from "../../../../support/bgp-bench.ts";

describe("deadlines", () => {
  test("wakeAt moves later only when it has come, but with the KEEPALIVE timer at once; what is due longest comes first", () => {
    const deadlines = new Deadlines();
    deadlines.arm("hold", 30);
    deadlines.arm("hold", 90);
    expect(deadlines.wakeAt).toBe(30);
    expect(deadlines.due(29)).toBeUndefined();
    expect(deadlines.due(30)).toBeUndefined();
    expect(deadlines.wakeAt).toBe(90);
    deadlines.arm("keepalive", 50);
    deadlines.arm("keepalive", 60);
    expect(deadlines.wakeAt).toBe(60);
    expect(deadlines.due(100)).toBe("keepalive");
    expect(deadlines.due(100)).toBe("hold");
    expect(deadlines.due(100)).toBeUndefined();
    expect(deadlines.wakeAt).toBe(NEVER);
  });

  test("the last one that is cancelled leaves nothing to wake for", () => {
    const deadlines = new Deadlines();
    deadlines.arm("hold", 90);
    deadlines.cancel("hold");
    deadlines.cancel("keepalive");
    expect(deadlines.wakeAt).toBe(NEVER);
    deadlines.arm("sendHold", 5);
    deadlines.cancelAll();
    expect(deadlines.wakeAt).toBe(NEVER);
  });
});

describe("the send queue", () => {
  test("keeps the order, joins what fits into a write, and does not copy a lone chunk", () => {
    const queue = new SendQueue();
    const chunks = [40_000, 20_000, 10_000, 100_000, 5].map((n, i) => new Uint8Array(n).fill(i + 1));
    for (const chunk of chunks) queue.push(chunk);
    const first = queue.take() as Uint8Array;
    expect([first.length, first[0], first[40_000]]).toEqual([60_000, 1, 2]);
    expect(queue.take()).toBe(chunks[2]);
    expect(queue.take()).toBe(chunks[3]);
    expect(queue.take()).toBe(chunks[4]);
    expect(queue.take()).toBeUndefined();
    expect(queue.bytes).toBe(0);
  });

  test("blocked, it keeps everything but says KEEPALIVE once", () => {
    const queue = new SendQueue();
    queue.blocked = true;
    for (let i = 0; i < 5; i++) queue.pushOnce(KEEPALIVE);
    queue.push(updateBytes([]));
    queue.pushOnce(KEEPALIVE);
    expect(queue.bytes).toBe(2 * KEEPALIVE.length + updateBytes([]).length);
    expect(queue.take()).toBeUndefined();
    expect(queue.takeAll()?.length).toBe(2 * KEEPALIVE.length + updateBytes([]).length);
    queue.pushOnce(KEEPALIVE);
    expect(queue.bytes).toBe(KEEPALIVE.length);
    queue.clear();
    expect(queue.takeAll()).toBeUndefined();
  });

  test("is full of octets, or of chunks", () => {
    const queue = new SendQueue();
    queue.push(new Uint8Array(256 * 1024 - 1));
    expect(queue.full).toBe(false);
    queue.push(new Uint8Array(1));
    expect(queue.full).toBe(true);
    const many = new SendQueue();
    for (let i = 0; !many.full; i++) {
      if (i > 70_000) throw new Error("never full");
      many.push(Uint8Array.of(1));
    }
  });
});

test("the attributes that were read of late are bounded, and those in use stay", () => {
  const recent = new RecentAttributes();
  recent.set("kept", NO_ATTRIBUTES);
  recent.set("forgotten", NO_ATTRIBUTES);
  for (let i = 0; i < 2000; i++) {
    recent.set(`${i}`, NO_ATTRIBUTES);
    expect(recent.get("kept")).toBe(NO_ATTRIBUTES);
  }
  expect(recent.get("forgotten")).toBeUndefined();
  expect(recent.get("1000")).toBeUndefined();
});

test("a limit on prefixes warns once, and again after it was lower", () => {
  const limits = new PrefixLimits([
    { family: Family.IPV4_UNICAST, prefixLimit: { limit: 100, warnPercent: 75, restartSec: 1 } },
  ]);
  const judge = (count: number): string => limits.judge(Family.IPV4_UNICAST, count);
  expect([74, 75, 80, 100, 101, 74, 75].map(judge)).toEqual([
    "fine",
    "warn",
    "fine",
    "fine",
    "exceeded",
    "fine",
    "warn",
  ]);
  limits.reset();
  expect(judge(90)).toBe("warn");
  expect(limits.judge(Family.IPV6_UNICAST, 1e9)).toBe("fine");
});

describe("our OPEN", () => {
  const situation = { restarting: false, continued: false, without: "nothing" } as const;
  const config = peerConfig({
    localAs: 70_000,
    routerId: 1,
    peerAs: "any",
    extendedMessage: true,
    families: [
      { family: Family.IPV4_UNICAST, addPath: { receive: true, send: true }, extendedNextHop: true },
      { family: Family.IPV6_UNICAST, addPath: { receive: true, send: false } },
    ],
    extraCapabilities: [{ t: "hostname", host: "node1", domain: "" }],
  });

  test("has the capabilities that are configured, by code", () => {
    const open = localOpen(config, situation);
    expect(open.myAs).toBe(23456);
    expect(open.capabilities.map(codeOf)).toEqual([1, 1, 2, 5, 6, 64, 65, 69, 70, 73]);
    const paths = open.capabilities.find((one) => one.t === "add-path");
    expect(paths?.t === "add-path" ? paths.families.map((one) => one.direction) : []).toEqual([3, 1]);
  });

  test("leaves out what is optional, or everything", () => {
    const codes = (without: "optional" | "all"): number[] =>
      localOpen(config, { ...situation, without }).capabilities.map(codeOf);
    expect(codes("optional")).toEqual([1, 1, 65]);
    expect(codes("all")).toEqual([]);
    expect(localOpen({ ...config, as4: false }, situation).capabilities.map(codeOf)).not.toContain(65);
  });
});

describe("what is shown", () => {
  test("NOTIFICATIONs in words, with what can be read of their data", () => {
    expect(describeNotice(shutdownNotice(2, "wartung"))).toBe("Cease/Administrative Shutdown: wartung");
    expect(describeNotice(hardResetNotice(shutdownNotice(4, "x")))).toBe(
      "Cease/Hard Reset (Cease/Administrative Reset: x)",
    );
    expect(describeNotice({ code: 2, subcode: 2, data: Uint8Array.of(1, 0xab) })).toBe(
      "OPEN Message Error/Bad Peer AS: 01ab",
    );
    expect(describeNotice({ code: 4, subcode: 0, data: new Uint8Array(40) })).toBe(
      `Hold Timer Expired: ${"00".repeat(32)}...`,
    );
    expect(messageName(5)).toBe("ROUTE-REFRESH");
    expect(messageName(77)).toBe("message type 77");
  });

  test("every trace of a life has a sentence and a level", () => {
    const prefixLimit = { limit: 4, warnPercent: 50, restartSec: 5 };
    const config = benchConfig({
      traceMessages: true,
      families: [{ family: Family.IPV4_UNICAST, prefixLimit }],
    });
    const bench = new PeerBench(config);
    bench.give({ t: "accepted", conn: 99 });
    bench.give({ t: "start" });
    bench.give({ t: "connectFailed", conn: 1, message: "refused" });
    bench.wait(20);
    bench.give({ t: "connected", conn: 3 });
    bench.give({ t: "connected", conn: 2 });
    bench.receive(2, openBytes(), KEEPALIVE, updateBytes([[33]]));
    bench.wait(5);
    const conn = bench.outputs.findLast((out) => out.t === "dial");
    bench.give({ t: "connected", conn: conn?.t === "dial" ? conn.conn : 0 });
    bench.receive(conn?.t === "dial" ? conn.conn : 0, openBytes(), KEEPALIVE);
    for (const count of [2, 5]) bench.give({ t: "prefixCount", family: Family.IPV4_UNICAST, count });
    const described = bench.outputs.flatMap((out) => (out.t === "trace" ? [describeTrace(out.trace)] : []));
    const lines = described.map(({ level, message }) => `${level} ${message}`);
    for (const line of [
      "info call refused: the neighbour is down, or waits after a fault",
      "debug connecting failed: refused",
      "debug KEEPALIVE sent, 19 octets",
      "debug OPEN: AS 64512, identifier 10.0.0.2, hold time 90 s",
      "info OpenConfirm -> Established (KeepAliveMsg, outgoing)",
      "warn UPDATE Message Error/Invalid Network Field: NLRI: malformed prefixes (session-reset, RFC 7606#5.3)",
      "info NOTIFICATION sent: UPDATE Message Error/Invalid Network Field",
      "info Established -> Idle (UpdateMsgErr, outgoing)",
      "warn 2 prefixes of IPv4 unicast, the limit is 4",
      "error 5 prefixes of IPv4 unicast, the limit is 4",
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines.some((line) => /^info next attempt in [34]\.\d s$/.test(line))).toBe(true);
  });

  test("messages are counted by type, both ways", () => {
    const counters = new PeerCounters();
    counters.sent(Uint8Array.from([...KEEPALIVE, ...updateBytes([]), ...KEEPALIVE]));
    counters.received(notification(6, 2));
    expect(counters.messagesOut).toEqual([0, 0, 1, 0, 2, 0]);
    expect(counters.messagesIn).toEqual([0, 0, 0, 1, 0, 0]);
    expect(counters.octetsOut).toBe(2 * KEEPALIVE.length + updateBytes([]).length);
    expect(counters.octetsIn).toBe(21);
    expect(counters.octetsOutByType).toEqual([0, 0, updateBytes([]).length, 0, 38, 0]);
    expect(counters.octetsInByType).toEqual([0, 0, 0, 21, 0, 0]);
  });
});
