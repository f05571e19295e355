// What is asked of IPAM and what it answers. The engine (`ipam-engine.ts`) performs requests over the store, several at a time, each
// by the order of writes of specs on Calico §1.4 and §1.5; it is sans-IO: handle() store events, poll() outputs, nextDeadline(), tick().
import type { Ipv4Addr, Prefix } from "../../../base/ipv4-addr.ts";
import type { StoreOp } from "../../datastore/messages.ts";
import type { LogOutput } from "../../log.ts";
import type { PoolUse } from "../resources.ts";
import type { IpamConfig } from "./ipam-values.ts";

export type IpamRequest =
  | {
      readonly t: "autoAssign";
      readonly host: string;
      readonly count: number;
      readonly handle: string;
      readonly attributes: Readonly<Record<string, string>>;
      readonly use: PoolUse;
      /** Only these pools; default: all that may be used. */
      readonly pools?: readonly Prefix[];
      readonly namespace?: string;
    }
  | {
      readonly t: "assignIp";
      readonly host: string;
      readonly addr: Ipv4Addr;
      readonly handle: string;
      readonly attributes: Readonly<Record<string, string>>;
    }
  /** All addresses of a handle. Asked again after success, it answers none: releasing is idempotent. */
  | { readonly t: "releaseByHandle"; readonly handle: string }
  | {
      readonly t: "releaseIps";
      readonly addrs: readonly Ipv4Addr[];
      /** What the asker believes of an address, as a report of `ipam check` does: if it is out of date, nothing is released. */
      readonly believed?: ReadonlyMap<Ipv4Addr, AllocationBelief>;
    }
  /** Gives up the blocks of a host; those with addresses stay, without an owner, unless `requireEmpty`. */
  | { readonly t: "releaseHostAffinities"; readonly host: string; readonly requireEmpty: boolean }
  /** Gives up the blocks of a pool, whoever has them; those with addresses stay, without an owner. What precedes its deletion. */
  | { readonly t: "releasePoolAffinities"; readonly pool: Prefix }
  /** Changes the cluster's configuration of IPAM; what is not named stays. */
  | { readonly t: "configure"; readonly change: Partial<IpamConfig> };

export interface AllocationBelief {
  readonly handle?: string | undefined;
  readonly sequenceNumber?: bigint | undefined;
}

/** `code` is stable; `message` is Calico's own sentence where it has one. */
export interface IpamError {
  readonly code:
    | "noPools"
    | "noAddresses"
    | "blockLimit"
    | "notInPool"
    | "taken"
    | "notAffine"
    | "conflict"
    | "corrupt"
    | "invalid"
    | "unavailable";
  readonly message: string;
}

export interface IpamAnswer {
  /** Assigned, or released. */
  readonly addrs: readonly Ipv4Addr[];
  readonly error: IpamError | undefined;
}

export type IpamOutput =
  | { readonly t: "op"; readonly op: StoreOp }
  /** Ends the request of this id. With an error, `addrs` are those that were assigned all the same. */
  | { readonly t: "done"; readonly request: number; readonly answer: IpamAnswer }
  | LogOutput;
