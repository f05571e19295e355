/** CRC-32C (Castagnoli), the checksum of iSCSI (RFC 3720) and of most write-ahead logs. */

/** Table `n` moves a byte over `n` bytes of zeros, so that eight bytes go in one step. */
const TABLES = Array.from({ length: 8 }, () => new Int32Array(256));
for (let n = 0; n < 256; n++) {
  let crc = n;
  // The polynomial 0x1EDC6F41, bit-reversed.
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  (TABLES[0] as Int32Array)[n] = crc;
}
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];
for (let n = 0; n < 256; n++) {
  let crc = T0[n] as number;
  for (const table of TABLES.slice(1)) {
    crc = (crc >>> 8) ^ (T0[crc & 0xff] as number);
    table[n] = crc;
  }
}

/** The checksum of `bytes[from, to)`, unsigned. @param crc of what comes before it, to go on from */
export function crc32c(bytes: Uint8Array, from: number, to: number, crc = 0): number {
  let value = ~crc;
  let at = from;
  for (const end = to - 7; at < end; at += 8) {
    const word =
      value ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    value =
      (T7[word & 0xff] as number) ^
      (T6[(word >>> 8) & 0xff] as number) ^
      (T5[(word >>> 16) & 0xff] as number) ^
      (T4[word >>> 24] as number) ^
      (T3[bytes[at + 4] as number] as number) ^
      (T2[bytes[at + 5] as number] as number) ^
      (T1[bytes[at + 6] as number] as number) ^
      (T0[bytes[at + 7] as number] as number);
  }
  for (; at < to; at++) {
    value = (T0[(value ^ (bytes[at] as number)) & 0xff] as number) ^ (value >>> 8);
  }
  return ~value >>> 0;
}
