import { err, ok, type Result } from "../../../base/result.ts";
import { type AsPath, EMPTY_AS_PATH, prepend } from "../../../wire/bgp/as-path.ts";
import { AttributeType } from "../../../wire/bgp/attributes/attribute-type.ts";
import { NONE, type PathAttributes } from "../../../wire/bgp/attributes/path-attributes.ts";
import {
  compareExtCommunities,
  compareLargeCommunities,
  sortCommunities,
  sortExtCommunities,
  sortLargeCommunities,
} from "../../../wire/bgp/communities.ts";
import { Family } from "../../../wire/bgp/family.ts";
import { isMartianNextHop, type NextHop } from "../../../wire/bgp/next-hop.ts";
import { NOTHING_SET, type PolicySets, RouteAttributes } from "../rib/route.ts";
import type { Rewrite, SetEdit } from "./policy.ts";
import { checkNumber, checkNumbers } from "./value-ranges.ts";

/** AS numbers that one rule may put in front of a path: more than one segment's fill is a slip of the pen. */
const MAX_PREPEND = 255;

/** Refused: what is wrong with it. */
export function compileRewrite(set: Rewrite, direction: "import" | "export"): Result<Rewriter, string> {
  const { prepend: added = [], communities, nextHop } = set;
  const wrong =
    checkNumber("local preference", "u32", set.localPref) ??
    checkNumber("MED", "u32", set.med ?? undefined) ??
    checkNumber("origin", "origin", set.origin) ??
    checkNumber("weight", "u16", set.weight) ??
    checkNumbers("AS number to prepend", "as", added) ??
    checkNumbers("community", "u32", communities?.add ?? []) ??
    checkNumbers("community", "u32", communities?.del ?? []);
  if (wrong !== undefined) return err(wrong);
  if (added.length > MAX_PREPEND) {
    return err(`${added.length} AS numbers to prepend: at most ${MAX_PREPEND} are allowed`);
  }
  if (set.weight !== undefined && direction === "export") {
    return err("a weight is local to this speaker: it can be set on import alone");
  }
  if (nextHop === "self" && direction === "import") {
    return err("next hop self is for export alone; on import name the address");
  }
  if (nextHop !== undefined && nextHop !== "self" && isMartianNextHop(nextHop)) {
    return err("nothing can be sent to the next hop that is set: it is unspecified, multicast or of class E");
  }
  return ok(new Rewriter(set, direction));
}

/**
 * Changes attributes as one rule says. Routes that share attributes before share them afterwards, too: what was made of an object is
 * remembered as long as that object lives. Changes by several rules are then shared by all routes that took the same way.
 */
export class Rewriter {
  readonly #set: Rewrite;
  readonly #export: boolean;
  readonly #communities: ListEdit<PathAttributes["communities"][number]> | undefined;
  readonly #extCommunities: ListEdit<PathAttributes["extCommunities"][number]> | undefined;
  readonly #largeCommunities: ListEdit<PathAttributes["largeCommunities"][number]> | undefined;
  /** What became of attributes; a map for each combination of what else the result depends on. */
  readonly #made = Array.from({ length: 4 }, () => new WeakMap<RouteAttributes, RouteAttributes>());

  /** @param set checked: see {@link compileRewrite} */
  constructor(set: Rewrite, direction: "import" | "export") {
    this.#set = set;
    this.#export = direction === "export";
    this.#communities = listEdit(set.communities, sortCommunities, (x, y) => x - y);
    this.#extCommunities = listEdit(set.extCommunities, sortExtCommunities, compareExtCommunities);
    this.#largeCommunities = listEdit(set.largeCommunities, sortLargeCommunities, compareLargeCommunities);
  }

  /**
   * The attributes changed; the same object when they are so already.
   *
   * @param family of the route: an IPv4 next hop is not set on IPv6 routes, which cannot have one
   * @param own does this speaker originate the route? Else an attribute that it gives the route is partial.
   */
  apply(route: RouteAttributes, family: Family, own: boolean): RouteAttributes {
    const nextHop = this.#nextHopFor(family);
    const made = this.#made[(nextHop === undefined ? 0 : 1) + (own ? 2 : 0)] as WeakMap<
      RouteAttributes,
      RouteAttributes
    >;
    const known = made.get(route);
    if (known !== undefined) return known;
    const changed = this.#change(route, nextHop, own);
    // To remember what stays as it is would cost more than to find out again.
    if (changed !== route) made.set(route, changed);
    return changed;
  }

  #nextHopFor(family: Family): NextHop | "self" | undefined {
    const { nextHop } = this.#set;
    return typeof nextHop === "number" && family !== Family.IPV4_UNICAST ? undefined : nextHop;
  }

  #change(route: RouteAttributes, given: NextHop | "self" | undefined, own: boolean): RouteAttributes {
    const attributes = this.#changeAttributes(route.attributes, own);
    const { weight = route.weight } = this.#set;
    const nextHop =
      given === undefined || given === "self" || sameNextHop(given, route.nextHop) ? route.nextHop : given;
    const sets = this.#export ? this.#setsAfter(route.sets, given) : route.sets;
    if (
      attributes === route.attributes &&
      nextHop === route.nextHop &&
      weight === route.weight &&
      sets.nextHop === route.sets.nextHop &&
      sets.med === route.sets.med
    ) {
      return route;
    }
    return new RouteAttributes(attributes, nextHop, weight, sets);
  }

  #setsAfter(before: PolicySets, given: NextHop | "self" | undefined): PolicySets {
    const { med } = this.#set;
    const after: PolicySets = {
      nextHop: given === undefined ? before.nextHop : given === "self" ? "self" : "given",
      med: med === undefined ? before.med : med !== null,
    };
    return after.nextHop === undefined && !after.med ? NOTHING_SET : after;
  }

  #changeAttributes(before: PathAttributes, own: boolean): PathAttributes {
    const { localPref = before.localPref, origin = before.origin } = this.#set;
    const med = this.#set.med === undefined ? before.med : (this.#set.med ?? undefined);
    const asPath = this.#prepended(before.asPath);
    const communities = edited(before.communities, this.#communities);
    const extCommunities = edited(before.extCommunities, this.#extCommunities);
    const largeCommunities = edited(before.largeCommunities, this.#largeCommunities);
    if (
      localPref === before.localPref &&
      origin === before.origin &&
      med === before.med &&
      asPath === before.asPath &&
      communities === before.communities &&
      extCommunities === before.extCommunities &&
      largeCommunities === before.largeCommunities
    ) {
      return before;
    }
    const after = {
      ...before,
      localPref,
      origin,
      med,
      asPath,
      communities,
      extCommunities,
      largeCommunities,
    };
    return { ...after, partial: partialAfter(before, after, own) };
  }

  #prepended(path: AsPath | undefined): AsPath | undefined {
    const { prepend: added } = this.#set;
    if (added === undefined) return path;
    return added.reduceRight<AsPath | undefined>((rest, as) => prepend(rest ?? EMPTY_AS_PATH, as), path);
  }
}

function sameNextHop(x: NextHop, y: NextHop): boolean {
  if (typeof x === "number" || typeof y === "number") return x === y;
  return sameAddr(x.global, y.global) && sameAddr(x.linkLocal, y.linkLocal);
}

type Words = Readonly<Record<"a" | "b" | "c" | "d", number>> | undefined;

function sameAddr(x: Words, y: Words): boolean {
  return x?.a === y?.a && x?.b === y?.b && x?.c === y?.c && x?.d === y?.d;
}

const COMMUNITY_LISTS = [
  [AttributeType.COMMUNITY, "communities"],
  [AttributeType.EXT_COMMUNITY, "extCommunities"],
  [AttributeType.LARGE_COMMUNITY, "largeCommunities"],
] as const;

/** Types that are Partial: an attribute that its originator did not attach is, one that is gone is not any more. @rfc 4271#5 */
function partialAfter(before: PathAttributes, after: PathAttributes, own: boolean): readonly number[] {
  let partial = before.partial;
  for (const [type, list] of COMMUNITY_LISTS) {
    const gone = after[list].length === 0;
    if (gone && partial.includes(type)) partial = partial.filter((one) => one !== type);
    const attached = !gone && before[list].length === 0 && !own;
    if (attached && !partial.includes(type)) partial = [...partial, type].sort((x, y) => x - y);
  }
  return partial;
}

/** A checked {@link SetEdit}, its lists in order. */
interface ListEdit<T> {
  readonly clear: boolean;
  readonly del: readonly T[];
  readonly add: readonly T[];
  readonly sort: (list: readonly T[]) => readonly T[];
  readonly compare: (x: T, y: T) => number;
}

function listEdit<T>(
  edit: SetEdit<T> | undefined,
  sort: ListEdit<T>["sort"],
  compare: ListEdit<T>["compare"],
): ListEdit<T> | undefined {
  if (edit === undefined) return undefined;
  return {
    clear: edit.clear ?? false,
    del: sort(edit.del ?? NONE),
    add: sort(edit.add ?? NONE),
    sort,
    compare,
  };
}

/** The list edited, in order; the same list when it is so already. */
function edited<T>(list: readonly T[], edit: ListEdit<T> | undefined): readonly T[] {
  if (edit === undefined) return list;
  const { add, sort, compare } = edit;
  const kept = edit.clear ? NONE : without(list, edit.del, compare);
  const after = add.length === 0 ? kept : sort([...kept, ...add]);
  const same = after.length === list.length && after.every((one, i) => compare(one, list[i] as T) === 0);
  return same ? list : after;
}

/** What of an ascending list is not in another one. */
function without<T>(list: readonly T[], del: readonly T[], compare: (x: T, y: T) => number): readonly T[] {
  let at = 0;
  return list.filter((one) => {
    while (at < del.length && compare(del[at] as T, one) < 0) at++;
    return at === del.length || compare(del[at] as T, one) !== 0;
  });
}
