// enable, disable, restart and reload.
import type { BgpPeerRow } from "../../routing/bgp/speaker/inspect.ts";
import type { BirdcSpeaker } from "./birdc-speaker.ts";
import type { Word } from "./birdc-words.ts";
import type { CommandText } from "./command-text.ts";
import { LOCAL, protocolNames, unexpected, unknownProtocol } from "./syntax.ts";

type Switch = "enable" | "disable" | "restart";

/** `enable|disable|restart (NAME | "PATTERN" | all) ["TEXT"]`: the text goes to the neighbour, with the Cease. */
export function switchProtocols(
  verb: Switch,
): (words: readonly Word[], speaker: BirdcSpeaker) => CommandText {
  return function* ([pattern, message, extra], speaker) {
    if (extra !== undefined) {
      yield unexpected(extra, "the end: a text of several words stands in quotes");
      return 1;
    }
    return yield* eachProtocol(pattern, speaker, (peer) => applySwitch(verb, peer, message?.text, speaker));
  };
}

function applySwitch(
  verb: Switch,
  { name, enabled }: BgpPeerRow,
  text: string | undefined,
  speaker: BirdcSpeaker,
): string {
  if (verb === "enable") {
    if (enabled) return `${name}: already enabled`;
    speaker.enable(name);
    return `${name}: enabled`;
  }
  if (!enabled) return `${name}: already disabled`;
  if (verb === "disable") speaker.shutdown(name, text);
  else speaker.reset(name, text);
  return `${name}: ${verb === "disable" ? "disabled" : "restarted"}`;
}

/** `reload [in | out] (NAME | "PATTERN" | all)` */
export function* reload(words: readonly Word[], speaker: BirdcSpeaker): CommandText {
  const [first] = words;
  const direction =
    first?.quoted === false && (first.text === "in" || first.text === "out") ? first.text : "";
  const [pattern, extra] = direction === "" ? words : words.slice(1);
  if (extra !== undefined) {
    yield unexpected(extra, "the end");
    return 1;
  }
  return yield* eachProtocol(pattern, speaker, (peer) => {
    const { name, enabled, state } = peer;
    if (!enabled) return `${name}: already disabled`;
    if (state !== "Established") return `${name}: not up`;
    if (direction !== "out") speaker.refreshIn(name);
    if (direction !== "in") speaker.refreshOut(name);
    return `${name}: reloading`;
  });
}

/** Does `act` to each protocol that the pattern means, and says what came of it. */
function* eachProtocol(
  pattern: Word | undefined,
  speaker: BirdcSpeaker,
  act: (peer: BgpPeerRow) => string,
): CommandText {
  if (pattern === undefined) {
    yield unexpected(pattern, "a protocol, a pattern in quotes, or all");
    return 1;
  }
  const peers = speaker.peers();
  const all = !pattern.quoted && pattern.text === "all";
  const many = all || isPattern(pattern);
  if (!many && pattern.text === LOCAL && !peers.some(({ name }) => name === LOCAL)) {
    yield `${LOCAL}: these are our own networks, which always stay`;
    return 1;
  }
  const meant = all ? peers : peers.filter(({ name }) => matches(pattern, name));
  for (const peer of meant) yield act(peer);
  if (meant.length > 0 || all) return 0;
  yield many ? "No protocols match" : unknownProtocol(pattern.text, protocolNames(peers));
  return 1;
}

/** A shell takes the quotes of a pattern, but a name has none of its letters. */
export function isPattern({ text, quoted }: Word): boolean {
  return quoted || /[*?]/.test(text);
}

/** Does the name fit the pattern, in which * stands for any letters and ? for one? A name that is not one fits itself. */
export function matches(pattern: Word, name: string): boolean {
  if (!isPattern(pattern)) return pattern.text === name;
  return fits(pattern.text, name);
}

/** Greedy, going back to the last star alone: time grows with the product of the lengths at most. */
function fits(pattern: string, name: string): boolean {
  let p = 0;
  let star = -1;
  let from = 0;
  for (let n = 0; n < name.length; ) {
    if (pattern[p] === "*") {
      star = p++;
      from = n;
    } else if (pattern[p] === "?" || pattern[p] === name[n]) {
      p++;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++from;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
