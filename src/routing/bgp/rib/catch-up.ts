// Members on their own: they are told what they do not know, in messages of their own, until they know what the group knows.
import type { Instant } from "../../../base/time.ts";
import { OctetWriter } from "../../../wire/bgp/octets.ts";
import { RefreshSubtype } from "../../../wire/bgp/route-refresh.ts";
import { AGAIN, type GroupMember, type Walk } from "./group-member.ts";
import type { Budget, GroupState } from "./group-state.ts";
import type { OutAttributes } from "./out-attributes.ts";
import type { OutEntry } from "./out-table.ts";
import { CHUNK_BYTES } from "./update-packer.ts";

/** Entries that are looked at together, so that those that are told alike travel together. */
const BATCH = 32 * 1024;

/** A walk through the whole table of a group. */
export function walkOf({ rib }: GroupState, kind: Walk["kind"], begun = false): Walk {
  return { kind, heads: rib.table.heads(), at: 0, begun, done: false };
}

/** Can {@link catchUp} do anything for the member? */
export function canCatchUp({ rib }: GroupState, member: GroupMember): boolean {
  return !member.session.blocked && (!member.awaitsFill || rib.settled);
}

/** Brings a member that is on its own as far as it takes it: at the end it is in step. */
export function catchUp(state: GroupState, member: GroupMember, budget: Budget, now: Instant): void {
  while (budget.left > 0 && canCatchUp(state, member)) {
    member.awaitsFill = false;
    if (member.behind.size > 0) {
      tellBehind(state, member, budget, now);
    } else if (member.walk === undefined) {
      state.rejoin(member);
      return;
    } else {
      walkOn(state, member, member.walk, budget, now);
    }
  }
}

/** Goes on through the table, when nothing is behind the member; what is met there is behind it then. */
function walkOn(state: GroupState, member: GroupMember, walk: Walk, budget: Budget, now: Instant): void {
  const { session } = member;
  const { family } = state.rib.encoding;
  if (walk.kind === "refresh") {
    if (walk.done) {
      if (session.refresh(family, RefreshSubtype.EORR, now)) member.walk = undefined;
      return;
    }
    if (!walk.begun && !session.refresh(family, RefreshSubtype.BORR, now)) return;
    walk.begun = true;
  }
  for (let met = 0; met < BATCH; ) {
    const next = walk.heads.next();
    if (next.done === true) {
      // Nothing is ahead any more: what comes into the table from now on is missed like any change.
      walk.done = true;
      if (walk.kind === "first") member.walk = undefined;
      return;
    }
    walk.at = next.value.index;
    for (let entry: OutEntry | undefined = next.value; entry !== undefined; entry = entry.sibling) {
      met++;
      budget.left--;
      if (walk.kind === "first") member.learnt(entry, undefined);
      else if (!member.behind.has(entry) && member.sees(entry.told) !== undefined)
        member.learnt(entry, AGAIN);
    }
  }
}

/** Tells a member what it does not know, withdrawals first. */
function tellBehind(state: GroupState, member: GroupMember, budget: Budget, now: Instant): void {
  const gone: OutEntry[] = [];
  const alike = new Map<OutAttributes, OutEntry[]>();
  let left = BATCH;
  for (const entry of member.behind.keys()) {
    if (left-- === 0) break;
    const attrs = member.sees(entry.told);
    const list = attrs === undefined ? gone : alike.get(attrs);
    if (list !== undefined) list.push(entry);
    else if (attrs !== undefined) alike.set(attrs, [entry]);
  }
  budget.left -= gone.length;
  for (const list of alike.values()) budget.left -= list.length;
  const letter = new Letter(state, member);
  if (!letter.write(undefined, gone, now)) return;
  for (const [attrs, entries] of alike) if (!letter.write(attrs, entries, now)) return;
  letter.post(now);
}

/** Messages for one member, and what they are about. */
class Letter {
  readonly #state: GroupState;
  readonly #member: GroupMember;
  readonly #out = new OctetWriter();
  #entries: OutEntry[] = [];

  constructor(state: GroupState, member: GroupMember) {
    this.#state = state;
    this.#member = member;
  }

  /** False: the member does not take any more. */
  write(attrs: OutAttributes | undefined, entries: readonly OutEntry[], now: Instant): boolean {
    const { packer } = this.#state;
    packer.load(entries);
    for (let from = 0; from < entries.length; ) {
      const to = packer.emitOnce(this.#out, attrs, from);
      for (; from < to; from++) this.#entries.push(entries[from] as OutEntry);
      if (this.#out.length >= CHUNK_BYTES && !this.post(now)) return false;
    }
    return true;
  }

  /** Sends what is written: then the member knows it. */
  post(now: Instant): boolean {
    if (this.#out.length === 0) return true;
    const bytes = this.#out.take();
    const { stats, rib } = this.#state;
    stats.encodedBytes += bytes.length;
    const entries = this.#entries;
    this.#entries = [];
    if (!this.#member.session.transmit(bytes, now)) return false;
    stats.sentBytes += bytes.length;
    for (const entry of entries) {
      this.#member.behind.delete(entry);
      rib.unref(entry);
    }
    return true;
  }
}
