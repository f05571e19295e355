import { describe, expect, test } from "vitest";
import { DropReason, dropReasonName } from "../../../src/base/drop-reason.ts";
import * as arp from "../../../src/wire/arp.ts";
import * as ethernet from "../../../src/wire/ethernet.ts";
import * as icmp from "../../../src/wire/icmp.ts";
import * as ipv4 from "../../../src/wire/ipv4.ts";
import * as tcp from "../../../src/wire/tcp.ts";
import * as udp from "../../../src/wire/udp.ts";
import * as vxlan from "../../../src/wire/vxlan.ts";

type Change = (view: DataView) => void;

/** A sound IPv4 packet with a UDP datagram of 4 bytes; the buffer is longer, so that a read past the tail would succeed. */
function datagram(change: Change = () => {}): DataView {
  const view = new DataView(new ArrayBuffer(64));
  ipv4.emit(view, 0, 32, 1, false, 64, ipv4.Protocol.UDP, 1, 2);
  udp.emit(view, 20, 1000, 2000, 12);
  udp.updateChecksum(view, 20, 1, 2);
  change(view);
  return view;
}

describe("ipv4.check refuses, as ip_rcv does,", () => {
  const fixed =
    (change: Change): Change =>
    (view) => {
      change(view);
      ipv4.updateChecksum(view, 0);
    };
  const cases: [name: string, change: Change, end: number, want: keyof typeof DropReason][] = [
    ["nothing of a sound packet", () => {}, 32, "NOT_DROPPED"],
    ["nothing of one with padding behind it", () => {}, 46, "NOT_DROPPED"],
    ["what is shorter than a header", () => {}, 19, "IP_INHDR"],
    ["version 6", fixed((v) => v.setUint8(0, 0x65)), 32, "IP_INHDR"],
    ["a header of four words", (v) => v.setUint8(0, 0x44), 32, "IP_INHDR"],
    ["a header longer than the bytes", (v) => v.setUint8(0, 0x4f), 32, "IP_INHDR"],
    ["a wrong checksum", (v) => v.setUint16(10, ipv4.headerChecksum(v, 0) ^ 1), 32, "IP_CSUM"],
    ["a total length beyond the bytes", () => {}, 31, "PKT_TOO_SMALL"],
    ["a total length within the header", fixed((v) => ipv4.setTotalLen(v, 0, 19)), 32, "IP_INHDR"],
  ];
  test.each(cases)("%s", (_name, change, end, want) => {
    expect(dropReasonName(ipv4.check(datagram(change), 0, end))).toBe(want);
  });
});

describe("udp.check and checkChecksum", () => {
  const cases: [name: string, change: Change, end: number, want: keyof typeof DropReason][] = [
    ["take a sound datagram", () => {}, 32, "NOT_DROPPED"],
    ["take one without a checksum", (v) => v.setUint16(26, 0), 32, "NOT_DROPPED"],
    ["refuse a cut header", () => {}, 27, "PKT_TOO_SMALL"],
    ["refuse a length below the header's", (v) => udp.setLen(v, 20, 7), 32, "PKT_TOO_SMALL"],
    ["refuse a length beyond the packet", (v) => udp.setLen(v, 20, 13), 32, "PKT_TOO_SMALL"],
    ["refuse a wrong checksum", (v) => v.setUint8(31, 9), 32, "UDP_CSUM"],
  ];
  test.each(cases)("%s", (_name, change, end, want) => {
    const view = datagram(change);
    const reason = udp.check(view, 20, end) || udp.checkChecksum(view, 20, 1, 2);
    expect(dropReasonName(reason)).toBe(want);
  });
});

test("icmp.check", () => {
  const view = new DataView(new ArrayBuffer(20));
  icmp.emit(view, 0, 12, icmp.Type.ECHO, 0, icmp.echoRest(1, 2));
  expect(icmp.check(view, 0, 12)).toBe(DropReason.NOT_DROPPED);
  expect(icmp.check(view, 0, 7)).toBe(DropReason.PKT_TOO_SMALL);
  view.setUint8(11, 1);
  expect(icmp.check(view, 0, 12)).toBe(DropReason.ICMP_CSUM);
});

test.each([
  ["hardware type", 0, 6],
  ["protocol type", 2, 0x86dd],
  ["hardware length", 4, 0x0804],
  ["protocol length", 4, 0x0610],
])("arp.check refuses another %s", (_name, off, value) => {
  const view = new DataView(new ArrayBuffer(40));
  arp.emit(view, 0, arp.Operation.REQUEST, 1, 2, 3, 4);
  expect(arp.check(view, 0, 28)).toBe(DropReason.NOT_DROPPED);
  expect(arp.check(view, 0, 27)).toBe(DropReason.ARP_INHDR);
  view.setUint16(off, value);
  expect(arp.check(view, 0, 28)).toBe(DropReason.ARP_INHDR);
});

test("tcp.check bounds the header by the segment", () => {
  const view = new DataView(new ArrayBuffer(80));
  tcp.emit(view, 0, 1, 2, 3, 4, tcp.Flag.SYN, 5, 12);
  expect(tcp.check(view, 0, 32)).toBe(DropReason.NOT_DROPPED);
  expect(tcp.check(view, 0, 31)).toBe(DropReason.PKT_TOO_SMALL);
  expect(tcp.check(view, 0, 19)).toBe(DropReason.PKT_TOO_SMALL);
  view.setUint8(12, 0x40);
  expect(tcp.check(view, 0, 80)).toBe(DropReason.PKT_TOO_SMALL);
});

test("ethernet.check and checkVlan", () => {
  expect(ethernet.check(4, 18)).toBe(DropReason.NOT_DROPPED);
  expect(ethernet.check(4, 17)).toBe(DropReason.PKT_TOO_SMALL);
  expect(ethernet.checkVlan(4, 22)).toBe(DropReason.NOT_DROPPED);
  expect(ethernet.checkVlan(4, 21)).toBe(DropReason.PKT_TOO_SMALL);
});

describe("vxlan", () => {
  // [first word, second word, check, reserved bits zero without GBP, with GBP]
  const cases: [name: string, first: number, second: number, valid: boolean, plain: boolean, gbp: boolean][] =
    [
      ["a plain header", 0x08000000, 0x00000100, true, true, true],
      ["flag I clear", 0x00000000, 0x00000100, false, true, true],
      ["a reserved flag", 0x18000000, 0x00000100, true, false, false],
      ["a bit in the first reserved field", 0x08000001, 0x00000100, true, false, true],
      ["the last byte", 0x08000000, 0x00000101, true, false, false],
      ["a group policy", 0x88000005, 0x00000100, true, false, true],
    ];
  test.each(cases)("%s", (_name, first, second, valid, plain, gbp) => {
    const view = new DataView(new ArrayBuffer(16));
    view.setUint32(0, first);
    view.setUint32(4, second);
    expect(vxlan.check(view, 0, 8)).toBe(valid ? DropReason.NOT_DROPPED : DropReason.VXLAN_INVALID_HDR);
    expect(vxlan.check(view, 0, 7)).toBe(DropReason.PKT_TOO_SMALL);
    expect(vxlan.reservedBitsAreZero(view, 0, false)).toBe(plain);
    expect(vxlan.reservedBitsAreZero(view, 0, true)).toBe(gbp);
  });
});

test("malformed IPv4 options are refused", () => {
  const view = new DataView(new ArrayBuffer(64));
  ipv4.emit(view, 0, 24, 1, false, 64, 1, 1, 2);
  view.setUint8(0, 0x46);
  for (const [bytes, want] of [
    [[7, 4, 4, 0], 0],
    [[1, 1, 1, 0], 0],
    [[7, 1, 0, 0], DropReason.IP_INHDR],
    [[7, 5, 0, 0], DropReason.IP_INHDR],
    [[1, 1, 1, 7], DropReason.IP_INHDR],
  ] as const) {
    bytes.forEach((byte, i) => {
      view.setUint8(20 + i, byte);
    });
    expect(ipv4.checkOptions(view, 0)).toBe(want);
  }
});
