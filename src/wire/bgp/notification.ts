// NOTIFICATION. Read RFC 4271 section 4.5 first, RFC 9003 for the text of a shutdown, RFC 8538 section 3.1 for a hard reset.
//
// +---------------+---------------+------------------+
// |  Error code   | Error subcode |  Data (variable) |
// +---------------+---------------+------------------+
import { decodeUtf8, encodeUtf8 } from "../../base/utf8.ts";
import { CeaseError, ErrorCode, type Notice } from "./errors.ts";
import { type Family, familyOf } from "./family.ts";
import { beginMessage, endMessage, HEADER_LEN, MESSAGE_MAX, MessageType } from "./header.ts";
import { NO_OCTETS, OctetWriter, octets32, u16, u32 } from "./octets.ts";

/** The longest text of a shutdown that a peer older than RFC 9003 reads, in octets. @rfc 8203#2 */
export const SHUTDOWN_TEXT_MAX = 128;

const DATA_MAX = MESSAGE_MAX - HEADER_LEN - 2;

/** Reads a NOTIFICATION, header included. It cannot fail: an error in one is never answered. `data` is a copy. @rfc 4271#6.4 */
export function parseNotification(message: Uint8Array): Notice {
  const there = message.length - HEADER_LEN;
  return {
    code: there > 0 ? (message[HEADER_LEN] as number) : 0,
    subcode: there > 1 ? (message[HEADER_LEN + 1] as number) : 0,
    data: message.slice(HEADER_LEN + 2),
  };
}

/** Appends a NOTIFICATION. Data beyond 4,096 octets of message is cut off: the peer may not take more. @rfc 4271#4.5 */
export function emitNotification(out: OctetWriter, notice: Notice): void {
  const at = beginMessage(out, MessageType.NOTIFICATION);
  out.u8(notice.code);
  out.u8(notice.subcode);
  out.octets(notice.data.length > DATA_MAX ? notice.data.subarray(0, DATA_MAX) : notice.data);
  endMessage(out, at);
}

/** Does the NOTIFICATION carry a text for people? @rfc 9003#2 */
function hasText(notice: Notice): boolean {
  const { code, subcode } = notice;
  return (
    code === ErrorCode.CEASE && (subcode === CeaseError.ADMIN_SHUTDOWN || subcode === CeaseError.ADMIN_RESET)
  );
}

/**
 * The text of an administrative shutdown or reset; undefined when there is none, or when its length or its UTF-8 is wrong (then it
 * is only good for a hexadecimal log). @rfc 9003#2 @rfc 9003#4
 */
export function shutdownText(notice: Notice): string | undefined {
  if (!hasText(notice) || notice.data.length === 0) return undefined;
  const length = notice.data[0] as number;
  if (length === 0 || length > notice.data.length - 1) return undefined;
  return decodeUtf8(notice.data.subarray(1, 1 + length));
}

/**
 * A Cease for an administrative shutdown or reset with a text, cut at a character so that at most `maxBytes` octets remain.
 *
 * @param subcode ADMIN_SHUTDOWN or ADMIN_RESET @param maxBytes at most 255
 * @rfc 9003#2
 */
export function shutdownNotice(subcode: number, text = "", maxBytes: number = SHUTDOWN_TEXT_MAX): Notice {
  let octets: Uint8Array = encodeUtf8(text);
  if (octets.length > maxBytes) {
    let end = maxBytes;
    while (end > 0 && ((octets[end] as number) & 0xc0) === 0x80) end--;
    octets = octets.subarray(0, end);
  }
  const data = octets.length === 0 ? NO_OCTETS : Uint8Array.of(octets.length, ...octets);
  return { code: ErrorCode.CEASE, subcode, data };
}

/** A Cease because a family has more prefixes than it may. @rfc 4486#4 */
export function maxPrefixNotice(family: Family, bound: number): Notice {
  const data = Uint8Array.of(family >>> 16, family >>> 8, family, ...octets32(bound));
  return { code: ErrorCode.CEASE, subcode: CeaseError.MAX_PREFIXES, data };
}

/** Family and bound of a Cease for too many prefixes; undefined when it names none. @rfc 4486#4 */
export function maxPrefixBound(
  notice: Notice,
): { readonly family: Family; readonly bound: number } | undefined {
  const { code, subcode, data } = notice;
  if (code !== ErrorCode.CEASE || subcode !== CeaseError.MAX_PREFIXES || data.length !== 7) return undefined;
  return { family: familyOf(u16(data, 0), data[2] as number), bound: u32(data, 3) };
}

/** A Cease that ends graceful restart too, and why. @rfc 8538#3.1 */
export function hardResetNotice(inner: Notice): Notice {
  const data = Uint8Array.of(inner.code, inner.subcode, ...inner.data);
  return { code: ErrorCode.CEASE, subcode: CeaseError.HARD_RESET, data };
}

/** What a hard reset wraps; undefined when it is none, or says nothing. @rfc 8538#3.2 */
export function hardResetReason(notice: Notice): Notice | undefined {
  const { code, subcode, data } = notice;
  if (code !== ErrorCode.CEASE || subcode !== CeaseError.HARD_RESET || data.length < 2) return undefined;
  return { code: data[0] as number, subcode: data[1] as number, data: data.slice(2) };
}

const CODES: Readonly<Record<number, string>> = {
  [ErrorCode.MESSAGE_HEADER]: "Message Header Error",
  [ErrorCode.OPEN]: "OPEN Message Error",
  [ErrorCode.UPDATE]: "UPDATE Message Error",
  [ErrorCode.HOLD_TIMER_EXPIRED]: "Hold Timer Expired",
  [ErrorCode.FSM]: "Finite State Machine Error",
  [ErrorCode.CEASE]: "Cease",
  [ErrorCode.ROUTE_REFRESH]: "ROUTE-REFRESH Message Error",
  [ErrorCode.SEND_HOLD_TIMER_EXPIRED]: "Send Hold Timer Expired",
};

const SUBCODES: Readonly<Record<number, readonly (string | undefined)[]>> = {
  [ErrorCode.MESSAGE_HEADER]: [
    undefined,
    "Connection Not Synchronized",
    "Bad Message Length",
    "Bad Message Type",
  ],
  [ErrorCode.OPEN]: [
    "Unspecific",
    "Unsupported Version Number",
    "Bad Peer AS",
    "Bad BGP Identifier",
    "Unsupported Optional Parameter",
    undefined,
    "Unacceptable Hold Time",
    "Unsupported Capability",
    undefined,
    undefined,
    undefined,
    "Role Mismatch",
  ],
  [ErrorCode.UPDATE]: [
    undefined,
    "Malformed Attribute List",
    "Unrecognized Well-known Attribute",
    "Missing Well-known Attribute",
    "Attribute Flags Error",
    "Attribute Length Error",
    "Invalid ORIGIN Attribute",
    undefined,
    "Invalid NEXT_HOP Attribute",
    "Optional Attribute Error",
    "Invalid Network Field",
    "Malformed AS_PATH",
  ],
  [ErrorCode.FSM]: [
    "Unspecified Error",
    "Unexpected Message in OpenSent",
    "Unexpected Message in OpenConfirm",
    "Unexpected Message in Established",
  ],
  [ErrorCode.CEASE]: [
    undefined,
    "Maximum Number of Prefixes Reached",
    "Administrative Shutdown",
    "Peer De-configured",
    "Administrative Reset",
    "Connection Rejected",
    "Other Configuration Change",
    "Connection Collision Resolution",
    "Out of Resources",
    "Hard Reset",
    "BFD Down",
  ],
  [ErrorCode.ROUTE_REFRESH]: [undefined, "Invalid Message Length"],
};

/** "Cease/Administrative Shutdown", as IANA names code and subcode; numbers where it names none. */
export function noticeName(notice: Notice): string {
  const code = CODES[notice.code] ?? `Error ${notice.code}`;
  const subcode = SUBCODES[notice.code]?.[notice.subcode];
  if (subcode !== undefined) return `${code}/${subcode}`;
  return notice.subcode === 0 ? code : `${code}/${notice.subcode}`;
}

/** A NOTIFICATION of its own, as octets that the caller owns. */
export function notificationBytes(notice: Notice): Uint8Array {
  const out = new OctetWriter(HEADER_LEN + 2 + notice.data.length);
  emitNotification(out, notice);
  return out.take();
}
