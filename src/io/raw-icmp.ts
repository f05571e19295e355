// ICMP errors that come to this machine about what a node's tunnels have sent, on a raw socket: the only place where a program
// hears of those about packets of a raw socket, or about UDP that is not connected. Read raw(7) and RFC 1122 section 3.2.2 first.
//
// - The socket is bound to the node's address, and a filter (ICMP_FILTER) lets "destination unreachable" and "time exceeded" through
//   alone.
// - It takes in a copy, before the kernel has looked at the message. So everything is checked here, and the kernel's own path MTU,
//   which UDP sockets follow, is learnt all the same.
// - Without the capability there is none, and nothing breaks: in UDP the kernel fragments what its path MTU is too small for. Only
//   that pods are told of the path MTU is lost.
import type { Socket } from "node:dgram";
import { DropReason } from "../base/drop-reason.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import { type OuterErrorReceiver, parseOuterError } from "../tunnel/outer-error.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { Clock } from "./clock.ts";
import type { CarrierMap } from "./host-address.ts";
import { openRawSocket, SOL_RAW } from "./raw-socket.ts";

const ICMP_FILTER = 1;
/** `struct icmp_filter`: a bit for each type that is *not* wanted. */
const UNWANTED = ~((1 << icmp.Type.DEST_UNREACH) | (1 << icmp.Type.TIME_EXCEEDED)) >>> 0;

/** Counters. Plain numbers; read them at any time. */
export interface RawIcmpStats {
  /** About packets of this node, and handed over. */
  rxErrorsHeard: number;
  /** Damaged, or about packets of others. */
  rxIgnored: number;
}

export interface RawIcmpOptions {
  /** The node's underlay address. */
  readonly local: Ipv4Addr;
  readonly carriers: CarrierMap;
  readonly clock: Clock;
}

/** ICMP errors of one node. */
export class RawIcmp {
  readonly stats: RawIcmpStats = { rxErrorsHeard: 0, rxIgnored: 0 };
  readonly #options: RawIcmpOptions;
  readonly #host: Ipv4Addr;
  readonly #socket: Socket;
  #receiver: OuterErrorReceiver | undefined;
  #closed = false;

  private constructor(options: RawIcmpOptions, socket: Socket, host: Ipv4Addr) {
    this.#options = options;
    this.#host = host;
    this.#socket = socket;
    socket.on("message", (bytes) => this.#received(bytes));
    socket.on("error", () => {
      this.stats.rxIgnored++;
    });
  }

  /**
   * Opens a raw socket on the socket address of `local`.
   *
   * @throws PodloomError PL_RAW_IP_UNAVAILABLE (no Linux, no koffi), PL_RAW_IP_FORBIDDEN, PL_ADDRESS_UNAVAILABLE or PL_RAW_IP_FAILED,
   *   each with a remedy
   */
  static open(options: RawIcmpOptions): RawIcmp {
    const { carriers, local } = options;
    const host = carriers.learn(local);
    const socket = openRawSocket({
      what: "raw sockets (ICMP)",
      without: "do without the path MTU between nodes",
      protocol: ipv4.Protocol.ICMP,
      host,
      carrier: carriers.carrier,
      options: [{ level: SOL_RAW, name: ICMP_FILTER, word: UNWANTED }],
    });
    return new RawIcmp(options, socket, host);
  }

  /** Gives what arrives to `receiver` from now on; before the first call, it is lost. */
  attach(receiver: OuterErrorReceiver): void {
    this.#receiver = receiver;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#receiver = undefined;
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #received(bytes: Buffer): void {
    const receiver = this.#receiver;
    if (receiver === undefined) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const sound =
      ipv4.check(view, 0, bytes.length) === DropReason.NOT_DROPPED &&
      ipv4.protocol(view, 0) === ipv4.Protocol.ICMP;
    const error = sound ? parseOuterError(view, ipv4.headerLen(view, 0), ipv4.totalLen(view, 0)) : undefined;
    if (error === undefined || error.src !== this.#host) {
      this.stats.rxIgnored++;
      return;
    }
    this.stats.rxErrorsHeard++;
    const { local, carriers, clock } = this.#options;
    receiver.receiveOuterError({ ...error, src: local, dst: carriers.underlayOf(error.dst) }, clock.now());
  }
}
