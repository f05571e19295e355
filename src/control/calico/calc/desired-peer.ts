import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { SecretRef } from "../resources.ts";

/** Which Calico a node plays. What differs: specs on Calico, section 0. */
export type CalicoVersion = "3.31" | "3.32" | "3.33";

/** As `calicoctl node status` calls it. */
export type PeerType = "node-to-node mesh" | "global" | "node specific";

/** One session that this node is to have: what confd writes into a `protocol bgp`. */
export interface DesiredPeer {
  /** Calico's: Mesh_10_192_0_3, Global_10_1_0_1, Node_10_1_0_1_port_1179. */
  readonly name: string;
  readonly type: PeerType;
  readonly addr: Ipv4Addr;
  readonly port: number;
  readonly localAs: number;
  readonly peerAs: number;
  /** Undefined: whatever the way there gives (`sourceAddress: None`). */
  readonly sourceAddr: Ipv4Addr | undefined;
  readonly passive: boolean;
  /** `rr client; rr cluster id`: we reflect routes to it. */
  readonly rrClusterId: string | undefined;
  /** `auto`: own routes and eBGP with our address, iBGP as it is. */
  readonly nextHop: "auto" | "self" | "keep";
  /** `graceful restart time`: what we ask the peer to wait, in seconds. */
  readonly maxRestartTimeSec: number | undefined;
  readonly keepaliveTimeSec: number | undefined;
  /** How often our AS may be in its paths. */
  readonly allowLocalAs: number;
  /** GTSM, and how many hops it may be away. */
  readonly ttlSecurity: number | undefined;
  /** The gateway that a static route to the peer goes through. */
  readonly reachableBy: Ipv4Addr | undefined;
  readonly password: SecretRef["secretKeyRef"] | undefined;
  /** Names of BGPFilters, in order. */
  readonly filters: readonly string[];
}

export function sameDesiredPeer(x: DesiredPeer | undefined, y: DesiredPeer | undefined): boolean {
  if (x === undefined || y === undefined) return x === y;
  return (
    x.name === y.name &&
    x.type === y.type &&
    x.addr === y.addr &&
    x.port === y.port &&
    x.localAs === y.localAs &&
    x.peerAs === y.peerAs &&
    x.sourceAddr === y.sourceAddr &&
    x.passive === y.passive &&
    x.rrClusterId === y.rrClusterId &&
    x.nextHop === y.nextHop &&
    x.maxRestartTimeSec === y.maxRestartTimeSec &&
    x.keepaliveTimeSec === y.keepaliveTimeSec &&
    x.allowLocalAs === y.allowLocalAs &&
    x.ttlSecurity === y.ttlSecurity &&
    x.reachableBy === y.reachableBy &&
    x.password?.name === y.password?.name &&
    x.password?.key === y.password?.key &&
    x.filters.length === y.filters.length &&
    x.filters.every((name, i) => name === y.filters[i])
  );
}
