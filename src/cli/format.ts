// Numbers as a terminal shows them.

/** `3m5s`, `2h`, `4d`: as kubectl writes ages. */
export function formatAge(sec: number): string {
  const s = Math.max(0, Math.floor(sec));
  if (s < 120) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 10) return s % 60 === 0 ? `${m}m` : `${m}m${s % 60}s`;
  if (m < 180) return `${m}m`;
  const h = Math.floor(m / 60);
  return h < 48 ? `${h}h` : `${Math.floor(h / 24)}d`;
}

/** An ISO time as the local time of day: `17:04:09`. */
export function formatTime(iso: string): string {
  const at = new Date(iso);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
}

/** `44Mi`, `1.2Gi`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "Ki", "Mi", "Gi", "Ti"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 10 ? 0 : 1;
  return `${value.toFixed(digits)}${units[unit]}`;
}

/** Microseconds as milliseconds: `0.412`, `3.18`, `140`. */
export function formatMs(us: number): string {
  const ms = us / 1000;
  if (ms < 1) return ms.toFixed(3);
  if (ms < 10) return ms.toFixed(2);
  return ms < 100 ? ms.toFixed(1) : ms.toFixed(0);
}

/** Microseconds as milliseconds in few letters, for cells: `0.42`, `3.2`, `14`, `140`. */
export function formatMsShort(us: number): string {
  const ms = us / 1000;
  if (ms < 0.995) return ms.toFixed(2);
  return ms < 9.95 ? ms.toFixed(1) : ms.toFixed(0);
}

/** `1.4s`, `12.0s`, `2m5s`. */
export function formatElapsed(ms: number): string {
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)}s` : formatAge(ms / 1000);
}

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `60s`, `1.5m`, `500ms`, or seconds without a unit → milliseconds; undefined for anything else. */
export function parseDurationMs(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (UNIT_MS[match[2] ?? "s"] as number);
}
