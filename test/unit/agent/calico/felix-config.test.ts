// FelixConfiguration changed while devices and routes are there.
import { beforeEach, expect, test } from "vitest";
import type { Felix } from "../../../../src/agent/calico/felix/felix.ts";
import { formatPrefix, ipv4, prefix } from "../../../../src/base/ipv4-addr.ts";
import { type Instant, NEVER, SEC_US } from "../../../../src/base/time.ts";
import type { FelixConfiguration, FelixConfigurationSpec } from "../../../../src/control/calico/resources.ts";
import type { Netns } from "../../../../src/stack/netns.ts";
import { VxlanDevice } from "../../../../src/tunnel/vxlan.ts";
import { node, update } from "../../../support/calico.ts";
import { FelixScene } from "../../../support/felix-scene.ts";

const TUNNEL = ipv4("192.168.1.0");

let now: Instant;
let scene: FelixScene;
let host: Netns;
let felix: Felix;
let ports: string[];
let logs: string[];

beforeEach(() => {
  now = 1_000_000;
  scene = new FelixScene(now);
  ({ host, felix, ports, logs } = scene);
});

const open = (port: number): void => scene.openVxlan(port, now);
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
