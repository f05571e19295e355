import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { MAC_BROADCAST, mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { MS_US, SEC_US } from "../../../src/base/time.ts";
import { IcmpRateLimit } from "../../../src/stack/icmp-ratelimit.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { Sysctl } from "../../../src/stack/sysctl.ts";
import * as icmp from "../../../src/wire/icmp.ts";
import * as wire from "../../../src/wire/ipv4.ts";
import { A, B, hostRouterHost, must, R_TO_A, settle, tearDown } from "../../support/host-router-host.ts";
import { type IpSpec, ipPacket, TestWire } from "../../support/test-wire.ts";

const ME = ipv4("10.0.0.1");
const PEER = ipv4("10.0.0.2");

/** One host on one wire that knows its peer's MAC. */
function host(sysctls: Record<string, string> = {}) {
  const stack = new NetStack({ rng: new SeededRng(3), pool: new PacketPool(512, true) });
  const netns = stack.addNetns("h");
  const eth0 = new TestWire(stack, "eth0", mac("02:00:00:00:00:01"), 1500);
  netns.addDevice(eth0);
  netns.setLink(eth0, true, 0);
  must(netns.addAddress(eth0, { addr: ME, len: 24 }, 0));
  for (let last = 2; last < 250; last++) {
    const entry = { dev: eth0, ip: ME - 1 + last, mac: 0x0200_0000_0100 + last, state: "PERMANENT" } as const;
    must(netns.neigh.add(entry, 0));
  }
  for (const [name, value] of Object.entries(sysctls)) must(netns.sysctl.set(name, value));
  return { stack, netns, eth0, now: 0 };
}

function end(lab: { stack: NetStack; now: number }): void {
  tearDown(lab);
  expect(lab.stack.pool.outstanding).toBe(0);
  expect(lab.stack.timers.size).toBe(0);
}

/** An ICMP message, checksum right. */
function message(type: number, code: number, rest: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + data.length);
  bytes.set(data, 8);
  icmp.emit(new DataView(bytes.buffer), 0, bytes.length, type, code, rest);
  return bytes;
}

const data = Uint8Array.from({ length: 32 }, (_, i) => i);
const echo: IpSpec = { src: PEER, dst: ME, protocol: 1, payload: message(8, 0, icmp.echoRest(9, 1), data) };
const unknownProtocol: IpSpec = { src: PEER, dst: ME, protocol: 99, payload: data };

describe("echo", () => {
  test("the reply: addresses swapped, TTL 64, the same TOS and bytes, both checksums right", () => {
    const h = host();
    h.eth0.receiveFrame(ipPacket({ ...echo, ttl: 3, tos: 0x28 }), 0);
    const [reply] = h.eth0.takeIp();
    if (reply === undefined) throw new Error("no reply");
    expect([wire.src(reply, 0), wire.dst(reply, 0), wire.ttl(reply, 0), wire.tos(reply, 0)]).toEqual([
      ME,
      PEER,
      64,
      0x28,
    ]);
    expect(wire.check(reply, 0, reply.byteLength)).toBe(0);
    expect(icmp.check(reply, 20, reply.byteLength)).toBe(0);
    expect([icmp.type(reply, 20), icmp.echoId(reply, 20), icmp.echoSeq(reply, 20)]).toEqual([0, 9, 1]);
    expect(new Uint8Array(reply.buffer, reply.byteOffset + 28)).toEqual(data);
    expect(wire.dontFragment(reply, 0)).toBe(false);
    end(h);
  });

  test("a reply is a packet of our own: without the request's mark, and cut to the path MTU", () => {
    const h = host();
    h.netns.ip.pmtu.learn(PEER, 600, 1500, 0);
    const marks: number[] = [];
    h.eth0.tap = {
      seen(_dev, direction, pkt) {
        if (direction === "tx") marks.push(pkt.mark);
      },
    };
    const packet = ipPacket({ ...echo, payload: message(8, 0, 1, new Uint8Array(1000)) });
    const pkt = h.stack.pool.acquire(packet.length);
    if (pkt === undefined) throw new Error("pool");
    pkt.l3 = pkt.put(packet.length);
    pkt.bytes.set(packet, pkt.l3);
    pkt.dev = h.eth0;
    pkt.iif = h.eth0.ifindex;
    pkt.mark = 7;
    h.netns.ip.input(pkt, 0);
    expect(h.eth0.takeIp().map((p) => p.byteLength)).toEqual([596, 452]);
    expect(marks).toEqual([0, 0]);
    end(h);
  });

  test("replies are not rate limited", () => {
    const h = host();
    for (let i = 0; i < 100; i++) h.eth0.receiveFrame(ipPacket(echo), 0);
    expect(h.eth0.takeIp()).toHaveLength(100);
    end(h);
  });

  const ignored: {
    name: string;
    spec?: Partial<IpSpec>;
    sysctls?: Record<string, string>;
    drops: string[];
  }[] = [
    { name: "to a broadcast", spec: { dst: ipv4("10.0.0.255") }, drops: ["UNHANDLED_PROTO"] },
    { name: "to all hosts", spec: { dst: ipv4("224.0.0.1") }, drops: ["UNHANDLED_PROTO"] },
    { name: "when told to ignore all", sysctls: { "net.ipv4.icmp_echo_ignore_all": "1" }, drops: [] },
    { name: "from one without an address", spec: { src: 0, dst: 0xffffffff }, drops: ["UNHANDLED_PROTO"] },
    { name: "unknown type", spec: { payload: message(77, 0, 0, data) }, drops: ["UNHANDLED_PROTO"] },
    { name: "reply to nobody", spec: { payload: message(0, 0, 0, data) }, drops: ["NO_SOCKET"] },
    { name: "damaged", spec: { payload: (echo.payload as Uint8Array).with(20, 0xff) }, drops: ["ICMP_CSUM"] },
    { name: "too short", spec: { payload: new Uint8Array(7) }, drops: ["PKT_TOO_SMALL"] },
  ];
  test.each(ignored)("not answered: $name", ({ spec, sysctls, drops }) => {
    const h = host(sysctls);
    const packet = { ...echo, ...spec };
    h.eth0.receiveFrame(ipPacket(packet), 0, packet.dst === ME ? h.eth0.mac : MAC_BROADCAST);
    expect(h.eth0.takeIp()).toHaveLength(0);
    expect(h.stack.drops.entries().map(([name]) => name)).toEqual(drops);
    end(h);
  });

  test("a broadcast is answered when the sysctl says so, from the receiving address", () => {
    const h = host({ "net.ipv4.icmp_echo_ignore_broadcasts": "0" });
    h.eth0.receiveFrame(ipPacket({ ...echo, dst: ipv4("10.0.0.255") }), 0, MAC_BROADCAST);
    expect(h.eth0.takeIp().map((p) => [wire.src(p, 0), icmp.type(p, 20)])).toEqual([[ME, 0]]);
    end(h);
  });
});

describe("errors that are sent", () => {
  test("quote the offender, at most 576 bytes in all, with precedence 6", () => {
    for (const length of [0, 8, 500, 528, 529, 1400]) {
      const h = host();
      const packet = ipPacket({ ...unknownProtocol, tos: 0xff, payload: new Uint8Array(length).fill(7) });
      h.eth0.receiveFrame(packet, 0);
      const [error] = h.eth0.takeIp();
      if (error === undefined) throw new Error("no error");
      const quoted = Math.min(packet.length, 548);
      expect(error.byteLength).toBe(28 + quoted);
      expect(wire.tos(error, 0)).toBe(0xde);
      expect(wire.check(error, 0, error.byteLength)).toBe(0);
      expect(icmp.check(error, 20, error.byteLength)).toBe(0);
      expect(new Uint8Array(error.buffer, error.byteOffset + 28)).toEqual(packet.slice(0, quoted));
      end(h);
    }
  });

  const errorMessage = (type: number) => message(type, 0, 0, ipPacket({ src: ME, dst: PEER }));
  const forwarded = (payload: Uint8Array): IpSpec => ({
    src: PEER,
    dst: ipv4("192.0.2.1"),
    protocol: 1,
    payload,
  });
  const silent: { name: string; spec: IpSpec; frameDst?: number }[] = [
    ...[3, 4, 5, 11, 12, 40, 255].map((type) => ({
      name: `about ICMP type ${type}`,
      spec: forwarded(errorMessage(type)),
    })),
    { name: "about ICMP without a type", spec: forwarded(new Uint8Array(0)) },
    { name: "about a later fragment", spec: { ...unknownProtocol, dst: ipv4("192.0.2.1"), offset: 8 } },
    { name: "about a broadcast", spec: { ...unknownProtocol, dst: 0xffffffff }, frameDst: MAC_BROADCAST },
    { name: "about a broadcast in a unicast frame", spec: { ...unknownProtocol, dst: ipv4("10.0.0.255") } },
    {
      name: "about a broadcast frame",
      spec: { ...unknownProtocol, options: [7, 40, 0, 0] },
      frameDst: MAC_BROADCAST,
    },
    {
      name: "to a broadcast address",
      spec: { ...unknownProtocol, src: ipv4("10.0.0.255"), options: [7, 40, 0, 0] },
    },
    {
      name: "about a subnet broadcast",
      spec: { ...unknownProtocol, dst: ipv4("10.0.0.255") },
      frameDst: MAC_BROADCAST,
    },
    {
      name: "about multicast",
      spec: { ...unknownProtocol, dst: ipv4("224.0.0.1") },
      frameDst: 0x01005e000001,
    },
    { name: "to nobody", spec: { ...unknownProtocol, src: 0, dst: 0xffffffff }, frameDst: MAC_BROADCAST },
    { name: "to one that we have no route to", spec: { ...unknownProtocol, src: ipv4("198.51.100.1") } },
  ];
  test.each(silent)("never $name", ({ spec, frameDst }) => {
    const h = host({ "net.ipv4.ip_forward": "1" });
    h.eth0.receiveFrame(ipPacket(spec), 0, frameDst);
    expect(h.stack.drops.total).toBe(1);
    expect(h.eth0.takeIp()).toHaveLength(0);
    end(h);
  });

  test("never to a loopback address that came from outside", () => {
    const h = host({ "net.ipv4.conf.eth0.route_localnet": "1", "net.ipv4.conf.eth0.accept_local": "1" });
    h.eth0.receiveFrame(ipPacket({ ...unknownProtocol, src: ipv4("127.0.0.1") }), 0);
    expect(h.stack.drops.entries()).toEqual([["IP_NOPROTO", 1]]);
    expect(h.netns.icmp.stats.outErrors).toBe(0);
    end(h);
  });

  test("bear the address that the offender was sent to, when it is ours", () => {
    const lab = hostRouterHost();
    const here = lab.a.udp.open();
    here.send(data, ipv4("10.0.2.1"), 9, {}, lab.now);
    settle(lab);
    expect(here.recvError()).toMatchObject({ type: 3, code: 3, from: ipv4("10.0.2.1") });
    end(lab);
  });

  test("but about an echo request, and about a first fragment", () => {
    const h = host({ "net.ipv4.ip_forward": "1" });
    h.eth0.receiveFrame(ipPacket({ ...echo, dst: ipv4("192.0.2.1") }), 0);
    h.eth0.receiveFrame(ipPacket({ ...unknownProtocol, dst: ipv4("192.0.2.1"), more: true }), 0);
    expect(h.eth0.takeIp().map((p) => [p.getUint8(20), p.getUint8(21)])).toEqual([
      [3, 0],
      [3, 0],
    ]);
    end(h);
  });
});

describe("how many", () => {
  test("to one target: six at once, then one a second; a long silence fills up six again, not more", () => {
    const h = host();
    const burst = (now: number, n: number) => {
      for (let i = 0; i < n; i++) h.eth0.receiveFrame(ipPacket(unknownProtocol), now);
      return h.eth0.takeIp().length;
    };
    expect(burst(0, 20)).toBe(6);
    expect(burst(999 * MS_US, 5)).toBe(0);
    expect(burst(1000 * MS_US, 5)).toBe(1);
    expect(burst(3500 * MS_US, 5)).toBe(2);
    expect(burst(600 * SEC_US, 20)).toBe(6);
    expect(h.netns.icmp.rateLimit.heldBackPeer).toBeGreaterThan(0);
    end(h);
  });

  test("in all: fifty at once, a thousand a second", () => {
    const h = host();
    const burst = (now: number) => {
      for (let last = 2; last < 250; last++)
        h.eth0.receiveFrame(ipPacket({ ...unknownProtocol, src: ME - 1 + last }), now);
      return h.eth0.takeIp().length;
    };
    expect(burst(0)).toBe(50);
    expect(burst(10 * MS_US)).toBe(10);
    expect(burst(SEC_US)).toBe(50);
    end(h);
  });

  test("targets are remembered in bounded number; a forgotten one starts anew", () => {
    const sysctl = new Sysctl();
    sysctl.icmpMsgsBurst = 1_000_000;
    const limit = new IcmpRateLimit(sysctl);
    const grants = (peer: number) =>
      Array.from({ length: 10 }, () => limit.allow(3, peer, 0)).filter(Boolean).length;
    expect([grants(PEER), grants(PEER)]).toEqual([6, 0]);
    for (let i = 1; i < 1024; i++) limit.allow(3, PEER + i, 0);
    expect(grants(PEER)).toBe(0);
    limit.allow(3, PEER + 1024, 0);
    expect(grants(PEER)).toBe(6);
  });

  test("sysctls: another pace, another mask, none at all", () => {
    const sysctl = new Sysctl();
    const limit = new IcmpRateLimit(sysctl);
    const grants = (type: number, now: number) =>
      Array.from({ length: 20 }, () => limit.allow(type, PEER, now)).filter(Boolean).length;
    sysctl.icmpRatelimitMs = 100;
    expect(grants(3, 0)).toBe(6);
    expect(grants(3, 200 * MS_US)).toBe(2);
    expect(grants(0, 200 * MS_US)).toBe(20);
    sysctl.icmpRatemask = 0;
    expect(grants(3, 200 * MS_US)).toBe(20);
    sysctl.icmpRatemask = 0x1818;
    sysctl.icmpRatelimitMs = 0;
    sysctl.icmpMsgsBurst = 4;
    expect(grants(3, SEC_US)).toBe(4);
  });

  test("frag needed and what we tell ourselves are free", () => {
    const lab = hostRouterHost(1000);
    const ping = lab.a.icmp.openEcho();
    const from = lab.b.icmp.openEcho();
    for (let i = 0; i < 30; i++) {
      lab.a.ip.pmtu.clear();
      ping.sendEcho(B, i, new Uint8Array(1200), { df: true }, lab.now);
      settle(lab);
    }
    for (let i = 0; i < 30; i++) expect(ping.recvError()).toMatchObject({ code: 4, seqOrPort: i });
    const udp = lab.b.udp.open();
    for (let i = 0; i < 30; i++) udp.send(data, ipv4("127.0.0.1"), 9, {}, lab.now);
    settle(lab);
    for (let i = 0; i < 30; i++) expect(udp.recvError()).toMatchObject({ type: 3, code: 3 });
    from.close();
    end(lab);
  });
});

describe("errors that arrive", () => {
  /** What a router at R_TO_A would say about a packet that host a sent. */
  function deliver(type: number, code: number, rest: number, offender: Uint8Array) {
    const lab = hostRouterHost();
    const ping = lab.a.icmp.openEcho();
    const quote = offender.slice();
    if (quote.length >= 28) new DataView(quote.buffer).setUint16(24, ping.id);
    const packet = ipPacket({ src: R_TO_A, dst: A, protocol: 1, payload: message(type, code, rest, quote) });
    const pkt = lab.stack.pool.acquire(packet.length);
    if (pkt === undefined) throw new Error("pool");
    pkt.l3 = pkt.put(packet.length);
    pkt.bytes.set(packet, pkt.l3);
    pkt.dev = lab.aDev;
    pkt.iif = lab.aDev.ifindex;
    lab.a.ip.input(pkt, lab.now);
    const result = {
      error: ping.recvError(),
      inErrors: lab.a.icmp.stats.inErrors,
      mtu: lab.a.ip.mtuTo(B, lab.now),
    };
    end(lab);
    return result;
  }
  const ours = ipPacket({ ...echo, src: A, dst: B }).slice(0, 28);

  test("an error about our echo request reaches its socket", () => {
    expect(deliver(3, 1, 0, ours)).toMatchObject({
      error: { type: 3, code: 1, from: R_TO_A, dst: B, seqOrPort: 1 },
    });
    expect(deliver(12, 0, 0x14000000, ours)).toMatchObject({ error: { type: 12, mtu: 0 } });
  });

  test("frag needed lowers the path MTU, though not below 552, and never raises it", () => {
    expect(deliver(3, 4, 1400, ours)).toMatchObject({ mtu: 1400, error: { mtu: 1400 } });
    expect(deliver(3, 4, 100, ours)).toMatchObject({ mtu: 552 });
    expect(deliver(3, 4, 0, ours)).toMatchObject({ mtu: 552 });
    expect(deliver(3, 4, 9000, ours)).toMatchObject({ mtu: 1500 });
  });

  const useless: { name: string; offender: Uint8Array }[] = [
    {
      name: "about a packet that is not ours",
      offender: ipPacket({ ...echo, src: PEER, dst: B }).slice(0, 28),
    },
    { name: "with half a header", offender: ours.slice(0, 16) },
    { name: "without the eight bytes", offender: ours.slice(0, 24) },
    {
      name: "about a later fragment",
      offender: ipPacket({ ...echo, src: A, dst: B, offset: 8 }).slice(0, 28),
    },
    {
      name: "about a broadcast",
      offender: ipPacket({ ...echo, src: A, dst: ipv4("10.0.1.255") }).slice(0, 28),
    },
    { name: "with a header length of four words", offender: ours.with(0, 0x44) },
    { name: "about IPv6", offender: ours.with(0, 0x65) },
  ];
  test.each(useless)("ignored: $name", ({ offender }) => {
    expect(deliver(3, 4, 1400, offender)).toEqual({ error: undefined, inErrors: 1, mtu: 1500 });
  });

  test("redirects and source quenches change nothing", () => {
    for (const type of [4, 5]) {
      expect(deliver(type, 0, 0, ours)).toEqual({ error: undefined, inErrors: 0, mtu: 1500 });
    }
  });
});

describe("an echo socket", () => {
  test("hears its own identifier only, and its owner is told", () => {
    const lab = hostRouterHost();
    const told: number[] = [];
    const one = lab.a.icmp.openEcho({ readable: (now) => told.push(now) });
    const two = lab.a.icmp.openEcho();
    expect(one.id).not.toBe(two.id);
    one.sendEcho(B, 1, data, {}, lab.now);
    settle(lab);
    expect(two.recv()).toBeUndefined();
    expect(told).toEqual([lab.now]);
    expect(one.recv()).toMatchObject({ seq: 1 });
    one.close();
    expect(one.sendEcho(B, 2, data, {}, lab.now)).not.toBe(0);
    end(lab);
  });

  test("what is not read is bounded", () => {
    const lab = hostRouterHost();
    const ping = lab.a.icmp.openEcho();
    for (let i = 0; i < 300; i++) {
      ping.sendEcho(B, i, new Uint8Array(1000), {}, lab.now);
      settle(lab);
    }
    const dropped = lab.stack.drops.entries();
    let read = 0;
    while (ping.recv() !== undefined) read++;
    expect(dropped).toEqual([["SOCKET_RCVBUFF", 300 - read]]);
    expect(read).toBe(Math.floor(212_992 / 1256));
    ping.sendEcho(B, 1, new Uint8Array(1000), {}, lab.now);
    settle(lab);
    expect(ping.recv()).toBeDefined();
    end(lab);
  });
});
