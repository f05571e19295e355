/** CRC-32C (Castagnoli), the checksum of iSCSI (RFC 3720) and of most write-ahead logs. */

/** Four tables, so that four bytes go in one step. */
const TABLES = makeTables();

function makeTables(): readonly [Int32Array, Int32Array, Int32Array, Int32Array] {
  const tables = [
    new Int32Array(256),
    new Int32Array(256),
    new Int32Array(256),
    new Int32Array(256),
  ] as const;
  for (let n = 0; n < 256; n++) {
    let crc = n;
    // The polynomial 0x1EDC6F41, bit-reversed.
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
    tables[0][n] = crc;
  }
  for (let n = 0; n < 256; n++) {
    for (let t = 1; t < 4; t++) {
      const before = (tables[t - 1] as Int32Array)[n] as number;
      (tables[t] as Int32Array)[n] = (before >>> 8) ^ (tables[0][before & 0xff] as number);
    }
  }
  return tables;
}

/** The checksum of `bytes[from, to)`, unsigned. @param crc of what comes before it, to go on from */
export function crc32c(bytes: Uint8Array, from: number, to: number, crc = 0): number {
  const [t0, t1, t2, t3] = TABLES;
  let value = ~crc;
  let at = from;
  for (const end = to - 3; at < end; at += 4) {
    const word =
      value ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    value =
      (t3[word & 0xff] as number) ^
      (t2[(word >>> 8) & 0xff] as number) ^
      (t1[(word >>> 16) & 0xff] as number) ^
      (t0[word >>> 24] as number);
  }
  for (; at < to; at++) {
    value = (t0[(value ^ (bytes[at] as number)) & 0xff] as number) ^ (value >>> 8);
  }
  return ~value >>> 0;
}
