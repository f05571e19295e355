// npm run bench [-- NAME … | --write]: runs the benchmarks and prints their tables; --write puts them into docs/BENCHMARKS.md.
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { bgpMesh } from "./bgp-mesh.ts";
import { bgpTable } from "./bgp-table.ts";
import { calicoBenches } from "./calico-lab.ts";
import { ipipForward } from "./ipip-forward.ts";
import { labBenches } from "./lab.ts";
import { nodeStart } from "./node-start.ts";
import { pingRtt } from "./ping-rtt.ts";
import { podUdp } from "./pod-udp.ts";
import { type Bench, type BenchOptions, type BenchRow, TABLES, type TableName } from "./result.ts";
import { stackForward } from "./stack-forward.ts";
import { storeClient } from "./store-client.ts";
import { storeServer } from "./store-server.ts";

const BENCHES: readonly Bench[] = [
  stackForward,
  ipipForward,
  podUdp,
  pingRtt,
  nodeStart,
  ...labBenches,
  ...calicoBenches,
  storeClient,
  storeServer,
  bgpTable,
  bgpMesh,
];
const DOCUMENT = "docs/BENCHMARKS.md";

function row({ what, ours, baseline, ratio, target, met }: BenchRow): string {
  const verdict = met === undefined ? "recorded" : met ? "met" : "**missed**";
  return `| ${what} | ${ours} | ${baseline} | ${ratio === undefined ? "–" : ratio.toFixed(2)} | ${target} | ${verdict} |`;
}

function table(rows: readonly BenchRow[]): string {
  const command = ["npm run bench", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])];
  return [
    `Measured on ${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, by \`${command.join(" ")}\`.`,
    "",
    "| what | podloom | baseline, same run | ratio | target | verdict |",
    "|---|---|---|---|---|---|",
    ...rows.map(row),
  ].join("\n");
}

/** Puts a table between its marks. */
function write(name: TableName, text: string): void {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const document = readFileSync(DOCUMENT, "utf8");
  const [head = "", rest = ""] = document.split(begin);
  const tail = rest.split(end)[1];
  if (tail === undefined) throw new Error(`${DOCUMENT} has no place for the table "${name}"`);
  writeFileSync(DOCUMENT, `${head}${begin}\n${text}\n${end}${tail}`);
}

function fail(message: string): never {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(2);
}

const { values, positionals } = parseArgs({
  options: {
    write: { type: "boolean", default: false },
    nodes: { type: "string" },
    pairs: { type: "string" },
    profiles: { type: "string" },
    idle: { type: "string" },
  },
  allowPositionals: true,
});
const unknown = positionals.find((name) => !BENCHES.some((bench) => bench.name === name));
if (unknown !== undefined) {
  fail(`there is no benchmark ${unknown}. There are: ${BENCHES.map(({ name }) => name).join(", ")}`);
}
const options: BenchOptions = {
  nodes: values.nodes?.split(",").map(Number),
  pairs: values.pairs === undefined ? undefined : Number(values.pairs),
  profiles: values.profiles?.split(","),
  idleSec: values.idle === undefined ? undefined : Number(values.idle),
};
if (options.nodes?.some((n) => !Number.isInteger(n) || n < 2 || n > 250)) {
  fail("--nodes takes numbers from 2 to 250, with commas");
}
if (options.idleSec !== undefined && !(options.idleSec >= 1)) fail("--idle takes seconds from 1");
if (options.pairs !== undefined && !(options.pairs >= 1)) fail("--pairs takes a number from 1");

const chosen = BENCHES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const rows = new Map<TableName, BenchRow[]>();
for (const bench of chosen) {
  process.stderr.write(`bench: ${bench.name}: ${bench.about}\n`);
  const made = await bench.run(options);
  const name = bench.table ?? "results";
  rows.set(name, [...(rows.get(name) ?? []), ...made]);
}
for (const name of TABLES) {
  const made = rows.get(name) ?? [];
  if (made.length === 0) continue;
  const text = table(made);
  process.stdout.write(`${text}\n\n`);
  if (values.write) write(name, text);
}
