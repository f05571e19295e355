// Affinities, handles and the configuration of IPAM as they stand in the store, byte for byte as Calico writes them. Specs on
// Calico §1.3.
import { formatPrefix, type Prefix, parseCidr, prefixOf } from "../../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import { emitGoString } from "../../flannel/go-json.ts";
import type { AffinityState } from "../calico-updates.ts";
import { compareGoKeys, parseObject, shown, wholeNumber } from "./go-fields.ts";
import { BLOCK_LEN_MAX, BLOCK_LEN_MIN } from "./ipam-keys.ts";

const STATES: readonly string[] = ["pending", "confirmed", "pendingDeletion"] satisfies AffinityState[];
const INT32_MAX = 2n ** 31n - 1n;

/** Parses an affinity's value. A legacy one is empty, and means confirmed. */
export function parseAffinity(input: Uint8Array | string): Result<AffinityState, string> {
  if (input.length === 0) return ok("confirmed");
  const fields = parseObject(input);
  if (!fields.ok) return fields;
  const state = fields.value.text("state") ?? "";
  fields.value.bool("deleted");
  if (fields.value.error !== undefined) return err(fields.value.error);
  if (state === "") return ok("confirmed");
  if (!STATES.includes(state))
    return err(`state must be one of ${STATES.join(", ")}, not "${state.slice(0, 40)}"`);
  return ok(state as AffinityState);
}

export function emitAffinity(state: AffinityState): string {
  return `{"state":"${state}","deleted":false}`;
}

/** How many addresses of each block (`a.b.c.d/len`) a handle has. */
export type IpamHandle = ReadonlyMap<string, number>;

export function parseHandle(input: Uint8Array | string): Result<IpamHandle, string> {
  const fields = parseObject(input);
  if (!fields.ok) return fields;
  const counts = new Map<string, number>();
  for (const [name, value] of fields.value.map("block") ?? []) {
    const cidr = parseBlockCidr(name);
    const count = wholeNumber(value, INT32_MAX);
    if (!cidr.ok) fields.value.fail(`block: ${cidr.error}`);
    else if (count === undefined) fields.value.fail(`block: ${name} must have a count, not ${shown(value)}`);
    else counts.set(name, Number(count));
  }
  fields.value.bool("deleted");
  return fields.value.error === undefined ? ok(counts) : err(fields.value.error);
}

export function emitHandle(handle: IpamHandle): string {
  const names = [...handle.keys()].sort(compareGoKeys);
  const counts = names.map((name) => `${emitGoString(name)}:${handle.get(name) as number}`);
  return `{"block":{${counts.join(",")}},"deleted":false}`;
}

export interface IpamConfig {
  /** No address outside of the host's own blocks. */
  readonly strictAffinity: boolean;
  readonly autoAllocateBlocks: boolean;
  /** 0: Calico's default limit of 20. */
  readonly maxBlocksPerHost: number;
}

/** What Calico writes when it finds none. */
export const DEFAULT_IPAM_CONFIG: IpamConfig = {
  strictAffinity: false,
  autoAllocateBlocks: true,
  maxBlocksPerHost: 0,
};

export function parseIpamConfig(input: Uint8Array | string): Result<IpamConfig, string> {
  const fields = parseObject(input);
  if (!fields.ok) return fields;
  const config: IpamConfig = {
    strictAffinity: fields.value.bool("strict_affinity"),
    autoAllocateBlocks: fields.value.bool("auto_allocate_blocks"),
    maxBlocksPerHost: Number(fields.value.uint("maxBlocksPerHost", INT32_MAX)),
  };
  return fields.value.error === undefined ? ok(config) : err(fields.value.error);
}

/** Go's omitempty: what is false or 0 is not written. */
export function emitIpamConfig(config: IpamConfig): string {
  const members: string[] = [];
  if (config.strictAffinity) members.push('"strict_affinity":true');
  if (config.autoAllocateBlocks) members.push('"auto_allocate_blocks":true');
  if (config.maxBlocksPerHost !== 0) members.push(`"maxBlocksPerHost":${config.maxBlocksPerHost}`);
  return `{${members.join(",")}}`;
}

/** May the configuration be written? Calico refuses two combinations. */
export function checkIpamConfig(config: IpamConfig): Result<IpamConfig, string> {
  if (!config.strictAffinity && !config.autoAllocateBlocks) {
    return err(
      "StrictAffinity=false with AutoAllocateBlocks=false is invalid: no address could be allocated",
    );
  }
  if (config.maxBlocksPerHost > 0 && !config.strictAffinity) {
    return err("MaxBlocksPerHost requires StrictAffinity=true: set it, or set MaxBlocksPerHost to 0");
  }
  return ok(config);
}

/** Parses a block's CIDR as Calico writes it: canonical, and of a length that a block may have. */
export function parseBlockCidr(text: string): Result<Prefix, string> {
  const cidr = parseCidr(text.length <= 18 ? text : `${text.slice(0, 18)}…`);
  if (!cidr.ok) return cidr;
  const { addr, len } = cidr.value;
  if (len < BLOCK_LEN_MIN || len > BLOCK_LEN_MAX) {
    return err(`"${text}": a block has a prefix length of ${BLOCK_LEN_MIN} to ${BLOCK_LEN_MAX}`);
  }
  const prefix = prefixOf(addr, len);
  if (formatPrefix(prefix) !== text) return err(`"${text}" must be written ${formatPrefix(prefix)}`);
  return ok(prefix);
}
