// The network between the nodes, as a node process has it: datagrams on real UDP sockets of this machine.
//
// Read `tunnel/underlay.ts` first: this implements that port. Outer IP and UDP headers are the host kernel's.
// - Bursts are bounded: see datagram-sender.ts.
// - Receiving copies once, into the pool. Node gives every datagram 64 KiB to arrive in, so none is ever cut short.
// - Sent from a few sockets with ephemeral ports, chosen by the flow's hash, as a Linux VTEP does; received on `port` only.
import type { RemoteInfo, Socket } from "node:dgram";
import { DropReason } from "../base/drop-reason.ts";
import { formatIpv4, type Ipv4Addr } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import { type SegmentReceiver, segment } from "../stack/gso.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { StackContext } from "../stack/stack-context.ts";
import type { DatagramReceiver, Underlay } from "../tunnel/underlay.ts";
import { CarriedPeers, type OnUncarried } from "./carried-peers.ts";
import type { Clock } from "./clock.ts";
import { DatagramSender, type DatagramSenderStats, newSocket, TxSocket } from "./datagram-sender.ts";
import type { CarrierMap } from "./host-address.ts";
import { bindError } from "./udp-bind-error.ts";

/** Counters of one socket edge. Plain numbers; read them at any time. */
export interface UdpUnderlayStats extends DatagramSenderStats {
  rxDatagrams: number;
  rxBytes: number;
  /** Lost because the pool was exhausted. */
  rxNoBuffer: number;
  /** Errors that the kernel reported on a receiving socket (an ICMP error, for example). Never fatal. */
  rxErrors: number;
}

export interface UdpUnderlayOptions {
  /** The node's underlay address. */
  readonly local: Ipv4Addr;
  readonly port: number;
  readonly carriers: CarrierMap;
  readonly ctx: StackContext;
  readonly clock: Clock;
  /** Called after each datagram was handed over: run the stack soon. Must be cheap and idempotent. */
  readonly wake: () => void;
  /** Sockets to send from, on ephemeral ports. 0: send from `port` itself, as flannel's udp backend does. */
  readonly txSockets?: number;
  readonly onUncarried?: OnUncarried;
}

/** One UDP port of one node. */
export class UdpUnderlay implements Underlay, SegmentReceiver {
  readonly local: Ipv4Addr;
  readonly port: number;
  readonly stats: UdpUnderlayStats = {
    rxDatagrams: 0,
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
  readonly #hostAddress: string;
  readonly #listener: Socket;
  /** Lazily opened; the index is the flow hash modulo their number. */
  readonly #senders: (TxSocket | undefined)[];
  readonly #listenerTx: TxSocket;
  readonly #peers: CarriedPeers;
  readonly #sender: DatagramSender;
  #receiver: DatagramReceiver | undefined;
  #closed = false;
  // Where the segments of the super-packet that is being split go.
  #segmentTo = "";
  #segmentPort = 0;
  #segmentBy: TxSocket;

  private constructor(options: UdpUnderlayOptions, listener: Socket, hostAddress: string) {
    this.local = options.local;
    this.port = options.port;
    this.#ctx = options.ctx;
    this.#clock = options.clock;
    this.#wake = options.wake;
    this.#hostAddress = hostAddress;
    this.#peers = new CarriedPeers(options.carriers, options.onUncarried);
    this.#sender = new DatagramSender(options.ctx, options.clock, this.stats);
    this.#listener = listener;
    this.#senders = new Array<TxSocket | undefined>(options.txSockets ?? 4).fill(undefined);
    this.#listenerTx = new TxSocket(listener, this.#sender);
    this.#segmentBy = this.#listenerTx;
    listener.on("message", (bytes, from) => this.#received(bytes, from));
    listener.on("error", () => {
      this.stats.rxErrors++;
    });
  }

  /**
   * Opens the port on the socket address of `local`.
   *
   * @throws PodloomError PL_PORT_IN_USE, PL_PORT_FORBIDDEN, PL_ADDRESS_UNAVAILABLE or PL_PORT_FAILED, naming address:port and a remedy
   */
  static async open(options: UdpUnderlayOptions): Promise<UdpUnderlay> {
    const host = formatIpv4(options.carriers.learn(options.local));
    const listener = newSocket();
    try {
      await new Promise<void>((resolve, reject) => {
        listener.once("error", reject);
        listener.once("listening", resolve);
        listener.bind({ port: options.port, address: host, exclusive: true });
      });
    } catch (cause) {
      listener.close();
      throw bindError(cause, host, options.port, options.carriers.carrier);
    }
    listener.removeAllListeners();
    const port = options.port === 0 ? listener.address().port : options.port;
    return new UdpUnderlay({ ...options, port }, listener, host);
  }

  /** Gives what arrives to `receiver` from now on; before the first call, datagrams are lost. */
  attach(receiver: DatagramReceiver): void {
    this.#receiver = receiver;
  }

  /** Datagrams that are queued or with the kernel. */
  get pending(): number {
    return this.#sender.pending;
  }

  send(pkt: PacketBuffer, dst: Ipv4Addr, dstPort: number, flowHash: number, now: Instant): void {
    const peer = this.#peers.destination(dst);
    if (peer === null || this.#closed) {
      this.stats.txErrors++;
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
      return;
    }
    const by = this.#socketFor(flowHash);
    if (pkt.gsoSize === 0) {
      this.#sender.enqueue(pkt, peer.text, dstPort, by, now);
      return;
    }
    this.#segmentTo = peer.text;
    this.#segmentPort = dstPort;
    this.#segmentBy = by;
    segment(pkt, this.#ctx, this, now);
  }

  /** One segment of the super-packet that {@link send} is splitting. Takes ownership. */
  segment(pkt: PacketBuffer, now: Instant): void {
    this.#sender.enqueue(pkt, this.#segmentTo, this.#segmentPort, this.#segmentBy, now);
  }

  /** Closes the sockets; what is still queued is dropped. Resolves when nothing is left. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#receiver = undefined;
    const sockets = new Set([this.#listener]);
    for (const sender of this.#senders) if (sender !== undefined) sockets.add(sender.socket);
    await this.#sender.close(sockets);
  }

  #received(bytes: Buffer, from: RemoteInfo): void {
    const receiver = this.#receiver;
    if (receiver === undefined) return;
    const pkt = this.#ctx.pool.acquire(bytes.length);
    if (pkt === undefined) {
      this.stats.rxNoBuffer++;
      return;
    }
    pkt.bytes.set(bytes, pkt.put(bytes.length));
    this.stats.rxDatagrams++;
    this.stats.rxBytes += bytes.length;
    receiver.receive(pkt, this.#peers.source(from.address), from.port, this.#clock.now());
    this.#wake();
  }

  #socketFor(flowHash: number): TxSocket {
    const count = this.#senders.length;
    if (count === 0) return this.#listenerTx;
    const index = (flowHash >>> 0) % count;
    return this.#senders[index] ?? this.#openSender(index);
  }

  #openSender(index: number): TxSocket {
    const sender = new TxSocket(newSocket(), this.#sender);
    this.#senders[index] = sender;
    let bound = false;
    sender.socket.once("listening", () => {
      bound = true;
    });
    sender.socket.on("error", () => {
      this.stats.txErrors++;
      if (!bound) this.#abandon(index, sender);
    });
    sender.socket.bind({ port: 0, address: this.#hostAddress, exclusive: true });
    return this.#senders[index];
  }

  /** No ephemeral port or no descriptor left: its flows are sent from the port that is listened on. */
  #abandon(index: number, sender: TxSocket): void {
    this.#senders[index] = this.#listenerTx;
    sender.socket.close();
    this.#sender.abandon(sender);
  }
}
