// What one node process costs: CPU until it is ready, against `node -e 0`, and its memory when it idles.
import { execFileSync } from "node:child_process";
import { cpuUs, pssBytes } from "./child.ts";
import { Pair } from "./pair.ts";
import { type Bench, type BenchRow, median, range } from "./result.ts";

const ROUNDS = 5;

/** CPU time of `node -e 0`, as that process itself sees it at its end. */
function bareCpuUs(): number {
  const text = execFileSync(process.execPath, [
    "-e",
    'console.log(require("fs").readdirSync("/proc/self/task").map((t)=>Number(require("fs").readFileSync(`/proc/self/task/${t}/schedstat`,"utf8").split(" ")[0])).reduce((a,b)=>a+b)/1000)',
  ]);
  return Number(String(text).trim());
}

export const nodeStart: Bench = {
  name: "node-start",
  about: "CPU to start one node process, memory of an idle one",
  async run(): Promise<readonly BenchRow[]> {
    const ours: number[] = [];
    const base: number[] = [];
    const memory: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      base.push(bareCpuUs());
      const pair = await Pair.start();
      try {
        ours.push(await cpuUs(pair.b.child.pid as number));
        await new Promise((done) => setTimeout(done, 1000));
        memory.push(await pssBytes(pair.b.child.pid as number));
      } finally {
        await pair.stop();
      }
    }
    return [
      {
        what: "CPU from start to ready, one node process",
        ours: `${(median(ours) / 1000).toFixed(0)} ms (${range(
          ours.map((us) => us / 1000),
          0,
        )})`,
        baseline: `node -e 0: ${(median(base) / 1000).toFixed(0)} ms (${range(
          base.map((us) => us / 1000),
          0,
        )})`,
        ratio: median(ours) / median(base),
        target: "recorded",
        met: undefined,
      },
      {
        what: "proportional memory of an idle node",
        ours: `${(median(memory) / 2 ** 20).toFixed(1)} MiB`,
        baseline: "–",
        ratio: undefined,
        target: "recorded",
        met: undefined,
      },
    ];
  },
};
