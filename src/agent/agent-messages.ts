// What goes into and comes out of a node agent.
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import type { Result } from "../base/result.ts";
import type { Rng } from "../base/rng.ts";
import type { StoreOp } from "../control/datastore/messages.ts";
import type { PodRow } from "../control/inspect.ts";
import type { StackTrace } from "../stack/net-stack.ts";
import type { PacketPool } from "../stack/packet-pool.ts";

export interface NodeAgentDeps {
  readonly rng: Rng;
  readonly pool?: PacketPool;
  readonly trace?: StackTrace;
}

/** A pod that is to be attached. */
export interface PodSpec {
  readonly name: string;
  /** A particular address; undefined: any. */
  readonly ip: Ipv4Addr | undefined;
  /** Kubernetes' namespace, where the network knows such a thing. */
  readonly namespace?: string | undefined;
}

export type AgentPhase = "starting" | "acquiring" | "ready" | "fenced" | "stopping";

/** What became of a request for a pod. */
export interface PodAnswer {
  readonly result: Result<PodRow, string>;
  /** It failed for a reason that says nothing of the pod: the store did not answer. The same request may be made again. */
  readonly passing?: boolean;
}

export type AgentOutput =
  | { readonly t: "op"; readonly op: StoreOp }
  /** Open a UDP socket on this port of an address of the node's, then call `portOpened` or `portFailed`. */
  | { readonly t: "listen"; readonly local: Ipv4Addr; readonly port: number }
  | { readonly t: "unlisten"; readonly local: Ipv4Addr; readonly port: number }
  /** Open a raw socket for IP protocol 4 on the node's address, then call `rawIpOpened` or `rawIpFailed`. */
  | { readonly t: "openRawIp" }
  /** Open a raw socket for ICMP errors on the node's address, then call `rawIcmpOpened` or `rawIcmpFailed`. */
  | { readonly t: "openRawIcmp" }
  /** Drive the agent's speaker from now on, with neighbours calling at this port; the one before, if there was one, has ended. */
  | { readonly t: "bgpStart"; readonly port: number }
  /** The speaker has been changed and may have something to say. */
  | { readonly t: "bgpTurn" }
  /** End the speaker, telling the neighbours unless `silent`. */
  | { readonly t: "bgpStop"; readonly silent: boolean }
  /** Ends a request of `podAdd` or `podDel`: the pod as it is, or was; or why not. */
  | ({ readonly t: "podDone"; readonly request: number } & PodAnswer)
  | { readonly t: "putFile"; readonly path: string; readonly text: string }
  | { readonly t: "delFile"; readonly path: string }
  /** Something that `state()` shows has changed. */
  | { readonly t: "state" }
  | {
      readonly t: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly event: string;
      readonly message: string;
      readonly fields?: Readonly<Record<string, unknown>>;
    }
  /** The end; nothing follows. */
  | { readonly t: "exit"; readonly code: number; readonly reason: string };

/** What `podloom get nodes` and the supervisor's convergence check are made of. */
export interface AgentState {
  readonly name: string;
  readonly phase: AgentPhase;
  readonly subnet?: string;
  readonly vtepMac?: string;
  /** Subnets of all leases installed here, the own one included, sorted. */
  readonly leases: readonly string[];
  /**
   * Subnets of leases that it has read and rightly does not install, sorted: malformed, another backend's, without a VTEP's
   * MAC, in conflict with its own subnet or address.
   */
  readonly ignored: readonly string[];
  readonly store: "Synced" | "Syncing" | "Disconnected";
  readonly pods: readonly string[];
  readonly reason?: string;
}
