// A RIB with neighbours that tell what a test wants them to, and paths made by hand.
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import type { Instant } from "../../src/base/time.ts";
import { ACCEPT_ALL, type CompiledPolicy, type PolicyInput } from "../../src/routing/bgp/policy/policy.ts";
import { DEFAULT_DECISION, type DecisionOptions } from "../../src/routing/bgp/rib/decision.ts";
import { Rib } from "../../src/routing/bgp/rib/rib.ts";
import type { RibOptions } from "../../src/routing/bgp/rib/rib-options.ts";
import type { RibPeer, RibPeerConfig } from "../../src/routing/bgp/rib/rib-peer.ts";
import {
  type Destination,
  NEXT_HOP_SELF,
  type Path,
  type RibPrefix,
  RouteAttributes,
} from "../../src/routing/bgp/rib/route.ts";
import { type AsPath, SegmentType } from "../../src/wire/bgp/as-path.ts";
import { NO_ATTRIBUTES, Origin, type PathAttributes } from "../../src/wire/bgp/attributes/path-attributes.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import { formatIpv6 } from "../../src/wire/bgp/ipv6-addr.ts";
import type { NextHop } from "../../src/wire/bgp/next-hop.ts";
import type { ParsedUpdate } from "../../src/wire/bgp/update.ts";
import { ipv6, prefixes } from "./bgp.ts";

export const V4 = Family.IPV4_UNICAST;
export const V6 = Family.IPV6_UNICAST;

/** One sequence of ASs, or none. */
export function way(...asns: number[]): AsPath {
  return asns.length === 0 ? [] : [{ type: SegmentType.SEQUENCE, asns }];
}

export function attributes(given: Partial<PathAttributes> = {}): PathAttributes {
  return { ...NO_ATTRIBUTES, origin: Origin.IGP, asPath: way(65001), ...given };
}

/** A policy that does what `evaluate` does. */
export function policy(
  evaluate: (input: PolicyInput) => RouteAttributes | undefined,
  given: { readonly name?: string; readonly rule?: string } = {},
): CompiledPolicy {
  return {
    policy: { ...ACCEPT_ALL, name: given.name ?? "test" },
    direction: "import",
    evaluate,
    explain: (input) => ({ action: evaluate(input) ? "accept" : "reject", rule: given.rule }),
  };
}

export const ACCEPT = policy((input) => input.route, { name: "all" });
export const REJECT = policy(() => undefined, { name: "none" });

/** Changes the attributes of all routes, sharing results as a compiled policy does. */
export function rewriting(change: (old: PathAttributes) => Partial<PathAttributes>): CompiledPolicy {
  const results = new WeakMap<RouteAttributes, RouteAttributes>();
  return policy(({ route }) => {
    const known = results.get(route);
    if (known !== undefined) return known;
    const changed = { ...route.attributes, ...change(route.attributes) };
    const result = new RouteAttributes(changed, route.nextHop, route.weight, route.sets);
    results.set(route, result);
    return result;
  });
}

export function peerConfig(name: string, given: Partial<RibPeerConfig> = {}): RibPeerConfig {
  return {
    name,
    addr: ipv4("10.0.0.2"),
    localAs: 64512,
    internal: true,
    rrClient: false,
    allowLocalAs: 0,
    importPolicy: ACCEPT,
    ...given,
  };
}

export function prefix(text: string): RibPrefix {
  const family = text.includes(":") ? V6 : V4;
  const { words, lens } = prefixes(family, [text]);
  const [a = 0, b = 0, c = 0, d = 0] = words;
  return family === V4
    ? { family, a, b: 0, c: 0, d: 0, len: lens[0] as number }
    : { family, a, b, c, d, len: lens[0] as number };
}

export function textOf({ family, a, b, c, d, len }: RibPrefix): string {
  const addr =
    family === V4
      ? [a >>> 24, (a >>> 16) & 255, (a >>> 8) & 255, a & 255].join(".")
      : formatIpv6({ a, b, c, d });
  return `${addr}/${len}`;
}

/** An UPDATE of one family, or of both. */
export function update(parts: {
  readonly announce?: readonly string[];
  readonly withdraw?: readonly string[];
  readonly attributes?: PathAttributes;
  readonly nextHop?: NextHop;
}): ParsedUpdate {
  const { announce = [], withdraw = [], nextHop } = parts;
  const routes = parts.attributes ?? attributes();
  const lists = (texts: readonly string[]): ReturnType<typeof prefixes>[] =>
    [V4, V6].flatMap((family) => {
      const those = texts.filter((text) => text.includes(":") === (family === V6));
      return those.length === 0 ? [] : [prefixes(family, those)];
    });
  return {
    withdrawn: lists(withdraw),
    announced: lists(announce).map((list) => ({
      nextHop:
        nextHop ??
        (list.family === V4 ? ipv4("10.0.0.9") : { global: ipv6("2001:db8::9"), linkLocal: undefined }),
      prefixes: list,
    })),
    attributes: announce.length === 0 ? undefined : routes,
    attributeBlock: new Uint8Array(0),
    endOfRib: undefined,
    rung: "none",
    errors: [],
  };
}

/** AS 64512, router 10.0.0.1. */
export class RibWorld {
  readonly rib: Rib;
  /** What a listener heard: "10.1.0.0/16 p1", "10.1.0.0/16 -", with a "*" where the best changed. */
  heard: string[] = [];
  now: Instant = 1_000_000;

  constructor(given: Partial<RibOptions> = {}, decision: Partial<DecisionOptions> = {}) {
    this.rib = new Rib({
      localAs: 64512,
      routerId: ipv4("10.0.0.1"),
      clusterId: ipv4("10.0.0.1"),
      decision: { ...DEFAULT_DECISION, ...decision },
      nextHopMetric: () => 0,
      isLocalAddress: () => false,
      ...given,
    });
    this.rib.listen({
      changed: (dest, bestChanged) => {
        this.heard.push(`${textOf(dest)} ${nameOf(dest.best)}${bestChanged ? " *" : ""}`);
      },
    });
  }

  /** A neighbour p`n`, 10.0.0.`n`, up: of our AS, or external of AS 65000 + n. */
  peer(n: number, given: Partial<RibPeerConfig> = {}): RibPeer {
    const addr = ipv4(`10.0.0.${n}`);
    const peer = this.rib.addPeer(peerConfig(`p${n}`, { addr, ...given }));
    this.rib.peerUp(peer, { as: peer.config.internal ? 64512 : 65000 + n, bgpId: addr }, this.now);
    return peer;
  }

  announce(
    peer: RibPeer,
    announce: readonly string[],
    given: Partial<PathAttributes> = {},
    nextHop?: NextHop,
  ): void {
    const parts = { announce, attributes: attributes(given) };
    this.rib.apply(peer, update(nextHop === undefined ? parts : { ...parts, nextHop }), this.now);
  }

  withdraw(peer: RibPeer, texts: readonly string[]): void {
    this.rib.apply(peer, update({ withdraw: texts }), this.now);
  }

  originate(text: string, given: Partial<PathAttributes> = {}): void {
    const route = { attributes: attributes({ asPath: way(), ...given }), nextHop: NEXT_HOP_SELF };
    this.rib.originate(prefix(text), route, this.now);
  }

  /** Decides everything, and takes what was heard. */
  run(): string[] {
    while (this.rib.run(this.now, 3));
    const { heard } = this;
    this.heard = [];
    return heard;
  }

  dest(text: string): Destination {
    const dest = this.rib.lookup(prefix(text));
    if (dest === undefined) throw new Error(`there is no destination ${text}`);
    return dest;
  }

  /** The name of the neighbour whose path is chosen, "-" without one. */
  best(text: string): string {
    return nameOf(this.rib.lookup(prefix(text))?.best);
  }

  path(text: string, peer: RibPeer, pathId = 0): Path {
    const path = this.dest(text).paths.find((one) => one.source === peer && one.pathId === pathId);
    if (path === undefined) throw new Error(`${peer.config.name} has no path to ${text}`);
    return path;
  }
}

function nameOf(path: Path | undefined): string {
  return path?.source.config.name ?? "-";
}

const DEST: Destination = {
  ...prefix("10.1.0.0/16"),
  paths: [],
  best: undefined,
  multipath: [],
  dirty: false,
  holders: 0,
};

/** What a path by hand is made of. */
export interface PathParts {
  readonly name?: string;
  readonly weight?: number;
  readonly local?: boolean;
  readonly internal?: boolean;
  readonly metric?: number;
  readonly bgpId?: number;
  readonly addr?: number;
  readonly as?: number;
  readonly pathId?: number;
  readonly nextHop?: NextHop;
  readonly ineligible?: Path["ineligible"];
  readonly attributes?: Partial<PathAttributes>;
}

/** A path to nowhere in particular. */
export function pathOf(parts: PathParts = {}): Path {
  const { name = "p", local = false, internal = false, metric = 0, bgpId = 1, addr = 1, as = 65001 } = parts;
  const { pathId = 0, nextHop = ipv4("10.0.0.9"), weight = 0, ineligible } = parts;
  const source = { config: peerConfig(name, { addr, internal }), id: addr, bgpId, as, local };
  const route = new RouteAttributes(attributes(parts.attributes), nextHop, weight);
  return {
    dest: DEST,
    source,
    pathId,
    localId: 1,
    received: route,
    imported: ineligible === "rejected" ? undefined : route,
    ineligible,
    metric,
    stale: false,
    at: 0,
  };
}
