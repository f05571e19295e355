import type { Instant } from "../../base/time.ts";
import type { PacketBuffer } from "../packet-buffer.ts";

/** A protocol above IPv4, registered by its number: `struct net_protocol`. */
export interface TransportHandler {
  /** Takes ownership of a packet for this host. `l3` at its IP header, `head` and `l4` at the transport header; whole, not a fragment. */
  input(pkt: PacketBuffer, now: Instant): void;

  /**
   * An ICMP error about a packet of this protocol that this host sent.
   *
   * @param pkt borrowed: the ICMP message, `l3` at its IP header, `head` behind the ICMP header, at the offender's IP header
   * @param offender offset of the offender's transport header; at least 8 bytes follow
   * @param info next-hop MTU of a frag-needed message, pointer of a parameter problem, else 0
   */
  error?(pkt: PacketBuffer, offender: number, type: number, code: number, info: number, now: Instant): void;
}
