// The Internet checksum. Read RFC 1071 for the sum, and RFC 1624 for its incremental update, before working on this file.
//
// A checksum is built in two steps: a *sum*, any number that is congruent to the sum of the 16-bit words modulo 0xffff,
// and its end, `complement`, the value that stands in the header. Sums add up with `+` (pseudo header + segment) as long
// as every part but the last has an even number of bytes. Everything stays an exact, small integer: the two halves of the
// words of 64 KiB add up to less than 2^31 each, so the loop below never leaves 32-bit arithmetic.
import type { Ipv4Addr } from "../base/ipv4-addr.ts";

/**
 * The unfolded sum of the bytes `off`..`end` (at most 64 KiB and a headroom); an odd last byte counts as the high half of
 * a word. Reads 32 bits at a time.
 *
 * @param view borrowed @rfc 1071#2
 */
export function sum(view: DataView, off: number, end: number): number {
  let high = 0;
  let low = 0;
  let at = off;
  for (const last = end - 16; at <= last; at += 16) {
    const a = view.getInt32(at);
    const b = view.getInt32(at + 4);
    const c = view.getInt32(at + 8);
    const d = view.getInt32(at + 12);
    high = (high + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)) | 0;
    low = (low + (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff)) | 0;
  }
  for (const last = end - 4; at <= last; at += 4) {
    const word = view.getInt32(at);
    high = (high + (word >>> 16)) | 0;
    low = (low + (word & 0xffff)) | 0;
  }
  if (end - at >= 2) {
    low += view.getUint16(at);
    at += 2;
  }
  if (at < end) low += view.getUint8(at) << 8;
  return high + low;
}

/** The sum of a 32-bit field, such as an address. */
export function sum32(field: number): number {
  return (field >>> 16) + (field & 0xffff);
}

/** The sum of the IPv4 pseudo header. @param len bytes of the segment, its header included @rfc 768 */
export function pseudoHeaderSum(src: Ipv4Addr, dst: Ipv4Addr, protocol: number, len: number): number {
  return sum32(src) + sum32(dst) + protocol + len;
}

/** Folds a sum to 16 bits: 0 only for a sum of 0, otherwise 1..0xffff. @param total 0..2^32-1 */
export function fold(total: number): number {
  const folded = (total & 0xffff) + (total >>> 16);
  return (folded & 0xffff) + (folded >>> 16);
}

/** The header field that belongs to a sum. Over data that includes a right checksum field it is 0. */
export function complement(total: number): number {
  return ~fold(total) & 0xffff;
}

/**
 * The checksum of the bytes `off`..`end`, in full. Over bytes that already hold their checksum: 0 when it is right.
 *
 * @param initial sum of what else is covered, see {@link pseudoHeaderSum}
 */
export function compute(view: DataView, off: number, end: number, initial = 0): number {
  return complement(initial + sum(view, off, end));
}

/**
 * The checksum after one 16-bit field changed from `from` to `to`, by equation 3: HC' = ~(~HC + ~m + m'). Equals a full
 * recompute for all data that is not entirely zero, before and after: true of everything with an IP or a pseudo header.
 * (For a bare ICMP message that may become all zero, recompute when the answer is 0.)
 *
 * @rfc 1624#3
 */
export function update16(check: number, from: number, to: number): number {
  return complement((~check & 0xffff) + (~from & 0xffff) + to);
}

/** {@link update16} for a 32-bit field, such as an address. The field starts at an even offset of what is summed. */
export function update32(check: number, from: number, to: number): number {
  return complement((~check & 0xffff) + (~from >>> 16) + (~from & 0xffff) + sum32(to));
}
