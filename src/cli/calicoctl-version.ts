// `calicoctl version`: this program's, and what the cluster says of itself.
import { packageVersion } from "../io/package-version.ts";
import { reportCluster } from "../lab/ipam-client.ts";
import type { CommandContext } from "./command-context.ts";
import { ExitCode } from "./exit-code.ts";
import { type WhichStore, withStore } from "./with-store.ts";

/** Runs the command. Answers the exit code. */
export function calicoctlVersion(store: WhichStore, cx: CommandContext): Promise<number> {
  cx.terminal.print(`Client Version:    podloom ${packageVersion()}`);
  return withStore(store, cx, async (client) => {
    const { version, clusterType } = await reportCluster(client);
    cx.terminal.print(`Cluster Version:   ${version || "unknown"}`);
    cx.terminal.print(`Cluster Type:      ${clusterType || "unknown"}`);
    return ExitCode.DONE;
  });
}
