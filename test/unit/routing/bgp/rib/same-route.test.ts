import { describe, expect, test } from "vitest";
import { RouteAttributes } from "../../../../../src/routing/bgp/rib/route.ts";
import { RouteInterner } from "../../../../../src/routing/bgp/rib/route-interner.ts";
import {
  RouteComparer,
  sameAttributes,
  sameNextHop,
  sameRoute,
} from "../../../../../src/routing/bgp/rib/same-route.ts";
import { SegmentType } from "../../../../../src/wire/bgp/as-path.ts";
import {
  NO_ATTRIBUTES,
  type PathAttributes,
} from "../../../../../src/wire/bgp/attributes/path-attributes.ts";
import { ipv6 } from "../../../../support/bgp.ts";
import { attributes, way } from "../../../../support/rib-world.ts";

const FULL: PathAttributes = {
  origin: 0,
  asPath: way(1, 2),
  nextHop: 3,
  med: 4,
  localPref: 5,
  atomicAggregate: true,
  aggregator: { as: 6, addr: 7 },
  communities: [8, 9],
  originatorId: 10,
  clusterList: [11, 12],
  extCommunities: [{ high: 13, low: 14 }],
  pmsiTunnel: Uint8Array.of(15),
  ipv6ExtCommunities: [[16, 17, 18, 19, 20]],
  largeCommunities: [{ global: 21, local1: 22, local2: 23 }],
  unknown: [{ type: 24, flags: 0xe0, value: Uint8Array.of(25) }],
  partial: [26],
};

/** For each attribute, values that are all different. */
const OTHERS: { readonly [K in keyof PathAttributes]: readonly PathAttributes[K][] } = {
  origin: [1, undefined],
  asPath: [way(1), way(1, 3), [], [{ type: SegmentType.SET, asns: [1, 2] }], undefined],
  nextHop: [4, undefined],
  med: [0, undefined],
  localPref: [0, undefined],
  atomicAggregate: [false],
  aggregator: [{ as: 7, addr: 7 }, { as: 6, addr: 6 }, undefined],
  communities: [[8], [8, 10], [8, 9, 10], []],
  originatorId: [0, undefined],
  clusterList: [[11], [12, 11], []],
  extCommunities: [[{ high: 13, low: 13 }], [{ high: 14, low: 14 }], []],
  pmsiTunnel: [Uint8Array.of(16), Uint8Array.of(), undefined],
  ipv6ExtCommunities: [[[16, 17, 18, 19, 21]], []],
  largeCommunities: [
    [{ global: 20, local1: 22, local2: 23 }],
    [{ global: 21, local1: 21, local2: 23 }],
    [{ global: 21, local1: 22, local2: 22 }],
    [],
  ],
  unknown: [
    [{ type: 25, flags: 0xe0, value: Uint8Array.of(25) }],
    [{ type: 24, flags: 0xc0, value: Uint8Array.of(25) }],
    [{ type: 24, flags: 0xe0, value: Uint8Array.of(26) }],
    [{ type: 24, flags: 0xe0, value: Uint8Array.of(25, 25) }],
    [],
  ],
  partial: [[25], []],
};

describe("attributes", () => {
  test("equal ones are the same, whoever made them", () => {
    expect(sameAttributes(FULL, FULL)).toBe(true);
    expect(sameAttributes(FULL, structuredClone(FULL))).toBe(true);
    expect(sameAttributes(NO_ATTRIBUTES, structuredClone(NO_ATTRIBUTES))).toBe(true);
  });

  for (const [key, values] of Object.entries(OTHERS)) {
    test(`another ${key} is a difference`, () => {
      const variants = [FULL, ...values.map((value): PathAttributes => ({ ...FULL, [key]: value }))];
      for (const [i, x] of variants.entries()) {
        for (const [j, y] of variants.entries()) {
          expect(sameAttributes(x, structuredClone(y))).toBe(i === j);
        }
      }
    });
  }
});

test("next hops", () => {
  const [one, other] = [ipv6("2001:db8::1"), ipv6("fe80::1")];
  const hops = [
    1,
    2,
    { global: one, linkLocal: undefined },
    { global: other, linkLocal: undefined },
    { global: one, linkLocal: other },
    { global: one, linkLocal: one },
  ];
  for (const [i, x] of hops.entries()) {
    for (const [j, y] of hops.entries()) expect(sameNextHop(x, structuredClone(y))).toBe(i === j);
  }
});

describe("routes", () => {
  const sets = { nextHop: undefined, med: false };
  const variants = [
    new RouteAttributes(FULL, 1),
    new RouteAttributes(FULL, 2),
    new RouteAttributes({ ...FULL, med: 9 }, 1),
    new RouteAttributes(FULL, 1, 7),
    new RouteAttributes(FULL, 1, 0, { ...sets, nextHop: "self" }),
    new RouteAttributes(FULL, 1, 0, { ...sets, med: true }),
  ];
  const copy = ({ attributes: old, nextHop, weight, sets: those }: RouteAttributes): RouteAttributes => {
    return new RouteAttributes(structuredClone(old), nextHop, weight, { ...those });
  };

  test("are the same if all is", () => {
    for (const [i, x] of variants.entries()) {
      for (const [j, y] of variants.entries()) expect(sameRoute(x, copy(y))).toBe(i === j);
    }
  });

  test("a comparer remembers the last two, and no others", () => {
    const comparer = new RouteComparer();
    const copies = variants.map(copy);
    for (let round = 0; round < 2; round++) {
      for (const [i, x] of variants.entries()) {
        for (const [j, y] of copies.entries()) {
          for (let again = 0; again < 2; again++) expect(comparer.same(x, y)).toBe(i === j);
        }
      }
    }
  });
});

describe("interning", () => {
  test("the same attributes and an equal next hop make the same route", () => {
    const interner = new RouteInterner();
    const [one, other] = [attributes(), attributes()];
    const hop = { global: ipv6("2001:db8::1"), linkLocal: undefined };
    const route = interner.of(one, hop);
    expect(route).toMatchObject({ attributes: one, nextHop: hop, weight: 0 });
    expect(interner.of(one, structuredClone(hop))).toBe(route);
    expect(interner.of(one, 1)).not.toBe(route);
    expect(interner.of(other, hop)).not.toBe(route);
  });

  test("a neighbour that has a next hop for each prefix does not make it remember them all", () => {
    const interner = new RouteInterner();
    const one = attributes();
    const routes = [1, 2, 3, 4, 5].map((hop) => interner.of(one, hop));
    expect(interner.of(one, 5)).toBe(routes[4]);
    expect(interner.of(one, 2)).toBe(routes[1]);
    expect(interner.of(one, 1)).not.toBe(routes[0]);
  });
});
