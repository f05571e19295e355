// Who may call, and who that is: configured neighbours by address, and ranges of addresses whose callers become neighbours by
// calling (BIRD's "neighbor range", FRR's "bgp listen range"). The listener asks before it reads a byte.
import { formatPrefix, type Ipv4Addr, type Prefix } from "../../../base/ipv4-addr.ts";
import { LpmTable } from "../../../base/lpm.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import type { PeerAs } from "../../../wire/bgp/open.ts";
import type { PeerConfig } from "../session/peer-config.ts";

/** Addresses that may call without being configured. */
export interface ListenRange {
  readonly prefix: Prefix;
  /** Whose OPEN is accepted: one AS, ours, any other, a set. */
  readonly peerAs: PeerAs;
  /** How many neighbours may come of it at a time. */
  readonly limit: number;
  /** What they are configured with; it is made passive, dynamic, and gets the range's `peerAs`. */
  readonly template: PeerConfig;
}

/** What to do with a call. */
export type Admission<N> =
  /** Hand the connection to this neighbour. */
  | { readonly t: "known"; readonly neighbor: N }
  /** Make a neighbour with this configuration, {@link NeighborTable.join} it, start it, hand it the connection. */
  | { readonly t: "create"; readonly config: PeerConfig; readonly range: ListenRange }
  /** Close, and say nothing. */
  | { readonly t: "refuse"; readonly why: string };

interface RangeEntry {
  readonly range: ListenRange;
  members: number;
}

interface NeighborEntry<N> {
  readonly neighbor: N;
  /** Undefined for a configured one. */
  readonly from: RangeEntry | undefined;
}

/** One neighbour of the table. */
export interface NeighborRow<N> {
  readonly addr: Ipv4Addr;
  readonly neighbor: N;
  /** The range that it came from; undefined for a configured one. */
  readonly range: ListenRange | undefined;
}

/** @typeParam N whatever stands for a neighbour: its engine */
export class NeighborTable<N> {
  readonly #dynamicLimit: number;
  readonly #neighbors = new Map<Ipv4Addr, NeighborEntry<N>>();
  readonly #ranges = new LpmTable<RangeEntry>();
  #dynamic = 0;

  /** @param dynamicLimit how many neighbours may come of all ranges together at a time */
  constructor(dynamicLimit: number) {
    this.#dynamicLimit = dynamicLimit;
  }

  /** Dynamic neighbours at present. */
  get dynamicCount(): number {
    return this.#dynamic;
  }

  /**
   * Adds a configured neighbour. A dynamic one of that address gives way: it is returned, and is to be told Cease/6 and
   * forgotten.
   */
  add(addr: Ipv4Addr, neighbor: N): Result<N | undefined, "exists"> {
    const old = this.#neighbors.get(addr);
    if (old !== undefined && old.from === undefined) return err("exists");
    if (old !== undefined) this.#remove(addr, old);
    this.#neighbors.set(addr, { neighbor, from: undefined });
    return ok(old?.neighbor);
  }

  /** Takes a configured neighbour out. */
  del(addr: Ipv4Addr): N | undefined {
    const entry = this.#neighbors.get(addr);
    if (entry === undefined || entry.from !== undefined) return undefined;
    this.#remove(addr, entry);
    return entry.neighbor;
  }

  addRange(range: ListenRange): Result<void, "exists"> {
    if (this.#ranges.get(range.prefix) !== undefined) return err("exists");
    this.#ranges.set(range.prefix, { range, members: 0 });
    return ok(undefined);
  }

  /** Takes a range out. The neighbours that came of it are returned: they are to be told Cease/3. They stay until they {@link leave}. */
  delRange(prefix: Prefix): N[] {
    const entry = this.#ranges.get(prefix);
    if (entry === undefined) return [];
    this.#ranges.del(prefix);
    return [...this.#neighbors.values()].filter((one) => one.from === entry).map((one) => one.neighbor);
  }

  /** A call from `addr`: the neighbour of that address, else the longest range that holds it. */
  admit(addr: Ipv4Addr): Admission<N> {
    const known = this.#neighbors.get(addr);
    if (known !== undefined) return { t: "known", neighbor: known.neighbor };
    const entry = this.#ranges.lookup(addr);
    if (entry === undefined) return { t: "refuse", why: "nobody of this address is expected" };
    const { range } = entry;
    if (entry.members >= range.limit) {
      const why = `${formatPrefix(range.prefix)} has all the ${range.limit} neighbours that it may have`;
      return { t: "refuse", why };
    }
    if (this.#dynamic >= this.#dynamicLimit) {
      return { t: "refuse", why: `there are ${this.#dynamic} dynamic neighbours already` };
    }
    return { t: "create", config: memberConfig(range), range };
  }

  /** Enters a neighbour that {@link admit} has asked for. */
  join(addr: Ipv4Addr, range: ListenRange, neighbor: N): void {
    const entry = this.#ranges.get(range.prefix);
    if (entry === undefined || this.#neighbors.has(addr)) return;
    entry.members++;
    this.#dynamic++;
    this.#neighbors.set(addr, { neighbor, from: entry });
  }

  /** Takes a dynamic neighbour out, which has `expired`. @param neighbor so that a successor at the same address is not taken for it */
  leave(addr: Ipv4Addr, neighbor: N): void {
    const entry = this.#neighbors.get(addr);
    if (entry?.from !== undefined && entry.neighbor === neighbor) this.#remove(addr, entry);
  }

  lookup(addr: Ipv4Addr): N | undefined {
    return this.#neighbors.get(addr)?.neighbor;
  }

  /** By address. */
  dump(): NeighborRow<N>[] {
    return [...this.#neighbors]
      .sort(([a], [b]) => a - b)
      .map(([addr, { neighbor, from }]) => ({ addr, neighbor, range: from?.range }));
  }

  /** The longest prefixes first, each with the number of its neighbours. */
  dumpRanges(): { readonly range: ListenRange; readonly members: number }[] {
    return [...this.#ranges.values()].map(({ range, members }) => ({ range, members }));
  }

  #remove(addr: Ipv4Addr, entry: NeighborEntry<N>): void {
    this.#neighbors.delete(addr);
    if (entry.from === undefined) return;
    entry.from.members--;
    this.#dynamic--;
  }
}

/** A dynamic neighbour is never dialled: that it called is all that is known of it. */
function memberConfig(range: ListenRange): PeerConfig {
  const { template, peerAs } = range;
  return { ...template, peerAs, dynamic: true, fsm: { ...template.fsm, passive: true } };
}
