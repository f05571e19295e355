import { type Ipv4Addr, netmask, type Prefix } from "./ipv4-addr.ts";

/** Netmasks as signed integers, by prefix length. */
const MASKS = Int32Array.from({ length: 33 }, (_, len) => netmask(len) | 0);

/**
 * Longest-prefix match over IPv4: one hash table a prefix length, probed from the longest in use to the shortest. A pod
 * network uses four or five lengths, so a lookup is a handful of integer Map reads and allocates nothing: the keys are
 * signed, because V8 makes a heap number of an unsigned one above 2^31. Addresses may be given signed or unsigned.
 */
export class LpmTable<V> {
  readonly #byLen: (Map<number, V> | undefined)[] = Array.from({ length: 33 });
  /** Lengths in use, longest first. */
  #lens: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The value of the longest prefix that contains `addr`. */
  lookup(addr: Ipv4Addr): V | undefined {
    const lens = this.#lens;
    for (let i = 0; i < lens.length; i++) {
      const len = lens[i] as number;
      const hit = (this.#byLen[len] as Map<number, V>).get(addr & (MASKS[len] as number));
      if (hit !== undefined) return hit;
    }
    return undefined;
  }

  /**
   * Like {@link lookup}, but only among prefixes shorter than `len`: what a caller asks next when the entry it found does
   * not suit. Start with 33 for all.
   */
  lookupShorter(addr: Ipv4Addr, len: number): V | undefined {
    const lens = this.#lens;
    for (let i = 0; i < lens.length; i++) {
      const l = lens[i] as number;
      if (l >= len) continue;
      const hit = (this.#byLen[l] as Map<number, V>).get(addr & (MASKS[l] as number));
      if (hit !== undefined) return hit;
    }
    return undefined;
  }

  /** The value stored under exactly this prefix. */
  get(prefix: Prefix): V | undefined {
    return this.#byLen[prefix.len]?.get(prefix.addr | 0);
  }

  set(prefix: Prefix, value: V): void {
    let table = this.#byLen[prefix.len];
    if (table === undefined) {
      table = new Map();
      this.#byLen[prefix.len] = table;
      this.#lens = [...this.#lens, prefix.len].sort((a, b) => b - a);
    }
    const key = prefix.addr | 0;
    if (!table.has(key)) this.#size++;
    table.set(key, value);
  }

  del(prefix: Prefix): boolean {
    const table = this.#byLen[prefix.len];
    if (table === undefined || !table.delete(prefix.addr | 0)) return false;
    this.#size--;
    if (table.size === 0) {
      this.#byLen[prefix.len] = undefined;
      this.#lens = this.#lens.filter((len) => len !== prefix.len);
    }
    return true;
  }

  /** All values, longest prefixes first, by address within a length. */
  *values(): IterableIterator<V> {
    for (const len of this.#lens) {
      const table = this.#byLen[len] as Map<number, V>;
      for (const key of [...table.keys()].sort((a, b) => (a >>> 0) - (b >>> 0))) yield table.get(key) as V;
    }
  }
}
