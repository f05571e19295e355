import { ok } from "../base/result.ts";
import type { CommandContext } from "./command.ts";
import { PrintedCommand } from "./printed-command.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

const SYSCTLS = "/proc/sys/";

/** `cat FILE…`: files of the namespace, and /proc/sys/net/…. */
export function parseCat(args: readonly string[], cx: CommandContext): ParsedCommand {
  if (args.length === 0) return usageError(1, "cat: name a file: there is no standard input here");
  return ok(
    new PrintedCommand(() => {
      let stdout = "";
      let stderr = "";
      for (const path of args) {
        const text = read(path, cx);
        if (text === undefined) stderr += `cat: ${path}: No such file or directory\n`;
        else stdout += text;
      }
      return { stdout, stderr, exitCode: stderr === "" ? 0 : 1 };
    }),
  );
}

function read(path: string, cx: CommandContext): string | undefined {
  if (!path.startsWith(SYSCTLS)) return cx.files(path);
  const value = cx.netns.sysctl.get(path.slice(SYSCTLS.length));
  return value.ok ? `${value.value}\n` : undefined;
}
