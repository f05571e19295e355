import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatIpv4, formatPrefix } from "../../../src/base/ipv4-addr.ts";
import { complaints, HEAD, labOf } from "../../support/lab-text.ts";

const CALICO = `${HEAD}cni: calico\n`;
const EXAMPLES = new URL("../../../examples/", import.meta.url);

/** A lab file with these documents under calico.resources, as JSON, which is YAML too; the first stands on line 5. */
function withResources(...documents: readonly object[]): string {
  const lines = documents.map((document) => `    - ${JSON.stringify(document)}\n`).join("");
  return `${CALICO}calico:\n  resources:\n${lines}`;
}

const pool = (cidr: string, name = "p", more: object = {}): object => ({
  kind: "IPPool",
  metadata: { name },
  spec: { cidr, ...more },
});

/** Two racks with a router; lines 3 to 9. */
const RACKS = `${CALICO}underlay:
  segments:
    - { name: rack1, subnet: 10.20.0.0/24, gateway: 10.20.0.1 }
    - { name: rack2, subnet: 10.30.0.0/24, gateway: 10.30.0.1 }
routers:
  - name: tor1
    interfaces: [10.20.0.1/24, 10.30.0.1/24]
`;

describe("a Calico lab that is right", () => {
  test("two lines are one: the default pool, moved away from the underlay that has its addresses", () => {
    const lab = labOf(CALICO);
    expect(lab.calico).toMatchObject({
      version: "3.32",
      timers: "calico",
      ipipCarrier: "auto",
      resources: [],
    });
    expect(lab.calico?.defaultPool).toMatchObject({
      metadata: { name: "default-ipv4-ippool" },
      spec: { cidr: "10.244.0.0/16", blockSize: 26, ipipMode: "Always", natOutgoing: true },
    });
    expect(lab).toMatchObject({ etcdPrefix: "/calico", backend: "Calico, IPIP Always", networkJson: "" });
  });

  test("elsewhere the default pool is calico-node's own", () => {
    const lab = labOf(`${CALICO}underlay: { subnet: 10.20.0.0/24 }\n`);
    expect(lab.calico?.defaultPool?.spec.cidr).toBe("192.168.0.0/16");
    expect(formatPrefix(lab.network)).toBe("192.168.0.0/16");
  });

  test("a pool of one's own replaces it, with Calico's defaults filled in", () => {
    const lab = labOf(withResources(pool("10.99.0.0/16", "p", { vxlanMode: "CrossSubnet" })));
    expect(lab.calico?.defaultPool).toBeUndefined();
    expect(lab.calico?.resources).toMatchObject([{ spec: { cidr: "10.99.0.0/16", blockSize: 26 } }]);
    expect(lab.backend).toBe("Calico, VXLAN CrossSubnet");
  });

  test("timers that are not Calico's are seen", () => {
    const lab = labOf(`${CALICO}calico: { timers: fast }\n`);
    expect(lab.backend).toBe("Calico, IPIP Always, fast timers (not Calico's)");
  });

  test("segments are filled in turn from .2 upward, around routers and announcers", () => {
    const lab = labOf(
      `${RACKS}    bgp: { as: 64512 }\nannouncers:\n  - { name: ann, address: 10.20.0.3, as: 64512, gateways: [10.20.0.1] }\nnodes: { count: 5, pods: 0 }\n`,
    );
    expect(lab.nodes.map((node) => [node.segment.name, formatIpv4(node.address)])).toEqual([
      ["rack1", "10.20.0.2"],
      ["rack2", "10.30.0.2"],
      ["rack1", "10.20.0.4"],
      ["rack2", "10.30.0.3"],
      ["rack1", "10.20.0.5"],
    ]);
    expect(lab.routers).toMatchObject([{ name: "tor1", bgp: { as: 64512 } }]);
    expect(lab.announcers).toMatchObject([{ name: "ann", as: 64512 }]);
  });

  test("a node is in the segment that it names, else in that of its address", () => {
    const lab = labOf(`${RACKS}nodes:
  - { name: a, address: 10.30.0.9 }
  - { name: b, segment: rack2, pods: [{ name: w, ip: 192.168.3.4, namespace: shop }] }
`);
    expect(lab.nodes.map((node) => node.segment.name)).toEqual(["rack2", "rack2"]);
    expect(lab.nodes[1]?.pods).toMatchObject([{ name: "w", namespace: "shop" }]);
  });

  test("what is said of a node becomes its Node", () => {
    const lab = labOf(`${CALICO}nodes:
  - { name: a, labels: { rack: r1 }, asNumber: 64999, routeReflectorClusterID: 244.0.0.1 }
  - { name: b }
`);
    expect(lab.calico?.resources).toEqual([
      {
        kind: "Node",
        apiVersion: "projectcalico.org/v3",
        metadata: { name: "a", labels: { rack: "r1" } },
        spec: { bgp: { asNumber: 64999, routeReflectorClusterID: "244.0.0.1" } },
      },
    ]);
  });

  const examples = readdirSync(EXAMPLES).filter((name) => name.startsWith("calico-"));
  test.each(examples)("%s", (name) => {
    expect(complaints(readFileSync(new URL(name, EXAMPLES), "utf8"))).toEqual([]);
  });
});

describe("a Calico lab that is wrong", () => {
  test.each<readonly [string, string, readonly RegExp[]]>([
    [
      "Flannel's keys",
      `${CALICO}network: { Network: 10.1.0.0/16 }\nlease: { ttlSec: 9 }\netcdPrefix: /x\nnodes: [{ name: a, subnet: 10.1.1.0/24 }]\n`,
      [
        /^lab.yaml:3:10: network: network is Flannel's.*\n {2}Calico's pod network is made of IPPools/,
        /lease: .*\n {2}Leave it out/,
        /etcdPrefix: /,
        /nodes\[0\].subnet: .*\n {2}Leave it out: a node claims blocks/,
      ],
    ],
    [
      "Calico's keys with Flannel",
      `${HEAD}calico: {}\nrouters: []\nannouncers: []\nunderlay: { segments: [{ name: a, subnet: 192.168.1.0/24 }] }\nnodes: [{ name: n, labels: { a: b }, asNumber: 1, routeReflectorClusterID: 1.1.1.1, segment: a, pods: [{ name: p, namespace: x }] }]\n`,
      [
        /^lab.yaml:2:9: calico: calico needs Calico.*\n {2}Write cni: calico/,
        /routers: /,
        /announcers: /,
        /underlay.segments: /,
        /nodes\[0\].segment: /,
        /nodes\[0\].labels: /,
        /nodes\[0\].asNumber: /,
        /nodes\[0\].routeReflectorClusterID: /,
        /nodes\[0\].pods\[0\].namespace: /,
      ],
    ],
    ["another cni", `${HEAD}cni: cilium\n`, [/^lab.yaml:2:6: cni: must be flannel or calico, not "cilium"/]],
    [
      "words that Calico's part does not have",
      `${CALICO}calico: { version: "3.30", timers: slow, ipipCarrier: gre, resource: [] }\n`,
      [
        /calico.version: must be 3.31 or 3.32 or 3.33, not "3.30"/,
        /calico.timers: /,
        /calico.ipipCarrier: /,
        /calico.resource: unknown key "resource"\n {2}Did you mean "resources"/,
      ],
    ],
    [
      "a kind that a lab file does not bring along",
      withResources({ kind: "WorkloadEndpoint", metadata: { name: "w" } }),
      [/^lab.yaml:5:\d+: calico.resources\[0\].kind: must be IPPool or /],
    ],
    [
      "a document that Calico would refuse, at the line of its key",
      `${CALICO}calico:\n  resources:\n    - kind: IPPool\n      metadata: { name: p }\n      spec:\n        cidr: 10.9.0.0/16\n        blockSize: 33\n`,
      [/^lab.yaml:9:20: calico.resources\[0\].spec.blockSize: .*\n {2}Write it as Calico's IPPool takes it/],
    ],
    [
      "an unknown key in a document",
      withResources(pool("10.9.0.0/16", "p", { ipipmode: "Always" })),
      [/calico.resources\[0\].spec.ipipmode: .*ipipMode/],
    ],
    [
      "a pool over the underlay",
      withResources(pool("192.168.0.0/16")),
      [
        /^lab.yaml:5:\d+: calico.resources\[0\].spec.cidr: the pool 192.168.0.0\/16 overlaps the underlay 192.168.56.0\/24/,
      ],
    ],
    [
      "two pools over each other",
      withResources(pool("10.9.0.0/16"), pool("10.9.8.0/22", "q")),
      [
        /^lab.yaml:6:\d+: calico.resources\[1\].spec.cidr: the pool 10.9.8.0\/22 overlaps the pool p, 10.9.0.0\/16/,
      ],
    ],
    [
      "no room for a default pool",
      `${CALICO}underlay: { segments: [{ name: a, subnet: 10.0.0.0/8 }, { name: b, subnet: 192.168.0.0/16 }], carrier: host }\n`,
      [/^lab.yaml:3:11: underlay: the default pools, .* overlap the underlay\n {2}Write an IPPool/],
    ],
    [
      "two documents of one name",
      withResources(pool("10.9.0.0/16"), pool("10.10.0.0/16")),
      [/resources\[1\].metadata.name: two documents are the IPPool "p" \(resources\[0\] is the other\)/],
    ],
    [
      "a peer of a node that does not exist",
      withResources({
        kind: "BGPPeer",
        metadata: { name: "b" },
        spec: { node: "nod1", peerIP: "10.0.0.9", asNumber: 1 },
      }),
      [/resources\[0\].spec.node: there is no node "nod1"\n {2}Name one of the lab's: node1, node2, node3/],
    ],
    [
      "a configuration of a node that does not exist",
      withResources({ kind: "BGPConfiguration", metadata: { name: "node.x" }, spec: { listenPort: 1179 } }),
      [/resources\[0\].metadata.name: there is no node "x"/],
    ],
    [
      "a Node that contradicts the lab",
      `${CALICO}calico:\n  resources:\n    - { kind: Node, metadata: { name: a }, spec: { bgp: { ipv4Address: 10.9.9.9/24 } } }\nnodes: [{ name: a, labels: { x: y } }]\n`,
      [
        /resources\[0\].metadata.name: a has labels.*\n {2}Say everything in one of the two places/,
        /resources\[0\].spec.bgp.ipv4Address: 10.9.9.9\/24 is not the address of a\n.*192.168.56.2\/24/,
      ],
    ],
    [
      "pods' addresses",
      `${CALICO}nodes: [{ name: a, pods: [{ name: p, ip: 10.9.0.1 }, { name: q, ip: 10.244.0.9 }, { name: r, ip: 10.244.0.9 }] }]\n`,
      [
        /nodes\[0\].pods\[0\].ip: 10.9.0.1 is in no pool\n {2}Choose an address inside 10.244.0.0\/16/,
        /nodes\[0\].pods\[2\].ip: 10.244.0.9 is the address of both q and r/,
      ],
    ],
    [
      "a pod in a disabled pool",
      `${withResources(pool("10.9.0.0/16", "p", { disabled: true }))}nodes: [{ name: a, pods: [{ name: p, ip: 10.9.0.1 }] }]\n`,
      [/nodes\[0\].pods\[0\].ip: 10.9.0.1 is in the pool p, which is disabled/],
    ],
    [
      "subnet and segments, segments over each other, two of one name",
      `${CALICO}underlay:\n  subnet: 10.1.0.0/24\n  segments:\n    - { name: a, subnet: 10.2.0.0/16 }\n    - { name: a, subnet: 10.2.3.0/24 }\n    - { name: c, subnet: 10.4.0.9/24 }\n`,
      [
        /underlay.subnet: subnet and segments do not go together/,
        /segments\[1\].name: two segments are named "a" \(segments\[0\] is the other\)/,
        /segments\[2\].subnet: "10.4.0.9\/24" has bits set/,
        /segments\[1\].subnet: 10.2.3.0\/24 overlaps 10.2.0.0\/16, the segment a/,
      ],
    ],
    [
      "a gateway outside, and one that is nobody's",
      `${CALICO}underlay:\n  segments:\n    - { name: a, subnet: 10.2.0.0/24, gateway: 10.3.0.1 }\n    - { name: b, subnet: 10.4.0.0/24, gateway: 10.4.0.1 }\n`,
      [
        /^lab.yaml:5:48: .*gateway: 10.3.0.1 is outside the segment 10.2.0.0\/24/,
        /^lab.yaml:6:48: .*gateway: 10.4.0.1 is no router's interface; there is no router\n {2}Add a router with an interface in b/,
      ],
    ],
    [
      "routers' interfaces",
      `${RACKS}  - name: tor2\n    interfaces: [10.20.0.1/24, 10.30.0.2/16, 10.40.0.1/24, 10.20.0.9/24, 10.20.0.255/24, 10.20.0/24]\n`,
      [/interfaces\[5\]: must be an IPv4 prefix/],
    ],
    [
      "routers' interfaces, that are addresses at least",
      `${RACKS}  - name: tor2\n    interfaces: [10.20.0.1/24, 10.30.0.2/16, 10.40.0.1/24, 10.20.0.9/24, 10.30.0.255/24]\n`,
      [
        /routers\[1\].interfaces\[0\]: 10.20.0.1 is the address of both tor1 and tor2/,
        /routers\[1\].interfaces\[1\]: "10.30.0.2\/16" is a \/16, but its segment is 10.30.0.0\/24\n {2}Write it as 10.30.0.2\/24/,
        /routers\[1\].interfaces\[2\]: 10.40.0.1 is outside every segment: 10.20.0.0\/24, 10.30.0.0\/24/,
        /routers\[1\].interfaces\[3\]: 10.20.0.9\/24 and 10.20.0.1\/24 are both in the segment rack1/,
        /routers\[1\].interfaces\[4\]: 10.30.0.255 is the broadcast address/,
        /routers\[1\].interfaces\[4\]: 10.30.0.255\/24 and 10.30.0.2\/16 are both/,
      ],
    ],
    [
      "keys that a router's BGP does not have",
      `${RACKS}    bgp: { neigbors: [], capture: x.pcapng }\n`,
      [
        /routers\[0\].bgp.neigbors: unknown key "neigbors"\n {2}Did you mean "neighbors"/,
        /routers\[0\].bgp.capture: unknown key/,
        /routers\[0\].bgp.as: is missing/,
      ],
    ],
    [
      "values deep within a router's BGP, at their line",
      `${RACKS}    bgp:\n      as: 64512\n      neighbors:\n        - { name: n, address: 10.20.0.9, as: inside }\n`,
      [/^lab.yaml:13:\d+: routers\[0\].bgp.neighbors\[0\].as: does not take "inside"/],
    ],
    [
      "announcers",
      `${RACKS}announcers:\n  - { name: tor1, address: 10.20.0.1, as: 64512, gateways: [10.20.0.1, 10.20.0.77] }\n  - { name: far, address: 10.99.0.1, as: 64512, gateways: [10.20.0.1] }\n`,
      [
        /announcers\[0\].name: two of the lab are named "tor1" \(routers\[0\] is the other\)/,
        /announcers\[0\].gateways\[0\]: 10.20.0.1 is tor1, which speaks no BGP\n {2}Give tor1 a bgp block/,
        /announcers\[0\].gateways\[1\]: 10.20.0.77 is no router's address\n.*10.20.0.1, 10.30.0.1/,
        /announcers\[0\].address: 10.20.0.1 is the address of both tor1 and tor1/,
        /announcers\[1\].gateways\[0\]/,
        /announcers\[1\].address: 10.99.0.1 is outside every segment/,
      ],
    ],
    [
      "gateways on several ports",
      `${RACKS}    bgp: { as: 64512 }\n  - { name: tor2, interfaces: [10.20.0.9/24], bgp: { as: 64512, listen: { port: 1179 } } }\nannouncers:\n  - { name: a, address: 10.20.0.250, as: 64512, gateways: [10.20.0.1, 10.20.0.9] }\n`,
      [/announcers\[0\].gateways\[1\]: an announcer calls .* listen on the usual port and port 1179/],
    ],
    [
      "nodes outside of their segments",
      `${RACKS}nodes:\n  - { name: a, segment: rack3 }\n  - { name: b, segment: rack1, address: 10.30.0.9 }\n  - { name: c, address: 10.40.0.9 }\n  - { name: d, address: 10.30.0.1 }\n  - { name: tor1 }\n`,
      [
        /nodes\[0\].segment: there is no segment "rack3"\n {2}Did you mean "rack1"/,
        /nodes\[1\].address: 10.30.0.9 is outside the segment 10.20.0.0\/24/,
        /nodes\[2\].address: 10.40.0.9 is outside every segment/,
        /nodes\[3\].address: 10.30.0.1 is the address of both tor1 and d/,
        /routers\[0\].name: two of the lab are named "tor1" \(nodes\[4\] is the other\)/,
      ],
    ],
  ])("%s", (_, text, wants) => {
    const got = complaints(text);
    for (const want of wants) expect(got).toContainEqual(expect.stringMatching(want));
    expect(got).toHaveLength(wants.length);
  });
});
