import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import type { DecisionOptions } from "./decision.ts";

/** What does not change as long as the speaker lives, and what it asks of its surroundings. */
export interface RibOptions {
  readonly localAs: number;
  readonly routerId: Ipv4Addr;
  /** @rfc 4456#7 */
  readonly clusterId: Ipv4Addr;
  readonly decision: DecisionOptions;
  /** Of the way to a next hop; undefined when there is none. When answers change, call {@link Rib.nextHopsChanged}. */
  nextHopMetric(nextHop: NextHop): number | undefined;
  /** Is it an address of this speaker itself? */
  isLocalAddress(nextHop: NextHop): boolean;
}

/** What a speaker calls itself; see {@link Rib.renumber}. */
export type SpeakerNumbers = Pick<RibOptions, "localAs" | "clusterId">;

/** What has been done since the beginning. */
export interface RibStats {
  /** UPDATEs; in them prefixes that were announced, announced without any change, and withdrawn that had been there. */
  updates: number;
  announced: number;
  unchanged: number;
  withdrawn: number;
  /** Destinations decided on, and how many of these got another best path, or none. */
  decisionRuns: number;
  bestChanges: number;
}
