// The network between the nodes, as a node process has it: datagrams on real UDP sockets of this machine.
//
// Read `tunnel/underlay.ts` first: this implements that port. Outer IP and UDP headers are the host kernel's.
// - A burst is bounded: libuv reads at most 32 datagrams per socket and loop turn, and losses between processes begin
//   where a sender exceeds that. So at most 32 leave per turn; the rest waits in a bounded queue.
// - Receiving copies once, into the pool. Node gives every datagram 64 KiB to arrive in, so none is ever cut short.
// - Sending copies nothing: the packet belongs to the kernel until the send's callback, which releases it.
// - Sent from a few sockets with ephemeral ports, chosen by the flow's hash, as a Linux VTEP does; received on `port` only.
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { DropReason } from "../base/drop-reason.ts";
import { formatIpv4, type Ipv4Addr, parseIpv4 } from "../base/ipv4-addr.ts";
import { Ring } from "../base/ring.ts";
import type { Instant } from "../base/time.ts";
import { type SegmentReceiver, segment } from "../stack/gso.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { StackContext } from "../stack/stack-context.ts";
import type { DatagramReceiver, Underlay } from "../tunnel/underlay.ts";
import type { Clock } from "./clock.ts";
import type { CarrierMap } from "./host-address.ts";
import { PodloomError } from "./podloom-error.ts";
import { bindError } from "./udp-bind-error.ts";

/** Most datagrams that leave in one turn of the event loop: what the receiving libuv reads in one of its turns. */
export const TX_BURST_MAX = 32;
/** Datagrams that wait for their turn; Linux's default transmit queue length. */
export const TX_QUEUE_MAX = 1000;
/** Datagrams that the kernel has not taken yet. Reached only while its send buffer is full. */
const TX_INFLIGHT_MAX = 256;
const RECV_BUFFER_BYTES = 4 * 1024 * 1024;
const SEND_BUFFER_BYTES = 1024 * 1024;
/** Sources remembered in text form, so that a datagram's source costs one lookup and no parsing. */
const SOURCES_MAX = 4096;
/** Destinations that cannot be carried and are told of; anyone may write leases, and a log must not grow with them. */
export const UNCARRIED_SAID_MAX = 64;

/** Counters of one socket edge. Plain numbers; read them at any time. */
export interface UdpUnderlayStats {
  rxDatagrams: number;
  rxBytes: number;
  /** Lost because the pool was exhausted. */
  rxNoBuffer: number;
  /** Errors that the kernel reported on a receiving socket (an ICMP error, for example). Never fatal. */
  rxErrors: number;
  txDatagrams: number;
  txBytes: number;
  /** The kernel refused it: no route, too long, forbidden. */
  txErrors: number;
  /** The queue was full. */
  txQueueFull: number;
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
  /** Told once of each destination that cannot be carried on this machine, and at most {@link UNCARRIED_SAID_MAX} times. */
  readonly onUncarried?: (dst: Ipv4Addr, error: PodloomError) => void;
}

type LookupCallback = (error: Error | null, address: string, family: number) => void;

/** Addresses are literals already: no resolver, no thread pool, no delay. */
function literalLookup(host: string, options: unknown, callback?: LookupCallback): void {
  const answer = callback ?? (options as LookupCallback);
  answer(null, host, 4);
}

function newSocket(): Socket {
  return createSocket({
    type: "udp4",
    recvBufferSize: RECV_BUFFER_BYTES,
    sendBufferSize: SEND_BUFFER_BYTES,
    lookup: literalLookup as never,
  });
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
    txQueueFull: 0,
  };
  readonly #carriers: CarrierMap;
  readonly #ctx: StackContext;
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #hostAddress: string;
  readonly #onUncarried: UdpUnderlayOptions["onUncarried"];
  #uncarriedSaid = 0;
  readonly #listener: Socket;
  /** Lazily opened; the index is the flow hash modulo their number. */
  readonly #senders: (TxSocket | undefined)[];
  readonly #listenerTx: TxSocket;
  readonly #sources = new Map<string, Ipv4Addr>();
  /** Destination to the socket address in text; "" for one that cannot be carried. */
  readonly #destinations = new Map<Ipv4Addr, string>();
  readonly #queued = new Ring<PacketBuffer>(TX_QUEUE_MAX);
  readonly #queuedTo = new Ring<string>(TX_QUEUE_MAX);
  readonly #queuedPort = new Ring<number>(TX_QUEUE_MAX);
  readonly #queuedBy = new Ring<TxSocket>(TX_QUEUE_MAX);
  readonly #onTurn = (): void => this.#turn();
  #receiver: DatagramReceiver | undefined;
  /** Sent since the last {@link #turn}, which comes only when the allowance is used up: never too much in one turn of the loop. */
  #sentThisTurn = 0;
  #turnArmed = false;
  #closed = false;
  // Where the segments of the super-packet that is being split go.
  #segmentTo = "";
  #segmentPort = 0;
  #segmentBy: TxSocket;

  private constructor(options: UdpUnderlayOptions, listener: Socket, hostAddress: string) {
    this.local = options.local;
    this.port = options.port;
    this.#carriers = options.carriers;
    this.#ctx = options.ctx;
    this.#clock = options.clock;
    this.#wake = options.wake;
    this.#hostAddress = hostAddress;
    this.#onUncarried = options.onUncarried;
    this.#listener = listener;
    this.#senders = new Array<TxSocket | undefined>(options.txSockets ?? 4).fill(undefined);
    this.#listenerTx = new TxSocket(listener, this);
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
    let pending = this.#queued.size + this.#listenerTx.inflight.size;
    for (const sender of this.#senders) pending += sender?.inflight.size ?? 0;
    return pending;
  }

  send(pkt: PacketBuffer, dst: Ipv4Addr, dstPort: number, flowHash: number, now: Instant): void {
    const to = this.#destinations.get(dst) ?? this.#resolve(dst);
    if (to === "" || this.#closed) {
      this.stats.txErrors++;
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
      return;
    }
    const by = this.#sender(flowHash);
    if (pkt.gsoSize === 0) {
      this.#enqueue(pkt, to, dstPort, by, now);
      return;
    }
    this.#segmentTo = to;
    this.#segmentPort = dstPort;
    this.#segmentBy = by;
    segment(pkt, this.#ctx, this, now);
  }

  /** One segment of the super-packet that {@link send} is splitting. Takes ownership. */
  segment(pkt: PacketBuffer, now: Instant): void {
    this.#enqueue(pkt, this.#segmentTo, this.#segmentPort, this.#segmentBy, now);
  }

  /** Closes the sockets; what is still queued is dropped. Resolves when nothing is left. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#receiver = undefined;
    const now = this.#clock.now();
    for (let pkt = this.#queued.shift(); pkt !== undefined; pkt = this.#queued.shift()) {
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
    }
    const sockets = new Set([this.#listener]);
    for (const sender of this.#senders) if (sender !== undefined) sockets.add(sender.socket);
    await Promise.all(
      [...sockets].map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))),
    );
    // The callbacks of sends that the kernel had not taken come after `close`.
    while (this.pending > 0) await new Promise<void>((resolve) => setImmediate(resolve));
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
    receiver.receive(
      pkt,
      this.#sources.get(from.address) ?? this.#source(from.address),
      from.port,
      this.#clock.now(),
    );
    this.#wake();
  }

  #source(text: string): Ipv4Addr {
    const underlay = this.#carriers.underlayOf(parseIpv4(text) ?? 0);
    if (this.#sources.size >= SOURCES_MAX) this.#sources.clear();
    this.#sources.set(text, underlay);
    return underlay;
  }

  #resolve(dst: Ipv4Addr): string {
    let text = "";
    try {
      text = formatIpv4(this.#carriers.learn(dst));
    } catch (thrown) {
      // A lease may name any address. This one cannot be carried here, so nothing is sent to it.
      if (!(thrown instanceof PodloomError)) throw thrown;
      if (this.#uncarriedSaid++ < UNCARRIED_SAID_MAX) this.#onUncarried?.(dst, thrown);
    }
    this.#destinations.set(dst, text);
    // What its source was taken to be may have been a guess.
    this.#sources.delete(text);
    return text;
  }

  #sender(flowHash: number): TxSocket {
    const count = this.#senders.length;
    if (count === 0) return this.#listenerTx;
    const index = (flowHash >>> 0) % count;
    return this.#senders[index] ?? this.#openSender(index);
  }

  #openSender(index: number): TxSocket {
    const sender = new TxSocket(newSocket(), this);
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
    const now = this.#clock.now();
    for (let pkt = sender.inflight.shift(); pkt !== undefined; pkt = sender.inflight.shift()) {
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
    }
  }

  #enqueue(pkt: PacketBuffer, to: string, port: number, by: TxSocket, now: Instant): void {
    if (this.#sentThisTurn < TX_BURST_MAX && this.#queued.size === 0 && by.inflight.size < TX_INFLIGHT_MAX) {
      this.#transmit(pkt, to, port, by);
      return;
    }
    if (!this.#queued.push(pkt)) {
      this.stats.txQueueFull++;
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
      return;
    }
    this.#queuedTo.push(to);
    this.#queuedPort.push(port);
    this.#queuedBy.push(by);
    if (by.inflight.size < TX_INFLIGHT_MAX) this.#armTurn();
  }

  #transmit(pkt: PacketBuffer, to: string, port: number, by: TxSocket): void {
    this.#sentThisTurn++;
    by.inflight.push(pkt);
    by.socket.send(pkt.bytes, pkt.head, pkt.tail - pkt.head, port, to, by.onSent);
  }

  #armTurn(): void {
    if (this.#turnArmed) return;
    this.#turnArmed = true;
    setImmediate(this.#onTurn);
  }

  /** A new turn of the loop: a new allowance, and what waited goes first. */
  #turn(): void {
    this.#turnArmed = false;
    this.#sentThisTurn = 0;
    while (this.#sentThisTurn < TX_BURST_MAX && this.#queued.size > 0) {
      const by = this.#queuedBy.peek() as TxSocket;
      // The kernel's send buffer is full: the callback of a send goes on.
      if (by.inflight.size >= TX_INFLIGHT_MAX) return;
      this.#queuedBy.shift();
      this.#transmit(
        this.#queued.shift() as PacketBuffer,
        this.#queuedTo.shift() as string,
        this.#queuedPort.shift() as number,
        by,
      );
    }
    if (this.#queued.size > 0) this.#armTurn();
  }

  /** What a send's callback ends in. Sends of one socket complete in their order. */
  sent(by: TxSocket, error: Error | null): void {
    const pkt = by.inflight.shift() as PacketBuffer;
    if (error === null) {
      this.stats.txDatagrams++;
      this.stats.txBytes += pkt.tail - pkt.head;
      this.#ctx.consume(pkt);
    } else {
      this.stats.txErrors++;
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, this.#clock.now());
    }
    if (this.#queued.size > 0) this.#armTurn();
  }
}

/** A socket and the packets that it has not finished sending, with one callback for life. */
class TxSocket {
  readonly socket: Socket;
  readonly inflight = new Ring<PacketBuffer>(TX_INFLIGHT_MAX);
  readonly onSent: (error: Error | null) => void;

  constructor(socket: Socket, owner: UdpUnderlay) {
    this.socket = socket;
    this.onSent = (error) => owner.sent(this, error);
  }
}
