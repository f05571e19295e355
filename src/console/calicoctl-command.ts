// `calicoctl node status`, as calicoctl 3.32 prints it from BIRD's socket.
import type { NodeStatusRow } from "../agent/calico/bird/node-status.ts";
import { ok } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import type { CommandContext } from "./command.ts";
import { type Printed, PrintedCommand } from "./printed-command.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

const HEADINGS = ["PEER ADDRESS", "PEER TYPE", "STATE", "SINCE", "INFO"] as const;

/** What the command needs of the node. */
export interface CalicoView {
  nodeStatus(now: Instant): readonly NodeStatusRow[];
  /** The local time of day at so many seconds before `now`, as BIRD prints it: "08:14:02", or a date. */
  timeOfDay(secondsAgo: number): string;
}

export function parseCalicoctl(args: readonly string[], cx: CommandContext): ParsedCommand {
  const [noun, verb, ...rest] = args;
  if (noun !== "node" || verb !== "status" || rest.length > 0) {
    return usageError(
      1,
      `calicoctl: on a node there is \`calicoctl node status\` alone; for the rest there is \`podloom calicoctl ${args.join(" ")}\``,
    );
  }
  return ok(new PrintedCommand((now): Printed => nodeStatus(cx.calico, now)));
}

function nodeStatus(calico: CalicoView | undefined, now: Instant): Printed {
  if (calico === undefined) return { stdout: "Calico process is not running.\n", exitCode: 1 };
  const rows = calico
    .nodeStatus(now)
    .map(({ peerAddress, peerType, state, sinceSec, info }) => [
      peerAddress,
      peerType,
      state,
      calico.timeOfDay(sinceSec),
      info,
    ]);
  const ipv4 = rows.length === 0 ? "No IPv4 peers found.\n" : table(rows);
  return {
    stdout: `Calico process is running.\n\nIPv4 BGP status\n${ipv4}\nIPv6 BGP status\nNo IPv6 peers found.\n\n`,
    exitCode: 0,
  };
}

/** Headings in the middle, cells to the left: Go's tablewriter. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = HEADINGS.map((heading, i) =>
    Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const rule = `+${widths.map((width) => "-".repeat(width + 2)).join("+")}+\n`;
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;
  const centred = HEADINGS.map((heading, i) => {
    const spare = (widths[i] as number) - heading.length;
    return " ".repeat(Math.floor(spare / 2)) + heading + " ".repeat(Math.ceil(spare / 2));
  });
  const body = rows.map((row) => line(row.map((cell, i) => cell.padEnd(widths[i] as number))));
  return `${rule}${line(centred)}${rule}${body.join("")}${rule}`;
}
