import { countOf } from "../base/count-of.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { type LabView, POD_REMEDY, type SubnetUnit, waitForConvergence } from "../measure/convergence.ts";
import { type CommandContext, interruption, onSignals, withLab } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import { formatElapsed } from "./format.ts";
import { lookAt } from "./lab-view.ts";
import { Progress } from "./progress.ts";

/** The flags of `wait`, read. */
export interface WaitFlags {
  readonly lab: string | undefined;
  readonly goal: "ready" | "converged";
  readonly timeoutMs: number;
}

const POLL_MS = 100;

/** `podloom wait --for=converged --timeout 60s`. Answers the exit code: 4 when time ran out. */
export function wait(flags: WaitFlags, cx: CommandContext): Promise<number> {
  return withLab(flags.lab, cx, async (client) => {
    const progress = new Progress(cx.terminal);
    const abort = new AbortController();
    const signals = onSignals(() =>
      abort.abort(interruption(`interrupted before the lab was ${flags.goal}`)),
    );
    progress.begin("wait", `for ${flags.goal}`);
    try {
      let unit: SubnetUnit = "lease";
      const look = async (withStore: boolean): Promise<LabView> => {
        const view = await lookAt(client, withStore);
        unit = view.unit ?? unit;
        return view;
      };
      const result = await waitForConvergence(look, {
        goal: flags.goal,
        timeoutMs: flags.timeoutMs,
        pollMs: POLL_MS,
        signal: abort.signal,
        onProgress: (seen) =>
          progress.update(
            `${seen.ready}/${countOf(seen.nodes, "node")} ready; waiting for ${seen.waitingFor}`,
          ),
      });
      progress.end();
      if (result.hopeless) {
        throw new PodloomError("PL_POD_REFUSED", `never ${flags.goal}: ${result.waitingFor}`, {
          remedy: POD_REMEDY,
        });
      }
      if (!result.converged) {
        const after = formatElapsed(flags.timeoutMs);
        throw new PodloomError(
          "PL_TIMEOUT",
          `not ${flags.goal} after ${after}: waiting for ${result.waitingFor}`,
          {
            remedy: "`podloom get nodes -o wide` and `podloom logs` say more; --timeout 5m waits longer.",
          },
        );
      }
      const agreed = flags.goal === "converged" ? `, ${countOf(result.leases, unit)}` : "";
      cx.terminal.print(`${flags.goal}: ${countOf(result.nodes, "node")}${agreed}`);
      return ExitCode.DONE;
    } finally {
      progress.end();
      signals.dispose();
    }
  });
}
