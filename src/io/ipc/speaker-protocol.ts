// What a BGP speaker (`podloom bgp`) answers on its socket. The framing is in `protocol.ts`; who asks is the command line.
//
// Rows come in pieces, as `chunk`s of the stream "value", each an array, because a table has more of them than a frame has room
// for; the answer itself says how many there were. A slow reader is waited for, and an interrupt ends the rows early.
import type { BgpPeerRow, BgpRouteRow } from "../../routing/bgp/speaker/inspect.ts";
import type { ReloadReport, SpeakerStatus } from "../../routing/bgp/speaker/speaker-status.ts";

export type { BgpFamilyRow, BgpPeerRow, BgpRouteRow } from "../../routing/bgp/speaker/inspect.ts";
export type { ReloadReport, SpeakerStatus } from "../../routing/bgp/speaker/speaker-status.ts";

/** Rows that one piece has at most. */
export const SPEAKER_CHUNK_ROWS = 256;

/** verb `bgp-routes`: Loc-RIB with all that it was chosen from, by prefix, the chosen paths first; `why` says why each (not). */
export interface BgpRoutesArgs {
  /** "10.0.0.0/8" or "fd00::/8": this prefix alone; an address without a length is one of full length. */
  readonly prefix?: string;
  /** The longest prefix that there is a route for and that contains `prefix`. */
  readonly longest?: boolean;
}

/** A neighbour by its name or its address. PL_BGP_NEIGHBOR when there is none. */
export interface BgpNeighborArgs {
  readonly neighbor: string;
}

/** verb `bgp-explain`. */
export interface BgpExplainArgs {
  /** A prefix, or an address: then the longest prefix that contains it. */
  readonly prefix: string;
  /** Say of this neighbour alone whether it is told; default: of all that have a session. */
  readonly neighbor?: string;
}

export interface BgpExplanation {
  /** The prefix that the rows are about. */
  readonly prefix: string;
  /** All paths: the best first, then those that share the load, then the others, the later they lost the sooner. */
  readonly paths: readonly BgpRouteRow[];
  /** Whether each neighbour is told of it, and why not: "told", "learnt from it", "NO_EXPORT", "refused by rule 3", … */
  readonly told: readonly { readonly neighbor: string; readonly addr: string; readonly why: string }[];
}

/** verb `bgp-reset`. */
export interface BgpResetArgs extends BgpNeighborArgs {
  /** Keep the session: ask for all routes again ("in"), or tell all again ("out"). */
  readonly soft?: "in" | "out";
  /** Told to the neighbour's people, with Cease/4. @rfc 9003#2 */
  readonly text?: string;
}

/** verb `bgp-shutdown`: down with Cease/2 until `bgp-enable`. */
export interface BgpShutdownArgs extends BgpNeighborArgs {
  readonly text?: string;
}

/** verb `bgp-announce`: a network of our own, until `bgp-withdraw` or the end; written as in the file's `networks`. */
export interface BgpAnnounceArgs {
  readonly network: unknown;
}

/** verb `bgp-withdraw`. PL_BGP_NETWORK when we announce no such network. */
export interface BgpWithdrawArgs {
  readonly prefix: string;
}

/** verb `birdc`: what `birdc` prints for these words, as text chunks. */
export interface BirdcArgs {
  /** Without "birdc" itself: ["show", "route", "all"]. */
  readonly argv: readonly string[];
}

/** verb `stop`: ends all sessions with Cease/2 and the text, then the process with exit code 0. */
export interface SpeakerStopArgs {
  readonly text?: string;
  /** Say nothing to the neighbours, so that those that help over restarts keep our routes. @rfc 4724#4 */
  readonly silent?: boolean;
}

export interface RowCount {
  readonly rows: number;
}

type Nothing = Record<string, never>;

/** The verbs: what is sent with each, what one element of its chunks is, and what it answers at the end. */
export interface SpeakerVerbs {
  readonly ping: { args: Nothing; chunk: never; value: { readonly name: string; readonly pid: number } };
  readonly "bgp-status": { args: Nothing; chunk: never; value: SpeakerStatus };
  /** All neighbours, by address. */
  readonly "bgp-peers": { args: Nothing; chunk: BgpPeerRow; value: RowCount };
  readonly "bgp-routes": { args: BgpRoutesArgs; chunk: BgpRouteRow; value: RowCount };
  /** Adj-RIB-In: as it came, before policy. */
  readonly "bgp-rib-in": { args: BgpNeighborArgs; chunk: BgpRouteRow; value: RowCount };
  /** Adj-RIB-Out: as it was told, or is about to be. */
  readonly "bgp-rib-out": { args: BgpNeighborArgs; chunk: BgpRouteRow; value: RowCount };
  readonly "bgp-explain": { args: BgpExplainArgs; chunk: never; value: BgpExplanation };
  readonly "bgp-reset": { args: BgpResetArgs; chunk: never; value: Nothing };
  readonly "bgp-shutdown": { args: BgpShutdownArgs; chunk: never; value: Nothing };
  readonly "bgp-enable": { args: BgpNeighborArgs; chunk: never; value: Nothing };
  readonly "bgp-announce": { args: BgpAnnounceArgs; chunk: never; value: { readonly prefix: string } };
  readonly "bgp-withdraw": { args: BgpWithdrawArgs; chunk: never; value: Nothing };
  /** Reads the file again. PL_SPEAKER_FILE, with every problem a line of the message, when it is wrong: then nothing has changed. */
  readonly "bgp-reload": { args: Nothing; chunk: never; value: ReloadReport };
  readonly birdc: { args: BirdcArgs; chunk: never; value: { readonly exitCode: number } };
  /** Prometheus' text. */
  readonly metrics: { args: Nothing; chunk: never; value: string };
  readonly stop: { args: SpeakerStopArgs; chunk: never; value: Nothing };
}

export type SpeakerVerb = keyof SpeakerVerbs;
