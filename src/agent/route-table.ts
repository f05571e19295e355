// The routes of one owner, desired against actual, as Felix keeps them: what is wanted is put back when somebody deletes it, and what
// stands on the owner's ground without being wanted is removed.
import { formatPrefix } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import type { Netns } from "../stack/netns.ts";
import type { NextHopSpec, Route, RouteSpec } from "../stack/route.ts";

export interface RouteTableOptions {
  readonly host: Netns;
  /** Is this route on the owner's ground? Such a one that is not wanted is removed by {@link RouteTable.resync}. */
  readonly owns: (route: Route) => boolean;
}

/** What a resync found. */
export interface ResyncCount {
  readonly restored: number;
  readonly removed: number;
}

/** Destination and metric: by these the kernel tells routes apart. */
function keyOf({ dst, metric }: Pick<RouteSpec, "dst" | "metric">): string {
  return `${formatPrefix(dst)} ${metric ?? 0}`;
}

export class RouteTable {
  readonly #options: RouteTableOptions;
  readonly #wanted = new Map<string, RouteSpec>();
  /** What is in the kernel because of us. */
  readonly #programmed = new Map<string, RouteSpec>();
  /** Keys whose route has not been brought in line yet. */
  readonly #dirty = new Set<string>();
  /** Grows with every change of what is wanted. */
  version = 0;

  constructor(options: RouteTableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#wanted.size;
  }

  /** Routes that are wanted and could not be programmed. */
  get pending(): number {
    return this.#dirty.size;
  }

  /** All that is wanted, in no order. */
  dump(): Iterable<RouteSpec> {
    return this.#wanted.values();
  }

  /** Wants a route, in the place of one of its destination and metric. */
  replace(spec: RouteSpec): void {
    const key = keyOf(spec);
    this.#wanted.set(key, spec);
    this.#dirty.add(key);
    this.version++;
  }

  /** Wants it no more. */
  del(route: Pick<RouteSpec, "dst" | "metric">): void {
    const key = keyOf(route);
    if (!this.#wanted.delete(key)) return;
    this.#dirty.add(key);
    this.version++;
  }

  /**
   * Programs what has changed. What the kernel refuses stays wanted and is tried again with the next call.
   *
   * @returns its complaints, one a route
   */
  apply(now: Instant): string[] {
    const complaints: string[] = [];
    // First what goes: it may stand where another comes.
    for (const key of this.#dirty) {
      if (this.#wanted.has(key)) continue;
      this.#dirty.delete(key);
      this.#remove(key, now);
    }
    for (const key of this.#dirty) {
      const spec = this.#wanted.get(key) as RouteSpec;
      const done = this.#options.host.replaceRoute(spec, now);
      if (done.ok) {
        this.#dirty.delete(key);
        this.#programmed.set(key, spec);
      } else complaints.push(`route ${formatPrefix(spec.dst)}: ${done.error}`);
    }
    return complaints;
  }

  /** Compares with what there is: restores what is missing, removes what stands on our ground. */
  resync(now: Instant): ResyncCount {
    const { host, owns } = this.#options;
    const there = new Map<string, Route>();
    let removed = 0;
    for (const route of host.fib.dump("main")) {
      const key = keyOf(route);
      const wanted = this.#wanted.get(key);
      if (wanted !== undefined && agrees(route, wanted)) there.set(key, route);
      else if (owns(route) && host.fib.remove(route)) removed++;
    }
    let restored = 0;
    for (const key of this.#wanted.keys()) {
      if (there.has(key)) continue;
      if (!this.#dirty.has(key)) restored++;
      this.#dirty.add(key);
    }
    this.apply(now);
    return { restored, removed };
  }

  /** Removes all. */
  clear(now: Instant): void {
    this.#wanted.clear();
    this.#dirty.clear();
    for (const key of [...this.#programmed.keys()]) this.#remove(key, now);
  }

  #remove(key: string, now: Instant): void {
    const spec = this.#programmed.get(key);
    if (spec === undefined) return;
    this.#programmed.delete(key);
    const { dst, via, dev, nextHops, type, proto, metric } = spec;
    // Gone already, with its device perhaps: that is what was wanted.
    this.#options.host.delRoute({ dst, via, dev, nextHops, type, proto, metric }, now);
  }
}

function agrees(route: Route, spec: RouteSpec): boolean {
  return (
    route.type === (spec.type ?? "unicast") &&
    route.proto === (spec.proto ?? "boot") &&
    route.src === spec.src &&
    agreeHops(route, spec.nextHops ?? [spec])
  );
}

/** A next hop that is dead counts as there: it lives again when its device does. */
function agreeHops(route: Route, hops: readonly NextHopSpec[]): boolean {
  const { multipath } = route;
  const paths = multipath?.paths ?? [route];
  return (
    paths.length === hops.length &&
    paths.every(({ via, dev, onlink }, i) => {
      const hop = hops[i] as NextHopSpec;
      return (
        via === hop.via &&
        (hop.dev === undefined || dev === hop.dev) &&
        onlink === (hop.onlink ?? false) &&
        (multipath === undefined || multipath.weights[i] === (hop.weight ?? 1))
      );
    })
  );
}
