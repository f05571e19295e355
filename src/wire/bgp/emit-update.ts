// UPDATE, as it is sent: never more than one of withdrawn routes, NLRI, MP_REACH_NLRI and MP_UNREACH_NLRI in a message, the
// multiprotocol attribute in front (RFC 7606, section 5.1), and as many prefixes as the message holds.
import { assert } from "../../base/assert.ts";
import { AttributeFlag, AttributeType } from "./attributes/attribute-type.ts";
import { Family } from "./family.ts";
import { beginMessage, endMessage, HEADER_LEN, MessageType } from "./header.ts";
import type { Negotiated } from "./negotiated.ts";
import { emitNextHop, type NextHop, nextHopLen } from "./next-hop.ts";
import { emitPrefixes, fitPrefixes, prefixLen } from "./nlri.ts";
import type { OctetWriter } from "./octets.ts";
import type { PrefixList } from "./prefix-list.ts";

/** What the size and shape of our UPDATEs depend on. @rfc 7911#4 @rfc 8654#4 */
export type UpdateContext = Pick<Negotiated, "addPathTx" | "txMaxBytes">;

/** An UPDATE without anything. */
const FIXED = HEADER_LEN + 4;

/** Octets of AFI and SAFI. */
const FAMILY_LEN = 3;

/**
 * Appends one UPDATE that announces as many of the prefixes `from`.. as fit, and returns the index of the first that did not.
 * When that is `from`, the attributes leave no room for a single prefix and nothing was written: the caller withdraws the route.
 *
 * @param block attributes as {@link emitAttributes} wrote them for this peer, NEXT_HOP among them when `mpNextHop` is undefined
 * @param mpNextHop undefined: the prefixes are IPv4 and travel in the message's own NLRI field; else they and it travel in
 *   MP_REACH_NLRI
 * @rfc 4271#4.3 @rfc 4760#3 @rfc 7606#5.1 @rfc 8654#4
 */
export function emitReachableOnce(
  out: OctetWriter,
  ctx: UpdateContext,
  block: Uint8Array,
  list: PrefixList,
  from: number,
  mpNextHop: NextHop | undefined,
): number {
  const addPath = ctx.addPathTx.includes(list.family);
  const room = ctx.txMaxBytes - FIXED - block.length;
  if (mpNextHop !== undefined) return emitMpReach(out, block, list, from, mpNextHop, room, addPath);
  assert(list.family === Family.IPV4_UNICAST, "only IPv4 unicast travels in the NLRI field");
  const to = fitPrefixes(list, from, room, addPath);
  if (to === from) return from;
  const at = beginMessage(out, MessageType.UPDATE);
  out.u16(0);
  out.u16(block.length);
  out.octets(block);
  appendPrefixes(out, list, from, to, addPath);
  endMessage(out, at);
  return to;
}

function emitMpReach(
  out: OctetWriter,
  block: Uint8Array,
  list: PrefixList,
  from: number,
  nextHop: NextHop,
  room: number,
  addPath: boolean,
): number {
  const head = FAMILY_LEN + 1 + nextHopLen(nextHop) + 1;
  const to = fitAttribute(list, from, room, head, addPath);
  if (to === from) return from;
  const octets = octetsOf(list, from, to, addPath);
  const at = beginMessage(out, MessageType.UPDATE);
  out.u16(0);
  out.u16(attributeHead(head + octets) + head + octets + block.length);
  beginAttribute(out, AttributeType.MP_REACH_NLRI, head + octets, list.family);
  out.u8(nextHopLen(nextHop));
  emitNextHop(out, nextHop);
  out.u8(0);
  appendPrefixes(out, list, from, to, addPath);
  out.octets(block);
  endMessage(out, at);
  return to;
}

/**
 * Appends as many UPDATEs as all the prefixes need, each filled to the maximum, and returns how many prefixes were written:
 * less than `list.count` only when the next one does not fit beside the attributes, see {@link emitReachableOnce}.
 */
export function emitReachable(
  out: OctetWriter,
  ctx: UpdateContext,
  block: Uint8Array,
  list: PrefixList,
  mpNextHop?: NextHop,
): number {
  let from = 0;
  while (from < list.count) {
    const to = emitReachableOnce(out, ctx, block, list, from, mpNextHop);
    if (to === from) break;
    from = to;
  }
  return from;
}

/**
 * Appends one UPDATE that withdraws as many of the prefixes `from`.. as fit, and returns the index of the first that did not.
 * IPv4 unicast travels in the message's own field, other families in MP_UNREACH_NLRI. @rfc 4271#4.3 @rfc 4760#4
 */
export function emitWithdrawnOnce(
  out: OctetWriter,
  ctx: UpdateContext,
  list: PrefixList,
  from: number,
): number {
  const addPath = ctx.addPathTx.includes(list.family);
  const room = ctx.txMaxBytes - FIXED;
  const at = beginMessage(out, MessageType.UPDATE);
  let to: number;
  if (list.family === Family.IPV4_UNICAST) {
    to = fitPrefixes(list, from, room, addPath);
    const lengthAt = out.skip(2);
    appendPrefixes(out, list, from, to, addPath);
    out.setU16(lengthAt, out.length - lengthAt - 2);
    out.u16(0);
  } else {
    to = fitAttribute(list, from, room, FAMILY_LEN, addPath);
    const length = FAMILY_LEN + octetsOf(list, from, to, addPath);
    out.u16(0);
    out.u16(attributeHead(length) + length);
    beginAttribute(out, AttributeType.MP_UNREACH_NLRI, length, list.family);
    appendPrefixes(out, list, from, to, addPath);
  }
  endMessage(out, at);
  assert(to > from || from === list.count, "any UPDATE has room for a withdrawal");
  return to;
}

/** Appends as many UPDATEs as it takes to withdraw all the prefixes, each filled to the maximum. */
export function emitWithdrawn(out: OctetWriter, ctx: UpdateContext, list: PrefixList): void {
  for (let from = 0; from < list.count; ) from = emitWithdrawnOnce(out, ctx, list, from);
}

/** Appends the End-of-RIB of a family. @rfc 4724#2 */
export function emitEndOfRib(out: OctetWriter, family: Family): void {
  const at = beginMessage(out, MessageType.UPDATE);
  out.u16(0);
  if (family === Family.IPV4_UNICAST) {
    out.u16(0);
  } else {
    out.u16(3 + FAMILY_LEN);
    beginAttribute(out, AttributeType.MP_UNREACH_NLRI, FAMILY_LEN, family);
  }
  endMessage(out, at);
}

/** Octets of flags, type and length before a value of `length` octets. */
function attributeHead(length: number): 3 | 4 {
  return length > 255 ? 4 : 3;
}

/** Where to stop, so that an attribute of `head` octets and the prefixes `from`..result fits into `room`, its own head included. */
function fitAttribute(list: PrefixList, from: number, room: number, head: number, addPath: boolean): number {
  // With a long head there is room for one octet less; only an attribute of just about 255 octets sees the difference.
  const short = fitPrefixes(list, from, Math.min(room - 3, 255) - head, addPath);
  const long = fitPrefixes(list, from, room - 4 - head, addPath);
  return Math.max(short, long);
}

function octetsOf(list: PrefixList, from: number, to: number, addPath: boolean): number {
  let octets = 0;
  for (let i = from; i < to; i++) octets += prefixLen(list, i, addPath);
  return octets;
}

function beginAttribute(out: OctetWriter, type: number, length: number, family: Family): void {
  const long = attributeHead(length) === 4;
  out.u8(long ? AttributeFlag.OPTIONAL | AttributeFlag.EXTENDED_LENGTH : AttributeFlag.OPTIONAL);
  out.u8(type);
  if (long) out.u16(length);
  else out.u8(length);
  out.u16(family >>> 8);
  out.u8(family & 0xff);
}

function appendPrefixes(
  out: OctetWriter,
  list: PrefixList,
  from: number,
  to: number,
  addPath: boolean,
): void {
  const octets = octetsOf(list, from, to, addPath);
  const at = out.skip(octets);
  emitPrefixes(out.raw, at, list, from, to, addPath);
}
