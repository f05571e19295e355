// Pod to pod across two node processes, against two bare `node:dgram` processes with the same pacing (at most 32 datagrams a
// turn of the event loop). Pairs are interleaved; the rate is what the receiver counted.
import { resolve } from "node:path";
import { JsonChild } from "./child.ts";
import { Pair } from "./pair.ts";
import { type Bench, type BenchRow, median, range } from "./result.ts";

const ROUNDS = 5;
const SECONDS = 3;
const SIZE_BYTES = 1400;
const BASELINE = resolve(import.meta.dirname, "../../bench/baseline/dgram.js");

async function bare(port: number): Promise<number> {
  const receiver = new JsonChild([BASELINE, "receive", "127.168.250.8", String(port)]);
  await receiver.next();
  const sender = new JsonChild([
    BASELINE,
    "send",
    "127.168.250.9",
    "127.168.250.8",
    String(port),
    String(SIZE_BYTES),
    String(SECONDS),
  ]);
  await sender.next();
  await sender.close();
  receiver.ask();
  const { received, spanUs } = await receiver.next<{ received: number; spanUs: number }>();
  await receiver.close();
  return (received * 1e6) / spanUs;
}

async function ours(pair: Pair): Promise<number> {
  const sink = pair.b.startExec("b", ["udp-sink", "--port", "9", "--json"]);
  await pair.a.exec("a", [
    "udp-load",
    pair.target,
    "9",
    "--seconds",
    String(SECONDS),
    "--size",
    String(SIZE_BYTES),
    "--rate",
    "0",
  ]);
  await new Promise((done) => setTimeout(done, 200));
  const { stdout } = await sink.interrupt();
  const { received, spanUs } = JSON.parse(stdout) as { received: number; spanUs: number };
  return (received * 1e6) / spanUs;
}

export const podUdp: Bench = {
  name: "pod-udp",
  about: "pod-to-pod UDP packets a second across two node processes",
  async run(): Promise<readonly BenchRow[]> {
    const pair = await Pair.start();
    try {
      await ours(pair);
      const rates: number[] = [];
      const base: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        base.push(await bare(40_000 + round));
        rates.push(await ours(pair));
      }
      const ratio = median(rates) / median(base);
      return [
        {
          what: `pod-to-pod UDP, ${SIZE_BYTES} bytes, packets/s received`,
          ours: `${median(rates).toFixed(0)} (${range(rates, 0)})`,
          baseline: `bare dgram pair: ${median(base).toFixed(0)} (${range(base, 0)})`,
          ratio,
          target: "≥ 0.6 ×",
          met: ratio >= 0.6,
        },
      ];
    } finally {
      await pair.stop();
    }
  },
};
