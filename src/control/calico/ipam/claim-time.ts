// When a block was claimed: RFC 3339 in whole seconds and UTC, as metav1.Time is written.
import { daysOf, formatTimestamp } from "../../../base/civil-date.ts";

/** @param wallNs nanoseconds since 1970 */
export function formatClaimTime(wallNs: bigint): string {
  return formatTimestamp(Number(wallNs / 1_000_000n));
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** Nanoseconds since 1970; undefined for what is no time. Fractions of a second do not matter here. */
export function parseClaimTime(text: string): bigint | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
    return undefined;
  const offsetMin = Number(match[8] ?? 0) * 60 + Number(match[9] ?? 0);
  const utcMin = hour * 60 + minute + (match[7] === "-" ? offsetMin : -offsetMin);
  return BigInt(daysOf(year, month, day) * 86_400 + utcMin * 60 + second) * 1_000_000_000n;
}
