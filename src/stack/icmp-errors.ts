// ICMP errors: when to send one, what it holds, and what one that arrives means. Read RFC 1122 section 3.2.2 and RFC 1812
// section 4.3.2 first; follows icmp_send and icmp_unreach of Linux's net/ipv4/icmp.c.
import { DropReason } from "../base/drop-reason.ts";
import { type Ipv4Addr, isLoopback, isMulticast } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { IcmpLayer } from "./icmp.ts";
import { isLimitedBroadcast, isZeronet } from "./ip/address-word.ts";
import { routeReason } from "./ip/output.ts";
import { PathMtuDiscovery } from "./ip/path-mtu.ts";
import type { Netns } from "./netns.ts";
import { type PacketBuffer, PacketType } from "./packet-buffer.ts";
import type { Route } from "./route.ts";

/** Longest error message, IP header included. @rfc 1812#4.3.2.3 */
const ERROR_LEN_MAX = 576;
/** Of the offender's TOS the four service bits, and precedence "internetwork control". @rfc 1812#4.3.2.5 */
const TOS_MASK = 0x1e;
const TOS_INTERNETCONTROL = 0xc0;

/** `icmp_send`. See {@link IcmpLayer.send}. */
export function sendError(
  layer: IcmpLayer,
  type: number,
  code: number,
  about: PacketBuffer,
  info: number,
  now: Instant,
): void {
  const { netns } = layer;
  if (!mayAnswer(netns, about)) return;
  const peer = ipv4.src(about.view, about.l3);
  const offenderDst = ipv4.dst(about.view, about.l3);
  const src = netns.isLocal(offenderDst) ? offenderDst : 0;
  const found = netns.ip.routeOutput(src, peer, undefined, ipv4.Protocol.ICMP);
  if (found === undefined || routeReason(found) !== DropReason.NOT_DROPPED) return;
  // Of several next hops that of the flow that the error is about (`icmp_route_lookup`).
  const route = src === 0 ? netns.ip.pathFor(about, found) : found;
  if (!withinLimits(layer, type, code, route, peer, now)) return;
  const from = src === 0 ? netns.ip.sourceFor(route, peer) : src;
  const room = Math.min(ERROR_LEN_MAX, route.dev === undefined ? ERROR_LEN_MAX : route.dev.mtuBytes);
  const quoted = Math.min(about.tail - about.l3, room - ipv4.HEADER_LEN - icmp.HEADER_LEN);
  const pkt = netns.ctx.pool.acquire(icmp.HEADER_LEN + quoted);
  if (pkt === undefined) return;
  const at = pkt.put(icmp.HEADER_LEN + quoted);
  pkt.bytes.set(about.bytes.subarray(about.l3, about.l3 + quoted), at + icmp.HEADER_LEN);
  icmp.emit(pkt.view, at, pkt.tail, type, code, info);
  const tos = (ipv4.tos(about.view, about.l3) & TOS_MASK) | TOS_INTERNETCONTROL;
  layer.stats.outMsgs++;
  layer.stats.outErrors++;
  const protocol = ipv4.Protocol.ICMP;
  netns.ip.sendVia(pkt, route, from, peer, protocol, 0, tos, PathMtuDiscovery.DONT, now);
}

/** Path MTU discovery and what we tell ourselves are free. */
function withinLimits(
  layer: IcmpLayer,
  type: number,
  code: number,
  route: Route,
  peer: Ipv4Addr,
  now: Instant,
): boolean {
  if (route.type === "local") return true;
  if (type === icmp.Type.DEST_UNREACH && code === icmp.Unreach.FRAG_NEEDED) return true;
  return layer.rateLimit.allow(type, peer, now);
}

/** Is `about` a packet that an error may be sent about? @rfc 1122#3.2.2 */
function mayAnswer(netns: Netns, about: PacketBuffer): boolean {
  const view = about.view;
  const l3 = about.l3;
  if (about.packetType !== PacketType.HOST) return false;
  if (ipv4.fragmentOffset(view, l3) !== 0) return false;
  const src = ipv4.src(view, l3);
  if (isZeronet(src) || isMulticast(src) || isLimitedBroadcast(src)) return false;
  if (isLoopback(src) && about.iif !== 0 && about.iif !== netns.lo.ifindex) return false;
  if (netns.ip.isGroup(ipv4.dst(view, l3)) || netns.ip.isGroup(src)) return false;
  if (ipv4.protocol(view, l3) !== ipv4.Protocol.ICMP) return true;
  const inner = l3 + ipv4.headerLen(view, l3);
  if (inner >= about.tail) return false;
  const type = icmp.type(view, inner);
  return type <= MAX_TYPE && !icmp.isError(type);
}

/** Highest type that Linux knows (`NR_ICMP_TYPES`): whatever lies above might be an error. */
export const MAX_TYPE = 18;

/**
 * An ICMP error for us, checked; `head` at its ICMP header, which it keeps. Learns the path MTU and tells the protocol that
 * sent the offender. Borrows `pkt`. False when it makes no sense.
 *
 * @rfc 1122#3.2.2.1 @rfc 1191#3
 */
export function receiveError(layer: IcmpLayer, pkt: PacketBuffer, now: Instant): boolean {
  const { netns } = layer;
  const view = pkt.view;
  const at = pkt.head;
  const inner = at + icmp.HEADER_LEN;
  if (pkt.tail - inner < ipv4.HEADER_LEN) return false;
  const innerBytes = ipv4.headerLen(view, inner);
  if (ipv4.version(view, inner) !== 4 || innerBytes < ipv4.HEADER_LEN) return false;
  if (pkt.tail - inner < innerBytes + 8) return false;
  if (ipv4.fragmentOffset(view, inner) !== 0 || !netns.isLocal(ipv4.src(view, inner))) return false;
  const dst = ipv4.dst(view, inner);
  if (netns.ip.isGroup(dst)) return false;
  const type = icmp.type(view, at);
  const code = icmp.code(view, at);
  let info = 0;
  if (type === icmp.Type.PARAMETER_PROBLEM) info = icmp.pointer(view, at);
  if (type === icmp.Type.DEST_UNREACH && code === icmp.Unreach.FRAG_NEEDED) {
    info = icmp.mtu(view, at);
    netns.ip.pmtu.learn(dst, info, netns.ip.mtuTo(dst, now), now);
  }
  const handler = netns.ip.handler(ipv4.protocol(view, inner));
  if (handler?.error === undefined) return true;
  pkt.head = inner;
  handler.error(pkt, inner + innerBytes, type, code, info, now);
  pkt.head = at;
  return true;
}
