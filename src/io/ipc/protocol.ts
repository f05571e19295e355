// The messages between the command line and the supervisor, and between the supervisor and a node. Both are the same
// framing (`frame.ts`): a 4-byte big-endian length, then one msgpackr value. One connection carries many requests.
import type { InspectNoun } from "../../control/inspect.ts";

/** Largest frame accepted, in bytes. A longer one ends the connection. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;

/** Grows when a message changes incompatibly; both sides say it first. */
export const PROTOCOL_VERSION = 2;

/** `id` is chosen by the asker and names the request until its `done`. */
export interface Request {
  readonly t: "request";
  readonly id: number;
  readonly verb: string;
  readonly args: unknown;
}
/** Ends a streaming request from the asker's side (Ctrl-C on a ping): the other side finishes, then sends `done`. */
export interface Interrupt {
  readonly t: "interrupt";
  readonly id: number;
}
/** A piece of a streaming answer: text for the terminal, or one value of a watch. */
export interface Chunk {
  readonly t: "chunk";
  readonly id: number;
  readonly stream: "stdout" | "stderr" | "value";
  readonly data: unknown;
}
export interface Done {
  readonly t: "done";
  readonly id: number;
  readonly value: unknown;
}
export interface Failed {
  readonly t: "failed";
  readonly id: number;
  readonly code: string;
  readonly message: string;
  /** What the asker's user can do about it, as a sentence. */
  readonly remedy?: string;
}
/** Something that nobody asked for: a state change. */
export interface Notice {
  readonly t: "notice";
  readonly event: string;
  readonly data: unknown;
}
export interface Hello {
  readonly t: "hello";
  readonly version: number;
  /** Who speaks: `supervisor`, `cli`, or the node's name. */
  readonly from: string;
  /**
   * Said by a node: the lab's random token, which the supervisor handed it in the environment ({@link TOKEN_VARIABLE}). A
   * node's hello without it is refused, so that a stray process of the same user never passes for a node.
   */
  readonly token?: string;
}

/** The environment variable that carries a lab's token from the supervisor to its nodes. */
export const TOKEN_VARIABLE = "PODLOOM_TOKEN";

export type Message = Hello | Request | Interrupt | Chunk | Done | Failed | Notice;

// ---- what a node answers (asked by the supervisor) ----

/** verb `get`: rows of one noun as this node sees them. */
export interface GetArgs {
  readonly noun: InspectNoun;
}
/** verb `pod-add`. Answers a PodRow. The address is kept for that name until `pod-del`. */
export interface PodAddArgs {
  readonly name: string;
  /** A wish for a particular address, in the node's subnet. */
  readonly ip?: string | undefined;
  /** With Calico; the default is `default`. */
  readonly namespace?: string | undefined;
}
/** verb `pod-del`. Answers the PodRow that was. */
export interface PodDelArgs {
  readonly name: string;
}
/** verb `exec`: streams chunks of text, done's value is `{ exitCode }`. `pod` "" is the node's own namespace. */
export interface ExecArgs {
  readonly pod: string;
  readonly argv: readonly string[];
}
export interface ExecResult {
  readonly exitCode: number;
}
/** verb `probe`: pings `targets` from `pod`, `count` times each, `intervalMs` apart, all targets at once. */
export interface ProbeArgs {
  readonly pod: string;
  readonly targets: readonly string[];
  readonly count: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly payloadBytes?: number;
}
export interface ProbeResult {
  readonly target: string;
  readonly sent: number;
  readonly received: number;
  /** Round-trip times in microseconds, in order of arrival. */
  readonly rttUs: readonly number[];
  /** Last ICMP error received for this target, in ping's words. */
  readonly error?: string;
}
/** verb `stop`: leave the cluster cleanly (revoke the lease), then exit 0. */
export interface StopArgs {
  readonly revoke: boolean;
}

// ---- what a node says unasked ----

/** A pod that a node was told to have and cannot attach. */
export interface FailedPod {
  readonly name: string;
  readonly reason: string;
}

/** notice `state`. Sent on every change and once at the start. */
export interface NodeState {
  readonly name: string;
  readonly pid: number;
  readonly phase: "starting" | "acquiring" | "ready" | "fenced" | "stopping";
  readonly subnet?: string;
  readonly vtepMac?: string;
  /** Subnets of the leases it has installed, its own included, sorted. With Calico: the blocks that it has a route to, its own included. */
  readonly leases: readonly string[];
  /**
   * Subnets of the leases that it has read and rightly does not install. Converged: what it lists are all leases of the
   * store but these.
   */
  readonly ignored: readonly string[];
  readonly store: "Synced" | "Syncing" | "Disconnected";
  readonly pods: readonly string[];
  /** They stay as they are: nothing is tried again. */
  readonly failedPods: readonly FailedPod[];
  readonly reason?: string;
}
