// The commands that a person types in a namespace: the ping, ip, bridge, arp, route, sysctl and traceroute of Debian 12, over the
// emulated stack. What they print is what those print, and they change what those change, in this namespace alone; what the emulated
// kernel does not have they refuse by its name ("… is not emulated"). Beside them two of podloom's own, udp-load and udp-sink.
import type { Rng } from "../base/rng.ts";
import type { Instant } from "../base/time.ts";
import type { Netns } from "../stack/netns.ts";
import { parseArp } from "./arp-command.ts";
import { parseBridge } from "./bridge-command.ts";
import { type CalicoView, parseCalicoctl } from "./calicoctl-command.ts";
import { parseCat } from "./cat-command.ts";
import { parseIp } from "./ip-command.ts";
import type { Output } from "./output.ts";
import { parsePing } from "./ping-options.ts";
import { parseRoute } from "./route-command.ts";
import { parseSysctl } from "./sysctl-command.ts";
import { parseTraceroute } from "./traceroute-options.ts";
import { parseUdpLoad } from "./udp-load.ts";
import { parseUdpSink } from "./udp-sink.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

/**
 * One command that runs: an engine. `start` once; then `wake` after every run of the stack and when the deadline is due, and
 * drain `poll` after each call. When `exitCode` is set and `poll` is empty it is over, and `close` gives back what it holds;
 * `close` may also come earlier, and ends it.
 */
export interface Command {
  start(now: Instant): void;
  /** The next piece of output. A command whose output is not read stops sending, and goes on when it is. */
  poll(): Output | undefined;
  nextDeadline(): Instant;
  /** Something may have arrived, or the deadline is due. */
  wake(now: Instant): void;
  /** Ctrl-C. */
  interrupt(now: Instant): void;
  /** Undefined while it runs. */
  readonly exitCode: number | undefined;
  close(): void;
}

/** Where a command runs. */
export interface CommandContext {
  readonly netns: Netns;
  /** What the namespace calls itself: the pod's or the node's name. */
  readonly hostname: string;
  /** Text of a file of the namespace, by absolute path. */
  readonly files: (path: string) => string | undefined;
  readonly rng: Rng;
  /** Of a Calico node's own namespace. */
  readonly calico?: CalicoView | undefined;
}

/** Reads the arguments after the command's name. */
type Parser = (args: readonly string[], cx: CommandContext) => ParsedCommand;

const COMMANDS: ReadonlyMap<string, Parser> = new Map<string, Parser>([
  ["arp", parseArp],
  ["bridge", parseBridge],
  ["calicoctl", parseCalicoctl],
  ["cat", parseCat],
  ["ip", parseIp],
  ["ping", parsePing],
  ["route", parseRoute],
  ["sysctl", parseSysctl],
  ["traceroute", parseTraceroute],
  ["udp-load", parseUdpLoad],
  ["udp-sink", parseUdpSink],
]);

/** What a shell answers for a command that it does not find. */
const EXIT_NOT_FOUND = 127;

/** Reads a command line into a command that can be started. The name may be a path (`/sbin/ip`). */
export function parseCommand(argv: readonly string[], cx: CommandContext): ParsedCommand {
  const [path = "", ...args] = argv;
  const name = path.slice(path.lastIndexOf("/") + 1);
  const parse = COMMANDS.get(name);
  if (parse !== undefined) return parse(args, cx);
  const there = [...COMMANDS.keys()].join(", ");
  return usageError(EXIT_NOT_FOUND, `${path}: command not found (there are: ${there})`);
}
