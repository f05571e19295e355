// One process a data folder: two would write into each other's log. The lock is a file with the owner's pid and the time at
// which that process began, so that a number that is in use again does not look like the owner.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PodloomError } from "../podloom-error.ts";

const NAME = "lock";

/**
 * Takes the folder. Returns what gives it back; a killed process need not: its lock counts no more.
 * @throws PodloomError PL_STORE_IN_USE
 */
export function lockData(folder: string): () => void {
  const path = join(folder, NAME);
  const own = `${process.pid} ${startOf(process.pid)}\n`;
  for (let attempt = 1; ; attempt++) {
    try {
      writeFileSync(path, own, { flag: "wx", mode: 0o600 });
      return () => rmSync(path, { force: true });
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "EEXIST" || attempt === 3) throw thrown;
    }
    const owner = ownerOf(path);
    if (owner !== undefined) {
      throw new PodloomError("PL_STORE_IN_USE", `process ${owner} is using the data in ${folder}`, {
        remedy: "Stop it first, or give another folder.",
      });
    }
    rmSync(path, { force: true });
  }
}

/** The process that holds the lock, if it lives. */
function ownerOf(path: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  const [pid = 0, start = ""] = text.trim().split(" ");
  const alive = Number(pid) > 0 && startOf(Number(pid)) === start && start !== "";
  return alive ? Number(pid) : undefined;
}

/** When the process began, in whatever the system counts; empty when there is none. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie holds nothing any more.
    return fields[0] === "Z" ? "" : (fields[19] ?? "");
  } catch {
    return lives(pid) ? "?" : "";
  }
}

/** Where there is no /proc. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EPERM";
  }
}
