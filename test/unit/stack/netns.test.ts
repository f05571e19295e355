// Addresses, links and routes. What is expected is what Linux 6.18 answered to the same commands.
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../../src/base/assert.ts";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { formatIpv4, ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { Bridge } from "../../../src/stack/bridge.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { vethPair } from "../../../src/stack/veth.ts";
import { EtherType } from "../../../src/wire/ethernet.ts";
import { must, tearDown } from "../../support/host-router-host.ts";
import { IpScript } from "../../support/ip-script.ts";
import { TestWire } from "../../support/test-wire.ts";

interface Fixture {
  readonly stack: NetStack;
  readonly netns: Netns;
  readonly ip: IpScript;
}

/** v0 and v1, up; d0, down; no addresses. */
function fixture(): Fixture {
  const stack = new NetStack({ rng: new SeededRng(1), pool: new PacketPool(64, true) });
  const netns = stack.addNetns("n");
  for (const name of ["v0", "v1", "d0"]) {
    const dev = new TestWire(stack, name, mac("02:00:00:00:00:01"), 1500);
    netns.addDevice(dev);
    if (name !== "d0") netns.setLink(dev, true, 0);
  }
  return { stack, netns, ip: new IpScript(netns) };
}

function end({ stack }: Fixture): void {
  tearDown({ stack, now: 0 });
  expect(stack.pool.outstanding).toBe(0);
  expect(stack.timers.size).toBe(0);
}

describe("a new namespace", () => {
  test("has lo, up, with 127.0.0.1/8 and the routes that come with it", () => {
    const f = fixture();
    expect([f.netns.lo.name, f.netns.lo.ifindex, f.netns.lo.up]).toEqual(["lo", 1, true]);
    const rows = f.netns.fib
      .dump("local")
      .map((r) => `${r.type} ${formatIpv4(r.dst.addr)}/${r.dst.len} ${r.scope}`);
    expect(rows).toEqual([
      "local 127.0.0.0/8 host",
      "local 127.0.0.1/32 host",
      "broadcast 127.255.255.255/32 link",
    ]);
    expect(f.netns.fib.dump()).toEqual([]);
    expect(f.netns.isLocal(ipv4("127.9.9.9"))).toBe(true);
    expect(f.netns.isLocal(ipv4("10.0.0.1"))).toBe(false);
    end(f);
  });
});

describe("reception", () => {
  test("a tagged frame and an unknown protocol are named and dropped", () => {
    const f = fixture();
    const dev = f.netns.device("v0") as TestWire;
    dev.receiveFrame(new Uint8Array(46), 0, dev.mac, EtherType.VLAN);
    dev.receiveFrame(new Uint8Array(46), 0, dev.mac, EtherType.IPV6);
    expect(f.stack.drops.get(DropReason.VLAN_UNKNOWN)).toBe(1);
    expect(f.stack.drops.get(DropReason.UNHANDLED_PROTO)).toBe(1);
    end(f);
  });
});

describe("addresses", () => {
  test("bring local, broadcast and connected routes, and secondaries lean on their primary", () => {
    const f = fixture();
    f.ip.must(
      "addr add 10.0.0.1/24 dev v0",
      "addr add 10.0.0.2/24 dev v0",
      "addr add 10.1.0.1/31 dev v0",
      "addr add 10.2.0.0/32 dev v0",
      "addr add 10.3.0.1/24 brd + dev v0",
      "addr add 10.4.0.1/24 noprefixroute dev v0",
    );
    expect(f.ip.addresses("v0")).toEqual([
      "10.0.0.1/24 scope global",
      "10.1.0.1/31 scope global",
      "10.2.0.0/32 scope global",
      "10.3.0.1/24 brd 10.3.0.255 scope global",
      "10.4.0.1/24 scope global",
      "10.0.0.2/24 scope global secondary",
    ]);
    expect(f.ip.routes()).toEqual([
      "10.0.0.0/24 dev v0 proto kernel scope link src 10.0.0.1",
      "10.1.0.0/31 dev v0 proto kernel scope link src 10.1.0.1",
      "10.3.0.0/24 dev v0 proto kernel scope link src 10.3.0.1",
    ]);
    expect(f.ip.routes("local")).toEqual([
      "local 10.0.0.1 dev v0 proto kernel scope host src 10.0.0.1",
      "local 10.0.0.2 dev v0 proto kernel scope host src 10.0.0.1",
      "broadcast 10.0.0.255 dev v0 proto kernel scope link src 10.0.0.1",
      "local 10.1.0.1 dev v0 proto kernel scope host src 10.1.0.1",
      "local 10.2.0.0 dev v0 proto kernel scope host src 10.2.0.0",
      "local 10.3.0.1 dev v0 proto kernel scope host src 10.3.0.1",
      "broadcast 10.3.0.255 dev v0 proto kernel scope link src 10.3.0.1",
      "local 10.4.0.1 dev v0 proto kernel scope host src 10.4.0.1",
      "broadcast 10.4.0.255 dev v0 proto kernel scope link src 10.4.0.1",
    ]);
    expect(f.netns.isLocal(ipv4("10.0.0.2"))).toBe(true);
    expect(f.netns.isLocal(ipv4("10.0.0.255"))).toBe(false);
    end(f);
  });

  test("are refused twice, and missed when they are not there", () => {
    const f = fixture();
    f.ip.must("addr add 10.0.0.2/24 dev v0");
    expect(f.ip.run("addr add 10.0.0.2/24 dev v0")).toBe("Address already assigned");
    f.ip.must("addr add 10.0.0.2/25 dev v0", "addr add 10.0.0.2/24 dev v1");
    expect(f.ip.run("addr del 10.0.0.2/26 dev v0")).toBe("Address not found");
    expect(f.ip.run("addr del 10.0.0.2/25 dev v1")).toBe("Address not found");
    expect(f.ip.routes()).toEqual([
      "10.0.0.0/25 dev v0 proto kernel scope link src 10.0.0.2",
      "10.0.0.0/24 dev v0 proto kernel scope link src 10.0.0.2",
      "10.0.0.0/24 dev v1 proto kernel scope link src 10.0.0.2",
    ]);
    end(f);
  });

  test("deleting a primary takes its secondaries along, deleting a secondary nothing else", () => {
    const f = fixture();
    f.ip.must("addr add 10.9.0.1/24 dev v0");
    const before = [f.ip.routes(), f.ip.routes("local")];
    f.ip.must("addr add 10.0.0.1/24 dev v0", "addr add 10.0.0.2/24 dev v0", "addr add 10.0.0.3/24 dev v0");
    f.ip.must("addr del 10.0.0.3/24 dev v0");
    expect(f.ip.addresses("v0")).toHaveLength(3);
    f.ip.must("addr del 10.0.0.1/24 dev v0");
    expect(f.ip.addresses("v0")).toEqual(["10.9.0.1/24 scope global"]);
    expect([f.ip.routes(), f.ip.routes("local")]).toEqual(before);
    end(f);
  });

  test("a route deleted by hand does not come back with the next address", () => {
    const f = fixture();
    f.ip.must("addr add 10.0.0.1/24 dev v0", "route del 10.0.0.0/24", "addr add 10.1.0.1/24 dev v0");
    expect(f.ip.routes()).toEqual(["10.1.0.0/24 dev v0 proto kernel scope link src 10.1.0.1"]);
    end(f);
  });

  test("a broadcast address that another address still needs stays", () => {
    const f = fixture();
    f.ip.must(
      "addr add 10.0.0.1/24 dev v0",
      "addr add 10.0.0.129/25 dev v0",
      "addr del 10.0.0.129/25 dev v0",
    );
    expect(f.netns.fib.addrType(ipv4("10.0.0.255"))).toBe("broadcast");
    f.ip.must("addr add 10.9.0.1/24 dev v0", "addr del 10.0.0.1/24 dev v0");
    expect(f.netns.fib.addrType(ipv4("10.0.0.255"))).toBeUndefined();
    end(f);
  });

  test("the last address takes every route through the device along, local ones too", () => {
    const f = fixture();
    f.ip.must(
      "addr add 10.0.0.1/24 dev v0",
      "addr add 10.5.0.1/24 dev v1",
      "route add default via 10.0.0.9",
      "route add 10.8.0.0/16 dev v0",
      "route add local 10.7.0.0/16 dev v0",
      "route add 10.6.0.0/16 via 10.5.0.9",
      "addr del 10.0.0.1/24 dev v0",
    );
    expect(f.ip.routes()).toEqual([
      "10.5.0.0/24 dev v1 proto kernel scope link src 10.5.0.1",
      "10.6.0.0/16 via 10.5.0.9 dev v1",
    ]);
    expect(f.ip.routes("local").filter((line) => line.includes("v0"))).toEqual([]);
    end(f);
  });

  test("routes that prefer an address as source go with its last instance", () => {
    const f = fixture();
    f.ip.must(
      "addr add 10.0.0.1/24 dev v0",
      "addr add 10.5.0.1/24 dev v1",
      "addr add 10.5.0.1/25 dev v0",
      "route add 10.8.0.0/16 via 10.0.0.9 src 10.5.0.1",
      "addr del 10.5.0.1/25 dev v0",
    );
    expect(f.ip.routes()).toContain("10.8.0.0/16 via 10.0.0.9 dev v0 src 10.5.0.1");
    f.ip.must("addr del 10.5.0.1/24 dev v1");
    expect(f.ip.routes()).toEqual(["10.0.0.0/24 dev v0 proto kernel scope link src 10.0.0.1"]);
    end(f);
  });
});

describe("link down and up", () => {
  test("main-table routes and broadcasts go, local addresses stay; up brings back what addresses bring, no more", () => {
    const f = fixture();
    f.ip.must(
      "addr add 10.0.0.1/24 dev v0",
      "addr add 10.0.0.2/24 dev v0",
      "route add default via 10.0.0.9",
      "route add 10.8.0.0/16 dev v0",
      "route add local 10.7.0.0/16 dev v0",
      "route add blackhole 10.6.0.0/16",
    );
    const local = f.ip.routes("local");
    f.ip.must("link set v0 down");
    expect(f.ip.routes()).toEqual(["blackhole 10.6.0.0/16"]);
    expect(f.ip.routes("local")).toEqual(local.filter((line) => line.startsWith("local")));
    expect(f.ip.addresses("v0")).toHaveLength(2);
    expect(f.ip.get("10.0.0.2")).toBe("local 10.0.0.2 dev lo src 10.0.0.1");
    f.ip.must("link set v0 up");
    expect(f.ip.routes()).toEqual([
      "10.0.0.0/24 dev v0 proto kernel scope link src 10.0.0.1",
      "blackhole 10.6.0.0/16",
    ]);
    expect(f.ip.routes("local")).toEqual(local);
    end(f);
  });

  test("flannel.1: its routes and permanent neighbours vanish, the /32 stays, and up restores neither", () => {
    const f = fixture();
    const dev = f.netns.device("v0") as TestWire;
    f.ip.must(
      "addr add 10.244.1.0/32 dev v0",
      "route replace 10.244.2.0/24 via 10.244.2.0 dev v0 onlink",
      "route replace 10.244.3.0/24 via 10.244.3.0 dev v0 onlink",
    );
    const spec = { dev, ip: ipv4("10.244.2.0"), mac: mac("02:00:00:00:00:02"), state: "PERMANENT" } as const;
    must(f.netns.neigh.replace(spec, 0));
    f.ip.must("link set v0 down", "link set v0 up");
    expect(f.ip.routes()).toEqual([]);
    expect(f.netns.neigh.dump("all")).toEqual([]);
    expect(f.ip.addresses("v0")).toEqual(["10.244.1.0/32 scope global"]);
    expect(f.netns.isLocal(ipv4("10.244.1.0"))).toBe(true);
    end(f);
  });

  test("an address on a device that is down is ours already, and connected once it is up", () => {
    const f = fixture();
    f.ip.must("addr add 10.0.0.1/24 dev d0");
    expect(f.ip.routes()).toEqual([]);
    expect(f.netns.isLocal(ipv4("10.0.0.1"))).toBe(true);
    f.ip.must("link set d0 up");
    expect(f.ip.routes()).toEqual(["10.0.0.0/24 dev d0 proto kernel scope link src 10.0.0.1"]);
    end(f);
  });
});

describe("routes", () => {
  /** v0 has 10.0.0.1/24. */
  function routed(): Fixture {
    const f = fixture();
    f.ip.must("addr add 10.0.0.1/24 dev v0");
    return f;
  }

  const REFUSALS: readonly (readonly [string, string])[] = [
    ["route add 10.9.0.0/24 via 10.99.0.1", "Nexthop has invalid gateway"],
    ["route add 10.9.0.0/24 via 10.0.0.9 dev v1", "Nexthop has invalid gateway"],
    ["route add 10.9.0.0/24 via 10.0.0.9 dev d0", "Nexthop has invalid gateway"],
    ["route add 10.9.0.0/24 via 10.0.0.255", "Nexthop has invalid gateway"],
    ["route add 10.9.0.0/24 via 10.0.0.9 scope link", "Nexthop has invalid gateway"],
    ["route add 10.9.0.0/24 via 10.0.0.1 dev v0 onlink", "Nexthop has invalid gateway"],
    ["route add 10.9.0.0/24 via 127.0.0.1 dev v0 onlink", "Nexthop has invalid gateway"],
    ["route add 10.9.0.0/24 via 10.0.0.255 dev v0 onlink", "Nexthop has invalid gateway"],
    ["route add 10.9.0.0/24 via 224.0.0.1 dev v0 onlink", "Nexthop has invalid gateway"],
    ["route add 10.9.0.0/24 via 11.0.0.9 onlink", "Nexthop device required for onlink"],
    ["route add 10.9.0.0/24 via 10.0.0.9 dev d0 onlink", "Nexthop device is not up"],
    ["route add 10.9.0.0/24 via 11.0.0.9 dev v0 onlink scope link", "Nexthop has invalid scope"],
    ["route add 10.9.0.0/24 via 10.0.0.9 scope host", "Route with host scope can not have a gateway"],
    ["route add 10.9.0.0/24 dev d0", "Device for nexthop is not up"],
    ["route add 10.9.0.1/24 dev v0", "Invalid prefix for given prefix length"],
    ["route add 10.9.0.0/24 dev v0 src 9.9.9.9", "Invalid prefsrc address"],
    [
      "route add blackhole 10.9.0.0/24 dev v0",
      "Gateway, device and multipath can not be specified for this route type",
    ],
    ["route add 10.0.0.0/24 dev v0", "File exists"],
    ["route del 10.9.0.0/24", "No such process"],
    // Linux takes this one, and means "on the link of v0" by it.
    ["route add 10.9.0.0/24 via 10.0.0.1", "Nexthop has invalid gateway"],
  ];
  for (const [line, complaint] of REFUSALS) {
    test(line, () => {
      const f = routed();
      const before = f.ip.routes();
      expect(f.ip.run(line)).toBe(complaint);
      expect(f.ip.routes()).toEqual(before);
      end(f);
    });
  }

  test("a device of another namespace cannot be named", () => {
    const f = routed();
    const other = f.stack.addNetns("other");
    const spec = { dst: prefix("10.9.0.0/24"), dev: f.netns.device("v0") };
    expect(other.addRoute(spec, 0)).toEqual({ ok: false, error: 'Cannot find device "v0"' });
    end(f);
  });

  test("the gateway's device is found, by metric too, and routes come in the kernel's order", () => {
    const f = routed();
    f.ip.must(
      "route add 10.0.0.0/8 via 10.0.0.9",
      "route add default via 10.0.0.9",
      "route add 10.0.0.0/16 via 10.0.0.9 metric 5",
      "route add 10.0.0.0/16 via 10.0.0.8",
      "route add 10.9.8.0/24 via 11.0.0.9 dev v0 onlink",
      "route add prohibit 10.9.9.0/24",
    );
    expect(f.ip.routes()).toEqual([
      "default via 10.0.0.9 dev v0",
      "10.0.0.0/24 dev v0 proto kernel scope link src 10.0.0.1",
      "10.0.0.0/16 via 10.0.0.8 dev v0",
      "10.0.0.0/16 via 10.0.0.9 dev v0 metric 5",
      "10.0.0.0/8 via 10.0.0.9 dev v0",
      "10.9.8.0/24 via 11.0.0.9 dev v0 onlink",
      "prohibit 10.9.9.0/24",
    ]);
    end(f);
  });

  test("replace puts a route in the place of the one with its destination and metric, whatever its kind", () => {
    const f = routed();
    f.ip.must(
      "route add 10.9.0.0/24 via 10.0.0.9",
      "route add 10.9.0.0/24 via 10.0.0.8 metric 5",
      "route replace 10.9.0.0/24 via 11.0.0.9 dev v0 onlink",
      "route replace unreachable 10.9.0.0/24 metric 5",
      "route replace 10.9.1.0/24 dev v1",
    );
    expect(f.ip.routes().slice(1)).toEqual([
      "10.9.0.0/24 via 11.0.0.9 dev v0 onlink",
      "unreachable 10.9.0.0/24 metric 5",
      "10.9.1.0/24 dev v1 scope link",
    ]);
    end(f);
  });

  test("del means the first route that agrees in all that is said", () => {
    const f = routed();
    f.ip.must(
      "route add 10.9.0.0/24 via 10.0.0.9",
      "route add 10.9.0.0/24 via 10.0.0.8 metric 5",
      "route add 10.9.0.0/24 via 10.0.0.9 metric 7",
    );
    expect(f.ip.run("route del 10.9.0.0/24 via 10.0.0.8 dev v1")).toBe("No such process");
    expect(f.ip.run("route del 10.9.0.0/24 metric 6")).toBe("No such process");
    f.ip.must("route del 10.9.0.0/24 via 10.0.0.8", "route del 10.9.0.0/24");
    expect(f.ip.routes().slice(1)).toEqual(["10.9.0.0/24 via 10.0.0.9 dev v0 metric 7"]);
    end(f);
  });
});

describe("source selection", () => {
  test("the route's, else one of the next hop's subnet, else the device's first, else any global one", () => {
    const f = fixture();
    f.ip.must(
      "addr add 10.0.0.1/24 dev v0",
      "addr add 10.1.0.1/24 dev v0",
      "addr add 10.1.0.2/24 dev v0",
      "route add 10.5.0.0/16 via 10.1.0.9",
      "route add 10.6.0.0/16 via 10.1.0.9 src 10.1.0.2",
      "route add 10.7.0.0/16 dev v0",
      "route add 10.8.0.0/16 dev v1",
      "route add 10.4.0.0/16 via 11.0.0.1 dev v0 onlink",
    );
    expect(f.ip.get("10.1.0.77")).toBe("10.1.0.77 dev v0 src 10.1.0.1");
    expect(f.ip.get("10.5.0.1")).toBe("10.5.0.1 via 10.1.0.9 dev v0 src 10.1.0.1");
    expect(f.ip.get("10.6.0.1")).toBe("10.6.0.1 via 10.1.0.9 dev v0 src 10.1.0.2");
    expect(f.ip.get("10.7.0.1")).toBe("10.7.0.1 dev v0 src 10.0.0.1");
    expect(f.ip.get("10.8.0.1")).toBe("10.8.0.1 dev v1 src 10.0.0.1");
    expect(f.ip.get("10.4.0.1")).toBe("10.4.0.1 via 11.0.0.1 dev v0 src 10.0.0.1");
    expect(f.ip.get("10.1.0.255")).toBe("broadcast 10.1.0.255 dev v0 src 10.1.0.1");
    expect(f.ip.get("127.0.0.9")).toBe("local 127.0.0.9 dev lo src 127.0.0.1");
    end(f);
  });

  test("none at all is 0", () => {
    const f = fixture();
    f.ip.must("route add 10.8.0.0/16 dev v1");
    expect(f.ip.get("10.8.0.1")).toBe("10.8.0.1 dev v1 src 0.0.0.0");
    end(f);
  });
});

describe("devices", () => {
  test("names are unique, indexes are never used again, and a device has one home", () => {
    const f = fixture();
    const wire = (name: string) => new TestWire(f.stack, name, mac("02:00:00:00:00:05"), 1500);
    expect(() => f.netns.addDevice(wire("v0"))).toThrow(AssertionError);
    const d0 = f.netns.device("d0") as TestWire;
    expect(() => f.netns.addDevice(d0)).toThrow(AssertionError);
    const index = d0.ifindex;
    f.netns.delDevice(d0, 0);
    expect(f.netns.deviceByIndex(index)).toBeUndefined();
    const next = wire("d0");
    f.netns.addDevice(next);
    expect(next.ifindex).toBe(index + 1);
    expect(f.netns.deviceByIndex(index + 1)).toBe(next);
    expect([...f.netns.devices()].map((dev) => dev.name)).toEqual(["lo", "v0", "v1", "d0"]);
    end(f);
  });

  test("deleting one takes its addresses, routes and neighbours along", () => {
    const f = fixture();
    f.ip.must("addr add 10.0.0.1/24 dev v0", "route add default via 10.0.0.9");
    const dev = f.netns.device("v0") as TestWire;
    f.netns.arp.request(dev, ipv4("10.0.0.9"), 0);
    f.netns.delDevice(dev, 0);
    expect(f.ip.routes()).toEqual([]);
    expect(f.ip.routes("local")).toEqual([]);
    expect([dev.home, dev.upper, dev.up]).toEqual([undefined, undefined, false]);
    end(f);
  });

  test("a moved one arrives down, without addresses, as a port of nothing", () => {
    const f = fixture();
    const other = f.stack.addNetns("other");
    const bridge = new Bridge(f.stack, "br0", mac("02:00:00:00:00:0b"), 1500);
    f.netns.addDevice(bridge);
    const dev = f.netns.device("v0") as TestWire;
    f.ip.must("addr add 10.0.0.1/24 dev v0");
    bridge.addPort(dev, 0);
    f.netns.moveDevice(dev, other, 0);
    expect([dev.home, dev.upper, dev.up, dev.master]).toEqual([other, other, false, undefined]);
    expect(f.netns.device("v0")).toBeUndefined();
    expect(other.device("v0")).toBe(dev);
    expect(other.addresses(dev)).toEqual([]);
    expect(f.netns.isLocal(ipv4("10.0.0.1"))).toBe(false);
    end(f);
  });

  test("the peer of a veth goes with it, wherever it lives", () => {
    const f = fixture();
    const other = f.stack.addNetns("other");
    const [a, b] = vethPair(f.stack, "a", "b", mac("02:00:00:00:00:0a"), mac("02:00:00:00:00:0b"), 1500);
    const [c, d] = vethPair(f.stack, "c", "d", mac("02:00:00:00:00:0c"), mac("02:00:00:00:00:0d"), 1500);
    f.netns.addDevice(a);
    other.addDevice(b);
    f.netns.addDevice(c);
    f.netns.addDevice(d);
    must(other.addAddress(b, { addr: ipv4("10.0.0.1"), len: 24 }, 0));
    f.netns.delDevice(a, 0);
    expect(other.device("b")).toBeUndefined();
    expect(other.isLocal(ipv4("10.0.0.1"))).toBe(false);
    f.netns.delDevice(d, 0);
    expect(f.netns.device("c")).toBeUndefined();
    end(f);
  });
});
