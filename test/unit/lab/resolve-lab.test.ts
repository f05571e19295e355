// What spans several keys of a lab file: subnets and the addresses of pods, names, networks that cannot be, and at which key
// a complaint about the network block stands.
import { describe, expect, test } from "vitest";
import { formatPrefix } from "../../../src/base/ipv4-addr.ts";
import { complaints, HEAD, labOf } from "../../support/lab-text.ts";

interface Case {
  readonly name: string;
  readonly text: string;
  readonly want: readonly (string | RegExp)[];
}

function check(cases: readonly Case[]): void {
  for (const { name, text, want } of cases) {
    test(name, () => {
      const got = complaints(HEAD + text);
      expect(got, got.join("\n")).toHaveLength(want.length);
      want.forEach((expected, i) => {
        if (typeof expected === "string") expect(got[i]).toBe(expected);
        else expect(got[i]).toMatch(expected);
      });
    });
  }
}

/** One node `a` with one pod `p` that asks for `ip`. */
const asking = (ip: string, node = ""): string =>
  `nodes: [{ name: a,${node} pods: [{ name: p, ip: ${ip} }] }]\n`;

describe("a subnet that a node is told", () => {
  test("makes the address of a pod in it a promise; the other nodes get the next free subnets, never that one", () => {
    const lab = labOf(`${HEAD}nodes:
  - { name: a }
  - { name: b, subnet: 10.244.1.0/24, pods: [{ name: p, ip: 10.244.1.2 }, { name: q, ip: 10.244.1.254 }] }
  - { name: c }
`);
    const subnets = lab.nodes.map((node) => node.subnet && formatPrefix(node.subnet));
    expect(subnets).toEqual(["10.244.2.0/24", "10.244.1.0/24", "10.244.3.0/24"]);
  });

  test("none is told: each node draws its own, as flanneld does", () => {
    expect(labOf(HEAD).nodes.map((node) => node.subnet)).toEqual([undefined, undefined, undefined]);
  });

  test("the first and the last of the range may be told", () => {
    const range = "network: { SubnetMin: 10.244.8.0, SubnetMax: 10.244.9.0 }\n";
    const nodes = "nodes: [{ name: a, subnet: 10.244.9.0/24 }, { name: b, subnet: 10.244.8.0/24 }]\n";
    expect(complaints(HEAD + range + nodes)).toEqual([]);
  });

  check([
    {
      name: "of another length",
      text: "nodes: [{ name: a, subnet: 10.244.5.0/25 }]\n",
      want: [
        'lab.yaml:2:28: nodes[0].subnet: "10.244.5.0/25" is a /25, but the nodes of this network lease a /24\n  Write it as 10.244.5.0/24, or set network.SubnetLen to 25.',
      ],
    },
    {
      name: "with bits beyond its length",
      text: "nodes: [{ name: a, subnet: 10.244.5.7/24 }]\n",
      want: [/nodes\[0\]\.subnet: "10\.244\.5\.7\/24" has bits set .*\n {2}Write it as 10\.244\.5\.0\/24\.$/],
    },
    {
      name: "outside the range: Flannel leases the first of a network to nobody",
      text: "nodes: [{ name: a, subnet: 10.244.0.0/24 }, { name: b, subnet: 10.9.1.0/24 }]\n",
      want: [
        /^lab.yaml:2:28: nodes\[0\]\.subnet: "10\.244\.0\.0\/24" is not one of the subnets that may be leased, 10\.244\.1\.0 to 10\.244\.255\.0\n/,
        /^lab.yaml:2:64: nodes\[1\]\.subnet: "10\.9\.1\.0\/24" is not one of the subnets/,
      ],
    },
    {
      name: "of two nodes",
      text: "nodes: [{ name: a, subnet: 10.244.5.0/24 }, { name: b, subnet: 10.244.5.0/24 }]\n",
      want: [
        "lab.yaml:2:64: nodes[1].subnet: 10.244.5.0/24 is the subnet of both a and b\n  Give one of them another subnet, or leave the key out.",
      ],
    },
    {
      name: "that is no prefix",
      text: "nodes: [{ name: a, subnet: 10.244.5.0 }]\n",
      want: [
        /^lab.yaml:2:28: nodes\[0\]\.subnet: must be an IPv4 prefix, not "10\.244\.5\.0"\n {2}Write a prefix like 10\.244\.5\.0\/24\.$/,
      ],
    },
  ]);
});

describe("an address that a pod asks for and cannot have", () => {
  const told = " subnet: 10.244.5.0/24,";
  check([
    {
      name: "on a node that draws its subnet",
      text: asking("10.244.5.9"),
      want: [
        "lab.yaml:2:42: nodes[0].pods[0].ip: 10.244.5.9 cannot be promised: a draws its subnet when it starts\n  Give a the subnet beforehand: subnet: 10.244.5.0/24.",
      ],
    },
    {
      name: "on a node that draws its subnet, though another is told one",
      text: `nodes: [{ name: z, subnet: 10.244.9.0/24 }, { name: a, pods: [{ name: p, ip: 10.244.5.9 }] }]\n`,
      want: [/nodes\[1\]\.pods\[0\]\.ip: 10\.244\.5\.9 cannot be promised/],
    },
    {
      name: "outside the pod network",
      text: asking("10.9.0.1", told),
      want: [/nodes\[0\]\.pods\[0\]\.ip: 10\.9\.0\.1 is outside the pod network 10\.244\.0\.0\/16\n/],
    },
    {
      name: "in a subnet that nobody leases",
      text: asking("10.244.0.5"),
      want: [
        /ip: 10\.244\.0\.5 is in no subnet that may be leased: those hold 10\.244\.1\.0 to 10\.244\.255\.255\n {2}Choose/,
      ],
    },
    {
      name: "behind the last subnet",
      text: `network: { SubnetMax: 10.244.7.0 }\n${asking("10.244.8.0")}`,
      want: [
        /ip: 10\.244\.8\.0 is in no subnet that may be leased: those hold 10\.244\.1\.0 to 10\.244\.7\.255\n/,
      ],
    },
    {
      name: "in another subnet than its node's",
      text: asking("10.244.6.9", told),
      want: [
        /ip: 10\.244\.6\.9 is outside 10\.244\.5\.0\/24, the subnet of a\n {2}Choose one from 10\.244\.5\.2 to 10\.244\.5\.254,/,
      ],
    },
    {
      name: "the network's own, the gateway's, the broadcast address",
      text: `nodes: [{ name: a,${told} pods: [{ name: p, ip: 10.244.5.0 }, { name: q, ip: 10.244.5.1 }, { name: r, ip: 10.244.5.255 }] }]\n`,
      want: [
        /10\.244\.5\.0 is the network address of 10\.244\.5\.0\/24\n {2}Choose one from 10\.244\.5\.2 to 10\.244\.5\.254\./,
        /10\.244\.5\.1 is the gateway's address of 10\.244\.5\.0\/24/,
        /10\.244\.5\.255 is the broadcast address of 10\.244\.5\.0\/24/,
      ],
    },
    {
      name: "that another pod has asked for",
      text: `nodes: [{ name: a,${told} pods: [{ name: p, ip: 10.244.5.9 }, { name: q, ip: 10.244.5.9 }] }]\n`,
      want: [/nodes\[0\]\.pods\[1\]\.ip: 10\.244\.5\.9 is the address of both p and q\n/],
    },
    {
      name: "a wrong subnet is one fault, not two",
      text: asking("10.244.5.9", " subnet: 10.9.5.0/24,"),
      want: [/nodes\[0\]\.subnet: .* is not one of the subnets/],
    },
  ]);

  test("a range of one subnet leaves nothing to draw", () => {
    const range = "network: { SubnetMin: 10.244.5.0, SubnetMax: 10.244.5.0 }\n";
    expect(complaints(HEAD + range + asking("10.244.5.9"))).toEqual([]);
    expect(complaints(HEAD + range + asking("10.244.6.9"))).toHaveLength(1);
  });
});

describe("names", () => {
  check([
    {
      name: "of the lab's own processes are not a node's: their logs would be one file",
      text: "nodes: [{ name: store, pods: 0 }, { name: supervisor, pods: 0 }, { name: store-1, pods: 0 }]\n",
      want: [
        'lab.yaml:2:17: nodes[0].name: "store" is reserved: the lab\'s own store logs under that name\n  Choose another name, such as store-1.',
        /nodes\[1\]\.name: "supervisor" is reserved/,
      ],
    },
    {
      name: "that are put together may come out too long",
      text: `nodes: { count: 3, prefix: ${"x".repeat(60)}, pods: 1 }\n`,
      want: [/^lab.yaml:2:28: nodes\.prefix: "x+1-pod1" is 66 characters long, a name may have 63\n/],
    },
  ]);
});

describe("networks that hold no hosts", () => {
  for (const subnet of ["127.0.0.0/24", "0.0.0.0/24", "224.0.0.0/24", "240.0.0.0/24", "255.255.255.0/24"]) {
    test(`${subnet} is no underlay`, () => {
      const [problem, ...more] = complaints(`${HEAD}underlay: { subnet: ${subnet} }\n`);
      expect(problem).toMatch(
        /^lab.yaml:2:21: underlay\.subnet: .* lies among .*\n {2}Choose a private network such as/,
      );
      expect(more).toEqual([]);
    });
  }

  for (const network of ["127.0.0.0/16", "0.0.0.0/8", "224.0.0.0/16", "64.0.0.0/2"]) {
    test(`${network} is no pod network`, () => {
      const [problem] = complaints(`${HEAD}network: { Network: ${network} }\nnodes: { pods: 0 }\n`);
      expect(problem).toMatch(
        /^lab.yaml:2:21: network\.Network: .* lies among .*\n {2}Choose .* 10\.244\.0\.0\/16/,
      );
    });
  }

  test("link-local addresses are odd, and nothing worse", () => {
    expect(complaints(`${HEAD}underlay: { subnet: 169.254.7.0/24 }\n`)).toEqual([]);
  });
});

describe("a fault of the network block stands at its key", () => {
  const block = (text: string): string => `network:\n  Network: 10.1.0.0/16\n${text}`;
  check([
    {
      name: "SubnetMin outside, in block style",
      text: block("  SubnetMin: 10.9.0.0\n"),
      want: [
        "lab.yaml:4:14: network.SubnetMin: SubnetMin is not in the range of the Network\n  Write the first address of a subnet, such as 10.1.1.0.",
      ],
    },
    {
      name: "SubnetMax askew",
      text: block("  SubnetLen: 26\n  SubnetMax: 10.1.0.7\n"),
      want: [
        /^lab.yaml:5:14: network\.SubnetMax: SubnetMax is not on a SubnetLen boundary.*\n.* such as 10\.1\.0\.64\.$/,
      ],
    },
    {
      name: "the last before the first",
      text: block("  SubnetMin: 10.1.9.0\n  SubnetMax: 10.1.2.0\n"),
      want: [
        /^lab.yaml:5:14: network\.SubnetMax: the last subnet, 10\.1\.2\.0, comes before the first, 10\.1\.9\.0\n/,
      ],
    },
    {
      name: "SubnetLen too long",
      text: block("  SubnetLen: 31\n"),
      want: [
        "lab.yaml:4:14: network.SubnetLen: SubnetLen must be less than /31\n  Give a length from 18 to 30.",
      ],
    },
    {
      name: "SubnetLen too short",
      text: block("  SubnetLen: 17\n"),
      want: [
        /^lab.yaml:4:14: network\.SubnetLen: network must be able to accommodate .*\n {2}Give a length from 18 to 30\.$/,
      ],
    },
    {
      name: "an MTU that carries nothing",
      text: block("  Backend:\n    Type: vxlan\n    MTU: 100\n"),
      want: [/^lab.yaml:6:10: network\.Backend\.MTU: MTU 100 is out of range.*\n {2}Leave the key out/],
    },
    {
      name: "no network at all",
      text: "network:\n  SubnetLen: 24\n  Network: 0.0.0.0/0\n",
      want: [/^lab.yaml:4:12: network\.Network: please define a correct Network parameter/],
    },
    {
      name: "too few subnets, by SubnetMax",
      text: block("  SubnetMax: 10.1.2.0\n"),
      want: [
        "lab.yaml:4:14: network.SubnetMax: out of subnets: 10.1.1.0 to 10.1.2.0 has 2 of /24, the lab has 3 nodes\n  Widen Network or change SubnetMax, lengthen SubnetLen, or run fewer nodes.",
      ],
    },
    {
      name: "a key that is not there is told where its map is",
      text: "strict: false\nnetwork:\n  SubnetLen: 18\nnodes:\n  count: 4\n",
      want: [
        /^lab.yaml:3:1: network\.Network: out of subnets: 10\.244\.0\.0\/16 has 3 of \/18, the lab has 4 nodes\n/,
      ],
    },
    {
      name: "counted nodes share their key: one complaint for all of them",
      text: "network: { SubnetLen: 30 }\nnodes:\n  count: 3\n  pods: 2\n",
      want: [
        "lab.yaml:5:9: nodes.pods: 2 pods do not fit into a /30, which has room for 1\n  Run at most 1 pod on a node, or shorten network.SubnetLen.",
      ],
    },
  ]);
});

test("whatever is told, every node leases another subnet", () => {
  const wishes = [undefined, "10.244.3.0/24", undefined, "10.244.1.0/24", undefined];
  const nodes = wishes.map((subnet, i) => ({ name: `n${i}`, ...(subnet === undefined ? {} : { subnet }) }));
  const lab = labOf(`${HEAD}nodes: ${JSON.stringify(nodes)}\n`);
  expect(new Set(lab.nodes.map((node) => node.subnet?.addr)).size).toBe(wishes.length);
});
