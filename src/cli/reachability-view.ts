// The result of pinging every pair: a matrix while that can be read, and always one line of numbers.
import type { PairResult, Reachability } from "../measure/reachability.ts";
import { formatMs } from "./format.ts";
import { tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** More pods than this make a matrix that no terminal shows. */
const MATRIX_PODS_MAX = 12;
/** Pairs with losses that are listed one by one. */
const LISTED_MAX = 20;

/** Prints the matrix (median RTT in milliseconds of each pair; rows send, columns answer) and the summary. */
export function printReachability(result: Reachability, terminal: Terminal): void {
  if (result.pods.length <= MATRIX_PODS_MAX && result.sampleSeed === undefined && result.pods.length > 1) {
    for (const line of matrixLines(result, terminal)) terminal.print(line);
    terminal.print("");
  }
  const lossy = result.pairs.filter((pair) => pair.received < pair.sent);
  for (const pair of lossy.slice(0, LISTED_MAX)) terminal.print(lossLine(pair, terminal));
  if (lossy.length > LISTED_MAX) terminal.print(`… and ${lossy.length - LISTED_MAX} more pairs with losses`);
  terminal.print(summaryLine(result, terminal));
}

/** `30/30 ordered pod pairs reachable, 0 of 150 pings lost, RTT median 0.41 ms, p99 0.83 ms`. */
export function summaryLine(result: Reachability, terminal: Terminal): string {
  const reachable = result.pairs.filter((pair) => pair.received > 0).length;
  const lost = result.sent - result.received;
  const counts = `${reachable}/${result.pairs.length} ordered pod pairs reachable, ${lost} of ${result.sent} pings lost`;
  const rtt =
    result.rtt === undefined
      ? ""
      : `, RTT median ${formatMs(result.rtt.medianUs)} ms, p99 ${formatMs(result.rtt.p99Us)} ms`;
  const sample =
    result.sampleSeed === undefined
      ? ""
      : ` (a sample of ${result.pairs.length} of ${result.pairsTotal} pairs, seed ${result.sampleSeed})`;
  return terminal.style("out", lost === 0 ? "green" : "red", counts) + rtt + sample;
}

function matrixLines(result: Reachability, terminal: Terminal): string[] {
  const cells = new Map(result.pairs.map((pair) => [`${pair.from}\t${pair.to}`, pair]));
  const names = result.pods.map((pod) => pod.name);
  const rows = names.map((from) => [
    from,
    ...names.map((to) => (from === to ? "·" : cellText(cells.get(`${from}\t${to}`), terminal))),
  ]);
  return tableLines(["RTT ms", ...names], rows, new Set(names.map((_, i) => i + 1)));
}

function cellText(pair: PairResult | undefined, terminal: Terminal): string {
  if (pair === undefined) return "?";
  const lost = pair.sent - pair.received;
  if (pair.received === 0) return terminal.style("out", "red", "lost");
  const rtt = pair.rtt === undefined ? "?" : formatMs(pair.rtt.medianUs);
  return lost === 0 ? rtt : terminal.style("out", "red", `${rtt} (${lost}/${pair.sent} lost)`);
}

function lossLine(pair: PairResult, terminal: Terminal): string {
  const why = pair.error === undefined ? "" : `: ${pair.error}`;
  const text = `${pair.from} → ${pair.to}: ${pair.sent - pair.received} of ${pair.sent} pings lost${why}`;
  return terminal.style("out", "red", text);
}
