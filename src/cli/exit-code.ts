import { PodloomError } from "../io/podloom-error.ts";

/** Exit codes of every command. */
export const ExitCode = {
  DONE: 0,
  FAILED: 1,
  USAGE: 2,
  /** The machine was saturated: no number is better than a wrong one. */
  INCONCLUSIVE: 3,
  TIMEOUT: 4,
  ENVIRONMENT: 5,
  INTERRUPTED: 130,
} as const;

const USAGE_CODES = new Set(["PL_USAGE", "PL_LAB_FILE", "PL_AMBIGUOUS_LAB", "PL_VERB_ARGS"]);
const ENVIRONMENT_CODES = new Set([
  "PL_CARRIER_UNSUPPORTED",
  "PL_CONFIG_FOREIGN",
  "PL_ETCD_MISSING",
  "PL_ETCD_UNREACHABLE",
  "PL_NODE_ENVIRONMENT",
  "PL_PORT_IN_USE",
  "PL_RUNTIME_DIR",
  "PL_SOCKET_FAILED",
  "PL_STATE_DIR",
  "PL_STORE_FAILED",
  "PL_UNDERLAY_IN_USE",
  "PL_UNDERLAY_UNUSABLE",
]);

/** The exit code that an error stands for. */
export function exitCodeOf(thrown: unknown): number {
  if (!(thrown instanceof PodloomError)) return ExitCode.FAILED;
  if (USAGE_CODES.has(thrown.code)) return ExitCode.USAGE;
  if (ENVIRONMENT_CODES.has(thrown.code)) return ExitCode.ENVIRONMENT;
  if (thrown.code === "PL_TIMEOUT") return ExitCode.TIMEOUT;
  if (thrown.code === "PL_INTERRUPTED") return ExitCode.INTERRUPTED;
  return ExitCode.FAILED;
}
