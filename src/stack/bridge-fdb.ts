import type { MacAddr } from "../base/mac-addr.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Instant } from "../base/time.ts";
import { MacTable } from "./mac-table.ts";
import type { NetDevice } from "./net-device.ts";

/**
 * `permanent`: the address is ours, frames to it go up. `static`: never ages. `learned`: ages. A static or a learned address
 * follows its station to another port, as in Linux (which pins only `sticky` ones).
 */
export type BridgeFdbState = "permanent" | "static" | "learned";

/** One address of a bridge's forwarding database. Read only outside this file. */
export class BridgeFdbEntry {
  readonly mac: MacAddr;
  /** Where the station is; the bridge itself for the bridge's own address. */
  port: NetDevice;
  state: BridgeFdbState;
  /** Put there by a command, not by the bridge. */
  byUser: boolean;
  /** When a frame from it was last seen. */
  updated: Instant;
  /** When a frame to it was last forwarded. */
  used: Instant;

  constructor(mac: MacAddr, port: NetDevice, state: BridgeFdbState, byUser: boolean, now: Instant) {
    this.mac = mac;
    this.port = port;
    this.state = state;
    this.byUser = byUser;
    this.updated = now;
    this.used = now;
  }
}

/** What {@link BridgeFdb.learn} found out about a frame's source. */
export const Learned = { REFRESHED: 0, NEW: 1, MOVED: 2, LOCAL: 3, FULL: 4 } as const;

/** Room for what is not learned: the ports' own addresses and what commands put there. */
const STATIC_LIMIT = 65536;

/** A bridge's forwarding database: station → port. Lookups and refreshes allocate nothing. */
export class BridgeFdb {
  readonly #table: MacTable<BridgeFdbEntry>;
  readonly #learnedLimit: number;
  /** How long a learned address lives unheard. */
  ageingUs: number;
  #learned = 0;

  /** @param learnedLimit most learned addresses (`fdb_max_learned`) @param salt random bits */
  constructor(ageingUs: number, learnedLimit: number, salt: number) {
    this.ageingUs = ageingUs;
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

  /** The entry for the address at `off`, unless it is too old. */
  lookup(view: DataView, off: number, now: Instant): BridgeFdbEntry | undefined {
    const entry = this.#table.find(view, off);
    return entry !== undefined && this.#alive(entry, now) ? entry : undefined;
  }

  /** Takes note that the station whose address is at `off` sent through `port`. @returns one of {@link Learned} */
  learn(view: DataView, off: number, port: NetDevice, now: Instant): number {
    const entry = this.#table.find(view, off);
    if (entry === undefined) return this.#learnNew(view, off, port, now);
    if (entry.state === "permanent") return Learned.LOCAL;
    entry.updated = now;
    if (entry.port === port) return Learned.REFRESHED;
    entry.port = port;
    return Learned.MOVED;
  }

  /** `bridge fdb add`. @returns the kernel's text */
  add(mac: MacAddr, port: NetDevice, state: BridgeFdbState, now: Instant): Result<void, string> {
    const had = this.#table.get(mac);
    if (had !== undefined && this.#alive(had, now)) return err("File exists");
    return this.replace(mac, port, state, now);
  }

  /** `bridge fdb replace`. @returns the kernel's text */
  replace(mac: MacAddr, port: NetDevice, state: BridgeFdbState, now: Instant): Result<void, string> {
    return this.#put(new BridgeFdbEntry(mac, port, state, true, now));
  }

  /** `bridge fdb del`. @returns the kernel's text */
  del(mac: MacAddr): Result<void, string> {
    return this.#remove(mac) ? ok(undefined) : err("No such file or directory");
  }

  /** What is in force, by address. @param now leave out what is too old then; without it, what was not swept out yet stays */
  dump(now: Instant = 0): BridgeFdbEntry[] {
    const rows: BridgeFdbEntry[] = [];
    for (const [, entry] of this.#table.entries()) if (this.#alive(entry, now)) rows.push(entry);
    return rows;
  }

  /** Forgets what was learned by `port`; with `all`, everything that points there. */
  flushPort(port: NetDevice, all: boolean): void {
    for (const [mac, entry] of this.#table.entries()) {
      if (entry.port === port && (all || entry.state === "learned")) this.#remove(mac);
    }
  }

  /** Removes what is too old at `now`. */
  sweep(now: Instant): void {
    for (const [mac, entry] of this.#table.entries()) if (!this.#alive(entry, now)) this.#remove(mac);
  }

  /**
   * Makes the bridge's own permanent entries exactly these, one for each address; of two owners the first has it. What a
   * command made permanent stays.
   */
  syncLocal(owners: readonly { mac: MacAddr; port: NetDevice }[], now: Instant): void {
    for (const [mac, entry] of this.#table.entries()) {
      if (entry.state === "permanent" && !entry.byUser) this.#remove(mac);
    }
    for (const { mac, port } of owners) {
      if (this.#table.get(mac)?.state === "permanent") continue;
      this.#put(new BridgeFdbEntry(mac, port, "permanent", false, now));
    }
  }

  #alive(entry: BridgeFdbEntry, now: Instant): boolean {
    return entry.state !== "learned" || now - entry.updated < this.ageingUs;
  }

  #learnNew(view: DataView, off: number, port: NetDevice, now: Instant): number {
    if (this.#learned >= this.#learnedLimit) return Learned.FULL;
    const mac = view.getUint16(off) * 0x1_0000_0000 + view.getUint32(off + 2);
    return this.#put(new BridgeFdbEntry(mac, port, "learned", false, now)).ok ? Learned.NEW : Learned.FULL;
  }

  #put(entry: BridgeFdbEntry): Result<void, string> {
    const before = this.#table.get(entry.mac);
    if (!this.#table.set(entry.mac, entry)) return err("No space left on device");
    if (before?.state === "learned") this.#learned--;
    if (entry.state === "learned") this.#learned++;
    return ok(undefined);
  }

  #remove(mac: MacAddr): boolean {
    if (this.#table.get(mac)?.state === "learned") this.#learned--;
    return this.#table.delete(mac);
  }
}
