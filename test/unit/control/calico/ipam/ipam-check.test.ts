import { describe, expect, test } from "vitest";
import { ipv4, prefix } from "../../../../../src/base/ipv4-addr.ts";
import { allocate, newBlock } from "../../../../../src/control/calico/ipam/block-allocation.ts";
import { checkIpam } from "../../../../../src/control/calico/ipam/ipam-check.ts";
import { emitIpamReport, formatIpamCheck } from "../../../../../src/control/calico/ipam/ipam-check-text.ts";
import {
  borrowedAddrs,
  formatAssignment,
  formatShare,
  formatTotal,
  ipamUsage,
} from "../../../../../src/control/calico/ipam/ipam-usage.ts";

const CIDR = prefix("10.244.7.0/26");
const OTHER = prefix("10.244.9.0/26");
const tunnel = { handleId: "ipip-tunnel-addr-w1", secondary: { node: "w1", type: "ipipTunnelAddress" } };
const pod = (name: string, node = "w1") => ({
  handleId: `k8s-pod-network.${name}`,
  secondary: { node, pod: name, namespace: "shop" },
});

function block() {
  let made = newBlock(CIDR, "w1", "2026-06-01T00:00:00Z", 1_717_200_000_000_000_000n);
  for (const owner of [tunnel, pod("web-0"), pod("web-1", "w2")])
    made = allocate(made, 1, owner, () => false).block;
  return made;
}

const handle = (id: string, count = 1) => ({
  id,
  counts: new Map([["10.244.7.0/26", count]]),
  modRevision: 9,
});
const POOLS = [
  { cidr: prefix("10.244.0.0/16"), disabled: false },
  { cidr: prefix("10.9.0.0/16"), disabled: true },
];

const CLEAN = {
  state: {
    blocks: [block()],
    affinities: [{ host: "w1", cidr: CIDR, state: "confirmed" as const }],
    handles: [handle(tunnel.handleId), handle("k8s-pod-network.web-0"), handle("k8s-pod-network.web-1")],
  },
  pools: POOLS,
  nodes: [{ name: "w1", tunnelAddrs: [ipv4("10.244.7.0")] }],
  workloads: [
    { namespace: "shop", name: "w1-k8s-web--0-eth0", addrs: [ipv4("10.244.7.1")] },
    { namespace: "shop", name: "w2-k8s-web--1-eth0", addrs: [ipv4("10.244.7.2")] },
  ],
};

const DIRTY = {
  ...CLEAN,
  state: {
    blocks: [block()],
    affinities: [
      { host: "w1", cidr: CIDR, state: "pendingDeletion" as const },
      { host: "w2", cidr: CIDR, state: "confirmed" as const },
      { host: "w3", cidr: OTHER, state: "pending" as const },
    ],
    handles: [handle(tunnel.handleId, 2), handle("gone"), handle("k8s-pod-network.web-0")],
  },
  workloads: [
    { namespace: "shop", name: "a", addrs: [ipv4("10.244.7.1"), ipv4("10.244.7.9")] },
    { namespace: "shop", name: "b", addrs: [ipv4("10.244.7.1"), ipv4("10.9.0.1")] },
  ],
};

describe("ipam check", () => {
  test("a clean cluster prints calicoctl's lines and no other", () => {
    expect(
      formatIpamCheck(checkIpam(CLEAN), { showAllIps: false, showProblemIps: true }).join("\n"),
    ).toBe(`Checking IPAM for inconsistencies...

Loading all IPAM blocks...
Found 1 IPAM blocks.
 IPAM block 10.244.7.0/26 affinity=host:w1:
IPAM blocks record 3 allocations.

Loading all IPAM pools...
  10.244.0.0/16
Found 1 active IP pools.

Loading all nodes.
Found 1 node tunnel IPs.

Loading all workload endpoints.
Found 2 workload IPs.
Workloads and nodes are using 3 IPs.

Loading all handles
Looking for top (up to 20) nodes by allocations...
  w1 has 2 allocations
  w2 has 1 allocations
Node with most allocations has 2; median is 1

Scanning for IPs that are allocated but not actually in use...
Found 0 IPs that are allocated in IPAM but not actually in use.
Scanning for IPs that are in use by a workload or node but not allocated in IPAM...
Found 0 in-use IPs that are not in active IP pools.
Found 0 in-use IPs that are in active IP pools but have no corresponding IPAM allocation.

Scanning for IPAM handles with no matching IPs...
Found 0 handles with no matching IPs (and 3 handles with matches).
Scanning for IPs with missing handle...
Found 0 handles mentioned in blocks with no matching handle resource.
Check complete; found 0 problems.`);
  });

  test("each kind of finding, and our own two", () => {
    const check = checkIpam(DIRTY);
    const text = formatIpamCheck(check, { showAllIps: true, showProblemIps: false }).join("\n");
    for (const line of [
      "  10.244.7.2 allocated; attrs Main:k8s-pod-network.web-1 Extra:namespace=shop,node=w2,pod=web-1",
      "  10.244.7.0 belongs to Node(w1)",
      "  10.244.7.2 leaked; attrs Main:k8s-pod-network.web-1 Extra:namespace=shop,node=w2,pod=web-1",
      "Found 1 IPs that are allocated in IPAM but not actually in use.",
      "  10.244.7.1 has multiple owners.",
      "  10.9.0.1 in use by Workload(shop/b) is not in any active IP pool.",
      "  10.244.7.9 in use by Workload(shop/a) and in active IPAM pool but has no IPAM allocation.",
      "  gone doesn't have any active IPs.",
      "Found 1 handles with no matching IPs (and 2 handles with matches).",
      "  k8s-pod-network.web-1 is in use in a block but doesn't exist.",
      "  the pendingDeletion affinity of w1 to 10.244.7.0/26 is not confirmed",
      "  the confirmed affinity of w2 to 10.244.7.0/26 is stale: the block belongs to w1",
      "  the pending affinity of w3 to 10.244.9.0/26 has no block",
      "Found 3 affinities that do not match their block.",
      "  ipip-tunnel-addr-w1 counts 2 addresses in 10.244.7.0/26, which holds 1 of it",
      "Check complete; found 8 problems.",
    ]) {
      expect(text.split("\n")).toContain(line);
    }
  });

  test("the report, with exact sequence numbers", () => {
    const cluster = {
      version: "v3.32.1",
      clusterGUID: "ab",
      datastoreLocked: false,
      clusterInformationRevision: "7",
      clusterType: "k8s,bgp",
    };
    const text = emitIpamReport(checkIpam(DIRTY), cluster);
    expect(Object.keys(JSON.parse(text) as object)).toEqual([
      "version",
      "clusterGUID",
      "datastoreLocked",
      "clusterInformationRevision",
      "clusterType",
      "allocations",
      "leakedHandles",
    ]);
    expect(text).toContain(`    "10.244.7.2": [
      {
        "ip": "10.244.7.2",
        "handle": "k8s-pod-network.web-1",
        "sequenceNumber": 1717200000000000000,
        "pod": "web-1",
        "namespace": "shop",
        "node": "w2",
        "inUse": false,
        "borrowed": true,
        "owners": null
      }
    ]`);
    expect(text).toContain(
      '"leakedHandles": [\n    {\n      "ID": "gone",\n      "UID": null,\n      "Revision": "9"\n    }\n  ]',
    );
  });
});

describe("ipam show", () => {
  test("how full pools and blocks are", () => {
    const orphan = newBlock(prefix("10.77.0.0/26"), "w9", "", 1n);
    const { pools, orphans } = ipamUsage([prefix("10.244.0.0/16")], [block(), orphan]);
    expect(pools).toEqual([
      {
        cidr: prefix("10.244.0.0/16"),
        capacity: 65536,
        inUse: 3,
        free: 65533,
        blocks: [{ cidr: CIDR, capacity: 64, inUse: 3, free: 61 }],
      },
    ]);
    expect(orphans.map(({ cidr }) => cidr)).toEqual([prefix("10.77.0.0/26")]);
  });

  test("numbers as Go prints them", () => {
    expect([0, 64, 65536, 99_999].map(formatTotal)).toEqual(["0", "64", "65536", "99999"]);
    expect([131_072, 1_048_576, 16_777_216, 100_000].map(formatTotal)).toEqual([
      "1.3107e+05",
      "1.0486e+06",
      "1.6777e+07",
      "1e+05",
    ]);
    expect([formatShare(5, 65_536), formatShare(65_531, 65_536)]).toEqual(["5 (0%)", "65531 (100%)"]);
    expect([formatShare(1, 200), formatShare(3, 200), formatShare(1, 3)]).toEqual([
      "1 (0%)",
      "3 (2%)",
      "1 (33%)",
    ]);
  });

  test("who borrows, and whose an address is", () => {
    const old = allocate(block(), 1, { handleId: "old", secondary: undefined }, () => false).block;
    expect(borrowedAddrs([old])).toEqual({
      rows: [
        {
          addr: ipv4("10.244.7.2"),
          borrowingNode: "w2",
          block: CIDR,
          blockOwner: "w1",
          type: "pod",
          allocatedTo: "shop/web-1",
        },
      ],
      unclassified: 1,
    });
    expect(formatAssignment([old], ipv4("10.244.7.0"))).toEqual([
      "IP 10.244.7.0 is in use",
      "Handle ID: ipip-tunnel-addr-w1",
      "Attributes:",
      "  node: w1",
      "  type: ipipTunnelAddress",
    ]);
    expect(formatAssignment([old], ipv4("10.244.7.3"))[2]).toBe("No attributes defined");
    expect(formatAssignment([old], ipv4("10.244.7.9"))).toEqual(["10.244.7.9 is not assigned"]);
    expect(formatAssignment([old], ipv4("1.2.3.4"))).toEqual(["1.2.3.4 is not assigned"]);
  });
});
