// What a neighbour's engine shows of itself.
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { Instant } from "../../../base/time.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import { HEADER_LEN, messageLength, messageType } from "../../../wire/bgp/header.ts";
import type { Negotiated } from "../../../wire/bgp/negotiated.ts";
import type { OpenMessage } from "../../../wire/bgp/open.ts";
import type { BgpState } from "./fsm-types.ts";
import type { DownReason } from "./peer-messages.ts";

/** Counters since the engine was made; never reset, so that a scraper can tell rates. */
export class PeerCounters {
  /** Messages by type, from 1; element 0 counts nothing. */
  readonly messagesIn = [0, 0, 0, 0, 0, 0];
  readonly messagesOut = [0, 0, 0, 0, 0, 0];
  /** Their octets, likewise. */
  readonly octetsInByType = [0, 0, 0, 0, 0, 0];
  readonly octetsOutByType = [0, 0, 0, 0, 0, 0];
  /** Times the session was Established. */
  established = 0;
  /** Times that it ended. */
  dropped = 0;
  /** UPDATEs treated as withdrawals, and those of which an attribute was discarded. @rfc 7606#2 */
  treatedAsWithdraw = 0;
  attributesDiscarded = 0;

  get octetsIn(): number {
    return sum(this.octetsInByType);
  }

  get octetsOut(): number {
    return sum(this.octetsOutByType);
  }

  received(message: Uint8Array): void {
    count(this.messagesIn, this.octetsInByType, messageType(message), message.length);
  }

  /** @param chunk whole messages */
  sent(chunk: Uint8Array): void {
    for (let at = 0; at + HEADER_LEN <= chunk.length; at += messageLength(chunk, at)) {
      count(this.messagesOut, this.octetsOutByType, messageType(chunk, at), messageLength(chunk, at));
    }
  }
}

function count(messages: number[], octets: number[], type: number, length: number): void {
  messages[type] = (messages[type] ?? 0) + 1;
  octets[type] = (octets[type] ?? 0) + length;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** A moment's view of a neighbour. */
export interface PeerStatus {
  /** Of the connection that is furthest. */
  readonly state: BgpState;
  /** Is it administratively up? */
  readonly enabled: boolean;
  /** Did the neighbour call? Of the connection that `state` is about. */
  readonly incoming: boolean;
  /** Since when it has been Established, or not. */
  readonly since: Instant;
  readonly connectRetryCounter: number;
  /** Of the session; undefined while there is none. */
  readonly negotiated: Negotiated | undefined;
  readonly bgpId: Ipv4Addr | undefined;
  /** What both sides said of themselves for this session. */
  readonly opens: { readonly sent: OpenMessage; readonly received: OpenMessage } | undefined;
  /** When the session's hold timer expires and its next KEEPALIVE is due; NEVER while there is none. */
  readonly holdUntil: Instant;
  readonly keepaliveAt: Instant;
  /** When the next attempt begins after a fault; NEVER when none is waited for. */
  readonly backOffUntil: Instant;
  readonly lastDown: { readonly reason: DownReason; readonly at: Instant } | undefined;
  /** What the session, or the last attempt at one, ended with; undefined while it is Established, and before the first fault. */
  readonly fault: { readonly reason: DownReason; readonly at: Instant } | undefined;
  /** Families with stale routes. */
  readonly stale: readonly Family[];
  /** Octets that wait to be written. */
  readonly queuedBytes: number;
  readonly counters: PeerCounters;
}
