// What is said of a command line that makes no sense, as BIRD begins it and as people can use it.
import { nearestWord } from "../../base/nearest-word.ts";
import type { BgpPeerRow } from "../../routing/bgp/speaker/inspect.ts";
import type { Word } from "./birdc-words.ts";

/** @param expected what could have stood there; undefined word: the line was over */
export function unexpected(word: Word | undefined, expected: string): string {
  const found = word === undefined ? "the end" : word.quoted ? `the text "${word.text}"` : word.text;
  return `syntax error, unexpected ${found}, expecting ${expected}`;
}

/** There is no protocol of that name. */
export function unknownProtocol(name: string, names: readonly string[]): string {
  const near = nearestWord(name, names);
  const hint =
    near === undefined
      ? `there ${names.length === 1 ? "is" : "are"} ${names.join(", ")}`
      : `did you mean ${near}?`;
  return `syntax error, no protocol ${name}: ${hint}`;
}

/** The protocol that our own networks come from, by the name that BIRD gives its first static one. */
export const LOCAL = "static1";

export function protocolNames(peers: readonly BgpPeerRow[]): readonly string[] {
  return [LOCAL, ...peers.map(({ name }) => name)];
}
