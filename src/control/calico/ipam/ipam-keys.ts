// The keys of IPAM in etcd. Specs on Calico §1.3. IPv4 alone: podloom has no IPv6 pods.
import { formatIpv4, type Prefix, parseIpv4, prefixOf } from "../../../base/ipv4-addr.ts";
import { type KeyRange, prefixEnd } from "../../datastore/messages.ts";

const ROOT = "/calico/ipam/v2";
const BLOCKS = `${ROOT}/assignment/ipv4/block/`;
const HANDLES = `${ROOT}/handle/`;
const HOSTS = `${ROOT}/host/`;

/** Calico's limits of `blockSize`, in bits. */
export const BLOCK_LEN_MIN = 20;
export const BLOCK_LEN_MAX = 32;

/** The configuration of IPAM, for the whole cluster. */
export const IPAM_CONFIG_KEY = `${ROOT}/config`;

/** All blocks, all handles, all affinities of all hosts. */
export const BLOCKS_RANGE: KeyRange = { key: BLOCKS, rangeEnd: prefixEnd(BLOCKS) };
export const AFFINITIES_RANGE: KeyRange = { key: HOSTS, rangeEnd: prefixEnd(HOSTS) };

/** The affinities of one host. */
export function hostAffinitiesRange(host: string): KeyRange {
  const key = `${HOSTS}${host}/ipv4/block/`;
  return { key, rangeEnd: prefixEnd(key) };
}

export function blockKey(cidr: Prefix): string {
  return BLOCKS + emitName(cidr);
}

/** The block that a key is of; undefined when it is no block's key as Calico writes it. */
export function parseBlockKey(key: string): Prefix | undefined {
  return key.startsWith(BLOCKS) ? parseName(key.slice(BLOCKS.length)) : undefined;
}

export function affinityKey(host: string, cidr: Prefix): string {
  return `${HOSTS}${host}/ipv4/block/${emitName(cidr)}`;
}

export interface AffinityName {
  readonly host: string;
  readonly cidr: Prefix;
}

const AFFINITY = /^([^/]+)\/ipv4\/block\/([^/]+)$/;

export function parseAffinityKey(key: string): AffinityName | undefined {
  if (!key.startsWith(HOSTS)) return undefined;
  const match = AFFINITY.exec(key.slice(HOSTS.length));
  if (match === null) return undefined;
  const cidr = parseName(match[2] as string);
  return cidr === undefined ? undefined : { host: match[1] as string, cidr };
}

export function handleKey(handle: string): string {
  return HANDLES + handle;
}

export function parseHandleKey(key: string): string | undefined {
  if (!key.startsWith(HANDLES)) return undefined;
  const handle = key.slice(HANDLES.length);
  return isName(handle) ? handle : undefined;
}

/** May `name` be a part of a key? A slash would make another key of it. */
export function isName(name: string): boolean {
  return name !== "" && !name.includes("/");
}

function emitName(cidr: Prefix): string {
  return `${formatIpv4(cidr.addr)}-${cidr.len}`;
}

const NAME = /^([\d.]{7,15})-(\d{2})$/;

function parseName(name: string): Prefix | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const addr = parseIpv4(match[1] as string);
  const len = Number(match[2]);
  if (addr === undefined || len < BLOCK_LEN_MIN || len > BLOCK_LEN_MAX) return undefined;
  return prefixOf(addr, len).addr === addr ? { addr, len } : undefined;
}
