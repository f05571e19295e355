// Where the contents of a server come from and go to: a data folder, or nowhere.
import type { Rng } from "../../base/rng.ts";
import type { DataFiles } from "./journal/data-files.ts";
import { walName } from "./journal/file-names.ts";
import { type Journal, NoJournal } from "./journal/journal.ts";
import { FORMAT } from "./journal/record.ts";
import { damageError, recover, type TornTail } from "./journal/recovery.ts";
import { type Contents, type Identity, imageOf, Replay } from "./journal/replay.ts";
import { SNAPSHOT_RULE, type SnapshotRule, Wal } from "./journal/wal.ts";
import { noContents } from "./store.ts";

/** What a server serves, and where it writes down what becomes of it. */
export interface StoreData {
  readonly contents: Contents;
  readonly journal: Journal;
  readonly identity: Identity;
  /** Waits until everything is written. */
  close(): Promise<void>;
}

export interface DurableData extends StoreData {
  /** Records that were read, of how many revisions of history. */
  readonly sequence: number;
  /** What was cut off the log, if something was. */
  readonly torn: TornTail | undefined;
}

export interface DataOptions {
  readonly rng: Rng;
  readonly rule?: SnapshotRule;
  /** The disk failed. Nothing is acknowledged after that. */
  readonly onFatal: (fault: unknown) => void;
  /** A snapshot could not be made; the log is not shortened for now. */
  readonly onSnapshotFault: (fault: unknown) => void;
}

/** Contents in memory, that end with the process. */
export function ephemeralData(rng: Rng): StoreData {
  return {
    contents: noContents(rng),
    journal: new NoJournal(),
    identity: { clusterId: randomId(rng), memberId: randomId(rng), term: 1 },
    close: () => Promise.resolve(),
  };
}

/**
 * Opens a data folder: reads it, cuts off what a stop left half written, and notes the start.
 * @throws PodloomError PL_STORE_DAMAGED; whatever the files throw
 */
export async function openData(files: DataFiles, options: DataOptions): Promise<DurableData> {
  const { rng } = options;
  const contents = noContents(rng);
  const replay = new Replay(contents);
  const found = recover(files, replay);
  if (found.damage !== undefined) throw damageError(files.path, found.damage);
  const { sequence, log } = found;
  const file = log === undefined ? files.create(walName(sequence + 1)) : files.reopen(log.name, log.bytes);
  // What was cut off must stay off: the next record is written over it. And what is there may have been in the system's
  // cache only, when the server was killed but the machine went on: from now on it is told to clients.
  await file.sync();
  for (const name of found.superfluous) files.remove(name);
  await files.syncFolder();
  const before = replay.identity;
  const identity: Identity = {
    clusterId: before?.clusterId ?? randomId(rng),
    memberId: before?.memberId ?? randomId(rng),
    term: (before?.term ?? 0) + 1,
  };
  const { records, bytes } = found;
  const journal = new Wal(
    files,
    { sequence, file, records, bytes },
    {
      rule: options.rule ?? SNAPSHOT_RULE,
      image: (upTo) => imageOf(contents, identity, upTo),
      onFatal: options.onFatal,
      onSnapshotFault: options.onSnapshotFault,
    },
  );
  journal.append({ t: "start", format: FORMAT, ...identity });
  return { contents, journal, identity, sequence, torn: found.torn, close: () => journal.close() };
}

/** A random non-zero 64-bit number as decimal text. */
export function randomId(rng: Rng): string {
  return ((BigInt(rng.u32() || 1) << 32n) | BigInt(rng.u32())).toString();
}
