import fc from "fast-check";
import { expect, test } from "vitest";
import * as checksum from "../../../src/wire/checksum.ts";
import * as icmp from "../../../src/wire/icmp.ts";
import * as ipv4 from "../../../src/wire/ipv4.ts";
import * as udp from "../../../src/wire/udp.ts";

/** RFC 1071's definition, word by word. */
function oracle(bytes: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += ((bytes[i] as number) << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return ~total & 0xffff;
}

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });

test("the sum of 32-bit words equals the sum of 16-bit words, at every alignment, and sees nothing outside", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(7), (bytes, off) => {
      const buffer = new Uint8Array(off + bytes.length + 9).fill(0xff);
      buffer.set(bytes, off);
      const view = new DataView(buffer.buffer);
      expect(checksum.compute(view, off, off + bytes.length)).toBe(oracle(bytes));
    }),
    { numRuns: 500 },
  );
});

test("64 KiB of ones overflow nothing", () => {
  const bytes = new Uint8Array(65535 + 128).fill(0xff);
  expect(
    checksum.compute(
      new DataView(bytes.buffer),
      0,
      bytes.length,
      checksum.pseudoHeaderSum(0xffffffff, 0xffffffff, 255, 65535),
    ),
  ).toBe(oracle(Uint8Array.from([...new Uint8Array(8).fill(0xff), 0, 255, 0xff, 0xff, ...bytes])));
});

test("incremental equals full, for 16-bit and 32-bit fields, both zeros included", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 20, maxLength: 20 }),
      fc.nat(7),
      fc.oneof(u32, fc.constantFrom(0, 0xffff, 0xffff0000, 0xffffffff)),
      (bytes, word, value) => {
        const data = Uint8Array.from([1, ...bytes.subarray(1)]);
        const view = new DataView(data.buffer);
        const before = oracle(data);
        const off = 2 + 2 * word;
        const from16 = view.getUint16(off);
        view.setUint16(off, value & 0xffff);
        const middle = checksum.update16(before, from16, value & 0xffff);
        expect(middle).toBe(oracle(data));
        const from32 = view.getUint32(off);
        view.setUint32(off, value);
        expect(checksum.update32(middle, from32, value)).toBe(oracle(data));
      },
    ),
    { numRuns: 2000 },
  );
});

test("a result of zero, by hand: RFC 1624's own example", () => {
  expect(checksum.update16(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
});

test("an IPv4 header keeps a right checksum through ttl and ecn changes", () => {
  fc.assert(
    fc.property(u32, u32, u16, fc.integer({ min: 1, max: 255 }), fc.nat(255), (src, dst, id, ttl, tos) => {
      const view = new DataView(new ArrayBuffer(20));
      ipv4.emit(view, 0, 20, id, (id & 1) === 1, ttl, 17, src, dst, tos);
      const full = () => {
        const kept = ipv4.headerChecksum(view, 0);
        ipv4.updateChecksum(view, 0);
        return [kept, ipv4.headerChecksum(view, 0)];
      };
      const [emitted, recomputed] = full();
      expect(emitted).toBe(recomputed);
      ipv4.decrementTtl(view, 0);
      ipv4.setEcn(view, 0, 3);
      expect(ipv4.ttl(view, 0)).toBe(ttl - 1);
      expect(ipv4.tos(view, 0)).toBe(tos | 3);
      const [patched, again] = full();
      expect(patched).toBe(again);
    }),
    { numRuns: 1000 },
  );
});

test("a UDP checksum never becomes 0, and a datagram without one keeps none", () => {
  fc.assert(
    fc.property(u32, u32, u16, u16, fc.uint8Array({ maxLength: 9 }), (src, dst, port, to, payload) => {
      const view = new DataView(new ArrayBuffer(8 + payload.length));
      new Uint8Array(view.buffer).set(payload, 8);
      udp.emit(view, 0, port, 53, 8 + payload.length);
      udp.patchChecksum16(view, 0, port, to);
      expect(udp.checksumField(view, 0)).toBe(0);
      udp.updateChecksum(view, 0, src, dst);
      udp.setSrcPort(view, 0, to);
      udp.patchChecksum16(view, 0, port, to);
      udp.patchChecksum32(view, 0, src, dst);
      expect(udp.checksumField(view, 0)).not.toBe(0);
      expect(udp.checkChecksum(view, 0, dst, dst)).toBe(0);
    }),
    { numRuns: 1000 },
  );
});

test("every payload that makes the sum zero goes out as 0xffff", () => {
  // Choose the last word so that the whole adds up to 0xffff: the computed checksum is 0.
  const view = new DataView(new ArrayBuffer(10));
  udp.emit(view, 0, 1, 2, 10);
  const sum = checksum.fold(checksum.sum(view, 0, 8) + checksum.pseudoHeaderSum(3, 4, 17, 10));
  view.setUint16(8, 0xffff - sum);
  udp.updateChecksum(view, 0, 3, 4);
  expect(udp.checksumField(view, 0)).toBe(0xffff);
  expect(udp.checkChecksum(view, 0, 3, 4)).toBe(0);
});

test("an echo reply is sound, that of an empty ping of zeros too", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array({ maxLength: 64 }), fc.constant(new Uint8Array(12))),
      fc.constantFrom(0, 1, 0xffff),
      fc.constantFrom(0, 0xf7ff, 0xffff),
      (data, id, seq) => {
        const view = new DataView(new ArrayBuffer(8 + data.length));
        new Uint8Array(view.buffer).set(data, 8);
        icmp.emit(view, 0, 8 + data.length, icmp.Type.ECHO, 0, icmp.echoRest(id, seq));
        icmp.toEchoReply(view, 0, 8 + data.length);
        expect(icmp.type(view, 0)).toBe(icmp.Type.ECHO_REPLY);
        expect(icmp.check(view, 0, 8 + data.length)).toBe(0);
        const kept = view.getUint16(2);
        view.setUint16(2, 0);
        expect(kept).toBe(oracle(new Uint8Array(view.buffer)));
      },
    ),
    { numRuns: 500 },
  );
});
