// Where podloom keeps its things, as the XDG base directory specification has it.
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** The variables that decide where things are; `process.env` outside of tests. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** `$XDG_RUNTIME_DIR/podloom`, or `/tmp/podloom-<uid>` where there is none: sockets and locks. */
export function runtimeRoot(env: Environment): string {
  const xdg = env.XDG_RUNTIME_DIR;
  if (xdg !== undefined && xdg.startsWith("/")) return join(xdg, "podloom");
  return join(tmpdir(), `podloom-${userInfo().uid}`);
}

/** `$XDG_STATE_HOME/podloom`, or `~/.local/state/podloom`: what outlives a process. */
export function stateRoot(env: Environment): string {
  const xdg = env.XDG_STATE_HOME;
  if (xdg !== undefined && xdg.startsWith("/")) return join(xdg, "podloom");
  return join(env.HOME ?? homedir(), ".local", "state", "podloom");
}
