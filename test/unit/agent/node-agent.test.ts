// One node agent, or two, on a virtual clock: what it says of bad input, what it keeps, and how it leaves the network when
// its lease is no longer sure.
import { describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { SEC_US } from "../../../src/base/time.ts";
import type { NetDevice } from "../../../src/stack/net-device.ts";
import { SimCluster, type SimNode } from "../../support/sim-cluster.ts";

const SUBNETS = "/coreos.com/network/subnets/";
const FOLDER = "var/lib/cni/networks/cbr0/";

function clusterOf(nodes: number, network?: unknown): SimCluster {
  const cluster = new SimCluster({ seed: 5, nodes, ...(network === undefined ? {} : { network }) });
  cluster.run(cluster.now + 3 * SEC_US);
  return cluster;
}

const first = (cluster: SimCluster): SimNode => cluster.nodes[0] as SimNode;
const vtep = (node: SimNode): NetDevice => node.agent.host.device("flannel.1") as NetDevice;

function podAdd(cluster: SimCluster, node: SimNode, name: string): string {
  const added = node.agent.podAdd(name, undefined, cluster.now);
  if (!added.ok) throw new Error(added.error);
  node.drain(cluster.now);
  return added.value.ip;
}

/** Ends everything that waits, and looks for packets that nobody released. */
function expectNothingHeld(cluster: SimCluster): void {
  cluster.run(cluster.now + 10 * SEC_US);
  for (const node of cluster.nodes) expect(node.pool.outstanding).toBe(0);
}

describe("a configuration that it cannot use ends the daemon, with what is wrong", () => {
  test.each([
    [{ Type: "ipip" }, "unknown backend type: ipip (this version knows: vxlan)"],
    // Flannel's default when Backend is absent.
    [undefined, "unknown backend type: udp (this version knows: vxlan)"],
  ])("backend %j", (Backend, reason) => {
    const node = first(clusterOf(1, { Network: "10.244.0.0/16", ...(Backend && { Backend }) }));
    expect(node.exit).toEqual({ code: 1, reason });
    expect(node.logs).toContain(`error: ${reason}`);
  });

  test("a network in which no subnet is left", () => {
    const cluster = clusterOf(4, { Network: "10.1.0.0/28", SubnetLen: 30, Backend: { Type: "vxlan" } });
    const [refused] = cluster.nodes.flatMap((node) => node.exit ?? []);
    expect(cluster.nodes.filter((node) => node.exit === undefined)).toHaveLength(3);
    expect(refused?.code).toBe(1);
    expect(refused?.reason).toMatch(
      /^Error registering network: .*out of subnets \(every \/30 from 10\.1\.0\.4 to 10\.1\.0\.12 is leased; widen Network/,
    );
  });
});

test("DirectRouting is not passed over in silence", () => {
  const node = first(
    clusterOf(1, { Network: "10.244.0.0/16", Backend: { Type: "vxlan", DirectRouting: true } }),
  );
  expect(node.logs).toContainEqual(expect.stringMatching(/^warn: DirectRouting is set but not supported/));
  expect(node.agent.state().phase).toBe("ready");
});

test("a port that cannot be opened ends the node with exit code 5, port and reason", () => {
  const node = first(clusterOf(1));
  node.agent.portFailed(8472, "UDP port 127.168.56.2:8472 is in use by another process");
  node.drain(0);
  expect(node.exit).toEqual({
    code: 5,
    reason: "cannot listen on UDP port 8472: UDP port 127.168.56.2:8472 is in use by another process",
  });
});

test("malformed leases are one warning each, and cost no peer its route", () => {
  const cluster = clusterOf(2);
  const node = first(cluster);
  const before = node.agent.state().leases;
  expect(before).toHaveLength(2);
  cluster.store.put(`${SUBNETS}10.244.201.0-24`, "{ not json");
  cluster.store.put(`${SUBNETS}nonsense`, "x");
  cluster.store.put(
    `${SUBNETS}10.244.202.0-24`,
    '{"PublicIP":"192.168.56.9","PublicIPv6":null,"BackendType":"vxlan"}',
  );
  cluster.run(cluster.now + SEC_US);
  expect(node.agent.state().leases).toEqual(before);
  expect(node.logs.filter((line) => line.startsWith("warn: "))).toEqual([
    expect.stringMatching(/^warn: Ignoring bad subnet node: "[^"]*10\.244\.201\.0-24": invalid character/),
    `warn: Ignoring bad subnet node: failed to parse subnet key "${SUBNETS}nonsense"`,
    expect.stringMatching(/^warn: lease .*10\.244\.202\.0-24 has no VtepMAC/),
  ]);
});

describe("what it keeps", () => {
  test("subnet.env, as flanneld writes it", () => {
    const node = first(clusterOf(1));
    const subnet = node.agent.state().subnet as string;
    expect(node.files.get("run/flannel/subnet.env")).toBe(
      `FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=${subnet.replace(".0/", ".1/")}\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n`,
    );
  });

  test("addresses over kill -9 and a restart, whatever the order in which pods come back; DEL releases them", () => {
    const cluster = clusterOf(2);
    const [a, b] = ["a", "b"].map((name) => podAdd(cluster, first(cluster), name));
    const { subnet } = first(cluster).agent.state();
    first(cluster).kill();
    const again = cluster.start(0);
    cluster.run(cluster.now + 5 * SEC_US);
    expect(again.agent.state().subnet).toBe(subnet);
    expect([podAdd(cluster, again, "b"), podAdd(cluster, again, "a")]).toEqual([b, a]);
    expect(again.agent.podDel("a", cluster.now).ok).toBe(true);
    again.drain(cluster.now);
    expect([...again.files.keys()].filter((path) => path.startsWith(FOLDER)).sort()).toEqual([
      `${FOLDER}${b}`,
      `${FOLDER}last_reserved_ip.0`,
    ]);
    expectNothingHeld(cluster);
  });

  test("no reservation of a subnet that it no longer has", () => {
    const cluster = clusterOf(1);
    podAdd(cluster, first(cluster), "a");
    first(cluster).kill();
    first(cluster).files.delete("run/flannel/subnet.env");
    first(cluster).files.delete("run/flannel/lease");
    const old = cluster.store.dump().find((kv) => kv.key.startsWith(SUBNETS))?.key as string;
    cluster.store.del(old);
    cluster.store.put(`${SUBNETS}${old.slice(SUBNETS.length)}`, '{"PublicIP":"192.168.56.77"}');
    const again = cluster.start(0);
    cluster.run(cluster.now + 3 * SEC_US);
    expect(again.agent.state().phase).toBe("ready");
    // The plugin's note of the address given last may stay; no address is reserved.
    expect([...again.files.keys()].filter((path) => /cbr0\/\d/.test(path))).toEqual([]);
  });
});

describe("a lease that is no longer sure", () => {
  test("the store is out of reach: fenced, visibly, with the VTEP down; then all is as it was", () => {
    const cluster = clusterOf(2);
    const [node, other] = cluster.nodes as [SimNode, SimNode];
    const routes = () => node.agent.host.fib.dump("main").filter((route) => route.dev === vtep(node)).length;
    expect(routes()).toBe(1);
    node.blackHole(cluster.now, cluster.now + 40 * SEC_US);
    expect(cluster.until(cluster.now + 25 * SEC_US, () => node.agent.state().phase === "fenced")).toBe(true);
    expect(vtep(node).up).toBe(false);
    expect(routes()).toBe(0);
    const [row] = node.agent.inspect("nodes", cluster.now);
    expect(row).toMatchObject({ status: "NotReady", reason: expect.stringMatching(/./) });
    cluster.run(cluster.now + 60 * SEC_US);
    for (const each of [node, other]) {
      expect(each.agent.state()).toMatchObject({ phase: "ready", store: "Synced" });
      expect(each.agent.state().leases).toHaveLength(2);
    }
    expect(routes()).toBe(1);
  });

  test("a suspended node that a datagram reaches before any timer of its own does not forward it", () => {
    const cluster = clusterOf(2);
    const [sleeper, other] = cluster.nodes as [SimNode, SimNode];
    podAdd(cluster, sleeper, "target");
    podAdd(cluster, other, "source");
    const target = sleeper.agent.netnsOf("target");
    const dst = target?.addresses(target.device("eth0") as NetDevice)[0]?.addr as number;
    const socket = other.agent.netnsOf("source")?.icmp.openEcho();
    sleeper.paused = true;
    // Its peer still has the route: the store takes the lease away only when the node has long stopped believing in it.
    for (let seq = 0; seq < 300 && vtep(sleeper).up; seq++) {
      socket?.sendEcho(dst, seq, new Uint8Array(8), {}, cluster.now);
      other.drain(cluster.now);
      cluster.run(cluster.now + SEC_US / 10);
    }
    expect(sleeper.paused).toBe(true);
    expect(vtep(sleeper).up).toBe(false);
    expect(sleeper.agent.stack.drops.get(DropReason.DEV_READY)).toBe(1);
    socket?.close();
    sleeper.paused = false;
    cluster.run(cluster.now + 40 * SEC_US);
    expect(sleeper.agent.state().phase).toBe("ready");
    expectNothingHeld(cluster);
  });
});

test("leaving gives the lease back, says so once, and asks for nothing afterwards", () => {
  const cluster = clusterOf(2);
  const node = first(cluster);
  node.agent.stop(true, cluster.now);
  node.agent.stop(true, cluster.now);
  node.drain(cluster.now);
  cluster.run(cluster.now + 2 * SEC_US);
  expect(node.exit).toEqual({ code: 0, reason: "stopped" });
  expect(cluster.store.dump().filter((kv) => kv.key.startsWith(SUBNETS))).toHaveLength(1);
  expect(cluster.nodes[1]?.agent.state().leases).toHaveLength(1);
  expect(node.agent.run(cluster.now + SEC_US, 10)).toBe(false);
  expect(node.agent.poll()).toBeUndefined();
});
