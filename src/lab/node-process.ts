// One member's process over its lives (a node's, a router's, an announcer's): started, connected, watched, started again by the
// lab's rule.
import type { Connection } from "../io/ipc/connection.ts";
import { type NodeState, TOKEN_VARIABLE } from "../io/ipc/protocol.ts";
import { Child, type ChildExit, failedStart } from "./child-process.ts";
import { logPath } from "./lab-dirs.ts";
import type { LabMember, MemberContext } from "./lab-member.ts";
import type { NodeProcessStatus, NodeStatus } from "./lab-protocol.ts";
import { decideRestart, type RestartDecision } from "./restart-policy.ts";

/** Who hears of a node. */
export interface NodeWatcher {
  nodeStarted(node: NodeProcess, pid: number): void;
  /** It has become ready. */
  nodeReady(node: NodeProcess): void;
  /** It ended while nobody had asked it to. Answers what is to be done. */
  nodeEnded(node: NodeProcess, exit: ChildExit, proposal: RestartDecision): RestartDecision;
}

/** One member of the lab. */
export class NodeProcess {
  readonly member: LabMember;
  /** What it said of itself last, while it is connected. */
  state: NodeState | undefined;
  status: NodeProcessStatus = "waiting";
  /** Restarts since the lab started, and those in a row. */
  restarts = 0;
  lastExit: string | undefined;
  /** Has it been ready once? */
  wasReady = false;
  readonly #context: MemberContext;
  readonly #watcher: NodeWatcher;
  #child: Child | undefined;
  #connection: Connection | undefined;
  #inARow = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopping = false;
  /** Told when the process has said hello or has ended: then the next one may start. */
  #settled: (() => void) | undefined;

  constructor(member: LabMember, context: MemberContext, watcher: NodeWatcher) {
    this.member = member;
    this.#context = context;
    this.#watcher = watcher;
  }

  get name(): string {
    return this.member.name;
  }

  get child(): Child | undefined {
    return this.#child;
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Milliseconds since its present process started. */
  get ageMs(): number {
    return this.#child === undefined ? 0 : performance.now() - this.#child.startedAtMs;
  }

  /** Starts it. Resolves once it is connected or has ended, so that a crowd can be started a few at a time. */
  start(): Promise<void> {
    if (this.#stopping) return Promise.resolve();
    const settled = new Promise<void>((resolve) => {
      this.#settled = resolve;
    });
    this.#spawn();
    return settled;
  }

  /** Takes over a connection that introduced itself with this node's name and the lab's token. */
  connected(connection: Connection): void {
    // A node that is replaced too fast may still have its old connection open.
    this.#connection?.destroy();
    this.#connection = connection;
    this.#settle();
  }

  disconnected(connection: Connection): void {
    if (this.#connection === connection) this.#connection = undefined;
  }

  /** A `state` notice. */
  report(state: NodeState): void {
    const before = this.state?.phase;
    this.state = state;
    if (state.phase !== "ready" || before === "ready") return;
    this.wasReady = true;
    this.#watcher.nodeReady(this);
  }

  /** Asks it to leave and waits; kills it when `deadlineMs` is over. Answers whether it had to be killed. */
  async stop(deadlineMs: number): Promise<boolean> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    let killed = false;
    if (child !== undefined && child.exit === undefined) {
      if (this.#connection === undefined) child.signal("SIGTERM");
      else this.#connection.request("stop", { revoke: true }).done.catch(() => child.signal("SIGTERM"));
      killed = await child.endWithin(deadlineMs);
    }
    this.status = "stopped";
    this.#settle();
    return killed;
  }

  /** Ends it at once. */
  kill(): void {
    this.#stopping = true;
    clearTimeout(this.#timer);
    this.#child?.signal("SIGKILL");
  }

  describe(): NodeStatus {
    const running = this.status === "running";
    return {
      name: this.name,
      role: this.member.role,
      status: this.status,
      pid: running ? this.#child?.pid : undefined,
      underlay: this.member.underlay,
      state: running ? this.state : undefined,
      pods: this.member.pods,
      restarts: this.restarts,
      lastExit: this.lastExit,
      log: logPath(this.#context.dirs, this.name),
    };
  }

  #spawn(): void {
    this.state = undefined;
    let child: Child;
    try {
      child = new Child({
        argv: this.member.argv(this.#context),
        env: { ...this.#context.env, [TOKEN_VARIABLE]: this.#context.token },
        log: logPath(this.#context.dirs, this.name),
        stdin: "ignore",
        stdout: "log",
      });
    } catch (thrown) {
      // A full disk, a limit of the system: it may pass, as what ends a process may.
      this.#child = undefined;
      this.#onEnd(failedStart(thrown));
      return;
    }
    this.#child = child;
    this.status = "running";
    void child.ended.then((exit) => this.#onEnd(exit));
    if (child.pid !== undefined) this.#watcher.nodeStarted(this, child.pid);
  }

  #onEnd(exit: ChildExit): void {
    this.#settle();
    this.state = undefined;
    this.lastExit = exit.cause;
    if (this.#stopping) {
      this.status = "stopped";
      return;
    }
    const proposal = decideRestart(this.#context.lab.restart, exit, this.#inARow);
    this.status = proposal.t === "restart" ? "backoff" : "dead";
    const decision = this.#watcher.nodeEnded(this, exit, proposal);
    if (decision.t === "leave") {
      this.status = "dead";
      return;
    }
    this.#timer = setTimeout(() => {
      this.#inARow = decision.restarts;
      this.restarts++;
      this.#spawn();
    }, decision.afterMs);
  }

  #settle(): void {
    this.#settled?.();
    this.#settled = undefined;
  }
}
