// What one 1,400-byte packet costs in the stack of a node: from the pod's veth over cni0, forwarded and VXLAN-encapsulated,
// up to the door of the socket, which here takes the packet and throws it away. The baseline does the least that any
// encapsulation must do without pooled buffers: one new array a layer, each copied into the next.
import { ipv4, prefix } from "../src/base/ipv4-addr.ts";
import { mac } from "../src/base/mac-addr.ts";
import { SeededRng } from "../src/base/rng.ts";
import { Bridge } from "../src/stack/bridge.ts";
import { NetStack } from "../src/stack/net-stack.ts";
import type { PacketBuffer } from "../src/stack/packet-buffer.ts";
import { type Veth, vethPair } from "../src/stack/veth.ts";
import type { Underlay } from "../src/tunnel/underlay.ts";
import { VxlanDevice } from "../src/tunnel/vxlan.ts";
import * as checksum from "../src/wire/checksum.ts";
import * as ethernet from "../src/wire/ethernet.ts";
import * as ip from "../src/wire/ipv4.ts";
import { type Bench, type BenchRow, median, range } from "./result.ts";

const PACKET_BYTES = 1400;
const ROUNDS = 15;
const PACKETS = 200_000;

/** Takes what leaves and gives the buffer back, as a socket does once the kernel has copied it. */
class Sink implements Underlay {
  readonly local = ipv4("192.168.56.2");
  readonly port = 8472;
  sent = 0;
  bytes = 0;
  readonly #stack: NetStack;

  constructor(stack: NetStack) {
    this.#stack = stack;
  }

  send(pkt: PacketBuffer): void {
    this.sent++;
    this.bytes += pkt.length;
    this.#stack.consume(pkt);
  }
}

interface Node {
  readonly stack: NetStack;
  readonly sink: Sink;
  readonly hostEnd: Veth;
  readonly podMac: number;
  readonly bridge: Bridge;
}

function makeNode(): Node {
  const stack = new NetStack({ rng: new SeededRng(1) });
  const host = stack.addNetns("");
  host.sysctl.ipForward = true;
  const pod = stack.addNetns("pod");
  const podMac = mac("0a:00:00:00:00:02");
  const [hostEnd, podEnd] = vethPair(stack, "veth0", "eth0", mac("0a:00:00:00:00:01"), podMac, 1450);
  host.addDevice(hostEnd);
  pod.addDevice(podEnd);
  const bridge = new Bridge(stack, "cni0", mac("0a:00:00:00:00:01"), 1450);
  host.addDevice(bridge);
  bridge.addPort(hostEnd, 0);
  for (const [netns, dev] of [
    [host, hostEnd],
    [host, bridge],
    [pod, podEnd],
  ] as const) {
    netns.setLink(dev, true, 0);
  }
  host.addAddress(bridge, { addr: ipv4("10.244.1.1"), len: 24 }, 0);
  const sink = new Sink(stack);
  const vxlan = new VxlanDevice(
    stack,
    "flannel.1",
    mac("0a:00:00:00:01:01"),
    1450,
    { vni: 1, learning: false, gbp: false, ageingSec: 300, local: sink.local, dstPort: 8472 },
    sink,
  );
  host.addDevice(vxlan);
  host.addAddress(vxlan, { addr: ipv4("10.244.1.0"), len: 32 }, 0);
  host.setLink(vxlan, true, 0);
  // As many peers as a cluster of 100 nodes has, so that tables are not empty.
  for (let i = 2; i <= 100; i++) {
    const base = ipv4(`10.244.${i}.0`);
    const peer = mac("0a:00:00:00:02:00") + i;
    host.neigh.replace({ dev: vxlan, ip: base, mac: peer, state: "PERMANENT" }, 0);
    vxlan.fdb.replace(peer, ipv4(`192.168.56.${i + 1}`), "permanent", 0);
    host.addRoute({ dst: prefix(`10.244.${i}.0/24`), via: base, dev: vxlan, onlink: true }, 0);
  }
  return { stack, sink, hostEnd, podMac, bridge };
}

/** A UDP packet of the pod, as it leaves the pod's veth. */
function frame(node: Node): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ethernet.HEADER_LEN + PACKET_BYTES);
  const view = new DataView(bytes.buffer);
  ethernet.emit(view, 0, node.bridge.mac, node.podMac, ethernet.EtherType.IPV4);
  const l3 = ethernet.HEADER_LEN;
  ip.emit(view, l3, PACKET_BYTES, 1, false, 64, ip.Protocol.UDP, ipv4("10.244.1.2"), ipv4("10.244.77.9"));
  view.setUint16(l3 + 20, 40_000);
  view.setUint16(l3 + 22, 9);
  view.setUint16(l3 + 24, PACKET_BYTES - 20);
  return bytes;
}

function forward(node: Node, bytes: Uint8Array, packets: number): void {
  const { stack, hostEnd } = node;
  for (let i = 0; i < packets; i++) {
    const pkt = stack.pool.acquire(bytes.length) as PacketBuffer;
    pkt.bytes.set(bytes, pkt.head);
    pkt.put(bytes.length);
    hostEnd.deliver(pkt, i);
  }
}

/** One new array a layer. */
function naive(bytes: Uint8Array, packets: number): number {
  let out = 0;
  for (let i = 0; i < packets; i++) {
    const packet = bytes.slice(ethernet.HEADER_LEN);
    const view = new DataView(packet.buffer);
    view.setUint8(8, view.getUint8(8) - 1);
    view.setUint16(10, 0);
    view.setUint16(10, checksum.compute(view, 0, 20));
    const inner = new Uint8Array(ethernet.HEADER_LEN + packet.length);
    ethernet.emit(new DataView(inner.buffer), 0, 1, 2, ethernet.EtherType.IPV4);
    inner.set(packet, ethernet.HEADER_LEN);
    const datagram = new Uint8Array(8 + inner.length);
    new DataView(datagram.buffer).setUint32(0, 0x08000000);
    new DataView(datagram.buffer).setUint32(4, 1 << 8);
    datagram.set(inner, 8);
    out += datagram.length;
  }
  return out;
}

function nsPerPacket(run: () => void): number {
  const start = process.hrtime.bigint();
  run();
  return Number(process.hrtime.bigint() - start) / PACKETS;
}

export const stackForward: Bench = {
  name: "stack-forward",
  about: "forward and encapsulate one 1,400-byte packet, pod's veth to socket door",
  async run(): Promise<readonly BenchRow[]> {
    const node = makeNode();
    const bytes = frame(node);
    forward(node, bytes, 20_000);
    naive(bytes, 20_000);
    const before = node.sink.sent;
    const ours: number[] = [];
    const base: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(nsPerPacket(() => forward(node, bytes, PACKETS)));
      base.push(nsPerPacket(() => void naive(bytes, PACKETS)));
    }
    if (node.sink.sent - before !== ROUNDS * PACKETS)
      throw new Error(`packets were lost in the stack: ${JSON.stringify(node.stack.drops.entries())}`);
    if (node.stack.pool.outstanding !== 0) throw new Error("packets were leaked in the stack");
    // Allocation, apart: heap growth over a run in which the collector is quiet.
    const gc = (globalThis as { gc?: () => void }).gc;
    if (gc === undefined) throw new Error("run with --expose-gc");
    gc();
    const heapBefore = process.memoryUsage().heapUsed;
    forward(node, bytes, PACKETS);
    const grown = Math.max(0, process.memoryUsage().heapUsed - heapBefore) / PACKETS;
    const ns = median(ours);
    const allocating = median(base);
    return [
      {
        what: "forward + encapsulate, 1,400 bytes",
        ours: `${ns.toFixed(0)} ns (${range(ours, 0)})`,
        baseline: `one array a layer: ${allocating.toFixed(0)} ns (${range(base, 0)})`,
        ratio: ns / allocating,
        target: "≤ 250 ns",
        met: ns <= 250,
      },
      {
        what: "bytes allocated a packet",
        ours: grown.toFixed(2),
        baseline: "–",
        ratio: undefined,
        target: "0",
        met: grown < 0.5,
      },
    ];
  },
};
