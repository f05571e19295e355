// Every `test/vectors/<name>.hex`, both directions: bytes -> the layers of `<name>.json`, and those layers, written into a buffer
// full of 0xa5, -> the same bytes. The frames come from a Linux kernel and from flannel's own proxy.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { ipv4 as address } from "../../../src/base/ipv4-addr.ts";
import { formatMac } from "../../../src/base/mac-addr.ts";
import * as ethernet from "../../../src/wire/ethernet.ts";
import * as ipv4 from "../../../src/wire/ipv4.ts";
import { FramePrinter } from "../../../src/wire/pretty/frame.ts";
import * as udp from "../../../src/wire/udp.ts";
import * as vxlan from "../../../src/wire/vxlan.ts";
import { assemble, bytesOf, dissect, hexOf, type Layer, type Start } from "../../support/dissect.ts";

interface Vector {
  readonly start: Start;
  readonly pretty: readonly string[];
  readonly layers: readonly Layer[];
}

const folder = new URL("../../vectors/", import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".hex"))
  .map((file) => file.slice(0, -4));

function load(name: string): { bytes: Uint8Array<ArrayBuffer>; want: Vector } {
  const bytes = bytesOf(readFileSync(new URL(`${name}.hex`, folder), "utf8"));
  return { bytes, want: JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8")) as Vector };
}

describe.each(names)("%s", (name) => {
  const { bytes, want } = load(name);

  test("is read", () => {
    expect(dissect(bytes, want.start)).toEqual(want.layers);
  });

  test("is written", () => {
    expect(hexOf(assemble(want.layers))).toBe(hexOf(bytes));
  });

  test("prints as tcpdump prints it", () => {
    const printer = new FramePrinter({ inner: "\n" });
    const view = new DataView(bytes.buffer);
    const text =
      want.start === "ethernet"
        ? printer.frame(view, 0, bytes.length)
        : printer.packet(view, 0, bytes.length);
    expect(text).toBe(want.pretty.join("\n"));
  });
});

test("flannel's proxy: the TTL vector, decremented with the checksum patched", () => {
  const bytes = bytesOf("45000020123400004011ea84 0a052202 0a056309 0001020304050607 00000000");
  const view = new DataView(bytes.buffer);
  ipv4.decrementTtl(view, 0);
  expect(hexOf(bytes.subarray(0, 12))).toBe("45000020123400003f11eb84");
});

test.each([
  ["fffe", "00ff"],
  ["ffff", "0100"],
  ["feff", "0000"],
])("the kernel's checksum patch for one hop: %s becomes %s", (from, to) => {
  const view = new DataView(new ArrayBuffer(20));
  view.setUint8(8, 64);
  view.setUint16(10, Number.parseInt(from, 16));
  ipv4.decrementTtl(view, 0);
  expect(ipv4.headerChecksum(view, 0).toString(16).padStart(4, "0")).toBe(to);
});

test("the kernel's sample VXLAN frame, as far as it is known", () => {
  const bytes = bytesOf(
    "45000056da13000040111530c0a80501c0a80502 d914211800427df4 0800000000000100 020000000002020000000001 0800 45b80024",
  );
  const view = new DataView(bytes.buffer);
  // The total length promises more bytes than the sample quotes; everything else about the header is right.
  expect(ipv4.check(view, 0, bytes.length)).toBe(DropReason.PKT_TOO_SMALL);
  expect(ipv4.check(view, 0, ipv4.totalLen(view, 0))).toBe(DropReason.NOT_DROPPED);
  expect(udp.dstPort(view, 20)).toBe(vxlan.PORT_LINUX);
  expect(udp.len(view, 20)).toBe(66);
  expect(vxlan.check(view, 28, bytes.length)).toBe(DropReason.NOT_DROPPED);
  expect(vxlan.reservedBitsAreZero(view, 28, false)).toBe(true);
  expect(vxlan.vni(view, 28)).toBe(1);
  expect(formatMac(ethernet.dst(view, 36))).toBe("02:00:00:00:00:02");
  expect(formatMac(ethernet.src(view, 36))).toBe("02:00:00:00:00:01");

  const out = new Uint8Array(50).fill(0xa5);
  const outView = new DataView(out.buffer);
  ipv4.emit(outView, 0, 86, 0xda13, false, 64, 17, address("192.168.5.1"), address("192.168.5.2"));
  udp.emit(outView, 20, 0xd914, 8472, 66);
  vxlan.emit(outView, 28, 1);
  ethernet.emit(outView, 36, 0x020000000002, 0x020000000001, ethernet.EtherType.IPV4);
  // All but the UDP checksum, which covers what the sample leaves out.
  out.set(bytes.subarray(26, 28), 26);
  expect(hexOf(out)).toBe(hexOf(bytes.subarray(0, 50)));
});

test("a kernel VTEP with offload on leaves a partial inner checksum, and we see that it is not complete", () => {
  const inner = bytesOf(
    "4500002ae58640003f113d510af401020af40202 eb7884cf0016191368656c6c6f2d7564702d706f7274",
  );
  const view = new DataView(inner.buffer);
  expect(ipv4.check(view, 0, inner.length)).toBe(DropReason.NOT_DROPPED);
  const src = ipv4.src(view, 0);
  const dst = ipv4.dst(view, 0);
  expect(udp.checkChecksum(view, 20, src, dst)).toBe(DropReason.UDP_CSUM);
  udp.updateChecksum(view, 20, src, dst);
  expect(udp.checkChecksum(view, 20, src, dst)).toBe(DropReason.NOT_DROPPED);
});

test("a Flannel capture prints line by line, sequence numbers counted from the handshake", () => {
  const client = { mac: "2a:fe:82:35:16:30", ip: "10.244.2.9", port: 36304 };
  const server = { mac: "b2:c5:b5:fe:50:b8", ip: "10.244.1.170", port: 8080 };
  const [C, S] = [1584751359, 3563824638];
  const segment = (
    up: boolean,
    flags: number,
    seq: number,
    ack: number,
    window: number,
    options: string,
    bytes = 0,
  ) => {
    const [from, to] = up ? [client, server] : [server, client];
    const totalLen = 40 + options.length / 2 + bytes;
    return assemble([
      { t: "ethernet", dst: to.mac, src: from.mac, type: 0x800 },
      {
        t: "ipv4",
        tos: 0,
        totalLen,
        id: 1,
        df: true,
        mf: false,
        offset: 0,
        ttl: 63,
        protocol: 6,
        src: from.ip,
        dst: to.ip,
      },
      { t: "tcp", src: from.port, dst: to.port, seq, ack, flags, window, options },
      { t: "payload", hex: "61".repeat(bytes) },
    ]);
  };
  const ts = (val: string, ecr: string) => `0101080a${val}${ecr}`;
  const [up, down] = ["0cad3fcb", "370eeac5"];
  const frames = [
    segment(true, 0x02, C, 0, 14100, `020405820402080a${up}0000000001030307`),
    segment(false, 0x12, S, C + 1, 13980, `020405820402080a${down}${up}01030307`),
    segment(true, 0x10, C + 1, S + 1, 111, ts(up, down)),
    segment(true, 0x18, C + 1, S + 1, 111, ts(up, down), 76),
    segment(false, 0x10, S + 1, C + 77, 110, ts(down, up)),
    segment(false, 0x18, S + 1, C + 77, 110, ts(down, up), 238),
    segment(true, 0x11, C + 77, S + 851, 129, ts(up, down)),
    segment(false, 0x11, S + 851, C + 78, 110, ts(down, up)),
  ];
  const printer = new FramePrinter();
  const lines = frames.map((frame) => {
    const line = printer.frame(new DataView(frame.buffer), 0, frame.length);
    return line.slice(line.indexOf(": ") + 2);
  });
  const a = "10.244.2.9.36304 > 10.244.1.170.8080: Flags";
  const b = "10.244.1.170.8080 > 10.244.2.9.36304: Flags";
  const upTs = "options [nop,nop,TS val 212680651 ecr 923724485]";
  const downTs = "options [nop,nop,TS val 923724485 ecr 212680651]";
  expect(lines).toEqual([
    `${a} [S], seq 1584751359, win 14100, options [mss 1410,sackOK,TS val 212680651 ecr 0,nop,wscale 7], length 0`,
    `${b} [S.], seq 3563824638, ack 1584751360, win 13980, options [mss 1410,sackOK,TS val 923724485 ecr 212680651,nop,wscale 7], length 0`,
    `${a} [.], ack 1, win 111, ${upTs}, length 0`,
    `${a} [P.], seq 1:77, ack 1, win 111, ${upTs}, length 76`,
    `${b} [.], ack 77, win 110, ${downTs}, length 0`,
    `${b} [P.], seq 1:239, ack 77, win 110, ${downTs}, length 238`,
    `${a} [F.], seq 77, ack 851, win 129, ${upTs}, length 0`,
    `${b} [F.], seq 851, ack 78, win 110, ${downTs}, length 0`,
  ]);
});
