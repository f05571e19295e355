// One emulated node: its stack, its flannel daemon, its pods. The engine that a driver runs: one input in, run() until it
// answers false, drain poll(), wait until nextDeadline(). Read specs on flannel §0 for the order of a daemon's life.
import { formatIpv4, formatPrefix, type Ipv4Addr, type Prefix } from "../base/ipv4-addr.ts";
import { formatMac, randomMac } from "../base/mac-addr.ts";
import type { Result } from "../base/result.ts";
import { Ring } from "../base/ring.ts";
import { type Instant, NEVER } from "../base/time.ts";
import type { StoreEvent } from "../control/datastore/messages.ts";
import type { OwnLease } from "../control/flannel/lease-attrs.ts";
import type { NetConf } from "../control/flannel/net-conf.ts";
import { emitSubnetEnv, parseSubnetEnv } from "../control/flannel/subnet-env.ts";
import { SubnetManager } from "../control/flannel/subnet-manager.ts";
import type { SubnetOutput } from "../control/flannel/subnet-messages.ts";
import type { InspectNoun, InspectRows, PodRow } from "../control/inspect.ts";
import { NetStack } from "../stack/net-stack.ts";
import type { Netns } from "../stack/netns.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { DatagramReceiver, Underlay } from "../tunnel/underlay.ts";
import { Uplink } from "../tunnel/uplink.ts";
import type {
  AgentOutput,
  AgentPhase,
  AgentState,
  NodeAgentConfig,
  NodeAgentDeps,
} from "./agent-messages.ts";
import { LINUX_VXLAN_PORT, VxlanBackend } from "./flannel/vxlan-backend.ts";
import {
  inspectFdb,
  inspectLeases,
  inspectLinks,
  inspectNeigh,
  inspectNode,
  inspectRoutes,
  sortLeases,
} from "./inspect.ts";
import { NodePods } from "./pods/node-pods.ts";

const SUBNET_ENV = "run/flannel/subnet.env";
/** The etcd lease of the last run: by it a restarted node knows its own orphan at once. */
const LEASE_FILE = "run/flannel/lease";

/** Outputs waiting to be polled; the driver drains after every input, so this many means that nobody drives. */
const OUTPUTS_MAX = 65_536;

export class NodeAgent {
  readonly stack: NetStack;
  readonly host: Netns;
  readonly uplink: Uplink;
  readonly #config: NodeAgentConfig;
  readonly #manager: SubnetManager;
  readonly #pods: NodePods;
  readonly #outputs = new Ring<AgentOutput>(OUTPUTS_MAX);
  #phase: AgentPhase = "starting";
  #reason: string | undefined;
  #synced = false;
  #netConf: NetConf | undefined;
  #backend: VxlanBackend | undefined;
  #lease: OwnLease | undefined;
  #startedAt: Instant = 0;
  #exited = false;

  constructor(config: NodeAgentConfig, deps: NodeAgentDeps) {
    this.#config = config;
    this.stack = new NetStack({
      rng: deps.rng,
      ...(deps.pool === undefined ? {} : { pool: deps.pool }),
      ...(deps.trace === undefined ? {} : { trace: deps.trace }),
    });
    this.host = this.stack.addNetns("");
    this.uplink = new Uplink(this.stack, "eth0", randomMac(deps.rng), config.underlayMtuBytes);
    this.#pods = new NodePods({
      node: config.name,
      stack: this.stack,
      host: this.host,
      files: config.files,
      keep: ({ path, text }) =>
        this.#emit(text === undefined ? { t: "delFile", path } : { t: "putFile", path, text }),
    });
    const previous = parseSubnetEnv(config.files.get(SUBNET_ENV) ?? "");
    const previousLease = config.files.get(LEASE_FILE)?.trim();
    this.#manager = new SubnetManager({
      prefix: config.etcdPrefix,
      publicIp: config.underlay,
      previousSubnet: previous.ok ? previous.value.subnet : config.wishedSubnet,
      ...(previousLease === undefined || previousLease === "" ? {} : { previousLease }),
      lease: config.lease,
      strict: config.strict,
      rng: deps.rng,
    });
  }

  /** Sets up the host's namespace and begins to ask the store for the network's configuration. */
  start(now: Instant): void {
    this.#startedAt = now;
    this.host.sysctl.ipForward = true;
    this.host.addDevice(this.uplink);
    this.host.addAddress(this.uplink, { addr: this.#config.underlay, len: this.#config.segment.len }, now);
    this.host.setLink(this.uplink, true, now);
    this.#manager.start(now);
    this.#drainManager(now);
    this.#emitState();
  }

  /** An answer or event of the store. */
  handle(event: StoreEvent, now: Instant): void {
    if (this.#exited) return;
    this.#manager.handle(event, now);
    this.#drainManager(now);
  }

  /** Moves packets and fires timers. True: there is more to do at once. */
  run(now: Instant, budget: number): boolean {
    if (this.#exited) return false;
    if (this.#manager.nextDeadline() <= now) {
      this.#manager.tick(now);
      this.#drainManager(now);
    }
    return this.stack.run(now, budget);
  }

  poll(): AgentOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    if (this.#exited) return NEVER;
    return Math.min(this.#manager.nextDeadline(), this.stack.nextDeadline());
  }

  /** The driver opened the port that a `listen` asked for. Datagrams go to what this returns. */
  portOpened(port: number, underlay: Underlay, now: Instant): DatagramReceiver {
    const config = this.#netConf as NetConf;
    const backend = new VxlanBackend(
      {
        stack: this.stack,
        host: this.host,
        config,
        underlayMtuBytes: this.#config.underlayMtuBytes,
        strict: this.#config.strict,
      },
      underlay,
    );
    this.#backend = backend;
    this.#log("info", "vxlan", `${backend.device.name} listens on ${formatIpv4(underlay.local)}:${port}`, {
      vni: config.backend.vni,
      mac: formatMac(backend.device.mac),
    });
    this.#manager.acquire(backend.leaseAttrs(this.#config.underlay), now);
    this.#drainManager(now);
    return { receive: (pkt, src, srcPort, at) => this.#receive(backend, pkt, src, srcPort, at) };
  }

  portFailed(port: number, message: string): void {
    this.#exit(5, `cannot listen on UDP port ${port}: ${message}`);
  }

  /** Leaves the cluster: revokes the lease when asked to, then says `exit`. */
  stop(revoke: boolean, now: Instant): void {
    if (this.#exited || this.#phase === "stopping") return;
    this.#setPhase("stopping", undefined);
    this.#manager.stop(revoke, now);
    this.#drainManager(now);
  }

  /** Attaches a pod. @param wish a particular address, or undefined for any */
  podAdd(name: string, wish: Ipv4Addr | undefined, now: Instant): Result<PodRow, string> {
    const added = this.#pods.add(name, wish, now);
    if (!added.ok) return added;
    this.#log("info", "pod-add", `pod ${name} has ${added.value.ip}`);
    this.#emitState();
    return added;
  }

  podDel(name: string, now: Instant): Result<void, string> {
    const deleted = this.#pods.del(name, now);
    if (!deleted.ok) return deleted;
    this.#log("info", "pod-del", `pod ${name} is gone, its address is free`);
    this.#emitState();
    return deleted;
  }

  /** The namespace of a pod, or the node's own for "". */
  netnsOf(pod: string): Netns | undefined {
    return pod === "" ? this.host : this.#pods.netns(pod);
  }

  /** Subnets whose packets go to `remote`: the leases that name it. */
  subnetsBehind(remote: Ipv4Addr): readonly string[] {
    return (this.#backend?.subnetsBehind(remote) ?? []).map(formatPrefix);
  }

  state(): AgentState {
    const { store, ignored } = this.#manager.status();
    return {
      name: this.#config.name,
      phase: this.#phase,
      ...(this.#lease === undefined ? {} : { subnet: formatPrefix(this.#lease.subnet) }),
      ...(this.#backend === undefined ? {} : { vtepMac: formatMac(this.#backend.device.mac) }),
      ...sortLeases(
        [...(this.#backend?.peerSubnets() ?? []), ...(this.#lease === undefined ? [] : [this.#lease.subnet])],
        [...ignored, ...(this.#backend?.unusableSubnets() ?? [])],
      ),
      store,
      pods: this.#pods.names(),
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    };
  }

  /** Ends every namespace, pods and host, and releases what they hold. Nothing may be asked of the agent afterwards. */
  close(now: Instant): void {
    this.#exited = true;
    for (const netns of [...this.stack.namespaces()].reverse()) this.stack.delNetns(netns.name, now);
  }

  /** Rows of one noun, as this node sees them. */
  inspect<N extends InspectNoun>(noun: N, now: Instant): readonly InspectRows[N][] {
    const readers: { readonly [K in InspectNoun]: () => readonly InspectRows[K][] } = {
      nodes: () => [
        inspectNode(this.state(), {
          underlay: this.#config.underlay,
          backend: this.#netConf?.backend.type,
          device: this.#backend?.device,
          peers: this.#backend?.peers ?? 0,
          routes: this.host.fib.dump("main").length,
          drops: this.stack.drops,
          ageUs: now - this.#startedAt,
        }),
      ],
      pods: () => this.#pods.rows(),
      leases: () => inspectLeases(this.#config.name, this.#lease, this.#manager, now),
      routes: () => inspectRoutes(this.#config.name, this.stack),
      neigh: () => inspectNeigh(this.#config.name, this.stack),
      fdb: () => inspectFdb(this.#config.name, this.host, now),
      links: () => inspectLinks(this.#config.name, this.stack),
    };
    return readers[noun]();
  }

  /**
   * A datagram of the tunnel. After a suspend it may come before any timer fires, and by then the lease may have ended: so
   * the lease is asked first.
   */
  #receive(backend: VxlanBackend, pkt: PacketBuffer, src: Ipv4Addr, srcPort: number, now: Instant): void {
    if (this.#phase === "ready" && !this.#manager.isValid(now)) {
      this.#manager.tick(now);
      this.#drainManager(now);
    }
    backend.port.receive(pkt, src, srcPort, now);
  }

  #drainManager(now: Instant): void {
    for (let output = this.#manager.poll(); output !== undefined; output = this.#manager.poll()) {
      this.#onSubnetOutput(output, now);
    }
    const done = this.#backend?.completeDeferredWork(now);
    if (done !== undefined && !done.ok) {
      for (const complaint of done.error) this.#log("warn", "lease", complaint);
    }
  }

  #onSubnetOutput(output: SubnetOutput, now: Instant): void {
    switch (output.t) {
      case "op":
        this.#emit(output);
        return;
      case "log":
        this.#log(output.level, "subnet", output.message);
        return;
      case "config":
        this.#onConfig(output.config);
        return;
      case "acquired":
        this.#onAcquired(output.lease, now);
        return;
      case "added":
      case "removed":
        this.#backend?.onUpdate(output);
        this.#emitState();
        return;
      case "synced":
        this.#synced = true;
        if (this.#phase === "acquiring") this.#setPhase("ready", undefined);
        this.#emitState();
        return;
      case "fenced":
        this.#backend?.fence(now);
        this.#log("warn", "fenced", output.reason);
        this.#setPhase("fenced", output.reason);
        return;
      case "unfenced":
        this.#backend?.unfence(now);
        this.#log("info", "unfenced", "the lease is ours again; forwarding resumes");
        this.#setPhase(this.#synced ? "ready" : "acquiring", undefined);
        return;
      case "revoked":
        this.#exit(0, "Lease has been revoked. Shutting down daemon.");
        return;
      case "stopped":
        this.#exit(0, "stopped");
        return;
      case "ignored":
      case "status":
        this.#emitState();
        return;
      case "fatal":
        this.#exit(1, output.message);
        return;
    }
  }

  #onConfig(config: NetConf): void {
    if (config.backend.type !== "vxlan") {
      this.#exit(1, `unknown backend type: ${config.backend.type} (this version knows: vxlan)`);
      return;
    }
    if (config.backend.directRouting) {
      this.#log(
        "warn",
        "vxlan",
        "DirectRouting is set but not supported; every peer is reached through VXLAN",
      );
    }
    this.#netConf = config;
    this.#setPhase("acquiring", undefined);
    this.#emit({ t: "listen", port: config.backend.port === 0 ? LINUX_VXLAN_PORT : config.backend.port });
  }

  #onAcquired(lease: OwnLease, now: Instant): void {
    const backend = this.#backend as VxlanBackend;
    const config = this.#netConf as NetConf;
    const first = this.#lease === undefined;
    this.#lease = lease;
    this.#emit({ t: "putFile", path: LEASE_FILE, text: `${lease.lease}\n` });
    const configured = backend.configure(lease.subnet, now);
    if (!configured.ok) {
      this.#exit(1, `${backend.device.name}: ${configured.error}`);
      return;
    }
    if (first) this.#openSubnet(lease.subnet, config, backend.device.mtuBytes);
    this.#emitState();
  }

  #openSubnet(subnet: Prefix, config: NetConf, mtuBytes: number): void {
    const wish = this.#config.wishedSubnet;
    if (wish !== undefined && formatPrefix(wish) !== formatPrefix(subnet)) {
      const got = `the subnet is ${formatPrefix(subnet)}, not ${formatPrefix(wish)} as was wished`;
      this.#log(
        "warn",
        "subnet",
        `${got}: that one is leased, or outside the network, or there was one before`,
      );
    }
    this.#pods.open(subnet, config.network, mtuBytes);
    this.#emit({
      t: "putFile",
      path: SUBNET_ENV,
      text: emitSubnetEnv({ network: config.network, subnet, mtuBytes, ipMasq: false }),
    });
  }

  #setPhase(phase: AgentPhase, reason: string | undefined): void {
    if (this.#phase === phase && this.#reason === reason) return;
    this.#phase = phase;
    this.#reason = reason;
    this.#emitState();
  }

  #emitState(): void {
    this.#emit({ t: "state" });
  }

  #log(
    level: "debug" | "info" | "warn" | "error",
    event: string,
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ): void {
    this.#emit({ t: "log", level, event, message, ...(fields === undefined ? {} : { fields }) });
  }

  #exit(code: number, reason: string): void {
    if (this.#exited) return;
    this.#log(code === 0 ? "info" : "error", "exit", reason);
    this.#emit({ t: "exit", code, reason });
    this.#exited = true;
  }

  #emit(output: AgentOutput): void {
    if (this.#exited) return;
    // A full ring means a driver that never polls; state notices carry no data of their own, so those may be lost.
    if (!this.#outputs.push(output) && output.t !== "state") {
      throw new Error("the node's outputs are not being polled");
    }
  }
}
