import type { BgpTotals } from "../control/inspect.ts";
import type { PeerStatus } from "../routing/bgp/session/peer-status.ts";
import type { BgpSpeaker } from "../routing/bgp/speaker/speaker.ts";

/** What a speaker's sessions come to together. Sessions that are gone have taken their counts with them. */
export function bgpTotals(speaker: BgpSpeaker): BgpTotals {
  const peers = speaker.neighbors.dump().map(({ neighbor }) => neighbor.peer.status());
  const sum = (of: (peer: PeerStatus) => readonly number[]): number =>
    peers.reduce((total, peer) => total + of(peer).reduce((a, b) => a + b, 0), 0);
  return {
    sessions: peers.length,
    established: peers.filter(({ state }) => state === "Established").length,
    rxMessages: sum(({ counters }) => counters.messagesIn),
    txMessages: sum(({ counters }) => counters.messagesOut),
  };
}
