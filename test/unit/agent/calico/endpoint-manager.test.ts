// A pod on a Calico node, as the walk through Calico's routes and ARP shows it.
import { afterEach, expect, test } from "vitest";
import { EndpointManager } from "../../../../src/agent/calico/felix/endpoint-manager.ts";
import { RouteTable } from "../../../../src/agent/route-table.ts";
import { formatPrefix, ipv4, prefix } from "../../../../src/base/ipv4-addr.ts";
import { mac } from "../../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../../src/base/rng.ts";
import type { NetDevice } from "../../../../src/stack/net-device.ts";
import { NetStack } from "../../../../src/stack/net-stack.ts";
import { PacketPool } from "../../../../src/stack/packet-pool.ts";
import { FramePrinter } from "../../../../src/wire/pretty/frame.ts";
import { TestWire } from "../../../support/test-wire.ts";

const POD_MAC = mac("36:0c:1a:00:00:01");
const now = 1_000_000;
const pool = new PacketPool(100, true);
const stack = new NetStack({ rng: new SeededRng(1), pool });
const host = stack.addNetns("");
const eth0 = new TestWire(stack, "eth0", mac("02:00:00:00:00:01"), 1500);
host.sysctl.ipForward = true;
host.addDevice(eth0);
host.addAddress(eth0, { addr: ipv4("172.17.8.100"), len: 24 }, now);
host.setLink(eth0, true, now);
// What CentOS puts there, and what makes the gateway an address that the host would forward to.
host.addRoute({ dst: prefix("169.254.0.0/16"), dev: eth0, scope: "link", metric: 1002 }, now);

const table = new RouteTable({ host, owns: (route) => route.dev?.name.startsWith("cali") === true });
const pods = new EndpointManager({
  node: "node00",
  stack,
  host,
  routeMetric: 0,
  keepRoute: (addr, spec) => {
    if (spec === undefined) table.del({ dst: { addr, len: 32 } });
    else table.replace(spec);
    table.apply(now);
  },
});

function add(pod: string, addr: string): ReturnType<EndpointManager["add"]> {
  return pods.add({ pod, namespace: "default", addr: ipv4(addr), mac: POD_MAC }, 1480, now);
}

/** What passes the host's end of a pair, as tcpdump -e prints it. */
function capture(dev: NetDevice): string[] {
  const lines: string[] = [];
  const printer = new FramePrinter();
  dev.tap = {
    seen: (_dev, _direction, pkt, off) => void lines.push(printer.frame(pkt.view, off, pkt.tail)),
  };
  return lines;
}

function run(): void {
  while (stack.run(now, 1000));
}

const routes = (): string[] =>
  host.fib
    .dump("main")
    .flatMap(({ dev, dst, scope, metric }) =>
      dev?.name.startsWith("cali") === true
        ? [`${formatPrefix(dst)} dev ${dev.name} scope ${scope} metric ${metric}`]
        : [],
    );

afterEach(() => {
  for (const name of pods.names()) pods.del(name, now);
  run();
  expect(pool.outstanding).toBe(0);
  expect(routes()).toEqual([]);
});

test("the pod asks who 169.254.1.1 is, and the host's end answers though nobody has that address", () => {
  const row = add("nginx", "192.168.18.64");
  expect(row).toMatchObject({
    ok: true,
    value: {
      ip: "192.168.18.64",
      hostDevice: "calic440f455693",
      gateway: "169.254.1.1",
      namespace: "default",
    },
  });
  // What Felix writes below /proc/sys.
  const knobs = ["proxy_arp", "forwarding", "rp_filter", "route_localnet"].map((key) =>
    host.sysctl.get(`net.ipv4.conf.calic440f455693.${key}`),
  );
  expect(knobs).toEqual(Array.from({ length: 4 }, () => ({ ok: true, value: "1" })));
  expect(host.sysctl.get("net.ipv4.neigh.calic440f455693.proxy_delay")).toEqual({ ok: true, value: "0" });
  const lines = capture(host.device("calic440f455693") as NetDevice);
  const echo = pods.netns("nginx")?.icmp.openEcho();
  echo?.sendEcho(ipv4("192.168.196.129"), 1, new Uint8Array(56), {}, now);
  run();
  expect(lines.slice(0, 3)).toEqual([
    "36:0c:1a:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Request who-has 169.254.1.1 tell 192.168.18.64, length 28",
    "ee:ee:ee:ee:ee:ee > 36:0c:1a:00:00:01, ethertype ARP (0x0806), length 42: Reply 169.254.1.1 is-at ee:ee:ee:ee:ee:ee, length 28",
    expect.stringContaining("192.168.18.64 > 192.168.196.129: ICMP echo request"),
  ]);
  echo?.close();
});

test("two pods of a node reach each other through the host, which has a route to each", () => {
  add("a", "192.168.18.64");
  add("b", "192.168.18.65");
  expect(routes().map((line) => line.replace(/cali\w+/, "cali"))).toEqual([
    "192.168.18.64/32 dev cali scope link metric 0",
    "192.168.18.65/32 dev cali scope link metric 0",
  ]);
  const echo = pods.netns("a")?.icmp.openEcho();
  echo?.sendEcho(ipv4("192.168.18.65"), 7, new Uint8Array(56), {}, now);
  run();
  expect(echo?.recv()).toMatchObject({ seq: 7, ttl: 63 });
  echo?.close();
});

test("a route that somebody deletes comes back, and a foreign one on a pod's device goes", () => {
  add("a", "192.168.18.64");
  const dev = host.device(pods.rows()[0]?.hostDevice ?? "") as NetDevice;
  host.delRoute({ dst: prefix("192.168.18.64/32") }, now);
  host.addRoute({ dst: prefix("192.168.99.9/32"), dev, scope: "link" }, now);
  expect(table.resync(now)).toEqual({ restored: 1, removed: 1 });
  expect(routes()).toEqual([`192.168.18.64/32 dev ${dev.name} scope link metric 0`]);
  expect(table.resync(now)).toEqual({ restored: 0, removed: 0 });
});

test.each([
  ["a name that is taken", "a", "192.168.18.70", 'the name "a" is taken by another pod of this node'],
  [
    "an address that is taken",
    "b",
    "192.168.18.64",
    /^route 192\.168\.18\.64 already exists on cali\w+: another pod/,
  ],
])("%s is refused, and leaves nothing", (_, pod, addr, error) => {
  add("a", "192.168.18.64");
  const before = [...host.devices()].length;
  expect(add(pod, addr)).toEqual({ ok: false, error: expect.stringMatching(error) });
  expect([...host.devices()]).toHaveLength(before);
});
