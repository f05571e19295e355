// What is asked for with `show route`.
import { err, ok, type Result } from "../../base/result.ts";
import { parseRibAddress, parseRibPrefix } from "../../routing/bgp/rib/prefix-text.ts";
import type { RibPrefix } from "../../routing/bgp/rib/route.ts";
import { formatFamily } from "../../wire/bgp/family.ts";
import type { Word } from "./birdc-words.ts";
import { BIRD_TABLES } from "./family-word.ts";
import { unexpected, unknownProtocol } from "./syntax.ts";

export interface RouteQuery {
  /** One prefix, or the longest that contains it. */
  readonly only: RibPrefix | undefined;
  readonly longest: boolean;
  /** Families whose tables are meant. */
  readonly families: readonly string[];
  /** Routes of one protocol alone. */
  readonly protocol: string | undefined;
  /** What is told to this protocol's neighbour. */
  readonly exportTo: string | undefined;
  readonly verbose: boolean;
  readonly primary: boolean;
  /** Those that the import policy or a loop keeps out. */
  readonly filtered: boolean;
  /** Numbers instead of routes, or behind them. */
  readonly count: boolean;
  readonly stats: boolean;
}

type Draft = { -readonly [K in keyof RouteQuery]: RouteQuery[K] };

const EXPECTED =
  "a prefix, for ADDRESS, all, primary, protocol NAME, export NAME, table NAME, filtered, count, stats or the end";

/** @param names of the protocols that there are */
export function parseRouteQuery(
  words: readonly Word[],
  names: readonly string[],
): Result<RouteQuery, string> {
  const draft: Draft = {
    only: undefined,
    longest: false,
    families: BIRD_TABLES.map(({ family }) => family),
    protocol: undefined,
    exportTo: undefined,
    verbose: false,
    primary: false,
    filtered: false,
    count: false,
    stats: false,
  };
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const wrong = readWord(word, rest, draft, names);
    if (wrong !== undefined) return err(wrong);
  }
  const { only } = draft;
  if (only !== undefined) {
    draft.families = draft.families.filter((family) => family === formatFamily(only.family));
  }
  return ok(draft);
}

const FLAGS: Readonly<Record<string, "verbose" | "primary" | "filtered" | "count" | "stats">> = {
  all: "verbose",
  primary: "primary",
  filtered: "filtered",
  count: "count",
  stats: "stats",
};

/** Takes what belongs to the word off `rest`. Answers what is wrong with it. */
function readWord(word: Word, rest: Word[], draft: Draft, names: readonly string[]): string | undefined {
  const keyword = word.quoted ? "" : word.text;
  const flag = Object.hasOwn(FLAGS, keyword) ? FLAGS[keyword] : undefined;
  if (flag !== undefined) {
    draft[flag] = true;
    return undefined;
  }
  switch (keyword) {
    case "for":
      return readFor(rest.shift(), draft);
    case "protocol":
    case "export":
      return readProtocol(keyword, rest.shift(), draft, names);
    case "table":
      return readTable(rest.shift(), draft);
    default:
      return word.quoted || !/[./:]/.test(keyword) ? unexpected(word, EXPECTED) : readPrefix(word, draft);
  }
}

function readFor(word: Word | undefined, draft: Draft): string | undefined {
  const address = word === undefined || word.quoted ? undefined : parseRibAddress(word.text);
  const prefix = word === undefined || address !== undefined ? undefined : parseRibPrefix(word.text);
  const only = address ?? (prefix?.ok ? prefix.value : undefined);
  if (only === undefined) return unexpected(word, "an address or a prefix");
  return setOnly(only, true, draft);
}

function readPrefix(word: Word, draft: Draft): string | undefined {
  const prefix = parseRibPrefix(word.text);
  if (prefix.ok) return setOnly(prefix.value, false, draft);
  const hint = parseRibAddress(word.text) === undefined ? "" : `; for an address write: for ${word.text}`;
  return `Invalid prefix ${word.text}: it must ${prefix.error}${hint}`;
}

function setOnly(only: RibPrefix, longest: boolean, draft: Draft): string | undefined {
  if (draft.only !== undefined) return "Only one prefix expected";
  draft.only = only;
  draft.longest = longest;
  return undefined;
}

function readProtocol(
  keyword: "protocol" | "export",
  word: Word | undefined,
  draft: Draft,
  names: readonly string[],
): string | undefined {
  if (word === undefined || word.quoted) return unexpected(word, "the name of a protocol");
  if (!names.includes(word.text)) return unknownProtocol(word.text, names);
  if (keyword === "protocol") draft.protocol = word.text;
  else draft.exportTo = word.text;
  return undefined;
}

function readTable(word: Word | undefined, draft: Draft): string | undefined {
  const found = BIRD_TABLES.find(({ table }) => word?.quoted === false && table === word.text);
  if (found !== undefined) draft.families = [found.family];
  else if (word?.text !== "all") {
    return unexpected(
      word,
      BIRD_TABLES.map(({ table }) => table)
        .join(", ")
        .concat(" or all"),
    );
  }
  return undefined;
}
