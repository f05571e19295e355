import { describe, expect, test } from "vitest";
import { ipv4, prefix } from "../../../../../src/base/ipv4-addr.ts";
import { type ListenRange, NeighborTable } from "../../../../../src/routing/bgp/speaker/neighbor-table.ts";
import { benchConfig } from "../../../../support/bgp-bench.ts";

const template = benchConfig({ holdTimeSec: 9 });

function range(text: string, given: Partial<ListenRange> = {}): ListenRange {
  return { prefix: prefix(text), peerAs: "external", limit: 2, template, ...given };
}

/** A call from `addr`; a neighbour that is to be made is called by its address. */
function call(table: NeighborTable<string>, addr: string): string {
  const admission = table.admit(ipv4(addr));
  if (admission.t === "known") return admission.neighbor;
  if (admission.t === "refuse") return admission.why;
  table.join(ipv4(addr), admission.range, addr);
  return `new ${admission.range.prefix.len}`;
}

describe("who calls", () => {
  test("the configured neighbour first, then the longest range, else nobody", () => {
    const table = new NeighborTable<string>(10);
    table.addRange(range("10.0.0.0/8"));
    table.addRange(range("10.1.0.0/16"));
    table.add(ipv4("10.1.0.1"), "configured");
    expect(call(table, "10.1.0.1")).toBe("configured");
    expect(call(table, "10.1.0.2")).toBe("new 16");
    expect(call(table, "10.1.0.2")).toBe("10.1.0.2");
    expect(call(table, "10.2.0.2")).toBe("new 8");
    expect(call(table, "11.0.0.1")).toBe("nobody of this address is expected");
    expect(table.dump().map((row) => [row.neighbor, row.range?.prefix.len])).toEqual([
      ["configured", undefined],
      ["10.1.0.2", 16],
      ["10.2.0.2", 8],
    ]);
  });

  test("a member has the template's configuration, but is passive, dynamic, and of the range's AS", () => {
    const table = new NeighborTable<string>(10);
    const peerAs = new Set([65001, 65002]);
    table.addRange(range("10.0.0.0/8", { peerAs }));
    const admission = table.admit(ipv4("10.0.0.1"));
    expect(admission.t).toBe("create");
    if (admission.t !== "create") return;
    expect(admission.config.peerAs).toBe(peerAs);
    expect(admission.config.dynamic).toBe(true);
    expect(admission.config.fsm.passive).toBe(true);
    expect(admission.config.holdTimeSec).toBe(9);
  });

  test("limits: of the range, which is not passed on to a wider one, and of all", () => {
    const table = new NeighborTable<string>(3);
    table.addRange(range("10.0.0.0/8", { limit: 10 }));
    table.addRange(range("10.1.0.0/16"));
    call(table, "10.1.0.1");
    call(table, "10.1.0.2");
    expect(call(table, "10.1.0.3")).toBe("10.1.0.0/16 has all the 2 neighbours that it may have");
    expect(call(table, "10.1.0.1")).toBe("10.1.0.1");
    call(table, "10.2.0.1");
    expect(call(table, "10.2.0.2")).toBe("there are 3 dynamic neighbours already");
    table.leave(ipv4("10.1.0.1"), "10.1.0.1");
    expect(call(table, "10.1.0.3")).toBe("new 16");
    expect(table.dynamicCount).toBe(3);
  });

  test("a range that goes names its members, which stay until they leave", () => {
    const table = new NeighborTable<string>(10);
    table.addRange(range("10.0.0.0/8"));
    call(table, "10.0.0.1");
    call(table, "10.0.0.2");
    expect(table.delRange(prefix("10.0.0.0/8"))).toEqual(["10.0.0.1", "10.0.0.2"]);
    expect(table.delRange(prefix("10.0.0.0/8"))).toEqual([]);
    expect(call(table, "10.0.0.1")).toBe("10.0.0.1");
    expect(call(table, "10.0.0.3")).toBe("nobody of this address is expected");
    table.leave(ipv4("10.0.0.1"), "10.0.0.1");
    table.leave(ipv4("10.0.0.2"), "somebody else");
    expect(table.dynamicCount).toBe(1);
    expect(table.lookup(ipv4("10.0.0.2"))).toBe("10.0.0.2");
    // The same range anew has a count of its own.
    table.addRange(range("10.0.0.0/8"));
    table.leave(ipv4("10.0.0.2"), "10.0.0.2");
    expect(table.dumpRanges().map((one) => one.members)).toEqual([0]);
    expect(table.dynamicCount).toBe(0);
  });

  test("a configured neighbour displaces a dynamic one, and is not taken out as one", () => {
    const table = new NeighborTable<string>(10);
    table.addRange(range("10.0.0.0/8"));
    call(table, "10.0.0.1");
    expect(table.add(ipv4("10.0.0.1"), "configured")).toEqual({ ok: true, value: "10.0.0.1" });
    expect(table.dynamicCount).toBe(0);
    expect(table.add(ipv4("10.0.0.1"), "again")).toEqual({ ok: false, error: "exists" });
    table.leave(ipv4("10.0.0.1"), "configured");
    expect(table.lookup(ipv4("10.0.0.1"))).toBe("configured");
    expect(table.del(ipv4("10.0.0.1"))).toBe("configured");
    expect(table.del(ipv4("10.0.0.1"))).toBeUndefined();
    expect(table.addRange(range("10.0.0.0/8")).ok).toBe(false);
  });
});
