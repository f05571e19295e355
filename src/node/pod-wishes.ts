// The pods that a node is told to have on its command line: attached as soon as there is a subnet, and, as a kubelet would, again
// when that failed for a reason that passes. What cannot be attached stays in the node's state with its reason, so that whoever waits
// for it learns that waiting is of no use.
import type { PodAnswer } from "../agent/agent-messages.ts";
import type { Rng } from "../base/rng.ts";
import { SEC_US } from "../base/time.ts";
import { Backoff } from "../control/datastore/backoff.ts";
import type { FailedPod } from "../io/ipc/protocol.ts";
import type { Logger } from "../io/logger.ts";
import type { PodWish } from "./config.ts";

const RETRY_FIRST_US = 1 * SEC_US;
const RETRY_LAST_US = 15 * SEC_US;

export class PodWishes {
  readonly #logger: Logger;
  readonly #rng: Rng;
  readonly #onChanged: () => void;
  #waiting: readonly PodWish[];
  #failed: readonly FailedPod[] = [];
  readonly #pauses = new Set<NodeJS.Timeout>();
  #stopped = false;

  /** @param onChanged told when {@link failed} has changed */
  constructor(wishes: readonly PodWish[], rng: Rng, logger: Logger, onChanged: () => void) {
    this.#logger = logger;
    this.#rng = rng;
    this.#onChanged = onChanged;
    // Those with a wish of their own come first, before another pod gets their address.
    this.#waiting = [
      ...wishes.filter(({ ip }) => ip !== undefined),
      ...wishes.filter(({ ip }) => ip === undefined),
    ];
  }

  /** Is there anything to be tried now? */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** What could not be attached. A new array with each change. */
  get failed(): readonly FailedPod[] {
    return this.#failed;
  }

  /** Tries all that wait. `add` never rejects. */
  attach(add: (wish: PodWish) => Promise<PodAnswer>): void {
    const wishes = this.#waiting;
    this.#waiting = [];
    for (const wish of wishes) {
      void this.#attach(wish, add, new Backoff(this.#rng, RETRY_FIRST_US, RETRY_LAST_US));
    }
  }

  /** The pod has been attached after all, by request. */
  forget(name: string): void {
    if (!this.#failed.some((failed) => failed.name === name)) return;
    this.#failed = this.#failed.filter((failed) => failed.name !== name);
    this.#onChanged();
  }

  /** Tries nothing any more. */
  stop(): void {
    this.#stopped = true;
    for (const pause of this.#pauses) clearTimeout(pause);
  }

  async #attach(wish: PodWish, add: (wish: PodWish) => Promise<PodAnswer>, backoff: Backoff): Promise<void> {
    const { result, passing = false } = await add(wish);
    if (result.ok || this.#stopped) return;
    const { name } = wish;
    if (passing) {
      this.#logger.log("warn", "node", "pod-add", `--pod ${name}: ${result.error}; it will be tried again`);
      const pause = setTimeout(() => {
        this.#pauses.delete(pause);
        void this.#attach(wish, add, backoff);
      }, backoff.next(0) / 1000);
      this.#pauses.add(pause);
      return;
    }
    this.#logger.log("error", "node", "pod-add", `--pod ${name}: ${result.error}`);
    this.#failed = [...this.#failed, { name, reason: result.error }];
    this.#onChanged();
  }
}
