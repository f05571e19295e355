// The speaker of a node or a router, as who asks about it sees it.
import { hostname } from "node:os";
import type { AgentBgp } from "../agent/node-agent.ts";
import { formatIpv4 } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import { packageVersion } from "../io/package-version.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { BgpSpeaker } from "../routing/bgp/speaker/speaker.ts";
import type { ReloadReport, SpeakerStatus } from "../routing/bgp/speaker/speaker-status.ts";
import { Family } from "../wire/bgp/family.ts";
import type { NodeDriver } from "./driver.ts";
import type { SpeakerOwner } from "./speaker/birdc-access.ts";
import { SpeakerQueries } from "./speaker/queries.ts";

const FAMILIES = [Family.IPV4_UNICAST, Family.IPV6_UNICAST] as const;

export class NodeSpeaker implements SpeakerOwner {
  readonly queries: SpeakerQueries;
  readonly #driver: NodeDriver;
  readonly #bgp: AgentBgp;

  /** @throws PodloomError PL_BGP_NONE when the node speaks no BGP */
  constructor(driver: NodeDriver) {
    const { bgp } = driver.agent;
    if (bgp === undefined) {
      throw new PodloomError("PL_BGP_NONE", `${driver.config.name} speaks no BGP`, {
        remedy: "Nodes of a Calico lab do, and routers that have the key bgp.",
      });
    }
    this.#driver = driver;
    this.#bgp = bgp;
    this.queries = new SpeakerQueries(bgp.speaker, () => driver.clock.now());
  }

  status(): SpeakerStatus {
    const { speaker, addresses } = this.#bgp;
    const { localAs, routerId, clusterId, restarting } = speaker.config;
    const neighbors = speaker.neighbors.dump().map(({ neighbor }) => neighbor);
    const sources = [speaker.rib.local, ...neighbors.map(({ ribPeer }) => ribPeer)];
    const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
    const { startedAtMs } = this.#driver;
    return {
      name: this.#driver.config.name,
      pid: process.pid,
      version: packageVersion(),
      hostname: hostname(),
      as: localAs,
      routerId: formatIpv4(routerId),
      clusterId: formatIpv4(clusterId),
      listening: addresses.map(formatIpv4),
      file: "the store",
      startedAt: startedAtMs,
      configuredAt: startedAtMs,
      at: Date.now(),
      phase: restarting && !speaker.isDecided ? "restarting" : "running",
      neighbors: neighbors.length,
      established: neighbors.filter(({ negotiated }) => negotiated !== undefined).length,
      destinations: sum(FAMILIES.map((family) => speaker.rib.count(family))),
      paths: sum(FAMILIES.flatMap((family) => sources.map((peer) => speaker.rib.prefixCount(peer, family)))),
    };
  }

  change(act: (speaker: BgpSpeaker, now: Instant) => void): void {
    this.#driver.changeSpeaker((now) => act(this.#bgp.speaker, now));
  }

  reload(): Promise<ReloadReport> {
    throw new PodloomError(
      "PL_BGP_FILE",
      "this speaker has no file: its configuration is what the store says",
      {
        remedy: "Change it with `podloom apply`.",
      },
    );
  }
}
