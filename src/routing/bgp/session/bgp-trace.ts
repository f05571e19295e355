// What happened in a session, as values; {@link describeTrace} alone makes sentences of them.
import { formatIpv4 } from "../../../base/ipv4-addr.ts";
import type { Instant } from "../../../base/time.ts";
import { SEC_US } from "../../../base/time.ts";
import type { BgpError, Notice } from "../../../wire/bgp/errors.ts";
import { type Family, formatFamily } from "../../../wire/bgp/family.ts";
import { MessageType } from "../../../wire/bgp/header.ts";
import { hardResetReason, noticeName, shutdownText } from "../../../wire/bgp/notification.ts";
import { type OpenMessage, openAs } from "../../../wire/bgp/open.ts";
import type { BgpState, FsmEvent } from "./fsm-types.ts";
import type { ConnId, FlushReason } from "./peer-messages.ts";

export type Direction = "in" | "out";

/** `incoming` says who called on the connection that the trace is about. */
export type BgpTrace =
  | {
      readonly t: "state";
      readonly from: BgpState;
      readonly to: BgpState;
      readonly event: FsmEvent["t"];
      readonly incoming: boolean;
      readonly conn: ConnId | undefined;
    }
  | { readonly t: "message"; readonly direction: Direction; readonly type: number; readonly octets: number }
  | { readonly t: "notification"; readonly direction: Direction; readonly notice: Notice }
  | { readonly t: "open"; readonly open: OpenMessage }
  /** Something was wrong, and what it cost was little. */
  | { readonly t: "warning"; readonly message: string }
  /** Something was wrong with a message. */
  | { readonly t: "error"; readonly error: BgpError }
  | { readonly t: "connectFailed"; readonly message: string }
  /** A call was not taken. */
  | { readonly t: "refused"; readonly conn: ConnId; readonly why: string }
  /** Two connections, and this one stays. @rfc 4271#6.8 */
  | { readonly t: "collision"; readonly keptIncoming: boolean }
  /** No new attempt before `until`. */
  | { readonly t: "backOff"; readonly until: Instant; readonly now: Instant }
  | {
      readonly t: "prefixLimit";
      readonly family: Family;
      readonly count: number;
      readonly limit: number;
      readonly exceeded: boolean;
    }
  | { readonly t: "stale"; readonly families: readonly Family[]; readonly restartTimeSec: number }
  | { readonly t: "flushed"; readonly family: Family; readonly why: FlushReason };

/** error: for a person; warn: degraded; info: a change of state; debug: a message. */
export type TraceLevel = "debug" | "info" | "warn" | "error";

/** The one place where traces become text. */
export function describeTrace(trace: BgpTrace): { readonly level: TraceLevel; readonly message: string } {
  switch (trace.t) {
    case "state":
      return describeState(trace);
    case "message":
      return {
        level: "debug",
        message: `${messageName(trace.type)} ${trace.direction === "in" ? "received" : "sent"}, ${trace.octets} octets`,
      };
    case "notification":
      return {
        level: "info",
        message: `NOTIFICATION ${trace.direction === "in" ? "received" : "sent"}: ${describeNotice(trace.notice)}`,
      };
    case "open":
      return {
        level: "debug",
        get message() {
          const { open } = trace;
          return `OPEN: AS ${openAs(open)}, identifier ${formatIpv4(open.bgpId)}, hold time ${open.holdTimeSec} s`;
        },
      };
    case "warning":
      return { level: "warn", message: trace.message };
    case "error":
      return {
        level: "warn",
        message: `${noticeName(trace.error)}: ${trace.error.message} (${trace.error.rung}, RFC ${trace.error.rfc})`,
      };
    case "connectFailed":
      return { level: "debug", message: `connecting failed: ${trace.message}` };
    case "refused":
      return { level: "info", message: `call refused: ${trace.why}` };
    case "collision":
      return {
        level: "debug",
        message: `collision: the ${trace.keptIncoming ? "incoming" : "outgoing"} connection stays`,
      };
    case "backOff": {
      const sec = ((trace.until - trace.now) / SEC_US).toFixed(1);
      return { level: "info", message: `next attempt in ${sec} s` };
    }
    case "prefixLimit":
      return {
        level: trace.exceeded ? "error" : "warn",
        message: `${trace.count} prefixes of ${formatFamily(trace.family)}, the limit is ${trace.limit}`,
      };
    case "stale":
      return {
        level: "info",
        message: `routes of ${trace.families.map(formatFamily).join(", ")} kept as stale for ${trace.restartTimeSec} s`,
      };
    case "flushed":
      return {
        level: "info",
        message: `stale routes of ${formatFamily(trace.family)} deleted: ${trace.why}`,
      };
  }
}

function describeState(trace: BgpTrace & { readonly t: "state" }): {
  readonly level: TraceLevel;
  readonly message: string;
} {
  const { from, to, event, incoming } = trace;
  return {
    level: to === "Established" || from === "Established" ? "info" : "debug",
    // Five of these a session, which mostly nobody reads.
    get message() {
      return `${from} -> ${to} (${event}, ${incoming ? "incoming" : "outgoing"})`;
    },
  };
}

/** "Cease/Administrative Shutdown: maintenance"; data that says nothing readable as hexadecimal. */
export function describeNotice(notice: Notice): string {
  const name = noticeName(notice);
  const inner = hardResetReason(notice);
  if (inner !== undefined) return `${name} (${describeNotice(inner)})`;
  const text = shutdownText(notice);
  if (text !== undefined) return `${name}: ${text}`;
  if (notice.data.length === 0) return name;
  const shown = notice.data.subarray(0, 32);
  const hex = Array.from(shown, (octet) => octet.toString(16).padStart(2, "0")).join("");
  return `${name}: ${hex}${shown.length < notice.data.length ? "..." : ""}`;
}

const MESSAGE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(MessageType).map(([name, type]) => [type, name.replace("_", "-")]),
);

/** "ROUTE-REFRESH". */
export function messageName(type: number): string {
  return MESSAGE_NAMES.get(type) ?? `message type ${type}`;
}
