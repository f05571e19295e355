// A session that Calico wants, as the speaker is configured: what Calico's template `bgp_template` says of every peer.
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { DesiredPeer } from "../../../control/calico/calc/desired-peer.ts";
import { DEFAULT_FSM_OPTIONS } from "../../../routing/bgp/session/fsm-types.ts";
import {
  DEFAULT_GRACEFUL_RESTART,
  type PeerConfig,
  peerConfig,
} from "../../../routing/bgp/session/peer-config.ts";
import type { NeighborConfig, NeighborRoutes } from "../../../routing/bgp/speaker/speaker-config.ts";
import { Family } from "../../../wire/bgp/family.ts";
import type { BirdTimers } from "./bird-timers.ts";
import type { PeerPolicies } from "./peer-policies.ts";

/** Paths of a destination that one peer is told at most: `add paths on` knows no limit, a message does. */
const ADD_PATH_MAX = 64;
/** Restart times have twelve bits. */
const RESTART_TIME_MAX_SEC = 4095;

export interface NeighborContext {
  readonly routerId: Ipv4Addr;
  /** Our next hop. */
  readonly ownAddr: Ipv4Addr;
  readonly timers: BirdTimers;
  readonly policies: PeerPolicies;
}

/** @param password what its reference stands for */
export function neighborConfig(
  peer: DesiredPeer,
  password: string | undefined,
  cx: NeighborContext,
): NeighborConfig {
  return {
    name: peer.name,
    addr: peer.addr,
    port: peer.port,
    localAddr: peer.sourceAddr ?? cx.ownAddr,
    session: sessionOf(peer, cx),
    routes: routesOf(peer, cx),
    bfd: undefined,
    password,
    // 0 is none, as in the configuration that Calico gives BIRD.
    ttlSecurityHops: peer.ttlSecurity === 0 ? undefined : peer.ttlSecurity,
    shutdown: false,
  };
}

function sessionOf(peer: DesiredPeer, { routerId, timers }: NeighborContext): PeerConfig {
  const { localAs, peerAs, passive, maxRestartTimeSec = timers.restartTimeSec } = peer;
  return peerConfig({
    localAs,
    routerId,
    peerAs,
    holdTimeSec: timers.holdTimeSec,
    families: [
      {
        family: Family.IPV4_UNICAST,
        addPath: { receive: true, send: true },
        forwardingPreserved: true,
      },
    ],
    fsm: {
      ...DEFAULT_FSM_OPTIONS,
      passive,
      keepaliveSec: peer.keepaliveTimeSec,
      connectDelaySec: timers.connectDelaySec,
      connectRetrySec: timers.connectRetrySec,
      idleHoldMinSec: timers.errorWaitSec[0],
      idleHoldMaxSec: timers.errorWaitSec[1],
    },
    rules: { confederationMember: false, enforceFirstAs: false, requireLocalPref: false },
    gracefulRestart: {
      ...DEFAULT_GRACEFUL_RESTART,
      helperOnly: false,
      restartTimeSec: Math.min(Math.round(maxRestartTimeSec), RESTART_TIME_MAX_SEC),
    },
    // BIRD announces it, for no family.
    extraCapabilities: [{ t: "long-lived-graceful-restart", families: [] }],
  });
}

export function routesOf(peer: DesiredPeer, { ownAddr, policies }: NeighborContext): NeighborRoutes {
  const peers = { internal: peer.peerAs === peer.localAs, filters: peer.filters };
  return {
    rrClient: peer.rrClusterId !== undefined,
    // BIRD 1.6's `next hop self` means reflected routes too.
    nextHop: peer.nextHop === "self" ? "forceSelf" : peer.nextHop,
    localAddr: ownAddr,
    localAddr6: undefined,
    importPolicy: policies.importPolicy(peers),
    exportPolicy: policies.exportPolicy(peers),
    allowLocalAs: peer.allowLocalAs,
    checkPeerAs: false,
    addPathMax: ADD_PATH_MAX,
    mraiSec: 0,
  };
}

/** Does the session stay when one becomes the other? */
export function sameSession(x: DesiredPeer, y: DesiredPeer): boolean {
  return (
    x.name === y.name &&
    x.port === y.port &&
    x.localAs === y.localAs &&
    x.peerAs === y.peerAs &&
    x.sourceAddr === y.sourceAddr &&
    x.passive === y.passive &&
    x.rrClusterId === y.rrClusterId &&
    x.maxRestartTimeSec === y.maxRestartTimeSec &&
    x.password?.name === y.password?.name &&
    x.password?.key === y.password?.key
  );
}

export function sameRoutes(x: NeighborRoutes, y: NeighborRoutes): boolean {
  return (
    x.rrClient === y.rrClient &&
    x.nextHop === y.nextHop &&
    x.localAddr === y.localAddr &&
    x.importPolicy === y.importPolicy &&
    x.exportPolicy === y.exportPolicy &&
    x.allowLocalAs === y.allowLocalAs
  );
}
