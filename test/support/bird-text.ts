// What birdc prints, as values.
import type { BgpRouteRow } from "../../src/routing/bgp/speaker/inspect.ts";
import { parseCommunity, parseExtCommunity } from "../../src/wire/bgp/communities.ts";

/** One line of `show protocols all`, with what stands below it. */
export interface BirdProtocol {
  readonly name: string;
  /** Of the protocol: "up", "start", "down". */
  readonly state: string;
  /** As it ends the line: "Established", "Idle          Received: Administrative shutdown". */
  readonly info: string;
  /** What stands below, "key: value"; the first of equal keys, so that those of the first channel win. */
  readonly fields: Readonly<Record<string, string>>;
  /** All of it. */
  readonly text: string;
}

/** One path of `show route all`. */
export interface BirdRoute {
  readonly table: string;
  readonly prefix: string;
  /** "unicast", "blackhole", "unreachable". */
  readonly kind: string;
  readonly protocol: string;
  /** The neighbour's address, where it is not the next hop. */
  readonly from: string | undefined;
  readonly best: boolean;
  /** BGP's, as printed: "origin" is "IGP", "community" is "(64512,1) (64512,7)"; one that it does not know is "c7 [t]". */
  readonly attributes: Readonly<Record<string, string>>;
}

/** @param text of `show protocols all NAME` for one name */
export function parseBirdProtocol(text: string): BirdProtocol {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => /^\S+\s+(BGP|Static)\s/.test(line));
  const head = /^(\S+)\s+\S+\s+\S+\s+(\S+)\s+\S+\s*(.*?)\s*$/.exec(lines[at] ?? "");
  if (head === null) throw new Error(`no protocol in: ${text}`);
  const fields: Record<string, string> = {};
  for (const line of lines.slice(at + 1)) {
    const [, key, value] = /^\s+([^:]+):\s*(.*?)\s*$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) fields[key] ??= value;
  }
  const [, name = "", state = "", info = ""] = head;
  return { name, state, info, fields, text };
}

const ROUTE =
  /^(\S*)\s+(unicast|blackhole|unreachable|prohibited)\s+\[(\S+) [\d:.-]+(?: from (\S+))?\]( \*)? \(/;

/** @param text of `show route … all` */
export function parseBirdRoutes(text: string): BirdRoute[] {
  const routes: BirdRoute[] = [];
  let table = "";
  let prefix = "";
  let attributes: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const named = /^Table (\S+):$/.exec(line);
    if (named !== null) {
      table = named[1] ?? "";
      continue;
    }
    const head = ROUTE.exec(line);
    if (head === null) {
      const [, key, value] = /^\s+BGP\.([^:]+):\s?(.*)$/.exec(line) ?? [];
      if (key !== undefined && value !== undefined) attributes[key] = value;
      continue;
    }
    const [, given = "", kind = "", protocol = "", from, star] = head;
    // Further paths to a prefix do not repeat it.
    if (given !== "") prefix = given;
    attributes = {};
    routes.push({ table, prefix, kind, protocol, from, best: star !== undefined, attributes });
  }
  return routes;
}

const ORIGINS: Readonly<Record<string, string>> = {
  IGP: "IGP",
  EGP: "EGP",
  incomplete: "Incomplete",
  "": "",
};

/** The attributes of a route of ours as BIRD would print them. */
export function asBirdPrints(row: BgpRouteRow): Record<string, string> {
  const known = {
    origin: ORIGINS[row.origin],
    as_path: row.asPath,
    next_hop: row.nextHop,
    med: row.med?.toString(),
    local_pref: row.localPref?.toString(),
    atomic_aggr: row.atomicAggregate ? "" : undefined,
    aggregator: row.aggregator?.replace(/^(\d+) (.*)$/, "$2 AS$1"),
    community: listOf(row.communities.map(birdCommunity)),
    originator_id: row.originatorId,
    cluster_list: listOf(row.clusterList),
    ext_community: listOf(row.extCommunities.map(birdExtCommunity)),
    large_community: listOf(row.largeCommunities.map((one) => `(${one.replaceAll(":", ", ")})`)),
  };
  const attributes: Record<string, string> = {};
  for (const [key, value] of Object.entries(known)) if (value !== undefined) attributes[key] = value;
  for (const one of row.unknown) {
    const [type, hex = ""] = one.split(":");
    attributes[`${Number(type).toString(16).padStart(2, "0")} [t]`] = hex.replace(/(..)(?=.)/g, "$1 ");
  }
  return attributes;
}

function listOf(list: readonly string[]): string | undefined {
  return list.length === 0 ? undefined : list.join(" ");
}

function birdCommunity(text: string): string {
  const value = parseCommunity(text) ?? 0;
  return `(${value >>> 16},${value & 0xffff})`;
}

/** Route targets and origins by name, all else as two numbers. */
function birdExtCommunity(text: string): string {
  const named = /^(rt|ro):(.*):(\d+)$/.exec(text);
  if (named !== null) return `(${named[1]}, ${named[2]}, ${named[3]})`;
  const { high, low } = parseExtCommunity(text) ?? { high: 0, low: 0 };
  return `(generic, 0x${high.toString(16)}, 0x${low.toString(16)})`;
}
