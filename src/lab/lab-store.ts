// The store of a lab, whichever it is: started or reached, configured, watched, started again when it dies.

import { formatPrefix } from "../base/ipv4-addr.ts";
import { decodeUtf8, encodeUtf8 } from "../base/utf8.ts";
import type { KeyValue } from "../control/datastore/messages.ts";
import { NO_LEASE } from "../control/datastore/messages.ts";
import { emitConfigKey, parseSubnetKey, subnetsRange } from "../control/flannel/subnet-key.ts";
import { type EtcdTransport, StoreError } from "../io/etcd/etcd-transport.ts";
import { Etcd3Transport } from "../io/etcd/etcd3-transport.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import type { Environment } from "../io/xdg-folders.ts";
import type { Child, ChildExit } from "./child-process.ts";
import { type LabDirs, logPath } from "./lab-dirs.ts";
import type { StoreStatus } from "./lab-protocol.ts";
import type { Lab } from "./resolve-lab.ts";
import { decideRestart, describeEnd } from "./restart-policy.ts";
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
}

/** An open store. */
export class LabStore {
  readonly status: StoreStatus;
  readonly #options: LabStoreOptions;
  readonly #transport: EtcdTransport;
  readonly #context: StoreContext | undefined;
  readonly #ports: StorePorts | undefined;
  #child: Child | undefined;
  /** A restart that is under way. */
  #starting: Promise<unknown> | undefined;
  #restarts = 0;
  #stopping = false;

  private constructor(
    options: LabStoreOptions,
    status: StoreStatus,
    transport: EtcdTransport,
    own: { readonly context: StoreContext; readonly ports: StorePorts; readonly child: Child } | undefined,
  ) {
    this.#options = options;
    this.status = status;
    this.#transport = transport;
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
    const { store } = options.lab;
    const own = store.kind === "external" ? undefined : await startOwn(store.kind, options);
    const endpoints =
      store.kind === "external"
        ? store.endpoints
        : [`http://127.0.0.1:${(own as { ports: StorePorts }).ports.client}`];
    const transport = new Etcd3Transport({ endpoints });
    try {
      const version = await versionOf(transport, endpoints);
      const text = `${describeKind(store.kind, version)} at ${endpoints.join(", ")}`;
      const status = { kind: store.kind, text, endpoints, version, pid: own?.child.pid };
      const opened = new LabStore(options, status, transport, own);
      await opened.#writeConfig();
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

  /**
   * Subnets that keys of leases name, sorted by address, each once; undefined when the store does not answer.
   *
   * Values are not judged here. Whether a lease can be used depends on who reads it: on its backend, its own subnet, its own
   * address, and on what it knew before the value was spoilt. So each node reports the subnets that it ignores
   * (`NodeState.ignored`), and whoever compares takes those away.
   */
  async leases(): Promise<readonly string[] | undefined> {
    let kvs: readonly KeyValue[];
    try {
      kvs = (await this.#transport.range(subnetsRange(this.#options.lab.etcdPrefix))).kvs;
    } catch (thrown) {
      if (thrown instanceof StoreError) return undefined;
      throw thrown;
    }
    const subnets = kvs.flatMap((kv) => parseSubnetKey(kv.key)?.subnet ?? []);
    return [...new Set(subnets.sort((a, b) => a.addr - b.addr || a.len - b.len).map(formatPrefix))];
  }

  /** Ends the connection, and the process if it is ours. Answers whether that had to be killed. */
  async stop(deadlineMs: number): Promise<boolean> {
    this.#stopping = true;
    await this.#transport.close();
    // One that is just being started again would outlive us and make its folder anew.
    await atMost(deadlineMs, this.#starting);
    return this.#child === undefined ? false : stopStore(this.#child, deadlineMs);
  }

  kill(): void {
    this.#stopping = true;
    this.#child?.signal("SIGKILL");
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
    await new Promise((resolve) => setTimeout(resolve, decision.afterMs));
    if (this.#stopping) return;
    const starting = startStoreOn(this.#context as StoreContext, this.#ports as StorePorts);
    this.#starting = starting;
    const started = await starting;
    this.#starting = undefined;
    if (started.ok) this.#child = started.value;
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
      await this.#writeConfig();
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

  async #writeConfig(): Promise<void> {
    const { lab, forceConfig } = this.#options;
    const key = emitConfigKey(lab.etcdPrefix);
    const value = encodeUtf8(lab.networkJson);
    const absent = { key, target: "version", op: "equal", operand: 0 } as const;
    const put = { t: "put", key, value, lease: NO_LEASE } as const;
    const range = { t: "range", range: { key, rangeEnd: undefined } } as const;
    const outcome = await retried(() => this.#transport.txn([absent], [put], [range]));
    if (outcome.succeeded) return;
    const reply = outcome.replies[0];
    const found = reply?.t === "range" ? reply.kvs[0] : undefined;
    const text = found === undefined ? "" : (decodeUtf8(found.value) ?? "");
    if (sameJson(text, lab.networkJson)) return;
    if (lab.store.kind === "external" && !forceConfig) {
      throw new PodloomError(
        "PL_CONFIG_FOREIGN",
        `the store holds another network configuration under ${key}: ${text.slice(0, 300)}`,
        {
          remedy:
            "Use it in the lab file's `network`, choose another etcdPrefix, or replace it with --force-config.",
        },
      );
    }
    await this.#transport.put(key, value, NO_LEASE);
  }
}

/** Waits for `work`, but no longer than that. */
async function atMost(ms: number, work: Promise<unknown> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}

function describeKind(kind: StoreStatus["kind"], version: string): string {
  if (kind === "embedded") return "embedded etcd v3 server, in memory,";
  return kind === "etcd" ? `etcd ${version}, started from PATH,` : `etcd ${version}, which ran before,`;
}

async function startOwn(
  kind: "embedded" | "etcd",
  { dirs, program, env }: LabStoreOptions,
): Promise<{ context: StoreContext; ports: StorePorts; child: Child }> {
  const context: StoreContext = { kind, dirs, program, env, answers };
  return { context, ...(await startStore(context)) };
}

async function answers(endpoint: string): Promise<boolean> {
  const transport = new Etcd3Transport({ endpoints: [endpoint] });
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

/** Tries again a few times what failed because the store was not there yet. Only for what may safely be done twice. */
async function retried<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (thrown) {
      const again =
        thrown instanceof StoreError && (thrown.reason === "unavailable" || thrown.reason === "timeout");
      if (!again || attempt === 4) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt));
    }
  }
}

/** Do two JSON texts say the same? The order of keys does not matter. */
export function sameJson(a: string, b: string): boolean {
  try {
    return canonical(JSON.parse(a)) === canonical(JSON.parse(b));
  } catch {
    return a === b;
  }
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(",")}}`;
}
