// Routes, neighbours and policies for tests of the policy engine.
import { ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import { compilePolicy } from "../../src/routing/bgp/policy/compile-policy.ts";
import {
  ACCEPT_ALL,
  type CompiledPolicy,
  type Match,
  type Policy,
  type PolicyInput,
  type PolicyRule,
  type PrefixMatch,
  type Rewrite,
} from "../../src/routing/bgp/policy/policy.ts";
import type { RibPeer, RibPeerConfig } from "../../src/routing/bgp/rib/rib-peer.ts";
import { type RibPrefix, RouteAttributes } from "../../src/routing/bgp/rib/route.ts";
import { type AsPath, type AsSegment, SegmentType } from "../../src/wire/bgp/as-path.ts";
import { NO_ATTRIBUTES, type PathAttributes } from "../../src/wire/bgp/attributes/path-attributes.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import { ipv6PrefixOf, parseIpv6 } from "../../src/wire/bgp/ipv6-addr.ts";
import type { NextHop } from "../../src/wire/bgp/next-hop.ts";

/** "10.0.0.0/8" or "2001:db8::/32" as the RIB has it. */
export function ribPrefix(text: string): RibPrefix {
  if (!text.includes(":")) {
    const { addr, len } = prefix(text);
    return { family: Family.IPV4_UNICAST, a: addr, b: 0, c: 0, d: 0, len };
  }
  return { family: Family.IPV6_UNICAST, ...ipv6Prefix(text) };
}

function ipv6Prefix(text: string) {
  const [addr = "", len] = text.split("/");
  const parsed = parseIpv6(addr);
  if (parsed === undefined) throw new Error(`not an IPv6 prefix: ${text}`);
  return ipv6PrefixOf(parsed, Number(len));
}

/** "10.0.0.0/8", and the lengths below it. */
export function prefixMatch(text: string, lenMin?: number, lenMax?: number): PrefixMatch {
  const isIpv6 = text.includes(":");
  return {
    family: isIpv6 ? Family.IPV6_UNICAST : Family.IPV4_UNICAST,
    prefix: isIpv6 ? ipv6Prefix(text) : prefix(text),
    ...(lenMin === undefined ? {} : { lenMin }),
    ...(lenMax === undefined ? {} : { lenMax }),
  };
}

/** Sequences are numbers; a set is "{1 2}", a confederation's sequence "(1 2)", its set "[1 2]". */
export function path(text: string): AsPath {
  const types: Record<string, number> = {
    "{": SegmentType.SET,
    "(": SegmentType.CONFED_SEQUENCE,
    "[": SegmentType.CONFED_SET,
  };
  return [...text.matchAll(/[{([]?[\d ]*\d/g)].map(([part]): AsSegment => {
    const type = types[part[0] ?? ""];
    const numbers = type === undefined ? part : part.slice(1);
    return { type: type ?? SegmentType.SEQUENCE, asns: numbers.trim().split(/ +/).map(Number) };
  });
}

export const GIVEN: PathAttributes = { ...NO_ATTRIBUTES, origin: 0, asPath: path("64512 64513") };

/** @param nextHop 10.9.9.9 unless given */
export function route(
  given: Partial<PathAttributes> = {},
  nextHop: NextHop = ipv4("10.9.9.9"),
): RouteAttributes {
  return new RouteAttributes({ ...GIVEN, ...given }, nextHop);
}

/** A neighbour: internal, and no client, unless told. */
export function source(given: Partial<RibPeerConfig & RibPeer> = {}): RibPeer {
  const { local = false, id = 1, bgpId = 1, as = 64512, ...config } = given;
  return {
    config: {
      name: "p1",
      addr: ipv4("10.0.0.1"),
      localAs: 64512,
      internal: true,
      rrClient: false,
      allowLocalAs: 0,
      importPolicy: compiled(ACCEPT_ALL),
      ...config,
    },
    id,
    bgpId,
    as,
    local,
  };
}

export function input(at: RouteAttributes, from: RibPeer = PEER, to = "10.1.0.0/24"): PolicyInput {
  return { prefix: ribPrefix(to), route: at, source: from };
}

export function compiled(policy: Policy, direction: "import" | "export" = "import"): CompiledPolicy {
  const result = compilePolicy(policy, direction);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

/** Rules in order; what none decides is refused. */
export function policy(...rules: readonly PolicyRule[]): Policy {
  return { name: "test", rules, default: "reject" };
}

/** Is the route taken by a policy that takes what matches, and nothing else? */
export function holds(match: Match, asked: PolicyInput): boolean {
  const taken = compiled(policy({ match, action: "accept" })).evaluate(asked);
  if (taken !== undefined && taken !== asked.route) throw new Error("a match alone changed the route");
  return taken !== undefined;
}

/** The route after one rule that takes all. */
export function rewritten(
  set: Rewrite,
  asked: PolicyInput,
  direction: "import" | "export" = "import",
): RouteAttributes {
  const after = compiled(policy({ set, action: "accept" }), direction).evaluate(asked);
  if (after === undefined) throw new Error("the route was refused");
  return after;
}

/** An internal neighbour. */
export const PEER = source();
