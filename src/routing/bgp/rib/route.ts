// What the RIB is made of: destinations, the paths that lead to them, and the attributes that paths share. The tables are in
// rib.ts, the choice between paths in decision.ts, what is told to whom in ribs-out.ts.
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { Instant } from "../../../base/time.ts";
import { asPathLength, EMPTY_AS_PATH, neighborAs } from "../../../wire/bgp/as-path.ts";
import type { PathAttributes } from "../../../wire/bgp/attributes/path-attributes.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import type { RibPeer } from "./rib-peer.ts";

/** A prefix of IPv4 unicast (`a` alone) or IPv6 unicast; no bits are set beyond `len`. */
export interface RibPrefix {
  readonly family: Family;
  /** The address, 32 bits an element, unsigned; b, c and d are 0 for IPv4. */
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly len: number;
}

/** LOCAL_PREF of a route that came without. @rfc 4271#9.1.1 */
export const DEFAULT_LOCAL_PREF = 100;

/** Next hop of a route that this speaker originates: whoever it is told to gets our own address. */
export const NEXT_HOP_SELF: NextHop = 0;

/** What an export policy decided for good. */
export interface PolicySets {
  /** `given`: the route's next hop stands; `self`: our own address; undefined: as the neighbour's mode says. */
  readonly nextHop: "given" | "self" | undefined;
  /** MED is told even to other ASs. */
  readonly med: boolean;
}

/** No policy decided anything. */
export const NOTHING_SET: PolicySets = { nextHop: undefined, med: false };

/**
 * Attributes as routes carry them inside the speaker: the wire's, where they lead, and what never leaves. Immutable and shared by
 * all routes of an UPDATE, and by equal ones of one session: two routes with the same object have equal attributes, two with
 * different ones may.
 */
export class RouteAttributes {
  readonly attributes: PathAttributes;
  readonly nextHop: NextHop;
  /** Local to this speaker, 0..65535; policy alone sets it. */
  readonly weight: number;
  /** What export policy has set, so that what follows it leaves it alone. */
  readonly sets: PolicySets;
  /** Derived, for the decision: see {@link asPathLength} and {@link neighborAs}. */
  readonly asPathLength: number;
  readonly neighborAs: number | undefined;
  readonly localPref: number;

  constructor(attributes: PathAttributes, nextHop: NextHop, weight = 0, sets = NOTHING_SET) {
    const path = attributes.asPath ?? EMPTY_AS_PATH;
    this.attributes = attributes;
    this.nextHop = nextHop;
    this.weight = weight;
    this.sets = sets;
    this.asPathLength = asPathLength(path);
    this.neighborAs = neighborAs(path);
    this.localPref = attributes.localPref ?? DEFAULT_LOCAL_PREF;
  }
}

/** Why a path takes no part in the decision. @rfc 4271#9.1.2 @rfc 4456#8 */
export type Ineligible =
  /** Import policy refused it. */
  | "rejected"
  /** Its prefix is one of multicast addresses. */
  | "martianPrefix"
  /** Our AS, or the one that we are to its neighbour, is in its path, more often than allowed. */
  | "asLoop"
  /** It is our own, reflected back. */
  | "ownOriginatorId"
  /** It has been through our cluster. */
  | "ownClusterId"
  /** Nothing can be sent to its next hop: unspecified, multicast, class E. */
  | "martianNextHop"
  /** Its next hop is an address of ours. */
  | "ownNextHop"
  /** There is no way to its next hop. */
  | "unreachable";

/** One way to a destination, as one neighbour (or this speaker) told it. Only the RIB writes to it. */
export interface Path {
  readonly dest: Destination;
  readonly source: RibPeer;
  /** Under which the neighbour told it; 0 without ADD-PATH. @rfc 7911#3 */
  readonly pathId: number;
  /** Under which we tell it where ADD-PATH is spoken: 1.., unique in its destination, and kept as long as the path lives. @rfc 7911#2 */
  readonly localId: number;
  /** As it came: what Adj-RIB-In holds. */
  received: RouteAttributes;
  /** As import policy left it; undefined when that refused it. The same object as `received` when nothing was changed. */
  imported: RouteAttributes | undefined;
  ineligible: Ineligible | undefined;
  /** Metric of the way to its next hop. @rfc 4271#9.1.2.2 (e) */
  metric: number;
  /** Kept over a restart of its neighbour, or not told again yet in a refresh. @rfc 4724#4.2 @rfc 7313#4 */
  stale: boolean;
  /** When it was told, or last told with other attributes. */
  at: Instant;
}

/** Everything known about one prefix. Identity is the prefix: there is one object for it as long as it has paths or holders. */
export interface Destination extends RibPrefix {
  /** Adj-RIB-In of all neighbours, in no particular order. Only the RIB writes to it. */
  readonly paths: readonly Path[];
  /** What the last decision chose. */
  readonly best: Path | undefined;
  /** What may share the load with it, `best` first; empty without one. */
  readonly multipath: readonly Path[];
  /** Does it wait for a decision? Until then its paths may change, and change back. */
  readonly dirty: boolean;
  /** How many tables of routes out hold or await it: as long as there are any, the object stays. */
  holders: number;
}

/** Told after each decision. @see Rib.run */
export interface RibListener {
  /**
   * @param dest anything about its eligible paths may have changed
   * @param bestChanged another best path, or the same with other attributes
   */
  changed(dest: Destination, bestChanged: boolean): void;
}

/** A route of this speaker's own. */
export interface LocalRoute {
  readonly attributes: PathAttributes;
  /** {@link NEXT_HOP_SELF}, or where it leads. */
  readonly nextHop: NextHop;
}

/** Identifies a router in tie-breaks: the originator's identifier where the route was reflected. @rfc 4456#9 */
export function effectiveRouterId(path: Path): Ipv4Addr {
  return path.imported?.attributes.originatorId ?? path.source.bgpId;
}
