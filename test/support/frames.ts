// Frames for tests of the stack: built by the codecs, in packets of a pool.
import { ipv4 as address, type Ipv4Addr } from "../../src/base/ipv4-addr.ts";
import type { MacAddr } from "../../src/base/mac-addr.ts";
import type { Instant } from "../../src/base/time.ts";
import type { LinkReceiver } from "../../src/stack/net-device.ts";
import type { PacketBuffer } from "../../src/stack/packet-buffer.ts";
import type { PacketPool } from "../../src/stack/packet-pool.ts";
import type { StackContext } from "../../src/stack/stack-context.ts";
import type { Underlay } from "../../src/tunnel/underlay.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as udp from "../../src/wire/udp.ts";

/** A packet that holds `bytes`, head at the first. */
export function packetOf(pool: PacketPool, bytes: Uint8Array): PacketBuffer {
  const pkt = pool.acquire(bytes.length);
  if (pkt === undefined) throw new Error("the pool is empty");
  pkt.bytes.set(bytes, pkt.put(bytes.length));
  return pkt;
}

/** The bytes head..tail (or `from`..tail), copied. */
export function bytesIn(pkt: PacketBuffer, from = pkt.head): Uint8Array<ArrayBuffer> {
  return pkt.bytes.slice(from, pkt.tail);
}

/** An Ethernet frame with `payload`. */
export function ethernetFrame(
  dst: MacAddr,
  src: MacAddr,
  type: number,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ethernet.HEADER_LEN + payload.length);
  ethernet.emit(new DataView(bytes.buffer), 0, dst, src, type);
  bytes.set(payload, ethernet.HEADER_LEN);
  return bytes;
}

export interface UdpFrameOptions {
  readonly dst: MacAddr;
  readonly src: MacAddr;
  readonly ipSrc?: Ipv4Addr;
  readonly ipDst?: Ipv4Addr;
  readonly srcPort?: number;
  readonly dstPort?: number;
  readonly id?: number;
  readonly payload?: Uint8Array;
}

/** An Ethernet frame with a UDP datagram in it, checksums complete. */
export function udpFrame(opts: UdpFrameOptions): Uint8Array<ArrayBuffer> {
  const payload = opts.payload ?? new Uint8Array(32).fill(7);
  const ipSrc = opts.ipSrc ?? address("10.244.0.2");
  const ipDst = opts.ipDst ?? address("10.244.1.2");
  const len = ipv4.HEADER_LEN + udp.HEADER_LEN + payload.length;
  const bytes = ethernetFrame(opts.dst, opts.src, ethernet.EtherType.IPV4, new Uint8Array(len));
  const view = new DataView(bytes.buffer);
  const l3 = ethernet.HEADER_LEN;
  const l4 = l3 + ipv4.HEADER_LEN;
  ipv4.emit(view, l3, len, opts.id ?? 1, true, 64, ipv4.Protocol.UDP, ipSrc, ipDst);
  udp.emit(view, l4, opts.srcPort ?? 40000, opts.dstPort ?? 53, udp.HEADER_LEN + payload.length);
  bytes.set(payload, l4 + udp.HEADER_LEN);
  udp.updateChecksum(view, l4, ipSrc, ipDst);
  return bytes;
}

/**
 * A super-packet as the UDP layer makes it: head at Ethernet, l3 and l4 set, `gsoSize` set, transport checksum not yet made.
 */
export function udpSuperPacket(pool: PacketPool, opts: UdpFrameOptions, gsoSize: number): PacketBuffer {
  const pkt = packetOf(pool, udpFrame(opts));
  pkt.l2 = pkt.head;
  pkt.l3 = pkt.head + ethernet.HEADER_LEN;
  pkt.l4 = pkt.l3 + ipv4.HEADER_LEN;
  pkt.view.setUint16(pkt.l4 + 6, 0);
  pkt.protocol = ethernet.EtherType.IPV4;
  pkt.gsoSize = gsoSize;
  return pkt;
}

/** What a receiver was given. */
export interface Received {
  /** The whole frame, Ethernet header included. */
  readonly frame: Uint8Array<ArrayBuffer>;
  readonly packetType: number;
  readonly dev: string;
  readonly mark: number;
  readonly tunnelRemote: Ipv4Addr;
  readonly gsoSize: number;
  readonly at: Instant;
}

/** Takes the place of a namespace above a device: `dev.upper = sink`. Notes what comes and releases it. */
export class Sink implements LinkReceiver {
  readonly received: Received[] = [];
  readonly #ctx: StackContext;

  constructor(ctx: StackContext) {
    this.#ctx = ctx;
  }

  receive(pkt: PacketBuffer, now: Instant): void {
    const { packetType, mark, tunnelRemote, gsoSize } = pkt;
    const frame = bytesIn(pkt, pkt.l2);
    this.received.push({ frame, packetType, dev: pkt.dev?.name ?? "", mark, tunnelRemote, gsoSize, at: now });
    this.#ctx.consume(pkt);
  }

  /** What came since the last call. */
  take(): Received[] {
    return this.received.splice(0);
  }
}

/** One datagram that a tunnel handed to the underlay. */
export interface Datagram {
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly dst: Ipv4Addr;
  readonly dstPort: number;
  readonly flowHash: number;
  readonly gsoSize: number;
}

/** An underlay that notes what is sent and releases it. */
export class RecordingUnderlay implements Underlay {
  readonly local: Ipv4Addr;
  readonly port: number;
  readonly sent: Datagram[] = [];
  readonly #ctx: StackContext;

  constructor(ctx: StackContext, local: Ipv4Addr, port = 8472) {
    this.#ctx = ctx;
    this.local = local;
    this.port = port;
  }

  send(pkt: PacketBuffer, dst: Ipv4Addr, dstPort: number, flowHash: number, _now: Instant): void {
    this.sent.push({ payload: bytesIn(pkt), dst, dstPort, flowHash, gsoSize: pkt.gsoSize });
    this.#ctx.consume(pkt);
  }

  /** What was sent since the last call. */
  take(): Datagram[] {
    return this.sent.splice(0);
  }
}
