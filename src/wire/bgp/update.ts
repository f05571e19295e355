// UPDATE, as it is received. Read RFC 4271 sections 4.3 and 6.3 first, then all of RFC 7606.
//
// +-----------------------------------------------------+
// |   Withdrawn routes length (2)                       |
// +-----------------------------------------------------+
// |   Withdrawn routes (variable), IPv4 unicast         |
// +-----------------------------------------------------+
// |   Total path attribute length (2)                   |
// +-----------------------------------------------------+
// |   Path attributes (variable)                        |
// +-----------------------------------------------------+
// |   NLRI (variable), IPv4 unicast                     |
// +-----------------------------------------------------+
import { AttributeState, type Reachable as Routes } from "./attributes/attribute-state.ts";
import { AttributeType, attributeName } from "./attributes/attribute-type.ts";
import { type AttributeCache, parseAttributes } from "./attributes/parse-attributes.ts";
import { NO_ATTRIBUTES, type PathAttributes } from "./attributes/path-attributes.ts";
import { atLeast, type BgpError, ErrorCode, type Rung, UpdateError } from "./errors.ts";
import { Family } from "./family.ts";
import { HEADER_LEN } from "./header.ts";
import type { Negotiated } from "./negotiated.ts";
import { parsePrefixes } from "./nlri.ts";
import { NO_OCTETS, u16 } from "./octets.ts";
import type { PrefixList } from "./prefix-list.ts";

/** Routes of one family, and where they lead. */
export type Reachable = Routes;

/** What an UPDATE says once its errors are accounted for. Immutable; nothing but `attributeBlock` borrows from the message. @rfc 4271#4.3 */
export interface ParsedUpdate {
  /**
   * To be applied first: a prefix that is also announced by the same message is announced. Holds what the message announces as
   * well when it is treated as a withdrawal; at most four lists, none empty.
   */
  readonly withdrawn: readonly PrefixList[];
  /** At most two: the NLRI field's and MP_REACH_NLRI's, none empty. */
  readonly announced: readonly Reachable[];
  /** Of what is announced; undefined when nothing is. */
  readonly attributes: PathAttributes | undefined;
  /** The octets that `attributes` was read from, multiprotocol attributes in front left out. Borrowed from the message. */
  readonly attributeBlock: Uint8Array;
  /** The family whose End-of-RIB the message is. @rfc 4724#2 */
  readonly endOfRib: Family | undefined;
  /** What the errors cost. After `session-reset` there are no routes, and {@link worstOf} the errors is the NOTIFICATION. */
  readonly rung: Rung;
  /** In the order of discovery. */
  readonly errors: readonly BgpError[];
}

const NO_LISTS: readonly PrefixList[] = [];
const NO_ROUTES: readonly Reachable[] = [];

/**
 * Reads an UPDATE, header included, whose header {@link checkHeader} has passed. Every error is noted with its rung, and the
 * strongest is applied to what is returned. @rfc 4271#6.3 @rfc 7606#3
 *
 * @param message borrowed @param ctx what the session has settled
 * @param cache attribute blocks read before, for this very `ctx`: see {@link AttributeCache}
 */
export function parseUpdate(message: Uint8Array, ctx: Negotiated, cache?: AttributeCache): ParsedUpdate {
  const s = new AttributeState(message, ctx);
  const bounds = sections(message);
  if (bounds === undefined) {
    const text = "the lengths of its parts exceed the message";
    note(s, "session-reset", UpdateError.MALFORMED_ATTRIBUTE_LIST, "4271#6.3", text);
    return reset(s);
  }
  const { attributesAt, nlriAt } = bounds;
  const withdrawn = ipv4Routes(s, HEADER_LEN + 2, attributesAt - 2, "withdrawn routes");
  const nlri = ipv4Routes(s, nlriAt, message.length, "NLRI");
  let attributes = NO_ATTRIBUTES;
  let attributeBlock: Uint8Array = NO_OCTETS;
  if (attributesAt < nlriAt) {
    const parsed = parseAttributes(s, attributesAt, nlriAt, cache);
    attributes = parsed.attributes;
    attributeBlock = parsed.block;
  }
  const reachable = (nlri?.count ?? 0) + (s.reach?.prefixes.count ?? 0);
  if (reachable > 0) checkRoutes(s, attributes, nlri !== undefined);
  else if (s.other && atLeast(s.rung, "treat-as-withdraw")) resetInstead(s);
  if (s.rung === "session-reset") return reset(s);
  const withdraws = s.rung === "treat-as-withdraw";
  return {
    withdrawn: withdrawnRoutes(s, withdrawn, withdraws ? nlri : undefined),
    announced: withdraws ? NO_ROUTES : announcedRoutes(s, nlri, attributes),
    attributes: reachable > 0 && !withdraws ? attributes : undefined,
    attributeBlock,
    endOfRib: withdrawn === undefined && s.errors.length === 0 ? endOfRib(s, message.length) : undefined,
    rung: s.rung,
    errors: s.errors,
  };
}

/** Where the attributes and the NLRI begin; undefined when the lengths do not fit. */
function sections(
  message: Uint8Array,
): { readonly attributesAt: number; readonly nlriAt: number } | undefined {
  const end = message.length;
  if (end < HEADER_LEN + 4) return undefined;
  const attributesAt = HEADER_LEN + 4 + u16(message, HEADER_LEN);
  if (attributesAt > end) return undefined;
  const nlriAt = attributesAt + u16(message, attributesAt - 2);
  return nlriAt > end ? undefined : { attributesAt, nlriAt };
}

function note(
  s: AttributeState,
  rung: Rung,
  subcode: number,
  rfc: string,
  message: string,
  data: Uint8Array = NO_OCTETS,
  attribute?: number,
): void {
  s.note({ rung, code: ErrorCode.UPDATE, subcode, data, rfc, message, attribute });
}

/** The prefixes of a field that IPv4 unicast has to itself; undefined when there are none. @rfc 7606#5.3 */
function ipv4Routes(s: AttributeState, off: number, end: number, field: string): PrefixList | undefined {
  if (off === end) return undefined;
  const { families, addPathRx } = s.ctx;
  if (!families.includes(Family.IPV4_UNICAST)) {
    const text = `${field}: IPv4 unicast was not negotiated`;
    note(s, "attribute-discard", UpdateError.INVALID_NETWORK, "4760#8", text);
    return undefined;
  }
  const addPath = addPathRx.includes(Family.IPV4_UNICAST);
  const list = parsePrefixes(s.bytes, off, end, Family.IPV4_UNICAST, addPath);
  if (list === undefined) {
    const text = `${field}: malformed prefixes`;
    note(s, "session-reset", UpdateError.INVALID_NETWORK, "7606#5.3", text);
  }
  return list;
}

/** What announced routes must come with. @rfc 7606#3 @rfc 4271#6.3 */
function checkRoutes(s: AttributeState, attributes: PathAttributes, hasNlri: boolean): void {
  if (attributes.origin === undefined) missing(s, AttributeType.ORIGIN);
  if (attributes.asPath === undefined) missing(s, AttributeType.AS_PATH);
  if (hasNlri && attributes.nextHop === undefined) missing(s, AttributeType.NEXT_HOP);
  const { internal, requireLocalPref } = s.ctx;
  if (internal && requireLocalPref && attributes.localPref === undefined) {
    missing(s, AttributeType.LOCAL_PREF);
  }
  if (s.firstAsWrong) {
    const text = `AS_PATH does not begin with AS ${s.ctx.peerAs}`;
    const type = AttributeType.AS_PATH;
    note(s, "treat-as-withdraw", UpdateError.MALFORMED_AS_PATH, "4271#6.3", text, undefined, type);
  }
}

/** An attribute that is there but malformed has been told already. */
function missing(s: AttributeState, type: number): void {
  if (s.errors.some((error) => error.attribute === type)) return;
  const text = `${attributeName(type)} is missing`;
  const data = Uint8Array.of(type);
  note(s, "treat-as-withdraw", UpdateError.MISSING_WELL_KNOWN, "7606#3", text, data, type);
}

/**
 * Attributes, but no routes that they belong to: the routes may be what could not be read. So whatever is more than a discarded
 * attribute costs the session. @rfc 7606#5.2
 */
function resetInstead(s: AttributeState): void {
  for (const [i, error] of s.errors.entries()) {
    if (error.rung === "treat-as-withdraw") {
      s.errors[i] = { ...error, rung: "session-reset", rfc: "7606#5.2" };
    }
  }
  s.rung = "session-reset";
}

function reset(s: AttributeState): ParsedUpdate {
  return {
    withdrawn: NO_LISTS,
    announced: NO_ROUTES,
    attributes: undefined,
    attributeBlock: NO_OCTETS,
    endOfRib: undefined,
    rung: "session-reset",
    errors: s.errors,
  };
}

/** @param nlri the announcements that are treated as withdrawn; MP_REACH_NLRI's are told by the rung */
function withdrawnRoutes(
  s: AttributeState,
  withdrawn: PrefixList | undefined,
  nlri: PrefixList | undefined,
): readonly PrefixList[] {
  const { reach, unreach } = s;
  const gone: PrefixList[] = [];
  if (withdrawn !== undefined) gone.push(withdrawn);
  if (unreach !== undefined && unreach.count > 0) gone.push(unreach);
  if (nlri !== undefined) gone.push(nlri);
  if (s.rung === "treat-as-withdraw" && reach !== undefined && reach.prefixes.count > 0) {
    gone.push(reach.prefixes);
  }
  return gone.length === 0 ? NO_LISTS : gone;
}

function announcedRoutes(
  s: AttributeState,
  nlri: PrefixList | undefined,
  attributes: PathAttributes,
): readonly Reachable[] {
  const announced: Reachable[] = [];
  if (nlri !== undefined) announced.push({ nextHop: attributes.nextHop as number, prefixes: nlri });
  if (s.reach !== undefined && s.reach.prefixes.count > 0) announced.push(s.reach);
  return announced.length === 0 ? NO_ROUTES : announced;
}

/** The shortest UPDATE for IPv4 unicast; a lone MP_UNREACH_NLRI without routes for any family. @rfc 4724#2 */
function endOfRib(s: AttributeState, length: number): Family | undefined {
  if (length === HEADER_LEN + 4) {
    return s.ctx.families.includes(Family.IPV4_UNICAST) ? Family.IPV4_UNICAST : undefined;
  }
  return s.unreach?.count === 0 && !s.other ? s.unreach.family : undefined;
}
