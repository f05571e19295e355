// UDP of one namespace. Read RFC 768 and RFC 1122 section 4.1 first; follows Linux's net/ipv4/udp.c. Not implemented:
// multicast membership, SO_REUSEADDR and SO_REUSEPORT (a port of an address has one owner), corking.
import { DropReason } from "../base/drop-reason.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import { below } from "../base/rng.ts";
import type { Instant } from "../base/time.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as udp from "../wire/udp.ts";
import { dstWord, srcWord } from "./ip/address-word.ts";
import type { TransportHandler } from "./ip/transport-handler.ts";
import type { Netns } from "./netns.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import type { SocketOwner } from "./socket-owner.ts";
import { UdpSocket } from "./udp-socket.ts";

/** Counters of one namespace's UDP, named as the MIB (RFC 4113) names them. */
export interface UdpStats {
  inDatagrams: number;
  /** For a port that nobody has. */
  noPorts: number;
  /** Malformed, or dropped for lack of room. */
  inErrors: number;
  inCsumErrors: number;
  rcvbufErrors: number;
  outDatagrams: number;
}

/** UDP of one namespace. Construct it after `netns.ip`, where it registers itself. */
export class UdpLayer implements TransportHandler {
  readonly netns: Netns;
  readonly stats: UdpStats = {
    inDatagrams: 0,
    noPorts: 0,
    inErrors: 0,
    inCsumErrors: 0,
    rcvbufErrors: 0,
    outDatagrams: 0,
  };
  /** Bound sockets by local port. */
  readonly #ports = new Map<number, UdpSocket[]>();
  readonly #open = new Set<UdpSocket>();

  constructor(netns: Netns) {
    this.netns = netns;
    netns.ip.register(ipv4.Protocol.UDP, this);
  }

  /** A new socket, neither bound nor connected. The caller closes it. */
  open(owner?: SocketOwner): UdpSocket {
    const socket = new UdpSocket(this, owner);
    this.#open.add(socket);
    return socket;
  }

  /**
   * A datagram for this host. Takes ownership.
   *
   * @drops PKT_TOO_SMALL, UDP_CSUM, NO_SOCKET (answered with port unreachable), SOCKET_RCVBUFF
   */
  input(pkt: PacketBuffer, now: Instant): void {
    const view = pkt.view;
    const at = pkt.head;
    const src = srcWord(view, pkt.l3);
    const dst = dstWord(view, pkt.l3);
    let reason = udp.check(view, at, pkt.tail);
    if (reason === DropReason.NOT_DROPPED) {
      pkt.trim(udp.len(view, at));
      reason = udp.checkChecksum(view, at, src >>> 0, dst >>> 0);
    }
    if (reason !== DropReason.NOT_DROPPED) {
      this.stats.inErrors++;
      if (reason === DropReason.UDP_CSUM) this.stats.inCsumErrors++;
      this.netns.ctx.drop(pkt, reason, now);
      return;
    }
    const socket = this.#lookup(udp.dstPort(view, at), dst, udp.srcPort(view, at), src);
    if (socket !== undefined) {
      socket.input(pkt, now);
      return;
    }
    this.stats.noPorts++;
    this.netns.icmp.send(icmp.Type.DEST_UNREACH, icmp.Unreach.PORT, pkt, 0, now);
    this.netns.ctx.drop(pkt, DropReason.NO_SOCKET, now);
  }

  /** An ICMP error came back about a datagram of ours: the socket that sent it hears of it. */
  error(pkt: PacketBuffer, offender: number, type: number, code: number, info: number, now: Instant): void {
    const view = pkt.view;
    const local = ipv4.src(view, pkt.head);
    const peer = ipv4.dst(view, pkt.head);
    const socket = this.#lookup(udp.srcPort(view, offender), local, udp.dstPort(view, offender), peer);
    socket?.error(pkt, offender, type, code, info, now);
  }

  /**
   * The socket that takes what `peer` sends to `local` (signed or unsigned): ports are not shared, so that there is one at
   * most.
   */
  #lookup(localPort: number, local: Ipv4Addr, peerPort: number, peer: Ipv4Addr): UdpSocket | undefined {
    const sockets = this.#ports.get(localPort);
    if (sockets === undefined) return undefined;
    for (let i = 0; i < sockets.length; i++) {
      const socket = sockets[i] as UdpSocket;
      if (socket.takes(local, peerPort, peer)) return socket;
    }
    return undefined;
  }

  /** Gives `socket` the port `port` of `addr`, unless another has it. Called by {@link UdpSocket}. */
  claim(socket: UdpSocket, addr: Ipv4Addr, port: number): boolean {
    const sockets = this.#ports.get(port);
    if (sockets === undefined) {
      this.#ports.set(port, [socket]);
      return true;
    }
    for (const other of sockets) {
      if (addr === 0 || other.localAddr === 0 || other.localAddr === addr) return false;
    }
    sockets.push(socket);
    return true;
  }

  /** A port of `ip_local_port_range` that nobody has, from a random start; 0 when all are taken. @rfc 6056#3.3.1 */
  ephemeralPort(): number {
    const { ipLocalPortMin, ipLocalPortMax } = this.netns.sysctl;
    const count = ipLocalPortMax - ipLocalPortMin + 1;
    const start = below(this.netns.ctx.rng, count);
    for (let i = 0; i < count; i++) {
      const port = ipLocalPortMin + ((start + i) % count);
      if (!this.#ports.has(port)) return port;
    }
    return 0;
  }

  /** Called by a socket that closes. */
  forget(socket: UdpSocket): void {
    this.#open.delete(socket);
    const sockets = this.#ports.get(socket.localPort);
    const at = sockets === undefined ? -1 : sockets.indexOf(socket);
    if (sockets === undefined || at < 0) return;
    sockets.splice(at, 1);
    if (sockets.length === 0) this.#ports.delete(socket.localPort);
  }

  /** Closes every socket: the namespace goes away. */
  close(): void {
    for (const socket of this.#open) socket.close();
  }
}
