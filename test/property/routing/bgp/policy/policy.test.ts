import fc from "fast-check";
import { expect, test } from "vitest";
import type {
  Match,
  Policy,
  PolicyRule,
  Rewrite,
  SourceMatch,
} from "../../../../../src/routing/bgp/policy/policy.ts";
import type { RouteAttributes } from "../../../../../src/routing/bgp/rib/route.ts";
import { compiled, input, path, prefixMatch, route, source } from "../../../../support/bgp-policy.ts";

// A policy remembers much. Whatever it was asked before, it must answer as one that was never asked anything.

const PREFIXES = [
  "0.0.0.0/0",
  "10.0.0.0/8",
  "10.1.0.0/16",
  "10.1.1.0/24",
  "10.1.1.1/32",
  "::/0",
  "2001:db8::/32",
];
const routes: readonly RouteAttributes[] = [
  route(),
  route({ communities: [1], med: 5 }),
  route({ communities: [1, 2], asPath: path("65001 64512") }),
  route({ asPath: path("65001 {64512 64513}"), localPref: 200 }),
];
const sources = [
  source(),
  source({ name: "p2", internal: false, id: 2 }),
  source({ name: "p3", rrClient: true, id: 3 }),
  source({ name: "self", local: true, id: 0 }),
];

const some = <T>(...list: readonly T[]) => fc.uniqueArray(fc.constantFrom(...list), { maxLength: 2 });
const maybe = <T>(key: string, one: fc.Arbitrary<T>) =>
  fc.option(one, { nil: undefined, freq: 1 }).map((value) => (value === undefined ? {} : { [key]: value }));
const merged = <T>(...parts: readonly fc.Arbitrary<object>[]): fc.Arbitrary<T> =>
  fc.tuple(...parts).map((list) => Object.assign({}, ...list) as T);

const prefixes = fc.uniqueArray(
  fc.constantFrom(...PREFIXES, "10.1.0.0/16+").map((text) => {
    const wider = text.endsWith("+");
    return wider ? prefixMatch(text.slice(0, -1), 16, 32) : prefixMatch(text);
  }),
  { maxLength: 3 },
);
const anyPrefix: readonly fc.Arbitrary<object>[] = [
  maybe("communities", some(1, 2, 3)),
  maybe("source", some<SourceMatch>("local", "internal", "external", "rrClient", { peer: "p2" })),
  maybe("asPath", fc.constantFrom("^65001_", "_64512_", "^$", "\\{")),
  maybe("localPref", fc.constantFrom({ min: 150 }, { max: 150 })),
];
const set = merged<Rewrite>(
  maybe("localPref", fc.constantFrom(50, 200)),
  maybe("med", fc.constantFrom(1, null)),
  maybe("communities", fc.record({ add: some(1, 2, 3), del: some(1, 2, 3) })),
  maybe("prepend", some(65001, 64512)),
  maybe("nextHop", fc.constantFrom(0x0a090909, 0x0a090908)),
);
const policyOf = (...match: readonly fc.Arbitrary<object>[]): fc.Arbitrary<Policy> =>
  fc.record({
    name: fc.constant("p"),
    rules: fc.array(
      merged<PolicyRule>(
        maybe("match", merged<Match>(...match)),
        maybe("set", set),
        fc.record({ action: fc.constantFrom("accept", "reject", "next", "next", "next") }),
      ),
      { maxLength: 12 },
    ),
    default: fc.constantFrom("accept", "reject"),
  });
const question = fc
  .tuple(fc.constantFrom(...PREFIXES), fc.constantFrom(...routes), fc.constantFrom(...sources))
  .map(([prefix, at, from]) => input(at, from, prefix));

test("an answer does not depend on what was asked before, and is the one that is explained", () => {
  fc.assert(
    fc.property(
      policyOf(maybe("prefixes", prefixes), ...anyPrefix),
      fc.constantFrom("import" as const, "export" as const),
      fc.array(question, { minLength: 1, maxLength: 30 }),
      (given, direction, asked) => {
        const used = compiled(given, direction);
        for (const one of asked) {
          const answer = used.evaluate(one);
          expect(answer).toEqual(compiled(given, direction).evaluate(one));
          const verdict = used.explain(one);
          expect(answer !== undefined).toBe(verdict.action === "accept");
          expect(used.evaluate(one)).toBe(answer);
        }
      },
    ),
    { numRuns: 400 },
  );
});

test("routes that share attributes share them afterwards, if the same rules take them", () => {
  // Without prefixes nothing tells the routes of one family apart.
  const ipv4 = PREFIXES.filter((text) => !text.includes(":"));
  fc.assert(
    fc.property(
      policyOf(...anyPrefix),
      fc.constantFrom(...routes),
      fc.constantFrom(...sources),
      (given, at, from) => {
        const one = compiled(given);
        const answers = new Set<RouteAttributes | undefined>();
        for (const prefix of ipv4) {
          answers.add(one.evaluate(input(at, from, prefix)));
          for (const other of routes) one.evaluate(input(other, from, prefix));
        }
        expect(answers.size).toBe(1);
      },
    ),
    { numRuns: 200 },
  );
});
