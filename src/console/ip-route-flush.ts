// `ip route flush SELECTOR`: deletes what `ip route list SELECTOR` would show.
import { contains, type Ipv4Addr, type Prefix } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import type { Route, RouteProto, RouteScope, RouteTable } from "../stack/route.ts";
import type { CommandContext } from "./command.ts";
import { flushed } from "./flush-words.ts";
import type { IpOptions } from "./ip-filter.ts";
import { note, readProto, readScope, readTable, type WordFaults } from "./ip-route-change.ts";
import {
  absent,
  type Grammar,
  noSuchDevice,
  notAnAddress,
  readAddress,
  readPrefix,
  readWords,
  valued,
  wrongArgument,
} from "./ip-words.ts";
import { DONE } from "./kernel-answer.ts";
import type { Printed } from "./printed-command.ts";

interface Selection {
  inet: boolean;
  /** At least in it. */
  root?: Prefix;
  /** At most it: what it lies in. */
  match?: Prefix;
  dev?: string;
  via?: Ipv4Addr;
  proto?: RouteProto;
  scope?: RouteScope;
  type?: string;
  table: RouteTable | "all" | "none";
}

const FAULTS: WordFaults = { proto: 'invalid "protocol"\n', scope: 'invalid "scope"\n' };
const TYPES: readonly string[] = [
  "unicast",
  "local",
  "broadcast",
  "unreachable",
  "prohibit",
  "blackhole",
  "throw",
];

function readSelected(
  selection: Selection,
  text: string,
  keep: (prefix: Prefix) => void,
): Printed | undefined {
  if (text === "default" || text === "any") {
    keep({ addr: 0, len: 0 });
    return undefined;
  }
  // A word of no family selects all.
  if (text === "all") return undefined;
  const prefix = readPrefix(text);
  if (prefix === undefined) return notAnAddress(selection.inet ? "inet" : "any valid", "prefix", text);
  keep({ addr: prefix.addr, len: prefix.len });
  return undefined;
}

const exactly = (selection: Selection, text: string): Printed | undefined =>
  readSelected(selection, text, (prefix) => {
    selection.root = prefix;
    selection.match = prefix;
  });

const GRAMMAR: Grammar<Selection> = {
  bare: "to",
  take: exactly,
  keywords: [
    valued("table*", (selection, word) => {
      if (word === "all") {
        selection.table = "all";
        return undefined;
      }
      return note(readTable(word), (table) => {
        selection.table = table;
      });
    }),
    valued("dev|oif|iif", (selection, name) => {
      selection.dev = name;
      return undefined;
    }),
    valued("protocol*", (selection, word) =>
      note(readProto(word, FAULTS), (proto) => {
        selection.proto = proto;
      }),
    ),
    valued("scope*", (selection, word) =>
      note(readScope(word, FAULTS), (scope) => {
        selection.scope = scope;
      }),
    ),
    valued("type*", (selection, word) => {
      if (!TYPES.includes(word)) return wrongArgument(word, "node type value is invalid\n");
      selection.type = word;
      return undefined;
    }),
    valued("via", (selection, text) => {
      const addr = readAddress(text);
      if (addr === undefined) return notAnAddress("any valid", "prefix", text);
      selection.via = addr;
      return undefined;
    }),
    valued("root*", (selection, text) =>
      readSelected(selection, text, (prefix) => {
        selection.root = prefix;
      }),
    ),
    valued("match*", (selection, text) =>
      readSelected(selection, text, (prefix) => {
        selection.match = prefix;
      }),
    ),
    valued("exact*", exactly),
    ...["from", "src", "metric", "tos", "vrf", "realms", "nhid"].map((name) =>
      absent<Selection>(name, "a selection of routes"),
    ),
  ],
};

/** `ip route flush SELECTOR`. */
export function flushRoutes(
  words: readonly string[],
  options: IpOptions,
  { netns }: CommandContext,
  _now: Instant,
): Printed {
  if (words.length === 0) return { stderr: '"ip route flush" requires arguments.\n', exitCode: 1 };
  // There has been no cache to flush since Linux 3.6.
  if (words[0] === "cache") return DONE;
  const selection: Selection = { inet: options.inet, table: "main" };
  const complaint = readWords(words, GRAMMAR, selection);
  if (complaint !== undefined) return complaint;
  const { dev, table } = selection;
  if (dev !== undefined && netns.device(dev) === undefined) return noSuchDevice(dev);
  if (table === "none")
    return { stderr: "Error: ipv4: FIB table does not exist.\nFlush terminated\n", exitCode: 2 };
  const tables = (["main", "local"] as const).filter((name) => table === "all" || table === name);
  let removed = 0;
  for (const name of tables) {
    for (const route of netns.fib.dump(name)) {
      if (isSelected(route, selection) && netns.fib.remove(route)) removed++;
    }
  }
  return flushed(removed, "entries", options);
}

function isSelected(route: Route, { root, match, dev, via, proto, scope, type }: Selection): boolean {
  const { dst, multipath } = route;
  // Of several next hops none is the route's own: neither a device nor a gateway selects it.
  if (multipath !== undefined && (dev !== undefined || via !== undefined)) return false;
  return (
    (root === undefined || (dst.len >= root.len && contains(root, dst.addr))) &&
    (match === undefined || (dst.len <= match.len && contains(dst, match.addr))) &&
    (dev === undefined || route.dev?.name === dev) &&
    (via === undefined || route.via === via) &&
    (proto === undefined || route.proto === proto || (proto === "boot" && route.proto === "flannel")) &&
    (scope === undefined || route.scope === scope) &&
    (type === undefined || route.type === type)
  );
}
