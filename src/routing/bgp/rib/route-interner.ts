import type { PathAttributes } from "../../../wire/bgp/attributes/path-attributes.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import { RouteAttributes } from "./route.ts";
import { sameNextHop } from "./same-route.ts";

/** Next hops that are remembered of the same attributes. Nearly all have one. */
const NEXT_HOPS_MAX = 4;

/** One {@link RouteAttributes} for the same attributes with the same next hop, as long as anybody has the attributes. */
export class RouteInterner {
  /** The latest first. */
  readonly #routes = new WeakMap<PathAttributes, RouteAttributes[]>();

  of(attributes: PathAttributes, nextHop: NextHop): RouteAttributes {
    const known = this.#routes.get(attributes);
    const same = known?.find((route) => sameNextHop(route.nextHop, nextHop));
    if (same !== undefined) return same;
    const route = new RouteAttributes(attributes, nextHop);
    if (known === undefined) this.#routes.set(attributes, [route]);
    else if (known.unshift(route) > NEXT_HOPS_MAX) known.pop();
    return route;
  }
}
