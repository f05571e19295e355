// One thing that the CNI plugin does for a pod, from its first question to its last answer.
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { MacAddr } from "../../base/mac-addr.ts";
import type { Instant } from "../../base/time.ts";
import type { Backoff } from "../../control/datastore/backoff.ts";
import type { PodRow } from "../../control/inspect.ts";

/** What is being done for a pod. */
export type CniStep =
  | "assigning"
  | "writing"
  | "undoing"
  | "deletingEndpoint"
  | "releasing"
  /** After a restart: the address once more, then the endpoint. */
  | "reclaiming"
  | "rewriting"
  | "waiting";

export interface CniTask {
  readonly id: number;
  readonly pod: string;
  readonly namespace: string;
  readonly containerId: string;
  readonly mac: MacAddr;
  /** Who is to be answered; undefined: nobody any more. */
  request: number | undefined;
  step: CniStep;
  addr: Ipv4Addr;
  /** Why the pod is not attached after all. */
  failure: string | undefined;
  /** That reason is a passing one. */
  passing: boolean;
  /** The pod as it was, for the answer to `del`. */
  row: PodRow | undefined;
  readonly backoff: Backoff;
  retryAt: Instant;
}
