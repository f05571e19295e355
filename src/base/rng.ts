/** Source of randomness handed to pure code, so that a seed reproduces a run. */
export interface Rng {
  /** A uniform integer in 0..2^32-1. */
  u32(): number;
}

/** A small fast generator (sfc32) for simulations and for jitter; not for secrets. */
export class SeededRng implements Rng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed any integer; equal seeds give equal sequences. */
  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.imul(seed, 0x9e3779b1) >>> 0;
    this.#c = 0x243f6a88;
    for (let i = 0; i < 12; i++) this.u32();
  }

  u32(): number {
    const out = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + out) >>> 0;
    return out;
  }
}

/** A uniform integer in 0..n-1. @param n 1..2^32 */
export function below(rng: Rng, n: number): number {
  return Math.floor((rng.u32() / 0x1_0000_0000) * n);
}

/** A uniform number in 0..1 (1 excluded). */
export function unit(rng: Rng): number {
  return rng.u32() / 0x1_0000_0000;
}
