import { DropReason } from "../base/drop-reason.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import { ErrorQueue } from "./error-queue.ts";
import type { IcmpLayer } from "./icmp.ts";
import { routeReason } from "./ip/output.ts";
import { pathMtuDiscovery } from "./ip/path-mtu.ts";
import type { NetDevice } from "./net-device.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { RCVBUF_BYTES, type SocketError, type SocketOwner } from "./socket-owner.ts";

/** Most bytes of echo data in one request. */
const ECHO_DATA_MAX = ipv4.PACKET_LEN_MAX - ipv4.HEADER_LEN - icmp.HEADER_LEN;

/** What a reply costs of the receive buffer besides its data. */
const REPLY_OVERHEAD_BYTES = 256;

/** An echo reply, copied out of its packet. */
export interface EchoReply {
  /** Who answered. */
  readonly src: Ipv4Addr;
  readonly seq: number;
  /** TTL as it arrived. */
  readonly ttl: number;
  /** The echo data. */
  readonly bytes: Uint8Array;
  /** When it arrived. */
  readonly at: Instant;
}

/** How an echo request is sent. */
export interface EchoOptions {
  /** 1..255; default: `net.ipv4.ip_default_ttl`. */
  readonly ttl?: number | undefined;
  /** true: never fragment; false: let routers fragment; absent: Linux's default, see {@link pathMtuDiscovery}. */
  readonly df?: boolean | undefined;
  /** One of our addresses; default: selected. */
  readonly src?: Ipv4Addr | undefined;
  readonly tos?: number | undefined;
  /** Leave by this device, whatever the tables say (`SO_BINDTODEVICE`). */
  readonly oif?: NetDevice | undefined;
}

/** Sends echo requests under one identifier, and receives the replies and the errors. Made by {@link IcmpLayer.openEcho}. */
export class EchoSocket {
  /** Identifier of its requests, unique in the namespace. */
  readonly id: number;
  readonly #icmp: IcmpLayer;
  readonly #owner: SocketOwner | undefined;
  readonly #replies: EchoReply[] = [];
  readonly #errors = new ErrorQueue();
  #queuedBytes = 0;
  #closed = false;

  constructor(layer: IcmpLayer, id: number, owner: SocketOwner | undefined) {
    this.#icmp = layer;
    this.id = id;
    this.#owner = owner;
  }

  /**
   * Sends one request.
   *
   * @param seq 0..65535
   * @param payload echo data, copied
   * @returns NOT_DROPPED, or why it could not be sent: IP_OUTNOROUTES (also when `src` is not ours), ROUTE_UNREACHABLE,
   *   ROUTE_PROHIBIT, ROUTE_BLACKHOLE, PKT_TOO_BIG (see {@link Ipv4Layer.mtuTo}), NOMEM
   */
  sendEcho(dst: Ipv4Addr, seq: number, payload: Uint8Array, opts: EchoOptions, now: Instant): DropReason {
    const { netns, stats } = this.#icmp;
    if (this.#closed) return DropReason.NO_SOCKET;
    if (payload.length > ECHO_DATA_MAX) return DropReason.PKT_TOO_BIG;
    const pkt = netns.ctx.pool.acquire(icmp.HEADER_LEN + payload.length);
    if (pkt === undefined) return DropReason.NOMEM;
    const at = pkt.put(icmp.HEADER_LEN + payload.length);
    pkt.bytes.set(payload, at + icmp.HEADER_LEN);
    icmp.emit(pkt.view, at, pkt.tail, icmp.Type.ECHO, 0, icmp.echoRest(this.id, seq));
    const route = netns.ip.routeOutput(opts.src ?? 0, dst, opts.oif, ipv4.Protocol.ICMP);
    const reason = routeReason(route);
    if (route === undefined || reason !== DropReason.NOT_DROPPED) {
      netns.ip.stats.outNoRoutes++;
      netns.ctx.drop(pkt, reason, now);
      return reason;
    }
    stats.outMsgs++;
    stats.outEchos++;
    return netns.ip.sendVia(
      pkt,
      route,
      opts.src ?? netns.ip.sourceFor(route, dst),
      dst,
      ipv4.Protocol.ICMP,
      opts.ttl ?? 0,
      opts.tos ?? 0,
      pathMtuDiscovery(opts.df),
      now,
    );
  }

  /** The oldest reply that was not read yet. */
  recv(): EchoReply | undefined {
    const reply = this.#replies.shift();
    if (reply !== undefined) this.#queuedBytes -= REPLY_OVERHEAD_BYTES + reply.bytes.length;
    return reply;
  }

  /** The oldest error that was not read yet; its `seqOrPort` is the request's sequence number. */
  recvError(): SocketError | undefined {
    return this.#errors.shift();
  }

  /** Ends it: what was not read is gone. Closing twice does no harm. */
  close(): void {
    this.#closed = true;
    this.#replies.length = 0;
    this.#queuedBytes = 0;
    this.#errors.clear();
    this.#icmp.forget(this);
  }

  /** A reply under our identifier, `head` at its ICMP header. Called by {@link IcmpLayer}. Takes ownership. @drops SOCKET_RCVBUFF */
  input(pkt: PacketBuffer, now: Instant): void {
    const ctx = this.#icmp.netns.ctx;
    const view = pkt.view;
    const cost = REPLY_OVERHEAD_BYTES + pkt.length - icmp.HEADER_LEN;
    if (this.#queuedBytes + cost > RCVBUF_BYTES) {
      ctx.drop(pkt, DropReason.SOCKET_RCVBUFF, now);
      return;
    }
    this.#queuedBytes += cost;
    this.#replies.push({
      src: ipv4.src(view, pkt.l3),
      seq: icmp.echoSeq(view, pkt.head),
      ttl: ipv4.ttl(view, pkt.l3),
      bytes: pkt.bytes.slice(pkt.head + icmp.HEADER_LEN, pkt.tail),
      at: now,
    });
    ctx.consume(pkt);
    this.#owner?.readable(now);
  }

  /** An ICMP error about a request of ours. Called by {@link IcmpLayer}; see {@link TransportHandler.error}. */
  error(pkt: PacketBuffer, offender: number, type: number, code: number, info: number, now: Instant): void {
    this.#errors.push({
      type,
      code,
      from: ipv4.src(pkt.view, pkt.l3),
      dst: ipv4.dst(pkt.view, pkt.head),
      seqOrPort: icmp.echoSeq(pkt.view, offender),
      mtu: type === icmp.Type.DEST_UNREACH ? info : 0,
      at: now,
    });
    this.#owner?.readable(now);
  }
}
