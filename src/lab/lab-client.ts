// The command line's side of a lab's socket.
import { dirname, join } from "node:path";
import { connectIpc } from "../io/ipc/client.ts";
import type { Call, CallOptions, Connection } from "../io/ipc/connection.ts";
import type { ProbeArgs, ProbeResult } from "../io/ipc/protocol.ts";
import { PodloomError } from "../io/podloom-error.ts";
import type { Environment } from "../io/xdg-folders.ts";
import { deadLabs, type LabHolder, readHolder, runningLabs } from "./lab-lock.ts";
import { requireLabName } from "./lab-name.ts";
import type { DownResult, LabExecArgs, LabVerbs } from "./lab-protocol.ts";
import { isAlive } from "./process-identity.ts";

/**
 * The running lab of that name, or the only one that runs.
 *
 * @throws PodloomError PL_NO_LAB, PL_LAB_KILLED when a killed supervisor left it, PL_AMBIGUOUS_LAB, PL_USAGE
 */
export function findLab(env: Environment, name: string | undefined): LabHolder {
  const labs = runningLabs(env);
  const known = labs.map((lab) => lab.name).join(", ");
  if (name !== undefined) {
    requireLabName(name);
    const found = labs.find((lab) => lab.name === name);
    if (found !== undefined) return found;
    const dead = deadLabs(env).find((lab) => lab.name === name);
    if (dead !== undefined) throw killed([dead]);
    throw noLab(`no lab "${name}" runs; ${labs.length === 0 ? "none runs" : `there are ${known}`}`);
  }
  const [only, second] = labs;
  if (only === undefined) {
    const dead = deadLabs(env);
    throw dead.length === 0 ? noLab("no lab runs") : killed(dead);
  }
  if (second === undefined) return only;
  throw new PodloomError("PL_AMBIGUOUS_LAB", `several labs run: ${known}`, {
    remedy: "Say which with --lab NAME.",
  });
}

function noLab(message: string): PodloomError {
  return new PodloomError("PL_NO_LAB", message, { remedy: "Start one with: podloom up" });
}

function killed(labs: readonly LabHolder[]): PodloomError {
  const one = labs.length === 1;
  const who = labs.map((lab) => `"${lab.name}" (process ${lab.supervisor.pid})`).join(", ");
  const message = one ? `the supervisor of ${who} was killed` : `the supervisors of ${who} were killed`;
  const clean = one ? `down ${labs[0]?.name}\` removes what it left` : "down --all` removes what they left";
  return new PodloomError("PL_LAB_KILLED", message, {
    remedy: `\`podloom ${clean}, \`podloom up\` starts anew.`,
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

  /** @throws PodloomError PL_LAB_STARTING, PL_LAB_KILLED, PL_SOCKET_GONE and others of `connectIpc` */
  static async connect(lab: LabHolder): Promise<LabClient> {
    try {
      return new LabClient(lab, await connectIpc(lab.socket, { from: "cli" }));
    } catch (thrown) {
      throw thrown instanceof PodloomError && thrown.code === "PL_SOCKET_GONE"
        ? silence(lab, thrown)
        : thrown;
    }
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

/** Why nobody listens on a lab's socket: the lock beside it tells. */
function silence(lab: LabHolder, cause: PodloomError): PodloomError {
  const holder = readHolder(join(dirname(lab.socket), "lab.lock"));
  if (holder === undefined) {
    return new PodloomError("PL_SOCKET_GONE", `the lab "${lab.name}" has just ended`, {
      remedy: "Start it again with: podloom up",
      cause,
    });
  }
  const { pid } = holder.supervisor;
  if (!isAlive(holder.supervisor)) return killed([holder]);
  return new PodloomError("PL_LAB_STARTING", `the lab "${lab.name}", process ${pid}, is still being set up`, {
    remedy: `Try again in a moment. If that does not help, its socket was removed: end it with kill ${pid}`,
    cause,
  });
}

/**
 * Stops a lab and waits until its supervisor is gone. Answers what that came to.
 *
 * @throws PodloomError PL_TIMEOUT when the supervisor is still there after `timeoutMs`
 */
export async function stopLab(lab: LabHolder, timeoutMs: number): Promise<DownResult> {
  const deadline = performance.now() + timeoutMs;
  let result: DownResult = { killed: [] };
  const client = await LabClient.connect(lab);
  try {
    result = await client.ask("down", {}, { timeoutMs });
  } catch (thrown) {
    // The connection may end before the answer is read; that the process is gone is what counts.
    if (!(thrown instanceof PodloomError) || thrown.code !== "PL_IPC_CLOSED") throw thrown;
  }
  await client.close();
  while (isAlive(lab.supervisor) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (!isAlive(lab.supervisor)) return result;
  throw new PodloomError(
    "PL_TIMEOUT",
    `the supervisor of "${lab.name}", process ${lab.supervisor.pid}, does not end`,
    {
      remedy: `End it with: kill -9 ${lab.supervisor.pid}`,
    },
  );
}
