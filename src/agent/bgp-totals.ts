import type { Instant } from "../base/time.ts";
import type { BgpTotals } from "../control/inspect.ts";
import { peerRows } from "../routing/bgp/speaker/inspect.ts";
import type { BgpSpeaker } from "../routing/bgp/speaker/speaker.ts";

/** What a speaker's sessions come to together. Sessions that are gone have taken their counts with them. */
export function bgpTotals(speaker: BgpSpeaker, now: Instant): BgpTotals {
  const rows = peerRows(speaker, now);
  const sum = (of: (row: (typeof rows)[number]) => Readonly<Record<string, number>>): number =>
    rows.reduce((total, row) => total + Object.values(of(row)).reduce((a, b) => a + b, 0), 0);
  return {
    sessions: rows.length,
    established: rows.filter(({ state }) => state === "Established").length,
    rxMessages: sum(({ messagesIn }) => messagesIn),
    txMessages: sum(({ messagesOut }) => messagesOut),
  };
}
