import { PodloomError } from "../io/podloom-error.ts";
import { findLab, LabClient } from "../lab/lab-client.ts";
import { parseDurationMs } from "./format.ts";
import type { Terminal } from "./terminal.ts";

/** What a command runs in. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** The lab that a command is about: the flag's, the environment's, or the only one. */
export function labName(flag: string | undefined, cx: CommandContext): string | undefined {
  return flag ?? (cx.env.PODLOOM_LAB === "" ? undefined : cx.env.PODLOOM_LAB);
}

/** Connects to the lab, runs `use`, and closes the connection whatever happens. */
export async function withLab<T>(
  flag: string | undefined,
  cx: CommandContext,
  use: (client: LabClient) => Promise<T>,
): Promise<T> {
  const client = await LabClient.connect(findLab(cx.env, labName(flag, cx)));
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

/** @throws PodloomError PL_USAGE */
export function readDuration(flag: string, text: string): number {
  const ms = parseDurationMs(text);
  if (ms !== undefined) return ms;
  throw new PodloomError("PL_USAGE", `${flag} takes a time, not "${text}"`, {
    remedy: `Write it like 500ms, 60s or 2m: ${flag} 60s.`,
  });
}

/** @throws PodloomError PL_USAGE */
export function readWhole(flag: string, text: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new PodloomError("PL_USAGE", `${flag} does not take "${text}"`, {
    remedy: `Write a whole number from ${min} to ${max}.`,
  });
}

/** Somebody pressed Ctrl-C in a command that only asks. @param what it says, as a sentence */
export function interruption(what: string): PodloomError {
  return new PodloomError("PL_INTERRUPTED", what, {
    remedy: "The lab runs on; start the command again for a result.",
  });
}

/** Ctrl-C and its kin, as calls: `on` hears each; `dispose` restores the default. */
export function onSignals(on: (signal: NodeJS.Signals, nth: number) => void): { dispose(): void } {
  let count = 0;
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const handler = (signal: NodeJS.Signals): void => on(signal, ++count);
  for (const signal of signals) process.on(signal, handler);
  return {
    dispose: () => {
      for (const signal of signals) process.off(signal, handler);
    },
  };
}
