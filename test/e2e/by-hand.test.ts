// What a person changes on a node with the commands of articles, and who puts it right: nobody but the person (Flannel), Felix with its
// route refresh, BIRD with its kernel scan. And a VXLAN tunnel that is made by hand.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PodRow } from "../../src/control/inspect.ts";
import { apply, routesBecome, routesOf } from "../support/calico-lab.ts";
import { eventually, type Finished, Sandbox } from "../support/e2e-lab.ts";

/** `podloom exec TARGET -- LINE`, whatever its end. */
const attempt = (box: Sandbox, target: string, line: string): Promise<Finished> =>
  box.run("exec", target, "--", ...line.split(" "));
/** The same, which must succeed. */
const sh = (box: Sandbox, target: string, line: string): Promise<string> =>
  box.ok("exec", target, "--", ...line.split(" "));

const pings = async (box: Sandbox, pod: string, addr: string): Promise<void> => {
  expect(await sh(box, pod, `ping -c 2 -i 0.2 -W 15 ${addr}`)).toMatch(/ 2 received, 0% packet loss/);
};
const failsToPing = async (box: Sandbox, pod: string, addr: string): Promise<void> => {
  const ping = await attempt(box, pod, `ping -c 1 -W 1 ${addr}`);
  expect(ping.code, ping.stdout).toBe(1);
};

describe("Flannel", () => {
  const box = new Sandbox();
  let pods: PodRow[] = [];
  const pod = (n: number): PodRow => pods[n - 1] as PodRow;
  /** A node's subnet, as the address of its VTEP. */
  const vtep = (n: number): string => pod(n).ip.replace(/\.\d+$/, ".0");

  beforeAll(async () => {
    const nodes = [1, 2]
      .map((n) => `  - { name: node${n}, address: 192.168.246.${n + 1}, pods: 1 }`)
      .join("\n");
    await box.ok("up", "-f", box.labFile(246, `name: by-hand\nnodes:\n${nodes}\n`), "-d");
    pods = await box.rows<PodRow>("pods");
  });
  afterAll(() => box.dispose());

  test("a peer's route that is deleted is missed, and comes back by hand", async () => {
    const route = `${vtep(2)}/24 via ${vtep(2)} dev flannel.1 onlink`;
    await pings(box, pod(1).name, pod(2).ip);
    expect(await routesOf(box, "node1")).toContain(route);
    await sh(box, "node/node1", `ip route del ${vtep(2)}/24`);
    const again = await attempt(box, "node/node1", `ip route del ${vtep(2)}/24`);
    expect(again).toMatchObject({ code: 2, stdout: "", stderr: "RTNETLINK answers: No such process\n" });
    const ping = await attempt(box, pod(1).name, `ping -c 1 -W 1 ${pod(2).ip}`);
    expect(ping.stdout).toContain("Destination Net Unreachable");
    expect(ping.code).toBe(1);
    // Without onlink the kernel knows no way to the gateway.
    const refused = await attempt(
      box,
      "node/node1",
      `ip route add ${vtep(2)}/24 via ${vtep(2)} dev flannel.1`,
    );
    expect(refused).toMatchObject({ code: 2, stderr: "Error: Nexthop has invalid gateway.\n" });
    await sh(box, "node/node1", `ip route add ${route}`);
    await pings(box, pod(1).name, pod(2).ip);
  });

  test("flannel.1 down and up: routes and neighbours are gone, forwarding entries are not", async () => {
    const fdb = await sh(box, "node/node1", "bridge fdb show dev flannel.1");
    const neigh = await sh(box, "node/node1", "ip neigh show dev flannel.1");
    const [mac] = fdb.split(" ") as [string];
    expect(neigh).toBe(`${vtep(2)} lladdr ${mac} PERMANENT \n`);
    await sh(box, "node/node1", "ip link set flannel.1 down");
    expect(await sh(box, "node/node1", "ip -br link show flannel.1")).toMatch(/^flannel\.1 +DOWN/);
    await sh(box, "node/node1", "ip link set flannel.1 up");
    expect((await routesOf(box, "node1")).join("\n")).not.toContain("flannel.1");
    expect(await sh(box, "node/node1", "ip neigh show dev flannel.1")).toBe("");
    expect(await sh(box, "node/node1", "bridge fdb show dev flannel.1")).toBe(fdb);
    await failsToPing(box, pod(1).name, pod(2).ip);
    await sh(box, "node/node1", `ip route add ${vtep(2)}/24 via ${vtep(2)} dev flannel.1 onlink`);
    await sh(box, "node/node1", `ip neigh add ${vtep(2)} lladdr ${mac} dev flannel.1`);
    await pings(box, pod(1).name, pod(2).ip);
  });

  test("a tunnel made by hand, step by step", async () => {
    const hosts = ["192.168.246.2", "192.168.246.3"];
    const macs: string[] = [];
    for (const n of [1, 2]) {
      const node = `node/node${n}`;
      await sh(box, node, "sysctl -w net.ipv4.ip_forward=1");
      await sh(box, node, "sysctl -w net.ipv4.conf.all.proxy_arp=1");
      await sh(box, node, "sysctl -w net.ipv4.conf.all.rp_filter=0");
      const taken = await attempt(box, node, "ip link add vxlan.1 type vxlan vni 1 dstport 0");
      expect(taken.stderr).toBe("Error: A VXLAN device with the specified VNI already exists.\n");
      const added = await attempt(box, node, "ip link add vxlan.42 type vxlan vni 42");
      expect(added.code).toBe(0);
      expect(added.stderr).toMatch(/^vxlan: destination port not specified\n/);
      await sh(box, node, "ip link set vxlan.42 up");
      await sh(box, node, `ip addr add 172.16.${n}.0/32 dev vxlan.42`);
      const link = await sh(box, node, "ip link show vxlan.42");
      macs.push(/link\/ether (\S+)/.exec(link)?.[1] as string);
      // What the pods of the walk would be behind.
      await sh(box, node, "ip link add pods up type bridge");
      await sh(box, node, `ip addr add 172.16.${n}.1/24 dev pods`);
    }
    for (const n of [1, 2]) {
      const [node, other] = [`node/node${n}`, 3 - n];
      const mac = macs[other - 1] as string;
      await sh(box, node, `ip route add 172.16.${other}.0/24 via 172.16.${other}.0 dev vxlan.42 onlink`);
      await failsToPing(box, node, `172.16.${other}.1`);
      await sh(box, node, `arp -i vxlan.42 -s 172.16.${other}.0 ${mac}`);
      await sh(box, node, `bridge fdb append ${mac} dev vxlan.42 dst ${hosts[other - 1]}`);
    }
    await pings(box, "node/node1", "172.16.2.1");
    await sh(box, "node/node1", `bridge fdb del ${macs[1]} dev vxlan.42`);
    await failsToPing(box, "node/node1", "172.16.2.1");
    expect(await sh(box, "node/node1", "ip -s link show vxlan.42")).toContain("VXLAN_NO_REMOTE");
    await sh(box, "node/node1", "ip link del vxlan.42");
    expect((await attempt(box, "node/node1", "ip link show vxlan.42")).code).toBe(1);
    expect((await attempt(box, "node/node1", "ip link del flannel.1")).stderr).toContain("is not emulated");
    await pings(box, pod(1).name, pod(2).ip);
  });

  test("in a pod: what it breaks there, it repairs there", async () => {
    const [, , gateway] = (await sh(box, pod(1).name, "ip route show default")).split(" ") as [
      string,
      string,
      string,
    ];
    await sh(box, pod(1).name, "ip route flush table main");
    const ping = await attempt(box, pod(1).name, `ping -c 1 -W 1 ${pod(2).ip}`);
    expect(ping).toMatchObject({ code: 2, stderr: "ping: connect: Network is unreachable\n" });
    const add = await attempt(box, pod(1).name, `route add default gw ${gateway}`);
    expect(add).toMatchObject({ code: 7, stderr: "SIOCADDRT: Network is unreachable\n" });
    await sh(box, pod(1).name, `route add -net ${vtep(1)} netmask 255.255.255.0 dev eth0`);
    await sh(box, pod(1).name, `route add default gw ${gateway}`);
    await pings(box, pod(1).name, pod(2).ip);
  });
});

describe("Calico", () => {
  const box = new Sandbox();
  let pods: PodRow[] = [];
  const refresh = (routeRefreshInterval: string): object => ({
    kind: "FelixConfiguration",
    metadata: { name: "default" },
    spec: { routeRefreshInterval },
  });
  const logHas = (node: string, text: string): Promise<void> =>
    eventually(
      async () => (await box.ok("logs", node)).includes(text),
      15_000,
      () => `"${text}" in the log of ${node}`,
    );
  const LAB = `name: restored
cni: calico
calico:
  timers: fast
  version: "3.32"
  resources:
    - { kind: IPPool, metadata: { name: default-ipv4-ippool }, spec: { cidr: 192.168.0.0/16, blockSize: 26, ipipMode: Always } }
    - { kind: FelixConfiguration, metadata: { name: default }, spec: { routeRefreshInterval: "0s" } }
underlay: { subnet: 10.26.0.0/24 }
nodes:
  - { name: node1, address: 10.26.0.11, pods: 1 }
  - { name: node2, address: 10.26.0.12, pods: 1 }
`;

  beforeAll(async () => {
    await box.ok("up", "-f", box.labFile(0, LAB), "-d");
    pods = await box.rows<PodRow>("pods");
  });
  afterAll(() => box.dispose());

  test("Felix restores a pod's route with its refresh, and not before", async () => {
    const [first, second] = pods as [PodRow, PodRow];
    const before = await routesOf(box, "node2");
    expect(before.join("\n")).toContain(`${second.ip} dev ${second.hostDevice} scope link`);
    await pings(box, first.name, second.ip);
    await sh(box, "node/node2", `ip route del ${second.ip}`);
    // The refresh is off. What is left is the block's blackhole.
    await failsToPing(box, first.name, second.ip);
    await apply(box, refresh("2s"));
    await routesBecome(box, "node2", (routes) => routes.join() === before.join());
    await pings(box, first.name, second.ip);
    await logHas("node2", "route refresh: 1 restored, 0 foreign ones removed");
  });

  test("BIRD restores a block's route with its kernel scan, and removes what is not its own", async () => {
    await apply(box, refresh("0s"));
    const [first, second] = pods as [PodRow, PodRow];
    const before = await routesOf(box, "node1");
    const [block] = before.filter((line) => line.includes("via 10.26.0.12 dev tunl0 proto bird onlink"));
    expect(block).toBeDefined();
    await sh(box, "node/node1", `ip route del ${block?.split(" ")[0]}`);
    await routesBecome(box, "node1", (routes) => routes.join() === before.join());
    await logHas("node1", "kernel scan: 1 restored, 0 foreign ones removed");
    await pings(box, first.name, second.ip);
    await sh(box, "node/node1", "ip route add 192.168.77.0/26 via 10.26.0.12 dev eth0 proto bird");
    await routesBecome(box, "node1", (routes) => routes.join() === before.join());
  });

  test("a tunnel that is set down is up again within seconds, with its routes", async () => {
    const before = await routesOf(box, "node1");
    await sh(box, "node/node1", "ip link set tunl0 down");
    await routesBecome(box, "node1", (routes) => routes.join() === before.join(), 30_000);
    await pings(box, pods[0]?.name as string, pods[1]?.ip as string);
  });
});
