import type { DaemonName } from "./mesh-plan.ts";

/**
 * `alike`: all prefixes have the same attributes, and messages are full. `varied`: five prefixes an attribute set, as on the Internet,
 * so that there are twenty thousand of them.
 */
export const TABLE_SHAPES = ["alike", "varied"] as const;
export type TableShape = (typeof TABLE_SHAPES)[number];

export const TABLE_PREFIXES = 100_000;
export const FEEDER_AS = 64_513;

/** One run: plain data, given to the process that makes it. */
export interface TableOrder {
  readonly daemon: Exclude<DaemonName, "bare">;
  /** bin/podloom.js, or BIRD. */
  readonly program: string;
  readonly shape: TableShape;
}

/** What a run has measured, in milliseconds since the first octet of the table was written. */
export interface TableResult {
  readonly version: string;
  /** Prefixes in its table at the end. */
  readonly prefixes: number;
  readonly octets: number;
  /** Until it answered a request that stood behind the table: all has been read. */
  readonly readMs: number;
  /** Until the receiving process had nothing left to do. */
  readonly restMs: number;
  /** Of the receiving process, up to then. */
  readonly cpuMs: number;
  /** By how much its memory has grown. */
  readonly pssMiB: number;
  /** What everything else on the machine took meanwhile, of one core. */
  readonly otherPercent: number;
}
