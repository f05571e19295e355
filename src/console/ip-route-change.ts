// `ip route add|append|prepend|change|replace|del`: what iproute2's iproute_modify makes of the words, and the namespace of that.
import { type Ipv4Addr, type Prefix, prefixOf } from "../base/ipv4-addr.ts";
import { err, type Result } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import type { Netns } from "../stack/netns.ts";
import type {
  NextHopSpec,
  RouteProto,
  RouteScope,
  RouteSpec,
  RouteTable,
  RouteType,
} from "../stack/route.ts";
import type { CommandContext } from "./command.ts";
import type { IpOptions } from "./ip-filter.ts";
import { parseNextHops } from "./ip-nexthop.ts";
import {
  absent,
  flag,
  type Grammar,
  noSuchDevice,
  notAnAddress,
  readAddress,
  readNumber,
  readPrefix,
  readWords,
  valued,
  wrongArgument,
} from "./ip-words.ts";
import { netlinkAnswer, netlinkRefusal, notEmulated } from "./kernel-answer.ts";
import type { Printed } from "./printed-command.ts";

/** What was said of a route. */
interface RouteDraft {
  inet: boolean;
  dst?: Prefix;
  /** The destination was a word (`default`), which is of no family. */
  wordy?: boolean;
  type?: RouteType;
  via?: Ipv4Addr;
  dev?: string;
  src?: Ipv4Addr;
  metric?: number;
  scope?: RouteScope;
  proto?: RouteProto;
  onlink?: boolean;
  nextHops?: readonly NextHopSpec[];
  table?: RouteTable | "none";
}

const ROUTE = "a route";

const TYPES: readonly string[] = ["unicast", "local", "broadcast", "unreachable", "prohibit", "blackhole"];
const FOREIGN_TYPES: readonly string[] = ["throw", "multicast", "anycast", "nat"];

/** By rtnetlink's names and numbers. */
const PROTOS: Readonly<Record<string, RouteProto>> = {
  kernel: "kernel",
  2: "kernel",
  boot: "boot",
  3: "boot",
  static: "static",
  4: "static",
  bird: "bird",
  12: "bird",
  80: "felix",
};
const FOREIGN_PROTOS: readonly string[] =
  "redirect gated ra mrt zebra dnrouted xorp ntk dhcp keepalived babel bgp isis ospf rip eigrp".split(" ");

const SCOPES: Readonly<Record<string, RouteScope>> = {
  global: "global",
  universe: "global",
  0: "global",
  link: "link",
  253: "link",
  host: "host",
  254: "host",
};
const FOREIGN_SCOPES: readonly string[] = ["site", "nowhere"];

const TABLES: Readonly<Record<string, RouteTable>> = {
  main: "main",
  254: "main",
  local: "local",
  255: "local",
};

/** What iproute2 says of words that nobody knows differs between a change and a selection. */
export interface WordFaults {
  readonly proto: string;
  readonly scope: string;
}

const FAULTS: WordFaults = { proto: '"protocol" value is invalid\n', scope: 'invalid "scope" value\n' };

/** Who put a route there. */
export function readProto(word: string, { proto: fault } = FAULTS): Result<RouteProto, Printed> {
  if (Object.hasOwn(PROTOS, word)) return { ok: true, value: PROTOS[word] as RouteProto };
  const known = FOREIGN_PROTOS.includes(word) || (readNumber(word) ?? 256) < 256;
  return err(known ? notEmulated(`protocol ${word} of ${ROUTE}`) : wrongArgument(word, fault));
}

export function readScope(word: string, { scope: fault } = FAULTS): Result<RouteScope, Printed> {
  if (Object.hasOwn(SCOPES, word)) return { ok: true, value: SCOPES[word] as RouteScope };
  const known = FOREIGN_SCOPES.includes(word) || (readNumber(word) ?? 256) < 256;
  return err(known ? notEmulated(`scope ${word} of ${ROUTE}`) : wrongArgument(word, fault));
}

/** A routing table; "none" for one that could exist, and does not. */
export function readTable(word: string): Result<RouteTable | "none", Printed> {
  if (Object.hasOwn(TABLES, word)) return { ok: true, value: TABLES[word] as RouteTable };
  if (word === "default" || readNumber(word) !== undefined) return { ok: true, value: "none" };
  return err(wrongArgument(word, '"table" value is invalid\n'));
}

/** Notes what was read, or returns the complaint. */
export function note<V>(read: Result<V, Printed>, keep: (value: V) => void): Printed | undefined {
  if (!read.ok) return read.error;
  keep(read.value);
  return undefined;
}

function readVia(draft: RouteDraft, text: string): Printed | undefined {
  if (draft.via !== undefined) return wrongArgument("via", "use nexthop syntax to specify multiple via\n");
  const addr = readAddress(text);
  // Only a destination that is an address has a family.
  const kind = draft.dst === undefined || draft.wordy === true ? "any valid" : "inet";
  if (addr === undefined) return notAnAddress(kind, "address", text);
  draft.via = addr;
  return undefined;
}

function readDestination(draft: RouteDraft, text: string): Printed | undefined {
  if (text === "default" || text === "any" || text === "all") {
    draft.dst = { addr: 0, len: 0 };
    draft.wordy = true;
    return undefined;
  }
  const prefix = readPrefix(text);
  if (prefix === undefined) return notAnAddress(draft.inet ? "inet" : "any valid", "prefix", text);
  draft.dst = { addr: prefix.addr, len: prefix.len };
  return undefined;
}

const GRAMMAR: Grammar<RouteDraft> = {
  bare: "to",
  take: readDestination,
  keywords: [
    valued("src", (draft, text) => {
      const addr = readAddress(text);
      if (addr === undefined) return notAnAddress("inet", "address", text);
      draft.src = addr;
      return undefined;
    }),
    valued("via", readVia),
    valued("metric|priority|preference*", (draft, text) => {
      const metric = readNumber(text);
      if (metric === undefined) return wrongArgument(text, '"metric" value is invalid\n');
      draft.metric = metric;
      return undefined;
    }),
    valued("scope*", (draft, word) =>
      note(readScope(word), (scope) => {
        draft.scope = scope;
      }),
    ),
    flag("onlink", (draft) => {
      draft.onlink = true;
    }),
    valued("protocol*", (draft, word) =>
      note(readProto(word), (proto) => {
        draft.proto = proto;
      }),
    ),
    valued("table*", (draft, word) =>
      note(readTable(word), (table) => {
        draft.table = table;
      }),
    ),
    valued("dev|oif", (draft, name) => {
      draft.dev = name;
      return undefined;
    }),
    ...[
      "mtu",
      "as",
      "from",
      "tos",
      "dsfield",
      "expires",
      "hoplimit",
      "advmss",
      "rtt",
      "rttvar",
      "window",
    ].map((name) => absent<RouteDraft>(name, ROUTE)),
    ...[
      "cwnd",
      "initcwnd",
      "initrwnd",
      "ssthresh",
      "realms",
      "rto_min",
      "features",
      "quickack",
      "congctl",
    ].map((name) => absent<RouteDraft>(name, ROUTE)),
    ...["reordering", "nhid", "vrf", "pref", "encap", "ttl-propagate", "weight", "pervasive"].map((name) =>
      absent<RouteDraft>(name, ROUTE),
    ),
  ],
};

const USAGE: Printed = {
  stderr: `Usage: ip route { list | flush } SELECTOR
       ip route get ADDRESS [ from ADDRESS ] [ oif STRING ]
       ip route { add | del | change | append | prepend | replace } ROUTE
ROUTE := [ TYPE ] PREFIX [ via ADDRESS ] [ dev STRING ] [ onlink ] [ src ADDRESS ]
         [ table TABLE_ID ] [ proto RTPROTO ] [ scope SCOPE ] [ metric METRIC ]
         [ nexthop NH ... ]
NH := [ via ADDRESS ] [ dev STRING ] [ weight NUMBER ] [ onlink ]
TYPE := { unicast | local | broadcast | unreachable | prohibit | blackhole }
TABLE_ID := [ local | main ]
SCOPE := [ host | link | global ]
RTPROTO := [ kernel | boot | static | bird | 80 ]
`,
  exitCode: 255,
};

/** Reads a route's words. iproute2 takes a type only right before its destination. */
function readRoute(
  words: readonly string[],
  options: IpOptions,
  cx: CommandContext,
): Result<RouteDraft, Printed> {
  const draft: RouteDraft = { inet: options.inet };
  // Next hops end the command.
  const hopsAt = words.findIndex((word, i) => word === "nexthop" && words[i - 1] !== "dev");
  const rest = hopsAt < 0 ? [...words] : words.slice(0, hopsAt);
  const at = rest.findIndex((word) => TYPES.includes(word) || FOREIGN_TYPES.includes(word));
  // The name of a device may be that of a type, but a value never stands first.
  if (at === 0 || (at > 0 && rest[at - 1] !== "dev" && rest[at - 1] !== "to")) {
    const [type] = rest.splice(at, 1) as [string];
    if (FOREIGN_TYPES.includes(type)) return err(notEmulated(`a route of type ${type}`));
    draft.type = type as RouteType;
  }
  const complaint = readWords(rest, GRAMMAR, draft);
  if (complaint !== undefined) return err(complaint);
  if (draft.dst === undefined) return err(USAGE);
  if (hopsAt >= 0) {
    const hops = parseNextHops(words.slice(hopsAt), cx);
    if (!hops.ok) return hops;
    draft.nextHops = hops.value;
  }
  return { ok: true, value: draft };
}

type Change = (netns: Netns, spec: RouteSpec, now: Instant) => Result<void, string>;

function changeRoute(change: Change, gone: Printed) {
  return (words: readonly string[], options: IpOptions, cx: CommandContext, now: Instant): Printed => {
    const { netns } = cx;
    const read = readRoute(words, options, cx);
    if (!read.ok) return read.error;
    const { dev: name, dst, table, via, type, src, metric, scope, proto, onlink, nextHops } = read.value;
    const dev = name === undefined ? undefined : netns.device(name);
    if (name !== undefined && dev === undefined) return noSuchDevice(name);
    if (table === "none") return gone;
    const spec = { dst: dst as Prefix, dev, table, via, type, src, metric, scope, proto, onlink, nextHops };
    return netlinkAnswer(change(netns, spec, now));
  };
}

const NO_TABLE = notEmulated("a routing table other than main and local");

export const addRoute = changeRoute((netns, spec, now) => netns.addRoute(spec, now), NO_TABLE);
export const appendRoute = changeRoute((netns, spec, now) => netns.appendRoute(spec, now), NO_TABLE);
export const prependRoute = changeRoute((netns, spec, now) => netns.prependRoute(spec, now), NO_TABLE);
export const replaceRoute = changeRoute((netns, spec, now) => netns.replaceRoute(spec, now), NO_TABLE);
export const modifyRoute = changeRoute((netns, spec, now) => netns.changeRoute(spec, now), NO_TABLE);

export const deleteRoute = changeRoute((netns, spec, now) => {
  const { addr, len } = spec.dst;
  if (prefixOf(addr, len).addr !== addr) return err("Invalid prefix for given prefix length");
  return netns.delRoute(spec, now);
}, netlinkRefusal("FIB table does not exist"));
