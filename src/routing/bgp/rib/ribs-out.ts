// What all neighbours are told: an engine that hears of decisions, and encodes and hands over what is due when run() is called.
// Neighbours that are told the same form update groups (update-group.ts), a session one in each family.
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { Rng } from "../../../base/rng.ts";
import { type Instant, NEVER } from "../../../base/time.ts";
import { addressBits, type Family, formatFamily } from "../../../wire/bgp/family.ts";
import { AdjRibOut, type RibView } from "./adj-rib-out.ts";
import type { ExportConfig, OutMember } from "./export-config.ts";
import type { ExportTarget } from "./export-route.ts";
import { GroupKeys } from "./group-key.ts";
import type { OutStats } from "./group-state.ts";
import { OutAttributesStore } from "./out-attributes.ts";
import { explainOut } from "./out-explain.ts";
import { OutSession } from "./out-session.ts";
import type { SpeakerNumbers } from "./rib-options.ts";
import type { RibPeer } from "./rib-peer.ts";
import type { Destination, RibListener } from "./route.ts";
import { type OutRoute, UpdateGroup } from "./update-group.ts";

export interface RibsOutOptions {
  readonly localAs: number;
  readonly routerId: Ipv4Addr;
  /** @rfc 4456#7 */
  readonly clusterId: Ipv4Addr;
  /** For jitter. */
  readonly rng: Rng;
  /** Octets of messages that a group keeps for members that take them later than others; half a MiB unless given. */
  readonly logMaxBytes?: number;
}

/** What has been done since the beginning, and what there is. */
export interface RibsOutStats extends OutStats {
  readonly groups: number;
  readonly members: number;
  /** Routes that no message was long enough for. @rfc 8654#4 */
  readonly tooLong: number;
}

const LOG_MAX_BYTES = 512 * 1024;

/** Work that a group may do at least before the next one has its turn. */
const SLICE_MIN = 256;

/** Add it to the RIB's listeners. @rfc 4271#3.2 @rfc 4271#9.2 */
export class RibsOut implements RibListener {
  readonly #rib: RibView;
  #options: RibsOutOptions;
  readonly #keys = new GroupKeys();
  readonly #sessions = new Map<RibPeer, OutSession>();
  readonly #groups = new Map<string, UpdateGroup>();
  /** The same, in the order in which they have their turns. */
  #order: UpdateGroup[] = [];
  #turn = 0;
  readonly #held = new Set<Family>();
  /** Held until the RIB has decided about what waited. */
  readonly #releasing = new Set<Family>();
  /** Sessions whose configuration has changed. */
  readonly #reconfigured = new Map<OutSession, ExportConfig>();
  /** Tables of groups that are gone, which hold destinations still. */
  readonly #disposals: AdjRibOut[] = [];
  /** By octets of an AS number: two groups that are told the same octets share them. */
  readonly #attributes = {
    two: new OutAttributesStore({ as4: false }),
    four: new OutAttributesStore({ as4: true }),
  };
  #tooLong = 0;
  readonly #stats: OutStats = {
    encodedBytes: 0,
    sentBytes: 0,
    sharedSends: 0,
    splitOffs: 0,
    refreshes: 0,
    endOfRibs: 0,
  };

  constructor(rib: RibView, options: RibsOutOptions) {
    this.#rib = rib;
    this.#options = options;
  }

  get stats(): RibsOutStats {
    let tooLong = this.#tooLong;
    for (const group of this.#order) tooLong += group.rib.tooLong;
    return { ...this.#stats, groups: this.#groups.size, members: this.#sessions.size, tooLong };
  }

  /** A session is Established: it is told everything, then End-of-RIB, in each family that was negotiated. @rfc 4271#9.2 @rfc 4724#3 */
  join(member: OutMember, now: Instant): void {
    this.leave(member.peer, now);
    const session = new OutSession(member);
    this.#sessions.set(member.peer, session);
    for (const family of member.negotiated.families) {
      const group = this.#groupFor(session, family);
      if (group !== undefined) session.places.set(family, { group, member: group.join(session) });
    }
  }

  /** A session is over. No-op if there is none. */
  leave(peer: RibPeer, _now: Instant): void {
    const session = this.#sessions.get(peer);
    if (session === undefined) return;
    this.#sessions.delete(peer);
    this.#reconfigured.delete(session);
    for (const { group, member } of session.places.values()) {
      group.leave(member);
      this.#disposeIfEmpty(group);
    }
  }

  changed(dest: Destination, bestChanged: boolean): void {
    const { family } = dest;
    for (const group of this.#order) {
      if (group.rib.encoding.family === family) group.rib.note(dest, bestChanged);
    }
  }

  /**
   * What a neighbour is to be told, and how, has changed: it is told the difference. Its role is looked up again, too. No-op without a
   * session.
   */
  reconfigure(peer: RibPeer, config: ExportConfig, _now: Instant): void {
    const session = this.#sessions.get(peer);
    if (session !== undefined) this.#reconfigured.set(session, config);
  }

  /** As {@link Rib.renumber}: sessions that are told the old numbers move to groups with the new ones. */
  renumber({ localAs, clusterId }: SpeakerNumbers): void {
    this.#options = { ...this.#options, localAs, clusterId };
    for (const session of this.#sessions.values()) {
      if (!this.#reconfigured.has(session)) this.#reconfigured.set(session, session.config);
    }
  }

  /** The neighbour asks for a family again. Ignored in a family that was not negotiated. @rfc 2918#4 @rfc 7313#4 */
  refresh(peer: RibPeer, family: Family, _now: Instant): void {
    const place = this.#sessions.get(peer)?.places.get(family);
    place?.group.refresh(place.member);
  }

  /** This speaker has restarted: nothing of the family is told, nor its End-of-RIB. @rfc 4724#4.1 */
  hold(family: Family): void {
    this.#held.add(family);
    this.#releasing.delete(family);
    for (const group of this.#order) if (group.rib.encoding.family === family) group.hold();
  }

  /** The restart is over: once the RIB, which is released first, has decided about all that waited, everything is told. @rfc 4724#4.1 */
  release(family: Family, _now: Instant): void {
    if (this.#held.has(family)) this.#releasing.add(family);
  }

  /** The neighbour takes octets again. */
  writable(peer: RibPeer, _now: Instant): void {
    const session = this.#sessions.get(peer);
    if (session !== undefined) session.blocked = false;
  }

  /**
   * Judges, encodes and hands over what is due.
   *
   * @param budget about how many prefixes to look at; what must travel together, at most 32,768 prefixes, may exceed it
   * @returns is there more to do at once?
   */
  run(now: Instant, budget: number): boolean {
    let left = budget;
    if (this.#releasing.size > 0 && this.#rib.undecided === 0) this.#releaseAll();
    left -= this.#moveOne();
    const groups = this.#order.length;
    const slice = Math.max(SLICE_MIN, Math.floor(budget / Math.max(1, groups)));
    let more = false;
    let done = 0;
    for (; done < groups && left > 0; done++) {
      if (this.#turn >= groups) this.#turn = 0;
      const share = { left: Math.min(left, slice) };
      const before = share.left;
      const group = this.#order[this.#turn++] as UpdateGroup;
      if (group.run(now, share)) more = true;
      left -= before - share.left;
    }
    if (left > 0) this.#dispose(left);
    return more || done < groups || this.#reconfigured.size > 0 || this.#disposals.length > 0;
  }

  /** When {@link run} has something to do; 0: at once. */
  nextDeadline(): Instant {
    if (this.#reconfigured.size > 0 || this.#disposals.length > 0) return 0;
    if (this.#releasing.size > 0 && this.#rib.undecided === 0) return 0;
    let first = NEVER;
    for (const group of this.#order) first = Math.min(first, group.nextDeadline());
    return first;
  }

  /** The neighbour's Adj-RIB-Out, in no particular order: what it was told, or is being told. */
  dump(peer: RibPeer, family: Family): Iterable<OutRoute> {
    const place = this.#sessions.get(peer)?.places.get(family);
    return place === undefined ? [] : place.group.dump(place.member);
  }

  /** How many routes the neighbour was told. */
  count(peer: RibPeer, family: Family): number {
    const place = this.#sessions.get(peer)?.places.get(family);
    return place === undefined ? 0 : place.group.count(place.member);
  }

  /** How many changes the neighbour has yet to be told. */
  pending(peer: RibPeer): number {
    let count = 0;
    for (const { group, member } of this.#sessions.get(peer)?.places.values() ?? []) {
      count += group.pending(member);
    }
    return count;
  }

  /** For people: why this destination is told to this neighbour, or is not. */
  explain(peer: RibPeer, dest: Destination): string {
    const session = this.#sessions.get(peer);
    if (session === undefined) return "there is no session";
    const place = session.places.get(dest.family);
    if (place === undefined) return `${formatFamily(dest.family)} is not spoken in this session`;
    if (this.#held.has(dest.family)) return "nothing is told before the restart is over";
    return explainOut(this.#rib, place.group, place.member, dest);
  }

  /** The group whose member the session is to be; undefined in families that have no routes here. */
  #groupFor(session: OutSession, family: Family): UpdateGroup | undefined {
    if (addressBits(family) === 0) return undefined;
    const { peer, config, member } = session;
    const { negotiated } = member;
    const { clusterId, rng, logMaxBytes = LOG_MAX_BYTES } = this.#options;
    const target: ExportTarget = {
      internal: peer.config.internal,
      peerAs: negotiated.peerAs,
      rrClient: peer.config.internal && peer.config.rrClient,
      clusterId,
      extNextHop: negotiated.extNextHop,
      config,
    };
    const key = this.#keys.keyOf(session, target, family);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const encoding = {
      family,
      addPath: negotiated.addPathTx.includes(family),
      txMaxBytes: negotiated.txMaxBytes,
      attributes: negotiated.as4 ? this.#attributes.four : this.#attributes.two,
    };
    const group = new UpdateGroup(key, (isMember) => new AdjRibOut(this.#rib, target, encoding, isMember), {
      stats: this.#stats,
      rng,
      logMaxBytes,
    });
    this.#groups.set(key, group);
    this.#order.push(group);
    if (this.#held.has(family)) group.hold();
    else group.release();
    return group;
  }

  #releaseAll(): void {
    for (const family of this.#releasing) this.#held.delete(family);
    for (const group of this.#order) if (this.#releasing.has(group.rib.encoding.family)) group.release();
    this.#releasing.clear();
  }

  /** Moves one session whose configuration has changed to the groups that it belongs to now. Returns what that cost. */
  #moveOne(): number {
    let cost = 0;
    for (const [session, config] of this.#reconfigured) {
      this.#reconfigured.delete(session);
      session.config = config;
      for (const [family, { group, member }] of session.places) {
        const next = this.#groupFor(session, family);
        if (next === undefined || next === group) continue;
        const luggage = group.depart(member);
        session.places.set(family, { group: next, member: next.adopt(session, luggage) });
        group.leave(member);
        this.#disposeIfEmpty(group);
        cost += luggage.routes.length;
      }
      break;
    }
    return cost;
  }

  #disposeIfEmpty(group: UpdateGroup): void {
    if (group.size > 0) return;
    this.#groups.delete(group.key);
    this.#order = this.#order.filter((one) => one !== group);
    this.#tooLong += group.rib.tooLong;
    this.#disposals.push(group.rib);
  }

  #dispose(limit: number): void {
    for (let left = limit; left > 0; ) {
      const table = this.#disposals[0];
      if (table === undefined) return;
      const used = table.dispose(left);
      if (used < left) this.#disposals.shift();
      left -= used;
    }
  }
}
