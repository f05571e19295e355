// The store of a lab, whichever it is: started or reached, configured, watched, started again when it dies.
import { setTimeout } from "node:timers/promises";
import { type EtcdTransport, StoreError } from "../io/etcd/etcd-transport.ts";
import { openTransport, type StoreClient } from "../io/etcd/open-transport.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import type { Environment } from "../io/xdg-folders.ts";
import { CalicoStore } from "./calico-store.ts";
import type { Child, ChildExit } from "./child-process.ts";
import { FlannelStore } from "./flannel-store.ts";
import { type LabDirs, logPath } from "./lab-dirs.ts";
import type { StoreStatus } from "./lab-protocol.ts";
import type { Lab } from "./resolve-lab.ts";
import { decideRestart, describeEnd } from "./restart-policy.ts";
import { retried, type StoreNetwork, type StoreSubnets } from "./store-network.ts";
import { type StoreContext, type StorePorts, startStore, startStoreOn, stopStore } from "./store-process.ts";

/** Restarts of a store in a row before the lab is given up. */
const RESTARTS_MAX = 5;
const BACKOFF_MS = 200;

/** What a lab's store is opened with. */
export interface LabStoreOptions {
  readonly lab: Lab;
  readonly dirs: LabDirs;
  readonly program: readonly string[];
  readonly env: Environment;
  /** Replace a different configuration that an external store holds. */
  readonly forceConfig: boolean;
  /** The store's process ended unasked; it is being started again. */
  readonly onEnded: (exit: ChildExit) => void;
  readonly onBack: () => void;
  /** It does not come back. */
  readonly onLost: (error: PodloomError) => void;
  /** The pause before the first restart in a row; each further one is twice as long. 200. */
  readonly backoffMs?: number;
  /** Where this lab's BGP listens. */
  readonly bgpPort: number;
}

/** An open store. */
export class LabStore {
  readonly status: StoreStatus;
  readonly #options: LabStoreOptions;
  readonly #transport: EtcdTransport;
  readonly #network: StoreNetwork;
  readonly #context: StoreContext | undefined;
  readonly #ports: StorePorts | undefined;
  /** The newest process: one that is being started, too, so that no end of ours leaves it behind. */
  #child: Child | undefined;
  #restarts = 0;
  readonly #stopped = new AbortController();

  private constructor(
    options: LabStoreOptions,
    status: StoreStatus,
    transport: EtcdTransport,
    own: { readonly context: StoreContext; readonly ports: StorePorts; readonly child: Child } | undefined,
  ) {
    this.#options = options;
    this.status = status;
    this.#transport = transport;
    const { lab, bgpPort } = options;
    this.#network =
      lab.calico === undefined ? new FlannelStore(lab) : new CalicoStore(lab, lab.calico, bgpPort, status);
    this.#context = own?.context;
    this.#ports = own?.ports;
    this.#child = own?.child;
    if (own !== undefined) this.#watch(own.child);
  }

  /**
   * Starts or reaches the store and writes the network's configuration.
   *
   * @throws PodloomError PL_ETCD_MISSING, PL_STORE_FAILED, PL_ETCD_UNREACHABLE, PL_CONFIG_FOREIGN
   */
  static async open(options: LabStoreOptions): Promise<LabStore> {
    const { store, storeClient: client } = options.lab;
    const own = store.kind === "external" ? undefined : await startOwn(store.kind, options);
    const endpoints =
      store.kind === "external"
        ? store.endpoints
        : [`http://127.0.0.1:${(own as { ports: StorePorts }).ports.client}`];
    const transport = await openTransport({ endpoints }, client);
    try {
      const version = await versionOf(transport, endpoints);
      const text = `${describeKind(store.kind, version)} at ${endpoints.join(", ")}`;
      const status = { kind: store.kind, text, client, endpoints, version, pid: own?.child.pid };
      const opened = new LabStore(options, status, transport, own);
      await opened.#network.configure(transport, options.forceConfig);
      return opened;
    } catch (thrown) {
      await transport.close();
      if (own !== undefined) await stopStore(own.child, 2000);
      throw thrown;
    }
  }

  get child(): Child | undefined {
    return this.#child;
  }

  /** Its status with the present pid. */
  describe(): StoreStatus {
    return { ...this.status, pid: this.#child?.exit === undefined ? this.#child?.pid : undefined };
  }

  /** The subnets that nodes are to have, sorted by address, each once; none are told when the store does not answer. */
  async subnets(): Promise<StoreSubnets> {
    try {
      return await this.#network.subnets(this.#transport);
    } catch (thrown) {
      if (thrown instanceof StoreError) return { storeLeases: undefined, storeOptional: [] };
      throw thrown;
    }
  }

  /** Ends the connection, and the process if it is ours, ready or not. Answers whether that had to be killed. */
  async stop(deadlineMs: number): Promise<boolean> {
    this.#stopped.abort();
    await this.#transport.close();
    return this.#child === undefined ? false : stopStore(this.#child, deadlineMs);
  }

  kill(): void {
    this.#stopped.abort();
    this.#child?.signal("SIGKILL");
  }

  get #stopping(): boolean {
    return this.#stopped.signal.aborted;
  }

  #watch(child: Child): void {
    void child.ended.then((exit) => {
      if (!this.#stopping) void this.#restart(exit);
    });
  }

  async #restart(exit: ChildExit): Promise<void> {
    const rule = {
      policy: "always",
      maxRetries: RESTARTS_MAX,
      backoffMs: this.#options.backoffMs ?? BACKOFF_MS,
    } as const;
    const decision = decideRestart(rule, exit, this.#restarts);
    if (decision.t === "leave") {
      this.#lose(`the store ${describeEnd(exit.cause)}; ${decision.why}`);
      return;
    }
    this.#restarts = decision.restarts;
    this.#options.onEnded(exit);
    if (!(await pause(decision.afterMs, this.#stopped.signal))) return;
    const spawned = (child: Child): void => {
      this.#child = child;
    };
    const started = await startStoreOn(this.#context as StoreContext, this.#ports as StorePorts, spawned);
    if (this.#stopping) return;
    if (!started.ok) {
      void this.#restart(started.error);
      return;
    }
    this.#watch(started.value);
    await this.#configureAgain(started.value);
  }

  /** A store that lost its data has lost the configuration too. */
  async #configureAgain(child: Child): Promise<void> {
    try {
      await this.#network.configureAgain(this.#transport);
      this.#options.onBack();
    } catch (thrown) {
      // Whoever watches it starts it again when it has ended meanwhile.
      if (this.#stopping || child.exit !== undefined) return;
      const why = `the store came back, but the network's configuration could not be written: ${messageOf(thrown)}`;
      this.#lose(why, thrown);
    }
  }

  #lose(message: string, cause?: unknown): void {
    this.#options.onLost(
      new PodloomError("PL_STORE_FAILED", message, {
        remedy: `Its log says more: ${logPath(this.#options.dirs, "store")}`,
        cause,
      }),
    );
  }
}

/** False when it was cut short. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await setTimeout(ms, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}

function describeKind(kind: StoreStatus["kind"], version: string): string {
  if (kind === "embedded") return "embedded etcd v3 server, durable,";
  return kind === "etcd" ? `etcd ${version}, started from PATH,` : `etcd ${version}, which ran before,`;
}

async function startOwn(
  kind: "embedded" | "etcd",
  { lab, dirs, program, env }: LabStoreOptions,
): Promise<{ context: StoreContext; ports: StorePorts; child: Child }> {
  const answers = (endpoint: string): Promise<boolean> => answersAt(endpoint, lab.storeClient);
  const context: StoreContext = { kind, dirs, program, env, answers };
  return { context, ...(await startStore(context)) };
}

async function answersAt(endpoint: string, client: StoreClient): Promise<boolean> {
  const transport = await openTransport({ endpoints: [endpoint] }, client);
  try {
    await transport.status();
    return true;
  } catch {
    return false;
  } finally {
    await transport.close();
  }
}

async function versionOf(transport: EtcdTransport, endpoints: readonly string[]): Promise<string> {
  try {
    return (await retried(() => transport.status())).version;
  } catch (thrown) {
    if (!(thrown instanceof StoreError)) throw thrown;
    throw new PodloomError(
      "PL_ETCD_UNREACHABLE",
      `no etcd answers at ${endpoints.join(", ")}: ${thrown.message}`,
      {
        remedy: "Start it or correct the address; --store embedded needs none.",
        cause: thrown,
      },
    );
  }
}
