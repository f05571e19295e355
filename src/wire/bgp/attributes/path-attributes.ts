import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { AsPath } from "../as-path.ts";
import type { ExtCommunity, Ipv6ExtCommunity, LargeCommunity } from "../communities.ts";

/** Values of ORIGIN. @rfc 4271#5.1.1 */
export const Origin = { IGP: 0, EGP: 1, INCOMPLETE: 2 } as const;

/** Who aggregated the route. @rfc 4271#5.1.7 */
export interface Aggregator {
  readonly as: number;
  readonly addr: Ipv4Addr;
}

/** An attribute of a type that is not known here, optional and transitive, kept as it came with Partial set. @rfc 4271#5 */
export interface UnknownAttribute {
  readonly type: number;
  /** 0xe0. */
  readonly flags: number;
  readonly value: Uint8Array;
}

/**
 * What an UPDATE says about its routes, apart from where they lead by MP_REACH_NLRI: immutable, shared between routes, and
 * independent of the session that it came from (AS numbers have four octets, AS4_PATH and AS4_AGGREGATOR are merged in).
 * An absent attribute is undefined, false or an empty list.
 *
 * @rfc 4271#5
 */
export interface PathAttributes {
  /** One of {@link Origin}. */
  readonly origin: number | undefined;
  /** Undefined when there is none; without segments for a route of our own AS. */
  readonly asPath: AsPath | undefined;
  /** The NEXT_HOP attribute: that of the routes in the UPDATE's own NLRI field, which are IPv4 unicast. */
  readonly nextHop: Ipv4Addr | undefined;
  readonly med: number | undefined;
  readonly localPref: number | undefined;
  readonly atomicAggregate: boolean;
  readonly aggregator: Aggregator | undefined;
  /** Ascending, each once. */
  readonly communities: readonly number[];
  readonly originatorId: Ipv4Addr | undefined;
  /** The nearest cluster first. */
  readonly clusterList: readonly Ipv4Addr[];
  /** Ascending, each once. */
  readonly extCommunities: readonly ExtCommunity[];
  readonly pmsiTunnel: Uint8Array | undefined;
  /** Ascending, each once. */
  readonly ipv6ExtCommunities: readonly Ipv6ExtCommunity[];
  /** Ascending, each once. */
  readonly largeCommunities: readonly LargeCommunity[];
  /** By type, ascending. */
  readonly unknown: readonly UnknownAttribute[];
  /** Types of known optional transitive attributes that came with Partial set, which nobody may clear. @rfc 4271#4.3 */
  readonly partial: readonly number[];
}

/** The shared empty list. */
export const NONE: readonly never[] = [];

/** No attribute at all: what a locally originated route's attributes are spread from. */
export const NO_ATTRIBUTES: PathAttributes = {
  origin: undefined,
  asPath: undefined,
  nextHop: undefined,
  med: undefined,
  localPref: undefined,
  atomicAggregate: false,
  aggregator: undefined,
  communities: NONE,
  originatorId: undefined,
  clusterList: NONE,
  extCommunities: NONE,
  pmsiTunnel: undefined,
  ipv6ExtCommunities: NONE,
  largeCommunities: NONE,
  unknown: NONE,
  partial: NONE,
};

/** Octets to a string at most this long at a time: `apply` puts its arguments on the stack. */
const KEY_CHUNK = 4096;

/**
 * A string that is equal for equal octets, and only for them: the key under which a caller interns an attribute block. One
 * character an octet, which V8 stores as one byte. Use it on what {@link emitAttributes} returns, or on
 * `ParsedUpdate.attributeBlock` of one session (the same octets mean something else to a session with other AS sizes).
 */
export function attributesKey(block: Uint8Array): string {
  const list = block as unknown as number[];
  if (block.length <= KEY_CHUNK) return String.fromCharCode.apply(null, list);
  let key = "";
  for (let off = 0; off < block.length; off += KEY_CHUNK) {
    key += String.fromCharCode.apply(null, block.subarray(off, off + KEY_CHUNK) as unknown as number[]);
  }
  return key;
}
