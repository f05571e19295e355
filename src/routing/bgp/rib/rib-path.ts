import type { Instant } from "../../../base/time.ts";
import type { RibDestination } from "./rib-destination.ts";
import type { RibPeer } from "./rib-peer.ts";
import type { Ineligible, Path, RouteAttributes } from "./route.ts";

/** A route as it came, and what import made of it. Immutable: the paths of an UPDATE that fare alike share one. */
export class ImportedRoute {
  readonly received: RouteAttributes;
  readonly imported: RouteAttributes | undefined;
  readonly ineligible: Ineligible | undefined;
  readonly metric: number;

  constructor(
    received: RouteAttributes,
    imported: RouteAttributes | undefined,
    ineligible: Ineligible | undefined,
    metric: number,
  ) {
    this.received = received;
    this.imported = imported;
    this.ineligible = ineligible;
    this.metric = metric;
  }
}

/** A path as the RIB stores it: there may be millions. */
export class RibPath implements Path {
  readonly dest: RibDestination;
  readonly source: RibPeer;
  readonly pathId: number;
  readonly localId: number;
  route: ImportedRoute;
  stale = false;
  /** Where it stands in its neighbour's Adj-RIB-In. */
  slot = 0;
  at: Instant;

  constructor(
    dest: RibDestination,
    source: RibPeer,
    pathId: number,
    localId: number,
    route: ImportedRoute,
    at: Instant,
  ) {
    this.dest = dest;
    this.source = source;
    this.pathId = pathId;
    this.localId = localId;
    this.route = route;
    this.at = at;
  }

  get received(): RouteAttributes {
    return this.route.received;
  }

  get imported(): RouteAttributes | undefined {
    return this.route.imported;
  }

  get ineligible(): Ineligible | undefined {
    return this.route.ineligible;
  }

  get metric(): number {
    return this.route.metric;
  }
}
