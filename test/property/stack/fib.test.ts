import fc from "fast-check";
import { expect, test } from "vitest";
import { contains, type Ipv4Addr, type Prefix, prefixOf } from "../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { Fib } from "../../../src/stack/fib.ts";
import type { NetDevice } from "../../../src/stack/net-device.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Route, RouteTable, RouteType } from "../../../src/stack/route.ts";
import { TestWire } from "../../support/test-wire.ts";

const stack = new NetStack({ rng: new SeededRng(1) });
const devices = ["a", "b", "c"].map((name) => new TestWire(stack, name, 1, 1500));

// Few distinct bits, on both sides of 2^31, so that prefixes nest and collide.
const addr = fc.tuple(fc.nat(7), fc.nat(3), fc.nat(3)).map(([h, m, l]): Ipv4Addr => {
  return (h * 0x20000000 + m * 0x10000 + l) >>> 0;
});
const dst = fc
  .tuple(addr, fc.constantFrom(0, 1, 3, 14, 16, 31, 32))
  .map(([a, len]): Prefix => prefixOf(a, len));

const route = fc
  .record({
    table: fc.constantFrom<RouteTable>("main", "main", "local"),
    dst,
    dev: fc.constantFrom(...devices),
    metric: fc.nat(2),
    type: fc.constantFrom<RouteType>("unicast", "unicast", "unicast", "local", "blackhole"),
  })
  .map((spec): Route => {
    const { type } = spec;
    return {
      ...spec,
      dev: type === "blackhole" ? undefined : spec.dev,
      via: undefined,
      src: undefined,
      scope: type === "local" ? "host" : "link",
      proto: "boot",
      onlink: false,
      multipath: undefined,
    };
  });

const change = fc.oneof(
  { weight: 5, arbitrary: fc.record({ t: fc.constantFrom("add", "append", "replace"), route }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constant("del"), route }) },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("flush"), route }) },
);

/** The same rules over a plain list: what is asked first stands first. */
class Oracle {
  routes: Route[] = [];

  apply(t: string, r: Route): void {
    const rivals = this.routes.filter((o) => sameKey(o, r));
    const twin = rivals.some((o) => o.type === r.type && o.dev === r.dev);
    const first = rivals[0];
    if (t === "flush") this.routes = this.routes.filter((o) => o.dev !== r.dev || r.dev === undefined);
    else if (t === "del") {
      const means = (o: Route) =>
        o.table === r.table &&
        samePrefix(o, r) &&
        (r.metric === 0 || o.metric === r.metric) &&
        (r.dev === undefined || o.dev === r.dev);
      const candidates = this.routes.filter(means).sort((a, b) => a.metric - b.metric);
      this.routes = this.routes.filter((o) => o !== candidates[0]);
    } else if (t === "append" ? !twin : first === undefined) this.routes.push(r);
    else if (t === "replace" && first !== undefined) {
      const clash = rivals.slice(1).some((o) => o.type === r.type && o.dev === r.dev);
      if (!clash) this.routes[this.routes.indexOf(first)] = r;
    }
  }

  lookup(a: Ipv4Addr, oif: NetDevice | undefined): Route | undefined {
    const fits = this.routes.filter(
      (r) =>
        contains(r.dst, a) &&
        (r.dev === undefined || ((oif === undefined || oif === r.dev) && (r.dev.up || r.scope === "host"))),
    );
    const rank = (r: Route) => (r.table === "local" ? 1_000_000 : 0) + r.dst.len * 1000 - r.metric;
    return fits.reduce<Route | undefined>(
      (best, r) => (best === undefined || rank(r) > rank(best) ? r : best),
      undefined,
    );
  }
}

function samePrefix(a: Route, b: Route): boolean {
  return a.dst.addr === b.dst.addr && a.dst.len === b.dst.len;
}

function sameKey(a: Route, b: Route): boolean {
  return a.table === b.table && samePrefix(a, b) && a.metric === b.metric;
}

function apply(fib: Fib, t: string, r: Route): void {
  if (t === "add") fib.add(r);
  else if (t === "append") fib.append(r);
  else if (t === "replace") fib.replace(r);
  else if (t === "flush") {
    if (r.dev !== undefined) fib.delByDevice(r.dev);
  } else fib.del({ table: r.table, dst: r.dst, metric: r.metric, dev: r.dev });
}

test("a lookup is what a linear search finds, through any history, with any devices down", () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 40 }),
      fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
      fc.array(fc.tuple(addr, fc.option(fc.constantFrom(...devices), { nil: undefined })), { maxLength: 12 }),
      (changes, up, questions) => {
        const fib = new Fib();
        const oracle = new Oracle();
        for (const { t, route: r } of changes) {
          apply(fib, t, r);
          oracle.apply(t, r);
        }
        for (const [i, dev] of devices.entries()) dev.up = up[i] as boolean;
        for (const [a, oif] of questions) {
          expect(fib.lookup(a, oif)).toBe(oracle.lookup(a, oif));
          expect(fib.lookup(a | 0, oif)).toBe(oracle.lookup(a, oif));
        }
        const dumped = [...fib.dump("local"), ...fib.dump("main")];
        expect(dumped).toHaveLength(oracle.routes.length);
        expect(new Set(dumped)).toEqual(new Set(oracle.routes));
        const keys = fib.dump("main").map((r) => r.dst.addr * 1e6 + (32 - r.dst.len) * 1000 + r.metric);
        expect(keys).toEqual(keys.toSorted((x, y) => x - y));
      },
    ),
    { numRuns: 500 },
  );
});
