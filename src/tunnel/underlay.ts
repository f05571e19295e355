import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";

/** The port through which tunnels reach the network between the nodes. One per UDP port that the node listens on. */
export interface Underlay {
  /** Underlay address of this node: the outer source of what is sent. */
  readonly local: Ipv4Addr;
  /** The UDP port that is listened on, and that peers are reached at. */
  readonly port: number;
  /**
   * Sends the bytes head..tail as one UDP datagram (or as several, when `gsoSize` is set). Takes ownership; what the edge
   * cannot send is dropped with UNDERLAY_TX.
   *
   * @param flowHash hash of the inner flow: chooses the source port, so that one flow keeps one port (as Linux's
   *   `udp_flow_src_port`) and the host's receive-side hashing has something to work with
   */
  send(pkt: PacketBuffer, dst: Ipv4Addr, dstPort: number, flowHash: number, now: Instant): void;
}

/** What the socket edge calls for every datagram that arrives on `port`. */
export interface DatagramReceiver {
  /** Takes ownership. head..tail is the UDP payload; `src` is the underlay address that it came from. */
  receive(pkt: PacketBuffer, src: Ipv4Addr, srcPort: number, now: Instant): void;
}
