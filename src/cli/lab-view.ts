// A running lab as the measuring room wants to see it.
import type { PodRow } from "../control/inspect.ts";
import type { LabClient } from "../lab/lab-client.ts";
import type { LabStatus } from "../lab/lab-protocol.ts";
import type { LabView, SubnetUnit } from "../measure/convergence.ts";
import type { PodAddress } from "../measure/reachability.ts";

/** One look at the nodes, and at the store when asked. */
export async function lookAt(client: LabClient, withStore: boolean): Promise<LabView> {
  const status = await client.ask("status", { withStore });
  return {
    nodes: status.nodes.map(({ name, role, state, pods, lastExit, status: process }) => ({
      name,
      listsLeases: role === "node",
      state,
      pods,
      ...(process === "running" ? {} : { reason: lastExit ?? "it waits for its turn to start" }),
    })),
    storeLeases: status.storeLeases,
    storeOptional: status.storeOptional,
    unit: unitOf(status.cni),
  };
}

/** What nodes of such a lab have. */
export function unitOf(cni: LabStatus["cni"]): SubnetUnit {
  return cni === "calico" ? "block" : "lease";
}

/** Pods that have an address, in the order of their nodes, and nodes that could not be asked. */
export interface PodList {
  readonly pods: readonly PodAddress[];
  readonly missing: readonly { readonly node: string; readonly why: string }[];
}

/** Lists the pods. A caller that measures must not pass over `missing`: what is not tried must not look like success. */
export async function listPods(client: LabClient): Promise<PodList> {
  const { rows, missing } = await client.ask("get", { noun: "pods" });
  return { pods: (rows as PodRow[]).map(({ name, node, ip }) => ({ name, node, ip })), missing };
}
