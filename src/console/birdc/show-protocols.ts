// `show protocols`: a line for each neighbour, as for BIRD's BGP protocols, and one for our own networks, as for a static one.

import { faultWords } from "../../routing/bgp/speaker/bird-fault.ts";
import { protocolState, stateWord } from "../../routing/bgp/speaker/bird-state.ts";
import type { BgpPeerRow } from "../../routing/bgp/speaker/inspect.ts";
import type { SpeakerStatus } from "../../routing/bgp/speaker/speaker-status.ts";
import { shortTime } from "./bird-time.ts";
import type { BirdcSpeaker } from "./birdc-speaker.ts";
import type { Word } from "./birdc-words.ts";
import type { CommandText } from "./command-text.ts";
import { isPattern, matches } from "./protocol-commands.ts";
import { peerDetails } from "./protocol-details.ts";
import { LOCAL, protocolNames, unexpected, unknownProtocol } from "./syntax.ts";

/** `show protocols [all] [NAME | "PATTERN"]` */
export function* showProtocols(words: readonly Word[], speaker: BirdcSpeaker): CommandText {
  const all = words[0]?.quoted === false && words[0].text === "all";
  const [pattern, extra] = all ? words.slice(1) : words;
  if (extra !== undefined) {
    yield unexpected(extra, "the end");
    return 1;
  }
  const status = speaker.status();
  const peers = speaker.peers();
  const local = pattern === undefined || matches(pattern, LOCAL);
  const meant = pattern === undefined ? peers : peers.filter(({ name }) => matches(pattern, name));
  if (!local && meant.length === 0) {
    const many = pattern === undefined || isPattern(pattern);
    yield many ? "No protocols match" : unknownProtocol(pattern.text, protocolNames(peers));
    return 1;
  }
  yield line("Name", "Proto", "Table", "State", "Since", "Info");
  if (local) {
    yield line(LOCAL, "Static", "---", "up", shortTime(status.startedAt, status.at, speaker), "");
    if (all) yield "";
  }
  for (const peer of meant) {
    yield peerLine(peer, status, speaker);
    if (all) yield* [...peerDetails(peer), ""];
  }
  return 0;
}

function peerLine(peer: BgpPeerRow, { at }: SpeakerStatus, speaker: BirdcSpeaker): string {
  const since = shortTime(at - peer.sinceSec * 1000, at, speaker);
  const state = protocolState(peer);
  const fault = faultWords(peer);
  const info = state === "down" ? fault : stateWord(peer).padEnd(14) + fault;
  return line(peer.name, "BGP", "---", state, since, info);
}

function line(
  name: string,
  proto: string,
  table: string,
  state: string,
  since: string,
  info: string,
): string {
  const head = [name.padEnd(10), proto.padEnd(10), table.padEnd(10), state.padEnd(6), since.padEnd(12)];
  return `${head.join(" ")}  ${info}`;
}
