import { err, type Result } from "../base/result.ts";
import type { Command } from "./command.ts";

/** A command line that was not understood. */
export interface UsageError {
  /** What goes to stderr, with its line ends. */
  readonly message: string;
  readonly exitCode: number;
}

export type ParsedCommand = Result<Command, UsageError>;

/** The error that says `lines` on stderr. */
export function usageError(
  exitCode: number,
  ...lines: readonly string[]
): { readonly ok: false; readonly error: UsageError } {
  return err({ message: `${lines.join("\n")}\n`, exitCode });
}
