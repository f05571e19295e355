// The attributes of RFC 4271, and those of RFC 6793 that shadow two of them.
import { AS_TRANS, isConfed, mergeAs4Path, parseAsPath, SegmentType, withoutConfed } from "../as-path.ts";
import { UpdateError } from "../errors.ts";
import { u16, u32 } from "../octets.ts";
import type { AttributeState } from "./attribute-state.ts";
import { attributeName } from "./attribute-type.ts";
import { Origin } from "./path-attributes.ts";

/** Is the value `length` octets long? If not, the attribute is malformed. */
function hasLength(s: AttributeState, length: number, rfc: string): boolean {
  if (s.length === length) return true;
  wrongLength(s, rfc);
  return false;
}

/** The attribute at hand cannot have this length: the routes are withdrawn. */
export function wrongLength(s: AttributeState, rfc: string): void {
  const text = `${attributeName(s.type)} cannot be ${s.length} octets long`;
  s.fail("treat-as-withdraw", UpdateError.ATTRIBUTE_LENGTH, rfc, text);
}

/** Forgets the attribute at hand because it has no business in this session, well-formed or not. */
export function misplaced(s: AttributeState, rfc: string): void {
  const from = s.ctx.internal ? "a peer of our AS" : "a peer of another AS";
  const text = `${attributeName(s.type)} does not belong into an UPDATE from ${from}`;
  s.fail("attribute-discard", UpdateError.MALFORMED_ATTRIBUTE_LIST, rfc, text);
}

/** @rfc 7606#7.1 */
export function parseOrigin(s: AttributeState): void {
  if (!hasLength(s, 1, "7606#7.1")) return;
  const value = s.bytes[s.off] as number;
  if (value > Origin.INCOMPLETE) {
    const text = `ORIGIN ${value} is not defined`;
    s.fail("treat-as-withdraw", UpdateError.INVALID_ORIGIN, "7606#7.1", text);
    return;
  }
  s.origin = value;
}

/** @rfc 7606#7.2 @rfc 7607#2 @rfc 5065#5 */
export function parsePath(s: AttributeState): void {
  const parsed = parseAsPath(s.bytes, s.off, s.end, s.ctx.as4 ? 4 : 2);
  if (!parsed.ok) {
    const { message, rfc } = parsed.error;
    s.fail("treat-as-withdraw", UpdateError.MALFORMED_AS_PATH, rfc, `AS_PATH: ${message}`);
    return;
  }
  const path = parsed.value;
  if (!s.ctx.confederationMember && path.some(isConfed)) {
    const text = "AS_PATH: a confederation's segment from outside our confederation";
    s.fail("treat-as-withdraw", UpdateError.MALFORMED_AS_PATH, "5065#5", text);
    return;
  }
  s.asPath = path;
  if (s.ctx.enforceFirstAs && !s.ctx.internal && !s.ctx.confederationMember) {
    const first = path[0];
    s.firstAsWrong = first?.type !== SegmentType.SEQUENCE || first.asns[0] !== s.ctx.peerAs;
  }
}

/** @rfc 7606#7.3 */
export function parseNextHop(s: AttributeState): void {
  if (hasLength(s, 4, "7606#7.3")) s.nextHop = u32(s.bytes, s.off);
}

/** @rfc 7606#7.4 */
export function parseMed(s: AttributeState): void {
  if (hasLength(s, 4, "7606#7.4")) s.med = u32(s.bytes, s.off);
}

/** @rfc 7606#7.5 @rfc 5065#5 */
export function parseLocalPref(s: AttributeState): void {
  if (!s.ctx.internal && !s.ctx.confederationMember) misplaced(s, "7606#7.5");
  else if (hasLength(s, 4, "7606#7.5")) s.localPref = u32(s.bytes, s.off);
}

/** @rfc 4271#5.1.6 @rfc 7606#7.6 */
export function parseAtomicAggregate(s: AttributeState): void {
  if (s.length === 0) {
    s.atomicAggregate = true;
    return;
  }
  const text = `ATOMIC_AGGREGATE cannot be ${s.length} octets long`;
  s.fail("attribute-discard", UpdateError.ATTRIBUTE_LENGTH, "7606#7.6", text);
}

/** @rfc 7606#7.7 @rfc 7607#2 */
export function parseAggregator(s: AttributeState): void {
  const length = s.ctx.as4 ? 8 : 6;
  if (s.length !== length) {
    const text = `AGGREGATOR is ${s.length} octets long, not ${length}`;
    s.fail("attribute-discard", UpdateError.ATTRIBUTE_LENGTH, "7606#7.7", text);
    return;
  }
  const as = s.ctx.as4 ? u32(s.bytes, s.off) : u16(s.bytes, s.off);
  if (as === 0) {
    s.fail("attribute-discard", UpdateError.OPTIONAL_ATTRIBUTE, "7607#2", "AGGREGATOR names AS 0");
    return;
  }
  s.aggregator = { as, addr: u32(s.bytes, s.end - 4) };
}

/** Between speakers of four octets the shadows have no business. @rfc 6793#4.1 */
function betweenNewSpeakers(s: AttributeState): boolean {
  if (!s.ctx.as4) return false;
  const text = `${attributeName(s.type)} from a peer that speaks four-octet AS numbers`;
  s.fail("attribute-discard", UpdateError.MALFORMED_ATTRIBUTE_LIST, "6793#4.1", text);
  return true;
}

/** Malformed, it is forgotten; segments of a confederation in it are. @rfc 6793#6 */
export function parseAs4Path(s: AttributeState): void {
  if (betweenNewSpeakers(s)) return;
  const parsed = parseAsPath(s.bytes, s.off, s.end, 4);
  if (parsed.ok && parsed.value.length > 0) {
    s.as4Path = withoutConfed(parsed.value);
    return;
  }
  const text = parsed.ok ? "it is empty" : parsed.error.message;
  s.fail("attribute-discard", UpdateError.OPTIONAL_ATTRIBUTE, "6793#6", `AS4_PATH: ${text}`);
}

/** @rfc 6793#6 @rfc 7607#2 */
export function parseAs4Aggregator(s: AttributeState): void {
  if (betweenNewSpeakers(s)) return;
  const as = s.length === 8 ? u32(s.bytes, s.off) : 0;
  if (as === 0) {
    const text = `AS4_AGGREGATOR ${s.length === 8 ? "names AS 0" : `cannot be ${s.length} octets long`}`;
    s.fail("attribute-discard", UpdateError.OPTIONAL_ATTRIBUTE, "6793#6", text);
    return;
  }
  s.as4Aggregator = { as, addr: u32(s.bytes, s.end - 4) };
}

/**
 * Joins the shadows of a two-octet peer with what they shadow. An AGGREGATOR that names another AS than {@link AS_TRANS} was
 * written by somebody who did not know of its AS4_AGGREGATOR, and then neither shadow can be trusted. @rfc 6793#4.2.3
 */
export function mergeAs4(s: AttributeState): void {
  if (s.aggregator !== undefined && s.as4Aggregator !== undefined) {
    if (s.aggregator.as !== AS_TRANS) return;
    s.aggregator = s.as4Aggregator;
  }
  if (s.asPath !== undefined && s.as4Path !== undefined) s.asPath = mergeAs4Path(s.asPath, s.as4Path);
}
