// `show route`: the routes of the two tables, master4 and master6, in the order of their prefixes.
import type { BgpRouteRow } from "../../routing/bgp/speaker/inspect.ts";
import type { BirdcSpeaker } from "./birdc-speaker.ts";
import type { Word } from "./birdc-words.ts";
import type { CommandText } from "./command-text.ts";
import { isFiltered, protocolOf } from "./route-lines.ts";
import { parseRouteQuery, type RouteQuery } from "./route-query.ts";
import { RouteTables } from "./route-tables.ts";
import { protocolNames } from "./syntax.ts";

/** `show route [PREFIX | for ADDRESS] [all] [primary] [protocol NAME] [export NAME] [table NAME] [filtered] [count | stats]` */
export function* showRoute(words: readonly Word[], speaker: BirdcSpeaker): CommandText {
  const parsed = parseRouteQuery(words, protocolNames(speaker.peers()));
  if (!parsed.ok) {
    yield parsed.error;
    return 1;
  }
  const query = spoken(parsed.value, speaker);
  const tables = new RouteTables(query, speaker);
  const found = yield* lookThrough(query, speaker, tables);
  if (query.exportTo !== undefined) yield* showExported(query, query.exportTo, speaker, tables);
  yield* tables.end();
  if (query.only === undefined || found !== undefined) return 0;
  yield "Network not found";
  return 1;
}

/** A neighbour is told only of the families of its session. */
function spoken(query: RouteQuery, speaker: BirdcSpeaker): RouteQuery {
  const peer = speaker.peers().find(({ name }) => name === query.exportTo);
  if (query.exportTo === undefined) return query;
  const told = peer?.state === "Established" ? peer.families.map(({ family }) => family) : [];
  return { ...query, families: query.families.filter((family) => told.includes(family)) };
}

/** Counts what there is, and shows what is meant unless that is what somebody is told. Answers the last prefix that there is. */
function* lookThrough(
  query: RouteQuery,
  speaker: BirdcSpeaker,
  tables: RouteTables,
): Generator<string, string | undefined, void> {
  const { only, longest, exportTo, filtered, primary } = query;
  let prefix: string | undefined;
  for (const row of speaker.routes(only, longest)) {
    if (isFiltered(row) !== filtered) continue;
    const first = row.prefix !== prefix;
    prefix = row.prefix;
    if (primary && !first) continue;
    tables.count(row.family, first);
    if (exportTo === undefined && isMeant(row, query)) yield* tables.show(row);
  }
  return prefix;
}

/** What the neighbour of that name is told, of the prefix that was asked for. */
function* showExported(
  query: RouteQuery,
  name: string,
  speaker: BirdcSpeaker,
  tables: RouteTables,
): Generator<string, void, void> {
  const { only, longest } = query;
  let wanted: string | undefined;
  if (only !== undefined) {
    for (const { prefix } of speaker.routes(only, longest)) {
      wanted = prefix;
      break;
    }
    if (wanted === undefined) return;
  }
  for (const row of speaker.ribOut(name)) {
    if ((wanted === undefined || row.prefix === wanted) && isMeant(row, query)) yield* tables.show(row);
  }
}

function isMeant(row: BgpRouteRow, { protocol, primary }: RouteQuery): boolean {
  if (primary && row.chosen !== "best") return false;
  return protocol === undefined || protocol === protocolOf(row);
}
