// The address pools, with defaults filled in. Specs on Calico §1.2.
import { contains, overlaps, type Prefix, parseCidr, prefixOf } from "../../../base/ipv4-addr.ts";
import type { EncapMode, IPPool, PoolUse } from "../resources.ts";

const BLOCK_SIZE = 26;
const USES: readonly PoolUse[] = ["Workload", "Tunnel"];

export interface Pool {
  readonly name: string;
  readonly cidr: Prefix;
  /** Prefix length of its blocks. */
  readonly blockSize: number;
  readonly ipipMode: EncapMode;
  readonly vxlanMode: EncapMode;
  readonly natOutgoing: boolean;
  readonly disabled: boolean;
  readonly disableBgpExport: boolean;
  readonly nodeSelector: string;
  readonly namespaceSelector: string;
  readonly allowedUses: readonly PoolUse[];
  readonly automatic: boolean;
}

/** Undefined for a pool of another family. */
export function poolOf({ metadata, spec }: IPPool): Pool | undefined {
  const cidr = parseCidr(spec.cidr);
  if (!cidr.ok) return undefined;
  return {
    name: metadata.name,
    cidr: prefixOf(cidr.value.addr, cidr.value.len),
    blockSize: spec.blockSize ?? BLOCK_SIZE,
    ipipMode: spec.ipipMode ?? "Never",
    vxlanMode: spec.vxlanMode ?? "Never",
    natOutgoing: spec.natOutgoing ?? false,
    disabled: spec.disabled ?? false,
    disableBgpExport: spec.disableBGPExport ?? false,
    nodeSelector: spec.nodeSelector ?? "all()",
    namespaceSelector: spec.namespaceSelector ?? "",
    allowedUses: spec.allowedUses ?? USES,
    automatic: spec.assignmentMode !== "Manual",
  };
}

/** All pools by name. There are a few, so that looking for one of an address may go through them. */
export class PoolTable {
  readonly #byName = new Map<string, Pool>();

  /** @param resource undefined: it is gone. @returns the pool that was, and that is */
  replace(name: string, resource: IPPool | undefined): { before: Pool | undefined; after: Pool | undefined } {
    const before = this.#byName.get(name);
    const after = resource === undefined ? undefined : poolOf(resource);
    if (after === undefined) this.#byName.delete(name);
    else this.#byName.set(name, after);
    return { before, after };
  }

  /** The pool that a block or an address lies in: pools never overlap. */
  lookup(cidr: Prefix): Pool | undefined {
    for (const pool of this.#byName.values()) {
      if (pool.cidr.len <= cidr.len && contains(pool.cidr, cidr.addr)) return pool;
    }
    return undefined;
  }

  /** Is any address of it in a pool? */
  touches(cidr: Prefix): boolean {
    for (const pool of this.#byName.values()) if (overlaps(pool.cidr, cidr)) return true;
    return false;
  }

  values(): Iterable<Pool> {
    return this.#byName.values();
  }
}
