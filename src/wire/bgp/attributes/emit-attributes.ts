import { assert } from "../../../base/assert.ts";
import { AS_TRANS, AS2_MAX, asPathLen, emitAsPath, needsAs4Path, withoutConfed } from "../as-path.ts";
import {
  sortCommunities,
  sortExtCommunities,
  sortIpv6ExtCommunities,
  sortLargeCommunities,
} from "../communities.ts";
import type { Negotiated } from "../negotiated.ts";
import { OctetWriter } from "../octets.ts";
import { AttributeFlag, AttributeType, requiredFlags } from "./attribute-type.ts";
import type { PathAttributes } from "./path-attributes.ts";

/** What the attributes of a message depend on, besides themselves. */
export type AttributeContext = Pick<Negotiated, "as4">;

/** Between speakers of four-octet AS numbers: also what a caller interns attributes by. */
export const FOUR_OCTETS: AttributeContext = { as4: true };

/**
 * The attributes as octets that the caller owns: in the order of their types, with an extended length only above 255 octets, sets
 * sorted, AS4_PATH and AS4_AGGREGATOR where the peer needs them. MP_REACH_NLRI is not among them: {@link emitReachable} puts it
 * in front. What a session's rules demand (LOCAL_PREF inside an AS only, and so on) is the caller's to see to.
 *
 * @rfc 4271#5 @rfc 6793#4.2.2
 */
export function emitAttributes(attributes: PathAttributes, ctx: AttributeContext): Uint8Array {
  const out = new OctetWriter(128);
  const { unknown } = attributes;
  let next = 0;
  const unknownBefore = (type: number): void => {
    for (let one = unknown[next]; one !== undefined && one.type < type; one = unknown[++next]) {
      assert(requiredFlags(one.type) === undefined, `attribute ${one.type} is not unknown`);
      begin(out, one.flags, one.type, one.value.length);
      out.octets(one.value);
    }
  };
  for (const [type, emit] of EMITTERS) {
    unknownBefore(type);
    emit(out, attributes, ctx);
  }
  unknownBefore(256);
  return out.take();
}

/** Writes flags, type and length. */
function begin(out: OctetWriter, flags: number, type: number, length: number): void {
  const extended = length > 255;
  out.u8(extended ? flags | AttributeFlag.EXTENDED_LENGTH : flags);
  out.u8(type);
  if (extended) out.u16(length);
  else out.u8(length);
}

function known(out: OctetWriter, a: PathAttributes, type: number, length: number): void {
  const flags = requiredFlags(type) as number;
  begin(out, a.partial.includes(type) ? flags | AttributeFlag.PARTIAL : flags, type, length);
}

function word(out: OctetWriter, a: PathAttributes, type: number, value: number | undefined): void {
  if (value === undefined) return;
  known(out, a, type, 4);
  out.u32(value);
}

type Emitter = (out: OctetWriter, a: PathAttributes, ctx: AttributeContext) => void;

/** In the order of the types. */
const EMITTERS: readonly (readonly [number, Emitter])[] = [
  [AttributeType.ORIGIN, emitOrigin],
  [AttributeType.AS_PATH, emitPath],
  [AttributeType.NEXT_HOP, (out, a) => word(out, a, AttributeType.NEXT_HOP, a.nextHop)],
  [AttributeType.MED, (out, a) => word(out, a, AttributeType.MED, a.med)],
  [AttributeType.LOCAL_PREF, (out, a) => word(out, a, AttributeType.LOCAL_PREF, a.localPref)],
  [AttributeType.ATOMIC_AGGREGATE, emitAtomicAggregate],
  [AttributeType.AGGREGATOR, emitAggregator],
  [
    AttributeType.COMMUNITY,
    (out, a) => emitWords(out, a, AttributeType.COMMUNITY, sortCommunities(a.communities)),
  ],
  [AttributeType.ORIGINATOR_ID, (out, a) => word(out, a, AttributeType.ORIGINATOR_ID, a.originatorId)],
  [AttributeType.CLUSTER_LIST, (out, a) => emitWords(out, a, AttributeType.CLUSTER_LIST, a.clusterList)],
  [AttributeType.EXT_COMMUNITY, emitExtCommunities],
  [AttributeType.AS4_PATH, emitAs4Path],
  [AttributeType.AS4_AGGREGATOR, emitAs4Aggregator],
  [AttributeType.PMSI_TUNNEL, emitPmsiTunnel],
  [AttributeType.IPV6_EXT_COMMUNITY, emitIpv6ExtCommunities],
  [AttributeType.LARGE_COMMUNITY, emitLargeCommunities],
];

function emitOrigin(out: OctetWriter, a: PathAttributes): void {
  if (a.origin === undefined) return;
  known(out, a, AttributeType.ORIGIN, 1);
  out.u8(a.origin);
}

function emitPath(out: OctetWriter, a: PathAttributes, ctx: AttributeContext): void {
  if (a.asPath === undefined) return;
  const asOctets = ctx.as4 ? 4 : 2;
  known(out, a, AttributeType.AS_PATH, asPathLen(a.asPath, asOctets));
  emitAsPath(out, a.asPath, asOctets);
}

function emitAtomicAggregate(out: OctetWriter, a: PathAttributes): void {
  if (a.atomicAggregate) known(out, a, AttributeType.ATOMIC_AGGREGATE, 0);
}

function emitAggregator(out: OctetWriter, a: PathAttributes, ctx: AttributeContext): void {
  if (a.aggregator === undefined) return;
  const { as, addr } = a.aggregator;
  known(out, a, AttributeType.AGGREGATOR, ctx.as4 ? 8 : 6);
  if (ctx.as4) out.u32(as);
  else out.u16(as > AS2_MAX ? AS_TRANS : as);
  out.u32(addr);
}

function emitWords(out: OctetWriter, a: PathAttributes, type: number, list: readonly number[]): void {
  if (list.length === 0) return;
  known(out, a, type, 4 * list.length);
  for (const value of list) out.u32(value);
}

function emitExtCommunities(out: OctetWriter, a: PathAttributes): void {
  const list = sortExtCommunities(a.extCommunities);
  if (list.length === 0) return;
  known(out, a, AttributeType.EXT_COMMUNITY, 8 * list.length);
  for (const { high, low } of list) {
    out.u32(high);
    out.u32(low);
  }
}

/** Only for two-octet speakers, only where AS_PATH lost something, and never with a confederation's segments. */
function emitAs4Path(out: OctetWriter, a: PathAttributes, ctx: AttributeContext): void {
  if (ctx.as4 || a.asPath === undefined || !needsAs4Path(a.asPath)) return;
  const path = withoutConfed(a.asPath);
  known(out, a, AttributeType.AS4_PATH, asPathLen(path, 4));
  emitAsPath(out, path, 4);
}

/** Only for two-octet speakers, and only where AGGREGATOR lost its AS. */
function emitAs4Aggregator(out: OctetWriter, a: PathAttributes, ctx: AttributeContext): void {
  if (ctx.as4 || a.aggregator === undefined || a.aggregator.as <= AS2_MAX) return;
  known(out, a, AttributeType.AS4_AGGREGATOR, 8);
  out.u32(a.aggregator.as);
  out.u32(a.aggregator.addr);
}

function emitPmsiTunnel(out: OctetWriter, a: PathAttributes): void {
  if (a.pmsiTunnel === undefined) return;
  known(out, a, AttributeType.PMSI_TUNNEL, a.pmsiTunnel.length);
  out.octets(a.pmsiTunnel);
}

function emitIpv6ExtCommunities(out: OctetWriter, a: PathAttributes): void {
  const list = sortIpv6ExtCommunities(a.ipv6ExtCommunities);
  if (list.length === 0) return;
  known(out, a, AttributeType.IPV6_EXT_COMMUNITY, 20 * list.length);
  for (const community of list) for (const value of community) out.u32(value);
}

function emitLargeCommunities(out: OctetWriter, a: PathAttributes): void {
  const list = sortLargeCommunities(a.largeCommunities);
  if (list.length === 0) return;
  known(out, a, AttributeType.LARGE_COMMUNITY, 12 * list.length);
  for (const { global, local1, local2 } of list) {
    out.u32(global);
    out.u32(local1);
    out.u32(local2);
  }
}
