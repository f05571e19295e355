// A small fuzzer: random inputs, and mutations of good ones, against two instances of the same target whose buffers differ
// only beyond the input's end. Whoever throws, or lets the two disagree, loses; the message names seed and round.
//
//   PODLOOM_FUZZ_N      rounds a target (default one million)
//   PODLOOM_FUZZ_SEED   where the sequence starts (default 1)
//   PODLOOM_FUZZ_ROUND  begin at this round: a failure reproduces at once
import { below, type Rng, SeededRng } from "../../src/base/rng.ts";
import { hexOf } from "../support/dissect.ts";

/** Bytes behind the input that a target must not see. */
export const TAIL_BYTES = 64;

const INTERESTING_8 = [0, 1, 0x0f, 0x40, 0x45, 0x46, 0x4f, 0x7f, 0x80, 0xff];
const INTERESTING_16 = [0, 1, 7, 8, 20, 0x0800, 0x0806, 0x1fff, 0x2000, 0x2118, 0x7fff, 0x8100, 0xffff];

/**
 * Reads `bytes` up to `end` (there is more in the array, and it is not the target's) and answers something that `===` can
 * compare. May keep state: it sees every round.
 */
export type Reader = (bytes: Uint8Array<ArrayBuffer>, end: number) => string | number | boolean;

export interface FuzzTarget {
  readonly name: string;
  /** Called twice; the two readers get the same inputs with different bytes behind them. */
  readonly create: () => Reader;
  /** Good inputs to mutate. */
  readonly seeds: readonly Uint8Array[];
  /** Puts something right again in half of the mutations (a checksum), so that the layers behind it are reached. */
  readonly repair?: (bytes: Uint8Array<ArrayBuffer>, end: number) => void;
  /** Words that are spliced in, for text formats. */
  readonly words?: readonly Uint8Array[];
  /** Largest random input, in bytes. Default 160. */
  readonly randomBytesMax?: number;
  /** Share of the rounds that this target runs, for slow ones. Default 1. */
  readonly share?: number;
}

export interface FuzzOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly firstRound: number;
}

export function optionsFrom(env: Readonly<Record<string, string | undefined>>): FuzzOptions {
  return {
    rounds: Number(env.PODLOOM_FUZZ_N ?? 1_000_000),
    seed: Number(env.PODLOOM_FUZZ_SEED ?? 1),
    firstRound: Number(env.PODLOOM_FUZZ_ROUND ?? 0),
  };
}

/** Runs one target; throws an error that says how to run the failing round again. Returns how many rounds were run. */
export function fuzz(target: FuzzTarget, options: FuzzOptions): number {
  const rounds = options.firstRound + Math.ceil(options.rounds * (target.share ?? 1));
  const longest =
    Math.max(target.randomBytesMax ?? 160, ...target.seeds.map((seed) => 2 * seed.length)) + TAIL_BYTES;
  const [a, b] = [new Uint8Array(longest + TAIL_BYTES), new Uint8Array(longest + TAIL_BYTES)];
  const [readA, readB] = [target.create(), target.create()];
  for (let round = options.firstRound; round < rounds; round++) {
    const rng = new SeededRng(Math.imul(options.seed, 0x01000193) ^ round);
    const end = makeInput(a, longest, target, rng);
    b.set(a.subarray(0, end));
    a.fill(0x00, end, end + TAIL_BYTES);
    b.fill(round & 1 ? 0xff : 0xa5, end, end + TAIL_BYTES);
    const input = a.slice(0, end);
    try {
      const [gotA, gotB] = [readA(a, end), readB(b, end)];
      if (gotA !== gotB)
        throw new Error(`read past the end: "${gotA}" with zeros behind the input, else "${gotB}"`);
    } catch (error) {
      throw new Error(
        `${target.name}: ${String(error)}\n  again: PODLOOM_FUZZ_SEED=${options.seed} PODLOOM_FUZZ_ROUND=${round} PODLOOM_FUZZ_N=1\n  input: ${hexOf(input)}`,
        { cause: error },
      );
    }
  }
  return rounds - options.firstRound;
}

/** Fills `into` with one input and returns its length. */
function makeInput(into: Uint8Array<ArrayBuffer>, longest: number, target: FuzzTarget, rng: Rng): number {
  if (target.seeds.length === 0 || below(rng, 8) === 0) {
    const end = below(rng, (target.randomBytesMax ?? 160) + 1);
    for (let i = 0; i < end; i++) into[i] = rng.u32();
    return end;
  }
  const seed = pick(rng, target.seeds);
  into.set(seed);
  let end = seed.length;
  for (let n = below(rng, 5); n >= 0; n--) end = mutate(into, end, longest - TAIL_BYTES, target, rng);
  if (target.repair !== undefined && below(rng, 2) === 0) target.repair(into, end);
  return end;
}

function mutate(bytes: Uint8Array, end: number, longest: number, target: FuzzTarget, rng: Rng): number {
  if (end === 0) return 0;
  const at = below(rng, end);
  switch (below(rng, target.words === undefined ? 9 : 12)) {
    case 0:
    case 1:
      bytes[at] = (bytes[at] as number) ^ (1 << below(rng, 8));
      return end;
    case 2:
      bytes[at] = pick(rng, INTERESTING_8);
      return end;
    case 3: {
      const value = pick(rng, INTERESTING_16);
      bytes[at] = value >>> 8;
      if (at + 1 < end) bytes[at + 1] = value;
      return end;
    }
    case 4:
      bytes[at] = rng.u32();
      return end;
    case 5:
      return at;
    case 6: {
      const n = Math.min(1 + below(rng, 8), longest - end);
      bytes.copyWithin(at + n, at, end);
      for (let i = 0; i < n; i++) bytes[at + i] = rng.u32();
      return end + n;
    }
    case 7: {
      const n = Math.min(1 + below(rng, 8), end - at);
      bytes.copyWithin(at, at + n, end);
      return end - n;
    }
    case 8: {
      const other = pick(rng, target.seeds);
      const tail = other.subarray(below(rng, other.length + 1), other.length).subarray(0, longest - at);
      bytes.set(tail, at);
      return at + tail.length;
    }
    default: {
      const word = pick(rng, target.words as readonly Uint8Array[]);
      if (end + word.length > longest) return end;
      bytes.copyWithin(at + word.length, at, end);
      bytes.set(word, at);
      return end + word.length;
    }
  }
}

function pick<T>(rng: Rng, list: readonly T[]): T {
  return list[below(rng, list.length)] as T;
}
