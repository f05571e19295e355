// BIRD as one more node of a Calico cluster: a member of the mesh that announces a block of its own, with a pod behind IPIP on raw
// protocol 4. The other end of the tunnel is the kernel's own device, or a program where the kernel was built without one.
//
//   pod a ── emulated node1 10.20.0.5 ══ "home" ══ veth ══ "far" 10.20.0.9: BIRD, tunl9 ── pod 192.168.77.2
import { type ChildProcess, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseBirdProtocol, parseBirdRoutes } from "../support/bird-text.ts";
import { eventually } from "../support/e2e-lab.ts";
import { Namespaces } from "../support/network-namespace.ts";
import { StandaloneNode } from "../support/standalone-node.ts";
import { kernelLacks, userlandLacks } from "../support/tunnel-lab.ts";

const PODLOOM = fileURLToPath(new URL("../../bin/podloom.js", import.meta.url));
const TUNNEL_PEER = fileURLToPath(new URL("../support/tunnel-peer.py", import.meta.url));
const NODE = "10.20.0.5";
const BIRD = "10.20.0.9";
const BLOCK = "192.168.77.0/26";
const POD = "192.168.77.2";

/** What calico-node would write: the node, and that the block is its. */
const RESOURCES = "/calico/resources/v3/projectcalico.org";
const document = (kind: string, name: string, spec: object): string =>
  JSON.stringify({
    kind,
    apiVersion: "projectcalico.org/v3",
    metadata: {
      name,
      uid: "4f4f7e0e-1111-4222-8333-944455556666",
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    spec,
  });
const KEYS: readonly (readonly [string, string])[] = [
  [
    `${RESOURCES}/nodes/bird`,
    document("Node", "bird", { bgp: { ipv4Address: `${BIRD}/24`, ipv4IPIPTunnelAddr: "192.168.77.0" } }),
  ],
  [
    `${RESOURCES}/ippools/default-ipv4-ippool`,
    document("IPPool", "default-ipv4-ippool", {
      cidr: "192.168.0.0/16",
      blockSize: 26,
      ipipMode: "Always",
      vxlanMode: "Never",
      nodeSelector: "all()",
      allowedUses: ["Workload", "Tunnel"],
    }),
  ],
  ["/calico/ipam/v2/host/bird/ipv4/block/192.168.77.0-26", '{"state":"confirmed"}'],
  [
    "/calico/ipam/v2/assignment/ipv4/block/192.168.77.0-26",
    JSON.stringify({
      cidr: BLOCK,
      affinity: "host:bird",
      allocations: [0, null, 1, ...new Array<null>(61).fill(null)],
      unallocated: [1, ...Array.from({ length: 61 }, (_, i) => i + 3)],
      attributes: [
        { handle_id: "ipip-tunnel-addr-bird", secondary: { node: "bird", type: "ipipTunnelAddress" } },
        { handle_id: "k8s-pod-network.77", secondary: { namespace: "default", node: "bird", pod: "far" } },
      ],
      deleted: false,
    }),
  ],
];

const CONFIG = `log stderr all;
router id ${BIRD};
protocol device { scan time 1; }
protocol direct { ipv4; interface "eth1"; }
protocol static blocks { ipv4; route ${BLOCK} blackhole; }
protocol bgp Mesh_10_20_0_5 {
  local ${BIRD} as 64512;
  neighbor ${NODE} as 64512;
  multihop;
  connect delay time 1; connect retry time 1; error wait time 1,2;
  graceful restart on;
  ipv4 { import all; export where net = ${BLOCK}; gateway recursive; add paths on; next hop self; };
}
`;

const ENDS = `local ${BIRD} remote ${NODE} ttl inherit nopmtudisc`;
const KERNEL = kernelLacks(`type ipip ${ENDS}`);
const lacks = (): string | undefined => {
  for (const [program, flag] of [
    ["bird", "--version"],
    ["etcdctl", "version"],
    ["tshark", "--version"],
    ["tcpdump", "--version"],
  ] as const)
    if (spawnSync(program, [flag]).error !== undefined) return `needs ${program}`;
  return KERNEL === undefined ? undefined : userlandLacks();
};
const WHY = lacks();

describe.skipIf(WHY !== undefined)(
  WHY === undefined ? "BIRD as a node of the mesh" : `BIRD as a node (${WHY})`,
  () => {
    const spaces = new Namespaces();
    const folder = mkdtempSync(join(tmpdir(), "podloom-calico-bird-"));
    let home = "";
    let far = "";
    let remote = "";
    let node: StandaloneNode;
    let store: ChildProcess;

    const birdc = (command: string): string => spaces.exec(far, `birdc -s ${join(folder, "ctl")} ${command}`);

    beforeAll(async () => {
      home = spaces.add("home");
      far = spaces.add("far");
      remote = spaces.add("remote");
      spaces.link(home, "eth1", `${NODE}/24`, far, "eth1", `${BIRD}/24`);
      for (const name of [home, far]) spaces.exec(name, "ethtool -K eth1 tx-checksum-ip-generic off");
      spaces.link(far, "pod0", "192.168.77.1/32", remote, "eth0", `${POD}/32`);
      spaces.exec(far, `ip route add ${POD} dev pod0`);
      spaces.exec(far, "sysctl -qw net.ipv4.ip_forward=1");
      spaces.exec(remote, "ip route add 192.168.77.1 dev eth0");
      spaces.exec(remote, "ip route add default via 192.168.77.1");

      // The store first, with what calico-node of the other node has written.
      store = spaces.spawn(home, process.execPath, [PODLOOM, "store", "--listen", "127.0.0.1:23791"], {
        stdio: "ignore",
      });
      const endpoints = "--endpoints=127.0.0.1:23791";
      await eventually(
        () => spaces.attempt(home, `etcdctl ${endpoints} get x`).code === 0,
        15_000,
        () => "the store",
      );
      for (const [key, value] of KEYS)
        spaces.run("ip", "netns", "exec", home, "etcdctl", endpoints, "put", key, value);

      if (KERNEL === undefined) spaces.exec(far, `ip link add tunl9 type ipip ${ENDS}`);
      else {
        const child = spaces.spawn(far, "python3", [TUNNEL_PEER, "ipip", "tunl9", BIRD, NODE, "0"], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        await new Promise((resolve) => child.stdout?.once("data", resolve));
      }
      spaces.exec(far, "ip addr add 192.168.77.0/32 dev tunl9");
      spaces.exec(far, "ip link set tunl9 mtu 1480 up");
      writeFileSync(join(folder, "bird.conf"), CONFIG);
      spaces.spawn(
        far,
        "bird",
        ["-f", "-c", join(folder, "bird.conf"), "-s", join(folder, "ctl"), "-P", join(folder, "pid")],
        { stdio: "ignore" },
      );

      node = await StandaloneNode.start({
        podloom: PODLOOM,
        folder,
        address: NODE,
        segment: "10.20.0.0/24",
        carrier: "host",
        pods: ["a"],
        etcd: "http://127.0.0.1:23791",
        flags: ["--cni", "calico", "--ipip-carrier", "proto4"],
        spawn: (command, args, options) => spaces.spawn(home, command, args, options),
      });
      await eventually(
        () => parseBirdProtocol(birdc("show protocols all Mesh_10_20_0_5")).info === "Established",
        30_000,
        () => birdc("show protocols"),
      );
    }, 90_000);

    afterAll(async () => {
      await node?.stop();
      store?.kill();
      await spaces.close();
      rmSync(folder, { recursive: true, force: true });
    });

    test("its block goes through tunl0, and ours is known to it with the attributes that Calico sets", async () => {
      const routeTo = async (): Promise<string> => (await node.exec("", ["ip", "route"])).stdout;
      await eventually(
        async () => (await routeTo()).includes(`${BLOCK} via ${BIRD} dev tunl0 proto bird onlink`),
        20_000,
        () => "the route",
      );
      const status = await node.exec("", ["calicoctl", "node", "status"]);
      expect(status.stdout).toMatch(
        /\| 10\.20\.0\.9 +\| node-to-node mesh +\| up +\| \d\d:\d\d:\d\d \| Established +\|/,
      );

      const [own] = node.state().leases.filter((block) => block !== BLOCK);
      const protocol = parseBirdProtocol(birdc("show protocols all Mesh_10_20_0_5"));
      expect(protocol.text).toMatch(
        /Neighbor capabilities[^]*Multiprotocol[^]*Route refresh[^]*Graceful restart[^]*4-octet AS numbers[^]*ADD-PATH[^]*Enhanced refresh[^]*Long-lived graceful restart/,
      );
      const routes = parseBirdRoutes(birdc("show route all protocol Mesh_10_20_0_5"));
      expect(routes.map(({ prefix }) => prefix)).toEqual([own]);
      expect(routes[0]?.attributes).toMatchObject({
        origin: "IGP",
        as_path: "",
        next_hop: NODE,
        // From 3.32 on: 2^31 - 1 - 1024.
        local_pref: "2147482623",
      });
    });

    test("pods ping each other over protocol 4, and tshark reads IP in IP", async () => {
      const [own] = node.state().leases.filter((block) => block !== BLOCK);
      // What Calico's BIRD does with a route: through the tunnel, to the node that it names.
      spaces.exec(far, `ip route add ${own} dev tunl9`);
      const capture = join(folder, "wire.pcap");
      const tcpdump = spaces.spawn(
        far,
        "tcpdump",
        ["-i", "eth1", "-U", "--immediate-mode", "-Z", "root", "-w", capture, "ip proto 4"],
        { stdio: ["ignore", "ignore", "pipe"] },
      );
      await new Promise((resolve) => tcpdump.stderr?.once("data", resolve));
      const ping = await node.exec("a", ["ping", "-c", "3", "-i", "0.2", POD]);
      expect(ping.stdout).toMatch(/3 packets transmitted, 3 received, 0% packet loss/);
      expect(ping.stdout).toMatch(/icmp_seq=1 ttl=62 /);
      const ip = /src ([\d.]+)|inet ([\d.]+)\/32/.exec(
        (await node.exec("a", ["ip", "addr"])).stdout.split("eth0")[1] ?? "",
      )?.[2] as string;
      const back = await new Promise<string>((resolve) => {
        const child = spaces.spawn(remote, "ping", ["-c", "2", "-i", "0.2", "-W", "2", ip], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        let said = "";
        child.stdout?.on("data", (data) => {
          said += String(data);
        });
        child.once("close", () => resolve(said));
      });
      expect(back).toContain("2 received, 0% packet loss");
      await new Promise((resolve) => setTimeout(resolve, 300));
      tcpdump.kill("SIGINT");
      await new Promise((resolve) => tcpdump.once("exit", resolve));
      const fields = ["frame.protocols", "ip.src", "ip.dst", "ip.proto", "ip.ttl", "icmp.type"].flatMap(
        (field) => ["-e", field],
      );
      const lines = spaces
        .run("tshark", "-r", capture, "-T", "fields", ...fields)
        .trim()
        .split("\n");
      expect(lines).toHaveLength(10);
      const [request] = lines;
      expect(request).toMatch(
        new RegExp(`^eth:ethertype:ip:ip:icmp:data\\t${NODE},${ip}\\t${BIRD},${POD}\\t4,1\\t\\d+,63\\t8$`),
      );
      const checks = [
        "-o",
        "ip.check_checksum:TRUE",
        "-Y",
        "_ws.malformed || ip.checksum.status==0 || icmp.checksum.status==0",
      ];
      expect(spaces.run("tshark", "-r", capture, ...checks).trim()).toBe("");
    });
  },
);
