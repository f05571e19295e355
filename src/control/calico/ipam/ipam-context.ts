// What the machines of IPAM are given, and how they read the store's values.
import { contains, formatPrefix, type Ipv4Addr, type Prefix } from "../../../base/ipv4-addr.ts";
import type { Rng } from "../../../base/rng.ts";
import type { KeyValue } from "../../datastore/messages.ts";
import type { LogLevel } from "../../log.ts";
import type { PoolUse } from "../resources.ts";
import type { IpamBlock } from "./ipam-block.ts";
import { parseIpamBlock } from "./ipam-block-json.ts";
import { IPAM_CONFIG_KEY, parseBlockKey } from "./ipam-keys.ts";
import { DEFAULT_IPAM_CONFIG, emitIpamConfig, type IpamConfig, parseIpamConfig } from "./ipam-values.ts";
import { createKey, getKey, IpamFault, type Seen, type Steps } from "./store-steps.ts";

/** How often one write is tried against others that are faster. Calico's number. */
export const CAS_TRIES = 100;

/** A pool, as the caller's selectors see it for one host and namespace. */
export interface IpamPool {
  readonly cidr: Prefix;
  /** Prefix length of its blocks, in bits. */
  readonly blockSize: number;
  readonly disabled: boolean;
  /** `assignmentMode` Automatic: used without being asked for by name. */
  readonly automatic: boolean;
  readonly allowedUses: readonly PoolUse[];
  readonly selectsNode: boolean;
  readonly selectsNamespace: boolean;
}

/** All pools, disabled ones too. `host` undefined: the selectors do not matter. */
export type PoolsOf = (host: string | undefined, namespace: string | undefined) => readonly IpamPool[];

export interface IpamContext {
  readonly rng: Rng;
  readonly pools: PoolsOf;
  readonly reservations: () => readonly Prefix[];
  /** Nanoseconds since 1970, now. */
  readonly wallNs: () => bigint;
  readonly log: (level: LogLevel, message: string) => void;
}

/** A block with the revision that a write is guarded by. */
export interface StoredBlock extends Seen {
  readonly block: IpamBlock;
}

/** The block that a key holds. One that cannot be used ends the request: writing it would destroy what stands there. */
export function readBlock(kv: KeyValue): StoredBlock {
  const block = parseIpamBlock(kv.value, parseBlockKey(kv.key));
  if (!block.ok) throw new IpamFault("corrupt", `${kv.key} cannot be used: ${block.error}`);
  return { key: kv.key, modRevision: kv.modRevision, block: block.value };
}

/** The blocks of a list. Those that cannot be used are named in the log; their addresses are nobody's to give. */
export function readBlocks(
  kvs: readonly KeyValue[],
  log: IpamContext["log"],
): { readonly blocks: readonly StoredBlock[]; readonly unusable: readonly Prefix[] } {
  const blocks: StoredBlock[] = [];
  const unusable: Prefix[] = [];
  for (const kv of kvs) {
    const cidr = parseBlockKey(kv.key);
    const block = parseIpamBlock(kv.value, cidr);
    if (cidr !== undefined && block.ok) {
      blocks.push({ key: kv.key, modRevision: kv.modRevision, block: block.value });
      continue;
    }
    if (cidr !== undefined) unusable.push(cidr);
    log("warn", `Ignoring ${kv.key}: ${block.ok ? "it is no block's key" : block.error}`);
  }
  return { blocks, unusable };
}

/** The configuration of the cluster's IPAM, created on the first read. */
export function* readConfig(): Steps<IpamConfig> {
  let kv = yield* getKey(IPAM_CONFIG_KEY);
  if (kv === undefined) {
    const created = yield* createKey(IPAM_CONFIG_KEY, emitIpamConfig(DEFAULT_IPAM_CONFIG));
    if (created.t === "done") return DEFAULT_IPAM_CONFIG;
    kv = created.current;
    if (kv === undefined) return DEFAULT_IPAM_CONFIG;
  }
  const config = parseIpamConfig(kv.value);
  if (!config.ok) throw new IpamFault("corrupt", `${IPAM_CONFIG_KEY} cannot be used: ${config.error}`);
  return config.value;
}

export function poolOf(pools: readonly IpamPool[], addr: Ipv4Addr): IpamPool | undefined {
  return pools.find((pool) => contains(pool.cidr, addr));
}

/** Which addresses must not be given away unasked. */
export function reservedBy(reservations: readonly Prefix[]): (addr: Ipv4Addr) => boolean {
  return (addr) => reservations.some((reserved) => contains(reserved, addr));
}

/** Is every address of the block reserved? */
export function isWhollyReserved(reservations: readonly Prefix[], cidr: Prefix): boolean {
  return reservations.some((reserved) => reserved.len <= cidr.len && contains(reserved, cidr.addr));
}

export function tooManyTries(what: string): IpamFault {
  return new IpamFault("conflict", `Max retries hit - excessive concurrent IPAM requests (${what})`);
}

/** How Calico prints a list of pools: Go's %v of strings. */
export function formatPools(pools: readonly IpamPool[]): string {
  return `[${pools.map((pool) => formatPrefix(pool.cidr)).join(" ")}]`;
}
