// What somebody does to a node behind the backs of Felix and BIRD, with the commands of the console, and when they put it right.
import { beforeEach, expect, test } from "vitest";
import type { Felix } from "../../../../src/agent/calico/felix/felix.ts";
import { ipv4, prefix } from "../../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../../src/base/rng.ts";
import { type Instant, MS_US, SEC_US } from "../../../../src/base/time.ts";
import { parseCommand } from "../../../../src/console/command.ts";
import type { Netns } from "../../../../src/stack/netns.ts";
import { FelixScene } from "../../../support/felix-scene.ts";

const TUNNEL = ipv4("192.168.1.0");

let now: Instant;
let host: Netns;
let felix: Felix;
let logs: string[];

beforeEach(() => {
  now = 1_000_000;
  const scene = new FelixScene(now);
  ({ host, felix, logs } = scene);
  felix.setVxlanTunnel(TUNNEL, now);
  scene.openVxlan(4789, now);
  felix.completeDeferredWork(now);
  felix.tick(now);
  felix.completeDeferredWork(now);
});

/** A command in the node's namespace; it must succeed. @returns what it prints */
function sh(line: string): string {
  const cx = { netns: host, hostname: "a", files: () => undefined, rng: new SeededRng(3) };
  const command = parseCommand(line.split(" "), cx);
  if (!command.ok) throw new Error(command.error.message);
  command.value.start(now);
  let text = "";
  for (let piece = command.value.poll(); piece !== undefined; piece = command.value.poll())
    text += piece.text;
  if (command.value.exitCode !== 0) throw new Error(text);
  return text;
}
/** A turn of the agent, as far as Felix is concerned. */
function turn(at: Instant): void {
  now = at;
  if (felix.nextDeadline() > now) return;
  felix.tick(now);
  felix.completeDeferredWork(now);
}
const warnings = (): string[] => logs.filter((line) => line.startsWith("warn"));

test("where nobody has changed anything, nobody looks before the refresh", () => {
  turn(2 * SEC_US);
  turn(10 * SEC_US);
  now = 1_000_000;
  expect(felix.nextDeadline()).toBe(now + 90 * SEC_US);
});

test("a route of BIRD's is back with its next scan, every two seconds", () => {
  const hop = { via: ipv4("10.20.0.6"), dev: "eth0", onlink: false };
  felix.kernelRoute({
    t: "replace",
    route: { dst: prefix("192.168.9.0/26"), type: "unicast", nextHops: [hop] },
  });
  felix.completeDeferredWork(now);
  const line = "192.168.9.0/26 via 10.20.0.6 dev eth0 proto bird \n";
  expect(sh("ip route show 192.168.9.0/26")).toBe(line);
  sh("ip route del 192.168.9.0/26");
  turn(now);
  turn(2 * SEC_US - 1);
  expect(sh("ip route show 192.168.9.0/26")).toBe("");
  turn(2 * SEC_US);
  expect(sh("ip route show 192.168.9.0/26")).toBe(line);
  expect(warnings()).toEqual(["warn: kernel scan: 1 restored, 0 foreign ones removed"]);
  // Felix's own come with the refresh alone; and what is as it should be wakes nobody.
  sh("ip route add 192.168.77.0/26 via 10.20.0.6 proto bird");
  sh("ip route del 192.168.2.0/26");
  turn(now);
  turn(4 * SEC_US);
  expect(sh("ip route show proto bird")).toBe("192.168.9.0/26 via 10.20.0.6 dev eth0 \n");
  expect(sh("ip route show 192.168.2.0/26")).toBe("");
  for (let at = now; at <= 91 * SEC_US; at += 100 * MS_US) turn(at);
  expect(sh("ip route show 192.168.2.0/26")).toContain("via 192.168.2.0 dev vxlan.calico proto 80 onlink");
  expect(felix.nextDeadline()).toBe(now + 90 * SEC_US);
});

test("the VTEP's neighbours and forwarding entries are back with the route refresh", () => {
  const neigh = sh("ip neigh show dev vxlan.calico");
  const fdb = sh("bridge fdb show dev vxlan.calico");
  expect(neigh).toMatch(/^192\.168\.2\.0 lladdr 66:.* PERMANENT \n$/);
  expect(fdb).toMatch(/^66:.* dst 10\.20\.0\.6 self permanent\n$/);
  sh("ip neigh del 192.168.2.0 dev vxlan.calico");
  sh(`bridge fdb del ${fdb.slice(0, 17)} dev vxlan.calico`);
  turn(91 * SEC_US - 1);
  expect(sh("ip neigh show dev vxlan.calico") + sh("bridge fdb show dev vxlan.calico")).toBe("");
  turn(91 * SEC_US);
  expect(sh("ip neigh show dev vxlan.calico") + sh("bridge fdb show dev vxlan.calico")).toBe(neigh + fdb);
});

test("a VTEP that is set down is up within ten seconds, and has all that it lost", () => {
  const lines = () =>
    ["ip route", "ip neigh", "bridge fdb", "ip -br link show vxlan.calico", "ip -4 addr"].map(sh).join("");
  const before = lines();
  expect(before).toContain("192.168.2.0/26 via 192.168.2.0 dev vxlan.calico");
  sh("ip link set vxlan.calico down mtu 1300");
  turn(now);
  turn(9 * SEC_US);
  const broken = lines();
  expect(broken).not.toContain("192.168.2.0/26");
  expect(broken).toContain("vxlan.calico     DOWN");
  turn(10 * SEC_US);
  expect(lines()).toBe(before);
  // By hand it takes no time: Felix hears of it.
  sh("ip link set vxlan.calico down");
  turn(11 * SEC_US);
  sh("ip link set vxlan.calico up");
  expect(lines()).not.toBe(before);
  turn(now);
  expect(lines()).toBe(before);
});

test("an address of the tunnel that is deleted is back with the next look", () => {
  const before = sh("ip -4 addr show dev vxlan.calico") + sh("ip route");
  sh("ip addr flush dev vxlan.calico");
  turn(now);
  expect(sh("ip route")).not.toContain("vxlan.calico");
  for (let at = now; at <= 91 * SEC_US; at += 500 * MS_US) turn(at);
  expect(sh("ip -4 addr show dev vxlan.calico") + sh("ip route")).toBe(before);
});

test("what is gone already can be given up", () => {
  sh("ip route flush table main");
  sh("ip neigh flush all nud permanent");
  sh("ip link set vxlan.calico down");
  turn(now);
  felix.setVxlanTunnel(undefined, now);
  felix.completeDeferredWork(now);
  turn(100 * SEC_US);
  expect(host.device("vxlan.calico")).toBeUndefined();
});
