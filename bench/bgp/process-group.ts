// Many processes: started one after the other, accounted for together, and all ended.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * All that the processes find around them. What this shell has may cost a process more than its own work: where NODE_EXTRA_CA_CERTS is
 * set, Node reads all those certificates before it begins.
 */
const ENVIRONMENT = { PATH: process.env.PATH ?? "", TZ: "UTC" };

export class ProcessGroup {
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];

  /** @param folder where they run, and where their output goes */
  constructor(folder: string) {
    this.#folder = folder;
  }

  start(name: string, [program, ...args]: readonly [string, ...string[]]): void {
    const out = openSync(join(this.#folder, `${name}.out`), "w");
    this.#children.push(
      spawn(program, args, { cwd: this.#folder, env: ENVIRONMENT, stdio: ["ignore", out, out] }),
    );
    closeSync(out);
  }

  /** @throws Error when one has ended by itself */
  check(): void {
    const dead = this.#children.find((child) => child.exitCode !== null || child.signalCode !== null);
    if (dead === undefined) return;
    const output = readdirSync(this.#folder)
      .filter((file) => file.endsWith(".out"))
      .map((file) => readFileSync(join(this.#folder, file), "utf8"))
      .find((text) => text !== "");
    throw new Error(`${dead.spawnargs.join(" ")} has ended: ${output ?? "it said nothing"}`);
  }

  /** CPU time of all, user and system, by the scheduler's own account: /proc/PID/stat counts in steps of 10 ms and loses half of that. */
  cpuMs(): number {
    let ns = 0;
    for (const pid of this.#pids()) {
      for (const task of readdirSync(`/proc/${pid}/task`)) {
        ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
      }
    }
    return ns / 1e6;
  }

  /** Average of a process. */
  memory(): { readonly rssMiB: number; readonly pssMiB: number } {
    const pids = this.#pids();
    const sum = (file: string, key: string): number =>
      pids.reduce((total, pid) => total + kilobytes(readFileSync(`/proc/${pid}/${file}`, "utf8"), key), 0);
    return {
      rssMiB: sum("status", "VmRSS") / 1024 / pids.length,
      pssMiB: sum("smaps_rollup", "Pss") / 1024 / pids.length,
    };
  }

  /** Kills all, and waits until they are gone. */
  async kill(): Promise<void> {
    await Promise.all(
      this.#children.splice(0).map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGKILL");
        await ended;
      }),
    );
  }

  #pids(): number[] {
    return this.#children.map(({ pid }) => pid ?? 0);
  }
}

/** CPU time that the whole machine has spent, of all its cores. */
export function machineBusyMs(): number {
  const line = readFileSync("/proc/stat", "utf8").split("\n", 1)[0] ?? "";
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) * 10;
}

function kilobytes(text: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN);
}
