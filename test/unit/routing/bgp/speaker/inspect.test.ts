// What rows say of sessions: why there is none, what was announced, and in a table of routes out, who told what is told.
import { describe, expect, test } from "vitest";
import { ipv4 } from "../../../../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../../../../src/base/time.ts";
import { type BgpPeerRow, peerRows, ribOutRows } from "../../../../../src/routing/bgp/speaker/inspect.ts";
import type { Neighbor } from "../../../../../src/routing/bgp/speaker/neighbor.ts";
import { Family } from "../../../../../src/wire/bgp/family.ts";
import { BgpCluster, type SimSpeaker } from "../../../../support/bgp-cluster.ts";
import { neighborConfig, network, speakerConfig } from "../../../../support/bgp-plain.ts";

const A = "10.0.0.1";
const B = "10.0.0.2";
const C = "10.0.0.3";

class World {
  readonly cluster = new BgpCluster(7);

  speaker(addr: string, as: number): SimSpeaker {
    return this.cluster.add(ipv4(addr), speakerConfig(addr, as), ipv4(addr) & 0xff);
  }

  join(
    node: SimSpeaker,
    remote: string,
    peerAs: number,
    given: Parameters<typeof neighborConfig>[4] = {},
  ): void {
    const local = [A, B, C].find((addr) => ipv4(addr) === node.addr) as string;
    const { localAs } = node.speaker.config;
    node.speaker.addNeighbor(neighborConfig(local, localAs, remote, peerAs, given), this.cluster.now);
    this.cluster.drain(node);
  }

  start(...nodes: SimSpeaker[]): void {
    for (const node of nodes) this.cluster.give(node, { t: "start" });
  }

  sec(seconds: number): void {
    this.cluster.run(seconds * SEC_US);
  }

  neighbor(node: SimSpeaker, addr: string): Neighbor {
    return node.speaker.neighbors.lookup(ipv4(addr)) as Neighbor;
  }

  row(node: SimSpeaker, addr: string): BgpPeerRow {
    return peerRows(node.speaker, this.cluster.now).find((row) => row.addr === addr) as BgpPeerRow;
  }
}

describe("a fault", () => {
  test("nobody answers: what TCP says, though there never was a session", () => {
    const world = new World();
    const a = world.speaker(A, 64512);
    world.join(a, B, 64513);
    expect(world.row(a, B)).not.toHaveProperty("fault");
    world.start(a);
    world.sec(2);
    const fault = { by: "connection", text: "ECONNREFUSED", message: "ECONNREFUSED" };
    expect(world.row(a, B)).toMatchObject({ fault, established: 0 });
    expect(world.row(a, B)).not.toHaveProperty("lastDown");
  });

  test("a wrong AS: who says so is told apart from whom it is said to", () => {
    const world = new World();
    const a = world.speaker(A, 64512);
    const b = world.speaker(B, 64513);
    world.join(a, B, 64999);
    world.join(b, A, 64512, {
      session: { fsm: { ...neighborConfig(B, 1, A, 1).session.fsm, passive: true } },
    });
    world.start(a, b);
    world.sec(1);
    expect(world.row(a, B).fault).toMatchObject({ by: "us", code: 2, subcode: 2 });
    expect(world.row(b, A).fault).toMatchObject({ by: "neighbor", code: 2, subcode: 2 });
    expect(world.row(b, A).fault?.message).toBe(
      "ended by the neighbour: OPEN Message Error/Bad Peer AS: 0000fc01",
    );
  });

  test("goes with the session; how the last one ended, and its text, stay", () => {
    const world = new World();
    const [a, b] = [world.speaker(A, 64512), world.speaker(B, 64512)];
    world.join(a, B, 64512);
    world.join(b, A, 64512);
    world.start(a, b);
    world.sec(3);
    expect(world.row(b, A)).not.toHaveProperty("fault");
    a.speaker.shutdown(world.neighbor(a, B), "gone for lunch", world.cluster.now);
    world.cluster.drain(a);
    world.sec(1);
    expect(world.row(b, A)).toMatchObject({ downText: "gone for lunch" });
    expect(world.row(b, A).lastDown).toBe(
      "ended by the neighbour: Cease/Administrative Shutdown: gone for lunch",
    );
    expect(world.row(a, B).fault).toMatchObject({ by: "us", code: 6, subcode: 2 });
    expect(world.row(a, B)).not.toHaveProperty("downText");
    world.sec(10);
    // Meanwhile it has called, and was not heard.
    expect(world.row(b, A).fault).toMatchObject({ by: "neighbor", text: "gone for lunch" });
    a.speaker.enable(world.neighbor(a, B), world.cluster.now);
    world.cluster.drain(a);
    world.sec(20);
    expect(world.row(b, A)).toMatchObject({ state: "Established", downText: "gone for lunch" });
    expect(world.row(b, A)).not.toHaveProperty("fault");
    world.cluster.kill(a);
    world.sec(10);
    expect(world.row(b, A)).toMatchObject({ fault: { by: "connection", message: "ECONNREFUSED" } });
    expect(world.row(b, A).lastDown).toBe("connection lost: ECONNRESET");
  });
});

test("what each side has announced, and the session's timers", () => {
  const world = new World();
  const [a, b] = [world.speaker(A, 64512), world.speaker(B, 4_200_000_000)];
  world.join(a, B, 4_200_000_000, {
    session: {
      families: [
        { family: Family.IPV4_UNICAST, addPath: { receive: true, send: false }, extendedNextHop: true },
        { family: Family.IPV6_UNICAST },
      ],
      extendedMessage: true,
      gracefulRestart: undefined,
      extraCapabilities: [{ t: "hostname", host: "vm", domain: "" }],
    },
  });
  world.join(b, A, 64512, {
    session: {
      holdTimeSec: 30,
      enhancedRefresh: false,
      gracefulRestart: {
        restartTimeSec: 77,
        notification: false,
        helperOnly: false,
        peerRestartMaxSec: 100,
        staleTimeSec: 100,
      },
    },
  });
  world.start(a, b);
  world.sec(3);
  const ours = {
    families: ["IPv4 unicast", "IPv6 unicast"],
    as4: true,
    routeRefresh: true,
    enhancedRefresh: true,
    extendedMessages: true,
    extendedNextHop: ["IPv4 unicast"],
    addPathReceive: ["IPv4 unicast"],
    addPathSend: [],
    longLived: false,
    hostname: "vm",
  };
  const theirs = {
    families: ["IPv4 unicast"],
    as4: true,
    routeRefresh: true,
    enhancedRefresh: false,
    extendedMessages: false,
    extendedNextHop: [],
    addPathReceive: [],
    addPathSend: [],
    gracefulRestart: { restartTimeSec: 77, restarting: false, families: ["IPv4 unicast"], preserved: [] },
    longLived: false,
  };
  expect(world.row(a, B).announced).toEqual(ours);
  expect(world.row(a, B).heard).toEqual(theirs);
  expect(world.row(b, A).heard).toEqual(ours);
  const { holdTimeSec, holdLeftSec = 0, keepaliveLeftSec = 99, sinceSec } = world.row(a, B);
  expect(holdTimeSec).toBe(30);
  expect(holdLeftSec + sinceSec).toBeGreaterThan(29.9);
  expect(holdLeftSec).toBeLessThan(30);
  expect(keepaliveLeftSec).toBeLessThan(10);
  const before = world.row(a, B).sinceSec;
  world.cluster.now += 1500;
  expect(world.row(a, B).sinceSec - before).toBeCloseTo(0.0015, 2);
  expect(Number.isInteger(world.row(a, B).sinceSec * 1000)).toBe(true);
});

test("with ADD-PATH each route out has the neighbour that it came from; and how many of a neighbour's were chosen", () => {
  const world = new World();
  const [a, b, c] = [world.speaker(A, 64512), world.speaker(B, 64513), world.speaker(C, 64514)];
  const paths = (receive: boolean, send: boolean): Parameters<typeof neighborConfig>[4] => ({
    session: { families: [{ family: Family.IPV4_UNICAST, addPath: { receive, send } }] },
    routes: { addPathMax: 4, checkPeerAs: false },
  });
  world.join(a, B, 64513, paths(true, true));
  world.join(b, A, 64512, paths(true, true));
  world.join(a, C, 64514);
  world.join(c, A, 64512);
  for (const node of [a, b, c]) {
    node.speaker.originate(network("10.1.0.0/16"), world.cluster.now);
    world.cluster.drain(node);
  }
  b.speaker.originate(network("10.2.0.0/16"), world.cluster.now);
  world.cluster.drain(b);
  world.start(a, b, c);
  world.sec(4);
  const rows = ribOutRows(a.speaker, world.neighbor(a, B), world.cluster.now);
  expect(rows.map(({ from, chosen, asPath }) => [from, chosen, asPath])).toEqual(
    expect.arrayContaining([
      ["local", "best", "64512"],
      [C, "", "64512 64514"],
    ]),
  );
  expect(rows.every(({ pathId }) => pathId > 0)).toBe(true);
  expect(rows.find(({ from }) => from === C)?.ageSec).toBeGreaterThan(0);
  const counts = (addr: string) =>
    world.row(a, addr).families.map(({ received, preferred }) => [received, preferred]);
  expect([counts(B), counts(C)]).toEqual([[[2, 1]], [[1, 0]]]);
});
