// npm run bench [-- NAME … | --write]: runs the benchmarks and prints a table; --write puts it into docs/BENCHMARKS.md.
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { calicoBenches } from "./calico-lab.ts";
import { labBenches } from "./lab.ts";
import { nodeStart } from "./node-start.ts";
import { pingRtt } from "./ping-rtt.ts";
import { podUdp } from "./pod-udp.ts";
import type { Bench, BenchRow } from "./result.ts";
import { stackForward } from "./stack-forward.ts";

const BENCHES: readonly Bench[] = [stackForward, podUdp, pingRtt, nodeStart, ...labBenches, ...calicoBenches];
const DOCUMENT = "docs/BENCHMARKS.md";
const BEGIN = "<!-- results: begin -->";
const END = "<!-- results: end -->";

function row({ what, ours, baseline, ratio, target, met }: BenchRow): string {
  const verdict = met === undefined ? "recorded" : met ? "met" : "**missed**";
  return `| ${what} | ${ours} | ${baseline} | ${ratio === undefined ? "–" : ratio.toFixed(2)} | ${target} | ${verdict} |`;
}

const { values, positionals } = parseArgs({
  options: { write: { type: "boolean", default: false } },
  allowPositionals: true,
});
const chosen = positionals.length === 0 ? BENCHES : BENCHES.filter(({ name }) => positionals.includes(name));
if (chosen.length === 0) {
  process.stderr.write(
    `bench: no such benchmark. There are: ${BENCHES.map(({ name }) => name).join(", ")}\n`,
  );
  process.exit(2);
}
const lines = [
  `Measured on ${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, by \`npm run bench -- --write\`.`,
  "",
  "| what | podloom | baseline, same run | ratio | target | verdict |",
  "|---|---|---|---|---|---|",
];
for (const bench of chosen) {
  process.stderr.write(`bench: ${bench.name}: ${bench.about}\n`);
  lines.push(...(await bench.run()).map(row));
}
process.stdout.write(`${lines.join("\n")}\n`);
if (values.write) {
  const text = readFileSync(DOCUMENT, "utf8");
  const [head = "", rest = ""] = text.split(BEGIN);
  const tail = rest.split(END)[1] ?? "";
  writeFileSync(DOCUMENT, `${head}${BEGIN}\n${lines.join("\n")}\n${END}${tail}`);
}
