import { err, ok, type Result } from "./result.ts";

/** An IPv4 address as an unsigned 32-bit integer in host order (always `>>> 0`): a Map key, not a string. */
export type Ipv4Addr = number;

/** An IPv4 prefix. `addr` has no bits set beyond `len`. */
export interface Prefix {
  readonly addr: Ipv4Addr;
  /** Prefix length in bits, 0..32. */
  readonly len: number;
}

export const IPV4_BROADCAST: Ipv4Addr = 0xffffffff;

/** Network mask of a prefix length in bits (0..32). */
export function netmask(len: number): number {
  return len === 0 ? 0 : (0xffffffff << (32 - len)) >>> 0;
}

/** Does `prefix` contain `addr`? */
export function contains(prefix: Prefix, addr: Ipv4Addr): boolean {
  return ((addr ^ prefix.addr) & netmask(prefix.len)) === 0;
}

/** Do the two prefixes share an address? */
export function overlaps(a: Prefix, b: Prefix): boolean {
  return ((a.addr ^ b.addr) & netmask(Math.min(a.len, b.len))) === 0;
}

/** The prefix of length `len` that `addr` lies in. */
export function prefixOf(addr: Ipv4Addr, len: number): Prefix {
  return { addr: (addr & netmask(len)) >>> 0, len };
}

export function isMulticast(addr: Ipv4Addr): boolean {
  return addr >>> 28 === 0xe;
}

export function isLoopback(addr: Ipv4Addr): boolean {
  return addr >>> 24 === 127;
}

export function formatIpv4(addr: Ipv4Addr): string {
  return `${addr >>> 24}.${(addr >>> 16) & 255}.${(addr >>> 8) & 255}.${addr & 255}`;
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatIpv4(prefix.addr)}/${prefix.len}`;
}

const DOTTED = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** Parses dotted-quad text. Leading zeros are refused, as Go's net.ParseIP refuses them. */
export function parseIpv4(text: string): Ipv4Addr | undefined {
  const match = DOTTED.exec(text);
  if (match === null) return undefined;
  let addr = 0;
  for (let i = 1; i <= 4; i++) {
    const part = match[i] as string;
    const octet = Number(part);
    if (octet > 255 || (part.length > 1 && part.startsWith("0"))) return undefined;
    addr = addr * 256 + octet;
  }
  return addr;
}

/** Parses `a.b.c.d/len`. The address keeps its host bits; see {@link prefixOf}. */
export function parseCidr(text: string): Result<{ addr: Ipv4Addr; len: number }, string> {
  const slash = text.indexOf("/");
  if (slash < 0) return err(`"${text}" has no prefix length; write it as a.b.c.d/len`);
  const addr = parseIpv4(text.slice(0, slash));
  if (addr === undefined) return err(`"${text}" does not start with an IPv4 address`);
  const lenText = text.slice(slash + 1);
  const len = /^\d{1,2}$/.test(lenText) ? Number(lenText) : 33;
  if (len > 32) return err(`"${text}": the prefix length must be 0 to 32`);
  return ok({ addr, len });
}

/** An address literal in our own source, for constants and tests. Dies on bad text. */
export function ipv4(text: string): Ipv4Addr {
  const addr = parseIpv4(text);
  if (addr === undefined) throw new Error(`not an IPv4 address: ${text}`);
  return addr;
}

/** A prefix literal in our own source (host bits cleared). Dies on bad text. */
export function prefix(text: string): Prefix {
  const cidr = parseCidr(text);
  if (!cidr.ok) throw new Error(cidr.error);
  return prefixOf(cidr.value.addr, cidr.value.len);
}
