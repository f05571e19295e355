import { describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { type Ipv4Addr, ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../../src/base/time.ts";
import type { EchoSocket } from "../../../src/stack/echo-socket.ts";
import type { DeviceTap } from "../../../src/stack/net-device.ts";
import { EtherType, etherType, HEADER_LEN } from "../../../src/wire/ethernet.ts";
import {
  A,
  advance,
  B,
  hostRouterHost,
  type Lab,
  must,
  R_TO_A,
  R_TO_B,
  settle,
  tearDown,
} from "../../support/host-router-host.ts";

const bytes = (n: number) => Uint8Array.from({ length: n }, (_, i) => (i * 7) & 0xff);

/** An echo socket of host a, once a, r and b know each other's MAC: a queue of three packets no longer matters. */
function warm(lab: Lab): EchoSocket {
  const ping = lab.a.icmp.openEcho();
  ping.sendEcho(B, 0, bytes(8), {}, lab.now);
  settle(lab);
  expect(ping.recv()).toMatchObject({ seq: 0 });
  return ping;
}

function end(lab: Lab): void {
  tearDown(lab);
  expect(lab.stack.pool.outstanding).toBe(0);
  expect(lab.stack.timers.size).toBe(0);
}

describe("a packet on its way through a router", () => {
  test("arrives, one hop poorer, its header checksum right", () => {
    const lab = hostRouterHost();
    const ping = lab.a.icmp.openEcho();
    expect(ping.sendEcho(B, 1, bytes(56), {}, lab.now)).toBe(DropReason.NOT_DROPPED);
    settle(lab);
    expect(ping.recv()).toEqual({ src: B, seq: 1, ttl: 63, bytes: bytes(56), at: lab.now });
    expect(lab.stack.drops.total).toBe(0);
    expect(lab.r.ip.stats.forwDatagrams).toBe(2);
    end(lab);
  });

  test("TTL used up: the router says so, with its address on our side", () => {
    const lab = hostRouterHost();
    const ping = lab.a.icmp.openEcho();
    ping.sendEcho(B, 7, bytes(8), { ttl: 1 }, lab.now);
    settle(lab);
    expect(ping.recv()).toBeUndefined();
    expect(ping.recvError()).toEqual({
      type: 11,
      code: 0,
      from: R_TO_A,
      dst: B,
      seqOrPort: 7,
      mtu: 0,
      at: lab.now,
    });
    expect(lab.stack.drops.entries()).toEqual([["IP_INHDR", 1]]);
    expect(lab.r.ip.stats.inHdrErrors).toBe(1);
    ping.sendEcho(B, 8, bytes(8), { ttl: 2 }, lab.now);
    settle(lab);
    expect(ping.recv()?.seq).toBe(8);
    end(lab);
  });

  const unreachable = [
    { type: "unreachable", code: 1 },
    { type: "prohibit", code: 13 },
    { type: undefined, code: 0 },
  ] as const;
  test.each(unreachable)(
    "route type $type on the router: code $code reaches the socket",
    ({ type, code }) => {
      const lab = hostRouterHost();
      const dst = ipv4("192.0.2.9");
      if (type !== undefined) must(lab.r.addRoute({ dst: prefix("192.0.2.0/24"), type }, 0));
      const ping = lab.a.icmp.openEcho();
      ping.sendEcho(dst, 3, bytes(8), {}, lab.now);
      settle(lab);
      expect(ping.recvError()).toMatchObject({ type: 3, code, from: R_TO_A, dst, seqOrPort: 3 });
      end(lab);
    },
  );

  test("a neighbour that does not answer: host unreachable, from the router and from ourselves", () => {
    const lab = hostRouterHost();
    const ping = lab.a.icmp.openEcho();
    ping.sendEcho(ipv4("10.0.2.77"), 1, bytes(8), {}, lab.now);
    ping.sendEcho(ipv4("10.0.1.77"), 2, bytes(8), {}, lab.now);
    advance(lab, 5 * SEC_US);
    const errors = [ping.recvError(), ping.recvError()].sort(
      (x, y) => (x?.seqOrPort ?? 0) - (y?.seqOrPort ?? 0),
    );
    expect(errors).toMatchObject([
      { type: 3, code: 1, from: R_TO_A, dst: ipv4("10.0.2.77"), seqOrPort: 1 },
      { type: 3, code: 1, from: A, dst: ipv4("10.0.1.77"), seqOrPort: 2 },
    ]);
    expect(lab.stack.drops.get(DropReason.NEIGH_FAILED)).toBe(2);
    end(lab);
  });

  test("no route at the sender: the call says why, and the packet is counted", () => {
    const lab = hostRouterHost();
    must(lab.a.delRoute({ dst: prefix("0.0.0.0/0") }, 0));
    must(lab.a.addRoute({ dst: prefix("192.0.2.0/25"), type: "unreachable" }, 0));
    must(lab.a.addRoute({ dst: prefix("192.0.2.128/26"), type: "prohibit" }, 0));
    must(lab.a.addRoute({ dst: prefix("192.0.2.192/26"), type: "blackhole" }, 0));
    const ping = lab.a.icmp.openEcho();
    const tries: [string, number][] = [
      ["10.0.2.2", DropReason.IP_OUTNOROUTES],
      ["192.0.2.1", DropReason.ROUTE_UNREACHABLE],
      ["192.0.2.129", DropReason.ROUTE_PROHIBIT],
      ["192.0.2.193", DropReason.ROUTE_BLACKHOLE],
    ];
    for (const [dst, reason] of tries) {
      expect(ping.sendEcho(ipv4(dst), 1, bytes(8), {}, lab.now)).toBe(reason);
      expect(lab.stack.drops.get(reason)).toBe(1);
    }
    expect(lab.a.ip.stats.outNoRoutes).toBe(4);
    end(lab);
  });

  test("a source that is not ours, or that must not leave: refused", () => {
    const lab = hostRouterHost();
    const ping = lab.a.icmp.openEcho();
    for (const src of [B, ipv4("127.0.0.1"), ipv4("10.0.1.255"), ipv4("224.0.0.1")]) {
      expect(ping.sendEcho(B, 1, bytes(8), { src }, lab.now)).toBe(DropReason.IP_OUTNOROUTES);
    }
    expect(ping.sendEcho(B, 1, bytes(8), { src: A }, lab.now)).toBe(DropReason.NOT_DROPPED);
    expect(lab.stack.drops.total).toBe(4);
    end(lab);
  });
});

describe("too big for the next link", () => {
  test("don't-fragment: frag needed, path MTU learnt, and forgotten after ten minutes", () => {
    const lab = hostRouterHost(1400);
    const ping = lab.a.icmp.openEcho();
    expect(lab.a.ip.mtuTo(B, lab.now)).toBe(1500);
    expect(ping.sendEcho(B, 1, bytes(1400), { df: true }, lab.now)).toBe(DropReason.NOT_DROPPED);
    settle(lab);
    expect(ping.recvError()).toMatchObject({
      type: 3,
      code: 4,
      from: R_TO_A,
      dst: B,
      seqOrPort: 1,
      mtu: 1400,
    });
    expect(lab.stack.drops.entries()).toEqual([["PKT_TOO_BIG", 1]]);
    expect(lab.a.ip.mtuTo(B, lab.now)).toBe(1400);
    expect(lab.a.ip.mtuTo(R_TO_B, lab.now)).toBe(1500);
    expect(ping.sendEcho(B, 2, bytes(1400), { df: true }, lab.now)).toBe(DropReason.PKT_TOO_BIG);
    expect(ping.sendEcho(B, 3, bytes(1372), { df: true }, lab.now)).toBe(DropReason.NOT_DROPPED);
    settle(lab);
    expect(ping.recv()).toMatchObject({ seq: 3 });
    advance(lab, 601 * SEC_US);
    expect(lab.a.ip.mtuTo(B, lab.now)).toBe(1500);
    end(lab);
  });

  test("path MTU discovery by default: the first is lost, the next is fragmented at the source", () => {
    const lab = hostRouterHost(1400);
    const ping = lab.a.icmp.openEcho();
    ping.sendEcho(B, 1, bytes(1472), {}, lab.now);
    settle(lab);
    expect(ping.recvError()).toMatchObject({ code: 4, mtu: 1400 });
    ping.sendEcho(B, 2, bytes(1472), {}, lab.now);
    settle(lab);
    expect(ping.recv()).toMatchObject({ seq: 2, bytes: bytes(1472) });
    expect(lab.a.ip.stats.fragCreates).toBe(2);
    end(lab);
  });

  test("may be fragmented: the router does, and the receiver puts it together, both ways", () => {
    const lab = hostRouterHost(600);
    const ping = lab.a.icmp.openEcho();
    ping.sendEcho(B, 1, bytes(1472), { df: false }, lab.now);
    settle(lab);
    expect(ping.recv()).toMatchObject({ seq: 1, bytes: bytes(1472) });
    expect(lab.stack.drops.total).toBe(0);
    expect(lab.r.ip.stats).toMatchObject({ fragOks: 1, fragCreates: 3 });
    expect(lab.b.ip.stats).toMatchObject({ reasmReqds: 3, reasmOks: 1, fragOks: 1, fragCreates: 3 });
    expect(lab.a.ip.stats).toMatchObject({ reasmOks: 1, fragCreates: 0 });
    end(lab);
  });

  test("fragments are fragmented again on a narrower link, and the largest datagram there is survives", () => {
    const lab = hostRouterHost(68);
    const ping = warm(lab);
    const data = bytes(65507);
    ping.sendEcho(B, 1, data, { df: false }, lab.now);
    settle(lab);
    // 1,365 and more fragments at once are more than a backlog holds, so the narrow link loses some: nothing comes back.
    expect(lab.stack.drops.get(DropReason.CPU_BACKLOG)).toBeGreaterThan(0);
    advance(lab, 31 * SEC_US);
    ping.sendEcho(B, 2, bytes(9000), { df: false }, lab.now);
    settle(lab);
    expect(ping.recv()).toMatchObject({ seq: 2, bytes: bytes(9000) });
    end(lab);
  });

  test("a next hop that claims an absurd MTU is believed down to 552 only, and then without don't-fragment", () => {
    const lab = hostRouterHost(300);
    const ping = lab.a.icmp.openEcho();
    ping.sendEcho(B, 1, bytes(1000), {}, lab.now);
    settle(lab);
    expect(ping.recvError()).toMatchObject({ code: 4, mtu: 300 });
    expect(lab.a.ip.mtuTo(B, lab.now)).toBe(552);
    ping.sendEcho(B, 2, bytes(500), {}, lab.now);
    settle(lab);
    expect(ping.recv()).toMatchObject({ seq: 2 });
    end(lab);
  });

  test("a path MTU that the router itself learnt does not bind what it forwards", () => {
    const lab = hostRouterHost();
    lab.r.ip.pmtu.learn(B, 600, 1500, lab.now);
    const ping = lab.a.icmp.openEcho();
    ping.sendEcho(B, 1, bytes(1400), { df: true }, lab.now);
    settle(lab);
    expect(ping.recv()).toMatchObject({ seq: 1 });
    expect(lab.r.ip.stats.fragOks).toBe(0);
    end(lab);
  });

  test("path MTUs are remembered for a bounded number of destinations", () => {
    const lab = hostRouterHost();
    for (let i = 0; i < 5000; i++) lab.a.ip.pmtu.learn(B + i, 1400, 1500, lab.now);
    expect(lab.a.ip.pmtu.size).toBe(1024);
    expect(lab.a.ip.mtuTo(B + 4999, lab.now)).toBe(1400);
    expect(lab.a.ip.mtuTo(B, lab.now)).toBe(1500);
    end(lab);
  });

  test("a larger path MTU than the one we use is no news", () => {
    const lab = hostRouterHost();
    lab.a.ip.pmtu.learn(B, 1300, 1500, lab.now);
    lab.a.ip.pmtu.learn(B, 1400, 1300, lab.now);
    expect(lab.a.ip.mtuTo(B, lab.now)).toBe(1300);
    end(lab);
  });
});

describe("what we send ourselves", () => {
  test("to our own addresses, by way of lo", () => {
    const lab = hostRouterHost();
    const ping = lab.a.icmp.openEcho();
    for (const dst of ["127.0.0.1", "127.9.9.9", "10.0.1.2", "0.0.0.0"]) {
      expect(ping.sendEcho(ipv4(dst), 1, bytes(8), {}, lab.now)).toBe(DropReason.NOT_DROPPED);
      settle(lab);
      expect(ping.recv()).toMatchObject({ src: dst === "0.0.0.0" ? ipv4("127.0.0.1") : ipv4(dst), ttl: 64 });
    }
    expect(lab.a.device("lo")?.stats.rxPackets).toBe(8);
    expect(lab.aDev.stats.txPackets).toBe(0);
    expect(lab.stack.drops.total).toBe(0);
    end(lab);
  });

  test("identifications count up, one a packet, one a segment; an atomic packet has none", () => {
    const lab = hostRouterHost();
    const ping = warm(lab);
    const seen = watch(lab);
    for (const df of [false, undefined, false]) ping.sendEcho(R_TO_A, 1, bytes(8), { df }, lab.now);
    ping.sendEcho(R_TO_A, 1, bytes(8), { df: true }, lab.now);
    const udp = lab.a.udp.open();
    udp.send(bytes(3500), R_TO_A, 9, { gsoSize: 1000, df: false }, lab.now);
    ping.sendEcho(R_TO_A, 1, bytes(8), { df: false }, lab.now);
    const headers = seen.map((p) => ({ id: p.getUint16(4), df: (p.getUint16(6) & 0x4000) !== 0 }));
    const first = headers[0]?.id ?? 0;
    expect(headers).toEqual([
      { id: first, df: false },
      { id: (first + 1) & 0xffff, df: true },
      { id: (first + 2) & 0xffff, df: false },
      { id: 0, df: true },
      { id: (first + 3) & 0xffff, df: false },
      { id: (first + 7) & 0xffff, df: false },
    ]);
    end(lab);
  });

  test("a broadcast goes out by the broadcast MAC and is heard at home as well", () => {
    const lab = hostRouterHost();
    const [here, there] = [lab.a.udp.open(), lab.r.udp.open()];
    must(here.bind(0, 4000));
    must(there.bind(0, 4000));
    for (const dst of ["10.0.1.255", "255.255.255.255"]) {
      expect(here.send(bytes(4), ipv4(dst), 4000, {}, lab.now)).toBe(DropReason.NOT_DROPPED);
      settle(lab);
      expect(there.recv()).toMatchObject({ src: A, dst: ipv4(dst) });
      expect(here.recv()).toMatchObject({ src: A, dst: ipv4(dst) });
    }
    expect(lab.stack.drops.total).toBe(0);
    end(lab);
  });

  test("to a group: by the device that is named, TTL 1; without a name by the route", () => {
    const lab = hostRouterHost();
    const seen = watch(lab);
    const group: Ipv4Addr = ipv4("224.0.0.251");
    const pkt = lab.stack.pool.acquire(8);
    if (pkt === undefined) throw new Error("pool");
    pkt.bytes.fill(0, pkt.put(8), pkt.tail);
    expect(lab.a.ip.send(pkt, 0, group, 253, 0, 0, false, lab.aDev, lab.now)).toBe(DropReason.NOT_DROPPED);
    settle(lab);
    expect(seen.map((p) => [p.getUint32(12), p.getUint32(16), p.getUint8(8)])).toEqual([[A, group, 1]]);
    expect(lab.stack.drops.entries()).toEqual([["IP_INADDRERRORS", 1]]);
    end(lab);
  });
});

/** The IP packets that host a sends from now on. */
function watch(lab: Lab): DataView[] {
  const seen: DataView[] = [];
  const tap: DeviceTap = {
    seen(_dev, direction, pkt, off) {
      if (direction !== "tx" || etherType(pkt.view, off) !== EtherType.IPV4) return;
      seen.push(new DataView(pkt.bytes.slice(off + HEADER_LEN, pkt.tail).buffer));
    },
  };
  lab.aDev.tap = tap;
  return seen;
}
