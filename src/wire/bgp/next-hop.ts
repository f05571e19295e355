import { type Ipv4Addr, isMulticast } from "../../base/ipv4-addr.ts";
import { type Ipv6Addr, ipv6At } from "./ipv6-addr.ts";
import type { OctetWriter } from "./octets.ts";

/** An IPv6 next hop: the global address, and the link-local one where both ends share the link. @rfc 2545#3 */
export interface Ipv6NextHop {
  readonly global: Ipv6Addr;
  readonly linkLocal: Ipv6Addr | undefined;
}

/** A number is an IPv4 address, an object an IPv6 next hop. @rfc 4760#3 @rfc 8950#3 */
export type NextHop = Ipv4Addr | Ipv6NextHop;

/** The IPv6 next hop of 16 or 32 octets at `off`. */
export function ipv6NextHopAt(bytes: Uint8Array, off: number, length: number): Ipv6NextHop {
  return { global: ipv6At(bytes, off), linkLocal: length === 32 ? ipv6At(bytes, off + 16) : undefined };
}

/** Octets of the next hop in MP_REACH_NLRI: 4, 16 or 32. */
export function nextHopLen(nextHop: NextHop): number {
  if (typeof nextHop === "number") return 4;
  return nextHop.linkLocal === undefined ? 16 : 32;
}

/** Appends the {@link nextHopLen} octets. */
export function emitNextHop(out: OctetWriter, nextHop: NextHop): void {
  if (typeof nextHop === "number") {
    out.u32(nextHop);
    return;
  }
  emitIpv6(out, nextHop.global);
  if (nextHop.linkLocal !== undefined) emitIpv6(out, nextHop.linkLocal);
}

function emitIpv6(out: OctetWriter, addr: Ipv6Addr): void {
  out.u32(addr.a);
  out.u32(addr.b);
  out.u32(addr.c);
  out.u32(addr.d);
}

/**
 * Can nothing ever be sent to this next hop: is it unspecified, multicast or, with IPv4, of class E? Such a route is kept and never
 * selected; the session stays. Whether the address is our own, and whether loopback may be a next hop, is the speaker's to say.
 * @rfc 4271#6.3
 */
export function isMartianNextHop(nextHop: NextHop): boolean {
  if (typeof nextHop === "number") return nextHop === 0 || isMulticast(nextHop) || nextHop >>> 28 === 0xf;
  const { a, b, c, d } = nextHop.global;
  return (a | b | c | d) === 0 || a >>> 24 === 0xff;
}
