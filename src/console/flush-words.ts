// What iproute2 says of a flush, when it is asked to by `-s`.
import type { IpOptions } from "./ip-filter.ts";
import { DONE } from "./kernel-answer.ts";
import type { Printed } from "./printed-command.ts";

/** @param noun "entries" or "addresses" */
export function flushed(count: number, noun: string, { stats }: IpOptions): Printed {
  if (!stats) return DONE;
  if (count === 0) return { stdout: "Nothing to flush.\n", exitCode: 0 };
  const round = `*** Round 1, deleting ${count} ${noun} ***`;
  return { stdout: `\n${round}\n*** Flush is complete after 1 round ***\n`, exitCode: 0 };
}
