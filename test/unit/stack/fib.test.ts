import { expect, test } from "vitest";
import { formatPrefix, ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { Fib } from "../../../src/stack/fib.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Route } from "../../../src/stack/route.ts";
import { must } from "../../support/host-router-host.ts";
import { TestWire } from "../../support/test-wire.ts";

const stack = new NetStack({ rng: new SeededRng(1) });

function device(name: string, up = true): TestWire {
  const dev = new TestWire(stack, name, 1, 1500);
  dev.up = up;
  return dev;
}

function route(dst: string, dev: TestWire | undefined, more: Partial<Route> = {}): Route {
  return {
    table: "main",
    type: "unicast",
    dst: prefix(dst),
    via: undefined,
    dev,
    src: undefined,
    scope: "link",
    proto: "boot",
    metric: 0,
    onlink: false,
    multipath: undefined,
    ...more,
  };
}

function found(fib: Fib, dst: string, oif?: TestWire): string {
  const hit = fib.lookup(ipv4(dst), oif);
  if (hit === undefined) return "none";
  return `${formatPrefix(hit.dst)} ${hit.type === "unicast" ? hit.dev?.name : hit.type} ${hit.metric}`;
}

test("the local table goes first, even with a shorter prefix", () => {
  const fib = new Fib();
  const [a, b] = [device("a"), device("b")];
  must(fib.add(route("10.0.0.0/8", a, { table: "local", type: "local", scope: "host" })));
  must(fib.add(route("10.0.0.0/24", b)));
  expect(found(fib, "10.0.0.1")).toBe("10.0.0.0/8 local 0");
});

test("the longest prefix, then the lowest metric; what its device cannot carry is passed over", () => {
  const fib = new Fib();
  const [a, b, c] = [device("a"), device("b"), device("c")];
  must(fib.add(route("0.0.0.0/0", a)));
  must(fib.add(route("192.168.0.0/16", c)));
  must(fib.add(route("192.168.1.0/24", b, { metric: 9 })));
  must(fib.add(route("192.168.1.0/24", a, { metric: 2 })));
  expect(found(fib, "192.168.1.1")).toBe("192.168.1.0/24 a 2");
  expect(found(fib, "192.168.1.1", b)).toBe("192.168.1.0/24 b 9");
  expect(found(fib, "192.168.1.1", c)).toBe("192.168.0.0/16 c 0");
  a.up = false;
  expect(found(fib, "192.168.1.1")).toBe("192.168.1.0/24 b 9");
  b.up = false;
  expect(found(fib, "192.168.1.1")).toBe("192.168.0.0/16 c 0");
  c.up = false;
  expect(found(fib, "192.168.1.1")).toBe("none");
  expect(found(fib, "8.8.8.8")).toBe("none");
});

test("an error route is an answer, whatever device is asked for, and hides what is behind it", () => {
  const fib = new Fib();
  const a = device("a");
  must(fib.add(route("0.0.0.0/0", a)));
  must(fib.add(route("10.0.0.0/8", undefined, { type: "blackhole" })));
  expect(found(fib, "10.1.1.1")).toBe("10.0.0.0/8 blackhole 0");
  expect(found(fib, "10.1.1.1", a)).toBe("10.0.0.0/8 blackhole 0");
});

test("an address of a device that is down is still ours", () => {
  const fib = new Fib();
  const a = device("a", false);
  must(fib.add(route("10.0.0.1/32", a, { table: "local", type: "local", scope: "host" })));
  must(fib.add(route("10.0.0.255/32", a, { table: "local", type: "broadcast" })));
  expect(fib.addrType(ipv4("10.0.0.1"))).toBe("local");
  expect(fib.addrType(ipv4("10.0.0.255"))).toBeUndefined();
});

test("lookupScope passes over what is farther away", () => {
  const fib = new Fib();
  const a = device("a");
  must(fib.add(route("10.0.0.0/8", a)));
  must(fib.add(route("10.1.0.0/16", a, { via: ipv4("10.0.0.1"), scope: "global" })));
  expect(fib.lookupScope(ipv4("10.1.0.1"), "link")?.dst).toEqual(prefix("10.0.0.0/8"));
  expect(fib.lookupScope(ipv4("10.1.0.1"), "host")).toBeUndefined();
});

test("addresses above 2^31 may be given signed", () => {
  const fib = new Fib();
  must(fib.add(route("192.168.1.0/24", device("a"))));
  expect(fib.lookup(ipv4("192.168.1.7") | 0)?.dst).toEqual(prefix("192.168.1.0/24"));
});

test("append keeps several of one metric, in the order of their coming, but not the same one twice", () => {
  const fib = new Fib();
  const [a, b] = [device("a"), device("b")];
  expect(fib.append(route("10.0.0.0/8", a))).toBe(true);
  expect(fib.append(route("10.0.0.0/8", b))).toBe(true);
  expect(fib.append(route("10.0.0.0/8", a))).toBe(false);
  expect(fib.replace(route("10.0.0.0/8", b))).toEqual({ ok: false, error: "File exists" });
  expect(found(fib, "10.0.0.1")).toBe("10.0.0.0/8 a 0");
  expect(fib.remove(route("10.0.0.0/8", a))).toBe(true);
  expect(fib.remove(route("10.0.0.0/8", a))).toBe(false);
  expect(found(fib, "10.0.0.1")).toBe("10.0.0.0/8 b 0");
});

test("the version grows with every change and with nothing else", () => {
  const fib = new Fib();
  const a = device("a");
  const versions = [fib.version];
  const changes: (() => unknown)[] = [
    () => fib.add(route("10.0.0.0/8", a)),
    () => fib.replace(route("10.0.0.0/8", a, { src: 1 })),
    () => fib.append(route("10.0.0.0/8", a)),
    () => fib.del({ dst: prefix("10.0.0.0/8") }),
    () => fib.delByDevice(a),
  ];
  for (const change of changes) {
    change();
    versions.push(fib.version);
  }
  expect(new Set(versions).size).toBe(versions.length);
  fib.add(route("10.0.0.0/8", a));
  const version = fib.version;
  fib.add(route("10.0.0.0/8", a));
  fib.del({ dst: prefix("10.0.0.0/9") });
  fib.append(route("10.0.0.0/8", a));
  fib.delByDevice(device("b"));
  fib.lookup(1);
  expect(fib.version).toBe(version);
  expect([...fib.dump("local"), ...fib.dump()]).toHaveLength(1);
});
