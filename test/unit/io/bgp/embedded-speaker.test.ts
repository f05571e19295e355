// A speaker in a program, as a node's agent has one: neighbours, networks, policies and ways to next hops change while it runs, and
// a forwarding table follows. Two of them, over TCP.
import { afterEach, describe, expect, test } from "vitest";
import { formatIpv4, type Ipv4Addr, ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../../src/base/rng.ts";
import { BgpDriver, type OtherOutput } from "../../../../src/io/bgp/bgp-driver.ts";
import { MonotonicClock } from "../../../../src/io/clock.ts";
import { type Policy, REJECT_ALL } from "../../../../src/routing/bgp/policy/policy.ts";
import { NEXT_HOP_SELF } from "../../../../src/routing/bgp/rib/route.ts";
import { DEFAULT_FSM_OPTIONS } from "../../../../src/routing/bgp/session/fsm-types.ts";
import { peerConfig } from "../../../../src/routing/bgp/session/peer-config.ts";
import { ConnIds } from "../../../../src/routing/bgp/session/peer-messages.ts";
import { formatRibPrefix } from "../../../../src/routing/bgp/speaker/inspect.ts";
import type { Neighbor } from "../../../../src/routing/bgp/speaker/neighbor.ts";
import { BgpSpeaker } from "../../../../src/routing/bgp/speaker/speaker.ts";
import type { NeighborConfig } from "../../../../src/routing/bgp/speaker/speaker-config.ts";
import {
  neighborConfig,
  neighborRoutes,
  speakerConfig,
} from "../../../../src/routing/bgp/speaker/speaker-defaults.ts";
import type { RouteChange } from "../../../../src/routing/bgp/speaker/speaker-messages.ts";
import { CeaseError } from "../../../../src/wire/bgp/errors.ts";
import { carry, until } from "../../../support/bgp-engines.ts";
import { ribPrefix } from "../../../support/bgp-plain.ts";

// Nodes that no other test has.
const A = ipv4("10.92.7.1");
const B = ipv4("10.92.7.2");
const AS = 64512;
const clock = new MonotonicClock();
const nodes = new Map([A, B].map((addr) => [carry(addr), addr]));
const embedded: Embedded[] = [];

function routeText({ prefix, nextHops, local }: RouteChange): string {
  const hops = nextHops.map((hop) => (typeof hop === "number" ? formatIpv4(hop) : "IPv6"));
  return `${formatRibPrefix(prefix)} ${local ? "local" : hops.join(",")}`;
}

/** What an agent holds. */
class Embedded {
  readonly addr: Ipv4Addr;
  readonly speaker: BgpSpeaker;
  readonly driver: BgpDriver;
  /** What forwarding was told, change by change. */
  readonly fib = new Map<string, string>();
  readonly events: string[] = [];
  /** Is there a way to the other node? */
  reachable = true;

  constructor(addr: Ipv4Addr) {
    const ids = new ConnIds();
    this.addr = addr;
    this.speaker = new BgpSpeaker(speakerConfig({ localAs: AS, routerId: addr }), {
      rng: new SeededRng(addr),
      ids,
      routes: true,
      nextHopMetric: () => (this.reachable ? 1 : undefined),
      isLocalAddress: (nextHop) => nextHop === addr,
    });
    this.driver = new BgpDriver({
      speaker: this.speaker,
      ids,
      clock,
      listen: [{ addr, port: 0 }],
      carry,
      uncarry: (host) => nodes.get(host),
      onOutput: (output) => this.#perform(output),
    });
    embedded.push(this);
  }

  #perform(output: OtherOutput): void {
    if (output.t === "route") {
      const { prefix, nextHops, local } = output.change;
      if (local || nextHops.length > 0) this.fib.set(formatRibPrefix(prefix), routeText(output.change));
      else this.fib.delete(formatRibPrefix(prefix));
    }
    if (output.t === "trace" && output.trace.t === "notification") {
      const { direction, notice } = output.trace;
      this.events.push(`${direction} ${notice.code}/${notice.subcode}`);
    }
  }

  get routes(): string[] {
    return [...this.fib.values()].sort();
  }

  config(other: Embedded, given: Partial<NeighborConfig> = {}): NeighborConfig {
    const session = peerConfig({
      localAs: AS,
      routerId: this.addr,
      peerAs: "internal",
      fsm: { ...DEFAULT_FSM_OPTIONS, connectRetrySec: 1 },
    });
    const port = other.driver.listening[0]?.port ?? 0;
    return neighborConfig({ addr: other.addr, localAddr: this.addr, port, session, ...given });
  }

  add(other: Embedded, given: Partial<NeighborConfig> = {}): void {
    const added = this.driver.change((now) => this.speaker.addNeighbor(this.config(other, given), now));
    expect(added).toEqual({ ok: true, value: undefined });
  }

  announce(text: string): void {
    const network = { prefix: ribPrefix(text), nextHop: NEXT_HOP_SELF };
    this.driver.change((now) => this.speaker.originate(network, now));
  }

  withdraw(text: string): boolean {
    return this.driver.change((now) => this.speaker.withdraw(ribPrefix(text), now));
  }

  neighbor(other: Embedded): Neighbor {
    return this.speaker.neighbors.lookup(other.addr) as Neighbor;
  }

  up(other: Embedded): boolean {
    return this.neighbor(other)?.negotiated !== undefined;
  }

  /** The table that was built from changes is the one that the speaker would fill anew. */
  checkForwarding(): void {
    expect([...this.speaker.forwarding()].map(routeText).sort()).toEqual(this.routes);
  }
}

/** Two nodes that run, and know nothing of each other. */
async function two(): Promise<[Embedded, Embedded]> {
  const pair: [Embedded, Embedded] = [new Embedded(A), new Embedded(B)];
  await Promise.all(pair.map(({ driver }) => driver.start()));
  return pair;
}

/** The same, in session. */
async function joined(): Promise<[Embedded, Embedded]> {
  const [a, b] = await two();
  a.add(b);
  b.add(a);
  await until("a session", () => a.up(b) && b.up(a));
  return [a, b];
}

afterEach(async () => {
  await Promise.all(embedded.splice(0).map(({ driver }) => driver.stop()));
});

describe("a speaker in a program", () => {
  test("gets neighbours while it runs, loses them, and gets them back", async () => {
    const [a, b] = await two();
    a.announce("10.244.1.0/26");
    b.announce("10.244.2.0/26");
    await until("its own network", () => a.fib.size === 1);
    a.add(b);
    b.add(a);
    await until("the other's network", () => a.fib.size === 2 && b.fib.size === 2);
    expect(a.routes).toEqual(["10.244.1.0/26 local", "10.244.2.0/26 10.92.7.2"]);
    expect(a.driver.change((now) => a.speaker.delNeighbor(B, now))).toBe(true);
    await until("the end at both", () => a.fib.size === 1 && b.fib.size === 1);
    expect(b.events.at(-1)).toBe("in 6/3");
    expect(a.driver.change((now) => a.speaker.delNeighbor(B, now))).toBe(false);
    a.checkForwarding();
    // The other side waits after what it was told, and is woken by an operator.
    a.add(b);
    b.driver.change((now) => b.speaker.reset(b.neighbor(a), undefined, now));
    await until("the other's network again", () => a.fib.size === 2 && b.fib.size === 2);
  });

  test("announces, withdraws and announces otherwise while it runs", async () => {
    const [a, b] = await joined();
    for (const text of ["10.244.1.0/26", "10.244.1.64/26"]) a.announce(text);
    await until("two networks", () => b.fib.size === 2);
    expect([a.withdraw("10.244.1.0/26"), a.withdraw("10.244.1.0/26")]).toEqual([true, false]);
    await until("one network", () => b.fib.size === 1);
    expect(b.routes).toEqual(["10.244.1.64/26 10.92.7.1"]);
    a.driver.change((now) =>
      a.speaker.originate({ prefix: ribPrefix("10.244.1.64/26"), nextHop: ipv4("10.92.7.9") }, now),
    );
    await until("the other next hop", () => b.routes[0] === "10.244.1.64/26 10.92.7.9");
    b.checkForwarding();
  });

  test("takes other policies, both ways, and its sessions stay", async () => {
    const [a, b] = await joined();
    for (const text of ["10.244.1.0/26", "10.99.0.0/16"]) a.announce(text);
    await until("two networks", () => b.fib.size === 2);
    const pods: Policy = {
      name: "pods",
      rules: [
        {
          match: {
            prefixes: [
              {
                family: ribPrefix("0.0.0.0/0").family,
                prefix: { addr: ipv4("10.244.0.0"), len: 16 },
                lenMax: 32,
              },
            ],
          },
          action: "accept",
        },
      ],
      default: "reject",
    };
    const give = (node: Embedded, other: Embedded, given: Parameters<typeof neighborRoutes>[0]) =>
      node.driver.change((now) => node.speaker.reconfigure(node.neighbor(other), neighborRoutes(given), now));
    expect(give(b, a, { localAddr: B, importPolicy: pods })).toEqual({ ok: true, value: undefined });
    await until("what import policy leaves", () => b.fib.size === 1);
    give(b, a, { localAddr: B });
    await until("all again, from memory", () => b.fib.size === 2);
    give(a, b, { localAddr: A, exportPolicy: REJECT_ALL });
    await until("nothing", () => b.fib.size === 0);
    give(a, b, { localAddr: A, exportPolicy: pods });
    await until("what export policy leaves", () => b.fib.size === 1);
    expect(b.routes).toEqual(["10.244.1.0/26 10.92.7.1"]);
    expect([a, b].map((node) => node.neighbor(node === a ? b : a).peer.counters.established)).toEqual([1, 1]);
    const wrong: Policy = {
      name: "wrong",
      rules: [{ match: { asPath: "(" }, action: "accept" }],
      default: "accept",
    };
    expect(give(a, b, { localAddr: A, exportPolicy: wrong }).ok).toBe(false);
    expect(b.fib.size).toBe(1);
    b.checkForwarding();
  });

  test("hears that the ways to next hops are others", async () => {
    const [a, b] = await joined();
    a.announce("10.244.1.0/26");
    await until("the network", () => b.fib.size === 1);
    for (const reachable of [false, true]) {
      b.reachable = reachable;
      b.driver.change((now) => b.speaker.nextHopsChanged(now));
      await until("what can be reached", () => b.fib.size === (reachable ? 1 : 0));
      b.checkForwarding();
    }
  });

  test("replaces a session that needs other timers, and says so to the other side", async () => {
    const [a, b] = await joined();
    const session = { ...a.config(b).session, holdTimeSec: 30 };
    a.driver.change((now) => {
      a.speaker.delNeighbor(B, now, CeaseError.CONFIG_CHANGE);
      expect(a.speaker.addNeighbor(a.config(b, { session }), now).ok).toBe(true);
    });
    await until("the new session", () => a.neighbor(b).negotiated?.holdTimeSec === 30 && b.up(a));
    expect(b.events).toContain("in 6/6");
  });

  test("stops with a word, and its neighbour forgets its routes", async () => {
    const [a, b] = await joined();
    a.announce("10.244.1.0/26");
    await until("the network", () => b.fib.size === 1);
    await a.driver.stop({ text: "the node is drained" });
    await until("its end", () => b.fib.size === 0);
    expect(b.events.at(-1)).toBe("in 6/2");
    b.checkForwarding();
  });
});
