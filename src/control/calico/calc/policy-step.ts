// A policy of Calico's, as a plain description: ordered steps, of which the first that accepts or rejects decides.
import type { LargeCommunity } from "../../../wire/bgp/communities.ts";
import type { NetMatch } from "./net-match.ts";

export type RouteOrigin = "local" | "internal" | "external";

export interface PolicyStep {
  /** Which of Calico's rules it is, for explanations. */
  readonly name: string;
  /** All that is given must hold. One of these. */
  readonly nets?: readonly NetMatch[];
  readonly from?: readonly RouteOrigin[];
  /** LOCAL_PREF is at least this. */
  readonly localPrefMin?: number;
  /** The route leaves through an interface of this name, in which * stands for anything. */
  readonly interface?: string;
  readonly set?: {
    readonly localPref?: number;
    /** BIRD's preference among protocols. */
    readonly preference?: number;
    readonly communities?: readonly number[];
    readonly largeCommunities?: readonly LargeCommunity[];
  };
  readonly action: "accept" | "reject" | "next";
}

export interface PolicyDescription {
  readonly name: string;
  readonly steps: readonly PolicyStep[];
  /** When no step decides. */
  readonly default: "accept" | "reject";
}
