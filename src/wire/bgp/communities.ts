// Communities are sets: they are kept and sent in ascending order without duplicates, so that equal sets are equal octets.
// Read RFC 1997, RFC 4360 (extended), RFC 5701 (IPv6), RFC 8092 (large).
import { formatIpv4, parseIpv4 } from "../../base/ipv4-addr.ts";

/** Well-known communities. @rfc 1997 @rfc 8326#5 @rfc 7999#5 @rfc 9494#4.2 */
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

/** The order that {@link sortExtCommunities} makes: below 0, 0 or above 0. */
export function compareExtCommunities(x: ExtCommunity, y: ExtCommunity): number {
  return x.high - y.high || x.low - y.low;
}

/** The order that {@link sortLargeCommunities} makes. */
export function compareLargeCommunities(x: LargeCommunity, y: LargeCommunity): number {
  return x.global - y.global || x.local1 - y.local1 || x.local2 - y.local2;
}

/** Ascending, each once; the very list when it is so already. @rfc 1997 */
export function sortCommunities(list: readonly number[]): readonly number[] {
  return normalised(list, (x, y) => x - y);
}

/** Ascending, each once; the very list when it is so already. @rfc 4360#2 */
export function sortExtCommunities(list: readonly ExtCommunity[]): readonly ExtCommunity[] {
  return normalised(list, compareExtCommunities);
}

/** Ascending, each once; the very list when it is so already. @rfc 8092#3 */
export function sortLargeCommunities(list: readonly LargeCommunity[]): readonly LargeCommunity[] {
  return normalised(list, compareLargeCommunities);
}

/** Ascending, each once; the very list when it is so already. @rfc 5701#2 */
export function sortIpv6ExtCommunities(list: readonly Ipv6ExtCommunity[]): readonly Ipv6ExtCommunity[] {
  return normalised(list, (x, y) => x[0] - y[0] || x[1] - y[1] || x[2] - y[2] || x[3] - y[3] || x[4] - y[4]);
}

const U32_MAX = 0xffffffff;

const NAMES: ReadonlyMap<number, string> = new Map([
  [Community.GRACEFUL_SHUTDOWN, "gshut"],
  [Community.LLGR_STALE, "llgr-stale"],
  [Community.NO_LLGR, "no-llgr"],
  [Community.BLACKHOLE, "blackhole"],
  [Community.NO_EXPORT, "no-export"],
  [Community.NO_ADVERTISE, "no-advertise"],
  [Community.NO_EXPORT_SUBCONFED, "no-export-subconfed"],
]);

/** The names above, and what other routers call the same. */
const BY_NAME: ReadonlyMap<string, number> = new Map([
  ...[...NAMES].map(([community, name]): [string, number] => [name, community]),
  ["graceful-shutdown", Community.GRACEFUL_SHUTDOWN],
  ["local-as", Community.NO_EXPORT_SUBCONFED],
]);

/** "65000:1", or the name of a well-known one. */
export function formatCommunity(community: number): string {
  return NAMES.get(community) ?? `${community >>> 16}:${community & 0xffff}`;
}

/** Parses "65000:1" or a well-known name, which may be written in capitals and with underscores; undefined when it is neither. */
export function parseCommunity(text: string): number | undefined {
  const named = BY_NAME.get(text.toLowerCase().replaceAll("_", "-"));
  if (named !== undefined) return named;
  const [high, low, rest] = text.split(":");
  const as = decimal(high, 0xffff);
  const value = decimal(low, 0xffff);
  return as === undefined || value === undefined || rest !== undefined ? undefined : as * 0x10000 + value;
}

/** "64512:1:2". @rfc 8092#5 */
export function formatLargeCommunity({ global, local1, local2 }: LargeCommunity): string {
  return `${global}:${local1}:${local2}`;
}

/** Parses "64512:1:2", without leading zeros; undefined when it is none. @rfc 8092#5 */
export function parseLargeCommunity(text: string): LargeCommunity | undefined {
  const [first, second, third, rest] = text.split(":");
  const global = decimal(first, U32_MAX);
  const local1 = decimal(second, U32_MAX);
  const local2 = decimal(third, U32_MAX);
  if (global === undefined || local1 === undefined || local2 === undefined || rest !== undefined) {
    return undefined;
  }
  return { global, local1, local2 };
}

/** Sub-types that have a name here, by value and by name. @rfc 4360#4 @rfc 4360#5 */
const SUBTYPES: Readonly<Record<number, string>> = { 0x02: "rt", 0x03: "ro" };
const SUBTYPE_OF: ReadonlyMap<string, number> = new Map([
  ["rt", 0x02],
  ["ro", 0x03],
  ["soo", 0x03],
]);

/** First octet: whose number the administrator is. @rfc 4360#3 @rfc 5668#2 */
const ExtType = { AS2: 0x00, IPV4: 0x01, AS4: 0x02 } as const;

/**
 * "rt:65000:1", "ro:10.0.0.1:7", or hexadecimal when it is neither, or not transitive. An AS number of two octets that is carried
 * in four has an L, as other routers write it: "rt:65000L:1". @rfc 4360#4 @rfc 4360#5 @rfc 5668#2
 */
export function formatExtCommunity({ high, low }: ExtCommunity): string {
  const type = high >>> 24;
  const name = SUBTYPES[(high >>> 16) & 0xff];
  if (name === undefined || type > ExtType.AS4) return `0x${hex32(high)}${hex32(low)}`;
  if (type === ExtType.AS2) return `${name}:${high & 0xffff}:${low}`;
  const administrator = ((high << 16) | (low >>> 16)) >>> 0;
  if (type === ExtType.IPV4) return `${name}:${formatIpv4(administrator)}:${low & 0xffff}`;
  return `${name}:${administrator}${administrator <= 0xffff ? "L" : ""}:${low & 0xffff}`;
}

/**
 * Parses what {@link formatExtCommunity} writes; "soo" is "ro", too. After an AS number of two octets the value has four, after one
 * of four octets (above 65535, or with an L) and after an address two. Undefined when it is nothing of that.
 * @rfc 4360#3 @rfc 4360#4 @rfc 4360#5 @rfc 5668#2
 */
export function parseExtCommunity(text: string): ExtCommunity | undefined {
  if (/^0x[0-9a-f]{16}$/i.test(text)) {
    return { high: Number.parseInt(text.slice(2, 10), 16), low: Number.parseInt(text.slice(10), 16) };
  }
  const [name, administrator = "", value, rest] = text.split(":");
  const subtype = SUBTYPE_OF.get((name ?? "").toLowerCase());
  if (subtype === undefined || rest !== undefined) return undefined;
  const addr = parseIpv4(administrator);
  if (addr !== undefined) return wideAdministrator(ExtType.IPV4, subtype, addr, value);
  const long = /^\d+[Ll]$/.test(administrator);
  const as = decimal(long ? administrator.slice(0, -1) : administrator, U32_MAX);
  if (as === undefined) return undefined;
  if (long || as > 0xffff) return wideAdministrator(ExtType.AS4, subtype, as, value);
  const low = decimal(value, U32_MAX);
  return low === undefined ? undefined : { high: ((subtype << 16) | as) >>> 0, low };
}

/** Administrator of four octets, value of two. */
function wideAdministrator(
  type: number,
  subtype: number,
  administrator: number,
  text: string | undefined,
): ExtCommunity | undefined {
  const value = decimal(text, 0xffff);
  if (value === undefined) return undefined;
  return {
    high: ((type << 24) | (subtype << 16) | (administrator >>> 16)) >>> 0,
    low: (((administrator & 0xffff) << 16) | value) >>> 0,
  };
}

/** Hexadecimal: there is no shorter notation that all read alike. */
export function formatIpv6ExtCommunity(community: Ipv6ExtCommunity): string {
  return `0x${community.map(hex32).join("")}`;
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, "0");
}

/** A decimal number without sign and leading zeros, up to `max`. */
function decimal(text: string | undefined, max: number): number | undefined {
  if (text === undefined || !/^(0|[1-9]\d{0,9})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}
