// Addresses as Calico's resources write them: of either family, because a cluster's store may hold both.
import { parseIpv4 } from "../../base/ipv4-addr.ts";
import { parseIpv6Groups } from "../../base/ipv6-text.ts";

export interface AnyAddress {
  readonly family: 4 | 6;
  readonly bits: bigint;
}

export interface AnyPrefix extends AnyAddress {
  readonly len: number;
}

export function parseAnyAddress(text: string): AnyAddress | undefined {
  const v4 = parseIpv4(text);
  if (v4 !== undefined) return { family: 4, bits: BigInt(v4) };
  const groups = text.includes(":") ? parseIpv6Groups(text) : undefined;
  if (groups === undefined) return undefined;
  return { family: 6, bits: groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n) };
}

/** `addr/len`. The address keeps its host bits. */
export function parseAnyCidr(text: string): AnyPrefix | undefined {
  const slash = text.indexOf("/");
  const address = slash < 0 ? undefined : parseAnyAddress(text.slice(0, slash));
  const lenText = text.slice(slash + 1);
  if (address === undefined || !/^\d{1,3}$/.test(lenText)) return undefined;
  const len = Number(lenText);
  return len > width(address.family) ? undefined : { ...address, len };
}

/** A CIDR, or an address alone, which is a prefix of one. */
export function parseAnyNet(text: string): AnyPrefix | undefined {
  const address = parseAnyAddress(text);
  return address === undefined ? parseAnyCidr(text) : { ...address, len: width(address.family) };
}

/** Does it have no bits set beyond its length? */
export function isMasked(prefix: AnyPrefix): boolean {
  return prefix.bits === masked(prefix, prefix.len);
}

export function anyOverlaps(a: AnyPrefix, b: AnyPrefix): boolean {
  const len = Math.min(a.len, b.len);
  return a.family === b.family && masked(a, len) === masked(b, len);
}

/** A BGP peer: `1.2.3.4`, `1.2.3.4:179`, `fd00::1` or `[fd00::1]:179`. */
export function parsePeerAddress(
  text: string,
): { readonly address: AnyAddress; readonly port: number | undefined } | undefined {
  const alone = parseAnyAddress(text);
  if (alone !== undefined) return { address: alone, port: undefined };
  const match = /^(?:\[([^\]]+)\]|([0-9.]+)):([1-9]\d{0,4})$/.exec(text);
  const address = parseAnyAddress(match?.[1] ?? match?.[2] ?? "");
  const port = Number(match?.[3]);
  if (address === undefined || port > 65535) return undefined;
  // Brackets are IPv6's.
  return (match?.[1] !== undefined) === (address.family === 6) ? { address, port } : undefined;
}

function width(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

function masked(prefix: AnyPrefix, len: number): bigint {
  const host = BigInt(width(prefix.family) - len);
  return (prefix.bits >> host) << host;
}
