import { assert } from "../../base/assert.ts";
import type { ByteKey } from "./byte-key.ts";

/** A chunk is split when it grows beyond this; splicing an array of this size costs well under a microsecond. */
const CHUNK_KEYS_MAX = 256;

interface Chunk<V> {
  /** Sorted, never empty. */
  readonly keys: ByteKey[];
  /** `values[i]` belongs to `keys[i]`. */
  readonly values: V[];
}

/**
 * Keys in byte order. A two-level B-tree: chunks of at most 256 sorted keys, found by binary search over the chunks. A
 * million keys are some 6,000 chunks, so an insertion touches two short arrays.
 */
export class KeyIndex<V> {
  readonly #chunks: Chunk<V>[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a key that is not in the index. */
  insert(key: ByteKey, value: V): void {
    this.#size++;
    if (this.#chunks.length === 0) {
      this.#chunks.push({ keys: [key], values: [value] });
      return;
    }
    const c = Math.min(this.#chunkOf(key), this.#chunks.length - 1);
    const chunk = this.#chunks[c] as Chunk<V>;
    const at = lowerBound(chunk.keys, key);
    assert(chunk.keys[at] !== key, "the key is in the index already");
    chunk.keys.splice(at, 0, key);
    chunk.values.splice(at, 0, value);
    if (chunk.keys.length <= CHUNK_KEYS_MAX) return;
    // Keys often arrive in order. Splitting near the end then leaves full chunks behind instead of half-full ones.
    const half = at === chunk.keys.length - 1 ? CHUNK_KEYS_MAX : CHUNK_KEYS_MAX >> 1;
    this.#chunks.splice(c + 1, 0, { keys: chunk.keys.splice(half), values: chunk.values.splice(half) });
  }

  /** Removes a key; false when it was not there. */
  remove(key: ByteKey): boolean {
    const c = this.#chunkOf(key);
    const chunk = this.#chunks[c];
    if (chunk === undefined) return false;
    const at = lowerBound(chunk.keys, key);
    if (chunk.keys[at] !== key) return false;
    chunk.keys.splice(at, 1);
    chunk.values.splice(at, 1);
    if (chunk.keys.length === 0) this.#chunks.splice(c, 1);
    this.#size--;
    return true;
  }

  /**
   * Visits the values of `from` <= key < `to` in order until `visit` answers false. The index must not be changed
   * meanwhile.
   */
  scan(from: ByteKey, to: ByteKey, visit: (value: V) => boolean): void {
    let c = this.#chunkOf(from);
    let chunk = this.#chunks[c];
    if (chunk === undefined) return;
    let at = lowerBound(chunk.keys, from);
    while (chunk !== undefined) {
      for (; at < chunk.keys.length; at++) {
        if ((chunk.keys[at] as ByteKey) >= to) return;
        if (!visit(chunk.values[at] as V)) return;
      }
      chunk = this.#chunks[++c];
      at = 0;
    }
  }

  /** The first chunk whose last key is >= `key`; the number of chunks when there is none. */
  #chunkOf(key: ByteKey): number {
    const chunks = this.#chunks;
    let low = 0;
    let high = chunks.length;
    while (low < high) {
      const mid = (low + high) >>> 1;
      const keys = (chunks[mid] as Chunk<V>).keys;
      if ((keys[keys.length - 1] as ByteKey) < key) low = mid + 1;
      else high = mid;
    }
    return low;
  }
}

/** Position of the first key >= `key`. */
function lowerBound(keys: readonly ByteKey[], key: ByteKey): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const mid = (low + high) >>> 1;
    if ((keys[mid] as ByteKey) < key) low = mid + 1;
    else high = mid;
  }
  return low;
}
