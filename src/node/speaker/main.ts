// `podloom bgp …`: a stand-alone BGP speaker as a process of its own.
import { dirname } from "node:path";
import { DocumentError } from "../../io/document/problem.ts";
import { IpcServer } from "../../io/ipc/server.ts";
import type { SpeakerStopArgs } from "../../io/ipc/speaker-protocol.ts";
import { speakerFolder, speakerSocket } from "../../io/ipc/speaker-socket.ts";
import { Logger } from "../../io/logger.ts";
import { makeOwnFolder } from "../../io/make-folder.ts";
import { JitterRng, UptimeClock } from "../../io/plain-clock.ts";
import { describeError, messageOf, PodloomError } from "../../io/podloom-error.ts";
import { dieLoudly, Exit } from "../die-loudly.ts";
import { summary } from "./file/resolve.ts";
import { parseSpeakerFlags, SPEAKER_USAGE, type SpeakerFlags } from "./flags.ts";
import { type LoadedPlan, loadPlan } from "./load-plan.ts";
import type { SpeakerPlan } from "./plan.ts";
import { ROOM } from "./speaker-log.ts";
import { SpeakerProcess } from "./speaker-process.ts";

async function main(argv: readonly string[]): Promise<number> {
  let flags: SpeakerFlags | undefined;
  let plan: SpeakerPlan;
  try {
    flags = parseSpeakerFlags(argv);
    if (flags === undefined) {
      process.stdout.write(SPEAKER_USAGE);
      return Exit.OK;
    }
    plan = (await load(flags, new Map())).plan;
  } catch (thrown) {
    return complain(thrown);
  }
  if (flags.check) {
    process.stdout.write(`${flags.file}: ${summary(plan)}\n`);
    return Exit.OK;
  }
  let logger: Logger;
  try {
    logger = new Logger({ node: plan.name, level: flags.logLevel, file: flags.logFile });
  } catch (thrown) {
    return complain(thrown);
  }
  dieLoudly(logger, ROOM);
  const code = await run(plan, flags, logger).catch((thrown: unknown) => {
    const known = thrown instanceof PodloomError;
    logger.error(ROOM, "start", thrown, known ? "error" : "fatal");
    // The log says it too; but who started it by hand may not be reading the log.
    if (flags.logFile !== undefined || process.stderr.isTTY) complain(thrown);
    return known ? Exit.ENVIRONMENT : Exit.INTERNAL;
  });
  logger.close();
  return code;
}

/** Says on standard error what keeps the speaker from running. Answers the exit code. */
function complain(thrown: unknown): number {
  // Each problem of a file begins with its place, which editors and terminals make a link of.
  const inFile = thrown instanceof DocumentError;
  process.stderr.write(inFile ? `${thrown.message}\n` : `podloom bgp: ${describeError(thrown)}\n`);
  if (!(thrown instanceof PodloomError)) return Exit.INTERNAL;
  return inFile || thrown.code === "PL_USAGE" ? Exit.USAGE : Exit.ENVIRONMENT;
}

function load(flags: SpeakerFlags, policies: SpeakerPlan["policies"]): Promise<LoadedPlan> {
  const { file, name, restarting, metrics, capture, logLevel } = flags;
  const traceMessages = logLevel === "debug" || logLevel === "trace";
  return loadPlan(file, { name, restarting, traceMessages, metrics, capture, policies });
}

async function run(plan: SpeakerPlan, flags: SpeakerFlags, logger: Logger): Promise<number> {
  const speaker = new SpeakerProcess(plan, {
    clock: new UptimeClock(),
    rng: new JitterRng(),
    logger,
    file: flags.file,
    load: (policies) => load(flags, policies),
    env: process.env,
  });
  const ending = new Ending(speaker, logger);
  let server: IpcServer | undefined;
  try {
    server = await listen(plan.name, flags.socket, (how, why) => ending.begin(how, why), speaker);
    await speaker.start();
  } catch (thrown) {
    await speaker.stop({});
    await server?.close();
    throw thrown;
  }
  if (!ending.begun) sayReady(speaker, server.path, logger);
  await ending.ended;
  await server.close();
  logger.log("info", ROOM, "exit", "all sessions are closed");
  return Exit.OK;
}

/** How the process comes to its end: by a signal, or because somebody asked. */
class Ending {
  readonly ended: Promise<void>;
  readonly #speaker: SpeakerProcess;
  readonly #logger: Logger;
  #begun = false;
  #onEnded: () => void = () => {};

  constructor(speaker: SpeakerProcess, logger: Logger) {
    this.#speaker = speaker;
    this.#logger = logger;
    this.ended = new Promise((resolve) => {
      this.#onEnded = resolve;
    });
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => this.begin({}, `${signal} received`));
    }
    process.on("SIGHUP", () => void this.#reload());
  }

  get begun(): boolean {
    return this.#begun;
  }

  begin(how: SpeakerStopArgs, why: string): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#logger.log("info", ROOM, "stop", why);
    void this.#speaker.stop(how).then(this.#onEnded);
  }

  async #reload(): Promise<void> {
    try {
      await this.#speaker.reload();
    } catch (thrown) {
      this.#logger.error(ROOM, "reload", thrown);
    }
  }
}

/** Scripts wait for this line: from now on neighbours may call. */
function sayReady(speaker: SpeakerProcess, socket: string, logger: Logger): void {
  const { plan, listening, metricsAddress } = speaker;
  const where =
    listening.length === 0 ? "taking no calls" : `listening on ${listening.map(({ at }) => at).join(", ")}`;
  logger.log("info", ROOM, "ready", `speaker of AS ${plan.speaker.localAs}, ${where}`, {
    listening: listening.map(({ at }) => at),
    sockets: listening.map((one) => one.socket),
    socket,
    ...(metricsAddress === undefined ? {} : { metrics: `http://${metricsAddress}/metrics` }),
  });
}

/** Opens the socket on which the speaker can be asked. @throws PodloomError PL_SPEAKER_NAME, PL_SOCKET_…, PL_RUNTIME_DIR */
async function listen(
  name: string,
  path: string | undefined,
  stop: (how: SpeakerStopArgs, why: string) => void,
  speaker: SpeakerProcess,
): Promise<IpcServer> {
  if (path === undefined) makeSpeakerFolder();
  const at = path ?? speakerSocket(name, process.env);
  try {
    return await IpcServer.listen(at, {
      from: name,
      onRequest: (request) => {
        // Late: most speakers of a mesh are never asked anything.
        import("./verbs.ts")
          .then(({ answer }) => answer(request, { process: speaker, stop }))
          .catch((thrown: unknown) => request.fail(thrown));
      },
    });
  } catch (thrown) {
    throw socketFault(thrown, name, at, path === undefined);
  }
}

/** @throws PodloomError PL_RUNTIME_DIR */
function makeSpeakerFolder(): void {
  const folder = speakerFolder(process.env);
  for (let attempt = 1; ; attempt++) {
    try {
      for (const one of [dirname(folder), folder]) makeOwnFolder(one);
      return;
    } catch (thrown) {
      if (thrown instanceof PodloomError) throw thrown;
      // The end of a lab may have removed the parent under our hands.
      if ((thrown as NodeJS.ErrnoException).code === "ENOENT" && attempt < 3) continue;
      throw new PodloomError("PL_RUNTIME_DIR", `the folder ${folder} cannot be made: ${messageOf(thrown)}`, {
        remedy: "Set XDG_RUNTIME_DIR to a folder that you may write to, or name a socket with --socket.",
        cause: thrown,
      });
    }
  }
}

function socketFault(thrown: unknown, name: string, path: string, byName: boolean): unknown {
  if (!(thrown instanceof PodloomError)) return thrown;
  switch (thrown.code) {
    case "PL_SOCKET_IN_USE":
      return byName
        ? new PodloomError("PL_SPEAKER_NAME", `a speaker called "${name}" runs already`, {
            remedy: "Stop that one, or give this one another name with --name.",
            cause: thrown,
          })
        : new PodloomError(thrown.code, thrown.message, {
            remedy: "Stop whoever listens there, or choose another path with --socket.",
            cause: thrown,
          });
    case "PL_SOCKET_PATH_TOO_LONG":
      return new PodloomError(thrown.code, thrown.message, {
        remedy: "Choose a shorter one with --socket, or set XDG_RUNTIME_DIR to a shorter folder.",
        cause: thrown,
      });
    case "PL_SOCKET_FAILED":
      return new PodloomError(thrown.code, thrown.message, {
        remedy: `See that you may write to ${dirname(path)}, or choose another path with --socket.`,
        cause: thrown,
      });
    default:
      return thrown;
  }
}

// Explicitly: a timer of a library must not keep a speaker that has ended.
void main(process.argv.slice(process.argv[2] === "bgp" ? 3 : 2)).then((code) => process.exit(code));
