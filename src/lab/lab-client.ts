// The command line's side of a lab's socket.
import { connectIpc } from "../io/ipc/client.ts";
import type { Call, CallOptions, Connection } from "../io/ipc/connection.ts";
import type { ProbeArgs, ProbeResult } from "../io/ipc/protocol.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { Environment } from "./lab-dirs.ts";
import { type LabHolder, runningLabs } from "./lab-lock.ts";
import type { LabExecArgs, LabVerbs } from "./lab-protocol.ts";
import { isAlive } from "./process-identity.ts";

/**
 * The running lab of that name, or the only one that runs.
 *
 * @throws PodloomError PL_NO_LAB, PL_AMBIGUOUS_LAB
 */
export function findLab(env: Environment, name: string | undefined): LabHolder {
  const labs = runningLabs(env);
  if (name !== undefined) {
    const found = labs.find((lab) => lab.name === name);
    if (found !== undefined) return found;
    const known = labs.length === 0 ? "none runs" : `there are ${labs.map((lab) => lab.name).join(", ")}`;
    throw new PodloomError("PL_NO_LAB", `no lab "${name}" runs; ${known}`, {
      remedy: "Start one with: podloom up",
    });
  }
  const [only, second] = labs;
  if (only === undefined) {
    throw new PodloomError("PL_NO_LAB", "no lab runs", { remedy: "Start one with: podloom up" });
  }
  if (second === undefined) return only;
  throw new PodloomError("PL_AMBIGUOUS_LAB", `several labs run: ${labs.map((lab) => lab.name).join(", ")}`, {
    remedy: "Say which with --lab NAME.",
  });
}

/** A connection to one lab. Every call rejects with a PodloomError. */
export class LabClient {
  readonly lab: LabHolder;
  readonly #connection: Connection;

  private constructor(lab: LabHolder, connection: Connection) {
    this.lab = lab;
    this.#connection = connection;
  }

  /** @throws PodloomError PL_SOCKET_GONE and others of `connectIpc` */
  static async connect(lab: LabHolder): Promise<LabClient> {
    return new LabClient(lab, await connectIpc(lab.socket, { from: "cli" }));
  }

  /** Settles when the supervisor has ended the connection. */
  get closed(): Promise<unknown> {
    return this.#connection.closed;
  }

  /** Asks and waits. */
  async ask<V extends Exclude<keyof LabVerbs, "exec">>(
    verb: V,
    args: LabVerbs[V]["args"],
    options: CallOptions = {},
  ): Promise<LabVerbs[V]["value"]> {
    return (await this.#connection.request(verb, args, options).done) as LabVerbs[V]["value"];
  }

  /** Runs a command in a pod or node; its output comes in pieces. Done's value is an ExecResult. */
  exec(args: LabExecArgs, onChunk: CallOptions["onChunk"]): Call {
    return this.#connection.request("exec", args, onChunk === undefined ? {} : { onChunk });
  }

  /** Pings from one pod. */
  probe(args: ProbeArgs): Promise<readonly ProbeResult[]> {
    return this.ask("probe", args);
  }

  async close(): Promise<void> {
    await this.#connection.end();
  }
}

/**
 * Stops a lab and waits until its supervisor is gone. Answers what had to be killed.
 *
 * @throws PodloomError PL_TIMEOUT when the supervisor is still there after `timeoutMs`
 */
export async function stopLab(lab: LabHolder, timeoutMs: number): Promise<readonly string[]> {
  const deadline = performance.now() + timeoutMs;
  let killed: readonly string[] = [];
  const client = await LabClient.connect(lab);
  try {
    ({ killed } = await client.ask("down", {}, { timeoutMs }));
  } catch (thrown) {
    // The connection may end before the answer is read; that the process is gone is what counts.
    if (!(thrown instanceof PodloomError) || thrown.code !== "PL_IPC_CLOSED") throw thrown;
  }
  await client.close();
  while (isAlive(lab.supervisor) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (!isAlive(lab.supervisor)) return killed;
  throw new PodloomError(
    "PL_TIMEOUT",
    `the supervisor of "${lab.name}", process ${lab.supervisor.pid}, does not end`,
    {
      remedy: `End it with: kill -9 ${lab.supervisor.pid}`,
    },
  );
}
