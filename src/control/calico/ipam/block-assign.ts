// Takes addresses out of one block: the handle is raised first, then the block is written, and the handle is lowered again if
// the block was not. Specs on Calico §1.4, step 3.
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import { addrOf, nextBlock } from "./block-allocation.ts";
import { decrementHandle, incrementHandle } from "./handle-count.ts";
import type { AllocationAttribute, IpamBlock } from "./ipam-block.ts";
import { emitIpamBlock } from "./ipam-block-json.ts";
import { readBlock, type StoredBlock } from "./ipam-context.ts";
import { type Steps, updateKey } from "./store-steps.ts";

/** What an attempt came to. `lost`: somebody wrote the block in between; `current` is what stands there now. */
export type BlockAssign =
  | { readonly t: "assigned"; readonly addrs: readonly Ipv4Addr[] }
  | { readonly t: "lost"; readonly current: StoredBlock | undefined };

/**
 * Writes `wanted`, a change of `stored` that gives `ordinals` to `owner`.
 * @param owner must name a handle
 */
export function* assignInBlock(
  stored: StoredBlock,
  wanted: IpamBlock,
  ordinals: readonly number[],
  owner: AllocationAttribute,
): Steps<BlockAssign> {
  const { cidr } = stored.block;
  const handle = owner.handleId as string;
  yield* incrementHandle(handle, cidr, ordinals.length);
  const write = yield* updateKey(stored, emitIpamBlock(nextBlock(wanted)));
  const addrs = ordinals.map((ordinal) => addrOf(wanted, ordinal));
  if (write.t === "done") return { t: "assigned", addrs };
  const current = write.current === undefined ? undefined : readBlock(write.current);
  // Our write may have been done, and the block written by another since: then the addresses are pinned to the sequence number
  // that we read.
  if (write.unsure && current !== undefined && isOurs(current.block, stored.block, ordinals, handle)) {
    return { t: "assigned", addrs };
  }
  yield* decrementHandle(handle, cidr, ordinals.length);
  return { t: "lost", current };
}

function isOurs(now: IpamBlock, before: IpamBlock, ordinals: readonly number[], handle: string): boolean {
  return ordinals.every((ordinal) => {
    const index = now.allocations[ordinal];
    return (
      index !== undefined &&
      now.attributes[index]?.handleId === handle &&
      now.sequenceNumberForAllocation.get(ordinal) === before.sequenceNumber
    );
  });
}
