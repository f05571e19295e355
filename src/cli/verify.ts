import { countOf } from "../base/count-of.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { measureReachability, REACHABILITY_DEFAULTS } from "../measure/reachability.ts";
import { type CommandContext, interruption, onSignals, withLab } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import { listPods, type PodList } from "./lab-view.ts";
import { Progress } from "./progress.ts";
import { printReachability } from "./reachability-view.ts";

/** The flags of `verify`, read. */
export interface VerifyFlags {
  readonly lab: string | undefined;
  readonly count: number;
  readonly seed: number;
  /** Take no sample, however many pairs there are. */
  readonly allPairs: boolean;
  readonly format: "table" | "json";
}

/** `podloom verify`: pings every ordered pair, or a sample of them. Answers the exit code: 1 on any loss. */
export function verify(flags: VerifyFlags, cx: CommandContext): Promise<number> {
  return withLab(flags.lab, cx, async (client) => {
    const progress = new Progress(cx.terminal);
    const abort = new AbortController();
    const signals = onSignals(() => abort.abort(interruption("interrupted before every pair was pinged")));
    try {
      const { pods, missing } = await listPods(client);
      if (pods.length < 2) throw tooFewPods(pods.length, missing);
      progress.begin("pings", `${pods.length} pods`);
      const result = await measureReachability(client, pods, {
        ...REACHABILITY_DEFAULTS,
        count: flags.count,
        seed: flags.seed,
        ...(flags.allPairs ? { pairsMax: Number.POSITIVE_INFINITY } : {}),
        signal: abort.signal,
        onProgress: (done, pairs) => progress.update(`${done}/${pairs} ordered pod pairs`),
      });
      progress.end();
      const { pairs, ...summary } = result;
      if (flags.format === "json") cx.terminal.print(JSON.stringify({ items: pairs, summary }, null, 2));
      else printReachability(result, cx.terminal);
      for (const { node, why } of missing)
        cx.terminal.note(`node ${node} and its pods were left out: ${why}`);
      return result.pairsWithLoss === 0 && missing.length === 0 ? ExitCode.DONE : ExitCode.FAILED;
    } finally {
      progress.end();
      signals.dispose();
    }
  });
}

function tooFewPods(count: number, missing: PodList["missing"]): PodloomError {
  const verb = count === 1 ? "is" : "are";
  const silent = missing.map(({ node, why }) => `; node ${node} could not be asked: ${why}`).join("");
  return new PodloomError("PL_NO_POD", `there ${verb} ${countOf(count, "pod")}; a pair needs two${silent}`, {
    remedy: "`podloom get nodes -o wide` shows what runs; more pods: podloom up --nodes 2 --pods 2.",
  });
}
