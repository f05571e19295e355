/** How much a line of the log matters: error needs a person, warn is degraded, info is a change of state, debug is a message. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** A line for the log, as pure engines emit it. Where Flannel has a text for the occasion, `message` is that text. */
export interface LogOutput {
  readonly t: "log";
  readonly level: LogLevel;
  readonly message: string;
}

/** Builds a {@link LogOutput}. */
export function logOutput(level: LogLevel, message: string): LogOutput {
  return { t: "log", level, message };
}
