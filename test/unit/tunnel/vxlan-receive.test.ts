import { afterEach, describe, expect, test } from "vitest";
import { DropReason, dropReasonName } from "../../../src/base/drop-reason.ts";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { MAC_BROADCAST, mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { PacketType } from "../../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { VxlanDevice, type VxlanOptions } from "../../../src/tunnel/vxlan.ts";
import { VxlanPort } from "../../../src/tunnel/vxlan-port.ts";
import { ethernetFrame, packetOf, RecordingUnderlay, Sink, udpFrame } from "../../support/frames.ts";

const OWN = mac("02:00:00:00:00:01");
const PEER = mac("02:00:00:00:00:02");
const OTHER = mac("02:00:00:00:00:03");
const LOCAL = ipv4("192.168.56.2");
const REMOTE = ipv4("192.168.56.3");
const STRANGER = ipv4("192.168.56.99");
const pool = new PacketPool(200, true);
afterEach(() => expect(pool.outstanding).toBe(0));

function setup(opts: Partial<VxlanOptions> = {}) {
  const stack = new NetStack({ rng: new SeededRng(1), pool });
  const host = stack.addNetns("");
  const underlay = new RecordingUnderlay(stack, LOCAL);
  const dev = new VxlanDevice(
    stack,
    "flannel.1",
    OWN,
    1450,
    { vni: 1, learning: false, gbp: false, ageingSec: 300, local: LOCAL, dstPort: 8472, ...opts },
    underlay,
  );
  host.addDevice(dev);
  host.setLink(dev, true, 0);
  const sink = new Sink(stack);
  dev.upper = sink;
  const port = new VxlanPort(stack);
  port.add(dev);
  const receive = (header: number[], inner: Uint8Array, src = REMOTE, now = 0) =>
    port.receive(packetOf(pool, Uint8Array.from([...header, ...inner])), src, 50000, now);
  return { stack, host, dev, sink, port, receive };
}

const VNI_1 = [8, 0, 0, 0, 0, 0, 1, 0];
const SOUND = udpFrame({ dst: OWN, src: PEER });
const to = (dst: number, src = PEER) => udpFrame({ dst, src });

type Delivered = { packetType: number };
type Lost = { reason: number; rxErrors?: number };
interface Row {
  readonly name: string;
  readonly header?: number[];
  readonly inner?: Uint8Array;
  readonly src?: number;
  readonly opts?: Partial<VxlanOptions>;
  readonly want: Delivered | Lost;
}

const HOST = { packetType: PacketType.HOST };
const BAD_HEADER = { reason: DropReason.VXLAN_INVALID_HDR, rxErrors: 1 };
const GBP = { gbp: true };
const LEARNING = { learning: true };

// The kernel's receive matrix (6.18), then what its other rules add.
const MATRIX: Row[] = [
  { name: "valid", want: HOST },
  { name: "reserved bit 0 of the flags", header: [9, 0, 0, 0, 0, 0, 1, 0], want: BAD_HEADER },
  { name: "reserved bit 7 of the flags", header: [0x88, 0, 0, 0, 0, 0, 1, 0], want: BAD_HEADER },
  { name: "reserved byte 1", header: [8, 1, 0, 0, 0, 0, 1, 0], want: BAD_HEADER },
  { name: "reserved byte 2", header: [8, 0, 1, 0, 0, 0, 1, 0], want: BAD_HEADER },
  { name: "reserved byte 3", header: [8, 0, 0, 1, 0, 0, 1, 0], want: BAD_HEADER },
  { name: "reserved byte 7", header: [8, 0, 0, 0, 0, 0, 1, 1], want: BAD_HEADER },
  { name: "group policy, off here", header: [0x88, 0, 0, 5, 0, 0, 1, 0], want: BAD_HEADER },
  { name: "flag I clear", header: [0, 0, 0, 0, 0, 0, 1, 0], want: { reason: DropReason.VXLAN_INVALID_HDR } },
  { name: "another VNI", header: [8, 0, 0, 0, 0, 0, 2, 0], want: { reason: DropReason.VXLAN_VNI_NOT_FOUND } },
  {
    name: "another VNI by its highest byte",
    header: [8, 0, 0, 0, 1, 0, 1, 0],
    want: { reason: DropReason.VXLAN_VNI_NOT_FOUND },
  },
  {
    name: "header cut short",
    header: VNI_1.slice(0, 7),
    inner: new Uint8Array(),
    want: { reason: DropReason.PKT_TOO_SMALL },
  },
  { name: "empty datagram", header: [], inner: new Uint8Array(), want: { reason: DropReason.PKT_TOO_SMALL } },
  {
    name: "no inner frame",
    inner: new Uint8Array(),
    want: { reason: DropReason.PKT_TOO_SMALL, rxErrors: 1 },
  },
  {
    name: "inner Ethernet header cut short",
    inner: SOUND.slice(0, 13),
    want: { reason: DropReason.PKT_TOO_SMALL, rxErrors: 1 },
  },
  {
    name: "inner IPv4 header cut short",
    inner: SOUND.slice(0, 33),
    want: { reason: DropReason.PKT_TOO_SMALL, rxErrors: 1 },
  },
  {
    name: "inner IPv6 header cut short",
    inner: ethernetFrame(OWN, PEER, 0x86dd, new Uint8Array(39)),
    want: { reason: DropReason.PKT_TOO_SMALL, rxErrors: 1 },
  },
  {
    name: "inner of another protocol may be short",
    inner: ethernetFrame(OWN, PEER, 0x88b5, new Uint8Array(1)),
    want: HOST,
  },
  {
    name: "inner destination is another's: counted, IP will drop it",
    inner: to(OTHER),
    want: { packetType: PacketType.OTHERHOST },
  },
  {
    name: "inner destination is broadcast",
    inner: to(MAC_BROADCAST),
    want: { packetType: PacketType.BROADCAST },
  },
  {
    name: "inner destination is multicast",
    inner: to(mac("01:00:5e:00:00:01")),
    want: { packetType: PacketType.MULTICAST },
  },
  { name: "inner source is our own: a loop", inner: to(OWN, OWN), want: { reason: DropReason.LOCAL_MAC } },
  { name: "inner source unknown", inner: to(OWN, OTHER), want: HOST },
  { name: "outer source unknown", src: STRANGER, want: HOST },
  { name: "inner source zero, not learning", inner: to(OWN, 0), want: HOST },
  { name: "inner source multicast, not learning", inner: to(OWN, MAC_BROADCAST), want: HOST },
  {
    name: "inner source zero, learning",
    inner: to(OWN, 0),
    opts: LEARNING,
    want: { reason: DropReason.MAC_INVALID_SOURCE },
  },
  {
    name: "inner source multicast, learning",
    inner: to(OWN, MAC_BROADCAST),
    opts: LEARNING,
    want: { reason: DropReason.MAC_INVALID_SOURCE },
  },
  {
    name: "group policy on, and present",
    header: [0x88, 0x48, 0x12, 0x34, 0, 0, 1, 0],
    opts: GBP,
    want: HOST,
  },
  { name: "group policy on, but absent", opts: GBP, want: HOST },
  {
    name: "group policy on: its bits without its flag",
    header: [8, 0, 0, 5, 0, 0, 1, 0],
    opts: GBP,
    want: HOST,
  },
  {
    name: "group policy on: another reserved flag",
    header: [0x8a, 0, 0, 5, 0, 0, 1, 0],
    opts: GBP,
    want: BAD_HEADER,
  },
  {
    name: "group policy on: reserved byte 7",
    header: [0x88, 0, 0, 5, 0, 0, 1, 1],
    opts: GBP,
    want: BAD_HEADER,
  },
];

test.each(MATRIX)("$name", ({ header = VNI_1, inner = SOUND, src = REMOTE, opts, want }) => {
  const { stack, dev, sink, receive } = setup(opts);
  receive(header, inner, src);
  if ("packetType" in want) {
    expect(stack.drops.entries()).toEqual([]);
    expect(sink.received).toEqual([
      expect.objectContaining({
        frame: Uint8Array.from(inner),
        packetType: want.packetType,
        tunnelRemote: src,
      }),
    ]);
    // As Linux counts: without the inner Ethernet header.
    expect(dev.stats).toMatchObject({ rxPackets: 1, rxBytes: inner.length - 14, rxErrors: 0 });
  } else {
    expect(sink.received).toEqual([]);
    expect(stack.drops.entries()).toEqual([[dropReasonName(want.reason), 1]]);
    expect(dev.stats).toMatchObject({ rxPackets: 0, rxErrors: want.rxErrors ?? 0 });
  }
});

test("the policy and its two flags arrive in the mark", () => {
  const { sink, receive } = setup(GBP);
  receive([0x88, 0x48, 0x12, 0x34, 0, 0, 1, 0], SOUND);
  receive([8, 0x48, 0x12, 0x34, 0, 0, 1, 0], SOUND);
  expect(sink.received.map((one) => one.mark)).toEqual([0x48_1234, 0]);
});

test("a device that is down takes nothing in, and learns nothing", () => {
  const { stack, host, dev, receive } = setup(LEARNING);
  host.setLink(dev, false, 0);
  receive(VNI_1, SOUND);
  expect(stack.drops.entries()).toEqual([["DEV_READY", 1]]);
  expect(dev.stats.rxDropped).toBe(1);
  expect(dev.fdb.size).toBe(0);
});

describe("several networks on one port", () => {
  test("each gets its own frames only; one network has one device", () => {
    const { stack, host, sink, port, receive, dev } = setup();
    const underlay = new RecordingUnderlay(stack, LOCAL);
    const opts = { vni: 2, learning: false, gbp: false, ageingSec: 300, local: LOCAL, dstPort: 8472 };
    const second = new VxlanDevice(stack, "flannel.2", OWN, 1450, opts, underlay);
    host.addDevice(second);
    host.setLink(second, true, 0);
    const sink2 = new Sink(stack);
    second.upper = sink2;
    expect(port.add(second).ok).toBe(true);
    expect(port.add(second).ok).toBe(true);
    const rival = new VxlanDevice(stack, "vx", OTHER, 1450, opts, underlay);
    expect(port.add(rival)).toEqual({ ok: false, error: "File exists" });
    port.del(rival);
    receive(VNI_1, SOUND);
    receive([8, 0, 0, 0, 0, 0, 2, 0], SOUND);
    receive([8, 0, 0, 0, 0, 0, 2, 0], SOUND);
    expect([sink.take().length, sink2.take().length]).toEqual([1, 2]);
    host.delDevice(second, 0);
    expect([port.size, port.lookup(1), port.lookup(2)]).toEqual([1, dev, undefined]);
    receive([8, 0, 0, 0, 0, 0, 2, 0], SOUND);
    expect(stack.drops.entries()).toEqual([["VXLAN_VNI_NOT_FOUND", 1]]);
  });
});
