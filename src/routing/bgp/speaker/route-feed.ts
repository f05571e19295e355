import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import type { Destination, RibListener } from "../rib/route.ts";
import type { RouteChange } from "./speaker-messages.ts";

const NO_HOPS: readonly NextHop[] = [];

/** What forwarding has been told about a prefix. */
interface Told {
  readonly nextHops: readonly NextHop[];
  readonly local: boolean;
}

/** Tells a forwarding table what was chosen: each change once, and nothing that it knows. */
export class RouteFeed implements RibListener {
  readonly #tell: (change: RouteChange) => void;
  readonly #told = new Map<Destination, Told>();

  constructor(tell: (change: RouteChange) => void) {
    this.#tell = tell;
  }

  changed(dest: Destination): void {
    const { best, multipath } = dest;
    const before = this.#told.get(dest);
    if (best === undefined) {
      if (before === undefined) return;
      this.#told.delete(dest);
      this.#tell({ prefix: dest, nextHops: NO_HOPS, local: false });
      return;
    }
    const local = best.source.local;
    const nextHops = local ? NO_HOPS : hopsOf(multipath.map((path) => path.imported?.nextHop));
    if (before !== undefined && before.local === local && sameHops(before.nextHops, nextHops)) return;
    this.#told.set(dest, { nextHops, local });
    this.#tell({ prefix: dest, nextHops, local });
  }
}

/** Each next hop once. */
function hopsOf(hops: readonly (NextHop | undefined)[]): NextHop[] {
  const once: NextHop[] = [];
  for (const hop of hops) {
    if (hop !== undefined && !once.some((one) => sameHop(one, hop))) once.push(hop);
  }
  return once;
}

function sameHops(x: readonly NextHop[], y: readonly NextHop[]): boolean {
  return x.length === y.length && x.every((hop, i) => sameHop(hop, y[i] as NextHop));
}

function sameHop(x: NextHop, y: NextHop): boolean {
  if (typeof x === "number" || typeof y === "number") return x === y;
  const { a, b, c, d } = x.global;
  return a === y.global.a && b === y.global.b && c === y.global.c && d === y.global.d;
}
