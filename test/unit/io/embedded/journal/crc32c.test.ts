import { expect, test } from "vitest";
import { crc32c } from "../../../../../src/io/embedded/journal/crc32c.ts";

/** Bit by bit, as the polynomial says. */
function plain(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  }
  return ~crc >>> 0;
}

// Folders of an older podloom must stay readable: a checksum that merely agrees with itself would not do.
test("is Castagnoli's, by the check values of RFC 3720, B.4", () => {
  const text = new TextEncoder().encode("123456789");
  expect(crc32c(text, 0, text.length)).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32), 0, 32)).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff), 0, 32)).toBe(0x62a8ab43);
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  expect(crc32c(ascending, 0, 32)).toBe(0x46dd794e);
});

test("is the same for any part, at any place, and in two pieces", () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, i) => (i * 151 + 7) & 0xff);
  for (let from = 0; from < 12; from++) {
    for (let to = from; to <= bytes.length; to++) {
      const expected = plain(bytes.subarray(from, to));
      expect(crc32c(bytes, from, to)).toBe(expected);
      const middle = (from + to) >> 1;
      expect(crc32c(bytes, middle, to, crc32c(bytes, from, middle))).toBe(expected);
    }
  }
});
