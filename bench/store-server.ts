// The embedded store against the etcd on PATH, both with all their fsyncs, asked by the same client in the same run.
import { once } from "node:events";
import { connect } from "node:net";
import { hasEtcd, type StoreKind, type StoreProcess, startStore } from "../test/support/etcd-process.ts";
import { type Message, RawEtcd } from "../test/support/etcd-raw.ts";
import { type Bench, type BenchRow, median, range } from "./result.ts";

const ROUNDS = 3;
const RATIO_MAX = 1.3;
/** Before each measurement: connection, and the compiled code of both ends. */
const WARM_CALLS = 1000;
const KEYS = 1000;
const VALUE = Buffer.alloc(200, "v");
const WATCHERS = 200;
const FAN_OUTS = 30;
const RECORDS = 100_000;
const KINDS: readonly StoreKind[] = ["embedded", "etcd"];

type Measure = (store: StoreProcess) => Promise<number>;

/** Microseconds a call, `calls` of them, `concurrency` at a time: the median of one at a time, else the time of all by their number. */
function perCall(
  calls: number,
  concurrency: number,
  call: (etcd: RawEtcd, i: number) => Promise<Message>,
): Measure {
  return async (store) => {
    const etcd = new RawEtcd(store.endpoint);
    const times: number[] = [];
    let next = 0;
    const worker = async (limit: number): Promise<void> => {
      while (next < limit) {
        const start = performance.now();
        await call(etcd, next++);
        times.push((performance.now() - start) * 1000);
      }
    };
    const all = (limit: number): Promise<unknown> =>
      Promise.all(Array.from({ length: concurrency }, () => worker(limit)));
    await all(WARM_CALLS);
    times.length = 0;
    const from = next;
    const start = performance.now();
    await all(from + calls);
    const us = ((performance.now() - start) * 1000) / (next - from);
    etcd.close();
    return concurrency === 1 ? median(times) : us;
  };
}

function put(etcd: RawEtcd, i: number): Promise<Message> {
  return etcd.ask("KV", "Put", { key: Buffer.from(`k${i % KEYS}`), value: VALUE });
}

let created = 0;

/** Claims a key that is free: what a node does for its subnet. */
function claim(etcd: RawEtcd): Promise<Message> {
  const key = Buffer.from(`claim${created++}`);
  return etcd.ask("KV", "Txn", {
    compare: [{ key, target: 1, result: 0, create_revision: 0 }],
    success: [{ request_put: { key, value: VALUE } }],
    failure: [{ request_range: { key } }],
  });
}

/** From a put to the last of its watchers, each on a connection of its own; the median. Microseconds. */
async function fanOut(store: StoreProcess): Promise<number> {
  const clients = Array.from({ length: WATCHERS }, () => new RawEtcd(store.endpoint));
  let left = 0;
  let arrived: () => void = () => undefined;
  for (const client of clients) {
    const watch = client.stream("Watch", "Watch");
    watch.on("error", () => undefined);
    watch.write({ create_request: { key: Buffer.from("fan"), range_end: Buffer.from("fao") } });
    await once(watch, "data");
    watch.on("data", () => {
      if (--left === 0) arrived();
    });
  }
  const etcd = clients[0] as RawEtcd;
  const times: number[] = [];
  for (let i = 0; i < FAN_OUTS; i++) {
    left = WATCHERS;
    const all = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const start = performance.now();
    await etcd.ask("KV", "Put", { key: Buffer.from("fan1"), value: VALUE });
    await all;
    times.push((performance.now() - start) * 1000);
  }
  for (const client of clients) client.close();
  return median(times);
}

/** From the start of the process to its first answer, after a kill. Microseconds. */
async function recovery(store: StoreProcess): Promise<number> {
  await store.kill();
  const start = performance.now();
  const ready = store.start();
  while (!(await listening(store.port))) await new Promise((resolve) => setTimeout(resolve, 2));
  const etcd = new RawEtcd(store.endpoint);
  await etcd.ask("KV", "Range", { key: Buffer.from("k1") });
  const us = (performance.now() - start) * 1000;
  etcd.close();
  await ready;
  return us;
}

async function listening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function row(
  what: string,
  stores: Readonly<Record<StoreKind, StoreProcess>>,
  measure: Measure,
): Promise<BenchRow> {
  const us: Record<StoreKind, number[]> = { embedded: [], etcd: [] };
  // In turns, so that a busy moment of the machine meets both.
  for (let round = 0; round < ROUNDS; round++)
    for (const kind of KINDS) us[kind].push(await measure(stores[kind]));
  const text = (values: readonly number[]): string => {
    const ms = median(values) >= 10_000;
    const scaled = values.map((value) => (ms ? value / 1000 : value));
    return `${median(scaled).toFixed(0)} ${ms ? "ms" : "µs"} (${range(scaled, 0)})`;
  };
  const ratio = median(us.embedded) / median(us.etcd);
  return {
    what,
    ours: text(us.embedded),
    baseline: `etcd: ${text(us.etcd)}`,
    ratio,
    target: `≤ ${RATIO_MAX}`,
    met: ratio <= RATIO_MAX,
  };
}

export const storeServer: Bench = {
  name: "store-server",
  about: "the embedded store against the etcd on PATH, fsyncs included",
  async run(): Promise<readonly BenchRow[]> {
    if (!hasEtcd()) throw new Error("there is no etcd on PATH to measure against");
    const embedded = await startStore("embedded", { args: ["--auto-compaction-retention", "0"] });
    const etcd = await startStore("etcd", { fsync: true });
    const stores = { embedded, etcd };
    try {
      const rows = [
        await row("store: put, one at a time", stores, perCall(1000, 1, put)),
        await row("store: put, 64 at a time, each", stores, perCall(8000, 64, put)),
        await row("store: txn that claims a key, one at a time", stores, perCall(1000, 1, claim)),
        await row("store: txn that claims a key, 64 at a time, each", stores, perCall(6000, 64, claim)),
        await row(`store: put to the last of ${WATCHERS} watchers`, stores, fanOut),
      ];
      for (const kind of KINDS) {
        const client = new RawEtcd(stores[kind].endpoint);
        const reply = await client.ask("KV", "Range", { key: Buffer.from("k1") });
        client.close();
        const missing = RECORDS - Number((reply.header as Message).revision);
        await perCall(Math.max(0, missing - WARM_CALLS), 128, put)(stores[kind]);
      }
      rows.push(await row(`store: kill -9 to first answer, ${RECORDS} records`, stores, recovery));
      return rows;
    } finally {
      await embedded.stop();
      await etcd.stop();
    }
  },
};
