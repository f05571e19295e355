import fc from "fast-check";
import { expect, test } from "vitest";
import { ipv4, prefixOf } from "../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import { showRoute } from "../../support/ip-script.ts";
import { TestWire } from "../../support/test-wire.ts";

const address = fc.record({
  dev: fc.nat(1),
  addr: fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.129", "10.0.1.1", "192.168.0.0", "0.0.0.5").map(ipv4),
  len: fc.constantFrom(8, 16, 24, 25, 30, 31, 32),
});
const action = fc.oneof(
  { weight: 5, arbitrary: fc.record({ t: fc.constant("add" as const), address }) },
  { weight: 4, arbitrary: fc.record({ t: fc.constant("del" as const), address }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constantFrom("up" as const, "down" as const), address }) },
);

function host() {
  const netns = new NetStack({ rng: new SeededRng(1) }).addNetns("n");
  const devs = ["a", "b"].map((name) => new TestWire(netns.ctx, name, 1, 1500));
  for (const dev of devs) netns.addDevice(dev);
  const tables = () => [...netns.fib.dump("local"), ...netns.fib.dump("main")].map(showRoute).sort();
  return { netns, devs, tables };
}

test("the tables depend on the addresses that are there, not on how they came", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 25 }), (actions) => {
      const h = host();
      const empty = h.tables();
      for (const { t, address: a } of actions) {
        const dev = h.devs[a.dev] as TestWire;
        if (t === "add") h.netns.addAddress(dev, a, 0);
        else if (t === "del") h.netns.delAddress(dev, a, 0);
        else h.netns.setLink(dev, t === "up", 0);
      }
      // The same addresses, put there one after the other on links that are as they are now.
      const fresh = host();
      for (const [i, dev] of h.devs.entries()) {
        const twin = fresh.devs[i] as TestWire;
        fresh.netns.setLink(twin, dev.up, 0);
        for (const ifa of h.netns.addresses(dev)) {
          fresh.netns.addAddress(twin, ifa, 0);
          expect(h.netns.isLocal(ifa.addr)).toBe(true);
        }
        const secondary = (x: readonly { readonly secondary: boolean }[]) => x.map((ifa) => ifa.secondary);
        expect(secondary(fresh.netns.addresses(twin))).toEqual(secondary(h.netns.addresses(dev)));
      }
      expect(fresh.tables()).toEqual(h.tables());
      for (const dev of h.devs) {
        for (const ifa of h.netns.addresses(dev)) h.netns.delAddress(dev, ifa, 0);
        expect(h.netns.addresses(dev)).toEqual([]);
      }
      expect(h.tables()).toEqual(empty);
    }),
    { numRuns: 300 },
  );
});

test("a primary covers each of its secondaries, and two primaries of one device are never of one subnet", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 25 }), (actions) => {
      const h = host();
      const dev = h.devs[0] as TestWire;
      for (const { t, address: a } of actions) {
        if (t === "add") h.netns.addAddress(dev, a, 0);
        else if (t === "del") h.netns.delAddress(dev, a, 0);
      }
      const addrs = h.netns.addresses(dev);
      const subnet = (a: { addr: number; len: number }) => `${prefixOf(a.addr, a.len).addr}/${a.len}`;
      const primaries = addrs.filter((a) => !a.secondary).map(subnet);
      expect(new Set(primaries).size).toBe(primaries.length);
      for (const a of addrs) if (a.secondary) expect(primaries).toContain(subnet(a));
    }),
    { numRuns: 200 },
  );
});
