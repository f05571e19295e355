// A whole lab: from `podloom up` to converged, and what its processes hold then.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuUs } from "./child.ts";
import { PODLOOM } from "./pair.ts";
import { type Bench, type BenchRow, median, range } from "./result.ts";

/** Flannel's VXLAN, with room for four hundred nodes. */
const LAB = {
  apiVersion: "podloom/v1",
  name: "bench",
  network: { Network: "10.128.0.0/12", SubnetLen: 24, Backend: { Type: "vxlan" } },
  underlay: { subnet: "10.77.0.0/16" },
};
const TIMEOUT = "600s";

interface NodeItem {
  readonly pid: number;
  readonly pssBytes?: number;
}

/** Bare `node -e 0` processes, as many, two at a time: what the machine needs to start that many of anything. */
function bareStartMs(count: number): number {
  const script = `seq ${count} | xargs -P 4 -I{} ${process.execPath} -e 0`;
  const start = performance.now();
  execFileSync("sh", ["-c", script]);
  return performance.now() - start;
}

async function once(count: number): Promise<{ ms: number; cpuMs: number; pssMiB: number }> {
  const home = mkdtempSync(join(tmpdir(), "podloom-lab-"));
  const env = { ...process.env, XDG_RUNTIME_DIR: home, XDG_STATE_HOME: home };
  const file = join(home, "lab.json");
  writeFileSync(file, JSON.stringify(LAB));
  const podloom = (...args: string[]): string =>
    execFileSync(process.execPath, [PODLOOM, ...args], {
      env,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 64 * 1024 * 1024,
    });
  try {
    const start = performance.now();
    podloom("up", "--file", file, "--nodes", String(count), "--pods", "1", "--detach", "--timeout", TIMEOUT);
    podloom("wait", "--for=converged", "--timeout", TIMEOUT);
    const ms = performance.now() - start;
    const { items } = JSON.parse(podloom("get", "nodes", "-o", "json")) as { items: NodeItem[] };
    if (items.length !== count) throw new Error(`${items.length} of ${count} nodes are there`);
    let cpu = 0;
    for (const { pid } of items) cpu += await cpuUs(pid);
    const pss = median(items.map(({ pssBytes }) => pssBytes ?? Number.NaN));
    return { ms, cpuMs: cpu / 1000 / count, pssMiB: pss / 2 ** 20 };
  } finally {
    podloom("down", "--all");
    rmSync(home, { recursive: true, force: true });
  }
}

function labBench(count: number, rounds: number): Bench {
  return {
    name: `lab-${count}`,
    about: `from \`podloom up\` to converged, ${count} nodes`,
    async run(): Promise<readonly BenchRow[]> {
      const ours: number[] = [];
      const base: number[] = [];
      const cpu: number[] = [];
      const pss: number[] = [];
      for (let round = 0; round < rounds; round++) {
        base.push(bareStartMs(count) / 1000);
        const { ms, cpuMs, pssMiB } = await once(count);
        ours.push(ms / 1000);
        cpu.push(cpuMs);
        pss.push(pssMiB);
      }
      return [
        {
          what: `\`up\` to converged, ${count} nodes`,
          ours: `${median(ours).toFixed(1)} s (${range(ours, 1)}); ${median(cpu).toFixed(0)} ms CPU and ${median(pss).toFixed(1)} MiB PSS a node`,
          baseline: `${count} × node -e 0: ${median(base).toFixed(1)} s (${range(base, 1)})`,
          ratio: median(ours) / median(base),
          target: "recorded",
          met: undefined,
        },
      ];
    },
  };
}

export const labBenches: readonly Bench[] = [
  labBench(3, 5),
  labBench(10, 3),
  labBench(50, 1),
  labBench(100, 1),
  labBench(200, 1),
  labBench(400, 1),
];
