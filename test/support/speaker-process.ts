import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { buildSync } from "esbuild";
import type { BgpPeerRow, BgpRouteRow } from "../../src/routing/bgp/speaker/inspect.ts";
import type { NetworkConfig, SpeakerConfig } from "../../src/routing/bgp/speaker/speaker-config.ts";
import type { LiveNeighbor } from "./live-speaker.ts";

/** What the speaker is to be: plain data. */
export interface SpeakerOrder {
  readonly addr: string;
  readonly as: number;
  readonly given?: Partial<SpeakerConfig>;
  readonly neighbors: Readonly<Record<string, LiveNeighbor>>;
  readonly networks: Readonly<Record<string, Partial<NetworkConfig>>>;
}

export interface SpeakerState {
  readonly peers: readonly BgpPeerRow[];
  /** The chosen ones. */
  readonly routes: readonly BgpRouteRow[];
  readonly restartComplete: boolean;
}

/** The program, built once a test file. */
export class SpeakerProgram {
  readonly #folder = mkdtempSync(join(tmpdir(), "podloom-speaker-"));
  readonly #running = new Set<SpeakerProcess>();

  constructor() {
    buildSync({
      entryPoints: [join(import.meta.dirname, "speaker-process.mjs")],
      outfile: this.#path,
      bundle: true,
      platform: "node",
      format: "esm",
      external: ["koffi"],
    });
  }

  start(order: SpeakerOrder): SpeakerProcess {
    const one = new SpeakerProcess(this.#path, order);
    this.#running.add(one);
    return one;
  }

  /** Kills what is left, and removes the program. */
  async close(): Promise<void> {
    await Promise.all([...this.#running].map((one) => one.kill()));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #path(): string {
    return join(this.#folder, "speaker.mjs");
  }
}

/** A speaker of ours in a process of its own. */
export class SpeakerProcess {
  readonly #child: ChildProcess;
  readonly #answers: ((state: SpeakerState) => void)[] = [];

  constructor(program: string, order: SpeakerOrder) {
    const argument = JSON.stringify({ given: {}, ...order });
    this.#child = spawn(process.execPath, [program, argument], { stdio: ["pipe", "pipe", "inherit"] });
    if (this.#child.stdout === null) throw new Error("no output");
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      this.#answers.shift()?.(JSON.parse(line) as SpeakerState);
    });
  }

  state(): Promise<SpeakerState> {
    return new Promise((resolve) => {
      this.#answers.push(resolve);
      this.#child.stdin?.write("state\n");
    });
  }

  /** SIGSTOP: its sockets stay open, and nobody answers. */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }
}
