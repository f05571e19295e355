// The supervisor of one lab: the store, the node processes and the control socket, from `up` to `down`. It is a convenience
// and never a part of the data path; what it starts ends when it does, however it ends.
import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { formatPrefix } from "../base/ipv4-addr.ts";
import { Logger } from "../io/logger.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import type { Environment } from "../io/xdg-folders.ts";
import { findBgpPort } from "./bgp-port.ts";
import type { ChildExit } from "./child-process.ts";
import { ControlServer } from "./control-server.ts";
import { describeEvent } from "./describe-event.ts";
import {
  type LabDirs,
  labDirs,
  logPath,
  makeStateDir,
  removeFailedStart,
  removeLab,
  runtimeFault,
  stateFault,
  writeLabJson,
} from "./lab-dirs.ts";
import { ownIdentity, takeLock } from "./lab-lock.ts";
import { labMembers } from "./lab-member.ts";
import { clearOrphans, noteChildren, refuseSharedUnderlay, underlayText } from "./lab-preflight.ts";
import type { DownResult, LabStatus, SupervisorEvent } from "./lab-protocol.ts";
import { LabStore } from "./lab-store.ts";
import { NodeProcess, type NodeWatcher } from "./node-process.ts";
import type { Lab } from "./resolve-lab.ts";
import { describeEnd, type RestartDecision } from "./restart-policy.ts";

/** How long nodes have to leave before they are killed. */
export const STOP_TIMEOUT_MS = 10_000;
const STORE_STOP_TIMEOUT_MS = 3000;
/** Exit codes of a node that no restart cures: usage, and an environment that lacks something. */
const EXIT_USAGE = 2;
const EXIT_ENVIRONMENT = 5;

/** The code of the failure that ends a lab because of a fault of our own. */
export const CRASH_CODE = "PL_CRASHED";

/** What a supervisor needs besides the lab. */
export interface SupervisorOptions {
  readonly env: Environment;
  /** Replace a different configuration in an external store. */
  readonly forceConfig: boolean;
  readonly onEvent: (event: SupervisorEvent) => void;
  /** The program and arguments that run podloom; the default is this installation. */
  readonly program?: readonly string[];
  /** How long nodes have to leave before they are killed; {@link STOP_TIMEOUT_MS}. */
  readonly stopTimeoutMs?: number;
}

/** The program and arguments that run this installation of podloom. */
export function podloomProgram(): string[] {
  return [process.execPath, fileURLToPath(new URL("../../bin/podloom.js", import.meta.url))];
}

/** What is open while a lab runs. */
interface Resources {
  readonly dirs: LabDirs;
  readonly log: Logger;
  readonly store: LabStore;
  readonly server: ControlServer;
  readonly token: string;
  readonly bgpPort: number;
}

/** One running lab. */
export class Supervisor implements NodeWatcher {
  readonly lab: Lab;
  readonly dirs: LabDirs;
  /** Its nodes, and its routers and announcers. */
  readonly nodes: readonly NodeProcess[];
  /** Settles when everything has been stopped: with the fault that ended the lab, or undefined after an orderly stop. */
  readonly finished: Promise<PodloomError | undefined>;
  readonly #startedAt = Date.now();
  readonly #options: SupervisorOptions;
  readonly #store: LabStore;
  readonly #server: ControlServer;
  readonly #log: Logger;
  readonly #byName: ReadonlyMap<string, NodeProcess>;
  #failure: PodloomError | undefined;
  #everReady = false;
  #stopping: Promise<readonly string[]> | undefined;
  #leasesStay = false;
  #finish: (failure: PodloomError | undefined) => void = () => undefined;

  private constructor(lab: Lab, options: SupervisorOptions, resources: Resources) {
    this.lab = lab;
    this.dirs = resources.dirs;
    this.#options = options;
    this.#store = resources.store;
    this.#server = resources.server;
    this.#log = resources.log;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    const context = {
      lab,
      dirs: resources.dirs,
      program: options.program ?? podloomProgram(),
      env: options.env,
      endpoints: resources.store.status.endpoints,
      token: resources.token,
      bgpPort: resources.bgpPort,
    };
    this.nodes = labMembers(lab).map((member) => new NodeProcess(member, context, this));
    this.#byName = new Map(this.nodes.map((node) => [node.name, node]));
  }

  /**
   * Brings up the store and the control socket and begins to start nodes. Whether they become ready is told by events and by
   * `status`. When it rejects, nothing is left.
   *
   * @throws PodloomError PL_LAB_RUNNING, PL_UNDERLAY_IN_USE, PL_RUNTIME_DIR, PL_STATE_DIR, and what the store may say
   */
  static async start(lab: Lab, options: SupervisorOptions): Promise<Supervisor> {
    refuseSharedUnderlay(lab, options.env);
    const dirs = labDirs(lab.name, options.env);
    const dead = takeLock(dirs, {
      name: lab.name,
      supervisor: ownIdentity(),
      startedAt: Date.now(),
      state: dirs.state,
      socket: dirs.socket,
      underlay: underlayText(lab),
      carrier: lab.underlay.carrier,
    });
    let supervisor: Supervisor | undefined;
    try {
      const killed = await clearOrphans(dirs);
      if (dead !== undefined) options.onEvent({ t: "tookOver", pid: dead.supervisor.pid, killed });
      makeStateDir(dirs);
      writeLabJson(dirs, lab);
      const resources = await open(lab, options, dirs, () => supervisor);
      supervisor = new Supervisor(lab, options, resources);
    } catch (thrown) {
      removeFailedStart(dirs);
      throw thrown;
    }
    const started = supervisor;
    started.#tell({ t: "store", store: started.#store.describe() });
    started.#noteChildren();
    started.#startNodes().catch((thrown: unknown) => started.crashed("startNodes", thrown));
    return started;
  }

  node(name: string): NodeProcess | undefined {
    return this.#byName.get(name);
  }

  /** The node that has a pod of that name. */
  nodeOfPod(pod: string): NodeProcess | undefined {
    return this.nodes.find(
      (node) => node.state?.pods.includes(pod) === true || node.member.pods.includes(pod),
    );
  }

  /** Where everything stands. */
  async status(withStore: boolean): Promise<LabStatus> {
    const { lab, dirs } = this;
    return {
      name: lab.name,
      pid: process.pid,
      startedAt: this.#startedAt,
      socket: dirs.socket,
      state: dirs.state,
      logs: dirs.logs,
      cni: lab.calico === undefined ? "flannel" : "calico",
      backend: lab.backend,
      network: formatPrefix(lab.network),
      etcdPrefix: lab.etcdPrefix,
      store: this.#store.describe(),
      nodes: this.nodes.map((node) => node.describe()),
      ...(withStore ? await this.#store.subnets() : { storeLeases: undefined, storeOptional: [] }),
    };
  }

  /** Stops everything in bounded time. Answers what had to be killed. A second call waits for the first. */
  stop(): Promise<readonly string[]> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** What the stop came to. */
  downResult(killed: readonly string[]): DownResult {
    return { killed, ...(this.#leasesStay && { leasesStay: true }) };
  }

  /** Kills everything at once: the second Ctrl-C. */
  kill(): void {
    for (const node of this.nodes) node.kill();
    this.#store.kill();
  }

  /** Ends the lab because of `error`. */
  fail(error: PodloomError): void {
    if (this.#failure !== undefined || this.#stopping !== undefined) return;
    this.#failure = error;
    try {
      this.#tell({ t: "failed", code: error.code, message: error.message, remedy: error.remedy });
    } finally {
      void this.stop();
    }
  }

  /** A fault of our own, which nobody caught: says everything in the log, and ends the lab in order. */
  crashed(event: string, thrown: unknown): void {
    const error = this.#crash(event, thrown);
    if (this.#stopping === undefined) this.fail(error);
    else this.#failure ??= error;
  }

  #crash(event: string, thrown: unknown): PodloomError {
    this.#log.error("lab", event, thrown, "fatal");
    this.#log.flush();
    return new PodloomError(
      CRASH_CODE,
      `a fault of the supervisor itself has ended the lab: ${messageOf(thrown)}`,
      {
        remedy: `This should not happen; ${logPath(this.dirs, "supervisor")} says where it did.`,
        cause: thrown,
      },
    );
  }

  // ---- what nodes and the store tell ----

  nodeStarted(node: NodeProcess, pid: number): void {
    const running = this.nodes.filter((other) => other.status === "running").length;
    this.#tell({ t: "nodeStarted", name: node.name, pid, running, nodes: this.nodes.length });
    this.#noteChildren();
  }

  nodeReady(node: NodeProcess): void {
    const ready = this.nodes.filter((other) => other.state?.phase === "ready").length;
    if (this.nodes.every((other) => other.wasReady)) this.#everReady = true;
    this.#tell({ t: "nodeReady", name: node.name, ready, nodes: this.nodes.length });
  }

  nodeEnded(node: NodeProcess, exit: ChildExit, proposal: RestartDecision): RestartDecision {
    const { name } = node;
    const incurable = exit.code === EXIT_ENVIRONMENT || exit.code === EXIT_USAGE;
    // While the lab comes up, a node that cannot run means that the lab cannot: better one clear error than a part of a lab.
    if (!this.#everReady && (incurable || proposal.t === "leave")) {
      this.fail(nodeFailure(name, exit, proposal));
      return { t: "leave", why: "the lab is being stopped" };
    }
    const restartInMs = proposal.t === "restart" ? proposal.afterMs : undefined;
    const why = proposal.t === "leave" ? proposal.why : "";
    this.#tell({ t: "nodeEnded", name, cause: exit.cause, restartInMs, why });
    return proposal;
  }

  storeEnded(exit: ChildExit): void {
    this.#tell({ t: "storeEnded", cause: exit.cause });
  }

  storeBack(): void {
    this.#tell({ t: "storeBack" });
    this.#noteChildren();
  }

  async #startNodes(): Promise<void> {
    const queue = [...this.nodes];
    const worker = async (): Promise<void> => {
      for (let node = queue.shift(); node !== undefined; node = queue.shift()) {
        if (this.#stopping !== undefined) return;
        await node.start();
      }
    };
    // Starting a process is work for a processor: more at once than twice their number only makes each of them slower.
    await Promise.all(Array.from({ length: 2 * availableParallelism() }, worker));
  }

  async #stop(): Promise<readonly string[]> {
    const killed: string[] = [];
    try {
      this.#tell({ t: "stopping" });
      this.#leasesStay =
        this.lab.calico === undefined &&
        this.lab.store.kind === "external" &&
        this.nodes.some(({ state }) => state?.store === "Disconnected" && state.subnet !== undefined);
      await Promise.all(
        this.nodes.map(async (node) => {
          if (await node.stop(this.#options.stopTimeoutMs ?? STOP_TIMEOUT_MS)) killed.push(node.name);
        }),
      );
      if (await this.#store.stop(STORE_STOP_TIMEOUT_MS)) killed.push("store");
      this.#tell({ t: "stopped", ...this.downResult(killed) });
      await this.#server.close(this.downResult(killed));
    } catch (thrown) {
      // Whatever it is, it must not keep anything alive.
      this.kill();
      this.#failure ??= this.#crash("stop", thrown);
    }
    this.#log.close();
    try {
      removeLab(this.dirs);
    } catch (thrown) {
      this.#failure ??= thrown as PodloomError;
    }
    this.#finish(this.#failure);
    return killed;
  }

  #noteChildren(): void {
    const children = [this.#store.child, ...this.nodes.map((node) => node.child)];
    const alive = children.flatMap((child) =>
      child?.exit === undefined && child?.identity !== undefined ? [child.identity] : [],
    );
    try {
      noteChildren(this.dirs, alive);
    } catch (thrown) {
      // A convenience for whoever cleans up after a killed supervisor: without it that one has to trust that all have ended.
      this.#log.error("lab", "noteChildren", thrown, "warn");
    }
  }

  #tell(event: SupervisorEvent): void {
    const { t, ...fields } = event;
    const level = t === "failed" ? "error" : t === "storeEnded" || t === "nodeEnded" ? "warn" : "info";
    this.#log.log(level, "lab", t, describeEvent(event), fields);
    this.#options.onEvent(event);
  }
}

/** Opens what a supervisor needs, or leaves nothing open. */
async function open(
  lab: Lab,
  options: SupervisorOptions,
  dirs: LabDirs,
  supervisor: () => Supervisor | undefined,
): Promise<Resources> {
  const log = openLog(dirs);
  let store: LabStore | undefined;
  try {
    const bgpPort = await findBgpPort();
    store = await LabStore.open({
      lab,
      dirs,
      program: options.program ?? podloomProgram(),
      env: options.env,
      forceConfig: options.forceConfig,
      bgpPort,
      onEnded: (exit) => supervisor()?.storeEnded(exit),
      onBack: () => supervisor()?.storeBack(),
      onLost: (error) => supervisor()?.fail(error),
    });
    const token = randomBytes(16).toString("hex");
    const server = await openSocket(dirs, token, supervisor);
    return { dirs, log, store, server, token, bgpPort };
  } catch (thrown) {
    log.error("lab", "start", thrown);
    await store?.stop(STORE_STOP_TIMEOUT_MS);
    log.close();
    throw thrown;
  }
}

async function openSocket(
  dirs: LabDirs,
  token: string,
  supervisor: () => Supervisor | undefined,
): Promise<ControlServer> {
  try {
    return await ControlServer.listen(dirs.socket, token, supervisor);
  } catch (thrown) {
    if (!(thrown instanceof PodloomError) || thrown.code !== "PL_SOCKET_FAILED") throw thrown;
    throw runtimeFault(dirs.runtime, thrown.cause ?? thrown);
  }
}

function openLog(dirs: LabDirs): Logger {
  try {
    return new Logger({ node: "supervisor", level: "info", file: logPath(dirs, "supervisor") });
  } catch (thrown) {
    throw stateFault(dirs.logs, (thrown as PodloomError).cause ?? thrown);
  }
}

/** Why the lab cannot run, from the end of one node. */
function nodeFailure(name: string, exit: ChildExit, proposal: RestartDecision): PodloomError {
  if (exit.code === EXIT_ENVIRONMENT || !exit.started) {
    const code = exit.errorCode ?? "PL_NODE_ENVIRONMENT";
    const message = exit.started ? `: ${exit.errorMessage ?? exit.cause}` : ` ${describeEnd(exit.cause)}`;
    return new PodloomError(code, `node ${name}${message}`, {
      remedy: exit.errorRemedy ?? `\`podloom logs ${name}\` shows more.`,
    });
  }
  const why = proposal.t === "leave" ? `; ${proposal.why}` : "";
  return new PodloomError("PL_NODE_FAILED", `node ${name} ${describeEnd(exit.cause)}${why}`, {
    remedy: `\`podloom logs ${name}\` shows more.`,
  });
}
