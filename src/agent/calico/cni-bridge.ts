// Between the CNI plugin and the store: what the plugin asks of IPAM and of the writer of resources goes there, and the answers find
// back to the task that asked.
import type { Instant } from "../../base/time.ts";
import type { IpamAnswer, IpamRequest } from "../../control/calico/ipam/ipam-messages.ts";
import type { ResourceOutcome, ResourceRequest } from "../../control/calico/resource-messages.ts";
import type { CniOutput, CniWriteError } from "./cni-messages.ts";
import type { CniPlugin } from "./cni-plugin.ts";

/** Where requests go. Each answers the number that its answer will name. */
export interface CniStore {
  readonly request: (request: IpamRequest, now: Instant) => number;
  readonly submit: (request: ResourceRequest, now: Instant) => number;
}

/** What is not the store's to answer. */
export type CniEffect = Exclude<CniOutput, { readonly t: "ipam" | "putEndpoint" | "delEndpoint" }>;

export class CniBridge {
  readonly #plugin: CniPlugin;
  readonly #store: CniStore;
  /** Requests that are the plugin's, by number: the plugin's own task. */
  readonly #ipam = new Map<number, number>();
  readonly #writes = new Map<number, number>();

  constructor(plugin: CniPlugin, store: CniStore) {
    this.#plugin = plugin;
    this.#store = store;
  }

  /** Answers false when the request is somebody else's. */
  onIpam(request: number, answer: IpamAnswer, now: Instant): boolean {
    const task = this.#ipam.get(request);
    if (task === undefined) return false;
    this.#ipam.delete(request);
    this.#plugin.handle({ t: "ipam", task, answer }, now);
    return true;
  }

  /** Answers false when the request is somebody else's. */
  onWritten(request: number, outcome: ResourceOutcome, now: Instant): boolean {
    const task = this.#writes.get(request);
    if (task === undefined) return false;
    this.#writes.delete(request);
    this.#plugin.handle({ t: "written", task, error: writeError(outcome) }, now);
    return true;
  }

  /** What the plugin wants next that the store does not do; what the store does has been asked of it. */
  poll(now: Instant): CniEffect | undefined {
    for (let output = this.#plugin.poll(); output !== undefined; output = this.#plugin.poll()) {
      if (output.t === "ipam") {
        this.#ipam.set(this.#store.request(output.request, now), output.task);
      } else if (output.t === "putEndpoint") {
        this.#writes.set(this.#store.submit({ t: "apply", resource: output.endpoint }, now), output.task);
      } else if (output.t === "delEndpoint") {
        const id = { kind: "WorkloadEndpoint", namespace: output.namespace, name: output.name } as const;
        this.#writes.set(this.#store.submit({ t: "delete", id }, now), output.task);
      } else return output;
    }
    return undefined;
  }
}

/** What is not there need not be deleted. */
function writeError(outcome: ResourceOutcome): CniWriteError | undefined {
  if (outcome.t !== "refused" || outcome.code === "doesNotExist") return undefined;
  const { code, message } = outcome;
  return { message, passing: code === "unavailable" || code === "updateConflict" };
}
