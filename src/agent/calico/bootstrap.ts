// What calico-node's startup does for an empty cluster: the first node that comes writes the documents that every one needs. Several
// may try at once; whoever is second finds them there.
import type { Rng } from "../../base/rng.ts";
import { type Instant, NEVER, SEC_US } from "../../base/time.ts";
import type { CalicoUpdate } from "../../control/calico/calico-updates.ts";
import {
  defaultClusterInformation,
  defaultFelixConfiguration,
  defaultIpPool,
} from "../../control/calico/cluster-defaults.ts";
import type { ResourceOutcome, ResourceRequest } from "../../control/calico/resource-messages.ts";
import type { CalicoKind, CalicoResource } from "../../control/calico/resources.ts";

const RETRY_US = 1 * SEC_US;
/** What must be there, one of each kind at least. */
const KINDS = ["ClusterInformation", "FelixConfiguration", "IPPool"] as const;
type Needed = (typeof KINDS)[number];

export interface BootstrapOptions {
  readonly rng: Rng;
  /** Answers the number that `onDone` will name. */
  readonly submit: (request: ResourceRequest, now: Instant) => number;
  readonly log: (level: "info" | "warn", message: string) => void;
}

export class Bootstrap {
  readonly #options: BootstrapOptions;
  readonly #there: Readonly<Record<Needed, Set<string>>> = {
    ClusterInformation: new Set(),
    FelixConfiguration: new Set(),
    IPPool: new Set(),
  };
  /** Written, or found to be there: what is deleted later stays deleted. */
  readonly #done = new Set<CalicoKind>();
  readonly #writing = new Map<number, Needed>();
  #retryAt: Instant = NEVER;

  constructor(options: BootstrapOptions) {
    this.#options = options;
  }

  /** Is everything there that every cluster has? */
  get isDone(): boolean {
    return KINDS.every((kind) => this.#done.has(kind));
  }

  onUpdate(update: CalicoUpdate): void {
    if (update.t !== "resource") return;
    const { kind, name, value } = update;
    const there = KINDS.find((one) => one === kind);
    if (there === undefined) return;
    if (value === undefined) this.#there[there].delete(name);
    else this.#there[there].add(name);
  }

  /** Writes what is missing. Call when all is known. */
  work(now: Instant): void {
    if (this.#retryAt !== NEVER && now < this.#retryAt) return;
    this.#retryAt = NEVER;
    const writing = new Set(this.#writing.values());
    for (const kind of KINDS) {
      if (this.#there[kind].size > 0) this.#done.add(kind);
      if (this.#done.has(kind) || writing.has(kind)) continue;
      this.#writing.set(this.#options.submit({ t: "create", resource: this.#document(kind) }, now), kind);
    }
  }

  /** Answers false when the request is somebody else's. */
  onDone(request: number, outcome: ResourceOutcome, now: Instant): boolean {
    const kind = this.#writing.get(request);
    if (kind === undefined) return false;
    this.#writing.delete(request);
    if (outcome.t !== "refused")
      this.#options.log("info", `there was no ${kind}: the default one was written`);
    if (outcome.t !== "refused" || outcome.code === "alreadyExists") {
      this.#done.add(kind);
      return true;
    }
    this.#options.log("warn", `the default ${kind} could not be written: ${outcome.message}`);
    this.#retryAt = now + RETRY_US;
    return true;
  }

  nextDeadline(): Instant {
    return this.#retryAt;
  }

  #document(kind: Needed): CalicoResource {
    switch (kind) {
      case "ClusterInformation":
        return defaultClusterInformation(this.#options.rng);
      case "FelixConfiguration":
        return defaultFelixConfiguration();
      case "IPPool":
        return defaultIpPool();
    }
  }
}
