// What `podloom get bgp` shows of each noun.
import { printable } from "../base/printable.ts";
import type { BgpFamilyRow, BgpPeerRow, BgpRouteRow } from "../io/ipc/speaker-protocol.ts";
import { type Column, text } from "./column.ts";
import { formatAge } from "./format.ts";

/** Tables of a speaker. */
export const BGP_NOUNS = ["peers", "routes", "rib-in", "rib-out"] as const;
export type BgpTable = (typeof BGP_NOUNS)[number];

/** Such a table's name among those of labs. */
export type BgpNoun = `bgp ${BgpTable}`;

type Columns = {
  readonly [N in BgpNoun]: readonly Column<N extends "bgp peers" ? BgpPeerRow : BgpRouteRow>[];
};

const PREFIX: Column<BgpRouteRow> = { head: "PREFIX", cell: (r) => r.prefix, key: true };
const FROM: Column<BgpRouteRow> = { head: "FROM", cell: (r) => text(r.from) };
const CHOSEN: Column<BgpRouteRow> = { head: "CHOSEN", cell: (r) => text(r.chosen) };
const AGE: Column<BgpRouteRow> = { head: "AGE", cell: (r) => formatAge(r.ageSec), volatile: true };
const WHY: Column<BgpRouteRow> = { head: "WHY", cell: (r) => r.why ?? "", wide: true };

/** Of all routes, wherever they stand. */
const ATTRIBUTES: readonly Column<BgpRouteRow>[] = [
  { head: "NEXT-HOP", cell: (r) => text(r.nextHop) },
  { head: "AS-PATH", cell: (r) => text(r.asPath) },
  { head: "LOCAL-PREF", cell: (r) => text(r.localPref) },
  { head: "MED", cell: (r) => text(r.med) },
  { head: "ORIGIN", cell: (r) => text(r.origin) },
];

const MORE_ATTRIBUTES: readonly Column<BgpRouteRow>[] = [
  { head: "PATH-ID", cell: (r) => (r.pathId === 0 ? "-" : String(r.pathId)), wide: true, key: true },
  {
    head: "COMMUNITIES",
    cell: (r) => text([...r.communities, ...r.extCommunities, ...r.largeCommunities].join(" ")),
    wide: true,
  },
  { head: "ORIGINATOR", cell: (r) => text(r.originatorId), wide: true },
  { head: "CLUSTERS", cell: (r) => text(r.clusterList.join(" ")), wide: true },
];

export const BGP_COLUMNS: Columns = {
  "bgp peers": [
    { head: "NAME", cell: (r) => r.name, key: true },
    { head: "NEIGHBOR", cell: (r) => r.addr },
    { head: "AS", cell: (r) => r.as },
    { head: "ROLE", cell: (r) => r.role },
    { head: "STATE", cell: (r) => (r.enabled ? r.state : "Disabled") },
    { head: "FOR", cell: (r) => formatAge(r.sinceSec), volatile: true },
    { head: "RECEIVED", cell: (r) => sum(r, (family) => family.received) },
    { head: "ACCEPTED", cell: (r) => sum(r, (family) => family.accepted) },
    { head: "ADVERTISED", cell: (r) => sum(r, (family) => family.advertised) },
    { head: "LOCAL-AS", cell: (r) => String(r.localAs), wide: true },
    { head: "LOCAL", cell: (r) => r.localAddr, wide: true },
    { head: "ID", cell: (r) => text(r.bgpId), wide: true },
    { head: "RANGE", cell: (r) => text(r.range), wide: true },
    { head: "HOLD", cell: (r) => (r.holdTimeSec === undefined ? "-" : `${r.holdTimeSec}s`), wide: true },
    { head: "IMPORT", cell: (r) => r.importPolicy, wide: true },
    { head: "EXPORT", cell: (r) => r.exportPolicy, wide: true },
    { head: "FLAPS", cell: (r) => String(r.dropped), wide: true },
    { head: "QUEUED", cell: (r) => String(r.prefixesQueued), wide: true, volatile: true },
    { head: "MESSAGES-IN", cell: (r) => count(r.messagesIn), wide: true, volatile: true },
    { head: "MESSAGES-OUT", cell: (r) => count(r.messagesOut), wide: true, volatile: true },
    { head: "CAPABILITIES", cell: (r) => text(r.capabilities.join("; ")), wide: true },
    { head: "REASON", cell: reason },
  ],
  "bgp routes": [
    PREFIX,
    CHOSEN,
    { ...FROM, key: true },
    ...ATTRIBUTES,
    { head: "WEIGHT", cell: (r) => String(r.weight), wide: true },
    { head: "METRIC", cell: (r) => String(r.metric), wide: true },
    ...MORE_ATTRIBUTES,
    AGE,
    WHY,
  ],
  "bgp rib-in": [PREFIX, CHOSEN, ...ATTRIBUTES, ...MORE_ATTRIBUTES, AGE, WHY],
  "bgp rib-out": [PREFIX, FROM, ...ATTRIBUTES, ...MORE_ATTRIBUTES],
};

function sum({ families }: BgpPeerRow, of: (family: BgpFamilyRow) => number): string {
  return String(families.reduce((total, family) => total + of(family), 0));
}

function count(messages: Readonly<Record<string, number>>): string {
  return String(Object.values(messages).reduce((total, one) => total + one, 0));
}

/** Why there is no session: what the last one ended with, and what is wrong since. */
function reason({ state, enabled, lastDown = "", fault }: BgpPeerRow): string {
  if (state === "Established" || !enabled) return "";
  const now = fault === undefined || lastDown.endsWith(fault.message) ? "" : printable(fault.message);
  return lastDown === "" || now === "" ? now || printable(lastDown) : `${printable(lastDown)}; now: ${now}`;
}
