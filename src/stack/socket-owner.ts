import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";

/** Whoever waits for a socket. */
export interface SocketOwner {
  /** Something arrived (data or an error). Only note it, and read later: calling back into the stack from here is forbidden. */
  readable(now: Instant): void;
}

/** An ICMP error about something that a socket sent, as Linux's extended socket errors (`IP_RECVERR`). */
export interface SocketError {
  /** ICMP type and code. */
  readonly type: number;
  readonly code: number;
  /** Who sent the ICMP message: this namespace itself, when a neighbour here did not answer. */
  readonly from: Ipv4Addr;
  /** Where the offending packet was going. */
  readonly dst: Ipv4Addr;
  /** Its echo sequence number, or its UDP destination port. */
  readonly seqOrPort: number;
  /** Next-hop MTU in bytes of a frag-needed message, else 0. */
  readonly mtu: number;
  readonly at: Instant;
}

/** Memory that the packets which wait in one socket may hold, in bytes of buffers (Linux's `net.core.rmem_default`). */
export const RCVBUF_BYTES = 212_992;
