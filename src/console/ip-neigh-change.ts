// `ip neighbour add|change|replace|del|flush`.
import { contains, type Ipv4Addr, type Prefix } from "../base/ipv4-addr.ts";
import { type MacAddr, parseMac } from "../base/mac-addr.ts";
import { err, type Result } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import type { NeighSpec, NeighTable } from "../stack/neighbor/neigh-table.ts";
import type { LearntState } from "../stack/neighbor/nud.ts";
import type { CommandContext } from "./command.ts";
import { flushed } from "./flush-words.ts";
import type { IpOptions } from "./ip-filter.ts";
import {
  absent,
  type Grammar,
  missingWords,
  noSuchDevice,
  notAnAddress,
  readAddress,
  readPrefix,
  readWords,
  valued,
  wrongArgument,
} from "./ip-words.ts";
import { netlinkAnswer, netlinkRefusal, notEmulated } from "./kernel-answer.ts";
import type { Printed } from "./printed-command.ts";

interface NeighDraft {
  ip?: Ipv4Addr;
  dev?: string;
  /** As it was given: only the kernel looks at it. */
  lladdr?: string;
  state: LearntState;
}

const STATES: Readonly<Record<string, LearntState>> = {
  permanent: "PERMANENT",
  128: "PERMANENT",
  noarp: "NOARP",
  64: "NOARP",
  reachable: "REACHABLE",
  2: "REACHABLE",
  stale: "STALE",
  4: "STALE",
};
/** What an entry comes to by itself, and cannot be told to be here. */
const PASSING: readonly string[] = ["none", "incomplete", "delay", "probe", "failed"];

const GRAMMAR: Grammar<NeighDraft> = {
  bare: "to",
  take: (draft, text) => {
    const ip = readAddress(text);
    if (ip === undefined) return notAnAddress("any valid", "address", text);
    draft.ip = ip;
    return undefined;
  },
  keywords: [
    valued("lladdr", (draft, text) => {
      draft.lladdr = text;
      return undefined;
    }),
    valued("nud", (draft, word) => {
      const state = Object.hasOwn(STATES, word) ? STATES[word] : undefined;
      if (state === undefined) {
        return PASSING.includes(word)
          ? notEmulated(`"nud ${word}" of a neighbour`)
          : wrongArgument(word, "nud state is bad");
      }
      draft.state = state;
      return undefined;
    }),
    valued("dev", (draft, name) => {
      draft.dev = name;
      return undefined;
    }),
    ...["proxy", "router", "managed", "extern_learn", "use", "protocol"].map((name) =>
      absent<NeighDraft>(name, "a neighbour"),
    ),
  ],
};

type Put = (table: NeighTable, spec: NeighSpec, now: Instant) => Result<void, string>;

function putNeighbour(put: Put) {
  return (
    words: readonly string[],
    _options: IpOptions,
    { netns }: CommandContext,
    now: Instant,
  ): Printed => {
    const draft: NeighDraft = { state: "PERMANENT" };
    const complaint = readWords(words, GRAMMAR, draft);
    if (complaint !== undefined) return complaint;
    const { ip, dev: name, lladdr, state } = draft;
    if (ip === undefined || name === undefined) return INCOMPLETE;
    const dev = netns.device(name);
    if (dev === undefined) return noSuchDevice(name);
    const mac: MacAddr | undefined = lladdr === undefined ? undefined : parseMac(lladdr);
    if (lladdr !== undefined && mac === undefined) return netlinkRefusal("Invalid link address");
    const there = netns.neigh.lookup(dev, ip)?.mac;
    // Who is known keeps the address that is known.
    const wanted = mac ?? (put === create ? undefined : there);
    if (wanted !== undefined) return netlinkAnswer(put(netns.neigh, { dev, ip, mac: wanted, state }, now));
    const entry = netns.neigh.lookup(dev, ip);
    if (put === create && entry !== undefined) return netlinkRefusal("File exists");
    if (put === update && entry === undefined) return netlinkRefusal("No such file or directory");
    return netlinkRefusal("No link layer address given");
  };
}

const INCOMPLETE = missingWords("Device and destination are required arguments.", 255);

const create: Put = (table, spec, now) => table.add(spec, now);
const update: Put = (table, spec, now) =>
  table.lookup(spec.dev, spec.ip) === undefined ? err("No such file or directory") : table.replace(spec, now);

export const addNeighbour = putNeighbour(create);
export const changeNeighbour = putNeighbour(update);
export const replaceNeighbour = putNeighbour((table, spec, now) => table.replace(spec, now));

/** `ip neighbour del ADDRESS dev DEV`. */
export function deleteNeighbour(
  words: readonly string[],
  _options: IpOptions,
  { netns }: CommandContext,
  now: Instant,
): Printed {
  const draft: NeighDraft = { state: "PERMANENT" };
  const complaint = readWords(words, GRAMMAR, draft);
  if (complaint !== undefined) return complaint;
  const { ip, dev: name } = draft;
  if (ip === undefined || name === undefined) return INCOMPLETE;
  const dev = netns.device(name);
  return dev === undefined ? noSuchDevice(name) : netlinkAnswer(netns.neigh.del(dev, ip, now));
}

interface NeighSelection {
  all?: boolean;
  to?: Prefix;
  dev?: string;
  /** In lower case, or "all". */
  state?: string;
}

const SELECTION: Grammar<NeighSelection> = {
  bare: "to",
  take: (selection, text) => {
    if (text === "all" || text === "any" || text === "default") return undefined;
    const prefix = readPrefix(text);
    if (prefix === undefined) return notAnAddress("any valid", "prefix", text);
    selection.to = { addr: prefix.addr, len: prefix.len };
    return undefined;
  },
  keywords: [
    valued("dev", (selection, name) => {
      selection.dev = name;
      return undefined;
    }),
    valued("nud", (selection, word) => {
      if (word !== "all" && !Object.hasOwn(STATES, word) && !PASSING.includes(word)) {
        return wrongArgument(word, "nud state is bad");
      }
      selection.state = (Object.hasOwn(STATES, word) ? (STATES[word] as string) : word).toLowerCase();
      return undefined;
    }),
    ...["proxy", "unused", "master", "vrf", "nomaster", "protocol"].map((name) =>
      absent<NeighSelection>(name, "a selection of neighbours"),
    ),
  ],
};

/** `ip neighbour flush [to] PREFIX|all [dev DEV] [nud STATE]`. What is permanent goes only when its state is named. */
export function flushNeighbours(
  words: readonly string[],
  options: IpOptions,
  { netns }: CommandContext,
  now: Instant,
): Printed {
  if (words.length === 0) return { stderr: "Flush requires arguments.\n", exitCode: 1 };
  const selection: NeighSelection = {};
  const complaint = readWords(words, SELECTION, selection);
  if (complaint !== undefined) return complaint;
  const { to, dev: name, state } = selection;
  if (name !== undefined && netns.device(name) === undefined) return noSuchDevice(name);
  let removed = 0;
  for (const entry of netns.neigh.dump("all")) {
    if (name !== undefined && entry.dev.name !== name) continue;
    if (to !== undefined && !contains(to, entry.ip)) continue;
    const is = entry.state.toLowerCase();
    if (state === undefined ? is === "permanent" || is === "noarp" : state !== "all" && state !== is)
      continue;
    if (netns.neigh.del(entry.dev, entry.ip, now).ok) removed++;
  }
  return flushed(removed, "entries", options);
}
