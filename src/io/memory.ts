import { readFileSync } from "node:fs";

/** What a process holds of the machine's memory. */
export interface ProcessMemory {
  /** Resident set, which counts shared pages (the node binary, its libraries) in full. */
  readonly rssBytes: number;
  /** Proportional share: shared pages divided by the processes that share them. Linux only, and one's own processes only. */
  readonly pssBytes?: number;
}

/**
 * Memory of this process, or of `pid` where /proc tells. Undefined when the process is gone or the system does not say.
 *
 * Reading the proportional share makes the kernel walk the page tables (about a millisecond): for people and tables, not for loops.
 */
export function processMemory(pid: number = process.pid): ProcessMemory | undefined {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const rss = kilobytes(rollup, "Rss");
    const pss = kilobytes(rollup, "Pss");
    if (rss !== undefined && pss !== undefined) return { rssBytes: rss, pssBytes: pss };
  } catch {
    // Not Linux, not ours, or gone.
  }
  if (pid === process.pid) return { rssBytes: process.memoryUsage.rss() };
  try {
    const rss = kilobytes(readFileSync(`/proc/${pid}/status`, "utf8"), "VmRSS");
    return rss === undefined ? undefined : { rssBytes: rss };
  } catch {
    return undefined;
  }
}

function kilobytes(text: string, field: string): number | undefined {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(text);
  return match === null ? undefined : Number(match[1]) * 1024;
}
