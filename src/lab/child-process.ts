// What node processes and the store's have in common: a log file for what they print, an end that is awaited, and a stop in
// bounded time. Every child gets a session of its own, so that Ctrl-C in a terminal reaches the supervisor alone.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import { makeStateFolder, stateFault } from "./lab-dirs.ts";
import { type LogLine, lastErrorIn, sizeOf } from "./log-file.ts";
import { identify, type ProcessIdentity } from "./process-identity.ts";
import { describeExit, NOT_STARTED } from "./restart-policy.ts";

const OUTSIDE_SIGNALS: ReadonlySet<string> = new Set(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"]);

/** What to run. */
export interface ChildSpec {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: string;
  /** `pipe`: a stdin that stays open while this process lives; its end tells the child that we are gone. */
  readonly stdin: "ignore" | "pipe";
  /** `pipe`: the first line of stdout is for {@link Child.firstLine}. `log`: all of it goes to the log. */
  readonly stdout: "pipe" | "log";
}

/** How a child ended. */
export interface ChildExit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
  readonly ranMs: number;
  /** False: there was no process at all. */
  readonly started: boolean;
  /** `exit code 5: PL_PORT_IN_USE: …`: the exit, and the last error in its log. */
  readonly cause: string;
  /** The last error's code and text. */
  readonly errorCode: string | undefined;
  readonly errorMessage: string | undefined;
  readonly errorRemedy: string | undefined;
}

/** One started process. */
export class Child {
  readonly identity: ProcessIdentity | undefined;
  readonly startedAtMs = performance.now();
  /** Resolves when it has ended; never rejects. */
  readonly ended: Promise<ChildExit>;
  /** The first line that it printed; never settles when it prints none. */
  readonly firstLine: Promise<string>;
  readonly #process: ChildProcess;
  #exit: ChildExit | undefined;

  /** @throws what keeps the log from being opened or the process from being started; {@link failedStart} makes an exit of it */
  constructor(spec: ChildSpec) {
    const logFrom = sizeOf(spec.log);
    const fd = openLog(spec.log);
    const [command, ...args] = spec.argv as [string, ...string[]];
    try {
      this.#process = spawn(command, args, {
        env: childEnvironment(spec.env),
        stdio: [spec.stdin, spec.stdout === "pipe" ? "pipe" : fd, fd],
        detached: true,
      });
    } finally {
      closeSync(fd);
    }
    // The pipe breaks when the child ends; its end is what counts.
    this.#process.stdin?.on("error", () => undefined);
    this.firstLine = new Promise((resolve) => this.#readFirstLine(resolve));
    this.ended = new Promise((resolve) => {
      const end = (code: number | null, signal: string | null, failure?: string): void => {
        if (this.#exit !== undefined) return;
        this.#process.stdin?.destroy();
        this.#exit = this.#describe(spec.log, logFrom, code ?? undefined, signal ?? undefined, failure);
        resolve(this.#exit);
      };
      this.#process.once("exit", (code, signal) => end(code, signal));
      this.#process.once("error", (error) => end(null, null, error.message));
    });
    this.identity = this.#process.pid === undefined ? undefined : identify(this.#process.pid);
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get exit(): ChildExit | undefined {
    return this.#exit;
  }

  /** Sends a signal; nothing happens when it has ended. */
  signal(name: NodeJS.Signals): void {
    if (this.#exit === undefined) this.#process.kill(name);
  }

  /** Closes its stdin. */
  endStdin(): void {
    this.#process.stdin?.end();
  }

  /** Waits for its end until `ms` from now, then sends SIGKILL. Answers whether that was needed. */
  async endWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), ms);
    });
    const exit = await Promise.race([this.ended, late]);
    clearTimeout(timer);
    if (exit !== undefined) return false;
    this.signal("SIGKILL");
    await this.ended;
    return true;
  }

  #readFirstLine(resolve: (line: string) => void): void {
    let text = "";
    let found = false;
    this.#process.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      if (found) return;
      text += chunk;
      const end = text.indexOf("\n");
      if (end < 0) return;
      found = true;
      resolve(text.slice(0, end));
    });
  }

  #describe(
    log: string,
    logFrom: number,
    code: number | undefined,
    signal: string | undefined,
    failure: string | undefined,
  ): ChildExit {
    if (failure !== undefined) return failedStart(new Error(failure));
    // Who was killed from outside has no reason of its own to tell.
    const own = code !== 0 && !OUTSIDE_SIGNALS.has(signal ?? "");
    const error = own ? lastWords(log, logFrom) : undefined;
    const words =
      error === undefined ? "" : `: ${error.code === undefined ? "" : `${error.code}: `}${error.message}`;
    return {
      code,
      signal,
      ranMs: performance.now() - this.startedAtMs,
      started: true,
      cause: describeExit({ code, signal }) + words,
      errorCode: error?.code,
      errorMessage: error?.message,
      errorRemedy: error?.remedy,
    };
  }
}

/** A start that came to nothing, as the exit of a process that never ran. */
export function failedStart(thrown: unknown): ChildExit {
  const known = thrown instanceof PodloomError ? thrown : undefined;
  const message = messageOf(thrown);
  return {
    code: undefined,
    signal: undefined,
    ranMs: 0,
    started: false,
    cause: `${NOT_STARTED}${message}`,
    errorCode: known?.code,
    errorMessage: message,
    errorRemedy: known?.remedy,
  };
}

/** Opens a log for its process; its folder is made anew when somebody has removed it. @throws PodloomError PL_STATE_DIR */
function openLog(path: string): number {
  const folder = dirname(path);
  makeStateFolder(folder);
  try {
    return openSync(path, "a", 0o600);
  } catch (thrown) {
    throw stateFault(folder, thrown);
  }
}

/** The last error in a log; none when it cannot be read, for the end of a process must be told all the same. */
function lastWords(log: string, from: number): LogLine | undefined {
  try {
    return lastErrorIn(log, from);
  } catch {
    return undefined;
  }
}

/** Our own environment for a child, without what is meant for us alone. */
function childEnvironment(env: ChildSpec["env"]): NodeJS.ProcessEnv {
  const copy: NodeJS.ProcessEnv = { ...env };
  for (const name of ["NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID"])
    delete copy[name];
  return copy;
}
