import { describe, expect, test } from "vitest";
import { speakerPolicy } from "../../../../../src/agent/calico/bird/speaker-policy.ts";
import { prefix } from "../../../../../src/base/ipv4-addr.ts";
import { BgpPolicies, type PeerClass } from "../../../../../src/control/calico/calc/bgp-policy.ts";
import type { CalicoVersion } from "../../../../../src/control/calico/calc/desired-peer.ts";
import type { CalicoUpdate } from "../../../../../src/control/calico/calico-updates.ts";
import { compilePolicy } from "../../../../../src/routing/bgp/policy/compile-policy.ts";
import type { RibPeer } from "../../../../../src/routing/bgp/rib/rib-peer.ts";
import { RouteAttributes } from "../../../../../src/routing/bgp/rib/route.ts";
import { NO_ATTRIBUTES } from "../../../../../src/wire/bgp/attributes/path-attributes.ts";
import { formatCommunity } from "../../../../../src/wire/bgp/communities.ts";
import { Family } from "../../../../../src/wire/bgp/family.ts";
import { affinity, calicoNode, resource } from "../../../../support/calico-bird.ts";

type From = "local" | "internal" | "external";
interface Ask {
  readonly net: string;
  readonly from?: From;
  readonly localPref?: number;
}

const IBGP: PeerClass = { internal: true, filters: [] };
const EBGP: PeerClass = { internal: false, filters: [] };
const POOL = resource("IPPool", "p", { cidr: "10.244.0.0/16" });
const OWN = affinity("10.244.7.0/26", "confirmed");

function policies(updates: readonly CalicoUpdate[], version: CalicoVersion = "3.32"): BgpPolicies {
  const made = new BgpPolicies("a", version);
  for (const update of updates) made.onUpdate(update);
  return made;
}

function source(from: From): RibPeer {
  const config = { name: from, internal: from === "internal", rrClient: false } as RibPeer["config"];
  return { config, id: 1, bgpId: 1, as: 1, local: from === "local" };
}

/** What becomes of a route: undefined when it is refused. */
function ask(
  made: BgpPolicies,
  direction: "export" | "import",
  peers: PeerClass,
  { net, from = "internal", localPref }: Ask,
): { localPref: number; weight: number; communities: string[] } | undefined {
  const description = direction === "export" ? made.exportPolicy(peers) : made.importPolicy(peers);
  const compiled = compilePolicy(speakerPolicy(description, "eth0"), direction);
  if (!compiled.ok) throw new Error(compiled.error);
  const { addr, len } = prefix(net);
  const route = compiled.value.evaluate({
    prefix: { family: Family.IPV4_UNICAST, a: addr, b: 0, c: 0, d: 0, len },
    route: new RouteAttributes({ ...NO_ATTRIBUTES, localPref }, 0),
    source: source(from),
  });
  if (route === undefined) return undefined;
  const { attributes, weight } = route;
  return { localPref: route.localPref, weight, communities: attributes.communities.map(formatCommunity) };
}

describe("export", () => {
  const rr = calicoNode("a", { ipv4Address: "10.0.0.1/24", routeReflectorClusterID: "244.0.0.1" });
  const services = resource("BGPConfiguration", "default", {
    serviceClusterIPs: [{ cidr: "10.96.0.0/12" }],
    serviceLoadBalancerIPs: [{ cidr: "198.51.100.0/24" }, { cidr: "198.51.101.1/32" }],
  });
  const noServices = calicoNode(
    "a",
    { ipv4Address: "10.0.0.1/24" },
    { "node.kubernetes.io/exclude-from-external-load-balancers": "true" },
  );

  test.each<[string, readonly CalicoUpdate[], Ask, boolean]>([
    [
      "3 pools that are not to be told",
      [resource("IPPool", "p", { cidr: "10.244.0.0/16", disableBGPExport: true }), OWN],
      { net: "10.244.7.0/26", from: "local" },
      false,
    ],
    ["7 an own block", [POOL, OWN], { net: "10.244.7.0/26", from: "local" }, true],
    ["7 an own block outside all pools", [OWN], { net: "10.244.7.0/26", from: "local" }, true],
    ["7 a pod in an own block", [POOL, OWN], { net: "10.244.7.3/32" }, false],
    ["7 a pod in an own block, elevated", [POOL, OWN], { net: "10.244.7.3/32", localPref: 2147483135 }, true],
    [
      "7 a block whose affinity is pending is nobody's",
      [POOL, affinity("10.244.7.0/26", "pending")],
      { net: "10.244.7.3/32" },
      true,
    ],
    [
      "7 one that is about to be given up is still ours",
      [POOL, affinity("10.244.7.0/26", "pendingDeletion")],
      { net: "10.244.7.3/32" },
      false,
    ],
    ["8 service ranges", [services], { net: "10.96.0.0/12", from: "local" }, true],
    ["8 not single addresses", [services], { net: "198.51.101.1/32", from: "local" }, false],
    [
      "8 not where the node is excluded",
      [services, noServices],
      { net: "10.96.0.0/12", from: "local" },
      false,
    ],
    ["9 a reflector tells load balancers' addresses", [services, rr], { net: "198.51.100.7/32" }, true],
    ["9 others do not", [services], { net: "198.51.100.7/32" }, false],
    ["10 another node's block", [POOL, OWN], { net: "10.244.8.0/26" }, true],
    ["10 a borrowed address", [POOL, OWN], { net: "10.244.9.9/32", from: "local" }, true],
    [
      "10 not in a disabled pool",
      [resource("IPPool", "p", { cidr: "10.244.0.0/16", disabled: true })],
      { net: "10.244.8.0/26" },
      false,
    ],
    ["11 what a ToR has told", [POOL, OWN], { net: "203.0.113.0/24", from: "external" }, false],
  ])("%s", (_, updates, route, told) => {
    expect(ask(policies(updates), "export", IBGP, route) !== undefined).toBe(told);
  });

  test("elevated priority means nothing in 3.31", () => {
    const made = policies([POOL, OWN], "3.31");
    expect(ask(made, "export", IBGP, { net: "10.244.7.3/32", localPref: 2147483135 })).toBeUndefined();
  });

  test("1 iBGP gets a priority for what came from outside, and keeps what iBGP has told", () => {
    const made = policies([POOL]);
    const net = "10.244.8.0/26";
    expect(ask(made, "export", IBGP, { net, from: "external" })?.localPref).toBe(2147482623);
    expect(ask(made, "export", IBGP, { net, localPref: 2147483135 })?.localPref).toBe(2147483135);
    expect(ask(made, "export", EBGP, { net, from: "external" })?.localPref).toBe(100);
    expect(ask(policies([POOL], "3.31"), "export", IBGP, { net, from: "external" })?.localPref).toBe(100);
  });

  test("6 communities by value and by name; a node's own list replaces the cluster's", () => {
    const global = resource("BGPConfiguration", "default", {
      communities: [{ name: "blue", value: "64512:100" }],
      prefixAdvertisements: [{ cidr: "10.244.0.0/16", communities: ["blue", "64512:7", "64512:1:2"] }],
    });
    expect(ask(policies([POOL, OWN, global]), "export", EBGP, { net: "10.244.8.0/26" })?.communities).toEqual(
      ["64512:7", "64512:100"],
    );
    const own = resource("BGPConfiguration", "node.a", {
      prefixAdvertisements: [{ cidr: "10.244.8.0/24", communities: ["blue"] }],
    });
    const made = policies([POOL, own, global]);
    expect(ask(made, "export", EBGP, { net: "10.244.8.0/26" })?.communities).toEqual(["64512:100"]);
    expect(ask(made, "export", EBGP, { net: "10.244.9.0/26" })?.communities).toEqual([]);
    expect(made.takeComplaints()).toEqual([]);
  });

  test("2 filters come before all that, and an accept of theirs is final", () => {
    const filter = resource("BGPFilter", "f", {
      exportV4: [
        { cidr: "203.0.113.0/24", matchOperator: "In", action: "Accept" },
        { cidr: "10.244.0.0/16", matchOperator: "In", prefixLength: { min: 27, max: 32 }, action: "Reject" },
        { source: "RemotePeers", interface: "eth*", action: "Reject" },
      ],
    });
    const made = policies([POOL, OWN, filter]);
    const filtered = { internal: true, filters: ["f", "absent"] };
    const told = (net: string, from: From): boolean =>
      ask(made, "export", filtered, { net, from }) !== undefined;
    expect(told("203.0.113.0/25", "external")).toBe(true);
    expect(told("10.244.9.9/32", "local")).toBe(false);
    expect(told("10.244.8.0/26", "internal")).toBe(false);
    expect(told("10.244.7.0/26", "local")).toBe(true);
  });

  test.each<["NotIn" | "Equal" | "NotEqual", string[], string[]]>([
    ["NotIn", ["10.0.0.0/8", "11.1.0.0/16", "10.2.0.0/16", "0.0.0.0/0"], ["10.1.0.0/16", "10.1.2.0/24"]],
    ["Equal", ["10.1.0.0/16"], ["10.1.2.0/24", "10.0.0.0/8"]],
    ["NotEqual", ["10.1.2.0/24", "10.0.0.0/8", "10.0.0.0/16"], ["10.1.0.0/16"]],
  ])("2 %s", (matchOperator, fits, others) => {
    const made = policies([
      resource("BGPFilter", "f", { exportV4: [{ cidr: "10.1.0.0/16", matchOperator, action: "Accept" }] }),
    ]);
    const told = (net: string): boolean =>
      ask(made, "export", { internal: false, filters: ["f"] }, { net }) !== undefined;
    expect(fits.filter((net) => !told(net))).toEqual([]);
    expect(others.filter(told)).toEqual([]);
  });

  test("a filter that cannot be read is named, and passed over", () => {
    const made = policies([
      resource("BGPFilter", "f", { exportV4: [{ cidr: "10.1.0.0", matchOperator: "In", action: "Reject" }] }),
    ]);
    expect(made.takeComplaints()).toEqual([
      'BGPFilter f exportV4[0]: cidr: "10.1.0.0" has no prefix length; write it as a.b.c.d/len; until then the filter is passed over',
    ]);
  });
});

describe("import", () => {
  test("accepts everything; better than normal is preferred to what is chosen by anything else", () => {
    const made = policies([POOL]);
    const net = "203.0.113.0/24";
    expect(ask(made, "import", IBGP, { net, localPref: 2147482623 })).toMatchObject({ weight: 0 });
    expect(ask(made, "import", IBGP, { net, localPref: 2147482624 })).toMatchObject({ weight: 200 });
    expect(ask(made, "import", EBGP, { net, from: "external" })).toMatchObject({ weight: 0 });
    expect(ask(policies([POOL], "3.31"), "import", IBGP, { net, localPref: 2147483135 })).toMatchObject({
      weight: 0,
    });
  });

  test("but what a filter rejects", () => {
    const made = policies([
      resource("BGPFilter", "f", {
        importV4: [{ cidr: "0.0.0.0/0", matchOperator: "Equal", action: "Reject" }],
      }),
    ]);
    const peers = { internal: false, filters: ["f"] };
    expect(ask(made, "import", peers, { net: "0.0.0.0/0", from: "external" })).toBeUndefined();
    expect(ask(made, "import", peers, { net: "10.0.0.0/8", from: "external" })).toBeDefined();
  });
});
