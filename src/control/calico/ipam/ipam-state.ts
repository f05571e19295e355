// All of IPAM's part of the store at one time, for `ipam check` and `ipam show`.
import type { Prefix } from "../../../base/ipv4-addr.ts";
import type { KeyValue } from "../../datastore/messages.ts";
import type { AffinityState } from "../calico-updates.ts";
import type { IpamBlock } from "./ipam-block.ts";
import { parseIpamBlock } from "./ipam-block-json.ts";
import { IPAM_CONFIG_KEY, parseAffinityKey, parseBlockKey, parseHandleKey } from "./ipam-keys.ts";
import {
  DEFAULT_IPAM_CONFIG,
  type IpamConfig,
  type IpamHandle,
  parseAffinity,
  parseHandle,
  parseIpamConfig,
} from "./ipam-values.ts";

export interface ListedAffinity {
  readonly host: string;
  readonly cidr: Prefix;
  readonly state: AffinityState;
}

export interface ListedHandle {
  readonly id: string;
  readonly counts: IpamHandle;
  readonly modRevision: number;
}

export interface IpamState {
  readonly config: IpamConfig;
  readonly blocks: readonly IpamBlock[];
  readonly affinities: readonly ListedAffinity[];
  readonly handles: readonly ListedHandle[];
  /** One sentence for each key that cannot be used. */
  readonly complaints: readonly string[];
}

/** Reads the keys below `/calico/ipam/v2/`; others are passed over. */
export function readIpamState(kvs: readonly KeyValue[]): IpamState {
  const blocks: IpamBlock[] = [];
  const affinities: ListedAffinity[] = [];
  const handles: ListedHandle[] = [];
  const complaints: string[] = [];
  let config = DEFAULT_IPAM_CONFIG;
  for (const { key, value, modRevision } of kvs) {
    const complain = (error: string) => complaints.push(`${key} cannot be used: ${error}`);
    const cidr = parseBlockKey(key);
    const affinity = parseAffinityKey(key);
    const id = parseHandleKey(key);
    if (cidr !== undefined) {
      const block = parseIpamBlock(value, cidr);
      if (block.ok) blocks.push(block.value);
      else complain(block.error);
    } else if (affinity !== undefined) {
      const state = parseAffinity(value);
      if (state.ok) affinities.push({ ...affinity, state: state.value });
      else complain(state.error);
    } else if (id !== undefined) {
      const counts = parseHandle(value);
      if (counts.ok) handles.push({ id, counts: counts.value, modRevision });
      else complain(counts.error);
    } else if (key === IPAM_CONFIG_KEY) {
      const parsed = parseIpamConfig(value);
      if (parsed.ok) config = parsed.value;
      else complain(parsed.error);
    }
  }
  return { config, blocks, affinities, handles, complaints };
}
