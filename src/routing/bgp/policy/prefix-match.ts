import { err, ok, type Result } from "../../../base/result.ts";
import { addressBits, Family } from "../../../wire/bgp/family.ts";
import { ipv6MaskWord } from "../../../wire/bgp/ipv6-addr.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import { NEXT_HOP_SELF, type RibPrefix } from "../rib/route.ts";
import type { PrefixMatch } from "./policy.ts";

/** Prefixes below (and with) `prefix`, of `min`..`max` bits. */
export interface PrefixRange {
  readonly prefix: RibPrefix;
  readonly min: number;
  readonly max: number;
}

/** Checks what was written and fills in what was left out; refused: what is wrong with it. */
export function checkPrefixMatch(match: PrefixMatch): Result<PrefixRange, string> {
  const { family } = match;
  const bits = addressBits(family);
  if (bits === 0) return err("prefixes are of IPv4 or IPv6 unicast");
  const given = match.prefix;
  const { len } = given;
  const isIpv4 = "addr" in given;
  if (isIpv4 !== (family === Family.IPV4_UNICAST))
    return err("a prefix is not of the family that it stands for");
  const prefix: RibPrefix = isIpv4
    ? { family, a: given.addr, b: 0, c: 0, d: 0, len }
    : { family, a: given.a, b: given.b, c: given.c, d: given.d, len };
  if (!Number.isInteger(len) || len < 0 || len > bits)
    return err(`a prefix has 0 to ${bits} bits, not ${len}`);
  if (hasHostBits(prefix)) return err(`a prefix of ${len} bits has bits set beyond them`);
  const min = match.lenMin ?? len;
  const max = match.lenMax ?? min;
  if (!Number.isInteger(min) || min < len)
    return err(`lengths from ${min} on are not below a prefix of ${len} bits`);
  if (!Number.isInteger(max) || max > bits) return err(`lengths end at ${bits} bits, not at ${max}`);
  if (min > max) return err(`lengths from ${min} to ${max}: there are none`);
  return ok({ prefix, min, max });
}

function hasHostBits({ a, b, c, d, len }: RibPrefix): boolean {
  return [a, b, c, d].some((word, i) => (word & ~ipv6MaskWord(len, i)) !== 0);
}

/** Is the prefix in the range? */
export function inRange({ prefix, min, max }: PrefixRange, asked: RibPrefix): boolean {
  return (
    asked.family === prefix.family &&
    asked.len >= min &&
    asked.len <= max &&
    contains(prefix, asked.a, asked.b, asked.c, asked.d, asked.len)
  );
}

/** Does the next hop lie in the prefix? Our own address does not: which one it will be is not known yet. */
export function nextHopIn(prefix: RibPrefix, nextHop: NextHop): boolean {
  if (typeof nextHop === "number") {
    const known = prefix.family === Family.IPV4_UNICAST && nextHop !== NEXT_HOP_SELF;
    return known && contains(prefix, nextHop, 0, 0, 0, 32);
  }
  const { a, b, c, d } = nextHop.global;
  return prefix.family === Family.IPV6_UNICAST && contains(prefix, a, b, c, d, 128);
}

/** Is a prefix of `len` bits inside `outer`, or the same? Of the same family, as the caller knows. */
export function contains(outer: RibPrefix, a: number, b: number, c: number, d: number, len: number): boolean {
  const bits = outer.len;
  if (bits > len || ((a ^ outer.a) & ipv6MaskWord(bits, 0)) !== 0) return false;
  if (bits <= 32) return true;
  return (
    ((b ^ outer.b) & ipv6MaskWord(bits, 1)) === 0 &&
    ((c ^ outer.c) & ipv6MaskWord(bits, 2)) === 0 &&
    ((d ^ outer.d) & ipv6MaskWord(bits, 3)) === 0
  );
}
