const UNIT_SEC: Readonly<Record<string, number>> = {
  h: 3600,
  m: 60,
  s: 1,
  ms: 0.001,
  us: 0.000_001,
  µs: 0.000_001,
};
const PART = /(\d+(?:\.\d+)?)(h|ms|us|µs|m|s)/y;

/** Seconds of a duration as Go writes it: "120s", "2m0s", "1h30m". Undefined: it is none. */
export function goDurationSec(text: string): number | undefined {
  let sec = 0;
  PART.lastIndex = 0;
  let at = 0;
  while (at < text.length) {
    PART.lastIndex = at;
    const part = PART.exec(text);
    if (part === null) return undefined;
    sec += Number(part[1]) * (UNIT_SEC[part[2] as string] as number);
    at = PART.lastIndex;
  }
  return at === 0 ? undefined : sec;
}
