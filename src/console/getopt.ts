import { err, ok, type Result } from "../base/result.ts";

/** One option as it stood on the command line. */
export interface Option {
  readonly letter: string;
  /** Its argument; "" when it takes none. */
  readonly value: string;
  /** Which argument of the command held the value (or the option, without one), counted from 1. */
  readonly position: number;
}

interface Operand {
  readonly text: string;
  /** Which argument of the command it was, counted from 1. */
  readonly position: number;
}

export interface Options {
  readonly options: readonly Option[];
  readonly operands: readonly Operand[];
}

export interface OptionFault {
  readonly t: "unknown" | "missing";
  /** The letter, or the whole word of a long option. */
  readonly option: string;
  readonly position: number;
}

/**
 * Reads short options as GNU getopt does: bundled (`-nc3`), with the value attached or following, operands anywhere, `--` ends
 * the options. There are no long ones.
 *
 * @param spec letters, each followed by ":" when it takes a value
 */
export function getopt(args: readonly string[], spec: string): Result<Options, OptionFault> {
  const options: Option[] = [];
  const operands: Operand[] = [];
  let rest = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    if (rest || !arg.startsWith("-") || arg === "-") {
      operands.push({ text: arg, position: i + 1 });
      continue;
    }
    if (arg === "--") {
      rest = true;
      continue;
    }
    if (arg.startsWith("--")) return err({ t: "unknown", option: arg, position: i + 1 });
    for (let at = 1; at < arg.length; at++) {
      const letter = arg[at] as string;
      const known = letter === ":" ? -1 : spec.indexOf(letter);
      if (known < 0) return err({ t: "unknown", option: letter, position: i + 1 });
      if (spec[known + 1] !== ":") {
        options.push({ letter, value: "", position: i + 1 });
        continue;
      }
      const attached = arg.slice(at + 1);
      const value = attached === "" ? args[++i] : attached;
      if (value === undefined) return err({ t: "missing", option: letter, position: i });
      options.push({ letter, value, position: i + 1 });
      break;
    }
  }
  return ok({ options, operands });
}
