import { max, median, min, quantile } from "simple-statistics";

/** Round-trip times in microseconds. */
export interface RttSummary {
  readonly count: number;
  readonly minUs: number;
  readonly medianUs: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

/** Summary of samples in microseconds; undefined of none. */
export function summarize(samplesUs: readonly number[]): RttSummary | undefined {
  if (samplesUs.length === 0) return undefined;
  const samples = [...samplesUs];
  return {
    count: samples.length,
    minUs: min(samples),
    medianUs: median(samples),
    p99Us: quantile(samples, 0.99),
    maxUs: max(samples),
  };
}
