// The only place where time, sockets and logic meet. One input in, run the stack, drain what it asks for, then wait for the
// next input or the one timer. Everything that decides is in the agent; this file only carries out.

import type { AgentOutput, PodAnswer, PodSpec } from "../agent/agent-messages.ts";
import type { NodeAgent } from "../agent/node-agent.ts";
import { formatIpv4, type Ipv4Addr } from "../base/ipv4-addr.ts";
import type { Rng } from "../base/rng.ts";
import { type Instant, NEVER } from "../base/time.ts";
import type { Clock } from "../io/clock.ts";
import type { EtcdTransport } from "../io/etcd/etcd-transport.ts";
import { StoreDriver } from "../io/etcd/store-driver.ts";
import { CarrierMap } from "../io/host-address.ts";
import type { NodeState } from "../io/ipc/protocol.ts";
import type { Logger } from "../io/logger.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { SleepClock } from "../io/sleep-clock.ts";
import type { NodeConfig } from "./config.ts";
import { NodeSockets } from "./node-sockets.ts";
import { PodRequests } from "./pod-requests.ts";
import { PodWishes } from "./pod-wishes.ts";
import type { StateFolder } from "./state-folder.ts";
import { StateTeller } from "./state-teller.ts";
import { StoreReach } from "./store-reach.ts";

/** Packets that one turn of the event loop may move before sockets and timers have their say again. */
const TURN_PACKETS_MAX = 256;
/** A datagram that arrives so long after the last turn is handled at once. */
const LULL_US = 200;
/** Outputs that one turn may carry out. */
const TURN_OUTPUTS_MAX = 1024;
/** How long leaving the cluster may take. */
const STOP_BOUND_MS = 3000;
/** How long closing the sockets may take. */
const CLOSE_BOUND_MS = 1000;
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Something that works on the stack from time to time: a command in a pod, a probe. */
export interface Task {
  /** The pod that it works in; "" is the node's own namespace. */
  readonly pod: string;
  /** Packets have moved, or its deadline has come. */
  wake(now: Instant): void;
  nextDeadline(): Instant;
  /** Finished: it is forgotten after this turn. */
  readonly over: boolean;
  /** The pod or the node goes away: end at once. */
  cancel(why: string): void;
}

/** What is driven: a part of a node's configuration. */
export type DrivenNode = Pick<NodeConfig, "name" | "address" | "carrier" | "pods">;

/** How a node ended. */
export interface NodeEnd {
  readonly code: number;
  readonly reason: string;
}

export interface DriverDeps {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  readonly agent: NodeAgent;
  /** Undefined: this node asks nothing of a store. */
  readonly transport: EtcdTransport | undefined;
  readonly folder: StateFolder;
  /** The machine's own, when left out. */
  readonly sleepClock?: SleepClock;
}

/** Drives one {@link NodeAgent}. */
export class NodeDriver {
  readonly agent: NodeAgent;
  readonly config: DrivenNode;
  readonly folder: StateFolder;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly pods: PodWishes;
  readonly storeReach: StoreReach;
  /** Told of every change of the node's state, several at once where they come fast. */
  onState: (state: NodeState) => void = () => {};
  readonly startedAtMs = Date.now();
  /** Settles when the node has ended and everything is closed. Never rejects. */
  readonly ended: Promise<NodeEnd>;
  readonly #logger: Logger;
  readonly #store: StoreDriver | undefined;
  readonly #sockets: NodeSockets;
  readonly #teller: StateTeller;
  readonly #tasks = new Set<Task>();
  readonly #turnNow = (): void => this.#turn();
  #started = false;
  #stateChanged = false;
  #turnArmed = false;
  #lastTurnAt: Instant = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAt: Instant = NEVER;
  #stopTimer: NodeJS.Timeout | undefined;
  /** The operational error behind an exit that the agent will announce. */
  #failure: PodloomError | undefined;
  readonly #podRequests = new PodRequests();
  #end: NodeEnd | undefined;
  #resolveEnded: (end: NodeEnd) => void = () => {};

  /** @throws PodloomError when the underlay address cannot be carried on this machine */
  constructor(config: DrivenNode, deps: DriverDeps) {
    this.config = config;
    this.clock = deps.clock;
    this.rng = deps.rng;
    this.folder = deps.folder;
    this.#logger = deps.logger;
    this.storeReach = new StoreReach(deps.logger);
    const carriers = new CarrierMap(config.address, config.carrier);
    this.pods = new PodWishes(config.pods, deps.rng, deps.logger, () => {
      this.#stateChanged = true;
      this.#arm();
    });
    this.#teller = new StateTeller(
      () => this.state(),
      (state) => {
        this.storeReach.judge(state.store);
        this.onState(state);
      },
    );
    this.#store =
      deps.transport === undefined
        ? undefined
        : new StoreDriver(
            deps.transport,
            (event) => {
              this.storeReach.note(event);
              this.agent.handle(event, this.clock.now());
              this.#arm();
            },
            deps.sleepClock,
          );
    this.agent = deps.agent;
    this.#sockets = new NodeSockets({
      agent: this.agent,
      local: config.address,
      carriers,
      clock: deps.clock,
      change: (act) => this.change(act),
      arrived: () => this.#arrived(),
      onFailure: (failure) => {
        this.#failure = failure;
      },
      onUncarried: (dst, error) => this.#warnUncarried(dst, error),
    });
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  /** Starts the agent; nothing happens when it was told to stop before. */
  start(): void {
    if (this.#end !== undefined) return;
    this.#started = true;
    this.agent.start(this.clock.now());
    this.#arm();
  }

  /** Lets `act` change the agent, then carries out what follows. Answers what `act` answers. */
  change<T>(act: (agent: NodeAgent, now: Instant) => T): T {
    const result = act(this.agent, this.clock.now());
    this.#arm();
    return result;
  }

  /** Lets `act` change the node's speaker, then carries out what follows. */
  changeSpeaker(act: (now: Instant) => void): void {
    act(this.clock.now());
    this.#sockets.turnBgp();
    this.#arm();
  }

  /** Attaches a pod. Never rejects; a node that ends leaves it unanswered. */
  podAdd(spec: PodSpec): Promise<PodAnswer> {
    return this.#podRequests.make((request) => this.change((agent, now) => agent.podAdd(request, spec, now)));
  }

  /** Takes a pod away, what runs in it first. */
  podDel(name: string): Promise<PodAnswer> {
    this.cancelTasks(name, `pod ${name} was deleted`);
    return this.#podRequests.make((request) => this.change((agent, now) => agent.podDel(request, name, now)));
  }

  /** Begins to wake `task`; it is forgotten when it is over. */
  addTask(task: Task): void {
    this.#tasks.add(task);
    this.#arm();
  }

  /** Cancels what works in `pod`. */
  cancelTasks(pod: string, why: string): void {
    for (const task of [...this.#tasks]) if (task.pod === pod) task.cancel(why);
    this.#arm();
  }

  state(): NodeState {
    return { ...this.agent.state(), pid: process.pid, failedPods: this.pods.failed };
  }

  /** Leaves the cluster and ends, with exit code 0, in bounded time. */
  stop(revoke: boolean, why: string): void {
    if (this.#end !== undefined || this.#stopTimer !== undefined) return;
    this.#logger.log("info", "node", "stop", why, { revoke });
    if (!this.#started) {
      this.#finish({ code: 0, reason: why });
      return;
    }
    this.#stopTimer = setTimeout(() => {
      this.#logger.log(
        "warn",
        "node",
        "stop",
        `the store did not answer within ${STOP_BOUND_MS} ms; the lease will expire`,
      );
      this.#finish({ code: 0, reason: why });
    }, STOP_BOUND_MS);
    this.change((agent, now) => agent.stop(revoke, now));
  }

  /**
   * A datagram arrived. After a lull it is worth its own turn at once: that is what a ping's round trip is made of. In a
   * burst the stack runs once for all of it, when the socket has been read.
   */
  #arrived(): void {
    if (this.#turnArmed) return;
    if (this.clock.now() - this.#lastTurnAt < LULL_US) this.#arm();
    else this.#turn();
  }

  #arm(): void {
    if (this.#turnArmed || this.#end !== undefined) return;
    this.#turnArmed = true;
    setImmediate(this.#turnNow);
  }

  /**
   * One turn: what arrived in this turn of the event loop has been handed over already (a socket's burst of at most 32
   * datagrams, the store's events), so the stack runs once for all of it.
   */
  #turn(): void {
    this.#turnArmed = false;
    if (this.#end !== undefined) return;
    // Before anything is forwarded: a lease may have ended while the machine slept.
    this.#store?.checkSleep();
    const now = this.clock.now();
    this.#lastTurnAt = now;
    let more = this.agent.run(now, TURN_PACKETS_MAX);
    if (this.#tasks.size > 0) {
      this.#wakeTasks(now);
      // What they sent leaves in this turn; what that brings them, if it is for this very node, they see in the next.
      if (!more && this.agent.stack.nextDeadline() <= now) {
        // The clock has gone on: a reply from this very node took some microseconds, not none.
        this.agent.run(this.clock.now(), TURN_PACKETS_MAX);
        more = true;
      }
    }
    const drained = this.#drain();
    if (this.#stateChanged) this.#tellState();
    if (this.#end !== undefined) return;
    const deadline = this.#nextDeadline();
    if (more || !drained || deadline <= this.clock.now()) this.#arm();
    else this.#armTimer(deadline);
  }

  #wakeTasks(now: Instant): void {
    for (const task of this.#tasks) {
      task.wake(now);
      if (task.over) this.#tasks.delete(task);
    }
  }

  #nextDeadline(): Instant {
    let deadline = this.agent.nextDeadline();
    if (this.#tasks.size === 0) return deadline;
    for (const task of this.#tasks) deadline = Math.min(deadline, task.nextDeadline());
    return deadline;
  }

  /** A timer that is armed for an earlier moment stays: an early turn costs less than moving it for every packet. */
  #armTimer(deadline: Instant): void {
    if (this.#timerAt <= deadline) return;
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    const waitMs = Math.min(Math.ceil((deadline - this.clock.now()) / 1000), TIMER_MS_MAX);
    this.#timer = setTimeout(() => {
      this.#timerAt = NEVER;
      this.#arm();
    }, waitMs);
  }

  /** Carries out what the agent asks for. False: there is more. */
  #drain(): boolean {
    for (let i = 0; i < TURN_OUTPUTS_MAX; i++) {
      const output = this.agent.poll();
      if (output === undefined) return true;
      this.#perform(output);
    }
    return false;
  }

  #perform(output: AgentOutput): void {
    switch (output.t) {
      case "op":
        this.#store?.perform(output.op);
        return;
      case "listen":
        this.#sockets.listen(output.local, output.port);
        return;
      case "unlisten":
        this.#sockets.unlisten(output.local, output.port);
        return;
      case "openRawIp":
        this.#sockets.openRawIp();
        return;
      case "openRawIcmp":
        this.#sockets.openRawIcmp();
        return;
      case "bgpStart":
        this.#sockets.startBgp(output.port);
        return;
      case "bgpTurn":
        this.#sockets.turnBgp();
        return;
      case "bgpStop":
        this.#sockets.stopBgp(output.silent);
        return;
      case "podDone":
        this.#podRequests.settle(output.request, output);
        return;
      case "putFile":
        this.#keep(() => this.folder.put(output.path, output.text));
        return;
      case "delFile":
        this.#keep(() => this.folder.del(output.path));
        return;
      case "state":
        this.#stateChanged = true;
        return;
      case "log":
        this.#logger.log(output.level, "agent", output.event, output.message, output.fields);
        return;
      case "exit":
        this.#finish(output);
    }
  }

  /** A state folder that cannot be written costs the node its memory, not its life. */
  #keep(write: () => void): void {
    try {
      write();
    } catch (thrown) {
      this.#logger.error("node", "state-folder", thrown);
    }
  }

  #tellState(): void {
    this.#stateChanged = false;
    if (this.pods.waiting && this.agent.takesPods) this.pods.attach((wish) => this.podAdd(wish));
    this.#teller.change();
  }

  /** Packets to `dst` are lost from now on: say which leases those are. */
  #warnUncarried(dst: Ipv4Addr, { code, message, remedy }: PodloomError): void {
    const subnets = this.agent.subnetsBehind(dst);
    const what = subnets.length === 0 ? formatIpv4(dst) : `lease ${subnets.join(", ")}`;
    const error = new PodloomError(code, `${what} cannot be carried here: ${message}`, { remedy });
    this.#logger.error("node", "uncarried", error, "warn");
  }

  #finish(end: NodeEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    clearTimeout(this.#timer);
    clearTimeout(this.#stopTimer);
    this.pods.stop();
    this.#teller.close();
    for (const task of [...this.#tasks]) task.cancel("the node is stopping");
    void this.#close().then((inTime) => {
      this.#countBuffers(inTime);
      this.#sayEnd(end);
      this.#resolveEnded(end);
    });
  }

  /** The last line of the log: whoever asks why the node ended reads it first. */
  #sayEnd(end: NodeEnd): void {
    if (end.code === 0) {
      this.#logger.log("info", "node", "exit", end.reason);
      return;
    }
    const { code, remedy } = this.#failure ?? {};
    this.#logger.log("error", "node", "exit", end.reason, {
      ...(code === undefined ? {} : { code }),
      ...(remedy === undefined ? {} : { remedy }),
    });
  }

  /** Answers whether everything closed in time. */
  async #close(): Promise<boolean> {
    const closing = [this.#store?.close() ?? Promise.resolve(), this.#sockets.close()];
    const closed = Promise.allSettled(closing).then(() => true);
    const bound = new Promise<false>((resolve) => setTimeout(() => resolve(false), CLOSE_BOUND_MS).unref());
    return await Promise.race([closed, bound]);
  }

  /** Nobody uses a packet any more: one that has not come back to the pool was lost by our own code. */
  #countBuffers(inTime: boolean): void {
    this.agent.close(this.clock.now());
    const { outstanding } = this.agent.stack.pool;
    const lost = outstanding !== 0;
    const why = inTime ? "" : "; sockets did not close in time";
    const message = lost
      ? `${outstanding} packet buffers were not released${why}`
      : "every packet buffer is back";
    this.#logger.log(lost ? "error" : "info", "node", "buffers", message, { outstanding });
  }
}
