// ip, as iproute2 6.1 prints it, and as far as the emulated kernel has what it changes.
import { ok } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import type { CommandContext } from "./command.ts";
import { addAddress, deleteAddress, flushAddresses, replaceAddress } from "./ip-address-change.ts";
import type { IpOptions } from "./ip-filter.ts";
import { showAddresses, showLinks } from "./ip-link.ts";
import { addLink, deleteLink } from "./ip-link-add.ts";
import { setLink } from "./ip-link-change.ts";
import { showNeighbours } from "./ip-neigh.ts";
import {
  addNeighbour,
  changeNeighbour,
  deleteNeighbour,
  flushNeighbours,
  replaceNeighbour,
} from "./ip-neigh-change.ts";
import { getRoute, showRoutes } from "./ip-route.ts";
import {
  addRoute,
  appendRoute,
  deleteRoute,
  modifyRoute,
  prependRoute,
  replaceRoute,
} from "./ip-route-change.ts";
import { flushRoutes } from "./ip-route-flush.ts";
import { type Printed, PrintedCommand } from "./printed-command.ts";
import { type ParsedCommand, usageError } from "./usage.ts";

/** Does what a verb says: reads the words after it, looks or changes, prints. */
type Verb = (words: readonly string[], options: IpOptions, cx: CommandContext, now: Instant) => Printed;

interface IpObject {
  /** As messages call it, and any beginning of it. */
  readonly names: readonly string[];
  /** How the object is called where one asks for help. */
  readonly help: string;
  /** In the order in which a short form is looked up: iproute2's. */
  readonly verbs: readonly (readonly [names: string, run: Verb])[];
}

const OBJECTS: readonly IpObject[] = [
  {
    names: ["address"],
    help: "address",
    verbs: [
      ["add", addAddress],
      ["change|chg", replaceAddress],
      ["replace", replaceAddress],
      ["delete", deleteAddress],
      ["show|lst|list", showAddresses],
      ["flush", flushAddresses],
    ],
  },
  {
    names: ["link"],
    help: "link",
    verbs: [
      ["add", addLink],
      ["set|change", setLink],
      ["delete", deleteLink],
      ["show|lst|list", showLinks],
    ],
  },
  {
    names: ["route"],
    help: "route",
    verbs: [
      ["list|show|lst", showRoutes],
      ["get", getRoute],
      ["add", addRoute],
      ["delete", deleteRoute],
      ["change|chg", modifyRoute],
      ["replace", replaceRoute],
      ["append", appendRoute],
      ["prepend", prependRoute],
      ["flush", flushRoutes],
    ],
  },
  {
    names: ["neighbour", "neighbor"],
    help: "neigh",
    verbs: [
      ["add", addNeighbour],
      ["change|chg", changeNeighbour],
      ["replace", replaceNeighbour],
      ["delete", deleteNeighbour],
      ["show|lst|list", showNeighbours],
      ["flush", flushNeighbours],
    ],
  },
];

const USAGE: readonly string[] = [
  "Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }",
  "where  OBJECT := { address | link | route | neighbour }",
  "       OPTIONS := { -s[tatistics] | -d[etails] | -br[ief] | -o[neline] | -4 | -V[ersion] }",
  ...OBJECTS.map(({ help, verbs }) => `       ip ${help} { ${verbs.map(([names]) => names).join(" | ")} }`),
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
  const verb = object.verbs.find(([names]) => names.split("|").some((full) => full.startsWith(given)));
  if (verb !== undefined) return ok(new PrintedCommand((now) => verb[1](rest, options, cx, now)));
  const there = object.verbs.map(([names]) => names.replaceAll("|", ", ")).join(", ");
  return usageError(
    255,
    `Command "${given}" is unknown, try "ip ${object.help} help".`,
    `Commands of ip ${object.help} here: ${there}.`,
  );
}
