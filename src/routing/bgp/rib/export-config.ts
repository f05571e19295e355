// What is told to one neighbour, and through what.
import type { Ipv4Addr, Prefix } from "../../../base/ipv4-addr.ts";
import type { Instant } from "../../../base/time.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { Ipv6Addr } from "../../../wire/bgp/ipv6-addr.ts";
import type { Negotiated } from "../../../wire/bgp/negotiated.ts";
import type { CompiledPolicy } from "../policy/policy.ts";
import type { RibPeer } from "./rib-peer.ts";

/**
 * Next hop of what is told. `auto`: our own address for what we originate and towards other ASs, else as it is (a next hop on the
 * neighbour's own subnet stays, too, if `sharedSubnet` holds it); `self`: our own address, but reflected routes keep theirs;
 * `forceSelf`: reflected ones too; `keep`: as it is, wherever to.
 */
export type NextHopMode = "auto" | "self" | "forceSelf" | "keep";

/** Neighbours with equal values here, and equal `Negotiated` encodings, are told the same bytes: they form an update group. */
export interface ExportConfig {
  readonly policy: CompiledPolicy;
  readonly nextHop: NextHopMode;
  /** Our own address as a next hop: the node's, never the transport's. */
  readonly localAddr: Ipv4Addr;
  /** For IPv6 routes; without one they are told only with the next hop that they have, else not at all. */
  readonly localAddr6: Ipv6Addr | undefined;
  /** The subnet that the neighbour shares with us: with `auto`, next hops in it stay even towards another AS. @rfc 4271#5.1.3 */
  readonly sharedSubnet?: Prefix | undefined;
  /** AS that the neighbour sees: the speaker's, or one of its own (local-as). */
  readonly localAs: number;
  /** Do not tell another AS what has been through it. It would throw it away. */
  readonly checkPeerAs: boolean;
  /** With ADD-PATH: how many paths of a destination at most; 1 tells the best alone. @rfc 7911#5 */
  readonly addPathMax: number;
  /** MinRouteAdvertisementInterval, in seconds; 0: none. Not for the first table, nor for withdrawals. @rfc 4271#9.2.1.1 */
  readonly mraiSec: number;
}

/** A neighbour with an Established session, as the tables of routes out see it. */
export interface OutMember {
  readonly peer: RibPeer;
  readonly negotiated: Negotiated;
  readonly config: ExportConfig;
  /**
   * Takes whole messages, which may be shared and are never written again. False: not taken; {@link RibsOut.writable} will be called
   * when it takes some again.
   */
  transmit(bytes: Uint8Array, now: Instant): boolean;
  /** BoRR, EoRR: as BgpPeer.refresh. False as above. */
  refresh(family: Family, subtype: number, now: Instant): boolean;
}
