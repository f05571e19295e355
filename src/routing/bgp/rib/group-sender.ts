// Sends what all members of a group that are in step are to know: one encoding for all of them. What a change means to the member
// whose route it is, or was, is another message, for that member alone.
import type { Instant } from "../../../base/time.ts";
import { OctetWriter } from "../../../wire/bgp/octets.ts";
import type { GroupMember } from "./group-member.ts";
import { type Audience, type GroupState, isFor } from "./group-state.ts";
import type { OutAttributes } from "./out-attributes.ts";
import type { OutEntry, Told } from "./out-table.ts";
import { CHUNK_BYTES } from "./update-packer.ts";

/** Entries, and what each was told before. */
class Changes {
  readonly entries: OutEntry[] = [];
  readonly before: (Told | undefined)[] = [];

  push(entry: OutEntry, before: Told | undefined): void {
    this.entries.push(entry);
    this.before.push(before);
  }
}

/** What one member alone is to be told. */
class Mail {
  readonly withdrawn = new Changes();
  readonly announced = new Map<OutAttributes, Changes>();

  announce(attrs: OutAttributes): Changes {
    let changes = this.announced.get(attrs);
    if (changes === undefined) this.announced.set(attrs, (changes = new Changes()));
    return changes;
  }
}

const EVERYBODY: Audience = { only: undefined, not: undefined, nor: undefined };

export class GroupSender {
  readonly #state: GroupState;
  readonly #mails = new Map<GroupMember, Mail>();
  // What is being written: messages for one audience.
  #out = new OctetWriter();
  #audience = EVERYBODY;
  #changes = new Changes();

  constructor(state: GroupState) {
    this.#state = state;
  }

  /** Withdraws about `limit` entries, at least one, and returns how many. There are some. */
  withdraw(limit: number, now: Instant): number {
    const { rib } = this.#state;
    const batches: { not: GroupMember | undefined; nor: GroupMember | undefined; entries: OutEntry[] }[] = [];
    let last: (typeof batches)[number] | undefined;
    let entry = rib.withdrawals.first;
    for (let left = limit; left > 0 && entry !== undefined; left--, entry = entry.after) {
      const told = entry.told as Told;
      const not = this.#state.members.get(told.source);
      const nor = this.#state.ownerOf(told.attrs.route.nextHop);
      if (last === undefined || last.not !== not || last.nor !== nor) {
        last = batches.find((batch) => batch.not === not && batch.nor === nor);
        if (last === undefined) {
          last = { not, nor, entries: [] };
          batches.push(last);
        }
      }
      last.entries.push(entry);
    }
    const more = entry !== undefined && batches.length === 1;
    let sent = 0;
    for (const { not, nor, entries } of batches) {
      sent += this.#tell(undefined, entries, audienceBut(not, nor), more, now);
    }
    return sent;
  }

  /** Announces about `limit` entries, at least one, of those that are to be told alike, and returns how many. There are some. */
  announce(limit: number, now: Instant): number {
    const { rib, members } = this.#state;
    const told = rib.announcing.values().next().value as Told;
    const { attrs, pending } = told;
    const audience = audienceBut(members.get(told.source), this.#state.ownerOf(attrs.route.nextHop));
    const fresh: OutEntry[] = [];
    let sent = 0;
    for (let entry = pending.first, next: OutEntry | undefined; entry !== undefined; entry = next) {
      if (sent + fresh.length >= limit) break;
      next = entry.after;
      if (entry.told?.attrs === attrs) {
        this.#changeHands(entry, entry.told, audience);
        sent++;
      } else {
        fresh.push(entry);
      }
    }
    if (fresh.length === 0) return sent;
    const more = pending.size > fresh.length;
    return sent + this.#tell(attrs, fresh, audience, more, now);
  }

  /** Sends off what is left. Nothing else may happen to the group before that. */
  finish(now: Instant): void {
    this.#flush(now);
    for (const [member, mail] of this.#mails) {
      const audience = { only: member, not: undefined, nor: undefined };
      this.#write(undefined, mail.withdrawn, audience, now);
      for (const [attrs, changes] of mail.announced) this.#write(attrs, changes, audience, now);
      this.#flush(now);
    }
    this.#mails.clear();
    this.#audience = EVERYBODY;
    this.#state.boundLog();
  }

  /**
   * The group is told all the entries, or as many as fill messages if `more` are to follow; returns how many.
   *
   * @param attrs undefined: withdrawn
   */
  #tell(
    attrs: OutAttributes | undefined,
    entries: readonly OutEntry[],
    audience: Audience,
    more: boolean,
    now: Instant,
  ): number {
    if (!this.#anybody(audience)) {
      for (const entry of entries) {
        this.#settle(entry, audience);
        this.#state.rib.drop(entry);
      }
      return entries.length;
    }
    this.#open(audience, now);
    const { packer } = this.#state;
    packer.load(entries);
    for (let from = 0; from < entries.length; ) {
      const mark = this.#out.length;
      const to = packer.emitOnce(this.#out, attrs, from);
      if (more && to === entries.length && from > 0) {
        // It is not full: the next time it will be.
        this.#out.truncate(mark);
        return from;
      }
      for (; from < to; from++) {
        const entry = entries[from] as OutEntry;
        this.#changes.push(entry, this.#settle(entry, audience));
      }
      if (this.#out.length >= CHUNK_BYTES) this.#flush(now);
    }
    return entries.length;
  }

  /** A route passes from one source to another, and is told alike: only these two can tell the difference. */
  #changeHands(entry: OutEntry, before: Told, audience: Audience): void {
    const had = this.#state.members.get(before.source);
    this.#settle(entry, audience);
    const attrs = had?.sees(entry.told);
    if (had?.position !== undefined && attrs !== undefined && had.sees(before) === undefined) {
      this.#mailTo(had).announce(attrs).push(entry, before);
    }
  }

  /** The entry is told what it was to be told. Returns what it was told before. */
  #settle(entry: OutEntry, { not, nor }: Audience): Told | undefined {
    const before = entry.told;
    this.#state.rib.settle(entry);
    if (this.#state.onItsOwn.size > 0) {
      for (const member of this.#state.onItsOwn) member.missed(entry, before);
    }
    if (before !== undefined) {
      // Who is not told the new must not keep the old.
      if (not?.position !== undefined && not.sees(before) !== undefined) {
        this.#mailTo(not).withdrawn.push(entry, before);
      }
      if (nor?.position !== undefined && nor.sees(before) !== undefined) {
        this.#mailTo(nor).withdrawn.push(entry, before);
      }
    }
    return before;
  }

  #mailTo(member: GroupMember): Mail {
    let mail = this.#mails.get(member);
    if (mail === undefined) this.#mails.set(member, (mail = new Mail()));
    return mail;
  }

  /** Messages about what has been settled. */
  #write(
    attrs: OutAttributes | undefined,
    { entries, before }: Changes,
    audience: Audience,
    now: Instant,
  ): void {
    if (entries.length === 0) return;
    this.#open(audience, now);
    const { packer } = this.#state;
    packer.load(entries);
    for (let from = 0; from < entries.length; ) {
      const to = packer.emitOnce(this.#out, attrs, from);
      for (; from < to; from++) this.#changes.push(entries[from] as OutEntry, before[from]);
      if (this.#out.length >= CHUNK_BYTES) this.#flush(now);
    }
  }

  /** Is anybody in step for whom this is? */
  #anybody(audience: Audience): boolean {
    for (const member of this.#state.inStep) if (isFor(audience, member)) return true;
    return false;
  }

  #open(audience: Audience, now: Instant): void {
    const { only, not, nor } = this.#audience;
    if (only !== audience.only || not !== audience.not || nor !== audience.nor) {
      this.#flush(now);
      this.#audience = audience;
    }
  }

  /** Hands what is written to those who take it, and keeps it for those who will. */
  #flush(now: Instant): void {
    if (this.#out.length === 0) return;
    const { log, stats, inStep, rib } = this.#state;
    const { entries, before } = this.#changes;
    const chunk = { bytes: this.#out.take(), audience: this.#audience, entries, before };
    this.#changes = new Changes();
    const end = log.end;
    let takers = 0;
    let late = false;
    for (const member of inStep) {
      if (member.position !== end) {
        late = true;
      } else if (!isFor(chunk.audience, member)) {
        member.position = end + 1;
      } else if (member.session.transmit(chunk.bytes, now)) {
        member.position = end + 1;
        takers++;
      } else {
        late = true;
      }
    }
    stats.encodedBytes += chunk.bytes.length;
    stats.sentBytes += takers * chunk.bytes.length;
    if (takers > 1) stats.sharedSends += takers - 1;
    if (late) {
      log.append(chunk);
      return;
    }
    log.skip();
    for (const entry of entries) rib.drop(entry);
  }
}

/** All but the source of a route and the owner of its next hop, who mostly are one. */
function audienceBut(not: GroupMember | undefined, owner: GroupMember | undefined): Audience {
  const nor = owner === not ? undefined : owner;
  return not === undefined && nor === undefined ? EVERYBODY : { only: undefined, not, nor };
}
