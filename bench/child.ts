import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A child that speaks JSON lines on its standard output; ended when the benchmark is. */
export class JsonChild {
  readonly process: ChildProcess;
  readonly #lines: unknown[] = [];
  readonly #waiting: ((line: unknown) => void)[] = [];
  readonly #ended: Promise<number>;

  constructor(args: readonly string[]) {
    this.process = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#ended = new Promise((resolve) => this.process.once("exit", (code) => resolve(code ?? -1)));
    if (this.process.stdout !== null) {
      createInterface({ input: this.process.stdout }).on("line", (text) => {
        const line: unknown = JSON.parse(text);
        const waiter = this.#waiting.shift();
        if (waiter === undefined) this.#lines.push(line);
        else waiter(line);
      });
    }
  }

  /** The next line; rejects when the child ends first. */
  async next<T>(): Promise<T> {
    const ready = this.#lines.shift();
    if (ready !== undefined) return ready as T;
    const line = new Promise<unknown>((resolve) => this.#waiting.push(resolve));
    const ended = this.#ended.then((code) => {
      throw new Error(`the child ended with ${code} before it answered`);
    });
    return (await Promise.race([line, ended])) as T;
  }

  ask(): void {
    this.process.stdin?.write("\n");
  }

  async close(): Promise<void> {
    this.process.stdin?.end();
    await this.#ended;
  }
}

/** User and system CPU time of a process in microseconds, from the scheduler's own account (nanoseconds). */
export async function cpuUs(pid: number): Promise<number> {
  const { readdir, readFile } = await import("node:fs/promises");
  let total = 0;
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${task}/schedstat`, "utf8");
    total += Number(text.split(" ")[0]) / 1000;
  }
  return total;
}

/** Proportional set size in bytes. */
export async function pssBytes(pid: number): Promise<number> {
  const { readFile } = await import("node:fs/promises");
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) * 1024;
}
