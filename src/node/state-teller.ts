// Tells of the node's state when it has changed, but not more often than its length allows: a state lists every lease, and both ends
// of the connection work through all of it. Of two hundred nodes that start, each sees hundreds of changes.
import type { NodeState } from "../io/ipc/protocol.ts";

/** Between two tellings, for each lease that the state lists. */
const PAUSE_MS_PER_LEASE = 1;

export class StateTeller {
  readonly #read: () => NodeState;
  readonly #tell: (state: NodeState) => void;
  #timer: NodeJS.Timeout | undefined;
  #changed = false;

  constructor(read: () => NodeState, tell: (state: NodeState) => void) {
    this.#read = read;
    this.#tell = tell;
  }

  /** The state has changed: told at once, or when the pause after the last time is over. */
  change(): void {
    this.#changed = true;
    if (this.#timer === undefined) this.#flush();
  }

  /** Nothing waits any longer: what has changed is told now. */
  close(): void {
    if (this.#changed) this.#flush();
    clearTimeout(this.#timer);
  }

  #flush(): void {
    this.#changed = false;
    clearTimeout(this.#timer);
    const state = this.#read();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#changed) this.#flush();
    }, state.leases.length * PAUSE_MS_PER_LEASE);
    this.#tell(state);
  }
}
