// Whole Calico labs: from `podloom up` to every node having a route to every block; then every pod pings every other.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuUs } from "./child.ts";
import { PODLOOM } from "./pair.ts";
import { type Bench, type BenchRow, median } from "./result.ts";

/** How long such a lab may take on a machine that is busy with other things. */
const TIMEOUT = "900s";

interface NodeItem {
  readonly name: string;
  readonly pid: number;
  readonly pssBytes?: number;
  readonly bgp?: {
    readonly sessions: number;
    readonly established: number;
    readonly rxMessages: number;
    readonly txMessages: number;
  };
}

interface LabSize {
  readonly name: string;
  readonly what: string;
  readonly nodes: number;
  readonly reflectors: number;
}

/** One pod a node; Calico's own timers. */
function labFile({ name, nodes, reflectors }: LabSize): string {
  const mesh = { apiVersion: "podloom/v1", name, cni: "calico", underlay: { subnet: "10.77.0.0/16" } };
  if (reflectors === 0) return JSON.stringify({ ...mesh, nodes: { count: nodes, pods: 1 } });
  const list = Array.from({ length: nodes }, (_, i) => ({
    name: `node${i + 1}`,
    pods: [`node${i + 1}-pod1`],
    ...(i < reflectors ? { labels: { rr: "true" }, routeReflectorClusterID: "244.0.0.1" } : {}),
  }));
  const resources = [
    {
      kind: "BGPConfiguration",
      metadata: { name: "default" },
      spec: { nodeToNodeMeshEnabled: false },
    },
    {
      kind: "BGPPeer",
      metadata: { name: "reflectors" },
      spec: { nodeSelector: "all()", peerSelector: "rr == 'true'" },
    },
  ];
  return JSON.stringify({ ...mesh, calico: { resources }, nodes: list });
}

/** Sessions that a lab of this size is to have, each counted once. */
function sessionsOf({ nodes, reflectors }: LabSize): number {
  if (reflectors === 0) return (nodes * (nodes - 1)) / 2;
  return (nodes - reflectors) * reflectors + (reflectors * (reflectors - 1)) / 2;
}

async function measure(size: LabSize): Promise<BenchRow> {
  const home = mkdtempSync(join(tmpdir(), "podloom-lab-"));
  const env = { ...process.env, XDG_RUNTIME_DIR: home, XDG_STATE_HOME: home };
  const podloom = (...args: string[]): string =>
    execFileSync(process.execPath, [PODLOOM, ...args], {
      env,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 64 * 1024 * 1024,
    });
  const file = join(home, "lab.json");
  writeFileSync(file, labFile(size));
  try {
    const start = performance.now();
    podloom("up", "--file", file, "--detach", "--no-verify", "--timeout", TIMEOUT);
    const upSec = (performance.now() - start) / 1000;
    const { items } = JSON.parse(podloom("get", "nodes", "-o", "json")) as { items: NodeItem[] };
    let cpu = 0;
    for (const { pid } of items) cpu += await cpuUs(pid);
    const sum = (of: (item: NodeItem) => number): number =>
      items.reduce((total, item) => total + of(item), 0);
    const established = sum(({ bgp }) => bgp?.established ?? 0) / 2;
    const wanted = sessionsOf(size);
    if (items.length !== size.nodes || established !== wanted) {
      throw new Error(`${items.length} of ${size.nodes} nodes, ${established} of ${wanted} sessions`);
    }
    const messages = sum(({ bgp }) => bgp?.txMessages ?? 0);
    const pss = median(items.map(({ pssBytes }) => pssBytes ?? Number.NaN)) / 2 ** 20;
    const asked = performance.now();
    const verified = podloom("verify", "--all-pairs", "--count", "1", "-o", "json");
    const verifySec = (performance.now() - asked) / 1000;
    const { summary } = JSON.parse(verified) as { summary: { sent: number; received: number } };
    const pairs = size.nodes * (size.nodes - 1);
    if (summary.sent !== pairs || summary.received !== pairs) {
      throw new Error(`${summary.received} of ${summary.sent} pings came back, ${pairs} pairs`);
    }
    return {
      what: `Calico, ${size.what}: \`up\` to every route`,
      ours:
        `${upSec.toFixed(0)} s; ${(cpu / 1e6).toFixed(0)} s CPU in all, ${(cpu / 1000 / size.nodes).toFixed(0)} ms a node; ` +
        `${pss.toFixed(1)} MiB PSS a node; ${wanted} sessions, ${messages} BGP messages; ` +
        `all ${pairs} pairs answered in ${verifySec.toFixed(0)} s`,
      baseline: "–",
      ratio: undefined,
      target: "recorded",
      met: undefined,
    };
  } finally {
    podloom("down", "--all");
    rmSync(home, { recursive: true, force: true });
  }
}

function calicoBench(size: LabSize): Bench {
  return {
    name: size.name,
    about: `a Calico lab: ${size.what}`,
    run: async (): Promise<readonly BenchRow[]> => [await measure(size)],
  };
}

export const calicoBenches: readonly Bench[] = [
  { name: "calico-mesh-100", what: "mesh of 100 nodes", nodes: 100, reflectors: 0 },
  { name: "calico-rr-200", what: "200 nodes, two of them reflectors", nodes: 200, reflectors: 2 },
].map(calicoBench);
