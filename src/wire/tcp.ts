// TCP's header. Read RFC 9293 section 3.1 first, then RFC 7323 for window scale and timestamps, RFC 2018 for SACK.
// Here a segment is looked at (capture, connection tracking); nobody speaks TCP yet.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |          source port          |       destination port        |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                        sequence number                        |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                     acknowledgment number                     |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// | offset| rsrvd |C|E|U|A|P|R|S|F|            window             |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |           checksum            |        urgent pointer         |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                           options                             |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { DropReason } from "../base/drop-reason.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import * as checksum from "./checksum.ts";

/** Bytes of a header without options. */
export const HEADER_LEN = 20;

const PROTOCOL = 6;

export const Flag = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128 } as const;

/** Does the header, options included, lie within `off`..`end`? Afterwards no accessor can fail. @drops PKT_TOO_SMALL */
export function check(view: DataView, off: number, end: number): DropReason {
  if (end - off < HEADER_LEN) return DropReason.PKT_TOO_SMALL;
  const bytes = headerLen(view, off);
  return bytes < HEADER_LEN || bytes > end - off ? DropReason.PKT_TOO_SMALL : DropReason.NOT_DROPPED;
}

/** Is the checksum of the segment `off`..`end` right? After {@link check}. */
export function checksumOk(view: DataView, off: number, end: number, src: Ipv4Addr, dst: Ipv4Addr): boolean {
  return checksum.compute(view, off, end, checksum.pseudoHeaderSum(src, dst, PROTOCOL, end - off)) === 0;
}

export function srcPort(view: DataView, off: number): number {
  return view.getUint16(off);
}

export function dstPort(view: DataView, off: number): number {
  return view.getUint16(off + 2);
}

export function seq(view: DataView, off: number): number {
  return view.getUint32(off + 4);
}

export function ack(view: DataView, off: number): number {
  return view.getUint32(off + 8);
}

/** Header length in bytes, options included. */
export function headerLen(view: DataView, off: number): number {
  return (view.getUint8(off + 12) >>> 4) << 2;
}

/** Bits of {@link Flag}. */
export function flags(view: DataView, off: number): number {
  return view.getUint8(off + 13);
}

/** As it stands in the header, not scaled. */
export function window(view: DataView, off: number): number {
  return view.getUint16(off + 14);
}

export function urgent(view: DataView, off: number): number {
  return view.getUint16(off + 18);
}

/** Computes the checksum of the segment `off`..`end` and writes it. */
export function updateChecksum(view: DataView, off: number, end: number, src: Ipv4Addr, dst: Ipv4Addr): void {
  view.setUint16(off + 16, 0);
  const pseudo = checksum.pseudoHeaderSum(src, dst, PROTOCOL, end - off);
  view.setUint16(off + 16, checksum.compute(view, off, end, pseudo));
}

/** Writes a header of `20 + optionBytes` at `off` with checksum 0; the options themselves are the caller's. */
export function emit(
  view: DataView,
  off: number,
  srcPort: number,
  dstPort: number,
  seq: number,
  ack: number,
  flags: number,
  window: number,
  optionBytes = 0,
): void {
  view.setUint16(off, srcPort);
  view.setUint16(off + 2, dstPort);
  view.setUint32(off + 4, seq);
  view.setUint32(off + 8, ack);
  view.setUint8(off + 12, ((HEADER_LEN + optionBytes) >>> 2) << 4);
  view.setUint8(off + 13, flags);
  view.setUint16(off + 14, window);
  view.setUint16(off + 16, 0);
  view.setUint16(off + 18, 0);
}

/** One option of a header, in the order in which they stand there. */
export type TcpOption =
  | { readonly t: "eol" | "nop" | "sackOK" }
  | { readonly t: "mss"; readonly mssBytes: number }
  | { readonly t: "wscale"; readonly shift: number }
  | { readonly t: "sack"; readonly blocks: readonly { readonly left: number; readonly right: number }[] }
  | { readonly t: "TS"; readonly val: number; readonly ecr: number }
  | { readonly t: "unknown"; readonly kind: number; readonly hex: string }
  /** The length byte of this one cannot be right; nothing after it was read. */
  | { readonly t: "bad" }
  /** The bytes end before the header does. */
  | { readonly t: "truncated" };

/** Reads the options of a header whose first 20 bytes are there, up to `limit` at most. Cold: allocates. */
export function parseOptions(view: DataView, off: number, limit: number): TcpOption[] {
  const claimed = off + headerLen(view, off);
  const end = Math.min(claimed, limit);
  const options: TcpOption[] = [];
  let at = off + HEADER_LEN;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === 0) {
      options.push({ t: "eol" });
      return options;
    }
    if (kind === 1) {
      options.push({ t: "nop" });
      at++;
      continue;
    }
    if (at + 1 >= end && end < claimed) break;
    const bytes = at + 1 < end ? view.getUint8(at + 1) : 0;
    if (bytes < 2 || at + bytes > claimed) {
      options.push({ t: "bad" });
      return options;
    }
    if (at + bytes > end) break;
    options.push(parseOption(view, at, kind, bytes));
    at += bytes;
  }
  if (end < claimed) options.push({ t: "truncated" });
  return options;
}

function parseOption(view: DataView, at: number, kind: number, bytes: number): TcpOption {
  if (kind === 2 && bytes === 4) return { t: "mss", mssBytes: view.getUint16(at + 2) };
  if (kind === 3 && bytes === 3) return { t: "wscale", shift: view.getUint8(at + 2) };
  if (kind === 4 && bytes === 2) return { t: "sackOK" };
  if (kind === 8 && bytes === 10)
    return { t: "TS", val: view.getUint32(at + 2), ecr: view.getUint32(at + 6) };
  if (kind === 5 && bytes > 2 && (bytes - 2) % 8 === 0) {
    const blocks: { left: number; right: number }[] = [];
    for (let i = at + 2; i < at + bytes; i += 8) {
      blocks.push({ left: view.getUint32(i), right: view.getUint32(i + 4) });
    }
    return { t: "sack", blocks };
  }
  let hex = "";
  for (let i = at + 2; i < at + bytes; i++) hex += view.getUint8(i).toString(16).padStart(2, "0");
  return { t: "unknown", kind, hex };
}
