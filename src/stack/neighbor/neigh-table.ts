// A namespace's neighbours: who has which link-layer address on which device. Read net/core/neighbour.c of Linux first; the
// rules of one entry are in nud.ts, the talking is in arp.ts. Not here: `ip neigh … proxy`, IPv6.
import { DropReason } from "../../base/drop-reason.ts";
import { IPV4_BROADCAST, type Ipv4Addr, isMulticast } from "../../base/ipv4-addr.ts";
import { MAC_BROADCAST, type MacAddr } from "../../base/mac-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { Ring } from "../../base/ring.ts";
import { type Instant, SEC_US } from "../../base/time.ts";
import { Timer } from "../../base/timer-queue.ts";
import * as ethernet from "../../wire/ethernet.ts";
import type { NetDevice } from "../net-device.ts";
import type { Netns } from "../netns.ts";
import type { PacketBuffer } from "../packet-buffer.ts";
import { NeighEntry } from "./neigh-entry.ts";
import { inTimer, type LearntState, type NudAction, type NudEvent, newNud, step } from "./nud.ts";

/** What `ip neigh add` is told. */
export interface NeighSpec {
  readonly dev: NetDevice;
  readonly ip: Ipv4Addr;
  readonly mac: MacAddr;
  readonly state: LearntState;
}

/** Between two collections while there are many entries: half the kernel's default base reachable time. */
const GC_INTERVAL_US = 15 * SEC_US;
/** An entry that changed so recently is not collected to make room. */
const GC_YOUNG_US = 5 * SEC_US;

/** 01:00:5e:00:00:00, whose last 23 bits a group's address gives. @rfc 1112#6.4 */
const MAC_IPV4_GROUP: MacAddr = 0x0100_5e00_0000;

const SEND: NudEvent = { t: "send" };
const TIMER: NudEvent = { t: "timer" };
const FAIL: NudEvent = { t: "update", state: "FAILED", mac: undefined, override: true, admin: true };

/** A device's entries by address, as a signed integer: a small one, so that looking it up makes no heap number. */
type DeviceNeighs = Map<number, NeighEntry>;

/** The neighbour table of a namespace. */
export class NeighTable {
  readonly #netns: Netns;
  /** By ifindex. */
  readonly #devs: (DeviceNeighs | undefined)[] = [];
  readonly #gcTimer = new Timer((now) => this.#collect(now));
  /** Entries that are not permanent. */
  #gcEntries = 0;
  #flushedAt: Instant = Number.NEGATIVE_INFINITY;

  constructor(netns: Netns) {
    this.#netns = netns;
  }

  /**
   * Sends an IPv4 packet (`head` at its header) to `nexthop` on `dev`: pushes the Ethernet header and transmits, or keeps the
   * packet until the address is known. Takes ownership. `nexthop` may be signed or unsigned.
   *
   * @drops NEIGH_QUEUEFULL (three wait already: the oldest goes), NEIGH_FAILED (nobody answered; reported by ICMP),
   *   NEIGH_CREATEFAIL (the table is full), and those of {@link NetDevice.transmit}
   * @rfc 1122#2.3.2.2
   */
  output(pkt: PacketBuffer, dev: NetDevice, nexthop: Ipv4Addr, now: Instant): void {
    if (dev.noArp || dev.medium === "ip") {
      this.#outputNoArp(pkt, dev, nexthop, now);
      return;
    }
    const entry = this.#devs[dev.ifindex]?.get(nexthop | 0);
    if (entry === undefined || entry.mac === undefined) {
      this.#resolve(entry, pkt, dev, nexthop >>> 0, now);
      return;
    }
    this.#sendTo(entry, pkt, now);
  }

  /** The address is known. Using one that is out of date sets its verification going. */
  #sendTo(entry: NeighEntry, pkt: PacketBuffer, now: Instant): void {
    if (entry.state === "STALE") this.#step(entry, SEND, now);
    transmit(entry, pkt, now);
  }

  /**
   * On a device without ARP every frame bears the device's own address (zero on `lo`). One of bare IP packets gets no header,
   * and the next hop with the packet.
   */
  #outputNoArp(pkt: PacketBuffer, dev: NetDevice, nexthop: Ipv4Addr, now: Instant): void {
    if (dev.medium === "ethernet") {
      pkt.l2 = pkt.push(ethernet.HEADER_LEN);
      ethernet.emit(pkt.view, pkt.l2, dev.mac, dev.mac, ethernet.EtherType.IPV4);
    } else pkt.nextHop = nexthop | 0;
    dev.transmit(pkt, now);
  }

  /** No address yet: the packet waits, and the first one asks. */
  #resolve(
    known: NeighEntry | undefined,
    pkt: PacketBuffer,
    dev: NetDevice,
    nexthop: Ipv4Addr,
    now: Instant,
  ): void {
    const ctx = this.#netns.ctx;
    const entry = known ?? this.#create(dev, nexthop, false, now);
    if (entry === undefined) {
      ctx.drop(pkt, DropReason.NEIGH_CREATEFAIL, now);
      return;
    }
    if (entry.mac !== undefined) {
      this.#sendTo(entry, pkt, now);
      return;
    }
    const next = step(entry.nud, SEND, now, this.#parms(dev, now));
    entry.nud = next.state;
    // The packet waits before the asking, because its source is what the question bears.
    if (next.state.state === "INCOMPLETE") this.#enqueue(entry, pkt, now);
    else ctx.drop(pkt, DropReason.NEIGH_FAILED, now);
    this.#perform(entry, next.actions, now);
  }

  #enqueue(entry: NeighEntry, pkt: PacketBuffer, now: Instant): void {
    const limit = this.#netns.sysctl.neigh(entry.dev).unresQlen;
    entry.queue ??= new Ring(Math.max(1, limit));
    if (entry.queue.push(pkt)) return;
    this.#netns.ctx.drop(entry.queue.shift() as PacketBuffer, DropReason.NEIGH_QUEUEFULL, now);
    entry.queue.push(pkt);
  }

  /**
   * A frame says that `ip` is at `mac`: updates the entry, if there is one.
   *
   * @param override replace a different address, even one that has just changed (a gratuitous announcement); otherwise one
   *   that is younger than `locktime` stays
   * @param solicited the answer to our question: the neighbour is REACHABLE, not only known of
   * @rfc 4861#7.2.5
   */
  confirm(
    dev: NetDevice,
    ip: Ipv4Addr,
    mac: MacAddr,
    now: Instant,
    override: boolean,
    solicited: boolean,
  ): void {
    const entry = this.lookup(dev, ip);
    if (entry === undefined) return;
    const unlocked = now > entry.nud.updated + this.#netns.sysctl.neigh(dev).locktimeUs;
    this.#update(entry, solicited ? "REACHABLE" : "STALE", mac, override || unlocked, false, now);
  }

  /** Like an unsolicited {@link confirm} that overrides, but makes the entry when there is none (`neigh_event_ns`). */
  learn(dev: NetDevice, ip: Ipv4Addr, mac: MacAddr, now: Instant): boolean {
    const entry = this.lookup(dev, ip) ?? this.#create(dev, ip, false, now);
    if (entry === undefined) return false;
    this.#update(entry, "STALE", mac, true, false, now);
    return true;
  }

  /** `ip neigh add`. @returns "File exists", or "No buffer space available" when the table is full */
  add(spec: NeighSpec, now: Instant): Result<void, string> {
    return this.lookup(spec.dev, spec.ip) === undefined ? this.replace(spec, now) : err("File exists");
  }

  /** `ip neigh replace`. @returns "No buffer space available" when the table is full */
  replace(spec: NeighSpec, now: Instant): Result<void, string> {
    if (spec.dev.home !== this.#netns) return err(`Cannot find device "${spec.dev.name}"`);
    const permanent = spec.state === "PERMANENT";
    const entry = this.lookup(spec.dev, spec.ip) ?? this.#create(spec.dev, spec.ip, permanent, now);
    if (entry === undefined) return err("No buffer space available");
    this.#update(entry, spec.state, spec.mac, true, true, now);
    return ok(undefined);
  }

  /** `ip neigh del`. @returns "No such file or directory" when there is no such entry */
  del(dev: NetDevice, ip: Ipv4Addr, now: Instant): Result<void, string> {
    const entry = this.lookup(dev, ip);
    if (entry === undefined) return err("No such file or directory");
    this.#step(entry, FAIL, now);
    this.#remove(entry, now);
    return ok(undefined);
  }

  /** The kind of an address has changed: what was found out about it, or was not yet, is void (`arp_invalidate`). */
  forget(dev: NetDevice, ip: Ipv4Addr, now: Instant): void {
    const entry = this.lookup(dev, ip);
    if (entry === undefined || (entry.mac !== undefined && entry.state !== "NOARP")) return;
    this.del(dev, ip, now);
  }

  /**
   * Removes the entries of a device: "all", or only what was "learnt", which spares the permanent ones. What waited is
   * dropped without a report. @drops NEIGH_FAILED
   */
  flush(dev: NetDevice, now: Instant, which: "all" | "learnt" = "all"): void {
    const entries = this.#devs[dev.ifindex];
    if (entries === undefined) return;
    for (const entry of entries.values()) {
      if (which === "all" || entry.state !== "PERMANENT") this.#remove(entry, now);
    }
    if (entries.size === 0) this.#devs[dev.ifindex] = undefined;
  }

  /** The entry of `ip` on `dev`; borrowed. */
  lookup(dev: NetDevice, ip: Ipv4Addr): NeighEntry | undefined {
    return this.#devs[dev.ifindex]?.get(ip | 0);
  }

  /** What `ip neigh` shows, by device and address; with "all" also the entries of addresses that are never asked for. */
  dump(which: "shown" | "all" = "shown"): NeighEntry[] {
    const rows = this.#all().filter((e) => which === "all" || (e.state !== "NOARP" && e.state !== "NONE"));
    return rows.sort((a, b) => a.dev.ifindex - b.dev.ifindex || a.ip - b.ip);
  }

  /** The namespace goes away: every packet is released, every timer cancelled. @drops NEIGH_FAILED */
  close(now: Instant): void {
    for (const entry of this.#all()) this.#remove(entry, now);
    this.#netns.ctx.timers.cancel(this.#gcTimer);
  }

  #all(): NeighEntry[] {
    return this.#devs.flatMap((entries) => (entries === undefined ? [] : [...entries.values()]));
  }

  #parms(dev: NetDevice, now: Instant) {
    const parms = this.#netns.sysctl.neigh(dev);
    parms.roll(now, this.#netns.ctx.rng);
    return parms;
  }

  #update(
    entry: NeighEntry,
    state: LearntState,
    mac: MacAddr,
    override: boolean,
    admin: boolean,
    now: Instant,
  ): void {
    this.#step(entry, { t: "update", state, mac, override, admin }, now);
  }

  #step(entry: NeighEntry, event: NudEvent, now: Instant): void {
    if (entry.dead) return;
    const before = entry.state;
    const next = step(entry.nud, event, now, this.#parms(entry.dev, now));
    entry.nud = next.state;
    if (before === "PERMANENT" && entry.state !== "PERMANENT") this.#gcEntries++;
    if (before !== "PERMANENT" && entry.state === "PERMANENT") this.#gcEntries--;
    this.#perform(entry, next.actions, now);
  }

  #perform(entry: NeighEntry, actions: readonly NudAction[], now: Instant): void {
    const timers = this.#netns.ctx.timers;
    for (const action of actions) {
      switch (action.t) {
        case "setTimer":
          entry.timer ??= new Timer((at) => this.#step(entry, TIMER, at));
          timers.set(entry.timer, action.at);
          break;
        case "clearTimer":
          if (entry.timer !== undefined) timers.cancel(entry.timer);
          break;
        case "solicit":
          this.#netns.arp.solicit(entry.dev, entry.ip, action.mac, entry.queue?.peek(), now);
          break;
        case "sendQueue":
          this.#sendQueue(entry, now);
          break;
        case "failQueue":
          this.#failQueue(entry, now);
          break;
      }
    }
  }

  #sendQueue(entry: NeighEntry, now: Instant): void {
    const queue = entry.queue;
    if (queue === undefined) return;
    for (let left = queue.size; left > 0; left--) this.#sendTo(entry, queue.shift() as PacketBuffer, now);
  }

  /** `arp_error_report`: who sent what waited is told. */
  #failQueue(entry: NeighEntry, now: Instant): void {
    const queue = entry.queue;
    if (queue === undefined) return;
    for (let left = queue.size; left > 0; left--) {
      const pkt = queue.shift() as PacketBuffer;
      this.#netns.icmp.hostUnreachable(pkt, now);
      this.#netns.ctx.drop(pkt, DropReason.NEIGH_FAILED, now);
    }
  }

  /** A new entry, or undefined when there is no room. Addresses that are never asked for get theirs at once. */
  #create(dev: NetDevice, ip: Ipv4Addr, exempt: boolean, now: Instant): NeighEntry | undefined {
    if (!exempt && !this.#makeRoom(now)) return undefined;
    const entry = new NeighEntry(dev, ip, newNud(now, this.#parms(dev, now)));
    const mac = this.#fixedMac(ip);
    if (mac !== undefined) entry.nud = { ...entry.nud, state: "NOARP", mac };
    while (this.#devs.length <= dev.ifindex) this.#devs.push(undefined);
    const entries = this.#devs[dev.ifindex] ?? new Map<number, NeighEntry>();
    this.#devs[dev.ifindex] = entries;
    entries.set(ip | 0, entry);
    this.#gcEntries++;
    this.#armCollection(now);
    return entry;
  }

  /** The address of a group or broadcast, which nobody needs to be asked for (`arp_constructor`). */
  #fixedMac(ip: Ipv4Addr): MacAddr | undefined {
    if (isMulticast(ip)) return MAC_IPV4_GROUP + (ip & 0x7f_ffff);
    const broadcast = ip === IPV4_BROADCAST || ip === 0 || this.#netns.fib.addrType(ip) === "broadcast";
    return broadcast ? MAC_BROADCAST : undefined;
  }

  #remove(entry: NeighEntry, now: Instant): void {
    const ctx = this.#netns.ctx;
    entry.dead = true;
    if (entry.timer !== undefined) ctx.timers.cancel(entry.timer);
    this.#devs[entry.dev.ifindex]?.delete(entry.ip | 0);
    if (entry.state !== "PERMANENT") this.#gcEntries--;
    const queue = entry.queue;
    if (queue === undefined) return;
    for (let pkt = queue.shift(); pkt !== undefined; pkt = queue.shift()) {
      ctx.drop(pkt, DropReason.NEIGH_FAILED, now);
    }
  }

  /** May one more entry be made? Collects first when there are many (`neigh_alloc`). */
  #makeRoom(now: Instant): boolean {
    const { gcThresh2, gcThresh3 } = this.#netns.sysctl;
    const full = this.#gcEntries >= gcThresh3;
    if (!full && (this.#gcEntries < gcThresh2 || now <= this.#flushedAt + GC_YOUNG_US)) return true;
    return this.#forceCollect(now) > 0 || !full;
  }

  /** Removes down to `gc_thresh2` what neither waits for a timer nor is young (`neigh_forced_gc`). @returns how many */
  #forceCollect(now: Instant): number {
    const excess = this.#gcEntries - this.#netns.sysctl.gcThresh2;
    let removed = 0;
    this.#flushedAt = now;
    for (const entry of this.#all()) {
      if (removed >= excess) break;
      const { state, nud } = entry;
      if (state === "PERMANENT" || inTimer(state)) continue;
      const worthless = state === "FAILED" || state === "NOARP";
      if (!worthless && nud.updated >= now - GC_YOUNG_US) continue;
      this.#remove(entry, now);
      removed++;
    }
    return removed;
  }

  #armCollection(now: Instant): void {
    if (this.#gcEntries < this.#netns.sysctl.gcThresh1 || this.#gcTimer.slot >= 0) return;
    this.#netns.ctx.timers.set(this.#gcTimer, now + GC_INTERVAL_US);
  }

  /** Removes what is FAILED, or STALE and long unused, while there are many entries (`neigh_periodic_work`). */
  #collect(now: Instant): void {
    if (this.#gcEntries < this.#netns.sysctl.gcThresh1) return;
    for (const entry of this.#all()) {
      const { state, nud } = entry;
      if (state === "PERMANENT" || state === "NOARP" || inTimer(state)) continue;
      const idleUs = now - Math.max(nud.used, nud.confirmed);
      const staleUs = this.#netns.sysctl.neigh(entry.dev).gcStaleUs;
      if (state === "FAILED" || idleUs >= staleUs) this.#remove(entry, now);
    }
    this.#armCollection(now);
  }
}

/** Pushes the cached header and sends. The address must be known. */
function transmit(entry: NeighEntry, pkt: PacketBuffer, now: Instant): void {
  pkt.l2 = pkt.push(ethernet.HEADER_LEN);
  entry.emitHeader(pkt.view, pkt.l2);
  entry.dev.transmit(pkt, now);
}
