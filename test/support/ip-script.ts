// `ip address`, `ip link` and `ip route` over a namespace of ours, in the words of iproute2: so that a test reads like a
// transcript of a Linux shell, and the same lines can be given to a Linux kernel.
import {
  formatIpv4,
  formatPrefix,
  type Ipv4Addr,
  ipv4,
  netmask,
  parseCidr,
  parseIpv4,
} from "../../src/base/ipv4-addr.ts";
import type { Result } from "../../src/base/result.ts";
import { parseNextHops } from "../../src/console/ip-nexthop.ts";
import type { NetDevice } from "../../src/stack/net-device.ts";
import type { Netns } from "../../src/stack/netns.ts";
import type { Route, RouteProto, RouteScope, RouteTable, RouteType } from "../../src/stack/route.ts";

const TYPES: readonly string[] = ["blackhole", "unreachable", "prohibit", "local", "broadcast", "unicast"];

export class IpScript {
  readonly #netns: Netns;

  constructor(netns: Netns) {
    this.#netns = netns;
  }

  /** One command without the leading `ip`. @returns the kernel's complaint, or "" */
  run(line: string): string {
    const words = line.split(" ");
    const [object, verb] = words as [string, string];
    const result =
      object === "link"
        ? this.#link(words[2] as string, words[3] as string)
        : object === "addr"
          ? this.#address(verb, words.slice(2))
          : this.#route(verb, words.slice(2));
    return result.ok ? "" : result.error;
  }

  /** Like run, dies on a complaint. */
  must(...lines: string[]): void {
    for (const line of lines) {
      const complaint = this.run(line);
      if (complaint !== "") throw new Error(`ip ${line}: ${complaint}`);
    }
  }

  /** `ip route show table …`, those of `lo` left out. */
  routes(table: RouteTable = "main"): string[] {
    return this.#netns.fib
      .dump(table)
      .filter((route) => route.dev !== this.#netns.lo)
      .map(showRoute);
  }

  /** Addresses of a device as `ip address` lists them. */
  addresses(dev: string): string[] {
    return this.#netns
      .addresses(this.#device(dev))
      .map(
        (a) =>
          `${formatIpv4(a.addr)}/${a.len}${a.broadcast === undefined ? "" : ` brd ${formatIpv4(a.broadcast)}`} scope ${a.scope}${a.secondary ? " secondary" : ""}`,
      );
  }

  /** `ip route get`, as far as the first line goes. */
  get(dst: string): string {
    const addr = ipv4(dst);
    const route = this.#netns.fib.lookup(addr);
    if (route === undefined) return "Network is unreachable";
    if (route.type === "unreachable") return "No route to host";
    if (route.type === "prohibit") return "Permission denied";
    if (route.type === "blackhole") return "Invalid argument";
    const type = route.type === "unicast" ? "" : `${route.type} `;
    const via = route.via === undefined ? "" : ` via ${formatIpv4(route.via)}`;
    const dev = route.type === "local" ? "lo" : route.dev?.name;
    const src = route.type === "local" ? (route.src ?? addr) : this.#netns.selectSource(route, addr);
    return `${type}${dst}${via} dev ${dev} src ${formatIpv4(src)}`;
  }

  #device(name: string): NetDevice {
    const dev = this.#netns.device(name);
    if (dev === undefined) throw new Error(`no device ${name}`);
    return dev;
  }

  #link(dev: string, state: string): Result<void, string> {
    this.#netns.setLink(this.#device(dev), state === "up", 0);
    return { ok: true, value: undefined };
  }

  #address(verb: string, words: readonly string[]): Result<void, string> {
    const cidr = parseCidr(words[0] as string);
    if (!cidr.ok) return cidr;
    const { addr, len } = cidr.value;
    const dev = this.#device(after(words, "dev") as string);
    if (verb === "del") return this.#netns.delAddress(dev, { addr, len }, 0);
    const brd = after(words, "brd");
    const last = len < 31 ? (addr | ~netmask(len)) >>> 0 : undefined;
    const broadcast = brd === "+" ? last : brd === undefined ? undefined : ipv4(brd);
    const noPrefixRoute = words.includes("noprefixroute");
    return this.#netns.addAddress(dev, { addr, len, broadcast, noPrefixRoute }, 0);
  }

  #route(verb: string, all: readonly string[]): Result<void, string> {
    const hopsAt = all.includes("nexthop") ? all.indexOf("nexthop") : all.length;
    const nextHops = parseNextHops(all.slice(hopsAt), { netns: this.#netns });
    if (!nextHops.ok) return { ok: false, error: (nextHops.error.stderr ?? "").trim() };
    const words = all.slice(0, hopsAt);
    const typed = TYPES.includes(words[0] as string);
    const rest = typed ? words.slice(1) : words;
    const dev = after(rest, "dev");
    const via = after(rest, "via");
    const src = after(rest, "src");
    const metric = after(rest, "metric");
    const spec = {
      dst: destination(rest[0] as string),
      type: typed ? (words[0] as RouteType) : undefined,
      dev: dev === undefined ? undefined : this.#device(dev),
      via: via === undefined ? undefined : ipv4(via),
      src: src === undefined ? undefined : ipv4(src),
      metric: metric === undefined ? undefined : Number(metric),
      proto: after(rest, "proto") as RouteProto | undefined,
      scope: after(rest, "scope") as RouteScope | undefined,
      onlink: rest.includes("onlink"),
      nextHops: hopsAt === all.length ? undefined : nextHops.value,
    };
    if (verb === "add") return this.#netns.addRoute(spec, 0);
    return verb === "replace" ? this.#netns.replaceRoute(spec, 0) : this.#netns.delRoute(spec, 0);
  }
}

/** A route as `ip route` prints it. */
export function showRoute(route: Route): string {
  const words: string[] = [];
  if (route.type !== "unicast") words.push(route.type);
  words.push(
    route.dst.len === 0
      ? "default"
      : route.dst.len === 32
        ? formatIpv4(route.dst.addr)
        : formatPrefix(route.dst),
  );
  if (route.via !== undefined) words.push(`via ${formatIpv4(route.via)}`);
  if (route.dev !== undefined) words.push(`dev ${route.dev.name}`);
  if (route.proto !== "boot") words.push(`proto ${route.proto}`);
  if (route.scope !== "global") words.push(`scope ${route.scope}`);
  if (route.src !== undefined) words.push(`src ${formatIpv4(route.src)}`);
  if (route.metric !== 0) words.push(`metric ${route.metric}`);
  if (route.onlink) words.push("onlink");
  return words.join(" ");
}

function after(words: readonly string[], key: string): string | undefined {
  const at = words.indexOf(key);
  return at < 0 ? undefined : words[at + 1];
}

function destination(text: string): { addr: Ipv4Addr; len: number } {
  if (text === "default") return { addr: 0, len: 0 };
  const host = parseIpv4(text);
  if (host !== undefined) return { addr: host, len: 32 };
  const cidr = parseCidr(text);
  if (!cidr.ok) throw new Error(cidr.error);
  return cidr.value;
}
