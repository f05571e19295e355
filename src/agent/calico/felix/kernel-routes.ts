// The routes that BIRD's kernel protocol wants, in the kernel. A route by a device that is not there yet waits for it.
import { formatPrefix, type Prefix } from "../../../base/ipv4-addr.ts";
import type { Instant } from "../../../base/time.ts";
import type { Netns } from "../../../stack/netns.ts";
import type { NextHopSpec, RouteSpec } from "../../../stack/route.ts";
import { type ResyncCount, RouteTable } from "../../route-table.ts";
import type { KernelRoute, KernelRouteChange } from "../bird/route-exporter.ts";

export class KernelRoutes {
  readonly #host: Netns;
  readonly #table: RouteTable;
  readonly #wanted = new Map<string, KernelRoute>();

  constructor(host: Netns) {
    this.#host = host;
    this.#table = new RouteTable({ host, owns: ({ proto }) => proto === "bird" });
  }

  /** Grows with every change of what is wanted. */
  get version(): number {
    return this.#table.version;
  }

  /** Destinations of routes that lead somewhere. */
  *destinations(): Iterable<Prefix> {
    for (const { type, dst } of this.#wanted.values()) if (type === "unicast") yield dst;
  }

  change(change: KernelRouteChange): void {
    if (change.t === "replace") {
      this.#wanted.set(formatPrefix(change.route.dst), change.route);
      this.#put(change.route);
      return;
    }
    this.#wanted.delete(formatPrefix(change.dst));
    this.#table.del({ dst: change.dst });
  }

  /** A device has come or gone. */
  devicesChanged(): void {
    for (const route of this.#wanted.values()) if (route.type === "unicast") this.#put(route);
  }

  /** @returns what the kernel refuses, one complaint a route */
  apply(now: Instant): string[] {
    return this.#table.apply(now);
  }

  resync(now: Instant): ResyncCount {
    return this.#table.resync(now);
  }

  #put(route: KernelRoute): void {
    const spec = this.#specOf(route);
    if (spec === undefined) this.#table.del({ dst: route.dst });
    else this.#table.replace(spec);
  }

  /** By the next hops whose devices are there, as long as there is one. */
  #specOf({ dst, type, nextHops }: KernelRoute): RouteSpec | undefined {
    if (type === "blackhole") return { dst, type, proto: "bird" };
    const ready: NextHopSpec[] = [];
    for (const { via, dev: name, onlink } of nextHops) {
      const dev = this.#host.device(name);
      if (dev?.up === true) ready.push({ via, dev, onlink });
    }
    return ready.length === 0 ? undefined : { dst, nextHops: ready, proto: "bird" };
  }
}
