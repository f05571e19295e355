// One route as BIRD prints it. There is no interface in it: a speaker that forwards nothing has none.
import type { BgpRouteRow } from "../../routing/bgp/speaker/inspect.ts";
import { shortTime } from "./bird-time.ts";
import type { BirdcSpeaker } from "./birdc-speaker.ts";
import { attributeLines } from "./route-attributes.ts";
import { LOCAL } from "./syntax.ts";

export interface RouteStyle {
  /** With the attributes. */
  readonly verbose: boolean;
  /** As it is told to somebody, rather than as it stands in the table. */
  readonly exported: boolean;
  /** In milliseconds since 1970. */
  readonly now: number;
}

/** BIRD's name for who the route comes from. */
export function protocolOf({ source, from }: BgpRouteRow): string {
  return source === "local" ? LOCAL : from;
}

/** @param prefix "" when the line before has it */
export function* routeLines(
  row: BgpRouteRow,
  prefix: string,
  style: RouteStyle,
  speaker: BirdcSpeaker,
): Generator<string, void, void> {
  const since = shortTime(style.now - row.ageSec * 1000, style.now, speaker);
  const from = row.source === "local" || row.fromAddr === row.nextHop ? "" : ` from ${row.fromAddr}`;
  const primary = row.chosen === "best" ? " *" : "";
  const target = destination(row);
  yield `${prefix.padEnd(20)} ${target} [${protocolOf(row)} ${since}${from}]${primary}${preference(row)}`;
  if (target === "unicast") yield `\tvia ${row.nextHop}`;
  if (style.verbose) yield* attributeLines(row, style.exported);
}

/** BIRD keeps such routes aside, if at all; those that lead nowhere are in its table. */
export function isFiltered({ ineligible }: BgpRouteRow): boolean {
  return ineligible !== undefined && !NOWHERE.includes(ineligible);
}

const NOWHERE: readonly BgpRouteRow["ineligible"][] = ["unreachable", "martianNextHop", "ownNextHop"];

/** Our own networks lead nowhere else, as a static route of BIRD's that is there to be announced. */
function destination({ nextHop, ineligible }: BgpRouteRow): "unicast" | "blackhole" | "unreachable" {
  if (nextHop === "self") return "blackhole";
  return ineligible !== undefined && NOWHERE.includes(ineligible) ? "unreachable" : "unicast";
}

const ORIGIN_LETTERS: Readonly<Record<BgpRouteRow["origin"], string>> = {
  IGP: "i",
  EGP: "e",
  incomplete: "?",
  "": "",
};

/** BIRD's preference, the metric of the way to the next hop, and the AS that the route comes from. */
function preference({ source, stale, metric, asPath, origin }: BgpRouteRow): string {
  if (source === "local") return " (200)";
  const as = /(?:^| )(\d+)$/.exec(asPath)?.[1];
  const way = metric === 0 ? "" : `/${metric}`;
  return ` (100${stale ? "s" : ""}${way}) [${as === undefined ? "" : `AS${as}`}${ORIGIN_LETTERS[origin]}]`;
}
