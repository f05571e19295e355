// Calico's resources in the store, created, replaced, edited, deleted and read, with the outcomes of Calico's client. Sans-IO: after
// each of `submit`, `handle` and `tick` drain `poll`.
//
// Every write is a compare-and-set on the revision that was read, so a write that arrives late does nothing. When an answer is lost,
// the key is read again: what we find there tells whether the write was done. Specs on Calico §1.1.
import { printable } from "../../base/printable.ts";
import type { Rng } from "../../base/rng.ts";
import { type Instant, NEVER, SEC_US } from "../../base/time.ts";
import { Backoff } from "../datastore/backoff.ts";
import {
  type Compare,
  type KeyValue,
  NO_LEASE,
  type StoreErrorCode,
  type StoreEvent,
  type TxnOp,
  type TxnReply,
} from "../datastore/messages.ts";
import { type OpIds, PendingOps } from "../datastore/pending-ops.ts";
import { logOutput } from "../log.ts";
import { emitResourceKey, kindRange, parseResourceKey, type ResourceId } from "./calico-keys.ts";
import { emitResource, formatPath, readResource } from "./check-resource.ts";
import { BLOCKS_RANGE } from "./ipam/ipam-keys.ts";
import { poolChangeFaults } from "./pool-change.ts";
import type {
  ResourceErrorCode,
  ResourceOutcome,
  ResourceOutput,
  ResourceRequest,
  StoredResource,
} from "./resource-messages.ts";
import { formatId, identityFault, idOf } from "./resource-request.ts";
import type { ResourceFault } from "./resource-shape.ts";
import { born, randomUid, succeeding } from "./resource-version.ts";
import type { CalicoResource } from "./resources.ts";

/** How long a request may take in all, in microseconds, unless its owner says otherwise. */
const REQUEST_TIMEOUT_US = 15 * SEC_US;
/** Lost races before a request gives up. */
const CONFLICTS_MAX = 10;

/** A request on its way. */
interface Job {
  readonly number: number;
  readonly request: ResourceRequest;
  readonly uid: string;
  readonly wallMs: number;
  readonly deadline: Instant;
  readonly backoff: Backoff;
  conflicts: number;
  /** When to read again; NEVER while an operation is under way. */
  retryAt: Instant;
  /** What an operation whose answer was lost may have written, or that it may have deleted. */
  lost: { readonly resource: CalicoResource; readonly isNew: boolean } | "delete" | undefined;
}

type Step =
  | { readonly t: "read"; readonly job: Job }
  | { readonly t: "put"; readonly job: Job; readonly resource: CalicoResource; readonly isNew: boolean }
  | { readonly t: "delete"; readonly job: Job };

export interface ResourceWriterOptions {
  readonly ids: OpIds;
  readonly rng: Rng;
  /** How long a request may take in all. */
  readonly requestTimeoutUs?: number;
}

export class ResourceWriter {
  readonly #rng: Rng;
  readonly #timeoutUs: number;
  readonly #ops: PendingOps<Step>;
  readonly #jobs = new Map<number, Job>();
  readonly #outputs: ResourceOutput[] = [];
  #lastNumber = 0;

  constructor(options: ResourceWriterOptions) {
    this.#rng = options.rng;
    this.#timeoutUs = options.requestTimeoutUs ?? REQUEST_TIMEOUT_US;
    this.#ops = new PendingOps(options.ids);
  }

  /** Begins a request; `done` with its number ends it. @param wallMs wall-clock milliseconds since 1970, for creation times */
  submit(request: ResourceRequest, now: Instant, wallMs: number): number {
    const number = ++this.#lastNumber;
    const job: Job = {
      number,
      request,
      uid: randomUid(this.#rng),
      wallMs,
      deadline: now + this.#timeoutUs,
      backoff: new Backoff(this.#rng),
      conflicts: 0,
      retryAt: NEVER,
      lost: undefined,
    };
    this.#jobs.set(number, job);
    const id = idOf(request);
    const fault = id === undefined ? undefined : identityFault(id);
    if (fault !== undefined) this.#refuse(job, "invalid", fault.message, [fault]);
    else if (request.t === "create" && request.resource.kind !== "IPPool")
      this.#decide(job, undefined, [], now);
    else this.#read(job, now);
    return number;
  }

  /** Takes an event of the store. Answers false when it is somebody else's. */
  handle(event: StoreEvent, now: Instant): boolean {
    if (event.t !== "txnDone" && event.t !== "rangeDone" && event.t !== "opFailed") return false;
    const step = this.#ops.settle(event.id)?.what;
    if (step === undefined) return false;
    // A request whose time is up has been answered.
    if (!this.#jobs.has(step.job.number)) return true;
    if (event.t === "opFailed") this.#onFailed(step, event.code, event.message, now);
    else if (event.t === "rangeDone") this.#onList(step.job, event.kvs, event.header.revision);
    else this.#onTxn(step, event.succeeded, event.replies, event.header.revision, now);
    return true;
  }

  /** Does what is due. Call when {@link nextDeadline} has come. */
  tick(now: Instant): void {
    for (let op = this.#ops.expire(now); op !== undefined; op = this.#ops.expire(now)) {
      if (this.#jobs.has(op.what.job.number)) this.#onFailed(op.what, "timeout", "no answer", now);
    }
    for (const job of this.#jobs.values()) {
      if (now >= job.deadline) this.#giveUp(job, "no answer");
      else if (now >= job.retryAt) this.#read(job, now);
    }
  }

  poll(): ResourceOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    let at = this.#ops.nextDeadline();
    for (const job of this.#jobs.values()) at = Math.min(at, job.retryAt, job.deadline);
    return at;
  }

  /** Forgets all requests. What was sent may still be done. */
  stop(): void {
    this.#jobs.clear();
    this.#ops.clear();
    this.#outputs.length = 0;
  }

  // ---- reading ----

  #read(job: Job, now: Instant): void {
    job.retryAt = NEVER;
    const { request } = job;
    const opId = this.#ops.issue({ t: "read", job }, now);
    if (request.t === "list") {
      const range = kindRange(request.kind, request.namespace);
      this.#outputs.push({ t: "op", op: { t: "range", id: opId, range } });
      return;
    }
    const id = idOf(request) as ResourceId;
    const reads: TxnOp[] = [{ t: "range", range: { key: emitResourceKey(id), rangeEnd: undefined } }];
    // A pool must fit in with the others and with the blocks that there are.
    if (id.kind === "IPPool" && request.t !== "get" && request.t !== "delete") {
      reads.push({ t: "range", range: kindRange("IPPool") }, { t: "range", range: BLOCKS_RANGE });
    }
    const op = { t: "txn", id: opId, compares: [], success: reads, failure: [] } as const;
    this.#outputs.push({ t: "op", op });
  }

  #onList(job: Job, kvs: readonly KeyValue[], revision: number): void {
    const stored: StoredResource[] = [];
    for (const kv of kvs) {
      const id = parseResourceKey(kv.key);
      if (id === undefined) continue;
      const read = readResource(id, kv.value);
      if (read.ok) stored.push({ resource: read.value, modRevision: kv.modRevision });
      else
        this.#outputs.push(logOutput("warn", `Ignoring ${printable(JSON.stringify(kv.key))}: ${read.error}`));
    }
    this.#finish(job, { t: "listed", stored, revision });
  }

  #onTxn(step: Step, succeeded: boolean, replies: readonly TxnReply[], revision: number, now: Instant): void {
    const { job } = step;
    if (succeeded && step.t === "put") {
      const stored = { resource: step.resource, modRevision: revision };
      this.#finish(job, { t: "written", change: step.isNew ? "created" : "updated", stored });
    } else if (succeeded && step.t === "delete") {
      this.#finish(job, { t: "deleted", id: idOf(job.request) as ResourceId });
    } else if (step.t === "read") {
      this.#decide(job, firstOf(replies[0]), replies.slice(1), now);
    } else {
      this.#onLostRace(job, firstOf(replies[0]), now);
    }
  }

  /** Somebody else wrote between our read and our write. */
  #onLostRace(job: Job, current: KeyValue | undefined, now: Instant): void {
    job.conflicts++;
    const { request } = job;
    const id = idOf(request) as ResourceId;
    if (job.conflicts >= CONFLICTS_MAX) {
      this.#refuse(job, "updateConflict", `update conflict: ${formatId(id)}: lost ${job.conflicts} races`);
    } else if (id.kind === "IPPool" && request.t !== "delete") {
      this.#read(job, now);
    } else {
      this.#decide(job, current, [], now);
    }
  }

  // ---- deciding ----

  /** What to do about a request, now that the key is known to hold `kv`. */
  #decide(job: Job, kv: KeyValue | undefined, around: readonly TxnReply[], now: Instant): void {
    const { request } = job;
    if (this.#wasDone(job, kv)) return;
    switch (request.t) {
      case "list":
        return;
      case "get":
        this.#answerGet(job, request.id, kv);
        return;
      case "delete":
        this.#delete(job, request, kv, now);
        return;
      case "edit":
        this.#edit(job, request, kv, around, now);
        return;
      default:
        this.#write(job, request, kv, around, now);
    }
  }

  /** Did the operation whose answer was lost do what it should? */
  #wasDone(job: Job, kv: KeyValue | undefined): boolean {
    const { lost } = job;
    if (lost === undefined) return false;
    if (lost === "delete") {
      if (kv !== undefined) return false;
      this.#finish(job, { t: "deleted", id: idOf(job.request) as ResourceId });
      return true;
    }
    if (kv === undefined) return false;
    // Whoever came after us may have changed it, but not whose child it is.
    const read = readResource(idOf(job.request) as ResourceId, kv.value);
    const isOurs = lost.isNew
      ? read.ok && read.value.metadata.uid === job.uid
      : isEqual(kv.value, emitResource(lost.resource));
    if (!isOurs) return false;
    const resource = read.ok ? read.value : lost.resource;
    const change = lost.isNew ? "created" : "updated";
    this.#finish(job, { t: "written", change, stored: { resource, modRevision: kv.modRevision } });
    return true;
  }

  #answerGet(job: Job, id: ResourceId, kv: KeyValue | undefined): void {
    if (kv === undefined) {
      this.#refuseAbsent(job, id);
      return;
    }
    const read = readResource(id, kv.value);
    if (!read.ok) this.#refuse(job, "corrupt", `${kv.key}: ${read.error}`);
    else this.#finish(job, { t: "found", stored: { resource: read.value, modRevision: kv.modRevision } });
  }

  #delete(
    job: Job,
    request: ResourceRequest & { t: "delete" },
    kv: KeyValue | undefined,
    now: Instant,
  ): void {
    if (kv === undefined) {
      this.#refuseAbsent(job, request.id);
      return;
    }
    if (request.modRevision !== undefined && request.modRevision !== kv.modRevision) {
      this.#refuseOld(job, request.id, String(request.modRevision), kv.modRevision);
      return;
    }
    const range = { key: kv.key, rangeEnd: undefined };
    const op = {
      t: "txn",
      id: this.#ops.issue({ t: "delete", job }, now),
      compares: [unchanged(kv.key, kv.modRevision)],
      success: [{ t: "delete", range }],
      failure: [{ t: "range", range }],
    } as const;
    this.#outputs.push({ t: "op", op });
  }

  #edit(
    job: Job,
    request: ResourceRequest & { t: "edit" },
    kv: KeyValue | undefined,
    around: readonly TxnReply[],
    now: Instant,
  ): void {
    const read = kv === undefined ? undefined : readResource(request.id, kv.value);
    if (read?.ok === false) {
      this.#refuse(job, "corrupt", `${emitResourceKey(request.id)}: ${read.error}`);
      return;
    }
    const current = read?.value;
    const changed = request.change(current);
    if (changed !== undefined) {
      this.#put(job, changed, kv, current, around, now);
    } else if (current === undefined || kv === undefined) {
      this.#refuseAbsent(job, request.id);
    } else {
      const stored = { resource: current, modRevision: kv.modRevision };
      this.#finish(job, { t: "written", change: "none", stored });
    }
  }

  #write(
    job: Job,
    request: ResourceRequest & { t: "create" | "update" | "apply" },
    kv: KeyValue | undefined,
    around: readonly TxnReply[],
    now: Instant,
  ): void {
    const { t, resource } = request;
    const id = idOf(request) as ResourceId;
    const version = resource.metadata.resourceVersion;
    if (t === "create" && version !== undefined) {
      const path = ["metadata", "resourceVersion"];
      const message = "field must not be set for a Create request";
      this.#refuse(job, "invalid", message, [{ path, message }]);
    } else if (t === "create" && kv !== undefined) {
      this.#refuse(job, "alreadyExists", `resource already exists: ${formatId(id)}`);
    } else if (t === "update" && kv === undefined) {
      this.#refuseAbsent(job, id);
    } else if (kv !== undefined && version !== undefined && version !== String(kv.modRevision)) {
      this.#refuseOld(job, id, version, kv.modRevision);
    } else {
      // What cannot be read is replaced: there is no other way to mend it.
      const read = kv === undefined ? undefined : readResource(id, kv.value);
      this.#put(job, resource, kv, read?.ok === true ? read.value : undefined, around, now);
    }
  }

  // ---- writing ----

  /** Writes `resource` in place of `kv`, which reads as `current`. */
  #put(
    job: Job,
    resource: CalicoResource,
    kv: KeyValue | undefined,
    current: CalicoResource | undefined,
    around: readonly TxnReply[],
    now: Instant,
  ): void {
    if (resource.kind === "IPPool") {
      const old = current?.kind === "IPPool" ? current : undefined;
      const [pools, blocks] = around.map(kvsOf);
      const faults = poolChangeFaults(resource, { old, pools: pools ?? [], blocks: blocks ?? [] });
      if (faults.length > 0) {
        const [first] = faults;
        const message = first === undefined ? "" : `${formatPath(first.path)}: ${first.message}`;
        this.#refuse(job, "invalid", message, faults);
        return;
      }
    }
    const next = current === undefined ? born(resource, job.uid, job.wallMs) : succeeding(resource, current);
    const value = emitResource(next);
    if (kv !== undefined && isEqual(kv.value, value)) {
      const stored = { resource: next, modRevision: kv.modRevision };
      this.#finish(job, { t: "written", change: "none", stored });
      return;
    }
    const key = emitResourceKey(idOf(job.request) as ResourceId);
    const op = {
      t: "txn",
      id: this.#ops.issue({ t: "put", job, resource: next, isNew: kv === undefined }, now),
      compares: [kv === undefined ? absent(key) : unchanged(key, kv.modRevision)],
      success: [{ t: "put", key, value, lease: NO_LEASE }],
      failure: [{ t: "range", range: { key, rangeEnd: undefined } }],
    } as const;
    this.#outputs.push({ t: "op", op });
  }

  #onFailed(step: Step, code: StoreErrorCode, message: string, now: Instant): void {
    const { job } = step;
    if (code !== "unavailable" && code !== "timeout") {
      this.#refuse(job, "unavailable", `the store refuses: ${message}`);
      return;
    }
    if (step.t === "put") job.lost = { resource: step.resource, isNew: step.isNew };
    if (step.t === "delete") job.lost = "delete";
    const retryAt = job.backoff.next(now);
    if (retryAt >= job.deadline) this.#giveUp(job, message);
    else job.retryAt = retryAt;
  }

  // ---- answering ----

  #giveUp(job: Job, why: string): void {
    const doubt =
      job.lost === undefined ? "" : "; whether it was done is not known, so look before you repeat it";
    this.#refuse(job, "unavailable", `the store cannot be reached: ${why}${doubt}`);
  }

  #refuseAbsent(job: Job, id: ResourceId): void {
    this.#refuse(job, "doesNotExist", `resource does not exist: ${formatId(id)}`);
  }

  #refuseOld(job: Job, id: ResourceId, version: string, latest: number): void {
    this.#refuse(
      job,
      "updateConflict",
      `update conflict: ${formatId(id)}: Resource version '${version}' is out of date (latest: ${latest}). Update the resource YAML/JSON in order to make changes.`,
    );
  }

  #refuse(job: Job, code: ResourceErrorCode, message: string, faults: readonly ResourceFault[] = []): void {
    this.#finish(job, { t: "refused", code, message, faults });
  }

  #finish(job: Job, outcome: ResourceOutcome): void {
    this.#jobs.delete(job.number);
    this.#outputs.push({ t: "done", request: job.number, outcome });
  }
}

function kvsOf(reply: TxnReply | undefined): readonly KeyValue[] {
  return reply?.t === "range" ? reply.kvs : [];
}

function firstOf(reply: TxnReply | undefined): KeyValue | undefined {
  return kvsOf(reply)[0];
}

function absent(key: string): Compare {
  return { key, target: "version", op: "equal", operand: 0 };
}

function unchanged(key: string, modRevision: number): Compare {
  return { key, target: "mod", op: "equal", operand: modRevision };
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
