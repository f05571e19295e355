// Where a lab keeps its things. The runtime folder (socket, lock) goes with the lab; the state folder keeps the logs.
import { lstatSync, mkdirSync, rmdirSync, rmSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { PodloomError } from "../io/podloom-error.ts";

/** Longest path that a unix socket may have here, in bytes: the system allows 103 to 107, the making of it needs some more. */
const SOCKET_PATH_MAX = 93;

/** The variables that decide where things are; `process.env` outside of tests. */
export type Environment = Readonly<Record<string, string | undefined>>;

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
  /** The lab as it was resolved. */
  readonly labJson: string;
  /** One folder a node for what it keeps across restarts. */
  readonly nodes: string;
  /** The store's data. */
  readonly store: string;
}

/** `$XDG_RUNTIME_DIR/podloom`, or `/tmp/podloom-<uid>` where there is none. */
export function runtimeRoot(env: Environment): string {
  const xdg = env.XDG_RUNTIME_DIR;
  if (xdg !== undefined && xdg.startsWith("/")) return join(xdg, "podloom");
  return join(tmpdir(), `podloom-${userInfo().uid}`);
}

/** `$XDG_STATE_HOME/podloom`, or `~/.local/state/podloom`. */
export function stateRoot(env: Environment): string {
  const xdg = env.XDG_STATE_HOME;
  if (xdg !== undefined && xdg.startsWith("/")) return join(xdg, "podloom");
  return join(env.HOME ?? homedir(), ".local", "state", "podloom");
}

/** The paths of the lab `name`. Creates nothing. */
export function labDirs(name: string, env: Environment): LabDirs {
  const runtime = join(runtimeRoot(env), name);
  const state = join(stateRoot(env), name);
  return {
    runtime,
    socket: join(runtime, "lab.sock"),
    lock: join(runtime, "lab.lock"),
    children: join(runtime, "children.json"),
    state,
    logs: join(state, "logs"),
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
  const root = join(dirs.runtime, "..");
  for (const folder of [root, dirs.runtime]) {
    try {
      mkdirSync(folder, { recursive: folder === root, mode: 0o700 });
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === "EEXIST") continue;
      throw new PodloomError("PL_RUNTIME_DIR", `cannot create ${folder}: ${(thrown as Error).message}`, {
        remedy: "Set XDG_RUNTIME_DIR to a folder that you may write to.",
        cause: thrown,
      });
    }
  }
  for (const folder of [root, dirs.runtime]) assertOwn(folder);
}

/** In /tmp anybody could have made the folder first, and would then read and replace what is in it. */
function assertOwn(folder: string): void {
  const stat = lstatSync(folder);
  const uid = process.getuid?.();
  if (stat.isDirectory() && (uid === undefined || stat.uid === uid) && (stat.mode & 0o022) === 0) return;
  throw new PodloomError("PL_RUNTIME_DIR", `${folder} is not a folder that only you can write to`, {
    remedy: "Remove it, or set XDG_RUNTIME_DIR to a folder of your own.",
  });
}

/** Creates the state folder afresh: logs of this run only, nothing of an earlier one. */
export function makeStateDir(dirs: LabDirs): void {
  try {
    for (const folder of [dirs.logs, dirs.nodes, dirs.store])
      rmSync(folder, { recursive: true, force: true });
    for (const folder of [dirs.logs, dirs.nodes, dirs.store])
      mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw new PodloomError("PL_STATE_DIR", `cannot create ${dirs.state}: ${(thrown as Error).message}`, {
      remedy: "Set XDG_STATE_HOME to a folder that you may write to.",
      cause: thrown,
    });
  }
}

/** Removes the runtime folder, and its parent when no other lab runs. */
export function removeRuntimeDir(dirs: LabDirs): void {
  rmSync(dirs.runtime, { recursive: true, force: true });
  try {
    rmdirSync(join(dirs.runtime, ".."));
  } catch {
    // Not empty: another lab runs.
  }
}

/** Removes what a stopped lab needs no more: the nodes' state and the store's data. The logs stay. */
export function removeRunState(dirs: LabDirs): void {
  for (const path of [dirs.nodes, dirs.store]) rmSync(path, { recursive: true, force: true });
}
