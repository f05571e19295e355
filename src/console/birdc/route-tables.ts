import type { BgpRouteRow } from "../../routing/bgp/speaker/inspect.ts";
import type { BirdcSpeaker } from "./birdc-speaker.ts";
import { tableOf } from "./family-word.ts";
import { routeLines } from "./route-lines.ts";
import type { RouteQuery } from "./route-query.ts";

/** Of the routes that were looked at, how many were shown. */
interface Count {
  shown: number;
  routes: number;
  networks: number;
}

/**
 * Prints routes, a table after the other: its name before its first route, the prefix with the first route to it, its numbers at its
 * end. Rows of a table that is not meant are passed over.
 */
export class RouteTables {
  readonly #query: RouteQuery;
  readonly #speaker: BirdcSpeaker;
  readonly #counts: ReadonlyMap<string, Count>;
  /** Which of the families is being printed; -1 before the first. */
  #at = -1;
  /** Has this table its name, and had any? */
  #headed = false;
  #any = false;
  #prefix = "";

  constructor(query: RouteQuery, speaker: BirdcSpeaker) {
    this.#query = query;
    this.#speaker = speaker;
    this.#counts = new Map(query.families.map((family) => [family, { shown: 0, routes: 0, networks: 0 }]));
  }

  /** A route was looked at. @param first is it the first to its prefix? */
  count(family: string, first: boolean): void {
    const count = this.#counts.get(family);
    if (count === undefined) return;
    count.routes++;
    if (first) count.networks++;
  }

  *show(row: BgpRouteRow): Generator<string, void, void> {
    const { families, verbose, exportTo } = this.#query;
    const count = this.#counts.get(row.family);
    if (count === undefined) return;
    yield* this.#moveTo(families.indexOf(row.family));
    count.shown++;
    if (this.#query.count) return;
    yield* this.#head();
    const prefix = row.prefix === this.#prefix ? "" : row.prefix;
    this.#prefix = row.prefix;
    yield* routeLines(
      row,
      prefix,
      { verbose, exported: exportTo !== undefined, now: this.#speaker.now() },
      this.#speaker,
    );
  }

  /** The numbers that are left, if they were asked for: those of a single prefix BIRD does not tell. */
  *end(): Generator<string, void, void> {
    const { families, count, stats, only } = this.#query;
    yield* this.#moveTo(families.length);
    if (only !== undefined || !(count || stats)) return;
    if (count) for (const family of families) yield this.#numbers(family);
    if (families.length < 2) return;
    if (!count) yield "";
    const total = { shown: 0, routes: 0, networks: 0 };
    for (const one of this.#counts.values()) {
      total.shown += one.shown;
      total.routes += one.routes;
      total.networks += one.networks;
    }
    yield `Total: ${text(total)} in ${families.length} tables`;
  }

  *#moveTo(index: number): Generator<string, void, void> {
    for (; this.#at < index; this.#at++) {
      const family = this.#query.families[this.#at];
      const { stats, count, only } = this.#query;
      if (family !== undefined && stats && !count && only === undefined) {
        yield* this.#head();
        yield this.#numbers(family);
      }
      this.#headed = false;
    }
  }

  *#head(): Generator<string, void, void> {
    if (this.#headed) return;
    if (this.#any) yield "";
    yield `Table ${tableOf(this.#query.families[this.#at] ?? "")}:`;
    this.#headed = true;
    this.#any = true;
  }

  #numbers(family: string): string {
    return `${text(this.#counts.get(family) as Count)} in table ${tableOf(family)}`;
  }
}

function text({ shown, routes, networks }: Count): string {
  return `${shown} of ${routes} routes for ${networks} networks`;
}
