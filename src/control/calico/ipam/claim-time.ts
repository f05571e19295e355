// When a block was claimed: RFC 3339 in whole seconds and UTC, as metav1.Time is written. Pure rooms have no Date.

const DAY_SEC = 86_400n;

/** @param wallNs nanoseconds since 1970 */
export function formatClaimTime(wallNs: bigint): string {
  const sec = wallNs / 1_000_000_000n;
  const [year, month, day] = civil(Number(sec / DAY_SEC));
  const left = Number(sec % DAY_SEC);
  const [hour, minute] = [Math.floor(left / 3600), Math.floor(left / 60) % 60];
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}T${pad(hour, 2)}:${pad(minute, 2)}:${pad(left % 60, 2)}Z`;
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

function pad(n: number, width: number): string {
  return String(n).padStart(width, "0");
}

// Days and civil dates in the proleptic Gregorian calendar, by years that begin in March, so that the leap day is the last.
function daysOf(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function civil(days: number): [year: number, month: number, day: number] {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return [year, month, dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1];
}
