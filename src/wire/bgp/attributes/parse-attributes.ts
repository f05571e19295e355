// The list of path attributes of an UPDATE. Read RFC 4271 section 4.3 first, then RFC 7606 sections 3 and 4.
//
//  0                   1
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |O|T|P|E|0 0 0 0|   Type code   |   Optional, Transitive, Partial, Extended length
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |  Length (1; 2 with E)         |   value
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { UpdateError } from "../errors.ts";
import { u16 } from "../octets.ts";
import type { AttributeState } from "./attribute-state.ts";
import { AttributeFlag, AttributeType, attributeName, requiredFlags } from "./attribute-type.ts";
import * as basic from "./parse-basic.ts";
import { parseMpReach, parseMpUnreach } from "./parse-multiprotocol.ts";
import * as optional from "./parse-optional.ts";
import { attributesKey, NONE, type PathAttributes } from "./path-attributes.ts";

/**
 * Where a session keeps attribute blocks that it has read before, so that equal octets become one object and not many: a Map,
 * or anything like it that bounds itself. Only blocks without any error are put in, keyed by {@link attributesKey}; so one cache
 * serves one {@link Negotiated} only. It saves memory, and comparisons further on; parsing itself is as fast as looking up.
 */
export interface AttributeCache {
  get(key: string): PathAttributes | undefined;
  set(key: string, attributes: PathAttributes): unknown;
}

/** Blocks longer than this are read anew: they repeat too seldom for what they would hold. */
const CACHED_BYTES_MAX = 512;

/** Which message last brought each type: a duplicate is found without clearing anything between messages. */
const lastSeen = new Uint32Array(256);
let message = 0;

/** Is this the first attribute of its type in the message? */
function firstOfType(type: number): boolean {
  if (lastSeen[type] === message) return false;
  lastSeen[type] = message;
  return true;
}

/** What {@link parseAttributes} finds, beside what it leaves in the state. */
export interface ParsedAttributes {
  readonly attributes: PathAttributes;
  /** The octets behind the leading MP_REACH_NLRI and MP_UNREACH_NLRI. Borrowed. */
  readonly block: Uint8Array;
}

/**
 * Reads the attributes in `off`..`end` of the state's message: routes and errors go into the state. Every attribute counts once;
 * an attribute that runs past the end makes those behind it unreadable, not the NLRI behind them. @rfc 7606#3 @rfc 7606#4
 */
export function parseAttributes(
  s: AttributeState,
  off: number,
  end: number,
  cache: AttributeCache | undefined,
): ParsedAttributes {
  message = (message + 1) >>> 0;
  if (message === 0) {
    lastSeen.fill(0);
    message = 1;
  }
  // Senders put the multiprotocol attributes first, RFC 7606 section 5.1, so the rest is one run of octets that repeats.
  while (off + 1 < end && isMultiprotocol(s.bytes[off + 1] as number)) off = parseNext(s, off, end);
  const block = s.bytes.subarray(off, end);
  if (cache === undefined || off === end || block.length > CACHED_BYTES_MAX) {
    return { attributes: parseRest(s, off, end), block };
  }
  const key = attributesKey(block);
  const known = cache.get(key);
  if (known !== undefined) {
    s.other = true;
    return { attributes: known, block };
  }
  const { faults, reach, unreach } = s;
  const attributes = parseRest(s, off, end);
  const clean = s.faults === faults && !s.firstAsWrong;
  if (clean && s.reach === reach && s.unreach === unreach) cache.set(key, attributes);
  return { attributes, block };
}

function isMultiprotocol(type: number): boolean {
  return type === AttributeType.MP_REACH_NLRI || type === AttributeType.MP_UNREACH_NLRI;
}

function parseRest(s: AttributeState, off: number, end: number): PathAttributes {
  while (off < end) off = parseNext(s, off, end);
  if (!s.ctx.as4) basic.mergeAs4(s);
  return {
    origin: s.origin,
    asPath: s.asPath,
    nextHop: s.nextHop,
    med: s.med,
    localPref: s.localPref,
    atomicAggregate: s.atomicAggregate,
    aggregator: s.aggregator,
    communities: s.communities,
    originatorId: s.originatorId,
    clusterList: s.clusterList,
    extCommunities: s.extCommunities,
    pmsiTunnel: s.pmsiTunnel,
    ipv6ExtCommunities: s.ipv6ExtCommunities,
    largeCommunities: s.largeCommunities,
    unknown: s.unknown?.sort((x, y) => x.type - y.type) ?? NONE,
    partial: s.partial?.sort((x, y) => x - y) ?? NONE,
  };
}

/** Reads the attribute at `off` and returns where the next one begins; `end` when that can no longer be told. */
function parseNext(s: AttributeState, off: number, end: number): number {
  const { bytes } = s;
  const flags = bytes[off] as number;
  const extended = (flags & AttributeFlag.EXTENDED_LENGTH) !== 0;
  const head = extended ? 4 : 3;
  s.start = off;
  s.end = end;
  s.flags = flags;
  if (end - off < head) {
    s.type = 0;
    s.other = true;
    const text = `${end - off} stray octets follow the last attribute`;
    s.fail("treat-as-withdraw", UpdateError.MALFORMED_ATTRIBUTE_LIST, "7606#4", text);
    return end;
  }
  s.type = bytes[off + 1] as number;
  const length = extended ? u16(bytes, off + 2) : (bytes[off + 2] as number);
  s.off = off + head;
  if (s.type !== AttributeType.MP_UNREACH_NLRI) s.other = true;
  if (length > end - s.off) {
    const text = `${attributeName(s.type)} runs past the end of the attributes`;
    // Routes hide in a multiprotocol attribute, and what cannot be read cannot be withdrawn. RFC 7606, section 3 (j).
    const rung = isMultiprotocol(s.type) ? "session-reset" : "treat-as-withdraw";
    s.fail(rung, UpdateError.MALFORMED_ATTRIBUTE_LIST, "7606#4", text);
    return end;
  }
  s.end = s.off + length;
  if (firstOfType(s.type)) parseAttribute(s);
  else duplicate(s);
  return s.end;
}

/** All but the first are forgotten; a second list of routes costs the session. @rfc 7606#3 */
function duplicate(s: AttributeState): void {
  const rung = isMultiprotocol(s.type) ? "session-reset" : "attribute-discard";
  const text = `${attributeName(s.type)} appears more than once`;
  s.fail(rung, UpdateError.MALFORMED_ATTRIBUTE_LIST, "7606#3", text);
}

const KIND = AttributeFlag.OPTIONAL | AttributeFlag.TRANSITIVE;

function parseAttribute(s: AttributeState): void {
  const required = requiredFlags(s.type);
  if (required === undefined) return parseUnknown(s);
  if ((s.flags & KIND) !== required) {
    const text = `${attributeName(s.type)} has flags 0x${s.flags.toString(16).padStart(2, "0")}`;
    s.fail("treat-as-withdraw", UpdateError.ATTRIBUTE_FLAGS, "7606#3", text);
    // Malformed, so not read; but what is to be withdrawn stands in it.
    if (!isMultiprotocol(s.type)) return;
  }
  const { faults } = s;
  parseValue(s);
  const partial = required === KIND && (s.flags & AttributeFlag.PARTIAL) !== 0;
  // The shadows of RFC 6793 end here: what is written for the next two-octet peer is made anew.
  const shadow = s.type === AttributeType.AS4_PATH || s.type === AttributeType.AS4_AGGREGATOR;
  if (!partial || shadow || s.faults !== faults) return;
  s.partial ??= [];
  s.partial.push(s.type);
}

function parseValue(s: AttributeState): void {
  switch (s.type) {
    case AttributeType.ORIGIN:
      return basic.parseOrigin(s);
    case AttributeType.AS_PATH:
      return basic.parsePath(s);
    case AttributeType.NEXT_HOP:
      return basic.parseNextHop(s);
    case AttributeType.MED:
      return basic.parseMed(s);
    case AttributeType.LOCAL_PREF:
      return basic.parseLocalPref(s);
    case AttributeType.ATOMIC_AGGREGATE:
      return basic.parseAtomicAggregate(s);
    case AttributeType.AGGREGATOR:
      return basic.parseAggregator(s);
    case AttributeType.COMMUNITY:
      return optional.parseCommunities(s);
    case AttributeType.ORIGINATOR_ID:
      return optional.parseOriginatorId(s);
    case AttributeType.CLUSTER_LIST:
      return optional.parseClusterList(s);
    case AttributeType.MP_REACH_NLRI:
      return parseMpReach(s);
    case AttributeType.MP_UNREACH_NLRI:
      return parseMpUnreach(s);
    case AttributeType.EXT_COMMUNITY:
      return optional.parseExtCommunities(s);
    case AttributeType.AS4_PATH:
      return basic.parseAs4Path(s);
    case AttributeType.AS4_AGGREGATOR:
      return basic.parseAs4Aggregator(s);
    case AttributeType.PMSI_TUNNEL:
      return optional.parsePmsiTunnel(s);
    case AttributeType.IPV6_EXT_COMMUNITY:
      return optional.parseIpv6ExtCommunities(s);
    case AttributeType.LARGE_COMMUNITY:
      return optional.parseLargeCommunities(s);
  }
}

/**
 * Optional and transitive: kept, with Partial set. Optional and not transitive: quietly ignored. Not optional: every speaker
 * ought to know it, so the session ends. @rfc 4271#5 @rfc 4271#6.3
 */
function parseUnknown(s: AttributeState): void {
  if ((s.flags & AttributeFlag.OPTIONAL) === 0) {
    const text = `${attributeName(s.type)} claims to be well-known`;
    s.fail("session-reset", UpdateError.UNRECOGNIZED_WELL_KNOWN, "4271#6.3", text);
    return;
  }
  if ((s.flags & AttributeFlag.TRANSITIVE) === 0) return;
  s.unknown ??= [];
  s.unknown.push({
    type: s.type,
    flags: KIND | AttributeFlag.PARTIAL,
    value: s.bytes.slice(s.off, s.end),
  });
}
