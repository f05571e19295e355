// What a command says when the kernel refuses, and when it is asked for what the emulated kernel does not have. The stack answers with
// the kernel's texts; some of them are errnos, which each tool words in its own way, and some are sentences of netlink's.
import type { Result } from "../base/result.ts";
import type { Printed } from "./printed-command.ts";

/** Nothing to say, and nothing went wrong. */
export const DONE: Printed = { exitCode: 0 };

/** The answers that are an errno alone, as `strerror` words it. */
const ERRNO_TEXTS: ReadonlySet<string> = new Set([
  "Cannot assign requested address",
  "Device or resource busy",
  "Exchange full",
  "File exists",
  "Invalid argument",
  "Network is down",
  "Network is unreachable",
  "No buffer space available",
  "No space left on device",
  "No such device",
  "No such file or directory",
  "No such process",
  "Operation not supported",
]);

/** Sentences that the kernel opens with the protocol's name. */
const OF_IPV4: ReadonlySet<string> = new Set(["Address already assigned", "Address not found"]);

/** The errno behind a sentence: all that the old ioctls carry. What is not here is EINVAL. */
const ERRNO_OF: ReadonlyMap<string, string> = new Map([
  ["Nexthop has invalid gateway", "Network is unreachable"],
  ["Device for nexthop is not up", "Network is down"],
  ["Nexthop device is not up", "Network is down"],
  ["No egress device for nexthop", "No such device"],
]);

/** iproute2's words for the kernel's answer. @param exitCode 2 from `ip`, 255 from `bridge` */
export function netlinkAnswer(result: Result<unknown, string>, exitCode = 2): Printed {
  return result.ok ? DONE : netlinkRefusal(result.error, exitCode);
}

/** iproute2's words for a refusal: an errno, or a sentence of the kernel's. */
export function netlinkRefusal(text: string, exitCode = 2): Printed {
  if (ERRNO_TEXTS.has(text)) return { stderr: `RTNETLINK answers: ${text}\n`, exitCode };
  return { stderr: `Error: ${OF_IPV4.has(text) ? "ipv4: " : ""}${text}.\n`, exitCode };
}

/** What `strerror` says of the errno that comes with this text. */
export function errnoWords(text: string): string {
  return ERRNO_TEXTS.has(text) ? text : (ERRNO_OF.get(text) ?? "Invalid argument");
}

/** What Linux has and the emulated kernel has not. @param what begins the sentence */
export function notEmulated(what: string, exitCode = 2): Printed {
  return { stderr: `Error: ${what} is not emulated.\n`, exitCode };
}
