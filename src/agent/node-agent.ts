// One emulated node: its stack, its network daemon, its pods. The engine that a driver runs: one input in, run() until it
// answers false, drain poll(), wait until nextDeadline(). What all nodes do alike is here; Flannel's and Calico's daemons are
// subclasses.
import { assert } from "../base/assert.ts";
import { type Ipv4Addr, type Prefix } from "../base/ipv4-addr.ts";
import { randomMac } from "../base/mac-addr.ts";
import { Ring } from "../base/ring.ts";
import type { Instant } from "../base/time.ts";
import type { StoreEvent } from "../control/datastore/messages.ts";
import type { InspectNoun, InspectRows } from "../control/inspect.ts";
import type { ConnIds } from "../routing/bgp/session/peer-messages.ts";
import type { BgpSpeaker } from "../routing/bgp/speaker/speaker.ts";
import type { SpeakerOutput } from "../routing/bgp/speaker/speaker-messages.ts";
import { NetStack } from "../stack/net-stack.ts";
import type { Netns } from "../stack/netns.ts";
import { Cable, CablePort } from "../tunnel/cable.ts";
import type { IpipCarrier, IpipReceiver } from "../tunnel/ipip-carrier.ts";
import type { OuterErrorReceiver } from "../tunnel/outer-error.ts";
import type { DatagramReceiver, Underlay } from "../tunnel/underlay.ts";
import { Uplink } from "../tunnel/uplink.ts";
import * as geneve from "../wire/geneve.ts";
import type { AgentOutput, AgentPhase, AgentState, NodeAgentDeps, PodSpec } from "./agent-messages.ts";

/** UDP port of the cable between NICs of a segment: Geneve's. */
export const CABLE_PORT = geneve.PORT;

/** Outputs waiting to be polled; the driver drains after every input, so this many means that nobody drives. */
const OUTPUTS_MAX = 65_536;

/** What every node is told of itself. */
export interface NodeBasics {
  readonly name: string;
  readonly underlay: Ipv4Addr;
  /** The subnet of the node's segment. */
  readonly segment: Prefix;
  readonly underlayMtuBytes: number;
  /** State kept from an earlier run, by path relative to the node's state folder. */
  readonly files: ReadonlyMap<string, string>;
}

/** A network interface on a segment. */
export interface Nic {
  readonly name: string;
  readonly addr: Ipv4Addr;
  readonly segment: Prefix;
}

/** The speaker of a node that has one. The agent changes it; the driver moves its messages. */
export interface AgentBgp {
  readonly speaker: BgpSpeaker;
  readonly ids: ConnIds;
  /** Where neighbours may call: addresses of ours. */
  readonly addresses: readonly Ipv4Addr[];
  /** Prefixes of neighbours that are not configured one by one. */
  readonly ranges: readonly Prefix[];
}

export abstract class NodeAgent {
  readonly stack: NetStack;
  readonly host: Netns;
  readonly nics: readonly Nic[];
  /** By the index of {@link nics}. */
  readonly uplinks: readonly Uplink[];
  /** eth0. */
  readonly uplink: Uplink;
  readonly #outputs = new Ring<AgentOutput>(OUTPUTS_MAX);
  #phase: AgentPhase = "starting";
  #reason: string | undefined;
  #startedAt: Instant = 0;
  #exited = false;

  /** @param otherNics beside eth0 */
  protected constructor(basics: NodeBasics, deps: NodeAgentDeps, otherNics: readonly Nic[] = []) {
    this.stack = new NetStack({
      rng: deps.rng,
      ...(deps.pool === undefined ? {} : { pool: deps.pool }),
      ...(deps.trace === undefined ? {} : { trace: deps.trace }),
    });
    this.host = this.stack.addNetns("");
    const { underlay, segment, underlayMtuBytes } = basics;
    this.nics = [{ name: "eth0", addr: underlay, segment }, ...otherNics];
    this.uplinks = this.nics.map(
      ({ name }) => new Uplink(this.stack, name, randomMac(deps.rng), underlayMtuBytes),
    );
    this.uplink = this.uplinks[0] as Uplink;
  }

  /** Sets up the host's namespace and begins to ask the store. */
  start(now: Instant): void {
    this.#startedAt = now;
    this.host.sysctl.ipForward = true;
    for (const [i, { addr, segment }] of this.nics.entries()) {
      const uplink = this.uplinks[i] as Uplink;
      this.host.addDevice(uplink);
      this.host.addAddress(uplink, { addr, len: segment.len }, now);
      this.host.setLink(uplink, true, now);
    }
  }

  /** An answer or event of the store. */
  abstract handle(event: StoreEvent, now: Instant): void;

  /** Moves packets and fires timers. True: there is more to do at once. */
  abstract run(now: Instant, budget: number): boolean;

  abstract nextDeadline(): Instant;

  /** The driver opened the UDP port that a `listen` asked for. Datagrams go to what this returns. */
  abstract portOpened(port: number, underlay: Underlay, now: Instant): DatagramReceiver;

  abstract portFailed(port: number, message: string, now: Instant): void;

  /** The raw socket that an `openRawIp` asked for is open. What arrives goes to what this returns. */
  rawIpOpened(_carrier: IpipCarrier, _now: Instant): IpipReceiver {
    throw new Error("nobody asked for a raw socket");
  }

  /** There is no raw socket: why. */
  rawIpFailed(_message: string, _now: Instant): void {}

  /** The raw socket that an `openRawIcmp` asked for is open. What it hears goes to what this returns. */
  rawIcmpOpened(_now: Instant): OuterErrorReceiver {
    throw new Error("nobody asked for ICMP");
  }

  /** There is no raw socket for ICMP: why. */
  rawIcmpFailed(_message: string, _now: Instant): void {}

  /** What `bgpStart` is about; undefined: this node speaks no BGP. */
  get bgp(): AgentBgp | undefined {
    return undefined;
  }

  /** What the speaker says that is not about TCP. */
  onSpeakerOutput(_output: SpeakerOutput, _now: Instant): void {}

  /** The port that a `bgpStart` asked for cannot be listened on. */
  bgpFailed(_message: string, _now: Instant): void {}

  /** Leaves the cluster, then says `exit`. @param revoke gives back what it holds there: a clean end, not a crash */
  abstract stop(revoke: boolean, now: Instant): void;

  /** Can pods be attached by now? Those that were asked for earlier wait. */
  abstract readonly takesPods: boolean;

  /** Attaches a pod (CNI ADD). The answer is a `podDone` with this number. */
  abstract podAdd(request: number, spec: PodSpec, now: Instant): void;

  /** Takes a pod away (CNI DEL). The answer is a `podDone` with this number. */
  abstract podDel(request: number, name: string, now: Instant): void;

  /** The namespace of a pod, or the node's own for "". */
  abstract netnsOf(pod: string): Netns | undefined;

  /** What `remote` is good for, as prefixes of the pod network; for complaints. */
  abstract subnetsBehind(remote: Ipv4Addr): readonly string[];

  abstract state(): AgentState;

  /** Rows of one noun, as this node sees them. */
  abstract inspect<N extends InspectNoun>(noun: N, now: Instant): readonly InspectRows[N][];

  /** Ends every namespace, pods and host, and releases what they hold. Nothing may be asked of the agent afterwards. */
  close(now: Instant): void {
    this.#exited = true;
    for (const netns of [...this.stack.namespaces()].reverse()) this.stack.delNetns(netns.name, now);
  }

  poll(): AgentOutput | undefined {
    return this.#outputs.shift();
  }

  /** Plugs a NIC into the cable of its segment. Datagrams of the port go to what this returns. */
  protected plugCable(uplink: Uplink, segment: Prefix, underlay: Underlay): DatagramReceiver {
    const cable = new Cable(this.stack, segment, underlay);
    const port = new CablePort(this.stack);
    const added = port.add(cable);
    assert(added.ok, "a port of its own has one cable");
    uplink.attachCable(cable);
    return port;
  }

  protected get exited(): boolean {
    return this.#exited;
  }

  protected get phase(): AgentPhase {
    return this.#phase;
  }

  /** Why it is not ready, if there is anything to say. */
  protected get reason(): string | undefined {
    return this.#reason;
  }

  protected get startedAt(): Instant {
    return this.#startedAt;
  }

  protected setPhase(phase: AgentPhase, reason: string | undefined): void {
    if (this.#phase === phase && this.#reason === reason) return;
    this.#phase = phase;
    this.#reason = reason;
    this.emitState();
  }

  protected emitState(): void {
    this.emit({ t: "state" });
  }

  protected log(
    level: "debug" | "info" | "warn" | "error",
    event: string,
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ): void {
    this.emit({ t: "log", level, event, message, ...(fields === undefined ? {} : { fields }) });
  }

  /** The end: nothing that is emitted afterwards is heard. */
  protected exit(code: number, reason: string): void {
    if (this.#exited) return;
    this.log(code === 0 ? "info" : "error", "exit", reason);
    this.emit({ t: "exit", code, reason });
    this.#exited = true;
  }

  protected emit(output: AgentOutput): void {
    if (this.#exited) return;
    // A full ring means a driver that never polls; state notices carry no data of their own, so those may be lost.
    if (!this.#outputs.push(output) && output.t !== "state") {
      throw new Error("the node's outputs are not being polled");
    }
  }
}
