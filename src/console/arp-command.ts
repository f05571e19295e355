// arp, as net-tools 2.10 prints it.
import { formatIpv4 } from "../base/ipv4-addr.ts";
import { formatMac } from "../base/mac-addr.ts";
import { ok } from "../base/result.ts";
import type { NeighEntry } from "../stack/neighbor/neigh-entry.ts";
import { deleteArpEntry, setArpEntry } from "./arp-change.ts";
import type { CommandContext } from "./command.ts";
import { getopt } from "./getopt.ts";
import { type Printed, PrintedCommand } from "./printed-command.ts";
import { resolveHost } from "./resolve-host.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

const USAGE: readonly string[] = [
  "Usage:",
  "  arp [-vn]  [-i <if>] [-a|-e] [<hostname>]             <-Display ARP cache",
  "  arp [-v]   [-i <if>] -d  <host>                        <-Delete ARP entry",
  "  arp [-v]   [-i <if>] -s  <host> <hwaddr> [temp]            <-Add entry",
  "",
  "        -a                       display (all) hosts in alternative (BSD) style",
  "        -e                       display (all) hosts in default (Linux) style",
  "        -s                       set a new ARP entry",
  "        -d                       delete a specified entry",
  "        -n                       don't resolve names",
  "        -i                       specify network interface (e.g. eth0)",
];

const HEADER = "Address                  HWtype  HWaddress           Flags Mask            Iface\n";

/** `arp [-n] [-a|-e] [-i IF] [HOST]` shows the neighbour table, `arp -s HOST HWADDR [temp]` and `arp -d HOST` change it. */
export function parseArp(args: readonly string[], cx: CommandContext): ParsedCommand {
  const parsed = getopt(args, "adei:nsv");
  if (!parsed.ok) {
    const { t, option } = parsed.error;
    const what =
      t === "missing"
        ? `option requires an argument -- '${option}'`
        : `invalid option -- '${option.slice(0, 1)}'`;
    return usageError(3, `arp: ${what}`, ...USAGE);
  }
  const { options, operands } = parsed.value;
  const bsd = options.some(({ letter }) => letter === "a");
  const device = options.findLast(({ letter }) => letter === "i")?.value;
  const change = options.find(({ letter }) => letter === "s" || letter === "d")?.letter;
  if (change !== undefined) {
    const words = operands.map(({ text }) => text);
    const run = change === "s" ? setArpEntry : deleteArpEntry;
    return ok(new PrintedCommand((now) => run(words, device, USAGE, cx, now)));
  }
  const name = operands[0]?.text;
  const host = name === undefined ? undefined : resolveHost(name, cx);
  if (name !== undefined && host === undefined) return usageError(255, `${name}: Unknown host`);
  return ok(
    new PrintedCommand((): Printed => {
      const entries = cx.netns.neigh
        .dump()
        .filter((entry) => device === undefined || entry.dev.name === device)
        .filter((entry) => host === undefined || entry.ip === host.addr);
      if (entries.length === 0 && host !== undefined) {
        return { stdout: `${name} (${formatIpv4(host.addr)}) -- no entry\n`, exitCode: 0 };
      }
      const lines = entries.map((entry) => `${bsd ? bsdLine(entry) : linuxLine(entry)}\n`).join("");
      return { stdout: bsd || lines === "" ? lines : HEADER + lines, exitCode: 0 };
    }),
  );
}

function linuxLine(entry: NeighEntry): string {
  const address = formatIpv4(entry.ip).padEnd(25);
  const flags = entry.state === "PERMANENT" ? "CM" : "C";
  const known =
    entry.mac === undefined
      ? `        ${"(incomplete)".padEnd(42)}`
      : `ether   ${formatMac(entry.mac).padEnd(20)}${flags.padEnd(22)}`;
  return address + known + entry.dev.name;
}

function bsdLine(entry: NeighEntry): string {
  const at = entry.mac === undefined ? "<incomplete>" : `${formatMac(entry.mac)} [ether]`;
  const permanent = entry.state === "PERMANENT" ? " PERM" : "";
  return `? (${formatIpv4(entry.ip)}) at ${at}${permanent} on ${entry.dev.name}`;
}
