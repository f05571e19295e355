import { DropReason } from "../base/drop-reason.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import { Ring } from "../base/ring.ts";
import type { Instant } from "../base/time.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as udp from "../wire/udp.ts";
import { ErrorQueue } from "./error-queue.ts";
import { routeReason } from "./ip/output.ts";
import { pathMtuDiscovery } from "./ip/path-mtu.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { SMALL_BYTES } from "./packet-pool.ts";
import { RCVBUF_BYTES, type SocketError, type SocketOwner } from "./socket-owner.ts";
import type { UdpLayer } from "./udp.ts";

/** Most payload bytes of one datagram, and of one super-packet. */
const UDP_PAYLOAD_MAX = ipv4.PACKET_LEN_MAX - ipv4.HEADER_LEN - udp.HEADER_LEN;
/** Most datagrams in one super-packet (`UDP_MAX_SEGMENTS`). */
const UDP_SEGMENTS_MAX = 128;

const QUEUE = Math.floor(RCVBUF_BYTES / SMALL_BYTES);

/** A datagram, copied out of its packet. */
export interface Datagram {
  readonly src: Ipv4Addr;
  readonly srcPort: number;
  /** Which of our addresses it was sent to, or which broadcast address. */
  readonly dst: Ipv4Addr;
  /** TTL as it arrived. */
  readonly ttl: number;
  readonly bytes: Uint8Array;
}

/** How a datagram is sent. */
export interface UdpSendOptions {
  /** 1..255; default: `net.ipv4.ip_default_ttl`. */
  readonly ttl?: number | undefined;
  readonly tos?: number | undefined;
  /** true: never fragment; false: let routers fragment; absent: Linux's default, see {@link pathMtuDiscovery}. */
  readonly df?: boolean | undefined;
  /**
   * Payload bytes of each datagram: the payload leaves as one super-packet that stands for several (`UDP_SEGMENT`). Each has to
   * fit the path MTU; at most {@link UDP_SEGMENTS_MAX}.
   */
  readonly gsoSize?: number | undefined;
}

/** A UDP socket. Made by {@link UdpLayer.open}. */
export class UdpSocket {
  /** What it is bound to: 0 = any address, port 0 = not bound yet. Read only. */
  localAddr: Ipv4Addr = 0;
  localPort = 0;
  /** The peer that it is connected to, port 0 = none. Read only. */
  peerAddr: Ipv4Addr = 0;
  peerPort = 0;
  readonly #udp: UdpLayer;
  readonly #owner: SocketOwner | undefined;
  readonly #queue = new Ring<PacketBuffer>(QUEUE);
  readonly #errors = new ErrorQueue();
  #queuedBytes = 0;
  #closed = false;

  constructor(layer: UdpLayer, owner: SocketOwner | undefined) {
    this.#udp = layer;
    this.#owner = owner;
  }

  /**
   * Binds it, once.
   *
   * @param addr one of our addresses, a broadcast address, or 0 for any
   * @param port 0 for an ephemeral one
   * @returns "Address already in use", "Cannot assign requested address", or "Invalid argument" when it is bound already
   */
  bind(addr: Ipv4Addr, port: number): Result<void, string> {
    if (this.#closed || this.localPort !== 0) return err("Invalid argument");
    const { netns } = this.#udp;
    if (addr !== 0 && !netns.isLocal(addr) && !netns.ip.isGroup(addr)) {
      return err("Cannot assign requested address");
    }
    const wanted = port === 0 ? this.#udp.ephemeralPort() : port;
    if (wanted === 0 || !this.#udp.claim(this, addr, wanted)) return err("Address already in use");
    this.localAddr = addr;
    this.localPort = wanted;
    return ok(undefined);
  }

  /**
   * Connects it: from now on it hears this peer only, and `send` needs no destination. Binds it when need be, and settles its
   * own address. Port 0 undoes it.
   *
   * @returns "Network is unreachable", "Address already in use" when no port is left
   */
  connect(addr: Ipv4Addr, port: number): Result<void, string> {
    if (this.#closed) return err("Invalid argument");
    if (port === 0) {
      this.peerAddr = 0;
      this.peerPort = 0;
      return ok(undefined);
    }
    const { ip } = this.#udp.netns;
    const route = ip.routeOutput(this.localAddr, addr, undefined, ipv4.Protocol.UDP, this.#ports(port));
    if (route === undefined || routeReason(route) !== DropReason.NOT_DROPPED)
      return err("Network is unreachable");
    if (this.localPort === 0) {
      const bound = this.bind(0, 0);
      if (!bound.ok) return bound;
    }
    if (this.localAddr === 0) this.localAddr = ip.sourceFor(route, addr);
    this.peerAddr = addr;
    this.peerPort = port;
    return ok(undefined);
  }

  /**
   * Sends one datagram, or several as a super-packet.
   *
   * @param payload copied
   * @param dst the destination; with `port` 0, the connected peer
   * @returns NOT_DROPPED, or why it could not be sent: IP_OUTNOROUTES, ROUTE_UNREACHABLE, ROUTE_PROHIBIT, ROUTE_BLACKHOLE,
   *   PKT_TOO_BIG, NOMEM; IP_INVALID_DEST without any destination; NO_SOCKET when closed, or no port is left
   */
  send(payload: Uint8Array, dst: Ipv4Addr, port: number, opts: UdpSendOptions, now: Instant): DropReason {
    const to = port === 0 ? this.peerAddr : dst;
    const toPort = port === 0 ? this.peerPort : port;
    if (toPort === 0) return DropReason.IP_INVALID_DEST;
    if (this.#closed || (this.localPort === 0 && !this.bind(0, 0).ok)) return DropReason.NO_SOCKET;
    const size = opts.gsoSize ?? 0;
    const gsoSize = size < payload.length ? size : 0;
    if (payload.length > UDP_PAYLOAD_MAX || (payload.length > gsoSize * UDP_SEGMENTS_MAX && gsoSize !== 0)) {
      return DropReason.PKT_TOO_BIG;
    }
    const { netns, stats } = this.#udp;
    const pkt = netns.ctx.pool.acquire(udp.HEADER_LEN + payload.length);
    if (pkt === undefined) return DropReason.NOMEM;
    const route = netns.ip.routeOutput(this.localAddr, to, undefined, ipv4.Protocol.UDP, this.#ports(toPort));
    const reason = routeReason(route);
    if (route === undefined || reason !== DropReason.NOT_DROPPED) {
      netns.ip.stats.outNoRoutes++;
      netns.ctx.drop(pkt, reason, now);
      return reason;
    }
    const src = this.localAddr !== 0 ? this.localAddr : netns.ip.sourceFor(route, to);
    const at = pkt.put(udp.HEADER_LEN + payload.length);
    pkt.bytes.set(payload, at + udp.HEADER_LEN);
    udp.emit(pkt.view, at, this.localPort, toPort, udp.HEADER_LEN + payload.length);
    pkt.gsoSize = gsoSize;
    // Every segment of a super-packet gets its own checksum when it is cut.
    if (gsoSize === 0) udp.updateChecksum(pkt.view, at, src, to);
    stats.outDatagrams++;
    const discovery = pathMtuDiscovery(opts.df);
    const ttl = opts.ttl ?? 0;
    const tos = opts.tos ?? 0;
    return netns.ip.sendVia(pkt, route, src, to, ipv4.Protocol.UDP, ttl, tos, discovery, now);
  }

  /** As {@link Ipv4Layer.routeOutput} takes them. */
  #ports(peerPort: number): number {
    return (this.localPort << 16) | peerPort;
  }

  /** The oldest datagram that was not read yet, copied out. */
  recv(): Datagram | undefined {
    const pkt = this.recvPacket();
    if (pkt === undefined) return undefined;
    const view = pkt.view;
    const datagram = {
      src: ipv4.src(view, pkt.l3),
      srcPort: udp.srcPort(view, pkt.l4),
      dst: ipv4.dst(view, pkt.l3),
      ttl: ipv4.ttl(view, pkt.l3),
      bytes: pkt.bytes.slice(pkt.head, pkt.tail),
    };
    this.#udp.netns.ctx.consume(pkt);
    return datagram;
  }

  /**
   * The oldest datagram that was not read yet, without a copy: `head` at the payload, `l4` and `l3` at the headers. The caller
   * owns it and gives it back with `ctx.consume`.
   */
  recvPacket(): PacketBuffer | undefined {
    const pkt = this.#queue.shift();
    if (pkt !== undefined) this.#queuedBytes -= trueSize(pkt);
    return pkt;
  }

  /** The oldest error that was not read yet; its `seqOrPort` is the port that was sent to. */
  recvError(): SocketError | undefined {
    return this.#errors.shift();
  }

  /** Ends it: releases what was not read. Closing twice does no harm. */
  close(): void {
    this.#closed = true;
    for (let pkt = this.recvPacket(); pkt !== undefined; pkt = this.recvPacket()) {
      this.#udp.netns.ctx.consume(pkt);
    }
    this.#errors.clear();
    this.#udp.forget(this);
  }

  /** Is what `peer` sends to `local` for this socket? Addresses may be signed or unsigned. Called by {@link UdpLayer}. */
  takes(local: Ipv4Addr, peerPort: number, peer: Ipv4Addr): boolean {
    if (this.localAddr !== 0 && (this.localAddr ^ local) !== 0) return false;
    return this.peerPort === 0 || (this.peerPort === peerPort && (this.peerAddr ^ peer) === 0);
  }

  /** A datagram for this socket, `head` at its UDP header. Called by {@link UdpLayer}. Takes ownership. @drops SOCKET_RCVBUFF */
  input(pkt: PacketBuffer, now: Instant): void {
    const { netns, stats } = this.#udp;
    const bytes = trueSize(pkt);
    if (this.#queuedBytes + bytes > RCVBUF_BYTES || !this.#queue.push(pkt)) {
      stats.inErrors++;
      stats.rcvbufErrors++;
      netns.ctx.drop(pkt, DropReason.SOCKET_RCVBUFF, now);
      return;
    }
    pkt.pull(udp.HEADER_LEN);
    stats.inDatagrams++;
    this.#queuedBytes += bytes;
    this.#owner?.readable(now);
  }

  /** An ICMP error about a datagram of ours. Called by {@link UdpLayer}; see {@link TransportHandler.error}. */
  error(pkt: PacketBuffer, offender: number, type: number, code: number, info: number, now: Instant): void {
    this.#errors.push({
      type,
      code,
      from: ipv4.src(pkt.view, pkt.l3),
      dst: ipv4.dst(pkt.view, pkt.head),
      seqOrPort: udp.dstPort(pkt.view, offender),
      mtu: type === icmp.Type.DEST_UNREACH ? info : 0,
      at: now,
    });
    this.#owner?.readable(now);
  }
}

/** What a packet costs of the receive buffer, in bytes: whole 2 KiB blocks, because that is what it came in. */
function trueSize(pkt: PacketBuffer): number {
  return Math.ceil(pkt.tail / SMALL_BYTES) * SMALL_BYTES;
}
