// How much every store and every transport carries, and what they say when it is too much.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { NO_LEASE } from "../../src/control/datastore/messages.ts";
import type { EtcdTransport, StoreError, WatchMessage } from "../../src/io/etcd/etcd-transport.ts";
import { hasEtcd, type StoreProcess, startStore } from "../support/etcd-process.ts";
import { TRANSPORTS } from "../support/transports.ts";

const WORLDS = (["embedded", "etcd"] as const).flatMap((kind) =>
  TRANSPORTS.map(({ name, open }) => [kind, name, open] as const),
);
const MIB = 2 ** 20;

describe.each(WORLDS)("%s over %s", (kind, _, open) => {
  describe.skipIf(kind === "etcd" && !hasEtcd())("carries", () => {
    let server: StoreProcess;
    let store: EtcdTransport;
    const all = { key: "/big/", rangeEnd: "/big0" };

    beforeAll(async () => {
      server = await startStore(kind);
      store = open({ endpoints: [server.url] });
    });
    afterAll(async () => {
      await store.close();
      await server.stop();
    });
    afterEach(async () => {
      await store.delete(all);
    });

    test("lists and watches of more than 4 MiB, whole", async () => {
      const values = Array.from({ length: 6 }, (_, i) => new Uint8Array(MIB).fill(i + 1));
      let first = 0;
      for (const [i, value] of values.entries()) {
        const { revision } = await store.put(`/big/${i}`, value, NO_LEASE);
        if (i === 0) first = revision;
      }
      const { kvs } = await store.range(all);
      expect(kvs.map(({ value }) => [value.length, value[0], value[MIB - 1]])).toEqual(
        values.map((_, i) => [MIB, i + 1, i + 1]),
      );

      const messages: WatchMessage[] = [];
      const errors: StoreError[] = [];
      const sink = {
        message: (message: WatchMessage) => messages.push(message),
        broken: (error: StoreError) => errors.push(error),
      };
      const watch = store.openWatch(all, first, sink);
      const events = () => messages.flatMap((message) => message.events);
      await expect.poll(() => events().length, { timeout: 10_000 }).toBe(6);
      expect(events().map(({ kv }) => [kv.key, kv.value.length, kv.value[MIB - 1], kv.modRevision])).toEqual(
        values.map((_, i) => [`/big/${i}`, MIB, i + 1, first + i]),
      );
      expect(errors).toEqual([]);
      watch.cancel();
    });

    test("the events of one transaction of 100 keys in one message, even when they are a megabyte", async () => {
      const messages: WatchMessage[] = [];
      const watch = store.openWatch(all, 0, {
        message: (message) => messages.push(message),
        broken: () => {},
      });
      await expect.poll(() => messages.length).toBe(1);
      const puts = Array.from({ length: 100 }, (_, i) => ({
        t: "put" as const,
        key: `/big/${String(i).padStart(3, "0")}`,
        value: new Uint8Array(14_000),
        lease: NO_LEASE,
      }));
      await store.txn([], puts, []);
      await expect.poll(() => messages.length).toBe(2);
      expect(messages[1]?.events.map(({ kv }) => kv.key)).toEqual(puts.map(({ key }) => key));
      watch.cancel();
    });

    test("1.5 MiB in a request, and refuses more in the server's words; the connection goes on", async () => {
      await store.put("/big/k", new Uint8Array(1.5 * MIB - 1000), NO_LEASE);
      await expect(store.put("/big/k", new Uint8Array(1.5 * MIB + 1), NO_LEASE)).rejects.toMatchObject({
        reason: "invalid",
        message: "etcdserver: request is too large",
      });
      // Beyond what the server takes in at all.
      await expect(store.put("/big/k", new Uint8Array(4 * MIB), NO_LEASE)).rejects.toMatchObject({
        reason: "invalid",
      });
      await store.put("/big/k", new Uint8Array(1), NO_LEASE);
    });
  });
});
