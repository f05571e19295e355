import { type Ipv4Addr, parseIpv4 } from "../base/ipv4-addr.ts";
import { ok } from "../base/result.ts";
import { MS_US } from "../base/time.ts";
import type { CommandContext } from "./command.ts";
import { getopt, type Option } from "./getopt.ts";
import { type Host, resolveHost } from "./resolve-host.ts";
import { Traceroute } from "./traceroute.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

/** What a command line of traceroute asks for. */
export interface TracerouteOptions {
  readonly host: Host;
  /** -I: echo requests; else UDP. */
  readonly icmp: boolean;
  /** -f, -m */
  readonly firstHop: number;
  readonly maxHops: number;
  /** -q: probes a hop. */
  readonly queries: number;
  /** -N: probes on their way at once. */
  readonly simultaneous: number;
  /** -w MAX,HERE,NEAR: longest wait; and as multiples of a reply's time from the same hop, and from a later one. */
  readonly waitUs: number;
  readonly hereFactor: number;
  readonly nearFactor: number;
  /** -p: first port, or first sequence number. */
  readonly port: number | undefined;
  /** -F */
  readonly dontFragment: boolean;
  /** -s */
  readonly source: Ipv4Addr | undefined;
  /** -t */
  readonly tos: number;
  /** -n */
  readonly numeric: boolean;
  /** Bytes of the whole IP packet. */
  readonly packetBytes: number;
}

const SPEC = "4f:FIm:N:np:q:s:t:w:";
const PACKET_BYTES_MAX = 65_000;
const PACKET_BYTES = 60;
const MIN_PACKET_BYTES = 28;

/** What an option's argument is called in messages. */
const ARGUMENT: Readonly<Record<string, string>> = {
  f: "first_ttl",
  m: "max_ttl",
  N: "squeries",
  p: "port",
  q: "nqueries",
  s: "src_addr",
  t: "tos",
  w: "MAX,HERE,NEAR",
};

const USAGE: readonly string[] = [
  "Usage:",
  "  traceroute [ -4FIn ] [ -f first_ttl ] [ -m max_ttl ] [ -N squeries ] [ -p port ] [ -t tos ] [ -w MAX,HERE,NEAR ] [ -q nqueries ] [ -s src_addr ] host [ packetlen ]",
  "Options:",
  "  -4                          Use IPv4",
  "  -F                          Do not fragment packets",
  "  -f first_ttl                Start from the first_ttl hop (instead from 1)",
  "  -I                          Use ICMP ECHO for tracerouting",
  "  -m max_ttl                  Set the max number of hops (max TTL to be",
  "                              reached). Default is 30",
  "  -N squeries                 Set the number of probes to be tried",
  "                              simultaneously (default is 16)",
  "  -n                          Do not resolve IP addresses to their domain names",
  "  -p port                     Set the initial udp port (default is 33434), or the",
  "                              initial seq for icmp (default from 1)",
  "  -t tos                      Set the TOS (IPv4 type of service) value",
  "  -w MAX,HERE,NEAR            Wait for a probe no more than HERE (default 3)",
  "                              times longer than a response from the same hop,",
  "                              or no more than NEAR (default 10) times than some",
  "                              next hop, or MAX (default 5.0) seconds (float",
  "                              point values allowed too)",
  "  -q nqueries                 Set the number of probes per each hop. Default is",
  "                              3",
  "  -s src_addr                 Use source src_addr for outgoing packets",
  "",
  "Arguments:",
  "+     host          The host to traceroute to",
  "      packetlen     The full packet length (default is 60)",
];

type Fault = ReturnType<typeof usageError>;
type Draft = { -readonly [K in keyof Omit<TracerouteOptions, "host">]: TracerouteOptions[K] };

/** Reads traceroute's arguments, and refuses bad ones in traceroute's words. */
export function parseTraceroute(args: readonly string[], cx: CommandContext): ParsedCommand {
  if (args.length === 0) return usageError(0, ...USAGE);
  const parsed = getopt(args, SPEC);
  if (!parsed.ok) {
    const { t, option, position } = parsed.error;
    const word = option.startsWith("-") ? option : `-${option}`;
    if (t === "unknown") return usageError(2, `Bad option \`${word}' (argc ${position})`);
    const usage = `\`-${option} ${ARGUMENT[option]}'`;
    return usageError(2, `Option \`-${option}' (argc ${position}) requires an argument: ${usage}`);
  }
  const draft: Draft = {
    icmp: false,
    firstHop: 1,
    maxHops: 30,
    queries: 3,
    simultaneous: 16,
    waitUs: 5000 * MS_US,
    hereFactor: 3,
    nearFactor: 10,
    port: undefined,
    dontFragment: false,
    source: undefined,
    tos: 0,
    numeric: false,
    packetBytes: PACKET_BYTES,
  };
  for (const option of parsed.value.options) {
    const fault = apply(draft, option);
    if (fault !== undefined) return fault;
  }
  const [target, length, more] = parsed.value.operands;
  if (target === undefined) return usageError(2, 'Specify "host" missing argument.');
  if (more !== undefined) {
    return usageError(2, `Extra arg \`${more.text}' (position 3, argc ${more.position})`);
  }
  if (length !== undefined) {
    const bytes = /^\d+$/.test(length.text) ? Number(length.text) : undefined;
    const where = `on position 2 (argc ${length.position})`;
    if (bytes === undefined)
      return usageError(2, `Cannot handle "packetlen" cmdline arg \`${length.text}' ${where}`);
    if (bytes > PACKET_BYTES_MAX) return usageError(2, `too big packetlen ${bytes} specified`);
    draft.packetBytes = Math.max(bytes, MIN_PACKET_BYTES);
  }
  const fault = check(draft);
  if (fault !== undefined) return fault;
  const host = resolveHost(target.text, cx);
  if (host === undefined) {
    const where = `on position 1 (argc ${target.position})`;
    return usageError(
      2,
      `${target.text}: Name or service not known`,
      `Cannot handle "host" cmdline arg \`${target.text}' ${where}`,
    );
  }
  return ok(new Traceroute(cx, { ...draft, host }));
}

function check(draft: Draft): Fault | undefined {
  if (draft.firstHop < 1 || draft.firstHop > draft.maxHops) return usageError(2, "first hop out of range");
  if (draft.maxHops > 255) return usageError(2, "max hops cannot be more than 255");
  if (draft.queries < 1 || draft.queries > 10) return usageError(2, "no more than 10 probes per hop");
  return undefined;
}

function apply(draft: Draft, option: Option): Fault | undefined {
  const { letter, value } = option;
  switch (letter) {
    case "F":
      draft.dontFragment = true;
      return undefined;
    case "I":
      draft.icmp = true;
      return undefined;
    case "n":
      draft.numeric = true;
      return undefined;
    case "s":
      draft.source = parseIpv4(value);
      return draft.source === undefined ? cannotHandle(option) : undefined;
    case "w":
      return applyWait(draft, option);
    case "4":
      return undefined;
    default:
      return applyNumber(draft, option);
  }
}

function applyNumber(draft: Draft, option: Option): Fault | undefined {
  const value = /^\d{1,9}$/.test(option.value) ? Number(option.value) : undefined;
  if (value === undefined) return cannotHandle(option);
  switch (option.letter) {
    case "f":
      draft.firstHop = value;
      return undefined;
    case "m":
      draft.maxHops = value;
      return undefined;
    case "N":
      draft.simultaneous = Math.max(1, value);
      return undefined;
    case "p":
      draft.port = value & 0xffff;
      return undefined;
    case "q":
      draft.queries = value;
      return undefined;
    default:
      if (value > 255) return cannotHandle(option);
      draft.tos = value;
      return undefined;
  }
}

function applyWait(draft: Draft, option: Option): Fault | undefined {
  const parts = option.value.split(",");
  if (parts.length > 3 || !parts.every((part) => /^\d+(\.\d*)?$|^\.\d+$/.test(part)))
    return cannotHandle(option);
  const [max, here, near] = parts.map(Number);
  draft.waitUs = Math.round((max as number) * 1000) * MS_US;
  if (here !== undefined) draft.hereFactor = here;
  if (near !== undefined) draft.nearFactor = near;
  return undefined;
}

function cannotHandle({ letter, value, position }: Option): Fault {
  return usageError(2, `Cannot handle \`-${letter}' option with arg \`${value}' (argc ${position})`);
}
