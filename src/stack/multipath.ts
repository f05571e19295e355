// A route with several next hops, as Linux's fib_info: which of them a flow takes. Read `fib_rebalance`, `fib_select_multipath`,
// `fib_sync_down_dev` and `fib_sync_up` of Linux's net/ipv4/fib_semantics.c first, then RFC 2992 (hash-threshold).
//
// Each next hop owns a stretch of the hash's range, 0..2^31-1, as long as its share of the weights:
//
//     0              bound of A           bound of B           2^31-1 = bound of C
//     |------ A -------|--------- B --------|-------- C --------|
//
// One that is dead owns nothing (its bound is -1), and the others' stretches grow; so flows move only where they must.
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import type { NetDevice } from "./net-device.ts";
import type { Route, RouteScope } from "./route.ts";

/** What tells one next hop of a route from another. */
export interface NextHop {
  readonly via: Ipv4Addr | undefined;
  readonly dev: NetDevice;
  readonly onlink: boolean;
  /** 1..256. */
  readonly weight: number;
}

/** Values of the hash. */
const RANGE = 2 ** 31;
/** The bound of a next hop that gets nothing. */
const NONE = -1;

/** Who knows the addresses of devices: the namespace. */
interface SourceAddresses {
  selectAddress(dev: NetDevice, target: Ipv4Addr, scope: RouteScope): Ipv4Addr;
}

/** What of a route all its next hops have in common. */
export type RouteCommon = Omit<Route, "via" | "dev" | "onlink" | "multipath">;

/** The next hops of one route. */
export class Multipath {
  /** The route by each next hop, in the order in which they were given. */
  readonly paths: readonly Route[];
  readonly weights: readonly number[];
  readonly #dead: boolean[];
  /** Up to which hash, inclusive, a next hop is chosen. */
  readonly #bounds: Int32Array;

  /** @param hops two or more */
  constructor(common: RouteCommon, hops: readonly NextHop[]) {
    this.paths = hops.map(({ via, dev, onlink }) => ({ ...common, via, dev, onlink, multipath: this }));
    this.weights = hops.map(({ weight }) => weight);
    this.#dead = hops.map(() => false);
    this.#bounds = new Int32Array(hops.length);
    this.#rebalance();
  }

  /**
   * The path of a flow (`fib_select_multipath`). Allocates nothing.
   *
   * @param hash 0..2^31-1 @returns undefined when all are dead
   */
  select(hash: number): Route | undefined {
    const bounds = this.#bounds;
    for (let i = 0; i < bounds.length; i++) if (hash <= (bounds[i] as number)) return this.paths[i];
    return undefined;
  }

  /**
   * Like {@link select}, for a packet of our own whose source is settled: of the next hops whose own source that would be one is
   * taken, whatever the hash says, if there is any. @rfc 1122#3.3.4.2
   */
  selectFrom(hash: number, src: Ipv4Addr, addresses: SourceAddresses): Route | undefined {
    let best: Route | undefined;
    let bestScore = -1;
    for (let i = 0; i < this.paths.length; i++) {
      const bound = this.#bounds[i] as number;
      if (bound === NONE) continue;
      const path = this.paths[i] as Route;
      const own = addresses.selectAddress(path.dev as NetDevice, path.via ?? 0, path.scope);
      const score = (own === src ? 2 : 0) + (hash <= bound ? 1 : 0);
      if (score <= bestScore) continue;
      best = path;
      bestScore = score;
    }
    return best;
  }

  /** The first path that is alive, by `oif` if given: what a lookup answers before a flow is known. */
  first(oif: NetDevice | undefined): Route | undefined {
    for (let i = 0; i < this.paths.length; i++) {
      const path = this.paths[i] as Route;
      if (this.#bounds[i] !== NONE && (oif === undefined || path.dev === oif)) return path;
    }
    return undefined;
  }

  /** Does a next hop, dead ones included, leave by `dev`? */
  uses(dev: NetDevice): boolean {
    for (let i = 0; i < this.paths.length; i++) if ((this.paths[i] as Route).dev === dev) return true;
    return false;
  }

  /** RTNH_F_DEAD of the `i`th next hop: its device is down, or speaks no IP any more. */
  isDead(i: number): boolean {
    return this.#dead[i] === true;
  }

  /** The last hash of the `i`th next hop's stretch (`fib_nh_upper_bound`); -1: it gets none. */
  upperBound(i: number): number {
    return this.#bounds[i] as number;
  }

  /** The next hops by `dev` are dead, or alive again (`fib_sync_down_dev`, `fib_sync_up`). @returns is it another state than before? */
  setDead(dev: NetDevice, dead: boolean): boolean {
    let changed = false;
    for (const [i, path] of this.paths.entries()) {
      if (path.dev !== dev || this.#dead[i] === dead) continue;
      this.#dead[i] = dead;
      changed = true;
    }
    if (changed) this.#rebalance();
    return changed;
  }

  get allDead(): boolean {
    return this.#dead.every(Boolean);
  }

  /** The same next hops with the same weights in the same order? Whether they live is no matter. */
  equals(other: Multipath): boolean {
    return (
      this.paths.length === other.paths.length &&
      this.paths.every((path, i) => {
        const theirs = other.paths[i] as Route;
        return (
          path.via === theirs.via &&
          path.dev === theirs.dev &&
          path.onlink === theirs.onlink &&
          this.weights[i] === other.weights[i]
        );
      })
    );
  }

  /** `fib_rebalance`: bounds are cumulative and rounded to the nearest, so that the last one alive ends at the end. */
  #rebalance(): void {
    const alive = (i: number): number => (this.#dead[i] === true ? 0 : (this.weights[i] as number));
    const total = this.weights.reduce((sum, _, i) => sum + alive(i), 0);
    let before = 0;
    for (let i = 0; i < this.weights.length; i++) {
      before += alive(i);
      const end = Math.floor((before * RANGE + Math.floor(total / 2)) / total) - 1;
      this.#bounds[i] = alive(i) === 0 ? NONE : end;
    }
  }
}
