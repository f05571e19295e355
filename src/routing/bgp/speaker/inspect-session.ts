// What can be read of one session: how it ended, and what its OPENs said, as plain rows.
import { AddPath } from "../../../wire/bgp/capabilities.ts";
import { formatFamily } from "../../../wire/bgp/family.ts";
import { hardResetReason, shutdownText } from "../../../wire/bgp/notification.ts";
import { capabilitiesOf, type OpenMessage } from "../../../wire/bgp/open.ts";
import { describeNotice } from "../session/bgp-trace.ts";
import type { DownReason } from "../session/peer-messages.ts";

/** What an OPEN announces, of what is known here; families as text. */
export interface BgpCapabilitiesRow {
  readonly families: readonly string[];
  readonly as4: boolean;
  readonly routeRefresh: boolean;
  readonly enhancedRefresh: boolean;
  readonly extendedMessages: boolean;
  /** Families whose next hops may be IPv6 addresses. */
  readonly extendedNextHop: readonly string[];
  /** Families in which path identifiers are understood, and sent. */
  readonly addPathReceive: readonly string[];
  readonly addPathSend: readonly string[];
  readonly gracefulRestart?: {
    readonly restartTimeSec: number;
    /** It has just restarted. */
    readonly restarting: boolean;
    readonly families: readonly string[];
    /** Those among them in which forwarding went on. */
    readonly preserved: readonly string[];
  };
  readonly longLived: boolean;
  readonly hostname?: string;
}

/** Why a session ended, or did not come about. */
export interface BgpFaultRow {
  /** Who ended it. */
  readonly by: "us" | "neighbor" | "connection" | "restart";
  /** Of the NOTIFICATION. */
  readonly code?: number;
  readonly subcode?: number;
  /** The text for people that came with it. @rfc 9003#2 */
  readonly text?: string;
  /** As a sentence. */
  readonly message: string;
}

/** "the neighbour ended it: Cease/Administrative Shutdown: maintenance". */
export function describeDown(reason: DownReason): string {
  switch (reason.t) {
    case "local":
      return `ended by us: ${describeNotice(reason.notice)}`;
    case "remote":
      return `ended by the neighbour: ${describeNotice(reason.notice)}`;
    case "lost":
      return `connection lost: ${reason.message}`;
    case "restarted":
      return "the neighbour has restarted";
  }
}

/** @see BgpFaultRow */
export function faultRow(reason: DownReason): BgpFaultRow {
  const message = describeDown(reason);
  if (reason.t === "restarted") return { by: "restart", message };
  // There may never have been a connection to be lost.
  if (reason.t === "lost") return { by: "connection", text: reason.message, message: reason.message };
  const { code, subcode } = reason.notice;
  const text = farewell(reason);
  const by = reason.t === "local" ? "us" : "neighbor";
  return { by, code, subcode, ...(text === undefined ? {} : { text }), message };
}

/** The text for people that a session ended with, in a hard reset too. @rfc 9003#2 @rfc 8538#3.1 */
export function farewell(reason: DownReason): string | undefined {
  if (reason.t !== "local" && reason.t !== "remote") return undefined;
  return shutdownText(hardResetReason(reason.notice) ?? reason.notice);
}

/** @see BgpCapabilitiesRow */
export function capabilitiesRow(open: OpenMessage): BgpCapabilitiesRow {
  const has = (t: Parameters<typeof capabilitiesOf>[1]): boolean => capabilitiesOf(open, t).length > 0;
  const paths = capabilitiesOf(open, "add-path").flatMap(({ families }) => families);
  const addPath = (direction: number): string[] =>
    paths.filter((one) => (one.direction & direction) !== 0).map(({ family }) => formatFamily(family));
  const restart = capabilitiesOf(open, "graceful-restart").at(-1);
  const host = capabilitiesOf(open, "hostname").at(-1)?.host;
  return {
    families: capabilitiesOf(open, "multiprotocol").map(({ family }) => formatFamily(family)),
    as4: has("four-octet-as"),
    routeRefresh: has("route-refresh"),
    enhancedRefresh: has("enhanced-route-refresh"),
    extendedMessages: has("extended-message"),
    extendedNextHop: capabilitiesOf(open, "extended-next-hop").flatMap(({ entries }) =>
      entries.map(({ family }) => formatFamily(family)),
    ),
    addPathReceive: addPath(AddPath.RECEIVE),
    addPathSend: addPath(AddPath.SEND),
    ...(restart === undefined
      ? {}
      : {
          gracefulRestart: {
            restartTimeSec: restart.restartTimeSec,
            restarting: restart.restarting,
            families: restart.families.map(({ family }) => formatFamily(family)),
            preserved: restart.families
              .filter(({ forwarding }) => forwarding)
              .map(({ family }) => formatFamily(family)),
          },
        }),
    longLived: has("long-lived-graceful-restart"),
    ...(host === undefined ? {} : { hostname: host }),
  };
}
