import { expect, test } from "vitest";
import { ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { ipipCarriersOf, ownNode } from "../../../../src/control/calico/own-node.ts";
import type { NodeResource } from "../../../../src/control/calico/resources.ts";
import { resource } from "../../../support/calico.ts";

const facts = {
  name: "worker-1",
  addr: ipv4("10.1.0.11"),
  len: 24,
  ipipTunnelAddr: ipv4("10.244.7.1"),
  vxlanTunnelAddr: undefined,
  ipipCarriers: ["proto4", "fou"],
};

test("a new node says its address, its tunnel's, and how it takes IPIP; then there is nothing more to say", () => {
  const made = ownNode(undefined, facts) as NodeResource;
  expect(made.spec).toEqual({
    addresses: [
      { address: "10.1.0.11/24", type: "CalicoNodeIP" },
      { address: "10.1.0.11", type: "InternalIP" },
    ],
    bgp: { ipv4Address: "10.1.0.11/24", ipv4IPIPTunnelAddr: "10.244.7.1" },
    orchRefs: [{ nodeName: "worker-1", orchestrator: "k8s" }],
  });
  expect(ipipCarriersOf(made)).toEqual(["proto4", "fou"]);
  expect(ownNode(made, facts)).toBeUndefined();
});

test("what others have put there stays: labels, the AS number, a reflector's cluster", () => {
  const bgp = { asNumber: 64513, routeReflectorClusterID: "244.0.0.1", ipv4IPIPTunnelAddr: "10.244.9.9" };
  const there = {
    ...resource("Node", "worker-1", { bgp, vxlanTunnelMACAddr: "66:00:00:00:00:01" }),
  } as NodeResource;
  const labelled = { ...there, metadata: { name: "worker-1", labels: { rack: "r1" } } };
  expect(ownNode(labelled, facts)).toMatchObject({
    metadata: { labels: { rack: "r1" } },
    spec: { bgp: { ...bgp, ipv4IPIPTunnelAddr: "10.244.7.1" }, vxlanTunnelMACAddr: "66:00:00:00:00:01" },
  });
});

test("a tunnel that is not there any more is taken out; a node without the annotation takes protocol 4", () => {
  const made = ownNode(undefined, facts) as NodeResource;
  const without = ownNode(made, { ...facts, ipipTunnelAddr: undefined }) as NodeResource;
  expect(without.spec.bgp).toEqual({ ipv4Address: "10.1.0.11/24" });
  expect(ipipCarriersOf(resource("Node", "real", {}))).toEqual(["proto4"]);
});
