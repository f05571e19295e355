// What becomes of neighbours when a wire is cut or an address changes. What is expected is what Linux 6.18 answered to the
// same commands.
import { afterEach, expect, test } from "vitest";
import { formatIpv4, ipv4 } from "../../../src/base/ipv4-addr.ts";
import { formatMac, mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { Bridge } from "../../../src/stack/bridge.ts";
import type { NetDevice } from "../../../src/stack/net-device.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { vethPair } from "../../../src/stack/veth.ts";
import * as arp from "../../../src/wire/arp.ts";
import * as ethernet from "../../../src/wire/ethernet.ts";
import { must, tearDown } from "../../support/host-router-host.ts";
import { IpScript } from "../../support/ip-script.ts";
import { TestWire } from "../../support/test-wire.ts";

const pool = new PacketPool(64, true);

/** e0, up, in one namespace, its peer p0, up, in another; 10.9.0.1/24 on e0. */
function setup() {
  const stack = new NetStack({ rng: new SeededRng(1), pool });
  const here = stack.addNetns("here");
  const there = stack.addNetns("there");
  const [e0, p0] = vethPair(stack, "e0", "p0", mac("02:00:00:00:00:0e"), mac("02:00:00:00:00:0f"), 1500);
  here.addDevice(e0);
  there.addDevice(p0);
  here.setLink(e0, true, 0);
  there.setLink(p0, true, 0);
  must(here.addAddress(e0, { addr: ipv4("10.9.0.1"), len: 24 }, 0));
  return { stack, here, there, e0, p0 };
}

/** One entry of each kind: set by hand, found out, and without need of asking. */
function acquaint(netns: Netns, dev: NetDevice): void {
  for (const [last, state] of [
    [5, "PERMANENT"],
    [6, "REACHABLE"],
    [8, "NOARP"],
  ] as const) {
    const ip = ipv4(`10.9.0.${last}`);
    must(netns.neigh.replace({ dev, ip, mac: mac(`02:00:00:00:00:0${last}`), state }, 0));
  }
}

function neighbours(netns: Netns): string[] {
  return netns.neigh.dump("all").map((entry) => `${formatIpv4(entry.ip)} ${entry.state}`);
}

afterEach(() => expect(pool.outstanding).toBe(0));

test("a veth whose peer goes down forgets whom it had found out, not whom it was told of; its routes stay", () => {
  const { stack, here, there, e0, p0 } = setup();
  acquaint(here, e0);
  here.arp.request(e0, ipv4("10.9.0.7"), 0);
  there.setLink(p0, false, 0);
  expect(neighbours(here)).toEqual(["10.9.0.5 PERMANENT"]);
  expect(new IpScript(here).routes()).toEqual(["10.9.0.0/24 dev e0 proto kernel scope link src 10.9.0.1"]);
  there.setLink(p0, true, 0);
  expect(neighbours(here)).toEqual(["10.9.0.5 PERMANENT"]);
  tearDown({ stack, now: 0 });
});

test("what changes without a loss of carrier leaves the neighbours alone", () => {
  const { stack, here, there, e0, p0 } = setup();
  acquaint(here, e0);
  const before = neighbours(here);
  e0.setMtu(1400, 0);
  p0.setMtu(1400, 0);
  p0.setMac(mac("02:00:00:00:00:1f"), 0);
  there.setLink(p0, true, 0);
  expect(neighbours(here)).toEqual(before);
  tearDown({ stack, now: 0 });
});

test("a bridge loses its carrier, and its neighbours, with the last of its ports", () => {
  const { stack, here, there, e0, p0 } = setup();
  const [e1, p1] = vethPair(stack, "e1", "p1", mac("02:00:00:00:00:1e"), mac("02:00:00:00:00:1f"), 1500);
  here.addDevice(e1);
  there.addDevice(p1);
  const br0 = new Bridge(stack, "br0", mac("02:00:00:00:00:0b"));
  there.addDevice(br0);
  for (const [netns, dev] of [
    [here, e1],
    [there, p1],
    [there, br0],
  ] as const) {
    netns.setLink(dev, true, 0);
  }
  must(br0.addPort(p0, 0));
  must(br0.addPort(p1, 0));
  must(there.addAddress(br0, { addr: ipv4("10.9.0.2"), len: 24 }, 0));
  // Otherwise the address would change with the ports.
  br0.setMac(br0.mac, 0);
  acquaint(there, br0);
  here.setLink(e0, false, 0);
  expect(neighbours(there)).toEqual(["10.9.0.5 PERMANENT", "10.9.0.6 REACHABLE", "10.9.0.8 NOARP"]);
  here.setLink(e1, false, 0);
  expect(neighbours(there)).toEqual(["10.9.0.5 PERMANENT"]);
  // Nor is the last port's leaving anything but a loss of carrier.
  here.setLink(e1, true, 0);
  acquaint(there, br0);
  br0.delPort(p0, 0);
  expect(neighbours(there)).toHaveLength(3);
  br0.delPort(p1, 0);
  expect(neighbours(there)).toEqual(["10.9.0.5 PERMANENT"]);
  tearDown({ stack, now: 0 });
});

test("a new link-layer address takes every neighbour along, permanent ones too, even when it is the old one", () => {
  const { stack, here, e0 } = setup();
  for (const address of ["02:00:00:00:00:99", "02:00:00:00:00:99"]) {
    acquaint(here, e0);
    e0.setMac(mac(address), 0);
    expect(neighbours(here)).toEqual([]);
  }
  tearDown({ stack, now: 0 });
});

test("a bridge that takes its address from another port forgets its neighbours as well", () => {
  const { stack, here, there, p0 } = setup();
  const br0 = new Bridge(stack, "br0", mac("02:00:00:00:00:0b"));
  there.addDevice(br0);
  there.setLink(br0, true, 0);
  must(br0.addPort(p0, 0));
  must(there.addAddress(br0, { addr: ipv4("10.9.0.2"), len: 24 }, 0));
  acquaint(there, br0);
  const higher = new TestWire(stack, "t1", mac("02:00:00:00:00:ff"), 1500);
  const lower = new TestWire(stack, "t2", mac("02:00:00:00:00:01"), 1500);
  for (const dev of [higher, lower]) there.addDevice(dev);
  must(br0.addPort(higher, 0));
  expect(neighbours(there)).toHaveLength(3);
  must(br0.addPort(lower, 0));
  expect([formatMac(br0.mac), neighbours(there)]).toEqual(["02:00:00:00:00:01", []]);
  expect(neighbours(here)).toEqual([]);
  tearDown({ stack, now: 0 });
});

test("with arp_notify a new address is announced; without it, or while the device is down, it is not", () => {
  const stack = new NetStack({ rng: new SeededRng(1), pool });
  const netns = stack.addNetns("n");
  const dev = new TestWire(stack, "t0", mac("02:00:00:00:00:01"), 1500);
  netns.addDevice(dev);
  must(netns.addAddress(dev, { addr: ipv4("10.9.0.1"), len: 24 }, 0));
  netns.setLink(dev, true, 0);
  dev.setMac(mac("02:00:00:00:00:02"), 0);
  expect(dev.sent).toEqual([]);
  must(netns.sysctl.set("net.ipv4.conf.t0.arp_notify", "1"));
  netns.setLink(dev, false, 0);
  dev.setMac(mac("02:00:00:00:00:03"), 0);
  expect([dev.sent, dev.stats.txDropped]).toEqual([[], 0]);
  netns.setLink(dev, true, 0);
  dev.sent.length = 0;
  dev.setMac(mac("02:00:00:00:00:98"), 0);
  expect(dev.sent).toHaveLength(1);
  const view = new DataView((dev.sent[0] as Uint8Array<ArrayBuffer>).buffer);
  const at = ethernet.HEADER_LEN;
  expect([
    formatMac(ethernet.dst(view, 0)),
    formatMac(arp.senderMac(view, at)),
    formatIpv4(arp.senderIp(view, at)),
    formatIpv4(arp.targetIp(view, at)),
  ]).toEqual(["ff:ff:ff:ff:ff:ff", "02:00:00:00:00:98", "10.9.0.1", "10.9.0.1"]);
  tearDown({ stack, now: 0 });
});
