import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { ipv4 as address } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { completeChecksum } from "../../../src/tunnel/checksum-completion.ts";
import * as checksum from "../../../src/wire/checksum.ts";
import * as ipv4 from "../../../src/wire/ipv4.ts";
import * as tcp from "../../../src/wire/tcp.ts";
import * as udp from "../../../src/wire/udp.ts";
import { bytesOf } from "../../support/dissect.ts";
import { ethernetFrame, udpFrame } from "../../support/frames.ts";

const A = mac("02:00:00:00:00:0a");
const B = mac("02:00:00:00:00:0b");
const SRC = address("10.244.0.2");
const DST = address("10.244.1.2");

const udpOf = (payload: Uint8Array) => udpFrame({ dst: B, src: A, ipSrc: SRC, ipDst: DST, payload });

function tcpOf(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const len = 40 + payload.length;
  const bytes = ethernetFrame(B, A, 0x0800, new Uint8Array(len));
  const view = new DataView(bytes.buffer);
  ipv4.emit(view, 14, len, 1, true, 64, 6, SRC, DST);
  tcp.emit(view, 34, 80, 40000, 1, 2, tcp.Flag.ACK, 100);
  bytes.set(payload, 54);
  tcp.updateChecksum(view, 34, bytes.length, SRC, DST);
  return bytes;
}

/** The same segment over IPv6: addresses that sum to what the IPv4 ones do, so the checksum stays right. */
function ipv6Of(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const segment = frame.slice(34);
  const packet = new Uint8Array(40 + segment.length);
  const view = new DataView(packet.buffer);
  view.setUint8(0, 0x60);
  view.setUint16(4, segment.length);
  view.setUint8(6, frame[23] as number);
  view.setUint32(20, SRC);
  view.setUint32(36, DST);
  packet.set(segment, 40);
  return ethernetFrame(B, A, 0x86dd, packet);
}

const tagged = (frame: Uint8Array): Uint8Array<ArrayBuffer> =>
  Uint8Array.from([...frame.slice(0, 12), 0x81, 0, 0, 5, ...frame.slice(12)]);

const bare = (frame: Uint8Array<ArrayBuffer>) => frame;

/** What a kernel VTEP with offloads on emits: the sum of the pseudo header where the checksum belongs. */
function partial(frame: Uint8Array, l4: number, protocol: number): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(frame);
  const sum = checksum.pseudoHeaderSum(SRC, DST, protocol, copy.length - l4);
  new DataView(copy.buffer).setUint16(l4 + (protocol === 6 ? 16 : 6), checksum.fold(sum));
  return copy;
}

const complete = (frame: Uint8Array<ArrayBuffer>, end = frame.length) =>
  completeChecksum(new DataView(frame.buffer), 0, end);

describe.each([
  ["UDP", udpOf, 17],
  ["TCP", tcpOf, 6],
])("%s", (_name, make, protocol) => {
  describe.each([
    ["IPv4", bare, 34],
    ["IPv6", ipv6Of, 54],
    ["IPv4 behind a VLAN tag", tagged, 38],
  ])("over %s", (_over, wrap, l4) => {
    test("an unfinished checksum is completed to what the sender would have written", () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 100 }), (payload) => {
          const want = wrap(make(payload));
          const frame = partial(want, l4, protocol);
          complete(frame);
          expect(frame).toEqual(want);
        }),
        { numRuns: 60 },
      );
    });

    test("a complete one stays, and so does a wrong one", () => {
      const right = wrap(make(Uint8Array.from([1, 2, 3])));
      const frame = Uint8Array.from(right);
      expect(complete(frame)).toBe(false);
      expect(frame).toEqual(right);
      const wrong = Uint8Array.from(right);
      wrong[wrong.length - 1] = 99;
      const before = Uint8Array.from(wrong);
      expect(complete(wrong)).toBe(false);
      expect(wrong).toEqual(before);
    });
  });
});

// Two datagrams as Linux 6.18's vxlan device put them on a veth with its default offloads: UDP data and a TCP SYN.
test.each([
  [
    "UDP",
    "080000000000010002000000000902000000000108004500002adc99400040114a120a0700010a070009" +
      "8aea13880016143f68656c6c6f2c207061727469616c",
  ],
  [
    "TCP",
    "080000000000010002000000000902000000000108004500003c101c4000400616890a0700010a070009" +
      "c8e80050829545b700000000a002faf014460000020405b40402080a1854deff000000000103030a",
  ],
])("what a kernel VTEP left unfinished is right afterwards: %s", (name, hex) => {
  const bytes = bytesOf(hex);
  const view = new DataView(bytes.buffer);
  const sound = () =>
    name === "UDP"
      ? udp.checkChecksum(view, 42, ipv4.src(view, 22), ipv4.dst(view, 22)) === DropReason.NOT_DROPPED
      : tcp.checksumOk(view, 42, bytes.length, ipv4.src(view, 22), ipv4.dst(view, 22));
  expect(sound()).toBe(false);
  expect(completeChecksum(view, 8, bytes.length)).toBe(true);
  expect(sound()).toBe(true);
});

test("a UDP checksum that comes out as 0 is written as ffff", () => {
  // Two payload bytes chosen so that everything sums to ffff.
  const frame = udpOf(new Uint8Array(2));
  const view = new DataView(frame.buffer);
  view.setUint16(42, view.getUint16(40));
  const unfinished = partial(frame, 34, 17);
  expect(complete(unfinished)).toBe(true);
  expect(new DataView(unfinished.buffer).getUint16(40)).toBe(0xffff);
});

test.each([
  ["no checksum (UDP's 0)", (frame: Uint8Array) => frame.fill(0, 40, 42)],
  ["a fragment", (frame: Uint8Array) => frame.fill(0x20, 20, 21)],
  ["another protocol", (frame: Uint8Array) => frame.fill(1, 23, 24)],
  ["a total length beyond the frame", (frame: Uint8Array) => frame.fill(0xff, 16, 18)],
  ["a header length below five words", (frame: Uint8Array) => frame.fill(0x44, 14, 15)],
  ["a header length beyond the packet", (frame: Uint8Array) => frame.fill(0x4f, 14, 15)],
  ["another EtherType", (frame: Uint8Array) => frame.fill(0x88, 12, 14)],
])("%s is left alone", (_name, spoil) => {
  const frame = partial(udpOf(new Uint8Array(4)), 34, 17);
  spoil(frame);
  const before = Uint8Array.from(frame);
  expect(complete(frame)).toBe(false);
  expect(frame).toEqual(before);
});

test("reads nothing beyond the end, whatever the bytes", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 14, maxLength: 80 }),
      fc.constantFrom([8, 0], [0x86, 0xdd], [0x81, 0]),
      (bytes, type) => {
        bytes.set(type, 12);
        const frame = Uint8Array.from(bytes);
        complete(frame);
        for (let end = 14; end < bytes.length; end++) complete(Uint8Array.from(bytes), end);
      },
    ),
    { numRuns: 300 },
  );
});
