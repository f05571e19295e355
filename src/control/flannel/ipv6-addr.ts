// IPv6 text, no more than Flannel's keys and configuration need: podloom does not route IPv6 yet, but it must recognise the
// keys of a dual-stack flanneld and refuse an IPv6 configuration with Flannel's own words.
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import { formatIpv6Groups, parseIpv6Groups } from "../../base/ipv6-text.ts";

/** An IPv6 address as an unsigned 128-bit integer. Cold paths only. */
export type Ipv6Addr = bigint;

export interface Ipv6Prefix {
  readonly addr: Ipv6Addr;
  /** Prefix length in bits, 0..128. */
  readonly len: number;
}

/** Parses RFC 4291 text as Go's net.ParseIP does. */
export function parseIpv6(text: string): Ipv6Addr | undefined {
  return parseIpv6Groups(text)?.reduce((addr, group) => (addr << 16n) | BigInt(group), 0n);
}

/** Canonical text. @rfc 5952#4 */
export function formatIpv6(addr: Ipv6Addr): string {
  return formatIpv6Groups(
    Array.from({ length: 8 }, (_, i) => Number((addr >> BigInt(112 - 16 * i)) & 0xffffn)),
  );
}

/** The IPv4 address inside `::ffff:a.b.c.d`, which Go treats as IPv4. */
export function unmapIpv4(addr: Ipv6Addr): Ipv4Addr | undefined {
  return addr >> 32n === 0xffffn ? Number(addr & 0xffff_ffffn) : undefined;
}

/** Network mask of a prefix length (0..128). */
export function ipv6Netmask(len: number): Ipv6Addr {
  return ((1n << 128n) - 1n) ^ ((1n << BigInt(128 - len)) - 1n);
}
