// What is typed on a Calico node and nobody puts right: its card without an address, its routes of all tables gone, pods' pairs down, the
// loopback device down. Nothing of it may end the process, and with its namespace as it was the node is whole again.
import { expect, test } from "vitest";
import { formatIpv4 } from "../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../src/base/time.ts";
import { parseCommand } from "../../src/console/command.ts";
import type { Netns } from "../../src/stack/netns.ts";
import { pool, resource } from "../support/calico.ts";
import { CalicoCluster, type CalicoSimNode } from "../support/calico-cluster.ts";

const MODES = [
  { ipipMode: "Always", vxlanMode: "Never" },
  { ipipMode: "Never", vxlanMode: "Always" },
  { ipipMode: "Never", vxlanMode: "Never" },
] as const;

test.each(MODES)("IPIP $ipipMode, VXLAN $vxlanMode", (modes) => {
  const cluster = new CalicoCluster({
    seed: 5,
    nodes: 3,
    segments: 1,
    version: "3.32",
    mayRaw: () => true,
    resources: [
      pool("default-ipv4-ippool", { cidr: "192.168.0.0/16", blockSize: 26, natOutgoing: true, ...modes }),
      resource("BGPConfiguration", "default", { nodeToNodeMeshEnabled: true, asNumber: 64512 }),
      resource("FelixConfiguration", "default", { routeRefreshInterval: "10s" }),
    ],
  });
  const run = (sec: number): void => cluster.run(cluster.now + sec * SEC_US);
  run(3);
  for (const [i, node] of cluster.nodes.entries()) node.podAdd(`pod${i}`, cluster.now);
  run(10);
  const [node] = cluster.nodes as [CalicoSimNode];
  const { host } = node.agent;
  const sh = (line: string, netns: Netns = host): string => {
    const cx = { netns, hostname: "node1", files: () => undefined, rng: cluster.rng };
    const command = parseCommand(line.split(" "), cx);
    if (!command.ok) throw new Error(`${line}: ${command.error.message}`);
    command.value.start(cluster.now);
    let text = "";
    for (let piece = command.value.poll(); piece !== undefined; piece = command.value.poll())
      text += piece.text;
    if (command.value.exitCode !== 0) throw new Error(`${line}: ${text}`);
    node.drain(cluster.now);
    return text;
  };
  const routes = (): string => sh("ip route");
  const before = routes();
  const [cali] = [...host.devices()].filter(({ name }) => name.startsWith("cali"));
  expect(cali).toBeDefined();
  const addr = `${formatIpv4(node.config.underlay)}/24`;

  sh(`ip addr del ${addr} dev eth0`);
  run(5);
  sh("ip route flush table all");
  sh(`ip link set ${cali?.name} down arp off`);
  sh("ip link set lo down");
  sh("ip neigh flush all nud permanent");
  sh("ip link add mine up type bridge");
  sh(`ip link set ${cali?.name} master mine`);
  sh("sysctl -w net.ipv4.ip_forward=0");
  run(30);
  // Pods come and go all the while.
  node.podAdd("late", cluster.now);
  run(5);
  node.podDel("late", cluster.now);
  run(30);
  expect(node.exit).toBeUndefined();

  sh("sysctl -w net.ipv4.ip_forward=1");
  sh("ip link del mine");
  sh("ip link set lo up");
  sh("ip addr add 127.0.0.2/8 dev lo");
  sh(`ip link set ${cali?.name} up arp on`);
  sh(`ip addr add ${addr} dev eth0`);
  sh("ip route replace 169.254.0.0/16 dev eth0 metric 1002");
  run(30);
  expect(routes()).toBe(before);
  for (const one of cluster.nodes) {
    for (const netns of one.agent.stack.namespaces()) expect(netns.backlog.size).toBe(0);
    one.kill();
    expect(one.pool.outstanding).toBe(0);
  }
});
