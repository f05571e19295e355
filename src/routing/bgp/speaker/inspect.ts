// What can be read of a running speaker: plain rows, so that they cross process boundaries. Text is made of them elsewhere.
import { formatIpv4 } from "../../../base/ipv4-addr.ts";
import { type Instant, MS_US } from "../../../base/time.ts";
import { formatAsPath } from "../../../wire/bgp/as-path.ts";
import { formatCommunity, formatExtCommunity, formatLargeCommunity } from "../../../wire/bgp/communities.ts";
import { Family, formatFamily } from "../../../wire/bgp/family.ts";
import { formatIpv6 } from "../../../wire/bgp/ipv6-addr.ts";
import { keepaliveTimeSec } from "../../../wire/bgp/negotiated.ts";
import { formatCapability } from "../../../wire/bgp/pretty.ts";
import { formatNextHop } from "../../../wire/bgp/pretty-update.ts";
import { explain } from "../rib/explain.ts";
import {
  type Destination,
  type Ineligible,
  NEXT_HOP_SELF,
  type Path,
  type RibPrefix,
  type RouteAttributes,
} from "../rib/route.ts";
import { messageName } from "../session/bgp-trace.ts";
import type { PeerStatus } from "../session/peer-status.ts";
import {
  type BgpCapabilitiesRow,
  type BgpFaultRow,
  capabilitiesRow,
  describeDown,
  farewell,
  faultRow,
} from "./inspect-session.ts";
import type { Neighbor } from "./neighbor.ts";
import type { BgpSpeaker } from "./speaker.ts";

/** One address family of a neighbour. */
export interface BgpFamilyRow {
  readonly family: string;
  /** Paths in Adj-RIB-In, those among them that take part in the decision, that were chosen as best, and prefixes in Adj-RIB-Out. */
  readonly received: number;
  readonly accepted: number;
  readonly preferred: number;
  readonly advertised: number;
  /** Kept over a restart of the neighbour. */
  readonly stale: boolean;
  readonly limit?: number;
}

export interface BgpPeerRow {
  readonly name: string;
  readonly addr: string;
  readonly localAddr: string;
  readonly port?: number;
  readonly localAs: number;
  /** Of the session; as configured while there is none. */
  readonly as: string;
  readonly role: "internal" | "external" | "rr-client";
  readonly state: string;
  readonly enabled: boolean;
  /** Since when it is up, or down, in seconds. */
  readonly sinceSec: number;
  readonly bgpId?: string;
  readonly incoming: boolean;
  readonly passive: boolean;
  /** The range that it called from. */
  readonly range?: string;
  readonly holdTimeSec?: number;
  readonly keepaliveSec?: number;
  /** Until the hold timer expires, and until the next KEEPALIVE is due. */
  readonly holdLeftSec?: number;
  readonly keepaliveLeftSec?: number;
  /** Names of its policies. */
  readonly importPolicy: string;
  readonly exportPolicy: string;
  readonly families: readonly BgpFamilyRow[];
  /** What both sides have settled, for people. */
  readonly capabilities: readonly string[];
  /** What each side has announced for this session. */
  readonly announced?: BgpCapabilitiesRow;
  readonly heard?: BgpCapabilitiesRow;
  readonly messagesIn: Readonly<Record<string, number>>;
  readonly messagesOut: Readonly<Record<string, number>>;
  /** Octets of these messages, in all and by type. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly bytesInByType: Readonly<Record<string, number>>;
  readonly bytesOutByType: Readonly<Record<string, number>>;
  readonly established: number;
  readonly dropped: number;
  readonly lastDown?: string;
  /** The text that came with it, if it was the neighbour who ended it. @rfc 9003#2 */
  readonly downText?: string;
  /** Why it is not up, if something is known to be wrong: what the session, or the last attempt at one, ended with. */
  readonly fault?: BgpFaultRow;
  /** Until the next attempt, after a fault. */
  readonly backOffSec?: number;
  readonly bytesQueued: number;
  readonly prefixesQueued: number;
}

/** One path, as it came, as it was chosen from, or as it was told. */
export interface BgpRouteRow {
  readonly prefix: string;
  readonly family: string;
  readonly chosen: "best" | "multipath" | "";
  readonly nextHop: string;
  /** Name and address of the neighbour that it came from; "local" for our own. */
  readonly from: string;
  readonly fromAddr: string;
  readonly source: "local" | "internal" | "external";
  readonly pathId: number;
  readonly origin: "IGP" | "EGP" | "incomplete" | "";
  readonly asPath: string;
  readonly localPref?: number;
  readonly med?: number;
  readonly weight: number;
  readonly metric: number;
  readonly communities: readonly string[];
  readonly extCommunities: readonly string[];
  readonly largeCommunities: readonly string[];
  readonly originatorId?: string;
  readonly clusterList: readonly string[];
  readonly aggregator?: string;
  readonly atomicAggregate: boolean;
  /** Attributes of types that are not known here. */
  readonly unknown: readonly string[];
  readonly stale: boolean;
  readonly ageSec: number;
  /** Why it takes no part in the decision, in a word; `why` has the sentence. */
  readonly ineligible?: Ineligible;
  /** Why it was not chosen, or chosen. */
  readonly why?: string;
}

/** All neighbours, by address. */
export function peerRows(speaker: BgpSpeaker, now: Instant): BgpPeerRow[] {
  return speaker.neighbors.dump().map(({ neighbor }) => peerRow(speaker, neighbor, now));
}

function peerRow(speaker: BgpSpeaker, neighbor: Neighbor, now: Instant): BgpPeerRow {
  const status = neighbor.peer.status();
  const { config } = neighbor.peer;
  const { ribPeer, negotiated, range, port, routes } = neighbor;
  return {
    name: neighbor.name,
    addr: formatIpv4(neighbor.addr),
    localAddr: formatIpv4(neighbor.localAddr),
    ...(port === undefined ? {} : { port }),
    localAs: config.localAs,
    as: negotiated === undefined ? formatPeerAs(config.peerAs) : String(negotiated.peerAs),
    role: ribPeer.config.rrClient ? "rr-client" : ribPeer.config.internal ? "internal" : "external",
    state: status.state,
    enabled: status.enabled,
    sinceSec: seconds(now - status.since),
    ...(status.bgpId === undefined ? {} : { bgpId: formatIpv4(status.bgpId) }),
    incoming: status.incoming,
    passive: config.fsm.passive,
    ...(range === undefined ? {} : { range: formatRange(range.prefix) }),
    ...timersOf(status, config.fsm.keepaliveSec, now),
    importPolicy: routes.importPolicy.name,
    exportPolicy: routes.exportPolicy.name,
    families: config.families.map(({ family, prefixLimit }) => ({
      family: formatFamily(family),
      received: speaker.rib.prefixCount(ribPeer, family),
      ...usedCounts(speaker, neighbor, family),
      advertised: negotiated === undefined ? 0 : speaker.out.count(ribPeer, family),
      stale: status.stale.includes(family),
      ...(prefixLimit === undefined ? {} : { limit: prefixLimit.limit }),
    })),
    capabilities: capabilitiesOf(neighbor),
    ...(status.opens === undefined
      ? {}
      : { announced: capabilitiesRow(status.opens.sent), heard: capabilitiesRow(status.opens.received) }),
    messagesIn: byType(status.counters.messagesIn),
    messagesOut: byType(status.counters.messagesOut),
    bytesIn: status.counters.octetsIn,
    bytesOut: status.counters.octetsOut,
    bytesInByType: byType(status.counters.octetsInByType),
    bytesOutByType: byType(status.counters.octetsOutByType),
    established: status.counters.established,
    dropped: status.counters.dropped,
    ...lastDownOf(status),
    ...(status.fault === undefined ? {} : { fault: faultRow(status.fault.reason) }),
    ...(status.backOffUntil > now && Number.isFinite(status.backOffUntil)
      ? { backOffSec: seconds(status.backOffUntil - now) }
      : {}),
    bytesQueued: status.queuedBytes,
    prefixesQueued: negotiated === undefined ? 0 : speaker.out.pending(ribPeer),
  };
}

function lastDownOf({ lastDown }: PeerStatus): Pick<BgpPeerRow, "lastDown" | "downText"> {
  if (lastDown === undefined) return {};
  const { reason } = lastDown;
  const text = reason.t === "remote" ? farewell(reason) : undefined;
  return { lastDown: describeDown(reason), ...(text === undefined ? {} : { downText: text }) };
}

function timersOf(
  { negotiated, holdUntil, keepaliveAt }: PeerStatus,
  askedSec: number | undefined,
  now: Instant,
): Pick<BgpPeerRow, "holdTimeSec" | "keepaliveSec" | "holdLeftSec" | "keepaliveLeftSec"> {
  if (negotiated === undefined) return {};
  const { holdTimeSec } = negotiated;
  return {
    holdTimeSec,
    keepaliveSec: keepaliveTimeSec(holdTimeSec, askedSec),
    ...(Number.isFinite(holdUntil) ? { holdLeftSec: seconds(holdUntil - now) } : {}),
    ...(Number.isFinite(keepaliveAt) ? { keepaliveLeftSec: seconds(keepaliveAt - now) } : {}),
  };
}

function usedCounts(
  speaker: BgpSpeaker,
  neighbor: Neighbor,
  family: Family,
): Pick<BgpFamilyRow, "accepted" | "preferred"> {
  let accepted = 0;
  let preferred = 0;
  for (const path of speaker.rib.pathsOf(neighbor.ribPeer, family)) {
    if (path.ineligible === undefined) accepted++;
    if (path.dest.best === path) preferred++;
  }
  return { accepted, preferred };
}

function capabilitiesOf({ negotiated }: Neighbor): string[] {
  if (negotiated === undefined) return [];
  const text = negotiated.families.map(formatFamily);
  if (negotiated.as4) text.push("4-octet AS");
  if (negotiated.refresh) text.push("route refresh");
  if (negotiated.enhancedRefresh) text.push("enhanced route refresh");
  if (negotiated.txMaxBytes > 4096) text.push("extended messages");
  for (const family of negotiated.addPathRx) text.push(`ADD-PATH receive ${formatFamily(family)}`);
  for (const family of negotiated.addPathTx) text.push(`ADD-PATH send ${formatFamily(family)}`);
  for (const family of negotiated.extNextHop) text.push(`IPv6 next hops for ${formatFamily(family)}`);
  if (negotiated.gracefulRestart !== undefined) text.push(formatCapability(negotiated.gracefulRestart));
  return text;
}

function byType(counts: readonly number[]): Record<string, number> {
  return Object.fromEntries(counts.map((count, type) => [messageName(type), count]).slice(1));
}

function formatPeerAs(as: Neighbor["peer"]["config"]["peerAs"]): string {
  return typeof as === "object" ? [...as].join(",") : String(as);
}

function formatRange({ addr, len }: { readonly addr: number; readonly len: number }): string {
  return `${formatIpv4(addr)}/${len}`;
}

/** Loc-RIB and all that it was chosen from, by prefix, the chosen paths first. */
export function routeRows(speaker: BgpSpeaker, now: Instant, only?: RibPrefix): BgpRouteRow[] {
  return destinationsOf(speaker, only).flatMap((dest) =>
    explain(dest, speaker.config.decision, speaker.config.localAs).map(({ path, reason }) => ({
      ...pathRow(path, path.imported ?? path.received, now),
      why: dest.best === undefined && path.ineligible === undefined ? UNDECIDED : reason,
    })),
  );
}

/** Adj-RIB-In of a neighbour: as it came, before policy. */
export function ribInRows(speaker: BgpSpeaker, neighbor: Neighbor, now: Instant): BgpRouteRow[] {
  return [...eachRibInRow(speaker, neighbor, now)];
}

/** The same, each row made when it is asked for: of a large table they are many times as large as the table. */
export function* eachRibInRow(
  speaker: BgpSpeaker,
  neighbor: Neighbor,
  now: Instant,
): Generator<BgpRouteRow, void, void> {
  for (const { family } of neighbor.peer.config.families) {
    const paths = [...speaker.rib.pathsOf(neighbor.ribPeer, family)].sort((x, y) => byPrefix(x.dest, y.dest));
    for (const path of paths) {
      const why = path.ineligible === undefined ? {} : { why: path.ineligible };
      yield { ...pathRow(path, path.received, now), ...why };
    }
  }
}

/** Adj-RIB-Out of a neighbour: as it was told, or is about to be. */
export function ribOutRows(speaker: BgpSpeaker, neighbor: Neighbor, now: Instant): BgpRouteRow[] {
  return [...eachRibOutRow(speaker, neighbor, now)];
}

/** The same, each row made when it is asked for. */
export function* eachRibOutRow(
  speaker: BgpSpeaker,
  neighbor: Neighbor,
  now: Instant,
): Generator<BgpRouteRow, void, void> {
  const { negotiated } = neighbor;
  for (const family of negotiated?.families ?? []) {
    const addPath = negotiated?.addPathTx.includes(family) === true;
    const routes = [...speaker.out.dump(neighbor.ribPeer, family)].sort((x, y) => byPrefix(x.dest, y.dest));
    for (const { dest, pathId, route } of routes) {
      const path = addPath ? dest.paths.find(({ localId }) => localId === pathId) : dest.best;
      yield {
        prefix: formatRibPrefix(dest),
        family: formatFamily(dest.family),
        chosen: path === undefined ? "" : chosenAs(path),
        ...attributesRow(route),
        from: path === undefined ? "" : sourceName(path),
        fromAddr: path === undefined ? "" : formatIpv4(path.source.config.addr),
        source: path === undefined ? "local" : sourceKind(path),
        pathId,
        metric: 0,
        stale: false,
        ageSec: path === undefined ? 0 : seconds(now - path.at),
      };
    }
  }
}

function destinationsOf(speaker: BgpSpeaker, only: RibPrefix | undefined): Destination[] {
  if (only !== undefined) {
    const dest = speaker.rib.lookup(only);
    return dest === undefined ? [] : [dest];
  }
  const families = [Family.IPV4_UNICAST, Family.IPV6_UNICAST];
  return families.flatMap((family) => [...speaker.rib.destinations(family)].sort(byPrefix));
}

/** As after a restart, while neighbours have not told all of theirs. */
const UNDECIDED = "not decided yet";

function pathRow(path: Path, route: RouteAttributes, now: Instant): BgpRouteRow {
  return {
    prefix: formatRibPrefix(path.dest),
    family: formatFamily(path.dest.family),
    chosen: chosenAs(path),
    ...attributesRow(route),
    from: sourceName(path),
    fromAddr: formatIpv4(path.source.config.addr),
    source: sourceKind(path),
    pathId: path.pathId,
    metric: path.metric,
    stale: path.stale,
    ageSec: seconds(now - path.at),
    ...(path.ineligible === undefined ? {} : { ineligible: path.ineligible }),
  };
}

function chosenAs(path: Path): BgpRouteRow["chosen"] {
  const { best, multipath } = path.dest;
  if (path === best) return "best";
  return multipath.includes(path) ? "multipath" : "";
}

const ORIGINS = ["IGP", "EGP", "incomplete"] as const;

function attributesRow(
  route: RouteAttributes,
): Omit<
  BgpRouteRow,
  "prefix" | "family" | "chosen" | "from" | "fromAddr" | "source" | "pathId" | "metric" | "stale" | "ageSec"
> {
  const a = route.attributes;
  return {
    nextHop: route.nextHop === NEXT_HOP_SELF ? "self" : formatNextHop(route.nextHop),
    origin: a.origin === undefined ? "" : (ORIGINS[a.origin] ?? ""),
    asPath: a.asPath === undefined ? "" : formatAsPath(a.asPath),
    ...(a.localPref === undefined ? {} : { localPref: a.localPref }),
    ...(a.med === undefined ? {} : { med: a.med }),
    weight: route.weight,
    communities: a.communities.map(formatCommunity),
    extCommunities: a.extCommunities.map(formatExtCommunity),
    largeCommunities: a.largeCommunities.map(formatLargeCommunity),
    ...(a.originatorId === undefined ? {} : { originatorId: formatIpv4(a.originatorId) }),
    clusterList: a.clusterList.map(formatIpv4),
    ...(a.aggregator === undefined
      ? {}
      : { aggregator: `${a.aggregator.as} ${formatIpv4(a.aggregator.addr)}` }),
    atomicAggregate: a.atomicAggregate,
    unknown: a.unknown.map(({ type, value }) => `${type}:${hex(value)}`),
  };
}

function sourceName({ source }: Path): string {
  return source.local ? "local" : source.config.name;
}

function sourceKind({ source }: Path): BgpRouteRow["source"] {
  if (source.local) return "local";
  return source.config.internal ? "internal" : "external";
}

/** "10.0.0.0/8", "fd00::/8". */
export function formatRibPrefix(prefix: RibPrefix): string {
  const addr = prefix.family === Family.IPV4_UNICAST ? formatIpv4(prefix.a) : formatIpv6(prefix);
  return `${addr}/${prefix.len}`;
}

/** In the order of their addresses, shorter ones first. */
export function byPrefix(x: RibPrefix, y: RibPrefix): number {
  return x.family - y.family || x.a - y.a || x.b - y.b || x.c - y.c || x.d - y.d || x.len - y.len;
}

function hex(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** With milliseconds: a moment that is counted back from two looks is the same one. */
function seconds(us: number): number {
  return Math.max(0, Math.floor(us / MS_US)) / 1000;
}
