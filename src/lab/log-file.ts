// The logs of a lab: pino's JSON, one file a process; a line that is no JSON came from the runtime (a crash) and counts too.
import { closeSync, openSync, readSync, statSync } from "node:fs";

/** pino's numbers of the levels. */
const LEVEL_NAMES: Readonly<Record<number, string>> = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};

/** One line of a log. `code` is a PodloomError's, where the line was about one. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly code: string | undefined;
  /** What the error says can be done about it. */
  readonly remedy: string | undefined;
  /** Milliseconds since the epoch; undefined for a line that is no JSON. */
  readonly at: number | undefined;
  readonly raw: string;
}

/** Reads one line; what is no JSON object keeps its text, as an error. */
export function parseLogLine(raw: string): LogLine {
  try {
    const value: unknown = JSON.parse(raw);
    if (typeof value === "object" && value !== null) {
      const { level, msg, code, remedy, time, err } = value as Record<string, unknown>;
      const errCode =
        typeof err === "object" && err !== null ? (err as Record<string, unknown>).code : undefined;
      const found = typeof code === "string" ? code : errCode;
      return {
        level: typeof level === "number" ? (LEVEL_NAMES[level] ?? String(level)) : "info",
        message: typeof msg === "string" ? msg : raw,
        code: typeof found === "string" ? found : undefined,
        remedy: typeof remedy === "string" ? remedy : undefined,
        at: typeof time === "number" ? time : undefined,
        raw,
      };
    }
  } catch {
    // Text of the runtime.
  }
  return { level: "error", message: raw, code: undefined, remedy: undefined, at: undefined, raw };
}

/** What a program of ours says on stderr when it gives up: `podloom store: PL_CODE: …`, the remedy on the next line. */
const PROGRAM_ERROR = /^podloom \w+: (PL_[A-Z_]+): (.*)$/;

function programError(line: string, next: string | undefined): LogLine {
  const [, code, message] = PROGRAM_ERROR.exec(line) as unknown as [string, string, string];
  const remedy = next?.startsWith("  ") === true ? next.trim() : undefined;
  return { level: "error", message, code, remedy, at: undefined, raw: line };
}

/** The last error in the last 64 KiB of a log: why its process ended, in its own words. */
export function lastErrorIn(path: string, fromByte = 0): LogLine | undefined {
  const lines = readTail(path, 64 * 1024, fromByte);
  // A crash of the runtime is a stack of bare lines; the message is the first "…Error: …" among them.
  const crash = lines.findLast((line) => /^(\w*Error\b.*: |Error: )/.test(line));
  for (let i = lines.length - 1; i >= 0; i--) {
    const line = lines[i] as string;
    if (!line.startsWith("{")) continue;
    const parsed = parseLogLine(line);
    if (parsed.level === "error" || parsed.level === "fatal") return parsed;
  }
  if (crash !== undefined) return parseLogLine(crash);
  const told = lines.findLastIndex((line) => PROGRAM_ERROR.test(line));
  if (told >= 0) return programError(lines[told] as string, lines[told + 1]);
  const bare = lines.findLast((line) => line.trim() !== "" && !line.startsWith("{"));
  return bare === undefined ? undefined : parseLogLine(bare);
}

/** The last `count` lines of a file; fewer when it is shorter, none when it is absent. */
export function tailLines(path: string, count: number): string[] {
  const lines = readTail(path, 4 * 1024 * 1024, 0);
  return count >= lines.length ? lines : lines.slice(lines.length - count);
}

/** Size of a file in bytes; 0 when it is absent. */
export function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

/** Whole lines of the last `bytesMax` bytes, from `fromByte` at the earliest. */
function readTail(path: string, bytesMax: number, fromByte: number): string[] {
  const size = sizeOf(path);
  const start = Math.max(fromByte, size - bytesMax, 0);
  const lines = readRange(path, start, size).split("\n");
  if (start > fromByte) lines.shift();
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function readRange(path: string, start: number, end: number): string {
  if (end <= start) return "";
  const fd = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(end - start);
    const read = readSync(fd, bytes, 0, bytes.length, start);
    return bytes.toString("utf8", 0, read);
  } finally {
    closeSync(fd);
  }
}

/** Follows a growing file: each call answers the whole lines that came since the last one. */
export class LogFollower {
  readonly path: string;
  #offset: number;
  #rest = "";

  /** @param fromByte where to begin; the end of what has been shown already */
  constructor(path: string, fromByte: number) {
    this.path = path;
    this.#offset = fromByte;
  }

  poll(): string[] {
    const size = sizeOf(this.path);
    if (size < this.#offset) {
      // A new run of the lab began the file anew.
      this.#offset = 0;
      this.#rest = "";
    }
    if (size === this.#offset) return [];
    const text = this.#rest + readRange(this.path, this.#offset, size);
    this.#offset = size;
    const lines = text.split("\n");
    this.#rest = lines.pop() ?? "";
    return lines;
  }
}
