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
  /** A fault of podloom's own. */
  CRASHED: 70,
  /** 128 + the signal's number, as shells say it. */
  HUNG_UP: 129,
  INTERRUPTED: 130,
  TERMINATED: 143,
} as const;

/** The exit codes as the help says them. */
export const EXIT_CODES_TEXT =
  "0 done, 1 failed, 2 usage, 3 inconclusive (the machine was too busy to measure), 4 timed out,\n" +
  "5 the environment lacks something, 70 a fault of podloom's own, 130 interrupted.";

const USAGE_CODES = new Set([
  "PL_USAGE",
  "PL_LAB_FILE",
  "PL_RESOURCE_FILE",
  "PL_AMBIGUOUS_LAB",
  "PL_AMBIGUOUS_SPEAKER",
  "PL_IPC_BAD_ARGS",
  "PL_VERB_ARGS",
]);
/** Codes, and beginnings of codes, that say that the machine or the store lacks something. */
const ENVIRONMENT = [
  "PL_ADDRESS_UNAVAILABLE",
  "PL_CARRIER_",
  "PL_CONFIG_FOREIGN",
  "PL_ETCD_",
  "PL_LOG_FAILED",
  "PL_NODE_ENVIRONMENT",
  "PL_PORT_",
  "PL_RUNTIME_DIR",
  "PL_SOCKET_",
  "PL_STATE_",
  "PL_STORE_",
  "PL_SUPERVISOR",
  "PL_UNDERLAY_",
];

/** The exit code that an error stands for. */
export function exitCodeOf(thrown: unknown): number {
  if (!(thrown instanceof PodloomError)) return ExitCode.FAILED;
  if (USAGE_CODES.has(thrown.code)) return ExitCode.USAGE;
  if (ENVIRONMENT.some((start) => thrown.code.startsWith(start))) return ExitCode.ENVIRONMENT;
  if (thrown.code === "PL_TIMEOUT") return ExitCode.TIMEOUT;
  if (thrown.code === "PL_CRASHED") return ExitCode.CRASHED;
  if (thrown.code === "PL_INTERRUPTED") return ExitCode.INTERRUPTED;
  return ExitCode.FAILED;
}
