// Moments as BIRD writes them: "iso short ms" in tables, "iso long ms" in `show status`.
import { isoDate } from "../../base/civil-date.ts";
import type { BirdcSpeaker } from "./birdc-speaker.ts";

const DAY_MS = 86_400_000;
/** What is older is told by its date alone. */
const SHORT_MS = 20 * 3_600_000;

/** "15:29:31.368", or "2026-11-20" when it is long ago. Moments in milliseconds since 1970. */
export function shortTime(at: number, now: number, speaker: Pick<BirdcSpeaker, "utcOffsetMin">): string {
  const local = localMs(at, speaker);
  return now - at > SHORT_MS ? isoDate(Math.floor(local / DAY_MS)) : clock(local);
}

/** "2026-11-20 15:29:31.368" */
export function longTime(at: number, speaker: BirdcSpeaker): string {
  const local = localMs(at, speaker);
  return `${isoDate(Math.floor(local / DAY_MS))} ${clock(local)}`;
}

/** A span in seconds as BIRD writes its timers: "77.406". */
export function timerText(sec: number): string {
  return sec.toFixed(3);
}

function localMs(at: number, speaker: Pick<BirdcSpeaker, "utcOffsetMin">): number {
  return Math.floor(at) + speaker.utcOffsetMin(at) * 60_000;
}

function clock(ms: number): string {
  const inDay = ((ms % DAY_MS) + DAY_MS) % DAY_MS;
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  const milli = String(inDay % 1000).padStart(3, "0");
  return `${two(inDay / 3_600_000)}:${two((inDay / 60_000) % 60)}:${two((inDay / 1000) % 60)}.${milli}`;
}
