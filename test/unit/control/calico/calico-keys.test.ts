import { describe, expect, test } from "vitest";
import { prefix } from "../../../../src/base/ipv4-addr.ts";
import {
  configurationRange,
  emitResourceKey,
  kindRange,
  parseResourceKey,
  type ResourceId,
  resourceNameFault,
} from "../../../../src/control/calico/calico-keys.ts";
import {
  affinityKey,
  BLOCKS_RANGE,
  blockKey,
  hostAffinitiesRange,
  parseAffinityKey,
  parseBlockKey,
} from "../../../../src/control/calico/ipam/ipam-keys.ts";
import { kindOfDocument, kindOfWord } from "../../../../src/control/calico/resource-kinds.ts";
import {
  parseWorkloadEndpointName,
  workloadEndpointName,
} from "../../../../src/control/calico/workload-endpoint-name.ts";

const KEYS: readonly (readonly [string, ResourceId])[] = [
  ["/calico/resources/v3/projectcalico.org/nodes/worker-1", { kind: "Node", name: "worker-1" }],
  [
    "/calico/resources/v3/projectcalico.org/ippools/default-ipv4-ippool",
    { kind: "IPPool", name: "default-ipv4-ippool" },
  ],
  [
    "/calico/resources/v3/projectcalico.org/bgpconfigurations/node.worker-1",
    { kind: "BGPConfiguration", name: "node.worker-1" },
  ],
  ["/calico/resources/v3/projectcalico.org/bgppeers/rack-tor", { kind: "BGPPeer", name: "rack-tor" }],
  ["/calico/resources/v3/projectcalico.org/bgpfilters/f1", { kind: "BGPFilter", name: "f1" }],
  [
    "/calico/resources/v3/projectcalico.org/felixconfigurations/default",
    { kind: "FelixConfiguration", name: "default" },
  ],
  [
    "/calico/resources/v3/projectcalico.org/clusterinformations/default",
    { kind: "ClusterInformation", name: "default" },
  ],
  [
    "/calico/resources/v3/projectcalico.org/workloadendpoints/shop/worker--1-k8s-web--0-eth0",
    { kind: "WorkloadEndpoint", name: "worker--1-k8s-web--0-eth0", namespace: "shop" },
  ],
];

describe("resource keys", () => {
  test.each(KEYS)("%s", (key, id) => {
    expect(emitResourceKey(id)).toBe(key);
    expect(parseResourceKey(key)).toEqual(id);
  });

  test.each([
    "/calico/resources/v3/projectcalico.org/networkpolicies/shop/a",
    "/calico/resources/v3/projectcalico.org/nodes/",
    "/calico/resources/v3/projectcalico.org/nodes",
    "/calico/resources/v3/projectcalico.org/nodes/a/b",
    "/calico/resources/v3/projectcalico.org/workloadendpoints/a",
    "/calico/resources/v3/projectcalico.org/workloadendpoints//a",
    "/calico/resources/v3/projectcalico.org/__proto__/a",
    "/calico/ipam/v2/config",
  ])("%s is none of ours", (key) => expect(parseResourceKey(key)).toBeUndefined());

  test("the configuration's range has every kind but the endpoints", () => {
    const { key, rangeEnd } = configurationRange();
    for (const [of, id] of KEYS) {
      expect(of >= key && of < (rangeEnd as string), of).toBe(id.kind !== "WorkloadEndpoint");
    }
    expect(kindRange("WorkloadEndpoint", "shop")).toEqual({
      key: "/calico/resources/v3/projectcalico.org/workloadendpoints/shop/",
      rangeEnd: "/calico/resources/v3/projectcalico.org/workloadendpoints/shop0",
    });
    expect(kindRange("IPPool", "shop").key).toBe("/calico/resources/v3/projectcalico.org/ippools/");
  });

  test("names that would leave their folder are refused", () => {
    for (const name of ["", "A", "a/b", "..", ".a", "a_b", "-a", "a-", "a".repeat(254), "a\n"]) {
      expect(resourceNameFault(name), name).toBeDefined();
    }
    for (const name of ["a", "node.worker-1", "10.1.0.1"]) expect(resourceNameFault(name)).toBeUndefined();
  });
});

describe("IPAM keys", () => {
  const cidr = prefix("10.244.7.0/26");
  test("blocks", () => {
    expect(blockKey(cidr)).toBe("/calico/ipam/v2/assignment/ipv4/block/10.244.7.0-26");
    expect(parseBlockKey(blockKey(cidr))).toEqual(cidr);
    expect(blockKey(cidr).startsWith(BLOCKS_RANGE.key)).toBe(true);
    for (const name of ["10.244.7.1-26", "10.244.7.0-33", "10.244.7.0", "10.244.7.0-026", "fd00::-122", ""]) {
      expect(parseBlockKey(`/calico/ipam/v2/assignment/ipv4/block/${name}`), name).toBeUndefined();
    }
  });

  test("affinities name their node", () => {
    const key = affinityKey("worker-1", cidr);
    expect(key).toBe("/calico/ipam/v2/host/worker-1/ipv4/block/10.244.7.0-26");
    expect(parseAffinityKey(key)).toEqual({ host: "worker-1", cidr });
    expect(key.startsWith(hostAffinitiesRange("worker-1").key)).toBe(true);
  });
});

describe("names of endpoints", () => {
  const spec = { node: "worker-1", orchestrator: "k8s", pod: "web-0", endpoint: "eth0" };

  test("dashes inside a part are doubled", () => {
    expect(workloadEndpointName(spec)).toEqual({ ok: true, value: "worker--1-k8s-web--0-eth0" });
    expect(parseWorkloadEndpointName("worker--1-k8s-web--0-eth0")).toEqual({
      node: "worker-1",
      orchestrator: "k8s",
      workload: "web-0",
      endpoint: "eth0",
    });
    expect(parseWorkloadEndpointName("a----b-k8s-c-d")?.node).toBe("a--b");
  });

  test("the orchestrator decides what the workload is", () => {
    expect(workloadEndpointName({ ...spec, orchestrator: "cni", containerID: "8f2c" })).toMatchObject({
      value: "worker--1-cni-8f2c-eth0",
    });
    expect(workloadEndpointName({ ...spec, orchestrator: "libnetwork" })).toMatchObject({
      value: "worker--1-libnetwork-libnetwork-eth0",
    });
    expect(workloadEndpointName({ ...spec, orchestrator: "own", workload: "w" })).toMatchObject({
      value: "worker--1-own-w-eth0",
    });
  });

  test("what cannot be told apart is refused", () => {
    expect(workloadEndpointName({ ...spec, pod: "" })).toMatchObject({ error: { field: "pod" } });
    expect(workloadEndpointName({ ...spec, node: "a-" })).toMatchObject({ error: { field: "node" } });
    for (const name of ["", "a-b-c", "a-b-c-d-e", "a-k8s--b-c", "-k8s-b-c"]) {
      expect(parseWorkloadEndpointName(name), name).toBeUndefined();
    }
  });
});

describe("kinds", () => {
  test("every name of calicoctl, in any case", () => {
    const words = { ipp: "IPPool", IPPools: "IPPool", bgpp: "BGPPeer", WEP: "WorkloadEndpoint", no: "Node" };
    for (const [word, kind] of Object.entries(words))
      expect(kindOfWord(word)).toEqual({ ok: true, value: kind });
    expect(kindOfWord("ippol")).toEqual({
      ok: false,
      error: "resource type 'ippol' is not supported: did you mean ippool?",
    });
  });

  test("documents spell theirs exactly", () => {
    expect(kindOfDocument("IPPool").ok).toBe(true);
    expect(kindOfDocument("ippool")).toMatchObject({
      error: expect.stringContaining("did you mean IPPool?"),
    });
    expect(kindOfDocument("NetworkPolicy")).toMatchObject({
      error: expect.stringContaining("does not read"),
    });
    expect(kindOfDocument("constructor").ok).toBe(false);
  });
});
