// The choice between the paths to one destination, by elimination: each step strikes out the paths that are worse than the best of
// those left. Comparing two at a time would not do, since MED makes "better" intransitive. The steps are in decision-steps.ts.
// Read RFC 4271 section 9.1.2.2 first, then RFC 4456 section 9.
import { EMPTY_AS_PATH, sameAsPath } from "../../../wire/bgp/as-path.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import {
  type CostStep,
  type DecisionStep,
  EQUAL_STEPS,
  LAST_STEPS,
  medGroup,
  STEPS_AFTER_MED,
  STEPS_FROM_MED,
  STEPS_TO_MED,
  TIE_BREAKS,
} from "./decision-steps.ts";
import type { Path, RouteAttributes } from "./route.ts";
import { sameNextHop } from "./same-route.ts";

/** Knobs of the decision process. */
export interface DecisionOptions {
  /** Compare MED between paths through different ASs, too. @rfc 4451#2.1 */
  readonly alwaysCompareMed: boolean;
  /** A path without MED loses to any with one, instead of counting as 0. */
  readonly missingMedWorst: boolean;
  /** Among external paths that are equal so far, keep the one that is chosen already. @rfc 5004#3 */
  readonly preferOldest: boolean;
  /** How many equal paths may share the load; 1: one alone. */
  readonly multipathMax: number;
  /** Paths of equal length share the load even when they go through different ASs. */
  readonly multipathRelax: boolean;
}

/** As RFC 4271 has it. */
export const DEFAULT_DECISION: DecisionOptions = {
  alwaysCompareMed: false,
  missingMedWorst: false,
  preferOldest: false,
  multipathMax: 1,
  multipathRelax: false,
};

/** What was chosen. */
export interface Decision {
  readonly best: Path | undefined;
  /** `best` first, then those that share the load with it, each with another next hop; empty without one. */
  readonly multipath: readonly Path[];
}

const NOTHING: Decision = { best: undefined, multipath: [] };

/**
 * Chooses among the eligible ones of `paths`, whose order does not matter.
 *
 * @param current what was chosen before: of account for `preferOldest` alone
 * @rfc 4271#9.1.2.2 @rfc 4456#9
 */
export function decide(
  paths: readonly Path[],
  options: DecisionOptions,
  current: Path | undefined,
): Decision {
  const left = eligible(paths);
  if (left.length === 0) return NOTHING;
  eliminate(left, EQUAL_STEPS, options, current);
  if (left.length === 1) return { best: left[0], multipath: left };
  const equals = options.multipathMax > 1 ? left.slice() : undefined;
  eliminate(left, LAST_STEPS, options, current);
  const best = left[0] as Path;
  return { best, multipath: equals === undefined ? [best] : [best, ...sharers(best, equals, options)] };
}

/**
 * All eligible paths in the order in which repeated decisions would choose them, if each took away what the one before it chose:
 * what is told where ADD-PATH is spoken. @rfc 7911#4
 *
 * @param max no more than so many @param current as for {@link decide}
 */
export function rank(
  paths: readonly Path[],
  options: DecisionOptions,
  max = Number.POSITIVE_INFINITY,
  current?: Path,
): Path[] {
  const left = eligible(paths);
  const ranked: Path[] = [];
  const group = (path: Path): number => (options.alwaysCompareMed ? 0 : medGroup(path));
  if (options.preferOldest && current !== undefined && left.length > 0 && max > 0) {
    const best = decide(left, options, current).best as Path;
    ranked.push(best);
    left.splice(left.indexOf(best), 1);
  }
  left.sort(
    (x, y) =>
      compare(x, y, STEPS_TO_MED, options) || group(x) - group(y) || compare(x, y, STEPS_FROM_MED, options),
  );
  for (let from = 0; from < left.length && ranked.length < max; ) {
    const first = left[from] as Path;
    let to = from + 1;
    while (to < left.length && compare(first, left[to] as Path, STEPS_TO_MED, options) === 0) to++;
    mergeGroups(left, from, to, group, options, ranked);
    from = to;
  }
  if (ranked.length > max) ranked.length = max;
  return ranked;
}

/**
 * Appends paths `from`..`to`, which are equal up to MED and sorted by group and then from MED on. Whatever the MEDs of others, the
 * first of a group is what is left of it, so the first of all is the best of these.
 */
function mergeGroups(
  paths: readonly Path[],
  from: number,
  to: number,
  group: (path: Path) => number,
  options: DecisionOptions,
  ranked: Path[],
): void {
  /** Where the rest of each group begins, the worst first. */
  const rests: number[] = [];
  const insert = (at: number): void => {
    let low = 0;
    let high = rests.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = paths[rests[middle] as number] as Path;
      if (compare(other, paths[at] as Path, STEPS_AFTER_MED, options) > 0) low = middle + 1;
      else high = middle;
    }
    rests.splice(low, 0, at);
  };
  const begins = (at: number): boolean =>
    at === from || group(paths[at] as Path) !== group(paths[at - 1] as Path);
  for (let at = from; at < to; at++) if (begins(at)) insert(at);
  for (let at = rests.pop(); at !== undefined; at = rests.pop()) {
    ranked.push(paths[at] as Path);
    const next = at + 1;
    if (next < to && !begins(next)) insert(next);
  }
}

function eligible(paths: readonly Path[]): Path[] {
  const left: Path[] = [];
  for (let i = 0; i < paths.length; i++) {
    const path = paths[i] as Path;
    if (path.ineligible === undefined) left.push(path);
  }
  return left;
}

function eliminate(
  left: Path[],
  steps: readonly DecisionStep[],
  options: DecisionOptions,
  current: Path | undefined,
): void {
  for (let i = 0; i < steps.length && left.length > 1; i++) {
    (steps[i] as DecisionStep).keep(left, options, current);
  }
}

/** Which of the paths that are as good as `best` may share the load with it, best ones first. */
function sharers(best: Path, equals: readonly Path[], options: DecisionOptions): Path[] {
  const others = equals.filter((path) => path !== best && (options.multipathRelax || sameWay(path, best)));
  others.sort((x, y) => compare(x, y, TIE_BREAKS, options));
  const hops: NextHop[] = [nextHopOf(best)];
  const chosen: Path[] = [];
  for (const path of others) {
    if (hops.length === options.multipathMax) break;
    const hop = nextHopOf(path);
    if (hops.some((one) => sameNextHop(one, hop))) continue;
    hops.push(hop);
    chosen.push(path);
  }
  return chosen;
}

/** Do both go through the same ASs? */
export function sameWay(x: Path, y: Path): boolean {
  const attributes = (path: Path): RouteAttributes["attributes"] =>
    (path.imported as RouteAttributes).attributes;
  return sameAsPath(attributes(x).asPath ?? EMPTY_AS_PATH, attributes(y).asPath ?? EMPTY_AS_PATH);
}

function nextHopOf(path: Path): NextHop {
  return (path.imported as RouteAttributes).nextHop;
}

function compare(x: Path, y: Path, steps: readonly CostStep[], options: DecisionOptions): number {
  for (const step of steps) {
    const difference = step.cost(x, options) - step.cost(y, options);
    if (difference !== 0) return difference;
  }
  return 0;
}
