// ICMP. Read RFC 792 first, RFC 1191 section 4 for the next-hop MTU, RFC 1122 section 3.2.2 for what may be answered.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |     Type      |     Code      |          Checksum             |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |  rest of header: echo        identifier | sequence number     |
// |                  unreachable unused     | next-hop MTU        |
// |                  redirect    gateway address                  |
// |                  parameter   pointer, then 24 bits unused     |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |  echo: data;  errors: the offender's IP header and what follows
// +-+-+-+-+-
import { DropReason } from "../base/drop-reason.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import * as checksum from "./checksum.ts";

/** Bytes before the echo data, or before the offender's header. */
export const HEADER_LEN = 8;

export const Type = {
  ECHO_REPLY: 0,
  DEST_UNREACH: 3,
  SOURCE_QUENCH: 4,
  REDIRECT: 5,
  ECHO: 8,
  TIME_EXCEEDED: 11,
  PARAMETER_PROBLEM: 12,
  TIMESTAMP: 13,
  TIMESTAMP_REPLY: 14,
} as const;

/** Codes of DEST_UNREACH. @rfc 792 @rfc 1812#5.2.7.1 */
export const Unreach = {
  NET: 0,
  HOST: 1,
  PROTOCOL: 2,
  PORT: 3,
  FRAG_NEEDED: 4,
  SOURCE_ROUTE_FAILED: 5,
  NET_UNKNOWN: 6,
  HOST_UNKNOWN: 7,
  NET_ANO: 9,
  HOST_ANO: 10,
  /** Administratively prohibited: what a firewall or a `prohibit` route answers. */
  PKT_FILTERED: 13,
} as const;

/** Codes of TIME_EXCEEDED. */
export const Exceeded = { TTL: 0, FRAGMENT_REASSEMBLY: 1 } as const;

/** Is `off`..`end` long enough, and its checksum right? Afterwards no accessor can fail. @drops PKT_TOO_SMALL, ICMP_CSUM */
export function check(view: DataView, off: number, end: number): DropReason {
  if (end - off < HEADER_LEN) return DropReason.PKT_TOO_SMALL;
  return checksum.compute(view, off, end) === 0 ? DropReason.NOT_DROPPED : DropReason.ICMP_CSUM;
}

/** One of {@link Type}, or anything else. */
export function type(view: DataView, off: number): number {
  return view.getUint8(off);
}

export function code(view: DataView, off: number): number {
  return view.getUint8(off + 1);
}

/** Does a message of this type report an error about another packet? @rfc 1122#3.2.2 */
export function isError(type: number): boolean {
  return (
    type === Type.DEST_UNREACH ||
    type === Type.SOURCE_QUENCH ||
    type === Type.REDIRECT ||
    type === Type.TIME_EXCEEDED ||
    type === Type.PARAMETER_PROBLEM
  );
}

export function echoId(view: DataView, off: number): number {
  return view.getUint16(off + 4);
}

export function echoSeq(view: DataView, off: number): number {
  return view.getUint16(off + 6);
}

/** Next-hop MTU of a frag-needed message, in bytes; 0 from routers older than RFC 1191. */
export function mtu(view: DataView, off: number): number {
  return view.getUint16(off + 6);
}

/** Better gateway of a redirect. */
export function gateway(view: DataView, off: number): Ipv4Addr {
  return view.getUint32(off + 4);
}

/** Offset of the offending byte, of a parameter problem. */
export function pointer(view: DataView, off: number): number {
  return view.getUint8(off + 4);
}

/** The 32 bits after the checksum, whatever they mean. */
export function rest(view: DataView, off: number): number {
  return view.getUint32(off + 4);
}

/**
 * Writes the header at `off` and the checksum over `off`..`end`, whose bytes from `off + 8` are in place already.
 *
 * @param rest the 32 bits after the checksum: see {@link echoRest}; for frag-needed the MTU; for a redirect the gateway;
 *   for a parameter problem the pointer shifted left by 24; else 0
 */
export function emit(
  view: DataView,
  off: number,
  end: number,
  type: number,
  code: number,
  rest: number,
): void {
  view.setUint16(off, (type << 8) | code);
  view.setUint16(off + 2, 0);
  view.setUint32(off + 4, rest);
  view.setUint16(off + 2, checksum.compute(view, off, end));
}

/** Identifier and sequence number as `rest`. */
export function echoRest(id: number, seq: number): number {
  return ((id << 16) | seq) >>> 0;
}

/**
 * Turns the echo request at `off`..`end` into its reply, in place, checksum included. Everything else is returned as it
 * came. @rfc 1122#3.2.2.6
 */
export function toEchoReply(view: DataView, off: number, end: number): void {
  const from = view.getUint16(off);
  const to = from & 0xff;
  view.setUint16(off, to);
  const updated = checksum.update16(view.getUint16(off + 2), from, to);
  view.setUint16(off + 2, updated);
  if (updated === 0) {
    // No pseudo header: the message may be all zero now, and the checksum of nothing is 0xffff.
    view.setUint16(off + 2, checksum.compute(view, off, end));
  }
}
