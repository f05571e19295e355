// Import and export policy: ordered rules, the first that decides wins. Calico's BGPFilter, BIRD's filters and a route-map are all
// written down as these. What a rule may ask is a Match, what it may change a Rewrite; compile-policy.ts makes them fast.
import type { Prefix } from "../../../base/ipv4-addr.ts";
import type { ExtCommunity, LargeCommunity } from "../../../wire/bgp/communities.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { Ipv6Prefix } from "../../../wire/bgp/ipv6-addr.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import type { RibPeer } from "../rib/rib-peer.ts";
import type { RibPrefix, RouteAttributes } from "../rib/route.ts";

/** A prefix and the lengths that match below it: 10.0.0.0/8 with 24..26 matches 10.1.1.0/25. */
export interface PrefixMatch {
  readonly family: Family;
  readonly prefix: Prefix | Ipv6Prefix;
  /** From which length on; the prefix's own unless given. */
  readonly lenMin?: number;
  /** Up to which length; `lenMin`, or the prefix's own, unless given. */
  readonly lenMax?: number;
}

/** Where a route comes from. */
export type SourceMatch =
  | "local"
  | "internal"
  | "external"
  | "rrClient"
  /** One neighbour, by its name. */
  | { readonly peer: string };

/** All that is given must hold; of a list, one element must. An empty list never holds. */
export interface Match {
  readonly prefixes?: readonly PrefixMatch[];
  readonly communities?: readonly number[];
  readonly extCommunities?: readonly ExtCommunity[];
  readonly largeCommunities?: readonly LargeCommunity[];
  /**
   * A regular expression over the path as `formatAsPath` writes it, in which `_` stands for the beginning, the end or anything
   * between two AS numbers, as routers have it: "_64512_", "^64513 ", "^$". The whole notation is in as-path-syntax.ts.
   */
  readonly asPath?: string;
  /** Length of the path for the decision. */
  readonly asPathLength?: { readonly min?: number; readonly max?: number };
  /** AS that the route comes from, and AS that it came through last. */
  readonly originAs?: readonly number[];
  readonly neighborAs?: readonly number[];
  readonly origin?: readonly number[];
  /** The next hop lies in one of these, which name no lengths; our own address lies in none. */
  readonly nextHop?: readonly PrefixMatch[];
  readonly source?: readonly SourceMatch[];
  /** A route without MED is in no range; {} asks that there is one. */
  readonly med?: { readonly min?: number; readonly max?: number };
  readonly localPref?: { readonly min?: number; readonly max?: number };
}

/** Lists to add and to take away; taking away comes first. */
export interface SetEdit<T> {
  /** Keep none of what is there. */
  readonly clear?: boolean;
  readonly del?: readonly T[];
  readonly add?: readonly T[];
}

/** What a rule changes. Absent: left as it is. */
export interface Rewrite {
  readonly localPref?: number;
  /** `undefined` leaves it, null takes it away. */
  readonly med?: number | null;
  readonly origin?: number;
  /**
   * Instead of what it came with or, as exported, of what the neighbour's mode says. `self` is for export alone. An IPv4 next hop is
   * not set on IPv6 routes.
   */
  readonly nextHop?: NextHop | "self";
  /** For import alone. */
  readonly weight?: number;
  /** AS numbers that are put in front of the path, the first in front of all. */
  readonly prepend?: readonly number[];
  readonly communities?: SetEdit<number>;
  readonly extCommunities?: SetEdit<ExtCommunity>;
  readonly largeCommunities?: SetEdit<LargeCommunity>;
}

export interface PolicyRule {
  /** For explanations: "which rule refused it". */
  readonly name?: string;
  /** Absent: every route. */
  readonly match?: Match;
  readonly set?: Rewrite;
  /** `next`: go on with the following rule, with what was set. */
  readonly action: "accept" | "reject" | "next";
}

export interface Policy {
  readonly name: string;
  readonly rules: readonly PolicyRule[];
  /** When no rule decides. */
  readonly default: "accept" | "reject";
}

/** A route at a policy; borrowed for the call. */
export interface PolicyInput {
  readonly prefix: RibPrefix;
  readonly route: RouteAttributes;
  readonly source: RibPeer;
}

/** What a policy said of one route, for people. */
export interface PolicyVerdict {
  readonly action: "accept" | "reject";
  /** The rule that decided: its name, else "rule 3"; undefined: the default. */
  readonly rule: string | undefined;
}

/** A policy that is ready to be asked. Immutable; compare by identity. */
export interface CompiledPolicy {
  readonly policy: Policy;
  /** An import policy leaves no {@link PolicySets} behind. */
  readonly direction: "import" | "export";
  /**
   * The route's attributes as the policy leaves them: the same object when nothing was changed, equal inputs giving the same object
   * again where that is cheap; undefined when it refuses the route.
   */
  evaluate(input: PolicyInput): RouteAttributes | undefined;
  /** The same decision, told. Slow. */
  explain(input: PolicyInput): PolicyVerdict;
}

/** Accepts every route as it is. */
export const ACCEPT_ALL: Policy = { name: "all", rules: [], default: "accept" };

/** Refuses every route. */
export const REJECT_ALL: Policy = { name: "none", rules: [], default: "reject" };
