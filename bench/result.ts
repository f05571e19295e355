/** One line of docs/BENCHMARKS.md: a figure, its baseline in the same run, and the ratio that is judged. */
export interface BenchRow {
  readonly what: string;
  readonly ours: string;
  readonly baseline: string;
  /** ours / baseline, or undefined where a figure stands alone (bytes allocated). */
  readonly ratio: number | undefined;
  readonly target: string;
  readonly met: boolean | undefined;
}

/** What the command line may set; a benchmark heeds what it has a use for, and has defaults for all. */
export interface BenchOptions {
  /** Sizes of a mesh. */
  readonly nodes: readonly number[] | undefined;
  /** Rounds of ours and the baseline. */
  readonly pairs: number | undefined;
  readonly profiles: readonly string[] | undefined;
  /** How long an idle mesh is watched. */
  readonly idleSec: number | undefined;
}

/** The tables of docs/BENCHMARKS.md. */
export const TABLES = ["results", "bgp"] as const;
export type TableName = (typeof TABLES)[number];

export interface Bench {
  readonly name: string;
  readonly about: string;
  /** Where its rows go; default "results". */
  readonly table?: TableName;
  /** No rows: it cannot be made here, and has said why on standard error. */
  run(options: BenchOptions): Promise<readonly BenchRow[]>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))] ?? Number.NaN;
}

/** Lowest and highest, for the brackets behind a median. */
export function range(values: readonly number[], digits: number): string {
  return `${Math.min(...values).toFixed(digits)}..${Math.max(...values).toFixed(digits)}`;
}
