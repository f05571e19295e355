// The result of pinging every pair: a matrix while that can be read, and always one line of numbers.
import { stripVTControlCharacters } from "node:util";
import { countOf } from "../base/count-of.ts";
import type { PairResult, Reachability } from "../measure/reachability.ts";
import type { RttSummary } from "../measure/statistics.ts";
import { formatMs, formatMsShort } from "./format.ts";
import { tableLines } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** More pods than this make a matrix that no terminal shows. */
const MATRIX_PODS_MAX = 12;
/** Pairs with losses that are listed one by one. */
const LISTED_MAX = 20;

/** Prints the matrix (rows send, columns answer) and the summary. */
export function printReachability(result: Reachability, terminal: Terminal): void {
  if (result.pods.length <= MATRIX_PODS_MAX && result.sampleSeed === undefined && result.pods.length > 1) {
    for (const line of matrixLines(result, terminal)) terminal.print(line);
    terminal.print("");
  }
  const lossy = result.pairs.filter((pair) => pair.received < pair.sent);
  for (const pair of lossy.slice(0, LISTED_MAX)) terminal.print(lossLine(pair, terminal));
  const more = lossy.length - LISTED_MAX;
  if (more > 0) terminal.print(`… and ${countOf(more, "more pair")} with losses`);
  terminal.print(summaryLine(result, terminal));
}

/**
 * `30/30 ordered pod pairs reachable, 0 of 150 pings lost, RTT median 0.41 ms, p99 0.83 ms (first reply of each pair not
 * counted)`.
 */
export function summaryLine(result: Reachability, terminal: Terminal): string {
  const { pairs, sent, rtt } = result;
  const reachable = pairs.filter((pair) => pair.received > 0).length;
  const lost = sent - result.received;
  const all = countOf(pairs.length, "ordered pod pair");
  const counts = `${reachable}/${all} reachable, ${lost} of ${countOf(sent, "ping")} lost`;
  const first = result.firstReplyCounted ? "" : " (first reply of each pair not counted)";
  const times =
    rtt === undefined
      ? ""
      : `, RTT median ${formatMs(rtt.medianUs)} ms, p99 ${formatMs(rtt.p99Us)} ms${first}`;
  const sample =
    result.sampleSeed === undefined
      ? ""
      : ` (a sample of ${pairs.length} of ${result.pairsTotal} pairs, seed ${result.sampleSeed})`;
  return terminal.style("out", lost === 0 ? "green" : "red", counts) + times + sample;
}

/** The matrix with median and p99 in each cell; with medians alone where a terminal is too narrow for both. */
function matrixLines(result: Reachability, terminal: Terminal): string[] {
  const columns = terminal.outColumns ?? Number.POSITIVE_INFINITY;
  const both = matrix(
    result,
    terminal,
    (rtt) => `${formatMsShort(rtt.medianUs)}/${formatMsShort(rtt.p99Us)}`,
  );
  if (both.every((line) => stripVTControlCharacters(line).length <= columns)) {
    return ["RTT in ms, median/p99; rows send, columns answer", ...both];
  }
  const medians = matrix(result, terminal, (rtt) => formatMsShort(rtt.medianUs));
  return ["RTT in ms, median; rows send, columns answer", ...medians];
}

function matrix(result: Reachability, terminal: Terminal, times: (rtt: RttSummary) => string): string[] {
  const cells = new Map(result.pairs.map((pair) => [`${pair.from}\t${pair.to}`, pair]));
  const names = result.pods.map((pod) => pod.name);
  const rows = names.map((from) => [
    from,
    ...names.map((to) => (from === to ? "·" : cellText(cells.get(`${from}\t${to}`), terminal, times))),
  ]);
  return tableLines(["", ...names], rows, new Set(names.map((_, i) => i + 1)));
}

function cellText(
  pair: PairResult | undefined,
  terminal: Terminal,
  times: (rtt: RttSummary) => string,
): string {
  if (pair === undefined) return "?";
  const lost = pair.sent - pair.received;
  if (pair.received === 0) return terminal.style("out", "red", "lost");
  const rtt = pair.rtt === undefined ? "?" : times(pair.rtt);
  return lost === 0 ? rtt : terminal.style("out", "red", `${rtt} (${lost}/${pair.sent} lost)`);
}

function lossLine(pair: PairResult, terminal: Terminal): string {
  const why = pair.error === undefined ? "" : `: ${pair.error}`;
  const text = `${pair.from} → ${pair.to}: ${pair.sent - pair.received} of ${countOf(pair.sent, "ping")} lost${why}`;
  return terminal.style("out", "red", text);
}
