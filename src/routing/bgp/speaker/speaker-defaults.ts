// Configurations of which only what matters must be said, for whoever makes a speaker in a program. Sessions: `peerConfig`.
import { formatIpv4 } from "../../../base/ipv4-addr.ts";
import { ACCEPT_ALL } from "../policy/policy.ts";
import { DEFAULT_DECISION } from "../rib/decision.ts";
import type { NeighborConfig, NeighborRoutes, SpeakerConfig } from "./speaker-config.ts";

/** How many neighbours all ranges may bring at a time. */
const DYNAMIC_LIMIT = 1000;
/** How long a restarted speaker waits for its neighbours' routes. */
const DEFERRAL_SEC = 120;
/** Not 179, which is root's. */
export const DEFAULT_PORT = 1790;

/** A speaker that is its own cluster, and did not just restart; the rest as given. */
export function speakerConfig(
  given: Pick<SpeakerConfig, "localAs" | "routerId"> & Partial<SpeakerConfig>,
): SpeakerConfig {
  return {
    clusterId: given.routerId,
    decision: DEFAULT_DECISION,
    dynamicLimit: DYNAMIC_LIMIT,
    restarting: false,
    deferralSec: DEFERRAL_SEC,
    ...given,
  };
}

/** All routes, in and out, our own next hop towards other ASs; the rest as given. */
export function neighborRoutes(
  given: Pick<NeighborRoutes, "localAddr"> & Partial<NeighborRoutes>,
): NeighborRoutes {
  return {
    rrClient: false,
    nextHop: "auto",
    localAddr6: undefined,
    importPolicy: ACCEPT_ALL,
    exportPolicy: ACCEPT_ALL,
    allowLocalAs: 0,
    checkPeerAs: false,
    addPathMax: 1,
    mraiSec: 0,
    ...given,
  };
}

/** A neighbour that is called by its address, with {@link neighborRoutes}; the rest as given. */
export function neighborConfig(
  given: Pick<NeighborConfig, "addr" | "localAddr" | "session"> & Partial<NeighborConfig>,
): NeighborConfig {
  return {
    name: formatIpv4(given.addr),
    port: DEFAULT_PORT,
    routes: neighborRoutes({ localAddr: given.localAddr }),
    bfd: undefined,
    password: undefined,
    ttlSecurityHops: undefined,
    shutdown: false,
    ...given,
  };
}
