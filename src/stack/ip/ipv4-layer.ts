// IPv4 of one namespace: the state, and the doors that the rest of the stack uses. What happens behind them is in input.ts,
// forward.ts and output.ts, each a walk through the file of Linux's net/ipv4 of the same name.
import { DropReason } from "../../base/drop-reason.ts";
import { type Ipv4Addr, isMulticast } from "../../base/ipv4-addr.ts";
import type { Instant } from "../../base/time.ts";
import type { SegmentReceiver } from "../gso.ts";
import type { NetDevice } from "../net-device.ts";
import type { Netns } from "../netns.ts";
import type { PacketBuffer } from "../packet-buffer.ts";
import type { Route } from "../route.ts";
import { isLimitedBroadcast } from "./address-word.ts";
import { forward } from "./forward.ts";
import { input, inputTransport, localDeliver } from "./input.ts";
import { type IpStats, newIpStats } from "./ip-stats.ts";
import { packetHash } from "./multipath-hash.ts";
import { output, pathMtu, routeOutput, routeReason, sendVia, sourceFor } from "./output.ts";
import { PathMtuDiscovery, PathMtuTable } from "./path-mtu.ts";
import { Reassembly } from "./reassembly.ts";
import type { TransportHandler } from "./transport-handler.ts";

/** IPv4 of one namespace. */
export class Ipv4Layer implements SegmentReceiver {
  readonly netns: Netns;
  readonly stats: IpStats = newIpStats();
  readonly pmtu = new PathMtuTable();
  readonly reassembly: Reassembly;
  readonly #handlers: (TransportHandler | undefined)[] = Array.from({ length: 256 });
  #id: number;
  #multipathSeed: number | undefined;

  /** @param netns its namespace, of which nothing but `ctx` is touched yet */
  constructor(netns: Netns) {
    this.netns = netns;
    this.reassembly = new Reassembly(netns, this.stats);
    this.#id = netns.ctx.rng.u32() & 0xffff;
  }

  /** The loopback device, through which what we send to ourselves goes. */
  get lo(): NetDevice {
    return this.netns.lo;
  }

  /** Hands packets of IP protocol `protocol` (0..255) to `handler` from now on. */
  register(protocol: number, handler: TransportHandler): void {
    this.#handlers[protocol] = handler;
  }

  /** Who takes IP protocol `protocol`. */
  handler(protocol: number): TransportHandler | undefined {
    return this.#handlers[protocol];
  }

  /**
   * A packet from a device: `head` and `l3` at its IP header, `dev`, `iif` and `packetType` set. Ends as a local delivery, a
   * forwarded packet or a drop. Takes ownership.
   *
   * @drops OTHERHOST, IP_INHDR, IP_CSUM, PKT_TOO_SMALL, IP_INVALID_SOURCE, IP_INVALID_DEST, IP_LOCALNET, IP_LOCAL_SOURCE,
   *   IP_RPFILTER, IP_INADDRERRORS, UNICAST_IN_L2_MULTICAST, FORWARDING_DISABLED, IP_INNOROUTES, ROUTE_BLACKHOLE,
   *   ROUTE_UNREACHABLE, ROUTE_PROHIBIT
   * @rfc 1122#3.2.1 @rfc 1812#4.2
   */
  input(pkt: PacketBuffer, now: Instant): void {
    input(this, pkt, now);
  }

  /**
   * Passes a checked packet on by `route`, a unicast route: TTL, MTU, then {@link output}. Takes ownership.
   *
   * @drops IP_INHDR (TTL used up), PKT_TOO_BIG, UNICAST_IN_L2_MULTICAST @rfc 1812#5.2
   */
  forward(pkt: PacketBuffer, route: Route, now: Instant): void {
    forward(this, pkt, route, now);
  }

  /**
   * Takes in a checked packet for this host: reassembles fragments, segments super-packets, hands the rest to the transport
   * protocol. Takes ownership.
   *
   * @drops IP_NOPROTO, and those of {@link Reassembly.input}
   */
  localDeliver(pkt: PacketBuffer, now: Instant): void {
    localDeliver(this, pkt, now);
  }

  /** One segment of a super-packet for this host: `stack/gso.ts` calls it. Takes ownership. */
  segment(pkt: PacketBuffer, now: Instant): void {
    inputTransport(this, pkt, now);
  }

  /**
   * Sends a complete IP packet (`head` and `l3` at its header) by `route`: fragments what is too long, then resolves the next
   * hop; by a `local` route it comes back through lo. Takes ownership.
   *
   * @drops PKT_TOO_BIG, NOMEM, ROUTE_BLACKHOLE, ROUTE_UNREACHABLE, ROUTE_PROHIBIT, and those of the neighbour table
   */
  output(pkt: PacketBuffer, route: Route, now: Instant): void {
    output(this, pkt, route, now);
  }

  /**
   * Sends a transport packet (`head` at its header, checksums done) as this host's own. Takes ownership.
   *
   * @param src one of our addresses, or 0 to select one
   * @param ttl 1..255, or 0 for `ip_default_ttl` (1 to a group)
   * @param df true: never fragment (id 0); false: whoever needs to may
   * @param oif leave by this device, whatever the tables say
   * @returns NOT_DROPPED once it is on its way; otherwise why not, and then it is dropped and counted: IP_OUTNOROUTES,
   *   ROUTE_BLACKHOLE, ROUTE_UNREACHABLE, ROUTE_PROHIBIT, PKT_TOO_BIG
   */
  send(
    pkt: PacketBuffer,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: number,
    ttl: number,
    tos: number,
    df: boolean,
    oif: NetDevice | undefined,
    now: Instant,
  ): DropReason {
    const route = this.routeOutput(src, dst, oif, protocol);
    const reason = routeReason(route);
    if (route === undefined || reason !== DropReason.NOT_DROPPED) {
      this.stats.outNoRoutes++;
      this.netns.ctx.drop(pkt, reason, now);
      return reason;
    }
    const from = src === 0 ? sourceFor(this, route, dst) : src;
    const discovery = df ? PathMtuDiscovery.DO : PathMtuDiscovery.DONT;
    return this.sendVia(pkt, route, from, dst, protocol, ttl, tos, discovery, now);
  }

  /**
   * The route for packets of our own: undefined when there is none, or `src` (unless 0) is not ours. It may be one that
   * carries nothing: see {@link routeReason}. Follows `ip_route_output_key`.
   *
   * @param protocol with `ports` what tells flows apart where `fib_multipath_hash_policy` is 1
   * @param ports source port in the upper 16 bits, destination port in the lower
   */
  routeOutput(
    src: Ipv4Addr,
    dst: Ipv4Addr,
    oif: NetDevice | undefined,
    protocol = 0,
    ports = 0,
  ): Route | undefined {
    return routeOutput(this, src, dst === 0 ? LOCALHOST : dst, oif, protocol, ports);
  }

  /** The path that a packet (`l3` at its header) takes by `route`: of several next hops that of its flow. */
  pathFor(pkt: PacketBuffer, route: Route): Route {
    const { multipath } = route;
    if (multipath === undefined) return route;
    const hash = packetHash(this.netns.sysctl.fibMultipathHashPolicy, this.multipathSeed, pkt);
    return multipath.select(hash) ?? route;
  }

  /** Makes this namespace choose otherwise than others (`net.ipv4.fib_multipath_hash_seed`); drawn when it is first needed. */
  get multipathSeed(): number {
    this.#multipathSeed ??= this.netns.ctx.rng.u32() | 0;
    return this.#multipathSeed;
  }

  /**
   * Second half of {@link send}, for a caller that had to know route and source beforehand (UDP's checksum covers the source).
   * Takes ownership.
   *
   * @param route of type unicast, local or broadcast
   * @param discovery one of {@link PathMtuDiscovery}
   * @returns NOT_DROPPED or PKT_TOO_BIG
   */
  sendVia(
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
    const to = dst === 0 ? LOCALHOST : dst;
    const hops = ttl !== 0 ? ttl : isMulticast(to) ? 1 : this.netns.sysctl.ipDefaultTtl;
    return sendVia(this, pkt, route, src, to, protocol, hops, tos, discovery, now);
  }

  /** The source that packets to `dst` by `route` get when the sender leaves it open; 0 when there is no address at all. */
  sourceFor(route: Route, dst: Ipv4Addr): Ipv4Addr {
    return sourceFor(this, route, dst === 0 ? LOCALHOST : dst);
  }

  /** Path MTU in bytes from here to `dst`, as the route's device and ICMP tell; 0 when there is no route. */
  mtuTo(dst: Ipv4Addr, now: Instant): number {
    const route = this.routeOutput(0, dst, undefined);
    if (route === undefined || routeReason(route) !== DropReason.NOT_DROPPED) return 0;
    return pathMtu(this, route, dst, now);
  }

  /** Is `addr` a group, the limited broadcast, or the broadcast address of one of our subnets? */
  isGroup(addr: Ipv4Addr): boolean {
    if (isMulticast(addr) || isLimitedBroadcast(addr)) return true;
    return this.netns.fib.addrType(addr) === "broadcast";
  }

  /** The identification of the next packet; takes `count` numbers, one for each segment. */
  nextId(count: number): number {
    const id = this.#id;
    this.#id = (id + count) & 0xffff;
    return id;
  }

  /** Releases the fragments that wait and stops the clock: the namespace goes away. */
  close(): void {
    this.reassembly.close();
    this.pmtu.clear();
  }
}

/** What 0.0.0.0 means as a destination, as in Linux. */
const LOCALHOST: Ipv4Addr = 0x7f000001;
