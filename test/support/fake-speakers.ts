// Sockets of speakers that answer what a test wants, and commands that are run against them.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommandLine } from "../../src/cli/command-line.ts";
import { Terminal, type TextSink } from "../../src/cli/terminal.ts";
import type { IncomingRequest } from "../../src/io/ipc/connection.ts";
import { IpcServer } from "../../src/io/ipc/server.ts";
import { speakerFolder, speakerSocket } from "../../src/io/ipc/speaker-socket.ts";
import { PodloomError } from "../../src/io/podloom-error.ts";
import type { Answers } from "./fake-lab.ts";

export class FakeSpeakers {
  answers: Answers = {};
  /** What the last command wrote. */
  out = "";
  err = "";
  /** What was asked, as "speaker verb {args}". */
  readonly asked: string[] = [];
  readonly root = mkdtempSync(join(tmpdir(), "pl-"));
  readonly env: Record<string, string> = {
    XDG_RUNTIME_DIR: this.root,
    XDG_STATE_HOME: join(this.root, "state"),
    HOME: this.root,
  };
  readonly #servers: IpcServer[] = [];

  /** @param names of the speakers that run */
  static async start(...names: string[]): Promise<FakeSpeakers> {
    const speakers = new FakeSpeakers();
    for (const name of names) await speakers.listen(name, speakerSocket(name, speakers.env));
    return speakers;
  }

  async listen(name: string, path: string): Promise<void> {
    const onRequest = (request: IncomingRequest): void => this.#answer(name, request);
    this.#servers.push(await IpcServer.listen(path, { from: name, onRequest }));
  }

  /** A speaker that was killed has left its socket, and nobody listens. */
  leave(name: string): void {
    mkdirSync(speakerFolder(this.env), { recursive: true, mode: 0o700 });
    writeFileSync(speakerSocket(name, this.env), "");
  }

  /** Runs a command line. Answers its exit code. */
  podloom(...argv: string[]): Promise<number> {
    this.out = "";
    this.err = "";
    const out: TextSink = { write: (text) => (this.out += text) };
    const err: TextSink = { write: (text) => (this.err += text) };
    const terminal = new Terminal(out, err, this.env);
    return runCommandLine(argv, { terminal, env: this.env, cwd: this.root });
  }

  /** All speakers end under whoever is connected. */
  hangUp(): void {
    for (const server of this.#servers) {
      for (const connection of server.connections) connection.destroy();
    }
  }

  async dispose(): Promise<void> {
    for (const server of this.#servers) await server.close();
    rmSync(this.root, { recursive: true, force: true });
  }

  #answer(name: string, request: IncomingRequest): void {
    this.asked.push(`${name} ${request.verb} ${JSON.stringify(request.args)}`);
    const answer = this.answers[request.verb];
    if (answer === undefined) throw new PodloomError("PL_TEST", `no answer for ${request.verb}`);
    const value = answer(request.args as never, request);
    if (value !== undefined) request.done(value);
  }
}

/** Answers rows in two pieces. */
export function rows(all: readonly unknown[]): Answers[string] {
  return (_, request) => {
    const half = Math.ceil(all.length / 2);
    for (const piece of [all.slice(0, half), all.slice(half)]) {
      if (piece.length > 0) request.chunk("value", piece);
    }
    return { rows: all.length };
  };
}
