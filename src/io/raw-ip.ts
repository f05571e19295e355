// IP protocol 4 on a raw socket: how ipip packets leave and arrive where the process may open one. Read raw(7) and RFC 2003 first.
//
// - The outer header is written here, addresses of this machine and all (IP_HDRINCL). The kernel completes the checksum, and the
//   identification of what may be fragmented. It does not fragment: what exceeds its device's MTU is refused (EMSGSIZE). It
//   then comes back to the tunnel; for one that must not be fragmented the kernel is asked for the path MTU first.
// - What arrives has its outer header in front, reassembled by the kernel. That header is checked and taken off here.
// - A raw socket takes in a *copy*: a host that has an ipip device of its own up sees the packets too, and one that has the
//   ipip module loaded but no such device also answers with ICMP (port unreachable), which senders count (io/raw-icmp.ts) and
//   no more. A host with neither is content that somebody took the packet.
import type { Socket } from "node:dgram";
import { DropReason } from "../base/drop-reason.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import { type SegmentReceiver, segment } from "../stack/gso.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { StackContext } from "../stack/stack-context.ts";
import type { IpipCarrier, IpipReceiver } from "../tunnel/ipip-carrier.ts";
import * as ipv4 from "../wire/ipv4.ts";
import { type CarriedPeer, CarriedPeers, type OnUncarried } from "./carried-peers.ts";
import type { Clock } from "./clock.ts";
import { DatagramSender, type DatagramSenderStats, TxSocket } from "./datagram-sender.ts";
import type { CarrierMap } from "./host-address.ts";
import { IPPROTO_IP, KernelPathMtu, openRawSocket } from "./raw-socket.ts";

const NEED = { what: "raw sockets (IP protocol 4)", without: "carry IPIP in UDP (FOU)" } as const;

const IP_HDRINCL = 3;
/** Node wants a port to send to; raw sockets ignore it. */
const ANY_PORT = 1;

/** Counters of one raw socket. Plain numbers; read them at any time. */
export interface RawIpStats extends DatagramSenderStats {
  rxPackets: number;
  rxBytes: number;
  /** Lost because the pool was exhausted. */
  rxNoBuffer: number;
  /** Outer headers that are not sound, and errors that the kernel reported. */
  rxErrors: number;
}

export interface RawIpOptions {
  /** The node's underlay address. */
  readonly local: Ipv4Addr;
  readonly carriers: CarrierMap;
  readonly ctx: StackContext;
  readonly clock: Clock;
  /** Called after each packet was handed over: run the stack soon. Must be cheap and idempotent. */
  readonly wake: () => void;
  readonly onUncarried?: OnUncarried;
}

/** Protocol 4 of one node. */
export class RawIp implements IpipCarrier, SegmentReceiver {
  readonly kind = "proto4";
  readonly local: Ipv4Addr;
  readonly stats: RawIpStats = {
    rxPackets: 0,
    rxBytes: 0,
    rxNoBuffer: 0,
    rxErrors: 0,
    txDatagrams: 0,
    txBytes: 0,
    txErrors: 0,
    txTooBig: 0,
    txQueueFull: 0,
  };
  readonly #ctx: StackContext;
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #carriers: CarrierMap;
  /** The socket address of `local`, as in {@link CarriedPeer}. */
  readonly #word: number;
  readonly #peers: CarriedPeers;
  readonly #sender: DatagramSender;
  readonly #tx: TxSocket;
  readonly #kernelPathMtu: KernelPathMtu;
  #receiver: IpipReceiver | undefined;
  #closed = false;
  // What the outer headers of the packet that is being sent say, and where it goes.
  #to: CarriedPeer | undefined;
  #ttl = 0;
  #tos = 0;
  #df = false;

  private constructor(options: RawIpOptions, socket: Socket, host: Ipv4Addr) {
    this.local = options.local;
    this.#ctx = options.ctx;
    this.#clock = options.clock;
    this.#wake = options.wake;
    this.#carriers = options.carriers;
    this.#word = host | 0;
    this.#peers = new CarriedPeers(options.carriers, options.onUncarried);
    this.#sender = new DatagramSender(options.ctx, options.clock, this.stats, (pkt, now) =>
      this.#tooBig(pkt, now),
    );
    this.#kernelPathMtu = new KernelPathMtu(NEED, host);
    this.#tx = new TxSocket(socket, this.#sender);
    socket.on("message", (bytes) => this.#received(bytes));
    socket.on("error", () => {
      this.stats.rxErrors++;
    });
  }

  /**
   * Opens a raw socket on the socket address of `local`.
   *
   * @throws PodloomError PL_RAW_IP_UNAVAILABLE (no Linux, no koffi), PL_RAW_IP_FORBIDDEN, PL_ADDRESS_UNAVAILABLE or PL_RAW_IP_FAILED,
   *   each with a remedy
   */
  static open(options: RawIpOptions): RawIp {
    const { carriers, local } = options;
    const host = carriers.learn(local);
    const socket = openRawSocket({
      ...NEED,
      protocol: ipv4.Protocol.IPIP,
      host,
      carrier: carriers.carrier,
      options: [{ level: IPPROTO_IP, name: IP_HDRINCL, word: 1 }],
    });
    return new RawIp(options, socket, host);
  }

  /** Gives what arrives to `receiver` from now on; before the first call, packets are lost. */
  attach(receiver: IpipReceiver): void {
    this.#receiver = receiver;
  }

  /** Packets that are queued or with the kernel. */
  get pending(): number {
    return this.#sender.pending;
  }

  send(pkt: PacketBuffer, dst: Ipv4Addr, ttl: number, tos: number, df: boolean, now: Instant): void {
    const peer = this.#peers.destination(dst);
    if (peer === null || this.#closed) {
      this.stats.txErrors++;
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
      return;
    }
    this.#to = peer;
    this.#ttl = ttl;
    this.#tos = tos;
    this.#df = df;
    segment(pkt, this.#ctx, this, now);
  }

  /** One packet of what {@link send} was given. Takes ownership. @drops UNDERLAY_TX @rfc 2003#3.1 */
  segment(pkt: PacketBuffer, now: Instant): void {
    const to = this.#to as CarriedPeer;
    const totalBytes = pkt.length + ipv4.HEADER_LEN;
    if (totalBytes > ipv4.PACKET_LEN_MAX) {
      this.stats.txErrors++;
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
      return;
    }
    const at = pkt.push(ipv4.HEADER_LEN);
    const protocol = ipv4.Protocol.IPIP;
    ipv4.emit(pkt.view, at, totalBytes, 0, this.#df, this.#ttl, protocol, this.#word, to.word, this.#tos);
    this.#sender.enqueue(pkt, to.text, ANY_PORT, this.#tx, now);
  }

  /** Closes the socket; what is still queued is dropped. Resolves when nothing is left. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#receiver = undefined;
    await this.#sender.close([this.#tx.socket]);
  }

  /** The kernel has refused a packet for its length. Takes ownership. @drops PKT_TOO_BIG (the socket is closed), and what the tunnel drops */
  #tooBig(pkt: PacketBuffer, now: Instant): void {
    const receiver = this.#receiver;
    if (receiver === undefined) {
      this.#ctx.drop(pkt, DropReason.PKT_TOO_BIG, now);
      return;
    }
    const { view, head, length } = pkt;
    const host = ipv4.dst(view, head);
    const mtuBytes = ipv4.dontFragment(view, head) ? this.#kernelPathMtu.ask(host) : 0;
    pkt.pull(ipv4.headerLen(view, head));
    // A path that would have carried it explains nothing.
    receiver.outerTooBig(pkt, this.#carriers.underlayOf(host), mtuBytes < length ? mtuBytes : 0, now);
    this.#wake();
  }

  #received(bytes: Buffer): void {
    const receiver = this.#receiver;
    if (receiver === undefined) return;
    const pkt = this.#ctx.pool.acquire(bytes.length);
    if (pkt === undefined) {
      this.stats.rxNoBuffer++;
      return;
    }
    pkt.bytes.set(bytes, pkt.put(bytes.length));
    const now = this.#clock.now();
    const { view, head } = pkt;
    const reason = ipv4.check(view, head, pkt.tail);
    if (reason !== DropReason.NOT_DROPPED) {
      this.stats.rxErrors++;
      this.#ctx.drop(pkt, reason, now);
      return;
    }
    this.stats.rxPackets++;
    this.stats.rxBytes += bytes.length;
    const src = this.#carriers.underlayOf(ipv4.src(view, head));
    const tos = ipv4.tos(view, head);
    pkt.trim(ipv4.totalLen(view, head));
    pkt.pull(ipv4.headerLen(view, head));
    receiver.receiveIpip(pkt, src, tos, now);
    this.#wake();
  }
}
