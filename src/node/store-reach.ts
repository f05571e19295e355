// Since when the store does not answer: what a node says of it, in its log and to whoever asks. Whether it is lost the agent
// decides, by its watches; when it was last heard only the driver sees.
import type { StoreEvent } from "../control/datastore/messages.ts";
import type { StoreStatus } from "../control/datastore/reflector.ts";
import type { Logger } from "../io/logger.ts";

export class StoreReach {
  readonly #logger: Pick<Logger, "log">;
  #heardAtMs = Date.now();
  #away = false;

  constructor(logger: Pick<Logger, "log">) {
    this.#logger = logger;
  }

  /** When the store was last heard, as ISO 8601 has it; undefined while it answers. */
  get awaySince(): string | undefined {
    return this.#away ? new Date(this.#heardAtMs).toISOString() : undefined;
  }

  /** Something came of what was asked. Refusals are answers too; not so what only tells that nothing came. */
  note(event: StoreEvent): void {
    const silent =
      event.t === "slept" ||
      event.t === "watchBroken" ||
      (event.t === "opFailed" && (event.code === "unavailable" || event.code === "timeout"));
    // What it answers before its watches stand is no end of an outage, which is told with its beginning.
    if (!silent && !this.#away) this.#heardAtMs = Date.now();
  }

  /** The agent's judgement, at each change of its state. */
  judge(status: StoreStatus): void {
    if (status === "Disconnected" && !this.#away) {
      this.#away = true;
      const since = this.awaySince ?? "";
      const what = "the store does not answer: trying again; what is installed goes on forwarding";
      this.#logger.log("warn", "node", "store-away", what, { since });
    } else if (status === "Synced" && this.#away) {
      this.#away = false;
      const awaySec = Math.round((Date.now() - this.#heardAtMs) / 100) / 10;
      this.#heardAtMs = Date.now();
      this.#logger.log("info", "node", "store-back", `the store answers again, after ${awaySec} s`, {
        awaySec,
      });
    }
  }
}
