// Deletes keys that this node holds without wanting to. A claim that was given up because no answer came may still be
// carried out, behind another claim that succeeded; what it leaves is a second key on our etcd lease, which would live as
// long as we do and waste a subnet.
import type { Rng } from "../../base/rng.ts";
import { type Instant, NEVER } from "../../base/time.ts";
import { Backoff } from "../datastore/backoff.ts";
import type { KeyValue, StoreEvent, StoreOp } from "../datastore/messages.ts";
import { type OpIds, PendingOps } from "../datastore/pending-ops.ts";
import { type LogOutput, logOutput } from "../log.ts";
import { removeTxn } from "./claim.ts";

export type GhostCleanerOutput = { readonly t: "op"; readonly op: StoreOp } | LogOutput;

export class GhostCleaner {
  readonly #ops: PendingOps<KeyValue>;
  readonly #backoff: Backoff;
  readonly #outputs: GhostCleanerOutput[] = [];
  /** What is to be deleted, each if it is still as it was seen. */
  readonly #ghosts = new Map<string, KeyValue>();
  #retryAt: Instant = NEVER;

  constructor(options: { readonly ids: OpIds; readonly rng: Rng }) {
    this.#ops = new PendingOps(options.ids);
    this.#backoff = new Backoff(options.rng);
  }

  /** Deletes `kv`, trying until the store has answered. */
  remove(kv: KeyValue, now: Instant): void {
    if (this.#ghosts.get(kv.key)?.modRevision === kv.modRevision) return;
    this.#ghosts.set(kv.key, kv);
    this.#outputs.push(logOutput("warn", `${kv.key} was left by a claim that came too late: deleting it`));
    this.#submit(kv, now);
  }

  stop(): void {
    this.#ghosts.clear();
    this.#ops.clear();
    this.#retryAt = NEVER;
  }

  /** Takes an event of the store. Answers false when it is somebody else's. */
  handle(event: StoreEvent, now: Instant): boolean {
    if (event.t !== "txnDone" && event.t !== "opFailed") return false;
    const op = this.#ops.settle(event.id);
    if (op === undefined) return false;
    // A comparison that failed means that the key is another by now, and the watch has told or will tell.
    if (event.t === "opFailed") this.#retryAt = this.#backoff.next(now);
    else if (this.#ghosts.get(op.what.key) === op.what) this.#ghosts.delete(op.what.key);
    return true;
  }

  tick(now: Instant): void {
    while (this.#ops.expire(now) !== undefined) this.#retryAt = this.#backoff.next(now);
    if (now < this.#retryAt) return;
    this.#retryAt = NEVER;
    this.#ops.clear();
    for (const kv of this.#ghosts.values()) this.#submit(kv, now);
  }

  poll(): GhostCleanerOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    return Math.min(this.#retryAt, this.#ops.nextDeadline());
  }

  #submit(kv: KeyValue, now: Instant): void {
    this.#outputs.push({ t: "op", op: removeTxn(this.#ops.issue(kv, now), kv, false) });
  }
}
