import type { GracefulRestart } from "./capabilities.ts";
import { AddPath } from "./capabilities.ts";
import { Afi, Family } from "./family.ts";
import { EXTENDED_MESSAGE_MAX, MESSAGE_MAX } from "./header.ts";
import { capabilitiesOf, hasCapability, type OpenMessage, openAs } from "./open.ts";

/** What a session demands beyond its OPENs: knobs of the neighbour's configuration. */
export interface SessionRules {
  /** The peer belongs to our confederation, so its paths may hold the confederation's segments. @rfc 5065#5 */
  readonly confederationMember: boolean;
  /** From another AS, the first AS of each path must be the peer's; false for route servers. @rfc 4271#6.3 */
  readonly enforceFirstAs: boolean;
  /** Inside our AS, a route without LOCAL_PREF is treated as withdrawn; false assumes the default, as BIRD does. */
  readonly requireLocalPref: boolean;
}

/** Strict about the first AS, lenient about LOCAL_PREF, no confederation. */
export const DEFAULT_RULES: SessionRules = {
  confederationMember: false,
  enforceFirstAs: true,
  requireLocalPref: false,
};

/** The context in which the messages of one session are read and written: immutable, settled by the two OPENs. @rfc 5492#3 */
export interface Negotiated extends SessionRules {
  readonly localAs: number;
  readonly peerAs: number;
  /** Same AS on both sides? */
  readonly internal: boolean;
  /** AS numbers have four octets in both directions. @rfc 6793#4.1 */
  readonly as4: boolean;
  /** Families that both sides speak, ascending. */
  readonly families: readonly Family[];
  /** Families in which the peer puts a path identifier before each prefix. @rfc 7911#4 */
  readonly addPathRx: readonly Family[];
  /** Families in which we do. */
  readonly addPathTx: readonly Family[];
  /** IPv4 families whose next hop may be IPv6. @rfc 8950#4 */
  readonly extNextHop: readonly Family[];
  /** The longest message that we may send, in octets. @rfc 8654#4 */
  readonly txMaxBytes: number;
  /** The longest message that the peer may send, in octets. */
  readonly rxMaxBytes: number;
  readonly refresh: boolean;
  readonly enhancedRefresh: boolean;
  /** The peer's graceful restart capability, if both sides sent one. */
  readonly gracefulRestart: GracefulRestart | undefined;
  /** The smaller of the two proposals, in seconds; 0: neither hold nor keepalive timer. */
  readonly holdTimeSec: number;
}

/**
 * What the OPENs `sent` and `received` settle. Both must have passed {@link checkOpen}. A side that announces no family
 * speaks IPv4 unicast. Of several entries for one family, the last holds. @rfc 5492#4 @rfc 4760#8
 */
export function negotiate(
  sent: OpenMessage,
  received: OpenMessage,
  rules: SessionRules = DEFAULT_RULES,
): Negotiated {
  const both = (t: "four-octet-as" | "route-refresh" | "enhanced-route-refresh"): boolean =>
    hasCapability(sent, t) && hasCapability(received, t);
  const ours = familiesOf(sent);
  const families = familiesOf(received)
    .filter((family, i, all) => ours.includes(family) && all.indexOf(family) === i)
    .sort((x, y) => x - y);
  const localAs = openAs(sent);
  const peerAs = openAs(received);
  const gracefulRestart = capabilitiesOf(received, "graceful-restart").at(-1);
  return {
    ...rules,
    localAs,
    peerAs,
    internal: localAs === peerAs,
    as4: both("four-octet-as"),
    families,
    addPathRx: families.filter((family) => addPath(received, sent, family)),
    addPathTx: families.filter((family) => addPath(sent, received, family)),
    extNextHop: families.filter((family) => extNextHop(sent, family) && extNextHop(received, family)),
    txMaxBytes: messageMax(received),
    rxMaxBytes: messageMax(sent),
    refresh: both("route-refresh"),
    enhancedRefresh: both("enhanced-route-refresh"),
    gracefulRestart: hasCapability(sent, "graceful-restart") ? gracefulRestart : undefined,
    holdTimeSec: Math.min(sent.holdTimeSec, received.holdTimeSec),
  };
}

function familiesOf(open: OpenMessage): Family[] {
  const announced = capabilitiesOf(open, "multiprotocol").map((capability) => capability.family);
  return announced.length > 0 ? announced : [Family.IPV4_UNICAST];
}

/** A speaker takes messages as long as it says; OPEN and KEEPALIVE stay short. @rfc 8654#4 */
function messageMax(receiver: OpenMessage): number {
  return hasCapability(receiver, "extended-message") ? EXTENDED_MESSAGE_MAX : MESSAGE_MAX;
}

/** Does `sender` put path identifiers before the prefixes of the family? @rfc 7911#4 */
function addPath(sender: OpenMessage, receiver: OpenMessage, family: Family): boolean {
  return (
    (direction(sender, family) & AddPath.SEND) !== 0 && (direction(receiver, family) & AddPath.RECEIVE) !== 0
  );
}

function direction(open: OpenMessage, family: Family): number {
  const entries = capabilitiesOf(open, "add-path").flatMap((capability) => capability.families);
  return entries.findLast((entry) => entry.family === family)?.direction ?? 0;
}

function extNextHop(open: OpenMessage, family: Family): boolean {
  const entries = capabilitiesOf(open, "extended-next-hop").flatMap((capability) => capability.entries);
  return entries.some((entry) => entry.family === family && entry.nextHopAfi === Afi.IPV6);
}

/**
 * Interval of KEEPALIVEs before jitter, in seconds: a third of the hold time, at least 1; 0 for none. @rfc 4271#4.4
 *
 * @param askedSec sooner than that, from 1; later is not taken, since a lost message would end the session
 */
export function keepaliveTimeSec(holdTimeSec: number, askedSec?: number): number {
  if (holdTimeSec === 0) return 0;
  const thirdSec = Math.max(1, Math.floor(holdTimeSec / 3));
  return askedSec === undefined || askedSec < 1 ? thirdSec : Math.min(askedSec, thirdSec);
}
