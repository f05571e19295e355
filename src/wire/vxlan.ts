// VXLAN, and its Group Based Policy extension. Read RFC 7348 section 5 first, then draft-smith-vxlan-group-policy.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |G|R|R|R|I|R|R|R|R|D|R|R|A|R|R|R|  group policy id (G set) or 0 |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |        VXLAN network identifier (VNI)         |   reserved    |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { DropReason } from "../base/drop-reason.ts";

export const HEADER_LEN = 8;

/** The port that IANA assigned. */
export const PORT = 4789;
/** The port that Linux takes when it is told none, and so Flannel's. */
export const PORT_LINUX = 8472;

/** Largest network identifier. */
export const VNI_MAX = 0xffffff;

/** Bits of the first 32-bit word. */
export const Flag = {
  /** The network identifier is valid: must be set. */
  VNI: 0x0800_0000,
  /** A group policy id is present. */
  GBP: 0x8000_0000,
  /** Group policy: the receiver must not learn the inner source address. */
  GBP_DONT_LEARN: 0x0040_0000,
  /** Group policy: the policy was applied by the sender. */
  GBP_POLICY_APPLIED: 0x0008_0000,
} as const;

/** What Linux takes out of the first word for group policy: the flag and all of the lower 24 bits. */
const GBP_USED_BITS = 0x80ff_ffff;

/**
 * Is `off`..`end` long enough for the header, and is its network identifier valid? Afterwards no accessor can fail.
 * Reserved bits are {@link reservedBitsAreZero}'s.
 *
 * @drops PKT_TOO_SMALL, VXLAN_INVALID_HDR (flag I is clear) @rfc 7348#5
 */
export function check(view: DataView, off: number, end: number): DropReason {
  if (end - off < HEADER_LEN) return DropReason.PKT_TOO_SMALL;
  return (view.getUint32(off) & Flag.VNI) === 0 ? DropReason.VXLAN_INVALID_HDR : DropReason.NOT_DROPPED;
}

/**
 * Linux's test, stricter than the RFC: every bit that no enabled extension claims must be zero. A frame that fails is
 * dropped and counted as a receive error (VXLAN_INVALID_HDR).
 *
 * @param gbp is group policy enabled on the device?
 */
export function reservedBitsAreZero(view: DataView, off: number, gbp: boolean): boolean {
  const known = gbp ? Flag.VNI | GBP_USED_BITS : Flag.VNI;
  return (view.getUint32(off) & ~known) === 0 && view.getUint8(off + 7) === 0;
}

/** The first byte: 0x08 in every plain frame. */
export function flags(view: DataView, off: number): number {
  return view.getUint8(off);
}

/** Network identifier, 0..2^24-1. */
export function vni(view: DataView, off: number): number {
  return view.getUint32(off + 4) >>> 8;
}

/** Is a group policy id present (flag G)? */
export function hasGroupPolicy(view: DataView, off: number): boolean {
  return (view.getUint8(off) & 0x80) !== 0;
}

/** Group policy id; meaningful with flag G. */
export function groupPolicyId(view: DataView, off: number): number {
  return view.getUint16(off + 2);
}

/** Group policy's "do not learn this address" (flag D). */
export function dontLearn(view: DataView, off: number): boolean {
  return (view.getUint8(off + 1) & 0x40) !== 0;
}

/** Group policy's "policy applied" (flag A). */
export function policyApplied(view: DataView, off: number): boolean {
  return (view.getUint8(off + 1) & 0x08) !== 0;
}

/** Writes the 8 bytes of a plain header at `off`: flag I, the identifier, zeros. */
export function emit(view: DataView, off: number, vni: number): void {
  view.setUint32(off, Flag.VNI);
  view.setUint32(off + 4, vni << 8);
}

/**
 * Writes the 8 bytes of a header with a group policy at `off`.
 *
 * @param policy the id (16 bits) together with {@link Flag}.GBP_DONT_LEARN and GBP_POLICY_APPLIED, as Linux keeps it in a
 *   packet's mark
 */
export function emitGroupPolicy(view: DataView, off: number, vni: number, policy: number): void {
  const bits = policy & (0xffff | Flag.GBP_DONT_LEARN | Flag.GBP_POLICY_APPLIED);
  view.setUint32(off, Flag.VNI | Flag.GBP | bits);
  view.setUint32(off + 4, vni << 8);
}
