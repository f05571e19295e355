import { expect, test } from "vitest";
import { formatGoDuration, parseGoDuration } from "../../../src/control/flannel/go-duration.ts";

test.each<readonly [string, number | undefined, string]>([
  ["0", 0, "0s"],
  ["90s", 90_000_000, "1m30s"],
  ["2m0s", 120_000_000, "2m0s"],
  ["1h2m3.5s", 3_723_500_000, "1h2m3.5s"],
  ["250ms", 250_000, "250ms"],
  ["1.5us", 1, "1µs"],
  ["10µs", 10, "10µs"],
  ["+.5s", 500_000, "500ms"],
  ["-1m", -60_000_000, "-1m0s"],
])("%s", (text, us, printed) => {
  expect(parseGoDuration(text)).toBe(us);
  expect(formatGoDuration(us as number)).toBe(printed);
});

test.each([
  "",
  "-",
  "90",
  "1 s",
  "s",
  ".s",
  "1d",
  "1S",
  "1s2",
  "1..5s",
  "1e3s",
  `${"9".repeat(30)}h`,
  `${"1".repeat(200)}s`,
])("%s is no duration", (text) => expect(parseGoDuration(text)).toBeUndefined());
