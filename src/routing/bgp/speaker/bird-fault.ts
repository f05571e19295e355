// Why a session is down, in BIRD's words.

import { CeaseError, ErrorCode } from "../../../wire/bgp/errors.ts";
import type { BgpPeerRow } from "./inspect.ts";
import type { BgpFaultRow } from "./inspect-session.ts";

/** Error codes and, from 0, their subcodes. */
const NOTICES: Readonly<Record<number, readonly (string | undefined)[]>> = {
  [ErrorCode.MESSAGE_HEADER]: [
    "Invalid message header",
    "Connection not synchronized",
    "Bad message length",
    "Bad message type",
  ],
  [ErrorCode.OPEN]: [
    "Invalid OPEN message",
    "Unsupported version number",
    "Bad peer AS",
    "Bad BGP identifier",
    "Unsupported optional parameter",
    "Authentication failure",
    "Unacceptable hold time",
    "Required capability missing",
    "No supported AFI/SAFI",
    undefined,
    undefined,
    "Role mismatch",
  ],
  [ErrorCode.UPDATE]: [
    "Invalid UPDATE message",
    "Malformed attribute list",
    "Unrecognized well-known attribute",
    "Missing mandatory attribute",
    "Invalid attribute flags",
    "Invalid attribute length",
    "Invalid ORIGIN attribute",
    "AS routing loop",
    "Invalid NEXT_HOP attribute",
    "Optional attribute error",
    "Invalid network field",
    "Malformed AS_PATH",
  ],
  [ErrorCode.HOLD_TIMER_EXPIRED]: ["Hold timer expired"],
  [ErrorCode.FSM]: [
    "Finite state machine error",
    "Unexpected message in OpenSent state",
    "Unexpected message in OpenConfirm state",
    "Unexpected message in Established state",
  ],
  [ErrorCode.CEASE]: [
    "Cease",
    "Maximum number of prefixes reached",
    "Administrative shutdown",
    "Peer de-configured",
    "Administrative reset",
    "Connection rejected",
    "Other configuration change",
    "Connection collision resolution",
    "Out of Resources",
    // What follows BIRD 2.0.12 has no words for.
    "Hard reset",
    "BFD session down",
  ],
  [ErrorCode.ROUTE_REFRESH]: ["Invalid ROUTE-REFRESH message", "Invalid ROUTE-REFRESH message length"],
  [ErrorCode.SEND_HOLD_TIMER_EXPIRED]: ["Send hold timer expired"],
};

/** What a C library calls errors of TCP. */
type ErrnoWords = Readonly<Record<string, string>>;

export const GLIBC_ERRNO: ErrnoWords = {
  EADDRINUSE: "Address already in use",
  EADDRNOTAVAIL: "Cannot assign requested address",
  ECONNREFUSED: "Connection refused",
  ECONNRESET: "Connection reset by peer",
  EHOSTUNREACH: "No route to host",
  EMFILE: "Too many open files",
  ENETUNREACH: "Network is unreachable",
  EPIPE: "Broken pipe",
  ETIMEDOUT: "Connection timed out",
};

/** The library of Calico's own image. */
export const MUSL_ERRNO: ErrnoWords = {
  EADDRINUSE: "Address in use",
  EADDRNOTAVAIL: "Address not available",
  ECONNREFUSED: "Connection refused",
  ECONNRESET: "Connection reset by peer",
  EHOSTUNREACH: "Host is unreachable",
  EMFILE: "No file descriptors available",
  ENETUNREACH: "Network unreachable",
  EPIPE: "Broken pipe",
  ETIMEDOUT: "Operation timed out",
};

/** "BGP Error: Bad peer AS"; "" while nothing is wrong, and when somebody here wanted it so. */
export function faultWords({ enabled, fault }: BgpPeerRow, errno: ErrnoWords = GLIBC_ERRNO): string {
  if (!enabled || fault === undefined) return "";
  switch (fault.by) {
    case "connection":
      return `Socket: ${socketWords(fault.text ?? "", errno)}`;
    case "restart":
      return "Error: Graceful restart";
    case "neighbor":
      return `Received: ${noticeWords(fault)}`;
    case "us":
      return ownWords(fault);
  }
}

function ownWords(fault: BgpFaultRow): string {
  if (fault.code !== ErrorCode.CEASE) return `BGP Error: ${noticeWords(fault)}`;
  switch (fault.subcode) {
    case CeaseError.MAX_PREFIXES:
      return "Automatic shutdown: Route limit exceeded";
    case CeaseError.BFD_DOWN:
      return "Error: BFD session down";
    case CeaseError.ADMIN_SHUTDOWN:
    case CeaseError.ADMIN_RESET:
    case CeaseError.CONFIG_CHANGE:
    case CeaseError.PEER_DECONFIGURED:
    case CeaseError.HARD_RESET:
      return "";
    default:
      return `BGP Error: ${noticeWords(fault)}`;
  }
}

function noticeWords({ code = 0, subcode = 0 }: BgpFaultRow): string {
  return NOTICES[code]?.[subcode] ?? `Unknown error ${code}.${subcode}`;
}

function socketWords(text: string, errno: ErrnoWords): string {
  if (text === "the neighbour closed the connection") return "Connection closed";
  const code = /\((E[A-Z]+)\)$/.exec(text)?.[1] ?? "";
  return errno[code] ?? text;
}
