import { lstatSync, mkdirSync, rmdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { PodloomError } from "./podloom-error.ts";

/**
 * Makes a folder and those above it that are missing; one that is there is no fault. When it fails, nothing of what it made
 * stays.
 *
 * Not mkdir's own `recursive`: below a folder that takes no new ones but answers ENOENT (/proc) that tries for ever.
 *
 * @throws Node's error of the folder that could not be made
 */
export function makeFolder(path: string, mode: number): void {
  const missing: string[] = [];
  for (let folder = resolve(path); !isFolder(folder); folder = dirname(folder)) missing.push(folder);
  const made: string[] = [];
  try {
    for (const folder of missing.reverse()) if (makeOne(folder, mode)) made.push(folder);
  } catch (thrown) {
    removeEmptyFolders(made.reverse());
    throw thrown;
  }
}

/**
 * Makes a folder, mode 0700, in which nobody else can put anything: in /tmp anybody could have made it first, and would then read
 * and replace what is in it.
 *
 * @throws PodloomError PL_RUNTIME_DIR when others may write to it, or it is not ours; else as {@link makeFolder}
 */
export function makeOwnFolder(folder: string): void {
  makeFolder(folder, 0o700);
  const stat = lstatSync(folder);
  const uid = process.getuid?.();
  if (stat.isDirectory() && (uid === undefined || stat.uid === uid) && (stat.mode & 0o022) === 0) return;
  throw new PodloomError("PL_RUNTIME_DIR", `${folder} is not a folder that only you can write to`, {
    remedy: "Remove it, or set XDG_RUNTIME_DIR to a folder of your own.",
  });
}

/** Removes folders, the innermost first; one that is not empty stays, and so does whatever cannot be removed. */
export function removeEmptyFolders(folders: readonly string[]): void {
  for (const folder of folders) {
    try {
      rmdirSync(folder);
    } catch {
      // Somebody else uses it, or it is gone.
    }
  }
}

/** False: it was there, made by somebody who was faster. */
function makeOne(folder: string, mode: number): boolean {
  try {
    mkdirSync(folder, { mode });
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST" && isFolder(folder)) return false;
    throw thrown;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
