import { type ByteKey, KEYSPACE_END, prefixEnd, type Span, spanContains } from "./byte-key.ts";
import type { KeyValue } from "./operations.ts";

/** All watchers of one span: what they see of a commit is computed once. */
interface Bucket<W> {
  readonly span: Span;
  readonly watchers: Set<W>;
}

/**
 * Finds the watchers of a key. Spans of one key and of a prefix, which is what clients use, are found by hash: one look-up a
 * length of prefix in use. Other ranges are few, and searched one after the other.
 */
export class WatchIndex<W> {
  readonly #keys = new Map<ByteKey, Bucket<W>>();
  readonly #prefixes = new Map<ByteKey, Bucket<W>>();
  /** How many prefixes there are of each length. */
  readonly #lengths = new Map<number, number>();
  readonly #ranges = new Map<string, Bucket<W>>();

  add(span: Span, watcher: W): void {
    const table = this.#tableOf(span);
    const name = nameOf(span, table === this.#ranges);
    const bucket = table.get(name);
    if (bucket !== undefined) {
      bucket.watchers.add(watcher);
      return;
    }
    table.set(name, { span, watchers: new Set([watcher]) });
    if (table === this.#prefixes) this.#lengths.set(name.length, (this.#lengths.get(name.length) ?? 0) + 1);
  }

  remove(span: Span, watcher: W): void {
    const table = this.#tableOf(span);
    const name = nameOf(span, table === this.#ranges);
    const bucket = table.get(name);
    if (bucket === undefined || !bucket.watchers.delete(watcher) || bucket.watchers.size > 0) return;
    table.delete(name);
    if (table !== this.#prefixes) return;
    const left = (this.#lengths.get(name.length) ?? 0) - 1;
    if (left > 0) this.#lengths.set(name.length, left);
    else this.#lengths.delete(name.length);
  }

  /**
   * Calls `deliver` once for each bucket that the changes concern, with those in its span, in order. `deliver` may remove
   * watchers.
   */
  dispatch(
    changes: readonly KeyValue[],
    deliver: (watchers: ReadonlySet<W>, events: readonly KeyValue[]) => void,
  ): void {
    const concerned = new Map<Bucket<W>, KeyValue[]>();
    for (const change of changes) {
      this.#match(change.key, (bucket) => {
        const events = concerned.get(bucket);
        if (events === undefined) concerned.set(bucket, [change]);
        else events.push(change);
      });
    }
    for (const [bucket, events] of concerned) deliver(bucket.watchers, events);
  }

  #match(key: ByteKey, found: (bucket: Bucket<W>) => void): void {
    const exact = this.#keys.get(key);
    if (exact !== undefined) found(exact);
    for (const length of this.#lengths.keys()) {
      if (length > key.length) continue;
      const bucket = this.#prefixes.get(key.slice(0, length));
      if (bucket !== undefined) found(bucket);
    }
    for (const bucket of this.#ranges.values()) if (spanContains(bucket.span, key)) found(bucket);
  }

  #tableOf(span: Span): Map<string, Bucket<W>> {
    if (span.end === undefined) return this.#keys;
    // A prefix of 0xff bytes ends where the key space ends, like the range "from this key on": only the latter is meant.
    return span.end !== KEYSPACE_END && prefixEnd(span.key) === span.end ? this.#prefixes : this.#ranges;
  }
}

function nameOf(span: Span, isRange: boolean): string {
  // Keys hold characters up to U+00FF only, so U+FFFE can stand between the two.
  return isRange ? `${span.key}\ufffe${span.end}` : span.key;
}
