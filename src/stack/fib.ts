import type { Ipv4Addr, Prefix } from "../base/ipv4-addr.ts";
import { LpmTable } from "../base/lpm.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Multipath } from "./multipath.ts";
import type { NetDevice } from "./net-device.ts";
import type { NextHopSpec, Route, RouteProto, RouteScope, RouteTable, RouteType } from "./route.ts";

/** All routes of one prefix, best metric first; among equals the older first. */
interface FibNode {
  readonly len: number;
  readonly routes: Route[];
}

/** Which route `del` means: the first of the prefix that agrees in everything that is given. */
export interface RouteMatch {
  readonly dst: Prefix;
  /** Default "main"; "local" for the types local and broadcast. */
  readonly table?: RouteTable | undefined;
  /** Of a route with several next hops `via` and `dev` mean the first. */
  readonly via?: Ipv4Addr | undefined;
  readonly dev?: NetDevice | undefined;
  /** Each next hop of the route agrees with the one at its place; weights are not compared, as the kernel has it. */
  readonly nextHops?: readonly NextHopSpec[] | undefined;
  readonly src?: Ipv4Addr | undefined;
  readonly type?: RouteType | undefined;
  readonly scope?: RouteScope | undefined;
  readonly proto?: RouteProto | undefined;
  /** 0 and undefined match any, as the kernel has it. */
  readonly metric?: number | undefined;
}

const SCOPE_RANK: { readonly [S in RouteScope]: number } = { global: 0, link: 253, host: 254 };

/**
 * A namespace's routing tables, `local` and `main`, as Linux's fib_trie answers for rules 0 and 32766. Routes are taken as
 * they are given; {@link Netns} checks them first.
 */
export class Fib {
  readonly #local = new LpmTable<FibNode>();
  readonly #main = new LpmTable<FibNode>();
  #version = 0;

  /** Grows with each change: a cached answer is good as long as this stays the same and no device changes its state. */
  get version(): number {
    return this.#version;
  }

  /**
   * The route to `dst`: local table first, longest prefix first, then the lowest metric, passing over routes whose device
   * is down (what leads to ourselves holds even so). A route of an error type is an answer too. Of one with several next hops
   * the answer is that by the first that is alive: where a packet is to take it, {@link Multipath.select} comes next. Allocates
   * nothing; `dst` may be signed or unsigned.
   *
   * @param oif only routes through this device
   */
  lookup(dst: Ipv4Addr, oif?: NetDevice): Route | undefined {
    return search(this.#local, dst, oif, 0) ?? search(this.#main, dst, oif, 0);
  }

  /** All usable routes of the main table that lead to `dst`, in the order in which {@link lookup} would take them. */
  *matching(dst: Ipv4Addr): Generator<Route, void, void> {
    for (
      let node = this.#main.lookup(dst);
      node !== undefined;
      node = this.#main.lookupShorter(dst, node.len)
    ) {
      for (const route of node.routes) {
        const path = pathOf(route, undefined);
        if (path !== undefined) yield path;
      }
    }
  }

  /**
   * Like {@link lookup}, but only routes at least as near as `scope`: how the kernel looks for the link that a gateway is
   * on.
   */
  lookupScope(dst: Ipv4Addr, scope: RouteScope, oif?: NetDevice): Route | undefined {
    const rank = SCOPE_RANK[scope];
    return search(this.#local, dst, oif, rank) ?? search(this.#main, dst, oif, rank);
  }

  /** What the local table alone says about `addr`: "local", "broadcast", or undefined when it is somebody else's. */
  addrType(addr: Ipv4Addr): RouteType | undefined {
    return search(this.#local, addr, undefined, 0)?.type;
  }

  /** Adds a route. @returns "File exists" when there is one of the same table, destination and metric */
  add(route: Route): Result<void, string> {
    const node = this.#table(route.table).get(route.dst);
    if (node?.routes.some((r) => r.metric === route.metric) === true) return err("File exists");
    this.#insert(route);
    return ok(undefined);
  }

  /** Puts `route` in the place of the first one of the same table, destination and metric, or adds it. */
  replace(route: Route): Result<void, string> {
    const routes = this.#table(route.table).get(route.dst)?.routes;
    const at = routes === undefined ? -1 : routes.findIndex((r) => r.metric === route.metric);
    if (routes === undefined || at < 0) {
      this.#insert(route);
      return ok(undefined);
    }
    const twin = routes.findIndex((r) => identical(r, route));
    if (twin >= 0 && twin !== at) return err("File exists");
    routes[at] = route;
    this.#version++;
    return ok(undefined);
  }

  /**
   * Adds a route behind those of the same metric, as the kernel does with the routes of addresses.
   * @returns false when exactly this route is there already
   */
  append(route: Route): boolean {
    const node = this.#table(route.table).get(route.dst);
    if (node?.routes.some((r) => identical(r, route)) === true) return false;
    this.#insert(route);
    return true;
  }

  /** Removes the first route that `match` means. @returns "No such process" when there is none */
  del(match: RouteMatch): Result<void, string> {
    const name = match.table ?? tableOf(match.type);
    const node = this.#table(name).get(match.dst);
    const at = node === undefined ? -1 : node.routes.findIndex((route) => meant(route, match));
    if (node === undefined || at < 0) return err("No such process");
    this.#removeAt(this.#table(name), match.dst, node, at);
    return ok(undefined);
  }

  /** Removes exactly this route. False when it is not there. */
  remove(route: Route): boolean {
    const table = this.#table(route.table);
    const node = table.get(route.dst);
    const at = node === undefined ? -1 : node.routes.findIndex((r) => identical(r, route));
    if (node === undefined || at < 0) return false;
    this.#removeAt(table, route.dst, node, at);
    return true;
  }

  /** Removes every route that `unwanted` picks, from both tables. @returns how many */
  delWhere(unwanted: (route: Route) => boolean): number {
    let removed = 0;
    for (const route of [...this.dump("local"), ...this.dump("main")]) {
      if (unwanted(route) && this.remove(route)) removed++;
    }
    return removed;
  }

  /**
   * `dev` speaks no IP any more: every route through it goes, in both tables. Of one with several next hops those by `dev` are
   * dead, and it goes when all are. @returns how many went
   */
  delByDevice(dev: NetDevice): number {
    return this.delWhere((route) =>
      route.multipath === undefined ? route.dev === dev : this.#dies(route.multipath, dev),
    );
  }

  /** Like {@link delByDevice}, but what leads to ourselves holds: the device is down. */
  deviceDown(dev: NetDevice): number {
    return this.delWhere((route) =>
      route.multipath === undefined
        ? route.dev === dev && route.scope !== "host"
        : this.#dies(route.multipath, dev),
    );
  }

  /** Next hops by `dev` are alive again: it is up. */
  deviceUp(dev: NetDevice): void {
    for (const { multipath } of this.dump("main")) if (multipath?.setDead(dev, false)) this.#version++;
  }

  #dies(multipath: Multipath, dev: NetDevice): boolean {
    if (multipath.setDead(dev, true)) this.#version++;
    return multipath.allDead;
  }

  /** A table's routes in the order of `ip route`: by destination, the longer prefix first, then by metric. A copy. */
  dump(table: RouteTable = "main"): Route[] {
    const nodes = [...this.#table(table).values()];
    nodes.sort((a, b) => address(a) - address(b) || b.len - a.len);
    return nodes.flatMap((node) => node.routes);
  }

  #table(name: RouteTable): LpmTable<FibNode> {
    return name === "local" ? this.#local : this.#main;
  }

  #insert(route: Route): void {
    const table = this.#table(route.table);
    let node = table.get(route.dst);
    if (node === undefined) {
      node = { len: route.dst.len, routes: [] };
      table.set(route.dst, node);
    }
    const at = node.routes.findIndex((r) => r.metric > route.metric);
    node.routes.splice(at < 0 ? node.routes.length : at, 0, route);
    this.#version++;
  }

  #removeAt(table: LpmTable<FibNode>, dst: Prefix, node: FibNode, at: number): void {
    node.routes.splice(at, 1);
    if (node.routes.length === 0) table.del(dst);
    this.#version++;
  }
}

/** The table that a type of route belongs in when none is named. */
export function tableOf(type: RouteType | undefined): RouteTable {
  return type === "local" || type === "broadcast" ? "local" : "main";
}

function search(
  table: LpmTable<FibNode>,
  dst: Ipv4Addr,
  oif: NetDevice | undefined,
  rank: number,
): Route | undefined {
  let node = table.lookup(dst);
  while (node !== undefined) {
    const routes = node.routes;
    for (let i = 0; i < routes.length; i++) {
      const route = pathOf(routes[i] as Route, oif);
      if (route !== undefined && (rank === 0 || SCOPE_RANK[route.scope] >= rank)) return route;
    }
    node = table.lookupShorter(dst, node.len);
  }
  return undefined;
}

/** The route, if it can be used, by its first next hop that can. */
function pathOf(route: Route, oif: NetDevice | undefined): Route | undefined {
  if (route.multipath !== undefined) return route.multipath.first(oif);
  const dev = route.dev;
  if (dev === undefined) return route;
  if (oif !== undefined && oif !== dev) return undefined;
  return dev.up || route.scope === "host" ? route : undefined;
}

function address(node: FibNode): number {
  return (node.routes[0] as Route).dst.addr;
}

function identical(a: Route, b: Route): boolean {
  return (
    a.type === b.type &&
    a.dst.addr === b.dst.addr &&
    a.dst.len === b.dst.len &&
    a.via === b.via &&
    a.dev === b.dev &&
    a.src === b.src &&
    a.scope === b.scope &&
    a.proto === b.proto &&
    a.metric === b.metric &&
    a.onlink === b.onlink &&
    (a.multipath === b.multipath ||
      (a.multipath !== undefined && b.multipath !== undefined && a.multipath.equals(b.multipath)))
  );
}

function meant(route: Route, match: RouteMatch): boolean {
  return (
    (match.via === undefined || match.via === route.via) &&
    (match.dev === undefined || match.dev === route.dev) &&
    (match.nextHops === undefined || sameHops(route, match.nextHops)) &&
    (match.src === undefined || match.src === route.src) &&
    (match.type === undefined || match.type === route.type) &&
    (match.scope === undefined || match.scope === route.scope) &&
    (match.proto === undefined || match.proto === route.proto) &&
    (match.metric === undefined || match.metric === 0 || match.metric === route.metric)
  );
}

/** `fib_nh_match`: what is given after the route's last next hop does not count. */
function sameHops(route: Route, given: readonly NextHopSpec[]): boolean {
  const paths = route.multipath?.paths ?? [route];
  return paths.every((path, i) => {
    const hop = given[i];
    return (
      hop !== undefined &&
      (hop.dev === undefined || hop.dev === path.dev) &&
      (hop.via === undefined || hop.via === path.via)
    );
  });
}
