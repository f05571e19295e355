// One node agent, or two, on a virtual clock: what it says of bad input, what it keeps, and how it leaves the network when
// its lease is no longer sure.
import { describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../../src/base/time.ts";
import type { NetDevice } from "../../../src/stack/net-device.ts";
import type { PacketBuffer } from "../../../src/stack/packet-buffer.ts";
import { SimCluster, type SimNode } from "../../support/sim-cluster.ts";

const SUBNETS = "/coreos.com/network/subnets/";
const FOLDER = "var/lib/cni/networks/cbr0/";
const VXLAN_LEASE = (publicIp: string) =>
  `{"PublicIP":"${publicIp}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}`;

function clusterOf(nodes: number, network?: unknown): SimCluster {
  const cluster = new SimCluster({ seed: 5, nodes, ...(network === undefined ? {} : { network }) });
  cluster.run(cluster.now + 3 * SEC_US);
  return cluster;
}

const first = (cluster: SimCluster): SimNode => cluster.nodes[0] as SimNode;
const vtep = (node: SimNode): NetDevice => node.agent.host.device("flannel.1") as NetDevice;

function podAdd(cluster: SimCluster, node: SimNode, name: string): string {
  const added = node.podAdd(name, cluster.now);
  if (!added.ok) throw new Error(added.error);
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
  const own = node.agent.state().subnet as string;
  cluster.store.put(`${SUBNETS}${own.replace(".0/24", ".128-25")}`, VXLAN_LEASE("192.168.56.9"));
  cluster.store.put(`${SUBNETS}10.244.203.7-24`, VXLAN_LEASE("192.168.56.9"));
  cluster.store.put(`${SUBNETS}10.244.204.0-24`, VXLAN_LEASE("192.168.56.2"));
  node.drain(cluster.now);
  const told = node.stateNotices;
  cluster.run(cluster.now + SEC_US);
  expect(node.agent.state().leases).toEqual(before);
  // So that whoever compares with the store does not wait for them.
  const overlapping = own.replace(".0/24", ".128/25");
  const ignored = [overlapping, "10.244.201.0/24", "10.244.202.0/24", "10.244.203.0/24", "10.244.204.0/24"];
  expect(new Set(node.agent.state().ignored)).toEqual(new Set(ignored));
  expect(node.stateNotices).toBeGreaterThan(told);
  const other = cluster.nodes[1] as SimNode;
  expect(other.agent.state().ignored).toEqual(["10.244.201.0/24", "10.244.202.0/24", "10.244.203.0/24"]);
  expect(new Set(other.agent.state().leases)).toEqual(new Set([...before, overlapping, "10.244.204.0/24"]));
  expect(node.agent.inspect("nodes", cluster.now)[0]?.ignored).toEqual(node.agent.state().ignored);
  expect(node.logs.filter((line) => line.startsWith("warn: "))).toEqual([
    expect.stringMatching(/^warn: Ignoring bad subnet node: "[^"]*10\.244\.201\.0-24": invalid character/),
    `warn: Ignoring bad subnet node: failed to parse subnet key "${SUBNETS}nonsense"`,
    expect.stringMatching(/^warn: lease .*10\.244\.202\.0-24 has no VtepMAC/),
    expect.stringMatching(/^warn: Ignoring lease .*-25": it overlaps this node's /),
    expect.stringMatching(/^warn: Ignoring lease .*10\.244\.203\.7-24": its address has host bits set/),
    expect.stringMatching(/^warn: Ignoring lease .*10\.244\.204\.0-24": it names this node's address/),
  ]);

  for (const { key } of cluster.store.dump()) if (/20[1-4]|-25|nonsense/.test(key)) cluster.store.del(key);
  cluster.run(cluster.now + SEC_US);
  for (const each of cluster.nodes) expect(each.agent.state()).toMatchObject({ ignored: [], leases: before });
});

test("each change of what is ignored is told; what became bad and is still installed is not ignored", () => {
  const cluster = clusterOf(2);
  const [node, other] = cluster.nodes as [SimNode, SimNode];
  const told = (change: () => void): number => {
    const before = node.stateNotices;
    change();
    cluster.run(cluster.now + SEC_US);
    return node.stateNotices - before;
  };
  const bad = `${SUBNETS}10.244.201.0-24`;
  expect(told(() => cluster.store.put(bad, "{ not json"))).toBe(1);
  expect(told(() => cluster.store.del(bad))).toBe(1);

  cluster.store.put(bad, VXLAN_LEASE("192.168.56.9"));
  cluster.run(cluster.now + SEC_US);
  expect(node.agent.state()).toMatchObject({
    ignored: [],
    leases: expect.arrayContaining(["10.244.201.0/24"]),
  });
  cluster.store.put(bad, "{ not json");
  cluster.run(cluster.now + SEC_US);
  for (const each of [node, other]) {
    expect(each.agent.state().leases).toContain("10.244.201.0/24");
    expect(each.agent.state().ignored).toEqual([]);
  }
});

describe("a wish for a subnet", () => {
  const wishing = (subnet: string, before?: (cluster: SimCluster) => void): SimNode => {
    const cluster = new SimCluster({ seed: 5, nodes: 0 });
    before?.(cluster);
    const node = cluster.start(0, { wishedSubnet: prefix(subnet) });
    cluster.run(cluster.now + 3 * SEC_US);
    return node;
  };

  test("is met when the subnet is free", () => {
    const node = wishing("10.244.77.0/24");
    expect(node.agent.state()).toMatchObject({ phase: "ready", subnet: "10.244.77.0/24" });
    expect(node.logs.filter((line) => line.startsWith("warn"))).toEqual([]);
  });

  test.each([
    ["10.244.77.0/24", "leased"],
    ["10.99.77.0/24", "outside the network"],
  ])("for %s, which is %s, is not met, and that is said", (subnet) => {
    const node = wishing(subnet, ({ store }) => {
      store.put(`${SUBNETS}10.244.77.0-24`, VXLAN_LEASE("192.168.56.99"));
    });
    expect(node.agent.state().phase).toBe("ready");
    expect(node.agent.state().subnet).not.toBe(subnet);
    expect(node.logs).toContainEqual(
      expect.stringMatching(/^warn: the subnet is 10\.244\.\d+\.0\/24, not 10\.\d+\.77\.0\/24 as was wished/),
    );
  });

  test("counts for less than the subnet of the last run", () => {
    const cluster = clusterOf(1);
    const { subnet } = first(cluster).agent.state();
    first(cluster).kill();
    const again = cluster.start(0, { wishedSubnet: prefix("10.244.77.0/24") });
    cluster.run(cluster.now + 30 * SEC_US);
    expect(again.agent.state()).toMatchObject({ phase: "ready", subnet });
  });
});

test("drops are shown by reason, those too that belong to no device", () => {
  const cluster = clusterOf(1);
  const node = first(cluster);
  const { pool } = node;
  expect(node.agent.inspect("nodes", cluster.now)[0]?.drops).toEqual({});
  const stranger = cluster.fabric.open(ipv4("192.168.56.200"), 8472, node.agent.stack);
  // The VNI 9 is nobody's; the second is cut within the VXLAN header.
  for (const bytes of [[0x08, 0, 0, 0, 0, 0, 9, 0, 1], [0x08]]) {
    const pkt = pool.acquire(bytes.length) as PacketBuffer;
    pkt.bytes.set(bytes, pkt.put(bytes.length));
    stranger.send(pkt, node.address, 8472, 0, cluster.now);
  }
  cluster.run(cluster.now + SEC_US);
  expect(node.agent.inspect("nodes", cluster.now)[0]?.drops).toEqual({
    VXLAN_VNI_NOT_FOUND: 1,
    PKT_TOO_SMALL: 1,
  });
});

test("closed, it holds no packet: not on its bridge, in no neighbour's queue, in no socket", () => {
  const cluster = clusterOf(2);
  const node = first(cluster);
  const ip = podAdd(cluster, node, "a");
  const socket = node.agent.netnsOf("a")?.icmp.openEcho();
  // An address that nobody has: the request waits for the answer to its ARP request.
  socket?.sendEcho(ipv4(ip) + 50, 1, new Uint8Array(8), {}, cluster.now);
  expect(node.pool.outstanding).toBeGreaterThan(0);
  node.agent.close(cluster.now);
  expect(node.pool.outstanding).toBe(0);
  expect([...node.agent.stack.namespaces()]).toEqual([]);
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
    expect(again.podDel("a", cluster.now).ok).toBe(true);
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
    expect(row).toMatchObject({ status: "Fenced", reason: "the lease could not be renewed in time" });
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
