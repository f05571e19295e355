import fc from "fast-check";
import { expect, test } from "vitest";
import { type DecisionOptions, decide } from "../../../../../src/routing/bgp/rib/decision.ts";
import { explain } from "../../../../../src/routing/bgp/rib/explain.ts";
import type { RibPeer } from "../../../../../src/routing/bgp/rib/rib-peer.ts";
import type { Destination, Path, RouteAttributes } from "../../../../../src/routing/bgp/rib/route.ts";
import type { Family } from "../../../../../src/wire/bgp/family.ts";
import { policy, prefix, RibWorld, rewriting, textOf, V4, V6, way } from "../../../../support/rib-world.ts";

const TEXTS = ["10.0.0.0/8", "10.0.0.0/16", "192.0.2.0/24", "2001:db8::/32", "2001:db8::/48"];
const FAMILIES = [V4, V6];

const POLICIES = [
  policy(({ route }) => route),
  policy(({ route, prefix: { len } }) => (len >= 16 ? route : undefined)),
  rewriting(({ med }) => ({ localPref: 100 + (med ?? 0) })),
];

const someTexts = fc.subarray(TEXTS, { minLength: 1 });
const somePeer = fc.nat(2);
const someFamily = fc.constantFrom(...FAMILIES);

type Op =
  | { t: "announce"; peer: number; texts: string[]; pathId: number; med: number; as: number; hop: number }
  | { t: "withdraw"; peer: number; texts: string[]; pathId: number }
  | { t: "down"; peer: number; keep: Family[] }
  | { t: "flush" | "begin" | "end"; peer: number; family: Family }
  | { t: "originate" | "takeBack"; text: string }
  | { t: "policy"; peer: number; which: number }
  | { t: "hop"; hop: number; metric: number | undefined }
  | { t: "hold" | "release"; family: Family }
  | { t: "replace"; peer: number }
  | { t: "run"; budget: number };

const someOp: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      t: fc.constant("announce" as const),
      peer: somePeer,
      texts: someTexts,
      pathId: fc.nat(1),
      med: fc.nat(2),
      as: fc.constantFrom(65001, 65002, 64512),
      hop: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      t: fc.constant("withdraw" as const),
      peer: somePeer,
      texts: someTexts,
      pathId: fc.nat(1),
    }),
  },
  fc.record({ t: fc.constant("down" as const), peer: somePeer, keep: fc.subarray(FAMILIES) }),
  fc.record({
    t: fc.constantFrom("flush" as const, "begin" as const, "end" as const),
    peer: somePeer,
    family: someFamily,
  }),
  fc.record({
    t: fc.constantFrom("originate" as const, "takeBack" as const),
    text: fc.constantFrom(...TEXTS),
  }),
  fc.record({ t: fc.constant("policy" as const), peer: somePeer, which: fc.nat(POLICIES.length - 1) }),
  fc.record({
    t: fc.constant("hop" as const),
    hop: fc.integer({ min: 1, max: 3 }),
    metric: fc.constantFrom(undefined, 0, 1, 2),
  }),
  fc.record({ t: fc.constantFrom("hold" as const, "release" as const), family: someFamily }),
  fc.record({ t: fc.constant("replace" as const), peer: somePeer }),
  { weight: 3, arbitrary: fc.record({ t: fc.constant("run" as const), budget: fc.nat(4) }) },
);

/** What is known of a path to the model. */
interface Told {
  readonly med: number;
  readonly as: number;
  readonly hop: number;
  stale: boolean;
}

/** The RIB, a model of its Adj-RIB-Ins that is nothing but maps, and a listener that believes what it hears. */
class Run {
  readonly metrics = new Map<number, number>([1, 2, 3].map((hop) => [hop, 0]));
  readonly world: RibWorld;
  readonly peers: RibPeer[] = [];
  readonly told = new Map<string, Told>();
  readonly own = new Set<string>();
  readonly refreshing = new Set<string>();
  readonly held = new Set<Family>();
  readonly heard = new Map<Destination, { best: Path; route: RouteAttributes | undefined }>();

  constructor(decision: DecisionOptions) {
    this.world = new RibWorld({ nextHopMetric: (hop) => this.metrics.get(hop as number) }, decision);
    for (let i = 0; i < 3; i++) this.peers.push(this.#newPeer(i));
    this.world.rib.listen({
      changed: (dest, bestChanged) => {
        const before = this.heard.get(dest);
        expect(dest.best !== undefined || before !== undefined).toBe(true);
        if (!bestChanged) {
          expect(dest.best).toBe(before?.best);
          expect(dest.best?.imported?.attributes).toEqual(before?.route?.attributes);
        }
        if (dest.best === undefined) this.heard.delete(dest);
        else this.heard.set(dest, { best: dest.best, route: dest.best.imported });
      },
    });
  }

  #newPeer(i: number): RibPeer {
    return this.world.peer(2 + i, { internal: i !== 0 });
  }

  #keys(peer: number, family: Family): string[] {
    return [...this.told.keys()].filter((key) => {
      return key.startsWith(`${peer} `) && key.includes(":") === (family === V6);
    });
  }

  do(op: Op): void {
    const { world, told, refreshing } = this;
    const { rib } = world;
    const key = (peer: number, text: string, pathId: number): string => `${peer} ${text} path ${pathId}`;
    const drop = (peer: number, family: Family, which: (one: Told) => boolean): void => {
      for (const one of this.#keys(peer, family)) if (which(told.get(one) as Told)) told.delete(one);
    };
    switch (op.t) {
      case "announce": {
        const { peer, texts, pathId, med, as, hop } = op;
        const list = texts.map((text) => `${text} path ${pathId}`);
        world.announce(this.peers[peer] as RibPeer, list, { med, asPath: way(as) }, hop);
        for (const text of texts) told.set(key(peer, text, pathId), { med, as, hop, stale: false });
        return;
      }
      case "withdraw": {
        const list = op.texts.map((text) => `${text} path ${op.pathId}`);
        world.withdraw(this.peers[op.peer] as RibPeer, list);
        for (const text of op.texts) told.delete(key(op.peer, text, op.pathId));
        return;
      }
      case "down":
        rib.peerDown(this.peers[op.peer] as RibPeer, op.keep, 0);
        for (const family of FAMILIES) {
          const window = refreshing.delete(`${op.peer} ${family}`);
          drop(op.peer, family, (one) => !op.keep.includes(family) || (one.stale && !window));
          for (const one of this.#keys(op.peer, family)) (told.get(one) as Told).stale = true;
        }
        return;
      case "flush":
        rib.flushStale(this.peers[op.peer] as RibPeer, op.family, 0);
        drop(op.peer, op.family, (one) => one.stale);
        return;
      case "begin":
        rib.refreshBegun(this.peers[op.peer] as RibPeer, op.family, 0);
        refreshing.add(`${op.peer} ${op.family}`);
        for (const one of this.#keys(op.peer, op.family)) (told.get(one) as Told).stale = true;
        return;
      case "end":
        rib.refreshEnded(this.peers[op.peer] as RibPeer, op.family, 0);
        if (refreshing.delete(`${op.peer} ${op.family}`)) drop(op.peer, op.family, (one) => one.stale);
        return;
      case "originate":
        world.originate(op.text);
        this.own.add(op.text);
        return;
      case "takeBack":
        expect(rib.withdraw(prefix(op.text), 0)).toBe(this.own.delete(op.text));
        return;
      case "policy": {
        const peer = this.peers[op.peer] as RibPeer;
        rib.configure(peer, { ...peer.config, importPolicy: POLICIES[op.which] as never }, 0);
        return;
      }
      case "hop":
        if (op.metric === undefined) this.metrics.delete(op.hop);
        else this.metrics.set(op.hop, op.metric);
        rib.nextHopsChanged(0);
        return;
      case "hold":
        rib.hold(op.family);
        this.held.add(op.family);
        return;
      case "release":
        rib.release(op.family);
        this.held.delete(op.family);
        return;
      case "replace":
        rib.delPeer(this.peers[op.peer] as RibPeer, 0);
        this.peers[op.peer] = this.#newPeer(op.peer);
        for (const family of FAMILIES) {
          drop(op.peer, family, () => true);
          refreshing.delete(`${op.peer} ${family}`);
        }
        return;
      case "run":
        rib.run(0, op.budget);
    }
  }

  /** Everything has been decided. */
  check(decision: DecisionOptions): void {
    const { rib } = this.world;
    const found = new Set<string>();
    let chosen = 0;
    for (const family of FAMILIES) {
      const dests = [...rib.destinations(family)];
      expect(rib.count(family)).toBe(dests.length);
      for (const dest of dests) {
        expect(rib.lookup(dest)).toBe(dest);
        expect(dest.paths.length).toBeGreaterThan(0);
        expect(new Set(dest.paths.map((path) => path.localId)).size).toBe(dest.paths.length);
        for (const path of dest.paths) this.#checkPath(path, family, found);
        const { best, multipath } = decide(dest.paths, decision, undefined);
        expect(dest.best).toBe(best);
        expect(dest.multipath).toEqual(multipath);
        const explained = explain(dest, decision);
        expect(explained.map((one) => one.path).toSorted(byLocalId)).toEqual(dest.paths.toSorted(byLocalId));
        expect(explained.filter((one) => one.chosen !== undefined).map((one) => one.path)).toEqual(multipath);
        expect(this.heard.get(dest)?.best).toBe(best);
        expect(this.heard.get(dest)?.route?.attributes).toEqual(best?.imported?.attributes);
        if (best !== undefined) chosen++;
      }
    }
    expect(this.heard.size).toBe(chosen);
    expect([...found].toSorted()).toEqual(
      [...this.told.keys(), ...[...this.own].map((text) => `own ${text} path 0`)].toSorted(),
    );
    for (const [i, peer] of this.peers.entries()) {
      for (const family of FAMILIES) {
        const paths = [...rib.pathsOf(peer, family)];
        expect(paths.length).toBe(this.#keys(i, family).length);
        expect(rib.prefixCount(peer, family)).toBe(paths.length);
        for (const path of paths) expect(path.dest.paths).toContain(path);
      }
    }
  }

  #checkPath(path: Path, family: Family, found: Set<string>): void {
    const { source, received, stale, pathId } = path;
    const i = this.peers.indexOf(source);
    const key = `${source.local ? "own" : i} ${textOf(path.dest)} path ${pathId}`;
    found.add(key);
    if (source.local) return;
    const told = this.told.get(key);
    expect(told).toBeDefined();
    const { med, as, hop } = told as Told;
    expect({ med: received.attributes.med, hop: received.nextHop, as: received.neighborAs, stale }).toEqual({
      med,
      hop,
      as,
      stale: told?.stale,
    });
    expect([...this.world.rib.pathsOf(source, family)]).toContain(path);
    const question = { prefix: path.dest, route: received, source };
    const imported = source.config.importPolicy.evaluate(question);
    expect(path.imported?.attributes).toEqual(imported?.attributes);
    const metric = this.metrics.get(hop);
    const unreachable = metric === undefined ? "unreachable" : undefined;
    expect(path.ineligible).toBe(as === 64512 ? "asLoop" : imported === undefined ? "rejected" : unreachable);
    if (path.ineligible === undefined) expect(path.metric).toBe(metric);
  }
}

function byLocalId(x: Path, y: Path): number {
  return x.localId - y.localId;
}

test("whatever happens in whatever order, and whenever it is decided, the tables are what the neighbours told", () => {
  const someDecision = fc.record({
    alwaysCompareMed: fc.boolean(),
    missingMedWorst: fc.boolean(),
    preferOldest: fc.constant(false),
    multipathMax: fc.constantFrom(1, 2),
    multipathRelax: fc.boolean(),
  });
  fc.assert(
    fc.property(someDecision, fc.array(someOp, { maxLength: 40 }), (decision, ops) => {
      const run = new Run(decision);
      for (const op of ops) run.do(op);
      for (const family of FAMILIES) run.world.rib.release(family);
      run.world.run();
      run.check(decision);
    }),
    { numRuns: 250 },
  );
});
