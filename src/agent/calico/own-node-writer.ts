// Keeps the node's own resource as it should be: written when it is not, one write at a time, again when one fails. Once it has been
// there and somebody deletes it, it stays deleted: that is how a node is taken out of a cluster.
import { type Instant, NEVER, SEC_US } from "../../base/time.ts";
import { type OwnNodeFacts, ownNode, sameFacts } from "../../control/calico/own-node.ts";
import type { ResourceOutcome, ResourceRequest } from "../../control/calico/resource-messages.ts";
import type { NodeResource } from "../../control/calico/resources.ts";

const RETRY_US = 1 * SEC_US;

export interface OwnNodeWriterOptions {
  /** Answers the number that `onDone` will name. */
  readonly submit: (request: ResourceRequest, now: Instant) => number;
  readonly log: (level: "warn" | "error", message: string) => void;
}

export class OwnNodeWriter {
  readonly #options: OwnNodeWriterOptions;
  #current: NodeResource | undefined;
  #facts: OwnNodeFacts | undefined;
  #writing: number | undefined;
  #retryAt: Instant = NEVER;
  #wasThere = false;
  /** What {@link isTold} answers, until what it depends on changes. */
  #told: boolean | undefined;

  constructor(options: OwnNodeWriterOptions) {
    this.#options = options;
  }

  /** The resource as the store has it. */
  get current(): NodeResource | undefined {
    return this.#current;
  }

  /** It was there, and somebody has deleted it. */
  get deleted(): boolean {
    return this.#wasThere && this.#current === undefined;
  }

  /** Does the store say of this node what it should? */
  get isTold(): boolean {
    if (this.#facts === undefined || this.#current === undefined) return false;
    this.#told ??= ownNode(this.#current, this.#facts) === undefined;
    return this.#told;
  }

  onUpdate(current: NodeResource | undefined): void {
    this.#current = current;
    this.#told = undefined;
    if (current !== undefined) this.#wasThere = true;
  }

  setFacts(facts: OwnNodeFacts): void {
    if (this.#facts !== undefined && sameFacts(this.#facts, facts)) return;
    this.#facts = facts;
    this.#told = undefined;
  }

  /** Writes if that is due. */
  work(now: Instant): void {
    const facts = this.#facts;
    if (this.#writing !== undefined || (this.#retryAt !== NEVER && now < this.#retryAt)) return;
    this.#retryAt = NEVER;
    if (facts === undefined || this.deleted || this.isTold) return;
    this.#writing = this.#options.submit(
      {
        t: "edit",
        id: { kind: "Node", name: facts.name },
        change: (there) => ownNode(there?.kind === "Node" ? there : undefined, facts),
      },
      now,
    );
  }

  /** Answers false when the request is somebody else's. */
  onDone(request: number, outcome: ResourceOutcome, now: Instant): boolean {
    if (request !== this.#writing) return false;
    this.#writing = undefined;
    if (outcome.t === "written") this.onUpdate(outcome.stored.resource as NodeResource);
    if (outcome.t === "refused") {
      this.#options.log("warn", `the node's resource could not be written: ${outcome.message}`);
      this.#retryAt = now + RETRY_US;
    }
    return true;
  }

  nextDeadline(): Instant {
    return this.#retryAt;
  }
}
