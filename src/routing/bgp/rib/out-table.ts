// What the members of one update group are told, prefix by prefix: the Adj-RIB-Out that they share. An entry says what those that
// are in step know (`told`) and what they are to know (`goal`); while the two differ it stands in a list of what is to be sent.
import type { OutAttributes } from "./out-attributes.ts";
import type { RibPeer } from "./rib-peer.ts";
import type { Destination } from "./route.ts";

/** A route as it is told, and whose it is: a member is not told its own. Shared by all entries that are told the same. */
export class Told {
  readonly attrs: OutAttributes;
  readonly source: RibPeer;
  /** Entries that are to be told this, and are not yet. */
  readonly pending = new EntryList();
  /** How many entries are told this. */
  uses = 0;

  constructor(attrs: OutAttributes, source: RibPeer) {
    this.attrs = attrs;
    this.source = source;
  }
}

/** One prefix, or one path of it where ADD-PATH is spoken. */
export class OutEntry {
  readonly dest: Destination;
  /** 0 where ADD-PATH is not spoken. */
  readonly pathId: number;
  /** Grows from destination to destination in the order of the table, so that a walk knows what is behind it. */
  readonly index: number;
  /** Undefined: nothing. */
  told: Told | undefined = undefined;
  goal: Told | undefined = undefined;
  /** How many members and messages remember something of it. */
  refs = 0;
  /** The next path of the same destination. */
  sibling: OutEntry | undefined = undefined;
  /** Neighbours in an {@link EntryList}. */
  before: OutEntry | undefined = undefined;
  after: OutEntry | undefined = undefined;

  constructor(dest: Destination, pathId: number, index: number) {
    this.dest = dest;
    this.pathId = pathId;
    this.index = index;
  }
}

/** Entries in a row, first come first served; an entry is in one list at most. */
export class EntryList {
  first: OutEntry | undefined = undefined;
  #last: OutEntry | undefined = undefined;
  size = 0;

  push(entry: OutEntry): void {
    entry.before = this.#last;
    entry.after = undefined;
    if (this.#last === undefined) this.first = entry;
    else this.#last.after = entry;
    this.#last = entry;
    this.size++;
  }

  /** @param entry one of this list's */
  remove(entry: OutEntry): void {
    const { before, after } = entry;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    entry.before = undefined;
    entry.after = undefined;
    this.size--;
  }
}

/** The entries by destination. Each destination in it is held: see `Destination.holders`. */
export class OutTable {
  readonly #heads = new Map<Destination, OutEntry>();
  readonly #release: (dest: Destination) => void;
  #lastIndex = 0;

  /** @param release a destination is not held any more */
  constructor(release: (dest: Destination) => void) {
    this.#release = release;
  }

  /** Destinations. */
  get size(): number {
    return this.#heads.size;
  }

  /** The first entry of a destination; the others are its siblings. */
  head(dest: Destination): OutEntry | undefined {
    return this.#heads.get(dest);
  }

  obtain(dest: Destination, pathId: number): OutEntry {
    const head = this.#heads.get(dest);
    if (head === undefined) {
      const entry = new OutEntry(dest, pathId, ++this.#lastIndex);
      dest.holders++;
      this.#heads.set(dest, entry);
      return entry;
    }
    for (let one = head; ; one = one.sibling) {
      if (one.pathId === pathId) return one;
      if (one.sibling !== undefined) continue;
      one.sibling = new OutEntry(dest, pathId, head.index);
      return one.sibling;
    }
  }

  /** Takes out an entry of the table. */
  del(entry: OutEntry): void {
    const { dest, sibling } = entry;
    const head = this.#heads.get(dest);
    if (head !== entry) {
      for (let one = head; one !== undefined; one = one.sibling) {
        if (one.sibling === entry) one.sibling = sibling;
      }
    } else if (sibling === undefined) {
      this.#heads.delete(dest);
      this.#release(dest);
    } else {
      this.#heads.set(dest, sibling);
    }
  }

  /** Takes out at most `limit` destinations, whatever is known of them, and returns how many it took: for a table that nobody needs. */
  clear(limit: number): number {
    let taken = 0;
    for (const dest of this.#heads.keys()) {
      if (taken === limit) break;
      this.#heads.delete(dest);
      this.#release(dest);
      taken++;
    }
    return taken;
  }

  /** The first entries, by index. What comes in meanwhile is met at the end, what goes is not met. */
  heads(): MapIterator<OutEntry> {
    return this.#heads.values();
  }

  *entries(): Iterable<OutEntry> {
    for (const head of this.#heads.values()) {
      for (let one: OutEntry | undefined = head; one !== undefined; one = one.sibling) yield one;
    }
  }
}
