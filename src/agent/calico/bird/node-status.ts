// What `calicoctl node status` and the readiness probe read from BIRD.
import { formatIpv4 } from "../../../base/ipv4-addr.ts";
import type { Instant } from "../../../base/time.ts";
import type { PeerType } from "../../../control/calico/calc/desired-peer.ts";
import { faultWords, MUSL_ERRNO } from "../../../routing/bgp/speaker/bird-fault.ts";
import { protocolState, stateWord } from "../../../routing/bgp/speaker/bird-state.ts";
import { type BgpPeerRow, peerRows } from "../../../routing/bgp/speaker/inspect.ts";
import type { BgpSpeaker } from "../../../routing/bgp/speaker/speaker.ts";

/** A line of the table: plain, so that it crosses process boundaries. */
export interface NodeStatusRow {
  /** With `.port.1179` behind it where that is not 179. */
  readonly peerAddress: string;
  readonly peerType: PeerType;
  /** `wait`: the session is there, but routes are held after a restart. */
  readonly state: "up" | "start" | "wait" | "down";
  /** How long it has been so. */
  readonly sinceSec: number;
  /** BIRD's: "Established", "Active Socket: Host is unreachable". */
  readonly info: string;
}

const TYPES: readonly (readonly [prefix: string, type: PeerType])[] = [
  ["Mesh_", "node-to-node mesh"],
  ["Global_", "global"],
  ["Node_", "node specific"],
];

/** @param recovering does the speaker hold back routes after a restart? */
export function nodeStatus(speaker: BgpSpeaker, recovering: boolean, now: Instant): NodeStatusRow[] {
  return peerRows(speaker, now).flatMap((row) => {
    const found = TYPES.find(([prefix]) => row.name.startsWith(prefix));
    if (found === undefined) return [];
    const [prefix, peerType] = found;
    const state = protocolState(row);
    return {
      peerAddress: row.name.slice(prefix.length).replaceAll("_", "."),
      peerType,
      state: recovering && state === "up" ? "wait" : state,
      sinceSec: row.sinceSec,
      info: infoOf(row),
    };
  });
}

function infoOf(row: BgpPeerRow): string {
  return [stateWord(row), faultWords(row, MUSL_ERRNO)].filter((words) => words !== "").join(" ");
}

/** How long after the start every session is asked for; later one is enough. */
const ALL_FOR_SEC = 30;

/** Undefined: ready. Else Calico's sentence. @param upSec since the start */
export function readiness(speaker: BgpSpeaker, recovering: boolean, upSec: number): string | undefined {
  const notReady = "calico/node is not ready: BIRD is not ready:";
  if (recovering) return `${notReady} graceful restart in progress`;
  const rows = speaker.neighbors.dump();
  const missing = rows.filter(({ neighbor }) => neighbor.negotiated === undefined);
  if (missing.length === 0 || (upSec >= ALL_FOR_SEC && missing.length < rows.length)) return undefined;
  return `${notReady} BGP not established with ${missing.map(({ addr }) => formatIpv4(addr)).join(",")}`;
}
