// UDP. Read RFC 768 first, then RFC 1122 section 4.1.3.4 for the checksum.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |          source port          |       destination port        |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |            length             |           checksum            |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { DropReason } from "../base/drop-reason.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import * as checksum from "./checksum.ts";

export const HEADER_LEN = 8;

const PROTOCOL = 17;

/**
 * Does the datagram lie within `off`..`end`? Afterwards no accessor can fail. The checksum is {@link checkChecksum}'s: it
 * needs the addresses. @drops PKT_TOO_SMALL
 */
export function check(view: DataView, off: number, end: number): DropReason {
  if (end - off < HEADER_LEN) return DropReason.PKT_TOO_SMALL;
  const bytes = view.getUint16(off + 4);
  return bytes < HEADER_LEN || bytes > end - off ? DropReason.PKT_TOO_SMALL : DropReason.NOT_DROPPED;
}

/** Is the checksum right, or absent (0)? After {@link check}. @drops UDP_CSUM */
export function checkChecksum(view: DataView, off: number, src: Ipv4Addr, dst: Ipv4Addr): DropReason {
  if (view.getUint16(off + 6) === 0) return DropReason.NOT_DROPPED;
  const bytes = view.getUint16(off + 4);
  const pseudo = checksum.pseudoHeaderSum(src, dst, PROTOCOL, bytes);
  return checksum.compute(view, off, off + bytes, pseudo) === 0
    ? DropReason.NOT_DROPPED
    : DropReason.UDP_CSUM;
}

export function srcPort(view: DataView, off: number): number {
  return view.getUint16(off);
}

export function dstPort(view: DataView, off: number): number {
  return view.getUint16(off + 2);
}

/** Bytes of header and payload. */
export function len(view: DataView, off: number): number {
  return view.getUint16(off + 4);
}

/** 0 when the sender computed none. */
export function checksumField(view: DataView, off: number): number {
  return view.getUint16(off + 6);
}

export function setSrcPort(view: DataView, off: number, port: number): void {
  view.setUint16(off, port);
}

export function setLen(view: DataView, off: number, bytes: number): void {
  view.setUint16(off + 4, bytes);
}

/** Writes the 8 bytes at `off` with checksum 0 ("none"). @param bytes of header and payload */
export function emit(view: DataView, off: number, srcPort: number, dstPort: number, bytes: number): void {
  view.setUint16(off, srcPort);
  view.setUint16(off + 2, dstPort);
  view.setUint16(off + 4, bytes);
  view.setUint16(off + 6, 0);
}

/** Computes the checksum over header, payload and pseudo header, and writes it; a computed 0 goes out as 0xffff. */
export function updateChecksum(view: DataView, off: number, src: Ipv4Addr, dst: Ipv4Addr): void {
  const bytes = view.getUint16(off + 4);
  view.setUint16(off + 6, 0);
  const pseudo = checksum.pseudoHeaderSum(src, dst, PROTOCOL, bytes);
  const value = checksum.compute(view, off, off + bytes, pseudo);
  view.setUint16(off + 6, value === 0 ? 0xffff : value);
}

/**
 * Patches the checksum after a 16-bit field that it covers (a port, half an address) changed. Leaves "none" alone, and
 * never makes one look like "none". @rfc 1624#3 @rfc 768
 */
export function patchChecksum16(view: DataView, off: number, from: number, to: number): void {
  const check = view.getUint16(off + 6);
  if (check === 0) return;
  const value = checksum.update16(check, from, to);
  view.setUint16(off + 6, value === 0 ? 0xffff : value);
}

/** {@link patchChecksum16} for a 32-bit field (an address). */
export function patchChecksum32(view: DataView, off: number, from: number, to: number): void {
  const check = view.getUint16(off + 6);
  if (check === 0) return;
  const value = checksum.update32(check, from, to);
  view.setUint16(off + 6, value === 0 ? 0xffff : value);
}
