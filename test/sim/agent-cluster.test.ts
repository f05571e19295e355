// Twenty node agents, stack and all, on a virtual clock: lost and reordered calls to the store, outages, compactions, broken
// watches, black holes, a suspended node, kill -9. Two things must hold:
//   S1: at no instant do two nodes that forward own one subnet.
//   S2: once quiet, every node's overlay routes, ARP and FDB entries are the store's leases, and pods reach each other.
import { describe, expect, test } from "vitest";
import { formatIpv4, formatPrefix } from "../../src/base/ipv4-addr.ts";
import { below } from "../../src/base/rng.ts";
import { MS_US, SEC_US } from "../../src/base/time.ts";
import type { VxlanDevice } from "../../src/tunnel/vxlan.ts";
import { SimCluster, type SimNode } from "../support/sim-cluster.ts";

const NODES = 20;
const SEEDS = Number(process.env.PODLOOM_SIM_SEEDS ?? 200);
/** A third of a second of work each; a machine with other work takes longer. */
const PATIENCE_MS = 60_000 + 1000 * SEEDS;
const PREFIX = "/coreos.com/network/subnets/";

function any(cluster: SimCluster): number {
  return below(cluster.rng, cluster.nodes.length);
}

/** S1: whoever has its VTEP up holds its subnet (the VTEP's address is the subnet's base) alone. */
function checkOwners(cluster: SimCluster): void {
  const owners = new Map<number, number>();
  for (const [index, node] of cluster.nodes.entries()) {
    if (node.exit !== undefined || node.paused) continue;
    const { host } = node.agent;
    const vtep = host.device("flannel.1");
    const base = vtep?.up === true ? host.addresses(vtep)[0]?.addr : undefined;
    if (base === undefined) continue;
    const other = owners.get(base);
    if (other !== undefined) {
      throw new Error(`nodes ${index} and ${other} both forward for ${formatIpv4(base)} at ${cluster.now}`);
    }
    owners.set(base, index);
  }
}

/** Everything that can go wrong, for half a minute of virtual time. */
function disturb(cluster: SimCluster): void {
  const { rng, store } = cluster;
  Object.assign(store.faults, { loseRequest: 0.03, loseReply: 0.03, straggle: 0.02, delayMaxUs: 20 * MS_US });
  cluster.fabric.options = { delayUs: 100, jitterUs: 5_000, loss: 0.1 };
  for (let round = 0; round < 10; round++) {
    const { now } = cluster;
    const index = any(cluster);
    const node = cluster.nodes[index] as SimNode;
    switch (below(rng, 8)) {
      case 0:
        store.outage(now, now + below(rng, 8 * SEC_US));
        break;
      case 1:
        store.compact();
        break;
      case 2:
        node.breakWatches(now);
        break;
      case 3:
        node.blackHole(now, now + below(rng, 10 * SEC_US));
        store.compact();
        break;
      case 4:
        node.paused = true;
        break;
      case 5:
        node.kill();
        cluster.start(index);
        break;
      case 6:
        node.agent.stop(true, now);
        node.drain(now);
        break;
      default:
        store.put(`${PREFIX}10.244.300.0-24`, "{");
        store.put(`${PREFIX}${"x".repeat(below(rng, 50))}`, '{"PublicIP":7}');
    }
    cluster.run(now + 1 * SEC_US + below(rng, 2 * SEC_US), () => checkOwners(cluster));
    for (const [at, each] of cluster.nodes.entries()) {
      each.paused = false;
      if (each.exit !== undefined) cluster.start(at);
    }
  }
  Object.assign(store.faults, { loseRequest: 0, loseReply: 0, straggle: 0, delayMaxUs: 2 * MS_US });
  cluster.fabric.options = { delayUs: 100, jitterUs: 0, loss: 0 };
}

function restartEnded(cluster: SimCluster): void {
  for (const [index, node] of cluster.nodes.entries()) if (node.exit !== undefined) cluster.start(index);
}

/** Subnet keys of the store that name a lease. */
function storedSubnets(cluster: SimCluster): string[] {
  return cluster.store
    .dump()
    .map((kv) => kv.key)
    .filter((key) => key.startsWith(PREFIX) && /\/10\.244\.(?!300)\d{1,3}\.0-24$/.test(key))
    .map((key) => key.slice(PREFIX.length).replace("-", "/"))
    .sort();
}

/** S2, the tables. */
function checkTables(cluster: SimCluster): void {
  const stored = storedSubnets(cluster);
  expect(stored).toHaveLength(NODES);
  const owners = new Map(cluster.nodes.map((node) => [node.agent.state().subnet, node]));
  for (const node of cluster.nodes) {
    const { host } = node.agent;
    const { subnet, phase, name } = node.agent.state();
    expect(phase, `${name}: ${node.logs.slice(-5).join("\n")}`).toBe("ready");
    const peers = stored.filter((each) => each !== subnet);
    const vtep = host.device("flannel.1") as VxlanDevice;
    const routes = host.fib.dump("main").filter((route) => route.dev === vtep);
    expect(routes.map(({ dst }) => formatPrefix(dst)).sort(), name).toEqual(peers);
    for (const { dst, via, onlink } of routes) {
      expect([via, onlink]).toEqual([dst.addr, true]);
      const neigh = host.neigh.lookup(vtep, dst.addr);
      const owner = owners.get(formatPrefix(dst)) as SimNode;
      const theirs = owner.agent.host.device("flannel.1") as VxlanDevice;
      expect(neigh).toMatchObject({ state: "PERMANENT", mac: theirs.mac });
      expect(vtep.fdb.dump(cluster.now).find((row) => row.mac === theirs.mac)?.remote).toBe(owner.address);
    }
    expect(vtep.fdb.dump(cluster.now), name).toHaveLength(peers.length);
  }
}

/** S2, the packets: a pod on every node pings the pod of the next. */
function checkPings(cluster: SimCluster): void {
  const { now } = cluster;
  const pods = cluster.nodes.map((node, i) => {
    if (node.agent.netnsOf(`pod${i}`) === undefined) {
      const added = node.podAdd(`pod${i}`, now);
      if (!added.ok) throw new Error(added.error);
    }
    node.drain(now);
    return { node, netns: node.agent.netnsOf(`pod${i}`) };
  });
  const sockets = pods.map(({ netns }, i) => {
    const next = pods[(i + 1) % pods.length]?.netns;
    const target = next?.addresses(next.device("eth0") as never)[0]?.addr as number;
    const socket = netns?.icmp.openEcho();
    socket?.sendEcho(target, 1, new Uint8Array(1000), {}, now);
    return { socket, target };
  });
  cluster.run(now + 3 * SEC_US);
  for (const { socket, target } of sockets) {
    expect(socket?.recv()).toMatchObject({ src: target, seq: 1, ttl: 62 });
    socket?.close();
  }
}

describe("twenty agents", () => {
  test(`one owner a subnet, and routes = leases once quiet: ${SEEDS} seeds`, { timeout: PATIENCE_MS }, () => {
    const only = process.env.PODLOOM_SIM_SEED;
    const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(only)];
    for (const seed of seeds) {
      try {
        const cluster = new SimCluster({ seed, nodes: NODES });
        cluster.run(cluster.now + 2 * SEC_US, () => checkOwners(cluster));
        disturb(cluster);
        // The longest black hole, the death of a watch nobody answers on, and its backoff.
        cluster.run(cluster.now + 18 * SEC_US, () => checkOwners(cluster));
        for (let i = 0; i < 30; i++) {
          cluster.run(cluster.now + 2 * SEC_US, () => checkOwners(cluster));
          restartEnded(cluster);
          const calm = cluster.nodes.every((node) => node.agent.state().leases.length === NODES);
          if (calm && storedSubnets(cluster).length === NODES) break;
        }
        checkTables(cluster);
        if (seed % 10 === 0) checkPings(cluster);
        for (const node of cluster.nodes) {
          for (const netns of node.agent.stack.namespaces()) expect(netns.backlog.size).toBe(0);
          expect(node.pool.outstanding).toBe(0);
        }
      } catch (error) {
        throw new Error(`seed ${seed} fails; run it alone with PODLOOM_SIM_SEED=${seed}`, { cause: error });
      }
    }
  });
});
