import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { CompiledPolicy } from "../policy/policy.ts";

/** What the RIB must know of a neighbour. */
export interface RibPeerConfig {
  /** Unique in the speaker. */
  readonly name: string;
  readonly addr: Ipv4Addr;
  /** The AS that we are to it: ours, or the one that stands in for it there. */
  readonly localAs: number;
  /** Same AS as that? */
  readonly internal: boolean;
  /** We reflect routes to it, and from it. @rfc 4456#6 */
  readonly rrClient: boolean;
  /** How often our own AS, or `localAs`, may be in its paths: BIRD's "allow local as", Calico's numAllowedLocalASNumbers. */
  readonly allowLocalAs: number;
  readonly importPolicy: CompiledPolicy;
}

/** A neighbour, or this speaker itself, as the source of paths. One object as long as the neighbour is configured. */
export interface RibPeer {
  readonly config: RibPeerConfig;
  /** Small, unique, never used again. 0 is this speaker itself. */
  readonly id: number;
  /** Of the last session; 0 before the first. For this speaker itself its router identifier. */
  readonly bgpId: Ipv4Addr;
  readonly as: number;
  /** Is it this speaker? */
  readonly local: boolean;
}
