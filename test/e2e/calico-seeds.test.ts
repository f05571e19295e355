// The routing tables and the ARP of the walks that many have read, route by route, with their own addresses; and what becomes of a
// Calico node that is killed, stopped, silenced or deleted (specs on Calico §3.4), on the fast timers.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PodRow } from "../../src/control/inspect.ts";
import {
  changedExample,
  example,
  HAS_ETCD,
  nodeBecomes,
  nodeNamed,
  routesBecome,
  routesOf,
} from "../support/calico-lab.ts";
import { eventually, Sandbox } from "../support/e2e-lab.ts";

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox();
});
afterEach(() => box.dispose());

/** Names of devices are hashes of pods' names, which are not the walk's. */
const masked = (routes: readonly string[]): string[] =>
  routes.map((route) => route.replace(/cali[0-9a-f]{11}/, "cali"));

/** The rows of `calicoctl node status`, the time left out. */
async function nodeStatus(node: string): Promise<string[]> {
  const text = await box.ok("exec", `node/${node}`, "--", "calicoctl", "node", "status");
  expect(text).toMatch(
    /^Calico process is running\.\n\nIPv4 BGP status\n\+-+\+-+\+-+\+-+\+-+\+\n\| PEER ADDRESS +\| +PEER TYPE +\| STATE \| +SINCE +\| +INFO +\|\n/,
  );
  expect(text).toMatch(/\nIPv6 BGP status\nNo IPv6 peers found\.\n/);
  return text
    .split("\n")
    .filter((line) => /^\| \d/.test(line))
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .map(([, peer, type, state, since, info]) => {
      expect(since).toMatch(/^\d\d:\d\d:\d\d$/);
      return [peer, type, state, info].join(" ");
    });
}

describe("without encapsulation", () => {
  test("from 192.168.18.64 to 192.168.196.129: both nodes' routes, and the gateway that nobody has", async () => {
    await box.ok("up", "-f", example("calico-no-encap"), "-d", "--no-verify");
    const toCb = await box.ok("exec", "ca", "--", "ping", "-c", "2", "-i", "0.2", "192.168.196.129");
    expect(toCb).toMatch(/64 bytes from 192\.168\.196\.129: icmp_seq=1 ttl=62 /);
    expect(toCb).toMatch(/2 packets transmitted, 2 received, 0% packet loss/);
    // The order is that of the addresses, as `ip route` prints it.
    expect(masked(await routesOf(box, "node00"))).toEqual([
      "169.254.0.0/16 dev eth0 scope link metric 1002",
      "172.17.8.0/24 dev eth0 proto kernel scope link src 172.17.8.100",
      "192.168.18.64 dev cali scope link",
      "blackhole 192.168.18.64/26 proto bird",
      "192.168.18.65 dev cali scope link",
      "192.168.196.128/26 via 172.17.8.101 dev eth0 proto bird",
    ]);
    expect(masked(await routesOf(box, "node01"))).toEqual([
      "169.254.0.0/16 dev eth0 scope link metric 1002",
      "172.17.8.0/24 dev eth0 proto kernel scope link src 172.17.8.101",
      "192.168.18.64/26 via 172.17.8.100 dev eth0 proto bird",
      "192.168.196.128 dev cali scope link",
      "blackhole 192.168.196.128/26 proto bird",
      "192.168.196.129 dev cali scope link",
    ]);
    // The pod: its only neighbour is an address of nobody, with the MAC of its own pair's other end.
    expect(
      (await box.ok("exec", "ca", "--", "ip", "route")).split("\n").map((line) => line.trimEnd()),
    ).toEqual(["default via 169.254.1.1 dev eth0", "169.254.1.1 dev eth0 scope link", ""]);
    expect(await box.ok("exec", "ca", "--", "ip", "neigh")).toMatch(
      /^169\.254\.1\.1 dev eth0 lladdr ee:ee:ee:ee:ee:ee (REACHABLE|STALE|DELAY) ?\n$/,
    );
    expect(await box.ok("exec", "ca", "--", "arp", "-n")).toMatch(
      /\n169\.254\.1\.1 +ether +ee:ee:ee:ee:ee:ee +C +eth0\n$/,
    );
    const links = await box.ok("exec", "node/node00", "--", "ip", "link");
    expect(links.match(/cali[0-9a-f]{11}@/g)).toHaveLength(2);
    expect(links).toMatch(/link\/ether ee:ee:ee:ee:ee:ee/);
    expect(await nodeStatus("node00")).toEqual(["172.17.8.101 node-to-node mesh up Established"]);
    expect(await nodeStatus("node01")).toEqual(["172.17.8.100 node-to-node mesh up Established"]);
  });
});

/** The lines of `route -n` below its head, one space between words. */
async function routeTable(node: string): Promise<string[]> {
  const text = await box.ok("exec", `node/${node}`, "--", "route", "-n");
  expect(text).toMatch(
    /^Kernel IP routing table\nDestination +Gateway +Genmask +Flags Metric Ref +Use Iface\n/,
  );
  return masked(text.trimEnd().split("\n").slice(2)).map((line) => line.replace(/ +/g, " ").trimEnd());
}

/** The block of a node, as `get nodes` shows it. */
const blockOf = async (node: string): Promise<string> => (await nodeNamed(box, node)).subnet as string;

describe("with IPIP", () => {
  test("from 192.168.92.144 to 192.168.135.163: both nodes' tables and tunnels", async () => {
    await box.ok("up", "-f", example("calico-ipip-walk"), "-d", "--no-verify");
    const pods = (last: readonly number[], net: string): string[] =>
      last.map((n) => `${net}.${n} 0.0.0.0 255.255.255.255 UH 0 0 0 cali`);
    const common = [
      "0.0.0.0 10.20.0.1 0.0.0.0 UG 0 0 0 eth0",
      "10.20.0.0 0.0.0.0 255.255.255.0 U 0 0 0 eth0",
      "169.254.0.0 0.0.0.0 255.255.0.0 U 1002 0 0 eth0",
    ];
    expect(await routeTable("node1")).toEqual([
      ...common,
      "192.168.92.128 0.0.0.0 255.255.255.192 U 0 0 0 *",
      ...pods([129, 130, 144, 162, 163, 164, 165], "192.168.92"),
      "192.168.135.128 10.20.0.3 255.255.255.192 UG 0 0 0 tunl0",
      "192.168.182.128 10.20.0.13 255.255.255.192 UG 0 0 0 tunl0",
    ]);
    expect(await routeTable("node2")).toEqual([
      ...common,
      "192.168.92.128 10.20.0.5 255.255.255.192 UG 0 0 0 tunl0",
      "192.168.135.128 0.0.0.0 255.255.255.192 U 0 0 0 *",
      ...pods([129, 158, 162, 163, 181, 182], "192.168.135"),
      "192.168.182.128 10.20.0.13 255.255.255.192 UG 0 0 0 tunl0",
    ]);
    for (const [node, addr] of [
      ["node1", "192.168.92.128"],
      ["node2", "192.168.135.128"],
      ["node3", "192.168.182.128"],
    ] as const) {
      const tunl0 = await box.ok("exec", `node/${node}`, "--", "ip", "addr", "show", "tunl0");
      expect(tunl0).toMatch(/<NOARP,UP,LOWER_UP> mtu 1440 [^]*link\/ipip 0\.0\.0\.0 brd 0\.0\.0\.0\n/);
      expect(tunl0).toContain(`inet ${addr}/32 `);
    }
    const ping = await box.ok("exec", "pod144", "--", "ping", "-c", "2", "-i", "0.2", "192.168.135.163");
    expect(ping).toMatch(/ttl=62 [^]*2 packets transmitted, 2 received, 0% packet loss/);
    expect(await box.ok("ipam", "check")).toMatch(/found 0 problems/);
  });

  test.skipIf(!HAS_ETCD)(
    "10.20.0.0/24 under 192.168.0.0/16, real etcd: every route, by tunl0 and onlink (skipped without etcd on PATH)",
    async () => {
      await box.ok("up", "-f", example("calico-ipip"), "-d", "--store", "etcd");
      const addresses = { node1: "10.20.0.5", node2: "10.20.0.6", node3: "10.20.0.7" };
      const names = Object.keys(addresses) as (keyof typeof addresses)[];
      const pods = await box.rows<PodRow>("pods");
      const blocks = new Map<string, string>();
      for (const name of names) blocks.set(name, await blockOf(name));
      expect(new Set(blocks.values()).size).toBe(3);
      for (const block of blocks.values()) expect(block).toMatch(/^192\.168\.\d+\.\d+\/26$/);
      for (const name of names) {
        const own = pods.filter(({ node }) => node === name);
        const expected = [
          `10.20.0.0/24 dev eth0 proto kernel scope link src ${addresses[name]}`,
          "169.254.0.0/16 dev eth0 scope link metric 1002",
          `blackhole ${blocks.get(name)} proto bird`,
          ...own.map(({ ip }) => `${ip} dev cali scope link metric 1024`),
          ...names
            .filter((other) => other !== name)
            .map((other) => `${blocks.get(other)} via ${addresses[other]} dev tunl0 proto bird onlink`),
        ];
        expect(masked(await routesOf(box, name)).sort(), name).toEqual(expected.sort());
        expect((await nodeStatus(name)).sort()).toEqual(
          names
            .filter((other) => other !== name)
            .map((other) => `${addresses[other]} node-to-node mesh up Established`)
            .sort(),
        );
        expect(await nodeNamed(box, name)).toMatchObject({ status: "Ready", peers: 2, store: "Synced" });
      }
      expect(await box.ok("ipam", "check")).toMatch(/Check complete; found 0 problems\.\n$/);
    },
  );
});

describe("with VXLAN", () => {
  test.each(["3.31", "3.33"])("as Calico %s: Felix has every route, and BIRD none", async (version) => {
    const file = changedExample(box, "calico-vxlan", (text) =>
      text.replace(/^calico:\n/m, `calico:\n  version: "${version}"\n`),
    );
    await box.ok("up", "-f", file, "-d");
    const nodes = await Promise.all(["node1", "node2", "node3"].map((name) => nodeNamed(box, name)));
    const tunnels = new Map<string, string>();
    for (const { name } of nodes) {
      const shown = await box.ok("exec", `node/${name}`, "--", "ip", "addr", "show", "vxlan.calico");
      tunnels.set(name, /inet (\S+)\/32 /.exec(shown)?.[1] as string);
    }
    const metric = version === "3.31" ? "" : " metric 1024";
    const pods = await box.rows<PodRow>("pods");
    for (const { name, underlay, subnet } of nodes) {
      const expected = [
        `10.20.0.0/24 dev eth0 proto kernel scope link src ${underlay}`,
        "169.254.0.0/16 dev eth0 scope link metric 1002",
        `blackhole ${subnet} proto 80`,
        ...pods.filter(({ node }) => node === name).map(({ ip }) => `${ip} dev cali scope link${metric}`),
        ...nodes
          .filter((other) => other.name !== name)
          .map((other) => `${other.subnet} via ${tunnels.get(other.name)} dev vxlan.calico proto 80 onlink`),
      ];
      expect(masked(await routesOf(box, name)).sort(), name).toEqual(expected.sort());
    }
    const link = await box.ok("exec", "node/node1", "--", "ip", "-d", "link", "show", "vxlan.calico");
    expect(link).toMatch(/mtu 1450 [^]* vxlan id 4096 [^]* dstport 4789 nolearning /);
  });

  test("of 3.33, IPIP's routes are Felix's too", async () => {
    const file = changedExample(box, "calico-ipip", (text) =>
      text.replace('version: "3.32"', 'version: "3.33"'),
    );
    await box.ok("up", "-f", file, "-d");
    const there = (await routesOf(box, "node1")).filter((route) => route.includes("tunl0"));
    expect(there).toHaveLength(2);
    for (const route of there) expect(route).toMatch(/\/26 via 10\.20\.0\.[67] dev tunl0 proto 80 onlink$/);
    expect((await routesOf(box, "node1")).filter((route) => route.includes("proto bird"))).toEqual([]);
  });
});

describe("a node that goes (fast timers: 9 s of silence, 30 s for a restart)", () => {
  const fast = (): string =>
    changedExample(box, "calico-ipip", (text) =>
      text
        .replace("timers: calico", "timers: fast")
        .replace(/^underlay:/m, "restart: { policy: on-failure, backoffMs: 1500 }\n\nunderlay:"),
    );

  test("killed: routes stay, and it returns to its block and its pods' addresses", async () => {
    await box.ok("up", "-f", fast(), "-d");
    const before = await nodeNamed(box, "node2");
    const podsBefore = (await box.rows<PodRow>("pods")).map(({ name, ip }) => [name, ip]);
    const route = `${before.subnet} via 10.20.0.6 dev tunl0 proto bird onlink`;
    expect(await routesOf(box, "node1")).toContain(route);
    process.kill(before.pid as number, "SIGKILL");
    await eventually(
      async () => (await nodeNamed(box, "node2")).status !== "Ready",
      5000,
      () => "the death of node2",
    );
    // Stale, and still used.
    expect(await routesOf(box, "node1")).toContain(route);
    const after = await nodeBecomes(
      box,
      "node2",
      ({ status, restarts }) => status === "Ready" && restarts === 1,
    );
    expect([after.subnet, after.pid === before.pid]).toEqual([before.subnet, false]);
    expect((await box.rows<PodRow>("pods")).map(({ name, ip }) => [name, ip])).toEqual(podsBefore);
    expect(await routesOf(box, "node1")).toContain(route);
    expect(await box.ok("verify")).toMatch(/30\/30 ordered pod pairs reachable/);
    expect(await box.ok("ipam", "check")).toMatch(/found 0 problems/);

    // A silent partition: as long as the hold time the routes lead nowhere, then they go.
    process.kill(after.pid as number, "SIGSTOP");
    const stopped = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(await routesOf(box, "node1")).toContain(route);
    await routesBecome(box, "node1", (routes) => !routes.includes(route));
    const silentSec = (performance.now() - stopped) / 1000;
    process.stderr.write(`silent partition: the routes went after ${silentSec.toFixed(1)} s\n`);
    expect(silentSec).toBeGreaterThan(5.5);
    expect(silentSec).toBeLessThan(12);
    process.kill(after.pid as number, "SIGCONT");
    await routesBecome(box, "node1", (routes) => routes.includes(route));

    // A clean end: it says so, and nobody waits.
    process.kill(after.pid as number, "SIGTERM");
    const told = performance.now();
    await routesBecome(box, "node1", (routes) => !routes.includes(route), 3000);
    process.stderr.write(`clean stop: the routes went after ${Math.round(performance.now() - told)} ms\n`);

    // Deleted: the others take its session out at once, and its addresses are free.
    const gone = await blockOf("node3");
    expect(await box.ok("delete", "node", "node3")).toBe("Successfully deleted 1 'Node' resource(s)\n");
    await routesBecome(box, "node1", (routes) => !routes.some((line) => line.startsWith(gone)), 3000);
    expect((await nodeNamed(box, "node3")).reason).toMatch(
      /^Node node3 was deleted from the store; start the node again/,
    );
    expect(await nodeStatus("node1")).toHaveLength(1);
    expect(await box.ok("ipam", "check")).toMatch(/found 0 problems/);
  });
});
