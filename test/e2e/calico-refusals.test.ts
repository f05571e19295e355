// What Calico does not take, each with its message; and how two nodes agree on how IPIP leaves them, or say that they cannot.
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { NodeRow, PodRow } from "../../src/control/inspect.ts";
import { apply, endpointOf, etcdctl, HAS_ETCDCTL, MAY_RAW, nodeBecomes } from "../support/calico-lab.ts";
import { eventually, Sandbox } from "../support/e2e-lab.ts";

const lab = (more: string, pods = 1): string => `
cni: calico
calico:
  timers: fast
  resources:
    - { kind: IPPool, metadata: { name: tiny }, spec: { cidr: 192.168.0.0/29, blockSize: 30, ipipMode: Always } }
${more}underlay: { subnet: 10.22.0.0/24 }
nodes:
  - { name: node1, address: 10.22.0.5, pods: ${pods} }
  - { name: node2, address: 10.22.0.6, pods: ${pods} }
`;

describe("a running cluster", () => {
  const box = new Sandbox();
  let endpoint = "";
  beforeAll(async () => {
    endpoint = endpointOf(
      await box.ok("up", "-f", box.labFile(0, `name: bad\n${lab("")}`), "-d", "--no-verify"),
    );
  });
  afterAll(() => box.dispose());

  const cases: readonly (readonly [string, object, number, RegExp])[] = [
    [
      "pools that overlap",
      { kind: "IPPool", metadata: { name: "over" }, spec: { cidr: "192.168.0.0/16" } },
      1,
      /spec\.cidr: IPPool\(over\) CIDR overlaps with IPPool\(tiny\) CIDR 192\.168\.0\.0\/29/,
    ],
    [
      "a block size out of range",
      { kind: "IPPool", metadata: { name: "b" }, spec: { cidr: "10.99.0.0/16", blockSize: 33 } },
      2,
      /apply\.yaml:1:\d+: spec\.blockSize: IPv4 block size must be between 20 and 32, not 33/,
    ],
    [
      "IPIP and VXLAN at once",
      {
        kind: "IPPool",
        metadata: { name: "b" },
        spec: { cidr: "10.99.0.0/16", ipipMode: "Always", vxlanMode: "Always" },
      },
      2,
      /Cannot enable both VXLAN and IPIP on the same IPPool: set one of them to Never/,
    ],
    [
      "a peer without an AS",
      { kind: "BGPPeer", metadata: { name: "p" }, spec: { peerIP: "10.20.0.1" } },
      2,
      /spec\.asNumber: ASNumber field must be specified when PeerIP is: the AS of that router/,
    ],
    [
      "a peer of nodes with an AS of its own",
      { kind: "BGPPeer", metadata: { name: "p" }, spec: { peerSelector: "all()", asNumber: 65000 } },
      2,
      /spec\.asNumber: /,
    ],
    [
      "a node without an address",
      { kind: "Node", metadata: { name: "node9" }, spec: { bgp: {} } },
      2,
      /spec\.bgp: Spec\.BGP should not be empty: give ipv4Address, a\.b\.c\.d\/len/,
    ],
    [
      "a node whose address is none",
      { kind: "Node", metadata: { name: "node9" }, spec: { bgp: { ipv4Address: "banana" } } },
      2,
      /spec\.bgp\.ipv4Address: must be an IPv4 CIDR, not "banana"/,
    ],
  ];
  test.each(cases)("%s", async (_, document, code, message) => {
    const refused = await apply(box, document).catch((thrown: unknown) => String(thrown));
    expect(refused).toMatch(new RegExp(`ended with ${code}:`));
    expect(refused).toMatch(message);
  });

  test.skipIf(!HAS_ETCDCTL)(
    "a corrupted block is named, ignored, and heals (skipped without etcdctl)",
    async () => {
      const prefix = "/calico/ipam/v2/assignment/ipv4/block/";
      const key = `${prefix}192.168.0.0-30`;
      const block = etcdctl(endpoint, ["get", "--print-value-only", key]).trimEnd();
      expect(JSON.parse(block)).toMatchObject({ cidr: "192.168.0.0/30" });
      etcdctl(endpoint, ["put", key, '{"cidr":']);
      const check = await box.run("ipam", "check");
      expect([check.code, check.stderr]).toEqual([
        1,
        `${key} cannot be used: it is not JSON: unexpected end of JSON input\n`,
      ]);
      await eventually(
        async () =>
          (await box.ok("logs", "node1")).includes(`Ignoring \\"${key}\\": it is not JSON`) ||
          (await box.ok("logs", "node1")).includes(`Ignoring "${key}": it is not JSON`),
        5000,
        () => "the complaint in node1's log",
      );
      etcdctl(endpoint, ["put", key, block]);
      expect(await box.ok("ipam", "check")).toMatch(/found 0 problems/);
      // A Node that somebody wrote without an address makes no peer, and nobody stumbles over it.
      const node = "/calico/resources/v3/projectcalico.org/nodes/ghost";
      etcdctl(endpoint, [
        "put",
        node,
        '{"kind":"Node","apiVersion":"projectcalico.org/v3","metadata":{"name":"ghost"},"spec":{}}',
      ]);
      await nodeBecomes(box, "node1", ({ status, peers }) => status === "Ready" && peers === 1);
      etcdctl(endpoint, ["del", node]);
    },
  );
});

describe("a lab that cannot be", () => {
  let box: Sandbox;
  beforeEach(() => {
    box = new Sandbox();
  });
  afterEach(() => box.dispose());

  test("an exhausted pool: who got nothing, and why", async () => {
    const up = await box.run("up", "-f", box.labFile(0, `name: full\n${lab("", 4)}`), "-d", "--no-verify");
    expect(up.code).not.toBe(0);
    expect(up.stderr).toMatch(
      /pod node\d-pod\d cannot be attached: .*Assigned 0 out of 1 requested IPv4 addresses; No IPs available in pools: \[192\.168\.0\.0\/29\]/,
    );
    expect(box.processes()).toEqual([]);
  });
});

describe("how IPIP leaves", () => {
  let box: Sandbox;
  beforeEach(() => {
    box = new Sandbox();
  });
  afterEach(() => box.dispose());

  /** Two nodes of a lab, and one that joins them with another carrier. */
  async function mixed(
    first: string,
    second: string,
  ): Promise<{ row: NodeRow; log: () => string; ping: () => ReturnType<Sandbox["run"]> }> {
    const file = box.labFile(
      0,
      `name: mixed\n${lab(`  ipipCarrier: ${first}\n`).replace("192.168.0.0/29, blockSize: 30", "192.168.0.0/24, blockSize: 28")}`,
    );
    const endpoint = endpointOf(await box.ok("up", "-f", file, "-d", "--no-verify"));
    const log = `${box.root}/node9.log`;
    box.start(
      ...[
        "node",
        "--name",
        "node9",
        "--address",
        "10.22.0.9",
        "--segment",
        "10.22.0.0/24",
        "--carrier",
        "loopback",
      ],
      ...[
        "--etcd",
        `http://${endpoint}`,
        "--cni",
        "calico",
        "--bgp-timers",
        "fast",
        "--ipip-carrier",
        second,
      ],
      ...["--pod", "stranger", "--state", `${box.root}/node9`, "--log-file", log],
    );
    const row = await nodeBecomes(box, "node1", ({ peers }) => peers === 2);
    const target = async (): Promise<string> => {
      const wep = await box.ok("calicoctl", "get", "wep", "-o", "json");
      return (
        /"ipNetworks": \["([\d.]+)\/32"\][^]*?/.exec(
          wep
            .replace(/\[\s+"/g, '["')
            .replace(/"\s+\]/g, '"]')
            .slice(wep.indexOf("node9")),
        )?.[1] ?? ""
      );
    };
    const ping = async () =>
      box.run("exec", "node1-pod1", "--", "ping", "-c", "2", "-i", "0.2", "-W", "1", await target());
    return { row, log: () => readFileSync(log, "utf8"), ping };
  }

  test.skipIf(!MAY_RAW)("auto and fou agree on FOU (skipped without raw sockets)", async () => {
    const { ping } = await mixed("auto", "fou");
    await nodeBecomes(box, "node1", (row) => JSON.stringify(row).includes("fou:1"));
    expect(await box.ok("get", "nodes", "-o", "wide")).toMatch(
      /^node1 .*IPIP Always \((proto4:1 fou:1|fou:1 proto4:1)\)/m,
    );
    const { stdout } = await ping();
    expect(stdout).toMatch(/ 0% packet loss/);
    // To node2 both can do better.
    const other = (await box.rows<PodRow>("pods")).find(({ node }) => node === "node2") as PodRow;
    expect(await box.ok("exec", "node1-pod1", "--", "ping", "-c", "1", other.ip)).toMatch(/ 0% packet loss/);
  });

  test.skipIf(!MAY_RAW)(
    "proto4 alone and fou alone do not, and say so (skipped without raw sockets)",
    async () => {
      const { log, ping } = await mixed("proto4", "fou");
      await eventually(() => log().includes("no IPIP to node1 (10.22.0.5) takes proto4"), 10_000, log);
      expect(log()).toMatch(/this node can send fou alone/);
      expect(await box.ok("logs", "node1")).toMatch(
        /no IPIP to node9 \(10\.22\.0\.9\) takes fou: this node can send proto4 alone/,
      );
      expect(await box.ok("get", "nodes", "-o", "wide")).toMatch(/^node1 .*unreachable:1/m);
      const { stdout } = await ping();
      expect(stdout).toMatch(/ 100% packet loss/);
    },
  );
});
