// All that a Calico node asks of the store, behind one engine: the copy of what concerns it, addresses, and resources that it writes.
// After each of start, submit, request, handle and tick drain poll.
import type { Prefix } from "../../base/ipv4-addr.ts";
import type { Rng } from "../../base/rng.ts";
import type { Instant } from "../../base/time.ts";
import { CalicoSyncer } from "../../control/calico/calico-syncer.ts";
import type { CalicoUpdate } from "../../control/calico/calico-updates.ts";
import { parseIpamBlock } from "../../control/calico/ipam/ipam-block-json.ts";
import type { PoolsOf } from "../../control/calico/ipam/ipam-context.ts";
import { IpamEngine } from "../../control/calico/ipam/ipam-engine.ts";
import type { IpamAnswer, IpamRequest } from "../../control/calico/ipam/ipam-messages.ts";
import type { ResourceOutcome, ResourceRequest } from "../../control/calico/resource-messages.ts";
import { ResourceWriter } from "../../control/calico/resource-writer.ts";
import type { StoreEvent, StoreOp } from "../../control/datastore/messages.ts";
import { OpIds } from "../../control/datastore/pending-ops.ts";
import type { StoreStatus } from "../../control/datastore/reflector.ts";
import type { LogOutput } from "../../control/log.ts";

export interface CalicoStoreOptions {
  readonly node: string;
  readonly rng: Rng;
  readonly pools: PoolsOf;
  readonly reservations: () => readonly Prefix[];
  /** Milliseconds since 1970. */
  readonly wallMs: (now: Instant) => number;
}

export type CalicoStoreOutput =
  | CalicoUpdate
  | { readonly t: "op"; readonly op: StoreOp }
  | { readonly t: "status"; readonly status: StoreStatus }
  | { readonly t: "ipamDone"; readonly request: number; readonly answer: IpamAnswer }
  | { readonly t: "resourceDone"; readonly request: number; readonly outcome: ResourceOutcome }
  | LogOutput;

const NS_PER_MS = 1_000_000n;

export class CalicoStore {
  readonly #options: CalicoStoreOptions;
  readonly #syncer: CalicoSyncer;
  readonly #ipam: IpamEngine;
  readonly #writer: ResourceWriter;

  constructor(options: CalicoStoreOptions) {
    const { node, rng, pools, reservations, wallMs } = options;
    const ids = new OpIds();
    this.#options = options;
    this.#syncer = new CalicoSyncer({ node, ids, rng, parseBlock: (bytes) => parseIpamBlock(bytes) });
    this.#writer = new ResourceWriter({ ids, rng });
    this.#ipam = new IpamEngine({
      ids,
      rng,
      pools,
      reservations,
      wallClockNs: (now) => BigInt(Math.floor(wallMs(now))) * NS_PER_MS,
    });
  }

  get status(): StoreStatus {
    return this.#syncer.status;
  }

  get isInSync(): boolean {
    return this.#syncer.isInSync;
  }

  start(now: Instant): void {
    this.#syncer.start(now);
  }

  /** Ends the watches, and what is written and not answered. Addresses that were asked for are still given, or given back. */
  stop(): void {
    this.#syncer.stop();
    this.#writer.stop();
  }

  /** Writes a resource; `resourceDone` with the number ends it. */
  submit(request: ResourceRequest, now: Instant): number {
    return this.#writer.submit(request, now, this.#options.wallMs(now));
  }

  /** Asks for addresses, or gives them back; `ipamDone` with the number ends it. */
  request(request: IpamRequest, now: Instant): number {
    return this.#ipam.request(request, now);
  }

  handle(event: StoreEvent, now: Instant): void {
    if (this.#syncer.handle(event, now) || this.#writer.handle(event, now)) return;
    this.#ipam.handle(event, now);
  }

  tick(now: Instant): void {
    if (this.#syncer.nextDeadline() <= now) this.#syncer.tick(now);
    if (this.#writer.nextDeadline() <= now) this.#writer.tick(now);
    if (this.#ipam.nextDeadline() <= now) this.#ipam.tick(now);
  }

  poll(): CalicoStoreOutput | undefined {
    const heard = this.#syncer.poll();
    if (heard !== undefined) return heard;
    const written = this.#writer.poll();
    if (written !== undefined) return written.t === "done" ? { ...written, t: "resourceDone" } : written;
    const given = this.#ipam.poll();
    return given?.t === "done" ? { ...given, t: "ipamDone" } : given;
  }

  nextDeadline(): Instant {
    return Math.min(this.#syncer.nextDeadline(), this.#writer.nextDeadline(), this.#ipam.nextDeadline());
  }
}
