// One line a message, in tcpdump's words, for traces and logs. Nothing here throws, whatever the bytes.
import { formatIpv4 } from "../../base/ipv4-addr.ts";
import { type Capability, codeOf, Role } from "./capabilities.ts";
import type { BgpError, Notice } from "./errors.ts";
import { Afi, Family, formatFamily } from "./family.ts";
import {
  checkHeader,
  EXTENDED_MESSAGE_MAX,
  HEADER_LEN,
  MessageType,
  messageLength,
  messageType,
} from "./header.ts";
import { DEFAULT_RULES, type Negotiated } from "./negotiated.ts";
import {
  hardResetReason,
  maxPrefixBound,
  noticeName,
  parseNotification,
  shutdownText,
} from "./notification.ts";
import { parseOpen } from "./open.ts";
import { formatUpdate } from "./pretty-update.ts";
import { parseRouteRefresh, RefreshSubtype } from "./route-refresh.ts";
import { parseUpdate } from "./update.ts";

/** Reads what most sessions settle: IPv4 and IPv6 unicast, four-octet AS numbers, no ADD-PATH. For messages without a session. */
export const TYPICAL_SESSION: Negotiated = {
  ...DEFAULT_RULES,
  // Whatever belongs into some session is shown, so: neither the first AS nor confederations are judged.
  enforceFirstAs: false,
  confederationMember: true,
  localAs: 0,
  peerAs: 0,
  internal: true,
  as4: true,
  families: [Family.IPV4_UNICAST, Family.IPV6_UNICAST],
  addPathRx: [],
  addPathTx: [],
  extNextHop: [Family.IPV4_UNICAST],
  txMaxBytes: EXTENDED_MESSAGE_MAX,
  rxMaxBytes: EXTENDED_MESSAGE_MAX,
  refresh: true,
  enhancedRefresh: true,
  gracefulRestart: undefined,
  holdTimeSec: 0,
};

/** The message as one line. @param message whole, with its header; borrowed @param ctx what its session has settled */
export function formatMessage(message: Uint8Array, ctx: Negotiated = TYPICAL_SESSION): string {
  if (message.length < HEADER_LEN) return " [|bgp]";
  const fault = checkHeader(message, 0, EXTENDED_MESSAGE_MAX);
  if (fault !== undefined) return formatError(fault);
  const length = messageLength(message);
  if (length > message.length) return ` [|bgp] ${message.length} of ${length} octets`;
  const bytes = message.subarray(0, length);
  switch (messageType(bytes)) {
    case MessageType.OPEN:
      return `Open Message (1), length ${length}: ${formatOpen(bytes)}`;
    case MessageType.UPDATE:
      return `Update Message (2), length ${length}: ${formatUpdate(parseUpdate(bytes, ctx))}`;
    case MessageType.NOTIFICATION:
      return `Notification Message (3), length ${length}: ${formatNotice(parseNotification(bytes))}`;
    case MessageType.KEEPALIVE:
      return `Keepalive Message (4), length ${length}`;
    default:
      return `Route Refresh Message (5), length ${length}: ${formatRefresh(bytes)}`;
  }
}

/** "[session-reset: ORIGIN 7 is not defined, UPDATE Message Error/Invalid ORIGIN Attribute, RFC 7606#7.1]" */
export function formatError(error: BgpError): string {
  return `[${error.rung}: ${error.message}, ${noticeName(error)}, RFC ${error.rfc}]`;
}

function formatOpen(message: Uint8Array): string {
  const parsed = parseOpen(message);
  if (!parsed.ok) return formatError(parsed.error);
  const { open, warnings } = parsed.value;
  const head = `Version 4, my AS ${open.myAs}, Holdtime ${open.holdTimeSec}s, ID ${formatIpv4(open.bgpId)}`;
  return [head, ...open.capabilities.map(formatCapability), ...warnings.map((text) => `[${text}]`)].join(
    ", ",
  );
}

/** "Multiprotocol IPv4 unicast", "Graceful Restart 120s IPv4 unicast" and so on. */
export function formatCapability(capability: Capability): string {
  switch (capability.t) {
    case "multiprotocol":
      return `Multiprotocol ${formatFamily(capability.family)}`;
    case "route-refresh":
      return "Route Refresh";
    case "extended-next-hop":
      return `Extended Next Hop${list(capability.entries, (e) => `${formatFamily(e.family)} by ${afi(e.nextHopAfi)}`)}`;
    case "extended-message":
      return "Extended Message";
    case "role":
      return `Role ${roleName(capability.role)}`;
    case "graceful-restart": {
      const flags = (capability.restarting ? "R" : "") + (capability.notification ? "N" : "");
      const families = list(
        capability.families,
        (f) => formatFamily(f.family) + (f.forwarding ? " (F)" : ""),
      );
      return `Graceful Restart ${flags === "" ? "" : `[${flags}] `}${capability.restartTimeSec}s${families}`;
    }
    case "four-octet-as":
      return `32-Bit AS Number ${capability.as}`;
    case "add-path":
      return `Add Path${list(capability.families, (f) => `${formatFamily(f.family)} ${DIRECTIONS[f.direction] ?? f.direction}`)}`;
    case "enhanced-route-refresh":
      return "Enhanced Route Refresh";
    case "long-lived-graceful-restart":
      return `Long-lived Graceful Restart${list(capability.families, (f) => `${formatFamily(f.family)} ${f.staleTimeSec}s${f.forwarding ? " (F)" : ""}`)}`;
    case "hostname":
      return `Hostname ${printable(capability.host)}${capability.domain === "" ? "" : `.${printable(capability.domain)}`}`;
    case "software-version":
      return `Software Version "${printable(capability.text)}"`;
    case "unknown":
      return `Capability ${codeOf(capability)}${capability.value.length === 0 ? "" : ` 0x${hex(capability.value)}`}`;
  }
}

const DIRECTIONS: readonly (string | undefined)[] = [undefined, "receive", "send", "send/receive"];

function afi(afi: number): string {
  if (afi === Afi.IPV6) return "IPv6";
  return afi === Afi.IPV4 ? "IPv4" : `AFI ${afi}`;
}

function roleName(role: number): string {
  const name = Object.entries(Role).find(([, value]) => value === role)?.[0];
  return name ?? String(role);
}

function list<T>(entries: readonly T[], text: (entry: T) => string): string {
  return entries.map((entry) => ` ${text(entry)}`).join(";");
}

/** "Cease/Administrative Shutdown (2) \"back at ten\"". */
export function formatNotice(notice: Notice): string {
  const head = `${noticeName(notice)} (${notice.code}/${notice.subcode})`;
  const text = shutdownText(notice);
  if (text !== undefined) return `${head} "${printable(text)}"`;
  const bound = maxPrefixBound(notice);
  if (bound !== undefined) return `${head} ${formatFamily(bound.family)}, max prefixes ${bound.bound}`;
  const inner = hardResetReason(notice);
  // Once is enough: a hard reset within a hard reset within … is somebody's joke.
  if (inner !== undefined) return `${head} because of ${noticeName(inner)} (${inner.code}/${inner.subcode})`;
  return notice.data.length === 0 ? head : `${head} data 0x${hex(notice.data)}`;
}

function formatRefresh(message: Uint8Array): string {
  const parsed = parseRouteRefresh(message);
  if (!parsed.ok) return formatError(parsed.error);
  const { family, subtype } = parsed.value;
  const names: Record<number, string> = {
    [RefreshSubtype.REQUEST]: "request",
    [RefreshSubtype.BORR]: "BoRR",
    [RefreshSubtype.EORR]: "EoRR",
  };
  return `${formatFamily(family)} ${names[subtype] ?? `subtype ${subtype}`}`;
}

/** Text of a peer on our terminal: control characters, and those that turn the writing round, lose their power. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}"\\]/gu, (char) => {
    return `\\u{${(char.codePointAt(0) as number).toString(16)}}`;
  });
}

/** At most 32 octets of data tell enough. */
function hex(octets: Uint8Array): string {
  const shown = Array.from(octets.subarray(0, 32), (octet) => octet.toString(16).padStart(2, "0")).join("");
  return octets.length > 32 ? `${shown}… (${octets.length} octets)` : shown;
}
