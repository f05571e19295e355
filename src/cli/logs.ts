// `podloom logs`: the logs of a lab's processes, one after another or followed. Works after the lab is down as well.
import { readdirSync } from "node:fs";
import { nearestWord } from "../base/nearest-word.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { stateRoot } from "../io/xdg-folders.ts";
import { type LabDirs, labDirs, logPath } from "../lab/lab-dirs.ts";
import { runningLabs } from "../lab/lab-lock.ts";
import { isLabName } from "../lab/lab-name.ts";
import { LogFollower, type LogLine, parseLogLine, sizeOf, tailLines } from "../lab/log-file.ts";
import { type CommandContext, labName, onSignals } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import type { Terminal } from "./terminal.ts";

/** The flags of `logs`, read. */
export interface LogsFlags {
  readonly lab: string | undefined;
  /** A node, `store` or `supervisor`; undefined: all of them. */
  readonly source: string | undefined;
  readonly follow: boolean;
  /** Lines of each log; undefined: all of one, 20 of each of several. */
  readonly tail: number | undefined;
  /** Print the JSON lines as they are. */
  readonly raw: boolean;
}

const FOLLOW_MS = 200;
const TAIL_OF_SEVERAL = 20;

/** Runs `logs`. Answers the exit code. */
export async function logs(flags: LogsFlags, cx: CommandContext): Promise<number> {
  const dirs = labDirs(whichLab(flags.lab, cx), cx.env);
  const sources = whichSources(flags.source, dirs);
  const count = flags.tail ?? (sources.length > 1 ? TAIL_OF_SEVERAL : Number.MAX_SAFE_INTEGER);
  const named = sources.length > 1;
  const followers = sources.map((source) => ({
    source,
    log: new LogFollower(logPath(dirs, source), sizeOf(logPath(dirs, source))),
  }));
  const lines = sources.flatMap((source) =>
    tailLines(logPath(dirs, source), count).map((raw) => ({ source, line: parseLogLine(raw) })),
  );
  if (named) lines.sort((a, b) => (a.line.at ?? 0) - (b.line.at ?? 0));
  for (const { source, line } of lines) printLine(line, named ? source : undefined, flags.raw, cx.terminal);
  if (!flags.follow) return ExitCode.DONE;
  const stop = new AbortController();
  const signals = onSignals(() => stop.abort());
  while (!stop.signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
    for (const { source, log } of followers) {
      for (const raw of log.poll())
        printLine(parseLogLine(raw), named ? source : undefined, flags.raw, cx.terminal);
    }
  }
  signals.dispose();
  return ExitCode.DONE;
}

/** The named lab, the one that runs, or the only one that ever left logs. */
function whichLab(flag: string | undefined, cx: CommandContext): string {
  const named = labName(flag, cx);
  if (named !== undefined) return named;
  const running = runningLabs(cx.env).map((lab) => lab.name);
  const known = running.length > 0 ? running : labsWithLogs(cx.env);
  const [only] = known;
  if (known.length === 1 && only !== undefined) return only;
  if (only === undefined)
    throw new PodloomError("PL_NO_LAB", "no lab has run yet", { remedy: "Start one with: podloom up" });
  throw new PodloomError("PL_AMBIGUOUS_LAB", `there are several labs: ${known.join(", ")}`, {
    remedy: "Say which with --lab NAME.",
  });
}

function labsWithLogs(env: CommandContext["env"]): string[] {
  return entries(stateRoot(env)).filter(
    (name) => isLabName(name) && entries(labDirs(name, env).logs).length > 0,
  );
}

function whichSources(source: string | undefined, dirs: LabDirs): string[] {
  const known = entries(dirs.logs)
    .filter((name) => name.endsWith(".log"))
    .map((name) => name.slice(0, -".log".length))
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  if (known.length === 0) {
    throw new PodloomError("PL_NO_LAB", `there are no logs in ${dirs.logs}`, {
      remedy: "Start a lab with: podloom up",
    });
  }
  if (source === undefined) return known;
  const name = source.replace(/^node\//, "");
  if (known.includes(name)) return [name];
  const near = nearestWord(name, known);
  const remedy =
    near === undefined ? `There are: ${known.slice(0, 20).join(", ")}.` : `Did you mean "${near}"?`;
  throw new PodloomError("PL_NO_NODE", `there is no log of "${name}"`, { remedy });
}

function printLine(line: LogLine, source: string | undefined, raw: boolean, terminal: Terminal): void {
  const prefix = source === undefined ? "" : `${terminal.style("out", "bold", source)} `;
  if (raw || line.at === undefined) {
    terminal.print(raw ? line.raw : prefix + line.raw);
    return;
  }
  const time = new Date(line.at).toISOString().slice(11, 23);
  const level = line.level.toUpperCase().padEnd(5);
  const shade =
    line.level === "error" || line.level === "fatal" ? "red" : line.level === "warn" ? "yellow" : "dim";
  const code = line.code === undefined ? "" : `${line.code}: `;
  terminal.print(`${time} ${terminal.style("out", shade, level)} ${prefix}${code}${line.message}`);
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
