// What a speaker is configured with. All values have been checked: speaker-file.ts reads them from YAML.
import type { Ipv4Addr, Prefix } from "../../../base/ipv4-addr.ts";
import type { Ipv6Addr } from "../../../wire/bgp/ipv6-addr.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import type { PeerAs } from "../../../wire/bgp/open.ts";
import type { Policy } from "../policy/policy.ts";
import type { DecisionOptions } from "../rib/decision.ts";
import type { NextHopMode } from "../rib/export-config.ts";
import type { RibPrefix } from "../rib/route.ts";
import type { PeerConfig } from "../session/peer-config.ts";

export interface SpeakerConfig {
  readonly localAs: number;
  readonly routerId: Ipv4Addr;
  /** @rfc 4456#7 */
  readonly clusterId: Ipv4Addr;
  readonly decision: DecisionOptions;
  /** How many neighbours may come of all listen ranges together. */
  readonly dynamicLimit: number;
  /**
   * This speaker restarts, and its routes were kept in forwarding meanwhile: it asks for graceful restart (R), and chooses nothing
   * until its neighbours have told all or `deferralSec` is over. @rfc 4724#4.1
   */
  readonly restarting: boolean;
  readonly deferralSec: number;
}

/** How one neighbour's routes are treated, apart from the session. */
export interface NeighborRoutes {
  readonly rrClient: boolean;
  readonly nextHop: NextHopMode;
  /** Our own address as a next hop. */
  readonly localAddr: Ipv4Addr;
  readonly localAddr6: Ipv6Addr | undefined;
  readonly importPolicy: Policy;
  readonly exportPolicy: Policy;
  readonly allowLocalAs: number;
  readonly checkPeerAs: boolean;
  readonly addPathMax: number;
  readonly mraiSec: number;
}

/** Bidirectional forwarding detection with a neighbour. @rfc 5882#10.2 */
export interface NeighborBfd {
  readonly desiredMinTxUs: number;
  readonly requiredMinRxUs: number;
  readonly detectMult: number;
}

/** One configured neighbour. */
export interface NeighborConfig {
  /** Unique; for people. */
  readonly name: string;
  readonly addr: Ipv4Addr;
  readonly port: number;
  /** The address that the session comes from: identifies us to the neighbour. */
  readonly localAddr: Ipv4Addr;
  readonly session: PeerConfig;
  readonly routes: NeighborRoutes;
  readonly bfd: NeighborBfd | undefined;
  /** TCP MD5 signatures. @rfc 2385 */
  readonly password: string | undefined;
  /** TTL security: over how many links at most the neighbour is heard, 1 to 255; undefined: over any. @rfc 5082#3 */
  readonly ttlSecurityHops: number | undefined;
  /** Not started until told to. */
  readonly shutdown: boolean;
}

/** A prefix whose addresses may call. */
export interface RangeConfig {
  readonly name: string;
  readonly prefix: Prefix;
  readonly peerAs: PeerAs;
  readonly limit: number;
  readonly localAddr: Ipv4Addr;
  /** `peerAs`, `dynamic` and `passive` are the range's to set. */
  readonly session: PeerConfig;
  readonly routes: NeighborRoutes;
  readonly bfd: NeighborBfd | undefined;
}

/** A network of our own. */
export interface NetworkConfig {
  readonly prefix: RibPrefix;
  readonly nextHop: NextHop;
  readonly med?: number;
  readonly localPref?: number;
  readonly origin?: number;
  readonly communities?: readonly number[];
}
