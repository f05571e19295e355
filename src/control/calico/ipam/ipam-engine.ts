// Performs the requests of IPAM over the store: one at a time, as the lock of Calico's CNI plugin on each host has it, each within
// its 90 seconds. A call that fails with its outcome unknown is asked again until the store says what is: all writes are guarded
// by what was read, so that a second one cannot do what the first has done.
//
//   const engine = new IpamEngine({ ids, rng, wallClockNs, pools });
//   const request = engine.request({ t: "autoAssign", … }, now);
//   engine.poll() … "op" to the store, its events to engine.handle(), { t: "done", request, answer } is the end
import type { Ipv4Addr, Prefix } from "../../../base/ipv4-addr.ts";
import type { Rng } from "../../../base/rng.ts";
import { type Instant, NEVER, SEC_US } from "../../../base/time.ts";
import { Backoff } from "../../datastore/backoff.ts";
import type { StoreErrorCode, StoreEvent, StoreOp } from "../../datastore/messages.ts";
import { type OpIds, PendingOps } from "../../datastore/pending-ops.ts";
import { logOutput } from "../../log.ts";
import { releaseHostAffinities, releasePoolAffinities } from "./affinity-release.ts";
import { assignIp } from "./assign-ip.ts";
import { AutoAssign } from "./auto-assign.ts";
import { configureIpam } from "./ipam-configure.ts";
import type { IpamContext, PoolsOf } from "./ipam-context.ts";
import { isName } from "./ipam-keys.ts";
import type { IpamAnswer, IpamError, IpamOutput, IpamRequest } from "./ipam-messages.ts";
import { ReleaseByHandle, ReleaseIps } from "./release-addrs.ts";
import { IpamFault, type Steps, type StoreAsk, type StoreReply } from "./store-steps.ts";

/** Calico's timeout of one CNI call, the wait for its lock included. */
const REQUEST_TIMEOUT_US = 90 * SEC_US;

export interface IpamEngineOptions {
  readonly ids: OpIds;
  readonly rng: Rng;
  /** The wall clock at `now`, in nanoseconds since 1970. */
  readonly wallClockNs: (now: Instant) => bigint;
  /** All pools, as their selectors see the host and the namespace. Asked once a request. */
  readonly pools: PoolsOf;
  /** IPReservations: never given away unasked. Default: none. */
  readonly reservations?: () => readonly Prefix[];
  /** How long a request may take from the asking, in microseconds. Default: 90 s. */
  readonly requestTimeoutUs?: number;
}

/** A request that waits or runs. */
interface Job {
  readonly id: number;
  readonly request: IpamRequest;
  readonly deadline: Instant;
}

/** The job that runs: the question that is open, and whether it was asked before without an answer. */
interface Running {
  readonly job: Job;
  readonly steps: Steps<IpamAnswer>;
  /** What has been assigned or released so far. */
  readonly addrs: readonly Ipv4Addr[];
  ask: StoreAsk | undefined;
  unsure: boolean;
  lastError: string;
}

/** Codes by which the server says that nothing was done. */
const REFUSALS: readonly StoreErrorCode[] = ["noSpace", "denied", "invalid", "unimplemented"];

export class IpamEngine {
  readonly #options: IpamEngineOptions;
  readonly #ops: PendingOps<Running>;
  readonly #backoff: Backoff;
  readonly #queue: Job[] = [];
  readonly #outputs: IpamOutput[] = [];
  readonly #context: IpamContext;
  #running: Running | undefined;
  #nextId = 1;
  #now: Instant = 0;
  /** When to ask again after a failed call. */
  #retryAt: Instant = NEVER;

  constructor(options: IpamEngineOptions) {
    this.#options = options;
    this.#ops = new PendingOps(options.ids);
    this.#backoff = new Backoff(options.rng);
    this.#context = {
      rng: options.rng,
      pools: options.pools,
      reservations: options.reservations ?? (() => []),
      wallNs: () => options.wallClockNs(this.#now),
      log: (level, message) => this.#outputs.push(logOutput(level, message)),
    };
  }

  /** Requests that are not answered yet. */
  get pending(): number {
    return this.#queue.length + (this.#running === undefined ? 0 : 1);
  }

  /** Asks. The answer is an output that names the number which this returns. */
  request(request: IpamRequest, now: Instant): number {
    this.#now = now;
    const id = this.#nextId++;
    this.#queue.push({ id, request, deadline: now + (this.#options.requestTimeoutUs ?? REQUEST_TIMEOUT_US) });
    this.#startNext();
    return id;
  }

  /** Takes an event of the store. Answers false when it is somebody else's. */
  handle(event: StoreEvent, now: Instant): boolean {
    if (event.t !== "rangeDone" && event.t !== "txnDone" && event.t !== "opFailed") return false;
    const op = this.#ops.settle(event.id);
    if (op === undefined) return false;
    this.#now = now;
    const running = op.what;
    if (running !== this.#running) return true;
    if (event.t === "opFailed") this.#failed(running, event.code, event.message);
    else {
      this.#backoff.reset();
      const { unsure } = running;
      running.unsure = false;
      const { revision } = event.header;
      this.#resume(
        event.t === "rangeDone"
          ? { succeeded: true, revision, kvs: event.kvs, replies: [], unsure }
          : { succeeded: event.succeeded, revision, kvs: [], replies: event.replies, unsure },
      );
    }
    return true;
  }

  tick(now: Instant): void {
    this.#now = now;
    for (let op = this.#ops.expire(now); op !== undefined; op = this.#ops.expire(now)) {
      if (op.what === this.#running) this.#failed(op.what, "timeout", "no answer");
    }
    for (const job of this.#queue.filter((job) => job.deadline <= now)) {
      this.#queue.splice(this.#queue.indexOf(job), 1);
      const message = "timed out waiting for the IPAM lock: other requests of this host took too long";
      this.#outputs.push({ t: "done", request: job.id, answer: failure([], "unavailable", message) });
    }
    const running = this.#running;
    if (running !== undefined && running.job.deadline <= now) this.#timeOut(running);
    else if (running !== undefined && this.#retryAt <= now) this.#submit(running);
  }

  poll(): IpamOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    let at = Math.min(this.#retryAt, this.#ops.nextDeadline(), this.#running?.job.deadline ?? NEVER);
    for (const job of this.#queue) at = Math.min(at, job.deadline);
    return at;
  }

  #startNext(): void {
    while (this.#running === undefined) {
      const job = this.#queue.shift();
      if (job === undefined) return;
      this.#running = { job, ...this.#machine(job.request), ask: undefined, unsure: false, lastError: "" };
      this.#resume(undefined);
    }
  }

  #machine(request: IpamRequest): { readonly steps: Steps<IpamAnswer>; readonly addrs: readonly Ipv4Addr[] } {
    switch (request.t) {
      case "autoAssign": {
        const { addrs, run } = runnable(new AutoAssign(this.#context, request));
        return { steps: named([request.host, request.handle], run), addrs };
      }
      case "assignIp":
        return {
          steps: named([request.host, request.handle], () => assignIp(this.#context, request)),
          addrs: [],
        };
      case "releaseByHandle": {
        const { addrs, run } = runnable(new ReleaseByHandle(request.handle));
        return { steps: named([request.handle], run), addrs };
      }
      case "releaseIps": {
        const { addrs, run } = runnable(new ReleaseIps(this.#context, request.addrs, request.believed));
        return { steps: run(), addrs };
      }
      case "configure":
        return { steps: configureIpam(request.change), addrs: [] };
      case "releaseHostAffinities": {
        const run = () => releaseHostAffinities(this.#context, request.host, request.requireEmpty);
        return { steps: named([request.host], run), addrs: [] };
      }
      case "releasePoolAffinities":
        return { steps: releasePoolAffinities(this.#context, request.pool), addrs: [] };
    }
  }

  /** Lets the machine go on with the answer, to its next question or its end. */
  #resume(reply: StoreReply | undefined): void {
    const running = this.#running as Running;
    let next: IteratorResult<StoreAsk, IpamAnswer>;
    try {
      // The first call of a generator ignores its argument.
      next = running.steps.next(reply as StoreReply);
    } catch (fault) {
      if (!(fault instanceof IpamFault)) throw fault;
      this.#finish(running, failure(running.addrs, fault.code, fault.message));
      return;
    }
    if (next.done === true) this.#finish(running, next.value);
    else {
      running.ask = next.value;
      this.#submit(running);
    }
  }

  #submit(running: Running): void {
    this.#retryAt = NEVER;
    const ask = running.ask as StoreAsk;
    const id = this.#ops.issue(running, this.#now);
    const op: StoreOp = ask.t === "range" ? { t: "range", id, range: ask.range } : { ...ask, id };
    this.#outputs.push({ t: "op", op });
  }

  #failed(running: Running, code: StoreErrorCode, message: string): void {
    running.lastError = message;
    if (REFUSALS.includes(code)) {
      this.#finish(running, failure(running.addrs, "unavailable", `the store refused: ${message}`));
      return;
    }
    running.unsure = true;
    this.#retryAt = this.#backoff.next(this.#now);
  }

  #timeOut(running: Running): void {
    const { lastError, addrs } = running;
    const what = lastError === "" ? "" : `: ${lastError}`;
    const message = `the store did not answer in time${what}. What was under way may have been done: release the handle and try again`;
    this.#finish(running, failure(addrs, "unavailable", message));
  }

  #finish(running: Running, answer: IpamAnswer): void {
    this.#ops.clear();
    this.#retryAt = NEVER;
    this.#backoff.reset();
    this.#running = undefined;
    this.#outputs.push({ t: "done", request: running.job.id, answer });
    this.#startNext();
  }
}

function runnable(machine: { readonly addrs: readonly Ipv4Addr[]; run(): Steps<IpamAnswer> }): {
  readonly addrs: readonly Ipv4Addr[];
  readonly run: () => Steps<IpamAnswer>;
} {
  return { addrs: machine.addrs, run: () => machine.run() };
}

/** Refuses names that would make other keys than their own. */
function* named(names: readonly string[], run: () => Steps<IpamAnswer>): Steps<IpamAnswer> {
  const bad = names.find((name) => !isName(name));
  if (bad !== undefined) {
    throw new IpamFault(
      "invalid",
      `"${bad}" cannot name a host or a handle: it must have no slash and not be empty`,
    );
  }
  return yield* run();
}

function failure(addrs: readonly Ipv4Addr[], code: IpamError["code"], message: string): IpamAnswer {
  return { addrs: [...addrs], error: { code, message } };
}
