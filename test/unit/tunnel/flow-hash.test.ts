import { expect, test } from "vitest";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { flowHash } from "../../../src/tunnel/flow-hash.ts";
import { ethernetFrame, type UdpFrameOptions, udpFrame } from "../../support/frames.ts";

const BASE: UdpFrameOptions = { dst: mac("02:00:00:00:00:0b"), src: mac("02:00:00:00:00:0a") };
const hash = (frame: Uint8Array<ArrayBuffer>, salt = 1) =>
  flowHash(new DataView(frame.buffer), 0, frame.length, salt);

test.each<[string, Partial<UdpFrameOptions>]>([
  ["source address", { ipSrc: ipv4("10.244.0.3") }],
  ["destination address", { ipDst: ipv4("10.244.1.3") }],
  ["source port", { srcPort: 40001 }],
  ["destination port", { dstPort: 54 }],
])("another %s is another flow", (_name, change) => {
  expect(hash(udpFrame({ ...BASE, ...change }))).not.toBe(hash(udpFrame(BASE)));
});

test.each<[string, Partial<UdpFrameOptions>]>([
  ["payload", { payload: new Uint8Array(9) }],
  ["identification", { id: 99 }],
  ["MAC address", { src: mac("02:00:00:00:00:0c") }],
])("another %s is the same flow", (_name, change) => {
  expect(hash(udpFrame({ ...BASE, ...change }))).toBe(hash(udpFrame(BASE)));
});

test("all fragments of a packet have one hash: their ports do not count", () => {
  const fragment = (word: number, srcPort: number) => {
    const frame = udpFrame({ ...BASE, srcPort });
    new DataView(frame.buffer).setUint16(20, word);
    return hash(frame);
  };
  expect(fragment(0x2000, 1)).toBe(fragment(0x00b9, 2));
});

test("ARP goes by its MAC addresses, IPv6 by its addresses", () => {
  const arp = (src: number) => hash(ethernetFrame(BASE.dst, src, 0x0806, new Uint8Array(28)));
  expect(arp(1)).toBe(arp(1));
  expect(arp(1)).not.toBe(arp(2));
  const ipv6 = (last: number) => {
    const packet = new Uint8Array(48);
    packet[39] = last;
    return hash(ethernetFrame(BASE.dst, last, 0x86dd, packet));
  };
  expect(ipv6(1)).not.toBe(ipv6(2));
});

test("the salt makes it unpredictable, and a header cut short is not read", () => {
  expect(hash(udpFrame(BASE), 2)).not.toBe(hash(udpFrame(BASE), 1));
  for (let len = 14; len <= 38; len++) expect(hash(udpFrame(BASE).slice(0, len))).toBeGreaterThanOrEqual(0);
});

test("hashes spread evenly: 8 sockets get between 8 and 17 per cent of 4,096 flows each", () => {
  const buckets = Array.from({ length: 8 }, () => 0);
  for (let n = 0; n < 4096; n++) {
    const h = hash(udpFrame({ ...BASE, srcPort: 32768 + n }));
    buckets[h % 8] = (buckets[h % 8] as number) + 1;
  }
  for (const count of buckets) {
    expect(count).toBeGreaterThan(4096 * 0.08);
    expect(count).toBeLessThan(4096 * 0.17);
  }
});
