// IPv4 input: what Linux does from ip_rcv to ip_local_deliver_finish. Read RFC 1122 section 3.2.1 and RFC 1812 section 4
// first. Not implemented: source routing (refused), record route and timestamp (carried, not filled in), multicast groups
// other than all-hosts.
import { DropReason } from "../../base/drop-reason.ts";
import { type Ipv4Addr, isMulticast } from "../../base/ipv4-addr.ts";
import type { Instant } from "../../base/time.ts";
import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import { segment } from "../gso.ts";
import type { NetDevice } from "../net-device.ts";
import { type PacketBuffer, PacketType } from "../packet-buffer.ts";
import type { Route } from "../route.ts";
import { dstWord, isLimitedBroadcast, srcWord } from "./address-word.ts";
import type { Ipv4Layer } from "./ipv4-layer.ts";
import { checkAddresses, checkGroupSource, validateSource } from "./source-check.ts";

/** 224.0.0.1, which every host hears; signed, as the addresses here are. @rfc 1112#7.2 */
const ALL_HOSTS: Ipv4Addr = 0xe0000001 | 0;

/** Version 4, no options. */
const PLAIN_HEADER = 0x45;

const LOOSE_SOURCE_ROUTE = 131;
const STRICT_SOURCE_ROUTE = 137;

/** `ip_rcv`: is it a sound IPv4 packet? See {@link Ipv4Layer.input}. */
export function input(ip: Ipv4Layer, pkt: PacketBuffer, now: Instant): void {
  const stats = ip.stats;
  if (pkt.packetType === PacketType.OTHERHOST) {
    ip.netns.ctx.drop(pkt, DropReason.OTHERHOST, now);
    return;
  }
  stats.inReceives++;
  const view = pkt.view;
  const reason = ipv4.check(view, pkt.head, pkt.tail);
  if (reason !== DropReason.NOT_DROPPED) {
    if (reason === DropReason.PKT_TOO_SMALL) stats.inTruncatedPkts++;
    else stats.inHdrErrors++;
    ip.netns.ctx.drop(pkt, reason, now);
    return;
  }
  pkt.trim(ipv4.totalLen(view, pkt.head));
  pkt.l4 = pkt.head + ipv4.headerLen(view, pkt.head);
  // Netfilter's PREROUTING belongs between the two.
  inputFinish(ip, pkt, now);
}

/** `ip_rcv_finish`: whose is it? */
function inputFinish(ip: Ipv4Layer, pkt: PacketBuffer, now: Instant): void {
  const view = pkt.view;
  if (view.getUint8(pkt.l3) !== PLAIN_HEADER && !acceptOptions(ip, pkt, now)) return;
  const src = srcWord(view, pkt.l3);
  const dst = dstWord(view, pkt.l3);
  const dev = pkt.dev as NetDevice;
  if (dev.kind === "loopback") {
    inputLoopback(ip, pkt, dst, now);
    return;
  }
  const netns = ip.netns;
  const conf = netns.sysctl.conf(dev);
  if (isLimitedBroadcast(dst) || isMulticast(dst) || (src | dst) === 0) {
    inputGroup(ip, pkt, src, dst, now);
    return;
  }
  let reason = checkAddresses(src, dst, conf);
  if (reason === DropReason.NOT_DROPPED) {
    const route = netns.fib.lookup(dst);
    const type = route === undefined ? "unroutable" : route.type;
    if (type === "unicast" ? !conf.forwarding : type !== "local" && type !== "broadcast") {
      refuse(ip, pkt, route, conf.forwarding, now);
      return;
    }
    reason = validateSource(netns, dev, conf, src);
    if (reason === DropReason.NOT_DROPPED) {
      if (type === "unicast") ip.forward(pkt, ip.pathFor(pkt, route as Route), now);
      else if (type === "local" && pkt.packetType !== PacketType.HOST) {
        // RFC 1122 section 3.3.6: a unicast address in a link-layer broadcast is somebody's mistake.
        netns.ctx.drop(pkt, DropReason.UNICAST_IN_L2_MULTICAST, now);
      } else ip.localDeliver(pkt, now);
      return;
    }
  }
  ip.stats.inAddrErrors++;
  netns.ctx.drop(pkt, reason, now);
}

/** What came back from our own output needs no suspicion: Linux keeps the route on the packet and asks nothing here. */
function inputLoopback(ip: Ipv4Layer, pkt: PacketBuffer, dst: Ipv4Addr, now: Instant): void {
  const route = ip.netns.fib.lookup(dst);
  const ours = route !== undefined && (route.type === "local" || route.type === "broadcast");
  if (ours || isLimitedBroadcast(dst) || dst === ALL_HOSTS) {
    ip.localDeliver(pkt, now);
    return;
  }
  ip.stats.inAddrErrors++;
  ip.netns.ctx.drop(pkt, DropReason.IP_INADDRERRORS, now);
}

/** To the limited broadcast, or to a group. */
function inputGroup(ip: Ipv4Layer, pkt: PacketBuffer, src: Ipv4Addr, dst: Ipv4Addr, now: Instant): void {
  const dev = pkt.dev as NetDevice;
  const conf = ip.netns.sysctl.conf(dev);
  let reason = checkGroupSource(src, conf);
  if (reason === DropReason.NOT_DROPPED && src !== 0) reason = validateSource(ip.netns, dev, conf, src);
  if (reason === DropReason.NOT_DROPPED && isMulticast(dst) && dst !== ALL_HOSTS) {
    reason = DropReason.IP_INADDRERRORS;
  }
  if (reason === DropReason.NOT_DROPPED) {
    ip.localDeliver(pkt, now);
    return;
  }
  ip.stats.inAddrErrors++;
  ip.netns.ctx.drop(pkt, reason, now);
}

/** `ip_error`: not for us, and no way on. A host that does not forward says nothing about it. @rfc 1812#5.2.7.1 */
function refuse(
  ip: Ipv4Layer,
  pkt: PacketBuffer,
  route: Route | undefined,
  forwarding: boolean,
  now: Instant,
): void {
  const { netns, stats } = ip;
  if (!forwarding) {
    stats.inAddrErrors++;
    netns.ctx.drop(pkt, DropReason.FORWARDING_DISABLED, now);
    return;
  }
  if (route === undefined) {
    stats.inNoRoutes++;
    netns.icmp.send(icmp.Type.DEST_UNREACH, icmp.Unreach.NET, pkt, 0, now);
    netns.ctx.drop(pkt, DropReason.IP_INNOROUTES, now);
  } else if (route.type === "unreachable") {
    netns.icmp.send(icmp.Type.DEST_UNREACH, icmp.Unreach.HOST, pkt, 0, now);
    netns.ctx.drop(pkt, DropReason.ROUTE_UNREACHABLE, now);
  } else if (route.type === "prohibit") {
    netns.icmp.send(icmp.Type.DEST_UNREACH, icmp.Unreach.PKT_FILTERED, pkt, 0, now);
    netns.ctx.drop(pkt, DropReason.ROUTE_PROHIBIT, now);
  } else netns.ctx.drop(pkt, DropReason.ROUTE_BLACKHOLE, now);
}

/** Are the options harmless? A malformed one is answered and dropped, a source route dropped. @rfc 7126#4.3 */
function acceptOptions(ip: Ipv4Layer, pkt: PacketBuffer, now: Instant): boolean {
  const view = pkt.view;
  const end = pkt.l3 + ipv4.headerLen(view, pkt.l3);
  let at = pkt.l3 + ipv4.HEADER_LEN;
  while (at < end) {
    const type = view.getUint8(at);
    if (type === LOOSE_SOURCE_ROUTE || type === STRICT_SOURCE_ROUTE) break;
    const next = ipv4.nextOption(view, at, end);
    if (next < 0) {
      const pointer = ((at - pkt.l3) << 24) >>> 0;
      ip.netns.icmp.send(icmp.Type.PARAMETER_PROBLEM, 0, pkt, pointer, now);
      break;
    }
    at = next;
  }
  if (at >= end) return true;
  ip.stats.inHdrErrors++;
  ip.netns.ctx.drop(pkt, DropReason.IP_INHDR, now);
  return false;
}

/** `ip_local_deliver`. See {@link Ipv4Layer.localDeliver}. */
export function localDeliver(ip: Ipv4Layer, pkt: PacketBuffer, now: Instant): void {
  if (!ipv4.isFragment(pkt.view, pkt.l3)) {
    inputLocal(ip, pkt, now);
    return;
  }
  const whole = ip.reassembly.input(pkt, now);
  if (whole !== undefined) inputLocal(ip, whole, now);
}

/** A whole packet for this host. */
function inputLocal(ip: Ipv4Layer, pkt: PacketBuffer, now: Instant): void {
  // Netfilter's INPUT belongs here.
  if (pkt.gsoSize !== 0) segment(pkt, ip.netns.ctx, ip, now);
  else inputTransport(ip, pkt, now);
}

/** `ip_local_deliver_finish`: hands a whole packet, no longer a super-packet, to its protocol. */
export function inputTransport(ip: Ipv4Layer, pkt: PacketBuffer, now: Instant): void {
  const view = pkt.view;
  const handler = ip.handler(ipv4.protocol(view, pkt.l3));
  if (handler === undefined) {
    ip.stats.inUnknownProtos++;
    ip.netns.icmp.send(icmp.Type.DEST_UNREACH, icmp.Unreach.PROTOCOL, pkt, 0, now);
    ip.netns.ctx.drop(pkt, DropReason.IP_NOPROTO, now);
    return;
  }
  ip.stats.inDelivers++;
  pkt.l4 = pkt.pull(ipv4.headerLen(view, pkt.l3));
  handler.input(pkt, now);
}
