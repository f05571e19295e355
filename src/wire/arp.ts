// ARP for IPv4 over Ethernet. Read RFC 826 first, then RFC 5227 for gratuitous announcements.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |      hardware type (1)        |    protocol type (0x0800)     |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// | hw length (6) | pr length (4) |           operation           |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                   sender hardware address                     |
// +                               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                               |   sender protocol address     |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |  sender protocol address      |   target hardware address     |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               +
// |                                                               |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                   target protocol address                     |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { DropReason } from "../base/drop-reason.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import type { MacAddr } from "../base/mac-addr.ts";
import { EtherType } from "./ethernet.ts";

export const HEADER_LEN = 28;

export const Operation = { REQUEST: 1, REPLY: 2 } as const;

const HTYPE_ETHERNET = 1;
/** hardware length 6 and protocol length 4, as the one 16-bit word that they make. */
const LENGTHS = 0x0604;

/**
 * Is `off`..`end` an ARP packet for IPv4 over Ethernet? Afterwards no accessor can fail. The operation is not judged, and
 * bytes after the 28th (Ethernet's padding) are allowed. @drops ARP_INHDR
 */
export function check(view: DataView, off: number, end: number): DropReason {
  if (
    end - off < HEADER_LEN ||
    view.getUint16(off) !== HTYPE_ETHERNET ||
    view.getUint16(off + 2) !== EtherType.IPV4 ||
    view.getUint16(off + 4) !== LENGTHS
  ) {
    return DropReason.ARP_INHDR;
  }
  return DropReason.NOT_DROPPED;
}

/** One of {@link Operation}, or anything else. */
export function operation(view: DataView, off: number): number {
  return view.getUint16(off + 6);
}

/** Sender hardware address (`ar$sha`). */
export function senderMac(view: DataView, off: number): MacAddr {
  return view.getUint16(off + 8) * 0x1_0000_0000 + view.getUint32(off + 10);
}

/** Sender protocol address (`ar$spa`). */
export function senderIp(view: DataView, off: number): Ipv4Addr {
  return view.getUint32(off + 14);
}

/** Target hardware address (`ar$tha`); meaningless in a request. */
export function targetMac(view: DataView, off: number): MacAddr {
  return view.getUint16(off + 18) * 0x1_0000_0000 + view.getUint32(off + 20);
}

/** Target protocol address (`ar$tpa`). */
export function targetIp(view: DataView, off: number): Ipv4Addr {
  return view.getUint32(off + 24);
}

/** Writes the 28 bytes of a packet at `off`. */
export function emit(
  view: DataView,
  off: number,
  operation: number,
  senderMac: MacAddr,
  senderIp: Ipv4Addr,
  targetMac: MacAddr,
  targetIp: Ipv4Addr,
): void {
  view.setUint16(off, HTYPE_ETHERNET);
  view.setUint16(off + 2, EtherType.IPV4);
  view.setUint16(off + 4, LENGTHS);
  view.setUint16(off + 6, operation);
  view.setUint16(off + 8, Math.floor(senderMac / 0x1_0000_0000));
  view.setUint32(off + 10, senderMac >>> 0);
  view.setUint32(off + 14, senderIp);
  view.setUint16(off + 18, Math.floor(targetMac / 0x1_0000_0000));
  view.setUint32(off + 20, targetMac >>> 0);
  view.setUint32(off + 24, targetIp);
}
