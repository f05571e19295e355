// route, as net-tools 2.10 prints it.
import { formatIpv4, netmask } from "../base/ipv4-addr.ts";
import { ok } from "../base/result.ts";
import type { Route } from "../stack/route.ts";
import type { CommandContext } from "./command.ts";
import { getopt } from "./getopt.ts";
import { PrintedCommand } from "./printed-command.ts";
import { changeRoutes } from "./route-change.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

const USAGE: readonly string[] = [
  "Usage: route [-nv]                            List kernel routing tables",
  "       route [-v] {add|del} ...               Modify routing table",
  "",
  "        -n                       don't resolve names",
];

const HEADER = `Kernel IP routing table
Destination     Gateway         Genmask         Flags Metric Ref    Use Iface
`;

/** `route [-n]` shows the main table, `route add|del …` change it. */
export function parseRoute(args: readonly string[], cx: CommandContext): ParsedCommand {
  // The words of a change are no options, though `-net` and `-host` look like some.
  const at = args.findIndex((word) => !word.startsWith("-"));
  const verb = args[at];
  if (verb === "add" || verb === "del" || verb === "delete" || verb === "flush") {
    const words = args.slice(at + 1);
    return ok(new PrintedCommand((now) => changeRoutes(verb === "delete" ? "del" : verb, words, cx, now)));
  }
  const parsed = getopt(args, "nv4");
  if (!parsed.ok)
    return usageError(3, `route: invalid option -- '${parsed.error.option.slice(0, 1)}'`, ...USAGE);
  if (parsed.value.operands.length > 0) return usageError(3, ...USAGE);
  const numeric = parsed.value.options.some(({ letter }) => letter === "n");
  return ok(
    new PrintedCommand(() => {
      const lines = cx.netns.fib.dump("main").map((route) => `${line(route, numeric)}\n`);
      return { stdout: HEADER + lines.join(""), exitCode: 0 };
    }),
  );
}

function line(route: Route, numeric: boolean): string {
  const { dst, via, dev, metric, type } = route;
  const destination = dst.len === 0 && !numeric ? "default" : formatIpv4(dst.addr);
  const mask = formatIpv4(netmask(dst.len));
  const refused = type === "unreachable" || type === "prohibit";
  const gateway = refused ? "-" : formatIpv4(via ?? 0);
  const flags = refused ? "!" : `U${via === undefined ? "" : "G"}${dst.len === 32 ? "H" : ""}`;
  const iface = refused ? "-" : (dev?.name ?? "*");
  const left = `${destination.padEnd(15)} ${gateway.padEnd(15)} ${mask.padEnd(15)} ${flags.padEnd(5)}`;
  return `${left} ${String(metric).padEnd(6)} ${refused ? "-" : "0"}        0 ${iface}`;
}
