// A lab's socket with a supervisor behind it that answers what a test wants, and commands that are run against it.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommandLine } from "../../src/cli/command-line.ts";
import { Terminal, type TextSink } from "../../src/cli/terminal.ts";
import type { IncomingRequest } from "../../src/io/ipc/connection.ts";
import { IpcServer } from "../../src/io/ipc/server.ts";
import { PodloomError } from "../../src/io/podloom-error.ts";
import { labDirs } from "../../src/lab/lab-dirs.ts";
import { ownIdentity, takeLock } from "../../src/lab/lab-lock.ts";

/** What the supervisor does by verb; an answer of undefined is left open. */
export type Answers = Readonly<Record<string, (args: never, request: IncomingRequest) => unknown>>;

export class FakeLab {
  answers: Answers = {};
  /** What the last command wrote. */
  out = "";
  err = "";
  readonly #root: string;
  readonly #env: Record<string, string>;
  readonly #server: IpcServer;

  private constructor(root: string, env: Record<string, string>, server: IpcServer) {
    this.#root = root;
    this.#env = env;
    this.#server = server;
  }

  static async start(): Promise<FakeLab> {
    const root = mkdtempSync(join(tmpdir(), "pl-"));
    const env = { XDG_RUNTIME_DIR: root, XDG_STATE_HOME: join(root, "state"), HOME: root };
    const dirs = labDirs("fake", env);
    mkdirSync(dirs.logs, { recursive: true });
    takeLock(dirs, {
      name: "fake",
      supervisor: ownIdentity(),
      startedAt: 0,
      state: dirs.state,
      socket: dirs.socket,
      underlay: "10.9.0.0/24",
      carrier: "loopback",
    });
    const server: IpcServer = await IpcServer.listen(dirs.socket, {
      from: "supervisor",
      onRequest: (request) => lab.#answer(request),
    });
    const lab = new FakeLab(root, env, server);
    return lab;
  }

  /** Runs a command line. Answers its exit code. */
  podloom(...argv: string[]): Promise<number> {
    this.out = "";
    this.err = "";
    const out: TextSink = { write: (text) => (this.out += text) };
    const err: TextSink = { write: (text) => (this.err += text) };
    const terminal = new Terminal(out, err, this.#env);
    return runCommandLine(argv, { terminal, env: this.#env, cwd: this.#root });
  }

  /** The lab goes down under whoever is connected. */
  hangUp(): void {
    for (const connection of this.#server.connections) connection.destroy();
  }

  async dispose(): Promise<void> {
    await this.#server.close();
    rmSync(this.#root, { recursive: true, force: true });
  }

  #answer(request: IncomingRequest): void {
    const answer = this.answers[request.verb];
    if (answer === undefined) throw new PodloomError("PL_TEST", `no answer for ${request.verb}`);
    const value = answer(request.args as never, request);
    if (value !== undefined) request.done(value);
  }
}
