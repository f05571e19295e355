// Calico's CNI plugin: an address from IPAM, the endpoint in the store, the pod on the node, in this order; and back in the other. An
// engine: add() and del() ask, poll() says what is to be done, handle() takes the answers, tick() tries again what has failed.
// Specs on Calico §1.4, §2.1.
import { formatTimestamp } from "../../base/civil-date.ts";
import { formatIpv4, type Ipv4Addr } from "../../base/ipv4-addr.ts";
import { formatMac, type MacAddr, randomMac } from "../../base/mac-addr.ts";
import { err, type Result } from "../../base/result.ts";
import type { Rng } from "../../base/rng.ts";
import { type Instant, NEVER, SEC_US } from "../../base/time.ts";
import { caliDeviceName } from "../../control/calico/device-names.ts";
import type { IpamAnswer } from "../../control/calico/ipam/ipam-messages.ts";
import type { WorkloadEndpoint } from "../../control/calico/resources.ts";
import { Backoff } from "../../control/datastore/backoff.ts";
import type { PodRow } from "../../control/inspect.ts";
import type { PodSpec } from "../agent-messages.ts";
import type { CniAnswer, CniOutput } from "./cni-messages.ts";
import type { EndpointManager } from "./felix/endpoint-manager.ts";
import { emitPodRecord, type PodRecord, podRecordPath, readPodRecords } from "./pod-record.ts";

const POD_NAME = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;
const NAMESPACE = "default";
const CONTAINER_ID_WORDS = 8;
/** Between attempts to give back what a pod held, in microseconds: at first, at last. */
const RETRY_FIRST_US = 1 * SEC_US;
const RETRY_LAST_US = 30 * SEC_US;

/** What is being done for a pod. */
type Step = "assigning" | "writing" | "undoing" | "deletingEndpoint" | "releasing" | "waiting";

interface Task {
  readonly id: number;
  readonly pod: string;
  readonly namespace: string;
  readonly containerId: string;
  readonly mac: MacAddr;
  /** Who is to be answered; undefined: nobody any more. */
  request: number | undefined;
  step: Step;
  addr: Ipv4Addr;
  /** Why the pod is not attached after all. */
  failure: string | undefined;
  /** The pod as it was, for the answer to `del`. */
  row: PodRow | undefined;
  readonly backoff: Backoff;
  retryAt: Instant;
}

export interface CniPluginOptions {
  readonly node: string;
  readonly rng: Rng;
  readonly endpoints: EndpointManager;
  readonly files: ReadonlyMap<string, string>;
  /** MTU that a pod gets now. */
  readonly podMtuBytes: () => number;
  /** Milliseconds since 1970: the attributes of an address tell them. */
  readonly wallMs: (now: Instant) => number;
}

export class CniPlugin {
  readonly #options: CniPluginOptions;
  readonly #records = new Map<string, PodRecord>();
  readonly #tasks = new Map<number, Task>();
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
        this.#release(record, undefined, undefined);
        continue;
      }
      const added = this.#options.endpoints.add(record, this.#options.podMtuBytes(), now);
      if (!added.ok) this.#log("error", `pod ${record.pod} cannot be put back: ${added.error}`);
    }
  }

  /** CNI ADD. */
  add(request: number, spec: PodSpec, now: Instant): void {
    const { name: pod, ip, namespace = NAMESPACE } = spec;
    const refused = this.#refusal(pod, namespace);
    if (refused !== undefined) {
      this.#outputs.push({ t: "done", request, result: err(refused) });
      return;
    }
    const containerId = this.#containerId();
    const task = this.#newTask(pod, namespace, containerId, request, "assigning");
    const common = {
      host: this.#options.node,
      handle: handleOf(containerId),
      attributes: {
        namespace,
        node: this.#options.node,
        pod,
        timestamp: formatTimestamp(this.#options.wallMs(now)),
      },
    };
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
    this.#release(going, request, row);
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
      this.#delEndpoint(task);
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

  #refusal(pod: string, namespace: string): string | undefined {
    const rule = 'use 1 to 63 of a-z, 0-9, "-" and ".", not "-" or "." at the ends';
    if (!POD_NAME.test(pod)) return `"${pod}" is not a pod name: ${rule}`;
    if (!POD_NAME.test(namespace)) return `"${namespace}" is not a namespace: ${rule}`;
    const busy = [...this.#tasks.values()].some((task) => task.pod === pod);
    if (this.#records.has(pod) || busy) return `pod "${pod}" exists already`;
    return undefined;
  }

  #onIpam(task: Task, { addrs, error }: IpamAnswer, now: Instant): void {
    if (task.step === "assigning") {
      const [addr] = addrs;
      if (addr === undefined) {
        this.#end(task, err(error?.message ?? "IPAM gave no address"));
        return;
      }
      task.addr = addr;
      task.step = "writing";
      this.#outputs.push({ t: "putEndpoint", task: task.id, endpoint: this.#endpointOf(task) });
      return;
    }
    if (error !== undefined) {
      this.#retry(task, `its address: ${error.message}`, now);
      return;
    }
    this.#forget(task);
  }

  #onWritten(task: Task, error: string | undefined, now: Instant): void {
    if (task.step === "writing") {
      if (error === undefined) this.#attach(task, now);
      else this.#undo(task, error);
      return;
    }
    if (error !== undefined) {
      this.#retry(task, `its endpoint: ${error}`, now);
      return;
    }
    task.step = task.failure === undefined ? "releasing" : "undoing";
    const request = { t: "releaseByHandle", handle: handleOf(task.containerId) } as const;
    this.#outputs.push({ t: "ipam", task: task.id, request });
  }

  #attach(task: Task, now: Instant): void {
    const { pod, namespace, containerId, addr, mac } = task;
    const record: PodRecord = { pod, namespace, containerId, addr, mac, deleting: false };
    const added = this.#options.endpoints.add(record, this.#options.podMtuBytes(), now);
    if (!added.ok) {
      this.#undo(task, added.error);
      return;
    }
    this.#keep(record);
    this.#end(task, added);
  }

  /** Gives back what was taken for a pod that could not be attached. */
  #undo(task: Task, failure: string): void {
    task.failure = failure;
    this.#delEndpoint(task);
  }

  #release(record: PodRecord, request: number | undefined, row: PodRow | undefined): void {
    const { pod, namespace, containerId } = record;
    const task = this.#newTask(pod, namespace, containerId, request, "deletingEndpoint");
    task.row = row;
    this.#delEndpoint(task);
  }

  #delEndpoint(task: Task): void {
    task.step = "deletingEndpoint";
    const { namespace, pod } = task;
    const name = endpointName(this.#options.node, pod);
    this.#outputs.push({ t: "delEndpoint", task: task.id, namespace, name });
  }

  /** It is tried again until it works: an address that nobody gives back is lost to the cluster. */
  #retry(task: Task, why: string, now: Instant): void {
    task.step = "waiting";
    task.retryAt = now + RETRY_FIRST_US + task.backoff.next(0);
    const message = `pod ${task.pod} is gone, but not ${why}`;
    this.#log("warn", message);
    this.#answer(task, err(`${message}; it will be tried again`));
  }

  #forget(task: Task): void {
    const { pod, failure, row } = task;
    if (failure !== undefined) {
      this.#end(task, err(failure));
      return;
    }
    this.#records.delete(pod);
    this.#outputs.push({ t: "delFile", path: podRecordPath(pod) });
    this.#end(task, row === undefined ? err(`pod "${pod}" was not attached`) : { ok: true, value: row });
  }

  #end(task: Task, result: Result<PodRow, string>): void {
    this.#tasks.delete(task.id);
    this.#answer(task, result);
  }

  #answer(task: Task, result: Result<PodRow, string>): void {
    if (task.request === undefined) return;
    this.#outputs.push({ t: "done", request: task.request, result });
    task.request = undefined;
  }

  #keep(record: PodRecord): void {
    this.#records.set(record.pod, record);
    this.#outputs.push({ t: "putFile", path: podRecordPath(record.pod), text: emitPodRecord(record) });
  }

  #newTask(
    pod: string,
    namespace: string,
    containerId: string,
    request: number | undefined,
    step: Step,
  ): Task {
    const id = ++this.#lastTask;
    const backoff = new Backoff(this.#options.rng, RETRY_FIRST_US, RETRY_LAST_US);
    const task: Task = {
      id,
      pod,
      namespace,
      containerId,
      mac: randomMac(this.#options.rng),
      request,
      step,
      addr: 0,
      failure: undefined,
      row: undefined,
      backoff,
      retryAt: NEVER,
    };
    this.#tasks.set(id, task);
    return task;
  }

  #endpointOf({ pod, namespace, containerId, addr, mac }: Task): WorkloadEndpoint {
    const { node } = this.#options;
    return {
      kind: "WorkloadEndpoint",
      apiVersion: "projectcalico.org/v3",
      metadata: {
        name: endpointName(node, pod),
        namespace,
        labels: {
          "projectcalico.org/namespace": namespace,
          "projectcalico.org/orchestrator": "k8s",
          "projectcalico.org/serviceaccount": "default",
        },
      },
      spec: {
        orchestrator: "k8s",
        node,
        pod,
        containerID: containerId,
        endpoint: "eth0",
        interfaceName: caliDeviceName(namespace, pod),
        mac: formatMac(mac),
        ipNetworks: [`${formatIpv4(addr)}/32`],
        profiles: [`kns.${namespace}`, `ksa.${namespace}.default`],
        serviceAccountName: "default",
      },
    };
  }

  #containerId(): string {
    const words = Array.from({ length: CONTAINER_ID_WORDS }, () => this.#options.rng.u32());
    return words.map((word) => word.toString(16).padStart(8, "0")).join("");
  }

  #log(level: "info" | "warn" | "error", message: string): void {
    this.#outputs.push({ t: "log", level, message });
  }
}

function handleOf(containerId: string): string {
  return `k8s-pod-network.${containerId}`;
}

/** A dash inside a part is doubled, so that the parts can be told apart. */
function endpointName(node: string, pod: string): string {
  return [node, "k8s", pod, "eth0"].map((part) => part.replaceAll("-", "--")).join("-");
}
