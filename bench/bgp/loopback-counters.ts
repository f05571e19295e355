// What the kernel counts for this network namespace. Reading it sends nothing and costs the daemons nothing.
import { readFileSync } from "node:fs";

/** Octets that the loopback interface has carried, headers included. */
export function loopbackBytes(): number {
  const line = readFileSync("/proc/net/dev", "utf8")
    .split("\n")
    .find((one) => one.trimStart().startsWith("lo:"));
  return Number(line?.split(":")[1]?.trim().split(/\s+/)[0] ?? Number.NaN);
}

export interface TcpCounters {
  /** Calls that found the queue of a listening socket full: whoever called tries again a second later. */
  readonly listenOverflows: number;
  readonly retransmits: number;
}

export function tcpCounters(): TcpCounters {
  const counters = new Map<string, number>();
  for (const file of ["/proc/net/netstat", "/proc/net/snmp"]) {
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    for (let at = 0; at + 1 < lines.length; at += 2) {
      const names = (lines[at] as string).split(" ").slice(1);
      const values = (lines[at + 1] as string).split(" ").slice(1);
      for (const [i, name] of names.entries()) counters.set(name, Number(values[i]));
    }
  }
  return {
    listenOverflows: counters.get("ListenOverflows") ?? Number.NaN,
    retransmits: counters.get("RetransSegs") ?? Number.NaN,
  };
}
