// A node's claim on a subnet, driven as a node drives it, by a clock that can be tampered with; and when it believed what.
import { formatPrefix, ipv4, type Prefix } from "../../src/base/ipv4-addr.ts";
import { mac } from "../../src/base/mac-addr.ts";
import { below, SeededRng } from "../../src/base/rng.ts";
import { type Instant, MS_US, NEVER } from "../../src/base/time.ts";
import type { StoreEvent } from "../../src/control/datastore/messages.ts";
import { type OwnLease, SubnetManager } from "../../src/control/flannel/subnet-manager.ts";
import type { EtcdTransport } from "../../src/io/etcd/etcd-transport.ts";
import { StoreDriver } from "../../src/io/etcd/store-driver.ts";
import { realNow, TortureClock } from "./torture-clock.ts";

export const CLAIM_PREFIX = "/coreos.com/network";
/** Short, so that leases end in a run; and a margin of a second. */
const TTL_SEC = 5;
/** How long a node that goes waits for its lease to be given back. */
const STOP_MS = 3_000;

/** The subnet was believed to be held, in real time. `until` is the future if nothing has happened since. */
export interface Belief {
  readonly claimant: number;
  readonly subnet: string;
  readonly from: Instant;
  readonly until: Instant;
}

interface ClaimantOptions {
  readonly index: number;
  readonly seed: number;
  readonly open: () => EtcdTransport;
  /** Everything believed goes here. */
  readonly beliefs: Belief[];
}

/** One life of a claimant, from its start to its end. */
interface Life {
  readonly manager: SubnetManager;
  readonly driver: StoreDriver;
}

export class TortureClaimant {
  readonly #options: ClaimantOptions;
  readonly #rng: SeededRng;
  readonly #clock = new TortureClock();
  #life: Life | undefined;
  #lives = 0;
  /** It stands still: what arrives waits. */
  #still = false;
  #waiting: StoreEvent[] = [];
  #own: OwnLease | undefined;
  /** Of the last life: what a node finds in its state folder. */
  #previous: { readonly subnet: Prefix; readonly lease: string | undefined } | undefined;
  #belief: { readonly subnet: string; readonly from: Instant; readonly until: Instant } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #rebirth: NodeJS.Timeout | undefined;
  #leaving = false;
  #onStopped: () => void = () => {};
  #closed = false;
  readonly #closing = new Set<Promise<void>>();

  constructor(options: ClaimantOptions) {
    this.#options = options;
    this.#rng = new SeededRng(options.seed);
    this.#begin();
  }

  get lives(): number {
    return this.#lives;
  }

  /** The subnet that it may act for now. */
  get holds(): string | undefined {
    const valid = this.#life?.manager.isValid(this.#clock.now()) === true && !this.#still;
    return valid && this.#own !== undefined ? formatPrefix(this.#own.subnet) : undefined;
  }

  /** Its process stands still. False when there is none, or it stands still already. */
  freeze(asleep: boolean): boolean {
    if (this.#life === undefined || this.#still) return false;
    this.#note();
    this.#still = true;
    clearTimeout(this.#timer);
    if (asleep) this.#clock.sleep();
    this.#note();
    return true;
  }

  /** It goes on: by the clock, nothing has been done in the meantime. */
  thaw(timersFirst: boolean): void {
    if (!this.#still) return;
    this.#still = false;
    this.#clock.wake();
    // As in a turn of a node: first whether the machine has slept, then what there is to do.
    this.#life?.driver.checkSleep();
    this.#note();
    if (timersFirst) this.#tick();
    const events = this.#waiting;
    this.#waiting = [];
    for (const event of events) this.#handle(event);
    this.#tick();
  }

  /** Its clock is later at once. No timer is. */
  jump(byMs: number): void {
    this.#note();
    this.#clock.jump(byMs * MS_US);
    this.#note();
  }

  /** It ends, with its lease or without, and comes again. False when it stands still or is gone already. */
  async leave(revoke: boolean, forMs: number): Promise<boolean> {
    const life = this.#life;
    if (life === undefined || this.#still || this.#leaving) return false;
    if (revoke) {
      this.#leaving = true;
      const stopped = new Promise<void>((resolve) => {
        this.#onStopped = resolve;
      });
      life.manager.stop(true, this.#clock.now());
      this.#drain();
      const late = setTimeout(() => this.#onStopped(), STOP_MS);
      await stopped;
      clearTimeout(late);
      this.#leaving = false;
      if (this.#life !== life) return true;
    }
    this.#end(forMs);
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#onStopped();
    this.#end(0);
    clearTimeout(this.#rebirth);
    await Promise.all(this.#closing);
  }

  #begin(): void {
    const { index, seed, open } = this.#options;
    const { subnet, lease } = this.#previous ?? {};
    const manager = new SubnetManager({
      prefix: CLAIM_PREFIX,
      publicIp: ipv4(`192.168.56.${10 + index}`),
      previousSubnet: subnet,
      ...(lease === undefined ? {} : { previousLease: lease }),
      lease: { mode: "keepalive", ttlSec: TTL_SEC },
      strict: false,
      rng: new SeededRng(seed * 1000 + this.#lives),
    });
    const clock = this.#clock;
    const take = (event: StoreEvent): void => {
      if (this.#life?.manager !== manager) return;
      if (this.#still) this.#waiting.push(event);
      else this.#handle(event);
    };
    this.#life = { manager, driver: new StoreDriver(open(), take, clock) };
    this.#lives++;
    manager.start(clock.now());
    this.#drain();
  }

  /** The process is gone, with all that it had. */
  #end(forMs: number): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#life = undefined;
    this.#note();
    clearTimeout(this.#timer);
    clearTimeout(this.#rebirth);
    this.#still = false;
    this.#clock.wake();
    this.#waiting = [];
    if (this.#own !== undefined) this.#previous = { subnet: this.#own.subnet, lease: this.#own.lease };
    this.#own = undefined;
    const closing = life.driver.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
    if (this.#closed) return;
    this.#rebirth = setTimeout(() => this.#begin(), forMs);
  }

  #handle(event: StoreEvent): void {
    this.#life?.manager.handle(event, this.#clock.now());
    this.#drain();
  }

  #tick(): void {
    this.#life?.manager.tick(this.#clock.now());
    this.#drain();
  }

  #drain(): void {
    const life = this.#life;
    if (life === undefined) return;
    const { manager, driver } = life;
    let ended = false;
    for (let out = manager.poll(); out !== undefined; out = manager.poll()) {
      if (out.t === "op") driver.perform(out.op);
      else if (out.t === "config") this.#acquire(manager);
      else if (out.t === "acquired") this.#own = out.lease;
      else if (out.t === "stopped") this.#onStopped();
      else if (out.t === "fatal" || out.t === "revoked") ended = true;
    }
    this.#note();
    clearTimeout(this.#timer);
    if (ended) {
      // The daemon ends, its supervisor starts another.
      this.#rebirth = setTimeout(() => this.#end(100 + below(this.#rng, 400)), 100);
      return;
    }
    const deadline = manager.nextDeadline();
    if (deadline === NEVER || this.#still) return;
    const waitMs = Math.max(0, Math.ceil((deadline - this.#clock.now()) / 1000));
    this.#timer = setTimeout(() => this.#tick(), waitMs);
  }

  #acquire(manager: SubnetManager): void {
    manager.acquire(
      {
        publicIp: ipv4(`192.168.56.${10 + this.#options.index}`),
        backendType: "vxlan",
        vni: 1,
        vtepMac: mac("02:00:00:00:00:01"),
        backendData: { VNI: 1, VtepMAC: "02:00:00:00:00:01" },
      },
      this.#clock.now(),
    );
  }

  /** Writes down what has been believed since the last time, and begins to believe what is believed now. */
  #note(): void {
    const { index, beliefs } = this.#options;
    const now = realNow();
    const before = this.#belief;
    if (before !== undefined) {
      const until = Math.min(before.until, now);
      if (until > before.from) beliefs.push({ claimant: index, ...before, until });
    }
    const subnet = this.holds;
    const { validUntil } = this.#life?.manager.status() ?? { validUntil: 0 };
    this.#belief =
      subnet === undefined ? undefined : { subnet, from: now, until: this.#clock.toReal(validUntil) };
  }
}

/** Who held what at the same time as somebody else; at most ten lines. */
export function checkBeliefs(beliefs: readonly Belief[]): string[] {
  const wrong: string[] = [];
  /** By subnet, who held it for the longest so far. */
  const last = new Map<string, Belief>();
  for (const belief of [...beliefs].sort((a, b) => a.from - b.from)) {
    const before = last.get(belief.subnet);
    if (before !== undefined && before.claimant !== belief.claimant && before.until > belief.from) {
      const ms = Math.round((Math.min(before.until, belief.until) - belief.from) / MS_US);
      const who = `claimants ${before.claimant} and ${belief.claimant}`;
      wrong.push(`${belief.subnet} was held by ${who} at once, for ${ms} ms`);
    }
    if (before === undefined || belief.until > before.until) last.set(belief.subnet, belief);
  }
  return wrong.slice(0, 10);
}
