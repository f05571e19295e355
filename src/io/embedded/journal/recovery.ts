// Reads a data folder: the newest snapshot, then the log behind it, up to a tail that was cut short. Pure reading; what is
// then to be cleaned up is the answer.
import { PodloomError } from "../../podloom-error.ts";
import type { DataFiles } from "./data-files.ts";
import { type NumberedFile, snapshotsOf, UNFINISHED, walsOf } from "./file-names.ts";
import { claimedBytes, FRAME_BYTES, type FrameHeader, findWitness, readFrame } from "./frame.ts";
import { parseRecord } from "./record.ts";
import type { Replay } from "./replay.ts";

/**
 * Read from a file in one go; a longer record is read whole. Values are views of what was read, so that one which lives on keeps so
 * many bytes in memory.
 */
const READ_BYTES = 256 << 10;

/** Something that is wrong with the data, and where. */
export interface Damage {
  readonly file: string;
  readonly at: number;
  readonly what: string;
}

/** The end of a log that never made it to the disk whole, so that nothing of it was acknowledged. */
export interface TornTail {
  readonly file: string;
  readonly at: number;
  readonly bytes: number;
}

export interface Recovered {
  /** Sequence number of the last record. */
  readonly sequence: number;
  /** The log to go on in, and how much of it is good. */
  readonly log: { readonly name: string; readonly bytes: number } | undefined;
  /** What the logs hold that the snapshot does not. */
  readonly records: number;
  readonly bytes: number;
  readonly torn: TornTail | undefined;
  /** Files that a stop has left behind. */
  readonly superfluous: readonly string[];
  /** Undefined when the data are sound. */
  readonly damage: Damage | undefined;
}

/** Reads the folder into `replay`. */
export function recover(files: DataFiles, replay: Replay): Recovered {
  const names = files.list();
  const snapshots = snapshotsOf(names);
  const snapshot = snapshots.at(-1);
  const walk = new Walk(files, replay);
  if (snapshot !== undefined) walk.snapshot(snapshot);
  // A log is superfluous when the next one begins at or before what the snapshot holds; the last one is the one to go on in.
  const wals = walsOf(names);
  const base = snapshot?.sequence ?? 0;
  const superfluous = wals.filter((_, i) => (wals[i + 1]?.sequence ?? Number.POSITIVE_INFINITY) <= base + 1);
  const needed = wals.slice(superfluous.length);
  for (const [i, wal] of needed.entries()) {
    if (walk.damage === undefined) walk.log(wal, i === needed.length - 1);
  }
  const unfinished = names.filter((name) => name.endsWith(UNFINISHED));
  const old = [...snapshots.slice(0, -1), ...superfluous].map(({ name }) => name);
  return {
    sequence: walk.sequence,
    log: walk.lastLog,
    records: walk.records,
    bytes: walk.bytes,
    torn: walk.torn,
    superfluous: [...unfinished, ...old],
    damage: walk.damage,
  };
}

/** The error that a server ends with when its data are damaged. */
export function damageError(folder: string, { file, at, what }: Damage): PodloomError {
  return new PodloomError(
    "PL_STORE_DAMAGED",
    `the data in ${folder} are damaged: ${file} at byte ${at}: ${what}`,
    {
      remedy:
        "Nothing was changed. Restore a dump into another folder (podloom store restore), or move this one away to start empty.",
    },
  );
}

class Walk {
  readonly #files: DataFiles;
  readonly #replay: Replay;
  sequence = 0;
  records = 0;
  bytes = 0;
  lastLog: { readonly name: string; readonly bytes: number } | undefined;
  torn: TornTail | undefined;
  damage: Damage | undefined;

  constructor(files: DataFiles, replay: Replay) {
    this.#files = files;
    this.#replay = replay;
  }

  snapshot({ name, sequence }: NumberedFile): void {
    let next = 1;
    let ended = false;
    const file = new FrameReader(this.#files, name);
    for (let frame = file.next(); frame !== undefined; frame = file.next()) {
      if (frame.sequence !== next++) {
        this.#wrong(name, file.frameAt, `record ${frame.sequence} where ${next - 1} belongs`);
        return;
      }
      const record = parseRecord(file.buffer, file.body, file.body + frame.bodyBytes);
      const fits =
        record?.t === "image" ? record.sequence === sequence && next === 2 : record !== undefined && next > 2;
      const wrong = record === undefined || !fits ? "no record of a snapshot" : this.#replay.apply(record);
      if (wrong !== undefined) {
        this.#wrong(name, file.frameAt, wrong);
        return;
      }
      ended = record?.t === "end";
    }
    if (file.at < file.size) this.#wrong(name, file.at, "the record there is damaged");
    else if (!ended) this.#wrong(name, file.at, "the snapshot has no end");
    this.sequence = sequence;
  }

  log(wal: NumberedFile, isLast: boolean): void {
    const { name } = wal;
    const file = new FrameReader(this.#files, name);
    if (wal.sequence > this.sequence + 1) {
      this.#wrong(name, 0, `it begins with record ${wal.sequence}; ${this.sequence + 1} is missing`);
      return;
    }
    let expected = wal.sequence;
    for (let frame = file.next(); frame !== undefined; frame = file.next()) {
      if (frame.sequence !== expected) {
        this.#wrong(name, file.frameAt, `record ${frame.sequence} where ${expected} belongs`);
        return;
      }
      expected++;
      // What the snapshot holds already.
      if (frame.sequence <= this.sequence) continue;
      const record = parseRecord(file.buffer, file.body, file.body + frame.bodyBytes);
      const wrong = record === undefined ? "no record of a log" : this.#replay.apply(record);
      if (wrong !== undefined) {
        this.#wrong(name, file.frameAt, wrong);
        return;
      }
      this.sequence = frame.sequence;
      this.records++;
      this.bytes += FRAME_BYTES + frame.bodyBytes;
    }
    this.lastLog = { name, bytes: file.at };
    if (file.at === file.size) {
      if (isLast && expected <= this.sequence)
        this.#wrong(
          name,
          file.at,
          `it ends with record ${expected - 1}, before the snapshot's ${this.sequence}`,
        );
      return;
    }
    const rest = file.rest();
    const witness = isLast ? findWitness(rest, 1, rest.length, expected) : 0;
    if (witness === undefined) this.torn = { file: name, at: file.at, bytes: file.size - file.at };
    else this.#wrong(name, file.at, `record ${expected} is damaged, though it had been acknowledged`);
  }

  #wrong(file: string, at: number, what: string): void {
    this.damage ??= { file, at, what };
  }
}

/** Reads a file frame by frame, without holding all of it. */
class FrameReader {
  readonly #files: DataFiles;
  readonly #name: string;
  readonly size: number;
  buffer: Buffer = Buffer.alloc(0);
  /** Where the buffer begins in the file. */
  #base = 0;
  /** Everything before is good. */
  at = 0;
  /** Where the last frame begins in the file, … */
  frameAt = 0;
  /** … and its body in the buffer. */
  body = 0;

  constructor(files: DataFiles, name: string) {
    this.#files = files;
    this.#name = name;
    this.size = files.sizeOf(name);
  }

  /** The next frame; undefined at the end, and at what is none. */
  next(): FrameHeader | undefined {
    if (this.at === this.size) return undefined;
    this.#hold(FRAME_BYTES);
    const claimed = claimedBytes(this.buffer, this.at - this.#base, this.buffer.length) ?? 0;
    if (claimed <= this.size - this.at) this.#hold(claimed);
    const from = this.at - this.#base;
    const frame = readFrame(this.buffer, from, this.buffer.length);
    if (frame === undefined) return undefined;
    this.frameAt = this.at;
    this.body = from + FRAME_BYTES;
    this.at += FRAME_BYTES + frame.bodyBytes;
    return frame;
  }

  /** All that is left. */
  rest(): Buffer {
    return this.#files.read(this.#name, this.at, this.size - this.at);
  }

  /** Has `bytes` from {@link at} on in the buffer, as far as the file goes. */
  #hold(bytes: number): void {
    if (this.at - this.#base + bytes <= this.buffer.length) return;
    this.buffer = this.#files.read(this.#name, this.at, Math.max(bytes, READ_BYTES));
    this.#base = this.at;
  }
}
