import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatIpv4 } from "../../../src/base/ipv4-addr.ts";
import { defaultLabSource, parseLabFile } from "../../../src/lab/lab-file.ts";
import { applyOverrides } from "../../../src/lab/lab-overrides.ts";
import { labJsonSchema } from "../../../src/lab/lab-schema.ts";
import { resolveLab } from "../../../src/lab/resolve-lab.ts";
import { complaints, HEAD, labOf } from "../../support/lab-text.ts";

describe("a lab file that is right", () => {
  test("one line is a lab: three nodes from .2 upward, two pods each, vxlan, embedded store", () => {
    const lab = labOf(HEAD);
    expect(
      lab.nodes.map((node) => [node.name, formatIpv4(node.address), node.pods.map((pod) => pod.name)]),
    ).toEqual([
      ["node1", "192.168.56.2", ["node1-pod1", "node1-pod2"]],
      ["node2", "192.168.56.3", ["node2-pod1", "node2-pod2"]],
      ["node3", "192.168.56.4", ["node3-pod1", "node3-pod2"]],
    ]);
    expect(JSON.parse(lab.networkJson)).toEqual({ Network: "10.244.0.0/16", Backend: { Type: "vxlan" } });
    expect(lab.store).toEqual({ kind: "embedded" });
    expect(lab.storeClient).toBe("slim");
    expect(lab.lease).toEqual({ mode: "keepalive", ttlSec: 20 });
    expect(lab.restart).toEqual({ policy: "on-failure", maxRetries: 5, backoffMs: 200 });
  });

  test("listed nodes keep their addresses; the others get free ones around them", () => {
    const lab = labOf(`${HEAD}nodes:
  - { name: a, address: 192.168.56.3 }
  - { name: b, pods: 0 }
  - { name: c, pods: [web, db] }
`);
    expect(lab.nodes.map((node) => formatIpv4(node.address))).toEqual([
      "192.168.56.3",
      "192.168.56.2",
      "192.168.56.4",
    ]);
    expect(lab.nodes[1]?.pods).toEqual([]);
    expect(lab.nodes[2]?.pods.map((pod) => pod.name)).toEqual(["web", "db"]);
  });

  test("Flannel's keys go into the store in Flannel's words", () => {
    const lab = labOf(`${HEAD}network:
  Network: 10.5.0.0/16
  SubnetLen: 26
  SubnetMin: 10.5.1.0
  SubnetMax: 10.5.9.0
  Backend: { Type: VXLAN, VNI: 7, Port: 4789, GBP: true }
`);
    expect(lab.networkJson).toBe(
      '{"Network":"10.5.0.0/16","SubnetLen":26,"SubnetMin":"10.5.1.0","SubnetMax":"10.5.9.0","Backend":{"Type":"VXLAN","VNI":7,"Port":4789,"GBP":true}}',
    );
    expect(lab.backend).toBe("vxlan");
  });

  test("a renewed lease lives as long as flanneld's", () => {
    expect(labOf(`${HEAD}lease: { mode: renew }\n`).lease).toEqual({ mode: "renew", ttlSec: 86_400 });
  });

  test("an etcd that runs is named by its endpoints", () => {
    expect(labOf(`${HEAD}store: http://a:2379,http://b:2379\n`).store).toEqual({
      kind: "external",
      endpoints: ["http://a:2379", "http://b:2379"],
    });
  });

  test("the example is right, and spells out the defaults", () => {
    const text = readFileSync(new URL("../../../examples/three-nodes.yaml", import.meta.url), "utf8");
    const { name, networkJson, ...example } = labOf(text);
    const { name: _, networkJson: __, ...standard } = labOf(HEAD);
    expect(name).toBe("three-nodes");
    expect(JSON.parse(networkJson)).toEqual({
      Network: "10.244.0.0/16",
      Backend: { Type: "vxlan", VNI: 1, Port: 8472 },
    });
    expect(example).toEqual(standard);
  });

  test("the example of a tunnel by hand has two nodes with a pod each", () => {
    const text = readFileSync(new URL("../../../examples/vxlan-by-hand.yaml", import.meta.url), "utf8");
    const { name, nodes } = labOf(text);
    expect(name).toBe("vxlan-by-hand");
    expect(nodes.map((node) => node.pods.length)).toEqual([1, 1]);
  });
});

describe("a lab file that is wrong", () => {
  const cases: readonly {
    readonly name: string;
    readonly text: string;
    readonly want: readonly (string | RegExp)[];
  }[] = [
    {
      name: "empty",
      text: "# nothing\n",
      want: [/^lab.yaml:1:1: the lab file is empty\n {2}The smallest lab file/],
    },
    { name: "no map", text: "- a\n", want: [/^lab.yaml:1:1: must be a map of keys, not a list/] },
    {
      name: "no version",
      text: "name: x\n",
      want: [/^lab.yaml:1:1: apiVersion: is missing\n {2}Add the key: podloom\/v1\./],
    },
    {
      name: "another version",
      text: "apiVersion: v1\n",
      want: [/^lab.yaml:1:13: apiVersion: must be podloom\/v1, not "v1"/],
    },
    { name: "bad YAML", text: "nodes: [a\nb: c\n", want: [/^lab.yaml:\d+:\d+: .*\n {2}Correct the YAML/] },
    {
      name: "a key twice",
      text: `${HEAD}strict: true\nstrict: false\n`,
      want: [/^lab.yaml:3:1: Map keys must be unique/],
    },
    { name: "two documents", text: `${HEAD}---\n${HEAD}`, want: [/one YAML document/] },
    { name: "an alias of nothing", text: `${HEAD}name: *x\n`, want: [/Unresolved alias/] },
    {
      name: "unknown keys, all at once, each where it stands",
      text: `${HEAD}nodez: 3\nunderlay:\n  mtuu: 1400\n  colour: red\n`,
      want: [
        'lab.yaml:2:1: nodez: unknown key "nodez"\n  Did you mean "nodes"?',
        'lab.yaml:4:3: underlay.mtuu: unknown key "mtuu"\n  Did you mean "mtu"?',
        'lab.yaml:5:3: underlay.colour: unknown key "colour"\n  The keys of underlay are: subnet, segments, carrier, mtu.',
      ],
    },
    {
      name: "Flannel's keys in the wrong case",
      text: `${HEAD}network: { network: 10.1.0.0/16 }\n`,
      want: ['lab.yaml:2:12: network.network: unknown key "network"\n  Did you mean "Network"?'],
    },
    {
      name: "an unknown key inside a listed node",
      text: `${HEAD}nodes:\n  - name: a\n    adress: 192.168.56.2\n`,
      want: ['lab.yaml:4:5: nodes[0].adress: unknown key "adress"\n  Did you mean "address"?'],
    },
    {
      name: "wrong types",
      text: `${HEAD}strict: yes please\nunderlay: { mtu: big }\nnodes: 3\n`,
      want: [
        /^lab.yaml:2:9: strict: must be true or false, not "yes please"/,
        /^lab.yaml:3:18: underlay.mtu: must be a number, not "big"/,
        /^lab.yaml:4:8: nodes: does not take 3\n {2}Write a list of 1 to 2000 entries, or a map of the keys count, pods, prefix\.$/,
      ],
    },
    {
      name: "out of range",
      text: `${HEAD}nodes: { count: 0 }\n`,
      want: ["lab.yaml:2:17: nodes.count: must be at least 1, not 0\n  Write a whole number from 1 to 2000."],
    },
    {
      name: "a number that is none: the remedy has the bounds, or the choices, or the form",
      text: `${HEAD}nodes: [{ name: a, address: here, pods: lots }]\nunderlay: { mtu: 9001, carrier: pigeon }\nlease: { ttlSec: 1 }\nrestart: { backoffMs: 2.5 }\nstrict: 1\n`,
      want: [
        /nodes\[0\].address: must be an IPv4 address, not "here"\n {2}Write an address like 192\.168\.56\.2\.$/,
        /nodes\[0\].pods: does not take "lots"\n {2}Write a whole number from 0 to 250, or a list of 0 to 250 entries\.$/,
        /underlay.mtu: must be at most 9000, not 9001\n {2}Write a whole number from 576 to 9000\.$/,
        /underlay.carrier: must be loopback or host, not "pigeon"\n {2}Write loopback or host\. loopback: each node/,
        /lease.ttlSec: must be at least 2, not 1\n {2}Write a whole number from 2 to 86400\.$/,
        /restart.backoffMs: must be a whole number, not 2.5\n {2}Write a whole number from 0 to 60000\.$/,
        /strict: must be true or false, not 1\n {2}Write true or false\.$/,
      ],
    },
    {
      name: "no nodes",
      text: `${HEAD}nodes: []\n`,
      want: [
        /^lab.yaml:2:8: nodes: must have at least 1 entry\n {2}Write a list of 1 to 2000 entries, or a map/,
      ],
    },
    {
      name: "a node without a name",
      text: `${HEAD}nodes: [{ pods: 1 }]\n`,
      want: [/^lab.yaml:2:9: nodes\[0\].name: is missing\n {2}Add the key: text like node1\.$/],
    },
    {
      name: "a name that no host could have",
      text: `${HEAD}name: My_Lab\n`,
      want: [/^lab.yaml:2:7: name: must be 1 to 63 lower-case letters.*, not "My_Lab"/],
    },
    {
      name: "two nodes of one name",
      text: `${HEAD}nodes: [{ name: a }, { name: b }, { name: a }]\n`,
      want: [
        /^lab.yaml:2:43: nodes\[2\].name: two nodes are named "a" \(nodes\[0\] is the other\)/,
        /two pods are named/,
        /two pods/,
      ],
    },
    {
      name: "two nodes with one address",
      text: `${HEAD}nodes:\n  - { name: a, address: 192.168.56.9 }\n  - { name: b, address: 192.168.56.9 }\n`,
      want: [
        /^lab.yaml:4:25: nodes\[1\].address: 192.168.56.9 is the address of both a and b\n {2}Give one of them another/,
      ],
    },
    {
      name: "an address outside the segment, and the broadcast address",
      text: `${HEAD}nodes:\n  - { name: a, address: 192.168.57.2 }\n  - { name: b, address: 192.168.56.255 }\n`,
      want: [
        /^lab.yaml:3:25: nodes\[0\].address: 192.168.57.2 is outside the underlay 192.168.56.0\/24/,
        /^lab.yaml:4:25: nodes\[1\].address: 192.168.56.255 is the broadcast address/,
      ],
    },
    {
      name: "more nodes than the segment holds",
      text: `${HEAD}nodes: { count: 254, pods: 0 }\n`,
      want: [/underlay.subnet: 192.168.56.0\/24 has room for 253 nodes, the lab has 254\n {2}Widen it/],
    },
    {
      name: "a subnet with host bits",
      text: `${HEAD}underlay: { subnet: 192.168.56.7/24 }\n`,
      want: [
        /^lab.yaml:2:21: underlay.subnet: "192.168.56.7\/24" has bits set .*\n {2}Write it as 192.168.56.0\/24/,
      ],
    },
    {
      name: "an underlay that would be the machine's own loopback",
      text: `${HEAD}underlay: { subnet: 10.0.0.0/29 }\nnodes: [{ name: a, address: 10.0.0.1 }]\n`,
      want: [/underlay: the underlay address 10.0.0.1 would be carried on 127.0.0.1/],
    },
    {
      name: "a backend that does not exist",
      text: `${HEAD}network: { Backend: { Type: wireguard } }\n`,
      want: ["lab.yaml:2:29: network.Backend.Type: unknown backend type: wireguard\n  podloom has: vxlan."],
    },
    {
      name: "a network too small, in flanneld's words",
      text: `${HEAD}network: { Network: 10.1.0.0/29 }\n`,
      want: [
        "lab.yaml:2:21: network.Network: network is too small. Minimum useful network prefix is /28\n  Widen it, for example to 10.244.0.0/16.",
      ],
    },
    {
      name: "a misaligned SubnetMin, in flanneld's words",
      text: `${HEAD}network: { Network: 10.1.0.0/16, SubnetMin: 10.1.1.7 }\n`,
      want: [
        "lab.yaml:2:45: network.SubnetMin: SubnetMin is not on a SubnetLen boundary: 10.1.1.7\n  Write the first address of a subnet, such as 10.1.1.0.",
      ],
    },
    {
      name: "a pod network that overlaps the underlay",
      text: `${HEAD}network: { Network: 192.168.0.0/16 }\n`,
      want: [
        /^lab.yaml:2:21: network.Network: the pod network 192.168.0.0\/16 overlaps the underlay 192.168.56.0\/24/,
      ],
    },
    {
      name: "fewer subnets than nodes",
      text: `${HEAD}network: { Network: 10.1.0.0/22, SubnetLen: 24 }\nnodes: { count: 4, pods: 0 }\n`,
      want: [
        /^lab.yaml:2:21: network.Network: out of subnets: 10.1.0.0\/22 has 3 of \/24, the lab has 4 nodes\n/,
      ],
    },
    {
      name: "more pods than a subnet holds",
      text: `${HEAD}network: { Network: 10.1.0.0/16, SubnetLen: 30 }\nnodes: { count: 1, pods: 2 }\n`,
      want: [/nodes.*: 2 pods do not fit into a \/30, which has room for 1/],
    },
    {
      name: "a pod address outside the network",
      text: `${HEAD}nodes: [{ name: a, pods: [{ name: p, ip: 10.9.0.1 }] }]\n`,
      want: [/nodes\[0\].pods\[0\].ip: 10.9.0.1 is outside the pod network 10.244.0.0\/16/],
    },
    {
      name: "two pods of one name",
      text: `${HEAD}nodes: [{ name: a, pods: [p] }, { name: b, pods: [p] }]\n`,
      want: [/nodes\[1\].pods\[0\]: two pods are named "p" \(on a and on b\)/],
    },
    {
      name: "a store that is none",
      text: `${HEAD}store: redis\n`,
      want: [/^lab.yaml:2:8: store: must be embedded, etcd or http:.*, not "redis"/],
    },
    {
      name: "a store without a port, in the file",
      text: `${HEAD}store: http://127.0.0.1:2379,http://10.0.0.9\n`,
      want: [
        'lab.yaml:2:8: store: must be embedded, etcd or http://host:port[,http://…], not "http://127.0.0.1:2379,http://10.0.0.9"\n  Name the port of each: http://10.0.0.9:2379 is etcd\'s usual one.',
      ],
    },
    {
      name: "a port that is none",
      text: `${HEAD}store: http://127.0.0.1:65536\n`,
      want: [/^lab.yaml:2:8: store: must be embedded, .*\n {2}Write embedded, etcd .*127\.0\.0\.1:2379\.$/],
    },
    {
      name: "what is not there yet",
      text: `${HEAD}network: { EnableIPv4: false, Backend: { Type: vxlan, DirectRouting: true } }\n`,
      want: [/DirectRouting is not available yet/, /EnableIPv4: podloom emulates IPv4 only/],
    },
    {
      name: "IPv6, which is not there yet either, switched on",
      text: `${HEAD}network: { EnableIPv6: true, IPv6Network: "2001:cafe:42::/56" }\n`,
      want: [/network\.EnableIPv6: IPv6 is not available yet\n {2}Leave EnableIPv6 and IPv6Network out\.$/],
    },
    {
      name: "IPv6, a network without the switch",
      text: `${HEAD}network: { EnableIPv6: false, IPv6Network: "2001:cafe:42::/56" }\n`,
      want: [/network\.IPv6Network: IPv6 is not available yet/],
    },
    {
      name: "IPv6 switched off, which is how it is",
      text: `${HEAD}network: { EnableIPv6: false }\n`,
      want: [],
    },
  ];

  for (const { name, text, want } of cases) {
    test(name, () => {
      const got = complaints(text);
      expect(got).toHaveLength(want.length);
      want.forEach((expected, i) => {
        if (typeof expected === "string") expect(got[i]).toBe(expected);
        else expect(got[i]).toMatch(expected);
      });
    });
  }

  test("a file of more than 1 MiB is not even parsed", () => {
    expect(complaints(`${HEAD}# ${"x".repeat(1024 * 1024)}\n`)[0]).toMatch(/larger than 1 MiB/);
  });

  test("an alias bomb is refused", () => {
    let bomb = `${HEAD}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n`;
    for (let i = 1; i < 9; i++) bomb += `a${i}: &a${i} [${`*a${i - 1}, `.repeat(9)}*a${i - 1}]\n`;
    expect(complaints(bomb)[0]).toMatch(/Excessive alias count/);
  });
});

describe("flags of up", () => {
  const flags = {
    name: undefined,
    nodes: undefined,
    pods: undefined,
    store: undefined,
    storeClient: undefined,
  };

  test("change what the file says", () => {
    const flags = { name: "x", nodes: 5, pods: 1, store: "etcd", storeClient: "etcd3" };
    const changed = applyOverrides(defaultLabSource().file, flags);
    if (!changed.ok) throw new Error(changed.error.message);
    const lab = resolveLab(changed.value, "lab");
    if (!lab.ok) throw new Error("refused");
    expect([
      lab.value.name,
      lab.value.nodes.length,
      lab.value.nodes[4]?.pods.length,
      lab.value.store.kind,
      lab.value.storeClient,
    ]).toEqual(["x", 5, 1, "etcd", "etcd3"]);
  });

  test("--nodes does not silently replace nodes that are listed by name", () => {
    const parsed = parseLabFile(`${HEAD}nodes: [{ name: a }]\n`);
    if (!parsed.ok) throw new Error("refused");
    const changed = applyOverrides(parsed.value.file, { ...flags, nodes: 5 });
    expect(changed).toMatchObject({
      ok: false,
      error: { message: expect.stringMatching(/lists its nodes by name/) },
    });
  });

  const refused: readonly (readonly [string, object, RegExp, RegExp])[] = [
    [
      "a store that is none",
      { store: "ftp://x" },
      /^--store takes embedded, etcd or http/,
      /127\.0\.0\.1:2379/,
    ],
    ["a store without a port", { store: "http://10.0.0.9" }, /^--store takes/, /http:\/\/10\.0\.0\.9:2379/],
    ["a store behind TLS", { store: "https://a:2379" }, /^--store takes/, /without TLS/],
    [
      "a store client that is none",
      { storeClient: "fat" },
      /^--store-client does not take "fat"/,
      /slim or etcd3/,
    ],
    ["a name that is none", { name: "../x" }, /^--lab does not take "\.\.\/x"/, /lower-case letters/],
    ["too many nodes", { nodes: 5000 }, /^--nodes or --pods/, /1 to 2000/],
  ];
  for (const [name, given, message, remedy] of refused) {
    test(`${name} is refused by name of the flag, and the remedy says what is right`, () => {
      const changed = applyOverrides(defaultLabSource().file, { ...flags, ...given });
      expect(changed).toMatchObject({
        ok: false,
        error: { message: expect.stringMatching(message), remedy: expect.stringMatching(remedy) },
      });
    });
  }
});

test("the published JSON schema is current (npm run schema)", () => {
  const published = readFileSync(new URL("../../../schema/lab.schema.json", import.meta.url), "utf8");
  expect(published).toBe(`${JSON.stringify(labJsonSchema(), null, 2)}\n`);
});
