// How `podloom up` starts a lab: with the supervisor in this very process, or in one of its own that outlives the command.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { removeEmptyFolders } from "../io/make-folder.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import type { Environment } from "../io/xdg-folders.ts";
import { startGuarded } from "./guarded-supervisor.ts";
import { type LabDirs, labDirs, makeStateFolder, removeSilentOutput, stateFault } from "./lab-dirs.ts";
import { type LabHolder, readHolder } from "./lab-lock.ts";
import type { DownResult, SupervisorEvent } from "./lab-protocol.ts";
import type { Lab } from "./resolve-lab.ts";
import { podloomProgram } from "./supervisor.ts";

/** A lab that has been started from here. */
export interface LabRun {
  readonly holder: LabHolder;
  /** Settles when the supervisor has ended: with the fault that ended it, or undefined. */
  readonly finished: Promise<PodloomError | undefined>;
  /** Stops it. Answers what that came to. */
  stop(): Promise<DownResult>;
  /** Kills everything at once. */
  kill(): void;
  /** Lets a detached lab live on; nothing for one in this process. */
  keep(): void;
}

/** What is asked of either way to start. */
export interface LaunchOptions {
  readonly env: Environment;
  readonly forceConfig: boolean;
  readonly onEvent: (event: SupervisorEvent) => void;
}

/** What passes between the command and a detached supervisor, over Node's IPC channel. */
export type DetachedOrder =
  | { readonly t: "start"; readonly lab: Lab; readonly forceConfig: boolean }
  | { readonly t: "stop" }
  | { readonly t: "kill" }
  /** The command is content and leaves; the lab stays. */
  | { readonly t: "keep" };
export type DetachedReport =
  | { readonly t: "event"; readonly event: SupervisorEvent }
  | { readonly t: "started"; readonly holder: LabHolder }
  | { readonly t: "ended" }
  | {
      readonly t: "refused";
      readonly code: string;
      readonly message: string;
      readonly remedy: string | undefined;
    };

/** Starts a lab with its supervisor in this process. Rejects as `Supervisor.start`. */
export async function launchHere(lab: Lab, options: LaunchOptions): Promise<LabRun> {
  const supervisor = await startGuarded(lab, options);
  return {
    holder: readHolder(supervisor.dirs.lock) as LabHolder,
    finished: supervisor.finished,
    stop: async () => supervisor.downResult(await supervisor.stop()),
    kill: () => supervisor.kill(),
    keep: () => undefined,
  };
}

/** Starts a lab with its supervisor in a process of its own. Rejects as `Supervisor.start`, and with PL_SUPERVISOR. */
export async function launchDetached(lab: Lab, options: LaunchOptions): Promise<LabRun> {
  const dirs = labDirs(lab.name, options.env);
  const child = spawnDetached(dirs, options.env);
  const send = (order: DetachedOrder): void => {
    if (child.connected) child.send(order);
  };
  let failure: PodloomError | undefined;
  let result: DownResult = { killed: [] };
  let kept = false;
  const started = new Promise<LabHolder>((resolve, reject) => {
    child.on("message", (message) => {
      const report = message as DetachedReport;
      if (report.t === "started") resolve(report.holder);
      if (report.t === "refused") reject(errorOf(report));
      if (report.t !== "event") return;
      if (report.event.t === "failed") failure = errorOf(report.event);
      if (report.event.t === "stopped") result = report.event;
      options.onEvent(report.event);
    });
    child.once("error", (error) => reject(notStarted(error)));
    child.once("exit", () => reject(supervisorGone(dirs)));
  });
  const finished = new Promise<PodloomError | undefined>((resolve) => {
    child.once("exit", (code) => resolve(failure ?? (code === 0 || kept ? undefined : supervisorGone(dirs))));
  });
  send({ t: "start", lab, forceConfig: options.forceConfig });
  const holder = await started.catch((thrown: unknown) => {
    // A start that was refused leaves no file without a word in it; one that runs already writes to the same.
    if (readHolder(dirs.lock) === undefined) removeSilentOutput(dirs);
    throw thrown;
  });
  return {
    holder,
    finished,
    stop: async () => {
      send({ t: "stop" });
      await finished;
      return result;
    },
    kill: () => send({ t: "kill" }),
    keep: () => {
      kept = true;
      send({ t: "keep" });
      child.unref();
    },
  };
}

function spawnDetached(dirs: LabDirs, env: Environment): ChildProcess {
  makeStateFolder(dirs.state);
  const fd = openOutput(dirs);
  const [node, ...args] = podloomProgram() as [string, ...string[]];
  try {
    return spawn(node, [...args, "__supervise"], {
      env: { ...env },
      cwd: "/",
      detached: true,
      stdio: ["ignore", fd, fd, "ipc"],
    });
  } catch (thrown) {
    throw notStarted(thrown);
  } finally {
    closeSync(fd);
  }
}

function openOutput(dirs: LabDirs): number {
  try {
    return openSync(dirs.output, "a", 0o600);
  } catch (thrown) {
    removeEmptyFolders([dirs.state, dirname(dirs.state)]);
    throw stateFault(dirs.state, thrown);
  }
}

function errorOf(report: {
  readonly code: string;
  readonly message: string;
  readonly remedy: string | undefined;
}) {
  return new PodloomError(report.code, report.message, { remedy: report.remedy });
}

function notStarted(cause: unknown): PodloomError {
  return new PodloomError(
    "PL_SUPERVISOR",
    `the supervisor in the background could not be started: ${messageOf(cause)}`,
    { remedy: "Without -d the lab runs in this process.", cause },
  );
}

function supervisorGone({ output }: LabDirs): PodloomError {
  return new PodloomError("PL_SUPERVISOR", "the supervisor in the background ended unexpectedly", {
    remedy: `Its last words are in ${output}`,
  });
}
