import { expect, test } from "vitest";
import { formatIpv4, formatPrefix } from "../../../../src/base/ipv4-addr.ts";
import { L3Routes } from "../../../../src/control/calico/calc/l3-routes.ts";
import type { CalicoUpdate } from "../../../../src/control/calico/calico-updates.ts";
import type { EncapMode } from "../../../../src/control/calico/resources.ts";
import { block, blockUpdate, gone, node, pool, update } from "../../../support/calico.ts";

const NODES = [node("a", "10.20.0.5/24"), node("b", "10.20.0.6/24"), node("c", "10.30.0.7/24")].map(update);
const BLOCKS = [
  block("192.168.1.0/26", "a"),
  block("192.168.2.0/26", "b", { "192.168.2.9": "c" }),
  block("192.168.3.0/26", "c"),
].map(blockUpdate);

function routesOf(self: string, updates: readonly CalicoUpdate[]): { routes: L3Routes; text: string[] } {
  const routes = new L3Routes(self);
  for (const one of updates) routes.onUpdate(one);
  routes.flush();
  return { routes, text: textOf(routes) };
}

function textOf(routes: L3Routes): string[] {
  const lines = [...routes.dump()].map(
    ({ dst, nodeAddr, encap }) => `${formatPrefix(dst)} via ${formatIpv4(nodeAddr)} ${encap}`,
  );
  return lines.sort();
}

const poolUpdate = (modes: { ipipMode?: EncapMode; vxlanMode?: EncapMode }): CalicoUpdate =>
  update(pool("p", { cidr: "192.168.0.0/16", ...modes }));

test.each([
  [{ ipipMode: "Always" }, "ipip", "ipip"],
  [{ ipipMode: "CrossSubnet" }, "none", "ipip"],
  [{ vxlanMode: "CrossSubnet" }, "none", "vxlan"],
  [{}, "none", "none"],
] as const)("%j: near %s, far %s", (modes, near, far) => {
  expect(routesOf("a", [poolUpdate(modes), ...NODES, ...BLOCKS]).text).toEqual([
    `192.168.2.0/26 via 10.20.0.6 ${near}`,
    // Borrowed by c, out of b's block.
    `192.168.2.9/32 via 10.30.0.7 ${far}`,
    `192.168.3.0/26 via 10.30.0.7 ${far}`,
  ]);
});

test("a node with a /32 is far from everybody, and each node decides for itself", () => {
  const nodes = [node("a", "10.20.0.5/32"), node("b", "10.20.0.6/24")].map(update);
  const updates = [poolUpdate({ ipipMode: "CrossSubnet" }), ...nodes, ...BLOCKS.slice(0, 2)];
  expect(routesOf("a", updates).text).toEqual(["192.168.2.0/26 via 10.20.0.6 ipip"]);
  expect(routesOf("b", updates).text).toEqual(["192.168.1.0/26 via 10.20.0.5 none"]);
});

test("a pool's mode changes live, a node moves, a block goes: each costs its own blocks alone", () => {
  const { routes } = routesOf("a", [poolUpdate({ ipipMode: "Always" }), ...NODES, ...BLOCKS]);
  routes.onUpdate(poolUpdate({ ipipMode: "Never" }));
  expect(routes.flush().replaced.map(({ encap }) => encap)).toEqual(["none", "none", "none"]);
  const before = routes.computed;
  routes.onUpdate(update(node("c", "10.20.0.7/24")));
  const moved = routes.flush();
  expect(moved.replaced.map(({ dst }) => formatPrefix(dst)).sort()).toEqual([
    "192.168.2.9/32",
    "192.168.3.0/26",
  ]);
  expect(routes.computed - before).toBe(2);
  routes.onUpdate({ t: "block", cidr: (BLOCKS[2] as CalicoUpdate & { t: "block" }).cidr, value: undefined });
  expect(routes.flush().deleted.map(formatPrefix)).toEqual(["192.168.3.0/26"]);
  routes.onUpdate(gone("Node", "b"));
  expect(routes.flush().deleted.map(formatPrefix)).toEqual(["192.168.2.0/26"]);
  expect(textOf(routes)).toEqual(["192.168.2.9/32 via 10.20.0.7 none"]);
});

test("what has not changed is not said again", () => {
  const { routes } = routesOf("a", [poolUpdate({ ipipMode: "Always" }), ...NODES, ...BLOCKS]);
  routes.onUpdate(blockUpdate(block("192.168.3.0/26", "c", { "192.168.3.5": "c" })));
  expect(routes.flush()).toEqual({ replaced: [], deleted: [] });
});
