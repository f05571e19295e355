// Communities are sets: they are kept and sent in ascending order without duplicates, so that equal sets are equal octets.
// Read RFC 1997, RFC 4360 (extended), RFC 5701 (IPv6), RFC 8092 (large).
import { formatIpv4 } from "../../base/ipv4-addr.ts";

/** Well-known communities. @rfc 1997#2 @rfc 8326#5 @rfc 7999#5 @rfc 9494#4.2 */
export const Community = {
  GRACEFUL_SHUTDOWN: 0xffff0000,
  LLGR_STALE: 0xffff0006,
  NO_LLGR: 0xffff0007,
  BLACKHOLE: 0xffff029a,
  NO_EXPORT: 0xffffff01,
  NO_ADVERTISE: 0xffffff02,
  NO_EXPORT_SUBCONFED: 0xffffff03,
} as const;

/** Eight octets: the type in the first one or two of `high`. @rfc 4360#2 */
export interface ExtCommunity {
  readonly high: number;
  readonly low: number;
}

/** Twelve octets. @rfc 8092#3 */
export interface LargeCommunity {
  readonly global: number;
  readonly local1: number;
  readonly local2: number;
}

/** An IPv6 address specific extended community: twenty octets as five words. @rfc 5701#2 */
export type Ipv6ExtCommunity = readonly [number, number, number, number, number];

function inOrder<T>(list: readonly T[], compare: (x: T, y: T) => number): boolean {
  for (let i = 1; i < list.length; i++) if (compare(list[i - 1] as T, list[i] as T) >= 0) return false;
  return true;
}

function normalised<T>(list: readonly T[], compare: (x: T, y: T) => number): readonly T[] {
  if (inOrder(list, compare)) return list;
  const sorted = list.slice().sort(compare);
  return sorted.filter((one, i) => i === 0 || compare(sorted[i - 1] as T, one) !== 0);
}

/** Ascending, each once; the very list when it is so already. @rfc 1997 */
export function sortCommunities(list: readonly number[]): readonly number[] {
  return normalised(list, (x, y) => x - y);
}

/** Ascending, each once; the very list when it is so already. @rfc 4360#2 */
export function sortExtCommunities(list: readonly ExtCommunity[]): readonly ExtCommunity[] {
  return normalised(list, (x, y) => x.high - y.high || x.low - y.low);
}

/** Ascending, each once; the very list when it is so already. @rfc 8092#5 */
export function sortLargeCommunities(list: readonly LargeCommunity[]): readonly LargeCommunity[] {
  return normalised(list, (x, y) => x.global - y.global || x.local1 - y.local1 || x.local2 - y.local2);
}

/** Ascending, each once; the very list when it is so already. @rfc 5701#2 */
export function sortIpv6ExtCommunities(list: readonly Ipv6ExtCommunity[]): readonly Ipv6ExtCommunity[] {
  return normalised(list, (x, y) => x[0] - y[0] || x[1] - y[1] || x[2] - y[2] || x[3] - y[3] || x[4] - y[4]);
}

const NAMES: ReadonlyMap<number, string> = new Map([
  [Community.GRACEFUL_SHUTDOWN, "gshut"],
  [Community.LLGR_STALE, "llgr-stale"],
  [Community.NO_LLGR, "no-llgr"],
  [Community.BLACKHOLE, "blackhole"],
  [Community.NO_EXPORT, "no-export"],
  [Community.NO_ADVERTISE, "no-advertise"],
  [Community.NO_EXPORT_SUBCONFED, "no-export-subconfed"],
]);

/** "65000:1", or the name of a well-known one. */
export function formatCommunity(community: number): string {
  return NAMES.get(community) ?? `${community >>> 16}:${community & 0xffff}`;
}

/** "64512:1:2". @rfc 8092#4 */
export function formatLargeCommunity({ global, local1, local2 }: LargeCommunity): string {
  return `${global}:${local1}:${local2}`;
}

const SUBTYPES: Readonly<Record<number, string>> = { 0x02: "rt", 0x03: "ro" };

/** "rt:65000:1", "ro:10.0.0.1:7", or hexadecimal when it is neither. @rfc 4360#4 @rfc 5668#2 */
export function formatExtCommunity({ high, low }: ExtCommunity): string {
  const type = high >>> 24;
  const name = SUBTYPES[(high >>> 16) & 0xff];
  if (name !== undefined && (type & 0xbf) === 0x00) return `${name}:${high & 0xffff}:${low}`;
  if (name !== undefined && ((type & 0xbf) === 0x01 || (type & 0xbf) === 0x02)) {
    const administrator = ((high << 16) | (low >>> 16)) >>> 0;
    const text = (type & 0xbf) === 0x01 ? formatIpv4(administrator) : String(administrator);
    return `${name}:${text}:${low & 0xffff}`;
  }
  return `0x${hex32(high)}${hex32(low)}`;
}

/** Hexadecimal: there is no shorter notation that all read alike. */
export function formatIpv6ExtCommunity(community: Ipv6ExtCommunity): string {
  return `0x${community.map(hex32).join("")}`;
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, "0");
}
