import { printable } from "../../base/printable.ts";

const SHOWN_MAX = 60;

/** Somebody else's text in a sentence of ours: in quotes, on one line, and no longer than one reads. */
export function quoted(text: string): string {
  const shown = text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}…`;
  return printable(JSON.stringify(shown));
}
