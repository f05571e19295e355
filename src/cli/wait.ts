import { PodloomError } from "../io/podloom-error.ts";
import { waitForConvergence } from "../measure/convergence.ts";
import { type CommandContext, onSignals, withLab } from "./command-context.ts";
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
    const signals = onSignals(() => abort.abort(new PodloomError("PL_INTERRUPTED", "interrupted")));
    progress.begin("wait", `for ${flags.goal}`);
    try {
      const result = await waitForConvergence((withStore) => lookAt(client, withStore), {
        goal: flags.goal,
        timeoutMs: flags.timeoutMs,
        pollMs: POLL_MS,
        signal: abort.signal,
        onProgress: (seen) =>
          progress.update(`${seen.ready}/${seen.nodes} nodes ready; waiting for ${seen.waitingFor}`),
      });
      progress.end();
      if (!result.converged) {
        const after = formatElapsed(flags.timeoutMs);
        throw new PodloomError(
          "PL_TIMEOUT",
          `not ${flags.goal} after ${after}: waiting for ${result.waitingFor}`,
        );
      }
      cx.terminal.print(
        `${flags.goal}: ${result.nodes} nodes${flags.goal === "converged" ? `, ${result.leases} leases` : ""}`,
      );
      return ExitCode.DONE;
    } finally {
      progress.end();
      signals.dispose();
    }
  });
}
