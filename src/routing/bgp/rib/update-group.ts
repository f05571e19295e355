// An update group: members that are told the same in one family. Their routes are judged once, encoded once, and the same octets
// go to all that are in step. What is judged is in adj-rib-out.ts, who stands where in group-state.ts, what is sent to all in
// group-sender.ts, and to members on their own in catch-up.ts.
//
// Invariants:
// G1  A member in step knows, once it has taken the log, what `sees` makes of each entry's `told`; `told` changes with the message.
// G2  A member on its own knows the same, except for the entries in `behind`, and for those ahead of its first walk.
// G3  So nobody is told what it knows, unless it has asked for it.
//
// Read RFC 4271 section 9.2 first.
import { type Rng, unit } from "../../../base/rng.ts";
import { type Instant, NEVER, SEC_US } from "../../../base/time.ts";
import type { AdjRibOut } from "./adj-rib-out.ts";
import { canCatchUp, catchUp, walkOf } from "./catch-up.ts";
import { AGAIN, GroupMember, type Knowledge } from "./group-member.ts";
import { GroupSender } from "./group-sender.ts";
import { type Budget, type Chunk, GroupState, isFor, type OutStats } from "./group-state.ts";
import type { OutSession } from "./out-session.ts";
import type { OutEntry } from "./out-table.ts";
import type { Destination, RouteAttributes } from "./route.ts";

/** A route as a neighbour was told it. */
export interface OutRoute {
  readonly dest: Destination;
  /** 0 where ADD-PATH is not spoken. */
  readonly pathId: number;
  readonly route: RouteAttributes;
}

/** What all groups have in common. */
export interface GroupOptions {
  readonly stats: OutStats;
  /** For jitter. */
  readonly rng: Rng;
  /** Octets of messages that a group keeps for members that take them later. */
  readonly logMaxBytes: number;
}

/** What a member takes along to another group: what it knows, and what it is owed. */
interface Luggage {
  readonly routes: readonly {
    readonly dest: Destination;
    readonly pathId: number;
    readonly known: Knowledge;
  }[];
  readonly endOfRibDue: boolean;
  readonly refreshDue: boolean;
  /** It is in the middle of a refresh; has its beginning been told? */
  readonly refresh: { readonly begun: boolean } | undefined;
}

/**
 * What is told alike travels together, so everything is judged before anything is sent; but no more than so many destinations, in no
 * more than so many turns.
 */
const JUDGED_MAX = 64 * 1024;
const TURNS_MAX = 64;

export class UpdateGroup {
  readonly key: string;
  readonly rib: AdjRibOut;
  readonly #state: GroupState;
  readonly #sender: GroupSender;
  readonly #rng: Rng;
  /** Nothing is judged or told before a restart is over. @rfc 4724#4.1 */
  #held = false;
  /** No announcements before. @rfc 4271#9.2.1.1 */
  #advertiseAt: Instant = 0;
  /** Has anything been announced since the last wait? */
  #announced = false;
  /** Destinations that were judged since the last time that all was sent, and in how many turns. */
  #judged = 0;
  #turns = 0;
  /**
   * Members that have not been sent their End-of-RIB, and members that want everything again. Mostly there are none: a turn must not look
   * at every member.
   */
  readonly #endOfRibsDue = new Set<GroupMember>();
  readonly #refreshesDue = new Set<GroupMember>();

  /** @param makeRib is given what says whether a source is a member */
  constructor(
    key: string,
    makeRib: (isMember: (source: OutSession["peer"]) => boolean) => AdjRibOut,
    { stats, rng, logMaxBytes }: GroupOptions,
  ) {
    this.key = key;
    this.rib = makeRib((source) => this.#state.members.has(source));
    this.#state = new GroupState(this.rib, stats, logMaxBytes);
    this.#sender = new GroupSender(this.#state);
    this.#rng = rng;
  }

  get size(): number {
    return this.#state.members.size;
  }

  /** Judges nothing until {@link release}. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.rib.fill();
  }

  /** A session came up: tells it everything, then End-of-RIB. */
  join(session: OutSession): GroupMember {
    const member = new GroupMember(session);
    if (this.rib.table.size > 0) member.walk = walkOf(this.#state, "first");
    this.#state.add(member);
    this.#oweEndOfRib(member);
    return member;
  }

  leave(member: GroupMember): void {
    this.#state.del(member);
    this.#endOfRibsDue.delete(member);
    this.#refreshesDue.delete(member);
  }

  /**
   * A member is about to {@link leave} for another group, which is to adopt it first: until then its destinations are held here. Reads
   * all of the table.
   */
  depart(member: GroupMember): Luggage {
    this.#state.detach(member);
    const routes: Luggage["routes"][number][] = [];
    for (const entry of this.rib.table.entries()) {
      const known = member.knows(entry);
      if (known !== undefined) routes.push({ dest: entry.dest, pathId: entry.pathId, known });
    }
    const { walk } = member;
    const endOfRibDue = this.#endOfRibsDue.has(member);
    const refreshDue = this.#refreshesDue.has(member);
    const refresh = walk?.kind === "refresh" ? { begun: walk.begun } : undefined;
    return { routes, endOfRibDue, refreshDue, refresh };
  }

  /** Takes in what {@link depart} returned: the member is told the difference. */
  adopt(session: OutSession, { routes, endOfRibDue, refreshDue, refresh }: Luggage): GroupMember {
    const member = new GroupMember(session);
    const { table } = this.rib;
    const mentioned = new Set<OutEntry>();
    for (const { dest, pathId, known } of routes) {
      const entry = table.obtain(dest, pathId);
      mentioned.add(entry);
      member.learnt(entry, known);
    }
    for (const entry of table.entries()) if (!mentioned.has(entry)) member.learnt(entry, undefined);
    member.awaitsFill = true;
    if (refreshDue) this.#refreshesDue.add(member);
    if (refresh !== undefined) member.walk = walkOf(this.#state, "refresh", refresh.begun);
    this.#state.add(member);
    this.#advertiseAt = 0;
    if (endOfRibDue) this.#oweEndOfRib(member);
    return member;
  }

  /** The member wants everything again. @rfc 2918#4 @rfc 7313#4 */
  refresh(member: GroupMember): void {
    this.#refreshesDue.add(member);
  }

  /** Sends what is due and is taken. @returns whether there is more to do at once */
  run(now: Instant, budget: Budget): boolean {
    const state = this.#state;
    this.#deliver(now);
    const reserve = state.onItsOwn.size > 0 ? Math.ceil(budget.left / 4) : 0;
    budget.left -= reserve;
    this.#judge(now, budget);
    this.#send(now, budget);
    budget.left += reserve;
    for (const member of this.#refreshesDue) this.#startRefresh(member);
    for (const member of state.onItsOwn) catchUp(state, member, budget, now);
    for (const member of this.#endOfRibsDue) this.#endRib(member, now);
    return this.#hasWork(now);
  }

  /** When {@link run} has something to do: 0 at once. */
  nextDeadline(): Instant {
    if (this.#hasWork(0)) return 0;
    return this.rib.announcements > 0 && this.#state.wanted ? this.#advertiseAt : NEVER;
  }

  /** What the member has been told, or is being told, in no particular order. */
  *dump(member: GroupMember): Iterable<OutRoute> {
    for (const entry of this.rib.table.entries()) {
      const known = member.knows(entry);
      const attrs = known === AGAIN ? member.sees(entry.told) : known;
      if (attrs !== undefined) yield { dest: entry.dest, pathId: entry.pathId, route: attrs.route };
    }
  }

  /** How many routes {@link dump} has. */
  count(member: GroupMember): number {
    let count = 0;
    if (member.position === undefined) {
      for (const _ of this.dump(member)) count++;
      return count;
    }
    for (const told of this.rib.used) if (member.isToldOf(told)) count += told.uses;
    return count;
  }

  /** How many changes the member has yet to be told. */
  pending(member: GroupMember): number {
    const { log } = this.#state;
    let count = this.rib.withdrawals.size + this.rib.announcements + member.behind.size;
    for (let at = member.position ?? log.end; at < log.end; at++) {
      const chunk = log.at(at);
      if (isFor(chunk.audience, member)) count += chunk.entries.length;
    }
    if (member.walk !== undefined && !member.walk.done) {
      for (const head of this.rib.table.heads()) if (head.index > member.walk.at) count++;
    }
    return count;
  }

  #oweEndOfRib(member: GroupMember): void {
    this.#endOfRibsDue.add(member);
    // Whoever has just come does not wait for an interval that began before.
    this.#advertiseAt = 0;
  }

  /** Gives members that are in step what they could not take before. */
  #deliver(now: Instant): void {
    const { inStep, log } = this.#state;
    if (log.base === log.end) return;
    for (const member of inStep) {
      while (member.position !== undefined && member.position < log.end && !member.session.blocked) {
        if (!this.#deliverOne(member, log.at(member.position), now)) break;
        member.position++;
      }
    }
    this.#state.trim();
  }

  #deliverOne(member: GroupMember, { bytes, audience }: Chunk, now: Instant): boolean {
    if (!isFor(audience, member)) return true;
    if (!member.session.transmit(bytes, now)) return false;
    const { stats } = this.#state;
    stats.sentBytes += bytes.length;
    stats.sharedSends++;
    return true;
  }

  #judge(now: Instant, budget: Budget): void {
    if (this.#held || this.rib.unjudged === 0 || (this.#overdue && this.#canSend(now))) return;
    const judged = this.rib.evaluate(budget.left);
    budget.left -= judged;
    this.#judged += judged;
    this.#turns++;
  }

  get #overdue(): boolean {
    return this.#judged >= JUDGED_MAX || this.#turns >= TURNS_MAX;
  }

  #send(now: Instant, budget: Budget): void {
    if (!this.#held && this.rib.unjudged > 0 && !this.#overdue) return;
    if (this.#canSend(now)) this.#sendAll(now, budget);
    if (this.#canSend(now)) return;
    this.#judged = 0;
    this.#turns = 0;
  }

  #sendAll(now: Instant, budget: Budget): void {
    const { rib } = this;
    const atLeast = this.#state.packer.prefixesPerMessage;
    while (budget.left > 0 && rib.withdrawals.size > 0 && this.#state.wanted) {
      budget.left -= this.#sender.withdraw(Math.max(budget.left, atLeast), now);
    }
    while (budget.left > 0 && this.#mayAnnounce(now) && this.#state.wanted) {
      budget.left -= this.#sender.announce(Math.max(budget.left, atLeast), now);
      this.#announced = true;
    }
    this.#sender.finish(now);
    this.#startInterval(now);
  }

  #canSend(now: Instant): boolean {
    return (this.rib.withdrawals.size > 0 || this.#mayAnnounce(now)) && this.#state.wanted;
  }

  #mayAnnounce(now: Instant): boolean {
    return this.rib.announcements > 0 && now >= this.#advertiseAt;
  }

  /** @rfc 4271#9.2.1.1 @rfc 4271#10 */
  #startInterval(now: Instant): void {
    if (!this.#announced || this.rib.announcements > 0) return;
    this.#announced = false;
    const { mraiSec } = this.rib.target.config;
    if (mraiSec === 0 || this.#endOfRibsDue.size > 0) return;
    this.#advertiseAt = now + Math.ceil(mraiSec * SEC_US * (0.75 + unit(this.#rng) / 4));
  }

  #startRefresh(member: GroupMember): void {
    if (!this.#canStartRefresh(member)) return;
    this.#state.detach(member);
    this.#state.stats.refreshes++;
    this.#refreshesDue.delete(member);
    member.walk = walkOf(this.#state, "refresh");
  }

  /** An answer that is under way is finished first. @rfc 7313#4 */
  #canStartRefresh(member: GroupMember): boolean {
    const idle = !this.#endOfRibsDue.has(member) && member.walk === undefined && !member.awaitsFill;
    return idle && !member.session.blocked;
  }

  /** Once the member has been told all that was known when it came. @rfc 4724#3 */
  #endRib(member: GroupMember, now: Instant): void {
    if (!this.#canEndRib(member) || !member.session.transmit(this.#state.endOfRib, now)) return;
    this.#endOfRibsDue.delete(member);
    this.#state.stats.endOfRibs++;
  }

  #canEndRib(member: GroupMember): boolean {
    return !member.session.blocked && member.position === this.#state.log.end && this.rib.complete;
  }

  #hasWork(now: Instant): boolean {
    const { rib } = this;
    const state = this.#state;
    if (!this.#held && rib.unjudged > 0) return true;
    if (this.#canSend(now)) return true;
    for (const member of this.#refreshesDue) if (this.#canStartRefresh(member)) return true;
    for (const member of this.#endOfRibsDue) if (this.#canEndRib(member)) return true;
    if (state.log.base !== state.log.end) {
      for (const member of state.inStep) {
        if (member.position !== state.log.end && !member.session.blocked) return true;
      }
    }
    for (const member of state.onItsOwn) if (canCatchUp(state, member)) return true;
    return false;
  }
}
