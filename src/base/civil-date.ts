// Days and dates in the proleptic Gregorian calendar, by years that begin in March, so that the leap day is the last. Pure rooms have no Date.

/** Days from 1970-01-01 to a date. */
export function daysOf(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** The date so many days after 1970-01-01, as `2026-06-01`. */
export function isoDate(days: number): string {
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
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1, 2)}`;
}

/** RFC 3339 in whole seconds and UTC, as Go's metav1.Time writes it. @param wallMs milliseconds since 1970 */
export function formatTimestamp(wallMs: number): string {
  const sec = Math.floor(wallMs / 1000);
  const days = Math.floor(sec / 86_400);
  const left = sec - days * 86_400;
  const [hour, minute] = [Math.floor(left / 3600), Math.floor(left / 60) % 60];
  return `${isoDate(days)}T${pad(hour, 2)}:${pad(minute, 2)}:${pad(left % 60, 2)}Z`;
}

function pad(n: number, width: number): string {
  return String(n).padStart(width, "0");
}
