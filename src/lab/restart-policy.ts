import type { RestartRule } from "./resolve-lab.ts";

/** How a node process ended. */
export interface NodeExit {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly signal: string | undefined;
  /** How long it had run, in milliseconds. */
  readonly ranMs: number;
}

/** What to do about it. `restarts` counts those in a row, this one included. */
export type RestartDecision =
  | { readonly t: "restart"; readonly afterMs: number; readonly restarts: number }
  | { readonly t: "leave"; readonly why: string };

/** A process that ran this long has proved itself: its restarts count from zero again. */
export const STABLE_MS = 30_000;
const BACKOFF_MS_MAX = 30_000;

/** How the cause of a process begins that never ran. */
export const NOT_STARTED = "it could not be started: ";

/** Decides by the lab file's rule. @param restarts how often in a row it has been started again so far */
export function decideRestart(rule: RestartRule, exit: NodeExit, restarts: number): RestartDecision {
  if (rule.policy === "never") return { t: "leave", why: "the restart policy is never" };
  if (rule.policy === "on-failure" && exit.code === 0) {
    return { t: "leave", why: "it ended by itself without an error, and the restart policy is on-failure" };
  }
  const inARow = exit.ranMs >= STABLE_MS ? 0 : restarts;
  if (inARow >= rule.maxRetries) {
    return { t: "leave", why: describeGivingUp(rule.maxRetries) };
  }
  return {
    t: "restart",
    afterMs: Math.min(rule.backoffMs * 2 ** inARow, BACKOFF_MS_MAX),
    restarts: inARow + 1,
  };
}

function describeGivingUp(maxRetries: number): string {
  const within = `within ${STABLE_MS / 1000} s`;
  if (maxRetries === 0) return "restart.maxRetries is 0";
  if (maxRetries === 1) return `it was started again once and ended ${within}`;
  return `it was started again ${maxRetries} times in a row and ended ${within} each time`;
}

/** The end of a process as the rest of a sentence about it: `ended with signal SIGKILL`, `could not be started: …`. */
export function describeEnd(cause: string): string {
  return cause.startsWith(NOT_STARTED) ? cause.slice("it ".length) : `ended with ${cause}`;
}

/** The exit in words: `exit code 1`, `signal SIGKILL`. */
export function describeExit(exit: Pick<NodeExit, "code" | "signal">): string {
  return exit.signal === undefined ? `exit code ${exit.code ?? "unknown"}` : `signal ${exit.signal}`;
}
