// Ethernet II. Read IEEE 802.3 clause 3 first. 802.1Q is recognised, so that a tagged frame can be named and refused.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                      destination address                      |
// +                               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                               |                               |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+         source address        +
// |                                                               |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |           EtherType           |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// With an 802.1Q tag (IEEE 802.1Q clause 9.3), these four bytes stand in the place of the EtherType:
//
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |        EtherType 0x8100       | PCP |D|        VLAN id        |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { DropReason } from "../base/drop-reason.ts";
import type { MacAddr } from "../base/mac-addr.ts";

export const HEADER_LEN = 14;
/** Bytes that an 802.1Q tag adds. */
export const VLAN_TAG_LEN = 4;

export const EtherType = { IPV4: 0x0800, ARP: 0x0806, VLAN: 0x8100, IPV6: 0x86dd } as const;

/** Are the bytes `off`..`end` long enough to hold the header? Afterwards no accessor can fail. */
export function check(off: number, end: number): DropReason {
  return end - off < HEADER_LEN ? DropReason.PKT_TOO_SMALL : DropReason.NOT_DROPPED;
}

export function dst(view: DataView, off: number): MacAddr {
  return view.getUint16(off) * 0x1_0000_0000 + view.getUint32(off + 2);
}

export function src(view: DataView, off: number): MacAddr {
  return view.getUint16(off + 6) * 0x1_0000_0000 + view.getUint32(off + 8);
}

export function etherType(view: DataView, off: number): number {
  return view.getUint16(off + 12);
}

/** Writes the 14 bytes of a header at `off`. */
export function emit(view: DataView, off: number, dst: MacAddr, src: MacAddr, etherType: number): void {
  view.setUint16(off, Math.floor(dst / 0x1_0000_0000));
  view.setUint32(off + 2, dst >>> 0);
  view.setUint16(off + 6, Math.floor(src / 0x1_0000_0000));
  view.setUint32(off + 8, src >>> 0);
  view.setUint16(off + 12, etherType);
}

/** Is the tag of a frame of EtherType VLAN there, and the EtherType behind it? @drops PKT_TOO_SMALL */
export function checkVlan(off: number, end: number): DropReason {
  return end - off < HEADER_LEN + VLAN_TAG_LEN ? DropReason.PKT_TOO_SMALL : DropReason.NOT_DROPPED;
}

/** VLAN id (0..4095) of a tagged frame. */
export function vlanId(view: DataView, off: number): number {
  return view.getUint16(off + 14) & 0xfff;
}

/** Priority code point (0..7) of a tagged frame. */
export function vlanPriority(view: DataView, off: number): number {
  return view.getUint8(off + 14) >>> 5;
}

/** Drop-eligible indicator of a tagged frame. */
export function vlanDropEligible(view: DataView, off: number): boolean {
  return (view.getUint8(off + 14) & 0x10) !== 0;
}

/** EtherType behind the tag of a tagged frame. */
export function vlanEtherType(view: DataView, off: number): number {
  return view.getUint16(off + 16);
}

/** Writes the 18 bytes of a tagged header at `off`. @param tci priority, drop eligible and id as one 16-bit word */
export function emitVlan(
  view: DataView,
  off: number,
  dst: MacAddr,
  src: MacAddr,
  tci: number,
  etherType: number,
): void {
  emit(view, off, dst, src, EtherType.VLAN);
  view.setUint16(off + 14, tci);
  view.setUint16(off + 16, etherType);
}
