// The store of a lab, whichever it is: started or reached, configured, watched, started again when it dies.

import { formatPrefix } from "../base/ipv4-addr.ts";
import { decodeUtf8, encodeUtf8 } from "../base/utf8.ts";
import type { KeyValue } from "../control/datastore/messages.ts";
import { NO_LEASE } from "../control/datastore/messages.ts";
import { parseLeaseAttrs } from "../control/flannel/lease-attrs.ts";
import { emitConfigKey, parseSubnetKey, subnetsRange } from "../control/flannel/subnet-key.ts";
import { type EtcdTransport, StoreError } from "../io/etcd/etcd-transport.ts";
import { Etcd3Transport } from "../io/etcd/etcd3-transport.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import type { Child, ChildExit } from "./child-process.ts";
import type { Environment, LabDirs } from "./lab-dirs.ts";
import type { StoreStatus } from "./lab-protocol.ts";
import type { Lab } from "./resolve-lab.ts";
import { type StoreContext, type StorePorts, startStore, startStoreOn, stopStore } from "./store-process.ts";

/** Restarts of a store in a row before the lab is given up. */
const RESTARTS_MAX = 5;
const RESTART_PAUSE_MS = 100;
const STABLE_MS = 30_000;

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
}

/** An open store. */
export class LabStore {
  readonly status: StoreStatus;
  readonly #options: LabStoreOptions;
  readonly #transport: EtcdTransport;
  readonly #context: StoreContext | undefined;
  readonly #ports: StorePorts | undefined;
  #child: Child | undefined;
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
   * Subnets that nodes with `backend` must have installed, sorted by address; undefined when the store does not answer.
   * What is no lease (garbage under the prefix, another backend's) is left out, as the nodes leave it out.
   */
  async leases(backend: string): Promise<readonly string[] | undefined> {
    let kvs: readonly KeyValue[];
    try {
      kvs = (await this.#transport.range(subnetsRange(this.#options.lab.etcdPrefix))).kvs;
    } catch (thrown) {
      if (thrown instanceof StoreError) return undefined;
      throw thrown;
    }
    const subnets = kvs.flatMap((kv) => {
      const subnet = parseSubnetKey(kv.key)?.subnet;
      const attrs = parseLeaseAttrs(decodeUtf8(kv.value) ?? "");
      if (subnet === undefined || !attrs.ok || attrs.value.backendType !== backend) return [];
      // No node can install a VXLAN peer whose VTEP it does not know.
      return backend === "vxlan" && attrs.value.vtepMac === undefined ? [] : [subnet];
    });
    return subnets.sort((a, b) => a.addr - b.addr).map(formatPrefix);
  }

  /** Ends the connection, and the process if it is ours. Answers whether that had to be killed. */
  async stop(deadlineMs: number): Promise<boolean> {
    this.#stopping = true;
    await this.#transport.close();
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
    this.#restarts = exit.ranMs >= STABLE_MS ? 1 : this.#restarts + 1;
    this.#options.onEnded(exit);
    if (this.#restarts > RESTARTS_MAX) {
      this.#options.onLost(
        new PodloomError("PL_STORE_FAILED", `the store ended ${RESTARTS_MAX} times in a row: ${exit.cause}`),
      );
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, RESTART_PAUSE_MS * 2 ** this.#restarts));
    if (this.#stopping) return;
    try {
      const child = await startStoreOn(this.#context as StoreContext, this.#ports as StorePorts);
      this.#child = child;
      if (this.#stopping) {
        child.signal("SIGKILL");
        return;
      }
      this.#watch(child);
      // A store that lost its data has lost the configuration too.
      await this.#writeConfig();
      this.#options.onBack();
    } catch (thrown) {
      if (this.#stopping) return;
      if (this.#child?.exit !== undefined) void this.#restart(this.#child.exit);
      else this.#options.onLost(new PodloomError("PL_STORE_FAILED", messageOf(thrown), { cause: thrown }));
    }
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
