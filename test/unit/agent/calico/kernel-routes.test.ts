// BIRD's routes in the kernel: put in place as a whole, kept, and brought back.
import { beforeEach, expect, test } from "vitest";
import type { KernelRoute } from "../../../../src/agent/calico/bird/route-exporter.ts";
import { KernelRoutes } from "../../../../src/agent/calico/felix/kernel-routes.ts";
import { ipv4, prefix } from "../../../../src/base/ipv4-addr.ts";
import { mac } from "../../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../../src/base/rng.ts";
import { parseIp } from "../../../../src/console/ip-command.ts";
import { NetStack } from "../../../../src/stack/net-stack.ts";
import type { Netns } from "../../../../src/stack/netns.ts";
import { IpScript } from "../../../support/ip-script.ts";
import { TestWire } from "../../../support/test-wire.ts";

const now = 1_000_000;
const dst = prefix("10.244.8.0/26");
const TWO = `10.244.8.0/26 proto bird 
\tnexthop via 10.1.0.9 dev eth0 weight 1 
\tnexthop via 10.2.0.9 dev eth1 weight 1 
`;

let host: Netns;
let ip: IpScript;
let routes: KernelRoutes;
beforeEach(() => {
  host = new NetStack({ rng: new SeededRng(1) }).addNetns("");
  ip = new IpScript(host);
  for (const [i, name] of ["eth0", "eth1"].entries()) {
    host.addDevice(new TestWire(host.ctx, name, mac("02:00:00:00:00:01") + i, 1500));
    ip.must(`link set ${name} up`, `addr add 10.${i + 1}.0.2/24 dev ${name}`);
  }
  routes = new KernelRoutes(host);
});

function by(...vias: readonly string[]): KernelRoute {
  const nextHops = vias.map((via) => {
    return { via: ipv4(via), dev: via.startsWith("10.1.") ? "eth0" : "eth1", onlink: false };
  });
  return { dst, type: "unicast", nextHops };
}

function want(...vias: readonly string[]): void {
  routes.change({ t: "replace", route: by(...vias) });
  expect(routes.apply(now)).toEqual([]);
}

/** `ip route show proto bird`, but with its protocol. */
function shown(): string {
  const parsed = parseIp(["route"], {
    netns: host,
    hostname: "n",
    files: () => undefined,
    rng: host.ctx.rng,
  });
  if (!parsed.ok) throw new Error(parsed.error.message);
  parsed.value.start(now);
  const lines = (parsed.value.poll()?.text ?? "").split(/^(?=\S)/m);
  return lines.filter((line) => line.includes("proto bird")).join("");
}

test("several next hops, then one, then several: always one route, never none", () => {
  want("10.1.0.9", "10.2.0.9");
  expect(shown()).toBe(TWO);
  const versions = host.fib.version;
  want("10.2.0.9");
  expect(shown()).toBe("10.244.8.0/26 via 10.2.0.9 dev eth1 proto bird \n");
  // One change of the table: what stood there was replaced, not taken out first.
  expect(host.fib.version).toBe(versions + 1);
  want("10.1.0.9", "10.2.0.9");
  expect(shown()).toBe(TWO);
  routes.change({ t: "del", dst });
  routes.apply(now);
  expect(shown()).toBe("");
});

test("a resync leaves what is as it is to be, a dead next hop too, and puts back what somebody changed", () => {
  want("10.1.0.9", "10.2.0.9");
  ip.must("link set eth1 down");
  expect(shown()).toContain("via 10.2.0.9 dev eth1 weight 1 dead linkdown ");
  expect(routes.resync(now)).toEqual({ restored: 0, removed: 0 });
  ip.must("link set eth1 up");
  expect(shown()).toBe(TWO);
  for (const change of [
    "route replace 10.244.8.0/26 proto bird nexthop via 10.1.0.9 nexthop via 10.2.0.9 weight 2",
    "route replace 10.244.8.0/26 proto bird nexthop via 10.2.0.9 nexthop via 10.1.0.9",
    "route replace 10.244.8.0/26 proto bird via 10.1.0.9",
  ]) {
    ip.must(change);
    expect(routes.resync(now)).toEqual({ restored: 1, removed: 1 });
    expect(shown()).toBe(TWO);
  }
  ip.must("route del 10.244.8.0/26 via 10.1.0.9");
  expect(routes.resync(now)).toEqual({ restored: 1, removed: 0 });
  expect(shown()).toBe(TWO);
});

test("a next hop without a device waits, and the others do not", () => {
  const eth1 = host.device("eth1") as TestWire;
  host.delDevice(eth1, now);
  want("10.1.0.9", "10.2.0.9");
  expect(shown()).toBe("10.244.8.0/26 via 10.1.0.9 dev eth0 proto bird \n");
  host.addDevice(new TestWire(host.ctx, "eth1", mac("02:00:00:00:00:07"), 1500));
  ip.must("link set eth1 up", "addr add 10.2.0.2/24 dev eth1");
  routes.devicesChanged();
  routes.apply(now);
  expect(shown()).toBe(TWO);
});
