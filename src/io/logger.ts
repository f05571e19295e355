// Logs: pino's JSON lines, one object a line, fields `node`, `room`, `event` and whatever else the event has.
import { openSync } from "node:fs";
import { dirname } from "node:path";
import type pino from "pino";
import { loadPino } from "./late-pino.ts";
import { LogWriter } from "./log-writer.ts";
import { makeFolder } from "./make-folder.ts";
import { PodloomError } from "./podloom-error.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  /** The node's name, or `supervisor`, `store`, …: field `node` of every line. */
  readonly node: string;
  readonly level: LogLevel;
  /** Appended to; made with its folder (mode 0600, 0700) when absent. Undefined: standard error, written at once. */
  readonly file?: string | undefined;
}

/** Writes lines. To a file they are written in the background: call {@link Logger.close} before the process ends. */
export class Logger {
  readonly #options: LoggerOptions;
  /** Made when there is something to write: many a process never has. */
  #pino: pino.Logger | undefined;
  readonly #writer: LogWriter;
  #closed = false;

  /** @throws PodloomError PL_LOG_FAILED when the file cannot be opened */
  constructor(options: LoggerOptions) {
    this.#options = options;
    let fd = 2;
    if (options.file !== undefined) {
      try {
        makeFolder(dirname(options.file), 0o700);
        fd = openSync(options.file, "a", 0o600);
      } catch (cause) {
        throw new PodloomError("PL_LOG_FAILED", `the log ${options.file} cannot be written`, {
          remedy: "Choose another with --log-file, or make its folder writable.",
          cause,
        });
      }
    }
    this.#writer = new LogWriter(fd, options.file !== undefined);
    this.#writer.onRecovered = (lines) =>
      this.log("warn", "log", "lost", `${lines} lines of this log could not be written`, { lines });
  }

  /**
   * One line.
   *
   * @param room the part of podloom that speaks
   * @param event a short stable name, to search for
   * @param fields more of it; an `err` is written with its type, message and stack, its cause included
   */
  log(
    level: Exclude<LogLevel, "silent">,
    room: string,
    event: string,
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ): void {
    if (this.#closed || !this.writes(level)) return;
    const { node: name, level: from } = this.#options;
    this.#pino ??= loadPino()({ level: from, base: { node: name } }, this.#writer);
    this.#pino[level]({ room, event, ...fields }, message);
  }

  /** Are lines of this level written? Ask before a line that takes an effort to make. */
  writes(level: Exclude<LogLevel, "silent">): boolean {
    return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(this.#options.level);
  }

  /** An error line about `thrown`: with its code and remedy when it is a PodloomError, else with its stack. */
  error(room: string, event: string, thrown: unknown, level: "warn" | "error" | "fatal" = "error"): void {
    if (thrown instanceof PodloomError) {
      const { code, remedy } = thrown;
      this.log(level, room, event, thrown.message, remedy === undefined ? { code } : { code, remedy });
      return;
    }
    const err = thrown instanceof Error ? thrown : new Error(String(thrown));
    this.log(level, room, event, err.message, { err });
  }

  /** Writes what is still in memory, now. */
  flush(): void {
    if (!this.#closed) this.#writer.flushSync();
  }

  /** Flushes and closes. Later lines are lost. */
  close(): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    this.#writer.end();
  }
}
