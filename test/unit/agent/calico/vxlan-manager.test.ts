// vxlan.calico, as the kernel's tables show it.
import { expect, test } from "vitest";
import { VxlanManager } from "../../../../src/agent/calico/felix/vxlan-manager.ts";
import { RouteTable } from "../../../../src/agent/route-table.ts";
import { DropReason } from "../../../../src/base/drop-reason.ts";
import { formatIpv4, formatPrefix, ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { formatMac, mac } from "../../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../../src/base/rng.ts";
import { L3Routes } from "../../../../src/control/calico/calc/l3-routes.ts";
import type { CalicoUpdate } from "../../../../src/control/calico/calico-updates.ts";
import type { NodeResource } from "../../../../src/control/calico/resources.ts";
import { NetStack } from "../../../../src/stack/net-stack.ts";
import { PacketPool } from "../../../../src/stack/packet-pool.ts";
import { block, blockUpdate, gone, node, pool, update } from "../../../support/calico.ts";
import { packetOf, RecordingUnderlay } from "../../../support/frames.ts";
import { TestWire } from "../../../support/test-wire.ts";

const now = 1_000_000;

function world() {
  const packets = new PacketPool(100, true);
  const stack = new NetStack({ rng: new SeededRng(1), pool: packets });
  const host = stack.addNetns("");
  const uplink = new TestWire(stack, "eth0", mac("02:00:00:00:00:01"), 1500);
  host.addDevice(uplink);
  host.addAddress(uplink, { addr: ipv4("10.20.0.5"), len: 24 }, now);
  host.setLink(uplink, true, now);
  const routes = new RouteTable({ host, owns: ({ proto }) => proto === "felix" });
  const manager = new VxlanManager(
    { node: "a", stack, host, uplink, routes, vni: 4096, mtuBytes: 1450 },
    new RecordingUnderlay(stack, ipv4("10.20.0.5")),
  );
  const l3 = new L3Routes("a");
  const tell = (...updates: readonly CalicoUpdate[]): string[] => {
    for (const one of updates) {
      l3.onUpdate(one);
      if (one.t === "resource" && one.kind === "Node") manager.onNode(one.name, one.value as NodeResource);
    }
    manager.onRoutes(l3.flush());
    return [...manager.completeDeferredWork(now), ...routes.apply(now)];
  };
  const shown = () => ({
    routes: host.fib
      .dump("main")
      .filter(({ proto }) => proto === "felix")
      .map(
        ({ dst, via, dev, onlink }) =>
          `${formatPrefix(dst)} via ${formatIpv4(via ?? 0)} ${dev?.name} ${onlink}`,
      ),
    neigh: host.neigh
      .dump()
      .map(({ ip, mac: lladdr, state }) => `${formatIpv4(ip)} ${formatMac(lladdr ?? 0)} ${state}`),
    fdb: manager.device.fdb
      .dump(now)
      .map(({ mac: lladdr, remote }) => `${formatMac(lladdr)} ${formatIpv4(remote)}`),
  });
  return { packets, stack, host, manager, tell, shown };
}

const POOL = update(pool("p", { cidr: "192.168.0.0/16", vxlanMode: "Always" }));
const SELF = update(node("a", "10.20.0.5/24", { ipv4VXLANTunnelAddr: "192.168.1.0" }));
const REMOTE = update(node("node-1", "10.20.0.6/24", { ipv4VXLANTunnelAddr: "192.168.2.0" }));
const BLOCK = blockUpdate(block("192.168.2.0/26", "node-1"));

test("an ARP entry, an FDB entry and a route for each node's block; the MAC comes from the name", () => {
  const { manager, tell, shown } = world();
  manager.configure(ipv4("192.168.1.0"), now);
  expect(tell(BLOCK, POOL, REMOTE, SELF)).toEqual([]);
  expect(shown()).toEqual({
    routes: ["192.168.2.0/26 via 192.168.2.0 vxlan.calico true"],
    neigh: ["192.168.2.0 66:b3:68:28:39:8e PERMANENT"],
    fdb: ["66:b3:68:28:39:8e 10.20.0.6"],
  });
  tell(
    update(
      node("node-1", "10.20.0.7/24", {
        ipv4VXLANTunnelAddr: "192.168.2.1",
        vxlanTunnelMACAddr: "66:00:00:00:00:09",
      }),
    ),
  );
  expect(shown()).toEqual({
    routes: ["192.168.2.0/26 via 192.168.2.1 vxlan.calico true"],
    neigh: ["192.168.2.1 66:00:00:00:00:09 PERMANENT"],
    fdb: ["66:00:00:00:00:09 10.20.0.7"],
  });
  tell(gone("Node", "node-1"));
  expect(shown()).toEqual({ routes: [], neigh: [], fdb: [] });
});

test("a node without a VTEP address has no route yet; CrossSubnet leads to a near node by its own address", () => {
  const { manager, tell, shown } = world();
  manager.configure(ipv4("192.168.1.0"), now);
  tell(POOL, SELF, update(node("node-1", "10.20.0.6/24")), BLOCK);
  expect(shown().routes).toEqual([]);
  tell(REMOTE);
  expect(shown().routes).toEqual(["192.168.2.0/26 via 192.168.2.0 vxlan.calico true"]);
  tell(update(pool("p", { cidr: "192.168.0.0/16", vxlanMode: "CrossSubnet" })));
  expect(shown().routes).toEqual(["192.168.2.0/26 via 10.20.0.6 eth0 true"]);
  tell(update(pool("p", { cidr: "192.168.0.0/16", ipipMode: "Always" })));
  expect(shown().routes).toEqual([]);
});

test("what is known before the device has its address is installed when it gets one, and once more when it gets another", () => {
  const { manager, tell, shown } = world();
  expect(tell(POOL, SELF, REMOTE, BLOCK)).toEqual([]);
  expect(shown()).toEqual({ routes: [], neigh: [], fdb: [] });
  manager.configure(ipv4("192.168.1.0"), now);
  expect(tell()).toEqual([]);
  expect(shown().routes).toHaveLength(1);
  manager.configure(ipv4("192.168.1.7"), now);
  expect(tell()).toEqual([]);
  expect(shown()).toMatchObject({ routes: [expect.any(String)], neigh: [expect.any(String)] });
});

test("VXLAN from a stranger is dropped by a rule, and counted", () => {
  const { packets, stack, manager, tell } = world();
  manager.configure(ipv4("192.168.1.0"), now);
  tell(POOL, SELF, REMOTE, BLOCK);
  manager.receive(packetOf(packets, new Uint8Array(60)), ipv4("10.20.0.66"), 1, now);
  expect(stack.drops.get(DropReason.NETFILTER_DROP)).toBe(1);
  manager.receive(packetOf(packets, new Uint8Array(60)), ipv4("10.20.0.6"), 1, now);
  expect(stack.drops.get(DropReason.NETFILTER_DROP)).toBe(1);
  expect(packets.outstanding).toBe(0);
});
