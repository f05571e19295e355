// Whether a pool may be written, given what the store holds: its former self, the other pools, the blocks.
import { formatPrefix } from "../../base/ipv4-addr.ts";
import type { KeyValue } from "../datastore/messages.ts";
import { anyOverlaps, isMasked, parseAnyCidr } from "./address-text.ts";
import { parseResourceKey } from "./calico-keys.ts";
import { readResource } from "./check-resource.ts";
import { parseBlockKey } from "./ipam/ipam-keys.ts";
import { BLOCK_SIZE_DEFAULT } from "./resource-rules.ts";
import type { ResourceFault } from "./resource-shape.ts";
import type { IPPool } from "./resources.ts";

export interface PoolSurroundings {
  /** The pool as it stands; undefined: it is new. */
  readonly old: IPPool | undefined;
  /** All pools, as the store has them. */
  readonly pools: readonly KeyValue[];
  /** All blocks: only their keys matter. */
  readonly blocks: readonly KeyValue[];
}

export function poolChangeFaults(pool: IPPool, around: PoolSurroundings): readonly ResourceFault[] {
  return around.old === undefined ? newPoolFaults(pool, around) : changedPoolFaults(pool, around.old);
}

function changedPoolFaults(pool: IPPool, old: IPPool): readonly ResourceFault[] {
  const faults: ResourceFault[] = [];
  if (!isSameCidr(pool.spec.cidr, old.spec.cidr)) {
    faults.push(
      specFault(
        "cidr",
        `IPPool CIDR cannot be modified: it is ${old.spec.cidr}; delete the pool and create another`,
      ),
    );
  }
  if (blockSizeOf(pool) !== blockSizeOf(old)) {
    faults.push(
      specFault(
        "blockSize",
        `IPPool BlockSize cannot be modified: it is ${blockSizeOf(old)}; delete the pool and create another`,
      ),
    );
  }
  const wasForServices = old.spec.allowedUses?.includes("LoadBalancer") === true;
  if (wasForServices && pool.spec.allowedUses?.every((use) => use === "LoadBalancer") !== true) {
    faults.push(
      specFault(
        "allowedUses",
        "IPPool allowed use cannot be changed from LoadBalancer to Workload or Tunnel",
      ),
    );
  }
  return faults;
}

function newPoolFaults(pool: IPPool, { pools, blocks }: PoolSurroundings): readonly ResourceFault[] {
  const cidr = parseAnyCidr(pool.spec.cidr);
  if (cidr === undefined) return [];
  const faults: ResourceFault[] = [];
  for (const other of pools.flatMap(readPool)) {
    const otherCidr = parseAnyCidr(other.spec.cidr);
    if (other.metadata.name === pool.metadata.name || otherCidr === undefined) continue;
    if (anyOverlaps(cidr, otherCidr)) {
      const message = `IPPool(${pool.metadata.name}) CIDR overlaps with IPPool(${other.metadata.name}) CIDR ${other.spec.cidr}`;
      faults.push(specFault("cidr", message));
    }
  }
  const odd = blocks
    .flatMap((kv) => parseBlockKey(kv.key) ?? [])
    .find(
      (block) =>
        block.len !== blockSizeOf(pool) &&
        anyOverlaps(cidr, { family: 4, bits: BigInt(block.addr), len: block.len }),
    );
  if (odd !== undefined) {
    const message = `IPPool blocksSize conflicts with existing allocations that use a different blockSize: ${formatPrefix(odd)}`;
    faults.push(specFault("blockSize", message));
  }
  return faults;
}

function readPool(kv: KeyValue): readonly IPPool[] {
  const id = parseResourceKey(kv.key);
  const read = id?.kind === "IPPool" ? readResource(id, kv.value) : undefined;
  return read?.ok === true && read.value.kind === "IPPool" ? [read.value] : [];
}

function specFault(field: string, message: string): ResourceFault {
  return { path: ["spec", field], message };
}

/** The same network, or another spelling of it that is the canonical one. */
function isSameCidr(cidr: string, old: string): boolean {
  const a = parseAnyCidr(cidr);
  const b = parseAnyCidr(old);
  return (
    cidr === old ||
    (a !== undefined && b !== undefined && isMasked(a) && a.len === b.len && anyOverlaps(a, b))
  );
}

function blockSizeOf(pool: IPPool): number {
  return pool.spec.blockSize ?? BLOCK_SIZE_DEFAULT[parseAnyCidr(pool.spec.cidr)?.family ?? 4];
}
