import { describe, expect, test } from "vitest";
import { formatTimestamp } from "../../../../src/base/civil-date.ts";
import { SeededRng } from "../../../../src/base/rng.ts";
import { decodeUtf8, encodeUtf8 } from "../../../../src/base/utf8.ts";
import { checkResource, emitResource, readResource } from "../../../../src/control/calico/check-resource.ts";
import {
  defaultBgpConfiguration,
  defaultClusterInformation,
  defaultFelixConfiguration,
  defaultIpPool,
} from "../../../../src/control/calico/cluster-defaults.ts";
import {
  type ColumnOptions,
  type ResourceTable,
  resourceTable,
} from "../../../../src/control/calico/resource-columns.ts";
import type { CalicoKind, ResourceOf } from "../../../../src/control/calico/resources.ts";

function stored<K extends CalicoKind>(
  kind: K,
  name: string,
  spec: object,
  namespace?: string,
): ResourceOf<K> {
  const text = JSON.stringify({
    kind,
    apiVersion: "projectcalico.org/v3",
    metadata: { name, namespace },
    spec,
  });
  const id = namespace === undefined ? { kind, name } : { kind, name, namespace };
  const read = readResource(id, encodeUtf8(text));
  if (!read.ok) throw new Error(read.error);
  return read.value as ResourceOf<K>;
}

function table<K extends CalicoKind>(
  kind: K,
  resources: ResourceOf<K>[],
  options: ColumnOptions,
): ResourceTable {
  const made = resourceTable(kind, resources, options);
  if (!made.ok) throw new Error(made.error);
  return made.value;
}

describe("tables of calicoctl get", () => {
  test("nodes: an inherited AS is in parentheses", () => {
    const nodes = [
      stored("Node", "w1", { bgp: { ipv4Address: "10.1.0.11/24" } }),
      stored("Node", "w2", {
        bgp: { asNumber: 64513, ipv4Address: "10.1.0.12/24", ipv6Address: "fd00::1/64" },
      }),
      stored("Node", "w3", {}),
    ];
    expect(table("Node", nodes, { wide: true }).rows).toEqual([
      ["w1", "(64512)", "10.1.0.11/24", ""],
      ["w2", "64513", "10.1.0.12/24", "fd00::1/64"],
      ["w3", "", "", ""],
    ]);
    expect(table("Node", nodes, { wide: true, asNumber: 7 }).rows[0]?.[1]).toBe("(7)");
    expect(table("Node", nodes, { wide: false })).toEqual({
      headings: ["NAME"],
      rows: [["w1"], ["w2"], ["w3"]],
    });
  });

  test("pools", () => {
    const pools = [
      stored("IPPool", "p", { cidr: "10.244.0.0/16", natOutgoing: true, ipipMode: "Always" }),
      stored("IPPool", "q", { cidr: "10.9.0.0/16", nodeSelector: "has(a)", disabled: true }),
    ];
    expect(table("IPPool", pools, { wide: false })).toEqual({
      headings: ["NAME", "CIDR", "SELECTOR"],
      rows: [
        ["p", "10.244.0.0/16", "all()"],
        ["q", "10.9.0.0/16", "has(a)"],
      ],
    });
    const { headings, rows } = table("IPPool", pools, { wide: true });
    expect(headings.join(" ")).toBe(
      "NAME CIDR NAT IPIPMODE VXLANMODE DISABLED DISABLEBGPEXPORT SELECTOR ASSIGNMENTMODE",
    );
    expect(rows.map((row) => row.join(" "))).toEqual([
      "p 10.244.0.0/16 true Always Never false false all() Automatic",
      "q 10.9.0.0/16 false Never Never true false has(a) Automatic",
    ]);
  });

  test("peers, configurations, filters, the cluster", () => {
    const peers = [
      stored("BGPPeer", "a", { peerIP: "10.1.0.1", asNumber: 64600 }),
      stored("BGPPeer", "b", { nodeSelector: "all()", peerSelector: "has(rr)" }),
      stored("BGPPeer", "c", { node: "w1", peerIP: "10.1.0.2" }),
    ];
    expect(table("BGPPeer", peers, { wide: false }).rows).toEqual([
      ["a", "10.1.0.1", "(global)", "64600"],
      ["b", "", "all()", "0"],
      ["c", "10.1.0.2", "w1", "0"],
    ]);
    const configurations = [
      stored("BGPConfiguration", "default", { nodeToNodeMeshEnabled: false, asNumber: 1 }),
      stored("BGPConfiguration", "node.w1", { logSeverityScreen: "Debug" }),
    ];
    expect(table("BGPConfiguration", configurations, { wide: true }).rows).toEqual([
      ["default", "", "false", "1"],
      ["node.w1", "Debug", "-", "-"],
    ]);
    const filter = stored("BGPFilter", "f", { exportV4: [{ action: "Accept" }], importV6: [] });
    expect(table("BGPFilter", [filter], { wide: false }).rows).toEqual([["f", "1", "0", "0", "0"]]);
    const cluster = stored("ClusterInformation", "default", { datastoreReady: true });
    expect(table("ClusterInformation", [cluster], { wide: false }).rows).toEqual([
      ["default", "", "", "", "true"],
    ]);
  });

  test("endpoints say their namespace when all are asked for", () => {
    const endpoint = stored(
      "WorkloadEndpoint",
      "w1-k8s-web-eth0",
      {
        orchestrator: "k8s",
        node: "w1",
        pod: "web",
        endpoint: "eth0",
        interfaceName: "cali1",
        ipNetworks: ["10.244.0.1/32", "fd00::1/128"],
        profiles: ["kns.shop", "ksa.shop.default"],
        ipNATs: [{ internalIP: "10.244.0.1", externalIP: "1.2.3.4" }, 7],
      },
      "shop",
    );
    expect(table("WorkloadEndpoint", [endpoint], { wide: false, allNamespaces: true })).toEqual({
      headings: ["NAMESPACE", "WORKLOAD", "NODE", "NETWORKS", "INTERFACE"],
      rows: [["shop", "web", "w1", "10.244.0.1/32,fd00::1/128", "cali1"]],
    });
    expect(table("WorkloadEndpoint", [endpoint], { wide: true }).rows).toEqual([
      [
        "w1-k8s-web-eth0",
        "web",
        "w1",
        "10.244.0.1/32,fd00::1/128",
        "cali1",
        "kns.shop,ksa.shop.default",
        "10.244.0.1<>1.2.3.4",
      ],
    ]);
  });
});

describe("a fresh cluster", () => {
  test("gets what Calico's startup writes, and would take it from a user", () => {
    const text = (resource: Parameters<typeof emitResource>[0]) => decodeUtf8(emitResource(resource));
    expect(text(defaultIpPool({ cidr: "10.244.0.0/16" }))).toBe(
      '{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"default-ipv4-ippool"},"spec":{"cidr":"10.244.0.0/16","vxlanMode":"Never","ipipMode":"Always","natOutgoing":true,"blockSize":26,"nodeSelector":"all()","allowedUses":["Workload","Tunnel"],"assignmentMode":"Automatic"}}',
    );
    expect(defaultIpPool({ vxlanMode: "Always" }).spec).toMatchObject({
      cidr: "192.168.0.0/16",
      ipipMode: "Never",
    });
    expect(text(defaultFelixConfiguration())).toContain(
      '"spec":{"logSeverityScreen":"Info","reportingInterval":"0s"}',
    );
    expect(text(defaultClusterInformation(new SeededRng(1)))).toMatch(
      /"spec":\{"clusterGUID":"[0-9a-f]{32}","clusterType":"k8s,bgp","calicoVersion":"v3.32.1","datastoreReady":true\}/,
    );
    for (const resource of [defaultIpPool(), defaultFelixConfiguration(), defaultBgpConfiguration()]) {
      expect(checkResource(resource)).toEqual({ ok: true, value: resource });
    }
  });
});

test("wall-clock times are RFC 3339 of whole seconds", () => {
  for (const iso of [
    "1970-01-01T00:00:00Z",
    "1999-12-31T23:59:59Z",
    "2000-02-29T12:00:00Z",
    "2026-06-01T00:00:00Z",
    "2100-03-01T00:00:00Z",
  ]) {
    expect(formatTimestamp(Date.parse(iso) + 999)).toBe(iso);
  }
});

describe("columns that are chosen, and cut", () => {
  test("chosen columns: in the order given, and those that there are", () => {
    const one = stored("IPPool", "p", { cidr: "10.0.0.0/16" });
    const headings = ["CIDR", "NAT", "NAME"];
    expect(table("IPPool", [one], { wide: true, headings })).toEqual({
      headings,
      rows: [["10.0.0.0/16", "false", "p"]],
    });
    expect(resourceTable("Node", [], { wide: false, headings: ["NAME", "asn"] })).toEqual({
      ok: false,
      error: "Unknown heading asn, valid values are: NAME, ASN, IPV4, IPV6",
    });
  });

  test("reservations: their ranges only when wide, cut at 80 characters", () => {
    const cidrs = ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.7", "fd00::/64"];
    const short = stored("IPReservation", "few", { reservedCIDRs: cidrs });
    const long = stored("IPReservation", "many", { reservedCIDRs: Array(9).fill("10.0.0.0/24") });
    expect(table("IPReservation", [short], { wide: false }).headings).toEqual(["NAME"]);
    const { rows } = table("IPReservation", [short, long], { wide: true });
    expect(rows[0]).toEqual(["few", cidrs.join(",")]);
    expect(rows[1]?.[1]).toBe(`${"10.0.0.0/24,".repeat(6)}10.0....`);
    expect(rows[1]?.[1]).toHaveLength(80);
  });
});
