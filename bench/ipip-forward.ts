// What one packet costs on its way out of a node by IPIP, beside VXLAN: from the pod's end of the veth, through the host's
// route, TTL and MTU, into the tunnel device and to the door of the socket, which takes the packet and throws it away. The
// door of a raw socket is one step further out than UDP's: the outer header is written, as `io/raw-ip.ts` does.
import { ipv4, prefix } from "../src/base/ipv4-addr.ts";
import { mac } from "../src/base/mac-addr.ts";
import { SeededRng } from "../src/base/rng.ts";
import type { NetDevice } from "../src/stack/net-device.ts";
import { NetStack } from "../src/stack/net-stack.ts";
import type { Netns } from "../src/stack/netns.ts";
import type { PacketBuffer } from "../src/stack/packet-buffer.ts";
import { type Veth, vethPair } from "../src/stack/veth.ts";
import { IpipDevice } from "../src/tunnel/ipip.ts";
import type { IpipCarrier } from "../src/tunnel/ipip-carrier.ts";
import type { Underlay } from "../src/tunnel/underlay.ts";
import { VxlanDevice } from "../src/tunnel/vxlan.ts";
import * as ethernet from "../src/wire/ethernet.ts";
import * as ip from "../src/wire/ipv4.ts";
import { type Bench, type BenchRow, median, range } from "./result.ts";

const PACKET_BYTES = 1400;
const ROUNDS = 15;
const PACKETS = 200_000;
const LOCAL = ipv4("192.168.56.2");

interface Node {
  readonly stack: NetStack;
  readonly hostEnd: Veth;
  readonly sent: { packets: number };
}

/** A node with one pod, and as many peers as a cluster of 100 nodes has. */
function makeNode(tunnel: (stack: NetStack, sent: Node["sent"]) => NetDevice, peer: PeerOf): Node {
  const stack = new NetStack({ rng: new SeededRng(1) });
  const host = stack.addNetns("");
  host.sysctl.ipForward = true;
  const pod = stack.addNetns("pod");
  const macs = [mac("ee:ee:ee:ee:ee:ee"), mac("0a:00:00:00:00:02")] as const;
  const [hostEnd, podEnd] = vethPair(stack, "cali0", "eth0", ...macs, 1450);
  host.addDevice(hostEnd);
  pod.addDevice(podEnd);
  const sent = { packets: 0 };
  const dev = tunnel(stack, sent);
  host.addDevice(dev);
  for (const [netns, one] of [
    [host, hostEnd],
    [host, dev],
    [pod, podEnd],
  ] as const) {
    netns.setLink(one, true, 0);
  }
  for (let i = 2; i <= 100; i++) {
    const via = peer(host, dev, i);
    host.addRoute({ dst: prefix(`10.244.${i}.0/24`), via, dev, onlink: true }, 0);
  }
  return { stack, hostEnd, sent };
}

/** Makes node `i` reachable by the tunnel. Returns the next hop of its pods. */
type PeerOf = (host: Netns, dev: NetDevice, i: number) => number;

function ipipNode(): Node {
  return makeNode(
    (stack, sent) => {
      const carrier: IpipCarrier = {
        kind: "proto4",
        local: LOCAL,
        send(pkt, dst, ttl, tos, df) {
          const bytes = pkt.length + ip.HEADER_LEN;
          ip.emit(
            pkt.view,
            pkt.push(ip.HEADER_LEN),
            bytes,
            0,
            df,
            ttl,
            ip.Protocol.IPIP,
            LOCAL,
            dst | 0,
            tos,
          );
          sent.packets++;
          stack.consume(pkt);
        },
      };
      return new IpipDevice(stack, "tunl0", 1480, { underlayMtuBytes: 1500 }, () => carrier);
    },
    (_host, _dev, i) => ipv4("192.168.56.0") + i + 1,
  );
}

function vxlanNode(): Node {
  return makeNode(
    (stack, sent) => {
      const underlay: Underlay = {
        local: LOCAL,
        port: 4789,
        send(pkt) {
          sent.packets++;
          stack.consume(pkt);
        },
      };
      const own = mac("66:00:00:00:01:01");
      const opts = { vni: 4096, learning: false, gbp: false, ageingSec: 300, local: LOCAL, dstPort: 4789 };
      return new VxlanDevice(stack, "vxlan.calico", own, 1450, opts, underlay);
    },
    (host, dev, i) => {
      const base = ipv4(`10.244.${i}.0`);
      const peerMac = mac("66:00:00:00:02:00") + i;
      host.neigh.replace({ dev, ip: base, mac: peerMac, state: "PERMANENT" }, 0);
      (dev as VxlanDevice).fdb.replace(peerMac, ipv4("192.168.56.0") + i + 1, "permanent", 0);
      return base;
    },
  );
}

/** A UDP packet of the pod, as it leaves the pod's veth. */
function frame(node: Node): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ethernet.HEADER_LEN + PACKET_BYTES);
  const view = new DataView(bytes.buffer);
  ethernet.emit(view, 0, node.hostEnd.mac, mac("0a:00:00:00:00:02"), ethernet.EtherType.IPV4);
  const l3 = ethernet.HEADER_LEN;
  ip.emit(view, l3, PACKET_BYTES, 1, false, 64, ip.Protocol.UDP, ipv4("10.244.1.2"), ipv4("10.244.77.9"));
  view.setUint16(l3 + 20, 40_000);
  view.setUint16(l3 + 22, 9);
  view.setUint16(l3 + 24, PACKET_BYTES - 20);
  return bytes;
}

function forward({ stack, hostEnd }: Node, bytes: Uint8Array, packets: number): void {
  for (let i = 0; i < packets; i++) {
    const pkt = stack.pool.acquire(bytes.length) as PacketBuffer;
    pkt.bytes.set(bytes, pkt.head);
    pkt.put(bytes.length);
    hostEnd.deliver(pkt, i);
  }
}

function nsPerPacket(run: () => void): number {
  const start = process.hrtime.bigint();
  run();
  return Number(process.hrtime.bigint() - start) / PACKETS;
}

export const ipipForward: Bench = {
  name: "ipip-forward",
  about: "forward and encapsulate one 1,400-byte packet by IPIP, and by VXLAN in the same run",
  async run(): Promise<readonly BenchRow[]> {
    const nodes = [ipipNode(), vxlanNode()] as const;
    const bytes = nodes.map(frame);
    const times: [number[], number[]] = [[], []];
    nodes.forEach((node, i) => {
      forward(node, bytes[i] as Uint8Array, 20_000);
    });
    for (let round = 0; round < ROUNDS; round++) {
      nodes.forEach((node, i) => {
        times[i as 0 | 1].push(nsPerPacket(() => forward(node, bytes[i] as Uint8Array, PACKETS)));
      });
    }
    for (const { stack, sent } of nodes) {
      if (sent.packets !== ROUNDS * PACKETS + 20_000)
        throw new Error(`packets were lost in the stack: ${JSON.stringify(stack.drops.entries())}`);
      if (stack.pool.outstanding !== 0) throw new Error("packets were leaked in the stack");
    }
    // Allocation, apart: heap growth over a run in which the collector is quiet; the least of three, because compilers
    // allocate, too.
    const gc = (globalThis as { gc?: () => void }).gc;
    if (gc === undefined) throw new Error("run with --expose-gc");
    let grown = Number.POSITIVE_INFINITY;
    for (let run = 0; run < 3; run++) {
      gc();
      const before = process.memoryUsage().heapUsed;
      forward(nodes[0], bytes[0] as Uint8Array, PACKETS);
      grown = Math.min(grown, Math.max(0, process.memoryUsage().heapUsed - before) / PACKETS);
    }
    const [ipip, vxlan] = times.map(median) as [number, number];
    return [
      {
        what: "forward + encapsulate by IPIP, 1,400 bytes",
        ours: `${ipip.toFixed(0)} ns (${range(times[0], 0)})`,
        baseline: `VXLAN: ${vxlan.toFixed(0)} ns (${range(times[1], 0)})`,
        ratio: ipip / vxlan,
        target: "≤ VXLAN",
        met: ipip <= vxlan,
      },
      {
        what: "bytes allocated a packet by IPIP",
        ours: grown.toFixed(2),
        baseline: "–",
        ratio: undefined,
        target: "0",
        met: grown < 0.5,
      },
    ];
  },
};
