import { afterEach, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { type Ipv4Addr, ipv4, prefix } from "../../../src/base/ipv4-addr.ts";
import { MAC_ZERO, type MacAddr, mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import type { Instant } from "../../../src/base/time.ts";
import { Bridge } from "../../../src/stack/bridge.ts";
import { segment } from "../../../src/stack/gso.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import type { PacketBuffer } from "../../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { vethPair } from "../../../src/stack/veth.ts";
import type { Underlay } from "../../../src/tunnel/underlay.ts";
import { VxlanDevice } from "../../../src/tunnel/vxlan.ts";
import { VxlanPort } from "../../../src/tunnel/vxlan-port.ts";
import { packetOf } from "../../support/frames.ts";

const pool = new PacketPool(500, true);
afterEach(() => expect(pool.outstanding).toBe(0));

/** One node, its VTEP, and its one pod. Node `n` is 192.168.56.n. */
interface Node {
  readonly stack: NetStack;
  readonly host: Netns;
  readonly pod: Netns;
  readonly podIp: Ipv4Addr;
  readonly vtep: VxlanDevice;
  readonly port: VxlanPort;
  readonly bridge: Bridge;
  /** Datagrams on the underlay, in bytes of UDP payload. */
  readonly datagrams: number[];
}

const underlayIp = (n: number): Ipv4Addr => ipv4("192.168.56.0") + n;
const vtepMac = (n: number): MacAddr => mac("02:00:00:00:01:00") + n;

/** Nodes whose underlay hands every datagram to its addressee, super-packets cut as the socket edge does. */
function lab(build: (node: Node, n: number) => void) {
  const nodes = new Map<number, Node>();
  for (const n of [1, 2]) {
    const stack = new NetStack({ rng: new SeededRng(n), pool });
    const host = stack.addNetns("");
    const datagrams: number[] = [];
    const underlay: Underlay & { segment(pkt: PacketBuffer, now: Instant): void } = {
      local: underlayIp(n),
      port: 8472,
      send(pkt, dst, _port, _hash, now) {
        to = nodes.get(dst - underlayIp(0)) as Node;
        segment(pkt, stack, this, now);
      },
      segment(pkt, now) {
        datagrams.push(pkt.length);
        const copy = packetOf(pool, pkt.bytes.slice(pkt.head, pkt.tail));
        stack.consume(pkt);
        to.port.receive(copy, underlayIp(n), 40000, now);
      },
    };
    let to = undefined as unknown as Node;
    const opts = { vni: 1, learning: true, gbp: false, ageingSec: 300, local: underlayIp(n), dstPort: 8472 };
    const vtep = new VxlanDevice(stack, "flannel.1", vtepMac(n), 1450, opts, underlay);
    const port = new VxlanPort(stack);
    port.add(vtep);
    host.addDevice(vtep);
    host.setLink(vtep, true, 0);
    const bridge = new Bridge(stack, "cni0", mac("02:00:00:00:02:00") + n, 1450);
    host.addDevice(bridge);
    bridge.setMac(bridge.mac, 0);
    host.setLink(bridge, true, 0);
    const pod = stack.addNetns("pod");
    const macs = [mac("02:00:00:00:03:00") + n, mac("02:00:00:00:04:00") + n] as const;
    const [eth0, end] = vethPair(stack, "eth0", "veth0", ...macs, 1450);
    pod.addDevice(eth0);
    host.addDevice(end);
    bridge.addPort(end, 0);
    pod.setLink(eth0, true, 0);
    host.setLink(end, true, 0);
    const podIp = (ipv4("10.244.0.2") + n * 256) >>> 0;
    const node = { stack, host, pod, podIp, vtep, port, bridge, datagrams };
    nodes.set(n, node);
  }
  for (const [n, node] of nodes) build(node, n);
  const [one, two] = [...nodes.values()] as [Node, Node];
  const run = (now: Instant) => {
    const all = [...nodes.values()];
    do for (const node of all) node.stack.run(now);
    while (all.some((node) => node.stack.nextDeadline() === 0));
  };
  const close = () => {
    for (const node of nodes.values()) for (const name of ["pod", ""]) node.stack.delNetns(name, 0);
  };
  return { one, two, run, close };
}

function must(result: { readonly ok: boolean }): void {
  expect(result).toMatchObject({ ok: true });
}

/** As Flannel sets it up: a subnet a node, and for the peer an ARP entry, a forwarding entry and a route. */
function flannel(node: Node, n: number): void {
  const peer = 3 - n;
  const net = (k: number) => ipv4("10.244.0.0") + k * 256;
  const eth0 = node.pod.device("eth0") as NonNullable<ReturnType<Netns["device"]>>;
  must(node.host.sysctl.set("net.ipv4.ip_forward", "1"));
  must(node.host.addAddress(node.vtep, { addr: net(n), len: 32 }, 0));
  must(node.host.addAddress(node.bridge, { addr: net(n) + 1, len: 24 }, 0));
  must(node.pod.addAddress(eth0, { addr: node.podIp, len: 24 }, 0));
  must(node.pod.addRoute({ dst: prefix("0.0.0.0/0"), via: net(n) + 1, dev: eth0 }, 0));
  must(node.host.neigh.replace({ dev: node.vtep, ip: net(peer), mac: vtepMac(peer), state: "PERMANENT" }, 0));
  must(node.vtep.fdb.replace(vtepMac(peer), underlayIp(peer), "permanent", 0));
  must(
    node.host.addRoute(
      { dst: { addr: net(peer), len: 24 }, via: net(peer), dev: node.vtep, onlink: true, proto: "flannel" },
      0,
    ),
  );
}

/** One bridge over both nodes: the VTEP is a port, the peer the default destination, ARP crosses. */
function oneBridge(node: Node, n: number): void {
  const eth0 = node.pod.device("eth0") as NonNullable<ReturnType<Netns["device"]>>;
  node.bridge.addPort(node.vtep, 0);
  must(node.vtep.fdb.append(MAC_ZERO, underlayIp(3 - n), "permanent", 0));
  must(node.pod.addAddress(eth0, { addr: node.podIp, len: 16 }, 0));
}

test.each([
  ["routed, as Flannel does it: two forwards on the way", flannel, 62],
  ["bridged: ARP crosses, nobody forwards", oneBridge, 64],
])("a ping crosses, %s", (_name, build, ttl) => {
  const { one, two, run, close } = lab(build);
  const ping = one.pod.icmp.openEcho();
  for (let seq = 1; seq <= 3; seq++) {
    expect(ping.sendEcho(two.podIp, seq, new Uint8Array(56), {}, seq)).toBe(DropReason.NOT_DROPPED);
    run(seq);
    expect(ping.recv()).toMatchObject({ src: two.podIp, seq, ttl, bytes: new Uint8Array(56) });
  }
  // 8 VXLAN + 14 + 20 + 8 + 56.
  expect(one.datagrams.filter((len) => len === 106).length).toBe(3);
  expect(two.vtep.fdb.dump(0).map((row) => row.remote)).toContain(underlayIp(1));
  expect(one.stack.drops.entries()).toEqual([]);
  expect(two.stack.drops.entries()).toEqual([]);
  ping.close();
  close();
});

test("a super-packet of the pod's socket crosses veth and bridge whole, and the underlay as single datagrams", () => {
  const { one, two, run, close } = lab(flannel);
  const from = one.pod.udp.open();
  const to = two.pod.udp.open();
  must(to.bind(0, 5001));
  const payload = Uint8Array.from({ length: 9000 }, (_, i) => (i * 7) & 0xff);
  // The neighbours on the way are learnt first.
  expect(from.send(new Uint8Array(1), two.podIp, 5001, {}, 1)).toBe(DropReason.NOT_DROPPED);
  run(1);
  expect(to.recv()?.bytes.length).toBe(1);
  expect(from.send(payload, two.podIp, 5001, { gsoSize: 1422 }, 2)).toBe(DropReason.NOT_DROPPED);
  const before = one.bridge.stats.rxPackets;
  run(2);
  expect(one.bridge.stats.rxPackets - before).toBe(1);
  const got: number[] = [];
  for (let part = to.recv(); part !== undefined; part = to.recv()) got.push(...part.bytes);
  expect(got).toEqual(Array.from(payload));
  expect(one.datagrams.slice(1)).toEqual([1472, 1472, 1472, 1472, 1472, 1472, 518]);
  from.close();
  to.close();
  close();
});

test("a frame for another VTEP is counted as received, and then dropped by IP", () => {
  const { one, two, run, close } = lab(flannel);
  must(one.vtep.fdb.replace(mac("02:00:00:00:00:77"), underlayIp(2), "permanent", 0));
  must(
    one.host.neigh.replace(
      { dev: one.vtep, ip: ipv4("10.244.2.0"), mac: mac("02:00:00:00:00:77"), state: "PERMANENT" },
      0,
    ),
  );
  const ping = one.pod.icmp.openEcho();
  ping.sendEcho(two.podIp, 1, new Uint8Array(8), {}, 0);
  run(0);
  expect(two.vtep.stats.rxPackets).toBe(1);
  expect(two.stack.drops.entries()).toEqual([["OTHERHOST", 1]]);
  ping.close();
  close();
});
