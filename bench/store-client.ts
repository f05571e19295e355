// What a store client costs a node process: the slim one against etcd3's stubs, in processes that are otherwise the same.
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { encodeUtf8 } from "../src/base/utf8.ts";
import { NO_LEASE } from "../src/control/datastore/messages.ts";
import { SlimTransport } from "../src/io/etcd/slim/slim-transport.ts";
import { startStore } from "../test/support/etcd-process.ts";
import { JsonChild, pssBytes } from "./child.ts";
import { type Bench, type BenchRow, median, range } from "./result.ts";

/** Processes of each kind that run at once: memory that is shared counts as in a lab. */
const PROCESSES = 20;
const EVENTS = 1000;
/** V8 collects the garbage of an idle process about eight seconds after its start. */
const REST_MS = 15_000;
const ROOT = resolve(import.meta.dirname, "../..");

interface Opened {
  readonly openUs: number;
  readonly openMs: number;
}
interface Spent {
  readonly cpuUs: number;
  readonly heard: number;
}
interface Cost {
  readonly openMs: number[];
  readonly pssMib: number[];
  /** The same when the garbage of the start is collected. */
  readonly restMib: number[];
  /** Microseconds an event. */
  readonly eventUs: number[];
}
type Client = "slim" | "etcd3" | "none";

/** The process's one file, with one client in it, bundled as node processes are. */
async function bundle(client: Client, folder: string): Promise<string> {
  const outfile = join(folder, client, "process.mjs");
  await build({
    entryPoints: [join(ROOT, "bench/store-client-process.ts")],
    outfile,
    define: { CLIENT: JSON.stringify(client) },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20.19",
    minifyWhitespace: true,
    minifySyntax: true,
    logLevel: "error",
    banner: {
      js: 'import{createRequire as $r}from"node:module";import{fileURLToPath as $p}from"node:url";import{dirname as $d}from"node:path";const require=$r(import.meta.url),__filename=$p(import.meta.url),__dirname=$d(__filename);',
    },
  });
  return outfile;
}

async function measure(client: Client, file: string, url: string): Promise<Cost> {
  const children: JsonChild[] = [];
  const openMs: number[] = [];
  try {
    // One after the other: what they cost each other on a busy machine is not the client's doing.
    for (let i = 0; i < PROCESSES; i++) {
      const child = new JsonChild([file, url]);
      children.push(child);
      openMs.push((await child.next<Opened>()).openUs / 1000);
    }
    await new Promise((done) => setTimeout(done, 1500));
    const pssMib = await pssOf(children);
    await new Promise((done) => setTimeout(done, REST_MS));
    const restMib = await pssOf(children);
    return { openMs, pssMib, restMib, eventUs: client === "none" ? [] : await deliver(children, url) };
  } finally {
    for (const child of children) await child.close();
  }
}

async function pssOf(children: readonly JsonChild[]): Promise<number[]> {
  const mib: number[] = [];
  for (const child of children) mib.push((await pssBytes(child.process.pid as number)) / 2 ** 20);
  return mib;
}

/** CPU of each process for each event, while a writer writes one after the other, so that each is a message of its own. */
async function deliver(children: readonly JsonChild[], url: string): Promise<number[]> {
  const spent = async (): Promise<Spent[]> => {
    for (const child of children) child.ask();
    return await Promise.all(children.map((child) => child.next<Spent>()));
  };
  const before = await spent();
  const writer = new SlimTransport({ endpoints: [url] });
  const value = encodeUtf8(
    '{"PublicIP":"192.168.56.10","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"8e:a6:4a:ea:8f:5b"}}',
  );
  for (let i = 0; i < EVENTS; i++) await writer.put(`/bench/${i % 200}`, value, NO_LEASE);
  await writer.close();
  await new Promise((done) => setTimeout(done, 1000));
  const after = await spent();
  return after.map(({ cpuUs, heard }, i) => {
    const events = heard - (before[i] as Spent).heard;
    if (events !== EVENTS) throw new Error(`a process heard ${events} of ${EVENTS} events`);
    return (cpuUs - (before[i] as Spent).cpuUs) / events;
  });
}

function row(
  what: string,
  unit: string,
  ours: readonly number[],
  theirs: readonly number[],
  target: number | undefined,
): BenchRow {
  const show = (values: readonly number[]): string =>
    `${median(values).toFixed(1)} ${unit} (${range(values, 1)})`;
  const ratio = median(ours) / median(theirs);
  return {
    what,
    ours: show(ours),
    baseline: `etcd3: ${show(theirs)}`,
    ratio,
    target: target === undefined ? "recorded" : `≤ ${target}`,
    met: target === undefined ? undefined : ratio <= target,
  };
}

export const storeClient: Bench = {
  name: "store-client",
  about: `the slim store client against etcd3's, ${PROCESSES} processes each`,
  async run(): Promise<readonly BenchRow[]> {
    // etcd3 reads its .proto files from ../proto, seen from where its code is.
    const folder = mkdtempSync(join(tmpdir(), "store-client-"));
    cpSync(join(ROOT, "node_modules/etcd3/proto"), join(folder, "proto"), { recursive: true });
    const store = await startStore("embedded");
    try {
      const costs: Partial<Record<Client, Cost>> = {};
      for (const client of ["none", "slim", "etcd3"] as const) {
        costs[client] = await measure(client, await bundle(client, folder), store.url);
      }
      const { none, slim, etcd3 } = costs as Record<Client, Cost>;
      const alone = (cost: Cost, when: "pssMib" | "restMib"): number[] =>
        cost[when].map((each) => each - median(none[when]));
      const bare = (when: "pssMib" | "restMib"): string => `${median(none[when]).toFixed(1)} MiB`;
      return [
        row(
          "CPU of a store client, loaded and open (read, watch, lease)",
          "ms",
          slim.openMs,
          etcd3.openMs,
          0.2,
        ),
        row("proportional memory of a process with a store client", "MiB", slim.pssMib, etcd3.pssMib, 0.45),
        row(
          `of that the client alone (a process without: ${bare("pssMib")})`,
          "MiB",
          alone(slim, "pssMib"),
          alone(etcd3, "pssMib"),
          undefined,
        ),
        row("the process at rest, 15 s later", "MiB", slim.restMib, etcd3.restMib, undefined),
        row(
          `of that the client alone (a process without: ${bare("restMib")})`,
          "MiB",
          alone(slim, "restMib"),
          alone(etcd3, "restMib"),
          undefined,
        ),
        row("CPU of a watch event, delivered alone", "µs", slim.eventUs, etcd3.eventUs, undefined),
      ];
    } finally {
      await store.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
