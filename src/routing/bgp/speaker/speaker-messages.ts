// What goes into and comes out of a speaker. Addresses are the nodes' own; what TCP uses instead is the adapter's to know.
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { Family } from "../../../wire/bgp/family.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import type { RibPrefix } from "../rib/route.ts";
import type { BgpTrace } from "../session/bgp-trace.ts";
import type { ConnId } from "../session/peer-messages.ts";

export type SpeakerInput =
  /** Start all neighbours that are not shut down; those that are added later start by themselves. */
  | { readonly t: "start" }
  /** Stop all neighbours, with Cease/2 and a text; `stopped` follows when the last connection is closed. `silent`: no NOTIFICATION, so
   * that helpers keep our routes over a planned restart. @rfc 4724#4 */
  | { readonly t: "stop"; readonly text?: string; readonly silent?: boolean }
  /** A call from `remote`, accepted by TCP, nothing read. The speaker answers with `close`, or sends and receives on it. */
  | { readonly t: "incoming"; readonly conn: ConnId; readonly remote: Ipv4Addr }
  | { readonly t: "connected"; readonly conn: ConnId }
  | { readonly t: "connectFailed"; readonly conn: ConnId; readonly message: string }
  /** `bytes` is borrowed until poll() has answered undefined. */
  | { readonly t: "received"; readonly conn: ConnId; readonly bytes: Uint8Array }
  | { readonly t: "closed"; readonly conn: ConnId; readonly message?: string }
  | { readonly t: "blocked"; readonly conn: ConnId }
  | { readonly t: "progress"; readonly conn: ConnId }
  | { readonly t: "drained"; readonly conn: ConnId }
  /** A control packet of BFD. `ttl` undefined where the system does not tell it. */
  | {
      readonly t: "bfdReceived";
      readonly from: Ipv4Addr;
      readonly bytes: Uint8Array;
      readonly ttl: number | undefined;
    }
  /** nextDeadline() has come, or it is time to go on with work that was left. */
  | { readonly t: "tick" };

export type SpeakerOutput =
  | {
      readonly t: "dial";
      readonly conn: ConnId;
      readonly local: Ipv4Addr;
      readonly remote: Ipv4Addr;
      readonly port: number;
      readonly password: string | undefined;
      readonly ttlSecurityHops?: number | undefined;
    }
  /** Nobody writes to the array; it may be shared. */
  | { readonly t: "send"; readonly conn: ConnId; readonly bytes: Uint8Array }
  /** `afterFlush`: end the stream behind what is being written, and destroy the socket a second later. */
  | { readonly t: "close"; readonly conn: ConnId; readonly afterFlush: boolean }
  /** Whose calls must be signed with which password. @rfc 2385 */
  | { readonly t: "password"; readonly remote: Ipv4Addr; readonly password: string | undefined }
  /** Whose calls must come over so many links at most; undefined: from anywhere. @rfc 5082 */
  | { readonly t: "ttlSecurity"; readonly remote: Ipv4Addr; readonly hops: number | undefined }
  | {
      readonly t: "bfdSend";
      readonly local: Ipv4Addr;
      readonly to: Ipv4Addr;
      readonly sourcePort: number;
      readonly bytes: Uint8Array;
    }
  /** What forwarding is to do with a prefix from now on. */
  | { readonly t: "route"; readonly change: RouteChange }
  | { readonly t: "trace"; readonly neighbor: string; readonly addr: Ipv4Addr; readonly trace: BgpTrace }
  /** About the speaker rather than a session. */
  | {
      readonly t: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly event: string;
      readonly message: string;
    }
  /** Every family has been chosen after a restart; stale routes in forwarding may go. @rfc 4724#4.1 */
  | { readonly t: "restartComplete"; readonly families: readonly Family[] }
  /** After `stop`: nothing follows. */
  | { readonly t: "stopped" };

/** The route to a prefix, as chosen. */
export interface RouteChange {
  readonly prefix: RibPrefix;
  /** Where to: several share the load; empty: the route is gone. Our own routes have none either, and `local` is set. */
  readonly nextHops: readonly NextHop[];
  readonly local: boolean;
}
