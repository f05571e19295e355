import { readFileSync } from "node:fs";

/** A process for as long as it lives: a pid alone may be another's by the time it is looked at. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Its start time in the kernel's clock ticks since boot; undefined where there is no /proc. */
  readonly startTicks: number | undefined;
}

/** The identity of a living process; undefined when there is none with that pid (a zombie is none). */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    // EPERM: it lives, as somebody else's.
    if ((thrown as NodeJS.ErrnoException).code !== "EPERM") return undefined;
  }
  const stat = readStat(pid);
  if (stat === undefined) return { pid, startTicks: undefined };
  return stat.state === "Z" || stat.state === "X" ? undefined : { pid, startTicks: stat.startTicks };
}

/** Does that very process still live? */
export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  if (now === undefined) return false;
  return identity.startTicks === undefined || now.startTicks === identity.startTicks;
}

function readStat(pid: number): { state: string; startTicks: number } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The command's name stands in parentheses and may itself contain spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", startTicks: Number(fields[19]) };
}
