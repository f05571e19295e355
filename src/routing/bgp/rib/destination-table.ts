// Destinations by prefix, a table for each family. Keys of IPv4 are integers that V8 keeps without allocating; a table of IPv6 is
// keyed by strings, whose hashes nobody outside can foresee.
import type { PrefixList } from "../../../wire/bgp/prefix-list.ts";
import { ipv6PrefixAt } from "../../../wire/bgp/prefix-list.ts";
import { RibDestination } from "./rib-destination.ts";
import type { RibPrefix } from "./route.ts";

export interface DestinationTable {
  readonly size: number;
  lookup(prefix: RibPrefix): RibDestination | undefined;
  /** The destination, made if there is none. */
  obtain(prefix: RibPrefix): RibDestination;
  /** {@link lookup} of prefix `i` of a list. */
  lookupAt(list: PrefixList, i: number): RibDestination | undefined;
  /** {@link obtain} for prefix `i` of a list. */
  obtainAt(list: PrefixList, i: number): RibDestination;
  del(dest: RibDestination): void;
  /** All, in no particular order. What is deleted or added meanwhile does not disturb. */
  dump(): Iterable<RibDestination>;
}

/** A Map for each prefix length, keyed by the address as a signed number. */
export class Ipv4Destinations implements DestinationTable {
  readonly #byLen: (Map<number, RibDestination> | undefined)[] = Array.from({ length: 33 });
  #size = 0;

  get size(): number {
    return this.#size;
  }

  lookup(prefix: RibPrefix): RibDestination | undefined {
    return this.#byLen[prefix.len]?.get(prefix.a | 0);
  }

  obtain(prefix: RibPrefix): RibDestination {
    return this.#obtain(prefix.a | 0, prefix.len);
  }

  lookupAt(list: PrefixList, i: number): RibDestination | undefined {
    return this.#byLen[list.lens[i] as number]?.get((list.words[i] as number) | 0);
  }

  obtainAt(list: PrefixList, i: number): RibDestination {
    return this.#obtain((list.words[i] as number) | 0, list.lens[i] as number);
  }

  del(dest: RibDestination): void {
    if (this.#byLen[dest.len]?.delete(dest.word) === true) this.#size--;
  }

  *dump(): Iterable<RibDestination> {
    for (const map of this.#byLen) if (map !== undefined) yield* map.values();
  }

  #obtain(word: number, len: number): RibDestination {
    let map = this.#byLen[len];
    if (map === undefined) this.#byLen[len] = map = new Map();
    let dest = map.get(word);
    if (dest === undefined) {
      dest = new RibDestination(word, len, undefined);
      map.set(word, dest);
      this.#size++;
    }
    return dest;
  }
}

export class Ipv6Destinations implements DestinationTable {
  readonly #byKey = new Map<string, RibDestination>();

  get size(): number {
    return this.#byKey.size;
  }

  lookup(prefix: RibPrefix): RibDestination | undefined {
    return this.#byKey.get(ipv6Key(prefix.a, prefix.b, prefix.c, prefix.d, prefix.len));
  }

  obtain({ a, b, c, d, len }: RibPrefix): RibDestination {
    const key = ipv6Key(a, b, c, d, len);
    let dest = this.#byKey.get(key);
    if (dest === undefined) {
      dest = new RibDestination(0, len, { a, b, c, d, len });
      this.#byKey.set(key, dest);
    }
    return dest;
  }

  lookupAt(list: PrefixList, i: number): RibDestination | undefined {
    return this.#byKey.get(ipv6KeyAt(list, i));
  }

  obtainAt(list: PrefixList, i: number): RibDestination {
    const key = ipv6KeyAt(list, i);
    let dest = this.#byKey.get(key);
    if (dest === undefined) {
      const prefix = ipv6PrefixAt(list, i);
      dest = new RibDestination(0, prefix.len, prefix);
      this.#byKey.set(key, dest);
    }
    return dest;
  }

  del({ a, b, c, d, len }: RibDestination): void {
    this.#byKey.delete(ipv6Key(a, b, c, d, len));
  }

  dump(): Iterable<RibDestination> {
    return this.#byKey.values();
  }
}

function ipv6KeyAt({ words, lens }: PrefixList, i: number): string {
  const at = 4 * i;
  return ipv6Key(
    words[at] as number,
    words[at + 1] as number,
    words[at + 2] as number,
    words[at + 3] as number,
    lens[i] as number,
  );
}

function ipv6Key(a: number, b: number, c: number, d: number, len: number): string {
  // As much of the address as the prefix has.
  if (len <= 64) return String.fromCharCode(len, a >>> 16, a & 0xffff, b >>> 16, b & 0xffff);
  return String.fromCharCode(
    len,
    a >>> 16,
    a & 0xffff,
    b >>> 16,
    b & 0xffff,
    c >>> 16,
    c & 0xffff,
    d >>> 16,
    d & 0xffff,
  );
}
