// `route add` and `route del`, in net-tools 2.10's words. They go by the old ioctls: an address is a host unless `-net` or a mask says
// otherwise, and a route is put before those of the same destination and metric.
import { type Ipv4Addr, netmask, type Prefix, parseIpv4, prefixOf } from "../base/ipv4-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import type { RouteSpec } from "../stack/route.ts";
import type { CommandContext } from "./command.ts";
import { maskLength, readNumber } from "./ip-words.ts";
import { errnoWords, notEmulated } from "./kernel-answer.ts";
import type { Printed } from "./printed-command.ts";
import { resolveHost } from "./resolve-host.ts";

const USAGE = `Usage: inet_route [-vF] del {-host|-net} Target[/prefix] [gw Gw] [metric M] [[dev] If]
       inet_route [-vF] add {-host|-net} Target[/prefix] [gw Gw] [metric M]
                              [netmask N] [mss Mss] [window W] [irtt I]
                              [mod] [dyn] [reinstate] [[dev] If]
       inet_route [-vF] add {-host|-net} Target[/prefix] [metric M] reject
       inet_route [-FC] flush      NOT supported
`;

const EXIT_USAGE = 3;
const EXIT_HOST = 6;
const EXIT_KERNEL = 7;

function misuse(text = "", exitCode = EXIT_USAGE): Printed {
  return { stderr: text + USAGE, exitCode };
}

/** What was said of a route. */
interface RouteWords {
  readonly addr: Ipv4Addr;
  readonly isNet: boolean;
  /** Prefix length, by `/LEN` or `netmask`; undefined: none was given. */
  len: number | undefined;
  gateway: Ipv4Addr | undefined;
  metric: number | undefined;
  dev: string | undefined;
  reject: boolean;
}

/** `route add|del [-net|-host] TARGET[/LEN] [netmask MASK] [gw GW] [metric N] [reject] [[dev] IF]`. */
export function changeRoutes(
  verb: "add" | "del" | "flush",
  words: readonly string[],
  cx: CommandContext,
  now: Instant,
): Printed {
  if (verb === "flush") return misuse("Flushing `inet' routing table not supported\n");
  if (words.length === 0) return misuse("", 0);
  const target = readTarget(words, cx);
  if (!target.ok) return target.error;
  const { route, rest } = target.value;
  const complaint = readRest(route, rest, cx);
  if (complaint !== undefined) return complaint;
  const dst = destination(route);
  if (!dst.ok) return dst.error;
  return perform(verb, dst.value, route, cx, now);
}

function readTarget(
  words: readonly string[],
  cx: CommandContext,
): Result<{ route: RouteWords; rest: readonly string[] }, Printed> {
  const kind = words[0] === "-net" || words[0] === "-host" ? words[0] : undefined;
  const [name, ...rest] = kind === undefined ? words : words.slice(1);
  if (name === undefined) return err(misuse());
  const route = { gateway: undefined, metric: undefined, dev: undefined, reject: false };
  if (name === "default") return ok({ route: { ...route, addr: 0, isNet: true, len: 0 }, rest });
  const [text = "", lenText] = name.split("/");
  const host = text === "0.0.0.0" ? 0 : resolveHost(text, cx)?.addr;
  if (host === undefined) return err({ stderr: `${text}: Host name lookup failure\n`, exitCode: EXIT_HOST });
  const len = lenText === undefined ? undefined : (readNumber(lenText) ?? 33);
  const isNet = kind === "-net" || (kind === undefined && (len !== undefined || host === 0));
  return ok({ route: { ...route, addr: host, isNet, len }, rest });
}

/** What the kernel takes and the emulated one does not. */
const METRICS: readonly string[] = ["mss", "window", "irtt", "mod", "dyn", "reinstate"];

function readRest(route: RouteWords, words: readonly string[], cx: CommandContext): Printed | undefined {
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    const value = words[i + 1];
    if (word === "reject") route.reject = true;
    else if (METRICS.includes(word)) return notEmulated(`"${word}" of a route`, EXIT_KERNEL);
    else if (["metric", "netmask", "gw", "gateway", "dev", "device"].includes(word)) {
      if (value === undefined) return misuse();
      const complaint = readValue(route, word, value, cx);
      if (complaint !== undefined) return complaint;
      i++;
    } else if (route.dev === undefined && value === undefined) route.dev = word;
    else return misuse();
  }
  return undefined;
}

function readValue(route: RouteWords, word: string, value: string, cx: CommandContext): Printed | undefined {
  switch (word) {
    case "metric": {
      const metric = readNumber(value);
      if (metric === undefined || route.metric !== undefined) return misuse();
      route.metric = metric;
      return undefined;
    }
    case "netmask": {
      const mask = parseIpv4(value);
      if (mask === undefined || route.len !== undefined) return misuse();
      const len = maskLength(mask);
      if (len === undefined) return misuse(`route: bogus netmask ${value}\n`);
      route.len = len;
      return undefined;
    }
    case "gw":
    case "gateway": {
      if (route.gateway !== undefined) return misuse();
      const gateway = resolveHost(value, cx)?.addr;
      if (gateway === undefined) return { stderr: `${value}: Unknown host\n`, exitCode: EXIT_HOST };
      route.gateway = gateway;
      return undefined;
    }
    default:
      if (route.dev !== undefined) return misuse();
      route.dev = value;
      return undefined;
  }
}

/** The prefix that is meant. The kernel refuses what has host bits, if net-tools does not. */
function destination({ addr, isNet, len }: RouteWords): Result<Prefix, Printed> {
  if (!isNet) {
    if (len === undefined || len === 32) return ok({ addr, len: 32 });
    const mask = netmask(Math.min(len, 32));
    const swapped = [mask & 255, (mask >>> 8) & 255, (mask >>> 16) & 255, mask >>> 24];
    const hex = swapped.map((octet) => octet.toString(16).padStart(2, "0")).join("");
    return err(misuse(`route: netmask ${hex} doesn't make sense with host route\n`));
  }
  if (len === undefined) return ok({ addr, len: 0 });
  if (len > 32 || prefixOf(addr, len).addr !== addr) {
    return err(misuse("route: netmask doesn't match route address\n"));
  }
  return ok({ addr, len });
}

function perform(
  verb: "add" | "del",
  dst: Prefix,
  route: RouteWords,
  { netns }: CommandContext,
  now: Instant,
): Printed {
  const refused = (text: string): Printed => ({
    stderr: `${verb === "add" ? "SIOCADDRT" : "SIOCDELRT"}: ${errnoWords(text)}\n`,
    exitCode: EXIT_KERNEL,
  });
  const dev = route.dev === undefined ? undefined : netns.device(route.dev);
  if (route.dev !== undefined && dev === undefined) return refused("No such device");
  if (prefixOf(dst.addr, dst.len).addr !== dst.addr) return refused("Invalid argument");
  const { gateway: via, metric } = route;
  const spec: RouteSpec = route.reject
    ? { dst, metric, type: "unreachable", scope: "host" }
    : { dst, via, dev, metric, type: "unicast" };
  const done = verb === "add" ? netns.prependRoute(spec, now) : netns.delRoute(spec, now);
  return done.ok ? { exitCode: 0 } : refused(done.error);
}
