// Prefixes as people write them. For printing: formatRibPrefix in speaker/inspect.ts.
import { formatIpv4, parseIpv4, prefixOf } from "../../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import { Family } from "../../../wire/bgp/family.ts";
import { formatIpv6, ipv6PrefixOf, parseIpv6 } from "../../../wire/bgp/ipv6-addr.ts";
import type { RibPrefix } from "./route.ts";

/** Parses "10.0.0.0/8" or "fd00::/8", without bits beyond the length. Refused: what is wrong with it, to follow "must". */
export function parseRibPrefix(text: string): Result<RibPrefix, string> {
  const slash = text.indexOf("/");
  if (slash < 0) return err("be a prefix with its length, like 10.0.0.0/8 or fd00::/8");
  const address = parseRibAddress(text.slice(0, slash));
  if (address === undefined) return err("begin with an IPv4 or IPv6 address");
  const lenText = text.slice(slash + 1);
  const len = /^\d{1,3}$/.test(lenText) ? Number(lenText) : Number.NaN;
  const bits = address.len;
  // Written so that NaN is refused.
  if (!(len <= bits)) return err(`have a length of 0 to ${bits}`);
  const prefix = shortened(address, len);
  if (prefix.a !== address.a || prefix.b !== address.b || prefix.c !== address.c || prefix.d !== address.d) {
    const { a, family } = prefix;
    const meant = family === Family.IPV4_UNICAST ? formatIpv4(a) : formatIpv6(prefix);
    return err(`have no bits set beyond its length: the prefix is ${meant}/${len}`);
  }
  return ok(prefix);
}

/** Parses an address of either family, as the prefix of its full length; undefined when it is none. */
export function parseRibAddress(text: string): RibPrefix | undefined {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== undefined) return { family: Family.IPV4_UNICAST, a: ipv4, b: 0, c: 0, d: 0, len: 32 };
  const ipv6 = parseIpv6(text);
  return ipv6 === undefined ? undefined : { family: Family.IPV6_UNICAST, ...ipv6, len: 128 };
}

/** The prefix of `len` bits that contains the given one, which is no shorter. */
export function shortened(prefix: RibPrefix, len: number): RibPrefix {
  const { family } = prefix;
  if (family === Family.IPV4_UNICAST) {
    return { family, a: prefixOf(prefix.a, len).addr, b: 0, c: 0, d: 0, len };
  }
  return { family, ...ipv6PrefixOf(prefix, len) };
}
