import type { Instant } from "../../../base/time.ts";
import { Family } from "../../../wire/bgp/family.ts";
import type { Ipv6Prefix } from "../../../wire/bgp/ipv6-addr.ts";
import { PathList } from "./path-list.ts";
import { type ImportedRoute, RibPath } from "./rib-path.ts";
import type { RibPeer } from "./rib-peer.ts";
import type { Destination, Path, RouteAttributes } from "./route.ts";

const NO_PATHS: readonly never[] = [];

/**
 * A destination as the RIB stores it. Most have one path, and cost no list: `paths` and `multipath` make one for whoever reads
 * them.
 */
export class RibDestination implements Destination {
  readonly len: number;
  /** IPv4: the address, signed, because V8 makes an object of an unsigned number above 2^31. */
  readonly word: number;
  /** The prefix, if it is one of IPv6. */
  readonly ipv6: Ipv6Prefix | undefined;
  /** The path while there has been one at a time. */
  #only: RibPath | undefined = undefined;
  #list: PathList | undefined = undefined;
  best: Path | undefined = undefined;
  /** The attributes of `best` of which the listeners know. */
  told: RouteAttributes | undefined = undefined;
  /** What shares the load, when that is more than the best alone. */
  #several: readonly Path[] | undefined = undefined;
  holders = 0;
  /** Does it wait for a decision? */
  dirty = false;

  constructor(word: number, len: number, ipv6: Ipv6Prefix | undefined) {
    this.word = word;
    this.len = len;
    this.ipv6 = ipv6;
  }

  get family(): Family {
    return this.ipv6 === undefined ? Family.IPV4_UNICAST : Family.IPV6_UNICAST;
  }

  get a(): number {
    return this.ipv6 === undefined ? this.word >>> 0 : this.ipv6.a;
  }

  get b(): number {
    return this.ipv6 === undefined ? 0 : this.ipv6.b;
  }

  get c(): number {
    return this.ipv6 === undefined ? 0 : this.ipv6.c;
  }

  get d(): number {
    return this.ipv6 === undefined ? 0 : this.ipv6.d;
  }

  get paths(): readonly RibPath[] {
    if (this.#list !== undefined) return this.#list.paths;
    return this.#only === undefined ? NO_PATHS : [this.#only];
  }

  get multipath(): readonly Path[] {
    return this.#several ?? (this.best === undefined ? NO_PATHS : [this.best]);
  }

  get pathCount(): number {
    if (this.#list !== undefined) return this.#list.paths.length;
    return this.#only === undefined ? 0 : 1;
  }

  /** The path, where there is one alone: without making a list. */
  get only(): RibPath | undefined {
    return this.#only;
  }

  find(source: RibPeer, pathId: number): RibPath | undefined {
    if (this.#list !== undefined) return this.#list.find(source, pathId);
    const only = this.#only;
    return only !== undefined && only.source === source && only.pathId === pathId ? only : undefined;
  }

  add(source: RibPeer, pathId: number, route: ImportedRoute, now: Instant): RibPath {
    if (this.#list === undefined && this.#only === undefined) {
      const path = new RibPath(this, source, pathId, 1, route, now);
      this.#only = path;
      return path;
    }
    if (this.#list === undefined) {
      this.#list = new PathList(this.#only as RibPath);
      this.#only = undefined;
    }
    const path = new RibPath(this, source, pathId, this.#list.takeId(), route, now);
    this.#list.add(path);
    return path;
  }

  del(path: RibPath): void {
    if (this.#list === undefined) {
      this.#only = undefined;
      return;
    }
    this.#list.del(path);
    if (this.#list.paths.length === 0) this.#list = undefined;
  }

  /** What a decision says. @param multipath `best` first; undefined: that alone */
  choose(best: Path | undefined, multipath: readonly Path[] | undefined): void {
    this.best = best;
    this.told = best?.imported;
    this.#several = multipath !== undefined && multipath.length > 1 ? multipath : undefined;
  }
}
