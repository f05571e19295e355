import { SEC_US } from "../../base/time.ts";

const UNIT_SEC: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 };

/** A time as etcd's flags have it: `90s`, `1h30m`, and a bare number is hours. Undefined when it is none. */
export function parsePeriodUs(text: string): number | undefined {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 3600 * SEC_US;
  if (!/^(\d{1,9}(h|ms|m|s))+$/.test(text)) return undefined;
  let us = 0;
  for (const [, number, unit] of text.matchAll(/(\d+)(h|ms|m|s)/g)) {
    us += Math.round(Number(number) * (UNIT_SEC[unit as string] as number) * SEC_US);
  }
  return us;
}
