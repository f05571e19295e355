import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import type { Match, PrefixMatch } from "../../../../../src/routing/bgp/policy/policy.ts";
import { NEXT_HOP_SELF } from "../../../../../src/routing/bgp/rib/route.ts";
import { NO_ATTRIBUTES } from "../../../../../src/wire/bgp/attributes/path-attributes.ts";
import { parseIpv6 } from "../../../../../src/wire/bgp/ipv6-addr.ts";
import { holds, input, PEER, path, prefixMatch, route, source } from "../../../../support/bgp-policy.ts";

const large = (global: number, local1: number, local2: number) => ({ global, local1, local2 });
const ext = (high: number, low: number) => ({ high, low });
const v6 = (text: string) => ({
  global: parseIpv6(text) ?? { a: 0, b: 0, c: 0, d: 0 },
  linkLocal: undefined,
});

describe("prefixes", () => {
  const one = (match: PrefixMatch, prefix: string): boolean =>
    holds({ prefixes: [match] }, input(route(), PEER, prefix));

  test.each([
    [
      "10.0.0.0/8 itself",
      prefixMatch("10.0.0.0/8"),
      ["10.0.0.0/8"],
      ["10.0.0.0/9", "0.0.0.0/0", "11.0.0.0/8"],
    ],
    [
      "10.0.0.0/8 with 24..26",
      prefixMatch("10.0.0.0/8", 24, 26),
      ["10.1.1.0/24", "10.1.1.0/25", "10.255.255.192/26"],
      ["10.0.0.0/8", "10.1.0.0/23", "10.1.1.0/27", "11.1.1.0/24"],
    ],
    [
      "10.0.0.0/8 from 24 on is 24 alone",
      prefixMatch("10.0.0.0/8", 24),
      ["10.1.1.0/24"],
      ["10.0.0.0/8", "10.1.1.0/25"],
    ],
    [
      "10.0.0.0/8 up to 10 is 8 alone, and what lies between is not meant",
      prefixMatch("10.0.0.0/8", undefined, 8),
      ["10.0.0.0/8"],
      ["10.0.0.0/9"],
    ],
    [
      "all",
      prefixMatch("0.0.0.0/0", 0, 32),
      ["0.0.0.0/0", "255.255.255.255/32", "10.0.0.0/8"],
      ["::/0", "2001:db8::/32"],
    ],
    ["the default route", prefixMatch("0.0.0.0/0"), ["0.0.0.0/0"], ["0.0.0.0/1", "::/0"]],
    ["a host", prefixMatch("10.0.0.1/32"), ["10.0.0.1/32"], ["10.0.0.0/31", "10.0.0.2/32"]],
    [
      "above 2^31",
      prefixMatch("192.0.2.0/24", 24, 32),
      ["192.0.2.0/24", "192.0.2.255/32"],
      ["192.0.3.0/24", "64.0.2.0/24"],
    ],
    ["all of IPv6", prefixMatch("::/0", 0, 128), ["::/0", "ffff::/16", "::1/128"], ["0.0.0.0/0"]],
    [
      "a long IPv6 prefix",
      prefixMatch("2001:db8:0:1:8000::/66", 66, 128),
      ["2001:db8:0:1:8000::/66", "2001:db8:0:1:bfff::1/128"],
      ["2001:db8:0:1::/64", "2001:db8:0:1:c000::/66", "2001:db8:0:2:8000::/66", "2001:db9:0:1:8000::/66"],
    ],
    [
      "the last word of IPv6",
      prefixMatch("2001:db8::ff00/120", 128),
      ["2001:db8::ff07/128"],
      ["2001:db8::fe07/128"],
    ],
  ])("%s", (_, match, inside, outside) => {
    for (const prefix of inside) expect(one(match, prefix), `${prefix} is meant`).toBe(true);
    for (const prefix of outside) expect(one(match, prefix), `${prefix} is not meant`).toBe(false);
  });

  test("up to alone begins with the prefix's own length", () => {
    expect(one({ ...prefixMatch("10.0.0.0/8"), lenMax: 10 }, "10.0.0.0/8")).toBe(true);
    expect(one({ ...prefixMatch("10.0.0.0/8"), lenMax: 10 }, "10.64.0.0/10")).toBe(true);
    expect(one({ ...prefixMatch("10.0.0.0/8"), lenMax: 10 }, "10.64.0.0/11")).toBe(false);
  });

  test("one of the list is enough, of either family", () => {
    const match: Match = { prefixes: [prefixMatch("10.0.0.0/8", 16), prefixMatch("2001:db8::/32")] };
    expect(holds(match, input(route(), PEER, "10.1.0.0/16"))).toBe(true);
    expect(holds(match, input(route(), PEER, "2001:db8::/32"))).toBe(true);
    expect(holds(match, input(route(), PEER, "10.1.0.0/17"))).toBe(false);
    expect(holds(match, input(route(), PEER, "2001:db8::/33"))).toBe(false);
  });
});

describe("attributes", () => {
  const at = route({
    origin: 1,
    asPath: path("64512 64513 64514"),
    med: 50,
    localPref: 200,
    communities: [0x10001, 0x20002, 0xffffff01],
    extCommunities: [ext(0x0002fc00, 1), ext(0x0003fc00, 1)],
    largeCommunities: [large(1, 2, 3), large(1, 2, 0xffffffff)],
  });
  const bare = route({ origin: undefined, asPath: undefined });

  test.each<[string, Match]>([
    ["nothing asked", {}],
    ["a community", { communities: [5, 0x20002] }],
    ["a well-known community", { communities: [0xffffff01] }],
    ["communities in any order", { communities: [0xffffffff, 0x10001, 3] }],
    ["an extended community", { extCommunities: [ext(9, 9), ext(0x0003fc00, 1)] }],
    ["a large community", { largeCommunities: [large(1, 2, 0xffffffff)] }],
    ["a path", { asPath: "^64512_.*_64514$" }],
    ["a length", { asPathLength: { min: 3, max: 3 } }],
    ["a length, no upper bound", { asPathLength: { min: 2 } }],
    ["a length, no lower bound", { asPathLength: { max: 3 } }],
    ["where it comes from", { originAs: [1, 64514] }],
    ["what it came through last", { neighborAs: [64512] }],
    ["an origin", { origin: [0, 1] }],
    ["a next hop", { nextHop: [prefixMatch("10.1.0.0/16"), prefixMatch("10.9.0.0/16")] }],
    ["a MED", { med: { min: 50, max: 50 } }],
    ["any MED", { med: {} }],
    ["a local preference", { localPref: { min: 101 } }],
    ["all of them", { origin: [1], med: { max: 50 }, localPref: { min: 200 }, communities: [0x10001] }],
  ])("hold: %s", (_, match) => {
    expect(holds(match, input(at))).toBe(true);
  });

  test.each<[string, Match]>([
    ["another community", { communities: [0x10002, 0xfffffff1] }],
    ["a community that only begins alike", { communities: [0x1] }],
    ["no community", { communities: [] }],
    ["another extended community", { extCommunities: [ext(0x0003fc00, 2), ext(0x0004fc00, 1)] }],
    ["no extended community", { extCommunities: [] }],
    ["another large community", { largeCommunities: [large(1, 2, 4), large(1, 3, 3), large(2, 2, 3)] }],
    ["no large community", { largeCommunities: [] }],
    ["another path", { asPath: "^64513" }],
    ["too short", { asPathLength: { min: 4 } }],
    ["too long", { asPathLength: { max: 2 } }],
    ["comes from elsewhere", { originAs: [64512, 64513] }],
    ["comes from nowhere", { originAs: [] }],
    ["another neighbour", { neighborAs: [64514] }],
    ["no neighbour", { neighborAs: [] }],
    ["another origin", { origin: [0, 2] }],
    ["no origin", { origin: [] }],
    ["another next hop", { nextHop: [prefixMatch("10.9.8.0/24"), prefixMatch("::/0")] }],
    ["no next hop", { nextHop: [] }],
    ["a larger MED", { med: { min: 51 } }],
    ["a smaller MED", { med: { max: 49 } }],
    ["a larger local preference", { localPref: { min: 201 } }],
    ["no prefix", { prefixes: [] }],
    ["no source", { source: [] }],
    ["one of all does not", { origin: [1], med: { max: 49 }, localPref: { min: 200 } }],
  ])("do not hold: %s", (_, match) => {
    expect(holds(match, input(at))).toBe(false);
  });

  test("what a route does not have is in no list and in no range", () => {
    for (const match of [
      { med: {} },
      { med: { min: 0 } },
      { origin: [0, 1, 2] },
      { originAs: [64512] },
      { neighborAs: [64512] },
      { communities: [0] },
    ] satisfies Match[]) {
      expect(holds(match, input(bare)), JSON.stringify(match)).toBe(false);
    }
    expect(holds({ asPath: "^$", asPathLength: { max: 0 } }, input(bare))).toBe(true);
    expect(holds({ asPath: "^$" }, input(route({ ...NO_ATTRIBUTES, asPath: [] })))).toBe(true);
  });

  test("a local preference that did not come is 100", () => {
    expect(holds({ localPref: { min: 100, max: 100 } }, input(route()))).toBe(true);
    expect(holds({ localPref: { min: 101 } }, input(route()))).toBe(false);
  });

  test("large values are unsigned", () => {
    const high = route({ med: 0xffffffff, localPref: 2147483647 + 2 });
    expect(holds({ med: { min: 0xffffffff }, localPref: { min: 2147483649 } }, input(high))).toBe(true);
    expect(holds({ med: { max: 0x7fffffff } }, input(high))).toBe(false);
    expect(holds({ localPref: { max: 2147483648 } }, input(high))).toBe(false);
  });

  test("a set ends the path: nobody knows where the route comes from; a set in front: nor through whom", () => {
    expect(holds({ originAs: [1, 2, 3] }, input(route({ asPath: path("1 {2 3}") })))).toBe(false);
    expect(holds({ neighborAs: [1, 2, 3] }, input(route({ asPath: path("{2 3} 1") })))).toBe(false);
    expect(holds({ neighborAs: [1] }, input(route({ asPath: path("(65001) 1") })))).toBe(true);
    expect(
      holds({ asPathLength: { min: 2, max: 2 } }, input(route({ asPath: path("(65001) 1 {2 3}") }))),
    ).toBe(true);
  });

  test("IPv6 next hops lie in IPv6 prefixes, our own address in none", () => {
    const through = route({}, v6("2001:db8::1"));
    expect(holds({ nextHop: [prefixMatch("2001:db8::/64")] }, input(through))).toBe(true);
    expect(holds({ nextHop: [prefixMatch("2001:db9::/64"), prefixMatch("0.0.0.0/0")] }, input(through))).toBe(
      false,
    );
    const own = route({}, NEXT_HOP_SELF);
    expect(holds({ nextHop: [prefixMatch("0.0.0.0/0"), prefixMatch("::/0")] }, input(own))).toBe(false);
    expect(holds({ nextHop: [prefixMatch("192.0.2.0/24")] }, input(route({}, ipv4("192.0.2.200"))))).toBe(
      true,
    );
  });
});

describe("sources", () => {
  const local = source({ local: true, internal: true, rrClient: true, name: "local" });
  const external = source({ internal: false, name: "tor1", as: 65001 });
  const client = source({ rrClient: true, name: "node7" });
  const cases = [
    ["local", local],
    ["internal", PEER],
    ["external", external],
    ["rrClient", client],
  ] as const;

  test.each(cases)("%s", (kind, from) => {
    const others = cases.filter(
      ([other]) => other !== kind && !(kind === "internal" && other === "rrClient"),
    );
    expect(holds({ source: [kind] }, input(route(), from))).toBe(true);
    for (const [other, peer] of others)
      expect(holds({ source: [kind] }, input(route(), peer)), other).toBe(false);
  });

  test("a reflection client is internal, too", () => {
    expect(holds({ source: ["internal"] }, input(route(), client))).toBe(true);
  });

  test("one neighbour by its name, which this speaker itself does not have", () => {
    expect(holds({ source: [{ peer: "tor1" }] }, input(route(), external))).toBe(true);
    expect(holds({ source: [{ peer: "tor2" }] }, input(route(), external))).toBe(false);
    expect(holds({ source: [{ peer: "local" }] }, input(route(), local))).toBe(false);
    expect(holds({ source: ["local", { peer: "tor1" }] }, input(route(), external))).toBe(true);
  });
});
