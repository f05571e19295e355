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
