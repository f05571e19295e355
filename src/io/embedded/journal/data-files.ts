// The files of the store, as few operations as it needs: a test stands in for the disk and fails or stops at any of them.
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";

/** A sync that takes longer than this is not waited for. */
const SLOW_SYNC_MS = 1;

/** After one of those, so many are given a thread. */
const PATIENT_SYNCS = 50;

/** An open file that is written at its end. */
export interface DataFile {
  /** Appends. Into the system's cache only: see {@link sync}. */
  write(bytes: Uint8Array): void;
  /** Settles when everything written before the call is on the disk, the file's length included. */
  sync(): Promise<void>;
  close(): void;
}

/** A folder of files. Names have no path. */
export interface DataFiles {
  /** Where it is, for messages. */
  readonly path: string;
  list(): readonly string[];
  sizeOf(name: string): number;
  /** Bytes of a file; fewer than asked for only at its end. */
  read(name: string, from: number, bytes: number): Buffer;
  /** Makes an empty file, or opens one to be written behind its first `keepBytes`, cutting off what is beyond. */
  create(name: string): DataFile;
  reopen(name: string, keepBytes: number): DataFile;
  rename(from: string, to: string): void;
  remove(name: string): void;
  /** Settles when all that was created, renamed and removed is so on the disk too. */
  syncFolder(): Promise<void>;
}

class NodeFile implements DataFile {
  readonly #fd: number;
  #end: number;
  /** So many syncs more go over a thread. */
  #patience = 0;

  constructor(fd: number, end: number) {
    this.#fd = fd;
    this.#end = end;
  }

  write(bytes: Uint8Array): void {
    // Each call may write less than it is given.
    for (let done = 0; done < bytes.length; ) {
      const written = writeSync(this.#fd, bytes, done, bytes.length - done, this.#end);
      done += written;
      this.#end += written;
    }
  }

  /**
   * On a disk that is done at once we wait for it: a detour over a thread takes longer than the disk does, and twice as long on
   * a busy machine. A disk that once took its time is given a thread for a while, so that nobody else has to wait.
   */
  sync(): Promise<void> {
    if (this.#patience > 0) {
      this.#patience--;
      return new Promise((resolve, reject) => {
        fdatasync(this.#fd, (error) => (error === null ? resolve() : reject(error)));
      });
    }
    const start = performance.now();
    try {
      fdatasyncSync(this.#fd);
    } catch (fault) {
      return Promise.reject(fault);
    }
    if (performance.now() - start > SLOW_SYNC_MS) this.#patience = PATIENT_SYNCS;
    return Promise.resolve();
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The files of a folder on the disk. */
export class NodeFiles implements DataFiles {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  list(): readonly string[] {
    return readdirSync(this.path);
  }

  sizeOf(name: string): number {
    return this.#with(name, (fd) => fstatSync(fd).size);
  }

  read(name: string, from: number, bytes: number): Buffer {
    return this.#with(name, (fd) => {
      const buffer = Buffer.allocUnsafe(bytes);
      let done = 0;
      for (let got = -1; got !== 0 && done < bytes; done += got) {
        got = readSync(fd, buffer, done, bytes - done, from + done);
      }
      return buffer.subarray(0, done);
    });
  }

  create(name: string): DataFile {
    return new NodeFile(openSync(join(this.path, name), "w", 0o600), 0);
  }

  reopen(name: string, keepBytes: number): DataFile {
    const fd = openSync(join(this.path, name), "r+");
    if (fstatSync(fd).size > keepBytes) ftruncateSync(fd, keepBytes);
    return new NodeFile(fd, keepBytes);
  }

  rename(from: string, to: string): void {
    renameSync(join(this.path, from), join(this.path, to));
  }

  remove(name: string): void {
    unlinkSync(join(this.path, name));
  }

  async syncFolder(): Promise<void> {
    const fd = openSync(this.path, "r");
    try {
      await new Promise<void>((resolve, reject) => {
        fsync(fd, (error) => (error === null ? resolve() : reject(error)));
      });
    } finally {
      closeSync(fd);
    }
  }

  #with<T>(name: string, use: (fd: number) => T): T {
    const fd = openSync(join(this.path, name), "r");
    try {
      return use(fd);
    } finally {
      closeSync(fd);
    }
  }
}
