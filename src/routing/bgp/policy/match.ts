import { unreachable } from "../../../base/assert.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import { EMPTY_AS_PATH, originAs } from "../../../wire/bgp/as-path.ts";
import {
  compareExtCommunities,
  compareLargeCommunities,
  sortCommunities,
  sortExtCommunities,
  sortLargeCommunities,
} from "../../../wire/bgp/communities.ts";
import type { RibPeer } from "../rib/rib-peer.ts";
import type { RouteAttributes } from "../rib/route.ts";
import { compilePathExpression } from "./as-path-matcher.ts";
import type { Match, PrefixMatch, SourceMatch } from "./policy.ts";
import { checkPrefixMatch, nextHopIn, type PrefixRange } from "./prefix-match.ts";
import { checkNumber, checkNumbers, type NumberKind } from "./value-ranges.ts";

/** Asks one thing of a route's attributes and of where it comes from. */
export type RouteTest = (route: RouteAttributes, source: RibPeer) => boolean;

/** A match, ready to be asked. The prefixes stand apart, because all rules' prefixes are looked up together. */
export interface CompiledMatch {
  /** Undefined: every prefix. */
  readonly prefixes: readonly PrefixRange[] | undefined;
  /** All must hold. The cheap ones come first. */
  readonly tests: readonly RouteTest[];
}

/** Takes every route. */
export const MATCH_ALL: CompiledMatch = { prefixes: undefined, tests: [] };

/** Refused: what is wrong with it. @param expressionLength characters that an AS path expression may have */
export function compileMatch(match: Match, expressionLength: number): Result<CompiledMatch, string> {
  const tests: RouteTest[] = [];
  for (const compile of COMPILERS) {
    const test = compile(match, expressionLength);
    if (!test.ok) return test;
    if (test.value !== undefined) tests.push(test.value);
  }
  if (match.prefixes === undefined) return ok({ prefixes: undefined, tests });
  const prefixes = checkPrefixes(match.prefixes);
  return prefixes.ok ? ok({ prefixes: prefixes.value, tests }) : prefixes;
}

function checkPrefixes(matches: readonly PrefixMatch[]): Result<readonly PrefixRange[], string> {
  const ranges: PrefixRange[] = [];
  for (const match of matches) {
    const range = checkPrefixMatch(match);
    if (!range.ok) return range;
    ranges.push(range.value);
  }
  return ok(ranges);
}

/** Undefined: the match asks nothing of the kind. */
type Compiler = (match: Match, expressionLength: number) => Result<RouteTest | undefined, string>;

const NOTHING: Result<undefined, string> = ok(undefined);

const COMPILERS: readonly Compiler[] = [
  (match) => compileSource(match.source),
  (match) => compileRange("local preference", "u32", match.localPref, (route) => route.localPref),
  (match) => compileRange("MED", "u32", match.med, (route) => route.attributes.med),
  (match) => compileRange("AS path length", "u32", match.asPathLength, (route) => route.asPathLength),
  (match) => compileOneOf("origin", "origin", match.origin, (route) => route.attributes.origin),
  (match) => compileOneOf("neighbour AS", "as", match.neighborAs, (route) => route.neighborAs),
  (match) => compileOneOf("origin AS", "as", match.originAs, originAsOf),
  (match) => compileNextHop(match.nextHop),
  compileCommunities,
  compileExtCommunities,
  compileLargeCommunities,
  compileAsPath,
];

function originAsOf(route: RouteAttributes): number | undefined {
  return originAs(route.attributes.asPath ?? EMPTY_AS_PATH);
}

function compileSource(sources: readonly SourceMatch[] | undefined): Result<RouteTest | undefined, string> {
  if (sources === undefined) return NOTHING;
  return ok((_, source) => sources.some((one) => isFrom(one, source)));
}

function isFrom(match: SourceMatch, source: RibPeer): boolean {
  if (typeof match !== "string") return !source.local && source.config.name === match.peer;
  switch (match) {
    case "local":
      return source.local;
    case "internal":
      return !source.local && source.config.internal;
    case "external":
      return !source.local && !source.config.internal;
    case "rrClient":
      return !source.local && source.config.rrClient;
    default:
      return unreachable(match);
  }
}

/** A value that a route does not have is in no range. */
function compileRange(
  name: string,
  kind: NumberKind,
  range: { readonly min?: number; readonly max?: number } | undefined,
  valueOf: (route: RouteAttributes) => number | undefined,
): Result<RouteTest | undefined, string> {
  if (range === undefined) return NOTHING;
  const { min, max } = range;
  const wrong = checkNumber(name, kind, min) ?? checkNumber(name, kind, max);
  if (wrong !== undefined) return err(wrong);
  if (min !== undefined && max !== undefined && min > max) {
    return err(`${name} from ${min} to ${max}: there is none`);
  }
  return ok((route) => {
    const value = valueOf(route);
    return value !== undefined && (min === undefined || value >= min) && (max === undefined || value <= max);
  });
}

function compileOneOf(
  name: string,
  kind: NumberKind,
  list: readonly number[] | undefined,
  valueOf: (route: RouteAttributes) => number | undefined,
): Result<RouteTest | undefined, string> {
  if (list === undefined) return NOTHING;
  const wrong = checkNumbers(name, kind, list);
  if (wrong !== undefined) return err(wrong);
  const values = new Set(list);
  return ok((route) => {
    const value = valueOf(route);
    return value !== undefined && values.has(value);
  });
}

function compileNextHop(matches: readonly PrefixMatch[] | undefined): Result<RouteTest | undefined, string> {
  if (matches === undefined) return NOTHING;
  if (matches.some((one) => one.lenMin !== undefined || one.lenMax !== undefined)) {
    return err("a next hop is an address: prefixes for it have no range of lengths");
  }
  const ranges = checkPrefixes(matches);
  if (!ranges.ok) return ranges;
  const prefixes = ranges.value.map((range) => range.prefix);
  return ok((route) => prefixes.some((prefix) => nextHopIn(prefix, route.nextHop)));
}

function compileCommunities({ communities }: Match): Result<RouteTest | undefined, string> {
  if (communities === undefined) return NOTHING;
  const wrong = checkNumbers("community", "u32", communities);
  if (wrong !== undefined) return err(wrong);
  const wanted = sortCommunities(communities);
  return ok((route) => meet(wanted, route.attributes.communities, (x, y) => x - y));
}

function compileExtCommunities({ extCommunities }: Match): Result<RouteTest | undefined, string> {
  if (extCommunities === undefined) return NOTHING;
  const wanted = sortExtCommunities(extCommunities);
  return ok((route) => meet(wanted, route.attributes.extCommunities, compareExtCommunities));
}

function compileLargeCommunities({ largeCommunities }: Match): Result<RouteTest | undefined, string> {
  if (largeCommunities === undefined) return NOTHING;
  const wanted = sortLargeCommunities(largeCommunities);
  return ok((route) => meet(wanted, route.attributes.largeCommunities, compareLargeCommunities));
}

/** Have two ascending lists an element in common? */
function meet<T>(xs: readonly T[], ys: readonly T[], compare: (x: T, y: T) => number): boolean {
  for (let i = 0, j = 0; i < xs.length && j < ys.length; ) {
    const order = compare(xs[i] as T, ys[j] as T);
    if (order === 0) return true;
    if (order < 0) i++;
    else j++;
  }
  return false;
}

function compileAsPath({ asPath }: Match, maxLength: number): Result<RouteTest | undefined, string> {
  if (asPath === undefined) return NOTHING;
  const compiled = compilePathExpression(asPath, maxLength);
  if (!compiled.ok) return err(`AS path expression "${asPath.slice(0, 64)}": ${compiled.error}`);
  const matcher = compiled.value;
  return ok((route) => matcher.matches(route.attributes.asPath ?? EMPTY_AS_PATH));
}
