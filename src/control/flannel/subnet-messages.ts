// What goes into and comes out of `subnet-manager.ts`.
import type { Ipv4Addr, Prefix } from "../../base/ipv4-addr.ts";
import type { Rng } from "../../base/rng.ts";
import type { Instant } from "../../base/time.ts";
import type { LeaseId, StoreOp } from "../datastore/messages.ts";
import type { StoreStatus } from "../datastore/reflector.ts";
import type { LogOutput } from "../log.ts";
import type { OwnLease, PeerLease } from "./lease-attrs.ts";
import type { NetConf } from "./net-conf.ts";

/** How the subnet's etcd lease is kept: alive by keep-alives, or replaced once a day as flanneld does it. */
export type LeaseOptions =
  | { readonly mode: "keepalive"; readonly ttlSec: number }
  | { readonly mode: "renew"; readonly ttlSec: number; readonly renewMarginSec: number };

export interface SubnetManagerOptions {
  /** Flannel's prefix in the store, `/coreos.com/network`. */
  readonly prefix: string;
  readonly publicIp: Ipv4Addr;
  /** The subnet of the last run, from subnet.env. */
  readonly previousSubnet: Prefix | undefined;
  /** The etcd lease of the last run, as `acquired` gave it: by it the node knows its own orphan at once. */
  readonly previousLease?: LeaseId;
  readonly lease: LeaseOptions;
  /** flanneld's quirks instead of what is safe. */
  readonly strict: boolean;
  readonly rng: Rng;
}

export type SubnetOutput =
  | { readonly t: "op"; readonly op: StoreOp }
  /** The network's configuration. Build the backend, then `acquire`. */
  | { readonly t: "config"; readonly config: NetConf }
  /** The subnet is ours. Comes again, for the same subnet, when it had to be claimed anew or its etcd lease was replaced. */
  | { readonly t: "acquired"; readonly lease: OwnLease; readonly config: NetConf }
  /** A peer's lease, new or changed. Installing it twice must do no harm. */
  | { readonly t: "added"; readonly lease: PeerLease }
  | { readonly t: "removed"; readonly lease: PeerLease }
  /** The leases that `status` shows as ignored have changed. */
  | { readonly t: "ignored" }
  /** All leases that there are have been reported. Once. */
  | { readonly t: "synced" }
  /** Stop acting as the subnet's holder, until `unfenced`. */
  | { readonly t: "fenced"; readonly reason: string }
  | { readonly t: "unfenced" }
  /** The subnet was taken away. The daemon ends, with status 0 as flanneld does; nothing but operations follows. */
  | { readonly t: "revoked" }
  | { readonly t: "fatal"; readonly message: string }
  | { readonly t: "stopped" }
  | { readonly t: "status"; readonly status: StoreStatus }
  | LogOutput;

export type SubnetPhase =
  | "idle"
  | "config"
  | "configured"
  | "acquiring"
  | "running"
  | "reclaiming"
  | "stopping"
  | "ended";

export interface SubnetStatus {
  readonly phase: SubnetPhase;
  readonly store: StoreStatus;
  readonly own: OwnLease | undefined;
  /** Until when the own lease may be relied on, without another answer of the store. */
  readonly validUntil: Instant;
  /** The leases of peers that are reported as present. */
  readonly peers: readonly PeerLease[];
  /** Subnets of leases that were read and are rightly reported to nobody: malformed, or in conflict with this node's own. */
  readonly ignored: readonly Prefix[];
}
