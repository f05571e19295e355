import { err, ok, type Result } from "../base/result.ts";
import type { Printed } from "./printed-command.ts";

/** The options of `ip` that stand before the object. */
export interface IpOptions {
  readonly stats: boolean;
  readonly details: boolean;
  readonly brief: boolean;
  readonly oneline: boolean;
  /** -4: nothing of the link layer in `ip addr`. */
  readonly inet: boolean;
}

/** What may follow `show`: words with a value, words without one, and what a bare word means. */
export interface FilterSpec {
  readonly valued: readonly string[];
  readonly flags: readonly string[];
  readonly bare: string;
}

/** Filter word → its value ("" for a flag). */
export type Filters = ReadonlyMap<string, string>;

/** Reads the words after `show`. The error is what iproute2 prints. */
export function readFilters(words: readonly string[], spec: FilterSpec): Result<Filters, Printed> {
  const filters = new Map<string, string>();
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (spec.flags.includes(word)) filters.set(word, "");
    else if (spec.valued.includes(word)) {
      const value = words[++i];
      if (value === undefined) {
        return err({ stderr: 'Command line is not complete. Try option "help"\n', exitCode: 255 });
      }
      filters.set(word, value);
    } else if (filters.has(spec.bare)) {
      const text = `Error: either "${spec.bare}" is duplicate, or "${word}" is a garbage.\n`;
      return err({ stderr: text, exitCode: 255 });
    } else filters.set(spec.bare, word);
  }
  return ok(filters);
}
