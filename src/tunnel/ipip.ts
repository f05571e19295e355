// IP packets in IP packets, as Linux 6.18's ipip device without a fixed remote (`tunl0`). Read RFC 2003, RFC 6040, then
// `ip_tunnel_xmit` and `ip_tunnel_rcv`.
//
//     outer IPv4, protocol 4         inner packet
//     or outer IPv4, UDP (FOU)       at most mtuBytes
//     a carrier's business           ^ what a carrier takes and gives
//
// The outer destination is the next hop of the inner packet's route (`10.244.2.0/26 via 192.168.56.3 dev tunl0 onlink`), or
// without one its destination. What the device says of the outer header (TTL, TOS, don't-fragment) reaches the wire on a raw
// socket; in UDP the host's kernel writes that header as it likes.
//
// The tunnel never touches the inner TTL: a hop is counted by who forwards. What is larger than the device's MTU was fragmented,
// or refused, by the IP layer before it came here.
//
// ICMP errors about outer packets are `ipip_err`'s of a tunnel without a fixed remote: "fragmentation needed" teaches the path MTU
// to that node, in the table of the namespace's own (Linux: exceptions of its routes, shared with everything else that it sends;
// `ip route get` shows them). From then on `tnl_update_pmtu` answers don't-fragment packets that are larger, as it always has those
// that are larger than the underlay. Others go on as they are: routers fragment them. All other errors are counted and no more,
// for Linux lets them have effects (`err_count`) only where the remote is fixed.
//
// Not implemented: outer fragmentation (what exceeds the first device's MTU the kernel refuses, and it is dropped as PKT_TOO_BIG),
// redirects, a fixed remote or local address, MPLS, keys of other tunnels.
import { DropReason } from "../base/drop-reason.ts";
import { IPV4_BROADCAST, type Ipv4Addr, isMulticast } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import { networkBytes } from "../stack/ip/output.ts";
import { type DeviceKind, NetDevice } from "../stack/net-device.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { StackContext } from "../stack/stack-context.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as udp from "../wire/udp.ts";
import { completePacketChecksum } from "./checksum-completion.ts";
import { FOU_PORT } from "./fou.ts";
import type { IpipCarrier, IpipReceiver } from "./ipip-carrier.ts";
import {
  isFragNeeded,
  type OuterError,
  type OuterErrorReceiver,
  type OuterErrorStats,
} from "./outer-error.ts";

/** Bytes that an ipip device adds: its MTU is the underlay's less these. */
export const IPIP_OVERHEAD_BYTES = ipv4.HEADER_LEN;
/** The same where the packets travel in UDP. */
export const FOU_OVERHEAD_BYTES = ipv4.HEADER_LEN + udp.HEADER_LEN;

/** As `ip tunnel` has them; the defaults are those of the kernel's own `tunl0`: `ttl inherit nopmtudisc`. */
export interface IpipOptions {
  /** Of the outer header; 0, the default: the inner packet's. */
  readonly ttl?: number;
  /** Of the outer header, whose ECN bits follow the inner ones in any case; 1: the inner packet's. Default 0. */
  readonly tos?: number;
  /** Always set don't-fragment in the outer header. Default: only when the inner packet has it. */
  readonly pmtudisc?: boolean;
  /** MTU of the network between the nodes. */
  readonly underlayMtuBytes: number;
}

const TOS_INHERIT = 1;
/** Next hops that are remembered; a cluster has as many as other nodes. */
const HOPS_MAX = 4096;

const Ecn = { NOT_ECT: 0, ECT_1: 1, ECT_0: 2, CE: 3 } as const;
const ECN_MASK = 3;

/** `tunl0`. */
export class IpipDevice extends NetDevice implements IpipReceiver, OuterErrorReceiver {
  override readonly kind: DeviceKind = "ipip";
  override readonly medium = "ip";
  override noArp = true;
  readonly ttl: number;
  readonly tos: number;
  readonly pmtudisc: boolean;
  readonly underlayMtuBytes: number;
  /** ICMP errors that came about what it has sent. */
  readonly outerErrors: OuterErrorStats = { fragNeeded: 0, destUnreach: 0, timeExceeded: 0, foreign: 0 };
  /** Whose packets are taken in: Calico's rule that protocol 4 comes from nodes only. Undefined: everybody's. */
  allowSource: ((src: Ipv4Addr) => boolean) | undefined = undefined;
  /** Next hops by the signed integer that a packet bears; 0 for what is no single host. So no address is made anew for a packet. */
  readonly #hops = new Map<number, Ipv4Addr>();
  readonly #carrierFor: (dst: Ipv4Addr) => IpipCarrier | undefined;

  /** @param carrierFor what packets to the node `dst` leave by; undefined: nothing leads there */
  constructor(
    ctx: StackContext,
    name: string,
    mtuBytes: number,
    opts: IpipOptions,
    carrierFor: (dst: Ipv4Addr) => IpipCarrier | undefined,
  ) {
    super(ctx, name, 0, mtuBytes);
    this.ttl = opts.ttl ?? 0;
    this.tos = opts.tos ?? 0;
    this.pmtudisc = opts.pmtudisc ?? false;
    this.underlayMtuBytes = opts.underlayMtuBytes;
    this.#carrierFor = carrierFor;
  }

  /**
   * Takes in a packet that a carrier brought: `ip_tunnel_rcv`. Takes ownership.
   *
   * @drops NETFILTER_DROP (a source that {@link allowSource} does not know), DEV_READY, PKT_TOO_SMALL (no IP header inside),
   *   IP_TUNNEL_ECN @rfc 6040#4.2
   */
  receiveIpip(pkt: PacketBuffer, src: Ipv4Addr, tos: number, now: Instant): void {
    pkt.dev = this;
    if (this.allowSource !== undefined && !this.allowSource(src)) {
      this.ctx.drop(pkt, DropReason.NETFILTER_DROP, now);
      return;
    }
    if (!this.up) {
      this.stats.rxDropped++;
      this.ctx.drop(pkt, DropReason.DEV_READY, now);
      return;
    }
    if (pkt.tail - pkt.head < ipv4.HEADER_LEN) {
      this.stats.rxErrors++;
      this.ctx.drop(pkt, DropReason.PKT_TOO_SMALL, now);
      return;
    }
    if (!decapsulateEcn(pkt.view, pkt.head, tos & ECN_MASK)) {
      this.stats.rxErrors++;
      this.ctx.drop(pkt, DropReason.IP_TUNNEL_ECN, now);
      return;
    }
    completePacketChecksum(pkt.view, pkt.head, pkt.tail);
    pkt.tunnelRemote = src;
    this.deliver(pkt, now);
  }

  /**
   * `ipip_err`. Only what can be about a packet of this device is believed: to a node that it sends to, in the way that leads there.
   *
   * @rfc 2003#4.1 @rfc 1191#3
   */
  receiveOuterError(error: OuterError, now: Instant): void {
    const carrier = this.#carrierFor(error.dst);
    if (!this.up || carrier === undefined || !leftBy(carrier, error)) this.outerErrors.foreign++;
    else if (isFragNeeded(error.type, error.code)) {
      this.outerErrors.fragNeeded++;
      this.#learnPathMtu(error.dst, error.mtuBytes, now);
    } else if (error.type === icmp.Type.DEST_UNREACH) this.outerErrors.destUnreach++;
    else this.outerErrors.timeExceeded++;
  }

  /**
   * Linux's tunnel knows the MTU of the first device and refuses what is larger beforehand; we hear of it afterwards. So the sender of
   * this very packet is told, too.
   *
   * @drops PKT_TOO_BIG
   */
  outerTooBig(pkt: PacketBuffer, dst: Ipv4Addr, mtuBytes: number, now: Instant): void {
    const carrier = this.#carrierFor(dst);
    if (mtuBytes > 0) this.#learnPathMtu(dst, mtuBytes, now);
    if (carrier !== undefined && ipv4.dontFragment(pkt.view, pkt.head) && !this.#fits(pkt, dst, carrier, now))
      return;
    this.stats.txErrors++;
    this.ctx.drop(pkt, DropReason.PKT_TOO_BIG, now);
  }

  #learnPathMtu(dst: Ipv4Addr, mtuBytes: number, now: Instant): void {
    this.home?.pathMtus.learn(dst, mtuBytes, this.#pathMtu(dst, now), now);
  }

  /** Largest outer packet on the way to `dst`, in bytes (`dst_mtu`). */
  #pathMtu(dst: Ipv4Addr, now: Instant): number {
    const learnt = this.home === undefined ? 0 : this.home.pathMtus.lookup(dst, now);
    return learnt === 0 || learnt > this.underlayMtuBytes ? this.underlayMtuBytes : learnt;
  }

  /**
   * `ip_tunnel_xmit`. l3 and l4 stay at the inner headers: the socket edge needs them to split a super-packet.
   *
   * @drops PKT_TOO_SMALL (no IPv4 packet), IP_OUTNOROUTES (no next hop, a group, or nothing leads to it), PKT_TOO_BIG (reported by ICMP)
   */
  protected override xmit(pkt: PacketBuffer, now: Instant): void {
    const view = pkt.view;
    const at = pkt.head;
    if (pkt.tail - at < ipv4.HEADER_LEN || ipv4.version(view, at) !== 4) {
      this.stats.txErrors++;
      this.ctx.drop(pkt, DropReason.PKT_TOO_SMALL, now);
      return;
    }
    const dst = this.#hops.get(pkt.nextHop) ?? this.#hop(pkt.nextHop);
    const carrier = dst === 0 ? undefined : this.#carrierFor(dst);
    if (carrier === undefined) {
      this.stats.txErrors++;
      this.stats.txCarrier++;
      this.ctx.drop(pkt, DropReason.IP_OUTNOROUTES, now);
      return;
    }
    const innerDf = ipv4.dontFragment(view, at);
    if (innerDf && !this.#fits(pkt, dst, carrier, now)) return;
    const innerTos = ipv4.tos(view, at);
    const ttl = this.ttl === 0 ? ipv4.ttl(view, at) : this.ttl;
    const tos = encapsulateEcn(this.tos === TOS_INHERIT ? innerTos : this.tos, innerTos);
    this.stats.txPackets++;
    this.stats.txBytes += pkt.tail - at;
    const df = (this.pmtudisc || innerDf) && this.home?.pathMtus.mayDontFragment(dst, now) !== false;
    carrier.send(pkt, dst, ttl, tos, df, now);
  }

  #hop(word: number): Ipv4Addr {
    const addr = word >>> 0;
    const hop = addr === IPV4_BROADCAST || isMulticast(addr) ? 0 : addr;
    if (this.#hops.size >= HOPS_MAX) this.#hops.clear();
    this.#hops.set(word, hop);
    return hop;
  }

  /** Does a packet that must not be fragmented fit the path (`tnl_update_pmtu`)? If not, its sender is told, and it is dropped. */
  #fits(pkt: PacketBuffer, dst: Ipv4Addr, carrier: IpipCarrier, now: Instant): boolean {
    const overheadBytes = carrier.kind === "fou" ? FOU_OVERHEAD_BYTES : IPIP_OVERHEAD_BYTES;
    const mtuBytes = this.#pathMtu(dst, now) - overheadBytes;
    if (networkBytes(pkt) <= mtuBytes) return true;
    this.stats.txErrors++;
    this.home?.icmp.send(icmp.Type.DEST_UNREACH, icmp.Unreach.FRAG_NEEDED, pkt, mtuBytes, now);
    this.ctx.drop(pkt, DropReason.PKT_TOO_BIG, now);
    return false;
  }
}

/** Could the packet that an error quotes have left by this carrier? */
function leftBy(carrier: IpipCarrier, { protocol, dstPort }: OuterError): boolean {
  if (carrier.kind === "proto4") return protocol === ipv4.Protocol.IPIP;
  return protocol === ipv4.Protocol.UDP && dstPort === FOU_PORT;
}

/**
 * The outer TOS: `tos` with the inner ECN bits, but ECT(0) for CE, as Linux's `INET_ECN_encapsulate` (RFC 3168's full
 * functionality, which RFC 6040 would have copy CE). @rfc 6040#4.1
 */
function encapsulateEcn(tos: number, inner: number): number {
  const ecn = inner & ECN_MASK;
  return (tos & ~ECN_MASK & 0xff) | (ecn === Ecn.CE ? Ecn.ECT_0 : ecn);
}

/** Merges the outer ECN bits into the packet at `off`. False: it must be dropped. @rfc 6040#4.2 */
function decapsulateEcn(view: DataView, off: number, outer: number): boolean {
  const inner = ipv4.ecn(view, off);
  if (inner === Ecn.NOT_ECT) return outer !== Ecn.CE;
  const marked = outer === Ecn.CE || (outer === Ecn.ECT_1 && inner === Ecn.ECT_0);
  if (marked && inner !== outer) ipv4.setEcn(view, off, outer);
  return true;
}
