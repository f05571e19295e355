// IPv6 addresses as BGP carries them: four unsigned 32-bit words, most significant first. No BigInt: its arithmetic allocates,
// and as a Map key it costs twice as much as a number.
import { netmask } from "../../base/ipv4-addr.ts";
import { formatIpv6Groups, parseIpv6Groups } from "../../base/ipv6-text.ts";
import { u32 } from "./octets.ts";

/** An IPv6 address, immutable: `a` holds the first four octets, `d` the last. */
export interface Ipv6Addr {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** An IPv6 prefix, immutable; no bits set beyond `len` (0..128). */
export interface Ipv6Prefix extends Ipv6Addr {
  readonly len: number;
}

/** The 16 octets at `off`, which the caller has measured. */
export function ipv6At(bytes: Uint8Array, off: number): Ipv6Addr {
  return { a: u32(bytes, off), b: u32(bytes, off + 4), c: u32(bytes, off + 8), d: u32(bytes, off + 12) };
}

/** Mask of word `i` (0..3) of an address under a prefix of `len` bits, signed as bitwise operators leave it. */
export function ipv6MaskWord(len: number, i: number): number {
  const bits = len - 32 * i;
  return bits >= 32 ? -1 : bits <= 0 ? 0 : netmask(bits) | 0;
}

/** The prefix of `len` bits that the address lies in. */
export function ipv6PrefixOf(addr: Ipv6Addr, len: number): Ipv6Prefix {
  return {
    a: (addr.a & ipv6MaskWord(len, 0)) >>> 0,
    b: (addr.b & ipv6MaskWord(len, 1)) >>> 0,
    c: (addr.c & ipv6MaskWord(len, 2)) >>> 0,
    d: (addr.d & ipv6MaskWord(len, 3)) >>> 0,
    len,
  };
}

/** Canonical text. @rfc 5952#4 */
export function formatIpv6(addr: Ipv6Addr): string {
  return formatIpv6Groups([addr.a, addr.b, addr.c, addr.d].flatMap((word) => [word >>> 16, word & 0xffff]));
}

/** Parses text; undefined when it is not an address. @rfc 4291#2.2 */
export function parseIpv6(text: string): Ipv6Addr | undefined {
  const groups = parseIpv6Groups(text);
  if (groups === undefined) return undefined;
  const word = (i: number): number => (groups[i] as number) * 0x10000 + (groups[i + 1] as number);
  return { a: word(0), b: word(2), c: word(4), d: word(6) };
}
