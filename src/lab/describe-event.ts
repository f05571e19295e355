import { unreachable } from "../base/assert.ts";
import type { SupervisorEvent } from "./lab-protocol.ts";
import { describeEnd } from "./restart-policy.ts";

/** An event as a line for people: in the supervisor's log and beside the progress of `up`. */
export function describeEvent(event: SupervisorEvent): string {
  switch (event.t) {
    case "tookOver": {
      const killed = event.killed === 0 ? "" : `; ${event.killed} of its processes had to be killed`;
      return `cleaned up after the supervisor ${event.pid}, which was killed${killed}`;
    }
    case "store":
      return `store: ${event.store.text}`;
    case "storeEnded":
      return `the store ${describeEnd(event.cause)}; it is being started again`;
    case "storeBack":
      return "the store is back";
    case "nodeStarted":
      return `node ${event.name} is process ${event.pid}; ${event.running} of ${event.nodes} run`;
    case "nodeReady":
      return `node ${event.name} is ready; ${event.ready} of ${event.nodes} are`;
    case "nodeEnded": {
      const then =
        event.restartInMs === undefined ? `stays down: ${event.why}` : `restarts in ${event.restartInMs} ms`;
      return `node ${event.name} ${describeEnd(event.cause)}; ${then}`;
    }
    case "stopping":
      return "stopping: nodes leave, then the store";
    case "stopped":
      return event.killed.length === 0
        ? "everything has ended"
        : `everything has ended; killed: ${event.killed.join(", ")}`;
    case "failed":
      return event.message;
    default:
      return unreachable(event);
  }
}
