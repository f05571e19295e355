// `ip address add|change|replace|del|flush`. What goes and comes with an address, the namespace sees to.
import { contains, formatIpv4, type Ipv4Addr, isLoopback, netmask, type Prefix } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import type { NetDevice } from "../stack/net-device.ts";
import type { RouteScope } from "../stack/route.ts";
import type { CommandContext } from "./command.ts";
import { flushed } from "./flush-words.ts";
import type { IpOptions } from "./ip-filter.ts";
import { note, readScope } from "./ip-route-change.ts";
import {
  absent,
  flag,
  type Grammar,
  missingWords,
  noSuchDevice,
  notAnAddress,
  type PrefixWord,
  readAddress,
  readPrefix,
  readWords,
  valued,
} from "./ip-words.ts";
import { DONE, netlinkAnswer, netlinkRefusal, notEmulated } from "./kernel-answer.ts";
import type { Printed } from "./printed-command.ts";

/** What was said of an address. */
interface AddressDraft {
  inet: boolean;
  local?: PrefixWord;
  dev?: string;
  /** "+": the last address of the subnet, "-": the first. */
  broadcast?: Ipv4Addr | "+" | "-";
  scope?: RouteScope;
  label?: string;
  noPrefixRoute?: boolean;
}

const FAULTS = { proto: "", scope: "invalid scope value." };

const readLocal = (draft: AddressDraft, text: string): Printed | undefined => {
  const local = readPrefix(text);
  if (local === undefined) return notAnAddress(draft.inet ? "inet" : "any valid", "prefix", text);
  draft.local = local;
  return undefined;
};

const GRAMMAR: Grammar<AddressDraft> = {
  bare: "local",
  take: readLocal,
  keywords: [
    valued("broadcast|brd*", (draft, text) => {
      const broadcast = text === "+" || text === "-" ? text : readAddress(text);
      if (broadcast === undefined) return notAnAddress("inet", "address", text);
      draft.broadcast = broadcast;
      return undefined;
    }),
    valued("scope*", (draft, word) =>
      note(readScope(word, FAULTS), (scope) => {
        draft.scope = scope;
      }),
    ),
    valued("dev", (draft, name) => {
      draft.dev = name;
      return undefined;
    }),
    valued("label", (draft, label) => {
      draft.label = label;
      return undefined;
    }),
    flag("noprefixroute", (draft) => {
      draft.noPrefixRoute = true;
    }),
    ...["peer", "remote", "anycast", "metric", "valid_lft", "preferred_lft", "home", "nodad", "proto"].map(
      (name) => absent<AddressDraft>(name, "an address"),
    ),
  ],
};

/** An address is of a device: found, or the complaint. */
function readAddressOf(
  words: readonly string[],
  options: IpOptions,
  { netns }: CommandContext,
): { readonly draft: AddressDraft; readonly dev: NetDevice } | Printed {
  const draft: AddressDraft = { inet: options.inet };
  const complaint = readWords(words, GRAMMAR, draft);
  if (complaint !== undefined) return complaint;
  if (draft.dev === undefined) return missingWords('Not enough information: "dev" argument is required.', 1);
  const dev = netns.device(draft.dev);
  if (dev === undefined) return noSuchDevice(draft.dev);
  if (draft.label !== undefined && draft.label !== dev.name) return notEmulated('"label" of an address');
  return { draft, dev };
}

/** `ip address add`; `change` and `replace` take an address that is there already for an update of its lifetimes. */
function putAddress(mayExist: boolean) {
  return (words: readonly string[], options: IpOptions, cx: CommandContext, now: Instant): Printed => {
    const read = readAddressOf(words, options, cx);
    if (!("dev" in read)) return read;
    const { draft, dev } = read;
    if (draft.local === undefined) return netlinkRefusal("Operation not supported");
    const { addr, len } = draft.local;
    const added = cx.netns.addAddress(
      dev,
      {
        addr,
        len,
        scope: isLoopback(addr) ? "host" : (draft.scope ?? "global"),
        broadcast: broadcastOf(draft.local, draft.broadcast),
        noPrefixRoute: draft.noPrefixRoute,
      },
      now,
    );
    return !added.ok && mayExist ? DONE : netlinkAnswer(added);
  };
}

/** Prefixes of two addresses or of one have none that could be computed. */
function broadcastOf({ addr, len }: PrefixWord, given: AddressDraft["broadcast"]): Ipv4Addr | undefined {
  if (given !== "+" && given !== "-") return given;
  if (len > 30) return undefined;
  return given === "+" ? (addr | ~netmask(len)) >>> 0 : (addr & netmask(len)) >>> 0;
}

export const addAddress = putAddress(false);
export const replaceAddress = putAddress(true);

/** `ip address del`. Without a prefix length it takes the first with that address, and warns. */
export function deleteAddress(
  words: readonly string[],
  options: IpOptions,
  cx: CommandContext,
  now: Instant,
): Printed {
  const read = readAddressOf(words, options, cx);
  if (!("dev" in read)) return read;
  const { local } = read.draft;
  if (local === undefined) return netlinkRefusal("Operation not supported");
  const there = cx.netns
    .addresses(read.dev)
    .find((ifa) => ifa.addr === local.addr && (!local.explicit || ifa.len === local.len));
  const answer = netlinkAnswer(cx.netns.delAddress(read.dev, there ?? local, now));
  if (local.explicit) return answer;
  return { ...answer, stderr: `${wildcardWarning(local.addr)}${answer.stderr ?? ""}` };
}

function wildcardWarning(addr: Ipv4Addr): string {
  return `Warning: Executing wildcard deletion to stay compatible with old scripts.
         Explicitly specify the prefix length (${formatIpv4(addr)}/32) to avoid this warning.
         This special behaviour is likely to disappear in further releases,
         fix your scripts!
`;
}

interface AddressSelection {
  inet: boolean;
  dev?: string;
  scope?: RouteScope;
  to?: Prefix;
  up?: boolean;
}

const SELECTION: Grammar<AddressSelection> = {
  bare: "dev",
  take: (selection, name) => {
    selection.dev = name;
    return undefined;
  },
  keywords: [
    valued("to", (selection, text) => {
      const prefix = readPrefix(text);
      if (prefix === undefined) return notAnAddress(selection.inet ? "inet" : "any valid", "prefix", text);
      selection.to = { addr: prefix.addr, len: prefix.len };
      return undefined;
    }),
    valued("scope", (selection, word) =>
      note(readScope(word, { proto: "", scope: 'invalid "scope"\n' }), (scope) => {
        selection.scope = scope;
      }),
    ),
    flag("up", (selection) => {
      selection.up = true;
    }),
    ...["label", "permanent", "dynamic", "secondary", "primary", "master", "type", "group"].map((name) =>
      absent<AddressSelection>(name, "a selection of addresses"),
    ),
  ],
};

/** `ip address flush [dev] DEV [scope SCOPE] [to PREFIX] [up]`. */
export function flushAddresses(
  words: readonly string[],
  options: IpOptions,
  { netns }: CommandContext,
  now: Instant,
): Printed {
  if (words.length === 0) return { stderr: "Flush requires arguments.\n", exitCode: 1 };
  const selection: AddressSelection = { inet: options.inet };
  const complaint = readWords(words, SELECTION, selection);
  if (complaint !== undefined) return complaint;
  const { dev: name, scope, to, up } = selection;
  if (name !== undefined && netns.device(name) === undefined) {
    return { stderr: `Device "${name}" does not exist.\n`, exitCode: 1 };
  }
  let removed = 0;
  for (const dev of netns.devices()) {
    if ((name !== undefined && dev.name !== name) || (up === true && !dev.up)) continue;
    for (const ifa of netns.addresses(dev)) {
      if (scope !== undefined && ifa.scope !== scope) continue;
      if (to !== undefined && !(ifa.len >= to.len && contains(to, ifa.addr))) continue;
      // One that went with its primary counts too: it was asked to go.
      netns.delAddress(dev, ifa, now);
      removed++;
    }
  }
  return flushed(removed, "addresses", options);
}
