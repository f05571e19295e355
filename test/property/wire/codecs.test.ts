// parse∘emit = identity for every codec, into buffers full of 0xa5; and `check` judges only the bytes up to the tail.
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatIpv4 } from "../../../src/base/ipv4-addr.ts";
import { formatMac } from "../../../src/base/mac-addr.ts";
import * as ipv4 from "../../../src/wire/ipv4.ts";
import * as tcp from "../../../src/wire/tcp.ts";
import * as vxlan from "../../../src/wire/vxlan.ts";
import { assemble, dissect, hexOf, type Layer } from "../../support/dissect.ts";

const u8 = fc.nat(0xff);
const u16 = fc.nat(0xffff);
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const mac = fc.nat(0xffff_ffff_ffff).map(formatMac);
const ip = u32.map(formatIpv4);
const hex = (maxLength: number) => fc.uint8Array({ maxLength }).map(hexOf);

type Of<T extends Layer["t"]> = Extract<Layer, { t: T }>;
const lit = <T extends string>(t: T) => fc.constant(t);

const ethernet = fc.record<Of<"ethernet">>(
  { t: lit("ethernet"), dst: mac, src: mac, type: fc.constant(0x88b5), tci: u16 },
  { requiredKeys: ["t", "dst", "src", "type"] },
);
const arp = fc.record<Of<"arp">>({ t: lit("arp"), op: u16, sha: mac, spa: ip, tha: mac, tpa: ip });
const icmp = fc.record<Of<"icmp">>({ t: lit("icmp"), type: u8, code: u8, rest: u32 });
const udp = fc.record({ src: u16, dst: fc.integer({ min: 9000, max: 65535 }), checksum: fc.boolean() });
const tcpOptions = fc
  .uint8Array({ maxLength: 40 })
  .map((bytes) => hexOf(bytes.subarray(0, bytes.length & ~3)));
const segment = fc.record<Of<"tcp">>({
  t: lit("tcp"),
  src: u16,
  dst: u16,
  seq: u32,
  ack: u32,
  flags: u8,
  window: u16,
  options: tcpOptions,
});
const header = fc.record({
  tos: u8,
  id: u16,
  df: fc.boolean(),
  ttl: u8,
  protocol: fc.constantFrom(1, 6, 17, 47),
  src: ip,
  dst: ip,
});

function same(layers: readonly Layer[]): void {
  const solid = layers.filter((layer) => layer.t !== "payload" || layer.hex !== "");
  const bytes = assemble(solid);
  expect(dissect(bytes, solid[0]?.t === "ipv4" ? "ipv4" : "ethernet")).toEqual(solid);
}

test("Ethernet, with and without an 802.1Q tag", () => {
  fc.assert(
    fc.property(ethernet, hex(20), (layer, payload) => {
      same([layer, { t: "payload", hex: payload }]);
    }),
  );
});

test("ARP, with Ethernet's padding behind it", () => {
  fc.assert(
    fc.property(mac, mac, arp, hex(18), (dst, src, layer, pad) => {
      same([{ t: "ethernet", dst, src, type: 0x0806 }, layer, { t: "payload", hex: pad }]);
    }),
  );
});

test("IPv4 with ICMP, UDP or TCP", () => {
  fc.assert(
    fc.property(header, icmp, udp, segment, hex(40), (h, message, ports, tcpLayer, payload) => {
      const bytes = payload.length / 2;
      const build: Record<number, { layer: Layer | undefined; bytes: number }> = {
        1: { layer: message, bytes: 8 },
        6: { layer: tcpLayer, bytes: 20 + tcpLayer.options.length / 2 },
        17: { layer: { t: "udp", ...ports, len: 8 + bytes }, bytes: 8 },
        47: { layer: undefined, bytes: 0 },
      };
      const upper = build[h.protocol] as { layer: Layer | undefined; bytes: number };
      const totalLen = 20 + upper.bytes + bytes;
      const layers: Layer[] = [{ t: "ipv4", ...h, totalLen, mf: false, offset: 0 }];
      if (upper.layer !== undefined) layers.push(upper.layer);
      same([...layers, { t: "payload", hex: payload }]);
    }),
  );
});

test("IPv4 fragments", () => {
  fc.assert(
    fc.property(header, fc.nat(0x1fff), fc.boolean(), hex(16), (h, units, mf, payload) => {
      fc.pre(mf || units > 0);
      const totalLen = 20 + payload.length / 2;
      same([
        { t: "ipv4", ...h, protocol: 47, totalLen, mf, offset: units * 8 },
        { t: "payload", hex: payload },
      ]);
    }),
  );
});

test("VXLAN, plain and with a group policy", () => {
  fc.assert(
    fc.property(
      fc.nat(vxlan.VNI_MAX),
      fc.option(u32, { nil: undefined }),
      header,
      ethernet,
      (vni, mark, h, inner) => {
        const policy = mark === undefined ? undefined : (mark & (0xffff | 0x400000 | 0x80000)) >>> 0;
        const bytes = inner.tci === undefined ? 14 : 18;
        const layer: Layer = policy === undefined ? { t: "vxlan", vni } : { t: "vxlan", vni, policy };
        same([
          { t: "ipv4", ...h, protocol: 17, totalLen: 36 + bytes, mf: false, offset: 0 },
          { t: "udp", src: 1, dst: 8472, len: 16 + bytes, checksum: true },
          layer,
          inner,
        ]);
        const view = new DataView(assemble([layer]).buffer);
        expect(vxlan.reservedBitsAreZero(view, 0, false)).toBe(policy === undefined);
        expect(vxlan.reservedBitsAreZero(view, 0, true)).toBe(true);
      },
    ),
  );
});

test("options of IPv4: what is not to be copied becomes NOP, what is stays, and nothing is read outside", () => {
  const option = fc.oneof(
    fc.constant([1]),
    fc.tuple(u8, hex(8)).map(([type, data]) => {
      const body = data.match(/../g)?.map((pair) => Number.parseInt(pair, 16)) ?? [];
      return [type < 2 ? type + 2 : type, body.length + 2, ...body];
    }),
  );
  fc.assert(
    fc.property(fc.array(option, { maxLength: 4 }), (options) => {
      const body = options.flat();
      while (body.length % 4 !== 0) body.push(0);
      fc.pre(body.length <= 40);
      const bytes = new Uint8Array(20 + body.length + 8).fill(0xa5);
      const view = new DataView(bytes.buffer);
      ipv4.emit(view, 0, 20 + body.length, 1, false, 64, 1, 1, 2);
      view.setUint8(0, 0x40 | ((20 + body.length) >>> 2));
      bytes.set(body, 20);
      ipv4.updateChecksum(view, 0);
      expect(ipv4.check(view, 0, 20 + body.length)).toBe(0);
      expect(ipv4.checkOptions(view, 0)).toBe(0);
      ipv4.blankUncopiedOptions(view, 0);
      const want = options.flatMap((o) => ((o[0] as number) & 0x80 ? o : o.map(() => 1)));
      expect([...bytes.subarray(20, 20 + want.length)]).toEqual(want);
      expect([...bytes.subarray(20 + body.length)]).toEqual(new Array(8).fill(0xa5));
    }),
  );
});

test("TCP options end where the bytes end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 40, maxLength: 40 }), fc.nat(40), (options, keep) => {
      const bytes = new Uint8Array(60);
      const view = new DataView(bytes.buffer);
      tcp.emit(view, 0, 1, 2, 3, 4, 0x10, 5, 40);
      bytes.set(options, 20);
      const short = tcp.parseOptions(new DataView(bytes.buffer, 0, 20 + keep), 0, 20 + keep);
      const full = tcp.parseOptions(view, 0, 60);
      const whole = short.at(-1)?.t === "truncated" ? short.slice(0, -1) : short;
      expect(full.slice(0, whole.length)).toEqual(whole);
    }),
    { numRuns: 500 },
  );
});
