// A supervisor whose own faults do not tear its lab down unexplained: what nobody caught is logged, and the lab is stopped in
// order, whether the supervisor has a process of its own or shares that of the command.
import { messageOf } from "../io/podloom-error.ts";
import { labDirs, removeFailedStart } from "./lab-dirs.ts";
import { readHolder } from "./lab-lock.ts";
import type { Lab } from "./resolve-lab.ts";
import { Supervisor, type SupervisorOptions } from "./supervisor.ts";

/** Exit code of a process that met a fault of its own. */
export const EXIT_CRASHED = 70;
/** Longest orderly stop after a fault: what the nodes and the store have, and some more. Another fault may have broken it. */
const STOP_MS_MAX = 20_000;

/** Starts a lab. Until it has ended, every error that nobody caught ends it. Rejects as {@link Supervisor.start}. */
export async function startGuarded(lab: Lab, options: SupervisorOptions): Promise<Supervisor> {
  let supervisor: Supervisor | undefined;
  const hear = (event: string) => (thrown: unknown) => {
    if (supervisor === undefined) dieAtOnce(lab, options, thrown);
    supervisor.crashed(event, thrown);
    const running = supervisor;
    const late = setTimeout(() => {
      running.kill();
      process.exit(EXIT_CRASHED);
    }, STOP_MS_MAX);
    late.unref();
  };
  const ears = {
    uncaughtException: hear("uncaughtException"),
    unhandledRejection: hear("unhandledRejection"),
  };
  for (const [event, ear] of Object.entries(ears)) process.on(event, ear);
  const deafen = (): void => {
    for (const [event, ear] of Object.entries(ears)) process.off(event, ear);
  };
  try {
    supervisor = await Supervisor.start(lab, options);
  } catch (thrown) {
    deafen();
    throw thrown;
  }
  void supervisor.finished.then(deafen);
  return supervisor;
}

/** There is no lab yet that could be stopped: what was started so far ends with this process. */
function dieAtOnce(lab: Lab, options: SupervisorOptions, thrown: unknown): never {
  const dirs = labDirs(lab.name, options.env);
  if (readHolder(dirs.lock)?.supervisor.pid === process.pid) removeFailedStart(dirs);
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  process.stderr.write(`podloom: a fault of its own: ${stack ?? messageOf(thrown)}\n`);
  process.exit(EXIT_CRASHED);
}
