// IPv4 output: what Linux does from ip_route_output_key to ip_finish_output. Read RFC 1122 section 3.3 first.
import { DropReason } from "../../base/drop-reason.ts";
import { type Ipv4Addr, isLoopback, isMulticast } from "../../base/ipv4-addr.ts";
import type { Instant } from "../../base/time.ts";
import { EtherType } from "../../wire/ethernet.ts";
import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import { gsoNetworkLen, gsoSegments, segment } from "../gso.ts";
import type { Multipath } from "../multipath.ts";
import type { NetDevice } from "../net-device.ts";
import type { PacketBuffer } from "../packet-buffer.ts";
import type { Route, RouteType } from "../route.ts";
import { dstWord, isLimitedBroadcast, isZeronet } from "./address-word.ts";
import { fragment } from "./fragment.ts";
import type { Ipv4Layer } from "./ipv4-layer.ts";
import { flowHash } from "./multipath-hash.ts";
import { PathMtuDiscovery } from "./path-mtu.ts";

/** Length on the wire, in bytes from the IP header: of a super-packet, that of its longest segment. */
export function networkBytes(pkt: PacketBuffer): number {
  return pkt.gsoSize === 0 ? pkt.tail - pkt.l3 : gsoNetworkLen(pkt);
}

const REASONS: { readonly [T in RouteType]: DropReason } = {
  unicast: DropReason.NOT_DROPPED,
  local: DropReason.NOT_DROPPED,
  broadcast: DropReason.NOT_DROPPED,
  unreachable: DropReason.ROUTE_UNREACHABLE,
  prohibit: DropReason.ROUTE_PROHIBIT,
  blackhole: DropReason.ROUTE_BLACKHOLE,
};

/** Why nothing can be sent by `route`; NOT_DROPPED when something can. */
export function routeReason(route: Route | undefined): DropReason {
  return route === undefined ? DropReason.IP_OUTNOROUTES : REASONS[route.type];
}

/** `ip_route_output_key`. See {@link Ipv4Layer.routeOutput}. */
export function routeOutput(
  ip: Ipv4Layer,
  src: Ipv4Addr,
  dst: Ipv4Addr,
  oif: NetDevice | undefined,
  protocol: number,
  ports: number,
): Route | undefined {
  const { netns } = ip;
  const group = isLimitedBroadcast(dst) || isMulticast(dst);
  if (src !== 0 && (isMulticast(src) || isLimitedBroadcast(src) || isZeronet(src) || !netns.isLocal(src))) {
    return undefined;
  }
  // Nothing says by which device a group is reached, so the source or the caller has to.
  const dev = oif ?? (group && src !== 0 ? deviceOf(ip, src) : undefined);
  if (group && dev !== undefined) return dev.up ? onLink(dev, dst) : undefined;
  const route = netns.fib.lookup(dst, dev);
  if (route === undefined && dev?.up === true && !isZeronet(dst)) return onLink(dev, dst);
  if (route?.type === "unicast" && (isZeronet(dst) || (isLoopback(src) && route.dev !== ip.lo)))
    return undefined;
  if (route?.multipath === undefined || dev !== undefined) return route;
  return selectPath(ip, route.multipath, src, dst, protocol, ports);
}

/** Which of several next hops, when the caller named no device (`fib_select_path`). */
function selectPath(
  ip: Ipv4Layer,
  multipath: Multipath,
  src: Ipv4Addr,
  dst: Ipv4Addr,
  protocol: number,
  ports: number,
): Route | undefined {
  const policy = ip.netns.sysctl.fibMultipathHashPolicy;
  const hash = flowHash(policy, ip.multipathSeed, src, dst, protocol, ports);
  return src === 0 ? multipath.select(hash) : multipath.selectFrom(hash, src, ip.netns);
}

/** The device that has `addr`. */
function deviceOf(ip: Ipv4Layer, addr: Ipv4Addr): NetDevice | undefined {
  const route = ip.netns.fib.lookup(addr);
  return route?.type === "local" ? route.dev : undefined;
}

/** A route that no table holds: the caller named the device, and `dst` is taken to be on its link, as Linux does. */
function onLink(dev: NetDevice, dst: Ipv4Addr): Route {
  return {
    table: "main",
    type: isLimitedBroadcast(dst) ? "broadcast" : "unicast",
    dst: { addr: dst, len: 32 },
    via: undefined,
    dev,
    src: undefined,
    scope: "link",
    proto: "kernel",
    metric: 0,
    onlink: true,
    multipath: undefined,
  };
}

/** The source address for packets to `dst` by `route`, when the sender left it open. */
export function sourceFor(ip: Ipv4Layer, route: Route, dst: Ipv4Addr): Ipv4Addr {
  if (route.type === "local") return route.src ?? dst;
  return ip.netns.selectSource(route, dst);
}

/** Largest packet, in bytes, that this host should send to `dst` by `route`. */
export function pathMtu(ip: Ipv4Layer, route: Route, dst: Ipv4Addr, now: Instant): number {
  const dev = route.type === "local" ? ip.lo : (route.dev as NetDevice);
  const learnt = ip.pmtu.lookup(dst, now);
  // Linux's IP_MAX_MTU: what lo could carry is more than an IP packet can be.
  const mtuBytes = Math.min(dev.mtuBytes, ipv4.PACKET_LEN_MAX);
  return learnt !== 0 && learnt < mtuBytes ? learnt : mtuBytes;
}

/** Pushes the IP header and sends. See {@link Ipv4Layer.sendVia}. */
export function sendVia(
  ip: Ipv4Layer,
  pkt: PacketBuffer,
  route: Route,
  src: Ipv4Addr,
  dst: Ipv4Addr,
  protocol: number,
  ttl: number,
  tos: number,
  discovery: number,
  now: Instant,
): DropReason {
  pkt.l4 = pkt.head;
  pkt.l3 = pkt.push(ipv4.HEADER_LEN);
  pkt.l2 = pkt.l3;
  const totalBytes = pkt.length;
  const bytes = networkBytes(pkt);
  const mtuBytes = pathMtu(ip, route, dst, now);
  const mayFragment = discovery !== PathMtuDiscovery.DO && pkt.gsoSize === 0;
  if (totalBytes > ipv4.PACKET_LEN_MAX || (bytes > mtuBytes && !mayFragment)) {
    ip.stats.fragFails++;
    ip.stats.outDiscards++;
    ip.netns.ctx.drop(pkt, DropReason.PKT_TOO_BIG, now);
    return DropReason.PKT_TOO_BIG;
  }
  const want = discovery === PathMtuDiscovery.WANT && bytes <= mtuBytes && ip.pmtu.mayDontFragment(dst, now);
  const df = want || discovery === PathMtuDiscovery.DO;
  // RFC 6864: what can never be fragmented needs no identification. Linux gives one to WANT all the same.
  const id = discovery === PathMtuDiscovery.DO ? 0 : ip.nextId(gsoSegments(pkt));
  pkt.protocol = EtherType.IPV4;
  ipv4.emit(pkt.view, pkt.l3, totalBytes, id, df, ttl, protocol, src, dst, tos);
  ip.stats.outRequests++;
  // Netfilter's OUTPUT belongs here.
  output(ip, pkt, route, now);
  return DropReason.NOT_DROPPED;
}

/** `ip_output`. See {@link Ipv4Layer.output}. */
export function output(ip: Ipv4Layer, pkt: PacketBuffer, route: Route, now: Instant): void {
  // Netfilter's POSTROUTING belongs here.
  const dev = route.type === "local" ? ip.lo : route.dev;
  if (dev === undefined) {
    ip.stats.outNoRoutes++;
    ip.netns.ctx.drop(pkt, routeReason(route), now);
    return;
  }
  const dst = dstWord(pkt.view, pkt.l3);
  const ours = pkt.iif === 0;
  const group = route.type === "broadcast" || isMulticast(dst) || isLimitedBroadcast(dst);
  if (group && ours) outputGroup(ip, pkt, route, dst, now);
  const nexthop = group ? dst : (route.via ?? dst);
  // What we forward sees the device's MTU only (`net.ipv4.ip_forward_use_pmtu` is 0): a third party could lower ours.
  const mtuBytes = ours ? pathMtu(ip, route, dst, now) : dev.mtuBytes;
  if (networkBytes(pkt) > mtuBytes) outputTooBig(ip, pkt, dev, nexthop, mtuBytes, now);
  else ip.netns.neigh.output(pkt, dev, nexthop, now);
}

/** A broadcast of our own is heard by our own sockets, too. */
function outputGroup(ip: Ipv4Layer, pkt: PacketBuffer, route: Route, dst: Ipv4Addr, now: Instant): void {
  if (isMulticast(dst) || route.dev === ip.lo) return;
  const copy = ip.netns.ctx.pool.clone(pkt);
  if (copy !== undefined) ip.netns.neigh.output(copy, ip.lo, dst, now);
}

/** Larger than the link takes: fragment, or say why not. */
function outputTooBig(
  ip: Ipv4Layer,
  pkt: PacketBuffer,
  dev: NetDevice,
  nexthop: Ipv4Addr,
  mtuBytes: number,
  now: Instant,
): void {
  if (ipv4.dontFragment(pkt.view, pkt.l3)) {
    ip.stats.fragFails++;
    ip.netns.icmp.send(icmp.Type.DEST_UNREACH, icmp.Unreach.FRAG_NEEDED, pkt, mtuBytes, now);
    ip.netns.ctx.drop(pkt, DropReason.PKT_TOO_BIG, now);
    return;
  }
  if (pkt.gsoSize === 0) {
    fragment(ip, pkt, dev, nexthop, mtuBytes, now);
    return;
  }
  // Each segment is too long itself; rare enough that a receiver may be made for it.
  segment(pkt, ip.netns.ctx, { segment: (one, at) => fragment(ip, one, dev, nexthop, mtuBytes, at) }, now);
}
