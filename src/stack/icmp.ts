// ICMP of one namespace: echo, and the errors (in icmp-errors.ts). Read RFC 792 and RFC 1122 section 3.2.2 first. Not
// implemented: timestamps, redirects (neither sent nor obeyed), router discovery.
import { assert } from "../base/assert.ts";
import { DropReason } from "../base/drop-reason.ts";
import type { Instant } from "../base/time.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import { EchoSocket } from "./echo-socket.ts";
import { MAX_TYPE, receiveError, sendError } from "./icmp-errors.ts";
import { IcmpRateLimit } from "./icmp-ratelimit.ts";
import { routeReason } from "./ip/output.ts";
import { PathMtuDiscovery } from "./ip/path-mtu.ts";
import type { TransportHandler } from "./ip/transport-handler.ts";
import type { Netns } from "./netns.ts";
import { type PacketBuffer, PacketType } from "./packet-buffer.ts";
import type { SocketOwner } from "./socket-owner.ts";

/** Counters of one namespace's ICMP. */
export interface IcmpStats {
  inMsgs: number;
  /** Malformed, or an error about something that we did not send. */
  inErrors: number;
  inCsumErrors: number;
  inEchos: number;
  inEchoReps: number;
  outMsgs: number;
  /** Errors sent. */
  outErrors: number;
  outEchos: number;
  outEchoReps: number;
}

/** ICMP of one namespace. Construct it after `netns.ip`, where it registers itself. */
export class IcmpLayer implements TransportHandler {
  readonly netns: Netns;
  readonly rateLimit: IcmpRateLimit;
  readonly stats: IcmpStats = {
    inMsgs: 0,
    inErrors: 0,
    inCsumErrors: 0,
    inEchos: 0,
    inEchoReps: 0,
    outMsgs: 0,
    outErrors: 0,
    outEchos: 0,
    outEchoReps: 0,
  };
  readonly #echos = new Map<number, EchoSocket>();

  constructor(netns: Netns) {
    this.netns = netns;
    this.rateLimit = new IcmpRateLimit(netns.sysctl);
    netns.ip.register(ipv4.Protocol.ICMP, this);
  }

  /**
   * An ICMP message for this host. Takes ownership.
   *
   * @drops PKT_TOO_SMALL, ICMP_CSUM, UNHANDLED_PROTO (unknown type, or a broadcast that is not to be answered), NO_SOCKET
   */
  input(pkt: PacketBuffer, now: Instant): void {
    this.stats.inMsgs++;
    const reason = icmp.check(pkt.view, pkt.head, pkt.tail);
    if (reason !== DropReason.NOT_DROPPED) {
      if (reason === DropReason.ICMP_CSUM) this.stats.inCsumErrors++;
      this.#dropBad(pkt, reason, now);
      return;
    }
    const type = icmp.type(pkt.view, pkt.head);
    if (type === icmp.Type.ECHO) this.#inputEcho(pkt, now);
    else if (type === icmp.Type.ECHO_REPLY) this.#inputReply(pkt, now);
    else if (type > MAX_TYPE) this.#dropBad(pkt, DropReason.UNHANDLED_PROTO, now);
    else {
      if (tellsSockets(type) && !receiveError(this, pkt, now)) this.stats.inErrors++;
      this.netns.ctx.consume(pkt);
    }
  }

  /** An ICMP error came back about an echo request of ours. */
  error(pkt: PacketBuffer, offender: number, type: number, code: number, info: number, now: Instant): void {
    if (icmp.type(pkt.view, offender) !== icmp.Type.ECHO) return;
    this.#echos.get(icmp.echoId(pkt.view, offender))?.error(pkt, offender, type, code, info, now);
  }

  /**
   * Sends an error about `about` to its sender, unless the RFCs or the rate limit forbid it: never about an ICMP error, a
   * fragment other than the first, a broadcast or multicast at either layer, or a source that cannot be answered.
   *
   * @param about borrowed; `l3` at its IP header, which was checked. The caller still has to drop it
   * @param info next-hop MTU of frag-needed; pointer << 24 of a parameter problem; else 0
   * @rfc 1812#4.3.2 @rfc 1122#3.2.2
   */
  send(type: number, code: number, about: PacketBuffer, info: number, now: Instant): void {
    sendError(this, type, code, about, info, now);
  }

  /**
   * The next hop of `pkt` does not answer (`arp_error_report`): tells its sender, which for a packet of our own is the socket
   * that sent it, by way of lo.
   *
   * @param pkt borrowed; the caller drops it with NEIGH_FAILED
   */
  hostUnreachable(pkt: PacketBuffer, now: Instant): void {
    sendError(this, icmp.Type.DEST_UNREACH, icmp.Unreach.HOST, pkt, 0, now);
  }

  /** A socket that sends echo requests and receives what comes back. The caller closes it. */
  openEcho(owner?: SocketOwner): EchoSocket {
    assert(this.#echos.size < 0x10000, "icmp: every echo identifier is taken");
    let id = this.netns.ctx.rng.u32() & 0xffff;
    while (this.#echos.has(id)) id = (id + 1) & 0xffff;
    const socket = new EchoSocket(this, id, owner);
    this.#echos.set(id, socket);
    return socket;
  }

  /** Called by a socket that closes. */
  forget(socket: EchoSocket): void {
    if (this.#echos.get(socket.id) === socket) this.#echos.delete(socket.id);
  }

  /** Closes every socket: the namespace goes away. */
  close(): void {
    for (const socket of this.#echos.values()) socket.close();
  }

  #dropBad(pkt: PacketBuffer, reason: DropReason, now: Instant): void {
    this.stats.inErrors++;
    this.netns.ctx.drop(pkt, reason, now);
  }

  #inputReply(pkt: PacketBuffer, now: Instant): void {
    this.stats.inEchoReps++;
    const socket = this.#echos.get(icmp.echoId(pkt.view, pkt.head));
    if (socket === undefined) this.netns.ctx.drop(pkt, DropReason.NO_SOCKET, now);
    else socket.input(pkt, now);
  }

  /** `icmp_echo`: turns the request into its reply, in place. @rfc 1122#3.2.2.6 */
  #inputEcho(pkt: PacketBuffer, now: Instant): void {
    const { netns } = this;
    const view = pkt.view;
    this.stats.inEchos++;
    const dst = ipv4.dst(view, pkt.l3);
    const group = netns.ip.isGroup(dst);
    if (group && netns.sysctl.icmpEchoIgnoreBroadcasts) {
      netns.ctx.drop(pkt, DropReason.UNHANDLED_PROTO, now);
      return;
    }
    const peer = ipv4.src(view, pkt.l3);
    const route = netns.ip.routeOutput(group ? 0 : dst, peer, undefined, ipv4.Protocol.ICMP);
    const unroutable = route === undefined || routeReason(route) !== DropReason.NOT_DROPPED;
    if (netns.sysctl.icmpEchoIgnoreAll || peer === 0 || unroutable) {
      netns.ctx.consume(pkt);
      return;
    }
    if (!this.#mayReply(route.type, peer, now)) {
      netns.ctx.consume(pkt);
      return;
    }
    const tos = ipv4.tos(view, pkt.l3);
    icmp.toEchoReply(view, pkt.head, pkt.tail);
    pkt.iif = 0;
    pkt.packetType = PacketType.HOST;
    pkt.mark = 0;
    pkt.tunnelRemote = 0;
    pkt.dev = undefined;
    this.stats.outMsgs++;
    this.stats.outEchoReps++;
    const src = group ? netns.ip.sourceFor(route, peer) : dst;
    netns.ip.sendVia(pkt, route, src, peer, ipv4.Protocol.ICMP, 0, tos, PathMtuDiscovery.DONT, now);
  }

  #mayReply(routeType: string, peer: number, now: Instant): boolean {
    return routeType === "local" || this.rateLimit.allow(icmp.Type.ECHO_REPLY, peer, now);
  }
}

/** The errors that have something to say to a socket; source quench and redirects are history. @rfc 6633 */
function tellsSockets(type: number): boolean {
  return (
    type === icmp.Type.DEST_UNREACH ||
    type === icmp.Type.TIME_EXCEEDED ||
    type === icmp.Type.PARAMETER_PROBLEM
  );
}
