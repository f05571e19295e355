// Addresses as the packet path reads them: signed 32-bit integers. V8 makes a heap number of an unsigned one above 2^31
// whenever it is handed to another function; a signed one is free. The tables take both kinds.
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";

/** Source address of the IPv4 header at `l3`, signed. */
export function srcWord(view: DataView, l3: number): number {
  return view.getInt32(l3 + 12);
}

/** Destination address of the IPv4 header at `l3`, signed. */
export function dstWord(view: DataView, l3: number): number {
  return view.getInt32(l3 + 16);
}

/** 255.255.255.255, signed or not. */
export function isLimitedBroadcast(addr: Ipv4Addr): boolean {
  return (addr | 0) === -1;
}

/** 0.0.0.0/8: "this network", which nobody is. @rfc 1122#3.2.1.3 */
export function isZeronet(addr: Ipv4Addr): boolean {
  return addr >>> 24 === 0;
}
