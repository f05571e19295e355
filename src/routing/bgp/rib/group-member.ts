// One neighbour in one update group. It is in step, and is sent what all are sent; or it is on its own: because it has just come,
// wants everything again, or was too slow for the others. What a member on its own knows is what the group was told, except for
// what `behind` says.
import type { Ipv4Addr } from "../../../base/ipv4-addr.ts";
import type { OutAttributes } from "./out-attributes.ts";
import type { OutSession } from "./out-session.ts";
import type { OutEntry, Told } from "./out-table.ts";
import type { RibPeer } from "./rib-peer.ts";

/** A way through the table of the group, to tell the member all of it. */
export interface Walk {
  /** `first`: what lies ahead the member does not know. `refresh`: it knows it, and wants it again. */
  readonly kind: "first" | "refresh";
  readonly heads: Iterator<OutEntry>;
  /** Index of the last entry that was met. */
  at: number;
  /** Has the beginning of the refresh been told, as far as it is to be told? @rfc 7313#4 */
  begun: boolean;
  /** Has the end of the table been met? */
  done: boolean;
}

/** What a member knows that is to be told again: something or other. */
export const AGAIN: unique symbol = Symbol("again");

/** What a member knows of an entry; undefined: nothing. */
export type Knowledge = OutAttributes | typeof AGAIN | undefined;

export class GroupMember {
  readonly session: OutSession;
  readonly peer: RibPeer;
  readonly addr: Ipv4Addr;
  /** Position in the group's log; undefined: it is on its own. */
  position: number | undefined = undefined;
  /** On its own: what it knows of the entries of which it does not know what it should. Each is referred to. */
  readonly behind = new Map<OutEntry, Knowledge>();
  walk: Walk | undefined = undefined;
  /** It came from another group: what it must be told is not known before this one has judged everything. */
  awaitsFill = false;

  constructor(session: OutSession) {
    this.session = session;
    this.peer = session.peer;
    this.addr = session.peer.config.addr;
  }

  /** Is it to be told this? Not what it has told us, nor that it is its own next hop. @rfc 4271#9.2 @rfc 4271#5.1.3 */
  isToldOf(told: Told): boolean {
    return told.source !== this.peer && told.attrs.route.nextHop !== this.addr;
  }

  /** What it sees of what the group is told. */
  sees(told: Told | undefined): OutAttributes | undefined {
    return told !== undefined && this.isToldOf(told) ? told.attrs : undefined;
  }

  /** What it knows of an entry, or will know when it has taken what was sent. */
  knows(entry: OutEntry): Knowledge {
    if (this.#isAhead(entry)) return undefined;
    return this.behind.has(entry) ? this.behind.get(entry) : this.sees(entry.told);
  }

  /**
   * It is on its own, and the group is told something else about an entry than before: remembers what the member knows, if that is not
   * what it should know.
   *
   * @param before what the group was told before; `entry.told` is the new
   */
  missed(entry: OutEntry, before: Told | undefined): void {
    if (this.#isAhead(entry)) return;
    const known = this.behind.has(entry) ? this.behind.get(entry) : this.sees(before);
    this.learnt(entry, known);
  }

  /** It knows `known` of the entry. @returns is that what it should know? */
  learnt(entry: OutEntry, known: Knowledge): boolean {
    const had = this.behind.has(entry);
    if (known === this.sees(entry.told)) {
      if (had) {
        this.behind.delete(entry);
        entry.refs--;
      }
      return true;
    }
    if (!had) entry.refs++;
    this.behind.set(entry, known);
    return false;
  }

  /** Will it be met by the first walk? */
  #isAhead(entry: OutEntry): boolean {
    return this.walk?.kind === "first" && entry.index > this.walk.at;
  }
}
