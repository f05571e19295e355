import { describe, expect, test } from "vitest";
import { SeededRng } from "../../../../src/base/rng.ts";
import { SpeakerMetrics, type SpeakerSample } from "../../../../src/node/speaker/metrics.ts";
import { ConnIds } from "../../../../src/routing/bgp/session/peer-messages.ts";
import { type BgpPeerRow, peerRows } from "../../../../src/routing/bgp/speaker/inspect.ts";
import { BgpSpeaker } from "../../../../src/routing/bgp/speaker/speaker.ts";
import { SPEAKER_HEAD as HEAD, planOf } from "../../../support/speaker-text.ts";

const NOW = 90_000_000;

async function sample(edit: (peers: BgpPeerRow[]) => BgpPeerRow[]): Promise<SpeakerSample> {
  const plan = await planOf(`${HEAD}neighbors:
  - { name: a, address: 10.0.1.2, as: internal }
  - { name: b, address: 10.0.1.3, as: internal }
`);
  const speaker = new BgpSpeaker(plan.speaker, { rng: new SeededRng(1), ids: new ConnIds() });
  for (const neighbor of plan.neighbors) speaker.addNeighbor(neighbor, NOW);
  return {
    peers: edit(peerRows(speaker, NOW)),
    rib: { ...speaker.rib.stats, decisionRuns: 41 },
    out: speaker.out.stats,
    tcp: { accepted: 1, refused: 2, dialled: 3, rxBytes: 4, txBytes: 5 },
    destinations: [{ family: "IPv4 unicast", count: 7 }],
    undecided: 0,
    cpuSec: 1.5,
    rssBytes: 50_000_000,
    startedSec: 1_700_000_000,
  };
}

/** The lines of one metric, without its help. */
function linesOf(text: string, name: string): string[] {
  return text
    .split("\n")
    .filter((line) => line === name || line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

describe("metrics", () => {
  test("Prometheus' text: every metric has a type and a help, and values by neighbor", async () => {
    const text = await new SpeakerMetrics().text(
      await sample((peers) =>
        peers.map((peer) =>
          peer.name === "a"
            ? {
                ...peer,
                state: "Established",
                sinceSec: 12,
                established: 3,
                dropped: 2,
                bytesInByType: { UPDATE: 99 },
                bytesOutByType: { KEEPALIVE: 114 },
                bytesQueued: 8,
                messagesIn: { UPDATE: 4 },
                messagesOut: { KEEPALIVE: 6 },
                families: [
                  {
                    family: "IPv4 unicast",
                    received: 5,
                    accepted: 4,
                    preferred: 1,
                    advertised: 3,
                    stale: false,
                  },
                ],
              }
            : peer,
        ),
      ),
    );
    expect(linesOf(text, "podloom_bgp_sessions")).toEqual([
      'podloom_bgp_sessions{state="Idle"} 1',
      'podloom_bgp_sessions{state="Connect"} 0',
      'podloom_bgp_sessions{state="Active"} 0',
      'podloom_bgp_sessions{state="OpenSent"} 0',
      'podloom_bgp_sessions{state="OpenConfirm"} 0',
      'podloom_bgp_sessions{state="Established"} 1',
    ]);
    expect(linesOf(text, "podloom_bgp_session_up")).toEqual([
      'podloom_bgp_session_up{neighbor="a"} 1',
      'podloom_bgp_session_up{neighbor="b"} 0',
    ]);
    expect(text).toContain('podloom_bgp_session_state_seconds{neighbor="a"} 12\n');
    expect(text).toContain('podloom_bgp_session_established_total{neighbor="a"} 3\n');
    expect(text).toContain('podloom_bgp_session_flaps_total{neighbor="a"} 2\n');
    expect(text).toContain('podloom_bgp_messages_total{neighbor="a",direction="in",type="UPDATE"} 4\n');
    expect(text).toContain('podloom_bgp_messages_total{neighbor="a",direction="out",type="KEEPALIVE"} 6\n');
    expect(text).toContain('podloom_bgp_message_bytes_total{neighbor="a",direction="in",type="UPDATE"} 99\n');
    expect(text).toContain(
      'podloom_bgp_message_bytes_total{neighbor="a",direction="out",type="KEEPALIVE"} 114\n',
    );
    expect(text).toContain('podloom_bgp_prefixes{neighbor="a",family="IPv4 unicast",table="accepted"} 4\n');
    expect(text).toContain('podloom_bgp_prefixes{neighbor="a",family="IPv4 unicast",table="advertised"} 3\n');
    expect(text).toContain('podloom_bgp_queue_bytes{neighbor="a"} 8\n');
    expect(text).toContain('podloom_bgp_rib_prefixes{family="IPv4 unicast"} 7\n');
    expect(text).toContain("podloom_bgp_decision_runs_total 41\n");
    expect(text).toContain("podloom_bgp_tcp_refused_total 2\n");
    expect(text).toContain("process_cpu_seconds_total 1.5\n");
    for (const line of text.split("\n").filter((one) => one !== "" && !one.startsWith("#"))) {
      const name = line.split(/[{ ]/)[0] as string;
      expect(text).toContain(`# TYPE ${name} ${name.endsWith("_total") ? "counter" : "gauge"}\n`);
      expect(text).toMatch(new RegExp(`^# HELP ${name} [A-Z]`, "m"));
    }
  });

  test("a second answer has the numbers of the second moment, and not the neighbors that are gone", async () => {
    const metrics = new SpeakerMetrics();
    await metrics.text(await sample((peers) => peers.map((peer) => ({ ...peer, dropped: 5 }))));
    const text = await metrics.text(
      await sample((peers) => peers.slice(1).map((peer) => ({ ...peer, dropped: 6 }))),
    );
    expect(linesOf(text, "podloom_bgp_session_up")).toEqual(['podloom_bgp_session_up{neighbor="b"} 0']);
    expect(linesOf(text, "podloom_bgp_session_flaps_total")).toEqual([
      'podloom_bgp_session_flaps_total{neighbor="b"} 6',
    ]);
  });
});
