// What the syncer says of Calico's part of the store: typed, checked, each change once. `value` undefined: it is gone.
import type { Prefix } from "../../base/ipv4-addr.ts";
import type { StoreOp } from "../datastore/messages.ts";
import type { StoreStatus } from "../datastore/reflector.ts";
import type { LogOutput } from "../log.ts";
import type { IpamBlock } from "./ipam/ipam-block.ts";
import type { CalicoKind, CalicoResource } from "./resources.ts";

/** A block's affinity to this node. A legacy key without a value is `confirmed`. */
export type AffinityState = "pending" | "confirmed" | "pendingDeletion";

export type CalicoUpdate =
  | {
      readonly t: "resource";
      readonly kind: CalicoKind;
      readonly name: string;
      /** Of a WorkloadEndpoint, whose name is unique in its namespace only. */
      readonly namespace?: string;
      /** Undefined: gone, or what stands there cannot be used (a `log` has said why, with the key). */
      readonly value: CalicoResource | undefined;
      readonly modRevision: number;
    }
  | { readonly t: "block"; readonly cidr: Prefix; readonly value: IpamBlock | undefined }
  /** Of this node's affinities alone. */
  | { readonly t: "affinity"; readonly cidr: Prefix; readonly value: AffinityState | undefined }
  /** All ranges have been listed once. Said once. */
  | { readonly t: "inSync" };

export type SyncerOutput =
  | CalicoUpdate
  | { readonly t: "op"; readonly op: StoreOp }
  | { readonly t: "status"; readonly status: StoreStatus }
  | LogOutput;
