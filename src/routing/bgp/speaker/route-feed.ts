import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import type { Destination, RibListener, RibPrefix } from "../rib/route.ts";
import { sameNextHop } from "../rib/same-route.ts";
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
      this.#tell({ prefix: prefixOf(dest), nextHops: NO_HOPS, local: false });
      return;
    }
    const local = best.source.local;
    const nextHops = local ? NO_HOPS : hopsOf(multipath.map((path) => path.imported?.nextHop));
    if (before !== undefined && before.local === local && sameHops(before.nextHops, nextHops)) return;
    this.#told.set(dest, { nextHops, local });
    this.#tell({ prefix: prefixOf(dest), nextHops, local });
  }

  /** What has been told, and holds. In no particular order. */
  *dump(): Generator<RouteChange, void, void> {
    for (const [dest, { nextHops, local }] of this.#told) yield { prefix: prefixOf(dest), nextHops, local };
  }
}

/** Each next hop once. */
function hopsOf(hops: readonly (NextHop | undefined)[]): NextHop[] {
  const once: NextHop[] = [];
  for (const hop of hops) {
    if (hop !== undefined && !once.some((one) => sameNextHop(one, hop))) once.push(hop);
  }
  return once;
}

function sameHops(x: readonly NextHop[], y: readonly NextHop[]): boolean {
  return x.length === y.length && x.every((hop, i) => sameNextHop(hop, y[i] as NextHop));
}

/** A value: the destination is the RIB's, and lives on. */
function prefixOf({ family, a, b, c, d, len }: Destination): RibPrefix {
  return { family, a, b, c, d, len };
}
