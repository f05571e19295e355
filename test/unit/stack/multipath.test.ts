// Routes with several next hops: which of them packets take, and what becomes of them when devices come and go.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { formatIpv4, ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { must } from "../../support/host-router-host.ts";
import { IpScript } from "../../support/ip-script.ts";
import { ipPacket, TestWire } from "../../support/test-wire.ts";

const now = 1_000_000;
const FAR = "10.20.1.0/26";

/** A router: `in` to the senders, e0 and e1 to a gateway each. */
class Router {
  readonly stack = new NetStack({ rng: new SeededRng(3), pool: new PacketPool(600, true) });
  readonly netns: Netns;
  readonly ip: IpScript;
  readonly wires: { readonly [name: string]: TestWire };

  constructor() {
    this.netns = this.stack.addNetns("r");
    this.netns.sysctl.ipForward = true;
    this.ip = new IpScript(this.netns);
    this.wires = Object.fromEntries(
      ["in", "e0", "e1"].map((name, i) => {
        const wire = new TestWire(this.stack, name, mac("02:00:00:00:00:01") + i, 1500);
        this.netns.addDevice(wire);
        this.ip.must(`link set ${name} up`, `addr add 10.${i}.0.2/24 dev ${name}`);
        return [name, wire];
      }),
    );
    this.gateways();
    for (let i = 0; i < 256; i++) this.#neigh("in", `10.0.0.${i}`);
  }

  /** Gateways answer at once. */
  gateways(): void {
    this.#neigh("e0", "10.1.0.1");
    this.#neigh("e1", "10.2.0.1");
  }

  #neigh(dev: string, ip: string): void {
    const to = { dev: this.wires[dev] as TestWire, ip: ipv4(ip), mac: mac("02:00:00:00:09:01") };
    must(this.netns.neigh.replace({ ...to, state: "PERMANENT" }, now));
  }

  /** What each of 100 sources sends to the far side: how many leave by each device. */
  spread(dst = "10.20.1.5"): { readonly e0: number; readonly e1: number } {
    for (let i = 0; i < 100; i++) this.forward(`10.0.0.${100 + i}`, dst);
    return { e0: this.took("e0").length, e1: this.took("e1").length };
  }

  forward(src: string, dst: string, payload = new Uint8Array(8), dev = "in", protocol = 17): void {
    const packet = ipPacket({ src: ipv4(src), dst: ipv4(dst), protocol, payload });
    (this.wires[dev] as TestWire).receiveFrame(packet, now);
  }

  /** Sources of what left by a device. */
  took(dev: string): string[] {
    return (this.wires[dev] as TestWire).takeIp().map((view) => formatIpv4(view.getUint32(12)));
  }
}

let r: Router;
beforeEach(() => {
  r = new Router();
});
afterEach(() => {
  r.netns.close(now);
  expect(r.stack.pool.outstanding).toBe(0);
});

const TWO = `route add ${FAR} nexthop via 10.1.0.1 nexthop via 10.2.0.1`;

describe("what is forwarded", () => {
  test("spreads over the next hops, and a flow keeps its own, both ways", () => {
    r.ip.must(TWO);
    const { e0, e1 } = r.spread();
    expect(e0 + e1).toBe(100);
    expect(Math.min(e0, e1)).toBeGreaterThan(25);
    // The same 100 flows again: each by the same device as before.
    const ways = (): string[] => {
      for (let i = 0; i < 100; i++) r.forward(`10.0.0.${100 + i}`, "10.20.1.5");
      return r.took("e0");
    };
    expect(ways()).toEqual(ways());
  });

  test("spreads by weight", () => {
    r.ip.must(TWO.replace("via 10.2.0.1", "via 10.2.0.1 weight 9"));
    const { e0, e1 } = r.spread();
    expect(e0 + e1).toBe(100);
    expect(e1).toBeGreaterThan(75);
    expect(e0).toBeGreaterThan(0);
  });

  test("spreads by ports, too, when the policy says so", () => {
    r.ip.must(TWO);
    const flows = (): number => {
      for (let port = 0; port < 100; port++) {
        const payload = new Uint8Array(8);
        new DataView(payload.buffer).setUint16(0, 30_000 + port);
        r.forward("10.0.0.100", "10.20.1.5", payload);
      }
      const e0 = r.took("e0").length;
      expect(e0 + r.took("e1").length).toBe(100);
      return e0;
    };
    expect([0, 100]).toContain(flows());
    must(r.netns.sysctl.set("net.ipv4.fib_multipath_hash_policy", "1"));
    const e0 = flows();
    expect(e0).toBeGreaterThan(25);
    expect(e0).toBeLessThan(75);
    expect(r.netns.sysctl.set("net.ipv4.fib_multipath_hash_policy", "2").ok).toBe(false);
  });

  test("an ICMP error goes the way of the flow that it is about", () => {
    r.ip.must(TWO);
    for (let i = 0; i < 20; i++) {
      const [pod, peer] = [`10.0.0.${100 + i}`, "10.20.1.5"];
      r.forward(pod, peer);
      const byE0 = r.took("e0").length;
      expect(byE0 + r.took("e1").length).toBe(1);
      // From a router on the pod's side, about what the peer sent to the pod.
      const inner = ipPacket({ src: ipv4(peer), dst: ipv4(pod), payload: new Uint8Array(8) });
      const error = new Uint8Array(8 + inner.length);
      error.set([3, 1]);
      error.set(inner, 8);
      r.forward("10.0.0.1", peer, error, "in", 1);
      expect(r.took("e0").length, pod).toBe(byE0);
      r.took("e1");
    }
  });
});

describe("a next hop whose device goes down", () => {
  test("is passed over, and gets its flows again when it is back", () => {
    r.ip.must(TWO);
    const before = r.spread();
    const version = r.netns.fib.version;
    r.ip.must("link set e1 down");
    expect(r.netns.fib.version).toBeGreaterThan(version);
    expect(r.spread()).toEqual({ e0: 100, e1: 0 });
    r.ip.must("link set e1 up");
    r.gateways();
    expect(r.spread()).toEqual(before);
    expect(r.stack.drops.total).toBe(0);
  });

  test("takes the route with it when it was the last alive", () => {
    r.ip.must(TWO, "link set e1 down", "link set e0 down");
    expect(r.ip.routes().join("\n")).not.toContain(FAR);
    r.ip.must("link set e0 up", "link set e1 up");
    expect(r.ip.routes().join("\n")).not.toContain(FAR);
  });

  test("and for good, takes the whole route, as in Linux", () => {
    r.ip.must(TWO);
    r.netns.delDevice(r.wires["e1"] as TestWire, now);
    expect(r.netns.fib.lookup(ipv4("10.20.1.5"))).toBeUndefined();
  });
});

test("the strict reverse-path filter takes what comes by any of the next hops, and nothing else", () => {
  r.ip.must(TWO);
  must(r.netns.sysctl.set("net.ipv4.conf.all.rp_filter", "1"));
  for (let i = 1; i < 40; i++) {
    r.forward(`10.20.1.${i}`, "10.0.0.200", undefined, "e0");
    r.forward(`10.20.1.${i}`, "10.0.0.200", undefined, "e1");
  }
  expect(r.took("in")).toHaveLength(78);
  expect(r.stack.drops.total).toBe(0);
  r.ip.must(`route replace ${FAR} via 10.1.0.1`);
  r.forward("10.20.1.9", "10.0.0.200", undefined, "e1");
  expect(r.stack.drops.entries()).toEqual([["IP_RPFILTER", 1]]);
});

describe("packets of our own", () => {
  function send(dst: string, src?: string): string {
    const socket = r.netns.udp.open();
    if (src !== undefined) must(socket.bind(ipv4(src), 0));
    const done = socket.send(new Uint8Array(4), ipv4(dst), 9, {}, now);
    expect(done).toBe(DropReason.NOT_DROPPED);
    socket.close();
    const [e0, e1] = [r.took("e0"), r.took("e1")];
    expect(e0.length + e1.length).toBe(1);
    return e0.length === 1 ? `e0 ${e0[0]}` : `e1 ${e1[0]}`;
  }

  test("spread, each with the address of the device that it leaves by", () => {
    r.ip.must(TWO);
    const ways = Array.from({ length: 40 }, (_, i) => send(`10.20.1.${i}`));
    expect(new Set(ways)).toEqual(new Set(["e0 10.1.0.2", "e1 10.2.0.2"]));
  });

  test("with a source that one next hop would give leave by that one; with another they spread", () => {
    r.ip.must(TWO);
    const bound = Array.from({ length: 40 }, (_, i) => send(`10.20.1.${i}`, "10.2.0.2"));
    expect(new Set(bound)).toEqual(new Set(["e1 10.2.0.2"]));
    const other = Array.from({ length: 40 }, (_, i) => send(`10.20.1.${i}`, "10.0.0.2"));
    expect(new Set(other)).toEqual(new Set(["e0 10.0.0.2", "e1 10.0.0.2"]));
    r.ip.must("link set e1 down");
    expect(send("10.20.1.1", "10.2.0.2")).toBe("e0 10.2.0.2");
  });

  test("leave by the device that the sender names", () => {
    r.ip.must(TWO);
    const { ip } = r.netns;
    for (const name of ["e0", "e1"]) {
      const route = ip.routeOutput(0, ipv4("10.20.1.5"), r.wires[name] as TestWire);
      expect(route?.dev?.name).toBe(name);
    }
  });
});

describe("the table", () => {
  test("replaces the route of the same destination and metric as a whole", () => {
    r.ip.must(TWO, `route replace ${FAR} via 10.1.0.1`);
    expect(r.spread()).toEqual({ e0: 100, e1: 0 });
    r.ip.must(`route replace ${FAR} nexthop via 10.2.0.1 nexthop via 10.1.0.1`);
    const [route] = r.netns.fib.dump().filter(({ dst }) => dst.len === 26);
    expect(route?.multipath?.paths.map(({ via }) => formatIpv4(via ?? 0))).toEqual(["10.2.0.1", "10.1.0.1"]);
    expect(r.ip.run(TWO)).toBe("File exists");
  });

  test("removes it by its first next hop, or by all", () => {
    const del = (words: string): string => r.ip.run(`route del ${FAR} ${words}`);
    r.ip.must(TWO);
    expect(del("via 10.2.0.1")).toBe("No such process");
    expect(del("nexthop via 10.1.0.1")).toBe("No such process");
    expect(del("nexthop via 10.2.0.1 nexthop via 10.1.0.1")).toBe("No such process");
    expect(del("nexthop via 10.1.0.1 nexthop via 10.2.0.1 weight 3")).toBe("");
    r.ip.must(TWO);
    expect(del("via 10.1.0.1")).toBe("");
  });

  test("one next hop is an ordinary route", () => {
    r.ip.must(`route add ${FAR} nexthop via 10.1.0.1 weight 5`);
    expect(r.netns.fib.lookup(prefix(FAR).addr)?.multipath).toBeUndefined();
  });
});
