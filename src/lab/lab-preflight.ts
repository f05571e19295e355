// What is looked at before anything starts: other labs on the same addresses, and what a killed supervisor left.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { formatPrefix, type Prefix, parseCidr } from "../base/ipv4-addr.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { Environment } from "../io/xdg-folders.ts";
import { type LabDirs, runtimeFault } from "./lab-dirs.ts";
import { type LabHolder, runningLabs } from "./lab-lock.ts";
import { isAlive, type ProcessIdentity } from "./process-identity.ts";
import type { Lab } from "./resolve-lab.ts";

/** How long processes of a dead supervisor have to end by themselves before they are killed. */
const ORPHANS_TIMEOUT_MS = 5000;

/**
 * Two labs on one machine must not share socket addresses.
 *
 * @throws PodloomError PL_UNDERLAY_IN_USE naming the lab that has them
 */
export function refuseSharedUnderlay(lab: Lab, env: Environment): void {
  const { segments, carrier } = lab.underlay;
  for (const other of runningLabs(env)) {
    if (other.name === lab.name || other.carrier !== carrier) continue;
    for (const text of other.underlay.split(",")) {
      const cidr = parseCidr(text);
      if (!cidr.ok) continue;
      const theirs = carried(cidr.value, carrier);
      const mine = segments.find(({ subnet }) => {
        const own = carried(subnet, carrier);
        return theirs.from <= own.to && own.from <= theirs.to;
      });
      if (mine !== undefined) throw shared(mine.subnet, text, other);
    }
  }
}

/** The subnets of a lab's underlay, as its lock holds them. */
export function underlayText(lab: Lab): string {
  return lab.underlay.segments.map(({ subnet }) => formatPrefix(subnet)).join(",");
}

function shared(mine: Prefix, theirs: string, other: LabHolder): PodloomError {
  const pair = `${formatPrefix(mine)} and ${theirs}`;
  return new PodloomError(
    "PL_UNDERLAY_IN_USE",
    `the lab "${other.name}" (process ${other.supervisor.pid}) has the same socket addresses: ${pair} overlap on this machine`,
    {
      remedy: `Set another underlay.subnet in this lab's file, or stop that one: podloom down ${other.name}`,
    },
  );
}

/** The socket addresses of a segment as a range. On the loopback carrier only the last three octets count. */
function carried(subnet: Prefix, carrier: string): { from: number; to: number } {
  const size = 2 ** (32 - subnet.len);
  const from = carrier === "loopback" ? subnet.addr % 0x100_0000 : subnet.addr;
  return { from, to: from + size - 1 };
}

/**
 * Notes which processes were started, so that the next supervisor can tell what a killed one left.
 *
 * @throws PodloomError PL_RUNTIME_DIR; what was noted before stays then
 */
export function noteChildren(dirs: LabDirs, children: readonly ProcessIdentity[]): void {
  const draft = `${dirs.children}.new`;
  try {
    writeFileSync(draft, JSON.stringify(children), { mode: 0o600 });
    renameSync(draft, dirs.children);
  } catch (thrown) {
    throw runtimeFault(dirs.runtime, thrown);
  }
}

/**
 * Waits until the processes of a dead supervisor have ended: its nodes end with its socket, its store with its pipe. Those
 * that do not are killed. Answers how many that were.
 */
export async function clearOrphans(dirs: LabDirs, graceMs = ORPHANS_TIMEOUT_MS): Promise<number> {
  let orphans = readChildren(dirs).filter(isAlive);
  const deadline = performance.now() + graceMs;
  while (orphans.length > 0 && performance.now() < deadline) {
    await pause(50);
    orphans = orphans.filter(isAlive);
  }
  for (const orphan of orphans) {
    try {
      process.kill(orphan.pid, "SIGKILL");
    } catch {
      // It ended just now.
    }
  }
  while (orphans.some(isAlive)) await pause(20);
  return orphans.length;
}

function readChildren(dirs: LabDirs): ProcessIdentity[] {
  try {
    const value: unknown = JSON.parse(readFileSync(dirs.children, "utf8"));
    return Array.isArray(value)
      ? (value as ProcessIdentity[]).filter((child) => Number.isInteger(child?.pid))
      : [];
  } catch {
    return [];
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
