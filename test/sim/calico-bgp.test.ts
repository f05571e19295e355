import { describe, expect, test } from "vitest";
import { formatIpv4, ipv4 } from "../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../src/base/time.ts";
import type { CalicoUpdate } from "../../src/control/calico/calico-updates.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import {
  type BirdNode,
  type BirdNodeOptions,
  BirdWorld,
  calicoNode,
  resource,
} from "../support/calico-bird.ts";

const RR = "route-reflector";
const CLUSTER = "244.0.0.1";

const nameOf = (i: number): string => `n${i}`;
const addrOf = (i: number): string => `10.0.0.${i + 1}`;
const blockOf = (i: number): string => `10.244.${i}.0/26`;

function nodeOf(i: number, clusterId?: string): CalicoUpdate {
  const bgp = { ipv4Address: `${addrOf(i)}/24` };
  if (clusterId === undefined) return calicoNode(nameOf(i), bgp);
  return calicoNode(nameOf(i), { ...bgp, routeReflectorClusterID: clusterId }, { [RR]: "true" });
}

const mesh = (enabled: boolean): CalicoUpdate =>
  resource("BGPConfiguration", "default", { nodeToNodeMeshEnabled: enabled });

/** As many nodes in the store, each with a block, all up. */
function cluster(n: number, seed: number, options: BirdNodeOptions = {}): BirdWorld {
  const world = new BirdWorld(seed);
  world.apply(resource("IPPool", "pool", { cidr: "10.244.0.0/16", ipipMode: "Always" }));
  for (let i = 0; i < n; i++) world.apply(nodeOf(i));
  for (let i = 0; i < n; i++) world.start(nameOf(i), addrOf(i), [blockOf(i)], options);
  world.cluster.settle(8, 60);
  expectAll(world, n);
  return world;
}

/** Every node reaches every block, at its owner, and nothing else. */
function expectAll(world: BirdWorld, n: number, without: readonly number[] = []): void {
  for (let i = 0; i < n; i++) {
    if (without.includes(i)) continue;
    const expected = Array.from({ length: n }, (_, j): [string, string] => [
      blockOf(j),
      i === j ? "blackhole" : `via ${addrOf(j)} dev tunl0 onlink`,
    ]).filter((_, j) => !without.includes(j));
    expect(Object.fromEntries(world.node(nameOf(i)).kernel), nameOf(i)).toEqual(Object.fromEntries(expected));
  }
}

function sessions(node: BirdNode): string[] {
  return node.manager
    .status(0)
    .map(({ peerAddress, peerType, state }) => `${peerAddress} ${peerType} ${state}`);
}

/** Objects that stand for sessions, and how often each was up: equal ones were never down between. */
function lives(node: BirdNode): readonly (readonly [object, number])[] {
  return node.manager.speaker.neighbors
    .dump()
    .map(({ neighbor }) => [neighbor, neighbor.peer.counters.established] as const);
}

function survivors(before: ReturnType<typeof lives>, after: ReturnType<typeof lives>): number {
  return before.filter(([one, ups]) => after.some(([other, now]) => one === other && ups === now)).length;
}

const run = (world: BirdWorld, sec: number): void => world.cluster.run(sec * SEC_US);
const others = (world: BirdWorld, i: number): BirdNode[] =>
  [...world.nodes.values()].filter(({ name }) => name !== nameOf(i));

describe("from the mesh to two reflectors, and back", () => {
  const N = 12;
  const recipe = resource("BGPPeer", "rr", { nodeSelector: "all()", peerSelector: `has(${RR})` });

  test.each([
    ["of one cluster", CLUSTER, CLUSTER],
    ["of two", CLUSTER, "244.0.0.2"],
  ])("%s: only the reflectors' own routes go, for seconds", (_, first, second) => {
    const world = cluster(N, 7);
    const members = Array.from({ length: N - 2 }, (_, i) => world.node(nameOf(i + 2)));
    const checkGaps = (): void => {
      for (const node of world.nodes.values()) {
        expect([...node.lost], node.name).toEqual([]);
        for (const { dst, sec } of node.gaps) {
          const reflectors = [blockOf(0), blockOf(1)];
          if (members.includes(node)) expect(reflectors).toContain(dst);
          expect(sec).toBeLessThan(8);
        }
        node.gaps.length = 0;
      }
    };

    world.apply(recipe, nodeOf(0, first));
    world.cluster.settle(8, 60);
    expectAll(world, N);
    world.apply(nodeOf(1, second));
    world.cluster.settle(8, 60);
    expectAll(world, N);
    checkGaps();

    world.apply(mesh(false));
    world.cluster.settle(8, 60);
    expectAll(world, N);
    // The members' routes came through the reflectors at once.
    for (const node of members) expect(node.gaps, node.name).toEqual([]);
    expect(sessions(world.node("n5"))).toEqual(["10.0.0.1 node specific up", "10.0.0.2 node specific up"]);
    expect(sessions(world.node("n0"))).toHaveLength(N - 1);
    checkLoops(world);

    world.apply(mesh(true));
    world.cluster.settle(8, 60);
    for (const node of members) expect(node.gaps, node.name).toEqual([]);
    world.apply(nodeOf(0), nodeOf(1), resource("BGPPeer", "rr", undefined));
    world.cluster.settle(8, 60);
    expectAll(world, N);
    checkGaps();
    for (const node of world.nodes.values()) {
      expect(sessions(node)).toHaveLength(N - 1);
      expect(sessions(node).every((row) => row.endsWith("node-to-node mesh up"))).toBe(true);
    }
  });

  /** No path has been through a cluster twice, or came back to where it began. */
  function checkLoops(world: BirdWorld): void {
    for (const { sim } of world.nodes.values()) {
      for (const dest of sim.speaker.rib.destinations(Family.IPV4_UNICAST)) {
        for (const { imported, ineligible } of dest.paths) {
          if (imported === undefined || ineligible !== undefined) continue;
          const { clusterList, originatorId } = imported.attributes;
          expect(new Set(clusterList).size).toBe(clusterList.length);
          expect(clusterList.length).toBeLessThanOrEqual(2);
          expect(originatorId).not.toBe(sim.addr);
        }
      }
    }
  }
});

describe("a peer that is lost", () => {
  test("by a reset comes back, and no route is missed", () => {
    const world = cluster(6, 1);
    for (let i = 0; i < 8; i++) world.cluster.breakOne();
    run(world, 1);
    expectAll(world, 6);
    world.cluster.settle(8, 60);
    expectAll(world, 6);
    for (const node of world.nodes.values()) expect([node.gaps, [...node.lost]]).toEqual([[], []]);
  });

  test("by a reset for good keeps its routes for the restart time", () => {
    const world = cluster(4, 2);
    world.cluster.kill(world.node("n3").sim);
    run(world, 119);
    for (const node of others(world, 3))
      expect([...node.kernel.keys()].sort()).toEqual([0, 1, 2, 3].map(blockOf));
    run(world, 2);
    expectAll(world, 4, [3]);
  });

  test("in silence keeps its routes until the hold timer, and not a moment longer", () => {
    const world = cluster(4, 3);
    world.silence("n3");
    run(world, 155);
    for (const node of others(world, 3)) expect(node.kernel.has(blockOf(3))).toBe(true);
    run(world, 87);
    expectAll(world, 4, [3]);
    expect(world.node("n0").logs.some((line) => line.includes("Hold Timer Expired"))).toBe(true);
    const [, , row] = world.node("n0").manager.status(world.cluster.now);
    expect(row).toMatchObject({ peerAddress: "10.0.0.4", state: "start" });
  });

  test("in silence, on fast timers, is gone within nine seconds", () => {
    const world = cluster(4, 4, { timers: "fast" });
    world.silence("n3");
    run(world, 9.1);
    expectAll(world, 4, [3]);
  });

  test("that says that it shuts down is gone at once", () => {
    const world = cluster(4, 5);
    world.cluster.give(world.node("n3").sim, { t: "stop", text: "maintenance" });
    run(world, 0.2);
    expectAll(world, 4, [3]);
  });

  test("because it is no node any more is gone at once, with Cease/3", () => {
    const world = cluster(4, 6);
    world.apply(calicoNode("n3", undefined));
    run(world, 0.2);
    for (const node of others(world, 3)) {
      expect(node.kernel.has(blockOf(3))).toBe(false);
      expect(sessions(node)).toHaveLength(2);
      expect(node.logs).toContain("Mesh_10_0_0_4: NOTIFICATION sent: Cease/Peer De-configured");
    }
  });
});

describe("a node that restarts", () => {
  function restart(world: BirdWorld, i: number): BirdNode {
    world.cluster.kill(world.node(nameOf(i)).sim);
    run(world, 3);
    return world.start(nameOf(i), addrOf(i), [blockOf(i)], { restarting: true });
  }

  test("is not missed, and misses nothing", () => {
    const world = cluster(5, 8);
    const node = restart(world, 0);
    expect(node.manager.isReady(world.cluster.now)).toMatch(/graceful restart in progress$/);
    run(world, 12);
    expect(node.manager.isReady(world.cluster.now)).toBeUndefined();
    world.cluster.settle(8, 60);
    expectAll(world, 5);
    for (const one of world.nodes.values()) expect([one.gaps, [...one.lost]]).toEqual([[], []]);
  });

  test("waits 240 s for a peer that is dead, with the routes that its kernel kept", () => {
    const world = cluster(5, 9);
    world.cluster.kill(world.node("n4").sim);
    const node = restart(world, 0);
    run(world, 230);
    expect(node.manager.isReady(world.cluster.now)).toMatch(/graceful restart in progress$/);
    expect(node.manager.status(world.cluster.now).map(({ state }) => state)).toEqual([
      "wait",
      "wait",
      "wait",
      "start",
    ]);
    expect(node.kernel.get(blockOf(4))).toBe("via 10.0.0.5 dev tunl0 onlink");
    // The others have given the dead one up, and the restarting one not.
    expect([...world.node("n1").kernel.keys()].sort()).toEqual([0, 1, 2, 3].map(blockOf));
    run(world, 12);
    expectAll(world, 5, [4]);
    expect(node.gaps).toEqual([]);
    expect(node.manager.isReady(world.cluster.now)).toBeUndefined();
  });
});

describe("a change", () => {
  test("of filters, pools and blocks takes no session down", () => {
    const world = cluster(4, 10);
    const before = [...world.nodes.values()].map(lives);
    const kept = (): number[] =>
      [...world.nodes.values()].map((node, i) => survivors(before[i] ?? [], lives(node)));
    world.apply(resource("IPPool", "pool", { cidr: "10.244.0.0/16", ipipMode: "CrossSubnet" }));
    world.node("n1").update({ t: "affinity", cidr: { addr: 0x0af44000, len: 26 }, value: "confirmed" });
    world.cluster.settle(8, 60);
    expect(kept()).toEqual([3, 3, 3, 3]);
    expect(world.node("n0").kernel.get("10.244.64.0/26")).toBe("via 10.0.0.2 dev eth0");
    world.apply(resource("IPPool", "pool", { cidr: "10.244.0.0/16", disableBGPExport: true }));
    world.cluster.settle(8, 60);
    expect([...world.node("n0").kernel.keys()]).toEqual([blockOf(0)]);
    expect(kept()).toEqual([3, 3, 3, 3]);
  });

  test("of the cluster's AS begins all sessions anew, in the new one", () => {
    const world = cluster(4, 11);
    world.apply(resource("BGPConfiguration", "default", { asNumber: 65001 }));
    world.cluster.settle(8, 60);
    expectAll(world, 4);
    for (const { manager, logs } of world.nodes.values()) {
      expect(manager.speaker.config.localAs).toBe(65001);
      for (const { neighbor } of manager.speaker.neighbors.dump()) {
        expect(neighbor.negotiated).toMatchObject({ internal: true, peerAs: 65001 });
      }
      expect(logs.some((line) => line.includes("Cease/Other Configuration Change"))).toBe(true);
    }
  });

  test("of one node's AS makes its sessions external, and nobody else's", () => {
    const world = cluster(4, 12);
    const before = lives(world.node("n0"));
    world.apply(calicoNode("n3", { ipv4Address: `${addrOf(3)}/24`, asNumber: 65099 }));
    world.cluster.settle(8, 60);
    expect(world.node("n0").kernel.get(blockOf(3))).toBe("via 10.0.0.4 dev tunl0 onlink");
    expect(world.node("n0").kernel.get(blockOf(1))).toBe("via 10.0.0.2 dev tunl0 onlink");
    // All three tell it everything with themselves as the next hop, at equal cost; and routes with several next hops get no tunnel.
    const hops = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map((via) => `via ${via} dev eth0`);
    const { kernel, lost, gaps } = world.node("n3");
    expect(kernel.get(blockOf(1))).toBe(hops.join(" "));
    expect(survivors(before, lives(world.node("n0")))).toBe(2);
    // One of the three is gone: the route by the others stays all the while.
    gaps.length = 0;
    world.apply(calicoNode("n1", undefined));
    world.cluster.settle(8, 60);
    expect(kernel.get(blockOf(2))).toBe([hops[0], hops[2]].join(" "));
    expect([[...lost.keys()], gaps]).toEqual([[blockOf(1)], []]);
  });

  test("of addresses: what is borrowed is told, what is in an own block is not", () => {
    const world = cluster(3, 13);
    const node = world.node("n1");
    const borrowed = ipv4("10.244.0.9");
    node.learn(ipv4("10.244.1.5"), true);
    node.learn(borrowed, true);
    world.cluster.settle(8, 60);
    expect(world.node("n2").kernel.get("10.244.0.9/32")).toBe("via 10.0.0.2 dev tunl0 onlink");
    expect(world.node("n0").kernel.get("10.244.0.9/32")).toBe("via 10.0.0.2 dev tunl0 onlink");
    expect(world.node("n2").kernel.has("10.244.1.5/32")).toBe(false);
    node.learn(borrowed, false);
    world.cluster.settle(8, 60);
    expectAll(world, 3);
  });
});

test("a stranger's call is closed, and said in BIRD's words", () => {
  const world = cluster(3, 14);
  world.node("n0").update(calicoNode("n2", undefined));
  run(world, 40);
  expect(world.node("n0").logs).toContain(
    `Unexpected connect from unknown address ${formatIpv4(0x0a000003)}`,
  );
});

test("early, all sessions are asked for; later one is enough", () => {
  const world = new BirdWorld(15);
  for (let i = 0; i < 3; i++) world.apply(nodeOf(i));
  for (let i = 0; i < 2; i++) world.start(nameOf(i), addrOf(i), []);
  run(world, 20);
  const { manager } = world.node("n0");
  expect(manager.isReady(world.cluster.now)).toBe(
    "calico/node is not ready: BIRD is not ready: BGP not established with 10.0.0.3",
  );
  run(world, 11);
  expect(manager.isReady(world.cluster.now)).toBeUndefined();
});
