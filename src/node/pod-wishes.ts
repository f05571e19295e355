// The pods that a node is told to have on its command line: attached as soon as there is a subnet, once. What cannot be
// attached stays in the node's state with its reason, so that whoever waits for it learns that waiting is of no use.
import type { Result } from "../base/result.ts";
import type { PodRow } from "../control/inspect.ts";
import type { FailedPod } from "../io/ipc/protocol.ts";
import type { Logger } from "../io/logger.ts";
import type { PodWish } from "./config.ts";

export class PodWishes {
  readonly #logger: Logger;
  readonly #onChanged: () => void;
  #waiting: readonly PodWish[];
  #failed: readonly FailedPod[] = [];

  /** @param onChanged told when {@link failed} has changed */
  constructor(wishes: readonly PodWish[], logger: Logger, onChanged: () => void) {
    this.#logger = logger;
    this.#onChanged = onChanged;
    // Those with a wish of their own come first, before another pod gets their address.
    this.#waiting = [
      ...wishes.filter(({ ip }) => ip !== undefined),
      ...wishes.filter(({ ip }) => ip === undefined),
    ];
  }

  /** Is there anything that has not been tried? */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** What could not be attached. A new array with each change. */
  get failed(): readonly FailedPod[] {
    return this.#failed;
  }

  /** Tries all that wait. */
  attach(add: (wish: PodWish) => Promise<Result<PodRow, string>>): void {
    const wishes = this.#waiting;
    this.#waiting = [];
    for (const wish of wishes) void this.#attach(wish, add);
  }

  async #attach(wish: PodWish, add: (wish: PodWish) => Promise<Result<PodRow, string>>): Promise<void> {
    const added = await add(wish);
    if (added.ok) return;
    const { name } = wish;
    this.#logger.log("error", "node", "pod-add", `--pod ${name}: ${added.error}`);
    this.#failed = [...this.#failed, { name, reason: added.error }];
    this.#onChanged();
  }

  /** The pod has been attached after all, by request. */
  forget(name: string): void {
    if (!this.#failed.some((failed) => failed.name === name)) return;
    this.#failed = this.#failed.filter((failed) => failed.name !== name);
    this.#onChanged();
  }
}
