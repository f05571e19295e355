// A hash table keyed by MAC addresses, for forwarding databases. A 48-bit number as the key of a Map costs a heap number for
// each lookup; here the address is compared as two small integers that are read straight out of the frame.
import { assert } from "../base/assert.ts";
import type { MacAddr } from "../base/mac-addr.ts";

/** The first two octets of an address. */
export function macHigh(mac: MacAddr): number {
  return Math.floor(mac / 0x1_0000_0000);
}

/** The last four octets of an address as a signed integer: on 64-bit V8 always a small one, never a heap number. */
export function macLow(mac: MacAddr): number {
  return mac | 0;
}

const EMPTY = -1;
const SLOTS_MIN = 16;

/**
 * MAC address → value, at most `limit` of them. Open addressing with linear probing, at most half full; deletion shifts
 * back, so there are no tombstones. A lookup allocates nothing.
 */
export class MacTable<V> {
  readonly limit: number;
  /** Makes the hash unpredictable: the addresses come from frames, and a frame's sender may be hostile. */
  readonly #salt: number;
  #high = new Int32Array(SLOTS_MIN).fill(EMPTY);
  #low = new Int32Array(SLOTS_MIN);
  #values: (V | undefined)[] = Array.from({ length: SLOTS_MIN });
  #mask = SLOTS_MIN - 1;
  #size = 0;

  /** @param salt random bits */
  constructor(limit: number, salt: number) {
    assert(Number.isInteger(limit) && limit > 0, "a table's limit is a positive integer");
    this.limit = limit;
    this.#salt = salt | 0;
  }

  get size(): number {
    return this.#size;
  }

  /** The value under the six bytes at `off` of `view`. */
  find(view: DataView, off: number): V | undefined {
    const slot = this.#slotOf(view.getUint16(off), view.getInt32(off + 2));
    return this.#values[slot];
  }

  get(mac: MacAddr): V | undefined {
    return this.#values[this.#slotOf(macHigh(mac), macLow(mac))];
  }

  /** Stores `value` under `mac`. False when the table is full, and then nothing changed. */
  set(mac: MacAddr, value: V): boolean {
    const high = macHigh(mac);
    const low = macLow(mac);
    let slot = this.#slotOf(high, low);
    if (this.#high[slot] === EMPTY) {
      if (this.#size >= this.limit) return false;
      if (2 * (this.#size + 1) > this.#mask) {
        this.#grow();
        slot = this.#slotOf(high, low);
      }
      this.#high[slot] = high;
      this.#low[slot] = low;
      this.#size++;
    }
    this.#values[slot] = value;
    return true;
  }

  delete(mac: MacAddr): boolean {
    let hole = this.#slotOf(macHigh(mac), macLow(mac));
    if (this.#high[hole] === EMPTY) return false;
    this.#size--;
    // Whoever was pushed past the hole by a collision moves back into it.
    for (let at = (hole + 1) & this.#mask; this.#high[at] !== EMPTY; at = (at + 1) & this.#mask) {
      const home = this.#hash(this.#high[at] as number, this.#low[at] as number);
      if (((at - home) & this.#mask) < ((at - hole) & this.#mask)) continue;
      this.#high[hole] = this.#high[at] as number;
      this.#low[hole] = this.#low[at] as number;
      this.#values[hole] = this.#values[at];
      hole = at;
    }
    this.#high[hole] = EMPTY;
    this.#values[hole] = undefined;
    return true;
  }

  /** All values, by address; a copy, so that the table may change while it is walked. */
  entries(): [mac: MacAddr, value: V][] {
    const rows: [MacAddr, V][] = [];
    for (let slot = 0; slot <= this.#mask; slot++) {
      const high = this.#high[slot] as number;
      if (high === EMPTY) continue;
      rows.push([high * 0x1_0000_0000 + ((this.#low[slot] as number) >>> 0), this.#values[slot] as V]);
    }
    return rows.sort((a, b) => a[0] - b[0]);
  }

  /** The slot that holds the address, or the empty one where it would go. */
  #slotOf(high: number, low: number): number {
    let slot = this.#hash(high, low);
    for (;;) {
      const there = this.#high[slot];
      if (there === EMPTY || (there === high && this.#low[slot] === low)) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  #hash(high: number, low: number): number {
    let h = Math.imul(low ^ this.#salt, 0x85eb_ca6b) ^ Math.imul(high + 0x9e37, 0xc2b2_ae35);
    h ^= h >>> 15;
    h = Math.imul(h, 0x2c1b_3c6d);
    return (h ^ (h >>> 13)) & this.#mask;
  }

  #grow(): void {
    const high = this.#high;
    const low = this.#low;
    const values = this.#values;
    const slots = high.length * 2;
    this.#high = new Int32Array(slots).fill(EMPTY);
    this.#low = new Int32Array(slots);
    this.#values = Array.from({ length: slots });
    this.#mask = slots - 1;
    for (let i = 0; i < high.length; i++) {
      if (high[i] === EMPTY) continue;
      const slot = this.#slotOf(high[i] as number, low[i] as number);
      this.#high[slot] = high[i] as number;
      this.#low[slot] = low[i] as number;
      this.#values[slot] = values[i];
    }
  }
}
