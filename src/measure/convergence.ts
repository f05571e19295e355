// Ready: every node has its subnet, has heard all others, and has its pods. Converged: ready, and each lists exactly the
// leases that the store holds.
import type { NodeState } from "../io/ipc/protocol.ts";

/** One node in a look. */
export interface NodeView {
  readonly name: string;
  readonly state: NodeState | undefined;
  /** Pods that it is to have. */
  readonly pods: readonly string[];
  /** Why it has no state. */
  readonly reason?: string;
}

/** One look at a lab. */
export interface LabView {
  /** Every node that the lab file asks for; a node without a process has no state. */
  readonly nodes: readonly NodeView[];
  /** Subnets under the store's prefix, as `a.b.c.d/len`; undefined when the store was not asked or did not answer. */
  readonly storeLeases: readonly string[] | undefined;
}

/** What that look showed. */
export interface Convergence {
  readonly converged: boolean;
  readonly ready: number;
  readonly nodes: number;
  /** Leases in the store. */
  readonly leases: number;
  /** What is still missing, for a person; empty when converged. */
  readonly waitingFor: string;
}

/** Judges one look. @param goal `ready`: every node is ready; `converged`: they also agree with the store */
export function judgeConvergence(view: LabView, goal: "ready" | "converged"): Convergence {
  const nodes = view.nodes.length;
  const unready = view.nodes.filter((node) => node.state?.phase !== "ready");
  const leases = view.storeLeases?.length ?? 0;
  const verdict = (waitingFor: string): Convergence => ({
    converged: waitingFor === "",
    ready: nodes - unready.length,
    nodes,
    leases,
    waitingFor,
  });
  const first = unready[0];
  if (first !== undefined) {
    const why = first.reason ?? first.state?.reason;
    const phase = first.state?.phase ?? (first.reason === undefined ? "starting" : "not running");
    const others = unready.length > 1 ? ` and ${unready.length - 1} more` : "";
    return verdict(`${first.name} (${phase}${why === undefined ? "" : `: ${why}`})${others}`);
  }
  const podless = view.nodes.find((node) => missingPods(node) > 0);
  if (podless !== undefined) return verdict(`${podless.name} (${missingPods(podless)} pods to attach)`);
  if (goal === "ready") return verdict("");
  if (view.storeLeases === undefined) return verdict("the store does not answer");
  const wanted = [...view.storeLeases].sort().join(" ");
  const behind = view.nodes.filter((node) => [...(node.state?.leases ?? [])].sort().join(" ") !== wanted);
  const lagging = behind[0];
  if (lagging !== undefined) {
    const others = behind.length > 1 ? ` and ${behind.length - 1} more` : "";
    return verdict(`${lagging.name} lists ${lagging.state?.leases.length ?? 0} of ${leases} leases${others}`);
  }
  return verdict("");
}

function missingPods(node: NodeView): number {
  return node.pods.filter((pod) => node.state?.pods.includes(pod) !== true).length;
}

/** How to wait. */
export interface WaitOptions {
  readonly goal: "ready" | "converged";
  readonly timeoutMs: number;
  readonly pollMs: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (seen: Convergence) => void;
}

/** The end of a wait: `converged` is false when time ran out. */
export interface WaitResult extends Convergence {
  readonly elapsedMs: number;
}

/**
 * Looks again and again until the goal is reached or time is up. Rejects with what `look` rejects with, or when `signal` is
 * aborted.
 */
export async function waitForConvergence(
  look: (withStore: boolean) => Promise<LabView>,
  options: WaitOptions,
): Promise<WaitResult> {
  const started = performance.now();
  for (;;) {
    options.signal?.throwIfAborted();
    // The store is asked only once every node is ready: before that the answer cannot matter.
    let view = await look(false);
    if (options.goal === "converged" && view.nodes.every((node) => node.state?.phase === "ready"))
      view = await look(true);
    const seen = judgeConvergence(view, options.goal);
    const elapsedMs = performance.now() - started;
    options.onProgress?.(seen);
    if (seen.converged || elapsedMs >= options.timeoutMs) return { ...seen, elapsedMs };
    await pause(Math.min(options.pollMs, options.timeoutMs - elapsedMs), options.signal);
  }
}

/** Resolves after `ms`, or at once when `signal` is aborted. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, signal?.aborted === true ? 0 : Math.max(1, ms));
    signal?.addEventListener("abort", end, { once: true });
  });
}
