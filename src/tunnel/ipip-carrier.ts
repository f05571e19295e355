import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";

/** How IP packets in IP packets leave the node: as IP protocol 4 on a raw socket, or in UDP (FOU, direct IP encapsulation). */
export type IpipCarrierKind = "proto4" | "fou";

/** One way out of the node for what an ipip device encapsulates. */
export interface IpipCarrier {
  readonly kind: IpipCarrierKind;
  /** Underlay address of this node: the outer source. */
  readonly local: Ipv4Addr;
  /**
   * Sends the inner IPv4 packet head..tail to `dst`. Takes ownership; what the edge cannot send is dropped with UNDERLAY_TX.
   *
   * @param ttl of the outer header, 1 to 255. In UDP the host's kernel writes the outer header: `ttl`, `tos` and `df` are then its own
   */
  send(pkt: PacketBuffer, dst: Ipv4Addr, ttl: number, tos: number, df: boolean, now: Instant): void;
}

/** What the edge calls for each packet that arrives by a carrier. */
export interface IpipReceiver {
  /** Takes ownership. head..tail is the inner packet, unchecked; `src` the underlay address, `tos` of the outer header (0 if unknown). */
  receiveIpip(pkt: PacketBuffer, src: Ipv4Addr, tos: number, now: Instant): void;
  /**
   * The kernel has refused a packet that was sent to `dst`, being larger than the device there takes. Takes ownership; head..tail
   * is the inner packet again.
   *
   * @param mtuBytes what the kernel knows of the path, in bytes with the outer header; 0: it was not asked, or does not know
   */
  outerTooBig(pkt: PacketBuffer, dst: Ipv4Addr, mtuBytes: number, now: Instant): void;
}
