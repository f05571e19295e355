import { findLab, stopLab } from "../lab/lab-client.ts";
import { labDirs, removeRunState, removeRuntimeDir } from "../lab/lab-dirs.ts";
import { type LabHolder, readHolder, runningLabs } from "../lab/lab-lock.ts";
import { clearOrphans } from "../lab/lab-preflight.ts";
import { type CommandContext, labName } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import { Progress } from "./progress.ts";

/** Longest stop that is waited for: what the supervisor itself allows its children, and some more. */
const DOWN_TIMEOUT_MS = 20_000;

/** `podloom down [NAME] [--all]`. Answers the exit code. */
export async function down(
  flags: { readonly name: string | undefined; readonly all: boolean },
  cx: CommandContext,
): Promise<number> {
  if (flags.all) {
    const labs = runningLabs(cx.env);
    if (labs.length === 0) cx.terminal.note("no lab runs");
    for (const lab of labs) await stopOne(lab, cx);
    return ExitCode.DONE;
  }
  const name = labName(flags.name, cx);
  if (name !== undefined && (await cleanDead(name, cx))) return ExitCode.DONE;
  await stopOne(findLab(cx.env, name), cx);
  return ExitCode.DONE;
}

async function stopOne(lab: LabHolder, cx: CommandContext): Promise<void> {
  const progress = new Progress(cx.terminal);
  progress.begin("stop", `lab "${lab.name}"`);
  try {
    const killed = await stopLab(lab, DOWN_TIMEOUT_MS);
    const hard = killed.length === 0 ? "" : `; had to be killed: ${killed.join(", ")}`;
    progress.done(`lab "${lab.name}" is down: no process, socket or lease is left${hard}`);
  } finally {
    progress.end();
  }
}

/** Removes what a killed supervisor left. Answers whether there was something. */
async function cleanDead(name: string, cx: CommandContext): Promise<boolean> {
  const dirs = labDirs(name, cx.env);
  const holder = readHolder(dirs.lock);
  if (holder === undefined || runningLabs(cx.env).some((lab) => lab.name === name)) return false;
  await clearOrphans(dirs);
  removeRunState(dirs);
  removeRuntimeDir(dirs);
  cx.terminal.note(
    `the supervisor of "${name}", process ${holder.supervisor.pid}, was dead; what it left is removed`,
  );
  return true;
}
