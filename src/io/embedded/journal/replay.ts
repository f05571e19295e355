import { NO_LEASE } from "../../../control/datastore/messages.ts";
import type { Alarms } from "../alarms.ts";
import type { Lessor } from "../lessor.ts";
import type { Mvcc } from "../mvcc.ts";
import { isTombstone, type KeyValue } from "../operations.ts";
import { FORMAT, type JournalRecord } from "./record.ts";

/** What records are applied to. */
export interface Contents {
  readonly mvcc: Mvcc;
  readonly lessor: Lessor;
  readonly alarms: Alarms;
}

/** Who the server is. It stays the same as long as its data does. */
export interface Identity {
  readonly clusterId: string;
  readonly memberId: string;
  /** How often it was started. */
  readonly term: number;
}

type Image = Extract<JournalRecord, { readonly t: "image" }>;

/** Builds the contents from records, and believes none of them: each must follow from what is there. */
export class Replay {
  readonly #contents: Contents;
  /** A snapshot that is being read. */
  #image: Image | undefined;
  #identity: Identity | undefined;

  constructor(contents: Contents) {
    this.#contents = contents;
  }

  /** The last start on record. */
  get identity(): Identity | undefined {
    return this.#identity;
  }

  /** Applies a record. Returns what is wrong with it, if something is; it may be half applied then. */
  apply(record: JournalRecord): string | undefined {
    switch (record.t) {
      case "start":
        if (record.format !== FORMAT)
          return `the data have format ${record.format}, and this podloom reads ${FORMAT}`;
        this.#identity = record;
        return undefined;
      case "commit":
        return this.#commit(record.revision, record.changes);
      case "grant":
        if (this.#contents.lessor.has(record.id)) return `lease ${record.id} is granted twice`;
        this.#contents.lessor.restore(record.id, record.ttlSec, 0);
        return undefined;
      case "revoke":
        return this.#revoke(record);
      case "compact":
        return this.#compact(record.revision);
      case "alarm":
        this.#contents.alarms.set(record.memberId, record.alarm, record.active);
        return undefined;
      case "image":
        if (this.#image !== undefined) return "a snapshot begins inside another";
        this.#image = record;
        return undefined;
      case "base":
        return this.#base(record.versions);
      case "end":
        return this.#end();
    }
  }

  #commit(revision: number, changes: readonly KeyValue[]): string | undefined {
    const { mvcc } = this.#contents;
    const image = this.#image;
    if (image === undefined ? revision !== mvcc.revision + 1 : revision <= mvcc.revision)
      return `revision ${revision} follows revision ${mvcc.revision}`;
    if (image !== undefined && (revision > image.revision || revision < image.compactRevision))
      return `revision ${revision} is not one of the snapshot's`;
    if (changes.length === 0) return `revision ${revision} changes nothing`;
    // Of the compact revision itself only what came of it is known, not what was before.
    const known = revision !== image?.compactRevision;
    for (const change of changes) {
      const wrong = known ? this.#wrongWith(change, revision) : undefined;
      if (wrong !== undefined) return `revision ${revision}, key ${JSON.stringify(change.key)}: ${wrong}`;
      this.#append(change);
    }
    mvcc.replayed(revision);
    return undefined;
  }

  #append(change: KeyValue): void {
    const { mvcc, lessor } = this.#contents;
    mvcc.replay(change);
    lessor.attach(change.key, isTombstone(change) ? NO_LEASE : change.lease);
  }

  #wrongWith(change: KeyValue, revision: number): string | undefined {
    const before = this.#contents.mvcc.get(change.key);
    if (change.modRevision !== revision) return `it says revision ${change.modRevision}`;
    if (isTombstone(change)) return before === undefined ? "deleted, but not there" : undefined;
    const version = (before?.version ?? 0) + 1;
    if (change.version !== version) return `version ${change.version}, and ${version} is next`;
    const created = before?.createRevision ?? revision;
    if (change.createRevision !== created)
      return `created at ${change.createRevision}, and it was at ${created}`;
    // A snapshot tells the leases of today, not those of its history.
    const { lessor } = this.#contents;
    if (this.#image === undefined && change.lease !== NO_LEASE && !lessor.has(change.lease))
      return `on lease ${change.lease}, which there is not`;
    return undefined;
  }

  #revoke(record: Extract<JournalRecord, { readonly t: "revoke" }>): string | undefined {
    const { lessor } = this.#contents;
    if (!lessor.has(record.id)) return `lease ${record.id} is revoked, and there is none`;
    const keys = lessor.revoke(record.id);
    const deleted = record.changes.map(({ key }) => key);
    if (keys.join("\n") !== deleted.join("\n")) return `lease ${record.id} had other keys than it took along`;
    return record.changes.length === 0 ? undefined : this.#commit(record.revision, record.changes);
  }

  #compact(revision: number): string | undefined {
    const { mvcc } = this.#contents;
    if (revision > mvcc.revision || revision <= mvcc.compactRevision)
      return `compacted to ${revision}, between ${mvcc.compactRevision} and ${mvcc.revision}`;
    mvcc.compact(revision);
    mvcc.prune(Number.POSITIVE_INFINITY);
    return undefined;
  }

  #base(versions: readonly KeyValue[]): string | undefined {
    const image = this.#image;
    if (image === undefined) return "older versions outside of a snapshot";
    for (const version of versions) {
      if (isTombstone(version) || version.modRevision >= image.compactRevision)
        return `key ${JSON.stringify(version.key)} is not older than the history`;
      if (this.#contents.mvcc.get(version.key) !== undefined)
        return `key ${JSON.stringify(version.key)} is there twice`;
      this.#contents.mvcc.replayBase(version);
      this.#contents.lessor.attach(version.key, version.lease);
    }
    return undefined;
  }

  #end(): string | undefined {
    const image = this.#image;
    const { mvcc } = this.#contents;
    if (image === undefined) return "a snapshot ends, and none has begun";
    this.#image = undefined;
    mvcc.replayed(image.revision);
    if (image.compactRevision >= 0) {
      mvcc.compact(image.compactRevision);
      mvcc.prune(Number.POSITIVE_INFINITY);
    }
    return undefined;
  }
}

/**
 * The contents as a snapshot. What can still change is copied at the call; the records are made when they are read.
 * @param sequence of the last record that is in them
 */
export function imageOf(contents: Contents, identity: Identity, sequence: number): Iterable<JournalRecord> {
  const { mvcc, lessor, alarms } = contents;
  const { revision, compactRevision } = mvcc;
  const { base, history } = mvcc.image();
  const head: readonly JournalRecord[] = [
    { t: "image", sequence, revision, compactRevision },
    { t: "start", format: FORMAT, ...identity },
    ...lessor.grants().map(({ id, ttlSec }): JournalRecord => ({ t: "grant", id, ttlSec })),
    ...alarms.list().map((alarm): JournalRecord => ({ t: "alarm", ...alarm, active: true })),
  ];
  return records(head, base, history);
}

/** Versions in one record of a snapshot's base. */
const BASE_VERSIONS = 100;

function* records(
  head: readonly JournalRecord[],
  base: readonly KeyValue[],
  history: readonly KeyValue[],
): Generator<JournalRecord> {
  yield* head;
  for (let i = 0; i < base.length; i += BASE_VERSIONS) {
    yield { t: "base", versions: base.slice(i, i + BASE_VERSIONS) };
  }
  for (let i = 0; i < history.length; ) {
    const from = i;
    const revision = (history[from] as KeyValue).modRevision;
    while (history[i]?.modRevision === revision) i++;
    yield { t: "commit", revision, changes: history.slice(from, i) };
  }
  yield { t: "end" };
}
