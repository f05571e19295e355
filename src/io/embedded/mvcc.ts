// The revisioned key space: every version of every key since the last compaction. Pure logic, in memory. A write is
// put/deleteRange… and then one commit(), which makes all of it one revision; whoever validates does so before the first
// write, because there is no rollback.
import type { LeaseId } from "../../control/datastore/messages.ts";
import { NO_LEASE } from "../../control/datastore/messages.ts";
import { type ByteKey, KEYSPACE_END, type Span, spanContains } from "./byte-key.ts";
import { Refused, refuse } from "./errors.ts";
import { KeyIndex } from "./key-index.ts";
import { isTombstone, type KeyValue } from "./operations.ts";

const NO_VALUE = new Uint8Array(0);

/** What a version costs beside its key and value, in bytes: an estimate for the size that Status reports. */
const RECORD_OVERHEAD_BYTES = 64;

/** All kept versions of one key, oldest first, tombstones included. */
interface KeyHistory {
  readonly key: ByteKey;
  readonly versions: KeyValue[];
}

/** One slice of the past, see {@link Mvcc.history}. */
export interface HistorySlice {
  readonly events: readonly KeyValue[];
  /** Where to go on. */
  readonly nextRevision: number;
  /** Log entries looked at. */
  readonly scanned: number;
}

export interface HistoryLimits {
  /** Matching revisions in one slice. */
  readonly revisions: number;
  /** Key and value bytes in one slice; a single revision may exceed it, because it is never split. */
  readonly bytes: number;
  /** Log entries to look at. */
  readonly scan: number;
}

export class Mvcc {
  readonly #byKey = new Map<ByteKey, KeyHistory>();
  readonly #index = new KeyIndex<KeyHistory>();
  /** Every change in order. Slots before `#logHead` are cleared. */
  #log: (KeyValue | undefined)[] = [];
  #logHead = 0;
  /** Writes since the last commit. */
  #pending: KeyValue[] = [];
  #revision = 1;
  // -1 before the first compaction, as in etcd: so that compacting revision 0 once is allowed.
  #compactRevision = -1;
  #pruned = true;
  #sizeBytes = 0;

  /** The revision of the last commit; a new store is at 1. */
  get revision(): number {
    return this.#revision;
  }

  /** Nothing older can be read; -1 before the first compaction. */
  get compactRevision(): number {
    return this.#compactRevision;
  }

  /** The revision that a read would see now: one more than {@link revision} while a write is open. */
  get readRevision(): number {
    return this.#pending.length === 0 ? this.#revision : this.#revision + 1;
  }

  /** About how many bytes keys and values take, history included. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Number of keys with any kept version. */
  get keyCount(): number {
    return this.#index.size;
  }

  /** The live version of a key, or undefined. */
  get(key: ByteKey): KeyValue | undefined {
    const versions = this.#byKey.get(key)?.versions;
    if (versions === undefined) return undefined;
    const last = versions[versions.length - 1] as KeyValue;
    return isTombstone(last) ? undefined : last;
  }

  /** The version of a key that was live at `revision`; undefined as well when that has been compacted. */
  getAt(key: ByteKey, revision: number): KeyValue | undefined {
    if (revision < this.#compactRevision) return undefined;
    const history = this.#byKey.get(key);
    return history === undefined ? undefined : liveAt(history.versions, revision);
  }

  /**
   * The live keys of `span` at `revision` (0 or less: now), in key order, and how many there are.
   * @param limit return at most so many (the count is of all); 0 or less is all
   * Refuses with COMPACTED or FUTURE_REVISION.
   */
  range(span: Span, revision: number, limit: number): { kvs: KeyValue[]; count: number } {
    const current = this.readRevision;
    if (revision > current) refuse(Refused.FUTURE_REVISION);
    const at = revision <= 0 ? current : revision;
    if (at < this.#compactRevision) refuse(Refused.COMPACTED);
    const kvs: KeyValue[] = [];
    if (span.end === undefined) {
      const kv = at === current ? this.get(span.key) : this.getAt(span.key, at);
      if (kv !== undefined) kvs.push(kv);
      return { kvs, count: kvs.length };
    }
    const max = limit > 0 ? limit : Number.POSITIVE_INFINITY;
    let count = 0;
    this.#index.scan(span.key, span.end, ({ versions }) => {
      const last = versions[versions.length - 1] as KeyValue;
      const kv = last.modRevision <= at ? last : liveAt(versions, at);
      if (kv !== undefined && !isTombstone(kv) && count++ < max) kvs.push(kv);
      return true;
    });
    return { kvs, count };
  }

  /** Writes a new version. @param value the store takes ownership. Returns the version that it replaces. */
  put(key: ByteKey, value: Uint8Array, lease: LeaseId): KeyValue | undefined {
    const revision = this.#revision + 1;
    const previous = this.get(key);
    this.#append({
      key,
      value,
      createRevision: previous === undefined ? revision : previous.createRevision,
      modRevision: revision,
      version: previous === undefined ? 1 : previous.version + 1,
      lease,
    });
    return previous;
  }

  /** Deletes what is live in `span`. Returns the versions that were, in key order. */
  deleteRange(span: Span): readonly KeyValue[] {
    const modRevision = this.#revision + 1;
    const { kvs } = this.range(span, 0, 0);
    for (const { key } of kvs) {
      this.#append({ key, value: NO_VALUE, createRevision: 0, modRevision, version: 0, lease: NO_LEASE });
    }
    return kvs;
  }

  /** Ends the write: what was written becomes one revision. Returns the changes in order; none, no revision. */
  commit(): readonly KeyValue[] {
    const changes = this.#pending;
    if (changes.length === 0) return changes;
    this.#pending = [];
    this.#revision++;
    for (const change of changes) this.#log.push(change);
    return changes;
  }

  /** What is wrong with the index, if something is: every key once, in order, and its versions by revision. */
  verify(): string | undefined {
    let last: ByteKey | undefined;
    let keys = 0;
    let wrong: string | undefined;
    this.#index.scan("", KEYSPACE_END, (history) => {
      const { key, versions } = history;
      keys++;
      if (last !== undefined && key <= last) wrong = `key ${JSON.stringify(key)} is out of order`;
      else if (this.#byKey.get(key) !== history) wrong = `key ${JSON.stringify(key)} is not found`;
      else if (versions.some((kv, i) => i > 0 && kv.modRevision < (versions[i - 1] as KeyValue).modRevision))
        wrong = `the versions of key ${JSON.stringify(key)} are out of order`;
      last = key;
      return wrong === undefined;
    });
    if (wrong === undefined && keys !== this.#byKey.size)
      return `${this.#byKey.size} keys, and ${keys} in order`;
    return wrong;
  }

  /** A change as it was written down, in order; {@link replayed} ends its revision. */
  replay(change: KeyValue): void {
    this.#keep(change);
    this.#log.push(change);
  }

  replayed(revision: number): void {
    this.#revision = revision;
  }

  /** A version that is older than all history: what a snapshot begins with. */
  replayBase(version: KeyValue): void {
    this.#keep(version);
  }

  /**
   * All that is kept: the versions that are older than the compact revision, and the changes from it on, in order. Frees
   * compacted history first.
   */
  image(): { readonly base: readonly KeyValue[]; readonly history: readonly KeyValue[] } {
    this.prune(Number.POSITIVE_INFINITY);
    const base: KeyValue[] = [];
    // The oldest version of a key is the only one that can be that old.
    this.#index.scan("", KEYSPACE_END, ({ versions }) => {
      const oldest = versions[0] as KeyValue;
      if (oldest.modRevision < this.#compactRevision) base.push(oldest);
      return true;
    });
    return { base, history: this.#log.slice(this.#logHead) as KeyValue[] };
  }

  /**
   * Forgets what is older than `revision`, at once for readers; the memory comes back with {@link prune}. Refuses with
   * COMPACTED or FUTURE_REVISION.
   */
  compact(revision: number): void {
    if (revision <= this.#compactRevision) refuse(Refused.COMPACTED);
    if (revision > this.#revision) refuse(Refused.FUTURE_REVISION);
    this.#compactRevision = revision;
    this.#pruned = false;
  }

  /** Is there compacted history that {@link prune} has not freed yet? */
  get pruneDue(): boolean {
    return !this.#pruned;
  }

  /**
   * Frees versions that no reader can ask for any more, at most `budget` of them, and returns how many it looked at. The log
   * keeps the changes of the compact revision itself: a watch may start there.
   */
  prune(budget: number): number {
    if (this.#pruned) return 0;
    const target = this.#compactRevision;
    let done = 0;
    for (; done < budget; done++) {
      const entry = this.#log[this.#logHead];
      if (entry === undefined || entry.modRevision >= target) break;
      this.#pruneKey(entry.key, target);
      this.#log[this.#logHead++] = undefined;
    }
    if (this.#logHead > 1024 && this.#logHead * 2 > this.#log.length) {
      this.#log = this.#log.slice(this.#logHead);
      this.#logHead = 0;
    }
    if (done === budget) return done;
    for (let i = this.#logHead; i < this.#log.length; i++) {
      const entry = this.#log[i] as KeyValue;
      if (entry.modRevision > target) break;
      this.#pruneKey(entry.key, target);
      done++;
    }
    this.#pruned = true;
    return done;
  }

  /**
   * The changes in `span` from revision `from` up to `upTo`, in order. Never splits a revision.
   * `from` must not be older than {@link compactRevision}.
   */
  history(span: Span, from: number, upTo: number, limits: HistoryLimits): HistorySlice {
    const events: KeyValue[] = [];
    let revisions = 0;
    let bytes = 0;
    let lastMatched = -1;
    const first = this.#logIndexOf(from);
    let i = first;
    for (let lastSeen = -1; i < this.#log.length; i++) {
      const entry = this.#log[i] as KeyValue;
      const revision = entry.modRevision;
      if (revision > upTo) break;
      if (revision !== lastSeen) {
        const full = revisions >= limits.revisions || bytes >= limits.bytes || i - first >= limits.scan;
        if (full) return { events, nextRevision: revision, scanned: i - first };
        lastSeen = revision;
      }
      if (!spanContains(span, entry.key)) continue;
      events.push(entry);
      bytes += entry.key.length + entry.value.length;
      if (revision !== lastMatched) {
        revisions++;
        lastMatched = revision;
      }
    }
    return { events, nextRevision: upTo + 1, scanned: i - first };
  }

  #append(kv: KeyValue): void {
    this.#keep(kv);
    this.#pending.push(kv);
  }

  #keep(kv: KeyValue): void {
    const history = this.#byKey.get(kv.key);
    if (history === undefined) {
      const created = { key: kv.key, versions: [kv] };
      this.#byKey.set(kv.key, created);
      this.#index.insert(kv.key, created);
    } else {
      history.versions.push(kv);
    }
    this.#sizeBytes += recordBytes(kv);
  }

  /** Drops the versions of `key` that a read at `target` or later cannot see. */
  #pruneKey(key: ByteKey, target: number): void {
    const history = this.#byKey.get(key);
    if (history === undefined) return;
    const { versions } = history;
    const visible = indexAt(versions, target);
    if (visible < 0) return;
    const keepFrom = isTombstone(versions[visible] as KeyValue) ? visible + 1 : visible;
    if (keepFrom === 0) return;
    for (let i = 0; i < keepFrom; i++) this.#sizeBytes -= recordBytes(versions[i] as KeyValue);
    if (keepFrom < versions.length) {
      versions.splice(0, keepFrom);
      return;
    }
    this.#byKey.delete(key);
    this.#index.remove(key);
  }

  /** Where in the log the first change of `revision` or later stands. */
  #logIndexOf(revision: number): number {
    let low = this.#logHead;
    let high = this.#log.length;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if ((this.#log[mid] as KeyValue).modRevision < revision) low = mid + 1;
      else high = mid;
    }
    return low;
  }
}

/** Index of the last version that is not newer than `revision`; -1 when all are. Recent reads are the common ones. */
function indexAt(versions: readonly KeyValue[], revision: number): number {
  let low = 0;
  let high = versions.length;
  while (low < high) {
    const mid = (low + high) >>> 1;
    if ((versions[mid] as KeyValue).modRevision <= revision) low = mid + 1;
    else high = mid;
  }
  return low - 1;
}

function liveAt(versions: readonly KeyValue[], revision: number): KeyValue | undefined {
  const at = indexAt(versions, revision);
  if (at < 0) return undefined;
  const kv = versions[at] as KeyValue;
  return isTombstone(kv) ? undefined : kv;
}

function recordBytes(kv: KeyValue): number {
  return kv.key.length + kv.value.length + RECORD_OVERHEAD_BYTES;
}
