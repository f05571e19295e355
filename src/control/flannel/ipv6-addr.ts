// IPv6 text, no more than Flannel's keys and configuration need: podloom does not route IPv6 yet, but it must recognise the
// keys of a dual-stack flanneld and refuse an IPv6 configuration with Flannel's own words.
import { type Ipv4Addr, parseIpv4 } from "../../base/ipv4-addr.ts";

/** An IPv6 address as an unsigned 128-bit integer. Cold paths only. */
export type Ipv6Addr = bigint;

export interface Ipv6Prefix {
  readonly addr: Ipv6Addr;
  /** Prefix length in bits, 0..128. */
  readonly len: number;
}

/** Parses RFC 4291 text as Go's net.ParseIP does: one `::`, an embedded IPv4 tail, no zone. */
export function parseIpv6(text: string): Ipv6Addr | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] as string, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] as string, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  let addr = 0n;
  for (const group of [...head, ...new Array<number>(missing).fill(0), ...tail])
    addr = (addr << 16n) | BigInt(group);
  return addr;
}

/** @param last may the text end in dotted IPv4? Only the end of the whole address may. */
function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const v4 = last && i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (v4 === undefined) return undefined;
    groups.push(v4 >>> 16, v4 & 0xffff);
  }
  return groups;
}

/** Canonical text. @rfc 5952#4 */
export function formatIpv6(addr: Ipv6Addr): string {
  const groups = Array.from({ length: 8 }, (_, i) => Number((addr >> BigInt(112 - 16 * i)) & 0xffffn));
  let start = -1;
  let length = 1; // a single zero group is never shortened
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > length) {
      start = i;
      length = end - i;
    }
    i = Math.max(i, end - 1);
  }
  const hex = groups.map((group) => group.toString(16));
  if (start < 0) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

/** The IPv4 address inside `::ffff:a.b.c.d`, which Go treats as IPv4. */
export function unmapIpv4(addr: Ipv6Addr): Ipv4Addr | undefined {
  return addr >> 32n === 0xffffn ? Number(addr & 0xffff_ffffn) : undefined;
}

/** Network mask of a prefix length (0..128). */
export function ipv6Netmask(len: number): Ipv6Addr {
  return ((1n << 128n) - 1n) ^ ((1n << BigInt(128 - len)) - 1n);
}
