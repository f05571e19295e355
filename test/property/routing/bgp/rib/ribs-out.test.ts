// Whatever happens, and whoever comes, goes or stops listening in between: in the end each neighbour knows exactly what the export
// rules make of what was chosen, was never told what it knew, and heard one End-of-RIB.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../../../../src/base/time.ts";
import type { ExportConfig } from "../../../../../src/routing/bgp/rib/export-config.ts";
import type { RibPeer, RibPeerConfig } from "../../../../../src/routing/bgp/rib/rib-peer.ts";
import type { PathAttributes } from "../../../../../src/wire/bgp/attributes/path-attributes.ts";
import { Community } from "../../../../../src/wire/bgp/communities.ts";
import type { Negotiated } from "../../../../../src/wire/bgp/negotiated.ts";
import type { NextHop } from "../../../../../src/wire/bgp/next-hop.ts";
import { ipv6 } from "../../../../support/bgp.ts";
import { EXPORT, expectedTable, knownTable, type Listener, OutWorld } from "../../../../support/out-world.ts";
import { policy, prefix, rewriting, V4, V6, way } from "../../../../support/rib-world.ts";

interface Neighbor {
  readonly role: Partial<RibPeerConfig>;
  readonly config?: Partial<ExportConfig>;
  readonly session?: Partial<Negotiated>;
}

const OWN6 = ipv6("2001:db8::1");
const BOTH = { families: [V4, V6] };

/** Three clients and two external neighbours of one AS share groups; the others are alone. */
const MIXED: readonly Neighbor[] = [
  { role: { rrClient: true } },
  { role: { rrClient: true } },
  { role: { rrClient: true } },
  { role: { rrClient: false }, session: BOTH, config: { nextHop: "self", localAddr6: OWN6 } },
  { role: { internal: false }, config: { checkPeerAs: false } },
  { role: { internal: false }, config: { checkPeerAs: false } },
  { role: { internal: false }, config: { mraiSec: 10 }, session: { as4: false } },
  { role: { rrClient: true }, session: { addPathTx: [V4] }, config: { addPathMax: 2 } },
  { role: { rrClient: true }, session: { addPathTx: [V4] }, config: { addPathMax: 2 } },
  { role: { rrClient: true }, session: { enhancedRefresh: false, ...BOTH }, config: { mraiSec: 5 } },
];

/** All in one group, and all of them sources. */
const CLIENTS: readonly Neighbor[] = MIXED.map(() => ({ role: { rrClient: true } }));

/** The same, and each is told two paths. */
const ADD_PATH_CLIENTS: readonly Neighbor[] = MIXED.map(() => ({
  role: { rrClient: true },
  session: { addPathTx: [V4] },
  config: { addPathMax: 2 },
}));

const tagging = rewriting((old) => ({ communities: [...old.communities, 7] }));
const short = policy(({ prefix: { len }, route }) => (len < 24 ? route : undefined));
const CONFIGS: readonly Partial<ExportConfig>[] = [
  {},
  { policy: tagging },
  { policy: short },
  { nextHop: "forceSelf" },
];

const ATTRIBUTES: readonly Partial<PathAttributes>[] = [
  {},
  { asPath: way(65001, 65002) },
  { localPref: 200 },
  { communities: [Community.NO_EXPORT] },
  { communities: [Community.NO_ADVERTISE] },
  { asPath: way(65006, 200_000), med: 5 },
];
const HOPS: readonly (NextHop | undefined)[] = [undefined, undefined, ipv4("10.0.0.3")];
const PREFIXES = ["10.1.0.0/16", "10.2.0.0/16", "10.3.1.0/24", "10.3.2.0/24", "2001:db8:1::/48"];

const who = fc.nat(MIXED.length - 1);
const what = fc.nat(PREFIXES.length - 1);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constant("announce"), who, what, fc.nat(ATTRIBUTES.length * 3 - 1)) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("withdraw"), who, what) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("originate"), what, fc.nat(ATTRIBUTES.length - 1)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("retract"), what) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("join"), who) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("leave"), who) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("block"), who) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("unblock"), who, fc.constantFrom(1, 2, 1000)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("refresh"), who, fc.constantFrom(V4, V6)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("reconfigure"), who, fc.nat(CONFIGS.length - 1)) },
  { weight: 8, arbitrary: fc.tuple(fc.constant("run"), fc.integer({ min: 1, max: 4 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("wait"), fc.integer({ min: 1, max: 12 })) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

class Model {
  readonly world: OutWorld;
  readonly #neighbors: readonly Neighbor[];
  readonly peers: readonly RibPeer[];
  readonly up = new Map<number, Listener>();
  readonly configs = new Map<number, ExportConfig>();
  /** Neighbours that were told everything again without a word about it. */
  readonly repeated = new Set<Listener>();

  /** @param logMaxBytes few, so that a member that stops listening soon goes on its own */
  constructor(neighbors: readonly Neighbor[], logMaxBytes: number) {
    this.world = new OutWorld({}, logMaxBytes);
    this.#neighbors = neighbors;
    this.peers = neighbors.map(({ role }, i) => this.world.peer(i + 2, role));
  }

  do([t, ...args]: Step): void {
    const [i = 0, n = 0, k = 0] = args as number[];
    const { world } = this;
    const text = PREFIXES[n] as string;
    switch (t) {
      case "announce": {
        const hop = text.includes(":") ? undefined : HOPS[Math.floor(k / ATTRIBUTES.length)];
        world.announce(this.peers[i] as RibPeer, [text], ATTRIBUTES[k % ATTRIBUTES.length], hop);
        break;
      }
      case "withdraw":
        world.withdraw(this.peers[i] as RibPeer, [text]);
        break;
      case "originate":
        world.originate(PREFIXES[i] as string, ATTRIBUTES[n]);
        break;
      case "retract":
        world.rib.withdraw(prefix(PREFIXES[i] as string), world.now);
        break;
      case "join":
        this.#join(i);
        break;
      case "leave":
        this.#leave(i);
        break;
      case "block":
      case "unblock": {
        const listener = this.up.get(i);
        if (listener !== undefined) world.unblock(listener, t === "block" ? 0 : n);
        break;
      }
      case "refresh": {
        const listener = this.up.get(i);
        if (listener === undefined) break;
        if (!listener.negotiated.enhancedRefresh) this.repeated.add(listener);
        world.out.refresh(listener.peer, n, world.now);
        break;
      }
      case "reconfigure":
        this.#reconfigure(i, CONFIGS[n] as Partial<ExportConfig>);
        break;
      case "run":
        world.rib.run(world.now, i);
        world.out.run(world.now, i);
        break;
      case "wait":
        world.now += i * SEC_US;
        break;
    }
  }

  #join(i: number): void {
    const { config, session } = this.#neighbors[i] as Neighbor;
    this.#leave(i);
    const listener = this.world.join(this.peers[i] as RibPeer, config, session);
    this.up.set(i, listener);
    this.configs.set(i, listener.config);
  }

  #leave(i: number): void {
    const listener = this.up.get(i);
    if (listener === undefined) return;
    this.up.delete(i);
    this.world.leave(listener);
    this.check(listener);
  }

  #reconfigure(i: number, given: Partial<ExportConfig>): void {
    const listener = this.up.get(i);
    if (listener === undefined) return;
    const config = { ...EXPORT, ...(this.#neighbors[i] as Neighbor).config, ...given };
    this.configs.set(i, config);
    this.world.out.reconfigure(listener.peer, config, this.world.now);
  }

  /** What holds at any time. */
  check(listener: Listener): void {
    if (!this.repeated.has(listener)) expect(listener.redundant).toEqual([]);
    expect(new Set(listener.ended).size).toBe(listener.ended.length);
  }

  /** What holds when nothing is left to do. */
  finish(): void {
    const { world } = this;
    for (const listener of this.up.values()) world.unblock(listener);
    world.settle(3);
    world.now += 20 * SEC_US;
    world.settle(3);
    expect(world.out.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    for (const [i, listener] of this.up) {
      const expected = expectedTable(world, listener, this.configs.get(i));
      expect(knownTable(listener)).toEqual(expected);
      expect(new Set(listener.ended)).toEqual(new Set(listener.negotiated.families));
      expect(listener.refreshing.size).toBe(0);
      this.check(listener);
      let told = 0;
      for (const family of listener.negotiated.families) {
        const dumped = [...world.out.dump(listener.peer, family)].length;
        expect(world.out.count(listener.peer, family)).toBe(dumped);
        told += dumped;
      }
      expect(told).toBe(expected.size);
      expect(world.out.pending(listener.peer)).toBe(0);
    }
  }

  /** Nothing is held when nobody is left. */
  end(): void {
    const { world } = this;
    for (const i of this.up.keys()) this.#leave(i);
    for (const peer of this.peers) world.rib.peerDown(peer, [], world.now);
    for (const text of PREFIXES) world.rib.withdraw(prefix(text), world.now);
    world.settle();
    expect(world.rib.count(V4) + world.rib.count(V6)).toBe(0);
    expect(world.out.stats.groups).toBe(0);
  }
}

describe("in the end each neighbour knows what it should, and was told nothing twice", () => {
  test.each([
    ["neighbours of all kinds", MIXED],
    ["one group of clients", CLIENTS],
    ["one group of clients that are told several paths", ADD_PATH_CLIENTS],
  ])("%s", (_, neighbors) => {
    fc.assert(
      fc.property(
        fc.subarray([...neighbors.keys()]),
        fc.array(step, { minLength: 20, maxLength: 150, size: "max" }),
        fc.constantFrom(0, 200, 100_000),
        (first, steps, logMaxBytes) => {
          const model = new Model(neighbors, logMaxBytes);
          for (const i of first) model.do(["join", i]);
          for (const one of steps) model.do(one);
          model.finish();
          model.end();
        },
      ),
      { numRuns: 150 },
    );
  });
});
