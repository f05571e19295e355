// How packets leave by real sockets of this machine, UDP or raw: in bounded bursts, from a bounded queue, without a copy.
//
// - libuv reads at most 32 datagrams per socket and loop turn, and losses between processes begin where a sender exceeds that.
//   So at most 32 leave per turn; the rest waits.
// - Sending copies nothing: the packet belongs to the kernel until the send's callback, which releases it.
import { createSocket, type Socket } from "node:dgram";
import { DropReason } from "../base/drop-reason.ts";
import { Ring } from "../base/ring.ts";
import type { Instant } from "../base/time.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { StackContext } from "../stack/stack-context.ts";
import type { Clock } from "./clock.ts";

/** Most datagrams that leave in one turn of the event loop: what the receiving libuv reads in one of its turns. */
export const TX_BURST_MAX = 32;
/** Datagrams that wait for their turn; Linux's default transmit queue length. */
export const TX_QUEUE_MAX = 1000;
/** Datagrams that the kernel has not taken yet. Reached only while its send buffer is full. */
const TX_INFLIGHT_MAX = 256;
export const RECV_BUFFER_BYTES = 4 * 1024 * 1024;
export const SEND_BUFFER_BYTES = 1024 * 1024;

/** Counters of what leaves. Plain numbers; read them at any time. */
export interface DatagramSenderStats {
  txDatagrams: number;
  txBytes: number;
  /** The kernel refused it: no route, too long, forbidden. */
  txErrors: number;
  /** Of these, for its length (EMSGSIZE): a raw socket's packets are never fragmented by the kernel. */
  txTooBig: number;
  /** The queue was full. */
  txQueueFull: number;
}

type LookupCallback = (error: Error | null, address: string, family: number) => void;

/** Addresses are literals already: no resolver, no thread pool, no delay. */
function literalLookup(host: string, options: unknown, callback?: LookupCallback): void {
  const answer = callback ?? (options as LookupCallback);
  answer(null, host, 4);
}

/** A socket, not bound yet. @param buffers false: the descriptor that it will be given has its own */
export function newSocket(buffers = true): Socket {
  return createSocket({
    type: "udp4",
    lookup: literalLookup as never,
    ...(buffers ? { recvBufferSize: RECV_BUFFER_BYTES, sendBufferSize: SEND_BUFFER_BYTES } : {}),
  });
}

/** A socket and the packets that it has not finished sending, with one callback for life. */
export class TxSocket {
  readonly socket: Socket;
  readonly inflight = new Ring<PacketBuffer>(TX_INFLIGHT_MAX);
  readonly onSent: (error: Error | null) => void;

  constructor(socket: Socket, owner: DatagramSender) {
    this.socket = socket;
    this.onSent = (error) => owner.sent(this, error);
  }
}

/** What leaves by the sockets of one port. */
export class DatagramSender {
  readonly #ctx: StackContext;
  readonly #clock: Clock;
  readonly #stats: DatagramSenderStats;
  readonly #queued = new Ring<PacketBuffer>(TX_QUEUE_MAX);
  readonly #queuedTo = new Ring<string>(TX_QUEUE_MAX);
  readonly #queuedPort = new Ring<number>(TX_QUEUE_MAX);
  readonly #queuedBy = new Ring<TxSocket>(TX_QUEUE_MAX);
  readonly #onTurn = (): void => this.#turn();
  readonly #onTooBig: ((pkt: PacketBuffer, now: Instant) => void) | undefined;
  /** Packets that the kernel has not taken yet, over all sockets. */
  #inflight = 0;
  /** Sent since the last {@link #turn}, which comes only when the allowance is used up: never too much in one turn of the loop. */
  #sentThisTurn = 0;
  #turnArmed = false;

  /** @param onTooBig takes ownership of what the kernel refuses for its length; undefined: it is dropped as PKT_TOO_BIG */
  constructor(
    ctx: StackContext,
    clock: Clock,
    stats: DatagramSenderStats,
    onTooBig?: (pkt: PacketBuffer, now: Instant) => void,
  ) {
    this.#onTooBig = onTooBig;
    this.#ctx = ctx;
    this.#clock = clock;
    this.#stats = stats;
  }

  /** Datagrams that are queued or with the kernel. */
  get pending(): number {
    return this.#queued.size + this.#inflight;
  }

  /** Sends head..tail to the socket address `to`, now or when it is its turn. Takes ownership. @drops UNDERLAY_TX */
  enqueue(pkt: PacketBuffer, to: string, port: number, by: TxSocket, now: Instant): void {
    if (this.#sentThisTurn < TX_BURST_MAX && this.#queued.size === 0 && by.inflight.size < TX_INFLIGHT_MAX) {
      this.#transmit(pkt, to, port, by);
      return;
    }
    if (!this.#queued.push(pkt)) {
      this.#stats.txQueueFull++;
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
      return;
    }
    this.#queuedTo.push(to);
    this.#queuedPort.push(port);
    this.#queuedBy.push(by);
    if (by.inflight.size < TX_INFLIGHT_MAX) this.#armTurn();
  }

  /** What a socket that failed for good has not sent is dropped; it is not asked again. @drops UNDERLAY_TX */
  abandon(by: TxSocket): void {
    const now = this.#clock.now();
    for (let pkt = by.inflight.shift(); pkt !== undefined; pkt = by.inflight.shift()) {
      this.#inflight--;
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
    }
  }

  /** Closes the sockets; what is still queued is dropped. Resolves when nothing is left. @drops UNDERLAY_TX */
  async close(sockets: Iterable<Socket>): Promise<void> {
    const now = this.#clock.now();
    for (let pkt = this.#queued.shift(); pkt !== undefined; pkt = this.#queued.shift()) {
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
    }
    await Promise.all(
      [...sockets].map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))),
    );
    // The callbacks of sends that the kernel had not taken come after `close`.
    while (this.pending > 0) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #transmit(pkt: PacketBuffer, to: string, port: number, by: TxSocket): void {
    this.#sentThisTurn++;
    this.#inflight++;
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

  /** What a send's callback ends in. Sends of one socket complete in their order. @drops UNDERLAY_TX, PKT_TOO_BIG */
  sent(by: TxSocket, error: Error | null): void {
    const pkt = by.inflight.shift();
    if (pkt === undefined) return;
    this.#inflight--;
    if (error === null) {
      this.#stats.txDatagrams++;
      this.#stats.txBytes += pkt.tail - pkt.head;
      this.#ctx.consume(pkt);
    } else this.#refused(pkt, error);
    if (this.#queued.size > 0) this.#armTurn();
  }

  #refused(pkt: PacketBuffer, error: NodeJS.ErrnoException): void {
    const now = this.#clock.now();
    this.#stats.txErrors++;
    if (error.code !== "EMSGSIZE") {
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
      return;
    }
    this.#stats.txTooBig++;
    if (this.#onTooBig === undefined) this.#ctx.drop(pkt, DropReason.PKT_TOO_BIG, now);
    else this.#onTooBig(pkt, now);
  }
}
