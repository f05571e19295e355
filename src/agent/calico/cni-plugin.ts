// Calico's CNI plugin: an address from IPAM, the endpoint in the store, the pod on the node, in this order; and back in the other. An
// engine: add() and del() ask, poll() says what is to be done, handle() takes the answers, tick() tries again what has failed.
// Specs on Calico §1.4, §2.1.
import { formatTimestamp } from "../../base/civil-date.ts";
import { formatIpv4, type Ipv4Addr } from "../../base/ipv4-addr.ts";
import { randomMac } from "../../base/mac-addr.ts";
import { err, type Result } from "../../base/result.ts";
import type { Rng } from "../../base/rng.ts";
import { type Instant, NEVER, SEC_US } from "../../base/time.ts";
import type { IpamAnswer } from "../../control/calico/ipam/ipam-messages.ts";
import { Backoff } from "../../control/datastore/backoff.ts";
import type { PodRow } from "../../control/inspect.ts";
import type { PodSpec } from "../agent-messages.ts";
import type { CniAnswer, CniOutput, CniWriteError } from "./cni-messages.ts";
import type { CniStep, CniTask } from "./cni-task.ts";
import type { EndpointManager } from "./felix/endpoint-manager.ts";
import { podEndpoint, podEndpointName, podHandle } from "./pod-endpoint.ts";
import { emitPodRecord, type PodRecord, podRecordPath, readPodRecords } from "./pod-record.ts";

const POD_NAME = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;
const NAMESPACE = "default";
const CONTAINER_ID_WORDS = 8;
/** Between attempts to give back what a pod held, in microseconds: at first, at last. */
const RETRY_FIRST_US = 1 * SEC_US;
const RETRY_LAST_US = 30 * SEC_US;

/** Faults of IPAM that do not say anything of the address. */
const PASSING: ReadonlySet<string> = new Set(["unavailable", "conflict"]);

export interface CniPluginOptions {
  readonly node: string;
  readonly rng: Rng;
  readonly endpoints: EndpointManager;
  readonly files: ReadonlyMap<string, string>;
  /** MTU that a pod gets now. */
  readonly podMtuBytes: () => number;
  /** Does the address's block say that this handle has it? */
  readonly holds: (addr: Ipv4Addr, handle: string) => boolean;
  /** Milliseconds since 1970: the attributes of an address tell them. */
  readonly wallMs: (now: Instant) => number;
}

export class CniPlugin {
  readonly #options: CniPluginOptions;
  readonly #records = new Map<string, PodRecord>();
  readonly #tasks = new Map<number, CniTask>();
  /** Put back, and not known yet to have kept its address. */
  readonly #unconfirmed = new Set<string>();
  /** Those that an earlier life did not end with. */
  readonly #leftovers = new Set<string>();
  /** Asked for while a leftover of the same name is going. */
  readonly #queued = new Map<string, { readonly request: number; readonly spec: PodSpec }>();
  #outputs: CniOutput[] = [];
  #lastTask = 0;

  constructor(options: CniPluginOptions) {
    this.#options = options;
    for (const record of readPodRecords(options.files)) this.#records.set(record.pod, record);
  }

  /** Pods that are kept, attached or going. */
  records(): Iterable<PodRecord> {
    return this.#records.values();
  }

  /** Puts the pods of an earlier life back at once, with their addresses: a node's forwarding does not wait for the store. */
  restore(now: Instant): void {
    for (const record of this.#records.values()) {
      if (record.deleting) {
        this.#leftovers.add(record.pod);
        this.#release(record, undefined, undefined);
        continue;
      }
      const added = this.#options.endpoints.add(record, this.#options.podMtuBytes(), now);
      if (!added.ok) this.#log("error", `pod ${record.pod} cannot be put back: ${added.error}`);
      else this.#unconfirmed.add(record.pod);
    }
  }

  /**
   * The store is known: pods that were put back get their addresses confirmed. Somebody may have given them back meanwhile, with the
   * node that was deleted; a pod whose address another one has gets a new one.
   */
  confirm(now: Instant): void {
    for (const pod of this.#unconfirmed) {
      const record = this.#records.get(pod);
      if (record === undefined || record.deleting) continue;
      const { namespace, containerId, addr, mac } = record;
      const task = this.#newTask(pod, namespace, containerId, undefined, "reclaiming");
      Object.assign(task, { addr, mac });
      this.#reclaim(task, now);
    }
    this.#unconfirmed.clear();
  }

  /** CNI ADD. */
  add(request: number, spec: PodSpec, now: Instant): void {
    const { name: pod, namespace = NAMESPACE } = spec;
    if ((this.#leftovers.has(pod) || this.#isUndone(pod)) && !this.#queued.has(pod)) {
      this.#queued.set(pod, { request, spec });
      return;
    }
    const refused = this.#refusal(pod, namespace);
    if (refused === undefined) this.#assign(request, spec, now);
    else this.#outputs.push({ t: "done", request, result: err(refused) });
  }

  #assign(request: number | undefined, spec: PodSpec, now: Instant): void {
    const { name: pod, ip, namespace = NAMESPACE } = spec;
    const containerId = this.#containerId();
    const task = this.#newTask(pod, namespace, containerId, request, "assigning");
    // Who dies before the pod is there gives back what it was given: the record says by which handle.
    this.#write({ pod, namespace, containerId, addr: 0, mac: task.mac, deleting: true });
    const common = this.#owner(task, now);
    this.#outputs.push({
      t: "ipam",
      task: task.id,
      request:
        ip === undefined
          ? { t: "autoAssign", ...common, count: 1, use: "Workload", namespace }
          : { t: "assignIp", ...common, addr: ip },
    });
  }

  /** CNI DEL. The pod is off the node at once; the answer comes when what it held is given back. */
  del(request: number, pod: string, now: Instant): void {
    const record = this.#records.get(pod);
    if (record === undefined || record.deleting) {
      const result = err(`no pod "${pod}" on node "${this.#options.node}"`);
      this.#outputs.push({ t: "done", request, result });
      return;
    }
    const row = this.#options.endpoints.rows().find((one) => one.name === pod);
    this.#options.endpoints.del(pod, now);
    const going = { ...record, deleting: true };
    this.#keep(going);
    const task = [...this.#tasks.values()].find((one) => one.pod === pod);
    if (task === undefined) {
      this.#release(going, request, row);
      return;
    }
    // Its address is being confirmed: when that is answered, or at once if it waits for another try.
    Object.assign(task, { request, row });
    if (task.retryAt !== NEVER) task.retryAt = now;
  }

  /** An answer to what was asked. */
  handle(input: CniAnswer, now: Instant): void {
    const task = this.#tasks.get(input.task);
    if (task === undefined) return;
    if (input.t === "ipam") this.#onIpam(task, input.answer, now);
    else this.#onWritten(task, input.error, now);
  }

  tick(now: Instant): void {
    for (const task of this.#tasks.values()) {
      if (task.retryAt > now) continue;
      task.retryAt = NEVER;
      if (task.step === "reclaiming") this.#reclaim(task, now);
      else this.#delEndpoint(task);
    }
  }

  poll(): CniOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    let at = NEVER;
    for (const task of this.#tasks.values()) at = Math.min(at, task.retryAt);
    return at;
  }

  /** Whose an address is, in IPAM's words. */
  #owner({ pod, namespace, containerId }: CniTask, now: Instant) {
    const { node, wallMs } = this.#options;
    return {
      host: node,
      handle: podHandle(containerId),
      attributes: { namespace, node, pod, timestamp: formatTimestamp(wallMs(now)) },
    };
  }

  #reclaim(task: CniTask, now: Instant): void {
    if (this.#records.get(task.pod)?.deleting === true) {
      this.#delEndpoint(task);
      return;
    }
    if (this.#options.holds(task.addr, podHandle(task.containerId))) {
      task.step = "rewriting";
      this.#outputs.push({
        t: "putEndpoint",
        task: task.id,
        endpoint: podEndpoint(this.#options.node, task),
      });
      return;
    }
    task.step = "reclaiming";
    const request = { t: "assignIp", ...this.#owner(task, now), addr: task.addr } as const;
    this.#outputs.push({ t: "ipam", task: task.id, request });
  }

  #onReclaimed(task: CniTask, { error }: IpamAnswer, now: Instant): void {
    if (this.#records.get(task.pod)?.deleting === true) {
      this.#delEndpoint(task);
      return;
    }
    if (error === undefined) {
      task.step = "rewriting";
      this.#outputs.push({
        t: "putEndpoint",
        task: task.id,
        endpoint: podEndpoint(this.#options.node, task),
      });
      return;
    }
    if (PASSING.has(error.code)) {
      this.#reclaimLater(task, error.message, now);
      return;
    }
    const { pod, namespace, addr } = task;
    this.#log("warn", `pod ${pod} gets another address, for ${formatIpv4(addr)} is lost: ${error.message}`);
    this.#options.endpoints.del(pod, now);
    this.#records.delete(pod);
    this.#tasks.delete(task.id);
    this.#assign(undefined, { name: pod, ip: undefined, namespace }, now);
  }

  #reclaimLater(task: CniTask, why: string, now: Instant): void {
    task.step = "reclaiming";
    task.retryAt = now + RETRY_FIRST_US + task.backoff.next(0);
    this.#log("warn", `pod ${task.pod} is not confirmed: ${why}; it will be tried again`);
  }

  #refusal(pod: string, namespace: string): string | undefined {
    const rule = 'use 1 to 63 of a-z, 0-9, "-" and ".", not "-" or "." at the ends';
    if (!POD_NAME.test(pod)) return `"${pod}" is not a pod name: ${rule}`;
    if (!POD_NAME.test(namespace)) return `"${namespace}" is not a namespace: ${rule}`;
    const busy = [...this.#tasks.values()].some((task) => task.pod === pod);
    if (this.#records.has(pod) || busy) return `pod "${pod}" exists already`;
    return undefined;
  }

  #onIpam(task: CniTask, answer: IpamAnswer, now: Instant): void {
    const { addrs, error } = answer;
    if (task.step === "reclaiming") {
      this.#onReclaimed(task, answer, now);
      return;
    }
    if (task.step === "assigning") {
      const [addr] = addrs;
      if (error !== undefined && PASSING.has(error.code)) {
        // Nobody knows whether an address was given: what the handle has is given back.
        this.#undo(task, { message: error.message, passing: true });
        return;
      }
      if (addr === undefined) {
        this.#outputs.push({ t: "delFile", path: podRecordPath(task.pod) });
        this.#end(task, err(error?.message ?? "IPAM gave no address"));
        return;
      }
      task.addr = addr;
      task.step = "writing";
      this.#outputs.push({
        t: "putEndpoint",
        task: task.id,
        endpoint: podEndpoint(this.#options.node, task),
      });
      return;
    }
    if (error !== undefined) {
      this.#retry(task, `its address: ${error.message}`, now);
      return;
    }
    this.#forget(task, now);
  }

  #onWritten(task: CniTask, error: CniWriteError | undefined, now: Instant): void {
    if (task.step === "writing") {
      if (error === undefined) this.#attach(task, now);
      else this.#undo(task, error);
      return;
    }
    if (task.step === "rewriting") {
      if (this.#records.get(task.pod)?.deleting === true) this.#delEndpoint(task);
      else if (error === undefined) this.#tasks.delete(task.id);
      else this.#reclaimLater(task, error.message, now);
      return;
    }
    if (error !== undefined) {
      this.#retry(task, `its endpoint: ${error.message}`, now);
      return;
    }
    task.step = task.failure === undefined ? "releasing" : "undoing";
    const request = { t: "releaseByHandle", handle: podHandle(task.containerId) } as const;
    this.#outputs.push({ t: "ipam", task: task.id, request });
  }

  #attach(task: CniTask, now: Instant): void {
    const { pod, namespace, containerId, addr, mac } = task;
    const record: PodRecord = { pod, namespace, containerId, addr, mac, deleting: false };
    const added = this.#options.endpoints.add(record, this.#options.podMtuBytes(), now);
    if (!added.ok) {
      this.#undo(task, { message: added.error, passing: false });
      return;
    }
    this.#keep(record);
    this.#end(task, added);
  }

  /** Gives back what was taken for a pod that could not be attached. */
  #undo(task: CniTask, { message, passing }: CniWriteError): void {
    task.failure = message;
    task.passing = passing;
    this.#delEndpoint(task);
  }

  /** Is what was taken for an attempt at it being given back? */
  #isUndone(pod: string): boolean {
    return [...this.#tasks.values()].some((task) => task.pod === pod && task.failure !== undefined);
  }

  #release(record: PodRecord, request: number | undefined, row: PodRow | undefined): void {
    const { pod, namespace, containerId } = record;
    const task = this.#newTask(pod, namespace, containerId, request, "deletingEndpoint");
    task.row = row;
    this.#delEndpoint(task);
  }

  #delEndpoint(task: CniTask): void {
    task.step = "deletingEndpoint";
    const { namespace, pod } = task;
    const name = podEndpointName(this.#options.node, pod);
    this.#outputs.push({ t: "delEndpoint", task: task.id, namespace, name });
  }

  /** It is tried again until it works: an address that nobody gives back is lost to the cluster. */
  #retry(task: CniTask, why: string, now: Instant): void {
    task.step = "waiting";
    task.retryAt = now + RETRY_FIRST_US + task.backoff.next(0);
    const message = `pod ${task.pod} is gone, but not ${why}`;
    this.#log("warn", message);
    // Who wanted the pod attached learns why it is not.
    this.#answer(task, err(task.failure ?? `${message}; it will be tried again`));
  }

  #forget(task: CniTask, now: Instant): void {
    const { pod, failure, row } = task;
    this.#outputs.push({ t: "delFile", path: podRecordPath(pod) });
    this.#records.delete(pod);
    if (failure !== undefined) this.#end(task, err(failure));
    else this.#end(task, row === undefined ? err(`pod "${pod}" was not attached`) : { ok: true, value: row });
    this.#leftovers.delete(pod);
    const queued = this.#queued.get(pod);
    if (queued === undefined) return;
    this.#queued.delete(pod);
    this.add(queued.request, queued.spec, now);
  }

  #end(task: CniTask, result: Result<PodRow, string>): void {
    this.#tasks.delete(task.id);
    this.#answer(task, result);
  }

  #answer(task: CniTask, result: Result<PodRow, string>): void {
    if (task.request === undefined) {
      if (!result.ok && task.step === "assigning") this.#log("error", `pod ${task.pod}: ${result.error}`);
      return;
    }
    const { request, passing } = task;
    this.#outputs.push({ t: "done", request, result, ...(passing ? { passing } : {}) });
    task.request = undefined;
  }

  #keep(record: PodRecord): void {
    this.#records.set(record.pod, record);
    this.#write(record);
  }

  #write(record: PodRecord): void {
    this.#outputs.push({ t: "putFile", path: podRecordPath(record.pod), text: emitPodRecord(record) });
  }

  #newTask(
    pod: string,
    namespace: string,
    containerId: string,
    request: number | undefined,
    step: CniStep,
  ): CniTask {
    const id = ++this.#lastTask;
    const backoff = new Backoff(this.#options.rng, RETRY_FIRST_US, RETRY_LAST_US);
    const task: CniTask = {
      id,
      pod,
      namespace,
      containerId,
      mac: randomMac(this.#options.rng),
      request,
      step,
      addr: 0,
      failure: undefined,
      passing: false,
      row: undefined,
      backoff,
      retryAt: NEVER,
    };
    this.#tasks.set(id, task);
    return task;
  }

  #containerId(): string {
    const words = Array.from({ length: CONTAINER_ID_WORDS }, () => this.#options.rng.u32());
    return words.map((word) => word.toString(16).padStart(8, "0")).join("");
  }

  #log(level: "info" | "warn" | "error", message: string): void {
    this.#outputs.push({ t: "log", level, message });
  }
}
