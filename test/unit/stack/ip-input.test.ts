import { describe, expect, test } from "vitest";
import { dropReasonName } from "../../../src/base/drop-reason.ts";
import { ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { MAC_BROADCAST, mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import type { PacketBuffer } from "../../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import * as icmp from "../../../src/wire/icmp.ts";
import * as wire from "../../../src/wire/ipv4.ts";
import * as udp from "../../../src/wire/udp.ts";
import { must } from "../../support/host-router-host.ts";
import { ipPacket, TestWire } from "../../support/test-wire.ts";

const ME = ipv4("10.0.0.1");
const PEER = ipv4("10.0.0.2");
const FAR = ipv4("10.0.9.7");
const ELSEWHERE = ipv4("192.0.2.1");
const TEST_PROTOCOL = 253;

interface Router {
  readonly stack: NetStack;
  readonly netns: Netns;
  readonly eth0: TestWire;
  readonly eth1: TestWire;
  /** Payloads that reached the test's transport protocol. */
  readonly delivered: Uint8Array[];
}

/** eth0 10.0.0.1/24, eth1 10.0.9.1/24, forwarding; protocol 253 is the test's. The neighbours are known. */
function router(sysctls: Record<string, string> = {}): Router {
  const stack = new NetStack({ rng: new SeededRng(1), pool: new PacketPool(4096, true) });
  const netns = stack.addNetns("r");
  const eth0 = new TestWire(stack, "eth0", mac("02:00:00:00:00:01"), 1500);
  const eth1 = new TestWire(stack, "eth1", mac("02:00:00:00:09:01"), 1500);
  plug(netns, eth0, ME, PEER);
  plug(netns, eth1, ipv4("10.0.9.1"), FAR);
  netns.sysctl.ipForward = true;
  for (const [name, value] of Object.entries(sysctls)) must(netns.sysctl.set(name, value));
  const delivered: Uint8Array[] = [];
  netns.ip.register(TEST_PROTOCOL, {
    input(pkt: PacketBuffer) {
      delivered.push(pkt.bytes.slice(pkt.head, pkt.tail));
      stack.consume(pkt);
    },
  });
  return { stack, netns, eth0, eth1, delivered };
}

function plug(netns: Netns, dev: TestWire, addr: number, neighbour: number): void {
  netns.addDevice(dev);
  netns.setLink(dev, true, 0);
  must(netns.addAddress(dev, { addr, len: 24 }, 0));
  const entry = { dev, ip: neighbour, mac: mac("02:00:00:00:00:99"), state: "PERMANENT" } as const;
  must(netns.neigh.add(entry, 0));
}

/** The one drop of this run, by name. */
function dropped(stack: NetStack): string {
  const rows = stack.drops.entries();
  expect(rows).toHaveLength(1);
  expect(rows[0]?.[1]).toBe(1);
  return rows[0]?.[0] ?? dropReasonName(0);
}

function end(r: Router): void {
  r.stack.delNetns("r", 0);
  expect(r.stack.pool.outstanding).toBe(0);
}

const payload = Uint8Array.from({ length: 40 }, (_, i) => i);
const toMe = { src: PEER, dst: ME, protocol: TEST_PROTOCOL, payload };

describe("what is refused, and why", () => {
  const martians: {
    name: string;
    src: string;
    dst: string;
    want: string;
    sysctls?: Record<string, string>;
  }[] = [
    { name: "multicast source", src: "224.0.0.5", dst: "10.0.0.1", want: "IP_INVALID_SOURCE" },
    { name: "limited broadcast source", src: "255.255.255.255", dst: "10.0.0.1", want: "IP_INVALID_SOURCE" },
    {
      name: "broadcast address of our subnet as source",
      src: "10.0.0.255",
      dst: "10.0.0.1",
      want: "IP_INVALID_SOURCE",
    },
    { name: "zero source", src: "0.0.0.0", dst: "10.0.0.1", want: "IP_INVALID_SOURCE" },
    { name: "0/8 source", src: "0.1.2.3", dst: "10.0.9.7", want: "IP_INVALID_SOURCE" },
    { name: "0/8 source to everybody", src: "0.1.2.3", dst: "255.255.255.255", want: "IP_INVALID_SOURCE" },
    {
      name: "multicast source to everybody",
      src: "224.0.0.5",
      dst: "255.255.255.255",
      want: "IP_INVALID_SOURCE",
    },
    { name: "0/8 destination", src: "10.0.0.2", dst: "0.0.0.1", want: "IP_INVALID_DEST" },
    { name: "loopback destination", src: "10.0.0.2", dst: "127.0.0.1", want: "IP_LOCALNET" },
    { name: "loopback source", src: "127.0.0.1", dst: "10.0.0.1", want: "IP_LOCALNET" },
    { name: "loopback source to everybody", src: "127.0.0.1", dst: "255.255.255.255", want: "IP_LOCALNET" },
    { name: "our own address as source", src: "10.0.0.1", dst: "10.0.0.1", want: "IP_LOCAL_SOURCE" },
    { name: "our other address, forwarded", src: "10.0.9.1", dst: "10.0.9.7", want: "IP_LOCAL_SOURCE" },
    { name: "our own address to everybody", src: "10.0.0.1", dst: "10.0.0.255", want: "IP_LOCAL_SOURCE" },
    { name: "a group that nobody joined", src: "10.0.0.2", dst: "224.0.0.9", want: "IP_INADDRERRORS" },
    {
      name: "strict filter: the way back is another device",
      src: "10.0.9.7",
      dst: "10.0.0.1",
      want: "IP_RPFILTER",
      sysctls: { "net.ipv4.conf.eth0.rp_filter": "1" },
    },
    {
      name: "strict filter set for all",
      src: "10.0.9.7",
      dst: "10.0.0.1",
      want: "IP_RPFILTER",
      sysctls: { "net.ipv4.conf.all.rp_filter": "1" },
    },
    {
      name: "loose filter: no way back at all",
      src: "192.0.2.1",
      dst: "10.0.0.1",
      want: "IP_RPFILTER",
      sysctls: { "net.ipv4.conf.eth0.rp_filter": "2" },
    },
    {
      name: "loose filter: a broadcast address sent it",
      src: "10.0.9.255",
      dst: "10.0.0.1",
      want: "IP_INVALID_SOURCE",
      sysctls: { "net.ipv4.conf.eth0.rp_filter": "2" },
    },
    {
      name: "loose filter: one of our own sent it",
      src: "10.0.9.1",
      dst: "10.0.0.1",
      want: "IP_LOCAL_SOURCE",
      sysctls: { "net.ipv4.conf.eth0.rp_filter": "2" },
    },
  ];
  test.each(martians)("$name", ({ src, dst, want, sysctls }) => {
    const r = router(sysctls);
    r.eth0.receiveFrame(ipPacket({ ...toMe, src: ipv4(src), dst: ipv4(dst) }), 0);
    expect(dropped(r.stack)).toBe(want);
    expect(r.netns.ip.stats.inAddrErrors).toBe(1);
    expect(r.delivered).toHaveLength(0);
    expect(r.eth0.takeIp()).toHaveLength(0);
    end(r);
  });

  const broken: { name: string; break: (bytes: Uint8Array) => Uint8Array; want: string }[] = [
    { name: "checksum", break: (b) => b.with(8, 63), want: "IP_CSUM" },
    { name: "version 6", break: (b) => b.with(0, 0x65), want: "IP_INHDR" },
    { name: "header of four words", break: (b) => b.with(0, 0x44), want: "IP_INHDR" },
    { name: "half a header", break: (b) => b.slice(0, 12), want: "IP_INHDR" },
    { name: "less than its total length", break: (b) => b.slice(0, 50), want: "PKT_TOO_SMALL" },
  ];
  test.each(broken)("$name", ({ break: breakIt, want }) => {
    const r = router();
    r.eth0.receiveFrame(breakIt(ipPacket(toMe)), 0);
    expect(dropped(r.stack)).toBe(want);
    expect(r.netns.ip.stats.inHdrErrors + r.netns.ip.stats.inTruncatedPkts).toBe(1);
    end(r);
  });

  test("a frame for another station, before anything else is looked at", () => {
    const r = router();
    r.eth0.receiveFrame(ipPacket(toMe).slice(0, 3), 0, mac("02:00:00:00:00:77"));
    expect(dropped(r.stack)).toBe("OTHERHOST");
    expect(r.netns.ip.stats.inReceives).toBe(0);
    end(r);
  });

  test("a unicast packet in a broadcast frame, for us or to be forwarded", () => {
    for (const dst of [ME, FAR]) {
      const r = router();
      r.eth0.receiveFrame(ipPacket({ ...toMe, dst }), 0, MAC_BROADCAST);
      expect(dropped(r.stack)).toBe("UNICAST_IN_L2_MULTICAST");
      expect(r.eth1.takeIp()).toHaveLength(0);
      end(r);
    }
  });

  test("no forwarding: dropped in silence, whether there is a route or not", () => {
    for (const dst of [FAR, ELSEWHERE]) {
      const r = router({ "net.ipv4.ip_forward": "0" });
      r.eth0.receiveFrame(ipPacket({ ...toMe, dst }), 0);
      expect(dropped(r.stack)).toBe("FORWARDING_DISABLED");
      expect(r.eth0.takeIp()).toHaveLength(0);
      end(r);
    }
  });

  test("forwarding is the receiving device's own affair", () => {
    const r = router({ "net.ipv4.ip_forward": "0", "net.ipv4.conf.eth0.forwarding": "1" });
    r.eth0.receiveFrame(ipPacket({ ...toMe, dst: FAR }), 0);
    expect(r.eth1.takeIp()).toHaveLength(1);
    r.eth1.receiveFrame(ipPacket({ ...toMe, src: FAR, dst: PEER }), 0);
    expect(dropped(r.stack)).toBe("FORWARDING_DISABLED");
    end(r);
  });

  const routes = [
    { type: undefined, want: "IP_INNOROUTES", code: 0 },
    { type: "unreachable", want: "ROUTE_UNREACHABLE", code: 1 },
    { type: "prohibit", want: "ROUTE_PROHIBIT", code: 13 },
    { type: "blackhole", want: "ROUTE_BLACKHOLE", code: undefined },
  ] as const;
  test.each(routes)("route type $type answers with code $code", ({ type, want, code }) => {
    const r = router();
    if (type !== undefined) must(r.netns.addRoute({ dst: prefix("192.0.2.0/24"), type }, 0));
    r.eth0.receiveFrame(ipPacket({ ...toMe, dst: ELSEWHERE }), 0);
    expect(dropped(r.stack)).toBe(want);
    const answers = r.eth0.takeIp();
    expect(answers.map((p) => [wire.dst(p, 0), p.getUint8(20), p.getUint8(21)])).toEqual(
      code === undefined ? [] : [[PEER, 3, code]],
    );
    end(r);
  });

  test("a protocol that nobody speaks: protocol unreachable", () => {
    const r = router();
    r.eth0.receiveFrame(ipPacket({ ...toMe, protocol: 99 }), 0);
    expect(dropped(r.stack)).toBe("IP_NOPROTO");
    expect(r.eth0.takeIp().map((p) => [p.getUint8(20), p.getUint8(21)])).toEqual([[3, 2]]);
    expect(r.netns.ip.stats.inUnknownProtos).toBe(1);
    end(r);
  });

  test("a source route: dropped; a malformed option: parameter problem that points at it", () => {
    const r = router();
    r.eth0.receiveFrame(ipPacket({ ...toMe, options: [131, 7, 4, 10, 0, 9, 7, 0] }), 0);
    expect(dropped(r.stack)).toBe("IP_INHDR");
    expect(r.eth0.takeIp()).toHaveLength(0);
    r.eth0.receiveFrame(ipPacket({ ...toMe, options: [1, 7, 40, 4] }), 0);
    expect(r.stack.drops.entries()).toEqual([["IP_INHDR", 2]]);
    expect(r.eth0.takeIp().map((p) => [p.getUint8(20), p.getUint8(21), p.getUint8(24)])).toEqual([
      [12, 0, 21],
    ]);
    end(r);
  });
});

describe("what is taken", () => {
  test("padding behind the total length is not payload", () => {
    const r = router();
    const padded = new Uint8Array(100);
    padded.set(ipPacket({ ...toMe, payload: payload.slice(0, 5) }));
    r.eth0.receiveFrame(padded, 0);
    expect(r.delivered).toEqual([payload.slice(0, 5)]);
    end(r);
  });

  test("options are stepped over", () => {
    const r = router();
    r.eth0.receiveFrame(ipPacket({ ...toMe, options: [7, 7, 4, 0, 0, 0, 0, 0] }), 0);
    expect(r.delivered).toEqual([payload]);
    end(r);
  });

  const heard: { name: string; src: string; dst: string; sysctls?: Record<string, string> }[] = [
    { name: "limited broadcast", src: "10.0.0.2", dst: "255.255.255.255" },
    { name: "limited broadcast from one without an address", src: "0.0.0.0", dst: "255.255.255.255" },
    { name: "zero to zero, an old broadcast", src: "0.0.0.0", dst: "0.0.0.0" },
    { name: "subnet broadcast", src: "10.0.0.2", dst: "10.0.0.255" },
    { name: "all hosts", src: "10.0.0.2", dst: "224.0.0.1" },
    { name: "our address on another device", src: "10.0.0.2", dst: "10.0.9.1" },
    {
      name: "our own source with accept_local",
      src: "10.0.9.1",
      dst: "10.0.0.1",
      sysctls: { "net.ipv4.conf.eth0.accept_local": "1" },
    },
    {
      name: "loopback destination with route_localnet",
      src: "10.0.0.2",
      dst: "127.0.0.1",
      sysctls: { "net.ipv4.conf.eth0.route_localnet": "1" },
    },
    {
      name: "loose filter: a way back by any device",
      src: "10.0.9.7",
      dst: "10.0.0.1",
      sysctls: { "net.ipv4.conf.eth0.rp_filter": "2" },
    },
    {
      name: "strict filter: the way back is this device",
      src: "10.0.0.2",
      dst: "10.0.0.1",
      sysctls: { "net.ipv4.conf.eth0.rp_filter": "1" },
    },
  ];
  test.each(heard)("$name", ({ src, dst, sysctls }) => {
    const r = router(sysctls);
    const group = dst.endsWith("255") || dst.startsWith("224") || dst === "0.0.0.0";
    const frameDst = group ? MAC_BROADCAST : r.eth0.mac;
    r.eth0.receiveFrame(ipPacket({ ...toMe, src: ipv4(src), dst: ipv4(dst) }), 0, frameDst);
    expect(r.stack.drops.entries()).toEqual([]);
    expect(r.delivered).toEqual([payload]);
    expect(r.netns.ip.stats.inDelivers).toBe(1);
    end(r);
  });
});

test("random bytes behind a sound link header never throw and never leak", () => {
  const rng = new SeededRng(99);
  const pick = <T>(...choices: T[]) => choices[rng.u32() % choices.length] as T;
  const r = router({ "net.ipv4.conf.eth0.rp_filter": "1" });
  must(r.netns.udp.open().bind(0, 7));
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from({ length: rng.u32() % 80 }, () => rng.u32());
    if (i % 4 !== 0 && bytes.length >= 24) {
      // Far enough into the layers to matter: a right header around random contents, of a protocol that somebody takes.
      const view = new DataView(bytes.buffer);
      const headerBytes = pick(20, 20, 20, 24);
      bytes[0] = 0x40 | (headerBytes >>> 2);
      view.setUint16(2, bytes.length);
      view.setUint16(6, pick(0, 0, 0x4000, rng.u32() & 0xffff));
      bytes[9] = pick(1, 1, 17, TEST_PROTOCOL, rng.u32());
      view.setUint32(12, pick(PEER, PEER, PEER, FAR, ELSEWHERE, rng.u32()));
      view.setUint32(16, pick(ME, ME, FAR, ELSEWHERE, rng.u32()));
      wire.updateChecksum(view, 0);
      if (bytes[9] === 1 && bytes.length >= headerBytes + 8) {
        if (i % 2 === 0 && bytes.length >= headerBytes + 28) {
          bytes[headerBytes + 8] = 0x45;
          view.setUint16(headerBytes + 14, 0);
          view.setUint32(headerBytes + 20, ME);
        }
        icmp.emit(
          view,
          headerBytes,
          bytes.length,
          pick(0, 3, 8, 11, rng.u32() % 20),
          rng.u32() % 16,
          rng.u32(),
        );
      } else if (bytes[9] === 17 && bytes.length >= headerBytes + 8) {
        udp.emit(view, headerBytes, 9, 7, bytes.length - headerBytes - (rng.u32() % 2));
      }
    }
    r.eth0.receiveFrame(bytes, i * 1000);
    while (r.stack.run(i * 1000));
    r.eth0.sent.length = 0;
    r.eth1.sent.length = 0;
  }
  // It did get in: errors understood, datagrams queued, fragments held and answered.
  expect(r.netns.icmp.stats.inEchos).toBeGreaterThan(50);
  expect(r.netns.icmp.stats.inErrors).toBeGreaterThan(50);
  expect(r.netns.udp.stats.inDatagrams).toBeGreaterThan(50);
  expect(r.netns.ip.stats.reasmReqds).toBeGreaterThan(50);
  end(r);
});
