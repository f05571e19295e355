import { afterEach, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { MAC_BROADCAST, mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { PacketType } from "../../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { vethPair } from "../../../src/stack/veth.ts";
import { packetOf, Sink, udpFrame, udpSuperPacket } from "../../support/frames.ts";

const A = mac("02:00:00:00:00:0a");
const B = mac("02:00:00:00:00:0b");
const pool = new PacketPool(100, true);

function setup() {
  const stack = new NetStack({ rng: new SeededRng(1), pool });
  const one = stack.addNetns("one");
  const two = stack.addNetns("two");
  const [a, b] = vethPair(stack, "va", "vb", A, B, 1500);
  one.addDevice(a);
  two.addDevice(b);
  one.setLink(a, true, 0);
  two.setLink(b, true, 0);
  const sink = new Sink(stack);
  b.upper = sink;
  return { stack, one, two, a, b, sink };
}

afterEach(() => expect(pool.outstanding).toBe(0));

test("a frame comes out of the other end, classified, and both ends count it with its header", () => {
  const { stack, a, b, sink } = setup();
  for (const dst of [B, MAC_BROADCAST, mac("01:00:5e:00:00:01"), mac("02:00:00:00:00:99")]) {
    a.transmit(packetOf(pool, udpFrame({ dst, src: A })), 0);
  }
  stack.run(0);
  expect(sink.received.map((one) => one.packetType)).toEqual([
    PacketType.HOST,
    PacketType.BROADCAST,
    PacketType.MULTICAST,
    PacketType.OTHERHOST,
  ]);
  expect(sink.received[0]?.frame).toEqual(udpFrame({ dst: B, src: A }));
  expect(a.stats).toMatchObject({ txPackets: 4, txBytes: 4 * 74, txDropped: 0 });
  expect(b.stats).toMatchObject({ rxPackets: 4, rxBytes: 4 * 74, rxDropped: 0 });
});

test("there is carrier only while both ends are up, and a frame to a peer that is down is a transmit drop", () => {
  const { stack, two, a, b, sink } = setup();
  expect([a.carrier, b.carrier]).toEqual([true, true]);
  two.setLink(b, false, 0);
  expect([a.carrier, a.running, b.carrier]).toEqual([false, false, false]);
  a.transmit(packetOf(pool, udpFrame({ dst: B, src: A })), 0);
  expect(a.stats).toMatchObject({ txPackets: 0, txDropped: 1 });
  expect(b.stats.rxDropped).toBe(0);
  expect(a.drops.get(DropReason.DEV_READY)).toBe(1);
  stack.run(0);
  expect(sink.received).toEqual([]);
});

test("a frame that arrives after the device went down is a receive drop", () => {
  const { stack, two, a, b } = setup();
  a.transmit(packetOf(pool, udpFrame({ dst: B, src: A })), 0);
  two.setLink(b, false, 0);
  stack.run(0);
  expect(b.stats).toMatchObject({ rxPackets: 0, rxDropped: 1 });
  expect(b.drops.get(DropReason.DEV_READY)).toBe(1);
});

test("a frame shorter than an Ethernet header is a receive error", () => {
  const { stack, a, b } = setup();
  a.transmit(packetOf(pool, new Uint8Array(13)), 0);
  stack.run(0);
  expect(b.stats).toMatchObject({ rxPackets: 0, rxErrors: 1 });
  expect(stack.drops.get(DropReason.PKT_TOO_SMALL)).toBe(1);
});

test("the peer's MTU bounds a frame: its header and a VLAN tag come on top, one byte more is too big", () => {
  const { stack, a, b, sink } = setup();
  b.setMtu(1000, 0);
  a.transmit(packetOf(pool, new Uint8Array(1018)), 0);
  a.transmit(packetOf(pool, new Uint8Array(1019)), 0);
  stack.run(0);
  expect(sink.received.map((one) => one.frame.length)).toEqual([1018]);
  expect(stack.drops.get(DropReason.PKT_TOO_BIG)).toBe(1);
  expect([a.stats.txDropped, b.stats.rxDropped]).toEqual([1, 1]);
});

test("a super-packet passes whole when its segments fit, and not when they do not", () => {
  const { stack, a, b, sink } = setup();
  const payload = new Uint8Array(10_000).fill(3);
  a.transmit(udpSuperPacket(pool, { dst: B, src: A, payload }, 1472), 0);
  a.transmit(udpSuperPacket(pool, { dst: B, src: A, payload }, 1473), 0);
  stack.run(0);
  expect(sink.received.map((one) => [one.frame.length, one.gsoSize])).toEqual([[10_042, 1472]]);
  expect(b.stats.rxPackets).toBe(1);
  expect(stack.drops.get(DropReason.PKT_TOO_BIG)).toBe(1);
});

test("a mark and a tunnel's peer stay behind in the namespace that set them", () => {
  const { stack, a, sink } = setup();
  const pkt = packetOf(pool, udpFrame({ dst: B, src: A }));
  Object.assign(pkt, { mark: 7, tunnelRemote: 9 });
  a.transmit(pkt, 0);
  stack.run(0);
  expect(sink.received[0]).toMatchObject({ mark: 0, tunnelRemote: 0 });
});

test("deleting one end deletes the other, wherever it moved to", () => {
  const { stack, one, two, a, b } = setup();
  const three = stack.addNetns("three");
  two.moveDevice(b, three, 0);
  expect(three.device("vb")).toBe(b);
  expect(a.carrier).toBe(false);
  three.setLink(b, true, 0);
  expect(a.carrier).toBe(true);
  one.delDevice(a, 0);
  expect([one.device("va"), three.device("vb")]).toEqual([undefined, undefined]);
  expect(a.carrier).toBe(false);
});
