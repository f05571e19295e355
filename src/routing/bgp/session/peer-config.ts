// What is configured about one neighbour, and the OPEN that follows from it.
import { assert } from "../../../base/assert.ts";
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import { AddPath, type Capability } from "../../../wire/bgp/capabilities.ts";
import { Afi, Family } from "../../../wire/bgp/family.ts";
import { DEFAULT_RULES, type SessionRules } from "../../../wire/bgp/negotiated.ts";
import { SHUTDOWN_TEXT_MAX } from "../../../wire/bgp/notification.ts";
import { myAsOf, type OpenMessage, type PeerAs } from "../../../wire/bgp/open.ts";
import { DEFAULT_FSM_OPTIONS, type FsmOptions } from "./fsm-types.ts";

/** How many prefixes the neighbour may send in one family. @rfc 4271#6.7 @rfc 4486#4 */
export interface PrefixLimit {
  /** As many are accepted; one more ends the session. */
  readonly limit: number;
  /** From this part of the limit on there is a warning, in percent. */
  readonly warnPercent: number;
  /** How long the neighbour then stays down, in seconds; undefined: until it is started again. */
  readonly restartSec: number | undefined;
}

export interface FamilyConfig {
  readonly family: Family;
  /** ADD-PATH, by direction. @rfc 7911 */
  readonly addPath?: { readonly receive: boolean; readonly send: boolean };
  /** IPv4 routes with IPv6 next hops. @rfc 8950 */
  readonly extendedNextHop?: boolean;
  readonly prefixLimit?: PrefixLimit;
  /** Does forwarding go on over a restart of this speaker? The F bit. @rfc 4724#3 */
  readonly forwardingPreserved?: boolean;
}

/** @rfc 4724 @rfc 8538 */
export interface GracefulRestartConfig {
  /** How long the neighbour is asked to wait for us, in seconds, 0..4095. */
  readonly restartTimeSec: number;
  /** Keep routes over NOTIFICATIONs too: the N bit. */
  readonly notification: boolean;
  /** Announce no family: we keep the neighbour's routes while it restarts, but ask for nothing ourselves. */
  readonly helperOnly: boolean;
  /** The longest that we wait for the neighbour, whatever it asks for, in seconds. */
  readonly peerRestartMaxSec: number;
  /** How long a neighbour that came back may take until its End-of-RIB, in seconds. */
  readonly staleTimeSec: number;
}

/** Immutable: a change is a new peer, or a stop and a start with another. */
export interface PeerConfig {
  readonly localAs: number;
  readonly routerId: Ipv4Addr;
  readonly peerAs: PeerAs;
  /** Proposed; 0, or 3 and more. */
  readonly holdTimeSec: number;
  /** Refuse less than this, in seconds; 0 refuses only 1 and 2. */
  readonly holdTimeMinSec: number;
  readonly families: readonly FamilyConfig[];
  readonly fsm: FsmOptions;
  readonly rules: SessionRules;
  /** Announce AS numbers of four octets. False only to play an old speaker. */
  readonly as4: boolean;
  readonly routeRefresh: boolean;
  readonly enhancedRefresh: boolean;
  readonly extendedMessage: boolean;
  readonly gracefulRestart: GracefulRestartConfig | undefined;
  /** Capabilities for display: host name, software version, role. */
  readonly extraCapabilities: readonly Capability[];
  /** Capabilities without which the neighbour is refused. @rfc 5492#5 */
  readonly requiredCapabilities: readonly Capability[];
  /** After a 2/4 or 2/7, try once without what may have offended. @rfc 5492#3 */
  readonly capabilityFallback: boolean;
  /** How long an enhanced refresh of the neighbour may take, in seconds. @rfc 7313#4 */
  readonly refreshTimeSec: number;
  /** The longest text of a shutdown or reset that is sent, in octets, at most 255. @rfc 9003#2 */
  readonly shutdownTextMaxBytes: number;
  /** Created by a call from a listen range: it is `expired` when its session, and all that is left of it, has ended. */
  readonly dynamic: boolean;
  /** Emit a trace for each message. */
  readonly traceMessages: boolean;
}

/** As most routers come: helps a neighbour over its restart, asks for nothing, drops routes at a NOTIFICATION. */
export const DEFAULT_GRACEFUL_RESTART: GracefulRestartConfig = {
  restartTimeSec: 120,
  notification: false,
  helperOnly: true,
  peerRestartMaxSec: 4095,
  staleTimeSec: 360,
};

/** A neighbour with IPv4 unicast, hold time 90 s, route refresh and help over restarts; the rest as given. What was read from a file must have been checked before. */
export function peerConfig(
  given: Pick<PeerConfig, "localAs" | "routerId" | "peerAs"> & Partial<PeerConfig>,
): PeerConfig {
  const config: PeerConfig = {
    holdTimeSec: 90,
    holdTimeMinSec: 0,
    families: [{ family: Family.IPV4_UNICAST }],
    fsm: DEFAULT_FSM_OPTIONS,
    rules: DEFAULT_RULES,
    as4: true,
    routeRefresh: true,
    enhancedRefresh: true,
    extendedMessage: false,
    gracefulRestart: DEFAULT_GRACEFUL_RESTART,
    extraCapabilities: [],
    requiredCapabilities: [],
    capabilityFallback: false,
    refreshTimeSec: 360,
    shutdownTextMaxBytes: SHUTDOWN_TEXT_MAX,
    dynamic: false,
    traceMessages: false,
    ...given,
  };
  const { holdTimeSec: hold, gracefulRestart: gr } = config;
  assert(hold === 0 || (hold >= 3 && hold <= 0xffff), "a hold time is 0, or 3 to 65535 seconds");
  assert(config.families.length > 0, "a neighbour speaks at least one address family");
  assert(gr === undefined || gr.restartTimeSec <= 4095, "a restart time is at most 4095 seconds");
  return config;
}

/** What the OPEN depends on besides the configuration. */
export interface OpenSituation {
  /** This speaker has just restarted: the R bit. @rfc 4724#3 */
  readonly restarting: boolean;
  /** There was a session with this neighbour before, in this life. */
  readonly continued: boolean;
  /** Leave out the optional capabilities, or all of them: the neighbour stumbled over them. */
  readonly without: "nothing" | "optional" | "all";
}

/** The OPEN to send. @rfc 4271#4.2 @rfc 5492#4 */
export function localOpen(config: PeerConfig, situation: OpenSituation): OpenMessage {
  return {
    myAs: myAsOf(config.localAs),
    holdTimeSec: config.holdTimeSec,
    bgpId: config.routerId,
    capabilities: situation.without === "all" ? [] : localCapabilities(config, situation),
  };
}

/** In ascending order of their codes, those for display last. */
function localCapabilities(config: PeerConfig, situation: OpenSituation): Capability[] {
  const list: Capability[] = config.families.map(({ family }) => ({ t: "multiprotocol", family }));
  const as4: Capability[] = config.as4 ? [{ t: "four-octet-as", as: config.localAs }] : [];
  if (situation.without === "optional") return [...list, ...as4];
  if (config.routeRefresh) list.push({ t: "route-refresh" });
  const entries = config.families
    .filter((one) => one.extendedNextHop === true)
    .map(({ family }) => ({ family, nextHopAfi: Afi.IPV6 }));
  if (entries.length > 0) list.push({ t: "extended-next-hop", entries });
  if (config.extendedMessage) list.push({ t: "extended-message" });
  if (config.gracefulRestart !== undefined) {
    list.push(gracefulRestartOf(config, config.gracefulRestart, situation));
  }
  list.push(...as4);
  const paths = config.families.flatMap(({ family, addPath }) => {
    const direction = (addPath?.receive ? AddPath.RECEIVE : 0) | (addPath?.send ? AddPath.SEND : 0);
    return direction === 0 ? [] : [{ family, direction }];
  });
  if (paths.length > 0) list.push({ t: "add-path", families: paths });
  if (config.routeRefresh && config.enhancedRefresh) list.push({ t: "enhanced-route-refresh" });
  return [...list, ...config.extraCapabilities];
}

/** Forwarding went on if only the session was lost, or if it outlives a restart. @rfc 4724#3 */
function gracefulRestartOf(
  config: PeerConfig,
  gr: GracefulRestartConfig,
  { restarting, continued }: OpenSituation,
): Capability {
  const families = gr.helperOnly
    ? []
    : config.families.map(({ family, forwardingPreserved }) => ({
        family,
        forwarding: restarting ? forwardingPreserved === true : continued,
      }));
  return {
    t: "graceful-restart",
    restarting,
    notification: gr.notification,
    restartTimeSec: gr.restartTimeSec,
    families,
  };
}
