// One IpamEngine on a FakeStore, driven on a virtual clock; and the loop that drives several.
import { prefix } from "../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, NEVER } from "../../src/base/time.ts";
import type { IpamPool } from "../../src/control/calico/ipam/ipam-context.ts";
import { IpamEngine, type IpamEngineOptions } from "../../src/control/calico/ipam/ipam-engine.ts";
import type { IpamAnswer, IpamRequest } from "../../src/control/calico/ipam/ipam-messages.ts";
import { type IpamState, readIpamState } from "../../src/control/calico/ipam/ipam-state.ts";
import type { StoreOp } from "../../src/control/datastore/messages.ts";
import { OpIds } from "../../src/control/datastore/pending-ops.ts";
import type { Connection, FakeStore } from "./fake-store.ts";

/** 2026-06-01T00:00:00Z. */
export const EPOCH_NS = 1_780_272_000_000_000_000n;

/** A pool that selects everybody. */
export function poolOf(cidr: string, blockSize: number, change: Partial<IpamPool> = {}): IpamPool {
  return {
    cidr: prefix(cidr),
    blockSize,
    disabled: false,
    automatic: true,
    allowedUses: ["Workload", "Tunnel"],
    selectsNode: true,
    selectsNamespace: true,
    ...change,
  };
}

export interface IpamHostOptions
  extends Partial<Pick<IpamEngineOptions, "pools" | "reservations" | "requestTimeoutUs">> {
  readonly seed?: number;
}

export class IpamHost {
  readonly name: string;
  readonly engine: IpamEngine;
  readonly conn: Connection;
  readonly answers = new Map<number, IpamAnswer>();
  readonly logs: string[] = [];
  /** Every operation that was sent. */
  readonly ops: StoreOp[] = [];
  /** A dead process handles nothing and sends nothing. */
  dead = false;
  deadline: Instant = NEVER;
  /** The process dies at its operation of this number, counted from 1: before it is sent, or once it is on its way. */
  crash: { readonly at: number; readonly sent: boolean } | undefined;
  /** The operation of this number gets lost once, or its answer does. For one host alone: the store's faults are everybody's. */
  loss: { readonly at: number; readonly kind: "loseRequest" | "loseReply" } | undefined;
  /** The operation of this number is kept back, and the process stands still, until {@link resume} or {@link deliver}. */
  holdAt: number | undefined;
  #held: StoreOp | undefined;
  readonly #store: FakeStore;
  onAnswer: ((id: number, answer: IpamAnswer, now: Instant) => void) | undefined;

  constructor(store: FakeStore, name: string, pools: readonly IpamPool[], options: IpamHostOptions = {}) {
    this.name = name;
    this.#store = store;
    this.conn = store.connect();
    this.engine = new IpamEngine({
      ids: new OpIds(),
      rng: new SeededRng(options.seed ?? 1),
      wallClockNs: (now) => EPOCH_NS + BigInt(now) * 1000n,
      pools: options.pools ?? (() => pools),
      ...(options.reservations === undefined ? {} : { reservations: options.reservations }),
      ...(options.requestTimeoutUs === undefined ? {} : { requestTimeoutUs: options.requestTimeoutUs }),
    });
  }

  ask(request: IpamRequest, now: Instant): number {
    const id = this.engine.request(request, now);
    this.drain(now);
    return id;
  }

  assign(handle: string, now: Instant, count = 1): number {
    const attributes = { node: this.name, pod: handle, namespace: "default" };
    return this.ask({ t: "autoAssign", host: this.name, count, handle, attributes, use: "Workload" }, now);
  }

  isDue(now: Instant): boolean {
    return !this.dead && (this.conn.hasInput || this.deadline <= now);
  }

  step(now: Instant): void {
    this.engine.tick(now);
    this.drain(now);
    for (let event = this.conn.poll(now); event !== undefined && !this.dead; event = this.conn.poll(now)) {
      this.engine.handle(event, now);
      this.drain(now);
    }
  }

  drain(now: Instant): void {
    for (let output = this.engine.poll(); output !== undefined; output = this.engine.poll()) {
      if (this.dead) return;
      if (output.t === "log") this.logs.push(output.message);
      else if (output.t === "done") {
        this.answers.set(output.request, output.answer);
        this.onAnswer?.(output.request, output.answer, now);
      } else {
        this.ops.push(output.op);
        this.#send(output.op, now);
      }
    }
    this.deadline = this.engine.nextDeadline();
  }

  /** Goes on after `holdAt`. */
  resume(now: Instant): void {
    this.dead = false;
    this.deliver(now);
    this.drain(now);
  }

  /** Sends what was kept back, as a network does that delivers it late; the process may be long dead. */
  deliver(now: Instant): void {
    if (this.#held !== undefined) this.conn.submit(this.#held, now);
    this.#held = undefined;
  }

  #send(op: StoreOp, now: Instant): void {
    const n = this.ops.length;
    if (this.loss !== undefined) this.#store.faults[this.loss.kind] = n === this.loss.at ? 1 : 0;
    this.dead = n === this.crash?.at || n === this.holdAt;
    if (n === this.holdAt) this.#held = op;
    else if (!this.dead || this.crash?.sent === true) this.conn.submit(op, now);
  }
}

/** Runs everything that is due until `until`, or until all hosts have answered and the store is quiet. Returns when it is then. */
export function runHosts(
  store: FakeStore,
  hosts: readonly IpamHost[],
  now: Instant,
  until: Instant,
): Instant {
  for (;;) {
    let next = store.nextDeadline();
    let busy = false;
    for (const host of hosts) {
      if (host.dead) continue;
      next = Math.min(next, host.deadline, host.conn.hasInput ? now : NEVER);
      busy ||= host.engine.pending > 0;
    }
    if (!busy && store.quiet) return now;
    if (next > until) break;
    now = Math.max(now, next);
    store.run(now);
    for (const host of hosts) if (host.isDue(now)) host.step(now);
  }
  store.run(until);
  return until;
}

/** All of IPAM that the store holds. Dies on what cannot be parsed. */
export function stateOf(store: FakeStore): IpamState {
  const state = readIpamState(store.dump());
  if (state.complaints.length > 0) throw new Error(state.complaints.join("; "));
  return state;
}
