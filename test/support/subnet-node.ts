// One SubnetManager on a FakeStore, driven on a virtual clock; and the loop that drives many.
import { ipv4, type Prefix } from "../../src/base/ipv4-addr.ts";
import { mac } from "../../src/base/mac-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, NEVER } from "../../src/base/time.ts";
import type { PeerLease } from "../../src/control/flannel/lease-attrs.ts";
import {
  type LeaseOptions,
  type OwnLease,
  SubnetManager,
  type SubnetOutput,
} from "../../src/control/flannel/subnet-manager.ts";
import type { Connection, FakeStore } from "./fake-store.ts";

export const PREFIX = "/coreos.com/network";
const KEEPALIVE: LeaseOptions = { mode: "keepalive", ttlSec: 20 };

export interface SubnetNodeOptions {
  readonly publicIp?: string;
  readonly lease?: LeaseOptions;
  readonly strict?: boolean;
  readonly previousSubnet?: Prefix;
  readonly previousLease?: string;
  readonly seed?: number;
  /** Do not call `acquire` when the configuration comes. */
  readonly hold?: boolean;
}

export class SubnetNode {
  readonly publicIp: string;
  readonly manager: SubnetManager;
  readonly conn: Connection;
  /** Everything said, operations apart. */
  readonly outputs: SubnetOutput[] = [];
  /** What an agent that believes the outputs has installed. */
  readonly peers = new Map<string, PeerLease>();
  readonly #hold: boolean;
  own: OwnLease | undefined;
  fenced = false;
  /** Set when the daemon ends: revoked, fatal, stopped. */
  end: SubnetOutput | undefined;
  /** A suspended process handles nothing. */
  suspended = false;
  deadline: Instant = NEVER;
  /** Called with every output, as it comes. */
  onOutput: ((output: SubnetOutput, now: Instant) => void) | undefined;

  constructor(store: FakeStore, options: SubnetNodeOptions = {}) {
    this.publicIp = options.publicIp ?? "192.168.56.1";
    this.#hold = options.hold ?? false;
    this.conn = store.connect();
    this.manager = new SubnetManager({
      prefix: PREFIX,
      publicIp: ipv4(this.publicIp),
      previousSubnet: options.previousSubnet,
      ...(options.previousLease === undefined ? {} : { previousLease: options.previousLease }),
      lease: options.lease ?? KEEPALIVE,
      strict: options.strict ?? false,
      rng: new SeededRng(options.seed ?? 1),
    });
  }

  start(now: Instant): this {
    this.manager.start(now);
    this.drain(now);
    return this;
  }

  stop(revoke: boolean, now: Instant): void {
    this.manager.stop(revoke, now);
    this.drain(now);
  }

  /** Is there anything to do at `now`? */
  isDue(now: Instant): boolean {
    return !this.suspended && (this.conn.hasInput || this.deadline <= now);
  }

  /** Ticks and handles all that has arrived. */
  step(now: Instant): void {
    this.manager.tick(now);
    this.drain(now);
    for (let event = this.conn.poll(now); event !== undefined; event = this.conn.poll(now)) {
      this.manager.handle(event, now);
      this.drain(now);
    }
  }

  acquire(now: Instant): void {
    this.manager.acquire(
      {
        publicIp: ipv4(this.publicIp),
        backendType: "vxlan",
        vni: 1,
        vtepMac: mac("02:00:00:00:00:01"),
        backendData: { VNI: 1, VtepMAC: "02:00:00:00:00:01" },
      },
      now,
    );
    this.drain(now);
  }

  /** Texts of the log, joined. */
  get log(): string {
    return this.outputs.flatMap((output) => (output.t === "log" ? [output.message] : [])).join("\n");
  }

  /** The outputs of one kind. */
  said<T extends SubnetOutput["t"]>(t: T): Extract<SubnetOutput, { readonly t: T }>[] {
    return this.outputs.filter((output) => output.t === t) as Extract<SubnetOutput, { readonly t: T }>[];
  }

  drain(now: Instant): void {
    for (let output = this.manager.poll(); output !== undefined; output = this.manager.poll()) {
      if (output.t === "op") this.conn.submit(output.op, now);
      else this.#on(output, now);
    }
    this.deadline = this.manager.nextDeadline();
  }

  #on(output: SubnetOutput, now: Instant): void {
    this.outputs.push(output);
    switch (output.t) {
      case "config":
        if (!this.#hold) this.acquire(now);
        break;
      case "acquired":
        this.own = output.lease;
        break;
      case "added":
        this.peers.set(output.lease.key, output.lease);
        break;
      case "removed":
        this.peers.delete(output.lease.key);
        break;
      case "fenced":
        this.fenced = true;
        break;
      case "unfenced":
        this.fenced = false;
        break;
      case "revoked":
      case "fatal":
      case "stopped":
        this.end = output;
        break;
      default:
    }
    this.onOutput?.(output, now);
  }
}

/** Runs everything that is due from `now` until `until`, in order of time. Returns `until`. */
export function runUntil(
  store: FakeStore,
  nodes: readonly SubnetNode[],
  now: Instant,
  until: Instant,
): Instant {
  for (;;) {
    let next = store.nextDeadline();
    for (const node of nodes) if (!node.suspended && node.deadline < next) next = node.deadline;
    if (next > until) break;
    now = Math.max(now, next);
    store.run(now);
    for (const node of nodes) if (node.isDue(now)) node.step(now);
  }
  store.run(until);
  return until;
}
