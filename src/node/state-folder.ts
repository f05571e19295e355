import { readdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { makeFolder } from "../io/make-folder.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";

/** What one file may hold; what a node keeps is a few lines. A larger one is not ours and is left alone. */
const FILE_BYTES_MAX = 1024 * 1024;
const TEMPORARY = ".tmp";

/**
 * The folder in which a node keeps what outlives its process (`run/flannel/subnet.env`, the addresses of its pods). Written
 * whole or not at all: a file under another name, then renamed.
 */
export class StateFolder {
  readonly root: string;
  /** Content by path relative to the root, as it is on the disk. */
  readonly files = new Map<string, string>();

  /**
   * Makes the folder (mode 0700) when it is absent, and reads what is in it.
   *
   * @throws PodloomError PL_STATE_UNUSABLE
   */
  constructor(root: string) {
    this.root = resolve(root);
    try {
      makeFolder(root, 0o700);
      this.root = realpathSync(root);
      this.#read("");
    } catch (cause) {
      throw this.#unusable(cause);
    }
  }

  /** Writes `path` (relative, with "/"). @throws PodloomError PL_STATE_UNUSABLE, PL_STATE_ESCAPE */
  put(path: string, text: string): void {
    const full = this.#within(path);
    const temporary = `${full}${TEMPORARY}`;
    try {
      makeFolder(dirname(full), 0o700);
      this.#refuseLinks(path, dirname(full));
      writeFileSync(temporary, text, { mode: 0o600 });
      renameSync(temporary, full);
    } catch (cause) {
      throw cause instanceof PodloomError ? cause : this.#unusable(cause);
    }
    this.files.set(path, text);
  }

  /** Removes `path`; one that is absent is no fault. @throws PodloomError as {@link put} */
  del(path: string): void {
    const full = this.#within(path);
    try {
      if (this.files.has(path)) this.#refuseLinks(path, dirname(full));
      rmSync(full, { force: true });
    } catch (cause) {
      throw cause instanceof PodloomError ? cause : this.#unusable(cause);
    }
    this.files.delete(path);
  }

  #read(folder: string): void {
    for (const entry of readdirSync(join(this.root, folder), { withFileTypes: true })) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) this.#read(path);
      else if (!entry.isFile())
        continue; // A socket, or a link that could lead out of the folder.
      else if (path.endsWith(TEMPORARY)) rmSync(join(this.root, path), { force: true });
      else this.#readFile(path);
    }
  }

  #readFile(path: string): void {
    const bytes = readFileSync(join(this.root, path));
    if (bytes.length <= FILE_BYTES_MAX) this.files.set(path, bytes.toString("utf8"));
  }

  #within(path: string): string {
    const full = resolve(this.root, path);
    if (!full.startsWith(this.root + sep)) throw this.#escape(path);
    return full;
  }

  /** A folder in it that is a link would lead elsewhere. */
  #refuseLinks(path: string, folder: string): void {
    if (realpathSync(folder) !== folder) throw this.#escape(path);
  }

  #escape(path: string): PodloomError {
    return new PodloomError("PL_STATE_ESCAPE", `"${path}" leads out of the state folder ${this.root}`, {
      remedy: "Remove the link in it that does so, or choose another folder with --state.",
    });
  }

  #unusable(cause: unknown): PodloomError {
    return new PodloomError(
      "PL_STATE_UNUSABLE",
      `the state folder ${this.root} cannot be used: ${messageOf(cause)}`,
      {
        remedy: "Make it writable for you, or choose another with --state.",
        cause,
      },
    );
  }
}
