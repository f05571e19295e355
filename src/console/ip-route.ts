// `ip route show` and `ip route get`.
import { formatIpv4, type Ipv4Addr, type Prefix, parseCidr, parseIpv4, prefixOf } from "../base/ipv4-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import { routeReason } from "../stack/ip/output.ts";
import type { Multipath } from "../stack/multipath.ts";
import type { NetDevice } from "../stack/net-device.ts";
import { type Route, type RouteProto, routeFlags } from "../stack/route.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { CommandContext } from "./command.ts";
import { sendErrorWords } from "./icmp-words.ts";
import { type Filters, type IpOptions, readFilters } from "./ip-filter.ts";
import type { Printed } from "./printed-command.ts";

const FILTERS = {
  valued: ["dev", "table", "proto", "type", "via", "exact", "to", "scope"],
  flags: [],
  bare: "to",
};

/** How rtnetlink's numbers read; Felix's has no name there. Flannel's routes come as `boot`, as `ip route add` makes them. */
const PROTO: Readonly<Record<RouteProto, string>> = {
  kernel: "kernel",
  boot: "boot",
  static: "static",
  flannel: "boot",
  bird: "bird",
  felix: "80",
};

/** `ip route show [PREFIX] [dev DEV] [table TABLE] [proto PROTO] [type TYPE] [via ADDR] [scope SCOPE]`. */
export function showRoutes(
  words: readonly string[],
  options: IpOptions,
  cx: CommandContext,
  _now: Instant,
): Printed {
  const filters = readFilters(words, FILTERS);
  if (!filters.ok) return filters.error;
  const { value: given } = filters;
  const dev = given.get("dev");
  if (dev !== undefined && cx.netns.device(dev) === undefined) return noDevice(dev);
  const to = given.get("exact") ?? given.get("to");
  const prefix = to === undefined ? undefined : parsePrefix(to);
  if (to !== undefined && prefix === undefined) return badPrefix(to);
  const table = given.get("table") ?? "main";
  const tables = (["main", "local"] as const).filter((name) => table === "all" || table === name);
  if (tables.length === 0) {
    return { stderr: "Error: ipv4: FIB table does not exist.\nDump terminated\n", exitCode: 2 };
  }
  let stdout = "";
  for (const name of tables) {
    for (const route of cx.netns.fib.dump(name)) {
      if (prefix !== undefined && (route.dst.addr !== prefix.addr || route.dst.len !== prefix.len)) continue;
      if (wanted(route, given)) stdout += `${formatRoute(route, given, table === "all", options)}\n`;
    }
  }
  return { stdout, exitCode: 0 };
}

function wanted(route: Route, given: Filters): boolean {
  // iproute2 compares these two with the route's own, and one with several next hops has none.
  if (route.multipath !== undefined && (given.has("dev") || given.has("via"))) return false;
  const agrees = (key: string, value: string | undefined) => !given.has(key) || given.get(key) === value;
  return (
    agrees("dev", route.dev?.name) &&
    agrees("type", route.type) &&
    agrees("scope", route.scope) &&
    agrees("proto", PROTO[route.proto]) &&
    agrees("via", route.via === undefined ? undefined : formatIpv4(route.via))
  );
}

/** A route as `ip route` shows it, each of several next hops on a line. What a filter has fixed is left out, as iproute2 does. */
function formatRoute(route: Route, given: Filters, allTables: boolean, options: IpOptions): string {
  const { dst, via, dev, src, scope, type, metric, multipath } = route;
  const { details, oneline } = options;
  const words: string[] = [];
  if (type !== "unicast" || details) words.push(type);
  words.push(formatDestination(dst));
  if (multipath === undefined) {
    if (via !== undefined && !given.has("via")) words.push(`via ${formatIpv4(via)}`);
    if (dev !== undefined && !given.has("dev")) words.push(`dev ${dev.name}`);
  }
  if (allTables && route.table === "local") words.push("table local");
  const proto = PROTO[route.proto];
  if ((proto !== "boot" || details) && !given.has("proto")) words.push(`proto ${proto}`);
  if ((scope !== "global" || details) && !given.has("scope")) words.push(`scope ${scope}`);
  if (src !== undefined) words.push(`src ${formatIpv4(src)}`);
  if (metric !== 0) words.push(`metric ${metric}`);
  if (multipath === undefined) words.push(...routeFlags(route, false));
  const line = `${words.join(" ")} `;
  if (multipath === undefined) return line;
  const hops = multipath.paths.map((_, i) => formatNextHop(multipath, i));
  return [line, ...hops].join(oneline ? "\\" : "\n");
}

/** The `i`th next hop, with iproute2's blanks. */
function formatNextHop(multipath: Multipath, i: number): string {
  const path = multipath.paths[i] as Route;
  const via = path.via === undefined ? "" : ` via ${formatIpv4(path.via)}`;
  const words = [`\tnexthop${via} dev ${path.dev?.name} weight ${multipath.weights[i]}`];
  words.push(...routeFlags(path, multipath.isDead(i)));
  return `${words.join(" ")} `;
}

function formatDestination({ addr, len }: Prefix): string {
  if (len === 0) return "default";
  return len === 32 ? formatIpv4(addr) : `${formatIpv4(addr)}/${len}`;
}

/** What `ip route get` is told of a flow, besides its addresses. */
interface Flow {
  readonly protocol: number;
  /** As {@link Ipv4Layer.routeOutput} takes them. */
  readonly ports: number;
}

/** `ip route get [fibmatch] ADDRESS [from ADDRESS] [oif DEV] [ipproto PROTOCOL] [sport PORT] [dport PORT]`. */
export function getRoute(
  words: readonly string[],
  options: IpOptions,
  cx: CommandContext,
  now: Instant,
): Printed {
  const valued = ["from", "oif", "dev", "to", "ipproto", "sport", "dport"];
  const filters = readFilters(words, { valued, flags: ["fibmatch"], bare: "to" });
  if (!filters.ok) return filters.error;
  const to = filters.value.get("to");
  if (to === undefined) return { stderr: "need at least a destination address\n", exitCode: 1 };
  const dst = parseIpv4(to.replace(/\/32$/, ""));
  if (dst === undefined) return badPrefix(to);
  const from = filters.value.get("from");
  const src = from === undefined ? undefined : parseIpv4(from);
  if (from !== undefined && src === undefined) return badPrefix(from);
  const oif = filters.value.get("oif") ?? filters.value.get("dev");
  const dev = oif === undefined ? undefined : cx.netns.device(oif);
  if (oif !== undefined && dev === undefined) return noDevice(oif);
  const flow = readFlow(filters.value);
  if (!flow.ok) return flow.error;
  const { protocol, ports } = flow.value;
  const route = cx.netns.ip.routeOutput(src ?? 0, dst, dev, protocol, ports);
  const reason = routeReason(route);
  if (route === undefined || reason !== 0) {
    return { stderr: `RTNETLINK answers: ${sendErrorWords(reason)}\n`, exitCode: 2 };
  }
  if (!filters.value.has("fibmatch")) return formatPath(route, dst, src, cx, now);
  return { stdout: `${formatRoute(route, new Map(), false, options)}\n`, exitCode: 0 };
}

/** What tells flows apart where `fib_multipath_hash_policy` is 1. */
function readFlow(given: Filters): Result<Flow, Printed> {
  const wrong = (value: string, what: string) =>
    err<Printed>({ stderr: `Error: argument "${value}" is wrong: ${what}\n\n`, exitCode: 255 });
  const named = given.get("ipproto") ?? "0";
  const protocol = Object.hasOwn(IP_PROTOCOLS, named) ? IP_PROTOCOLS[named] : readNumber(named, 255);
  if (protocol === undefined) return wrong(named, 'Invalid "ipproto" value');
  const sport = readNumber(given.get("sport") ?? "0", 65535);
  if (sport === undefined) return wrong(given.get("sport") as string, "invalid sport");
  const dport = readNumber(given.get("dport") ?? "0", 65535);
  if (dport === undefined) return wrong(given.get("dport") as string, "invalid dport");
  return ok({ protocol, ports: (sport << 16) | dport });
}

const IP_PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: ipv4.Protocol.ICMP,
  tcp: ipv4.Protocol.TCP,
  udp: ipv4.Protocol.UDP,
};

function readNumber(text: string, max: number): number | undefined {
  return /^\d+$/.test(text) && Number(text) <= max ? Number(text) : undefined;
}

/** Where a packet to `dst` goes by `route`: by one next hop, as `ip route get` shows. */
function formatPath(
  route: Route,
  dst: Ipv4Addr,
  src: Ipv4Addr | undefined,
  cx: CommandContext,
  now: Instant,
): Printed {
  const { ip } = cx.netns;
  const local = route.type === "local";
  const words = route.type === "unicast" ? [formatIpv4(dst)] : [route.type, formatIpv4(dst)];
  if (src !== undefined) words.push(`from ${formatIpv4(src)}`);
  if (route.via !== undefined) words.push(`via ${formatIpv4(route.via)}`);
  words.push(`dev ${local ? ip.lo.name : (route.dev as NetDevice).name}`);
  if (src === undefined) words.push(`src ${formatIpv4(ip.sourceFor(route, dst))}`);
  const learnt = ip.pmtu.lookup(dst, now);
  const cache = local ? "<local> " : route.type === "broadcast" ? "<local,brd> " : "";
  const mtu = learnt === 0 ? "" : `mtu ${learnt} `;
  return { stdout: `${words.join(" ")} uid 0 \n    cache ${cache}${mtu}\n`, exitCode: 0 };
}

function parsePrefix(text: string): Prefix | undefined {
  if (text === "default" || text === "any" || text === "all") return { addr: 0, len: 0 };
  const cidr = parseCidr(text.includes("/") ? text : `${text}/32`);
  return cidr.ok ? prefixOf(cidr.value.addr, cidr.value.len) : undefined;
}

function badPrefix(text: string): Printed {
  return { stderr: `Error: any valid prefix is expected rather than "${text}".\n`, exitCode: 1 };
}

function noDevice(name: string): Printed {
  return { stderr: `Cannot find device "${name}"\n`, exitCode: 1 };
}
