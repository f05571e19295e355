// The attributes of a route as BIRD prints them, in the order of their types.
import type { BgpRouteRow } from "../../routing/bgp/speaker/inspect.ts";
import { parseCommunity, parseExtCommunity } from "../../wire/bgp/communities.ts";

/** @param exported as it is told: then LOCAL_PREF is there only where the neighbour gets one */
export function* attributeLines(row: BgpRouteRow, exported: boolean): Generator<string, void, void> {
  const local = row.source === "local";
  yield `\tType: ${local ? "static" : "BGP"} univ`;
  if (!local || exported) {
    yield `\tBGP.origin: ${row.origin === "incomplete" ? "Incomplete" : row.origin}`;
    yield `\tBGP.as_path: ${row.asPath}`;
    yield `\tBGP.next_hop: ${row.nextHop}`;
  }
  if (row.med !== undefined) yield `\tBGP.med: ${row.med}`;
  // A route that came without has the default, which BIRD writes into it.
  const localPref = row.localPref ?? (local || exported ? undefined : 100);
  if (localPref !== undefined) yield `\tBGP.local_pref: ${localPref}`;
  if (row.atomicAggregate) yield "\tBGP.atomic_aggr: ";
  if (row.aggregator !== undefined) yield `\tBGP.aggregator: ${aggregatorText(row.aggregator)}`;
  if (row.communities.length > 0) yield `\tBGP.community: ${row.communities.map(communityText).join(" ")}`;
  if (row.originatorId !== undefined) yield `\tBGP.originator_id: ${row.originatorId}`;
  if (row.clusterList.length > 0) yield `\tBGP.cluster_list: ${row.clusterList.join(" ")}`;
  if (row.extCommunities.length > 0) {
    yield `\tBGP.ext_community: ${row.extCommunities.map(extCommunityText).join(" ")}`;
  }
  if (row.largeCommunities.length > 0) {
    yield `\tBGP.large_community: ${row.largeCommunities.map(largeText).join(" ")}`;
  }
  for (const one of row.unknown) yield `\t${unknownText(one)}`;
}

/** "64999 1.2.3.4" → "1.2.3.4 AS64999" */
function aggregatorText(text: string): string {
  const [as, addr] = text.split(" ");
  return `${addr} AS${as}`;
}

/** "64512:1" or "no-export" → "(64512,1)", "(65535,65281)" */
function communityText(text: string): string {
  const community = parseCommunity(text);
  return community === undefined ? text : `(${community >>> 16},${community & 0xffff})`;
}

/** "rt:64512:100" → "(rt, 64512, 100)"; what has no name → "(generic, 0x43000000, 0x1)" */
function extCommunityText(text: string): string {
  const community = parseExtCommunity(text);
  if (community === undefined) return text;
  const [name, administrator = "", value] = text.split(":");
  if (value !== undefined) return `(${name}, ${administrator.replace(/L$/, "")}, ${value})`;
  return `(generic, 0x${community.high.toString(16)}, 0x${community.low.toString(16)})`;
}

function largeText(text: string): string {
  return `(${text.replaceAll(":", ", ")})`;
}

/** "99:0102ff" → "BGP.63 [t]: 01 02 ff": only those that pass on unknown ones are kept. */
function unknownText(text: string): string {
  const [type, value = ""] = text.split(":");
  return `BGP.${Number(type).toString(16).padStart(2, "0")} [t]: ${(value.match(/../g) ?? []).join(" ")}`;
}
