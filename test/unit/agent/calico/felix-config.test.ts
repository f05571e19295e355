// FelixConfiguration changed while devices and routes are there.
import { beforeEach, expect, test } from "vitest";
import { Felix } from "../../../../src/agent/calico/felix/felix.ts";
import { formatPrefix, ipv4, prefix } from "../../../../src/base/ipv4-addr.ts";
import { mac } from "../../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../../src/base/rng.ts";
import { type Instant, NEVER, SEC_US } from "../../../../src/base/time.ts";
import type { FelixConfiguration, FelixConfigurationSpec } from "../../../../src/control/calico/resources.ts";
import { NetStack } from "../../../../src/stack/net-stack.ts";
import type { Netns } from "../../../../src/stack/netns.ts";
import { VxlanDevice } from "../../../../src/tunnel/vxlan.ts";
import { block, blockUpdate, node, pool, update } from "../../../support/calico.ts";
import { RecordingUnderlay } from "../../../support/frames.ts";
import { TestWire } from "../../../support/test-wire.ts";

const SELF = ipv4("10.20.0.5");
const TUNNEL = ipv4("192.168.1.0");

let now: Instant;
let stack: NetStack;
let host: Netns;
let felix: Felix;
let ports: string[];
let logs: string[];

beforeEach(() => {
  now = 1_000_000;
  ports = [];
  logs = [];
  stack = new NetStack({ rng: new SeededRng(1) });
  host = stack.addNetns("");
  const uplink = new TestWire(stack, "eth0", mac("02:00:00:00:00:01"), 1500);
  host.addDevice(uplink);
  host.addAddress(uplink, { addr: SELF, len: 24 }, now);
  host.setLink(uplink, true, now);
  felix = new Felix({
    node: "a",
    version: "3.33",
    stack,
    host,
    uplink,
    underlay: SELF,
    underlayMtuBytes: 1500,
    log: (level, message) => logs.push(`${level}: ${message}`),
    podRoute: () => {},
    listen: (port) => ports.push(`+${port}`),
    unlisten: (port) => ports.push(`-${port}`),
  });
  felix.onUpdate(update(pool("p", { cidr: "192.168.0.0/16", vxlanMode: "Always" })));
  felix.onUpdate(update(node("a", "10.20.0.5/24", { ipv4VXLANTunnelAddr: "192.168.1.0" })));
  felix.onUpdate(update(node("b", "10.20.0.6/24", { ipv4VXLANTunnelAddr: "192.168.2.0" })));
  felix.onUpdate({ t: "affinity", cidr: prefix("192.168.1.0/26"), value: "confirmed" });
  felix.onUpdate(blockUpdate(block("192.168.2.0/26", "b")));
});

const open = (port: number): void => {
  felix.vxlanOpened(new RecordingUnderlay(stack, SELF, port), now);
};
const configure = (spec: FelixConfigurationSpec): void => {
  const resource: FelixConfiguration = {
    kind: "FelixConfiguration",
    apiVersion: "projectcalico.org/v3",
    metadata: { name: "default" },
    spec,
  };
  felix.onUpdate(update(resource));
  felix.completeDeferredWork(now);
};
const vtep = (): VxlanDevice | undefined =>
  [...host.devices()].find((device): device is VxlanDevice => device instanceof VxlanDevice);
const routes = (): string[] =>
  host.fib
    .dump("main")
    .filter(({ proto }) => proto === "felix")
    .map(({ dst, type, dev }) =>
      `${type === "blackhole" ? "blackhole " : ""}${formatPrefix(dst)} ${dev?.name ?? ""}`.trim(),
    )
    .sort();
const ROUTES = ["192.168.2.0/26 vxlan.calico", "blackhole 192.168.1.0/26"];

test("the VTEP has Calico's port and VNI, then those that are asked for; its routes come along", () => {
  felix.setVxlanTunnel(TUNNEL, now);
  expect(ports).toEqual(["+4789"]);
  open(4789);
  felix.completeDeferredWork(now);
  expect([vtep()?.vni, vtep()?.mtuBytes, vtep()?.up]).toEqual([4096, 1450, true]);
  expect(routes()).toEqual(ROUTES);
  const first = vtep();
  configure({ vxlanMTU: 1300 });
  expect([vtep() === first, vtep()?.mtuBytes]).toEqual([true, 1300]);
  configure({ vxlanMTU: 1300, vxlanVNI: 77 });
  expect([vtep()?.vni, vtep()?.mtuBytes, vtep()?.up]).toEqual([77, 1300, true]);
  expect([ports, routes()]).toEqual([["+4789"], ROUTES]);
  configure({ vxlanPort: 4791 });
  expect([ports, vtep()]).toEqual([["+4789", "-4789", "+4791"], undefined]);
  // The old port was still being opened: it is closed again, and gets no device.
  open(4789);
  expect([ports.at(-1), vtep()]).toEqual(["-4789", undefined]);
  open(4791);
  felix.completeDeferredWork(now);
  expect([vtep()?.vni, vtep()?.mtuBytes]).toEqual([4096, 1450]);
  expect(routes()).toEqual(ROUTES);
});

test("tunl0 follows ipipMTU, and a carrier that needs more room", () => {
  const way = (kind: "proto4" | "fou") => ({ kind, send: () => {} }) as never;
  felix.ipipOpened(way("proto4"));
  felix.setIpipTunnel(TUNNEL, now);
  const tunl0 = () => felix.ipip.device?.mtuBytes;
  expect(tunl0()).toBe(1480);
  configure({ ipipMTU: 1400 });
  expect(tunl0()).toBe(1400);
  configure({});
  expect(tunl0()).toBe(1480);
  const annotations = { "podloom.io/ipip-carriers": "fou" };
  const other = node("c", "10.20.0.7/24");
  felix.ipipOpened(way("fou"));
  felix.onUpdate(update({ ...other, metadata: { ...other.metadata, annotations } }));
  felix.completeDeferredWork(now);
  expect(tunl0()).toBe(1472);
});

test("route refresh puts back what somebody has deleted, when it is due, and not when it is off", () => {
  felix.setVxlanTunnel(TUNNEL, now);
  open(4789);
  felix.completeDeferredWork(now);
  const vandalize = (): void => {
    host.delRoute({ dst: prefix("192.168.2.0/26") }, now);
    host.delRoute({ dst: prefix("192.168.1.0/26") }, now);
    expect(routes()).toEqual([]);
  };
  // The looks that the device's coming has caused.
  felix.tick(10 * SEC_US);
  expect(felix.nextDeadline()).toBe(now + 90 * SEC_US);
  vandalize();
  felix.tick(now);
  now += 90 * SEC_US - 1;
  felix.tick(now);
  expect(routes()).toEqual([]);
  now += 1;
  felix.tick(now);
  expect(routes()).toEqual(ROUTES);
  expect(logs.filter((line) => line.includes("route refresh"))).toEqual([
    "warn: route refresh: 2 restored, 0 foreign ones removed",
  ]);
  configure({ routeRefreshInterval: "10s" });
  expect(felix.nextDeadline()).toBe(now + 10 * SEC_US);
  configure({ routeRefreshInterval: "0s" });
  vandalize();
  now += 100 * SEC_US;
  felix.tick(now);
  felix.tick(now + 10 * SEC_US);
  expect(felix.nextDeadline()).toBe(NEVER);
});

test("a node that is not known to take what is open is named once all that will be open is", () => {
  felix.ipipOpened({ kind: "fou", send: () => {} } as never);
  expect(logs.filter((line) => line.startsWith("error"))).toEqual([]);
  felix.ipip.settle();
  expect(logs.filter((line) => line.startsWith("error"))).toEqual([
    "error: no IPIP to b (10.20.0.6) takes proto4: this node can send fou alone",
  ]);
});

test("tunl0 takes packets of the cluster's nodes alone", () => {
  felix.ipipOpened({ kind: "proto4", send: () => {} } as never);
  felix.setIpipTunnel(TUNNEL, now);
  const takes = felix.ipip.device?.allowSource;
  expect([takes?.(ipv4("10.20.0.6")), takes?.(ipv4("10.20.0.66"))]).toEqual([true, false]);
});
