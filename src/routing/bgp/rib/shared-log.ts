import type { OutEntry, Told } from "./out-table.ts";

/** Messages that were encoded once for many, and what they changed. */
export interface LoggedChunk {
  readonly bytes: Uint8Array;
  readonly entries: readonly OutEntry[];
  /** What each entry was told before. */
  readonly before: readonly (Told | undefined)[];
}

/**
 * The last messages of an update group, for members that could not take them at once. A member in step stands at a position: it has
 * everything that comes before it. Positions only grow.
 *
 * @typeParam C a chunk, with whatever says whom it is for
 */
export class SharedLog<C extends LoggedChunk> {
  #chunks: C[] = [];
  /** Position of the first chunk. */
  #base = 0;
  #bytes = 0;

  /** Where members stand that have everything. */
  get end(): number {
    return this.#base + this.#chunks.length;
  }

  /** Where the slowest stand. */
  get base(): number {
    return this.#base;
  }

  /** Octets that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  at(position: number): C {
    return this.#chunks[position - this.#base] as C;
  }

  append(chunk: C): void {
    for (const entry of chunk.entries) entry.refs++;
    this.#chunks.push(chunk);
    this.#bytes += chunk.bytes.length;
  }

  /** A chunk that nobody needs any more: everybody has taken it, and there was none before it. */
  skip(): void {
    this.#base++;
  }

  /** Forgets what lies before `position`. @param unref is called for each entry that was remembered */
  trim(position: number, unref: (entry: OutEntry) => void): void {
    const count = position - this.#base;
    if (count <= 0) return;
    const gone = this.#chunks.splice(0, count);
    this.#base = position;
    for (const chunk of gone) {
      this.#bytes -= chunk.bytes.length;
      for (const entry of chunk.entries) unref(entry);
    }
  }
}
