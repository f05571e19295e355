// What `birdc` needs of a running speaker. The process that has one provides it; the words are parsed and printed here.
import type { RibPrefix } from "../../routing/bgp/rib/route.ts";
import type { BgpPeerRow, BgpRouteRow } from "../../routing/bgp/speaker/inspect.ts";
import type { ReloadReport, SpeakerStatus } from "../../routing/bgp/speaker/speaker-status.ts";

/** Rows are made as they are asked for: a table may be large, so do not keep them. */
export interface BirdcSpeaker {
  status(): SpeakerStatus;
  /** Milliseconds since 1970: that from which the ages of rows count back when they are made. */
  now(): number;
  /** How far the local time is ahead of UTC at a moment (milliseconds since 1970), in minutes: people read the times here. */
  utcOffsetMin(at: number): number;
  /** All neighbours, by address. */
  peers(): readonly BgpPeerRow[];
  /** Loc-RIB by prefix, the chosen paths first: of one prefix, if it is given, or of the longest that contains it. */
  routes(only?: RibPrefix, longest?: boolean): Iterable<BgpRouteRow>;
  /** Adj-RIB-Out of the neighbour of that name; empty when there is none, or no session. */
  ribOut(neighbor: string): Iterable<BgpRouteRow>;
  /** Commands, by the neighbour's name. False: there is none. */
  shutdown(neighbor: string, text?: string): boolean;
  enable(neighbor: string): boolean;
  /** Ends the session with Cease/4, and begins it anew. */
  reset(neighbor: string, text?: string): boolean;
  refreshIn(neighbor: string): boolean;
  refreshOut(neighbor: string): boolean;
  /** Reads the file again, or only checks it. A string: what is wrong with it, one problem a line, and nothing has changed. */
  configure(checkOnly: boolean): Promise<ReloadReport | string>;
}

/** One command: its text in pieces, of which the next is asked for when the reader has taken the last; returned: its exit code. */
export type BirdcRun = AsyncGenerator<string, number, void>;
