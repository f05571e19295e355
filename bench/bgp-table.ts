// One session that brings a table of 100,000 prefixes: `podloom bgp` beside BIRD, fed with the same octets by the same neighbour.
import { birdVersion } from "./bgp/bird-daemon.ts";
import { namespacesUnavailable, runInNamespace } from "./bgp/run-in-namespace.ts";
import {
  TABLE_PREFIXES,
  TABLE_SHAPES,
  type TableOrder,
  type TableResult,
  type TableShape,
} from "./bgp/table-plan.ts";
import { PODLOOM } from "./pair.ts";
import { type Bench, type BenchRow, median, range } from "./result.ts";

const BIRD = process.env.PODLOOM_BENCH_BIRD ?? "bird";
const PAIRS = 5;

const FIGURES: readonly {
  readonly what: string;
  readonly unit: string;
  readonly digits: number;
  readonly of: (result: TableResult) => number;
}[] = [
  {
    what: "prefixes a second, until the process rests",
    unit: "",
    digits: 0,
    of: ({ prefixes, restMs }) => (prefixes / restMs) * 1000,
  },
  { what: "until all was read", unit: " ms", digits: 0, of: ({ readMs }) => readMs },
  { what: "until the process rests", unit: " ms", digits: 0, of: ({ restMs }) => restMs },
  { what: "CPU", unit: " ms", digits: 0, of: ({ cpuMs }) => cpuMs },
  { what: "growth of its PSS", unit: " MiB", digits: 1, of: ({ pssMiB }) => pssMiB },
];

async function once(order: TableOrder): Promise<TableResult> {
  const result = await runInNamespace<TableResult>("table-run", order);
  const { version, octets, readMs, restMs, cpuMs, otherPercent } = result;
  process.stderr.write(
    `bench: ${version}, ${order.shape}, ${octets} octets: read ${readMs.toFixed(0)} ms, rests ${restMs.toFixed(0)} ms` +
      `, CPU ${cpuMs.toFixed(0)} ms, others ${otherPercent.toFixed(0)} % of a core\n`,
  );
  return result;
}

async function shapeRows(shape: TableShape, pairs: number, hasBird: boolean): Promise<BenchRow[]> {
  const ours: TableResult[] = [];
  const base: TableResult[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    ours.push(await once({ daemon: "podloom", program: PODLOOM, shape }));
    if (hasBird) base.push(await once({ daemon: "bird", program: BIRD, shape }));
  }
  return FIGURES.map(({ what, unit, digits, of }) => {
    const shown = (results: readonly TableResult[]): string => {
      const values = results.map(of);
      return `${median(values).toFixed(digits)}${unit} (${range(values, digits)})`;
    };
    return {
      what: `${TABLE_PREFIXES.toLocaleString("en")} prefixes in, ${shape}: ${what}`,
      ours: shown(ours),
      baseline: base.length === 0 ? "–" : `${base[0]?.version}: ${shown(base)}`,
      ratio: base.length === 0 ? undefined : median(ours.map(of)) / median(base.map(of)),
      target: "recorded",
      met: undefined,
    };
  });
}

export const bgpTable: Bench = {
  name: "bgp-table",
  about: "one BGP session that brings 100,000 prefixes, beside BIRD's",
  table: "bgp",
  async run({ pairs = PAIRS }): Promise<readonly BenchRow[]> {
    const why = namespacesUnavailable();
    if (why !== undefined) {
      process.stderr.write(`bench: bgp-table is skipped: it ${why}\n`);
      return [];
    }
    const hasBird = birdVersion(BIRD) !== undefined;
    if (!hasBird) process.stderr.write(`bench: there is no BIRD: ${BIRD} does not run\n`);
    const rows: BenchRow[] = [];
    for (const shape of TABLE_SHAPES) rows.push(...(await shapeRows(shape, pairs, hasBird)));
    return rows;
  },
};
