import { type Ipv4Addr, parseIpv4 } from "../base/ipv4-addr.ts";
import { ok } from "../base/result.ts";
import type { CommandContext } from "./command.ts";
import { getopt, type Option } from "./getopt.ts";
import { Ping } from "./ping.ts";
import { type Host, resolveHost } from "./resolve-host.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

/** What a command line of ping asks for. */
export interface PingOptions {
  readonly host: Host;
  /** -c: stop after so many replies; 0 = never. */
  readonly count: number;
  /** -i */
  readonly intervalMs: number;
  /** -s: bytes of echo data. */
  readonly payloadBytes: number;
  /** -W: how long to wait for a last reply when there was none at all; 0 = for ever. */
  readonly lingerMs: number;
  /** -w: end after this long, whatever happened; 0 = never. */
  readonly deadlineSec: number;
  /** -M: true = do, false = dont, undefined = want. */
  readonly df: boolean | undefined;
  /** -t */
  readonly ttl: number | undefined;
  /** -Q */
  readonly tos: number;
  /** -I with an address. */
  readonly sourceAddr: Ipv4Addr | undefined;
  /** -I with a device. */
  readonly sourceDev: string | undefined;
  readonly quiet: boolean;
  readonly broadcast: boolean;
  /** -O: say when a reply is overdue. */
  readonly outstanding: boolean;
}

const SPEC = "4bc:hi:I:M:nOqQ:s:t:vw:W:";
const INT_MAX = "2147483647";
const LONG_MAX = "9223372036854775807";

const USAGE: readonly string[] = [
  "",
  "Usage",
  "  ping [options] <destination>",
  "",
  "Options:",
  "  <destination>      dns name or ip address",
  "  -4                 use IPv4",
  "  -b                 allow pinging broadcast",
  "  -c <count>         stop after <count> replies",
  "  -h                 print help and exit",
  "  -I <interface>     either interface name or address",
  "  -i <interval>      seconds between sending each packet",
  "  -M <pmtud opt>     define mtu discovery, can be one of <do|dont|want>",
  "  -n                 no dns name resolution",
  "  -O                 report outstanding replies",
  "  -q                 quiet output",
  "  -Q <tclass>        use quality of service <tclass> bits",
  "  -s <size>          use <size> as number of data bytes to be sent",
  "  -t <ttl>           define time to live",
  "  -v                 verbose output",
  "  -w <deadline>      reply wait <deadline> in seconds",
  "  -W <timeout>       time to wait for response",
];

type Fault = ReturnType<typeof usageError>;
type Draft = { -readonly [K in keyof Omit<PingOptions, "host">]: PingOptions[K] };

/** Reads ping's arguments, and refuses bad ones in ping's words. */
export function parsePing(args: readonly string[], cx: CommandContext): ParsedCommand {
  const parsed = getopt(args, SPEC);
  if (!parsed.ok) {
    const { t, option } = parsed.error;
    const what =
      t === "missing"
        ? `option requires an argument -- '${option}'`
        : `invalid option -- '${option.slice(0, 1)}'`;
    return usageError(2, `ping: ${what}`, ...USAGE);
  }
  const draft: Draft = {
    count: 0,
    intervalMs: 1000,
    payloadBytes: 56,
    lingerMs: 10_000,
    deadlineSec: 0,
    df: undefined,
    ttl: undefined,
    tos: 0,
    sourceAddr: undefined,
    sourceDev: undefined,
    quiet: false,
    broadcast: false,
    outstanding: false,
  };
  const warnings: string[] = [];
  let numeric = false;
  for (const option of parsed.value.options) {
    if (option.letter === "n") numeric = true;
    const fault = apply(draft, option, warnings);
    if (fault !== undefined) return fault;
  }
  const [target, ...more] = parsed.value.operands;
  if (target === undefined) return usageError(1, "ping: usage error: Destination address required");
  if (more.length > 0) return usageError(2, "ping: one destination, please: source routes are not supported");
  const host = resolveHost(target.text, cx);
  if (host === undefined) return usageError(2, `ping: ${target.text}: Name or service not known`);
  const options = { ...draft, host: numeric ? { ...host, numeric: true } : host };
  return ok(new Ping(cx, options, warnings));
}

/** Takes one option in; answers what is wrong with it. */
function apply(draft: Draft, option: Option, warnings: string[]): Fault | undefined {
  const { letter, value } = option;
  switch (letter) {
    case "b":
      draft.broadcast = true;
      return undefined;
    case "c":
      return integer(value, 1, LONG_MAX, (n) => {
        draft.count = n;
      });
    case "h":
      return usageError(2, ...USAGE);
    case "i":
      draft.intervalMs = milliseconds(value, warnings);
      return undefined;
    case "I":
      draft.sourceAddr = parseIpv4(value);
      draft.sourceDev = draft.sourceAddr === undefined ? value : undefined;
      return undefined;
    case "M":
      if (value !== "do" && value !== "dont" && value !== "want") {
        return usageError(2, `ping: invalid -M argument: ${value}`);
      }
      draft.df = value === "want" ? undefined : value === "do";
      return undefined;
    case "O":
      draft.outstanding = true;
      return undefined;
    case "q":
      draft.quiet = true;
      return undefined;
    case "Q":
      return tos(draft, value);
    case "s":
      return integer(value, 0, INT_MAX, (n) => {
        draft.payloadBytes = n;
      });
    case "t":
      return integer(value, 0, "255", (n) => {
        draft.ttl = n;
      });
    case "w":
      return integer(value, 0, INT_MAX, (n) => {
        draft.deadlineSec = n;
      });
    case "W":
      draft.lingerMs = milliseconds(value, warnings);
      return undefined;
    default:
      // -4 and -v change nothing here.
      return undefined;
  }
}

function integer(text: string, min: number, max: string, take: (value: number) => void): Fault | undefined {
  if (!/^\s*[+-]?\d+$/.test(text)) return usageError(1, `ping: invalid argument: '${text}'`);
  const value = Number(text);
  if (value < min || value > Number(max)) {
    return usageError(1, `ping: invalid argument: '${text}': out of range: ${min} <= value <= ${max}`);
  }
  take(value);
  return undefined;
}

/** Ping warns about garbage and goes on with what it could read. */
function milliseconds(text: string, warnings: string[]): number {
  const match = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i.exec(text);
  if (match?.[0].length !== text.length) {
    warnings.push(`ping: option argument contains garbage: ${text.slice(match?.[0].length ?? 0)}`);
    warnings.push("ping: this will become fatal error in the future");
  }
  return Math.trunc(Math.min(Math.max(0, Number(match?.[0] ?? 0) * 1000), Number(INT_MAX)));
}

function tos(draft: Draft, text: string): Fault | undefined {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : 256;
  if (value > 255)
    return usageError(2, `ping: the decimal value of TOS bits must be in range 0-255: ${text}`);
  draft.tos = value;
  return undefined;
}
