// One block of addresses, as it stands at /calico/ipam/v2/assignment/ipv4/block/<cidr>. Specs on Calico §1.3.
import type { Prefix } from "../../../base/ipv4-addr.ts";

/** Who an address was given to. Blocks hold each different one once. */
export interface AllocationAttribute {
  readonly handleId: string | undefined;
  /** `node`, `pod`, `namespace`, `timestamp`, `type` (ipipTunnelAddress, vxlanTunnelAddress), … */
  readonly secondary: Readonly<Record<string, string>> | undefined;
}

export interface IpamBlock {
  readonly cidr: Prefix;
  /** The node that owns the block (`host:NAME` in the store); undefined: nobody does any more. */
  readonly host: string | undefined;
  readonly affinityClaimTime: string | undefined;
  /** By ordinal: undefined, or an index of `attributes`. */
  readonly allocations: readonly (number | undefined)[];
  /** Free ordinals: allocate from the head, release to the tail. */
  readonly unallocated: readonly number[];
  readonly attributes: readonly AllocationAttribute[];
  /** Beyond 2^53: never a JavaScript number. */
  readonly sequenceNumber: bigint;
  readonly sequenceNumberForAllocation: ReadonlyMap<number, bigint>;
  readonly deleted: boolean;
}
