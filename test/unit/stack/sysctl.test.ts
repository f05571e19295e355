import { describe, expect, test } from "vitest";
import { SeededRng } from "../../../src/base/rng.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import { TestWire } from "../../support/test-wire.ts";

function fixture(): { netns: Netns; a: TestWire; b: TestWire; add: (name: string) => TestWire } {
  const stack = new NetStack({ rng: new SeededRng(1) });
  const netns = stack.addNetns("n");
  const add = (name: string) => {
    const dev = new TestWire(stack, name, 1, 1500);
    netns.addDevice(dev);
    return dev;
  };
  return { netns, a: add("a"), b: add("flannel.1"), add };
}

const OK = { ok: true, value: undefined };

describe("net.ipv4.conf", () => {
  test("ip_forward is all.forwarding: it writes every device, the default, and those to come", () => {
    const { netns, a, b, add } = fixture();
    const { sysctl } = netns;
    expect(sysctl.conf(a).forwarding).toBe(false);
    expect(sysctl.set("net.ipv4.ip_forward", "1")).toEqual(OK);
    expect([sysctl.conf(a).forwarding, sysctl.conf(b).forwarding, sysctl.ipForward]).toEqual([
      true,
      true,
      true,
    ]);
    expect(sysctl.conf(add("later")).forwarding).toBe(true);
    expect(sysctl.set("net.ipv4.conf.a.forwarding", "0")).toEqual(OK);
    expect([sysctl.conf(a).forwarding, sysctl.conf(b).forwarding, sysctl.ipForward]).toEqual([
      false,
      true,
      true,
    ]);
    expect(sysctl.get("net.ipv4.conf.all.forwarding")).toEqual({ ok: true, value: "1" });
    sysctl.ipForward = false;
    expect(sysctl.get("net.ipv4.conf.flannel.1.forwarding")).toEqual({ ok: true, value: "0" });
  });

  test("each key combines with all as Linux combines it", () => {
    const { netns, a, b } = fixture();
    const { sysctl } = netns;
    sysctl.set("net.ipv4.conf.a.rp_filter", "2");
    sysctl.set("net.ipv4.conf.all.rp_filter", "1");
    expect([sysctl.conf(a).rpFilter, sysctl.conf(b).rpFilter]).toEqual([2, 1]);
    sysctl.set("net.ipv4.conf.a.proxy_arp", "1");
    expect([sysctl.conf(a).proxyArp, sysctl.conf(b).proxyArp]).toEqual([true, false]);
    sysctl.set("net.ipv4.conf.all.proxy_arp", "1");
    sysctl.set("net.ipv4.conf.a.proxy_arp", "0");
    expect([sysctl.conf(a).proxyArp, sysctl.conf(b).proxyArp]).toEqual([true, true]);
    expect(sysctl.get("net.ipv4.conf.a.proxy_arp")).toEqual({ ok: true, value: "0" });
    for (const key of ["accept_local", "route_localnet", "arp_notify", "arp_accept"]) {
      expect(sysctl.set(`net.ipv4.conf.all.${key}`, "1")).toEqual(OK);
    }
    const { acceptLocal, routeLocalnet, arpNotify, arpAccept } = sysctl.conf(a);
    expect([acceptLocal, routeLocalnet, arpNotify, arpAccept]).toEqual([true, true, true, true]);
  });

  test("default is for devices to come, and a device's values go with it", () => {
    const { netns, a, add } = fixture();
    const { sysctl } = netns;
    sysctl.set("net.ipv4.conf.default.rp_filter", "1");
    expect(sysctl.conf(a).rpFilter).toBe(0);
    const late = add("late");
    expect(sysctl.conf(late).rpFilter).toBe(1);
    sysctl.set("net.ipv4.conf.late.rp_filter", "2");
    netns.delDevice(late, 0);
    expect(sysctl.get("net.ipv4.conf.late.rp_filter").ok).toBe(false);
    expect(sysctl.conf(add("late")).rpFilter).toBe(1);
  });

  test("a device of another namespace has the defaults here", () => {
    const { netns } = fixture();
    const other = fixture();
    other.netns.sysctl.ipForward = true;
    expect(netns.sysctl.conf(other.a).forwarding).toBe(false);
  });
});

describe("names and values", () => {
  test("dots and slashes are the same, and a device may have dots of its own", () => {
    const { netns } = fixture();
    for (const name of ["net.ipv4.conf.flannel.1.rp_filter", "net/ipv4/conf/flannel.1/rp_filter"]) {
      expect(netns.sysctl.set(name, "0")).toEqual(OK);
    }
    expect(netns.sysctl.set("net.ipv4.conf.flannel/1.rp_filter", "1")).toEqual(OK);
    expect(netns.sysctl.get("net.ipv4.conf.flannel.1.rp_filter")).toEqual({ ok: true, value: "1" });
  });

  test("what there is not, and what the kernel would refuse", () => {
    const { sysctl } = fixture().netns;
    const missing = { ok: false, error: "No such file or directory" };
    const invalid = { ok: false, error: "Invalid argument" };
    for (const name of [
      "net.ipv4.nonsense",
      "net.ipv4.conf.nodev.forwarding",
      "net.ipv4.conf.a.toString",
      "net.ipv4.neigh.a.constructor",
      "net.ipv4.neigh.a.gc_thresh1",
      "kernel.hostname",
      "toString",
      "__proto__",
    ]) {
      expect(sysctl.set(name, "1")).toEqual(missing);
      expect(sysctl.get(name)).toEqual(missing);
    }
    for (const [name, value] of [
      ["net.ipv4.ip_default_ttl", "0"],
      ["net.ipv4.ip_default_ttl", "256"],
      ["net.ipv4.ip_forward", "yes"],
      ["net.ipv4.ip_forward", ""],
      ["net.ipv4.ip_forward", "1.5"],
      ["net.ipv4.conf.a.rp_filter", "3"],
      ["net.ipv4.ip_local_port_range", "60000 50000"],
      ["net.ipv4.ip_local_port_range", "0 70000"],
      ["net.ipv4.ip_local_port_range", "1024"],
    ] as const) {
      expect(sysctl.set(name, value)).toEqual(invalid);
    }
  });

  test("what is written is read, and is where the layers look", () => {
    const { netns, a } = fixture();
    const { sysctl } = netns;
    for (const [name, value] of [
      ["net.ipv4.ip_default_ttl", "99"],
      ["net.ipv4.icmp_ratelimit", "0"],
      ["net.ipv4.icmp_echo_ignore_all", "1"],
      ["net.ipv4.ipfrag_time", "5"],
      ["net.ipv4.neigh.default.gc_thresh3", "77"],
      ["net.ipv4.neigh.a.base_reachable_time_ms", "1500"],
      ["net.ipv4.neigh.a.delay_first_probe_time", "2"],
      ["net.ipv4.neigh.a.proxy_delay", "7"],
      ["net.ipv4.neigh.a.unres_qlen", "9"],
    ] as const) {
      expect(sysctl.set(name, value)).toEqual(OK);
      expect(sysctl.get(name)).toEqual({ ok: true, value });
    }
    expect(sysctl.set("net.ipv4.ip_local_port_range", "1024 2048")).toEqual(OK);
    expect(sysctl.get("net.ipv4.ip_local_port_range")).toEqual({ ok: true, value: "1024\t2048" });
    expect([sysctl.ipDefaultTtl, sysctl.icmpRatelimitMs, sysctl.icmpEchoIgnoreAll]).toEqual([99, 0, true]);
    expect([sysctl.ipfragTimeSec, sysctl.gcThresh3, sysctl.ipLocalPortMax]).toEqual([5, 77, 2048]);
    const parms = sysctl.neigh(a);
    expect([parms.baseReachableUs, parms.delayFirstProbeUs, parms.proxyDelayUs, parms.unresQlen]).toEqual([
      1_500_000, 2_000_000, 70_000, 9,
    ]);
  });

  test("a changed base reachable time is rolled at once", () => {
    const { netns, a } = fixture();
    const parms = netns.sysctl.neigh(a);
    const rng = new SeededRng(5);
    parms.roll(0, rng);
    const first = parms.reachableUs;
    parms.roll(1, rng);
    expect(parms.reachableUs).toBe(first);
    netns.sysctl.set("net.ipv4.neigh.a.base_reachable_time", "1000");
    parms.roll(2, rng);
    expect(parms.reachableUs).toBeGreaterThanOrEqual(500_000_000);
  });
});
