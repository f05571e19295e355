// The keys of leases: `<prefix>/subnets/<a.b.c.d>-<len>`, with `&<v6>-<len>` behind it in a dual-stack network. Read specs
// on flannel §1.1 first.
import { formatIpv4, type Ipv4Addr, type Prefix, parseIpv4, prefixOf } from "../../base/ipv4-addr.ts";
import type { KeyRange } from "../datastore/messages.ts";
import { prefixEnd } from "../datastore/messages.ts";
import { formatIpv6, type Ipv6Prefix, parseIpv6 } from "./ipv6-addr.ts";

export interface SubnetKey {
  /** The IPv4 subnet, host bits cleared. */
  readonly subnet: Prefix;
  /** The address as it was written. Flannel never writes one with host bits; a person may. */
  readonly addr: Ipv4Addr;
  /** The IPv6 subnet of a dual-stack key. */
  readonly subnet6: Ipv6Prefix | undefined;
}

// Flannel's expression, without its start anchor too. Flannel leaves two dots unescaped, but what only that would let
// through is no IPv4 address and is refused in the next step; escaped, a hostile key cannot make the match slow.
const SUBNET_REGEX = /(\d+\.\d+\.\d+\.\d+)-(\d+)(?:&([a-f\d:]+)-(\d+))?$/;
/** More than any subnet's name needs. A longer run of digits before an address makes it no address here as there. */
const NAME_CHARS_MAX = 128;

/** Parses a lease's key, or the last part of it; undefined when Flannel would not take it for a subnet. */
export function parseSubnetKey(key: string): SubnetKey | undefined {
  const match = SUBNET_REGEX.exec(key.slice(-NAME_CHARS_MAX));
  if (match === null) return undefined;
  const addr = parseIpv4(match[1] as string);
  const len = parseUint(match[2] as string, 31);
  if (addr === undefined || len === undefined) return undefined;
  const subnet = prefixOf(addr, len);
  if (match[3] === undefined) return { subnet, addr, subnet6: undefined };
  const addr6 = parseIpv6(match[3]);
  const len6 = parseUint(match[4] as string, 127);
  if (addr6 === undefined || len6 === undefined) return undefined;
  return { subnet, addr, subnet6: { addr: addr6, len: len6 } };
}

/** Go's strconv.ParseUint with so few bits that the largest value is `max`. */
function parseUint(text: string, max: number): number | undefined {
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** The last part of a lease's key. */
export function emitSubnetName(subnet: Prefix, subnet6?: Ipv6Prefix): string {
  const v4 = `${formatIpv4(subnet.addr)}-${subnet.len}`;
  return subnet6 === undefined ? v4 : `${v4}&${formatIpv6(subnet6.addr)}-${subnet6.len}`;
}

/** The key of a lease. @param prefix the flannel prefix, `/coreos.com/network` */
export function emitSubnetKey(prefix: string, subnet: Prefix, subnet6?: Ipv6Prefix): string {
  return `${joinKey(prefix, "subnets")}/${emitSubnetName(subnet, subnet6)}`;
}

/** The key of the network's configuration. */
export function emitConfigKey(prefix: string): string {
  return joinKey(prefix, "config");
}

/** The range that Flannel lists and watches: no slash at its end, so `subnets-old/…` lies in it as well. */
export function subnetsRange(prefix: string): KeyRange {
  const key = joinKey(prefix, "subnets");
  return { key, rangeEnd: prefixEnd(key) };
}

/** Go's path.Join of two parts, as far as prefixes need it: no doubled and no trailing slash. */
function joinKey(prefix: string, name: string): string {
  return `${prefix}/${name}`.replace(/\/{2,}/g, "/");
}
