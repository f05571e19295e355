// `calicoctl datastore migrate lock|unlock`.
import { lockDatastore } from "../lab/ipam-client.ts";
import type { CommandContext } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import { type WhichStore, withStore } from "./with-store.ts";

/** Runs the command. Answers the exit code. */
export function datastoreLock(locked: boolean, store: WhichStore, cx: CommandContext): Promise<number> {
  return withStore(store, cx, async (client) => {
    await lockDatastore(client, locked);
    cx.terminal.print(locked ? "Datastore locked." : "Datastore unlocked.");
    return ExitCode.DONE;
  });
}
