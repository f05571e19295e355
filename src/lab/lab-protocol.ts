// What the supervisor answers the command line. The framing and the nodes' own verbs are in `io/ipc/protocol.ts`.
import type { InspectNoun } from "../control/inspect.ts";
import type { StoreClient } from "../io/etcd/open-transport.ts";
import type { ExecResult, NodeState, ProbeArgs, ProbeResult } from "../io/ipc/protocol.ts";
import type { MemberRole } from "./lab-member.ts";

/** verb `status`. */
export interface StatusArgs {
  /** Also ask the store which leases it holds. */
  readonly withStore: boolean;
}

/** Where a node process stands. */
export type NodeProcessStatus =
  /** Not spawned yet: the supervisor starts a few at a time. */
  | "waiting"
  | "running"
  /** It ended and will be started again. */
  | "backoff"
  /** It ended and stays ended. */
  | "dead"
  | "stopped";

/** One node, router or announcer in a status. */
export interface NodeStatus {
  readonly name: string;
  readonly role: MemberRole;
  readonly status: NodeProcessStatus;
  readonly pid: number | undefined;
  /** Underlay address, dotted. */
  readonly underlay: string;
  /** What it said of itself last; undefined before that, and when it has no process. */
  readonly state: NodeState | undefined;
  /** Pods that the lab file asks for. */
  readonly pods: readonly string[];
  /** Times it was started again since `up`. */
  readonly restarts: number;
  /** Why its last process ended. */
  readonly lastExit: string | undefined;
  readonly log: string;
}

/** The store in a status. */
export interface StoreStatus {
  readonly kind: "embedded" | "etcd" | "external";
  /** For people: `embedded etcd v3 store at http://127.0.0.1:23790`. */
  readonly text: string;
  /** How this lab's processes and its commands speak to it. */
  readonly client: StoreClient;
  readonly endpoints: readonly string[];
  readonly version: string;
  readonly pid: number | undefined;
}

/** What verb `status` answers. */
export interface LabStatus {
  readonly name: string;
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly socket: string;
  readonly state: string;
  readonly logs: string;
  readonly cni: "flannel" | "calico";
  readonly backend: string;
  readonly network: string;
  readonly etcdPrefix: string;
  readonly store: StoreStatus;
  readonly nodes: readonly NodeStatus[];
  /**
   * Subnets in the store that every node must have, sorted: leases, or Calico's blocks. Undefined when it was not asked or did
   * not answer.
   */
  readonly storeLeases: readonly string[] | undefined;
  /** Calico's blocks that a node may have a route to, or not. */
  readonly storeOptional: readonly string[];
}

/** verb `get` of the supervisor: rows of all nodes, or of one. */
export interface LabGetArgs {
  readonly noun: InspectNoun;
  readonly node?: string;
}

/** Its answer. `missing` names nodes that could not be asked. */
export interface LabGetResult {
  readonly rows: readonly unknown[];
  readonly missing: readonly { readonly node: string; readonly why: string }[];
}

/** verb `exec` of the supervisor: streams chunks, answers an {@link ExecResult}. */
export interface LabExecArgs {
  readonly target:
    | { readonly t: "pod"; readonly pod: string }
    | { readonly t: "node"; readonly node: string };
  readonly argv: readonly string[];
}

/** verb `down`: answers when every node has ended; then the supervisor ends, and the connection with it. */
export interface DownResult {
  /** Processes that did not end in time and were killed. */
  readonly killed: readonly string[];
  /** The store, which is somebody else's, did not answer: nobody could give the leases back, and they will end by themselves. */
  readonly leasesStay?: true;
}

/** The supervisor's verbs. */
export interface LabVerbs {
  readonly status: { readonly args: StatusArgs; readonly value: LabStatus };
  readonly get: { readonly args: LabGetArgs; readonly value: LabGetResult };
  readonly exec: { readonly args: LabExecArgs; readonly value: ExecResult };
  readonly probe: { readonly args: ProbeArgs; readonly value: readonly ProbeResult[] };
  readonly down: { readonly args: Record<string, never>; readonly value: DownResult };
}

/** What a supervisor tells whoever started it. */
export type SupervisorEvent =
  /** A dead supervisor's lab of the same name was cleaned up. */
  | { readonly t: "tookOver"; readonly pid: number; readonly killed: number }
  | { readonly t: "store"; readonly store: StoreStatus }
  | { readonly t: "storeEnded"; readonly cause: string }
  | { readonly t: "storeBack" }
  | {
      readonly t: "nodeStarted";
      readonly name: string;
      readonly pid: number;
      readonly running: number;
      readonly nodes: number;
    }
  | { readonly t: "nodeReady"; readonly name: string; readonly ready: number; readonly nodes: number }
  | {
      readonly t: "nodeEnded";
      readonly name: string;
      readonly cause: string;
      readonly restartInMs: number | undefined;
      readonly why: string;
    }
  | { readonly t: "stopping" }
  | ({ readonly t: "stopped" } & DownResult)
  /** The lab cannot run; it is being stopped. */
  | {
      readonly t: "failed";
      readonly code: string;
      readonly message: string;
      readonly remedy: string | undefined;
    };
