import { describe, expect, test } from "vitest";
import { type NextHopWay, RouteExporter } from "../../../../../src/agent/calico/bird/route-exporter.ts";
import { contains, formatIpv4, formatPrefix, ipv4, prefix } from "../../../../../src/base/ipv4-addr.ts";
import { BgpPolicies } from "../../../../../src/control/calico/calc/bgp-policy.ts";
import type { CalicoVersion } from "../../../../../src/control/calico/calc/desired-peer.ts";
import type { CalicoUpdate } from "../../../../../src/control/calico/calico-updates.ts";
import type { EncapMode } from "../../../../../src/control/calico/resources.ts";
import { Family } from "../../../../../src/wire/bgp/family.ts";
import { resource } from "../../../../support/calico-bird.ts";

const SUBNET = prefix("10.0.0.0/24");
const ROUTER = ipv4("10.0.0.254");

/**
 * A node on 10.0.0.0/24, behind whose router there is 10.0.1.0/24, and on 10.2.0.0/24; to 10.3.0.0/24 it has two routers, and nothing
 * else.
 */
function wayTo(addr: number): readonly NextHopWay[] {
  if (contains(SUBNET, addr)) return [{ gateway: undefined, dev: "eth0" }];
  if (contains(prefix("10.2.0.0/24"), addr)) return [{ gateway: undefined, dev: "eth1" }];
  const first = { gateway: ROUTER, dev: "eth0" };
  if (contains(prefix("10.3.0.0/24"), addr)) return [first, { gateway: ipv4("10.2.0.254"), dev: "eth1" }];
  return contains(prefix("10.0.1.0/24"), addr) ? [first] : [];
}

function pool(ipipMode: EncapMode, vxlanMode: EncapMode = "Never"): CalicoUpdate {
  return resource("IPPool", "p", { cidr: "10.244.0.0/16", ipipMode, vxlanMode });
}

function exporter(
  updates: readonly CalicoUpdate[],
  version: CalicoVersion = "3.32",
  subnet = SUBNET,
): RouteExporter {
  const policies = new BgpPolicies("a", version);
  for (const update of updates) policies.onUpdate(update);
  const made = new RouteExporter(policies.kernelRules(), wayTo);
  made.configure(policies.kernelRules(), subnet);
  return made;
}

function learn(made: RouteExporter, net: string, ...hops: readonly string[]): void {
  const { addr: a, len } = prefix(net);
  const nextHops = hops.map(ipv4);
  made.onRoute({ prefix: { family: Family.IPV4_UNICAST, a, b: 0, c: 0, d: 0, len }, nextHops, local: false });
}

/** As `ip route` would show them. */
function routes(made: RouteExporter): string[] {
  return made.takeChanges().map((change) => {
    if (change.t === "del") return `del ${formatPrefix(change.dst)}`;
    const { dst, type, nextHops } = change.route;
    if (type === "blackhole") return `blackhole ${formatPrefix(dst)}`;
    const hops = nextHops.map(
      ({ via, dev, onlink }) => `via ${formatIpv4(via)} dev ${dev}${onlink ? " onlink" : ""}`,
    );
    return `${formatPrefix(dst)} ${hops.join(" | ")}`;
  });
}

const BLOCK = "10.244.8.0/26";

describe("a block goes", () => {
  test.each<[string, CalicoUpdate, CalicoVersion, string, string[]]>([
    ["through the tunnel", pool("Always"), "3.32", "10.0.0.2", [`${BLOCK} via 10.0.0.2 dev tunl0 onlink`]],
    [
      "straight on the own subnet",
      pool("CrossSubnet"),
      "3.32",
      "10.0.0.2",
      [`${BLOCK} via 10.0.0.2 dev eth0`],
    ],
    [
      "through the tunnel to others",
      pool("CrossSubnet"),
      "3.32",
      "10.0.1.2",
      [`${BLOCK} via 10.0.1.2 dev tunl0 onlink`],
    ],
    ["straight", pool("Never"), "3.32", "10.0.0.2", [`${BLOCK} via 10.0.0.2 dev eth0`]],
    [
      "by the router, as the next hop does",
      pool("Never"),
      "3.32",
      "10.0.1.2",
      [`${BLOCK} via 10.0.0.254 dev eth0`],
    ],
    ["nowhere when its next hop cannot be reached", pool("Never"), "3.32", "10.9.9.9", []],
    ["by Felix with VXLAN", pool("Never", "Always"), "3.32", "10.0.0.2", []],
    ["by Felix with IPIP in 3.33", pool("Always"), "3.33", "10.0.0.2", []],
    [
      "by BIRD without encapsulation in 3.33",
      pool("Never"),
      "3.33",
      "10.0.0.2",
      [`${BLOCK} via 10.0.0.2 dev eth0`],
    ],
  ])("%s", (_, ippool, version, hop, expected) => {
    const made = exporter([ippool], version);
    learn(made, BLOCK, hop);
    expect(routes(made)).toEqual(expected);
  });

  test("through the tunnel to everybody when the node's address is a /32", () => {
    const made = exporter([pool("CrossSubnet")], "3.32", prefix("10.0.0.1/32"));
    learn(made, BLOCK, "10.0.0.2");
    expect(routes(made)).toEqual([`${BLOCK} via 10.0.0.2 dev tunl0 onlink`]);
  });

  test("without the tunnel when several paths share the load, in the order of their addresses", () => {
    const made = exporter([pool("Always")]);
    learn(made, BLOCK, "10.0.0.3", "10.0.1.2", "10.0.0.2");
    expect(routes(made)).toEqual([
      `${BLOCK} via 10.0.0.2 dev eth0 | via 10.0.0.3 dev eth0 | via 10.0.0.254 dev eth0`,
    ]);
    // One of them is withdrawn: the route is said anew, never taken out.
    learn(made, BLOCK, "10.0.0.3", "10.0.0.2");
    expect(routes(made)).toEqual([`${BLOCK} via 10.0.0.2 dev eth0 | via 10.0.0.3 dev eth0`]);
    learn(made, BLOCK, "10.0.0.2");
    expect(routes(made)).toEqual([`${BLOCK} via 10.0.0.2 dev tunl0 onlink`]);
  });

  test("each by the device that its next hop is behind; what cannot be reached is left out", () => {
    const made = exporter([pool("Never")]);
    learn(made, BLOCK, "10.2.0.2", "10.9.9.9", "10.0.0.3");
    expect(routes(made)).toEqual([`${BLOCK} via 10.0.0.3 dev eth0 | via 10.2.0.2 dev eth1`]);
  });

  test("by all routers that lead to its next hop", () => {
    const made = exporter([pool("Never")]);
    learn(made, BLOCK, "10.3.0.5");
    expect(routes(made)).toEqual([`${BLOCK} via 10.0.0.254 dev eth0 | via 10.2.0.254 dev eth1`]);
  });

  test("by sixteen next hops and no more, those with the lowest addresses", () => {
    const made = exporter([pool("Never")]);
    learn(made, BLOCK, ...Array.from({ length: 20 }, (_, i) => `10.0.0.${20 - i}`));
    const hops = routes(made)[0]?.split(" | ") ?? [];
    expect([hops.length, hops.at(-1)]).toEqual([16, "via 10.0.0.16 dev eth0"]);
  });

  test("by one next hop when all are behind one gateway, and then through the tunnel", () => {
    const never = exporter([pool("Never")]);
    learn(never, BLOCK, "10.0.1.2", "10.0.1.3");
    expect(routes(never)).toEqual([`${BLOCK} via 10.0.0.254 dev eth0`]);
    const cross = exporter([pool("CrossSubnet")]);
    learn(cross, BLOCK, "10.0.1.2", "10.0.1.3");
    expect(routes(cross)).toEqual([`${BLOCK} via 10.0.1.2 dev tunl0 onlink`]);
  });

  test("by whom programClusterRoutes says", () => {
    const made = exporter(
      [pool("Always"), resource("BGPConfiguration", "default", { programClusterRoutes: "Enabled" })],
      "3.33",
    );
    learn(made, BLOCK, "10.0.0.2");
    expect(routes(made)).toHaveLength(1);
  });
});

test("service ranges are not the kernel's, what a ToR tells is", () => {
  const services = resource("BGPConfiguration", "default", { serviceClusterIPs: [{ cidr: "10.96.0.0/12" }] });
  const made = exporter([pool("Always"), services]);
  learn(made, "10.96.0.0/12", "10.0.0.2");
  learn(made, "0.0.0.0/0", "10.0.0.1");
  expect(routes(made)).toEqual(["0.0.0.0/0 via 10.0.0.1 dev eth0"]);
});

test("own blocks are blackholes, but for single addresses and VXLAN", () => {
  const made = exporter([
    pool("Always"),
    resource("IPPool", "v", { cidr: "10.245.0.0/16", vxlanMode: "Always" }),
  ]);
  made.setBlocks([prefix("10.244.7.0/26"), prefix("10.244.9.9/32"), prefix("10.245.0.0/26")]);
  expect(routes(made)).toEqual(["blackhole 10.244.7.0/26"]);
  // Somebody else has it by mistake: ours stays.
  learn(made, "10.244.7.0/26", "10.0.0.2");
  expect(routes(made)).toEqual([]);
  made.setBlocks([]);
  expect(routes(made)).toEqual(["10.244.7.0/26 via 10.0.0.2 dev tunl0 onlink"]);
});

test("a peer behind a gateway has a static route", () => {
  const made = exporter([]);
  made.setStatics([{ addr: ipv4("10.9.9.9"), gateway: ROUTER }]);
  expect(routes(made)).toEqual(["10.9.9.9/32 via 10.0.0.254 dev eth0"]);
  made.setStatics([]);
  expect(routes(made)).toEqual(["del 10.9.9.9/32"]);
});

test("each change is said once", () => {
  const made = exporter([pool("Always")]);
  learn(made, BLOCK, "10.0.0.2");
  expect(routes(made)).toHaveLength(1);
  made.touchAll();
  learn(made, BLOCK, "10.0.0.2");
  expect(routes(made)).toEqual([]);
  learn(made, BLOCK);
  expect(routes(made)).toEqual([`del ${BLOCK}`]);
  learn(made, BLOCK);
  expect(routes(made)).toEqual([]);
});
