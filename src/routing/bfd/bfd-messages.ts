// What sessions of bidirectional forwarding detection are given, what they say, and what they show of themselves.
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { Instant } from "../../base/time.ts";
import type { BfdState, ControlPacket, PacketFault } from "../../wire/bfd.ts";

/** What one side of a session asks for. @rfc 5880#6.8.1 */
export interface BfdTimers {
  /** The shortest interval between packets that it wants to send, in microseconds; 1..2^32-1. */
  readonly desiredMinTxUs: number;
  /** The shortest interval between packets that it can take. */
  readonly requiredMinRxUs: number;
  /** After how many packets that should have come the other side is to give it up; 1..255. */
  readonly detectMult: number;
}

const U32_MAX = 0xffff_ffff;

/** What is wrong with configured timers, as a sentence; undefined when they are sound. */
export function timersFault(timers: BfdTimers): string | undefined {
  const sound = (value: number, max: number): boolean =>
    Number.isInteger(value) && value >= 1 && value <= max;
  // A required interval of 0 would mean: send nothing. Who hears nothing detects nothing.
  if (!sound(timers.desiredMinTxUs, U32_MAX)) return "the transmit interval must be 1 to 4294967295 µs";
  if (!sound(timers.requiredMinRxUs, U32_MAX)) return "the receive interval must be 1 to 4294967295 µs";
  if (!sound(timers.detectMult, 255)) return "the detection multiplier must be 1 to 255";
  return undefined;
}

/** A session changed its state. */
export interface BfdStateChange {
  readonly t: "state";
  readonly from: BfdState;
  readonly to: BfdState;
  /** Why, as our packets tell it: one of `Diag`. */
  readonly diag: number;
  /** What the neighbour last said of itself; Down when it fell silent. */
  readonly remoteState: BfdState;
  /**
   * The path, or the neighbour, was lost: it was Up, and neither side took the session down on purpose. This is what tells a routing
   * protocol to give the neighbour up. @rfc 5882#3.2
   */
  readonly failed: boolean;
  /**
   * Both sides' BFD would outlive their control planes (flag C). Ours never would, so this is the neighbour's flag alone: when it is
   * clear, the failure may be a restart that graceful restart is meant to bridge. @rfc 5882#4.3
   */
  readonly remoteIndependent: boolean;
}

export type BfdSessionInput =
  /** A packet that was checked and found to be this session's. */
  | { readonly t: "received"; readonly packet: ControlPacket }
  /** nextDeadline() has come. */
  | { readonly t: "tick" };

export type BfdSessionOutput =
  /** Send it, from the session's own port. The array is the caller's. */
  { readonly t: "send"; readonly bytes: Uint8Array<ArrayBuffer> } | BfdStateChange;

/** A moment's view of a session. Intervals in microseconds. */
export interface BfdStatus {
  readonly state: BfdState;
  readonly since: Instant;
  readonly diag: number;
  readonly remoteState: BfdState;
  readonly remoteDiag: number;
  readonly localDiscriminator: number;
  /** 0: nothing was heard for a detection time. */
  readonly remoteDiscriminator: number;
  /** What our packets carry. */
  readonly told: BfdTimers;
  /** What the neighbour's last packet carried; undefined when nothing was heard for a detection time. */
  readonly remote: BfdTimers | undefined;
  /** Interval between our packets before jitter; 0: none are sent. */
  readonly txIntervalUs: number;
  /** 0 while the neighbour is unknown. */
  readonly detectionTimeUs: number;
  /** Is a poll sequence under way? @rfc 5880#6.5 */
  readonly polling: boolean;
  /** When the neighbour was last heard; NEVER while it is unknown. */
  readonly heardAt: Instant;
  readonly counters: Readonly<BfdCounters>;
}

/** Since the session was made; never reset. */
export interface BfdCounters {
  received: number;
  sent: number;
  /** Times that it came Up. */
  up: number;
  /** Times that it was lost while Up, as {@link BfdStateChange.failed} says. */
  failed: number;
}

/** One neighbour of a {@link BfdTable}. */
export interface BfdNeighbor {
  readonly remote: Ipv4Addr;
  /** Our address that the session is from. */
  readonly local: Ipv4Addr;
  readonly timers: BfdTimers;
}

export type BfdTableInput =
  /** A datagram from port 3784. `bytes` is borrowed for the call. `ttl` is undefined where the system does not tell it. */
  | {
      readonly t: "received";
      readonly from: Ipv4Addr;
      readonly bytes: Uint8Array;
      readonly ttl: number | undefined;
    }
  /** nextDeadline() has come. */
  | { readonly t: "tick" };

export type BfdTableOutput =
  /** Send it to the neighbour's port 3784, always from `sourcePort`, with a time to live of 255. The array is the caller's. */
  | {
      readonly t: "send";
      readonly local: Ipv4Addr;
      readonly to: Ipv4Addr;
      readonly sourcePort: number;
      readonly bytes: Uint8Array<ArrayBuffer>;
    }
  | (BfdStateChange & { readonly remote: Ipv4Addr });

/** Why a packet was discarded. @rfc 5880#6.8.6 @rfc 5881#5 */
export type BfdDiscard =
  | PacketFault
  /** It names a discriminator that is not ours. */
  | "unknownDiscriminator"
  /** It names none, and there is no session with its sender. */
  | "unknownSource"
  /** It is authenticated, and no session is. */
  | "authentication"
  /** It has come over more than one hop. */
  | "ttl";
