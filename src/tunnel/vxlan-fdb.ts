import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import { isGroupMac, MAC_ZERO, type MacAddr } from "../base/mac-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import { MacTable } from "../stack/mac-table.ts";

/** `permanent` and `static` never age and never move; `learned` (Linux: reachable) does both. */
export type VxlanFdbState = "permanent" | "static" | "learned";

/** Where frames for an address go. */
export class VxlanRemote {
  /** Underlay address of the peer. */
  readonly dst: Ipv4Addr;
  /** UDP port of the peer; 0 = the device's. */
  readonly port: number;
  /** Network identifier to send with; -1 = the device's. */
  readonly vni: number;

  constructor(dst: Ipv4Addr, port: number, vni: number) {
    this.dst = dst;
    this.port = port;
    this.vni = vni;
  }
}

/** What `bridge fdb … dst ADDR` may say beside the address. */
export interface VxlanRemoteOptions {
  /** UDP port of the peer, when it is not the device's. */
  readonly port?: number;
  /** Network identifier to send with, when it is not the device's. */
  readonly vni?: number;
}

/** One line of `bridge fdb show dev …`: an address and one of its destinations. */
export interface VxlanFdbRow {
  readonly mac: MacAddr;
  readonly remote: Ipv4Addr;
  /** 0 = the device's. */
  readonly port: number;
  /** -1 = the device's. */
  readonly vni: number;
  readonly state: VxlanFdbState;
  /** When it was put there, or last heard of. */
  readonly updated: Instant;
}

/** One address. Read only outside this file. */
export class VxlanFdbEntry {
  readonly mac: MacAddr;
  /** At least one; several only for the all-zero address and for groups: each gets a copy of the frame. */
  remotes: readonly VxlanRemote[];
  state: VxlanFdbState;
  /** When it was put there, or last heard of. */
  updated: Instant;

  constructor(mac: MacAddr, remote: VxlanRemote, state: VxlanFdbState, now: Instant) {
    this.mac = mac;
    this.remotes = [remote];
    this.state = state;
    this.updated = now;
  }
}

/** What {@link VxlanFdb.learn} found out about a frame's source. */
export const Snooped = { REFRESHED: 0, NEW: 1, MOVED: 2, EXISTS: 3, FULL: 4 } as const;

/** Room for what commands put there, beside what is learned. */
const STATIC_LIMIT = 65536;

/**
 * Forwarding database of a VXLAN device: inner destination MAC → peers. The all-zero MAC holds the default destinations, for
 * whatever has no entry of its own. Lookups and refreshes allocate nothing.
 */
export class VxlanFdb {
  readonly #table: MacTable<VxlanFdbEntry>;
  readonly #learnedLimit: number;
  readonly #ageingUs: number;
  #learned = 0;
  #default: VxlanFdbEntry | undefined = undefined;

  /** @param ageingUs how long a learned address lives unheard; 0 = for ever @param salt random bits */
  constructor(ageingUs: number, learnedLimit: number, salt: number) {
    this.#ageingUs = ageingUs;
    this.#learnedLimit = learnedLimit;
    this.#table = new MacTable(learnedLimit + STATIC_LIMIT, salt);
  }

  get size(): number {
    return this.#table.size;
  }

  /** Addresses that age. */
  get learnedSize(): number {
    return this.#learned;
  }

  /** Who gets a frame for the address at `off`: its entry, else the default destinations, else nobody. */
  lookup(view: DataView, off: number, now: Instant): VxlanFdbEntry | undefined {
    const entry = this.#table.find(view, off);
    return entry !== undefined && this.#alive(entry, now) ? entry : this.#default;
  }

  /** Takes note that the station whose address is at `off` sent through the peer `src`. @returns one of {@link Snooped} */
  learn(view: DataView, off: number, src: Ipv4Addr, now: Instant): number {
    const entry = this.#table.find(view, off);
    if (entry === undefined) {
      if (this.#learned >= this.#learnedLimit) return Snooped.FULL;
      const mac = view.getUint16(off) * 0x1_0000_0000 + view.getUint32(off + 2);
      const fresh = new VxlanFdbEntry(mac, new VxlanRemote(src, 0, -1), "learned", now);
      return this.#put(fresh).ok ? Snooped.NEW : Snooped.FULL;
    }
    entry.updated = now;
    if ((entry.remotes[0] as VxlanRemote).dst === src) return Snooped.REFRESHED;
    if (entry.state !== "learned") return Snooped.EXISTS;
    entry.remotes = [new VxlanRemote(src, 0, -1)];
    return Snooped.MOVED;
  }

  /** `bridge fdb add`. @returns the kernel's text */
  add(
    mac: MacAddr,
    dst: Ipv4Addr,
    state: VxlanFdbState,
    now: Instant,
    opts: VxlanRemoteOptions = {},
  ): Result<void, string> {
    const had = this.#table.get(mac);
    if (had !== undefined && this.#alive(had, now)) return err("File exists");
    return this.#put(new VxlanFdbEntry(mac, newRemote(dst, opts), state, now));
  }

  /**
   * `bridge fdb append`: one more destination for the all-zero address or a group. To a station's address the kernel adds
   * nothing, and does not say so. @returns the kernel's text
   */
  append(
    mac: MacAddr,
    dst: Ipv4Addr,
    state: VxlanFdbState,
    now: Instant,
    opts: VxlanRemoteOptions = {},
  ): Result<void, string> {
    const entry = this.#table.get(mac);
    const more = newRemote(dst, opts);
    if (entry === undefined) return this.#put(new VxlanFdbEntry(mac, more, state, now));
    if (!isFloodMac(mac)) return ok(undefined);
    if (!entry.remotes.some((one) => sameRemote(one, more))) entry.remotes = [...entry.remotes, more];
    return ok(undefined);
  }

  /** `bridge fdb replace`, which Flannel uses: the address goes to this peer and no other. @returns the kernel's text */
  replace(
    mac: MacAddr,
    dst: Ipv4Addr,
    state: VxlanFdbState,
    now: Instant,
    opts: VxlanRemoteOptions = {},
  ): Result<void, string> {
    if (isFloodMac(mac)) return err("Cannot replace non-unicast fdb entries");
    return this.#put(new VxlanFdbEntry(mac, newRemote(dst, opts), state, now));
  }

  /**
   * `bridge fdb del`: of several destinations just `dst`, when it is given, else the address. A `dst` that is not among them
   * is no error, as in Linux. @returns the kernel's text
   */
  del(mac: MacAddr, dst?: Ipv4Addr): Result<void, string> {
    const entry = this.#table.get(mac);
    if (entry === undefined) return err("No such file or directory");
    const left = dst === undefined ? [] : entry.remotes.filter((remote) => remote.dst !== dst);
    if (left.length > 0) entry.remotes = left;
    else this.#remove(mac);
    return ok(undefined);
  }

  get(mac: MacAddr): VxlanFdbEntry | undefined {
    return this.#table.get(mac);
  }

  /** What is in force, by address. @param now leave out what is too old then; without it, what was not swept out yet stays */
  dump(now: Instant = 0): VxlanFdbRow[] {
    const rows: VxlanFdbRow[] = [];
    for (const [mac, entry] of this.#table.entries()) {
      if (!this.#alive(entry, now)) continue;
      const { state, updated } = entry;
      for (const { dst, port, vni } of entry.remotes)
        rows.push({ mac, remote: dst, port, vni, state, updated });
    }
    return rows;
  }

  /** Forgets what was learned: the device goes down. */
  flushLearned(): void {
    for (const [mac, entry] of this.#table.entries()) if (entry.state === "learned") this.#remove(mac);
  }

  /** Removes what is too old at `now`. */
  sweep(now: Instant): void {
    for (const [mac, entry] of this.#table.entries()) if (!this.#alive(entry, now)) this.#remove(mac);
  }

  #alive(entry: VxlanFdbEntry, now: Instant): boolean {
    return entry.state !== "learned" || this.#ageingUs === 0 || now - entry.updated < this.#ageingUs;
  }

  #put(entry: VxlanFdbEntry): Result<void, string> {
    const before = this.#table.get(entry.mac);
    if (!this.#table.set(entry.mac, entry)) return err("No space left on device");
    if (before?.state === "learned") this.#learned--;
    if (entry.state === "learned") this.#learned++;
    if (entry.mac === MAC_ZERO) this.#default = entry;
    return ok(undefined);
  }

  #remove(mac: MacAddr): void {
    if (this.#table.get(mac)?.state === "learned") this.#learned--;
    if (mac === MAC_ZERO) this.#default = undefined;
    this.#table.delete(mac);
  }
}

/** The addresses that may have several destinations. */
function isFloodMac(mac: MacAddr): boolean {
  return mac === MAC_ZERO || isGroupMac(mac);
}

function newRemote(dst: Ipv4Addr, opts: VxlanRemoteOptions): VxlanRemote {
  return new VxlanRemote(dst, opts.port ?? 0, opts.vni ?? -1);
}

function sameRemote(a: VxlanRemote, b: VxlanRemote): boolean {
  return a.dst === b.dst && a.port === b.port && a.vni === b.vni;
}
