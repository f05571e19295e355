// The write-ahead log. Records that come while the disk is busy are written together and share one fdatasync: a group commit.
// Now and then all that the log amounts to is written as a snapshot, beside the log and then renamed, and the log before it is
// removed. A write or sync that fails ends the server: after a failed fdatasync nobody knows what is on the disk.
import type { DataFile, DataFiles } from "./data-files.ts";
import { snapshotName, snapshotsOf, UNFINISHED, walName, walsOf } from "./file-names.ts";
import { FRAME_BYTES, sealFrame } from "./frame.ts";
import type { Journal } from "./journal.ts";
import { bodyBytesMax, type JournalRecord, writeRecord } from "./record.ts";

/** A buffer that a large request made this big is let go again. */
const BUFFER_KEEP_BYTES = 4 << 20;

/** Written in one go while a snapshot is made; other work gets its turn in between. */
const SNAPSHOT_CHUNK_BYTES = 256 << 10;

export interface SnapshotRule {
  /** A snapshot is made when the log since the last one has so many bytes … */
  readonly bytes: number;
  /** … or so many records. Either is raised to the size of the last snapshot, so that half of all writing is log at least. */
  readonly records: number;
}

export const SNAPSHOT_RULE: SnapshotRule = { bytes: 64 << 20, records: 100_000 };

/** Where the log goes on. */
export interface WalPosition {
  /** Sequence number of the last record that is there. */
  readonly sequence: number;
  /** The open log file, at its end. */
  readonly file: DataFile;
  /** What the log holds since the last snapshot. */
  readonly records: number;
  readonly bytes: number;
}

export interface WalOptions {
  readonly rule: SnapshotRule;
  /** All that the records so far amount to, as records; taken at the call, read later. */
  readonly image: (sequence: number) => Iterable<JournalRecord>;
  /** The disk failed: nothing is acknowledged any more. */
  readonly onFatal: (fault: unknown) => void;
  /** A snapshot could not be made; the log goes on. */
  readonly onSnapshotFault: (fault: unknown) => void;
}

interface Waiting {
  readonly sequence: number;
  readonly then: () => void;
}

export class Wal implements Journal {
  readonly #files: DataFiles;
  readonly #options: WalOptions;
  #file: DataFile;
  #last: number;
  #durable: number;
  /** Frames that are not written yet, one behind the other; their headers are filled in when they are. */
  #buffer = Buffer.allocUnsafe(64 << 10);
  #used = 0;
  #bodies: number[] = [];
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #failed = false;
  #logRecords: number;
  #logBytes: number;
  #snapshotRecords = 0;
  #snapshotBytes = 0;
  #snapshotting: Promise<void> | undefined;

  constructor(files: DataFiles, position: WalPosition, options: WalOptions) {
    this.#files = files;
    this.#options = options;
    this.#file = position.file;
    this.#last = position.sequence;
    this.#durable = position.sequence;
    this.#logRecords = position.records;
    this.#logBytes = position.bytes;
  }

  get last(): number {
    return this.#last;
  }

  append(record: JournalRecord): number {
    this.#reserve(FRAME_BYTES + bodyBytesMax(record));
    const from = this.#used + FRAME_BYTES;
    const to = writeRecord(this.#buffer, from, record);
    this.#bodies.push(to - from);
    this.#used = to;
    this.#flushing ??= this.#flushSoon();
    return ++this.#last;
  }

  whenDurable(then: () => void, sequence = this.#last): void {
    // What is safe waits for nobody, whatever else is on its way; only behind calls that are being made just now does it queue.
    const inTurn = this.#waiting.length === 0 || sequence < this.#last;
    if (sequence <= this.#durable && inTurn) then();
    else this.#waiting.push({ sequence, then });
  }

  /** Settles when everything is on the disk and nothing is being written. Nothing may be appended after it. */
  async close(): Promise<void> {
    while (this.#flushing !== undefined) {
      await this.#flushing;
      if (this.#failed) return;
    }
    await this.#snapshotting;
    this.#file.close();
  }

  async #flushSoon(): Promise<void> {
    // After all the requests that this turn of the event loop brings: they share the write.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      while (this.#bodies.length > 0) await this.#flush();
    } catch (fault) {
      this.#fail(fault);
      return;
    }
    this.#flushing = undefined;
  }

  async #flush(): Promise<void> {
    const sequence = this.#last;
    const image = this.#snapshotDue() ? this.#options.image(sequence) : undefined;
    this.#write();
    await this.#file.sync();
    this.#durable = sequence;
    this.#release();
    if (image === undefined) return;
    await this.#rotate(sequence + 1);
    this.#snapshotting = this.#snapshot(sequence, image).catch((fault: unknown) => {
      if (!this.#failed) this.#options.onSnapshotFault(fault);
    });
    void this.#snapshotting.then(() => {
      this.#snapshotting = undefined;
    });
  }

  /** Hands the frames to the system. The buffer is free after it. */
  #write(): void {
    let at = 0;
    let sequence = this.#last - this.#bodies.length;
    for (const body of this.#bodies) {
      sealFrame(this.#buffer, at, body, ++sequence, this.#durable);
      at += FRAME_BYTES + body;
    }
    this.#logRecords += this.#bodies.length;
    this.#logBytes += at;
    this.#bodies = [];
    this.#used = 0;
    this.#file.write(this.#buffer.subarray(0, at));
    if (this.#buffer.length > BUFFER_KEEP_BYTES) this.#buffer = Buffer.allocUnsafe(64 << 10);
  }

  #release(): void {
    const waiting = this.#waiting;
    let at = 0;
    // Who is let go may append, and even wait, again.
    for (; at < waiting.length; at++) {
      const { sequence, then } = waiting[at] as Waiting;
      if (sequence > this.#durable) break;
      then();
    }
    waiting.splice(0, at);
  }

  #reserve(bytes: number): void {
    const needed = this.#used + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#used);
    this.#buffer = larger;
  }

  #snapshotDue(): boolean {
    const { rule } = this.#options;
    return (
      this.#snapshotting === undefined &&
      (this.#logBytes >= Math.max(rule.bytes, this.#snapshotBytes) ||
        this.#logRecords >= Math.max(rule.records, this.#snapshotRecords))
    );
  }

  /** Goes on in a new file. It must be in the folder for good before anything in it is acknowledged. */
  async #rotate(sequence: number): Promise<void> {
    const next = this.#files.create(walName(sequence));
    await this.#files.syncFolder();
    this.#file.close();
    this.#file = next;
    this.#logRecords = 0;
    this.#logBytes = 0;
  }

  async #snapshot(sequence: number, image: Iterable<JournalRecord>): Promise<void> {
    const written = await writeSnapshot(this.#files, sequence, image);
    this.#snapshotRecords = written.records;
    this.#snapshotBytes = written.bytes;
    removeBefore(this.#files, sequence);
    await this.#files.syncFolder();
  }

  #fail(fault: unknown): void {
    this.#failed = true;
    this.#options.onFatal(fault);
  }
}

/** Writes a snapshot, and settles when it is in the folder for good. */
export async function writeSnapshot(
  files: DataFiles,
  sequence: number,
  image: Iterable<JournalRecord>,
): Promise<{ readonly records: number; readonly bytes: number }> {
  const name = snapshotName(sequence);
  const file = files.create(name + UNFINISHED);
  let records = 0;
  let bytes = 0;
  try {
    let buffer = Buffer.allocUnsafe(SNAPSHOT_CHUNK_BYTES);
    let used = 0;
    for (const record of image) {
      const needed = FRAME_BYTES + bodyBytesMax(record);
      if (used + needed > buffer.length) {
        file.write(buffer.subarray(0, used));
        bytes += used;
        used = 0;
        await new Promise((resolve) => setImmediate(resolve));
        if (needed > buffer.length) buffer = Buffer.allocUnsafe(needed);
      }
      const to = writeRecord(buffer, used + FRAME_BYTES, record);
      records++;
      sealFrame(buffer, used, to - used - FRAME_BYTES, records, records);
      used = to;
    }
    file.write(buffer.subarray(0, used));
    bytes += used;
    await file.sync();
  } finally {
    file.close();
  }
  files.rename(name + UNFINISHED, name);
  await files.syncFolder();
  return { records, bytes };
}

/** Removes what the snapshot of `sequence` has made superfluous. */
function removeBefore(files: DataFiles, sequence: number): void {
  const names = files.list();
  for (const old of snapshotsOf(names)) if (old.sequence < sequence) files.remove(old.name);
  for (const old of walsOf(names)) if (old.sequence <= sequence) files.remove(old.name);
}
