// Where a lab keeps its things. The runtime folder (socket, lock) goes with the lab; the state folder keeps the logs.
import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeFolder, makeOwnFolder, removeEmptyFolders } from "../io/make-folder.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import { type Environment, runtimeRoot, stateRoot } from "../io/xdg-folders.ts";
import { requireLabName } from "./lab-name.ts";

/** Longest path that a unix socket may have here, in bytes: the system allows 103 to 107, the making of it needs some more. */
const SOCKET_PATH_MAX = 93;

/** All paths of one lab. */
export interface LabDirs {
  /** Mode 0700; gone when the lab is down. */
  readonly runtime: string;
  readonly socket: string;
  readonly lock: string;
  /** Processes that the supervisor started, so that a later one can tell what a killed one left. */
  readonly children: string;
  readonly state: string;
  readonly logs: string;
  /** What a supervisor in the background wrote besides its log. Beside the logs: those are begun anew by the supervisor. */
  readonly output: string;
  /** The lab as it was resolved. */
  readonly labJson: string;
  /** One folder a node for what it keeps across restarts. */
  readonly nodes: string;
  /** The store's data. */
  readonly store: string;
}

/** The paths of the lab `name`. Creates nothing. @throws PodloomError PL_USAGE when no lab can have that name */
export function labDirs(name: string, env: Environment): LabDirs {
  requireLabName(name);
  const runtime = join(runtimeRoot(env), name);
  const state = join(stateRoot(env), name);
  return {
    runtime,
    socket: join(runtime, "lab.sock"),
    lock: join(runtime, "lab.lock"),
    children: join(runtime, "children.json"),
    state,
    logs: join(state, "logs"),
    output: join(state, "supervisor-output.log"),
    labJson: join(state, "lab.json"),
    nodes: join(state, "nodes"),
    store: join(state, "store"),
  };
}

/** The log of a node, of `store` or of `supervisor`. */
export function logPath(dirs: LabDirs, source: string): string {
  return join(dirs.logs, `${source}.log`);
}

/**
 * Creates the runtime folder for its owner alone.
 *
 * @throws PodloomError PL_RUNTIME_DIR when it belongs to somebody else or cannot be made, or the socket's path is too long
 */
export function makeRuntimeDir(dirs: LabDirs): void {
  if (Buffer.byteLength(dirs.socket) > SOCKET_PATH_MAX) {
    throw new PodloomError(
      "PL_RUNTIME_DIR",
      `the control socket ${dirs.socket} would have a path of more than ${SOCKET_PATH_MAX} bytes, which no unix socket can have`,
      { remedy: "Give the lab a shorter name, or set XDG_RUNTIME_DIR to a shorter folder." },
    );
  }
  for (let attempt = 1; ; attempt++) {
    try {
      for (const folder of [dirname(dirs.runtime), dirs.runtime]) makeOwnFolder(folder);
      return;
    } catch (thrown) {
      // The end of another lab may have removed the parent under our hands.
      const again = (thrown as NodeJS.ErrnoException).code === "ENOENT" && attempt < 3;
      if (!again) throw runtimeFault(dirs.runtime, thrown);
    }
  }
}

/** Creates the state folder afresh: logs of this run only, nothing of an earlier one. @throws PodloomError PL_STATE_DIR */
export function makeStateDir(dirs: LabDirs): void {
  const folders = [dirs.logs, dirs.nodes, dirs.store];
  try {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  } catch (thrown) {
    throw stateFault(dirs.state, thrown);
  }
  for (const folder of folders) makeStateFolder(folder);
}

/** Notes the lab as it was resolved. @throws PodloomError PL_STATE_DIR */
export function writeLabJson(dirs: LabDirs, lab: unknown): void {
  try {
    writeFileSync(dirs.labJson, `${JSON.stringify(lab, null, 2)}\n`, { mode: 0o600 });
  } catch (thrown) {
    throw stateFault(dirs.state, thrown);
  }
}

/** Creates a folder below the state folder. @throws PodloomError PL_STATE_DIR */
export function makeStateFolder(folder: string): void {
  try {
    makeFolder(folder, 0o700);
  } catch (thrown) {
    throw stateFault(folder, thrown);
  }
}

/** What went wrong in a runtime folder as an error for people; one that is such already stays as it is. */
export function runtimeFault(folder: string, thrown: unknown): PodloomError {
  return folderFault("PL_RUNTIME_DIR", folder, "XDG_RUNTIME_DIR", thrown);
}

/** What went wrong in a state folder as an error for people; one that is such already stays as it is. */
export function stateFault(folder: string, thrown: unknown): PodloomError {
  return folderFault("PL_STATE_DIR", folder, "XDG_STATE_HOME", thrown);
}

function folderFault(code: string, folder: string, variable: string, thrown: unknown): PodloomError {
  if (thrown instanceof PodloomError) return thrown;
  const full = ["ENOSPC", "EDQUOT"].includes((thrown as NodeJS.ErrnoException)?.code ?? "");
  return new PodloomError(code, `cannot write to ${folder}: ${messageOf(thrown)}`, {
    remedy: full
      ? `Make room on that disk, or set ${variable} to a folder on another one.`
      : `Set ${variable} to a folder that you may write to.`,
    cause: thrown,
  });
}

/** Removes the runtime folder, and its parent when no other lab runs. */
export function removeRuntimeDir(dirs: LabDirs): void {
  rmSync(dirs.runtime, { recursive: true, force: true });
  removeEmptyFolders([dirname(dirs.runtime)]);
}

/** Removes what a stopped lab needs no more: the nodes' state and the store's data. The logs stay. */
export function removeRunState(dirs: LabDirs): void {
  for (const path of [dirs.nodes, dirs.store]) rmSync(path, { recursive: true, force: true });
}

/**
 * Removes all that goes with a lab; the logs stay. What cannot be removed does not keep the rest.
 *
 * @throws PodloomError PL_STATE_DIR or PL_RUNTIME_DIR: the first fault
 */
export function removeLab(dirs: LabDirs): void {
  let fault: PodloomError | undefined;
  try {
    removeRunState(dirs);
  } catch (thrown) {
    fault = stateFault(dirs.state, thrown);
  }
  try {
    removeRuntimeDir(dirs);
  } catch (thrown) {
    fault ??= runtimeFault(dirs.runtime, thrown);
  }
  if (fault !== undefined) throw fault;
}

/** Removes what a start that failed left, its logs too when they say nothing. Never throws: the failure is the one to tell. */
export function removeFailedStart(dirs: LabDirs): void {
  try {
    removeLab(dirs);
  } catch {
    // Most likely the same fault once more.
  }
  removeSilentLogs(dirs);
}

function removeSilentLogs(dirs: LabDirs): void {
  try {
    for (const name of readdirSync(dirs.logs)) removeIfSilent(join(dirs.logs, name));
    if (readdirSync(dirs.logs).length === 0) rmSync(dirs.labJson, { force: true });
  } catch {
    // There are none.
  }
  removeEmptyFolders([dirs.logs, dirs.state, dirname(dirs.state)]);
}

/** Removes the file of a supervisor in the background that never came to write to it, and the folders made for it. */
export function removeSilentOutput(dirs: LabDirs): void {
  removeIfSilent(dirs.output);
  removeEmptyFolders([dirs.state, dirname(dirs.state)]);
}

function removeIfSilent(log: string): void {
  try {
    if (statSync(log).size === 0) rmSync(log);
  } catch {
    // It is gone, or is not ours to remove.
  }
}
