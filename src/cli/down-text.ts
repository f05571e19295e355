import type { DownResult } from "../lab/lab-protocol.ts";

/** What is said of a lab that was stopped. */
export function downText(name: string, { killed, leasesStay }: DownResult): string {
  const left = leasesStay
    ? "no process or socket is left; its leases end by themselves, since the store did not answer"
    : "no process, socket or lease is left";
  return `lab "${name}" is down: ${left}${killed.length === 0 ? "" : `; had to be killed: ${killed.join(", ")}`}`;
}
