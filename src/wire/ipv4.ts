// IPv4. Read RFC 791 section 3.1 first, then RFC 1122 section 3.2.1 for what a host must refuse.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |Version|  IHL  |Type of Service|          Total Length         |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |         Identification        |0|D|M|     Fragment Offset     |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |  Time to Live |    Protocol   |         Header Checksum       |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                         Source Address                        |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                      Destination Address                      |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                    Options                    |    Padding    |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// Setters of single fields keep the header checksum as it is unless they say otherwise: call `updateChecksum` at the end.
import { DropReason } from "../base/drop-reason.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import * as checksum from "./checksum.ts";

/** Bytes of a header without options. */
export const HEADER_LEN = 20;
/** Largest total length. */
export const PACKET_LEN_MAX = 65535;

export const Protocol = { ICMP: 1, IGMP: 2, IPIP: 4, TCP: 6, UDP: 17, IPV6: 41, GRE: 47 } as const;

/** Bits of the 16-bit word that holds the flags and the fragment offset. */
const Flag = { DF: 0x4000, MF: 0x2000 } as const;
const OFFSET_MASK = 0x1fff;

/** Option types that have no length byte, and the bit that says "copy me into every fragment". */
const Option = { END: 0, NOP: 1, COPIED: 0x80 } as const;

/**
 * The checks of Linux's `ip_rcv_core`, in its order. Afterwards the accessors cannot fail, the header and the total length
 * lie within `off`..`end`; what follows the total length is padding for the caller to trim.
 *
 * @drops IP_INHDR (too short for its header, version, header length, total length shorter than the header), IP_CSUM,
 *   PKT_TOO_SMALL (bytes of the total length are missing)
 * @rfc 1122#3.2.1.1 @rfc 1122#3.2.1.2
 */
export function check(view: DataView, off: number, end: number): DropReason {
  if (end - off < HEADER_LEN) return DropReason.IP_INHDR;
  const first = view.getUint8(off);
  if (first >>> 4 !== 4 || (first & 0xf) < 5) return DropReason.IP_INHDR;
  const headerBytes = (first & 0xf) << 2;
  if (end - off < headerBytes) return DropReason.IP_INHDR;
  if (checksum.compute(view, off, off + headerBytes) !== 0) return DropReason.IP_CSUM;
  const total = view.getUint16(off + 2);
  if (end - off < total) return DropReason.PKT_TOO_SMALL;
  if (total < headerBytes) return DropReason.IP_INHDR;
  return DropReason.NOT_DROPPED;
}

export function version(view: DataView, off: number): number {
  return view.getUint8(off) >>> 4;
}

/** Header length in bytes, options included. */
export function headerLen(view: DataView, off: number): number {
  return (view.getUint8(off) & 0xf) << 2;
}

/** DSCP and ECN together, as the old type-of-service byte. */
export function tos(view: DataView, off: number): number {
  return view.getUint8(off + 1);
}

/** Explicit congestion notification: 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. @rfc 3168#5 */
export function ecn(view: DataView, off: number): number {
  return view.getUint8(off + 1) & 3;
}

/** Bytes of header and payload. */
export function totalLen(view: DataView, off: number): number {
  return view.getUint16(off + 2);
}

export function id(view: DataView, off: number): number {
  return view.getUint16(off + 4);
}

export function dontFragment(view: DataView, off: number): boolean {
  return (view.getUint16(off + 6) & Flag.DF) !== 0;
}

export function moreFragments(view: DataView, off: number): boolean {
  return (view.getUint16(off + 6) & Flag.MF) !== 0;
}

/** Where this fragment's payload lies in the whole, in bytes. */
export function fragmentOffset(view: DataView, off: number): number {
  return (view.getUint16(off + 6) & OFFSET_MASK) << 3;
}

/** Is it one piece of several (the first included)? */
export function isFragment(view: DataView, off: number): boolean {
  return (view.getUint16(off + 6) & (Flag.MF | OFFSET_MASK)) !== 0;
}

export function ttl(view: DataView, off: number): number {
  return view.getUint8(off + 8);
}

/** One of {@link Protocol}, or anything else. */
export function protocol(view: DataView, off: number): number {
  return view.getUint8(off + 9);
}

export function headerChecksum(view: DataView, off: number): number {
  return view.getUint16(off + 10);
}

export function src(view: DataView, off: number): Ipv4Addr {
  return view.getUint32(off + 12);
}

export function dst(view: DataView, off: number): Ipv4Addr {
  return view.getUint32(off + 16);
}

export function setTos(view: DataView, off: number, value: number): void {
  view.setUint8(off + 1, value);
}

export function setTotalLen(view: DataView, off: number, bytes: number): void {
  view.setUint16(off + 2, bytes);
}

export function setId(view: DataView, off: number, value: number): void {
  view.setUint16(off + 4, value);
}

/** @param offsetBytes a multiple of 8 */
export function setFragment(
  view: DataView,
  off: number,
  offsetBytes: number,
  more: boolean,
  df: boolean,
): void {
  view.setUint16(off + 6, (offsetBytes >>> 3) | (more ? Flag.MF : 0) | (df ? Flag.DF : 0));
}

/** Computes the header checksum in full and writes it. The header length must be right. */
export function updateChecksum(view: DataView, off: number): void {
  view.setUint16(off + 10, 0);
  view.setUint16(off + 10, checksum.compute(view, off, off + headerLen(view, off)));
}

/** Sets the ECN bits and patches the header checksum. @param value 0..3 */
export function setEcn(view: DataView, off: number, value: number): void {
  const from = view.getUint16(off);
  const to = (from & ~3) | value;
  view.setUint16(off, to);
  view.setUint16(off + 10, checksum.update16(view.getUint16(off + 10), from, to));
}

/** Takes one from the TTL (which must not be 0) and patches the header checksum, as Linux's `ip_decrease_ttl`. */
export function decrementTtl(view: DataView, off: number): void {
  const from = view.getUint16(off + 8);
  const to = from - 0x100;
  view.setUint16(off + 8, to);
  view.setUint16(off + 10, checksum.update16(view.getUint16(off + 10), from, to));
}

/**
 * Writes a header of 20 bytes at `off`, whole, with its checksum.
 *
 * @param totalLen bytes of header and payload
 * @param id 0..65535
 * @param df don't fragment
 */
export function emit(
  view: DataView,
  off: number,
  totalLen: number,
  id: number,
  df: boolean,
  ttl: number,
  protocol: number,
  src: Ipv4Addr,
  dst: Ipv4Addr,
  tos = 0,
): void {
  const first = 0x4500 | tos;
  const flags = df ? Flag.DF : 0;
  const hop = (ttl << 8) | protocol;
  view.setUint16(off, first);
  view.setUint16(off + 2, totalLen);
  view.setUint16(off + 4, id);
  view.setUint16(off + 6, flags);
  view.setUint16(off + 8, hop);
  view.setUint16(
    off + 10,
    checksum.complement(first + totalLen + id + flags + hop + checksum.sum32(src) + checksum.sum32(dst)),
  );
  view.setUint32(off + 12, src);
  view.setUint32(off + 16, dst);
}

/**
 * Are the options of a header that passed {@link check} well formed: each length at least 2 and within the header?
 *
 * @drops IP_INHDR @rfc 791#3.1
 */
export function checkOptions(view: DataView, off: number): DropReason {
  const end = off + headerLen(view, off);
  let at = off + HEADER_LEN;
  while (at < end) {
    const next = nextOption(view, at, end);
    if (next < 0) return DropReason.IP_INHDR;
    at = next;
  }
  return DropReason.NOT_DROPPED;
}

/**
 * Offset of the option after the one at `at`; `end` after the last (END ends them all), -1 when the option is malformed.
 *
 * @param end where the header ends
 */
export function nextOption(view: DataView, at: number, end: number): number {
  const type = view.getUint8(at);
  if (type === Option.END) return end;
  if (type === Option.NOP) return at + 1;
  if (at + 1 >= end) return -1;
  const len = view.getUint8(at + 1);
  return len < 2 || at + len > end ? -1 : at + len;
}

/**
 * Turns the options that must not be copied into fragments after the first into NOPs, in place, as Linux's
 * `ip_options_fragment`. The checksum is left to the caller. @rfc 791#3.1
 */
export function blankUncopiedOptions(view: DataView, off: number): void {
  const end = off + headerLen(view, off);
  let at = off + HEADER_LEN;
  while (at < end) {
    const next = nextOption(view, at, end);
    if (next < 0) return;
    const type = view.getUint8(at);
    if (type !== Option.END && (type & Option.COPIED) === 0) {
      for (let i = at; i < next; i++) view.setUint8(i, Option.NOP);
    }
    at = next;
  }
}
