// A disk that stops at any operation one likes, and what is found on it then: after the process was killed (all that was
// handed to the system is there), or after the power went (only what was synced is sure; of the rest, anything).
import { below, type Rng } from "../../src/base/rng.ts";
import type { DataFile, DataFiles } from "../../src/io/embedded/journal/data-files.ts";

/** Which part of a write made it when the process stopped in it. */
export const TEARS: readonly ((bytes: number) => number)[] = [
  () => 0,
  () => 1,
  (bytes) => Math.min(17, bytes),
  (bytes) => Math.min(18, bytes),
  (bytes) => bytes >> 1,
  (bytes) => bytes - 1,
  (bytes) => bytes,
];

export class Crash extends Error {}

interface Inode {
  /** As the process sees it. */
  cached: Buffer;
  /** What the last sync put on the disk. */
  synced: Buffer;
}

type Folder = ReadonlyMap<string, Inode>;

export interface CrashPlan {
  /** The operation in which it stops; infinity: never. */
  readonly at: number;
  /** For a write, one of {@link TEARS}; of other operations, 0 stops before and the rest after it. */
  readonly tear: number;
}

export class CrashingFiles implements DataFiles {
  readonly path = "/simulated";
  readonly #plan: CrashPlan;
  #folder = new Map<string, Inode>();
  /** The folder as it was after each change since it was synced; the first is what is on the disk. */
  #states: Folder[] = [];
  /** Operations so far. */
  operations = 0;
  /** What they were, for messages. */
  last = "";
  crashed = false;

  constructor(plan: CrashPlan, contents: ReadonlyMap<string, Buffer> = new Map()) {
    this.#plan = plan;
    for (const [name, bytes] of contents) this.#folder.set(name, { cached: bytes, synced: bytes });
    this.#states = [new Map(this.#folder)];
  }

  /** What is there after a kill. */
  afterKill(): Map<string, Buffer> {
    return new Map([...this.#folder].map(([name, inode]) => [name, inode.cached]));
  }

  /** What is there after a power cut: one of the possibilities. */
  afterPowerCut(rng: Rng): Map<string, Buffer> {
    const folder = this.#states[below(rng, this.#states.length)] as Folder;
    return new Map([...folder].map(([name, inode]) => [name, leftOf(inode, rng)]));
  }

  list(): readonly string[] {
    this.#alive();
    return [...this.#folder.keys()];
  }

  sizeOf(name: string): number {
    return this.#inode(name).cached.length;
  }

  read(name: string, from: number, bytes: number): Buffer {
    return Buffer.from(this.#inode(name).cached.subarray(from, from + bytes));
  }

  create(name: string): DataFile {
    const inode = { cached: Buffer.alloc(0), synced: Buffer.alloc(0) };
    this.#change(`create ${name}`, () => this.#folder.set(name, inode));
    return this.#open(name, inode);
  }

  reopen(name: string, keepBytes: number): DataFile {
    const inode = this.#inode(name);
    this.#step(`truncate ${name}`, () => {
      inode.cached = inode.cached.subarray(0, keepBytes);
    });
    return this.#open(name, inode);
  }

  rename(from: string, to: string): void {
    const inode = this.#inode(from);
    this.#change(`rename ${from}`, () => {
      this.#folder.delete(from);
      this.#folder.set(to, inode);
    });
  }

  remove(name: string): void {
    this.#inode(name);
    this.#change(`remove ${name}`, () => this.#folder.delete(name));
  }

  async syncFolder(): Promise<void> {
    await later(3);
    this.#step("sync folder", () => {
      this.#states = [new Map(this.#folder)];
    });
  }

  #open(name: string, inode: Inode): DataFile {
    return {
      write: (bytes) => {
        const tear = TEARS[this.#plan.tear] as (bytes: number) => number;
        const append = (part: Uint8Array): void => {
          inode.cached = Buffer.concat([inode.cached, part]);
        };
        if (this.#stops(`write ${bytes.length} bytes to ${name}`)) {
          append(bytes.subarray(0, tear(bytes.length)));
          this.#crash();
        }
        append(bytes);
      },
      sync: async () => {
        const { cached } = inode;
        // Not always as long, so that two files take turns in every order.
        await later(1 + (this.operations % 3));
        this.#step(`sync ${name}`, () => {
          inode.synced = cached;
        });
      },
      close: () => this.#alive(),
    };
  }

  #inode(name: string): Inode {
    this.#alive();
    const inode = this.#folder.get(name);
    if (inode === undefined) throw new Error(`there is no ${name}`);
    return inode;
  }

  #change(what: string, apply: () => void): void {
    this.#step(what, () => {
      apply();
      this.#states.push(new Map(this.#folder));
    });
  }

  #step(what: string, apply: () => void): void {
    const stops = this.#stops(what);
    if (stops && this.#plan.tear === 0) this.#crash();
    apply();
    if (stops) this.#crash();
  }

  #stops(what: string): boolean {
    this.#alive();
    this.last = what;
    return this.operations++ === this.#plan.at;
  }

  #crash(): never {
    this.crashed = true;
    throw new Crash(this.last);
  }

  #alive(): void {
    if (this.crashed) throw new Crash("it has stopped");
  }
}

function leftOf({ cached, synced }: Inode, rng: Rng): Buffer {
  // A truncation that was not synced.
  if (cached.length < synced.length) return below(rng, 2) === 0 ? cached : synced;
  const fresh = cached.length - synced.length;
  if (fresh === 0) return synced;
  switch (below(rng, 4)) {
    case 0:
      return synced;
    case 1:
      return cached;
    case 2:
      return cached.subarray(0, synced.length + below(rng, fresh));
    default: {
      // The length got there, and a part of the contents did not.
      const bytes = Buffer.from(cached);
      const from = synced.length + below(rng, fresh);
      return bytes.fill(0, from, from + 1 + below(rng, bytes.length - from));
    }
  }
}

/** A few turns of the event loop. */
async function later(turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
}
