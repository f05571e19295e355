// Octets in network order. Codecs of BGP read from a `Uint8Array` that ends where the message ends: an index beyond it
// yields undefined, never a neighbour's byte, and every parser measures before it reads.
import { assert } from "../../base/assert.ts";

/** No octets. Shared, so never written. */
export const NO_OCTETS = new Uint8Array(0);

/** The unsigned 16 bits at `off`, which the caller has measured. */
export function u16(bytes: Uint8Array, off: number): number {
  return ((bytes[off] as number) << 8) | (bytes[off + 1] as number);
}

/** The unsigned 32 bits at `off`, which the caller has measured. */
export function u32(bytes: Uint8Array, off: number): number {
  return ((u16(bytes, off) << 16) | u16(bytes, off + 2)) >>> 0;
}

/** `value` as 16 bits: what a NOTIFICATION quotes. */
export function octets16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}

/** `value` as 32 bits. */
export function octets32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/**
 * A growing run of octets. Several messages are written one after the other and leave in one piece through {@link take}, so
 * that a flush is one write to the socket.
 */
export class OctetWriter {
  #bytes: Uint8Array;
  #length = 0;

  /** @param capacity octets to start with */
  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** Octets written so far. */
  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    const at = this.skip(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    this.setU16(this.skip(2), value);
  }

  u32(value: number): void {
    const at = this.skip(4);
    const bytes = this.#bytes;
    bytes[at] = value >>> 24;
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
  }

  /** Appends a copy of `octets`, which is borrowed. */
  octets(octets: Uint8Array): void {
    const at = this.skip(octets.length);
    this.#bytes.set(octets, at);
  }

  /** Overwrites one octet that was written before. */
  setU8(at: number, value: number): void {
    assert(at < this.#length, "only what was written can be overwritten");
    this.#bytes[at] = value;
  }

  /** Overwrites two octets that were written before. */
  setU16(at: number, value: number): void {
    assert(at + 2 <= this.#length, "only what was written can be overwritten");
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  /** Makes room for `n` octets, whose content is not defined, and returns where they begin. */
  skip(n: number): number {
    const at = this.#length;
    const end = at + n;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length, 64));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
    }
    this.#length = end;
    return at;
  }

  /**
   * The array behind, for writers of many prefixes: valid until the next call that appends.
   * Borrowed; nothing beyond {@link length} may be touched.
   */
  get raw(): Uint8Array {
    return this.#bytes;
  }

  /** Forgets what was written from `at` on. */
  truncate(at: number): void {
    assert(at <= this.#length, "a writer cannot be truncated to more than it holds");
    this.#length = at;
  }

  /** Hands over what was written; the writer starts anew, with an array of its own. The caller owns the result. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = NO_OCTETS;
    this.#length = 0;
    return taken;
  }
}
