// What an operator says of the whole datastore, and agents on a virtual clock that follow: ranges that are reserved, and a store that is
// closed for a while.
import { beforeEach, describe, expect, test } from "vitest";
import { formatPrefix } from "../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../src/base/time.ts";
import type { CalicoResource } from "../../src/control/calico/resources.ts";
import type { NetDevice } from "../../src/stack/net-device.ts";
import { pool, resource } from "../support/calico.ts";
import { CalicoCluster, type CalicoSimNode } from "../support/calico-cluster.ts";

const SETTLE_US = 20 * SEC_US;

let cluster: CalicoCluster;

beforeEach(() => {
  cluster = new CalicoCluster({
    seed: 1,
    nodes: 2,
    segments: 1,
    version: "3.33",
    mayRaw: () => true,
    resources: [pool("p", { cidr: "192.168.0.0/26", blockSize: 28, vxlanMode: "Always" })],
  });
  cluster.run(cluster.now + SETTLE_US);
});

const node = (index: number): CalicoSimNode => cluster.nodes[index] as CalicoSimNode;

/** Attaches pods one after the other; answers their addresses. */
function attach(index: number, ...names: readonly string[]): string[] {
  for (const name of names) {
    node(index).podAdd(name, cluster.now);
    cluster.run(cluster.now + 2 * SEC_US);
  }
  const pods = node(index).agent.inspect("pods", cluster.now);
  return names.map((name) => pods.find((pod) => pod.name === name)?.ip ?? "none");
}

function say(edit: CalicoResource): void {
  cluster.operator.apply(edit);
  cluster.run(cluster.now + SETTLE_US);
}

const blockRoutes = (index: number): string[] =>
  node(index)
    .agent.host.fib.dump("main")
    .filter(({ proto, type }) => proto === "felix" && type === "unicast")
    .map(({ dst, dev }) => `${formatPrefix(dst)} ${dev?.name}`)
    .sort();

describe("an IPReservation", () => {
  test("keeps what it names from pods that ask for any address, from when it is there until it is gone", () => {
    const [first] = attach(0, "before") as [string];
    const octet = Number(first.split(".")[3]);
    const kept = [`192.168.0.${octet + 1}`, `192.168.0.${octet + 2}/31`, "fd00::/64"];
    say(resource("IPReservation", "printers", { reservedCIDRs: kept }));
    const high = (octet + 2) | 1;
    const [during] = attach(0, "during") as [string];
    expect(Number(during.split(".")[3])).toBeGreaterThan(high);
    cluster.operator.delete("IPReservation", "printers");
    cluster.run(cluster.now + SETTLE_US);
    const later = attach(0, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l");
    expect(later).toContain(`192.168.0.${octet + 1}`);
  });
});

describe("while ClusterInformation says that the datastore is not ready", () => {
  const ready = (datastoreReady: boolean): void =>
    say(resource("ClusterInformation", "default", { clusterType: "k8s,bgp", datastoreReady }));

  test("nothing is attached or detached, and the reason says that it passes", () => {
    attach(0, "web");
    ready(false);
    expect(node(0).agent.takesPods).toBe(false);
    expect(node(0).agent.state().reason).toContain("datastoreReady: false");
    node(0).podAdd("late", cluster.now);
    node(0).podDel("web", cluster.now);
    expect(node(0).refusals.splice(0)).toEqual([
      'pod "late" cannot be attached: Calico is currently not ready to process requests: ClusterInformation says datastoreReady: false',
      'pod "web" cannot be detached: Calico is currently not ready to process requests: ClusterInformation says datastoreReady: false',
    ]);
    ready(true);
    expect(node(0).agent.takesPods).toBe(true);
    expect(attach(0, "late")).toEqual([expect.stringMatching(/^192\.168\.0\./)]);
  });

  test("what somebody deletes is not restored before it is ready again; then at once", () => {
    attach(1, "db");
    const before = blockRoutes(0);
    expect(before).toHaveLength(1);
    ready(false);
    const { host } = node(0).agent;
    host.fib.delWhere(({ proto }) => proto === "felix");
    host.setLink(host.device("vxlan.calico") as NetDevice, false, cluster.now);
    cluster.run(cluster.now + 200 * SEC_US);
    expect(blockRoutes(0)).toEqual([]);
    ready(true);
    expect(blockRoutes(0)).toEqual(before);
  });

  test("Felix leaves routes as they are, and catches up", () => {
    attach(0, "web");
    attach(1, "db");
    cluster.run(cluster.now + SETTLE_US);
    const before = blockRoutes(0);
    expect(before).toEqual([expect.stringMatching(/ vxlan\.calico$/)]);
    ready(false);
    cluster.start(2);
    say(pool("p", { cidr: "192.168.0.0/26", blockSize: 28, vxlanMode: "CrossSubnet" }));
    expect(blockRoutes(0)).toEqual(before);
    expect(node(2).agent.state()).toMatchObject({ phase: "acquiring", leases: [] });
    ready(true);
    expect(blockRoutes(0)).toEqual([
      expect.stringMatching(/\/28 eth0$/),
      expect.stringMatching(/\/28 eth0$/),
    ]);
    expect(node(2).agent.state().phase).toBe("ready");
  });
});
