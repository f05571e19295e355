import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { connectIpc } from "../../src/io/ipc/client.ts";
import { type Call, type Connection } from "../../src/io/ipc/connection.ts";
import type { ExecResult, NodeState } from "../../src/io/ipc/protocol.ts";

// One `podloom node` without a supervisor, with an embedded store beside it (or a store that is given).

export interface StandaloneOptions {
  /** bin/podloom.js */
  readonly podloom: string;
  /** An existing empty folder, for the node's state. */
  readonly folder: string;
  readonly address: string;
  readonly segment?: string;
  readonly carrier: "loopback" | "host";
  readonly pods?: readonly string[];
  readonly name?: string;
  /** Spawns in another network namespace, for example. */
  readonly spawn?: (command: string, args: readonly string[], options: SpawnOptions) => ChildProcess;
  /** More flags of `podloom node`. */
  readonly flags?: readonly string[];
  /** An etcd that runs; absent: an embedded store is started. */
  readonly etcd?: string;
  /** Called once the store serves and before the node starts; must store Flannel's config when it is not there. */
  readonly network?: unknown;
  readonly putConfig?: (config: string, endpoint: string) => void | Promise<void>;
}

/** The output of a command in a pod. */
export interface ExecOutput {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** A command that is still running. */
export interface RunningExec {
  /** Asks it to finish (Ctrl-C); resolves with all that it printed. */
  interrupt(): Promise<ExecOutput>;
  readonly done: Promise<ExecOutput>;
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", () => resolve()));
}

/** The first line of a child's standard output; rejects when it ends before, with what it said. */
function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (data) => {
      text += String(data);
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    child.once("exit", (code) => reject(new Error(`ended with ${code} before it was ready: ${text}`)));
  });
}

export class StandaloneNode {
  readonly etcd: string;
  readonly child: ChildProcess;
  readonly #store: ChildProcess | undefined;
  readonly #connection: Connection;
  #state: NodeState | undefined;
  readonly #watchers = new Set<() => void>();

  private constructor(
    etcd: string,
    child: ChildProcess,
    store: ChildProcess | undefined,
    connect: (onState: (state: NodeState) => void) => Connection,
  ) {
    this.etcd = etcd;
    this.child = child;
    this.#store = store;
    this.#connection = connect((state) => {
      this.#state = state;
      for (const watcher of this.#watchers) watcher();
    });
  }

  /** Starts store and node, waits until the node is ready, its watch of the store stands and its pods are attached. */
  static async start(options: StandaloneOptions): Promise<StandaloneNode> {
    const run = options.spawn ?? ((command, args, more) => spawn(command, args, more));
    let store: ChildProcess | undefined;
    let etcd = options.etcd;
    if (etcd === undefined) {
      store = run(
        process.execPath,
        [options.podloom, "store", "--listen", "127.0.0.1:0", "--control-stdin"],
        {
          stdio: ["pipe", "pipe", "inherit"],
        },
      );
      etcd = `http://127.0.0.1:${(JSON.parse(await firstLine(store)) as { port: number }).port}`;
    }
    if (options.network !== undefined) await options.putConfig?.(JSON.stringify(options.network), etcd);
    const name = options.name ?? "node1";
    const args = [options.podloom, "node", "--name", name, "--address", options.address];
    args.push(
      "--segment",
      options.segment ?? "192.168.56.0/24",
      "--carrier",
      options.carrier,
      "--etcd",
      etcd,
    );
    args.push("--state", options.folder, "--log-file", join(options.folder, "node.log"));
    for (const pod of options.pods ?? []) args.push("--pod", pod);
    args.push(...(options.flags ?? []));
    const child = run(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"] });
    const socket = join(options.folder, "node.sock");
    for (let tries = 0; !existsSync(socket); tries++) {
      if (tries > 200 || child.exitCode !== null) throw new Error("the node did not open its socket");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    let heard: (state: NodeState) => void = () => {};
    const connection = await connectIpc(socket, {
      from: "test",
      onNotice: (event, data) => {
        if (event === "state") heard(data as NodeState);
      },
    });
    const node = new StandaloneNode(etcd, child, store, (onState) => {
      heard = onState;
      return connection;
    });
    node.#state = (await connection.request("state", {}, { timeoutMs: 5_000 }).done) as NodeState;
    const pods = options.pods?.length ?? 0;
    // Ready is the list of leases; that the watch stands, too, is told a moment later.
    const isUp = ({ phase, store: link, pods: attached }: NodeState): boolean =>
      phase === "ready" && link === "Synced" && attached.length === pods;
    await node.until(isUp, 20_000);
    return node;
  }

  /** What the node said last. */
  state(): NodeState {
    if (this.#state === undefined) throw new Error("the node has not said anything yet");
    return this.#state;
  }

  /** Waits until the node's state satisfies `wanted`. */
  async until(wanted: (state: NodeState) => boolean, timeoutMs: number): Promise<NodeState> {
    const state = this.#state;
    if (state !== undefined && wanted(state)) return state;
    return await new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(watch);
      };
      const watch = (): void => {
        if (this.#state === undefined || !wanted(this.#state)) return;
        finish();
        resolve(this.#state);
      };
      const timer = setTimeout(() => {
        finish();
        reject(new Error(`not so after ${timeoutMs} ms: ${JSON.stringify(this.#state)}`));
      }, timeoutMs);
      this.#watchers.add(watch);
    });
  }

  async request<T>(verb: string, args: unknown): Promise<T> {
    return (await this.#connection.request(verb, args, { timeoutMs: 60_000 }).done) as T;
  }

  /** Runs a command in a pod ("" = the node itself) to its end. */
  async exec(pod: string, argv: readonly string[]): Promise<ExecOutput> {
    return await this.startExec(pod, argv).done;
  }

  startExec(pod: string, argv: readonly string[]): RunningExec {
    const out = { stdout: "", stderr: "" };
    const call: Call = this.#connection.request(
      "exec",
      { pod, argv },
      {
        onChunk: (stream, data) => {
          if (stream !== "value") out[stream] += String(data);
        },
      },
    );
    const done = call.done.then((value) => ({ ...out, exitCode: (value as ExecResult).exitCode }));
    return {
      done,
      interrupt: () => {
        call.interrupt();
        return done;
      },
    };
  }

  /** Ends node and store, and waits for both. */
  async stop(): Promise<void> {
    this.child.kill("SIGTERM");
    await ended(this.child);
    await this.#connection.end();
    this.#store?.stdin?.end();
    if (this.#store !== undefined) await ended(this.#store);
  }
}
