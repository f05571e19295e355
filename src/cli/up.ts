// `podloom up`: starts a lab, waits until it has converged, pings every pair, shows what there is, and stays.

import { countOf } from "../base/count-of.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import { describeEvent } from "../lab/describe-event.ts";
import { LabClient } from "../lab/lab-client.ts";
import type { SupervisorEvent } from "../lab/lab-protocol.ts";
import { type LabRun, launchDetached, launchHere } from "../lab/launch.ts";
import type { Lab } from "../lab/resolve-lab.ts";
import { POD_REMEDY, waitForConvergence } from "../measure/convergence.ts";
import { measureReachability, REACHABILITY_DEFAULTS, type Reachability } from "../measure/reachability.ts";
import { type CommandContext, onSignals } from "./command-context.ts";
import { downText } from "./down-text.ts";
import { ExitCode } from "./exit-code.ts";
import { formatElapsed } from "./format.ts";
import { listPods, lookAt, unitOf } from "./lab-view.ts";
import { loadLab } from "./load-lab.ts";
import { Progress } from "./progress.ts";
import { printSummary } from "./up-summary.ts";

/** The flags of `up`, read. */
export interface UpFlags {
  readonly file: string | undefined;
  readonly lab: string | undefined;
  readonly nodes: number | undefined;
  readonly pods: number | undefined;
  readonly store: string | undefined;
  readonly storeClient: string | undefined;
  readonly detach: boolean;
  /** Undefined: a minute, and more for many nodes. */
  readonly timeoutMs: number | undefined;
  readonly verify: boolean;
  readonly forceConfig: boolean;
}

const POLL_MS = 100;

/** Runs `up`. Answers the exit code. */
export async function up(flags: UpFlags, cx: CommandContext): Promise<number> {
  const { lab: name, nodes, pods: podsEach, store, storeClient } = flags;
  const overrides = { name, nodes, pods: podsEach, store, storeClient };
  const { lab, file } = loadLab(flags.file, overrides, cx.cwd);
  const progress = new Progress(cx.terminal);
  const pods = lab.nodes.reduce((sum, node) => sum + node.pods.length, 0);
  const what = [
    countOf(lab.nodes.length, "node"),
    countOf(pods, "pod"),
    ...(lab.routers.length > 0 ? [countOf(lab.routers.length, "router")] : []),
    ...(lab.announcers.length > 0 ? [countOf(lab.announcers.length, "announcer")] : []),
  ].join(", ");
  cx.terminal.note(`lab "${lab.name}": ${what}, ${lab.backend}, from ${file ?? "the built-in default"}`);
  const session = new UpSession(lab, flags, cx, progress);
  try {
    return await session.run();
  } finally {
    progress.end();
    session.dispose();
  }
}

/** One run of the command. */
class UpSession {
  readonly #lab: Lab;
  readonly #flags: UpFlags;
  readonly #cx: CommandContext;
  readonly #progress: Progress;
  readonly #abort = new AbortController();
  readonly #signals: { dispose(): void };
  readonly #startedMs = performance.now();
  #run: LabRun | undefined;
  #interrupted = false;
  /** Everything is up: from here Ctrl-C is the ordinary end. */
  #up = false;
  /** Tells the foreground's wait that somebody pressed Ctrl-C. */
  #wake: () => void = () => undefined;

  constructor(lab: Lab, flags: UpFlags, cx: CommandContext, progress: Progress) {
    this.#lab = lab;
    this.#flags = flags;
    this.#cx = cx;
    this.#progress = progress;
    this.#signals = onSignals((_, nth) => this.#signalled(nth));
  }

  dispose(): void {
    this.#signals.dispose();
  }

  async run(): Promise<number> {
    this.#progress.begin("store", this.#flags.store ?? this.#lab.store.kind);
    const options = {
      env: this.#cx.env,
      forceConfig: this.#flags.forceConfig,
      onEvent: (event: SupervisorEvent) => this.#told(event),
    };
    const run = await (this.#flags.detach
      ? launchDetached(this.#lab, options)
      : launchHere(this.#lab, options));
    this.#run = run;
    // A lab that fails ends whatever waits for it.
    let failure: PodloomError | undefined;
    const failed = run.finished.then((error) => {
      failure = error;
      this.#abort.abort(error ?? endedElsewhere());
      this.#wake();
    });
    let exitCode: number = ExitCode.FAILED;
    try {
      if (this.#interrupted) throw interruption();
      exitCode = await this.#bringUp(run);
    } catch (thrown) {
      this.#progress.end();
      await this.#stop(run);
      await failed;
      throw failure ?? (this.#interrupted ? interruption() : thrown);
    }
    if (this.#flags.detach) {
      run.keep();
      return exitCode;
    }
    await Promise.race([failed, this.#untilSignal()]);
    if (failure !== undefined) throw failure;
    await this.#stop(run);
    return exitCode;
  }

  /** From the first process to the summary. Answers the exit code that the end will have. */
  async #bringUp(run: LabRun): Promise<number> {
    const client = await LabClient.connect(run.holder);
    try {
      await this.#converge(client);
      const reachability = this.#flags.verify ? await this.#verify(client) : undefined;
      this.#up = true;
      const elapsed = formatElapsed(performance.now() - this.#startedMs);
      await printSummary(client, reachability, { elapsed, detached: this.#flags.detach }, this.#cx);
      return reachability === undefined || reachability.pairsWithLoss === 0 ? ExitCode.DONE : ExitCode.FAILED;
    } finally {
      await client.close();
    }
  }

  async #converge(client: LabClient): Promise<void> {
    const nodes = this.#lab.nodes.length;
    const timeoutMs = this.#flags.timeoutMs ?? convergenceTimeoutMs(this.#lab);
    const result = await waitForConvergence((withStore) => lookAt(client, withStore), {
      goal: "converged",
      timeoutMs,
      pollMs: POLL_MS,
      signal: this.#abort.signal,
      onProgress: (seen) =>
        this.#progress.update(
          `${seen.ready}/${countOf(seen.nodes, "node")} ready; waiting for ${seen.waitingFor}`,
        ),
    });
    if (result.hopeless) {
      throw new PodloomError("PL_POD_REFUSED", `not converged: ${result.waitingFor}`, { remedy: POD_REMEDY });
    }
    if (!result.converged) {
      throw new PodloomError(
        "PL_TIMEOUT",
        `not converged after ${formatElapsed(timeoutMs)}: ${result.ready} of ${countOf(nodes, "node")} ready; waiting for ${result.waitingFor}`,
        { remedy: `\`podloom logs --lab ${this.#lab.name}\` says more; --timeout 5m waits longer.` },
      );
    }
    const agree = nodes === 1 ? "agrees" : "agree";
    this.#progress.done(
      `${countOf(nodes, "node")} ${agree} on ${countOf(result.leases, unitOf(this.#lab.calico === undefined ? "flannel" : "calico"))}`,
    );
  }

  async #verify(client: LabClient): Promise<Reachability> {
    const { pods, missing } = await listPods(client);
    for (const { node, why } of missing) this.#progress.note(`node ${node} could not be asked: ${why}`);
    this.#progress.begin("pings", countOf(pods.length, "pod"));
    const result = await measureReachability(client, pods, {
      ...REACHABILITY_DEFAULTS,
      signal: this.#abort.signal,
      onProgress: (done, pairs) => this.#progress.update(`${done}/${pairs} ordered pod pairs`),
    });
    const lost = countOf(result.sent - result.received, "ping");
    this.#progress.done(`${countOf(result.pairs.length, "ordered pod pair")}, ${lost} lost`);
    return result;
  }

  async #stop(run: LabRun): Promise<void> {
    this.#progress.begin("stop", "leases are revoked, processes end");
    try {
      this.#progress.done(downText(this.#lab.name, await run.stop()));
    } catch (thrown) {
      this.#progress.note(messageOf(thrown));
    }
  }

  #untilSignal(): Promise<void> {
    if (this.#interrupted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #signalled(nth: number): void {
    if (nth > 1) {
      this.#progress.note("killing everything");
      this.#run?.kill();
      if (this.#run === undefined) process.exit(ExitCode.INTERRUPTED);
      return;
    }
    this.#interrupted = true;
    if (this.#cx.terminal.noteIsTerminal) this.#progress.note("");
    if (!this.#up) this.#progress.note("interrupted: stopping (again: kill)");
    this.#abort.abort(interruption());
    this.#wake();
  }

  #told(event: SupervisorEvent): void {
    const progress = this.#progress;
    switch (event.t) {
      case "store":
        progress.done(event.store.text);
        progress.begin("nodes", "starting");
        return;
      case "nodeStarted":
        if (!this.#up) progress.update(`${event.running}/${event.nodes} running`);
        return;
      case "nodeReady":
        if (!this.#up) progress.update(`${event.ready}/${event.nodes} ready`);
        return;
      case "tookOver":
      case "nodeEnded":
      case "storeEnded":
      case "storeBack":
        progress.note(describeEvent(event));
        return;
      case "failed":
      case "stopping":
      case "stopped":
        return;
    }
  }
}

/** Calico's BGP dials 2 to 5 s after a start, and again 5 s after a refusal; its first routes may come a good deal later. */
function convergenceTimeoutMs({ nodes, calico }: Lab): number {
  return 60_000 + nodes.length * 1000 + (calico?.timers === "calico" ? 60_000 : 0);
}

/** Somebody else has stopped the lab while this command was still at it. */
function endedElsewhere(): PodloomError {
  return new PodloomError("PL_LAB_ENDED", "the lab was stopped before it was up", {
    remedy: "Somebody ran `podloom down`. Start it again with: podloom up",
  });
}

function interruption(): PodloomError {
  return new PodloomError(
    "PL_INTERRUPTED",
    "interrupted before the lab was up; everything has been stopped",
    { remedy: "Start it again with: podloom up" },
  );
}
