import { AssertionError, assert } from "../base/assert.ts";
import { DropCounters } from "../base/counters.ts";
import { DropReason } from "../base/drop-reason.ts";
import type { Rng } from "../base/rng.ts";
import type { Instant } from "../base/time.ts";
import { TimerQueue } from "../base/timer-queue.ts";
import type { NetDevice } from "./net-device.ts";
import { Netns } from "./netns.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import { PacketPool } from "./packet-pool.ts";
import type { StackContext } from "./stack-context.ts";

/** Packets of one namespace that are handled before the next namespace has its turn (Linux's NAPI weight). */
const BURST = 64;

/** Sees what is lost. A port: tracing implements it. */
export interface StackTrace {
  /** `pkt` is borrowed, and released right after. `dev` is where it was lost, if it was at a device. */
  drop?(reason: DropReason, dev: NetDevice | undefined, pkt: PacketBuffer, now: Instant): void;
}

/**
 * One node's network stack: its namespaces, their backlogs, the pool and the timers. An engine: devices and sockets put
 * packets in, `run` moves them, and between runs nothing happens.
 */
export class NetStack implements StackContext {
  readonly pool: PacketPool;
  readonly timers = new TimerQueue();
  readonly rng: Rng;
  /** Packets lost, by reason, over all namespaces. */
  readonly drops = new DropCounters();
  readonly #trace: StackTrace | undefined;
  readonly #byName = new Map<string, Netns>();
  /** The same namespaces, in the order in which they take turns. */
  #all: Netns[] = [];
  #turn = 0;
  /** Packets in all backlogs together. */
  #queued = 0;
  #now: Instant = 0;

  constructor(opts: { rng: Rng; pool?: PacketPool; trace?: StackTrace }) {
    this.rng = opts.rng;
    this.pool = opts.pool ?? new PacketPool();
    this.#trace = opts.trace;
  }

  /** A new namespace with its `lo`. The name must be free. */
  addNetns(name: string): Netns {
    assert(!this.#byName.has(name), `namespace ${name} exists`);
    const netns = new Netns(this, name);
    this.#byName.set(name, netns);
    this.#all.push(netns);
    return netns;
  }

  /**
   * Ends a namespace: its sockets are closed, its devices destroyed (a veth takes its peer along), every packet that it
   * holds is released. Nothing happens when there is no such namespace.
   *
   * @param now may be left out by a caller that has no clock at hand: then it is the moment of the last `run`
   */
  delNetns(name: string, now: Instant = this.#now): void {
    const netns = this.#byName.get(name);
    if (netns === undefined) return;
    netns.close(now);
    this.#byName.delete(name);
    this.#all = this.#all.filter((other) => other !== netns);
    this.#turn = 0;
    for (let pkt = netns.backlog.shift(); pkt !== undefined; pkt = netns.backlog.shift()) {
      this.#queued--;
      this.drop(pkt, DropReason.DEV_READY, now);
    }
  }

  netns(name: string): Netns | undefined {
    return this.#byName.get(name);
  }

  /** In the order in which they were added. */
  namespaces(): Iterable<Netns> {
    return this.#byName.values();
  }

  /**
   * Fires the timers that are due and handles queued packets, round robin over the namespaces.
   *
   * @param budget most packets to handle in this call
   * @returns is there more to do at once?
   */
  run(now: Instant, budget = 256): boolean {
    this.#now = now;
    this.timers.run(now);
    let left = budget;
    while (this.#queued > 0 && left > 0) {
      const netns = this.#nextBusy();
      left -= this.#drain(netns, Math.min(left, BURST), now);
    }
    return this.#queued > 0 || this.timers.nextDeadline() <= now;
  }

  /** When `run` is due: 0 (at once) while packets wait, NEVER when nothing is armed. */
  nextDeadline(): Instant {
    return this.#queued > 0 ? 0 : this.timers.nextDeadline();
  }

  drop(pkt: PacketBuffer, reason: DropReason, now: Instant): void {
    assert(reason !== DropReason.NOT_DROPPED, "a drop needs a reason");
    if (reason !== DropReason.CONSUMED) {
      const dev = pkt.dev;
      this.drops.count(reason);
      if (dev !== undefined) dev.countDrop(reason);
      if (this.#trace?.drop !== undefined) this.#trace.drop(reason, dev, pkt, now);
    }
    this.pool.release(pkt);
  }

  consume(pkt: PacketBuffer): void {
    this.pool.release(pkt);
  }

  netifRx(pkt: PacketBuffer, dev: NetDevice, now: Instant): boolean {
    const home = dev.home;
    pkt.dev = dev;
    if (home === undefined || !home.backlog.push(pkt)) {
      dev.stats.rxDropped++;
      this.drop(pkt, home === undefined ? DropReason.DEV_READY : DropReason.CPU_BACKLOG, now);
      return false;
    }
    this.#queued++;
    return true;
  }

  /** The next namespace in turn that has packets waiting. There is one, for `#queued` is not 0. */
  #nextBusy(): Netns {
    const all = this.#all;
    for (let tries = all.length; tries > 0; tries--) {
      if (this.#turn >= all.length) this.#turn = 0;
      const netns = all[this.#turn++] as Netns;
      if (netns.backlog.size > 0) return netns;
    }
    throw new AssertionError("packets are queued in no namespace");
  }

  /** Handles at most `max` packets of a namespace; returns how many. A device that moved away meanwhile gets nothing. */
  #drain(netns: Netns, max: number, now: Instant): number {
    for (let n = 0; n < max; n++) {
      const pkt = netns.backlog.shift();
      if (pkt === undefined) return n;
      this.#queued--;
      const dev = pkt.dev;
      if (dev !== undefined && dev.home === netns) dev.deliver(pkt, now);
      else this.drop(pkt, DropReason.DEV_READY, now);
    }
    return max;
  }
}
