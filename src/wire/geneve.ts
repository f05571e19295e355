// Geneve. Read RFC 8926 section 3 first.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |Ver|  Opt Len  |O|C|    Rsvd.  |         Protocol Type         |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |       Virtual Network Identifier (VNI)        |   Reserved    |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                                                               |
// ~                    Variable-Length Options                    ~
// |                                                               |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// One option; Opt Len above and Length here count words of 4 bytes, the option's own first word not included:
//
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |          Option Class         |      Type     |R|R|R| Length  |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// No option is known here, so every one with the highest bit of its type set (critical) makes the packet one to be dropped, and
// all others are passed over. Reserved bits are ignored on receipt, as the RFC demands.
import { DropReason } from "../base/drop-reason.ts";

/** Bytes of a header without options. */
export const HEADER_LEN = 8;

/** The port that IANA assigned. */
export const PORT = 6081;

/** Largest network identifier. */
export const VNI_MAX = 0xffffff;

/** What may follow: Ethernet frames (Transparent Ethernet Bridging). */
export const PROTOCOL_ETHERNET = 0x6558;

/** Bits of the first 16-bit word. */
const Flag = { CONTROL: 0x80, CRITICAL: 0x40 } as const;
const OPTION_HEADER_LEN = 4;
const OPTION_CRITICAL = 0x80;

/**
 * Does `off`..`end` begin with a sound header that nothing critical is unknown of? Afterwards no accessor can fail.
 *
 * @drops PKT_TOO_SMALL (shorter than the header with its options), GENEVE_INVALID_HDR (another version, or the options are not
 *   as long as the header says), GENEVE_CRITICAL_OPTION @rfc 8926#3.4 @rfc 8926#3.5.1
 */
export function check(view: DataView, off: number, end: number): DropReason {
  if (end - off < HEADER_LEN) return DropReason.PKT_TOO_SMALL;
  const first = view.getUint16(off);
  if (first >>> 14 !== 0) return DropReason.GENEVE_INVALID_HDR;
  const stop = off + headerLen(view, off);
  if (stop > end) return DropReason.PKT_TOO_SMALL;
  if ((first & Flag.CRITICAL) !== 0) return DropReason.GENEVE_CRITICAL_OPTION;
  for (let at = off + HEADER_LEN; at < stop; ) {
    if ((view.getUint8(at + 2) & OPTION_CRITICAL) !== 0) return DropReason.GENEVE_CRITICAL_OPTION;
    at += OPTION_HEADER_LEN + ((view.getUint8(at + 3) & 0x1f) << 2);
    if (at > stop) return DropReason.GENEVE_INVALID_HDR;
  }
  return DropReason.NOT_DROPPED;
}

/** 0 in this version of the protocol. */
export function version(view: DataView, off: number): number {
  return view.getUint8(off) >>> 6;
}

/** Bytes of the header, options included. */
export function headerLen(view: DataView, off: number): number {
  return HEADER_LEN + ((view.getUint8(off) & 0x3f) << 2);
}

/** Is it a message between the endpoints, whose payload must not be forwarded (flag O)? */
export function isControl(view: DataView, off: number): boolean {
  return (view.getUint16(off) & Flag.CONTROL) !== 0;
}

/** Is some option critical (flag C)? */
export function hasCritical(view: DataView, off: number): boolean {
  return (view.getUint16(off) & Flag.CRITICAL) !== 0;
}

/** The EtherType of what follows the header. */
export function protocol(view: DataView, off: number): number {
  return view.getUint16(off + 2);
}

/** Network identifier, 0..2^24-1. */
export function vni(view: DataView, off: number): number {
  return view.getUint32(off + 4) >>> 8;
}

/** Writes the 8 bytes of a header without options at `off`: an Ethernet frame of network `vni` follows. */
export function emit(view: DataView, off: number, vni: number): void {
  view.setUint32(off, PROTOCOL_ETHERNET);
  view.setUint32(off + 4, vni << 8);
}
