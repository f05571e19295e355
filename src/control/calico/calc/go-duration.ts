import { SEC_US } from "../../../base/time.ts";
import { parseGoDuration } from "../../flannel/go-duration.ts";

/** Seconds of a duration as Go writes it: "120s", "2m0s", "1h30m". Undefined: it is none. */
export function goDurationSec(text: string): number | undefined {
  const us = parseGoDuration(text);
  return us === undefined ? undefined : us / SEC_US;
}
