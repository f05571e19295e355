// One namespace with one interface whose wire the test holds: the fixture of neighbours and ARP.
import { formatIpv4, type Ipv4Addr, ipv4 } from "../../src/base/ipv4-addr.ts";
import { formatMac, MAC_BROADCAST, type MacAddr, mac } from "../../src/base/mac-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, SEC_US } from "../../src/base/time.ts";
import { NetStack } from "../../src/stack/net-stack.ts";
import type { Netns } from "../../src/stack/netns.ts";
import type { PacketBuffer } from "../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../src/stack/packet-pool.ts";
import * as arp from "../../src/wire/arp.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as wire from "../../src/wire/ipv4.ts";
import { packetOf } from "./frames.ts";
import { advance, must, tearDown } from "./host-router-host.ts";
import { ipPacket, TestWire } from "./test-wire.ts";

export const ME: Ipv4Addr = ipv4("10.0.0.1");
export const MY_MAC: MacAddr = mac("02:00:00:00:00:01");
export const PEER: Ipv4Addr = ipv4("10.0.0.2");
export const PEER_MAC: MacAddr = mac("02:00:00:00:00:02");

export class OneHost {
  readonly pool = new PacketPool(4096, true);
  readonly stack: NetStack;
  readonly netns: Netns;
  /** eth0, 10.0.0.1/24, up. */
  readonly eth0: TestWire;
  now: Instant = 1000 * SEC_US;

  constructor(seed = 1) {
    this.stack = new NetStack({ rng: new SeededRng(seed), pool: this.pool });
    this.netns = this.stack.addNetns("h");
    this.eth0 = this.addWire("eth0", MY_MAC, "10.0.0.1", 24);
  }

  /** Another interface, up, with an address unless none is given. */
  addWire(name: string, addr: MacAddr, ip?: string, len = 24): TestWire {
    const dev = new TestWire(this.stack, name, addr, 1500);
    this.netns.addDevice(dev);
    this.netns.setLink(dev, true, this.now);
    if (ip !== undefined) must(this.netns.addAddress(dev, { addr: ipv4(ip), len }, this.now));
    return dev;
  }

  /** An IP packet with `mark` in its only payload byte, given to the neighbour table. */
  output(nexthop: Ipv4Addr, mark = 0, dev = this.eth0): void {
    const pkt = this.packet(ME, nexthop, mark);
    this.netns.neigh.output(pkt, dev, nexthop, this.now);
  }

  packet(src: Ipv4Addr, dst: Ipv4Addr, mark = 0): PacketBuffer {
    const pkt = packetOf(this.pool, ipPacket({ src, dst, payload: new Uint8Array([mark]) }));
    pkt.l3 = pkt.head;
    pkt.protocol = ethernet.EtherType.IPV4;
    return pkt;
  }

  /** Lets an ARP packet arrive. */
  receiveArp(spec: ArpSpec, dev = this.eth0): void {
    dev.receiveFrame(arpBytes(spec), this.now, spec.dst ?? dev.mac, ethernet.EtherType.ARP);
  }

  /** The usual answer: PEER is at PEER_MAC, told to us alone. */
  answer(from: MacAddr = PEER_MAC): void {
    this.receiveArp({ op: "reply", sha: from, sip: PEER, tha: MY_MAC, tip: ME });
  }

  advance(us: number): void {
    advance(this, us);
  }

  /** What went out of `dev`, a line a frame; forgets it. */
  sent(dev = this.eth0): string[] {
    return dev.sent.splice(0).map(showFrame);
  }

  /** State of the entry of `ip`, "none" when there is none. */
  state(ip: Ipv4Addr, dev = this.eth0): string {
    const entry = this.netns.neigh.lookup(dev, ip);
    if (entry === undefined) return "none";
    return entry.mac === undefined ? entry.state : `${entry.state} ${formatMac(entry.mac)}`;
  }

  /** Takes everything down; afterwards nothing may be left. @returns packets that still have an owner, and armed timers */
  end(): { outstanding: number; timers: number } {
    tearDown(this);
    return { outstanding: this.pool.outstanding, timers: this.stack.timers.size };
  }
}

/** What {@link OneHost.end} must answer. */
export const CLEAN = { outstanding: 0, timers: 0 };

export interface ArpSpec {
  readonly op: "request" | "reply";
  readonly sha: MacAddr;
  readonly sip: Ipv4Addr;
  readonly tha?: MacAddr;
  readonly tip: Ipv4Addr;
  /** Destination of the frame; the interface's own address by default. */
  readonly dst?: MacAddr;
}

export function arpBytes(spec: ArpSpec): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(arp.HEADER_LEN);
  const operation = spec.op === "request" ? arp.Operation.REQUEST : arp.Operation.REPLY;
  arp.emit(new DataView(bytes.buffer), 0, operation, spec.sha, spec.sip, spec.tha ?? 0, spec.tip);
  return bytes;
}

/** `src > dst, …` in the manner of tcpdump; of an IP packet the addresses and its first payload byte. */
export function showFrame(frame: Uint8Array<ArrayBuffer>): string {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const from = formatMac(ethernet.src(view, 0));
  const dst = ethernet.dst(view, 0);
  const ends = `${from} > ${dst === MAC_BROADCAST ? "all" : formatMac(dst)}`;
  const at = ethernet.HEADER_LEN;
  if (ethernet.etherType(view, 0) === ethernet.EtherType.IPV4) {
    const ends3 = `${formatIpv4(wire.src(view, at))} > ${formatIpv4(wire.dst(view, at))}`;
    return `${ends}, IP ${ends3} #${frame[at + wire.headerLen(view, at)] ?? "-"}`;
  }
  const tip = formatIpv4(arp.targetIp(view, at));
  const sip = formatIpv4(arp.senderIp(view, at));
  return arp.operation(view, at) === arp.Operation.REQUEST
    ? `${ends}, Request who-has ${tip} tell ${sip}`
    : `${ends}, Reply ${sip} is-at ${formatMac(arp.senderMac(view, at))}`;
}
