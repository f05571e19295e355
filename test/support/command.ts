import { execFileSync } from "node:child_process";

/** Why a program cannot be run here, as the end of a test's name; undefined when it can. */
export function commandUnavailable(command: string, ...args: readonly string[]): string | undefined {
  try {
    execFileSync(command, args.length > 0 ? args : ["--version"], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return ` (${command} ${code === "ENOENT" ? "is not installed" : `does not work: ${String(error).split("\n")[0]}`})`;
  }
}
