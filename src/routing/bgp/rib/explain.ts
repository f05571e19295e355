// Why a destination is reached as it is: the decision once more, with a sentence for each path. Slow; for people.
import { formatIpv4 } from "../../../base/ipv4-addr.ts";
import { countAs, EMPTY_AS_PATH } from "../../../wire/bgp/as-path.ts";
import { formatNextHop } from "../../../wire/bgp/pretty-update.ts";
import { type DecisionOptions, decide, sameWay } from "./decision.ts";
import { ALL_STEPS, type DecisionStep, EQUAL_STEPS, MED_STEP, medGroup } from "./decision-steps.ts";
import type { RibPeerConfig } from "./rib-peer.ts";
import type { Destination, Ineligible, Path, RouteAttributes } from "./route.ts";

export interface PathExplanation {
  readonly path: Path;
  readonly chosen: "best" | "multipath" | undefined;
  /**
   * The step of the decision at which it lost to the best, if it was eligible; of the best, that at which the last other was
   * struck out, if there was one.
   */
  readonly step: number | undefined;
  /** "LOCAL_PREF 90 < 100 of p3", "AS loop: 64512 is in its path". */
  readonly reason: string;
}

/** Where a path was struck out. */
interface Loss {
  readonly step: DecisionStep;
  readonly reason: string;
}

/**
 * Explains what a decision would make of all paths at this moment: the best first, then what shares the load, then the others, the
 * later they lost the sooner, and at last those that are not eligible.
 *
 * @param localAs to be named where a path loops through it
 */
export function explain(dest: Destination, options: DecisionOptions, localAs?: number): PathExplanation[] {
  const { best, multipath } = decide(dest.paths, options, dest.best);
  const losses = best === undefined ? new Map<Path, Loss>() : lossesTo(best, dest, options);
  const explanations = dest.paths.map((path): PathExplanation => {
    const { ineligible } = path;
    if (ineligible !== undefined) {
      return { path, chosen: undefined, step: undefined, reason: whyNot(path, ineligible, localAs) };
    }
    if (path === best) return { path, chosen: "best", ...whyBest(losses) };
    const { step, reason } = losses.get(path) as Loss;
    const at = step.step;
    if (multipath.includes(path)) {
      const text = `as good as that of ${nameOf(multipath[0] as Path)} but for the tie-break: ${reason}`;
      return { path, chosen: "multipath", step: at, reason: text };
    }
    const equal = options.multipathMax > 1 && !EQUAL_STEPS.includes(step);
    const alone = equal ? `; ${whyNoShare(path, best as Path, multipath, options)}` : "";
    return { path, chosen: undefined, step: at, reason: `${reason}${alone}` };
  });
  const order = explanations.map((one) => ({ one, rank: rankOf(one, multipath) }));
  return order.sort((x, y) => x.rank - y.rank).map(({ one }) => one);
}

/** Comes after all steps. */
const NOT_ELIGIBLE = 100;

function nameOf(path: Path): string {
  return path.source.config.name;
}

function rankOf({ path, step }: PathExplanation, multipath: readonly Path[]): number {
  const share = multipath.indexOf(path);
  if (share >= 0) return share - multipath.length;
  return step === undefined ? NOT_ELIGIBLE : NOT_ELIGIBLE - step;
}

/** Where each eligible path but the best was struck out, and why, in the order of the steps. */
function lossesTo(best: Path, dest: Destination, options: DecisionOptions): Map<Path, Loss> {
  const losses = new Map<Path, Loss>();
  let before = dest.paths.filter((path) => path.ineligible === undefined);
  for (const step of ALL_STEPS) {
    if (before.length === 1) break;
    const left = before.slice();
    step.keep(left, options, dest.best);
    for (const loser of before) {
      if (left.includes(loser)) continue;
      const winner = step === MED_STEP ? medWinner(loser, left) : best;
      losses.set(loser, { step, reason: step.reason(loser, winner) });
    }
    before = left;
  }
  return losses;
}

/** MED is lost inside a group, of which the best may not be; where groups do not matter, to any that is left. */
function medWinner(loser: Path, left: readonly Path[]): Path {
  const group = medGroup(loser);
  return left.find((path) => medGroup(path) === group) ?? (left[0] as Path);
}

function whyBest(losses: ReadonlyMap<Path, Loss>): { step: number | undefined; reason: string } {
  const last = [...losses.values()].at(-1);
  if (last === undefined) return { step: undefined, reason: "the only eligible path" };
  return { step: last.step.step, reason: `decided by ${last.step.name}` };
}

function whyNoShare(path: Path, best: Path, multipath: readonly Path[], options: DecisionOptions): string {
  if (!options.multipathRelax && !sameWay(path, best)) return "shares no load: its AS_PATH is another";
  if (multipath.length >= options.multipathMax) return `shares no load: ${multipath.length} paths do already`;
  return "shares no load: another path with its next hop does";
}

function whyNot(path: Path, why: Ineligible, localAs: number | undefined): string {
  const { dest, source, received } = path;
  const { attributes } = received;
  const { nextHop } = path.imported ?? received;
  switch (why) {
    case "rejected": {
      const { importPolicy } = source.config;
      const { rule } = importPolicy.explain({ prefix: dest, route: received, source });
      const { name } = importPolicy.policy;
      return rule === undefined
        ? `refused by import policy ${name}: no rule accepts it`
        : `refused by import policy ${name}: ${rule}`;
    }
    case "asLoop":
      return asLoop(received, source.config, localAs);
    case "martianPrefix":
      return "its prefix is one of multicast addresses";
    case "ownOriginatorId":
      return `it is our own: ${formatIpv4(attributes.originatorId ?? 0)} is its ORIGINATOR_ID`;
    case "ownClusterId":
      return `cluster loop: ours is in its CLUSTER_LIST, ${attributes.clusterList.map(formatIpv4).join(" ")}`;
    case "martianNextHop":
      return `nothing can be sent to its next hop, ${formatNextHop(nextHop)}`;
    case "ownNextHop":
      return `its next hop, ${formatNextHop(nextHop)}, is an address of ours`;
    case "unreachable":
      return `there is no way to its next hop, ${formatNextHop(nextHop)}`;
  }
}

function asLoop(
  { attributes }: RouteAttributes,
  { allowLocalAs, localAs: otherAs }: RibPeerConfig,
  localAs: number | undefined,
): string {
  if (localAs === undefined) return "AS loop: our own is in its path";
  const path = attributes.asPath ?? EMPTY_AS_PATH;
  const found = [...new Set([localAs, otherAs])].filter((as) => countAs(path, as) > 0);
  const times = found.reduce((sum, as) => sum + countAs(path, as), 0);
  const more = allowLocalAs === 0 ? "" : ` ${times} times, which is more than ${allowLocalAs}`;
  return `AS loop: ${found.join(" and ")} is in its path${more}`;
}
