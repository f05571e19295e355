import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import { emitEndOfRib } from "../../../wire/bgp/emit-update.ts";
import type { NextHop } from "../../../wire/bgp/next-hop.ts";
import { OctetWriter } from "../../../wire/bgp/octets.ts";
import type { AdjRibOut } from "./adj-rib-out.ts";
import type { GroupMember } from "./group-member.ts";
import type { OutEntry, Told } from "./out-table.ts";
import type { RibPeer } from "./rib-peer.ts";
import { type LoggedChunk, SharedLog } from "./shared-log.ts";
import { UpdatePacker } from "./update-packer.ts";

/** What has been done since the beginning, for all groups together. */
export interface OutStats {
  /** Octets that were encoded, and octets that were handed to neighbours: the same ones count for each. */
  encodedBytes: number;
  sentBytes: number;
  /** How often octets were handed to one more neighbour, instead of being encoded again. */
  sharedSends: number;
  /** Members that were too slow for their group. */
  splitOffs: number;
  /** Answers to ROUTE-REFRESH, begun. */
  refreshes: number;
  endOfRibs: number;
}

/** Whom a chunk is for: one member alone, or all that are in step but two. */
export interface Audience {
  readonly only: GroupMember | undefined;
  readonly not: GroupMember | undefined;
  readonly nor: GroupMember | undefined;
}

export interface Chunk extends LoggedChunk {
  readonly audience: Audience;
}

export function isFor({ only, not, nor }: Audience, member: GroupMember): boolean {
  return only === undefined ? member !== not && member !== nor : member === only;
}

/** Work that may still be done before others have their turn. */
export interface Budget {
  left: number;
}

/** Who is in a group, in step or on its own, and what of. */
export class GroupState {
  readonly rib: AdjRibOut;
  readonly stats: OutStats;
  readonly packer: UpdatePacker;
  readonly endOfRib: Uint8Array;
  readonly log = new SharedLog<Chunk>();
  readonly members = new Map<RibPeer, GroupMember>();
  readonly inStep = new Set<GroupMember>();
  readonly onItsOwn = new Set<GroupMember>();
  readonly #logMaxBytes: number;
  readonly #byAddr = new Map<Ipv4Addr, GroupMember>();

  /** @param logMaxBytes octets of messages that are kept for those who take them later; who needs more goes on its own */
  constructor(rib: AdjRibOut, stats: OutStats, logMaxBytes: number) {
    this.rib = rib;
    this.#logMaxBytes = logMaxBytes;
    this.stats = stats;
    this.packer = new UpdatePacker(rib.encoding);
    const out = new OctetWriter(32);
    emitEndOfRib(out, rib.encoding.family);
    this.endOfRib = out.take();
  }

  /** The member whose address this is. */
  ownerOf(nextHop: NextHop): GroupMember | undefined {
    return typeof nextHop === "number" ? this.#byAddr.get(nextHop) : undefined;
  }

  /** Enters a member: on its own if it has something ahead. */
  add(member: GroupMember): void {
    this.members.set(member.peer, member);
    this.#byAddr.set(member.addr, member);
    if (member.walk !== undefined || member.behind.size > 0 || member.awaitsFill) this.onItsOwn.add(member);
    else this.rejoin(member);
  }

  del(member: GroupMember): void {
    this.members.delete(member.peer);
    if (this.#byAddr.get(member.addr) === member) this.#byAddr.delete(member.addr);
    this.inStep.delete(member);
    this.onItsOwn.delete(member);
    member.position = undefined;
    for (const entry of member.behind.keys()) this.rib.unref(entry);
    member.behind.clear();
    this.trim();
  }

  /** The member knows what all know, as soon as it has taken the log. */
  rejoin(member: GroupMember): void {
    this.onItsOwn.delete(member);
    this.inStep.add(member);
    member.position = this.log.end;
  }

  /** The member goes on its own, with what it has not taken yet behind it. */
  detach(member: GroupMember): void {
    const { log } = this;
    const { position } = member;
    if (position === undefined) return;
    const before = new Map<OutEntry, Told | undefined>();
    for (let at = position; at < log.end; at++) {
      const chunk = log.at(at);
      // What is for others changes nothing for it, even if the same entry was told to it in a chunk that it took.
      if (!isFor(chunk.audience, member)) continue;
      for (const [i, entry] of chunk.entries.entries()) {
        if (!before.has(entry)) before.set(entry, chunk.before[i]);
      }
    }
    this.inStep.delete(member);
    this.onItsOwn.add(member);
    member.position = undefined;
    for (const [entry, told] of before) member.missed(entry, told);
    this.trim();
  }

  /** Those who are too far behind the others go on their own. */
  boundLog(): void {
    this.trim();
    while (this.log.bytes > this.#logMaxBytes) {
      const { base } = this.log;
      for (const member of [...this.inStep].filter(({ position }) => position === base)) {
        this.stats.splitOffs++;
        this.detach(member);
      }
    }
  }

  /** Would anybody take what is sent now? If nobody is in step, it costs nothing to send. */
  get wanted(): boolean {
    if (this.inStep.size === 0) return true;
    for (const member of this.inStep) {
      if (!member.session.blocked && member.position === this.log.end) return true;
    }
    for (const member of this.onItsOwn) if (member.awaitsFill && !member.session.blocked) return true;
    return false;
  }

  /** Forgets what everybody has taken. */
  trim(): void {
    const { log } = this;
    if (log.base === log.end) return;
    let least = log.end;
    for (const { position } of this.inStep) {
      if (position !== undefined && position < least) least = position;
    }
    log.trim(least, (entry) => this.rib.unref(entry));
  }
}
