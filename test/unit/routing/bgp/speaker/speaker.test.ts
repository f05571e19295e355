import { describe, expect, test } from "vitest";
import { ipv4, prefix } from "../../../../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../../../../src/base/time.ts";
import { ACCEPT_ALL, REJECT_ALL } from "../../../../../src/routing/bgp/policy/policy.ts";
import {
  peerRows,
  ribInRows,
  ribOutRows,
  routeRows,
} from "../../../../../src/routing/bgp/speaker/inspect.ts";
import type { Neighbor } from "../../../../../src/routing/bgp/speaker/neighbor.ts";
import type { SpeakerConfig } from "../../../../../src/routing/bgp/speaker/speaker-config.ts";
import { MessageType } from "../../../../../src/wire/bgp/header.ts";
import { BgpCluster, type SimSpeaker } from "../../../../support/bgp-cluster.ts";
import {
  neighborConfig,
  neighborRoutes,
  network,
  ribPrefix,
  sessionConfig,
  speakerConfig,
} from "../../../../support/bgp-plain.ts";

const A = "10.0.0.1";
const B = "10.0.0.2";
const C = "10.0.0.3";

class Lab {
  readonly cluster = new BgpCluster(1);

  speaker(addr: string, as = 64512, given: Partial<SpeakerConfig> = {}): SimSpeaker {
    return this.cluster.add(ipv4(addr), speakerConfig(addr, as, given), ipv4(addr) & 0xff);
  }

  join(
    node: SimSpeaker,
    local: string,
    localAs: number,
    remote: string,
    remoteAs: number,
    given: Parameters<typeof neighborConfig>[4] = {},
  ): void {
    const added = node.speaker.addNeighbor(
      neighborConfig(local, localAs, remote, remoteAs, given),
      this.cluster.now,
    );
    expect(added).toEqual({ ok: true, value: undefined });
    this.cluster.drain(node);
  }

  start(...nodes: SimSpeaker[]): void {
    for (const node of nodes) this.cluster.give(node, { t: "start" });
  }

  change(node: SimSpeaker, act: () => void): void {
    act();
    this.cluster.drain(node);
  }

  sec(seconds: number): void {
    this.cluster.run(seconds * SEC_US);
  }

  /** Prefixes in use, with where they come from. */
  routes(node: SimSpeaker): string[] {
    return routeRows(node.speaker, this.cluster.now)
      .filter((row) => row.chosen === "best")
      .map((row) => `${row.prefix} ${row.from}${row.stale ? " stale" : ""}`);
  }
}

function neighborOf(node: SimSpeaker, addr: string): Neighbor {
  const found = node.speaker.neighbors.lookup(ipv4(addr));
  if (found === undefined) throw new Error(`no neighbour ${addr}`);
  return found;
}

/** Two speakers of one AS that know each other, with a network each. */
function pair(given: Parameters<typeof neighborConfig>[4] = {}) {
  const lab = new Lab();
  const a = lab.speaker(A);
  const b = lab.speaker(B);
  lab.join(a, A, 64512, B, 64512, given);
  lab.join(b, B, 64512, A, 64512, given);
  lab.change(a, () => a.speaker.originate(network("10.244.1.0/26"), lab.cluster.now));
  lab.change(b, () => b.speaker.originate(network("10.244.2.0/26"), lab.cluster.now));
  lab.start(a, b);
  lab.sec(3);
  return { lab, a, b };
}

describe("neighbours", () => {
  test("two exchange their networks, and say so in rows", () => {
    const { lab, a, b } = pair();
    expect(lab.routes(a)).toEqual(["10.244.1.0/26 local", "10.244.2.0/26 10.0.0.2"]);
    expect(peerRows(a.speaker, lab.cluster.now)).toMatchObject([
      {
        name: B,
        state: "Established",
        role: "internal",
        as: "64512",
        bgpId: B,
        holdTimeSec: 90,
        families: [{ family: "IPv4 unicast", received: 1, accepted: 1, advertised: 1 }],
        prefixesQueued: 0,
      },
    ]);
    expect(ribInRows(a.speaker, neighborOf(a, B), lab.cluster.now)).toMatchObject([
      { prefix: "10.244.2.0/26", nextHop: B, asPath: "", origin: "IGP", localPref: 100, chosen: "best" },
    ]);
    expect(ribOutRows(b.speaker, neighborOf(b, A), lab.cluster.now)).toMatchObject([
      { prefix: "10.244.2.0/26", nextHop: B, from: "local", localPref: 100 },
    ]);
  });

  test("a name and an address are there once", () => {
    const { lab, a } = pair();
    const again = a.speaker.addNeighbor(neighborConfig(A, 64512, B, 64512), lab.cluster.now);
    expect(again).toEqual({ ok: false, error: 'there is a neighbour "10.0.0.2" already' });
    const renamed = { ...neighborConfig(A, 64512, B, 64512), name: "other" };
    expect(a.speaker.addNeighbor(renamed, lab.cluster.now).ok).toBe(false);
    expect(peerRows(a.speaker, lab.cluster.now)).toHaveLength(1);
  });

  test("one that is taken out is told, and its routes go", () => {
    const { lab, a, b } = pair();
    lab.change(a, () => expect(a.speaker.delNeighbor(ipv4(B), lab.cluster.now)).toBe(true));
    lab.sec(1);
    expect(lab.routes(a)).toEqual(["10.244.1.0/26 local"]);
    expect(lab.routes(b)).toEqual(["10.244.2.0/26 local"]);
    expect(peerRows(b.speaker, lab.cluster.now)[0]?.lastDown).toMatch(
      /ended by the neighbour: Cease\/Peer De-configured/i,
    );
    expect([...a.speaker.rib.peers()].filter((peer) => !peer.local)).toEqual([]);
  });

  test("one that is shut down stays down until it is enabled", () => {
    const { lab, a, b } = pair();
    lab.change(a, () => a.speaker.shutdown(neighborOf(a, B), "maintenance", lab.cluster.now));
    lab.sec(30);
    expect(peerRows(a.speaker, lab.cluster.now)).toMatchObject([{ state: "Idle", enabled: false }]);
    expect(peerRows(b.speaker, lab.cluster.now)[0]?.lastDown).toContain("maintenance");
    lab.change(a, () => a.speaker.enable(neighborOf(a, B), lab.cluster.now));
    lab.sec(12);
    expect(lab.routes(b)).toHaveLength(2);
  });

  test("a call from nobody we know is closed, and told", () => {
    const { lab, a, b } = pair();
    const c = lab.speaker(C);
    lab.join(c, C, 64512, A, 64512);
    lab.start(c);
    lab.sec(2);
    expect(peerRows(c.speaker, lab.cluster.now)[0]?.state).not.toBe("Established");
    expect(a.outputs).toContainEqual({
      t: "log",
      level: "warn",
      event: "unexpectedConnection",
      message: expect.stringContaining("10.0.0.3"),
    });
    expect(lab.routes(b)).toHaveLength(2);
  });
});

describe("a listen range", () => {
  test("takes whom it may, as many as it may, and forgets them", () => {
    const lab = new Lab();
    const hub = lab.speaker(A, 64500);
    const range = {
      name: "tor",
      prefix: prefix("10.0.0.0/24"),
      peerAs: new Set([64512, 64513]),
      limit: 2,
      localAddr: ipv4(A),
      session: sessionConfig(A, 64500, "any"),
      routes: neighborRoutes(A),
      bfd: undefined,
    };
    expect(hub.speaker.addRange(range).ok).toBe(true);
    lab.start(hub);
    const nodes = [2, 3, 4].map((i) => lab.speaker(`10.0.0.${i}`, 64510 + i));
    for (const [i, node] of nodes.entries()) {
      lab.join(node, `10.0.0.${i + 2}`, 64512 + i, A, 64500);
      lab.change(node, () => node.speaker.originate(network(`10.244.${i}.0/24`), lab.cluster.now));
      lab.start(node);
      lab.sec(1);
    }
    lab.sec(3);
    expect(peerRows(hub.speaker, lab.cluster.now)).toMatchObject([
      { name: "tor-10.0.0.2", state: "Established", as: "64512", role: "external", range: "10.0.0.0/24" },
      { name: "tor-10.0.0.3", state: "Established", as: "64513" },
    ]);
    lab.cluster.kill(nodes[0] as SimSpeaker);
    lab.sec(8);
    expect(peerRows(hub.speaker, lab.cluster.now).map((row) => row.name)).not.toContain("tor-10.0.0.2");
    expect(lab.routes(hub)).toEqual(["10.244.1.0/24 tor-10.0.0.3"]);
    lab.change(hub, () => hub.speaker.delRange(range, lab.cluster.now));
    lab.sec(2);
    expect(peerRows(hub.speaker, lab.cluster.now)).toEqual([]);
    expect(lab.routes(hub)).toEqual([]);
    expect([...hub.speaker.rib.peers()].filter((peer) => !peer.local)).toEqual([]);
  });

  test("an AS that is not wanted is refused", () => {
    const lab = new Lab();
    const hub = lab.speaker(A, 64500);
    const routes = neighborRoutes(A);
    const session = sessionConfig(A, 64500, "any");
    const name = "tor";
    hub.speaker.addRange({
      name,
      prefix: prefix("10.0.0.0/24"),
      peerAs: "internal",
      limit: 9,
      localAddr: ipv4(A),
      session,
      routes,
      bfd: undefined,
    });
    const b = lab.speaker(B, 64999);
    lab.join(b, B, 64999, A, 64500);
    lab.start(hub, b);
    lab.sec(3);
    expect(peerRows(b.speaker, lab.cluster.now)[0]?.lastDown ?? "").not.toBe("Established");
    expect(lab.routes(hub)).toEqual([]);
  });
});

describe("policies at work", () => {
  test("given anew, they change what is known and what is told, and the session stays", () => {
    const { lab, a, b } = pair();
    const routes = neighborRoutes(A, { importPolicy: REJECT_ALL, exportPolicy: REJECT_ALL });
    lab.change(a, () => a.speaker.reconfigure(neighborOf(a, B), routes, lab.cluster.now));
    lab.sec(1);
    expect(lab.routes(a)).toEqual(["10.244.1.0/26 local"]);
    expect(lab.routes(b)).toEqual(["10.244.2.0/26 local"]);
    expect(ribInRows(a.speaker, neighborOf(a, B), lab.cluster.now)).toMatchObject([{ why: "rejected" }]);
    const back = neighborRoutes(A, { importPolicy: ACCEPT_ALL, exportPolicy: ACCEPT_ALL });
    lab.change(a, () => a.speaker.reconfigure(neighborOf(a, B), back, lab.cluster.now));
    lab.sec(1);
    expect(lab.routes(a)).toHaveLength(2);
    expect(lab.routes(b)).toHaveLength(2);
    expect(peerRows(a.speaker, lab.cluster.now)).toMatchObject([{ established: 1, dropped: 0 }]);
  });

  test("more prefixes than the limit end the session, and are forgotten", () => {
    const lab = new Lab();
    const a = lab.speaker(A);
    const b = lab.speaker(B);
    const limited = { prefixLimit: { limit: 3, warnPercent: 75, restartSec: undefined }, family: 0x0101 };
    lab.join(a, A, 64512, B, 64512, { session: { families: [limited] } });
    lab.join(b, B, 64512, A, 64512);
    for (let i = 0; i < 4; i++) b.speaker.originate(network(`10.244.${i}.0/24`), lab.cluster.now);
    lab.start(a, b);
    lab.sec(20);
    expect(lab.routes(a)).toEqual([]);
    expect(peerRows(b.speaker, lab.cluster.now)[0]?.lastDown).toContain("Maximum Number of Prefixes");
  });
});

describe("refresh", () => {
  test("in: asked for again; what the other has forgotten to take back goes", () => {
    const { lab, a } = pair();
    const before = neighborOf(a, B).peer.counters.messagesIn[2] as number;
    lab.change(a, () => a.speaker.refreshIn(neighborOf(a, B), lab.cluster.now));
    lab.sec(1);
    expect(neighborOf(a, B).peer.counters.messagesIn[2]).toBeGreaterThan(before);
    expect(lab.routes(a)).toEqual(["10.244.1.0/26 local", "10.244.2.0/26 10.0.0.2"]);
  });

  test("out: told again", () => {
    const { lab, a, b } = pair();
    const before = neighborOf(b, A).peer.counters.messagesIn[2] as number;
    lab.change(a, () => a.speaker.refreshOut(neighborOf(a, B), lab.cluster.now));
    lab.sec(1);
    expect(neighborOf(b, A).peer.counters.messagesIn[2]).toBeGreaterThan(before);
  });
});

describe("graceful restart", () => {
  const gracefulRestart = {
    restartTimeSec: 60,
    notification: false,
    helperOnly: false,
    peerRestartMaxSec: 4095,
    staleTimeSec: 120,
  };
  const families = [{ family: 0x0101, forwardingPreserved: true }];
  const given = { session: { gracefulRestart, families } };

  test("a speaker that is killed and comes back in time loses no route at its neighbours", () => {
    const { lab, a, b } = pair(given);
    lab.cluster.kill(b);
    lab.sec(20);
    expect(lab.routes(a)).toEqual(["10.244.1.0/26 local", "10.244.2.0/26 10.0.0.2 stale"]);
    const again = lab.speaker(B, 64512, { restarting: true });
    lab.join(again, B, 64512, A, 64512, given);
    lab.change(again, () => again.speaker.originate(network("10.244.2.0/26"), lab.cluster.now));
    lab.start(again);
    const lost: string[] = [];
    for (let i = 0; i < 100; i++) {
      lab.cluster.run(SEC_US / 10);
      if (lab.routes(a).length < 2) lost.push(`after ${i / 10} s`);
    }
    expect(lost).toEqual([]);
    expect(lab.routes(a)).toEqual(["10.244.1.0/26 local", "10.244.2.0/26 10.0.0.2"]);
    expect(lab.routes(again)).toEqual(["10.244.1.0/26 10.0.0.1", "10.244.2.0/26 local"]);
    expect(again.outputs).toContainEqual(expect.objectContaining({ t: "restartComplete" }));
  });

  test("what it does not tell again goes with its End-of-RIB", () => {
    const { lab, a, b } = pair(given);
    lab.cluster.kill(b);
    lab.sec(5);
    const again = lab.speaker(B, 64512, { restarting: true });
    lab.join(again, B, 64512, A, 64512, given);
    lab.start(again);
    lab.sec(10);
    expect(lab.routes(a)).toEqual(["10.244.1.0/26 local"]);
  });

  test("one that stays away longer than it asked for loses them", () => {
    const { lab, a, b } = pair(given);
    lab.cluster.kill(b);
    lab.sec(59);
    expect(lab.routes(a)).toHaveLength(2);
    lab.sec(3);
    expect(lab.routes(a)).toEqual(["10.244.1.0/26 local"]);
  });

  test("the restarted speaker chooses nothing until its neighbours have told all, or the time is over", () => {
    const lab = new Lab();
    const a = lab.speaker(A, 64512, { restarting: true, deferralSec: 30 });
    lab.join(a, A, 64512, B, 64512, given);
    lab.join(a, A, 64512, C, 64512, given);
    lab.change(a, () => a.speaker.originate(network("10.244.1.0/26"), lab.cluster.now));
    const b = lab.speaker(B);
    lab.join(b, B, 64512, A, 64512, given);
    lab.change(b, () => b.speaker.originate(network("10.244.2.0/26"), lab.cluster.now));
    lab.start(a, b);
    lab.sec(20);
    // C has not come: nothing is chosen, and nothing told.
    expect(lab.routes(a)).toEqual([]);
    expect(lab.routes(b)).toEqual(["10.244.2.0/26 local"]);
    lab.sec(12);
    expect(lab.routes(a)).toHaveLength(2);
    expect(lab.routes(b)).toHaveLength(2);
  });

  test("and a neighbour that is added while it waits is waited for as well", () => {
    const lab = new Lab();
    const a = lab.speaker(A, 64512, { restarting: true, deferralSec: 30 });
    lab.join(a, A, 64512, B, 64512, given);
    lab.start(a);
    lab.join(a, A, 64512, C, 64512, given);
    const b = lab.speaker(B);
    lab.join(b, B, 64512, A, 64512, given);
    lab.change(b, () => b.speaker.originate(network("10.244.2.0/26"), lab.cluster.now));
    lab.start(b);
    lab.sec(20);
    expect(neighborOf(a, B).negotiated).toBeDefined();
    expect(lab.routes(a)).toEqual([]);
    const c = lab.speaker(C);
    lab.join(c, C, 64512, A, 64512, given);
    lab.start(c);
    lab.sec(9);
    expect(lab.routes(a)).toEqual(["10.244.2.0/26 10.0.0.2"]);
  });
});

describe("its own networks", () => {
  test("are told with what they were given, and taken back", () => {
    const { lab, a, b } = pair();
    const given = { med: 7, localPref: 300, communities: [0xfc000001], nextHop: ipv4("10.0.0.9") };
    lab.change(a, () => a.speaker.originate(network("10.9.0.0/16", given), lab.cluster.now));
    lab.sec(1);
    expect(ribInRows(b.speaker, neighborOf(b, A), lab.cluster.now)).toContainEqual(
      expect.objectContaining({
        prefix: "10.9.0.0/16",
        nextHop: "10.0.0.9",
        med: 7,
        localPref: 300,
        communities: ["64512:1"],
      }),
    );
    lab.change(a, () => expect(a.speaker.withdraw(ribPrefix("10.9.0.0/16"), lab.cluster.now)).toBe(true));
    lab.change(a, () => expect(a.speaker.withdraw(ribPrefix("10.9.0.0/16"), lab.cluster.now)).toBe(false));
    lab.sec(1);
    expect(lab.routes(b)).toHaveLength(2);
  });
});

test("KEEPALIVEs of several sessions share a moment; between two of a session there are 22.5 to 30 s", () => {
  const lab = new Lab();
  const hub = lab.speaker("10.0.0.1");
  const leaves = [2, 3, 4, 5, 6, 7].map((i) => {
    const leaf = lab.speaker(`10.0.0.${i}`);
    lab.join(hub, "10.0.0.1", 64512, `10.0.0.${i}`, 64512);
    lab.join(leaf, `10.0.0.${i}`, 64512, "10.0.0.1", 64512);
    return leaf;
  });
  lab.start(hub, ...leaves);
  lab.sec(5);
  const counters = hub.speaker.neighbors.dump().map(({ neighbor }) => neighbor.peer.counters);
  const seen = counters.map(() => ({ count: 0, at: 0 }));
  const gaps: number[] = [];
  let moments = 0;
  for (let tenths = 0; tenths < 6000; tenths++) {
    const before = gaps.length;
    for (const [i, { messagesOut }] of counters.entries()) {
      const count = messagesOut[MessageType.KEEPALIVE] as number;
      if (count === seen[i]?.count) continue;
      // The first look says nothing.
      if ((seen[i]?.at ?? 0) > 0 && (seen[i]?.count ?? 0) > 2)
        gaps.push((lab.cluster.now - (seen[i]?.at ?? 0)) / SEC_US);
      seen[i] = { count, at: lab.cluster.now };
    }
    if (gaps.length > before) moments++;
    lab.sec(0.1);
  }
  // Looked at every tenth of a second.
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(22.4);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(30.1);
  expect(gaps.length).toBeGreaterThan(6 * 18);
  // The leaves have timers, too, and know nothing of each other.
  expect(moments).toBeLessThan(gaps.length * 0.75);
});

describe("the end", () => {
  test("with a word: neighbours forget at once", () => {
    const { lab, a, b } = pair();
    lab.cluster.give(a, { t: "stop", text: "going home" });
    lab.sec(1);
    expect(a.outputs.at(-1)).toEqual({ t: "stopped" });
    expect(a.conns.size).toBe(0);
    expect(lab.routes(b)).toEqual(["10.244.2.0/26 local"]);
    expect(peerRows(b.speaker, lab.cluster.now)[0]?.lastDown).toContain("going home");
    expect(a.speaker.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  test("without a word: helpers keep the routes", () => {
    const graceful = {
      restartTimeSec: 60,
      notification: false,
      helperOnly: false,
      peerRestartMaxSec: 4095,
      staleTimeSec: 120,
    };
    const { lab, a, b } = pair({ session: { gracefulRestart: graceful } });
    lab.cluster.give(a, { t: "stop", silent: true });
    lab.sec(5);
    expect(lab.routes(b)).toEqual(["10.244.1.0/26 10.0.0.1 stale", "10.244.2.0/26 local"]);
  });
});
