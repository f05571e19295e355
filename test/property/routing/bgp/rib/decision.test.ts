import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DEFAULT_DECISION,
  type DecisionOptions,
  decide,
  rank,
} from "../../../../../src/routing/bgp/rib/decision.ts";
import {
  effectiveRouterId,
  type Path,
  type RouteAttributes,
} from "../../../../../src/routing/bgp/rib/route.ts";
import { formatAsPath } from "../../../../../src/wire/bgp/as-path.ts";
import { pathOf, way } from "../../../../support/rib-world.ts";

// Few values of each, so that most steps end in ties.
const someOptions: fc.Arbitrary<DecisionOptions> = fc.record({
  alwaysCompareMed: fc.boolean(),
  missingMedWorst: fc.boolean(),
  preferOldest: fc.constant(false),
  multipathMax: fc.integer({ min: 1, max: 4 }),
  multipathRelax: fc.boolean(),
});

const anyPath = fc.record({
  weight: fc.nat(1),
  localPref: fc.constantFrom(undefined, 100, 2 ** 31 + 5),
  asPath: fc.constantFrom(way(1), way(2), way(3), way(1, 2), way()),
  origin: fc.constantFrom(0, 0, 2, undefined),
  med: fc.constantFrom(undefined, 0, 5, 10),
  internal: fc.boolean(),
  metric: fc.nat(1),
  bgpId: fc.integer({ min: 1, max: 3 }),
  originatorId: fc.constantFrom(undefined, undefined, 2),
  clusters: fc.nat(1),
  nextHop: fc.integer({ min: 1, max: 3 }),
  eligible: fc.constantFrom(true, true, true, false),
});

/** Nothing but MED and what follows it makes a difference. */
const closePath: typeof anyPath = fc
  .tuple(anyPath, fc.constantFrom(way(1), way(2), way(3)))
  .map(([path, asPath]) => ({ ...path, asPath, weight: 0, localPref: 100, origin: 0, eligible: true }));

const someParts = fc.oneof(fc.array(anyPath, { maxLength: 8 }), fc.array(closePath, { maxLength: 8 }));

/** Paths of as many neighbours; the first may be our own. */
const somePaths: fc.Arbitrary<Path[]> = fc
  .tuple(someParts, fc.integer({ min: 0, max: 7 }))
  .map(([list, own]) =>
    list.map(({ localPref, asPath, origin, med, originatorId, clusters, eligible, ...rest }, i) =>
      pathOf({
        ...rest,
        name: `p${i}`,
        local: i === 0 && own === 0,
        addr: 10 + i,
        as: rest.internal ? 64512 : (asPath[0]?.asns[0] ?? 9),
        ...(eligible ? {} : { ineligible: "unreachable" as const }),
        attributes: {
          localPref,
          asPath,
          origin,
          med,
          originatorId,
          clusterList: [7, 8].slice(0, clusters),
        },
      }),
    ),
  );

// The oracle: RFC 4271 section 9.1.2.2 read aloud, each step as "remove whatever another one beats".

function route(path: Path): RouteAttributes {
  return path.imported as RouteAttributes;
}

type Beats = (x: Path, y: Path) => boolean;

function lower(value: (path: Path) => number): Beats {
  return (x, y) => value(x) < value(y);
}

function beatsByMed({ alwaysCompareMed, missingMedWorst }: DecisionOptions): Beats {
  const med = (path: Path): number =>
    route(path).attributes.med ?? (missingMedWorst ? Number.POSITIVE_INFINITY : 0);
  const from = (path: Path): number | string => {
    const as = route(path).attributes.asPath?.[0]?.asns[0];
    return as ?? (path.source.config.internal || path.source.local ? "own" : path.source.as);
  };
  return (x, y) => (alwaysCompareMed || from(x) === from(y)) && med(x) < med(y);
}

function unbeaten(paths: readonly Path[], beats: readonly Beats[]): Path[] {
  let left = [...paths];
  for (const beat of beats) left = left.filter((y) => !left.some((x) => beat(x, y)));
  return left;
}

function upToMed(options: DecisionOptions): Beats[] {
  return [
    lower((path) => -route(path).weight),
    lower((path) => -route(path).localPref),
    lower((path) => (path.source.local ? 0 : 1)),
    lower((path) => route(path).attributes.asPath?.flatMap((one) => one.asns).length ?? 0),
    lower((path) => route(path).attributes.origin ?? 2),
    beatsByMed(options),
  ];
}

const AFTER_MED: Beats[] = [
  (x, y) => !x.source.config.internal && y.source.config.internal,
  lower((path) => path.metric),
];

const TIE_BREAKS: Beats[] = [
  lower(effectiveRouterId),
  lower((path) => route(path).attributes.clusterList.length),
  lower((path) => path.source.config.addr),
];

function oracle(paths: readonly Path[], options: DecisionOptions): { best?: Path; multipath: Path[] } {
  const eligible = paths.filter((path) => path.ineligible === undefined);
  const equals = unbeaten(eligible, [...upToMed(options), ...AFTER_MED]);
  const [best, none] = unbeaten(equals, TIE_BREAKS);
  expect(none).toBeUndefined();
  if (best === undefined) return { multipath: [] };
  const multipath = [best];
  let others = equals.filter((path) => path !== best);
  if (!options.multipathRelax) {
    const asPath = (path: Path): string => formatAsPath(route(path).attributes.asPath ?? []);
    others = others.filter((path) => asPath(path) === asPath(best));
  }
  while (others.length > 0 && multipath.length < options.multipathMax) {
    const [next] = unbeaten(others, TIE_BREAKS) as [Path];
    if (!multipath.some((path) => route(path).nextHop === route(next).nextHop)) multipath.push(next);
    others = others.filter((path) => path !== next);
  }
  return { best, multipath };
}

describe("the decision", () => {
  test("chooses what the RFC's words choose", () => {
    fc.assert(
      fc.property(somePaths, someOptions, (paths, options) => {
        const { best, multipath } = decide(paths, options, undefined);
        const wanted = oracle(paths, options);
        expect(best).toBe(wanted.best);
        expect(multipath).toEqual(wanted.multipath);
      }),
      { numRuns: 1500 },
    );
  });

  test("does not depend on the order of arrival", () => {
    const shuffled = somePaths.chain((paths) =>
      fc.tuple(fc.constant(paths), fc.shuffledSubarray(paths, { minLength: paths.length })),
    );
    fc.assert(
      fc.property(shuffled, someOptions, ([paths, others], options) => {
        const one = decide(paths, options, undefined);
        const other = decide(others, options, undefined);
        expect(other.best).toBe(one.best);
        expect(other.multipath).toEqual(one.multipath);
        expect(rank(others, options)).toEqual(rank(paths, options));
      }),
      { numRuns: 600 },
    );
  });

  test("is the same without a loser, unless that takes the lowest MED of its group with it", () => {
    let changed = 0;
    fc.assert(
      fc.property(somePaths, someOptions, fc.nat(7), (paths, options, i) => {
        const { best } = decide(paths, options, undefined);
        const loser = paths[i];
        if (loser === undefined || loser === best) return;
        const others = paths.filter((path) => path !== loser);
        const again = decide(others, options, undefined).best;
        if (again === best) return;
        changed++;
        expect(options.alwaysCompareMed).toBe(false);
        const eligible = (list: Path[]): Path[] => list.filter((path) => path.ineligible === undefined);
        const before = unbeaten(eligible(paths), upToMed(options));
        const after = unbeaten(eligible(others), upToMed(options));
        expect(before).toContain(loser);
        expect(after.filter((path) => !before.includes(path))).not.toEqual([]);
      }),
      { numRuns: 1500 },
    );
    expect(changed).toBeGreaterThan(0);
  });

  test("ranks as it would choose again and again", () => {
    fc.assert(
      fc.property(somePaths, someOptions, fc.nat(9), (paths, options, max) => {
        const wanted: Path[] = [];
        for (;;) {
          const left = paths.filter((path) => !wanted.includes(path));
          const { best } = oracle(left, options);
          if (best === undefined) break;
          wanted.push(best);
        }
        expect(rank(paths, options)).toEqual(wanted);
        expect(rank(paths, options, max)).toEqual(wanted.slice(0, max));
      }),
      { numRuns: 600 },
    );
  });

  test("with the oldest preferred, never leaves an external path that is as good as another up to the metric", () => {
    fc.assert(
      fc.property(somePaths, someOptions, fc.nat(7), (paths, given, i) => {
        const options = { ...given, preferOldest: true };
        const current = paths[i];
        const { best } = decide(paths, options, current);
        const eligible = paths.filter((path) => path.ineligible === undefined);
        const equals = unbeaten(eligible, [...upToMed(options), ...AFTER_MED]);
        const stays = current !== undefined && equals.includes(current) && !current.source.config.internal;
        if (!stays) expect(best).toBe(oracle(paths, options).best);
        else expect(effectiveRouterId(best as Path)).toBe(effectiveRouterId(current));
        expect(rank(paths, options, 1, current)).toEqual(best === undefined ? [] : [best]);
      }),
      { numRuns: 600 },
    );
  });
});

test("the defaults are the RFC's", () => {
  expect(DEFAULT_DECISION).toEqual({
    alwaysCompareMed: false,
    missingMedWorst: false,
    preferOldest: false,
    multipathMax: 1,
    multipathRelax: false,
  });
});
