// What Prometheus is told of a speaker. Numbers are read when it asks, so that counting costs nothing in between; neighbours that
// are gone are in no answer any more.
import { Counter, Gauge, Registry } from "prom-client";
import type { BgpDriverStats } from "../../io/bgp/bgp-driver.ts";
import type { RibStats } from "../../routing/bgp/rib/rib-options.ts";
import type { RibsOutStats } from "../../routing/bgp/rib/ribs-out.ts";
import type { BgpPeerRow } from "../../routing/bgp/speaker/inspect.ts";

/** Everything that an answer is made of, as it is at one moment. */
export interface SpeakerSample {
  readonly peers: readonly BgpPeerRow[];
  readonly rib: Readonly<RibStats>;
  readonly out: RibsOutStats;
  readonly tcp: Readonly<BgpDriverStats>;
  /** Prefixes in Loc-RIB, by family. */
  readonly destinations: readonly { readonly family: string; readonly count: number }[];
  /** Destinations whose routes have not been chosen yet. */
  readonly undecided: number;
  readonly cpuSec: number;
  readonly rssBytes: number;
  readonly startedSec: number;
}

const STATES = ["Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established"] as const;
const PREFIX = "podloom_bgp_";

type ByType = Readonly<Record<string, number>>;
type Labels = Readonly<Record<string, string>>;
/** Tells one value of a metric. */
type Tell = (value: number, labels?: Labels) => void;

interface MetricSpec {
  readonly name: string;
  readonly help: string;
  /** Counters end in `_total`. */
  readonly labels: readonly string[];
  readonly read: (sample: SpeakerSample, tell: Tell) => void;
}

/** A metric with a value for each neighbour. */
function ofPeers(name: string, help: string, read: (peer: BgpPeerRow) => number): MetricSpec {
  return {
    name: PREFIX + name,
    help,
    labels: ["neighbor"],
    read: ({ peers }, tell) => {
      for (const peer of peers) tell(read(peer), { neighbor: peer.name });
    },
  };
}

/** A metric with a value for each neighbour, direction and type of message. @param read in, out */
function ofMessages(
  name: string,
  help: string,
  read: (peer: BgpPeerRow) => readonly [ByType, ByType],
): MetricSpec {
  return {
    name: PREFIX + name,
    help,
    labels: ["neighbor", "direction", "type"],
    read: ({ peers }, tell) => {
      for (const peer of peers) {
        for (const [i, values] of read(peer).entries()) {
          const direction = i === 0 ? "in" : "out";
          for (const [type, value] of Object.entries(values))
            tell(value, { neighbor: peer.name, direction, type });
        }
      }
    },
  };
}

/** A metric with one value. */
function single(name: string, help: string, read: (sample: SpeakerSample) => number): MetricSpec {
  return { name, help, labels: [], read: (sample, tell) => tell(read(sample)) };
}

const PEER_METRICS: readonly MetricSpec[] = [
  {
    name: `${PREFIX}sessions`,
    help: "Neighbors by the state of their session.",
    labels: ["state"],
    read: ({ peers }, tell) => {
      for (const state of STATES) tell(peers.filter((peer) => peer.state === state).length, { state });
    },
  },
  ofPeers("session_up", "Is the session with the neighbor Established?", (peer) =>
    peer.state === "Established" ? 1 : 0,
  ),
  ofPeers("session_state_seconds", "How long the session has been up, or down.", (peer) => peer.sinceSec),
  ofPeers("session_established_total", "Times that the session was Established.", (peer) => peer.established),
  ofPeers("session_flaps_total", "Times that an Established session ended.", (peer) => peer.dropped),
  ofMessages("messages_total", "Messages, by type.", (peer) => [peer.messagesIn, peer.messagesOut]),
  ofMessages("message_bytes_total", "Octets of messages, by type.", (peer) => [
    peer.bytesInByType,
    peer.bytesOutByType,
  ]),
  {
    name: `${PREFIX}prefixes`,
    help: "Prefixes: received from the neighbor, accepted of these, advertised to it.",
    labels: ["neighbor", "family", "table"],
    read: ({ peers }, tell) => {
      for (const { name: neighbor, families } of peers) {
        for (const { family, received, accepted, advertised } of families) {
          tell(received, { neighbor, family, table: "received" });
          tell(accepted, { neighbor, family, table: "accepted" });
          tell(advertised, { neighbor, family, table: "advertised" });
        }
      }
    },
  },
  ofPeers("queue_bytes", "Octets that wait to be written to the neighbor.", (peer) => peer.bytesQueued),
  ofPeers("queue_prefixes", "Prefixes that the neighbor is still to be told.", (peer) => peer.prefixesQueued),
];

const SPEAKER_METRICS: readonly MetricSpec[] = [
  {
    name: `${PREFIX}rib_prefixes`,
    help: "Prefixes that there is a route to.",
    labels: ["family"],
    read: ({ destinations }, tell) => {
      for (const { family, count } of destinations) tell(count, { family });
    },
  },
  single(`${PREFIX}rib_undecided_prefixes`, "Prefixes whose routes wait to be chosen.", (s) => s.undecided),
  single(`${PREFIX}decision_runs_total`, "Prefixes decided on.", (s) => s.rib.decisionRuns),
  single(
    `${PREFIX}best_changes_total`,
    "Decisions that chose another route, or none.",
    (s) => s.rib.bestChanges,
  ),
  single(`${PREFIX}updates_total`, "UPDATE messages that were taken in.", (s) => s.rib.updates),
  single(`${PREFIX}announced_prefixes_total`, "Prefixes announced to us.", (s) => s.rib.announced),
  single(`${PREFIX}withdrawn_prefixes_total`, "Prefixes withdrawn from us.", (s) => s.rib.withdrawn),
  single(`${PREFIX}update_groups`, "Groups of neighbors that are told the same.", (s) => s.out.groups),
  single(`${PREFIX}encoded_bytes_total`, "Octets of UPDATEs encoded.", (s) => s.out.encodedBytes),
  single(
    `${PREFIX}shared_sends_total`,
    "Times that encoded octets served one more neighbor.",
    (s) => s.out.sharedSends,
  ),
  single(`${PREFIX}tcp_accepted_total`, "Calls taken.", (s) => s.tcp.accepted),
  single(`${PREFIX}tcp_refused_total`, "Calls closed unheard.", (s) => s.tcp.refused),
  single(`${PREFIX}tcp_dialled_total`, "Calls made.", (s) => s.tcp.dialled),
  single("process_cpu_seconds_total", "CPU time of this process.", (s) => s.cpuSec),
  single("process_resident_memory_bytes", "Resident memory of this process.", (s) => s.rssBytes),
  single(
    "process_start_time_seconds",
    "When this process was started, in seconds since 1970.",
    (s) => s.startedSec,
  ),
];

export class SpeakerMetrics {
  readonly contentType: string;
  readonly #registry = new Registry();
  readonly #fills: readonly ((sample: SpeakerSample) => void)[];

  constructor() {
    this.contentType = this.#registry.contentType;
    this.#fills = [...PEER_METRICS, ...SPEAKER_METRICS].map((spec) => fillOf(spec, this.#registry));
  }

  /** Prometheus' text. */
  async text(sample: SpeakerSample): Promise<string> {
    for (const fill of this.#fills) fill(sample);
    return await this.#registry.metrics();
  }
}

function fillOf(
  { name, help, labels, read }: MetricSpec,
  registry: Registry,
): (sample: SpeakerSample) => void {
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  if (name.endsWith("_total")) {
    const counter = new Counter(options);
    return (sample) => {
      counter.reset();
      read(sample, (value, given = {}) => counter.inc(given, value));
    };
  }
  const gauge = new Gauge(options);
  return (sample) => {
    gauge.reset();
    read(sample, (value, given = {}) => gauge.set(given, value));
  };
}
