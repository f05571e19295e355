// Round trip of an echo between two pods on two node processes, against a bare `node:dgram` echo, both paced at 2 ms.
import { resolve } from "node:path";
import { JsonChild } from "./child.ts";
import { Pair } from "./pair.ts";
import { type Bench, type BenchRow, median, percentile, range } from "./result.ts";

const ROUNDS = 5;
const COUNT = 1000;
const BASELINE = resolve(import.meta.dirname, "../../bench/baseline/dgram.js");

async function bare(port: number): Promise<number[]> {
  const echo = new JsonChild([BASELINE, "echo", "127.168.250.8", String(port)]);
  await echo.next();
  const asker = new JsonChild([
    BASELINE,
    "rtt",
    "127.168.250.9",
    "127.168.250.8",
    String(port),
    "64",
    String(COUNT),
  ]);
  const { rttUs } = await asker.next<{ rttUs: number[] }>();
  await asker.close();
  await echo.close();
  return rttUs;
}

async function ours(pair: Pair): Promise<number[]> {
  const [result] = await pair.a.request<{ rttUs: number[]; received: number }[]>("probe", {
    pod: "a",
    targets: [pair.target],
    count: COUNT,
    intervalMs: 2,
    timeoutMs: 2000,
    payloadBytes: 56,
  });
  if (result === undefined || result.received < COUNT) throw new Error("pings were lost");
  return result.rttUs;
}

export const pingRtt: Bench = {
  name: "ping-rtt",
  about: "ping between two pods on two node processes",
  async run(): Promise<readonly BenchRow[]> {
    const pair = await Pair.start();
    try {
      await ours(pair);
      const medians: number[] = [];
      const tails: number[] = [];
      const base: number[] = [];
      const baseTails: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const bareUs = await bare(41_000 + round);
        base.push(median(bareUs));
        baseTails.push(percentile(bareUs, 99));
        const oursUs = await ours(pair);
        medians.push(median(oursUs));
        tails.push(percentile(oursUs, 99));
      }
      const ratio = median(medians) / median(base);
      return [
        {
          what: "ping RTT, median",
          ours: `${median(medians).toFixed(0)} µs (${range(medians, 0)})`,
          baseline: `bare dgram echo: ${median(base).toFixed(0)} µs (${range(base, 0)})`,
          ratio,
          target: "≤ 2 ×",
          met: ratio <= 2,
        },
        {
          what: "ping RTT, p99",
          ours: `${median(tails).toFixed(0)} µs`,
          baseline: `bare dgram echo: ${median(baseTails).toFixed(0)} µs`,
          ratio: median(tails) / median(baseTails),
          target: "–",
          met: undefined,
        },
      ];
    } finally {
      await pair.stop();
    }
  },
};
