// Speakers for tests: plain configurations, to be changed where the test is about it.
import { formatIpv4, ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import { ACCEPT_ALL } from "../../src/routing/bgp/policy/policy.ts";
import { DEFAULT_DECISION } from "../../src/routing/bgp/rib/decision.ts";
import { NEXT_HOP_SELF, type RibPrefix } from "../../src/routing/bgp/rib/route.ts";
import { DEFAULT_FSM_OPTIONS } from "../../src/routing/bgp/session/fsm-types.ts";
import { type PeerConfig, peerConfig } from "../../src/routing/bgp/session/peer-config.ts";
import type {
  NeighborConfig,
  NeighborRoutes,
  NetworkConfig,
  SpeakerConfig,
} from "../../src/routing/bgp/speaker/speaker-config.ts";
import { Family } from "../../src/wire/bgp/family.ts";

export function speakerConfig(addr: string, as: number, given: Partial<SpeakerConfig> = {}): SpeakerConfig {
  return {
    localAs: as,
    routerId: ipv4(addr),
    clusterId: ipv4(addr),
    decision: DEFAULT_DECISION,
    dynamicLimit: 100,
    restarting: false,
    deferralSec: 120,
    ...given,
  };
}

export function neighborRoutes(local: string, given: Partial<NeighborRoutes> = {}): NeighborRoutes {
  return {
    rrClient: false,
    nextHop: "auto",
    localAddr: ipv4(local),
    localAddr6: undefined,
    importPolicy: ACCEPT_ALL,
    exportPolicy: ACCEPT_ALL,
    allowLocalAs: 0,
    checkPeerAs: true,
    addPathMax: 1,
    mraiSec: 0,
    ...given,
  };
}

/** Quick timers, so that virtual time stays short. */
export function sessionConfig(
  local: string,
  localAs: number,
  peerAs: PeerConfig["peerAs"],
  given: Partial<PeerConfig> = {},
): PeerConfig {
  return peerConfig({
    localAs,
    routerId: ipv4(local),
    peerAs,
    fsm: { ...DEFAULT_FSM_OPTIONS, connectRetrySec: 5, idleHoldMinSec: 1, idleHoldMaxSec: 4 },
    ...given,
  });
}

/** What one speaker has of another. */
export function neighborConfig(
  local: string,
  localAs: number,
  remote: string,
  peerAs: PeerConfig["peerAs"],
  given: {
    readonly session?: Partial<PeerConfig>;
    readonly routes?: Partial<NeighborRoutes>;
    readonly shutdown?: boolean;
  } = {},
): NeighborConfig {
  const addr = ipv4(remote);
  return {
    name: formatIpv4(addr),
    addr,
    port: 179,
    localAddr: ipv4(local),
    session: sessionConfig(local, localAs, peerAs, given.session),
    routes: neighborRoutes(local, given.routes),
    bfd: undefined,
    password: undefined,
    ttlSecurityHops: undefined,
    shutdown: given.shutdown ?? false,
  };
}

export function ribPrefix(text: string): RibPrefix {
  const { addr, len } = prefix(text);
  return { family: Family.IPV4_UNICAST, a: addr, b: 0, c: 0, d: 0, len };
}

export function network(text: string, given: Partial<NetworkConfig> = {}): NetworkConfig {
  return { prefix: ribPrefix(text), nextHop: NEXT_HOP_SELF, ...given };
}
