// Changes to a running Calico cluster, with pings between all pairs of pods all the while: mesh to route reflectors and back, the
// pool's encapsulation, and reflectors that die. What is lost is printed.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  apply,
  changedExample,
  endpointOf,
  etcdctl,
  HAS_ETCDCTL,
  heardFrom,
  nodeBecomes,
  nodeNamed,
  PairProbes,
  poolOf,
  routesBecome,
  summarize,
} from "../support/calico-lab.ts";
import { eventually, Sandbox } from "../support/e2e-lab.ts";

const LAB = `
cni: calico
calico:
  timers: fast
  resources:
    - { kind: BGPConfiguration, metadata: { name: default }, spec: { nodeToNodeMeshEnabled: true, asNumber: 64512 } }
    - { kind: IPPool, metadata: { name: default-ipv4-ippool }, spec: { cidr: 192.168.0.0/16, blockSize: 26, ipipMode: Always } }
underlay: { subnet: 10.21.0.0/24 }
nodes:
  - { name: rr1, address: 10.21.0.11, pods: 1 }
  - { name: rr2, address: 10.21.0.12, pods: 1 }
  - { name: node1, address: 10.21.0.21, pods: 1 }
  - { name: node2, address: 10.21.0.22, pods: 1 }
`;
const MEMBERS = [
  ["node1", "node2"],
  ["node2", "node1"],
] as const;
const RECIPE = {
  kind: "BGPPeer",
  metadata: { name: "peer-with-reflectors" },
  spec: { nodeSelector: "all()", peerSelector: "route-reflector == 'true'" },
};
const mesh = (nodeToNodeMeshEnabled: boolean): object => ({
  kind: "BGPConfiguration",
  metadata: { name: "default" },
  spec: { nodeToNodeMeshEnabled, asNumber: 64512 },
});

describe("a live cluster", () => {
  const box = new Sandbox();
  let endpoint = "";

  beforeAll(async () => {
    endpoint = endpointOf(await box.ok("up", "-f", box.labFile(0, `name: live\n${LAB}`), "-d"));
  });
  afterAll(() => box.dispose());

  const peersAre = async (counts: Readonly<Record<string, number>>): Promise<void> => {
    for (const [name, count] of Object.entries(counts))
      await nodeBecomes(box, name, ({ peers }) => peers === count);
  };

  /** Edits a Node as a person does: reads it, changes it, applies it. */
  async function markReflector(name: string, on: boolean): Promise<void> {
    const node = JSON.parse(await box.ok("calicoctl", "get", "node", name, "-o", "json")) as {
      metadata: { labels?: Record<string, string> };
      spec: { bgp: Record<string, unknown> };
    };
    const { routeReflectorClusterID: _, ...bgp } = node.spec.bgp;
    const { "route-reflector": __, ...labels } = node.metadata.labels ?? {};
    await apply(box, {
      ...node,
      metadata: { name, labels: on ? { ...labels, "route-reflector": "true" } : labels },
      spec: { ...node.spec, bgp: on ? { ...bgp, routeReflectorClusterID: "244.0.0.1" } : bgp },
    });
  }

  test("mesh, reflectors, mesh: the members lose nothing", async () => {
    await peersAre({ rr1: 3, rr2: 3, node1: 3, node2: 3 });
    let probes = await PairProbes.start(box, 12);
    await apply(box, RECIPE);
    await markReflector("rr1", true);
    await peersAre({ rr1: 3, node1: 3, node2: 3 });
    await markReflector("rr2", true);
    await peersAre({ rr1: 3, rr2: 3, node1: 3, node2: 3 });
    // Whoever takes the mesh away before the reflectors have told the members of each other loses what is on its way.
    for (const [node, other] of MEMBERS)
      await heardFrom(box, node, other, ["Node_10_21_0_11", "Node_10_21_0_12"]);
    await apply(box, mesh(false));
    await peersAre({ rr1: 3, rr2: 3, node1: 2, node2: 2 });
    const there = await probes.end();
    summarize("mesh to reflectors", there);
    const text = await box.ok("exec", "node/node1", "--", "calicoctl", "node", "status");
    expect(text).toMatch(/\| 10\.21\.0\.11 +\| node specific +\| up +\|/);
    expect(text).not.toContain("10.21.0.22");

    probes = await PairProbes.start(box, 12);
    await apply(box, mesh(true));
    await peersAre({ node1: 3, node2: 3 });
    await heardFrom(box, "node1", "node2", ["Mesh_10_21_0_22"]);
    await heardFrom(box, "node2", "node1", ["Mesh_10_21_0_21"]);
    await markReflector("rr1", false);
    await markReflector("rr2", false);
    await box.ok("delete", "bgppeer", "peer-with-reflectors");
    await peersAre({ rr1: 3, rr2: 3, node1: 3, node2: 3 });
    const back = await probes.end();
    summarize("reflectors to mesh", back);
    const members = [...there, ...back].filter(({ from, to }) => !`${from}${to}`.includes("rr"));
    expect(members).toHaveLength(4);
    expect(members.filter(({ lost }) => lost > 0)).toEqual([]);
    // The reflectors' own routes are gone while their sessions of the one kind end and those of the other begin.
    for (const pair of [...there, ...back])
      expect(pair.lost / pair.sent, JSON.stringify(pair)).toBeLessThan(0.5);
    expect(await box.ok("verify")).toMatch(/12\/12 ordered pod pairs reachable/);
  });

  const waysAre = async (pattern: RegExp): Promise<void> => {
    for (const node of ["rr1", "rr2", "node1", "node2"]) {
      await routesBecome(box, node, (routes) => routes.filter((route) => pattern.test(route)).length === 3);
    }
  };
  const TUNL0 = /\/26 via 10\.21\.0\.\d+ dev tunl0 proto bird onlink$/;
  const STRAIGHT = /\/26 via 10\.21\.0\.\d+ dev eth0 proto bird$/;
  const VXLAN = /\/26 via 192\.168\.\d+\.\d+ dev vxlan\.calico proto 80 onlink$/;

  test("IPIP Always, CrossSubnet, Never, Always, VXLAN, and Always by the pool's edit", async () => {
    const steps: readonly (readonly [string, object, RegExp])[] = [
      ["IPIP Always to CrossSubnet", { ipipMode: "CrossSubnet" }, STRAIGHT],
      ["CrossSubnet to IPIP Always", { ipipMode: "Always" }, TUNL0],
      ["IPIP Always to Never", { ipipMode: "Never" }, STRAIGHT],
      ["Never to VXLAN Always", { vxlanMode: "Always" }, VXLAN],
      ["VXLAN Always to IPIP Always", { ipipMode: "Always" }, TUNL0],
    ];
    for (const [what, spec, ways] of steps) {
      const probes = await PairProbes.start(box, 4);
      await apply(box, poolOf(spec));
      await waysAre(ways);
      const losses = await probes.end();
      summarize(what, losses);
      for (const pair of losses)
        expect(pair.lost / pair.sent, `${what}: ${JSON.stringify(pair)}`).toBeLessThan(0.3);
      expect(await box.ok("verify"), what).toMatch(/12\/12 ordered pod pairs reachable/);
    }
    expect(await box.ok("ipam", "check")).toMatch(/found 0 problems/);
  });

  test.skipIf(!HAS_ETCDCTL)("… and by etcdctl (skipped without etcdctl on PATH)", async () => {
    const key = "/calico/resources/v3/projectcalico.org/ippools/default-ipv4-ippool";
    const stored = etcdctl(endpoint, ["get", "--print-value-only", key]).trim();
    etcdctl(endpoint, ["put", key], stored.replace('"ipipMode":"Always"', '"ipipMode":"CrossSubnet"'));
    await waysAre(STRAIGHT);
    etcdctl(endpoint, ["put", key], stored);
    await waysAre(TUNL0);
  });

  test.skipIf(!HAS_ETCDCTL)("FelixConfiguration, by etcdctl (skipped without etcdctl on PATH)", async () => {
    const linkIs = async (device: string, wanted: RegExp): Promise<void> => {
      let shown = "";
      const look = async (): Promise<boolean> => {
        shown = (await box.run("exec", "node/node1", "--", "ip", "-d", "link", "show", device)).stdout;
        return wanted.test(shown);
      };
      await eventually(look, 15_000, () => shown);
    };
    const put = (spec: object): string =>
      etcdctl(
        endpoint,
        ["put", "/calico/resources/v3/projectcalico.org/felixconfigurations/default"],
        JSON.stringify({
          kind: "FelixConfiguration",
          apiVersion: "projectcalico.org/v3",
          metadata: { name: "default", uid: "1", creationTimestamp: "2026-11-28T10:00:00Z" },
          spec,
        }),
      );
    await linkIs("tunl0", /mtu 14[78]\d /);
    put({ ipipMTU: 1400 });
    await linkIs("tunl0", /mtu 1400 /);
    await apply(box, poolOf({ vxlanMode: "Always" }));
    await linkIs("vxlan.calico", /mtu 1450 [^]* vxlan id 4096 [^]* dstport 4789 /);
    put({ vxlanMTU: 1300, vxlanVNI: 77, vxlanPort: 4791 });
    await linkIs("vxlan.calico", /mtu 1300 [^]* vxlan id 77 [^]* dstport 4791 /);
    await waysAre(VXLAN);
    expect(await box.ok("verify", "--count", "1")).toMatch(/12\/12 ordered pod pairs reachable/);
  });
});

describe("reflectors that die", () => {
  let box: Sandbox;
  beforeEach(() => {
    box = new Sandbox();
  });
  afterEach(() => box.dispose());

  const lab = (): string =>
    changedExample(box, "calico-route-reflectors", (text) =>
      text
        .replace(
          "name: calico-rr\ncni: calico\n\ncalico:\n",
          "name: calico-rr\ncni: calico\n\nrestart: { policy: never }\n\ncalico:\n  timers: fast\n",
        )
        .replaceAll(/^ {2}- \{ name: node\d, address: (10\.20\.0\.2[34]).*\n?/gm, "")
        .replaceAll(/(address: 10\.20\.0\.2\d) \}/g, "$1, pods: 1 }"),
    );

  test("one of two: nothing is lost; the last one: routes stay for the restart time, then go", async () => {
    await box.ok("up", "-f", lab(), "-d");
    const probes = await PairProbes.start(box, 10);
    process.kill((await nodeNamed(box, "rr1")).pid as number, "SIGKILL");
    await nodeBecomes(box, "node1", ({ peers }) => peers === 1);
    const losses = await probes.end();
    summarize("one of two reflectors killed", losses);
    expect(losses.every(({ lost }) => lost === 0)).toBe(true);

    // As the fast timers say: 30 s for the restart, which does not come.
    const { subnet = "?" } = await nodeNamed(box, "node2");
    process.kill((await nodeNamed(box, "rr2")).pid as number, "SIGKILL");
    const died = performance.now();
    await nodeBecomes(box, "node1", ({ peers }) => peers === 0);
    const routes = await routesBecome(box, "node1", () => true);
    expect(routes.some((route) => route.startsWith(`${subnet} via 10.20.0.22 dev tunl0`))).toBe(true);
    const without = await PairProbes.start(box, 34, 100);
    await eventually(
      async () => !(await routesBecome(box, "node1", () => true)).some((route) => route.startsWith(subnet)),
      40_000,
      () => `the route to ${subnet} to go`,
    );
    const goneSec = (performance.now() - died) / 1000;
    expect(goneSec).toBeGreaterThan(28);
    expect(goneSec).toBeLessThan(36);
    const after = await without.end();
    summarize(`the last reflector killed: routes went after ${goneSec.toFixed(1)} s; of 34 s`, after, 100);
    for (const { lost, sent } of after) expect(lost / sent).toBeLessThan(0.4);
  });
});
