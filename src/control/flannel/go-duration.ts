const SEC = 1_000_000;

/** A duration in microseconds as Go prints a time.Duration: `22h59m59.5s`, `1m0s`, `250ms`. */
export function formatGoDuration(us: number): string {
  if (us < 0) return `-${formatGoDuration(-us)}`;
  if (us === 0) return "0s";
  if (us < 1_000) return `${us}µs`;
  if (us < SEC) return `${us / 1_000}ms`;
  const hours = Math.floor(us / (3_600 * SEC));
  const minutes = Math.floor(us / (60 * SEC)) % 60;
  const seconds = `${(us % (60 * SEC)) / SEC}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

/** Microseconds of each unit of time.ParseDuration. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ["ns", 0.001],
  ["us", 1],
  ["µs", 1],
  ["μs", 1],
  ["ms", 1_000],
  ["s", SEC],
  ["m", 60 * SEC],
  ["h", 3_600 * SEC],
]);

const DURATION_LENGTH_MAX = 100;

/** A duration as Go's time.ParseDuration reads it (`1h2m3.5s`, `-250ms`, `0`), in whole microseconds. Undefined: it is none. */
export function parseGoDuration(text: string): number | undefined {
  const sign = text.startsWith("-") ? -1 : 1;
  const body = text.replace(/^[-+]/, "");
  // No sensible one is longer, and the pattern takes quadratic time.
  if (body.length > DURATION_LENGTH_MAX) return undefined;
  if (body === "0") return 0;
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(body)) return undefined;
  let us = 0;
  for (const [, amount, unit] of body.matchAll(/([\d.]+)([a-zµμ]+)/g)) {
    us += Number(amount) * (UNITS.get(unit as string) as number);
  }
  // 64 bits of nanoseconds.
  return us < 2 ** 63 / 1000 ? sign * Math.floor(us + 1e-6) : undefined;
}
