// What the CNI bridge plugin leaves behind for flannel's delegate: cni0 with the first address, a veth a pod, its routes.
import { beforeEach, describe, expect, test } from "vitest";
import { BridgePlugin } from "../../../src/agent/pods/bridge-plugin.ts";
import { formatIpv4, formatPrefix, type Ipv4Addr, ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import type { Bridge } from "../../../src/stack/bridge.ts";
import type { NetDevice } from "../../../src/stack/net-device.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { vethPair } from "../../../src/stack/veth.ts";

const SUBNET = prefix("10.244.1.0/24");
const WEB = ipv4("10.244.1.2");
const DB = ipv4("10.244.1.3");

let pool: PacketPool;
let stack: NetStack;
let host: Netns;
let plugin: BridgePlugin;
let now: number;

beforeEach(() => {
  pool = new PacketPool(200, true);
  stack = new NetStack({ rng: new SeededRng(3), pool });
  host = stack.addNetns("");
  host.sysctl.ipForward = true;
  now = 1_000_000;
  plugin = new BridgePlugin({
    stack,
    host,
    subnet: SUBNET,
    network: prefix("10.244.0.0/16"),
    mtuBytes: 1450,
  });
});

const cni0 = (): Bridge => host.device("cni0") as Bridge;
const eth0 = (pod: string): NetDevice => plugin.netns(pod)?.device("eth0") as NetDevice;

function add(name: string, addr: Ipv4Addr): void {
  expect(plugin.add(name, addr, now)).toEqual({ ok: true, value: undefined });
}

function settle(): void {
  while (stack.run(now, 256)) now++;
}

describe("ADD", () => {
  test("sees to cni0 again: its address, and that it is up", () => {
    add("web", WEB);
    host.setLink(cni0(), false, now);
    host.delAddress(cni0(), { addr: ipv4("10.244.1.1"), len: 24 }, now);
    add("db", DB);
    expect(cni0().up).toBe(true);
    expect(host.addresses(cni0())).toMatchObject([{ addr: ipv4("10.244.1.1"), len: 24 }]);
    // A port that was taken off the bridge goes with its pod all the same.
    const [port] = cni0().ports;
    if (port !== undefined) cni0().delPort(port.dev, now);
    expect(plugin.del("web", now)).toBe(true);
    expect(plugin.del("db", now)).toBe(true);
  });

  test("makes cni0 with the subnet's first address and one port a pod, all with the tunnel's MTU", () => {
    add("web", WEB);
    add("db", DB);
    expect(host.addresses(cni0())).toMatchObject([{ addr: ipv4("10.244.1.1"), len: 24 }]);
    expect(cni0().ports.map(({ dev, hairpin }) => [dev.mtuBytes, hairpin, dev.running])).toEqual([
      [1450, true, true],
      [1450, true, true],
    ]);
    expect(cni0().ports.every(({ dev }) => /^veth[0-9a-f]{8}$/.test(dev.name))).toBe(true);
    expect(cni0().mtuBytes).toBe(1450);
    expect(plugin.names()).toEqual(["db", "web"]);
    settle();
    expect(pool.outstanding).toBe(0);
  });

  test("gives the pod its address, the default route and the one to the network, both by cni0", () => {
    add("web", WEB);
    const netns = plugin.netns("web") as Netns;
    expect(netns.addresses(eth0("web"))).toMatchObject([{ addr: WEB, len: 24 }]);
    const routes = netns.fib
      .dump("main")
      .map(({ dst, via, src, proto }) => [
        formatPrefix(dst),
        via === undefined ? "-" : formatIpv4(via),
        src === undefined ? "-" : formatIpv4(src),
        proto,
      ]);
    expect(routes).toEqual([
      ["0.0.0.0/0", "10.244.1.1", "-", "boot"],
      ["10.244.0.0/16", "10.244.1.1", "-", "boot"],
      ["10.244.1.0/24", "-", "10.244.1.2", "kernel"],
    ]);
    expect(plugin.row("web", "n1")).toMatchObject({
      name: "web",
      node: "n1",
      ip: "10.244.1.2",
      gateway: "10.244.1.1",
      mtu: 1450,
    });
  });

  test("keeps the gateway's MAC whatever ports come and go", () => {
    add("web", WEB);
    const { mac: before } = cni0();
    // A port with a lower address would become the bridge's own, if it were not pinned.
    const [low] = vethPair(
      stack,
      "low",
      "low-peer",
      mac("00:00:00:00:00:01"),
      mac("00:00:00:00:00:02"),
      1450,
    );
    host.addDevice(low);
    cni0().addPort(low, now);
    plugin.del("web", now);
    expect(cni0().mac).toBe(before);
  });

  test("announces the pod: the bridge knows where it is before it has said anything else", () => {
    add("web", WEB);
    settle();
    const learned = cni0()
      .fdb.dump(now)
      .filter((entry) => entry.state === "learned");
    expect(learned).toMatchObject([{ mac: eth0("web").mac, port: { name: cni0().ports[0]?.dev.name } }]);
    expect(pool.outstanding).toBe(0);
  });

  test("refuses a name that is there, and one that another namespace has; nothing is left of the attempt", () => {
    add("web", WEB);
    stack.addNetns("taken");
    const devices = [...host.devices()].length;
    expect(plugin.add("web", DB, now)).toEqual({ ok: false, error: 'pod "web" exists already' });
    expect(plugin.add("taken", DB, now)).toEqual({
      ok: false,
      error: 'the name "taken" is taken by another namespace',
    });
    expect([...host.devices()]).toHaveLength(devices);
    expect(plugin.size).toBe(1);
  });
});

test("two pods of a node reach each other and their gateway, and a pod reaches itself by its address", () => {
  add("web", WEB);
  add("db", DB);
  const socket = (plugin.netns("web") as Netns).icmp.openEcho();
  const targets = [DB, ipv4("10.244.1.1"), WEB];
  targets.forEach((dst, seq) => socket.sendEcho(dst, seq, new Uint8Array(8), {}, now));
  settle();
  const replies = new Set(targets.map(() => socket.recv()?.src));
  expect(replies).toEqual(new Set(targets));
  socket.close();
  expect(pool.outstanding).toBe(0);
});

test("DEL removes both ends and the namespace, leaves cni0 and the others, and releases every packet", () => {
  add("web", WEB);
  add("db", DB);
  const gone = cni0().ports[0]?.dev as NetDevice;
  // Packets that are under way when the pod goes.
  const socket = (plugin.netns("db") as Netns).icmp.openEcho();
  for (let seq = 0; seq < 5; seq++) socket.sendEcho(WEB, seq, new Uint8Array(8), {}, now);
  stack.run(now, 3);
  expect(plugin.del("web", now)).toBe(true);
  expect(plugin.del("web", now)).toBe(false);
  expect(host.device(gone.name)).toBeUndefined();
  expect(stack.netns("web")).toBeUndefined();
  expect(cni0().ports).toHaveLength(1);
  expect(
    cni0()
      .fdb.dump(now)
      .some((entry) => entry.port === gone),
  ).toBe(false);
  expect(host.addresses(cni0())).toHaveLength(1);
  settle();
  socket.close();
  plugin.del("db", now);
  settle();
  // What still waits for an answer of the pod that is gone: the neighbour entry gives it up.
  for (let i = 0; i < 10; i++) {
    now += 1_000_000;
    settle();
  }
  expect(pool.outstanding).toBe(0);
});
