// The steps of the decision in their order, each with its number: what it strikes out, and how it is told. All but two keep those
// with the lowest of some number: MED is compared inside groups, and the oldest is a matter of history.
import { formatIpv4 } from "../../../base/ipv4-addr.ts";
import { Origin } from "../../../wire/bgp/attributes/path-attributes.ts";
import type { DecisionOptions } from "./decision.ts";
import { effectiveRouterId, type Path, type RouteAttributes } from "./route.ts";

export interface DecisionStep {
  /** 1..14; 9, the end of those that decide who may share the load, is no step of its own. */
  readonly step: number;
  /** For people. */
  readonly name: string;
  /** Takes out of `left`, in place, what loses here; at least one stays. All are eligible. */
  keep(left: Path[], options: DecisionOptions, current: Path | undefined): void;
  /** Why `loser` was taken out and `winner` not: "LOCAL_PREF 90 < 100 of p3". */
  reason(loser: Path, winner: Path): string;
}

/** A step that keeps the paths of the lowest cost. */
export interface CostStep extends DecisionStep {
  cost(path: Path, options: DecisionOptions): number;
}

type Cost = CostStep["cost"];

function keepCheapest(left: Path[], cost: Cost, options: DecisionOptions): void {
  let lowest = cost(left[0] as Path, options);
  let kept = 1;
  for (let i = 1; i < left.length; i++) {
    const path = left[i] as Path;
    const here = cost(path, options);
    if (here > lowest) continue;
    if (here < lowest) {
      lowest = here;
      kept = 0;
    }
    left[kept++] = path;
  }
  if (kept < left.length) left.length = kept;
}

function cheapest(step: number, name: string, cost: Cost, reason: CostStep["reason"]): CostStep {
  return { step, name, cost, keep: (left, options) => keepCheapest(left, cost, options), reason };
}

function nameOf(path: Path): string {
  return path.source.config.name;
}

/** Prefers low values. */
function lowest(
  step: number,
  name: string,
  value: (path: Path) => number,
  show: (path: Path) => string = (path) => String(value(path)),
): CostStep {
  return cheapest(step, name, value, (x, y) => `${name} ${show(x)} > ${show(y)} of ${nameOf(y)}`);
}

/** Prefers high values. */
function highest(step: number, name: string, value: (path: Path) => number): CostStep {
  const reason = (x: Path, y: Path): string => `${name} ${value(x)} < ${value(y)} of ${nameOf(y)}`;
  return cheapest(step, name, (path) => -value(path), reason);
}

/** What import left of the path, which is eligible. */
function routeOf(path: Path): RouteAttributes {
  return path.imported as RouteAttributes;
}

function originOf(path: Path): number {
  return routeOf(path).attributes.origin ?? Origin.INCOMPLETE;
}

const ORIGINS = ["IGP", "EGP", "incomplete"];

/** What is decided before MED is asked. @rfc 4271#9.1.2.2 */
export const STEPS_TO_MED: readonly CostStep[] = [
  highest(1, "weight", (path) => routeOf(path).weight),
  highest(2, "LOCAL_PREF", (path) => routeOf(path).localPref),
  cheapest(
    3,
    "local origin",
    (path) => (path.source.local ? 0 : 1),
    (loser) => `told by ${nameOf(loser)}, while another is our own`,
  ),
  lowest(4, "AS_PATH length", (path) => routeOf(path).asPathLength),
  lowest(5, "ORIGIN", originOf, (path) => ORIGINS[originOf(path)] as string),
];

/** Above every MED that there is. */
const WORST_MED = 2 ** 32;

function medOf(path: Path, options: DecisionOptions): number {
  return routeOf(path).attributes.med ?? (options.missingMedWorst ? WORST_MED : 0);
}

/**
 * Whose MED a path's can be compared with: the AS that it comes from, 0 for our own. @rfc 4271#9.1.2.2
 */
export function medGroup(path: Path): number {
  const { as, config, local } = path.source;
  return routeOf(path).neighborAs ?? (config.internal || local ? 0 : as);
}

/** Is MED a plain number among these, because all are of one group, or groups do not matter, or all have the same? */
function medsAreInOrder(paths: readonly Path[], options: DecisionOptions): boolean {
  if (options.alwaysCompareMed || paths.length < 2) return true;
  const med = medOf(paths[0] as Path, options);
  const group = medGroup(paths[0] as Path);
  let sameMed = true;
  let sameGroup = true;
  for (let i = 1; i < paths.length; i++) {
    const path = paths[i] as Path;
    if (medOf(path, options) !== med) sameMed = false;
    if (medGroup(path) !== group) sameGroup = false;
    if (!sameMed && !sameGroup) return false;
  }
  return true;
}

function showMed(path: Path): string {
  return String(routeOf(path).attributes.med ?? "missing");
}

/** Of each group those with the lowest MED stay, whatever other groups have. @rfc 4271#9.1.2.2 @rfc 4451#2.1 */
export const MED_STEP: CostStep = {
  step: 6,
  name: "MED",
  cost: medOf,
  keep: (left, options) => {
    if (medsAreInOrder(left, options)) return keepCheapest(left, medOf, options);
    const lowestOf = new Map<number, number>();
    for (const path of left) {
      const group = medGroup(path);
      const med = medOf(path, options);
      if (med < (lowestOf.get(group) ?? Number.POSITIVE_INFINITY)) lowestOf.set(group, med);
    }
    let kept = 0;
    for (let i = 0; i < left.length; i++) {
      const path = left[i] as Path;
      if (medOf(path, options) === lowestOf.get(medGroup(path))) left[kept++] = path;
    }
    left.length = kept;
  },
  reason: (x, y) => `MED ${showMed(x)} > ${showMed(y)} of ${nameOf(y)}`,
};

const AFTER_MED: readonly CostStep[] = [
  cheapest(
    7,
    "external over internal",
    (path) => (path.source.config.internal ? 1 : 0),
    (loser, winner) => `${nameOf(loser)} is internal, ${nameOf(winner)} external`,
  ),
  lowest(8, "metric to the next hop", (path) => path.metric),
];

/**
 * An external path that is chosen already is not given up for another router's, only because that one's identifier is lower.
 * @rfc 5004#3
 */
const OLDEST_STEP: DecisionStep = {
  step: 10,
  name: "choice so far",
  keep: (left, options, current) => {
    if (!options.preferOldest || current === undefined || current.source.config.internal) return;
    if (!left.includes(current)) return;
    const id = effectiveRouterId(current);
    keepCheapest(left, (path) => (effectiveRouterId(path) === id ? 0 : 1), options);
  },
  reason: (_, winner) => `that of ${nameOf(winner)} is chosen already, and no worse`,
};

/** Between paths that are equally good. @rfc 4271#9.1.2.2 @rfc 4456#9 */
export const TIE_BREAKS: readonly CostStep[] = [
  lowest(11, "router ID", effectiveRouterId, (path) => formatIpv4(effectiveRouterId(path))),
  lowest(12, "CLUSTER_LIST length", (path) => routeOf(path).attributes.clusterList.length),
  lowest(
    13,
    "neighbour address",
    (path) => path.source.config.addr,
    (path) => formatIpv4(path.source.config.addr),
  ),
  lowest(14, "path ID", (path) => path.pathId),
];

/** What is left by these is as good as the best. */
export const EQUAL_STEPS: readonly DecisionStep[] = [...STEPS_TO_MED, MED_STEP, ...AFTER_MED];

/** These leave one. */
export const LAST_STEPS: readonly DecisionStep[] = [OLDEST_STEP, ...TIE_BREAKS];

export const ALL_STEPS: readonly DecisionStep[] = [...EQUAL_STEPS, ...LAST_STEPS];

/** They order paths of one MED group, or all where groups do not matter. */
export const STEPS_FROM_MED: readonly CostStep[] = [MED_STEP, ...AFTER_MED, ...TIE_BREAKS];

/** They order paths that MED has left. */
export const STEPS_AFTER_MED: readonly CostStep[] = [...AFTER_MED, ...TIE_BREAKS];
