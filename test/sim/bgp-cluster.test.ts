// Fifty speakers on a virtual clock, in random topologies: autonomous systems in rings with chords, each a mesh inside or a star
// around reflectors. Connections break, messages of different connections overtake each other, networks come and go. Once quiet:
//   R1: what is in Adj-RIB-In of one is what is in Adj-RIB-Out of the other, path for path.
//   R2: no path is in use whose originator has taken it back, and every network that there is is known wherever it can be.
//   R3: no path holds the AS, the identifier or the cluster of the one who uses it; nothing goes back to where it came from.
//   R4: another order of events leads to the same tables.
//   R5: what forwarding was told, change by change, is what was chosen.
import { describe, expect, test } from "vitest";
import { formatIpv4, ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import { below, SeededRng } from "../../src/base/rng.ts";
import { SEC_US } from "../../src/base/time.ts";
import { NEXT_HOP_SELF, type Path, type RibPrefix } from "../../src/routing/bgp/rib/route.ts";
import { formatRibPrefix } from "../../src/routing/bgp/speaker/inspect.ts";
import type { NeighborConfig } from "../../src/routing/bgp/speaker/speaker-config.ts";
import { countAs, formatAsPath } from "../../src/wire/bgp/as-path.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import type { NextHop } from "../../src/wire/bgp/next-hop.ts";
import { formatAttributes } from "../../src/wire/bgp/pretty-update.ts";
import { BgpCluster, type SimSpeaker } from "../support/bgp-cluster.ts";
import { neighborConfig, speakerConfig } from "../support/bgp-plain.ts";

const SPEAKERS = 50;
/** So many originate a network each: more would only repeat what these show. */
const NETWORKS = 12;
/** In CI more of them than when a person waits. */
const SEEDS = Number(process.env.PODLOOM_SIM_SEEDS ?? 20);
/** Half a second of work each at most; a machine with other work takes longer. */
const PATIENCE_MS = 60_000 + 3000 * SEEDS;

/** One speaker of a plan. */
interface Member {
  readonly addr: number;
  readonly as: number;
  readonly reflector: boolean;
}

interface Link {
  readonly a: Member;
  readonly b: Member;
  /** Who reflects for whom. */
  readonly client: "a" | "b" | undefined;
}

interface Plan {
  readonly members: readonly Member[];
  readonly links: readonly Link[];
}

/** Autonomous systems of 1 to 8 speakers, meshed or reflected inside, joined in a ring with chords. */
function planOf(seed: number): Plan {
  const rng = new SeededRng(seed);
  const members: Member[] = [];
  const links: Link[] = [];
  const systems: Member[][] = [];
  while (members.length < SPEAKERS) {
    const as = 64512 + systems.length;
    const size = Math.min(SPEAKERS - members.length, 1 + below(rng, 8));
    const reflectors = size >= 4 && below(rng, 2) === 0 ? 1 + below(rng, 2) : 0;
    const system: Member[] = [];
    for (let i = 0; i < size; i++) {
      const addr = ipv4("10.0.0.0") + members.length + 1;
      const member = { addr, as, reflector: i < reflectors };
      system.push(member);
      members.push(member);
    }
    links.push(...inside(system, reflectors));
    systems.push(system);
  }
  for (const [i, system] of systems.entries()) {
    if (systems.length > 1 && (systems.length > 2 || i === 0)) {
      links.push(between(system, systems[(i + 1) % systems.length] as Member[], rng));
    }
    if (systems.length > 3 && below(rng, 4) === 0) {
      const other = systems[(i + 2 + below(rng, systems.length - 3)) % systems.length] as Member[];
      links.push(between(system, other, rng));
    }
  }
  // Two speakers have one session at most.
  const known = new Set<string>();
  const once = links.filter(({ a, b }) => {
    const key = [a.addr, b.addr].sort((x, y) => x - y).join();
    return !known.has(key) && known.add(key);
  });
  return { members, links: once };
}

function inside(system: readonly Member[], reflectors: number): Link[] {
  const links: Link[] = [];
  for (const [i, a] of system.entries()) {
    for (const b of system.slice(i + 1)) {
      if (reflectors === 0) links.push({ a, b, client: undefined });
      else if (a.reflector) links.push({ a, b, client: b.reflector ? undefined : "b" });
    }
  }
  return links;
}

function between(x: readonly Member[], y: readonly Member[], rng: SeededRng): Link {
  const a = x[below(rng, x.length)] as Member;
  const b = y[below(rng, y.length)] as Member;
  return { a, b, client: undefined };
}

function neighbor(self: Member, other: Member, rrClient: boolean): NeighborConfig {
  const [local, remote] = [formatIpv4(self.addr), formatIpv4(other.addr)];
  return neighborConfig(local, self.as, remote, other.as, { routes: { rrClient, nextHop: "self" } });
}

/** Spread over the systems. */
function originators({ members }: Plan): Member[] {
  const step = Math.floor(SPEAKERS / NETWORKS);
  return members.filter((_, i) => i % step === 0).slice(0, NETWORKS);
}

function networkOf(member: Member): RibPrefix {
  const { addr, len } = prefix("10.244.0.0/26");
  const index = member.addr - ipv4("10.0.0.0");
  return { family: Family.IPV4_UNICAST, a: addr + 64 * index, b: 0, c: 0, d: 0, len };
}

/** A cluster that runs a plan, and the networks that there are. */
class Run {
  readonly cluster: BgpCluster;
  readonly plan: Plan;
  readonly nodes = new Map<Member, SimSpeaker>();
  readonly announced = new Set<Member>();

  constructor(plan: Plan, seed: number) {
    this.plan = plan;
    this.cluster = new BgpCluster(seed);
    for (const member of plan.members) {
      const config = speakerConfig(formatIpv4(member.addr), member.as);
      this.nodes.set(member, this.cluster.add(member.addr, config, seed + member.addr));
    }
    for (const { a, b, client } of plan.links) {
      this.#node(a).speaker.addNeighbor(neighbor(a, b, client === "b"), this.cluster.now);
      this.#node(b).speaker.addNeighbor(neighbor(b, a, client === "a"), this.cluster.now);
    }
    for (const member of originators(plan)) this.announce(member, true);
  }

  start(): void {
    for (const node of this.nodes.values()) this.cluster.give(node, { t: "start" });
  }

  announce(member: Member, up: boolean): void {
    const node = this.#node(member);
    const network = networkOf(member);
    if (up) node.speaker.originate({ prefix: network, nextHop: NEXT_HOP_SELF }, this.cluster.now);
    else node.speaker.withdraw(network, this.cluster.now);
    this.cluster.drain(node);
    if (up) this.announced.add(member);
    else this.announced.delete(member);
  }

  /** Breaks connections, and takes networks away and back; the last word of each network is the plan's. */
  disturb(rng: SeededRng, last: ReadonlySet<Member>): void {
    const candidates = originators(this.plan);
    for (let i = 0; i < 8; i++) {
      if (below(rng, 2) === 0) this.cluster.breakOne();
      const member = candidates[below(rng, candidates.length)] as Member;
      this.announce(member, !this.announced.has(member));
      this.cluster.run(below(rng, SEC_US / 2));
    }
    for (const member of candidates) this.announce(member, last.has(member));
  }

  /** Loc-RIB of each speaker, without what tells one order of events from another. */
  tables(): string[] {
    return this.plan.members.map((member) => {
      const rows = [...this.#node(member).speaker.rib.destinations(Family.IPV4_UNICAST)].map((dest) => {
        const via = dest.best === undefined ? "nothing" : pathText(dest.best);
        return `${formatRibPrefix(dest)} ${via}`;
      });
      return [formatIpv4(member.addr), ...rows.sort()].join("\n");
    });
  }

  checkSessions(): void {
    for (const node of this.nodes.values()) {
      for (const { neighbor: one } of node.speaker.neighbors.dump()) {
        expect(one.peer.status().state, `${formatIpv4(node.addr)} to ${one.name}`).toBe("Established");
      }
    }
  }

  /** R1, R3 and R5. */
  checkTables(): void {
    for (const [member, node] of this.nodes) {
      const { rib } = node.speaker;
      for (const { neighbor: one } of node.speaker.neighbors.dump()) {
        const other = this.cluster.nodes.get(one.addr) as SimSpeaker;
        const back = other.speaker.neighbors.lookup(member.addr);
        const told = [
          ...other.speaker.out.dump((back as NonNullable<typeof back>).ribPeer, Family.IPV4_UNICAST),
        ];
        const heard = [...rib.pathsOf(one.ribPeer, Family.IPV4_UNICAST)];
        const what = `${formatIpv4(other.addr)} to ${formatIpv4(member.addr)}`;
        expect(
          heard.map((path) => `${formatRibPrefix(path.dest)} ${attributesText(path)}`).sort(),
          what,
        ).toEqual(
          told
            .map(
              ({ dest, route }) =>
                `${formatRibPrefix(dest)} ${formatAttributes(route.attributes).join(", ")}`,
            )
            .sort(),
        );
        for (const { dest } of told) expect(dest.best?.source.config.addr, what).not.toBe(member.addr);
      }
      const chosen = [...rib.destinations(Family.IPV4_UNICAST)]
        .filter((dest) => dest.best?.source.local === false)
        .map((dest) => [formatRibPrefix(dest), [dest.best?.imported?.nextHop]]);
      expect(new Map(node.forwarding), formatIpv4(node.addr)).toEqual(
        new Map(chosen as [string, NextHop[]][]),
      );
      for (const dest of rib.destinations(Family.IPV4_UNICAST)) {
        const attributes = dest.best?.imported?.attributes;
        expect(countAs(attributes?.asPath ?? [], member.as)).toBe(0);
        expect(attributes?.originatorId).not.toBe(member.addr);
        expect(attributes?.clusterList ?? []).not.toContain(member.addr);
      }
    }
  }

  /** R2: the topology is connected, so every network is known everywhere. */
  checkReach(): void {
    const wanted = [...this.announced].map((member) => formatRibPrefix(networkOf(member))).sort();
    for (const node of this.nodes.values()) {
      const known = [...node.speaker.rib.destinations(Family.IPV4_UNICAST)]
        .filter((dest) => dest.best !== undefined)
        .map(formatRibPrefix);
      expect(known.sort(), formatIpv4(node.addr)).toEqual(wanted);
    }
  }

  #node(member: Member): SimSpeaker {
    return this.nodes.get(member) as SimSpeaker;
  }
}

function attributesText(path: Path): string {
  return formatAttributes(path.received.attributes).join(", ");
}

function pathText(path: Path): string {
  const route = path.imported ?? path.received;
  const from = formatIpv4(path.source.config.addr);
  return `from ${from} ${formatAsPath(route.attributes.asPath ?? [])} ${formatAttributes(route.attributes).join(", ")}`;
}

function runPlan(plan: Plan, seed: number, last: ReadonlySet<Member>): Run {
  const run = new Run(plan, seed);
  run.start();
  run.cluster.run(6 * SEC_US);
  run.disturb(new SeededRng(seed), last);
  run.cluster.settle(12, 300);
  run.checkSessions();
  run.checkTables();
  run.checkReach();
  return run;
}

describe("fifty speakers", () => {
  test(`${SEEDS} seeds: one fixed point, whatever the order of events`, { timeout: PATIENCE_MS }, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      try {
        const plan = planOf(seed);
        const rng = new SeededRng(10_000 + seed);
        const last = new Set(plan.members.filter(() => below(rng, 5) > 0));
        const one = runPlan(plan, 2 * seed, last);
        if (seed % 5 > 0) continue;
        const other = runPlan(plan, 2 * seed + 1, last);
        expect(other.tables()).toEqual(one.tables());
      } catch (thrown) {
        throw new Error(`seed ${seed}`, { cause: thrown });
      }
    }
  });
});
