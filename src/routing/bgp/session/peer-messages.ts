// What a neighbour's engine is told, and what it says. All are values: a recording of the inputs replays a session.
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { Notice } from "../../../wire/bgp/errors.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { Negotiated } from "../../../wire/bgp/negotiated.ts";
import type { ParsedUpdate } from "../../../wire/bgp/update.ts";
import type { BgpTrace } from "./bgp-trace.ts";

/** Number of a TCP connection, never used twice: see {@link ConnIds}. */
export type ConnId = number;

/** Numbers connections, for all neighbours and the listener of one speaker. */
export class ConnIds {
  #last = 0;

  next(): ConnId {
    return ++this.#last;
  }
}

/** Inputs about a connection that is not one of the neighbour's any more are ignored, but a late success is closed. */
export type PeerInput =
  /** Administratively up. `restarting`: this speaker has just come back, and asks for graceful restart (R). @rfc 4724#4.1 */
  | { readonly t: "start"; readonly restarting?: boolean }
  /** Administratively down, Cease/2 with a text for the other side's people. @rfc 9003#2 */
  | { readonly t: "stop"; readonly text?: string }
  /** Down and up again, Cease/4; without a session, whatever it waits for is over. `hard`: no graceful restart, where that would survive it. @rfc 9003#2 @rfc 8538#4 */
  | { readonly t: "reset"; readonly text?: string; readonly hard?: boolean }
  /** Down for another reason, for good: de-configured (3), or a changed configuration (6). @rfc 4486#4 */
  | { readonly t: "cease"; readonly subcode: number }
  /** The fast detector lost the neighbour of a session: Cease/10, and up again. @rfc 9384#3 */
  | { readonly t: "bfdDown" }
  /** The restart of this speaker is complete: OPENs do not carry R any more. */
  | { readonly t: "restartComplete" }
  /** The connection that `dial` asked for is there. */
  | { readonly t: "connected"; readonly conn: ConnId }
  | { readonly t: "connectFailed"; readonly conn: ConnId; readonly message: string }
  /** The neighbour called; the listener has established that it is this neighbour. */
  | { readonly t: "accepted"; readonly conn: ConnId }
  /** `bytes` is borrowed until poll() has answered undefined. */
  | { readonly t: "received"; readonly conn: ConnId; readonly bytes: Uint8Array }
  /** TCP is gone, by the neighbour or by an error, `message`. */
  | { readonly t: "closed"; readonly conn: ConnId; readonly message?: string }
  /** A write filled the socket: it takes no more for now. */
  | { readonly t: "blocked"; readonly conn: ConnId }
  /** It took some of it. Optional: keeps a slow but living neighbour from the send hold timer. @rfc 9687#4.3 */
  | { readonly t: "progress"; readonly conn: ConnId }
  /** It has room again. */
  | { readonly t: "drained"; readonly conn: ConnId }
  /** How many prefixes of the family the neighbour has announced by now. May be given amid a drain. */
  | { readonly t: "prefixCount"; readonly family: Family; readonly count: number }
  /** nextDeadline() has come. */
  | { readonly t: "tick" }
  /** The process is awake anyway: a KEEPALIVE that may be sent by now is sent. */
  | { readonly t: "keepalive" };

/** Why a session ended. */
export type DownReason =
  /** We ended it, and said why. */
  | { readonly t: "local"; readonly notice: Notice }
  /** The neighbour ended it, and said why. */
  | { readonly t: "remote"; readonly notice: Notice }
  /** TCP was lost. */
  | { readonly t: "lost"; readonly message: string }
  /** The neighbour called anew while the session was up, so it must have restarted. @rfc 4724#5 */
  | { readonly t: "restarted" };

/** Why stale routes are given up. */
export type FlushReason =
  /** The neighbour did not come back in time. */
  | "restartTime"
  /** It came back, but did not end its table in time. */
  | "staleTime"
  /** It came back without the family, or without having forwarded meanwhile. */
  | "notPreserved"
  /** It has sent all that it has. */
  | "endOfRib"
  /** It was lost again before it had. */
  | "lostAgain"
  /** The neighbour is stopped. */
  | "stopped";

export type PeerOutput =
  /** Connect to the neighbour, from our own address. */
  | { readonly t: "dial"; readonly conn: ConnId }
  /** Write. The array may be shared with other neighbours: nobody writes to it. */
  | { readonly t: "send"; readonly conn: ConnId; readonly bytes: Uint8Array }
  /**
   * Close, or give up dialling. `afterFlush`: a NOTIFICATION is on its way; end the stream behind it, and destroy the socket only a
   * second later.
   */
  | { readonly t: "close"; readonly conn: ConnId; readonly afterFlush: boolean }
  /** Established. Everything that is to be advertised is to be sent, and an End-of-RIB for each family. */
  | {
      readonly t: "peerUp";
      readonly negotiated: Negotiated;
      readonly bgpId: Ipv4Addr;
      /** The neighbour has restarted, and will wait for our End-of-RIBs: do not wait for its. @rfc 4724#4.1 */
      readonly restarting: boolean;
    }
  /**
   * No longer Established. The routes of `keepStale` are marked stale and kept until a `flushStale` names their family; all others
   * go now.
   */
  | { readonly t: "peerDown"; readonly reason: DownReason; readonly keepStale: readonly Family[] }
  /** Delete what is still stale in the family. */
  | { readonly t: "flushStale"; readonly family: Family; readonly why: FlushReason }
  /** Routes. Its `attributeBlock` is borrowed until the next poll() or handle(). */
  | { readonly t: "update"; readonly update: ParsedUpdate }
  /** The neighbour has sent all routes of the family. A `flushStale` follows if it is due. */
  | { readonly t: "endOfRib"; readonly family: Family }
  /** Send the family again: with {@link BgpPeer.refresh} BORR before and EORR after, if that was negotiated. @rfc 2918#4 @rfc 7313#4 */
  | { readonly t: "refreshRequested"; readonly family: Family }
  /** The neighbour begins to send the family again: mark its routes as candidates (again). @rfc 7313#4 */
  | { readonly t: "refreshBegun"; readonly family: Family }
  /** It has sent all of them, or has taken too long: delete what is still marked. */
  | { readonly t: "refreshEnded"; readonly family: Family; readonly timedOut: boolean }
  /** {@link BgpPeer.transmit} takes octets again. */
  | { readonly t: "writable" }
  /** A dynamic neighbour has left nothing behind: forget it. */
  | { readonly t: "expired" }
  | { readonly t: "trace"; readonly trace: BgpTrace };
