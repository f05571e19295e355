/** What a speaker says of itself as a whole: a plain row. Moments in milliseconds since 1970. */
export interface SpeakerStatus {
  readonly name: string;
  readonly pid: number;
  /** Of podloom. */
  readonly version: string;
  readonly hostname: string;
  readonly as: number;
  readonly routerId: string;
  readonly clusterId: string;
  /** Where it may be called, as its neighbours know it: "10.0.1.1:1790". */
  readonly listening: readonly string[];
  /** The file that it was configured from. */
  readonly file: string;
  readonly startedAt: number;
  /** When the file was last read and applied. */
  readonly configuredAt: number;
  readonly at: number;
  /** "restarting": it was started with `--restarting` and does not choose routes yet. @rfc 4724#4.1 */
  readonly phase: "running" | "restarting" | "stopping";
  /** Configured and dynamic ones, and those of them with an Established session. */
  readonly neighbors: number;
  readonly established: number;
  /** Prefixes in Loc-RIB and in all Adj-RIBs-In of its families. */
  readonly destinations: number;
  readonly paths: number;
}

/** What a reload of the file came to: one sentence for each thing that is different; none when the file says what it said. */
export interface ReloadReport {
  readonly changes: readonly string[];
  /** What the file changes and a running speaker cannot: its AS, its identifier, where it listens. A restart is needed for these. */
  readonly needRestart: readonly string[];
}
