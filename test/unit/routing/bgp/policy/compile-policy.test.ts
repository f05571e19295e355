import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import {
  compilePolicy,
  DEFAULT_POLICY_LIMITS,
} from "../../../../../src/routing/bgp/policy/compile-policy.ts";
import {
  ACCEPT_ALL,
  type Match,
  type Policy,
  type PolicyRule,
  REJECT_ALL,
  type Rewrite,
} from "../../../../../src/routing/bgp/policy/policy.ts";
import { Family } from "../../../../../src/wire/bgp/family.ts";
import {
  compiled,
  input,
  PEER,
  path,
  policy,
  prefixMatch,
  route,
  source,
} from "../../../../support/bgp-policy.ts";

const at = route({ communities: [1] });
const asked = input(at);

const reject = (match?: Match): PolicyRule => ({
  ...(match === undefined ? {} : { match }),
  action: "reject",
});
const accept = (match?: Match, set?: Rewrite): PolicyRule => ({
  ...(match === undefined ? {} : { match }),
  ...(set === undefined ? {} : { set }),
  action: "accept",
});
const next = (match?: Match, set?: Rewrite): PolicyRule => ({ ...accept(match, set), action: "next" });

describe("rules are asked in order", () => {
  test("the first that decides wins", () => {
    const yes: Match = { communities: [1] };
    const no: Match = { communities: [2] };
    const taken = (...rules: PolicyRule[]): boolean => compiled(policy(...rules)).evaluate(asked) === at;
    expect(taken(accept(yes), reject(yes))).toBe(true);
    expect(taken(reject(yes), accept(yes))).toBe(false);
    expect(taken(accept(no), reject(yes), accept())).toBe(false);
    expect(taken(reject(no), accept(yes), reject())).toBe(true);
    expect(taken(reject(), accept(yes))).toBe(false);
  });

  test("when none decides, the default does, with what was set", () => {
    const rules = [accept({ communities: [2] }), next(undefined, { localPref: 7 })];
    expect(compiled({ name: "d", rules, default: "reject" }).evaluate(asked)).toBeUndefined();
    expect(compiled({ name: "d", rules, default: "accept" }).evaluate(asked)?.localPref).toBe(7);
  });

  test("next goes on with what was set, and what was set can match", () => {
    const steps = compiled(
      policy(
        next(undefined, { localPref: 200, communities: { add: [5] }, prepend: [64999] }),
        reject({ localPref: { max: 199 } }),
        next({ communities: [5] }, { med: 1 }),
        next({ asPath: "^64999_64512_", originAs: [64513], neighborAs: [64999] }, { weight: 3 }),
        accept({ med: { min: 1, max: 1 }, asPathLength: { min: 3 } }, { localPref: 201 }),
      ),
    );
    const after = steps.evaluate(asked);
    expect(after).toMatchObject({ localPref: 201, weight: 3 });
    expect(after?.attributes).toMatchObject({
      med: 1,
      communities: [1, 5],
      asPath: path("64999 64512 64513"),
    });
    expect(steps.explain(asked)).toEqual({ action: "accept", rule: "rule 5" });
  });

  test("a rule that rejects changes nothing for anybody", () => {
    const one = compiled(policy({ ...reject({ communities: [1] }), set: { localPref: 1 } }, accept()));
    expect(one.evaluate(asked)).toBeUndefined();
    expect(one.evaluate(input(route()))?.localPref).toBe(100);
  });

  test("accept all and reject all", () => {
    for (const direction of ["import", "export"] as const) {
      expect(compiled(ACCEPT_ALL, direction).evaluate(asked)).toBe(at);
      expect(compiled(REJECT_ALL, direction).evaluate(asked)).toBeUndefined();
      expect(compiled(ACCEPT_ALL, direction).direction).toBe(direction);
    }
    expect(compiled(ACCEPT_ALL).policy).toBe(ACCEPT_ALL);
  });

  test("rules with and without prefixes keep their order", () => {
    const mixed = compiled(
      policy(
        next(undefined, { med: 1 }),
        next({ prefixes: [prefixMatch("10.0.0.0/8", 8, 32)] }, { med: 2 }),
        next({ communities: [1] }, { localPref: 1 }),
        next({ prefixes: [prefixMatch("10.1.0.0/16", 16, 24), prefixMatch("2001:db8::/32")] }, { med: 3 }),
        accept(),
      ),
    );
    const medOf = (prefix: string) => mixed.evaluate(input(at, PEER, prefix))?.attributes.med;
    expect(medOf("10.1.1.0/24")).toBe(3);
    expect(medOf("10.1.1.0/25")).toBe(2);
    expect(medOf("10.0.0.0/8")).toBe(2);
    expect(medOf("11.0.0.0/8")).toBe(1);
    expect(medOf("0.0.0.0/0")).toBe(1);
    expect(medOf("2001:db8::/32")).toBe(3);
    expect(medOf("2001:db8::/33")).toBe(1);
  });
});

describe("the last answer is not given to another question", () => {
  const fromTor = compiled(policy(accept({ source: [{ peer: "tor" }] }), accept({ source: ["rrClient"] })));

  test("of another neighbour, another route, another prefix", () => {
    expect(fromTor.evaluate(input(at, source({ name: "tor" })))).toBe(at);
    expect(fromTor.evaluate(input(at, PEER))).toBeUndefined();
    const byPrefix = compiled(policy(accept({ prefixes: [prefixMatch("10.1.0.0/24")] })));
    expect(byPrefix.evaluate(asked)).toBe(at);
    expect(byPrefix.evaluate(input(at, PEER, "10.2.0.0/24"))).toBeUndefined();
    expect(byPrefix.evaluate(asked)).toBe(at);
    const byCommunity = compiled(policy(accept({ communities: [1] })));
    expect(byCommunity.evaluate(asked)).toBe(at);
    expect(byCommunity.evaluate(input(route()))).toBeUndefined();
  });

  test("of this speaker itself, whatever it is configured with", () => {
    const local = compiled(policy(accept({ source: ["local"] })));
    const itself = source({ local: true });
    expect(local.evaluate(input(at, itself))).toBe(at);
    expect(local.evaluate(input(at, { ...itself, local: false }))).toBeUndefined();
  });

  test("of the same neighbour, configured anew", () => {
    const from = { ...source() };
    expect(fromTor.evaluate(input(at, from))).toBeUndefined();
    from.config = { ...from.config, rrClient: true };
    expect(fromTor.evaluate(input(at, from))).toBe(at);
  });
});

describe("explanations", () => {
  const named: Policy = {
    name: "to-tor",
    rules: [
      { name: "no pods", match: { prefixes: [prefixMatch("10.1.0.0/16", 25, 32)] }, action: "reject" },
      next(undefined, { localPref: 5 }),
      accept({ localPref: { max: 5 }, communities: [1] }),
    ],
    default: "reject",
  };

  test("name the rule, else its place, else the default", () => {
    const to = compiled(named, "export");
    expect(to.explain(input(at, PEER, "10.1.0.128/25"))).toEqual({ action: "reject", rule: "no pods" });
    expect(to.explain(asked)).toEqual({ action: "accept", rule: "rule 3" });
    expect(to.explain(input(route()))).toEqual({ action: "reject", rule: undefined });
  });
});

describe("what is wrong with a policy is said with its place", () => {
  const fault = (rule: PolicyRule, direction: "import" | "export" = "import"): string => {
    const result = compilePolicy({ name: "bad", rules: [accept(), rule], default: "reject" }, direction);
    return result.ok ? "" : result.error;
  };
  const v4 = Family.IPV4_UNICAST;

  test.each<[Match, string]>([
    [
      { asPath: "(1" },
      'AS path expression "(1": at character 1: "(" without a ")"; write "\\(" for the character',
    ],
    [{ prefixes: [prefixMatch("10.0.0.0/8", 26, 24)] }, "lengths from 26 to 24: there are none"],
    [{ prefixes: [prefixMatch("10.0.0.0/8", 4)] }, "lengths from 4 on are not below a prefix of 8 bits"],
    [{ prefixes: [prefixMatch("10.0.0.0/8", 8, 33)] }, "lengths end at 32 bits, not at 33"],
    [{ prefixes: [prefixMatch("2001:db8::/32", 32, 129)] }, "lengths end at 128 bits, not at 129"],
    [
      { prefixes: [prefixMatch("10.0.0.0/8", 8.5, 9)] },
      "lengths from 8.5 on are not below a prefix of 8 bits",
    ],
    [{ prefixes: [prefixMatch("10.0.0.0/8", 8, Number.NaN)] }, "lengths end at 32 bits, not at NaN"],
    [
      { prefixes: [{ family: v4, prefix: { addr: ipv4("10.0.0.1"), len: 8 } }] },
      "a prefix of 8 bits has bits set beyond them",
    ],
    [
      { prefixes: [{ family: Family.IPV6_UNICAST, prefix: { a: 0, b: 0, c: 0, d: 1, len: 127 } }] },
      "a prefix of 127 bits has bits set beyond them",
    ],
    [{ prefixes: [{ family: v4, prefix: { addr: 0, len: 33 } }] }, "a prefix has 0 to 32 bits, not 33"],
    [
      { prefixes: [{ ...prefixMatch("10.0.0.0/8"), family: Family.IPV6_UNICAST }] },
      "a prefix is not of the family that it stands for",
    ],
    [
      { prefixes: [{ ...prefixMatch("::/0"), family: v4 }] },
      "a prefix is not of the family that it stands for",
    ],
    [
      { prefixes: [{ ...prefixMatch("::/0"), family: Family.L2VPN_EVPN }] },
      "prefixes are of IPv4 or IPv6 unicast",
    ],
    [
      { nextHop: [prefixMatch("10.0.0.0/8", 8, 32)] },
      "a next hop is an address: prefixes for it have no range of lengths",
    ],
    [{ med: { min: 2, max: 1 } }, "MED from 2 to 1: there is none"],
    [{ localPref: { min: -1 } }, "local preference -1: it is a whole number from 0 to 4294967295"],
    [{ asPathLength: { max: 1.5 } }, "AS path length 1.5: it is a whole number from 0 to 4294967295"],
    [{ origin: [3] }, "origin 3: it is a whole number from 0 to 2"],
    [{ originAs: [0] }, "origin AS 0: it is a whole number from 1 to 4294967295"],
    [{ neighborAs: [4294967296] }, "neighbour AS 4294967296: it is a whole number from 1 to 4294967295"],
    [{ communities: [Number.NaN] }, "community NaN: it is a whole number from 0 to 4294967295"],
  ])("match %j", (match, says) => {
    expect(fault(accept(match))).toBe(`policy "bad", rule 2: ${says}`);
    expect(fault({ ...accept(match), name: "x" })).toBe(`policy "bad", rule 2 ("x"): ${says}`);
  });

  test.each<[Rewrite, string]>([
    [{ localPref: 4294967296 }, "local preference 4294967296: it is a whole number from 0 to 4294967295"],
    [{ med: -1 }, "MED -1: it is a whole number from 0 to 4294967295"],
    [{ origin: 3 }, "origin 3: it is a whole number from 0 to 2"],
    [{ weight: 65536 }, "weight 65536: it is a whole number from 0 to 65535"],
    [{ prepend: [64512, 0] }, "AS number to prepend 0: it is a whole number from 1 to 4294967295"],
    [{ prepend: Array.from({ length: 256 }, () => 1) }, "256 AS numbers to prepend: at most 255 are allowed"],
    [{ communities: { add: [-1] } }, "community -1: it is a whole number from 0 to 4294967295"],
    [{ communities: { del: [0.5] } }, "community 0.5: it is a whole number from 0 to 4294967295"],
    [{ nextHop: "self" }, "next hop self is for export alone; on import name the address"],
    [
      { nextHop: ipv4("224.0.0.1") },
      "nothing can be sent to the next hop that is set: it is unspecified, multicast or of class E",
    ],
    [
      { nextHop: 0 },
      "nothing can be sent to the next hop that is set: it is unspecified, multicast or of class E",
    ],
  ])("rewrite %j", (set, says) => {
    expect(fault(accept(undefined, set))).toBe(`policy "bad", rule 2: ${says}`);
  });

  test("what one direction alone has", () => {
    expect(fault(accept(undefined, { weight: 1 }), "export")).toMatch(/on import alone/);
    expect(fault(accept(undefined, { weight: 1 }), "import")).toBe("");
    expect(fault(accept(undefined, { nextHop: "self" }), "export")).toBe("");
  });

  test("too much of it", () => {
    const limits = { ...DEFAULT_POLICY_LIMITS, rules: 2, prefixes: 3, expressionLength: 4 };
    const result = (...rules: PolicyRule[]) => {
      const one = compilePolicy(policy(...rules), "import", limits);
      return one.ok ? "" : one.error;
    };
    const two = accept({ prefixes: [prefixMatch("10.0.0.0/8"), prefixMatch("11.0.0.0/8")] });
    expect(result(accept(), accept())).toBe("");
    expect(result(accept(), accept(), accept())).toBe('policy "test": it has 3 rules, 2 are allowed');
    expect(result(two, two)).toBe('policy "test": it names 4 prefixes, 3 are allowed');
    expect(result(accept({ asPath: "12345" }))).toMatch(/5 characters, 4 are allowed/);
  });
});
