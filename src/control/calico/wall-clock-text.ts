/** A wall-clock time, in milliseconds since 1970, as Go's metav1.Time writes it: RFC 3339, UTC, whole seconds. */
export function formatTimestamp(wallMs: number): string {
  const seconds = Math.floor(wallMs / 1000);
  const [year, month, day] = civilDate(Math.floor(seconds / 86_400));
  const ofDay = seconds - Math.floor(seconds / 86_400) * 86_400;
  const time = [Math.floor(ofDay / 3600), Math.floor(ofDay / 60) % 60, ofDay % 60].map(two).join(":");
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}T${time}Z`;
}

function two(n: number): string {
  return String(n).padStart(2, "0");
}

/** Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Years begin in March here, so that leap days end one. */
function civilDate(days: number): readonly [number, number, number] {
  const fromEra = days + 719_468;
  const era = Math.floor(fromEra / 146_097);
  const dayOfEra = fromEra - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return [yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day];
}
