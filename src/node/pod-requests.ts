// Requests for pods that an agent has not answered yet.
import type { PodAnswer } from "../agent/agent-messages.ts";

export class PodRequests {
  /** Who waits for a pod to be attached or taken away, by the number of the request. */
  readonly #waiting = new Map<number, (answer: PodAnswer) => void>();
  #last = 0;

  /** Makes a request by `ask`, which is given its number. Never rejects; a node that ends leaves it unanswered. */
  make(ask: (request: number) => void): Promise<PodAnswer> {
    const request = ++this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(request, resolve);
      ask(request);
    });
  }

  /** The agent has answered. */
  settle(request: number, answer: PodAnswer): void {
    this.#waiting.get(request)?.(answer);
    this.#waiting.delete(request);
  }
}
