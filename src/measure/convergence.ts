// Ready: every node has its subnet, has heard all others, and has its pods. Converged: ready, every node's watch of the store
// stands, and each lists exactly the leases that the store holds, but for those that it rightly ignores.
import type { NodeState } from "../io/ipc/protocol.ts";

/** What to do about a lab that is `hopeless`. */
export const POD_REMEDY =
  "Give the pod an address that no other has, of its node's subnet (Calico: of an enabled IPPool, and there must be one that is not used up); the node's log says which, and why.";

/** One node in a look. */
export interface NodeView {
  readonly name: string;
  /** It lists leases. A router or an announcer does not: that it is ready is all that is asked of it. */
  readonly listsLeases: boolean;
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
  /** Subnets in the store that a node may list, or not: Calico's blocks that nobody needs a route to. */
  readonly storeOptional?: readonly string[];
  /** What such a subnet is; absent: a lease. */
  readonly unit?: SubnetUnit;
}

/** Flannel's subnets are leased; Calico's are blocks. */
export type SubnetUnit = "lease" | "block";

/** What that look showed. */
export interface Convergence {
  readonly converged: boolean;
  /** It never will be: waiting longer is of no use. */
  readonly hopeless: boolean;
  readonly ready: number;
  readonly nodes: number;
  /** Leases in the store that any node takes for one. */
  readonly leases: number;
  /** What is still missing, for a person; empty when converged. */
  readonly waitingFor: string;
}

/** Judges one look. @param goal `ready`: every node is ready; `converged`: they also agree with the store */
export function judgeConvergence(view: LabView, goal: "ready" | "converged"): Convergence {
  const { nodes } = view;
  const found = {
    ready: nodes.filter((node) => node.listsLeases && isReady(node)).length,
    nodes: nodes.filter((node) => node.listsLeases).length,
    leases: (view.storeLeases ?? []).filter((subnet) =>
      nodes.some((node) => node.listsLeases && !isIgnored(node, subnet)),
    ).length,
  };
  const doomed = describeAll(nodes, describeFailedPod);
  if (doomed !== "") return { ...found, converged: false, hopeless: true, waitingFor: doomed };
  const waitingFor = whatIsMissing(view, goal);
  return { ...found, converged: waitingFor === "", hopeless: false, waitingFor };
}

/** The first thing that is not there yet. */
function whatIsMissing(
  { nodes, storeLeases, storeOptional = [], unit = "lease" }: LabView,
  goal: "ready" | "converged",
): string {
  const local = describeAll(nodes, describeUnready) || describeAll(nodes, describeMissingPods);
  if (local !== "" || goal === "ready") return local;
  // Ready is the list; the watch that keeps it true may come after it, and may be lost.
  const listing = nodes.filter((node) => node.listsLeases);
  const deaf = describeAll(listing, describeUnsynced);
  if (deaf !== "") return deaf;
  if (storeLeases === undefined) return "the store (it does not answer)";
  const stored = new Set(storeLeases);
  const optional = new Set(storeOptional);
  return describeAll(listing, (node) => describeLag(node, stored, optional, unit));
}

/** The first node of which `describe` has something to say, and how many more there are. */
function describeAll(nodes: readonly NodeView[], describe: (node: NodeView) => string | undefined): string {
  const said = nodes.flatMap((node) => {
    const what = describe(node);
    return what === undefined ? [] : [`${node.name} (${what})`];
  });
  return said.length > 1 ? `${said[0]} and ${said.length - 1} more` : (said[0] ?? "");
}

function isReady(node: NodeView): boolean {
  return node.state?.phase === "ready";
}

function isIgnored(node: NodeView, subnet: string): boolean {
  return node.state?.ignored.includes(subnet) === true;
}

function describeUnready(node: NodeView): string | undefined {
  if (isReady(node)) return undefined;
  const why = node.reason ?? node.state?.reason;
  const phase = node.state?.phase ?? (node.reason === undefined ? "starting" : "not running");
  return why === undefined ? phase : `${phase}: ${why}`;
}

function missingPods(node: NodeView): string[] {
  return node.pods.filter((pod) => node.state?.pods.includes(pod) !== true);
}

/** A pod that could not be attached is not tried again, unless the reason was a passing one, which is not told here. */
function describeFailedPod(node: NodeView): string | undefined {
  const missing = missingPods(node);
  const failed = node.state?.failedPods.find(({ name }) => missing.includes(name));
  return failed === undefined ? undefined : `pod ${failed.name} cannot be attached: ${failed.reason}`;
}

function describeMissingPods(node: NodeView): string | undefined {
  const { length } = missingPods(node);
  return length === 0 ? undefined : `${count(length, "pod")} to attach`;
}

function describeUnsynced(node: NodeView): string | undefined {
  switch (node.state?.store) {
    case "Synced":
      return undefined;
    case "Disconnected":
      return "cut off from the store";
    default:
      return "still reading the store";
  }
}

/**
 * What a node lists is compared lease by lease, not counted. Leases that it rightly ignores (malformed, or in conflict with
 * its own) are none that it lacks: anyone may write such a lease, and it harms nobody.
 */
function describeLag(
  node: NodeView,
  stored: ReadonlySet<string>,
  optional: ReadonlySet<string>,
  unit: SubnetUnit,
): string | undefined {
  const listed = new Set(node.state?.leases);
  const ignored = new Set(node.state?.ignored);
  const lacking = [...stored].filter((subnet) => !listed.has(subnet) && !ignored.has(subnet)).length;
  const stale = [...listed].filter((subnet) => !stored.has(subnet) && !optional.has(subnet)).length;
  if (lacking === 0 && stale === 0) return undefined;
  if (lacking === 0) return `${count(stale, unit)} to remove`;
  return `${count(lacking, unit)} to install${stale === 0 ? "" : `, ${stale} to remove`}`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

/** How to wait. */
export interface WaitOptions {
  readonly goal: "ready" | "converged";
  readonly timeoutMs: number;
  readonly pollMs: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (seen: Convergence) => void;
}

/** The end of a wait: `converged` is false when time ran out, or when there is no hope. */
export interface WaitResult extends Convergence {
  readonly elapsedMs: number;
}

/**
 * Looks again and again until the goal is reached, cannot be reached any more, or time is up. Rejects with what `look` rejects with, or when `signal` is
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
    if (seen.converged || seen.hopeless || elapsedMs >= options.timeoutMs) return { ...seen, elapsedMs };
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
