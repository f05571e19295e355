// The real thing on a real disk: the server's process is killed in the middle of its work, again and again, and whatever a
// client was told must be there afterwards.
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { below, SeededRng } from "../../src/base/rng.ts";
import { type StoreProcess, startStore } from "../support/etcd-process.ts";
import { type Message, RawEtcd } from "../support/etcd-raw.ts";

const SEED = Number(process.env.PODLOOM_SEED ?? "20261128");
const DURATION_MS = 12_000;
const WRITES_MIN = 500;
/** A machine that is busy with other things needs longer for as many writes. */
const PATIENCE_MS = 60_000;
const WRITERS = 16;

let store: StoreProcess | undefined;

afterEach(async () => {
  await store?.stop();
  store = undefined;
});

/** What one client knows: each of its keys is written by it alone, with numbers that grow. */
interface Knowledge {
  /** The last number that the store has confirmed. */
  confirmed: number;
  /** The last number that was sent. */
  sent: number;
}

describe("a server that is killed", () => {
  test(
    "has every write that it confirmed, and tells the same watchers the same",
    async () => {
      const rng = new SeededRng(SEED);
      const server = await startStore("embedded", { args: ["--auto-compaction-retention", "0"] });
      store = server;
      const known: Knowledge[] = Array.from({ length: WRITERS }, () => ({ confirmed: 0, sent: 0 }));
      /** What a watcher saw, by revision; no later life of the store may contradict it. */
      const seen = new Map<string, string>();
      let revision = 0;
      let clusterId: unknown;
      let kills = 0;
      const confirmed = (): number => known.reduce((sum, knowledge) => sum + knowledge.confirmed, 0);
      const start = performance.now();
      const enough = (): boolean =>
        performance.now() - start > DURATION_MS && kills > 5 && confirmed() > WRITES_MIN;
      for (; !enough() && performance.now() - start < PATIENCE_MS; kills++) {
        const etcd = new RawEtcd(server.endpoint);
        const from = await check(etcd, known);
        expect(from.revision).toBeGreaterThanOrEqual(revision);
        clusterId ??= from.clusterId;
        expect(from.clusterId).toBe(clusterId);
        const watch = etcd.stream("Watch", "Watch");
        watch.on("error", () => undefined);
        watch.on("data", (message: Message) => {
          for (const { kv } of message.events as readonly { readonly kv: Message }[]) {
            const at = Number(kv.mod_revision);
            revision = Math.max(revision, at);
            const text = `${String(kv.key)}=${String(kv.value)}`;
            expect(seen.get(String(at)) ?? text, `revision ${at}`).toBe(text);
            seen.set(String(at), text);
          }
        });
        // From the beginning: the history must be what was told before.
        watch.write({
          create_request: { key: Buffer.from("w"), range_end: Buffer.from("x"), start_revision: 1 },
        });
        let running = true;
        const writers = known.map(async (knowledge, i) => {
          while (running) {
            const number = ++knowledge.sent;
            const put = { key: Buffer.from(`w${i}`), value: Buffer.from(String(number)) };
            const outcome = await etcd.call("KV", "Put", put);
            if (!("reply" in outcome)) return;
            knowledge.confirmed = number;
            revision = Math.max(revision, Number((outcome.reply.header as Message).revision));
          }
        });
        await sleep(20 + below(rng, 400));
        await server.kill("SIGKILL");
        running = false;
        await Promise.all(writers);
        watch.cancel();
        etcd.close();
        await server.start();
      }
      const etcd = new RawEtcd(server.endpoint);
      await check(etcd, known);
      etcd.close();
      expect(kills).toBeGreaterThan(5);
      expect(confirmed()).toBeGreaterThan(WRITES_MIN);
    },
    PATIENCE_MS + 30_000,
  );

  test("gives leases their full time again, with their keys", async () => {
    store = await startStore("embedded");
    const before = new RawEtcd(store.endpoint);
    await before.ask("Lease", "LeaseGrant", { ID: "5", TTL: 3 });
    await before.ask("KV", "Put", { key: Buffer.from("k"), value: Buffer.from("1"), lease: "5" });
    before.close();
    await store.kill();
    await sleep(3500);
    await store.start();
    const after = new RawEtcd(store.endpoint);
    expect(await after.ask("Lease", "LeaseTimeToLive", { ID: "5", keys: true })).toMatchObject({
      grantedTTL: "3",
      keys: [Buffer.from("k")],
    });
    await expect
      .poll(async () => (await after.ask("KV", "Range", { key: Buffer.from("k") })).kvs, { timeout: 6000 })
      .toEqual([]);
    after.close();
  }, 30_000);
});

/** Holds the store against what its clients know. */
async function check(
  etcd: RawEtcd,
  known: readonly Knowledge[],
): Promise<{ readonly revision: number; readonly clusterId: unknown }> {
  const reply = await etcd.ask("KV", "Range", { key: Buffer.from("w"), range_end: Buffer.from("x") });
  const values = new Map(
    (reply.kvs as readonly Message[]).map(({ key, value }) => [String(key), Number(String(value))]),
  );
  for (const [i, knowledge] of known.entries()) {
    const value = values.get(`w${i}`) ?? 0;
    expect(value, `key w${i}`).toBeGreaterThanOrEqual(knowledge.confirmed);
    expect(value, `key w${i}`).toBeLessThanOrEqual(knowledge.sent);
    knowledge.confirmed = value;
  }
  const { revision, cluster_id: clusterId } = reply.header as { revision: string; cluster_id: string };
  return { revision: Number(revision), clusterId };
}
