import { FlannelAgent, type FlannelAgentConfig } from "../../src/agent/flannel/flannel-agent.ts";
import { ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import { err, type Result } from "../../src/base/result.ts";
import { type Rng, SeededRng } from "../../src/base/rng.ts";
import { type Instant, NEVER } from "../../src/base/time.ts";
import type { PodRow } from "../../src/control/inspect.ts";
import { PacketPool } from "../../src/stack/packet-pool.ts";
import { type Connection, FakeStore } from "./fake-store.ts";
import { MemoryFabric } from "./memory-fabric.ts";

// A cluster in one process on a virtual clock: real node agents, a model of etcd, a network that loses and reorders.

const PREFIX = "/coreos.com/network";

export interface SimOptions {
  readonly seed: number;
  readonly nodes: number;
  /** Flannel's config document. */
  readonly network?: unknown;
  readonly leaseTtlSec?: number;
  readonly strict?: boolean;
}

/** What a driver is to a process: carries out what the agent asks for, on the virtual clock. */
export class SimNode {
  readonly agent: FlannelAgent;
  readonly pool = new PacketPool(4096, true);
  readonly files: Map<string, string>;
  readonly logs: string[] = [];
  /** How often the agent said that its state has changed. */
  stateNotices = 0;
  exit: { code: number; reason: string } | undefined;
  /** Suspended (SIGSTOP, a sleeping laptop): nothing happens, the clock goes on. */
  paused = false;
  readonly #cluster: SimCluster;
  readonly #store: Connection;
  readonly #config: FlannelAgentConfig;
  readonly #ports: number[] = [];
  #podDone: Result<PodRow, string> | undefined;
  /** The agent's, as of its last step: it changes in no other way. */
  #deadline: Instant = 0;

  constructor(cluster: SimCluster, config: FlannelAgentConfig, rng: Rng) {
    this.#cluster = cluster;
    this.#config = config;
    this.files = new Map(config.files);
    this.#store = cluster.store.connect();
    this.agent = new FlannelAgent(config, { rng, pool: this.pool });
    this.agent.start(cluster.now);
  }

  get address(): number {
    return this.#config.underlay;
  }

  /** One round: take what the store says, run the stack, carry out. True: something happened. */
  step(now: Instant): boolean {
    if (this.paused || this.exit !== undefined) return false;
    if (!this.#store.hasInput && this.#deadline > now) return false;
    let busy = false;
    for (let event = this.#store.poll(now); event !== undefined; event = this.#store.poll(now)) {
      this.agent.handle(event, now);
      this.#drain(now);
      busy = true;
      if (this.exit !== undefined) return true;
    }
    this.agent.run(now, 256);
    return this.#drain(now) || busy;
  }

  nextDeadline(): Instant {
    return this.paused || this.exit !== undefined ? NEVER : this.#deadline;
  }

  /** Nothing passes between this node and the store from `from` to `to`. */
  blackHole(from: Instant, to: Instant): void {
    this.#store.blackHole(from, to);
  }

  breakWatches(now: Instant): void {
    this.#store.breakWatches(now);
  }

  /** kill -9: the process is gone, its files stay. */
  kill(): void {
    this.exit = { code: -1, reason: "killed" };
    this.#store.reset("killed", this.#cluster.now);
    for (const port of this.#ports) this.#cluster.fabric.close(this.address, port);
  }

  /** Attaches a pod, as a driver does. */
  podAdd(name: string, now: Instant): Result<PodRow, string> {
    this.#podDone = undefined;
    this.agent.podAdd(0, { name, ip: undefined }, now);
    this.drain(now);
    return this.#podDone ?? err("no answer yet");
  }

  podDel(name: string, now: Instant): Result<PodRow, string> {
    this.#podDone = undefined;
    this.agent.podDel(0, name, now);
    this.drain(now);
    return this.#podDone ?? err("no answer yet");
  }

  /** Carries out what the agent asks for; call it after every change from outside. */
  drain(now: Instant): boolean {
    return this.#drain(now);
  }

  #drain(now: Instant): boolean {
    let busy = false;
    for (let output = this.agent.poll(); output !== undefined; output = this.agent.poll()) {
      busy = true;
      if (output.t === "op") this.#store.submit(output.op, now);
      else if (output.t === "putFile") this.files.set(output.path, output.text);
      else if (output.t === "delFile") this.files.delete(output.path);
      else if (output.t === "podDone") this.#podDone = output.result;
      else if (output.t === "state") this.stateNotices++;
      else if (output.t === "log") this.logs.push(`${output.level}: ${output.message}`);
      else if (output.t === "listen") {
        const port = this.#cluster.fabric.open(this.address, output.port, this.agent.stack);
        this.#ports.push(output.port);
        port.receiver = this.agent.portOpened(output.port, port, now);
      } else if (output.t === "exit") {
        this.kill();
        this.exit = { code: output.code, reason: output.reason };
      }
    }
    this.#deadline = this.agent.nextDeadline();
    return busy;
  }
}

export class SimCluster {
  now: Instant = 1_000_000;
  readonly rng: Rng;
  readonly store: FakeStore;
  readonly fabric: MemoryFabric;
  readonly nodes: SimNode[] = [];
  readonly #options: SimOptions;

  constructor(options: SimOptions) {
    this.#options = options;
    this.rng = new SeededRng(options.seed);
    this.store = new FakeStore(this.rng);
    this.fabric = new MemoryFabric(this.rng);
    const network = options.network ?? { Network: "10.244.0.0/16", Backend: { Type: "vxlan" } };
    this.store.put(`${PREFIX}/config`, JSON.stringify(network));
    for (let i = 0; i < options.nodes; i++) this.start(i);
  }

  /** Starts node `index`; with the files that its last life left. */
  start(index: number, change: Partial<FlannelAgentConfig> = {}): SimNode {
    const files = this.nodes[index]?.files ?? new Map<string, string>();
    const node = new SimNode(
      this,
      {
        name: `node${index + 1}`,
        underlay: ipv4("192.168.56.2") + index,
        segment: prefix("192.168.56.0/24"),
        underlayMtuBytes: 1500,
        etcdPrefix: PREFIX,
        lease: { mode: "keepalive", ttlSec: this.#options.leaseTtlSec ?? 20 },
        strict: this.#options.strict ?? false,
        files,
        ...change,
      },
      new SeededRng(this.rng.u32()),
    );
    this.nodes[index] = node;
    return node;
  }

  /** Lets the cluster live until `until`; `watch` is called after every moment in which something happened. */
  run(until: Instant, watch?: () => void): void {
    for (let rounds = 0; ; rounds++) {
      if (rounds > 200_000) throw new Error("the cluster does not come to rest");
      this.store.run(this.now);
      this.fabric.run(this.now);
      let busy = false;
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

  /** Runs until `wanted` holds, at most until `limit`; answers whether it held. */
  until(limit: Instant, wanted: () => boolean): boolean {
    while (!wanted()) {
      if (this.now >= limit) return false;
      this.run(Math.min(limit, this.now + 100_000));
    }
    return true;
  }

  #nextDeadline(): Instant {
    let next = Math.min(this.store.nextDeadline(), this.fabric.nextDeadline());
    for (const node of this.nodes) next = Math.min(next, node.nextDeadline());
    return next;
  }
}
