// A Calico cluster in one process on a virtual clock: real agents with their stacks and speakers, a model of etcd, a network that
// loses and reorders, TCP connections that break; and an operator who edits the store as `podloom apply` and `delete` do.
import { CalicoAgent, type CalicoAgentConfig } from "../../src/agent/calico/calico-agent.ts";
import { ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import type { Result } from "../../src/base/result.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, NEVER } from "../../src/base/time.ts";
import type { CalicoKind, CalicoResource, ResourceOf } from "../../src/control/calico/resources.ts";
import type { PodRow } from "../../src/control/inspect.ts";
import type { PacketBuffer } from "../../src/stack/packet-buffer.ts";
import { PacketPool } from "../../src/stack/packet-pool.ts";
import type { IpipCarrier, IpipReceiver } from "../../src/tunnel/ipip-carrier.ts";
import { BgpCluster, SimSpeaker } from "./bgp-cluster.ts";
import { CalicoOperator } from "./calico-operator.ts";
import { type Connection, FakeStore } from "./fake-store.ts";
import { MemoryFabric, type MemoryPort } from "./memory-fabric.ts";

const RESOURCES = "/calico/resources/v3/projectcalico.org/";
/** The fabric's port that stands for IP protocol 4. */
const PROTO_4 = 4;
/** 2026-01-01, so that timestamps look like some. */
const EPOCH_MS = 1_767_225_600_000;

export const wallMs = (now: Instant): number => EPOCH_MS + now / 1000;

export interface CalicoClusterOptions {
  readonly seed: number;
  readonly nodes: number;
  /** Two: nodes take turns. Nothing routes pods between them. */
  readonly segments: 1 | 2;
  readonly version: CalicoAgentConfig["version"];
  /** May node `index` open a raw socket? */
  readonly mayRaw: (index: number) => boolean;
  readonly resources: readonly CalicoResource[];
}

/** IP protocol 4 through the fabric. */
class RawCarrier implements IpipCarrier {
  readonly kind = "proto4";
  readonly local: number;
  readonly #port: MemoryPort;

  constructor(port: MemoryPort) {
    this.#port = port;
    this.local = port.local;
  }

  attach(receiver: Pick<IpipReceiver, "receiveIpip">): void {
    this.#port.receiver = { receive: (pkt, src, _, now) => receiver.receiveIpip(pkt, src, 0, now) };
  }

  send(pkt: PacketBuffer, dst: number, _ttl: number, _tos: number, _df: boolean, now: Instant): void {
    this.#port.send(pkt, dst, PROTO_4, 0, now);
  }
}

/** What a driver is to a process: carries out what the agent asks for, on the virtual clock. */
export class CalicoSimNode {
  readonly agent: CalicoAgent;
  readonly config: CalicoAgentConfig;
  readonly pool = new PacketPool(4096, true);
  readonly files: Map<string, string>;
  readonly logs: string[] = [];
  readonly sim: SimSpeaker;
  exit: { code: number; reason: string } | undefined;
  /** Pods whose ADD or DEL has not been answered. */
  readonly pending = new Set<string>();
  /** Answers that were no. */
  readonly refusals: string[] = [];
  readonly #cluster: CalicoCluster;
  readonly #store: Connection;
  readonly #mayRaw: boolean;
  readonly #ports: number[] = [];
  readonly #requests: string[] = [];
  #dirty = false;
  #paused = false;
  #deadline: Instant = 0;

  constructor(cluster: CalicoCluster, config: CalicoAgentConfig, mayRaw: boolean, rng: SeededRng) {
    this.#cluster = cluster;
    this.config = config;
    this.#mayRaw = mayRaw;
    this.files = new Map(config.files);
    this.#store = cluster.store.connect();
    this.agent = new CalicoAgent(config, { rng, pool: this.pool, wallMs });
    const { bgp } = this.agent;
    this.sim = new SimSpeaker(
      config.underlay,
      () => bgp.speaker,
      (output) => {
        this.agent.onSpeakerOutput(output, cluster.now);
        this.#dirty = true;
      },
      bgp.ids,
    );
    this.agent.start(cluster.now);
    this.drain(cluster.now);
  }

  get alive(): boolean {
    return this.exit === undefined;
  }

  /** One round: take what the store says, run the stack, carry out. True: something happened. */
  step(now: Instant): boolean {
    if (this.#paused || !this.alive) return false;
    if (!this.#store.hasInput && !this.#dirty && this.#deadline > now) return false;
    this.#dirty = false;
    let busy = false;
    for (let event = this.#store.poll(now); event !== undefined; event = this.#store.poll(now)) {
      this.agent.handle(event, now);
      this.drain(now);
      busy = true;
      if (!this.alive) return true;
    }
    this.agent.run(now, 256);
    return this.drain(now) || busy;
  }

  nextDeadline(): Instant {
    if (this.#paused || !this.alive) return NEVER;
    return this.#dirty ? 0 : this.#deadline;
  }

  blackHole(from: Instant, to: Instant): void {
    this.#store.blackHole(from, to);
  }

  breakWatches(now: Instant): void {
    this.#store.breakWatches(now);
  }

  /** SIGSTOP: nothing happens, the clock goes on. */
  pause(): void {
    if (!this.alive) return;
    this.#paused = true;
    this.sim.held ??= [];
  }

  /** SIGCONT. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#dirty = true;
    this.#cluster.bgp.resume(this.sim);
  }

  /** kill -9: the process is gone, its files stay. */
  kill(reason = "killed", code = -1): void {
    this.exit = { code, reason };
    this.#store.reset("killed", this.#cluster.now);
    this.sim.held = undefined;
    this.#cluster.bgp.kill(this.sim);
    for (const port of this.#ports) this.#cluster.fabric.close(this.config.underlay, port);
  }

  podAdd(name: string, now: Instant): void {
    this.pending.add(name);
    this.agent.podAdd(this.#requests.push(name) - 1, { name, ip: undefined }, now);
    this.drain(now);
  }

  podDel(name: string, now: Instant): void {
    this.pending.add(name);
    this.agent.podDel(this.#requests.push(name) - 1, name, now);
    this.drain(now);
  }

  /** Carries out what the agent asks for; call it after every change from outside. */
  drain(now: Instant): boolean {
    let busy = false;
    for (let output = this.agent.poll(); output !== undefined; output = this.agent.poll()) {
      busy = true;
      this.#perform(output, now);
      if (!this.alive) return true;
    }
    this.#deadline = this.agent.nextDeadline();
    return busy;
  }

  #perform(output: NonNullable<ReturnType<CalicoAgent["poll"]>>, now: Instant): void {
    const { bgp } = this.#cluster;
    switch (output.t) {
      case "op":
        this.#store.submit(output.op, now);
        return;
      case "putFile":
        this.files.set(output.path, output.text);
        return;
      case "delFile":
        this.files.delete(output.path);
        return;
      case "podDone":
        this.#onPod(this.#requests[output.request] as string, output.result);
        return;
      case "log":
        this.logs.push(`${output.level}: ${output.message}`);
        return;
      case "listen": {
        const port = this.#open(output.port);
        const receiver = this.agent.portOpened(output.port, port, now);
        port.receiver = {
          receive: (...datagram) => {
            receiver.receive(...datagram);
            this.#dirty = true;
          },
        };
        return;
      }
      case "openRawIp":
        this.#openRaw(now);
        return;
      case "bgpStart":
        bgp.adopt(this.sim);
        bgp.give(this.sim, { t: "start" });
        return;
      case "bgpTurn":
        if (bgp.nodes.get(this.config.underlay) === this.sim) bgp.drain(this.sim);
        return;
      case "bgpStop":
        bgp.give(this.sim, { t: "stop", silent: output.silent });
        return;
      case "exit":
        this.kill(output.reason, output.code);
        return;
      default:
    }
  }

  #open(number: number): MemoryPort {
    this.#ports.push(number);
    return this.#cluster.fabric.open(this.config.underlay, number, this.agent.stack);
  }

  #openRaw(now: Instant): void {
    if (!this.#mayRaw) {
      this.agent.rawIpFailed("no CAP_NET_RAW", now);
      return;
    }
    const carrier = new RawCarrier(this.#open(PROTO_4));
    const receiver = this.agent.rawIpOpened(carrier, now);
    carrier.attach({
      receiveIpip: (...packet) => {
        receiver.receiveIpip(...packet);
        this.#dirty = true;
      },
    });
  }

  #onPod(name: string, result: Result<PodRow, string>): void {
    this.pending.delete(name);
    if (!result.ok) this.refusals.push(result.error);
  }
}

export class CalicoCluster {
  now: Instant = 100_000_000;
  readonly rng: SeededRng;
  readonly store: FakeStore;
  readonly fabric: MemoryFabric;
  readonly bgp: BgpCluster;
  readonly operator: CalicoOperator;
  readonly nodes: CalicoSimNode[] = [];
  readonly #options: CalicoClusterOptions;

  constructor(options: CalicoClusterOptions) {
    this.#options = options;
    this.rng = new SeededRng(options.seed);
    this.store = new FakeStore(this.rng);
    this.fabric = new MemoryFabric(this.rng);
    this.bgp = new BgpCluster(options.seed);
    this.bgp.now = this.now;
    this.operator = new CalicoOperator(this.store, new SeededRng(options.seed));
    for (const resource of options.resources) this.operator.apply(resource);
    this.run(this.now + 1_000_000);
    for (let i = 0; i < options.nodes; i++) this.start(i);
  }

  /** Starts node `index`; with the files that its last life left. */
  start(index: number): CalicoSimNode {
    const { segments, version, mayRaw } = this.#options;
    const net = segments === 2 && index % 2 === 1 ? "10.30.0" : "10.20.0";
    const node = new CalicoSimNode(
      this,
      {
        name: `node${index + 1}`,
        underlay: ipv4(`${net}.${index + 5}`),
        segment: prefix(`${net}.0/24`),
        underlayMtuBytes: 1500,
        version,
        timers: "fast",
        ipipCarrier: "auto",
        gateway: segments === 2 ? ipv4(`${net}.1`) : undefined,
        files: this.nodes[index]?.files ?? new Map<string, string>(),
      },
      mayRaw(index),
      new SeededRng(this.rng.u32()),
    );
    this.nodes[index] = node;
    return node;
  }

  /** A resource as it stands in the store. */
  stored<K extends CalicoKind>(plural: string, name: string): ResourceOf<K> | undefined {
    const text = this.store.text(`${RESOURCES}${plural}/${name}`);
    return text === undefined ? undefined : (JSON.parse(text) as ResourceOf<K>);
  }

  /** All resources of a kind. */
  all<K extends CalicoKind>(plural: string): ResourceOf<K>[] {
    const start = `${RESOURCES}${plural}/`;
    return this.store
      .dump()
      .filter(({ key }) => key.startsWith(start))
      .map(({ value }) => JSON.parse(new TextDecoder().decode(value)) as ResourceOf<K>);
  }

  /** Lets the cluster live until `until`; `watch` is called after every moment in which something happened. */
  run(until: Instant, watch?: () => void): void {
    for (let rounds = 0; ; rounds++) {
      if (rounds > 500_000) throw new Error(`the cluster does not come to rest: ${this.#late()}`);
      this.store.run(this.now);
      this.fabric.run(this.now);
      this.bgp.advance(this.now);
      let busy = this.operator.step(this.now);
      for (const node of this.nodes) busy = node.step(this.now) || busy;
      watch?.();
      if (busy) continue;
      const next = Math.min(this.#nextDeadline(), until);
      if (next >= until) {
        this.now = until;
        return;
      }
      // A deadline in the past that nothing came of: time goes on all the same.
      this.now = Math.max(next, this.now + 1);
    }
  }

  /** Whose deadline passes and passes. */
  #late(): string {
    const late = this.nodes.filter((node) => node.nextDeadline() <= this.now + 1);
    return late.map(({ config, logs }) => `${config.name}, ${logs.slice(-5).join("; ")}`).join(". ");
  }

  #nextDeadline(): Instant {
    let next = Math.min(this.store.nextDeadline(), this.fabric.nextDeadline(), this.bgp.nextDeadline());
    next = Math.min(next, this.operator.nextDeadline());
    for (const node of this.nodes) next = Math.min(next, node.nextDeadline());
    return next;
  }
}
