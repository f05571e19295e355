import { formatIpv4 } from "../../base/ipv4-addr.ts";
import { formatAsPath } from "./as-path.ts";
import type { PathAttributes } from "./attributes/path-attributes.ts";
import {
  formatCommunity,
  formatExtCommunity,
  formatIpv6ExtCommunity,
  formatLargeCommunity,
} from "./communities.ts";
import { worstOf } from "./errors.ts";
import { formatFamily } from "./family.ts";
import { formatIpv6 } from "./ipv6-addr.ts";
import type { NextHop } from "./next-hop.ts";
import { noticeName } from "./notification.ts";
import { formatPrefixAt, type PrefixList, pathIdAt } from "./prefix-list.ts";
import type { ParsedUpdate } from "./update.ts";

/** Prefixes shown of each list. */
const SHOWN_MAX = 8;

const ORIGINS = ["IGP", "EGP", "Incomplete"];

/** What follows "Update Message (2), length …: ". */
export function formatUpdate(update: ParsedUpdate): string {
  if (update.endOfRib !== undefined) return `End-of-RIB ${formatFamily(update.endOfRib)}`;
  const parts: string[] = [];
  for (const list of update.withdrawn) parts.push(`Withdrawn routes: ${formatPrefixes(list)}`);
  if (update.attributes !== undefined) parts.push(...formatAttributes(update.attributes));
  for (const { nextHop, prefixes } of update.announced) {
    parts.push(`Updated routes: ${formatPrefixes(prefixes)} via ${formatNextHop(nextHop)}`);
  }
  const worst = worstOf(update.errors);
  if (worst !== undefined) {
    const more = update.errors.length > 1 ? ` (${update.errors.length} errors)` : "";
    parts.push(`[${worst.rung}: ${worst.message}, ${noticeName(worst)}, RFC ${worst.rfc}]${more}`);
  }
  return parts.length === 0 ? "nothing" : parts.join(", ");
}

/** The attributes that are there, each as a clause. */
export function formatAttributes(a: PathAttributes): string[] {
  const clauses: (string | undefined)[] = [
    a.origin === undefined ? undefined : `Origin ${ORIGINS[a.origin] ?? a.origin}`,
    a.asPath === undefined
      ? undefined
      : `AS Path ${a.asPath.length === 0 ? "empty" : formatAsPath(a.asPath)}`,
    a.nextHop === undefined ? undefined : `Next Hop ${formatIpv4(a.nextHop)}`,
    a.med === undefined ? undefined : `Multi Exit Discriminator ${a.med}`,
    a.localPref === undefined ? undefined : `Local Preference ${a.localPref}`,
    a.atomicAggregate ? "Atomic Aggregate" : undefined,
    a.aggregator && `Aggregator AS ${a.aggregator.as}, origin ${formatIpv4(a.aggregator.addr)}`,
    clause("Community", a.communities, formatCommunity),
    a.originatorId === undefined ? undefined : `Originator ID ${formatIpv4(a.originatorId)}`,
    clause("Cluster List", a.clusterList, formatIpv4),
    clause("Extended Community", a.extCommunities, formatExtCommunity),
    a.pmsiTunnel && `PMSI Tunnel of ${a.pmsiTunnel.length} octets`,
    clause("IPv6 Extended Community", a.ipv6ExtCommunities, formatIpv6ExtCommunity),
    clause("Large Community", a.largeCommunities, formatLargeCommunity),
    ...a.unknown.map((one) => `Unknown Attribute (${one.type}) of ${one.value.length} octets`),
  ];
  return clauses.filter((text) => text !== undefined);
}

function clause<T>(name: string, list: readonly T[], text: (one: T) => string): string | undefined {
  return list.length === 0 ? undefined : `${name} ${list.map(text).join(" ")}`;
}

/** "10.0.0.1", or "2001:db8::1 fe80::1". */
export function formatNextHop(nextHop: NextHop): string {
  if (typeof nextHop === "number") return formatIpv4(nextHop);
  const { global, linkLocal } = nextHop;
  return linkLocal === undefined ? formatIpv6(global) : `${formatIpv6(global)} ${formatIpv6(linkLocal)}`;
}

function formatPrefixes(list: PrefixList): string {
  const shown: string[] = [];
  for (let i = 0; i < Math.min(list.count, SHOWN_MAX); i++) {
    const id = list.pathIds === undefined ? "" : ` path ${pathIdAt(list, i)}`;
    shown.push(formatPrefixAt(list, i) + id);
  }
  if (list.count > SHOWN_MAX) shown.push(`and ${list.count - SHOWN_MAX} more`);
  return shown.join(list.pathIds === undefined ? " " : "; ");
}
