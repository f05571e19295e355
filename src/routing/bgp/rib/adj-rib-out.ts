// What one update group is to be told in one family, and what it has been told: see out-table.ts. Decisions come in through note(),
// are judged by evaluate() when there is time, and leave the difference in `withdrawals` and `announcing`.
import type { Family } from "../../../wire/bgp/family.ts";
import type { PolicyInput } from "../policy/policy.ts";
import { type DecisionOptions, rank } from "./decision.ts";
import { type ExportTarget, mayTell, tellRoute } from "./export-route.ts";
import type { OutAttributes, OutAttributesStore } from "./out-attributes.ts";
import { EntryList, type OutEntry, OutTable, Told } from "./out-table.ts";
import type { RibPeer } from "./rib-peer.ts";
import { type Destination, type Path, RouteAttributes } from "./route.ts";

/** What the tables of routes out need of the RIB. */
export interface RibView {
  readonly options: { readonly decision: DecisionOptions };
  /** Those of a family; the table may change while it is walked. */
  destinations(family: Family): Iterable<Destination>;
  /** How many destinations wait for a decision, those of held families left out. */
  readonly undecided: number;
  /** One holder less. */
  releaseHolder(dest: Destination): void;
}

/** How the routes of a group are written down. */
export interface OutEncoding {
  readonly family: Family;
  /** With path identifiers. @rfc 7911#3 */
  readonly addPath: boolean;
  /** The longest message. */
  readonly txMaxBytes: number;
  readonly attributes: OutAttributesStore;
}

/** What {@link tellRoute} said of a route of one neighbour, as long as nothing about that neighbour changes. */
interface Memo {
  readonly source: RibPeer;
  readonly bgpId: number;
  readonly config: RibPeer["config"];
  readonly told: Told | undefined;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** @rfc 4271#3.2 @rfc 4271#9.1.3 */
export class AdjRibOut {
  readonly target: ExportTarget;
  readonly encoding: OutEncoding;
  readonly table: OutTable;
  /** Entries that are to be withdrawn. */
  readonly withdrawals = new EntryList();
  /** What is to be announced, first come first served; the entries are in each one's `pending`. */
  readonly announcing = new Set<Told>();
  /** Entries in {@link announcing}. */
  announcements = 0;
  /** What entries are told. */
  readonly used = new Set<Told>();
  /** Routes whose attributes left no room for a prefix. @rfc 8654#4 */
  tooLong = 0;
  readonly #rib: RibView;
  readonly #isMember: (source: RibPeer) => boolean;
  readonly #pathsMax: number;
  /** Destinations to be judged, each held. */
  readonly #dirty = new Set<Destination>();
  /** Destinations that were judged ahead of a decision: it may find nothing new, and yet what was judged holds no more. */
  readonly #early = new Set<Destination>();
  /** Where the first walk over the RIB is; undefined when there is none. */
  #fill: Iterator<Destination> | undefined = undefined;
  #filled = false;
  readonly #memos = new WeakMap<RouteAttributes, Memo>();
  /** The route that was asked for last, and what came of it: neighbouring prefixes share attributes. */
  #lastRoute: RouteAttributes | undefined = undefined;
  #lastMemo: Memo | undefined = undefined;
  /** By attributes, one for each source. */
  readonly #tolds = new WeakMap<OutAttributes, Told[]>();
  /** Written anew for each route, so that asking a policy allocates nothing. */
  #input: Mutable<PolicyInput> | undefined = undefined;

  /** @param isMember is it a member of the group? Then it must be asked before a route changes hands unnoticed. */
  constructor(
    rib: RibView,
    target: ExportTarget,
    encoding: OutEncoding,
    isMember: (source: RibPeer) => boolean,
  ) {
    this.target = target;
    this.encoding = encoding;
    this.table = new OutTable((dest) => rib.releaseHolder(dest));
    this.#rib = rib;
    this.#isMember = isMember;
    this.#pathsMax = encoding.addPath ? Math.max(1, target.config.addPathMax) : 1;
  }

  /** Has the whole RIB been judged once? */
  get filled(): boolean {
    return this.#filled;
  }

  /** Is there nothing left to judge, and nothing to send? */
  get settled(): boolean {
    return this.#filled && this.#dirty.size === 0 && this.withdrawals.size === 0 && this.announcements === 0;
  }

  /** Is it settled, and has the RIB decided about everything? */
  get complete(): boolean {
    return this.settled && this.#rib.undecided === 0;
  }

  /** Is anything left for {@link evaluate}? */
  get unjudged(): number {
    return this.#dirty.size + (this.#fill === undefined ? 0 : 1);
  }

  /** Judges the whole RIB, as time allows. */
  fill(): void {
    if (this.#filled || this.#fill !== undefined) return;
    this.#fill = this.#rib.destinations(this.encoding.family)[Symbol.iterator]();
  }

  /** A decision was made about a destination of the family. */
  note(dest: Destination, bestChanged: boolean): void {
    if (this.#pathsMax === 1) {
      if (!this.#early.delete(dest) && !bestChanged) return;
      const { best } = dest;
      const untold = best === undefined || !mayTell(best.source, this.target);
      if (untold && this.table.head(dest) === undefined) return;
    }
    if (this.#dirty.has(dest)) return;
    this.#dirty.add(dest);
    dest.holders++;
  }

  /** Judges destinations of which anything has changed, at most `limit`, and returns how many. */
  evaluate(limit: number): number {
    let used = 0;
    if (this.#dirty.size > 0) {
      for (const dest of this.#dirty) {
        if (used === limit) return used;
        this.#dirty.delete(dest);
        this.#judge(dest);
        this.#rib.releaseHolder(dest);
        used++;
      }
    }
    for (; used < limit && this.#fill !== undefined; used++) {
      const next = this.#fill.next();
      if (next.done === true) {
        this.#fill = undefined;
        this.#filled = true;
      } else {
        this.#judge(next.value);
      }
    }
    return used;
  }

  /** The entry is told what it was to be told: takes it out of its list. Does not {@link drop} it. */
  settle(entry: OutEntry): void {
    this.#unqueue(entry);
    this.#learn(entry);
  }

  #learn(entry: OutEntry): void {
    const { told, goal } = entry;
    if (told !== undefined && --told.uses === 0) this.used.delete(told);
    if (goal !== undefined && ++goal.uses === 1) this.used.add(goal);
    entry.told = goal;
  }

  /** Takes an entry out of the table if it holds nothing that anybody needs. */
  drop(entry: OutEntry): void {
    if (entry.told === undefined && entry.goal === undefined && entry.refs === 0) this.table.del(entry);
  }

  /** Somebody who remembered something of the entry does not need to any more. */
  unref(entry: OutEntry): void {
    entry.refs--;
    this.drop(entry);
  }

  /** The group is gone: gives back at most `limit` destinations, and returns how many. */
  dispose(limit: number): number {
    let used = 0;
    this.#fill = undefined;
    for (const dest of this.#dirty) {
      if (used === limit) return used;
      this.#dirty.delete(dest);
      this.#rib.releaseHolder(dest);
      used++;
    }
    return used + this.table.clear(limit - used);
  }

  #judge(dest: Destination): void {
    if (this.encoding.addPath) {
      this.#judgePaths(dest);
      return;
    }
    const { best, dirty } = dest;
    // Without a best path there may be no word of the decision, nor is there anything to be told before it.
    if (dirty && best !== undefined) this.#early.add(dest);
    const told = best === undefined ? undefined : this.#toldOf(best);
    const known = this.table.head(dest);
    if (known !== undefined) this.#aim(known, told);
    else if (told !== undefined) this.#aim(this.table.obtain(dest, 0), told);
  }

  /** @rfc 7911#5 */
  #judgePaths(dest: Destination): void {
    const paths: Path[] = [];
    const tolds: Told[] = [];
    for (const path of this.#ranked(dest)) {
      if (tolds.length === this.#pathsMax) break;
      const told = this.#toldOf(path);
      if (told === undefined) continue;
      paths.push(path);
      tolds.push(told);
    }
    let one = this.table.head(dest);
    while (one !== undefined) {
      const next: OutEntry | undefined = one.sibling;
      const { pathId } = one;
      if (!paths.some((path) => path.localId === pathId)) this.#aim(one, undefined);
      one = next;
    }
    for (const [i, path] of paths.entries()) this.#aim(this.table.obtain(dest, path.localId), tolds[i]);
  }

  #ranked(dest: Destination): readonly Path[] {
    const { best, paths } = dest;
    if (best === undefined) return [];
    return this.#pathsMax === 1 ? [best] : rank(paths, this.#rib.options.decision, undefined, best);
  }

  #aim(entry: OutEntry, goal: Told | undefined): void {
    if (entry.goal === goal) return;
    this.#unqueue(entry);
    entry.goal = goal;
    const { told } = entry;
    if (goal === undefined) {
      if (told === undefined) this.drop(entry);
      else this.withdrawals.push(entry);
    } else if (goal !== told) {
      if (told?.attrs === goal.attrs && !this.#isMember(told.source) && !this.#isMember(goal.source)) {
        this.#learn(entry);
        return;
      }
      if (goal.pending.size === 0) this.announcing.add(goal);
      goal.pending.push(entry);
      this.announcements++;
    }
  }

  /** Takes an entry out of the list that it is in. */
  #unqueue(entry: OutEntry): void {
    const { told, goal } = entry;
    if (told === goal) return;
    if (goal === undefined) {
      this.withdrawals.remove(entry);
      return;
    }
    goal.pending.remove(entry);
    this.announcements--;
    if (goal.pending.size === 0) this.announcing.delete(goal);
  }

  #toldOf(path: Path): Told | undefined {
    const { imported, source } = path;
    if (imported === undefined || path.ineligible !== undefined || !mayTell(source, this.target)) {
      return undefined;
    }
    const route = this.#filter(path.dest, imported, source);
    if (route === undefined) return undefined;
    let memo = route === this.#lastRoute ? this.#lastMemo : this.#memos.get(route);
    if (memo?.source !== source || memo.bgpId !== source.bgpId || memo.config !== source.config) {
      memo = this.#tell(route, source);
      this.#memos.set(route, memo);
    }
    this.#lastRoute = route;
    this.#lastMemo = memo;
    const { told } = memo;
    if (told === undefined) return undefined;
    const { addPath, txMaxBytes } = this.encoding;
    const octets = (addPath ? 5 : 1) + ((path.dest.len + 7) >>> 3);
    if (told.attrs.fits(octets, txMaxBytes)) return told;
    const spare = this.#withoutSpare(told);
    if (spare?.attrs.fits(octets, txMaxBytes)) return spare;
    this.tooLong++;
    return undefined;
  }

  /** Without what a receiver may discard as well: the route arrives, if only just. Undefined when nothing of it is there. @rfc 8654#4 */
  #withoutSpare({ attrs: { route }, source }: Told): Told | undefined {
    const { attributes, nextHop } = route;
    if (!attributes.atomicAggregate && attributes.aggregator === undefined) return undefined;
    const less = new RouteAttributes(
      { ...attributes, atomicAggregate: false, aggregator: undefined },
      nextHop,
    );
    return this.#share(this.encoding.attributes.intern(less, this.encoding.family), source);
  }

  #filter(prefix: Destination, route: RouteAttributes, source: RibPeer): RouteAttributes | undefined {
    const input = this.#input;
    if (input === undefined) {
      this.#input = { prefix, route, source };
      return this.target.config.policy.evaluate(this.#input);
    }
    input.prefix = prefix;
    input.route = route;
    input.source = source;
    return this.target.config.policy.evaluate(input);
  }

  #tell(route: RouteAttributes, source: RibPeer): Memo {
    const { family, attributes } = this.encoding;
    const exported = tellRoute(route, source, family, this.target);
    const told =
      "route" in exported ? this.#share(attributes.intern(exported.route, family), source) : undefined;
    return { source, bgpId: source.bgpId, config: source.config, told };
  }

  #share(attrs: OutAttributes, source: RibPeer): Told {
    const known = this.#tolds.get(attrs) ?? [];
    const same = known.find((told) => told.source === source);
    if (same !== undefined) return same;
    const told = new Told(attrs, source);
    // Those that nobody is told any more make room. Should one come back, it is another object, which is as good.
    const live = known.filter((one) => one.uses > 0 || one.pending.size > 0);
    this.#tolds.set(attrs, [...live, told]);
    return told;
  }
}
