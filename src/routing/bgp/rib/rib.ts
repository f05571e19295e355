// The routing information base: what all neighbours have told, and what was chosen of it. What to read first: route.ts, for what
// it is made of, then decision.ts. What is told to neighbours is in ribs-out.ts, which listens here.
//
// Invariants:
// R1  There is one Destination for a prefix, as long as it has a path, a holder, or a decision ahead.
// R2  A destination of which anything changed that a decision depends on waits for one, once, however much changed.
// R3  Listeners hear of each decision, after it, except of those that found nothing before and nothing now.
// R4  A path is in its destination and in its neighbour's Adj-RIB-In, or in neither.
//
// Not implemented: long-lived graceful restart (RFC 9494), confederations, families other than unicast.
import { assert } from "../../../base/assert.ts";
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { Instant } from "../../../base/time.ts";
import { addressBits, Family } from "../../../wire/bgp/family.ts";
import { type PrefixList, pathIdAt } from "../../../wire/bgp/prefix-list.ts";
import type { ParsedUpdate } from "../../../wire/bgp/update.ts";
import { ACCEPT_ALL, type CompiledPolicy } from "../policy/policy.ts";
import { type AdjRibIn, PathSource, PeerTables } from "./adj-rib-in.ts";
import { decide } from "./decision.ts";
import { DecisionQueue } from "./decision-queue.ts";
import { type DestinationTable, Ipv4Destinations, Ipv6Destinations } from "./destination-table.ts";
import { RibDestination } from "./rib-destination.ts";
import type { RibOptions, RibStats, SpeakerNumbers } from "./rib-options.ts";
import { ImportedRoute, type RibPath } from "./rib-path.ts";
import type { RibPeer, RibPeerConfig } from "./rib-peer.ts";
import type { Destination, LocalRoute, Path, RibListener, RibPrefix, RouteAttributes } from "./route.ts";
import { RouteImporter } from "./route-importer.ts";
import { RouteInterner } from "./route-interner.ts";
import { RouteComparer } from "./same-route.ts";

/** Our own routes are not asked. */
const ACCEPT: CompiledPolicy = {
  policy: ACCEPT_ALL,
  direction: "import",
  evaluate: (input) => input.route,
  explain: () => ({ action: "accept", rule: undefined }),
};

/** @rfc 4271#3.2 */
export class Rib {
  readonly options: Omit<RibOptions, keyof SpeakerNumbers> & { localAs: number; clusterId: Ipv4Addr };
  /** This speaker, as the source of its own routes. */
  readonly local: RibPeer;
  readonly listeners: RibListener[] = [];
  readonly stats: RibStats = {
    updates: 0,
    announced: 0,
    unchanged: 0,
    withdrawn: 0,
    decisionRuns: 0,
    bestChanges: 0,
  };
  readonly #ipv4 = new Ipv4Destinations();
  readonly #ipv6 = new Ipv6Destinations();
  readonly #own: PeerTables;
  readonly #peers = new Map<RibPeer, PeerTables>();
  readonly #queue = new DecisionQueue();
  readonly #importer: RouteImporter;
  readonly #routes = new RouteInterner();
  readonly #compare = new RouteComparer();
  #lastPeerId = 0;

  constructor(options: RibOptions) {
    const { localAs, routerId } = options;
    this.options = { ...options };
    this.#importer = new RouteImporter(this.options);
    const config: RibPeerConfig = {
      name: "local",
      addr: routerId,
      localAs,
      internal: true,
      rrClient: false,
      allowLocalAs: 0,
      importPolicy: ACCEPT,
    };
    this.#own = new PeerTables(new PathSource(config, 0));
    this.#own.source.as = localAs;
    this.#own.source.bgpId = routerId;
    this.local = this.#own.source;
  }

  /** This speaker has another AS, or reflects for another cluster: loops are looked for anew. */
  renumber({ localAs, clusterId }: SpeakerNumbers, now: Instant): void {
    this.options.localAs = localAs;
    this.options.clusterId = clusterId;
    this.#own.source.as = localAs;
    for (const peer of this.#peers.keys()) this.reimport(peer, now);
  }

  /** Tells a listener of all decisions from now on; those who come first are told first. */
  listen(listener: RibListener): void {
    this.listeners.push(listener);
  }

  addPeer(config: RibPeerConfig): RibPeer {
    const tables = new PeerTables(new PathSource(config, ++this.#lastPeerId));
    this.#peers.set(tables.source, tables);
    if (config.internal) tables.source.as = this.options.localAs;
    return tables.source;
  }

  /** Forgets a neighbour and its paths. It must not be used again. */
  delPeer(peer: RibPeer, now: Instant): void {
    this.peerDown(peer, [], now);
    this.#peers.delete(peer);
  }

  /** All neighbours, this speaker itself left out. */
  peers(): Iterable<RibPeer> {
    return this.#peers.keys();
  }

  /** Another import policy, or another role: what the neighbour has told is judged anew. */
  configure(peer: RibPeer, config: RibPeerConfig, now: Instant): void {
    const { source } = this.#tablesOf(peer);
    const before = source.config;
    source.config = config;
    this.reimport(peer, now);
    const { addr, internal, rrClient } = config;
    const sameRole = addr === before.addr && internal === before.internal && rrClient === before.rrClient;
    if (!sameRole) this.#decideAnew(peer);
  }

  /** A session is Established. Stale paths stay until {@link flushStale}. */
  peerUp(peer: RibPeer, session: { readonly as: number; readonly bgpId: Ipv4Addr }, _now: Instant): void {
    const { source } = this.#tablesOf(peer);
    if (source.as === session.as && source.bgpId === session.bgpId) return;
    source.as = session.as;
    source.bgpId = session.bgpId;
    this.#decideAnew(peer);
  }

  /**
   * A session is lost. Paths of the families in `keepStale` are kept and become stale, unless they were that from an earlier loss;
   * all others go. @rfc 4724#4.2
   */
  peerDown(peer: RibPeer, keepStale: readonly Family[], _now: Instant): void {
    for (const adj of this.#tablesOf(peer).all()) {
      const { family, paths, refreshing } = adj;
      const keep = keepStale.includes(family);
      adj.refreshing = false;
      for (let i = paths.length - 1; i >= 0; i--) {
        const path = paths[i] as RibPath;
        if (keep && (!path.stale || refreshing)) path.stale = true;
        else this.#del(adj, path);
      }
    }
  }

  /** Deletes what is stale. @rfc 4724#4.2 */
  flushStale(peer: RibPeer, family: Family, _now: Instant): void {
    const adj = this.#tablesOf(peer).of(family);
    const { paths } = adj;
    for (let i = paths.length - 1; i >= 0; i--) {
      const path = paths[i] as RibPath;
      if (path.stale) this.#del(adj, path);
    }
  }

  /** BoRR: what is not told again until {@link refreshEnded} is gone then. @rfc 7313#4 */
  refreshBegun(peer: RibPeer, family: Family, _now: Instant): void {
    const adj = this.#tablesOf(peer).of(family);
    adj.refreshing = true;
    for (const path of adj.paths) path.stale = true;
  }

  /** EoRR, or it has taken too long; ignored if there was no BoRR. @rfc 7313#4 */
  refreshEnded(peer: RibPeer, family: Family, now: Instant): void {
    const adj = this.#tablesOf(peer).of(family);
    if (!adj.refreshing) return;
    adj.refreshing = false;
    this.flushStale(peer, family, now);
  }

  /** Takes in an UPDATE: what it withdraws first, so that what it announces as well is announced. @rfc 4271#9 */
  apply(peer: RibPeer, update: ParsedUpdate, now: Instant): void {
    const tables = this.#tablesOf(peer);
    this.stats.updates++;
    for (const list of update.withdrawn) this.#withdrawAll(tables, list);
    const { attributes } = update;
    if (attributes === undefined) return;
    this.#importer.begin(peer);
    for (const { nextHop, prefixes } of update.announced) {
      this.#announceAll(tables, prefixes, this.#routes.of(attributes, nextHop), now);
    }
  }

  /** Asks the import policy again about all that was received. */
  reimport(peer: RibPeer, _now: Instant): void {
    this.#importer.begin(peer);
    for (const adj of this.#tablesOf(peer).all()) {
      for (const path of adj.paths) {
        const before = path.route;
        const route = this.#importer.judge(path.dest, before.received);
        if (!this.#sameImport(route, before)) this.#replace(path, route);
      }
    }
  }

  /** The answers of `nextHopMetric` or `isLocalAddress` have changed. */
  nextHopsChanged(_now: Instant): void {
    for (const [peer, tables] of this.#peers) {
      this.#importer.begin(peer);
      for (const adj of tables.all()) {
        for (const path of adj.paths) {
          const route = this.#importer.judgeNextHop(path.route);
          if (route !== path.route) this.#replace(path, route);
        }
      }
    }
  }

  /** Announces a route of our own, or announces it with other attributes. No policy is asked, and no way to its next hop needed. */
  originate(prefix: RibPrefix, { attributes, nextHop }: LocalRoute, now: Instant): void {
    const route = this.#routes.of(attributes, nextHop);
    const dest = this.#table(prefix.family).obtain(prefix);
    const known = dest.find(this.local, 0);
    if (known !== undefined && this.#compare.same(known.received, route)) return;
    const own = new ImportedRoute(route, route, undefined, 0);
    this.#put(this.#own.of(prefix.family), dest, 0, known, own, now);
  }

  /** Takes a route of our own back. False: there is none. */
  withdraw(prefix: RibPrefix, _now: Instant): boolean {
    const path = this.#table(prefix.family).lookup(prefix)?.find(this.local, 0);
    if (path === undefined) return false;
    this.#del(this.#own.of(prefix.family), path);
    return true;
  }

  /** Collects paths of the family and chooses none, until it is released. @rfc 4724#4.1 */
  hold(family: Family): void {
    this.#queue.hold(family);
  }

  release(family: Family): void {
    this.#queue.release(family);
  }

  /**
   * Decides about destinations that have changed, tells the listeners, and deletes what is empty.
   *
   * @param budget how many at most
   * @returns are there more?
   */
  run(_now: Instant, budget: number): boolean {
    for (let left = budget; left > 0; left--) {
      const dest = this.#queue.shift();
      if (dest === undefined) return false;
      this.#decide(dest);
    }
    return this.#queue.size > 0;
  }

  /** How many destinations wait for a decision, those of held families left out. */
  get undecided(): number {
    return this.#queue.size;
  }

  lookup(prefix: RibPrefix): Destination | undefined {
    return this.#table(prefix.family).lookup(prefix);
  }

  /** In no particular order, those without paths included. The table may change while it is walked. */
  destinations(family: Family): Iterable<Destination> {
    return this.#table(family).dump();
  }

  /** How many destinations there are. */
  count(family: Family): number {
    return this.#table(family).size;
  }

  /** How many paths the neighbour has told, whatever became of them. */
  prefixCount(peer: RibPeer, family: Family): number {
    return this.#tablesOf(peer).of(family).paths.length;
  }

  /** The neighbour's Adj-RIB-In, or our own routes, in no particular order. Not to be kept. */
  pathsOf(peer: RibPeer, family: Family): Iterable<Path> {
    return this.#tablesOf(peer).of(family).paths;
  }

  /** One holder less; a destination without holders and paths is gone. */
  releaseHolder(dest: Destination): void {
    assert(dest instanceof RibDestination && dest.holders > 0, "only a holder releases a destination");
    dest.holders--;
    if (!dest.dirty) this.#delIfEmpty(dest);
  }

  #tablesOf(peer: RibPeer): PeerTables {
    const tables = peer === this.local ? this.#own : this.#peers.get(peer);
    assert(tables !== undefined, "the neighbour is one of this RIB's");
    return tables;
  }

  #table(family: Family): DestinationTable {
    assert(addressBits(family) !== 0, "destinations are IPv4 or IPv6 unicast");
    return family === Family.IPV4_UNICAST ? this.#ipv4 : this.#ipv6;
  }

  #withdrawAll(tables: PeerTables, list: PrefixList): void {
    const table = this.#table(list.family);
    const adj = tables.of(list.family);
    for (let i = 0; i < list.count; i++) {
      const path = table.lookupAt(list, i)?.find(adj.source, pathIdAt(list, i));
      if (path === undefined) continue;
      this.stats.withdrawn++;
      this.#del(adj, path);
    }
  }

  #announceAll(tables: PeerTables, list: PrefixList, route: RouteAttributes, now: Instant): void {
    const table = this.#table(list.family);
    const adj = tables.of(list.family);
    const { source } = adj;
    this.stats.announced += list.count;
    for (let i = 0; i < list.count; i++) {
      const dest = table.obtainAt(list, i);
      const pathId = pathIdAt(list, i);
      const known = dest.find(source, pathId);
      if (known !== undefined && this.#compare.same(known.received, route)) {
        known.stale = false;
        this.stats.unchanged++;
      } else {
        this.#put(adj, dest, pathId, known, this.#importer.judge(dest, route), now);
      }
    }
  }

  /** @param known the path that is told with other attributes now */
  #put(
    adj: AdjRibIn,
    dest: RibDestination,
    pathId: number,
    known: RibPath | undefined,
    route: ImportedRoute,
    now: Instant,
  ): void {
    if (known === undefined) {
      adj.add(dest.add(adj.source, pathId, route, now));
      this.#queue.push(dest);
      return;
    }
    known.stale = false;
    known.at = now;
    this.#replace(known, route);
  }

  #replace(path: RibPath, route: ImportedRoute): void {
    path.route = route;
    this.#queue.push(path.dest);
  }

  #del(adj: AdjRibIn, path: RibPath): void {
    adj.del(path);
    path.dest.del(path);
    this.#queue.push(path.dest);
  }

  /** Something about the neighbour itself is different: its paths weigh, and are told, otherwise. */
  #decideAnew(peer: RibPeer): void {
    for (const adj of this.#tablesOf(peer).all()) {
      for (const path of adj.paths) {
        if (path.dest.best === path) path.dest.told = undefined;
        this.#queue.push(path.dest);
      }
    }
  }

  #decide(dest: RibDestination): void {
    const { best: before, told, only } = dest;
    this.stats.decisionRuns++;
    if (only !== undefined) {
      dest.choose(only.ineligible === undefined ? only : undefined, undefined);
    } else {
      const { best, multipath } = decide(dest.paths, this.options.decision, before);
      dest.choose(best, multipath);
    }
    const { best } = dest;
    if (best !== undefined || before !== undefined) {
      const same =
        best === before && told !== undefined && this.#compare.same(best?.imported as RouteAttributes, told);
      if (!same) this.stats.bestChanges++;
      // Held meanwhile, so that a listener that releases it does not take it from the next one.
      dest.holders++;
      for (const listener of this.listeners) listener.changed(dest, !same);
      dest.holders--;
    }
    if (!dest.dirty) this.#delIfEmpty(dest);
  }

  #delIfEmpty(dest: RibDestination): void {
    if (dest.holders === 0 && dest.pathCount === 0) this.#table(dest.family).del(dest);
  }

  #sameImport(x: ImportedRoute, y: ImportedRoute): boolean {
    if (x.ineligible !== y.ineligible || x.metric !== y.metric) return false;
    if (x.imported === undefined || y.imported === undefined) return x.imported === y.imported;
    return this.#compare.same(x.imported, y.imported);
  }
}
