// One supervisor a lab: the lock in the runtime folder says who. A lock whose holder is dead is taken over.
import { linkSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { removeEmptyFolders } from "../io/make-folder.ts";
import { PodloomError } from "../io/podloom-error.ts";
import { type Environment, runtimeRoot } from "../io/xdg-folders.ts";
import { type LabDirs, labDirs, makeRuntimeDir, runtimeFault } from "./lab-dirs.ts";
import { isLabName } from "./lab-name.ts";
import { identify, isAlive, type ProcessIdentity } from "./process-identity.ts";

/** What the lock of a lab says. */
export interface LabHolder {
  readonly name: string;
  /** The supervisor. */
  readonly supervisor: ProcessIdentity;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Where its logs are. */
  readonly state: string;
  readonly socket: string;
  /** `a.b.c.d/len` of each segment, with commas between, and how it is carried: two labs must not share socket addresses. */
  readonly underlay: string;
  readonly carrier: string;
}

/**
 * Takes the lock of a lab for this process. Answers the dead holder whose lock was taken over, if there was one. When it
 * throws, it has left nothing.
 *
 * @throws PodloomError PL_LAB_RUNNING naming the pid of a holder that lives, PL_LAB_LOCK, PL_RUNTIME_DIR
 */
export function takeLock(dirs: LabDirs, holder: LabHolder): LabHolder | undefined {
  try {
    return take(dirs, holder);
  } catch (thrown) {
    removeEmptyFolders([dirs.runtime, dirname(dirs.runtime)]);
    throw runtimeFault(dirs.runtime, thrown);
  }
}

function take(dirs: LabDirs, holder: LabHolder): LabHolder | undefined {
  let dead: LabHolder | undefined;
  for (let attempt = 0; attempt < 5; attempt++) {
    makeRuntimeDir(dirs);
    if (tryLink(dirs.lock, JSON.stringify(holder))) return dead;
    const found = readHolder(dirs.lock);
    if (found !== undefined && isAlive(found.supervisor)) throw running(found);
    dead = found ?? dead;
    discardStale(dirs.lock, found);
  }
  throw new PodloomError("PL_LAB_LOCK", `cannot take the lock ${dirs.lock}: others keep taking it`, {
    remedy: "Wait until they have finished, then try again.",
  });
}

/** Reads a lock; undefined when there is none, or nothing that we wrote. */
export function readHolder(lock: string): LabHolder | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(lock, "utf8"));
    const holder = value as LabHolder;
    return typeof holder?.supervisor?.pid === "number" && typeof holder.name === "string"
      ? holder
      : undefined;
  } catch {
    return undefined;
  }
}

/** The labs of this user that run now, by name. */
export function runningLabs(env: Environment): LabHolder[] {
  return holders(env).filter((holder) => isAlive(holder.supervisor));
}

/** The labs of this user whose supervisor was killed and left its lock, by name. */
export function deadLabs(env: Environment): LabHolder[] {
  return holders(env).filter((holder) => !isAlive(holder.supervisor));
}

function holders(env: Environment): LabHolder[] {
  let names: string[];
  try {
    names = readdirSync(runtimeRoot(env));
  } catch {
    return [];
  }
  return names
    .filter(isLabName)
    .sort()
    .flatMap((name) => {
      const holder = readHolder(labDirs(name, env).lock);
      // A lock that was copied here from elsewhere is not this lab's.
      return holder?.name === name ? [holder] : [];
    });
}

/** This process as a holder. */
export function ownIdentity(): ProcessIdentity {
  return identify(process.pid) ?? { pid: process.pid, startTicks: undefined };
}

function running(holder: LabHolder): PodloomError {
  return new PodloomError(
    "PL_LAB_RUNNING",
    `the lab "${holder.name}" runs already, as process ${holder.supervisor.pid}`,
    {
      remedy: `Stop it with: podloom down ${holder.name}`,
    },
  );
}

/** Creates `path` with `text` whole or not at all; false when it exists. */
function tryLink(path: string, text: string): boolean {
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, text, { mode: 0o600 });
    linkSync(draft, path);
    return true;
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    // ENOENT: another lab's end removed the folder under our hands; the next attempt makes it again.
    if (code === "EEXIST" || code === "ENOENT") return false;
    throw thrown;
  } finally {
    tryUnlink(draft);
  }
}

/** Moves a dead holder's lock aside; puts it back when it turns out to be a newer one, taken in between. */
function discardStale(lock: string, judged: LabHolder | undefined): void {
  const aside = `${lock}.stale.${process.pid}`;
  try {
    renameSync(lock, aside);
  } catch {
    return;
  }
  const moved = readHolder(aside);
  const newer =
    moved !== undefined && moved.supervisor.pid !== judged?.supervisor.pid && isAlive(moved.supervisor);
  if (newer) {
    try {
      linkSync(aside, lock);
    } catch {
      // A third took the lock meanwhile: the next attempt meets it.
    }
  }
  tryUnlink(aside);
}

function tryUnlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Already gone.
  }
}
