import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatIpv4 } from "../../../../../src/base/ipv4-addr.ts";
import { BgpPeers } from "../../../../../src/control/calico/calc/bgp-peers.ts";
import type { CalicoVersion, DesiredPeer } from "../../../../../src/control/calico/calc/desired-peer.ts";
import type { CalicoUpdate } from "../../../../../src/control/calico/calico-updates.ts";
import { calicoNode, resource, simpleSelector } from "../../../../support/calico-bird.ts";

function peersOf(updates: readonly CalicoUpdate[], version: CalicoVersion = "3.32", node = "a"): BgpPeers {
  const peers = new BgpPeers({ node, defaultAs: 64512, version, matches: simpleSelector });
  for (const update of updates) peers.onUpdate(update);
  peers.recompute();
  return peers;
}

function derive(updates: readonly CalicoUpdate[], version?: CalicoVersion, node?: string): DesiredPeer[] {
  return [...peersOf(updates, version, node).dump().values()].sort((x, y) => (x.name < y.name ? -1 : 1));
}

const A = calicoNode("a", { ipv4Address: "10.0.0.10/24" });
const B = calicoNode("b", { ipv4Address: "10.0.0.9/24" }, { rack: "r1" });
const C = calicoNode("c", { ipv4Address: "10.0.1.3/24", asNumber: 64999 });
const names = (peers: readonly DesiredPeer[]): string[] => peers.map(({ name }) => name);

describe("the mesh", () => {
  test("is with every node that has an address; who is the greater as text dials", () => {
    const peers = derive([A, B, C, calicoNode("d", {})]);
    expect(peers).toMatchObject([
      {
        name: "Mesh_10_0_0_9",
        type: "node-to-node mesh",
        passive: true,
        localAs: 64512,
        peerAs: 64512,
        port: 179,
      },
      { name: "Mesh_10_0_1_3", passive: true, peerAs: 64999 },
    ]);
    expect(peers.map(({ sourceAddr }) => formatIpv4(sourceAddr as number))).toEqual([
      "10.0.0.10",
      "10.0.0.10",
    ]);
    expect(derive([A, B], "3.32", "b")).toMatchObject([{ name: "Mesh_10_0_0_10", passive: false }]);
  });

  test("leaves reflectors out, on either side", () => {
    const reflector = calicoNode("b", { ipv4Address: "10.0.0.9/24", routeReflectorClusterID: "244.0.0.1" });
    expect(names(derive([A, reflector, C]))).toEqual(["Mesh_10_0_1_3"]);
    expect(derive([A, reflector, C], "3.32", "b")).toEqual([]);
  });

  test("has the cluster's AS, password, restart time and each node's port", () => {
    const peers = derive([
      A,
      B,
      resource("BGPConfiguration", "default", {
        asNumber: 65001,
        listenPort: 1790,
        nodeMeshMaxRestartTime: "2m5s",
        nodeMeshPassword: { secretKeyRef: { name: "s", key: "k" } },
      }),
      resource("BGPConfiguration", "node.b", { listenPort: 1179 }),
    ]);
    expect(peers).toMatchObject([
      {
        localAs: 65001,
        peerAs: 65001,
        port: 1179,
        maxRestartTimeSec: 125,
        password: { name: "s", key: "k" },
      },
    ]);
    expect(derive([A, B, resource("BGPConfiguration", "default", { nodeToNodeMeshEnabled: false })])).toEqual(
      [],
    );
  });
});

describe("explicit peers", () => {
  const off = resource("BGPConfiguration", "default", { nodeToNodeMeshEnabled: false });
  const rule = (spec: object, name = "p"): CalicoUpdate => resource("BGPPeer", name, spec);

  test.each<[string, object, object | undefined]>([
    [
      "global",
      { peerIP: "10.0.0.1", asNumber: 64600 },
      { name: "Global_10_0_0_1", type: "global", peerAs: 64600 },
    ],
    [
      "node",
      { node: "a", peerIP: "10.0.0.1:1179", asNumber: 1 },
      { name: "Node_10_0_0_1_port_1179", port: 1179 },
    ],
    ["another node's", { node: "b", peerIP: "10.0.0.1", asNumber: 1 }, undefined],
    ["not its selector", { nodeSelector: "has(rack)", peerIP: "10.0.0.1", asNumber: 1 }, undefined],
    ["source None", { peerIP: "10.0.0.1", asNumber: 1, sourceAddress: "None" }, { sourceAddr: undefined }],
    ["keep on eBGP", { peerIP: "10.0.0.1", asNumber: 1, keepOriginalNextHop: true }, { nextHop: "keep" }],
    ["keep on iBGP", { peerIP: "10.0.0.1", asNumber: 64512, keepOriginalNextHop: true }, { nextHop: "auto" }],
    ["mode Self", { peerIP: "10.0.0.1", asNumber: 64512, nextHopMode: "Self" }, { nextHop: "self" }],
    ["local AS", { peerIP: "10.0.0.1", asNumber: 1, localASNumber: 7 }, { localAs: 7, peerAs: 1 }],
    [
      "the rest",
      {
        peerIP: "10.0.0.1",
        asNumber: 1,
        maxRestartTime: "90s",
        numAllowedLocalASNumbers: 2,
        ttlSecurity: 3,
        reachableBy: "10.0.0.254",
        filters: ["f", "g"],
      },
      {
        maxRestartTimeSec: 90,
        allowLocalAs: 2,
        ttlSecurity: 3,
        reachableBy: 0x0a0000fe,
        filters: ["f", "g"],
      },
    ],
  ])("%s", (_, spec, expected) => {
    const peers = derive([A, B, off, rule(spec)]);
    expect(peers).toHaveLength(expected === undefined ? 0 : 1);
    if (expected !== undefined) expect(peers[0]).toMatchObject(expected);
  });

  test("know nothing of 3.32's fields in 3.31", () => {
    const spec = {
      peerIP: "10.0.0.1",
      asNumber: 1,
      localASNumber: 7,
      nextHopMode: "Self",
      keepaliveTime: "5s",
    };
    const expected = { localAs: 64512, nextHop: "auto", keepaliveTimeSec: undefined };
    expect(derive([A, off, rule(spec)], "3.31")[0]).toMatchObject(expected);
  });

  test("by selector are all nodes that it fits but oneself, and those have the other end", () => {
    const recipe = rule({ nodeSelector: "all()", peerSelector: "has(rack)" });
    expect(derive([A, B, C, off, recipe])).toMatchObject([
      { name: "Node_10_0_0_9", type: "node specific", peerAs: 64512 },
    ]);
    expect(names(derive([A, B, C, off, recipe], "3.32", "b"))).toEqual(["Node_10_0_0_10", "Node_10_0_1_3"]);
    const oneSided = rule({ node: "a", peerSelector: "has(rack)" });
    expect(names(derive([A, B, C, off, oneSided], "3.32", "b"))).toEqual(["Node_10_0_0_10"]);
    const manual = rule({ node: "a", peerSelector: "has(rack)", reversePeering: "Manual" });
    expect(derive([A, B, C, off, manual], "3.32", "b")).toEqual([]);
    expect(derive([A, B, C, off, manual], "3.31", "b")).toHaveLength(1);
  });

  test("by a node's address have the other end only with that node's AS", () => {
    const named = (asNumber: number): CalicoUpdate => rule({ node: "a", peerIP: "10.0.0.9", asNumber });
    expect(names(derive([A, B, off, named(64512)], "3.32", "b"))).toEqual(["Node_10_0_0_10"]);
    expect(derive([A, B, off, named(64513)], "3.32", "b")).toEqual([]);
  });

  test("of which a global one and one of the node's are equal are one, the global one", () => {
    const both = [
      rule({ node: "a", peerIP: "10.0.0.1", asNumber: 1 }, "a"),
      rule({ peerIP: "10.0.0.1", asNumber: 2 }, "b"),
    ];
    expect(derive([A, off, ...both])).toMatchObject([{ name: "Global_10_0_0_1", peerAs: 2 }]);
  });

  test("are clients of a reflector unless they reflect for the same cluster, or are of another AS", () => {
    const cluster = (name: string, ip: string, id: string, extra: object = {}): CalicoUpdate =>
      calicoNode(name, { ipv4Address: `${ip}/24`, routeReflectorClusterID: id, ...extra });
    const all = rule({ peerSelector: "all()" });
    const peers = derive([
      cluster("a", "10.0.0.10", "244.0.0.1"),
      B,
      C,
      cluster("d", "10.0.0.20", "244.0.0.1"),
      cluster("e", "10.0.0.30", "244.0.0.2"),
      all,
    ]);
    expect(Object.fromEntries(peers.map(({ name, rrClusterId }) => [name, rrClusterId]))).toEqual({
      Global_10_0_0_9: "244.0.0.1",
      Global_10_0_1_3: undefined,
      Global_10_0_0_20: undefined,
      Global_10_0_0_30: "244.0.0.1",
    });
  });

  test("that are wrong are named, with a remedy, and nothing else suffers", () => {
    const peers = peersOf([
      A,
      B,
      rule({ peerIP: "10.0.0.1.5" }),
      calicoNode("z", { ipv4Address: "nowhere" }),
    ]);
    expect(peers.takeComplaints()).toEqual([
      'BGPPeer p: peerIP "10.0.0.1.5" is not an IPv4 address, with or without :port; correct it',
      'Node z: bgp.ipv4Address "nowhere" cannot be used; write it as a.b.c.d/len',
    ]);
    expect(peers.dump().size).toBe(1);
  });
});

test("a node's event rebuilds what is with that node, and one that means nothing rebuilds nothing", () => {
  const nodes = Array.from({ length: 200 }, (_, i) => calicoNode(`n${i}`, { ipv4Address: `10.0.2.${i}/24` }));
  const peers = peersOf([A, ...nodes, resource("BGPPeer", "tor", { peerIP: "10.0.0.1", asNumber: 1 })]);
  const before = peers.built;
  peers.onUpdate(calicoNode("new", { ipv4Address: "10.0.3.1/24" }));
  expect(peers.recompute()).toHaveLength(1);
  expect(peers.built).toBe(before + 1);
  peers.onUpdate(calicoNode("n7", { ipv4Address: "10.0.2.7/24", ipv4IPIPTunnelAddr: "10.244.0.1" }));
  expect(peers.recompute()).toEqual([]);
  expect(peers.built).toBe(before + 1);
  peers.onUpdate(calicoNode("n7", undefined));
  expect(peers.recompute()).toEqual([{ key: "10.0.2.7:179", peer: undefined }]);
  expect(peers.built).toBe(before + 1);
});

/** Events about few names, so that they meet. */
const EVENT: fc.Arbitrary<CalicoUpdate> = fc.oneof(
  fc
    .record({
      name: fc.constantFrom("a", "b", "c", "d"),
      host: fc.constantFrom("1", "2", "9", "10"),
      as: fc.constantFrom(undefined, 64512, 65000),
      cluster: fc.constantFrom("", "", "244.0.0.1", "244.0.0.2"),
      labels: fc.constantFrom({}, { rack: "r1" }),
      there: fc.boolean(),
    })
    .map(({ name, host, as, cluster, labels, there }) =>
      calicoNode(
        name,
        there || name === "a"
          ? {
              ipv4Address: `10.0.0.${host}/24`,
              ...(as === undefined ? {} : { asNumber: as }),
              routeReflectorClusterID: cluster,
            }
          : undefined,
        labels,
      ),
    ),
  fc
    .record({
      name: fc.constantFrom("p", "q"),
      scope: fc.constantFrom({}, { node: "a" }, { node: "b" }, { nodeSelector: "has(rack)" }),
      target: fc.constantFrom(
        { peerSelector: "has(rack)" },
        { peerSelector: "all()" },
        { peerIP: "10.0.0.9", asNumber: 64512 },
        { peerIP: "10.0.0.1:1790", asNumber: 64512 },
        { peerIP: "10.0.0.2" },
      ),
      there: fc.boolean(),
    })
    .map(({ name, scope, target, there }) =>
      resource("BGPPeer", name, there ? { ...scope, ...target } : undefined),
    ),
  fc
    .record({
      name: fc.constantFrom("default", "node.a", "node.b"),
      spec: fc.constantFrom(
        undefined,
        { listenPort: 1790 },
        { nodeToNodeMeshEnabled: false },
        { asNumber: 65000 },
      ),
    })
    .map(({ name, spec }) => resource("BGPConfiguration", name, spec)),
);

test("the sessions depend on what the resources are, not on how they became so", () => {
  fc.assert(
    fc.property(
      fc.array(EVENT, { maxLength: 25 }),
      fc.array(fc.boolean()),
      fc.nat(),
      (events, pauses, turn) => {
        const peers = peersOf([]);
        const told = new Map<string, DesiredPeer>();
        const settle = (): void => {
          for (const { key, peer } of peers.recompute()) {
            if (peer === undefined) told.delete(key);
            else told.set(key, peer);
          }
        };
        const last = new Map<string, CalicoUpdate>();
        events.forEach((event, i) => {
          if (event.t === "resource") last.set(`${event.kind}/${event.name}`, event);
          peers.onUpdate(event);
          if (pauses[i] === true) settle();
        });
        settle();
        const rest = [...last.values()];
        const turned = [
          ...rest.slice(turn % (rest.length + 1)),
          ...rest.slice(0, turn % (rest.length + 1)),
        ].reverse();
        const naive = peersOf(turned).dump();
        expect(sorted(peers.dump())).toEqual(sorted(naive));
        expect(sorted(told)).toEqual(sorted(naive));
      },
    ),
    { numRuns: 500 },
  );
});

function sorted(map: ReadonlyMap<string, DesiredPeer>): [string, DesiredPeer][] {
  return [...map].sort(([x], [y]) => (x < y ? -1 : 1));
}
