import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import type { Rewrite } from "../../../../../src/routing/bgp/policy/policy.ts";
import { NOTHING_SET, RouteAttributes } from "../../../../../src/routing/bgp/rib/route.ts";
import { formatAsPath } from "../../../../../src/wire/bgp/as-path.ts";
import { AttributeType } from "../../../../../src/wire/bgp/attributes/attribute-type.ts";
import { parseIpv6 } from "../../../../../src/wire/bgp/ipv6-addr.ts";
import {
  compiled,
  input,
  PEER,
  path,
  policy,
  rewritten,
  route,
  source,
} from "../../../../support/bgp-policy.ts";

const LOCAL = source({ local: true });
const ext = (high: number, low: number) => ({ high, low });
const large = (local2: number) => ({ global: 1, local1: 2, local2 });
const v6 = (text: string, linkLocal?: string) => ({
  global: parseIpv6(text) ?? { a: 0, b: 0, c: 0, d: 0 },
  linkLocal: linkLocal === undefined ? undefined : parseIpv6(linkLocal),
});

const full = route({
  med: 50,
  localPref: 200,
  communities: [1, 2, 3],
  extCommunities: [ext(1, 1), ext(2, 2)],
  largeCommunities: [large(1), large(2)],
});

/** What a rewrite leaves of `full`'s attributes. */
const set = (rewrite: Rewrite) => rewritten(rewrite, input(full)).attributes;

describe("values", () => {
  test("are set, and everything else stays", () => {
    const after = rewritten({ localPref: 0, med: 0, origin: 2, weight: 65535 }, input(full));
    expect(after.attributes).toEqual({ ...full.attributes, localPref: 0, med: 0, origin: 2 });
    expect(after.weight).toBe(65535);
    expect(after.localPref).toBe(0);
    expect(after.nextHop).toBe(full.nextHop);
    // Nothing was written to what other routes share.
    expect(full.attributes.localPref).toBe(200);
  });

  test("MED is taken away by null alone", () => {
    expect(set({ med: null }).med).toBeUndefined();
    expect(set({ localPref: 1 }).med).toBe(50);
  });

  test("AS numbers go in front, the first in front of all", () => {
    const after = rewritten({ prepend: [1, 2, 2] }, input(full));
    expect(formatAsPath(after.attributes.asPath ?? [])).toBe("1 2 2 64512 64513");
    expect(after.asPathLength).toBe(5);
    expect(after.neighborAs).toBe(1);
    const fresh = rewritten({ prepend: [7] }, input(route({ asPath: undefined })));
    expect(formatAsPath(fresh.attributes.asPath ?? [])).toBe("7");
    const behind = rewritten({ prepend: [7] }, input(route({ asPath: path("{1 2}") })));
    expect(formatAsPath(behind.attributes.asPath ?? [])).toBe("7 {1 2}");
  });
});

describe("communities", () => {
  test.each([
    ["added, in order, each once", { add: [9, 0, 2] }, [0, 1, 2, 3, 9]],
    ["taken away", { del: [3, 1, 7] }, [2]],
    ["taken away, then added", { del: [1, 2], add: [2, 4] }, [2, 3, 4]],
    ["cleared", { clear: true }, []],
    ["replaced", { clear: true, add: [8, 7] }, [7, 8]],
    ["cleared, and what is deleted besides is no matter", { clear: true, del: [1], add: [1] }, [1]],
    ["unsigned", { add: [0xffffff01, 0x80000000] }, [1, 2, 3, 0x80000000, 0xffffff01]],
  ])("%s", (_, communities, want) => {
    expect(set({ communities }).communities).toEqual(want);
  });

  test("extended and large ones likewise", () => {
    const after = set({
      extCommunities: { del: [ext(1, 1), ext(2, 3)], add: [ext(1, 9)] },
      largeCommunities: { del: [large(2)], add: [large(0), large(0)] },
    });
    expect(after.extCommunities).toEqual([ext(1, 9), ext(2, 2)]);
    expect(after.largeCommunities).toEqual([large(0), large(1)]);
    expect(set({ extCommunities: { clear: true } }).extCommunities).toEqual([]);
    expect(set({ largeCommunities: { clear: true, add: [large(5)] } }).largeCommunities).toEqual([large(5)]);
  });

  test("an attribute that its originator did not attach is partial", () => {
    const attach: Rewrite = {
      communities: { add: [1] },
      extCommunities: { add: [ext(1, 1)] },
      largeCommunities: { add: [large(1)] },
    };
    const { COMMUNITY, EXT_COMMUNITY, LARGE_COMMUNITY } = AttributeType;
    expect(rewritten(attach, input(route())).attributes.partial).toEqual([
      COMMUNITY,
      EXT_COMMUNITY,
      LARGE_COMMUNITY,
    ]);
    expect(rewritten(attach, input(route(), LOCAL)).attributes.partial).toEqual([]);
    // What was there is not: only its value changes.
    expect(set({ communities: { add: [9] } }).partial).toEqual([]);
    const came = route({ communities: [1], partial: [AttributeType.AGGREGATOR, COMMUNITY] });
    expect(rewritten({ communities: { add: [9] } }, input(came)).attributes.partial).toBe(
      came.attributes.partial,
    );
    expect(rewritten({ communities: { clear: true } }, input(came)).attributes.partial).toEqual([
      AttributeType.AGGREGATOR,
    ]);
  });
});

describe("next hops", () => {
  const other = ipv4("192.0.2.1");

  test("on import the route leads elsewhere, and nothing is left for export", () => {
    const after = rewritten({ nextHop: other, med: 7 }, input(full));
    expect(after.nextHop).toBe(other);
    expect(after.sets).toBe(NOTHING_SET);
  });

  test("on export what was given stands, self is said, and a MED that was set is told", () => {
    const exported = (rewrite: Rewrite, at = full) => rewritten(rewrite, input(at), "export");
    expect(exported({ nextHop: other }).sets).toEqual({ nextHop: "given", med: false });
    expect(exported({ nextHop: other }).nextHop).toBe(other);
    expect(exported({ nextHop: "self" }).sets).toEqual({ nextHop: "self", med: false });
    expect(exported({ med: 7 }).sets).toEqual({ nextHop: undefined, med: true });
    expect(exported({ med: 7 }).attributes.med).toBe(7);
    expect(exported({ med: null }).sets).toEqual(NOTHING_SET);
    expect(exported({ localPref: 7 }).sets).toEqual(NOTHING_SET);
    // The value that it has already: set, all the same.
    expect(exported({ med: 50 }).sets.med).toBe(true);
    expect(exported({ med: 50 }).attributes).toBe(full.attributes);
    expect(exported({ nextHop: full.nextHop }).sets.nextHop).toBe("given");
  });

  test("the rule that comes last has the say", () => {
    const two = (first: Rewrite, second: Rewrite) =>
      compiled(policy({ set: first, action: "next" }, { set: second, action: "accept" }), "export").evaluate(
        input(full),
      );
    expect(two({ nextHop: "self" }, { nextHop: other })).toMatchObject({
      nextHop: other,
      sets: { nextHop: "given" },
    });
    expect(two({ nextHop: other }, { nextHop: "self" })?.sets.nextHop).toBe("self");
    expect(two({ med: 1 }, { med: null })).toMatchObject({
      sets: { med: false },
      attributes: { med: undefined },
    });
    expect(two({ med: 1, nextHop: "self" }, { localPref: 5 })?.sets).toEqual({ nextHop: "self", med: true });
  });

  test("an IPv6 route cannot have an IPv4 next hop: the rest of the rule is done", () => {
    const through = route({}, v6("2001:db8::1"));
    const after = rewritten({ nextHop: other, localPref: 7 }, input(through, PEER, "2001:db8::/32"));
    expect(after.nextHop).toBe(through.nextHop);
    expect(after.localPref).toBe(7);
    const alone = rewritten({ nextHop: other }, input(through, PEER, "2001:db8::/32"), "export");
    expect(alone).toBe(through);
    const ipv4Route = rewritten({ nextHop: v6("2001:db8::2") }, input(full));
    expect(ipv4Route.nextHop).toEqual(v6("2001:db8::2"));
  });

  test("the same attributes at routes of both families", () => {
    const both = compiled(policy({ set: { nextHop: other, localPref: 1 }, action: "accept" }));
    const at = route({}, v6("2001:db8::1"));
    expect(both.evaluate(input(at))?.nextHop).toBe(other);
    expect(both.evaluate(input(at, PEER, "2001:db8::/32"))?.nextHop).toBe(at.nextHop);
    expect(both.evaluate(input(at))?.nextHop).toBe(other);
  });
});

describe("sharing", () => {
  const hop = v6("2001:db8::1", "fe80::1");

  test.each<[string, Rewrite, RouteAttributes]>([
    ["nothing", {}, full],
    ["local preference", { localPref: 200 }, full],
    ["MED", { med: 50 }, full],
    ["no MED", { med: null }, route()],
    ["origin", { origin: 0 }, full],
    ["next hop", { nextHop: ipv4("10.9.9.9") }, full],
    ["IPv6 next hop", { nextHop: v6("2001:db8::1", "fe80::1") }, route({}, hop)],
    ["weight", { weight: 0 }, full],
    ["no AS number", { prepend: [] }, full],
    ["communities", { communities: { del: [9], add: [2, 3] } }, full],
    ["extended communities", { extCommunities: { del: [ext(2, 1)], add: [ext(1, 1)] } }, full],
    ["large communities", { largeCommunities: { add: [large(1)] } }, full],
    ["cleared, and the same again", { communities: { clear: true, add: [3, 2, 1] } }, full],
    ["nothing to clear", { communities: { clear: true } }, route()],
  ])("what is so already stays the same object: %s", (_, rewrite, at) => {
    expect(rewritten(rewrite, input(at))).toBe(at);
  });

  test("an IPv6 next hop differs by its link-local address, too", () => {
    expect(rewritten({ nextHop: v6("2001:db8::1", "fe80::2") }, input(route({}, hop))).nextHop).not.toBe(hop);
    expect(rewritten({ nextHop: v6("2001:db8::1") }, input(route({}, hop))).nextHop).not.toBe(hop);
  });

  test("the same attributes lead to the same object, through a chain of rules and after other routes", () => {
    const chain = compiled(
      policy(
        { set: { localPref: 300 }, action: "next" },
        { match: { localPref: { min: 300 } }, set: { communities: { add: [7] } }, action: "next" },
        { set: { prepend: [1] }, action: "accept" },
      ),
    );
    const twin = new RouteAttributes(full.attributes, full.nextHop);
    const first = chain.evaluate(input(full));
    const second = chain.evaluate(input(twin));
    expect(second).toEqual(first);
    expect(second).not.toBe(first);
    expect(chain.evaluate(input(full, PEER, "10.2.0.0/24"))).toBe(first);
    expect(chain.evaluate(input(twin))).toBe(second);
    expect(chain.evaluate(input(full, source({ name: "p2" })))).toBe(first);
  });

  test("attributes alone, when only the weight changes", () => {
    expect(rewritten({ weight: 7 }, input(full)).attributes).toBe(full.attributes);
  });

  test("own and learnt routes with the same attributes", () => {
    const attach = compiled(policy({ set: { communities: { add: [1] } }, action: "accept" }), "export");
    const at = route();
    expect(attach.evaluate(input(at, LOCAL))?.attributes.partial).toEqual([]);
    expect(attach.evaluate(input(at, PEER))?.attributes.partial).toEqual([AttributeType.COMMUNITY]);
    expect(attach.evaluate(input(at, LOCAL))?.attributes.partial).toEqual([]);
  });
});
