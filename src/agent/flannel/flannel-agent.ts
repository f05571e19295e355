// A node with a flannel daemon. Read specs on flannel §0 for the order of its life.
import { formatIpv4, formatPrefix, type Ipv4Addr, type Prefix } from "../../base/ipv4-addr.ts";
import { formatMac } from "../../base/mac-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { type Instant, NEVER } from "../../base/time.ts";
import type { StoreEvent } from "../../control/datastore/messages.ts";
import type { OwnLease } from "../../control/flannel/lease-attrs.ts";
import type { NetConf } from "../../control/flannel/net-conf.ts";
import { emitSubnetEnv, parseSubnetEnv } from "../../control/flannel/subnet-env.ts";
import { SubnetManager } from "../../control/flannel/subnet-manager.ts";
import type { LeaseOptions, SubnetOutput } from "../../control/flannel/subnet-messages.ts";
import type { InspectNoun, InspectRows, PodRow } from "../../control/inspect.ts";
import type { Netns } from "../../stack/netns.ts";
import type { PacketBuffer } from "../../stack/packet-buffer.ts";
import type { DatagramReceiver, Underlay } from "../../tunnel/underlay.ts";
import type { AgentState, NodeAgentDeps, PodSpec } from "../agent-messages.ts";
import {
  inspectFdb,
  inspectLeases,
  inspectLinks,
  inspectNeigh,
  inspectNode,
  inspectRoutes,
  sortLeases,
} from "../inspect.ts";
import { NodeAgent, type NodeBasics } from "../node-agent.ts";
import { NodePods } from "../pods/node-pods.ts";
import { LINUX_VXLAN_PORT, VxlanBackend } from "./vxlan-backend.ts";

const SUBNET_ENV = "run/flannel/subnet.env";
/** The etcd lease of the last run: by it a restarted node knows its own orphan at once. */
const LEASE_FILE = "run/flannel/lease";

export interface FlannelAgentConfig extends NodeBasics {
  readonly etcdPrefix: string;
  readonly lease: LeaseOptions;
  readonly strict: boolean;
  /** The subnet that the node would like when it has none from an earlier run. */
  readonly wishedSubnet?: Prefix | undefined;
}

export class FlannelAgent extends NodeAgent {
  readonly #config: FlannelAgentConfig;
  readonly #manager: SubnetManager;
  readonly #pods: NodePods;
  #synced = false;
  #netConf: NetConf | undefined;
  #backend: VxlanBackend | undefined;
  #lease: OwnLease | undefined;

  constructor(config: FlannelAgentConfig, deps: NodeAgentDeps) {
    super(config, deps);
    this.#config = config;
    this.#pods = new NodePods({
      node: config.name,
      stack: this.stack,
      host: this.host,
      files: config.files,
      keep: ({ path, text }) =>
        this.emit(text === undefined ? { t: "delFile", path } : { t: "putFile", path, text }),
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

  override start(now: Instant): void {
    super.start(now);
    this.#manager.start(now);
    this.#drainManager(now);
    this.emitState();
  }

  override handle(event: StoreEvent, now: Instant): void {
    if (this.exited) return;
    this.#manager.handle(event, now);
    this.#drainManager(now);
  }

  override run(now: Instant, budget: number): boolean {
    if (this.exited) return false;
    if (this.#manager.nextDeadline() <= now) {
      this.#manager.tick(now);
      this.#drainManager(now);
    }
    return this.stack.run(now, budget);
  }

  override nextDeadline(): Instant {
    if (this.exited) return NEVER;
    return Math.min(this.#manager.nextDeadline(), this.stack.nextDeadline());
  }

  override portOpened(port: number, underlay: Underlay, now: Instant): DatagramReceiver {
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
    this.log("info", "vxlan", `${backend.device.name} listens on ${formatIpv4(underlay.local)}:${port}`, {
      vni: config.backend.vni,
      mac: formatMac(backend.device.mac),
    });
    this.#manager.acquire(backend.leaseAttrs(this.#config.underlay), now);
    this.#drainManager(now);
    return { receive: (pkt, src, srcPort, at) => this.#receive(backend, pkt, src, srcPort, at) };
  }

  override portFailed(port: number, message: string): void {
    this.exit(5, `cannot listen on UDP port ${port}: ${message}`);
  }

  /** Leaves the cluster: revokes the lease when asked to, then says `exit`. */
  override stop(revoke: boolean, now: Instant): void {
    if (this.exited || this.phase === "stopping") return;
    this.setPhase("stopping", undefined);
    this.#manager.stop(revoke, now);
    this.#drainManager(now);
  }

  override get takesPods(): boolean {
    return this.#lease !== undefined;
  }

  override podAdd(request: number, { name, ip, namespace }: PodSpec, now: Instant): void {
    const added: Result<PodRow, string> =
      namespace === undefined
        ? this.#pods.add(name, ip, now)
        : err(`Flannel's pods have no namespace, so "${name}" cannot be in ${namespace}`);
    if (added.ok) {
      this.log("info", "pod-add", `pod ${name} has ${added.value.ip}`);
      this.emitState();
    }
    this.emit({ t: "podDone", request, result: added });
  }

  override podDel(request: number, name: string, now: Instant): void {
    const row = this.#pods.rows().find((pod) => pod.name === name);
    const deleted = this.#pods.del(name, now);
    if (deleted.ok) {
      this.log("info", "pod-del", `pod ${name} is gone, its address is free`);
      this.emitState();
    }
    this.emit({ t: "podDone", request, result: deleted.ok ? ok(row as PodRow) : deleted });
  }

  override netnsOf(pod: string): Netns | undefined {
    return pod === "" ? this.host : this.#pods.netns(pod);
  }

  /** Subnets whose packets go to `remote`: the leases that name it. */
  override subnetsBehind(remote: Ipv4Addr): readonly string[] {
    return (this.#backend?.subnetsBehind(remote) ?? []).map(formatPrefix);
  }

  override state(): AgentState {
    const { store, ignored } = this.#manager.status();
    return {
      name: this.#config.name,
      phase: this.phase,
      ...(this.#lease === undefined ? {} : { subnet: formatPrefix(this.#lease.subnet) }),
      ...(this.#backend === undefined ? {} : { vtepMac: formatMac(this.#backend.device.mac) }),
      ...sortLeases(
        [...(this.#backend?.peerSubnets() ?? []), ...(this.#lease === undefined ? [] : [this.#lease.subnet])],
        [...ignored, ...(this.#backend?.unusableSubnets() ?? [])],
      ),
      store,
      pods: this.#pods.names(),
      ...(this.reason === undefined ? {} : { reason: this.reason }),
    };
  }

  override inspect<N extends InspectNoun>(noun: N, now: Instant): readonly InspectRows[N][] {
    const readers: { readonly [K in InspectNoun]: () => readonly InspectRows[K][] } = {
      nodes: () => [
        inspectNode(this.state(), {
          underlay: this.#config.underlay,
          backend: this.#netConf?.backend.type,
          device: this.#backend?.device,
          peers: this.#backend?.peers ?? 0,
          routes: this.host.fib.dump("main").length,
          drops: this.stack.drops,
          ageUs: now - this.startedAt,
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
    if (this.phase === "ready" && !this.#manager.isValid(now)) {
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
      for (const complaint of done.error) this.log("warn", "lease", complaint);
    }
  }

  #onSubnetOutput(output: SubnetOutput, now: Instant): void {
    switch (output.t) {
      case "op":
        this.emit(output);
        return;
      case "log":
        this.log(output.level, "subnet", output.message);
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
        this.emitState();
        return;
      case "synced":
        this.#synced = true;
        if (this.phase === "acquiring") this.setPhase("ready", undefined);
        this.emitState();
        return;
      case "fenced":
        this.#backend?.fence(now);
        this.log("warn", "fenced", output.reason);
        this.setPhase("fenced", output.reason);
        return;
      case "unfenced":
        this.#backend?.unfence(now);
        this.log("info", "unfenced", "the lease is ours again; forwarding resumes");
        this.setPhase(this.#synced ? "ready" : "acquiring", undefined);
        return;
      case "revoked":
        this.exit(0, "Lease has been revoked. Shutting down daemon.");
        return;
      case "stopped":
        this.exit(0, "stopped");
        return;
      case "ignored":
      case "status":
        this.emitState();
        return;
      case "fatal":
        this.exit(1, output.message);
        return;
    }
  }

  #onConfig(config: NetConf): void {
    if (config.backend.type !== "vxlan") {
      this.exit(1, `unknown backend type: ${config.backend.type} (this version knows: vxlan)`);
      return;
    }
    if (config.backend.directRouting) {
      this.log(
        "warn",
        "vxlan",
        "DirectRouting is set but not supported; every peer is reached through VXLAN",
      );
    }
    this.#netConf = config;
    this.setPhase("acquiring", undefined);
    this.emit({
      t: "listen",
      local: this.#config.underlay,
      port: config.backend.port === 0 ? LINUX_VXLAN_PORT : config.backend.port,
    });
  }

  #onAcquired(lease: OwnLease, now: Instant): void {
    const backend = this.#backend as VxlanBackend;
    const config = this.#netConf as NetConf;
    const first = this.#lease === undefined;
    this.#lease = lease;
    this.emit({ t: "putFile", path: LEASE_FILE, text: `${lease.lease}\n` });
    const configured = backend.configure(lease.subnet, now);
    if (!configured.ok) {
      this.exit(1, `${backend.device.name}: ${configured.error}`);
      return;
    }
    if (first) this.#openSubnet(lease.subnet, config, backend.device.mtuBytes);
    this.emitState();
  }

  #openSubnet(subnet: Prefix, config: NetConf, mtuBytes: number): void {
    const wish = this.#config.wishedSubnet;
    if (wish !== undefined && formatPrefix(wish) !== formatPrefix(subnet)) {
      const got = `the subnet is ${formatPrefix(subnet)}, not ${formatPrefix(wish)} as was wished`;
      this.log(
        "warn",
        "subnet",
        `${got}: that one is leased, or outside the network, or there was one before`,
      );
    }
    this.#pods.open(subnet, config.network, mtuBytes);
    this.emit({
      t: "putFile",
      path: SUBNET_ENV,
      text: emitSubnetEnv({ network: config.network, subnet, mtuBytes, ipMasq: false }),
    });
  }
}
