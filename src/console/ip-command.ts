// ip, as iproute2 6.1 prints it. Here it only shows.
import { ok } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import type { CommandContext } from "./command.ts";
import type { IpOptions } from "./ip-filter.ts";
import { showAddresses, showLinks } from "./ip-link.ts";
import { showNeighbours } from "./ip-neigh.ts";
import { getRoute, showRoutes } from "./ip-route.ts";
import { type Printed, PrintedCommand } from "./printed-command.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

/** Shows something: reads the words after the verb, looks, prints. */
type Show = (words: readonly string[], options: IpOptions, cx: CommandContext, now: Instant) => Printed;

interface IpObject {
  /** As messages call it, and any beginning of it. */
  readonly names: readonly string[];
  readonly verbs: ReadonlyMap<string, Show>;
}

const OBJECTS: readonly IpObject[] = [
  { names: ["address"], verbs: verbs({ show: showAddresses }) },
  { names: ["link"], verbs: verbs({ show: showLinks }) },
  { names: ["route"], verbs: verbs({ show: showRoutes, get: getRoute }) },
  { names: ["neighbour", "neighbor"], verbs: verbs({ show: showNeighbours }) },
];

function verbs(shows: Readonly<Record<string, Show>>): ReadonlyMap<string, Show> {
  return new Map(Object.entries(shows));
}

const USAGE: readonly string[] = [
  "Usage: ip [ OPTIONS ] OBJECT { show | list | get }",
  "where  OBJECT := { address | link | route | neighbour }",
  "       OPTIONS := { -s[tatistics] | -d[etails] | -br[ief] | -o[neline] | -4 | -V[ersion] }",
  "       (only what shows something is there)",
];

/** The words of options, in the order in which a short form is looked up. */
const OPTION_WORDS: readonly [word: string, minimum: number, key: keyof IpOptions | undefined][] = [
  ["-4", 2, "inet"],
  ["-statistics", 2, "stats"],
  ["-details", 2, "details"],
  ["-oneline", 2, "oneline"],
  ["-brief", 3, "brief"],
  ["-color", 2, undefined],
];

/** Reads ip's arguments. */
export function parseIp(args: readonly string[], cx: CommandContext): ParsedCommand {
  const options = { stats: false, details: false, brief: false, oneline: false, inet: false };
  let at = 0;
  for (; at < args.length && (args[at] as string).startsWith("-"); at++) {
    const given = (args[at] as string).replace(/^--/, "-");
    if (given === "-V" || given === "-Version") {
      return ok(new PrintedCommand(() => ({ stdout: "ip utility, as of iproute2-6.1.0\n", exitCode: 0 })));
    }
    if (given === "-stats") options.stats = true;
    else {
      const word = OPTION_WORDS.find(([full, min]) => given.length >= min && full.startsWith(given));
      if (word === undefined) {
        return usageError(255, `Option "${args[at]}" is unknown, try "ip -help".`, ...USAGE);
      }
      if (word[2] !== undefined) options[word[2]] = true;
    }
  }
  const [name, ...words] = args.slice(at);
  if (name === undefined || name === "help") return usageError(255, ...USAGE);
  const object = OBJECTS.find(({ names }) => names.some((full) => full.startsWith(name)));
  if (object === undefined) {
    const there = OBJECTS.map(({ names }) => names[0]).join(", ");
    return usageError(1, `Object "${name}" is unknown, try "ip help".`, `Objects here: ${there}.`);
  }
  return parseVerb(object, words, options, cx);
}

function parseVerb(
  object: IpObject,
  words: readonly string[],
  options: IpOptions,
  cx: CommandContext,
): ParsedCommand {
  const [given = "show", ...rest] = words;
  if (given === "help") return usageError(255, ...USAGE);
  const full = ["show", "list", "lst", "get"].find((verb) => verb.startsWith(given));
  const show = object.verbs.get(full === "list" || full === "lst" ? "show" : (full ?? ""));
  if (show === undefined) {
    const name = object.names[0];
    const there = [...object.verbs.keys(), "list"].join(", ");
    return usageError(
      255,
      `Command "${given}" is unknown, try "ip ${name} help".`,
      `Commands of ip ${name} here: ${there}.`,
    );
  }
  return ok(new PrintedCommand((now) => show(rest, options, cx, now)));
}
