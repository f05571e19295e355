import { afterEach, expect, test } from "vitest";
import { contains, type Ipv4Addr, ipv4, type Prefix, prefix } from "../../../src/base/ipv4-addr.ts";
import { MAC_BROADCAST, mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { type Instant, SEC_US } from "../../../src/base/time.ts";
import { segment } from "../../../src/stack/gso.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import type { PacketBuffer } from "../../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { Cable, CablePort, segmentVni } from "../../../src/tunnel/cable.ts";
import type { Underlay } from "../../../src/tunnel/underlay.ts";
import { Uplink } from "../../../src/tunnel/uplink.ts";
import * as arp from "../../../src/wire/arp.ts";
import * as ethernet from "../../../src/wire/ethernet.ts";
import * as geneve from "../../../src/wire/geneve.ts";
import { bytesIn, ethernetFrame, packetOf, udpFrame } from "../../support/frames.ts";
import { must } from "../../support/host-router-host.ts";

const pool = new PacketPool(500, true);
afterEach(() => expect(pool.outstanding).toBe(0));

const LEFT = prefix("10.1.0.0/24");
const RIGHT = prefix("10.2.0.0/24");

/** A network card, its cable, and the port behind it. */
interface Nic {
  readonly dev: Uplink;
  readonly cable: Cable;
  readonly port: CablePort;
}

interface Node {
  readonly name: string;
  readonly stack: NetStack;
  readonly host: Netns;
  readonly nics: Nic[];
}

/** A datagram on the underlay. */
interface Seen {
  readonly src: Ipv4Addr;
  readonly dst: Ipv4Addr;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Nodes whose underlay hands each datagram to its addressee once the sender's stack has run. */
class Lab {
  now: Instant = 1_000_000;
  readonly seen: Seen[] = [];
  readonly #nodes: Node[] = [];
  readonly #ports = new Map<Ipv4Addr, CablePort>();
  #onTheWay: Seen[] = [];

  add(name: string, ...addrs: string[]): Node {
    const stack = new NetStack({ rng: new SeededRng(this.#nodes.length + 1), pool });
    const node: Node = { name, stack, host: stack.addNetns(""), nics: [] };
    this.#nodes.push(node);
    for (const addr of addrs) this.#plug(node, ipv4(addr));
    return node;
  }

  #plug(node: Node, local: Ipv4Addr): void {
    const { stack, host, nics } = node;
    const underlay: Underlay & { segment(pkt: PacketBuffer, now: Instant): void } = {
      local,
      port: geneve.PORT,
      send(pkt, dst, dstPort, _hash, now) {
        expect(dstPort).toBe(geneve.PORT);
        to = dst;
        segment(pkt, stack, this, now);
      },
      segment: (pkt) => {
        this.#onTheWay.push({ src: local, dst: to, bytes: bytesIn(pkt) });
        stack.consume(pkt);
      },
    };
    let to = 0;
    const net: Prefix = contains(LEFT, local) ? LEFT : RIGHT;
    const cable = new Cable(stack, net, underlay);
    const port = new CablePort(stack);
    must(port.add(cable));
    this.#ports.set(local, port);
    const dev = new Uplink(stack, `eth${nics.length}`, mac("02:00:00:00:00:00") + (local & 0xffffff), 1500);
    host.addDevice(dev);
    dev.attachCable(cable);
    host.setLink(dev, true, 0);
    must(host.addAddress(dev, { addr: local, len: net.len }, 0));
    nics.push({ dev, cable, port });
  }

  run(): void {
    for (let round = 0; round < 1000; round++) {
      for (const { stack } of this.#nodes) while (stack.run(this.now));
      const arriving = this.#onTheWay;
      if (arriving.length === 0) return;
      this.#onTheWay = [];
      this.seen.push(...arriving);
      for (const { src, dst, bytes } of arriving) {
        this.#ports.get(dst)?.receive(packetOf(pool, bytes), src, 40_000, this.now);
      }
    }
    throw new Error("the lab does not come to rest");
  }

  /** Time passes, timers fire. */
  advance(us: number): void {
    const end = this.now + us;
    for (;;) {
      const next = Math.min(...this.#nodes.map(({ stack }) => stack.nextDeadline()));
      if (next > end) break;
      this.now = Math.max(this.now, next);
      this.run();
    }
    this.now = end;
    this.run();
  }

  /** What went over the underlay since the last call: sender's and receiver's last octets, and ARP's operation or "ip". */
  take(): string[] {
    return this.seen.splice(0).map(({ src, dst, bytes }) => {
      const view = new DataView(bytes.buffer);
      const isArp = ethernet.etherType(view, geneve.HEADER_LEN) === ethernet.EtherType.ARP;
      const at = geneve.HEADER_LEN + ethernet.HEADER_LEN;
      const what = isArp ? (arp.operation(view, at) === 1 ? "who-has" : "is-at") : "ip";
      return `${src & 0xff}>${dst & 0xff} ${what}`;
    });
  }

  close(): void {
    for (const { stack } of this.#nodes) stack.delNetns("", this.now);
  }
}

const nic = (node: Node, index = 0): Nic => node.nics[index] as Nic;

test("ARP asks the target alone, and the ping then goes to that member only", () => {
  const lab = new Lab();
  const [a] = [lab.add("a", "10.1.0.11"), lab.add("b", "10.1.0.12"), lab.add("c", "10.1.0.13")];
  const ping = a.host.icmp.openEcho();
  ping.sendEcho(ipv4("10.1.0.12"), 1, new Uint8Array(8), {}, lab.now);
  lab.run();
  expect(ping.recv()).toMatchObject({ src: ipv4("10.1.0.12"), ttl: 64 });
  expect(lab.take()).toEqual(["11>12 who-has", "12>11 is-at", "11>12 ip", "12>11 ip"]);
  expect(nic(a).dev.stats).toMatchObject({ txPackets: 2, rxPackets: 2, txErrors: 0 });
  expect(a.host.neigh.lookup(nic(a).dev, ipv4("10.1.0.12"))?.mac).toBe(mac("02:00:00:01:00:0c"));
  ping.close();
  lab.close();
});

test("a member that is not there answers no ARP: host unreachable, as on any segment", () => {
  const lab = new Lab();
  const a = lab.add("a", "10.1.0.11");
  const ping = a.host.icmp.openEcho();
  ping.sendEcho(ipv4("10.1.0.99"), 1, new Uint8Array(8), {}, lab.now);
  lab.advance(5 * SEC_US);
  expect(ping.recvError()).toMatchObject({ type: 3, code: 1 });
  expect(lab.take()).toEqual(["11>99 who-has", "11>99 who-has", "11>99 who-has"]);
  expect(a.stack.drops.entries()).toEqual([["NEIGH_FAILED", 1]]);
  ping.close();
  lab.close();
});

test("a broadcast, an announcement and an unknown station reach each member that was heard, once", () => {
  const lab = new Lab();
  const [a, b, c] = [lab.add("a", "10.1.0.11"), lab.add("b", "10.1.0.12"), lab.add("c", "10.1.0.13")];
  const send = (dst: number, type = 0x88b5) =>
    nic(a).dev.transmit(
      packetOf(pool, ethernetFrame(dst, nic(a).dev.mac, type, new Uint8Array(46))),
      lab.now,
    );
  send(MAC_BROADCAST);
  expect(a.stack.drops.entries()).toEqual([["CABLE_NO_MEMBER", 1]]);
  for (const { host } of [b, c]) {
    const ping = host.icmp.openEcho();
    ping.sendEcho(ipv4("10.1.0.11"), 1, new Uint8Array(8), {}, lab.now);
    lab.run();
    expect(ping.recv()?.seq).toBe(1);
    ping.close();
  }
  lab.take();
  expect(nic(a).cable.members).toEqual([ipv4("10.1.0.12"), ipv4("10.1.0.13")]);
  for (const dst of [MAC_BROADCAST, mac("33:33:00:00:00:01"), mac("02:00:00:00:00:77")]) {
    send(dst);
    lab.run();
    expect(lab.take().sort()).toEqual(["11>12 ip", "11>13 ip"]);
  }
  // An announcement asks for the sender's own address.
  const own = ipv4("10.1.0.11");
  const body = new Uint8Array(28);
  arp.emit(new DataView(body.buffer), 0, arp.Operation.REQUEST, nic(a).dev.mac, own, 0, own);
  nic(a).dev.transmit(packetOf(pool, ethernetFrame(MAC_BROADCAST, nic(a).dev.mac, 0x806, body)), lab.now);
  lab.run();
  expect(lab.take().sort()).toEqual(["11>12 who-has", "11>13 who-has"]);
  lab.close();
});

test("a router forwards between its segments; a pod's packet that it has no route for dies there, and is told so", () => {
  const lab = new Lab();
  const router = lab.add("r", "10.1.0.1", "10.2.0.1");
  router.host.sysctl.ipForward = true;
  const [a, b] = [lab.add("a", "10.1.0.11"), lab.add("b", "10.2.0.22")];
  must(a.host.addRoute({ dst: prefix("0.0.0.0/0"), via: ipv4("10.1.0.1") }, 0));
  must(b.host.addRoute({ dst: prefix("0.0.0.0/0"), via: ipv4("10.2.0.1") }, 0));
  const ping = a.host.icmp.openEcho();
  ping.sendEcho(ipv4("10.2.0.22"), 1, new Uint8Array(8), {}, lab.now);
  lab.run();
  expect(ping.recv()).toMatchObject({ src: ipv4("10.2.0.22"), ttl: 63 });
  expect(new Set(lab.take().map((line) => line.split(" ")[0]))).toEqual(
    new Set(["11>1", "1>11", "1>22", "22>1"]),
  );
  // A pod behind b, of which the router knows nothing.
  ping.sendEcho(ipv4("10.244.2.9"), 2, new Uint8Array(8), {}, lab.now);
  lab.run();
  expect(ping.recvError()).toMatchObject({ type: 3, code: 0, from: ipv4("10.1.0.1") });
  expect(router.stack.drops.entries()).toEqual([["IP_INNOROUTES", 1]]);
  expect(lab.take()).toEqual(["11>1 ip", "1>11 ip"]);
  // Once it has learnt the route, b gets it.
  must(
    router.host.addRoute({ dst: prefix("10.244.2.0/24"), via: ipv4("10.2.0.22"), proto: "bird" }, lab.now),
  );
  ping.sendEcho(ipv4("10.244.2.9"), 3, new Uint8Array(8), {}, lab.now);
  lab.run();
  expect(lab.take()).toEqual(["11>1 ip", "1>22 ip"]);
  expect(b.stack.drops.entries()).toEqual([["FORWARDING_DISABLED", 1]]);
  ping.close();
  lab.close();
});

test("a super-packet crosses in segments, each a Geneve frame of its own", () => {
  const lab = new Lab();
  const [a, b] = [lab.add("a", "10.1.0.11"), lab.add("b", "10.1.0.12")];
  const [from, to] = [a.host.udp.open(), b.host.udp.open()];
  must(to.bind(0, 7));
  from.send(new Uint8Array(1), ipv4("10.1.0.12"), 7, {}, lab.now);
  lab.run();
  to.recv();
  lab.seen.length = 0;
  const payload = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) & 0xff);
  from.send(payload, ipv4("10.1.0.12"), 7, { gsoSize: 1472 }, lab.now);
  lab.run();
  const got: number[] = [];
  for (let part = to.recv(); part !== undefined; part = to.recv()) got.push(...part.bytes);
  expect(got).toEqual(Array.from(payload));
  expect(lab.seen.map(({ bytes }) => bytes.length)).toEqual([1522, 1522, 1522, 634]);
  from.close();
  to.close();
  lab.close();
});

test("a station that moves to another member is followed; one unheard for five minutes is anybody's", () => {
  const lab = new Lab();
  const [a] = [lab.add("a", "10.1.0.11"), lab.add("b", "10.1.0.12"), lab.add("c", "10.1.0.13")];
  const station = mac("02:00:00:00:00:77");
  const hear = (src: string) =>
    nic(a).port.receive(
      packetOf(pool, tunnelled(LEFT, udpFrame({ dst: nic(a).dev.mac, src: station }))),
      ipv4(src),
      40_000,
      lab.now,
    );
  const reached = () => {
    nic(a).dev.transmit(packetOf(pool, udpFrame({ dst: station, src: nic(a).dev.mac })), lab.now);
    lab.run();
    return lab.take();
  };
  hear("10.1.0.12");
  expect(reached()).toEqual(["11>12 ip"]);
  hear("10.1.0.13");
  expect(reached()).toEqual(["11>13 ip"]);
  lab.advance(301 * SEC_US);
  expect(reached().sort()).toEqual(["11>12 ip", "11>13 ip"]);
  lab.close();
});

/** A datagram of a segment's cable. */
function tunnelled(net: Prefix, frame: Uint8Array, change: (view: DataView) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(geneve.HEADER_LEN + frame.length);
  geneve.emit(new DataView(bytes.buffer), 0, segmentVni(net));
  bytes.set(frame, geneve.HEADER_LEN);
  change(new DataView(bytes.buffer));
  return bytes;
}

const PEER = mac("02:00:00:01:00:0c");
const OWN = mac("02:00:00:01:00:0b");
const frame = udpFrame({ dst: OWN, src: PEER });
const refused: [name: string, bytes: Uint8Array, src: string, reason: string][] = [
  ["of another segment", tunnelled(RIGHT, frame), "10.1.0.12", "GENEVE_VNI_NOT_FOUND"],
  ["from outside the segment", tunnelled(LEFT, frame), "10.2.0.12", "IP_INVALID_SOURCE"],
  ["cut within the header", tunnelled(LEFT, frame).subarray(0, 7), "10.1.0.12", "PKT_TOO_SMALL"],
  ["cut within the frame", tunnelled(LEFT, frame).subarray(0, 21), "10.1.0.12", "PKT_TOO_SMALL"],
  ["of version 1", tunnelled(LEFT, frame, (v) => v.setUint8(0, 0x40)), "10.1.0.12", "GENEVE_INVALID_HDR"],
  [
    "with a critical option",
    tunnelled(LEFT, frame, (v) => v.setUint8(1, 0x40)),
    "10.1.0.12",
    "GENEVE_CRITICAL_OPTION",
  ],
  [
    "that is a control message",
    tunnelled(LEFT, frame, (v) => v.setUint8(1, 0x80)),
    "10.1.0.12",
    "UNHANDLED_PROTO",
  ],
  [
    "that holds no Ethernet",
    tunnelled(LEFT, frame, (v) => v.setUint16(2, 0x800)),
    "10.1.0.12",
    "UNHANDLED_PROTO",
  ],
  ["of our own card", tunnelled(LEFT, udpFrame({ dst: PEER, src: OWN })), "10.1.0.12", "LOCAL_MAC"],
  [
    "from a group",
    tunnelled(LEFT, udpFrame({ dst: OWN, src: MAC_BROADCAST })),
    "10.1.0.12",
    "MAC_INVALID_SOURCE",
  ],
  ["from nobody", tunnelled(LEFT, udpFrame({ dst: OWN, src: 0 })), "10.1.0.12", "MAC_INVALID_SOURCE"],
];
test.each(refused)(
  "a frame %s is dropped by name, and nothing is learnt from it",
  (_name, bytes, src, reason) => {
    const lab = new Lab();
    const a = lab.add("a", "10.1.0.11");
    nic(a).port.receive(packetOf(pool, bytes), ipv4(src), 40_000, lab.now);
    expect(a.stack.drops.entries()).toEqual([[reason, 1]]);
    expect(nic(a).cable.members).toEqual([]);
    lab.close();
  },
);

test("options that nobody must understand are passed over", () => {
  const lab = new Lab();
  const a = lab.add("a", "10.1.0.11");
  const plain = tunnelled(LEFT, frame, (v) => v.setUint8(0, 2));
  const option = [1, 2, 3, 1, 0, 0, 0, 0];
  const bytes = Uint8Array.of(...plain.subarray(0, 8), ...option, ...plain.subarray(8));
  nic(a).port.receive(packetOf(pool, bytes), ipv4("10.1.0.12"), 40_000, lab.now);
  expect(nic(a).dev.stats.rxPackets).toBe(1);
  lab.close();
});

test("a card that is down, or unplugged, receives nothing; unplugged it sends nothing", () => {
  const lab = new Lab();
  const a = lab.add("a", "10.1.0.11");
  const { dev, port } = nic(a);
  const receive = () =>
    port.receive(packetOf(pool, tunnelled(LEFT, frame)), ipv4("10.1.0.12"), 40_000, lab.now);
  a.host.setLink(dev, false, lab.now);
  receive();
  expect(dev.stats.rxDropped).toBe(1);
  a.host.setLink(dev, true, lab.now);
  dev.attachCable(undefined);
  receive();
  dev.transmit(packetOf(pool, udpFrame({ dst: PEER, src: OWN })), lab.now);
  expect(a.stack.drops.entries()).toEqual([
    ["DEV_READY", 2],
    ["UNDERLAY_TX", 1],
  ]);
  lab.close();
});

test("a port has one cable a segment; members of a segment agree on its network, and other segments have others", () => {
  const stack = new NetStack({ rng: new SeededRng(1), pool });
  const port = new CablePort(stack);
  const underlay: Underlay = { local: 1, port: geneve.PORT, send: (pkt) => stack.consume(pkt) };
  const [one, two] = [new Cable(stack, LEFT, underlay), new Cable(stack, LEFT, underlay)];
  expect(port.add(one).ok).toBe(true);
  expect(port.add(two)).toEqual({ ok: false, error: "File exists" });
  port.del(one);
  expect(port.add(two).ok).toBe(true);
  // FNV-1a of 0a 01 00 00 18, with the published constants.
  const byHand = [10, 1, 0, 0, 24].reduce(
    (h, b) => Number(((BigInt(h ^ b) & 0xffffffffn) * 16777619n) % 2n ** 32n),
    0x811c9dc5,
  );
  expect(segmentVni(LEFT)).toBe(((byHand >>> 24) ^ byHand) & 0xffffff);
  const vnis = Array.from({ length: 256 }, (_, i) =>
    segmentVni({ addr: ipv4("10.0.0.0") + i * 65536, len: 24 }),
  );
  expect(new Set(vnis).size).toBe(256);
  expect(segmentVni({ addr: ipv4("10.1.0.0"), len: 16 })).not.toBe(segmentVni(LEFT));
});
