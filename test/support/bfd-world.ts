import { type Ipv4Addr, ipv4 } from "../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, MS_US, SEC_US } from "../../src/base/time.ts";
import type { BfdStateChange, BfdStatus, BfdTimers } from "../../src/routing/bfd/bfd-messages.ts";
import { BfdTable } from "../../src/routing/bfd/bfd-table.ts";
import type { ControlPacket } from "../../src/wire/bfd.ts";
import { packetOf } from "./bfd.ts";

/** What happens to a packet on its way. */
export type Fate = "arrives" | "lost" | "twice";

interface Flight {
  readonly at: Instant;
  readonly to: 0 | 1;
  readonly bytes: Uint8Array;
}

export interface Change extends BfdStateChange {
  readonly at: Instant;
}

/** One end: a table with one session, to the other end. */
export interface Side {
  readonly addr: Ipv4Addr;
  table: BfdTable;
  timers: BfdTimers;
  readonly changes: Change[];
  readonly sent: (ControlPacket & { readonly at: Instant })[];
}

/** Two neighbours and a network that keeps the order of what it does not lose, on a virtual clock. */
export class BfdWorld {
  readonly sides: readonly [Side, Side];
  now: Instant = 10 * SEC_US;
  /** How long packets take to side 0 and to side 1. */
  readonly delayUs: readonly [number, number];
  /** @param to which side it is for */
  fate: (to: 0 | 1) => Fate = () => "arrives";
  #flights: Flight[] = [];
  #seed: number;

  constructor(timers: readonly [BfdTimers, BfdTimers], delayUs: readonly [number, number], seed: number) {
    this.#seed = seed;
    this.delayUs = delayUs;
    const side = (i: 0 | 1): Side => ({
      addr: ipv4(i === 0 ? "10.0.0.1" : "10.0.0.2"),
      table: new BfdTable(new SeededRng(this.#seed++)),
      timers: timers[i],
      changes: [],
      sent: [],
    });
    this.sides = [side(0), side(1)];
  }

  status(i: 0 | 1): BfdStatus | undefined {
    return this.sides[i].table.status(this.sides[i === 0 ? 1 : 0].addr);
  }

  get states(): readonly (string | undefined)[] {
    return [this.status(0)?.state, this.status(1)?.state];
  }

  start(i: 0 | 1): void {
    const side = this.sides[i];
    const remote = this.sides[i === 0 ? 1 : 0].addr;
    side.table.add({ remote, local: side.addr, timers: side.timers }, this.now);
    this.#drain(i);
  }

  stop(i: 0 | 1): void {
    this.sides[i].table.del(this.sides[i === 0 ? 1 : 0].addr, this.now);
    this.#drain(i);
  }

  configure(i: 0 | 1, timers: BfdTimers): void {
    const side = this.sides[i];
    side.timers = timers;
    side.table.configure(this.sides[i === 0 ? 1 : 0].addr, timers, this.now);
    this.#drain(i);
  }

  /** The process is killed, and another starts: it remembers nothing. */
  crash(i: 0 | 1): void {
    this.sides[i].table = new BfdTable(new SeededRng(this.#seed++));
    this.start(i);
  }

  /** Everything that happens within `us`. */
  pass(us: number): void {
    const until = this.now + us;
    for (let steps = 0; ; steps++) {
      if (steps > 200_000) throw new Error("the two never rest");
      const flight = this.#flights[0];
      const arrival = flight?.at ?? Number.POSITIVE_INFINITY;
      const [a, b] = [this.sides[0].table.nextDeadline(), this.sides[1].table.nextDeadline()];
      const next = Math.min(arrival, a, b);
      if (next > until) break;
      this.now = Math.max(this.now, next);
      // What has arrived is heard before the clock is looked at.
      if (flight !== undefined && arrival <= this.now) {
        this.#flights.shift();
        const from = this.sides[flight.to === 0 ? 1 : 0].addr;
        const input = { t: "received", from, bytes: flight.bytes, ttl: 255 } as const;
        this.sides[flight.to].table.handle(input, this.now);
        this.#drain(flight.to);
        continue;
      }
      const due = a <= this.now ? 0 : 1;
      this.sides[due].table.handle({ t: "tick" }, this.now);
      this.#drain(due);
    }
    this.now = until;
  }

  /** Until both are Up; the time that it took. Throws when it takes longer than `us`. */
  passUntilUp(us: number): number {
    const begun = this.now;
    while (this.states.join() !== "Up,Up") {
      if (this.now - begun > us) throw new Error(`${this.states.join()} after ${us} µs`);
      this.pass(10 * MS_US);
    }
    return this.now - begun;
  }

  #drain(i: 0 | 1): void {
    const { table, changes, sent } = this.sides[i];
    for (let out = table.poll(); out !== undefined; out = table.poll()) {
      if (out.t === "state") {
        changes.push({ ...out, at: this.now });
        continue;
      }
      sent.push({ ...packetOf(out.bytes), at: this.now });
      const to = i === 0 ? 1 : 0;
      const fate = this.fate(to);
      const copies = fate === "lost" ? 0 : fate === "twice" ? 2 : 1;
      const flight = { at: this.now + this.delayUs[to], to, bytes: out.bytes } as const;
      for (let n = 0; n < copies; n++) this.#flights.push(flight);
      this.#flights.sort((a, b) => a.at - b.at);
    }
  }
}
