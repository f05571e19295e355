// The lab's unix socket: nodes introduce themselves with the lab's token, the command line asks.
import { timingSafeEqual } from "node:crypto";
import { INSPECT_NOUNS, type InspectNoun, type LeaseRow, type NodeRow } from "../control/inspect.ts";
import type { Connection, IncomingRequest } from "../io/ipc/connection.ts";
import type { ExecArgs, GetArgs, Hello, NodeState, ProbeArgs } from "../io/ipc/protocol.ts";
import { IpcServer } from "../io/ipc/server.ts";
import { processMemory } from "../io/memory.ts";
import { messageOf, PodloomError } from "../io/podloom-error.ts";
import type { DownResult, LabExecArgs, LabGetArgs, LabGetResult } from "./lab-protocol.ts";
import type { NodeProcess } from "./node-process.ts";
import type { Supervisor } from "./supervisor.ts";

/** How long a node may take to answer `get`. */
const GET_TIMEOUT_MS = 5000;

/** @see ControlServer.listen */
export class ControlServer {
  readonly #supervisor: () => Supervisor | undefined;
  readonly #token: Buffer;
  #server: IpcServer | undefined;
  /** Requests that are answered when the lab is down. */
  readonly #downs: IncomingRequest[] = [];

  private constructor(token: string, supervisor: () => Supervisor | undefined) {
    this.#token = Buffer.from(token);
    this.#supervisor = supervisor;
  }

  /** Opens the socket. @param supervisor undefined while the lab is being set up: nobody is let in then */
  static async listen(
    path: string,
    token: string,
    supervisor: () => Supervisor | undefined,
  ): Promise<ControlServer> {
    const control = new ControlServer(token, supervisor);
    control.#server = await IpcServer.listen(path, {
      from: "supervisor",
      onHello: (hello, connection) => control.#greet(hello, connection),
      onRequest: (request) => void control.#answer(request),
      onNotice: (event, data, connection) => control.#noticed(event, data, connection),
      onClosed: (connection) => control.#nodeOf(connection)?.disconnected(connection),
    });
    return control;
  }

  /** Answers who asked for the end, then ends every connection and removes the socket. */
  async close(result: DownResult): Promise<void> {
    for (const request of this.#downs) request.done(result);
    await this.#server?.close();
  }

  #greet(hello: Hello, connection: Connection): void {
    if (hello.from === "cli") return;
    const token = Buffer.from(hello.token ?? "");
    if (token.length !== this.#token.length || !timingSafeEqual(token, this.#token)) {
      throw new PodloomError("PL_TOKEN", `"${hello.from}" does not know this lab's token`, {
        remedy: "Only the nodes that the lab itself starts may connect to its socket.",
      });
    }
    const node = this.#supervisor()?.node(hello.from);
    if (node === undefined) {
      throw new PodloomError("PL_NO_NODE", `this lab has no node "${hello.from}"`, {
        remedy: "Name it in the lab file, then start the lab again.",
      });
    }
    node.connected(connection);
  }

  #noticed(event: string, data: unknown, connection: Connection): void {
    if (event === "state") this.#nodeOf(connection)?.report(data as NodeState);
  }

  #nodeOf(connection: Connection): NodeProcess | undefined {
    const name = connection.peer?.from;
    const node = name === undefined ? undefined : this.#supervisor()?.node(name);
    return node?.connection === connection ? node : undefined;
  }

  async #answer(request: IncomingRequest): Promise<void> {
    try {
      const supervisor = this.#supervisor();
      if (supervisor === undefined) {
        throw new PodloomError("PL_LAB_STARTING", "the lab is still being set up", {
          remedy: "Try again in a moment.",
        });
      }
      switch (request.verb) {
        case "status":
          request.done(
            await supervisor.status((request.args as { withStore?: unknown })?.withStore === true),
          );
          return;
        case "get":
          request.done(await getRows(supervisor, readGetArgs(request.args)));
          return;
        case "exec":
          await forwardExec(supervisor, request);
          return;
        case "probe":
          await forwardProbe(supervisor, request);
          return;
        case "down":
          this.#downs.push(request);
          void supervisor.stop();
          return;
        default:
          throw new PodloomError(
            "PL_IPC_UNKNOWN_VERB",
            `the supervisor does not answer \`${request.verb}\``,
            { remedy: "It may be of another version: stop the lab and start it again." },
          );
      }
    } catch (thrown) {
      request.fail(thrown);
    }
  }
}

function readGetArgs(args: unknown): LabGetArgs {
  const { noun, node } = (args ?? {}) as Partial<LabGetArgs>;
  if (!INSPECT_NOUNS.includes(noun as InspectNoun)) {
    throw new PodloomError("PL_VERB_ARGS", `\`get\` does not know ${String(noun)}`, {
      remedy: `It knows ${INSPECT_NOUNS.join(", ")}.`,
    });
  }
  return { noun: noun as InspectNoun, ...(typeof node === "string" ? { node } : {}) };
}

async function getRows(supervisor: Supervisor, args: LabGetArgs): Promise<LabGetResult> {
  const nodes =
    args.node === undefined ? askedNodes(supervisor, args.noun) : [nodeNamed(supervisor, args.node)];
  const missing: { node: string; why: string }[] = [];
  const perNode = await Promise.all(
    nodes.map(async (node) => {
      try {
        const request: GetArgs = { noun: args.noun };
        const connection = connectionOf(node);
        const rows = await connection.request("get", request, { timeoutMs: GET_TIMEOUT_MS }).done;
        return Array.isArray(rows) ? (rows as unknown[]) : [];
      } catch (thrown) {
        missing.push({ node: node.name, why: silenceOf(node, thrown) });
        return undefined;
      }
    }),
  );
  if (args.noun === "nodes") {
    return {
      rows: nodes.map((node, i) => {
        const said = perNode[i]?.[0] as NodeRow | undefined;
        return said === undefined ? silentRow(node, missing) : completedRow(node, said, supervisor);
      }),
      missing: [],
    };
  }
  const rows = perNode.flatMap((found) => found ?? []);
  const several = args.noun === "leases" && args.node === undefined;
  return { rows: several ? oneRowALease(rows as LeaseRow[]) : rows, missing };
}

/** Who is asked when no node is named: routers and announcers have no pods and no leases. */
function askedNodes({ nodes }: Supervisor, noun: InspectNoun): readonly NodeProcess[] {
  const all = noun !== "pods" && noun !== "leases";
  return all ? nodes : nodes.filter(({ member }) => member.role === "node");
}

/** What is known of a node that did not answer. */
function silentRow(node: NodeProcess, missing: LabGetResult["missing"]): NodeRow {
  const status = node.describe();
  const ended = status.lastExit ?? status.status;
  const reason = missing.find((silent) => silent.node === node.name)?.why ?? "it answered without a row";
  const { restarts } = status;
  return {
    name: node.name,
    role: status.role,
    status: status.pid === undefined ? "Dead" : "NotReady",
    reason: status.status === "running" ? reason : ended,
    ...(status.pid === undefined ? {} : { pid: status.pid }),
    backend: "-",
    underlay: status.underlay,
    pods: 0,
    peers: 0,
    routes: 0,
    store: "Disconnected",
    rxPackets: 0,
    txPackets: 0,
    drops: {},
    ignored: [],
    restarts,
    ageSec: Math.floor(node.ageMs / 1000),
  };
}

/** What a node says of itself, completed by what only its supervisor knows. */
function completedRow(node: NodeProcess, said: NodeRow, { lab }: Supervisor): NodeRow {
  const { pid, restarts, role } = node.describe();
  const memory = said.rssBytes === undefined && pid !== undefined ? processMemory(pid) : undefined;
  return {
    ...said,
    role,
    ...(role === "router" ? {} : { storeClient: lab.storeClient }),
    ...(pid === undefined ? {} : { pid }),
    ...memory,
    restarts,
    ageSec: Math.floor(node.ageMs / 1000),
  };
}

/** Every node lists every lease: without a node in the question each is shown once, preferably as its owner sees it. */
function oneRowALease(rows: readonly LeaseRow[]): LeaseRow[] {
  const bySubnet = new Map<string, LeaseRow>();
  for (const row of rows) {
    const known = bySubnet.get(row.subnet);
    if (known === undefined || (row.own && !known.own)) bySubnet.set(row.subnet, row);
  }
  return [...bySubnet.values()];
}

async function forwardExec(supervisor: Supervisor, request: IncomingRequest): Promise<void> {
  const { target, argv } = request.args as LabExecArgs;
  const node = target.t === "node" ? nodeNamed(supervisor, target.node) : nodeWithPod(supervisor, target.pod);
  const args: ExecArgs = { pod: target.t === "node" ? "" : target.pod, argv };
  const call = connectionOf(node).request("exec", args, {
    onChunk: (stream, data) => void request.chunk(stream, data),
  });
  request.onInterrupt = () => call.interrupt();
  request.done(await call.done);
}

async function forwardProbe(supervisor: Supervisor, request: IncomingRequest): Promise<void> {
  const args = request.args as ProbeArgs;
  const call = connectionOf(nodeWithPod(supervisor, args.pod)).request("probe", args);
  request.onInterrupt = () => call.interrupt();
  request.done(await call.done);
}

function nodeNamed(supervisor: Supervisor, name: string): NodeProcess {
  const node = supervisor.node(name);
  if (node !== undefined) return node;
  const known = listed(supervisor.nodes.map((other) => other.name));
  throw new PodloomError("PL_NO_NODE", `no node "${name}"; there are ${known}`, {
    remedy: "`podloom get nodes` lists them.",
  });
}

function nodeWithPod(supervisor: Supervisor, pod: string): NodeProcess {
  const node = supervisor.nodeOfPod(pod);
  if (node !== undefined) return node;
  const known = listed(supervisor.nodes.flatMap((other) => other.member.pods));
  const hint = supervisor.node(pod) === undefined ? "" : `; for the node itself write node/${pod}`;
  throw new PodloomError("PL_NO_POD", `no pod "${pod}"; there are ${known}${hint}`, {
    remedy: "`podloom get pods` lists them.",
  });
}

function connectionOf(node: NodeProcess): Connection {
  if (node.connection !== undefined) return node.connection;
  throw new PodloomError("PL_NODE_DOWN", `node ${node.name} ${absence(node)}`, {
    remedy: `\`podloom logs ${node.name}\` says more.`,
  });
}

/** Why there is no connection to a node, as the rest of a sentence about it. */
function absence(node: NodeProcess): string {
  if (node.status !== "running") return `does not run (${node.lastExit ?? node.status})`;
  return node.state === undefined ? "has not connected yet" : "is not connected any more";
}

/** Why a node gave no answer, for people who see its name beside it. */
function silenceOf(node: NodeProcess, thrown: unknown): string {
  if (node.connection === undefined) return `it ${absence(node)}`;
  const late = thrown instanceof PodloomError && thrown.code === "PL_IPC_TIMEOUT";
  return late ? `it does not answer (${GET_TIMEOUT_MS / 1000} s)` : messageOf(thrown);
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return "none";
  return names.length > 12 ? `${names.slice(0, 12).join(", ")}, …` : names.join(", ");
}
