import type { Ipv4Addr } from "../../src/base/ipv4-addr.ts";
import { NEVER } from "../../src/base/time.ts";
import { BfdSocket, type BfdSocketOptions } from "../../src/io/bfd-socket.ts";
import { MonotonicClock, SystemRng } from "../../src/io/clock.ts";
import type { BfdStateChange, BfdStatus, BfdTimers } from "../../src/routing/bfd/bfd-messages.ts";
import { BfdTable } from "../../src/routing/bfd/bfd-table.ts";

/** A table of sessions on real sockets and in real time. */
export class BfdSide {
  readonly table = new BfdTable(new SystemRng());
  readonly clock = new MonotonicClock();
  readonly changes: (BfdStateChange & { readonly at: number })[] = [];
  readonly socket: BfdSocket;
  readonly local: Ipv4Addr;
  onChange: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  #closed = false;

  private constructor(local: Ipv4Addr, options: Omit<BfdSocketOptions, "onReceived">) {
    this.local = local;
    this.socket = new BfdSocket({
      ...options,
      onReceived: (from, bytes) => {
        this.table.handle({ t: "received", from, bytes, ttl: undefined }, this.clock.now());
        this.#drain();
      },
    });
  }

  static async open(local: Ipv4Addr, options: Omit<BfdSocketOptions, "onReceived">): Promise<BfdSide> {
    const side = new BfdSide(local, options);
    await side.socket.listen(local);
    return side;
  }

  add(remote: Ipv4Addr, timers: BfdTimers): void {
    this.table.add({ remote, local: this.local, timers }, this.clock.now());
    this.#drain();
  }

  configure(remote: Ipv4Addr, timers: BfdTimers): void {
    this.table.configure(remote, timers, this.clock.now());
    this.#drain();
  }

  del(remote: Ipv4Addr): void {
    this.table.del(remote, this.clock.now());
    this.#drain();
  }

  status(remote: Ipv4Addr): BfdStatus | undefined {
    return this.table.status(remote);
  }

  /** As if the process were killed: nothing is said any more, and nothing heard. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    await this.socket.close();
  }

  #drain(): void {
    for (let out = this.table.poll(); out !== undefined; out = this.table.poll()) {
      if (out.t === "send") {
        this.socket.send(out);
        continue;
      }
      this.changes.push({ ...out, at: this.clock.now() });
      this.onChange();
    }
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const deadline = this.table.nextDeadline();
    if (deadline === NEVER || this.#closed) return;
    const ms = Math.max(0, Math.ceil((deadline - this.clock.now()) / 1000));
    // What has arrived by then is heard before the clock is looked at.
    this.#timer = setTimeout(() => {
      this.#turn = setImmediate(() => {
        this.table.handle({ t: "tick" }, this.clock.now());
        this.#drain();
      });
    }, ms);
  }
}
