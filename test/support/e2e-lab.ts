// Labs of real processes for the end-to-end tests: each test has folders of its own, an underlay of its own, and a look at
// what is left when it ends.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PODLOOM = fileURLToPath(new URL("../../bin/podloom.js", import.meta.url));

/** What a finished command left. */
export interface Finished {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly elapsedMs: number;
}

/** A command that runs. */
export class Running {
  stdout = "";
  stderr = "";
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;

  constructor(argv: readonly string[], env: NodeJS.ProcessEnv, cwd: string) {
    const started = performance.now();
    this.child = spawn(process.execPath, [PODLOOM, ...argv], { env, cwd, stdio: ["ignore", "pipe", "pipe"] });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.finished = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        const elapsedMs = performance.now() - started;
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr, elapsedMs });
      });
    });
  }

  get pid(): number {
    return this.child.pid as number;
  }

  /** Waits until its standard output matches. */
  async until(pattern: RegExp, timeoutMs = 60_000): Promise<void> {
    await eventually(
      () => {
        if (pattern.test(this.stdout)) return true;
        if (this.child.exitCode !== null)
          throw new Error(`ended with ${this.child.exitCode}:\n${this.stdout}\n${this.stderr}`);
        return false;
      },
      timeoutMs,
      () => `${pattern} in:\n${this.stdout}\n${this.stderr}`,
    );
  }
}

/** The folders, processes and underlay of one test. */
export class Sandbox {
  readonly root = mkdtempSync(join(tmpdir(), "pl-"));
  readonly env: NodeJS.ProcessEnv;
  readonly #running: Running[] = [];

  constructor() {
    this.env = {
      ...process.env,
      XDG_RUNTIME_DIR: this.root,
      XDG_STATE_HOME: join(this.root, "state"),
      HOME: this.root,
    };
    for (const name of Object.keys(this.env))
      if (name.startsWith("PODLOOM_") || name === "VITEST") delete this.env[name];
  }

  /** Writes a lab file. @param third the third octet of its underlay, one for each test that may run */
  labFile(third: number, text = "", name = "lab.yaml"): string {
    const path = join(this.root, name);
    const underlay = /^underlay:/m.test(text) ? "" : `underlay: { subnet: 192.168.${third}.0/24 }\n`;
    writeFileSync(path, `apiVersion: podloom/v1\n${underlay}${text}`);
    return path;
  }

  /** Starts a command. */
  start(...argv: string[]): Running {
    const running = new Running(argv, this.env, this.root);
    this.#running.push(running);
    return running;
  }

  /** Runs a command to its end. */
  async run(...argv: string[]): Promise<Finished> {
    return this.start(...argv).finished;
  }

  /** Runs a command that must succeed. */
  async ok(...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...argv);
    if (code !== 0) throw new Error(`podloom ${argv.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
    return stdout;
  }

  /** The rows of `get NOUN -o json`. */
  async rows<T>(noun: string, ...flags: string[]): Promise<T[]> {
    const { items } = JSON.parse(await this.ok("get", noun, "-o", "json", ...flags)) as { items: T[] };
    return items;
  }

  /** Processes that were started, directly or not, from this sandbox: they carry its runtime folder in their environment. */
  processes(): { readonly pid: number; readonly command: string }[] {
    const mark = `XDG_RUNTIME_DIR=${this.root}\0`;
    return readdirSync("/proc")
      .filter((entry) => /^\d+$/.test(entry))
      .flatMap((pid) => {
        try {
          if (!`${readFileSync(`/proc/${pid}/environ`, "latin1")}\0`.includes(mark)) return [];
          const command = readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ");
          return [{ pid: Number(pid), command }];
        } catch {
          return [];
        }
      });
  }

  /** Is anything of a runtime folder left? */
  runtimeFiles(): string[] {
    return existsSync(join(this.root, "podloom"))
      ? readdirSync(join(this.root, "podloom"), { recursive: true }).map(String)
      : [];
  }

  /** Ends what still runs and removes the folders. */
  async dispose(): Promise<void> {
    await this.run("down", "--all");
    for (const running of this.#running) if (running.child.exitCode === null) running.child.kill("SIGKILL");
    for (const { pid } of this.processes()) process.kill(pid, "SIGKILL");
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Waits until `holds` says true. */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  timeoutMs: number,
  what: () => string,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`did not happen within ${timeoutMs} ms: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
