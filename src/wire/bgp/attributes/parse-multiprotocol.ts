// MP_REACH_NLRI and MP_UNREACH_NLRI. Read RFC 4760 sections 3 and 4 first, then RFC 7606 section 5 for what their errors cost.
//
// +-----------------------------+    +-----------------------------+
// | AFI (2)                     |    | AFI (2)                     |
// | SAFI (1)                    |    | SAFI (1)                    |
// | Length of next hop (1)      |    | Withdrawn routes (variable) |
// | Next hop (variable)         |    +-----------------------------+
// | Reserved (1)                |
// | NLRI (variable)             |
// +-----------------------------+
import { UpdateError } from "../errors.ts";
import { Family as Families, type Family, familyOf, formatFamily } from "../family.ts";
import { ipv6NextHopAt } from "../next-hop.ts";
import { parsePrefixes } from "../nlri.ts";
import { u16, u32 } from "../octets.ts";
import type { AttributeState } from "./attribute-state.ts";
import { attributeName } from "./attribute-type.ts";

/** The routes in the attribute cannot be told any more, so neither can they be withdrawn. @rfc 7606#3 */
function unreadable(s: AttributeState, message: string, rfc: string): void {
  s.fail("session-reset", UpdateError.OPTIONAL_ATTRIBUTE, rfc, `${attributeName(s.type)}: ${message}`);
}

/** Is the family one that both sides announced? If not, its routes are not looked at. @rfc 4760#7 */
function isNegotiated(s: AttributeState, family: Family): boolean {
  if (s.ctx.families.includes(family)) return true;
  const text = `${attributeName(s.type)}: ${formatFamily(family)} was not negotiated`;
  s.fail("attribute-discard", UpdateError.OPTIONAL_ATTRIBUTE, "4760#7", text);
  return false;
}

/** Which lengths may a next hop have? @rfc 4760#3 @rfc 2545#3 @rfc 8950#3 */
function isNextHopLength(s: AttributeState, family: Family, length: number): boolean {
  if (family === Families.IPV4_UNICAST && length === 4) return true;
  const wide = family === Families.IPV6_UNICAST || s.ctx.extNextHop.includes(family);
  return wide && (length === 16 || length === 32);
}

/** @rfc 7606#7.11 */
export function parseMpReach(s: AttributeState): void {
  const nextHopLength = s.length < 5 ? 0 : (s.bytes[s.off + 3] as number);
  if (s.length < 5 + nextHopLength) return unreadable(s, "it is cut short", "7606#7.11");
  const family = familyOf(u16(s.bytes, s.off), s.bytes[s.off + 2] as number);
  if (!isNegotiated(s, family)) return;
  if (!isNextHopLength(s, family, nextHopLength)) {
    return unreadable(s, `a next hop of ${nextHopLength} octets`, "7606#7.11");
  }
  const at = s.off + 4;
  const addPath = s.ctx.addPathRx.includes(family);
  const prefixes = parsePrefixes(s.bytes, at + nextHopLength + 1, s.end, family, addPath);
  if (prefixes === undefined) return unreadable(s, "malformed prefixes", "7606#5.3");
  const nextHop = nextHopLength === 4 ? u32(s.bytes, at) : ipv6NextHopAt(s.bytes, at, nextHopLength);
  s.reach = { nextHop, prefixes };
}

/** @rfc 7606#7.12 */
export function parseMpUnreach(s: AttributeState): void {
  if (s.length < 3) return unreadable(s, "it is cut short", "7606#7.12");
  const family = familyOf(u16(s.bytes, s.off), s.bytes[s.off + 2] as number);
  if (!isNegotiated(s, family)) return;
  const addPath = s.ctx.addPathRx.includes(family);
  const prefixes = parsePrefixes(s.bytes, s.off + 3, s.end, family, addPath);
  if (prefixes === undefined) return unreadable(s, "malformed prefixes", "7606#5.3");
  s.unreach = prefixes;
}
