// `podloom bgp` as people start it: a process with a file, a log and a socket.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { SpeakerClient } from "../../src/io/ipc/speaker-client.ts";
import type { BgpPeerRow, BgpRouteRow } from "../../src/io/ipc/speaker-protocol.ts";

const PODLOOM = fileURLToPath(new URL("../../bin/podloom.js", import.meta.url));

/** The file of a speaker of AS 64512 on the loopback carrier; its head has five lines. */
export function speakerText(routerId: string, rest: string): string {
  return `apiVersion: podloom/v1\nkind: BGPSpeaker\ncarrier: loopback\nas: 64512\nrouterId: ${routerId}\n${rest}`;
}

export interface LogLine {
  readonly level: number;
  readonly event: string;
  readonly msg: string;
  readonly neighbor?: string;
  readonly code?: string | number;
  readonly subcode?: number;
  readonly remedy?: string;
  readonly metrics?: string;
}

/** A folder in which speakers run: their files, their sockets. */
export class BgpFolder {
  readonly path = mkdtempSync(join(tmpdir(), "pl-bgp-"));
  readonly #commands = new Set<BgpCommand>();

  /** Writes a file; answers its path. */
  write(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    return path;
  }

  /** Starts a speaker with a file NAME.yaml of this text. */
  start(
    name: string,
    text: string,
    args: readonly string[] = [],
    env: Record<string, string> = {},
  ): BgpCommand {
    return this.run(["-f", this.write(`${name}.yaml`, text), ...args], name, env);
  }

  run(args: readonly string[], name = "", env: Record<string, string> = {}): BgpCommand {
    const command = new BgpCommand(this.path, args, name, env);
    this.#commands.add(command);
    return command;
  }

  /** Is there a socket of that speaker? */
  hasSocket(name: string): boolean {
    return existsSync(socketPath(this.path, name));
  }

  /** Kills what is left and removes everything. */
  async remove(): Promise<void> {
    await Promise.all([...this.#commands].map((command) => command.kill()));
    rmSync(this.path, { recursive: true, force: true });
  }
}

function socketPath(folder: string, name: string): string {
  return join(folder, "podloom", "bgp", `${name}.sock`);
}

export class BgpCommand {
  readonly name: string;
  readonly child: ChildProcess;
  readonly exited: Promise<readonly [code: number | null, signal: string | null]>;
  stdout = "";
  stderr = "";
  readonly #folder: string;
  #client: SpeakerClient | undefined;

  constructor(folder: string, args: readonly string[], name: string, env: Record<string, string>) {
    this.name = name;
    this.#folder = folder;
    this.child = spawn(process.execPath, [PODLOOM, "bgp", ...args], {
      env: { ...process.env, XDG_RUNTIME_DIR: folder, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      cwd: folder,
    });
    this.child.stdout?.on("data", (bytes: Buffer) => {
      this.stdout += bytes.toString();
    });
    this.child.stderr?.on("data", (bytes: Buffer) => {
      this.stderr += bytes.toString();
    });
    this.exited = once(this.child, "close") as Promise<[number | null, string | null]>;
  }

  get log(): LogLine[] {
    const lines = this.stderr.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}"));
    return lines.map((line) => JSON.parse(line) as LogLine);
  }

  /** The lines of one event. */
  logOf(event: string): LogLine[] {
    return this.log.filter((line) => line.event === event);
  }

  /** Waits for the line that says that it is ready. */
  async ready(): Promise<this> {
    await expect.poll(() => this.logOf("ready").length, { timeout: 15_000, message: this.stderr }).toBe(1);
    return this;
  }

  /** The asking side of its socket. */
  async client(): Promise<SpeakerClient> {
    this.#client ??= await SpeakerClient.connect(socketPath(this.#folder, this.name));
    return this.#client;
  }

  async peers(): Promise<BgpPeerRow[]> {
    const rows: BgpPeerRow[] = [];
    await (await this.client()).rows("bgp-peers", {}, (some) => rows.push(...some));
    return rows;
  }

  async peer(name: string): Promise<BgpPeerRow | undefined> {
    return (await this.peers()).find((row) => row.name === name);
  }

  /** The chosen routes: "10.244.1.0/24 via 10.96.0.2". */
  async routes(): Promise<string[]> {
    const rows: BgpRouteRow[] = [];
    await (await this.client()).rows("bgp-routes", {}, (some) => rows.push(...some));
    return rows.filter((row) => row.chosen === "best").map((row) => `${row.prefix} via ${row.nextHop}`);
  }

  /** Waits until the session with a neighbour is up. */
  async established(neighbor: string): Promise<void> {
    await expect
      .poll(async () => (await this.peer(neighbor))?.state, { timeout: 15_000, message: this.stderr })
      .toBe("Established");
  }

  /** Waits until these are the chosen routes. */
  async hasRoutes(...routes: string[]): Promise<void> {
    await expect.poll(() => this.routes(), { timeout: 15_000 }).toEqual(routes);
  }

  async kill(): Promise<void> {
    await this.#client?.close();
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill("SIGCONT");
      this.child.kill("SIGKILL");
    }
    await this.exited;
  }
}
