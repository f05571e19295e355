// What Calico's CNI plugin asks of the cluster, and is answered. The agent carries it out: IPAM and the writer of resources are its.
import type { IpamAnswer, IpamRequest } from "../../control/calico/ipam/ipam-messages.ts";
import type { WorkloadEndpoint } from "../../control/calico/resources.ts";
import type { PodAnswer } from "../agent-messages.ts";

/** `task` names the pod's present task, and comes back with the answer. */
export type CniOutput =
  | { readonly t: "ipam"; readonly task: number; readonly request: IpamRequest }
  /** Create the endpoint, or replace the one that an earlier life left. */
  | { readonly t: "putEndpoint"; readonly task: number; readonly endpoint: WorkloadEndpoint }
  | { readonly t: "delEndpoint"; readonly task: number; readonly namespace: string; readonly name: string }
  | { readonly t: "putFile"; readonly path: string; readonly text: string }
  | { readonly t: "delFile"; readonly path: string }
  /** Ends a request of `add` or `del`. */
  | ({ readonly t: "done"; readonly request: number } & PodAnswer)
  | { readonly t: "log"; readonly level: "info" | "warn" | "error"; readonly message: string };

export type CniAnswer =
  | { readonly t: "ipam"; readonly task: number; readonly answer: IpamAnswer }
  /** `error` undefined: it is done; a deletion of what was not there is done, too. */
  | { readonly t: "written"; readonly task: number; readonly error: CniWriteError | undefined };

export interface CniWriteError {
  readonly message: string;
  /** It says nothing of the endpoint: the store did not answer, or somebody was faster. */
  readonly passing: boolean;
}
