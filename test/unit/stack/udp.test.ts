import { describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../../src/base/time.ts";
import type { UdpSocket } from "../../../src/stack/udp-socket.ts";
import * as udp from "../../../src/wire/udp.ts";
import {
  A,
  advance,
  B,
  hostRouterHost,
  type Lab,
  must,
  R_TO_A,
  settle,
  tearDown,
} from "../../support/host-router-host.ts";
import { ipPacket } from "../../support/test-wire.ts";

const bytes = (n: number) => Uint8Array.from({ length: n }, (_, i) => (i * 13) & 0xff);

function end(lab: Lab): void {
  tearDown(lab);
  expect(lab.stack.pool.outstanding).toBe(0);
  expect(lab.stack.timers.size).toBe(0);
}

/** A socket of b on port 7000. */
function server(lab: Lab): UdpSocket {
  const socket = lab.b.udp.open();
  must(socket.bind(0, 7000));
  return socket;
}

/** Hands host b a UDP datagram with whatever is wrong with it, as if it came from its cable. */
function inject(
  lab: Lab,
  src: number,
  srcPort: number,
  dst: number,
  payload: Uint8Array,
  change?: (u: Uint8Array) => Uint8Array,
): void {
  const datagram = new Uint8Array(8 + payload.length);
  datagram.set(payload, 8);
  const view = new DataView(datagram.buffer);
  udp.emit(view, 0, srcPort, 7000, datagram.length);
  udp.updateChecksum(view, 0, src, dst);
  const packet = ipPacket({ src, dst, protocol: 17, payload: change?.(datagram) ?? datagram });
  const pkt = lab.stack.pool.acquire(packet.length);
  if (pkt === undefined) throw new Error("pool");
  pkt.l3 = pkt.put(packet.length);
  pkt.bytes.set(packet, pkt.l3);
  pkt.dev = lab.bDev;
  pkt.iif = lab.bDev.ifindex;
  lab.b.ip.input(pkt, lab.now);
}

describe("sending and receiving", () => {
  test("there and back between unconnected sockets", () => {
    const lab = hostRouterHost();
    const there = server(lab);
    const here = lab.a.udp.open();
    expect(here.send(bytes(100), B, 7000, { ttl: 9, tos: 0x10 }, lab.now)).toBe(DropReason.NOT_DROPPED);
    settle(lab);
    const got = there.recv();
    expect(got).toEqual({ src: A, srcPort: here.localPort, dst: B, ttl: 8, bytes: bytes(100) });
    expect(here.localPort).toBeGreaterThanOrEqual(32768);
    expect(here.localPort).toBeLessThanOrEqual(60999);
    there.send(bytes(3), A, here.localPort, {}, lab.now);
    settle(lab);
    expect(here.recv()).toMatchObject({ src: B, srcPort: 7000, bytes: bytes(3) });
    expect(there.recv()).toBeUndefined();
    end(lab);
  });

  test("the checksum is always there", () => {
    const lab = hostRouterHost();
    server(lab);
    const sums: number[] = [];
    lab.aDev.tap = {
      seen(_dev, direction, pkt, off) {
        if (direction === "tx" && pkt.protocol === 0x0800)
          sums.push(udp.checksumField(pkt.view, off + 14 + 20));
      },
    };
    const here = lab.a.udp.open();
    here.send(bytes(3), B, 7000, {}, lab.now);
    settle(lab);
    expect(sums).toHaveLength(1);
    expect(sums[0]).not.toBe(0);
    end(lab);
  });

  test("an empty datagram, and the largest", () => {
    const lab = hostRouterHost();
    const there = server(lab);
    const here = lab.a.udp.open();
    here.send(bytes(0), B, 7000, {}, lab.now);
    settle(lab);
    expect(there.recv()?.bytes).toHaveLength(0);
    expect(here.send(bytes(65507), B, 7000, {}, lab.now)).toBe(DropReason.NOT_DROPPED);
    settle(lab);
    expect(there.recv()?.bytes).toEqual(bytes(65507));
    expect(here.send(bytes(65508), B, 7000, {}, lab.now)).toBe(DropReason.PKT_TOO_BIG);
    end(lab);
  });

  test("without a copy: the packet is the caller's", () => {
    const lab = hostRouterHost();
    const there = server(lab);
    lab.a.udp.open().send(bytes(5), B, 7000, {}, lab.now);
    settle(lab);
    const pkt = there.recvPacket();
    if (pkt === undefined) throw new Error("nothing came");
    expect(pkt.bytes.slice(pkt.head, pkt.tail)).toEqual(bytes(5));
    expect(lab.stack.pool.outstanding).toBe(1);
    lab.stack.consume(pkt);
    end(lab);
  });

  test("checksum: damaged is refused, absent is taken; lengths are checked, padding ignored", () => {
    const lab = hostRouterHost();
    const there = server(lab);
    inject(lab, A, 5, B, bytes(20), (u) => u.with(10, 0xee));
    expect(lab.stack.drops.entries()).toEqual([["UDP_CSUM", 1]]);
    inject(lab, A, 5, B, bytes(20), (u) => u.with(6, 0).with(7, 0).with(10, 0xee));
    expect(there.recv()?.bytes[2]).toBe(0xee);
    inject(lab, A, 5, B, bytes(20), (u) => u.with(5, 29));
    inject(lab, A, 5, B, bytes(20), (u) => u.with(5, 7));
    inject(lab, A, 5, B, bytes(20), (u) => u.slice(0, 6));
    expect(lab.stack.drops.get(DropReason.PKT_TOO_SMALL)).toBe(3);
    inject(lab, A, 5, B, bytes(20), (u) => Uint8Array.of(...u, 1, 2, 3));
    expect(there.recv()?.bytes).toEqual(bytes(20));
    expect(lab.b.udp.stats).toMatchObject({ inDatagrams: 2, inErrors: 4, inCsumErrors: 1 });
    end(lab);
  });

  test("don't-fragment and too long: refused here; else fragmented", () => {
    const lab = hostRouterHost();
    const there = server(lab);
    const here = lab.a.udp.open();
    expect(here.send(bytes(1473), B, 7000, { df: true }, lab.now)).toBe(DropReason.PKT_TOO_BIG);
    expect(here.send(bytes(1472), B, 7000, { df: true }, lab.now)).toBe(DropReason.NOT_DROPPED);
    expect(here.send(bytes(1473), B, 7000, {}, lab.now)).toBe(DropReason.NOT_DROPPED);
    settle(lab);
    expect([there.recv()?.bytes.length, there.recv()?.bytes.length]).toEqual([1472, 1473]);
    end(lab);
  });
});

describe("which socket", () => {
  test("bind: one owner for a port, unless the addresses differ", () => {
    const lab = hostRouterHost();
    const [one, two, three] = [lab.r.udp.open(), lab.r.udp.open(), lab.r.udp.open()];
    must(one.bind(R_TO_A, 53));
    expect(two.bind(R_TO_A, 53)).toEqual({ ok: false, error: "Address already in use" });
    expect(two.bind(0, 53)).toEqual({ ok: false, error: "Address already in use" });
    expect(two.bind(B, 53)).toEqual({ ok: false, error: "Cannot assign requested address" });
    must(two.bind(ipv4("10.0.2.1"), 53));
    expect(two.bind(0, 54)).toEqual({ ok: false, error: "Invalid argument" });
    one.close();
    must(three.bind(R_TO_A, 53));
    end(lab);
  });

  test("ephemeral ports run out with a clear answer", () => {
    const lab = hostRouterHost();
    must(lab.a.sysctl.set("net.ipv4.ip_local_port_range", "40000 40002"));
    const sockets = Array.from({ length: 4 }, () => lab.a.udp.open());
    const results = sockets.map((socket) => socket.bind(0, 0).ok);
    expect(results).toEqual([true, true, true, false]);
    expect(
      sockets
        .slice(0, 3)
        .map((s) => s.localPort)
        .sort((x, y) => x - y),
    ).toEqual([40000, 40001, 40002]);
    expect(sockets[3]?.send(bytes(1), B, 7000, {}, lab.now)).toBe(DropReason.NO_SOCKET);
    end(lab);
  });

  test("a connected socket hears its peer only, and sends without being told where", () => {
    const lab = hostRouterHost();
    const here = lab.b.udp.open();
    must(here.bind(0, 7000));
    must(here.connect(A, 5000));
    expect(here.localAddr).toBe(B);
    inject(lab, A, 5000, B, bytes(1));
    inject(lab, A, 5001, B, bytes(2));
    inject(lab, R_TO_A, 5000, B, bytes(3));
    expect([here.recv()?.bytes.length, here.recv()]).toEqual([1, undefined]);
    expect(lab.stack.drops.entries()).toEqual([["NO_SOCKET", 2]]);
    const peer = lab.a.udp.open();
    must(peer.bind(0, 5000));
    expect(here.send(bytes(4), 0, 0, {}, lab.now)).toBe(DropReason.NOT_DROPPED);
    settle(lab);
    expect(peer.recv()).toMatchObject({ src: B, srcPort: 7000, bytes: bytes(4) });
    must(here.connect(0, 0));
    expect(here.send(bytes(4), 0, 0, {}, lab.now)).toBe(DropReason.IP_INVALID_DEST);
    must(lab.b.delRoute({ dst: prefix("0.0.0.0/0") }, 0));
    expect(here.connect(A, 1)).toEqual({ ok: false, error: "Network is unreachable" });
    end(lab);
  });

  test("a broadcast is for who is bound to any address or to that one", () => {
    const lab = hostRouterHost();
    const any = server(lab);
    inject(lab, A, 5, ipv4("10.0.2.255"), bytes(1));
    expect(any.recv()).toMatchObject({ dst: ipv4("10.0.2.255") });
    any.close();
    const [one, two] = [lab.b.udp.open(), lab.b.udp.open()];
    must(one.bind(ipv4("10.0.2.255"), 7000));
    must(two.bind(B, 7000));
    inject(lab, A, 5, ipv4("10.0.2.255"), bytes(2));
    inject(lab, A, 5, B, bytes(3));
    expect([one.recv()?.bytes.length, one.recv()]).toEqual([2, undefined]);
    expect([two.recv()?.bytes.length, two.recv()]).toEqual([3, undefined]);
    end(lab);
  });
});

describe("what goes wrong", () => {
  test("a port that nobody has: port unreachable comes back to the socket that sent", () => {
    const lab = hostRouterHost();
    const told: number[] = [];
    const here = lab.a.udp.open({ readable: (now) => told.push(now) });
    const other = lab.a.udp.open();
    must(other.bind(0, 0));
    here.send(bytes(10), B, 33434, {}, lab.now);
    settle(lab);
    expect(here.recvError()).toEqual({
      type: 3,
      code: 3,
      from: B,
      dst: B,
      seqOrPort: 33434,
      mtu: 0,
      at: lab.now,
    });
    expect(here.recvError()).toBeUndefined();
    expect(other.recvError()).toBeUndefined();
    expect(told).toHaveLength(1);
    expect(lab.stack.drops.entries()).toEqual([["NO_SOCKET", 1]]);
    expect(lab.b.udp.stats.noPorts).toBe(1);
    end(lab);
  });

  test("hop by hop, as traceroute: time exceeded from the router, then port unreachable from the host", () => {
    const lab = hostRouterHost();
    const here = lab.a.udp.open();
    here.send(bytes(32), B, 33434, { ttl: 1 }, lab.now);
    here.send(bytes(32), B, 33435, { ttl: 2 }, lab.now);
    settle(lab);
    expect(here.recvError()).toMatchObject({ type: 11, code: 0, from: R_TO_A, seqOrPort: 33434 });
    expect(here.recvError()).toMatchObject({ type: 3, code: 3, from: B, seqOrPort: 33435 });
    end(lab);
  });

  test("a neighbour that is not there: host unreachable, from ourselves", () => {
    const lab = hostRouterHost();
    const here = lab.a.udp.open();
    here.send(bytes(1), ipv4("10.0.1.99"), 9, {}, lab.now);
    advance(lab, 4 * SEC_US);
    expect(here.recvError()).toMatchObject({
      type: 3,
      code: 1,
      from: A,
      dst: ipv4("10.0.1.99"),
      seqOrPort: 9,
    });
    end(lab);
  });

  test("errors that nobody reads are bounded: the newest stay", () => {
    const lab = hostRouterHost();
    const here = lab.b.udp.open();
    for (let port = 1; port <= 100; port++) here.send(bytes(1), ipv4("127.0.0.1"), port, {}, lab.now);
    settle(lab);
    const ports: number[] = [];
    for (let e = here.recvError(); e !== undefined; e = here.recvError()) ports.push(e.seqOrPort);
    expect(ports).toEqual(Array.from({ length: 64 }, (_, i) => 37 + i));
    end(lab);
  });

  test("a socket that nobody reads: full after 212,992 bytes of buffers, and what it holds goes with it", () => {
    const lab = hostRouterHost();
    const there = server(lab);
    for (let i = 0; i < 120; i++) inject(lab, A, 5, B, bytes(i));
    expect(lab.stack.drops.entries()).toEqual([["SOCKET_RCVBUFF", 16]]);
    expect(lab.b.udp.stats).toMatchObject({ inDatagrams: 104, rcvbufErrors: 16 });
    expect(there.recv()?.bytes).toEqual(bytes(0));
    inject(lab, A, 5, B, bytes(7));
    expect(lab.stack.drops.get(DropReason.SOCKET_RCVBUFF)).toBe(16);
    expect(lab.stack.pool.outstanding).toBe(104);
    there.close();
    there.close();
    expect(lab.stack.pool.outstanding).toBe(0);
    inject(lab, A, 5, B, bytes(1));
    expect(lab.stack.drops.get(DropReason.NO_SOCKET)).toBe(1);
    end(lab);
  });

  test("the namespace goes while datagrams wait", () => {
    const lab = hostRouterHost();
    server(lab);
    for (let i = 0; i < 10; i++) inject(lab, A, 5, B, bytes(i));
    expect(lab.stack.pool.outstanding).toBe(10);
    end(lab);
  });
});

describe("super-packets", () => {
  test("one send, many datagrams: crossing the router whole, cut before the socket", () => {
    const lab = hostRouterHost();
    const there = server(lab);
    const here = lab.a.udp.open();
    here.send(bytes(1), B, 7000, {}, lab.now);
    settle(lab);
    there.recv();
    const before = lab.bDev.stats.rxPackets;
    expect(here.send(bytes(10_000), B, 7000, { gsoSize: 1400 }, lab.now)).toBe(DropReason.NOT_DROPPED);
    settle(lab);
    expect(lab.bDev.stats.rxPackets - before).toBe(1);
    const got: number[] = [];
    for (let d = there.recv(); d !== undefined; d = there.recv()) got.push(...d.bytes);
    expect(got).toEqual([...bytes(10_000)]);
    expect(lab.b.udp.stats.inDatagrams).toBe(9);
    expect(lab.stack.drops.total).toBe(0);
    end(lab);
  });

  test("through lo as well", () => {
    const lab = hostRouterHost();
    const there = server(lab);
    there.send(bytes(4000), B, 7000, { gsoSize: 1000 }, lab.now);
    settle(lab);
    expect([0, 1, 2, 3, 4].map(() => there.recv()?.bytes.length)).toEqual([
      1000,
      1000,
      1000,
      1000,
      undefined,
    ]);
    end(lab);
  });

  test("a segment that does not fit: refused at the source, fragmented or answered on the way", () => {
    const lab = hostRouterHost(1000);
    const there = server(lab);
    const here = lab.a.udp.open();
    here.send(bytes(1), B, 7000, {}, lab.now);
    settle(lab);
    there.recv();
    expect(here.send(bytes(6000), B, 7000, { gsoSize: 1473 }, lab.now)).toBe(DropReason.PKT_TOO_BIG);
    expect(here.send(bytes(6000), B, 7000, { gsoSize: 1400, df: false }, lab.now)).toBe(
      DropReason.NOT_DROPPED,
    );
    settle(lab);
    expect([0, 1, 2, 3, 4, 5].map(() => there.recv()?.bytes.length)).toEqual([
      1400,
      1400,
      1400,
      1400,
      400,
      undefined,
    ]);
    here.send(bytes(6000), B, 7000, { gsoSize: 1400, df: true }, lab.now);
    settle(lab);
    expect(here.recvError()).toMatchObject({ type: 3, code: 4, mtu: 1000, seqOrPort: 7000 });
    expect(here.send(bytes(6000), B, 7000, { gsoSize: 972, df: true }, lab.now)).toBe(DropReason.NOT_DROPPED);
    settle(lab);
    expect(there.recv()?.bytes.length).toBe(972);
    end(lab);
  });

  test("at most 128 of them; one that is no larger than a segment is an ordinary datagram", () => {
    const lab = hostRouterHost();
    const there = server(lab);
    const here = lab.a.udp.open();
    expect(here.send(bytes(1290), B, 7000, { gsoSize: 10 }, lab.now)).toBe(DropReason.PKT_TOO_BIG);
    expect(here.send(bytes(100), B, 7000, { gsoSize: 100 }, lab.now)).toBe(DropReason.NOT_DROPPED);
    settle(lab);
    expect(there.recv()?.bytes).toEqual(bytes(100));
    end(lab);
  });
});
