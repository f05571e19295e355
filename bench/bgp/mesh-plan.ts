// A full mesh on one machine: who has which address and prefix, who dials whom, and by which timers. The same for every daemon.

export const MESH_AS = 64_512;
export const MESH_PORT = 1790;
/**
 * Calico's. No KEEPALIVE falls into a run that takes less than a minute; one that takes longer, on a busy machine, never falls silent, and
 * does not count.
 */
export const HOLD_SEC = 240;
/** In so long every session has its KEEPALIVEs. */
export const KEEPALIVE_SEC = HOLD_SEC / 3;
/** What node 1 announces to the idle mesh. */
export const EXTRA_PREFIX = "10.243.0.0/26";

/**
 * `calico`: the timers of Calico's BIRD, for both. `own`: each as fast as it can, ours by its defaults, which dial at once, and BIRD
 * with the shortest delay that it accepts.
 */
export const PROFILES = ["calico", "own"] as const;
export type Profile = (typeof PROFILES)[number];

/** `bare`: no BGP, the same connections and messages by node:net. */
export const DAEMONS = ["podloom", "bird", "bare"] as const;
export type DaemonName = (typeof DAEMONS)[number];

/** One run: plain data, given to the process that makes it. */
export interface MeshOrder {
  readonly daemon: DaemonName;
  /** bin/podloom.js, BIRD, or bench/baseline/tcp-mesh.cjs. */
  readonly program: string;
  readonly nodes: number;
  readonly profile: Profile;
  /** How long the idle mesh is watched. */
  readonly idleSec: number;
  /** How often one more prefix is announced to it. */
  readonly announcements: number;
}

/** What a run has measured. Moments are milliseconds since the first process was started. */
export interface MeshResult {
  readonly version: string;
  /** Established at both ends. */
  readonly sessions: number;
  /** Every session Established, and every route known everywhere. */
  readonly complete: boolean;
  /** By the daemons' own clocks: the last session, and the last route at the node that had it last. */
  readonly establishedMs: number;
  readonly routesMs: number;
  /** The last octet on the loopback interface: one clock for all, some 50 ms late (a delayed ACK). */
  readonly burstMs: number;
  /** All processes together: until the mesh was complete, and as many that start with nobody dialling. */
  readonly cpuMs: number;
  readonly startCpuMs: number;
  /** Of one core, all processes together. */
  readonly idlePercent: number;
  /** Of one process, on average. */
  readonly rssMiB: number;
  readonly pssMiB: number;
  readonly loBytes: number;
  readonly listenOverflows: number;
  readonly retransmits: number;
  /** One more prefix at node 1, until the last of the others had it; one figure an announcement. */
  readonly lastHeardMs: readonly number[];
  readonly medianHeardMs: readonly number[];
  /** What everything else on the machine took meanwhile, of one core; the watching process included. */
  readonly otherPercent: number;
}

/** 127.0.1.1, 127.0.1.2, …: where node `i` is, from 1. */
export function socketAddress(i: number): string {
  return `127.0.${tail(i)}`;
}

/** 10.0.1.1, 10.0.1.2, … */
export function routerId(i: number): string {
  return `10.0.${tail(i)}`;
}

/** Its /26 of 10.244.0.0/14. */
export function ownPrefix(i: number): string {
  const at = (i - 1) * 64;
  return `10.${244 + (at >> 16)}.${(at >> 8) & 255}.${at & 255}/26`;
}

/** Calico's rule, so that one side dials: the side with the address that is greater as text. */
export function waitsFor(me: number, other: number): boolean {
  return socketAddress(other) > socketAddress(me);
}

export function othersOf(i: number, nodes: number): number[] {
  return Array.from({ length: nodes }, (_, at) => at + 1).filter((other) => other !== i);
}

function tail(i: number): string {
  return `${1 + Math.floor((i - 1) / 250)}.${1 + ((i - 1) % 250)}`;
}
