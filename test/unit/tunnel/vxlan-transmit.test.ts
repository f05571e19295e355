import { afterEach, describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { MAC_BROADCAST, MAC_ZERO, mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { Bridge } from "../../../src/stack/bridge.ts";
import { segment } from "../../../src/stack/gso.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { PacketBuffer } from "../../../src/stack/packet-buffer.ts";
import { PacketType } from "../../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { VxlanDevice, type VxlanOptions } from "../../../src/tunnel/vxlan.ts";
import { VxlanPort } from "../../../src/tunnel/vxlan-port.ts";
import * as udp from "../../../src/wire/udp.ts";
import {
  bytesIn,
  packetOf,
  RecordingUnderlay,
  Sink,
  udpFrame,
  udpSuperPacket,
} from "../../support/frames.ts";

const OWN = mac("02:00:00:00:00:01");
const PEER = mac("02:00:00:00:00:02");
const LOCAL = ipv4("192.168.56.2");
const REMOTES = ["192.168.56.3", "192.168.56.4", "192.168.56.5"].map(ipv4) as [number, number, number];
const VNI_1 = [8, 0, 0, 0, 0, 0, 1, 0];
const pool = new PacketPool(300, true);
afterEach(() => expect(pool.outstanding).toBe(0));

function setup(opts: Partial<VxlanOptions> = {}, stackPool = pool) {
  const stack = new NetStack({ rng: new SeededRng(1), pool: stackPool });
  const host = stack.addNetns("");
  const underlay = new RecordingUnderlay(stack, LOCAL);
  const port = new VxlanPort(stack);
  const add = (name: string, own: Partial<VxlanOptions> = {}) => {
    const all = { vni: 1, learning: false, gbp: false, ageingSec: 300, local: LOCAL, dstPort: 8472, ...own };
    const dev = new VxlanDevice(stack, name, OWN, 1450, all, underlay);
    host.addDevice(dev);
    host.setLink(dev, true, 0);
    port.add(dev);
    return dev;
  };
  const dev = add("flannel.1", opts);
  const transmit = (dst: number, more: { mark?: number } = {}) => {
    dev.transmit(Object.assign(packetOf(stackPool, udpFrame({ dst, src: OWN })), more), 0);
  };
  return { stack, host, underlay, port, dev, add, transmit };
}

test("a frame leaves as flags 08, zeros, the VNI, a zero and the frame itself", () => {
  const { underlay, dev, transmit } = setup({ vni: 0x0a0b0c });
  dev.fdb.replace(PEER, REMOTES[0], "permanent", 0);
  transmit(PEER);
  const [one] = underlay.take();
  expect(one).toMatchObject({ dst: REMOTES[0], dstPort: 8472, gsoSize: 0 });
  expect(one?.payload).toEqual(
    Uint8Array.from([8, 0, 0, 0, 0x0a, 0x0b, 0x0c, 0, ...udpFrame({ dst: PEER, src: OWN })]),
  );
  // As Linux counts: without the inner Ethernet header.
  expect(dev.stats).toMatchObject({ txPackets: 1, txBytes: 60, txDropped: 0, txErrors: 0 });
});

test.each([
  ["an unknown station", PEER],
  ["a broadcast (so ARP never crosses)", MAC_BROADCAST],
  ["a multicast", mac("33:33:00:00:00:02")],
])("%s without a default destination is a transmit drop", (_name, dst) => {
  const { stack, underlay, dev, transmit } = setup();
  transmit(dst);
  expect(underlay.take()).toEqual([]);
  expect(dev.stats).toMatchObject({ txPackets: 0, txDropped: 1, txErrors: 0 });
  expect(stack.drops.entries()).toEqual([["VXLAN_NO_REMOTE", 1]]);
});

test("default destinations get a copy each of what has no entry; a known station is not among that", () => {
  const { underlay, dev, transmit } = setup();
  for (const remote of REMOTES) expect(dev.fdb.append(MAC_ZERO, remote, "permanent", 0).ok).toBe(true);
  dev.fdb.append(MAC_ZERO, REMOTES[0], "permanent", 0);
  dev.fdb.replace(PEER, REMOTES[1], "permanent", 0);
  transmit(MAC_BROADCAST);
  const sent = underlay.take();
  expect(new Set(sent.map((one) => one.dst))).toEqual(new Set(REMOTES));
  expect(sent.length).toBe(3);
  for (const one of sent) {
    expect(one.payload).toEqual(Uint8Array.from([...VNI_1, ...udpFrame({ dst: MAC_BROADCAST, src: OWN })]));
  }
  expect(dev.stats).toMatchObject({ txPackets: 3, txBytes: 180 });
  transmit(PEER);
  expect(underlay.take().map((one) => one.dst)).toEqual([REMOTES[1]]);
  dev.fdb.del(MAC_ZERO, REMOTES[1]);
  transmit(mac("02:00:00:00:00:77"));
  expect(underlay.take().length).toBe(2);
  dev.fdb.del(MAC_ZERO);
  transmit(MAC_BROADCAST);
  expect(dev.stats.txDropped).toBe(1);
});

test("with an empty pool the copies are lost, the frame itself is not", () => {
  const tight = new PacketPool(1, true);
  const { underlay, dev, transmit } = setup({}, tight);
  for (const remote of REMOTES) dev.fdb.append(MAC_ZERO, remote, "permanent", 0);
  transmit(MAC_BROADCAST);
  expect(underlay.take().map((one) => one.dst)).toEqual([REMOTES[0]]);
  expect(dev.stats).toMatchObject({ txPackets: 1, txDropped: 2 });
  expect(dev.drops.get(DropReason.NOMEM)).toBe(2);
  expect(tight.outstanding).toBe(0);
});

test("an entry may name its own port and network", () => {
  const { underlay, dev, transmit } = setup();
  dev.fdb.replace(PEER, REMOTES[0], "permanent", 0, { port: 4789, vni: 7 });
  transmit(PEER);
  const [one] = underlay.take();
  expect([one?.dstPort, one?.payload[6]]).toEqual([4789, 7]);
});

test("a local address that is not the node's cannot send: an error of the carrier", () => {
  const { stack, underlay, dev, transmit } = setup({ local: ipv4("203.0.113.1") });
  dev.fdb.replace(PEER, REMOTES[0], "permanent", 0);
  transmit(PEER);
  expect(underlay.take()).toEqual([]);
  expect(dev.stats).toMatchObject({ txPackets: 0, txErrors: 1, txCarrier: 1, txDropped: 0 });
  expect(stack.drops.entries()).toEqual([["IP_OUTNOROUTES", 1]]);
});

test("a destination of 0.0.0.0 is a transmit drop", () => {
  const { stack, dev, transmit } = setup();
  dev.fdb.replace(PEER, 0, "permanent", 0);
  transmit(PEER);
  expect(dev.stats.txDropped).toBe(1);
  expect(stack.drops.entries()).toEqual([["VXLAN_NO_REMOTE", 1]]);
});

test("a device that is down sends nothing", () => {
  const { stack, host, dev, transmit } = setup();
  dev.fdb.replace(PEER, REMOTES[0], "permanent", 0);
  host.setLink(dev, false, 0);
  transmit(PEER);
  expect(stack.drops.entries()).toEqual([["DEV_READY", 1]]);
});

describe("group policy", () => {
  test.each([
    ["the mark's policy", true, 0x0040_1234, [0x88, 0x40, 0x12, 0x34]],
    ["both flags", true, 0x0048_0001, [0x88, 0x48, 0, 1]],
    ["nothing else of the mark", true, 0xffff_0001, [0x88, 0x48, 0, 1]],
    ["no policy without a mark", true, 0, [8, 0, 0, 0]],
    ["no policy when it is off", false, 0x1234, [8, 0, 0, 0]],
  ])("a frame carries %s", (_name, gbp, mark, want) => {
    const { underlay, dev, transmit } = setup({ gbp });
    dev.fdb.replace(PEER, REMOTES[0], "permanent", 0);
    transmit(PEER, { mark });
    expect(Array.from(underlay.take()[0]?.payload.slice(0, 8) ?? [])).toEqual([...want, 0, 0, 1, 0]);
  });
});

describe("a peer that is this node", () => {
  test("gets the frame without a datagram, as its own, whatever MAC address it is for", () => {
    const { stack, underlay, dev, transmit } = setup();
    const sink = new Sink(stack);
    dev.upper = sink;
    dev.fdb.replace(PEER, LOCAL, "permanent", 0);
    transmit(PEER);
    expect(sink.received).toEqual([]);
    while (stack.run(0)) continue;
    expect(underlay.take()).toEqual([]);
    expect(sink.take()).toEqual([
      expect.objectContaining({ packetType: PacketType.HOST, tunnelRemote: ipv4("127.0.0.1") }),
    ]);
    expect(dev.stats).toMatchObject({ txPackets: 1, rxPackets: 1 });
  });

  test("is the device of the entry's network; a learning one learns 127.0.0.1", () => {
    const { stack, dev, add, transmit } = setup();
    const second = add("vxlan.2", { vni: 2, learning: true });
    const sink = new Sink(stack);
    second.upper = sink;
    dev.fdb.replace(PEER, LOCAL, "permanent", 0, { vni: 2 });
    transmit(PEER);
    while (stack.run(0)) continue;
    expect(sink.take().map((one) => one.dev)).toEqual(["vxlan.2"]);
    expect(second.fdb.dump(0)).toMatchObject([{ mac: OWN, remote: ipv4("127.0.0.1"), state: "learned" }]);
  });

  test.each([
    ["network", { vni: 9 }],
    ["port", { port: 4789 }],
  ])("without such a %s it is a transmit error", (_name, opts) => {
    const { stack, dev, transmit } = setup();
    dev.fdb.replace(PEER, LOCAL, "permanent", 0, opts);
    transmit(PEER);
    expect(dev.stats).toMatchObject({ txPackets: 0, txErrors: 1 });
    expect(stack.drops.entries()).toEqual([["VXLAN_VNI_NOT_FOUND", 1]]);
  });
});

test("one flow keeps one hash, other flows have others, and each is a small integer", () => {
  const { underlay, dev } = setup();
  dev.fdb.replace(PEER, REMOTES[0], "permanent", 0);
  const hashes = [...Array(64).keys(), 5].map((n) => {
    dev.transmit(packetOf(pool, udpFrame({ dst: PEER, src: OWN, srcPort: 40000 + n, id: n })), 0);
    return underlay.take()[0]?.flowHash as number;
  });
  expect(hashes[64]).toBe(hashes[5]);
  expect(new Set(hashes).size).toBe(64);
  for (const hash of hashes) expect(hash >= 0 && hash < 2 ** 31 && Number.isInteger(hash)).toBe(true);
});

test("a super-packet leaves whole and is cut behind the tunnel's headers", () => {
  const { stack, dev } = setup();
  const payload = Uint8Array.from({ length: 5000 }, (_, i) => i & 0xff);
  const segments: PacketBuffer[] = [];
  let wholes = 0;
  const cutting = {
    local: LOCAL,
    port: 8472,
    send(pkt: PacketBuffer) {
      wholes++;
      segment(pkt, stack, { segment: (one) => segments.push(one) }, 0);
    },
  };
  const opts = { vni: 1, learning: false, gbp: false, ageingSec: 300, local: LOCAL, dstPort: 8472 };
  const edge = new VxlanDevice(stack, "vx", OWN, 1450, opts, cutting);
  edge.up = dev.up;
  edge.fdb.replace(PEER, REMOTES[0], "permanent", 0);
  edge.transmit(udpSuperPacket(pool, { dst: PEER, src: OWN, payload, id: 9 }, 1400), 0);
  expect(wholes).toBe(1);
  const parts = [0, 1400, 2800, 4200].map((at) => payload.slice(at, at + 1400));
  const want = parts.map((part, n) => [
    ...VNI_1,
    ...udpFrame({ dst: PEER, src: OWN, payload: part, id: 9 + n }),
  ]);
  expect(segments.map((one) => Array.from(bytesIn(one)))).toEqual(want);
  for (const one of segments) {
    expect(udp.len(one.view, one.l4)).toBe(one.tail - one.l4);
    pool.release(one);
  }
});

describe("as a port of a bridge", () => {
  function bridged() {
    const lab = setup({ learning: true });
    const bridge = new Bridge(lab.stack, "br0", mac("02:aa:00:00:00:01"));
    lab.host.addDevice(bridge);
    lab.host.setLink(bridge, true, 0);
    bridge.addPort(lab.dev, 0);
    return { ...lab, bridge };
  }
  const STATION = mac("02:00:00:00:0b:01");

  test("both databases learn: the bridge which device, the device which peer", () => {
    const { stack, underlay, port, bridge, dev } = bridged();
    const sink = new Sink(stack);
    bridge.upper = sink;
    dev.fdb.append(MAC_ZERO, REMOTES[0], "permanent", 0);
    dev.fdb.append(MAC_ZERO, REMOTES[1], "permanent", 0);
    const inner = udpFrame({ dst: bridge.mac, src: STATION });
    port.receive(packetOf(pool, Uint8Array.from([...VNI_1, ...inner])), REMOTES[1], 1, 0);
    expect(sink.take()[0]?.frame).toEqual(inner);
    bridge.transmit(packetOf(pool, udpFrame({ dst: STATION, src: bridge.mac })), 0);
    expect(underlay.take().map((one) => one.dst)).toEqual([REMOTES[1]]);
    bridge.transmit(packetOf(pool, udpFrame({ dst: MAC_BROADCAST, src: bridge.mac })), 0);
    expect(underlay.take().length).toBe(2);
  });

  test("the bridge keeps frames from it that its MTU forbids", () => {
    const { stack, underlay, bridge, dev } = bridged();
    dev.fdb.append(MAC_ZERO, REMOTES[0], "permanent", 0);
    const frame = (len: number) =>
      packetOf(pool, udpFrame({ dst: STATION, src: bridge.mac, payload: new Uint8Array(len - 28) }));
    bridge.transmit(frame(1454), 0);
    bridge.transmit(frame(1455), 0);
    expect(underlay.take().map((one) => one.payload.length)).toEqual([8 + 14 + 1454]);
    expect(stack.drops.entries()).toEqual([["PKT_TOO_BIG", 1]]);
  });
});
