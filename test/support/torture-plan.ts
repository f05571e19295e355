// What will go wrong in a torture run, and when: pure, so that a seed gives the same plan everywhere.
import { below, type Rng, SeededRng } from "../../src/base/rng.ts";

/** What a black hole swallows: all, or one direction alone, as a broken route or a firewall does. */
export type HoleWay = "both" | "asked" | "answered";

export type Fault =
  /** All connections of a link are reset. */
  | { readonly t: "cut"; readonly link: number }
  /**
   * Nothing passes on a link, and nothing ends. `dark`: it lasts until the client has given its watch up and what it has missed
   * is compacted away, so that it must list again.
   */
  | {
      readonly t: "blackHole";
      readonly link: number;
      readonly way: HoleWay;
      readonly forMs: number;
      readonly dark: boolean;
    }
  /** All of the history is compacted away but the last revision. */
  | { readonly t: "compact" }
  /** The server's process: SIGSTOP, later SIGCONT. */
  | { readonly t: "pause"; readonly forMs: number }
  /** The server's process: kill -9, later a new one. */
  | { readonly t: "kill"; readonly downMs: number }
  // Claimants are numbered among those that hold a subnet when it happens. `taken`: it lasts until another holds that subnet.
  /** A claimant's process stands still, its clock goes on: SIGSTOP, or a machine without a moment for it. */
  | ({ readonly t: "freeze" } & Standstill)
  /** A claimant's machine sleeps: its process stands still, and so does the clock that its timers go by. */
  | ({ readonly t: "suspend" } & Standstill)
  /** The clock of a claimant, and that of a reflector, is suddenly later. */
  | { readonly t: "jump"; readonly claimant: number; readonly byMs: number }
  /** A claimant ends, giving its lease back or dying with it, and comes again. */
  | { readonly t: "leave"; readonly claimant: number; readonly revoke: boolean; readonly forMs: number };

interface Standstill {
  readonly claimant: number;
  readonly forMs: number;
  readonly taken: boolean;
  /** What does it do first when it goes on: what its timers are for, or what has arrived? */
  readonly timersFirst: boolean;
}

export interface PlannedFault {
  readonly atMs: number;
  readonly fault: Fault;
}

/** Links are numbered: those of the reflectors first, then those of the claimants, then the writers' one. */
export interface TortureSize {
  readonly durationMs: number;
  readonly reflectors: number;
  readonly claimants: number;
}

/** How long a dark hole is at least: longer than a watch may be silent. */
const DARK_MS = 4_500;
/** The longest that anything lasts that does not wait for something to come about. */
const LONG_MS = 9_000;

/**
 * The faults of a run, by time. Every kind happens at least once, however short the run; those of the server come one after
 * the other, those of links and claimants at the same time as anything else.
 */
export function planTorture(seed: number, size: TortureSize): readonly PlannedFault[] {
  const rng = new SeededRng(seed);
  const planned = [
    ...lane(rng, size, 3_000, (kind, n) => serverFault(rng, size, kind, n), 2),
    ...lane(rng, size, 2_500, (kind, n) => linkFault(rng, size, kind, n), 3),
    ...lane(rng, size, 1_000, (_, n) => linkFault(rng, size, 0, n + 1), 1),
    ...lane(rng, size, 1_800, (kind, n) => claimantFault(rng, size, kind, n), 4),
    ...lane(rng, size, 3_500, () => ({ fault: { t: "compact" }, lastsMs: 0 }), 1),
  ];
  return planned.sort((a, b) => a.atMs - b.atMs);
}

function longMs({ durationMs }: TortureSize): number {
  return Math.min(LONG_MS, durationMs / 4);
}

/** A fault, and when the next of its lane may come. */
interface Timed {
  readonly fault: Fault;
  readonly lastsMs: number;
}

/** Faults one after the other with pauses of `gapMs` on the average. `make` gets each of `kinds` once, then any. */
function lane(
  rng: Rng,
  { durationMs }: TortureSize,
  gapMs: number,
  make: (kind: number, n: number) => Timed,
  kinds: number,
): PlannedFault[] {
  const planned: PlannedFault[] = [];
  const first = below(rng, kinds);
  // In a short run the pauses are shorter, so that there is time for everything.
  const scale = Math.min(1, durationMs / 30_000);
  for (let at = 300, n = 0; at < durationMs || n < kinds; n++) {
    const { fault, lastsMs } = make(n < kinds ? (first + n) % kinds : below(rng, kinds), n);
    planned.push({ atMs: Math.min(at, Math.max(0, durationMs - 1)), fault });
    at += lastsMs + Math.floor((gapMs / 2 + below(rng, gapMs)) * scale);
  }
  return planned;
}

function serverFault(rng: Rng, { durationMs }: TortureSize, kind: number, n: number): Timed {
  // Longer than a lease lives: in a short run nothing else would happen.
  const long = durationMs >= 30_000 && n >= 2;
  if (kind === 0) {
    const downMs = long && below(rng, 4) === 0 ? 6_500 : 100 + below(rng, n < 2 ? 400 : 1_500);
    return { fault: { t: "kill", downMs }, lastsMs: downMs + 500 };
  }
  // The first just longer than what the server calls a stall.
  const forMs = n < 2 ? 1_300 : long && below(rng, 4) === 0 ? 7_500 : 200 + below(rng, 2_500);
  return { fault: { t: "pause", forMs }, lastsMs: forMs + 300 };
}

function linkFault(rng: Rng, size: TortureSize, kind: number, n: number): Timed {
  const links = size.reflectors + size.claimants + 1;
  if (kind === 0) return { fault: { t: "cut", link: below(rng, links) }, lastsMs: 0 };
  const dark = kind === 1;
  // Where answers still come, nothing is dark.
  const way = (["both", "both", "answered", dark ? "answered" : "asked"] as const)[below(rng, 4)] as HoleWay;
  const link = below(rng, dark ? size.reflectors : links);
  const forMs = dark ? DARK_MS : 200 + below(rng, below(rng, 2) === 0 ? 1_500 : longMs(size));
  // Several at the same time, too.
  return { fault: { t: "blackHole", link, way, forMs, dark }, lastsMs: n < 3 ? 500 : Math.floor(forMs / 2) };
}

function claimantFault(rng: Rng, size: TortureSize, kind: number, n: number): Timed {
  const claimant = below(rng, size.claimants);
  const forMs = below(rng, longMs(size));
  const taken = n < 4 || below(rng, 2) === 0;
  const timersFirst = below(rng, 2) === 0;
  // Several claimants may stand still at the same time.
  const lastsMs = n < 4 ? 300 : Math.floor(forMs / 3);
  switch (kind) {
    case 0:
      return { fault: { t: "freeze", claimant, forMs: taken ? 0 : forMs, taken, timersFirst }, lastsMs };
    case 1:
      return { fault: { t: "suspend", claimant, forMs: taken ? 0 : forMs, taken, timersFirst }, lastsMs };
    case 2:
      return { fault: { t: "jump", claimant, byMs: 500 + below(rng, 20_000) }, lastsMs: 300 };
    default: {
      const revoke = below(rng, 2) === 0;
      return { fault: { t: "leave", claimant, revoke, forMs: below(rng, 1_500) }, lastsMs: 300 };
    }
  }
}
