import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NO_LEASE } from "../../src/control/datastore/messages.ts";
import type {
  FdbRow,
  LeaseRow,
  LinkRow,
  NeighRow,
  NodeRow,
  PodRow,
  RouteRow,
} from "../../src/control/inspect.ts";
import { Etcd3Transport } from "../../src/io/etcd/etcd3-transport.ts";
import { findLab, LabClient } from "../../src/lab/lab-client.ts";
import { eventually, Sandbox } from "../support/e2e-lab.ts";

// One lab for all: these tests only look, or clean up after themselves.
let box: Sandbox;
let pods: PodRow[];
beforeAll(async () => {
  box = new Sandbox();
  await box.ok("up", "-f", box.labFile(221, "name: looks\n"), "-d");
  pods = await box.rows<PodRow>("pods");
});
afterAll(() => box.dispose());

const pod = (name: string): PodRow => pods.find((row) => row.name === name) as PodRow;

describe("get -o json", () => {
  test("nodes", async () => {
    const nodes = await box.rows<NodeRow>("nodes");
    expect(nodes).toHaveLength(3);
    for (const node of nodes) {
      expect(node).toMatchObject({
        status: "Ready",
        backend: "vxlan",
        pods: 2,
        peers: 2,
        store: "Synced",
        restarts: 0,
      });
      expect(node.rssBytes).toBeGreaterThan(10_000_000);
      expect(node.pid).toBeGreaterThan(1);
    }
    expect(nodes.map((node) => node.underlay)).toEqual(["192.168.221.2", "192.168.221.3", "192.168.221.4"]);
  });

  test("pods: name, node, ip", () => {
    expect(pods.map((row) => row.name)).toEqual([1, 2, 3].flatMap((n) => [`node${n}-pod1`, `node${n}-pod2`]));
    for (const row of pods)
      expect(row).toMatchObject({
        node: row.name.slice(0, 5),
        mtu: 1450,
        ip: expect.stringMatching(/^10\.244\.\d+\.[23]$/),
      });
  });

  test("leases: each once, or as one node sees them", async () => {
    const leases = await box.rows<LeaseRow>("leases");
    expect(leases).toHaveLength(3);
    expect(leases.every((lease) => lease.own)).toBe(true);
    const seen = await box.rows<LeaseRow>("leases", "--node", "node2");
    expect(seen.map((lease) => lease.subnet).sort()).toEqual(leases.map((lease) => lease.subnet).sort());
    expect(seen.filter((lease) => lease.own)).toHaveLength(1);
  });

  test("routes, neigh and fdb: what Flannel installs for each peer", async () => {
    const routes = await box.rows<RouteRow>("routes", "--node", "node1");
    expect(routes.filter((row) => row.netns === "" && row.dev === "flannel.1" && row.onlink)).toHaveLength(2);
    const neigh = await box.rows<NeighRow>("neigh", "--node", "node1");
    expect(neigh.filter((row) => row.dev === "flannel.1" && row.state === "PERMANENT")).toHaveLength(2);
    const fdb = await box.rows<FdbRow>("fdb", "--node", "node1");
    const remotes = fdb.flatMap((row) => (row.dev === "flannel.1" ? [row.dst] : []));
    expect(new Set(remotes)).toEqual(new Set(["192.168.221.3", "192.168.221.4"]));
  });

  test("links", async () => {
    const links = await box.rows<LinkRow>("links", "--node", "node1");
    const host = links.filter((row) => row.netns === "").map((row) => row.name);
    expect(host).toEqual(expect.arrayContaining(["lo", "eth0", "flannel.1", "cni0"]));
  });

  test("of a node that does not exist fails and says which there are", async () => {
    const result = await box.run("get", "routes", "--node", "nodeX");
    expect(result).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/no node "nodeX"; there are node1, node2, node3/),
    });
  });
});

test("get as a table goes to a pipe whole", async () => {
  const table = await box.ok("get", "pods");
  expect(table.split("\n")[0]).toMatch(/^NAME +NODE +IP$/);
  expect(table.trim().split("\n")).toHaveLength(7);
});

test("a reader that leaves ends the command, as a broken pipe does", async () => {
  const ping = box.start("exec", "node1-pod1", "--", "ping", "-i", "0.2", pod("node2-pod1").ip);
  await ping.until(/icmp_seq=1/);
  ping.child.stdout?.destroy();
  const end = await ping.finished;
  expect(end.stderr).toBe("");
  expect(end.elapsedMs).toBeLessThan(10_000);
});

describe("exec", () => {
  test("ping over the overlay succeeds, with ping's own words", async () => {
    const target = pod("node3-pod2").ip;
    const { code, stdout } = await box.run(
      "exec",
      "node1-pod1",
      "--",
      "ping",
      "-c",
      "3",
      "-i",
      "0.2",
      target,
    );
    expect(code).toBe(0);
    // Two forwards on the way: the reply has lost two hops.
    expect(stdout).toMatch(new RegExp(`64 bytes from ${target}: icmp_seq=3 ttl=62 time=[\\d.]+ ms`));
    expect(stdout).toMatch(/3 packets transmitted, 3 received, 0% packet loss/);
  });

  test("the exit code is the command's own", async () => {
    const nobody = pod("node3-pod1").ip.replace(/\.\d+$/, ".200");
    const lost = await box.run("exec", "node1-pod1", "--", "ping", "-c", "1", "-W", "1", nobody);
    expect(lost.code).toBe(1);
    const usage = await box.run("exec", "node1-pod1", "--", "ping", "-c", "none", "10.0.0.1");
    expect(usage.code).not.toBe(0);
    const unknown = await box.run("exec", "node1-pod1", "--", "rm", "-rf", "/");
    expect(unknown.code).toBe(127);
    const podless = await box.run("exec", "nopod", "--", "ping", "10.0.0.1");
    expect(podless).toMatchObject({ code: 1, stderr: expect.stringMatching(/no pod "nopod"/) });
  });

  test("node/NAME is the node's own namespace", async () => {
    const out = await box.ok("exec", "node/node1", "--", "ip", "route");
    expect(out.match(/via 10\.244\.\d+\.0 dev flannel\.1 onlink/g)).toHaveLength(2);
    expect(out).toMatch(/dev cni0/);
  });

  test("Ctrl-C lets ping end in its own way", async () => {
    const ping = box.start("exec", "node1-pod1", "--", "ping", pod("node2-pod1").ip);
    await ping.until(/icmp_seq=2/);
    ping.child.kill("SIGINT");
    const end = await ping.finished;
    expect(end.stdout).toMatch(/ping statistics/);
    expect(end.code).toBe(0);
  });

  test("SIGTERM leaves at once", async () => {
    const ping = box.start("exec", "node1-pod1", "--", "ping", pod("node2-pod1").ip);
    await ping.until(/icmp_seq=1/);
    ping.child.kill("SIGTERM");
    const end = await ping.finished;
    expect(end).toMatchObject({ code: 143, signal: null, stderr: "" });
  });

  test("a node that hangs holds nobody: Ctrl-C leaves with 130 and says why", async () => {
    const [node] = (await box.rows<NodeRow>("nodes")).filter((row) => row.name === "node3");
    const pid = node?.pid as number;
    const ping = box.start("exec", "node3-pod1", "--", "ping", pod("node2-pod1").ip);
    await ping.until(/icmp_seq=1/);
    process.kill(pid, "SIGSTOP");
    try {
      ping.child.kill("SIGINT");
      const end = await ping.finished;
      expect(end).toMatchObject({
        code: 130,
        stderr: expect.stringMatching(/the node does not answer.*\[PL_INTERRUPTED\]\n {2}/),
      });
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await box.ok("wait", "--for=converged", "--timeout", "30s");
  });
});

test("a lease that is written by hand is installed on every node within a second, and removed as fast", async () => {
  const client = await LabClient.connect(findLab(box.env, undefined));
  const { store } = await client.ask("status", { withStore: false });
  const etcd = new Etcd3Transport({ endpoints: store.endpoints });
  const key = "/coreos.com/network/subnets/10.244.200.0-24";
  const value =
    '{"PublicIP":"192.168.221.99","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}';
  const installed = async (): Promise<number> => {
    const { rows } = await client.ask("get", { noun: "routes" });
    return (rows as RouteRow[]).filter((row) => row.dst === "10.244.200.0/24" && row.dev === "flannel.1")
      .length;
  };
  try {
    await etcd.put(key, Buffer.from(value), NO_LEASE);
    await eventually(
      async () => (await installed()) === 3,
      1000,
      () => "the route on three nodes",
    );
    const fdb = await box.rows<FdbRow>("fdb", "--node", "node2");
    expect(fdb).toContainEqual(
      expect.objectContaining({ dev: "flannel.1", mac: "c6:d2:32:6f:8f:44", dst: "192.168.221.99" }),
    );
    await box.ok("wait", "--for=converged", "--timeout", "5s");
    await etcd.delete({ key, rangeEnd: undefined });
    await eventually(
      async () => (await installed()) === 0,
      1000,
      () => "the route's removal",
    );
  } finally {
    await etcd.close();
    await client.close();
  }
});

test("a lease that nodes rightly ignore harms nobody, and nobody waits for it", async () => {
  const client = await LabClient.connect(findLab(box.env, undefined));
  const { store } = await client.ask("status", { withStore: false });
  const etcd = new Etcd3Transport({ endpoints: store.endpoints });
  const prefix = "/coreos.com/network/subnets/";
  const [own] = (await box.rows<NodeRow>("nodes")).map((node) => node.subnet as string);
  const lease = (publicIp: string, vtepMac?: string): string =>
    JSON.stringify({
      PublicIP: publicIp,
      PublicIPv6: null,
      BackendType: "vxlan",
      ...(vtepMac === undefined ? {} : { BackendData: { VNI: 1, VtepMAC: vtepMac } }),
    });
  const values: Readonly<Record<string, string>> = {
    "10.244.201.0-24": "{ not json",
    nonsense: "\xff\xfe",
    // Without a VTEP's MAC.
    "10.244.202.0-24": lease("192.168.221.50"),
    // Within the subnet of one node: the others install it.
    [own?.replace(".0/24", ".128-25") as string]: lease("192.168.221.51", "c6:d2:32:6f:8f:51"),
    // Host bits in the key.
    "10.244.203.7-24": lease("192.168.221.52", "c6:d2:32:6f:8f:52"),
    // The address of one node: the others install it.
    "10.244.204.0-24": lease("192.168.221.2", "c6:d2:32:6f:8f:53"),
    // Another backend's.
    "10.244.205.0-24": '{"PublicIP":"192.168.221.54","PublicIPv6":null,"BackendType":"host-gw"}',
  };
  try {
    for (const [name, value] of Object.entries(values)) {
      await etcd.put(prefix + name, Buffer.from(value, "latin1"), NO_LEASE);
    }
    await box.ok("wait", "--for=converged", "--timeout", "5s");
    expect(await box.ok("verify", "--count", "2")).toMatch(/30\/30 ordered pod pairs reachable/);
    const everybodys = ["10.244.201.0/24", "10.244.202.0/24", "10.244.203.0/24", "10.244.205.0/24"];
    const ignored = (await box.rows<NodeRow>("nodes")).map((node) => new Set(node.ignored));
    expect(ignored[0]).toEqual(new Set([...everybodys, own?.replace(".0/24", ".128/25"), "10.244.204.0/24"]));
    expect(ignored[1]).toEqual(new Set(everybodys));
    expect(await box.ok("get", "nodes", "-o", "wide")).toContain("10.244.204.0/24");
  } finally {
    for (const name of Object.keys(values)) await etcd.delete({ key: prefix + name, rangeEnd: undefined });
    await etcd.close();
    await client.close();
  }
});

test("logs are JSON, one file a node, and can be read as text", async () => {
  const raw = await box.ok("logs", "node1", "-o", "json");
  const lines = raw
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { node: string });
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.every((line) => line.node === "node1")).toBe(true);
  expect(await box.ok("logs", "--tail", "2")).toMatch(/(INFO|WARN) +node2 /);
});

test("get -w shows all rows, then each that changes", async () => {
  const watch = box.start("get", "pods", "-w", "-o", "json");
  await watch.until(/node3-pod2/);
  watch.child.kill("SIGINT");
  const end = await watch.finished;
  expect(end.code).toBe(0);
  expect(
    end.stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as PodRow).name),
  ).toEqual(pods.map((row) => row.name));
});

test("get -w says what went: a lease that is deleted takes its route along", async () => {
  const client = await LabClient.connect(findLab(box.env, undefined));
  const { store } = await client.ask("status", { withStore: false });
  const etcd = new Etcd3Transport({ endpoints: store.endpoints });
  const key = "/coreos.com/network/subnets/10.244.203.0-24";
  const value =
    '{"PublicIP":"192.168.221.98","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:45"}}';
  const table = box.start("get", "routes", "--node", "node1", "-w");
  const json = box.start("get", "routes", "--node", "node1", "-w", "-o", "json");
  try {
    await Promise.all([table.until(/cni0/), json.until(/cni0/)]);
    await etcd.put(key, Buffer.from(value), NO_LEASE);
    const route = /^node1 +\(host\) +10\.244\.203\.0\/24 +10\.244\.203\.0 +flannel\.1/m;
    await Promise.all([table.until(route), json.until(/^\{"node":"node1".*"10\.244\.203\.0\/24"/m)]);
    await etcd.delete({ key, rangeEnd: undefined });
    await table.until(/^- node1 +\(host\) +10\.244\.203\.0\/24/m);
    await json.until(/^\{"removed":\{"node":"node1".*"10\.244\.203\.0\/24"/m);
  } finally {
    await etcd.delete({ key, rangeEnd: undefined });
    await etcd.close();
    await client.close();
    for (const { child } of [table, json]) child.kill("SIGINT");
  }
  // Every line has its columns where the head has them.
  const [head = "", ...lines] = (await table.finished).stdout.trimEnd().split("\n");
  for (const line of lines) expect(line.slice(0, head.indexOf("NETNS"))).toMatch(/^(- )?node1 +$/);
  expect((await json.finished).code).toBe(0);
});

test("verify -o json counts every pair", async () => {
  const { items, summary } = JSON.parse(await box.ok("verify", "-o", "json", "--count", "2")) as {
    items: unknown[];
    summary: { sent: number; received: number; pairsWithLoss: number; firstReplyCounted: boolean };
  };
  expect(items).toHaveLength(30);
  expect(summary).toMatchObject({ sent: 60, received: 60, pairsWithLoss: 0, firstReplyCounted: false });
});
