// A full mesh of BGP speakers, one process each, beside the same mesh of BIRDs: same addresses, prefixes, timers, and who dials whom.
// Runs alternate. Each has a network namespace of its own, so that ports and counters are its alone, and nothing is left behind.
import { resolve } from "node:path";
import { birdVersion } from "./bgp/bird-daemon.ts";
import { KEEPALIVE_SEC, type MeshOrder, type MeshResult, PROFILES, type Profile } from "./bgp/mesh-plan.ts";
import { namespacesUnavailable, runInNamespace } from "./bgp/run-in-namespace.ts";
import { PODLOOM } from "./pair.ts";
import { type Bench, type BenchOptions, type BenchRow, median, range } from "./result.ts";

const BIRD = process.env.PODLOOM_BENCH_BIRD ?? "bird";
const BARE = resolve(import.meta.dirname, "../../bench/baseline/tcp-mesh.cjs");
/** So that all benchmarks together take minutes. */
const NODES = [10];
const PAIRS = 2;
/** A mesh of a hundred takes minutes on a busy machine. */
const LARGE = { nodes: 100, pairsMax: 3 };
const IDLE_SEC = 5;
const ANNOUNCEMENTS = 3;
/** One run; undefined, and said so, when it did not become complete. */
async function attempt(order: MeshOrder): Promise<MeshResult | undefined> {
  let result: MeshResult;
  try {
    result = await runInNamespace<MeshResult>("mesh-run", order);
  } catch (thrown) {
    process.stderr.write(`bench: does not count: ${String(thrown)}\n`);
    return undefined;
  }
  const sec = (ms: number): string => (ms / 1000).toFixed(2);
  process.stderr.write(
    `bench: ${result.version}, ${order.nodes} nodes, ${order.profile}: ${result.complete ? "complete" : "NOT COMPLETE, does not count"}` +
      `, sessions ${sec(result.establishedMs)} s, routes ${sec(result.routesMs)} s, last octet ${sec(result.burstMs)} s` +
      `, CPU ${sec(result.cpuMs)} s of which start ${sec(result.startCpuMs)} s, others ${result.otherPercent.toFixed(0)} % of a core\n`,
  );
  return result.complete ? result : undefined;
}

/** What is compared, figure by figure. */
interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly digits: number;
  readonly of: (result: MeshResult) => number;
  readonly target?: (ours: number, ratio: number | undefined) => Pick<BenchRow, "target" | "met">;
}

const RECORDED = { target: "recorded", met: undefined } as const;

function figures(nodes: number, idleSec: number): readonly Figure[] {
  const alive = idleSec >= KEEPALIVE_SEC;
  return [
    { what: "every session Established", unit: " s", digits: 2, of: (r) => r.establishedMs / 1000 },
    {
      what: "every route everywhere",
      unit: " s",
      digits: 2,
      of: (r) => r.routesMs / 1000,
      target: (_, ratio) =>
        nodes === 50 && ratio !== undefined ? { target: "≤ 1.5 ×", met: ratio <= 1.5 } : RECORDED,
    },
    {
      what: "CPU a session, both ends, start apart",
      unit: " ms",
      digits: 2,
      of: (r) => (r.cpuMs - r.startCpuMs) / r.sessions,
      target: (ours) => ({ target: "≤ 1 ms", met: ours <= 1 }),
    },
    { what: "CPU of a process's start", unit: " ms", digits: 1, of: (r) => r.startCpuMs / nodes },
    { what: "CPU of all, start included", unit: " s", digits: 2, of: (r) => r.cpuMs / 1000 },
    { what: "PSS of a process", unit: " MiB", digits: 1, of: (r) => r.pssMiB },
    { what: "RSS of a process", unit: " MiB", digits: 1, of: (r) => r.rssMiB },
    { what: "octets a session, headers included", unit: "", digits: 0, of: (r) => r.loBytes / r.sessions },
    { what: "calls that found the queue full", unit: "", digits: 0, of: (r) => r.listenOverflows },
    { what: "segments sent again", unit: "", digits: 0, of: (r) => r.retransmits },
    {
      what: "one more prefix, until half have it",
      unit: " ms",
      digits: 2,
      of: (r) => median(r.medianHeardMs),
    },
    {
      what: "one more prefix, until the last has it",
      unit: " ms",
      digits: 2,
      of: (r) => median(r.lastHeardMs),
    },
    {
      what: `idle for ${idleSec} s, ${alive ? "with" : "without"} KEEPALIVEs, all processes together, of one core`,
      unit: " %",
      digits: 2,
      of: (r) => r.idlePercent,
      target: (ours) => (nodes === 100 && alive ? { target: "< 2 %", met: ours < 2 } : RECORDED),
    },
  ];
}

/** What Node itself costs: the same connections and messages without BGP. The rest is ours. */
function bareFigures(nodes: number): readonly Figure[] {
  return figures(nodes, IDLE_SEC)
    .filter(({ what }) => BARE_FIGURES.some((one) => what.startsWith(one)))
    .map((figure) => ({
      ...figure,
      what: `beside Node's sockets alone: ${figure.what}`,
      target: () => RECORDED,
    }));
}

const BARE_FIGURES = ["every route everywhere", "CPU ", "PSS "] as const;

function rowOf(
  where: string,
  { what, unit, digits, of, target = () => RECORDED }: Figure,
  ours: readonly MeshResult[],
  base: readonly MeshResult[],
): BenchRow {
  const shown = (results: readonly MeshResult[]): string => {
    const values = results.map(of);
    return `${median(values).toFixed(digits)}${unit} (${range(values, digits)})`;
  };
  const middle = median(ours.map(of));
  const other = base.length === 0 ? undefined : median(base.map(of));
  const ratio = other === undefined || other === 0 ? undefined : middle / other;
  return {
    what: `${where}: ${what}`,
    ours: shown(ours),
    baseline: base.length === 0 ? "–" : `${base[0]?.version}: ${shown(base)}`,
    ratio,
    ...target(middle, ratio),
  };
}

async function meshRows(
  { nodes, profile, idleSec }: Pick<MeshOrder, "nodes" | "profile" | "idleSec">,
  pairs: number,
  bird: boolean,
): Promise<BenchRow[]> {
  const order = { nodes, profile, idleSec, announcements: ANNOUNCEMENTS };
  const ours: MeshResult[] = [];
  const base: MeshResult[] = [];
  const bare: MeshResult[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const mine = await attempt({ ...order, daemon: "podloom", program: PODLOOM });
    if (mine !== undefined) ours.push(mine);
    const other = bird ? await attempt({ ...order, daemon: "bird", program: BIRD }) : undefined;
    if (other !== undefined) base.push(other);
    // Once for each pair, so that all three have the same machine. On Calico's timers alone: it knows no others.
    const least =
      profile === "calico"
        ? await attempt({ ...order, announcements: 0, daemon: "bare", program: BARE })
        : undefined;
    if (least !== undefined) bare.push(least);
  }
  const where = `mesh of ${nodes}, ${profile}`;
  // Whoever leaves out the runs that failed must say how many they were.
  const complete: BenchRow = {
    what: `${where}: runs that became complete within three minutes`,
    ours: `${ours.length} of ${pairs}`,
    baseline: bird ? `${base.length} of ${pairs}` : "–",
    ratio: undefined,
    target: "all",
    met: ours.length === pairs,
  };
  if (ours.length === 0) return [complete];
  return [
    complete,
    ...figures(nodes, idleSec).map((figure) => rowOf(where, figure, ours, base)),
    ...(bare.length === 0 ? [] : bareFigures(nodes).map((figure) => rowOf(where, figure, ours, bare))),
  ];
}

function pairsFor(nodes: number, { pairs = PAIRS }: BenchOptions): number {
  return nodes >= LARGE.nodes ? Math.min(pairs, LARGE.pairsMax) : pairs;
}

function profilesOf({ profiles }: BenchOptions): readonly Profile[] {
  return PROFILES.filter((profile) => profiles?.includes(profile) ?? true);
}

export const bgpMesh: Bench = {
  name: "bgp-mesh",
  about: "full meshes of BGP speakers, one process each, beside BIRD's",
  table: "bgp",
  async run(options): Promise<readonly BenchRow[]> {
    const why = namespacesUnavailable();
    if (why !== undefined) {
      process.stderr.write(`bench: bgp-mesh is skipped: it ${why}\n`);
      return [];
    }
    const version = birdVersion(BIRD);
    if (version === undefined) process.stderr.write(`bench: there is no BIRD: ${BIRD} does not run\n`);
    const rows: BenchRow[] = [];
    for (const nodes of options.nodes ?? NODES) {
      for (const profile of profilesOf(options)) {
        const what = { nodes, profile, idleSec: options.idleSec ?? IDLE_SEC };
        rows.push(...(await meshRows(what, pairsFor(nodes, options), version !== undefined)));
      }
    }
    return rows;
  },
};
