import { countOf } from "../base/count-of.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { removeDeadLab } from "../lab/dead-lab.ts";
import { findLab, stopLab } from "../lab/lab-client.ts";
import { deadLabs, type LabHolder, runningLabs } from "../lab/lab-lock.ts";
import { type CommandContext, labName } from "./command-context.ts";
import { downText } from "./down-text.ts";
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
    await endAll(cx);
    return ExitCode.DONE;
  }
  const name = labName(flags.name, cx);
  const dead = deadLabs(cx.env);
  const meant = name === undefined ? onlyDead(dead, cx) : dead.find((lab) => lab.name === name);
  if (meant !== undefined) {
    await removeOne(meant, cx);
    return ExitCode.DONE;
  }
  await stopOne(findLab(cx.env, name), cx);
  if (name === undefined) for (const lab of dead) cx.terminal.note(leftBehind(lab));
  return ExitCode.DONE;
}

/** The one that is meant without a name when no lab runs. @throws PodloomError PL_AMBIGUOUS_LAB */
function onlyDead(dead: readonly LabHolder[], cx: CommandContext): LabHolder | undefined {
  if (runningLabs(cx.env).length > 0) return undefined;
  if (dead.length <= 1) return dead[0];
  const names = dead.map((lab) => lab.name).join(", ");
  throw new PodloomError(
    "PL_AMBIGUOUS_LAB",
    `several labs were left by supervisors that were killed: ${names}`,
    {
      remedy: "Say which with podloom down NAME, or clean up after all of them with podloom down --all.",
    },
  );
}

/** Every lab is tried, whatever becomes of the others; the first fault is thrown at the end. */
async function endAll(cx: CommandContext): Promise<void> {
  const [running, dead] = [runningLabs(cx.env), deadLabs(cx.env)];
  if (running.length + dead.length === 0) cx.terminal.note("no lab runs");
  const faults: unknown[] = [];
  const each = async (labs: readonly LabHolder[], end: typeof stopOne): Promise<void> => {
    for (const lab of labs) await end(lab, cx).catch((thrown: unknown) => faults.push(thrown));
  };
  await each(running, stopOne);
  await each(dead, removeOne);
  if (faults.length > 0) throw faults[0];
}

async function stopOne(lab: LabHolder, cx: CommandContext): Promise<void> {
  const progress = new Progress(cx.terminal);
  progress.begin("stop", `lab "${lab.name}"`);
  try {
    progress.done(downText(lab.name, await stopLab(lab, DOWN_TIMEOUT_MS)));
  } finally {
    progress.end();
  }
}

/** Removes what a killed supervisor left. */
async function removeOne(lab: LabHolder, cx: CommandContext): Promise<void> {
  const progress = new Progress(cx.terminal);
  progress.begin("clean", `what is left of lab "${lab.name}"`);
  try {
    const killed = await removeDeadLab(lab, cx.env);
    const hard = killed === 0 ? "" : `; ${countOf(killed, "process", "processes")} had to be killed`;
    progress.done(`${wasKilled(lab)}; what it left is removed${hard}`);
  } finally {
    progress.end();
  }
}

function wasKilled(lab: LabHolder): string {
  return `the supervisor of "${lab.name}", process ${lab.supervisor.pid}, was killed`;
}

function leftBehind(lab: LabHolder): string {
  return `${wasKilled(lab)}: podloom down ${lab.name} removes what it left`;
}
