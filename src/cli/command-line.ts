import { CommanderError } from "commander";
import { DocumentError } from "../io/document/problem.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { CommandContext } from "./command-context.ts";
import { ExitCode, exitCodeOf } from "./exit-code.ts";
import { buildProgram, commanderExitCode, type Outcome } from "./program.ts";
import type { Terminal } from "./terminal.ts";

/** Runs one command line (without `node` and the script). Answers the exit code; errors have been told by then. */
export async function runCommandLine(argv: readonly string[], cx: CommandContext): Promise<number> {
  const outcome: Outcome = { exitCode: ExitCode.DONE };
  try {
    await buildProgram(cx, outcome).parseAsync([...argv], { from: "user" });
    return outcome.exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return commanderExitCode(thrown);
    tellError(thrown, cx.terminal);
    return exitCodeOf(thrown);
  }
}

function tellError(thrown: unknown, terminal: Terminal): void {
  const mark = terminal.style("err", "red", "error:");
  if (thrown instanceof DocumentError) {
    terminal.note(thrown.message);
  } else if (thrown instanceof PodloomError) {
    terminal.note(`${mark} ${thrown.message} [${thrown.code}]`);
    if (thrown.remedy !== undefined) terminal.note(`  ${thrown.remedy}`);
  } else {
    // A fault of our own: the stack is what its report needs.
    terminal.note(`${mark} ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
  }
}
