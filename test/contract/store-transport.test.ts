// One suite for every store and every transport. What differs between stores is written down here, not glossed over.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { decodeUtf8, encodeUtf8 } from "../../src/base/utf8.ts";
import {
  type Compare,
  type KeyRange,
  type LeaseId,
  NO_LEASE,
  prefixEnd,
  type StoreEvent,
  type StoreOp,
  type TxnOp,
} from "../../src/control/datastore/messages.ts";
import { type EtcdEndpoints, type EtcdTransport, StoreError } from "../../src/io/etcd/etcd-transport.ts";
import { StoreDriver } from "../../src/io/etcd/store-driver.ts";
import {
  etcdctl,
  hasEtcd,
  hasEtcdctl,
  type StoreKind,
  type StoreProcess,
  startStore,
} from "../support/etcd-process.ts";
import { TRANSPORTS } from "../support/transports.ts";

const STORES: readonly {
  readonly name: StoreKind;
  readonly skip: string | undefined;
  readonly durable: boolean;
}[] = [
  { name: "embedded", skip: undefined, durable: true },
  { name: "etcd", skip: hasEtcd() ? undefined : "there is no etcd on PATH", durable: true },
];

/** A store operation without its id. */
type Asked = StoreOp extends infer Op ? (Op extends { readonly id: number } ? Omit<Op, "id"> : never) : never;
type EventOf<T extends StoreEvent["t"]> = Extract<StoreEvent, { readonly t: T }>;

/** A driver and all that it has said. */
class Client {
  readonly events: StoreEvent[] = [];
  readonly transport: EtcdTransport;
  readonly driver: StoreDriver;
  #nextId = 1;
  readonly #waiting = new Set<() => void>();

  constructor(transport: EtcdTransport) {
    this.transport = transport;
    this.driver = new StoreDriver(transport, (event) => {
      this.events.push(event);
      for (const wake of this.#waiting) wake();
    });
  }

  /** Performs `op` and answers its id. */
  start(op: Asked): number {
    const id = this.#nextId++;
    this.driver.perform({ ...op, id } as StoreOp);
    return id;
  }

  /** Performs `op` and waits for its outcome. */
  async ask(op: Asked): Promise<StoreEvent> {
    const id = this.start(op);
    return this.until((event) => "id" in event && event.id === id);
  }

  /** Performs `op` and insists on this outcome. */
  async expect<T extends StoreEvent["t"]>(want: T, op: Asked): Promise<EventOf<T>> {
    const event = await this.ask(op);
    if (event.t !== want) throw new Error(`${want} was expected: ${JSON.stringify(event)}`);
    return event as EventOf<T>;
  }

  async put(key: string, value: string, lease: LeaseId = NO_LEASE): Promise<number> {
    const done = await this.expect("txnDone", txn([], [put(key, value, lease)]));
    return done.header.revision;
  }

  /** The first event that `wanted` accepts, past or to come. */
  async until(wanted: (event: StoreEvent) => boolean, timeoutMs = 10_000): Promise<StoreEvent> {
    const end = performance.now() + timeoutMs;
    for (let seen = 0; ; ) {
      for (; seen < this.events.length; seen++) {
        const event = this.events[seen] as StoreEvent;
        if (wanted(event)) return event;
      }
      const leftMs = end - performance.now();
      if (leftMs <= 0)
        throw new Error(`no such event in ${timeoutMs} ms; there were ${JSON.stringify(this.events)}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, leftMs);
        this.#waiting.add(wake);
      });
    }
  }

  of<T extends StoreEvent["t"]>(t: T, watch: number): EventOf<T>[] {
    return this.events.filter(
      (event): event is EventOf<T> => event.t === t && "watch" in event && event.watch === watch,
    );
  }

  /** Opens a watch and waits until the server confirms it. */
  async watch(watch: number, range: KeyRange, startRevision: number): Promise<EventOf<"watchCreated">> {
    this.driver.perform({ t: "watchOpen", watch, range, startRevision });
    return (await this.until(
      (event) => event.t === "watchCreated" && event.watch === watch,
    )) as EventOf<"watchCreated">;
  }
}

function txn(compares: readonly Compare[], success: readonly TxnOp[], failure: readonly TxnOp[] = []): Asked {
  return { t: "txn", compares, success, failure };
}
function put(key: string, value: string, lease: LeaseId = NO_LEASE): TxnOp {
  return { t: "put", key, value: encodeUtf8(value), lease };
}
function under(prefix: string): KeyRange {
  return { key: prefix, rangeEnd: prefixEnd(prefix) };
}
const sockets = (): number =>
  process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;

for (const kind of STORES) {
  for (const transport of TRANSPORTS) {
    describe.skipIf(kind.skip !== undefined)(
      `${kind.name} over ${transport.name}${kind.skip === undefined ? "" : ` (${kind.skip})`}`,
      () => {
        let server: StoreProcess;
        const clients: Client[] = [];
        let prefix = "";
        let tests = 0;

        const open = (endpoints: Partial<EtcdEndpoints> = {}): Client => {
          const client = new Client(transport.open({ endpoints: [server.url], ...endpoints }));
          clients.push(client);
          return client;
        };

        beforeAll(async () => {
          server = await startStore(kind.name);
        });
        afterEach(async () => {
          for (const client of clients.splice(0)) await client.driver.close();
          prefix = `/t${++tests}/`;
        });
        afterAll(async () => {
          await server.stop();
          // Not even a socket that nobody uses: it would keep a command line from ending.
          for (let tries = 0; sockets() > 0 && tries < 60; tries++)
            await new Promise((resolve) => setTimeout(resolve, 50));
          expect(sockets()).toBe(0);
        });
        prefix = "/t0/";

        test("a range answers keys in order, with their revisions, and the header's revision", async () => {
          const client = open();
          const empty = await client.expect("rangeDone", { t: "range", range: under(prefix) });
          expect(empty.kvs).toEqual([]);
          const first = await client.put(`${prefix}b`, "1");
          await client.put(`${prefix}a`, "x");
          const last = await client.put(`${prefix}b`, "2");
          const { header, kvs } = await client.expect("rangeDone", { t: "range", range: under(prefix) });
          expect(header.revision).toBe(last);
          expect(header.clusterId).toMatch(/^[1-9]\d*$/);
          expect(kvs.map((kv) => kv.key)).toEqual([`${prefix}a`, `${prefix}b`]);
          expect(kvs[1]).toEqual({
            key: `${prefix}b`,
            value: encodeUtf8("2"),
            createRevision: first,
            modRevision: last,
            version: 2,
            lease: NO_LEASE,
          });
          const one = await client.expect("rangeDone", {
            t: "range",
            range: { key: `${prefix}a`, rangeEnd: undefined },
          });
          expect(one.kvs).toHaveLength(1);
        });

        test("bytes of a value come back as they are, in an array of their own", async () => {
          const client = open();
          const value = new Uint8Array([0, 1, 254, 255]);
          await client.expect("txnDone", txn([], [{ t: "put", key: `${prefix}k`, value, lease: NO_LEASE }]));
          const { kvs } = await client.expect("rangeDone", { t: "range", range: under(prefix) });
          expect(kvs[0]?.value).toEqual(value);
          expect(kvs[0]?.value.buffer.byteLength).toBe(4);
        });

        test("create-if-absent is won once; the loser reads the winner in the same transaction", async () => {
          const client = open();
          const key = `${prefix}k`;
          const claim = (value: string): Asked =>
            txn(
              [{ key, target: "create", op: "equal", operand: 0 }],
              [put(key, value)],
              [{ t: "range", range: { key, rangeEnd: undefined } }],
            );
          const won = await client.expect("txnDone", claim("mine"));
          expect(won).toMatchObject({ succeeded: true, replies: [{ t: "put" }] });
          const lost = await client.expect("txnDone", claim("other"));
          expect(lost).toMatchObject({
            succeeded: false,
            replies: [{ t: "range", kvs: [{ key, lease: NO_LEASE }] }],
          });
          expect(lost.header.revision).toBe(won.header.revision);
        });

        test("every compare means what it says", async () => {
          const client = open();
          const key = `${prefix}k`;
          const { lease } = await client.expect("leaseGranted", { t: "leaseGrant", ttlSec: 60 });
          const created = await client.put(key, "v", lease);
          const mod = await client.put(key, "w", lease);
          const holds: [Compare, boolean][] = [
            [{ key, target: "version", op: "equal", operand: 2 }, true],
            [{ key, target: "version", op: "less", operand: 2 }, false],
            [{ key, target: "create", op: "equal", operand: created }, true],
            [{ key, target: "create", op: "notEqual", operand: created }, false],
            [{ key, target: "mod", op: "greater", operand: mod - 1 }, true],
            [{ key, target: "mod", op: "greater", operand: mod }, false],
            [{ key, target: "lease", op: "equal", operand: lease }, true],
            [{ key, target: "lease", op: "equal", operand: NO_LEASE }, false],
            [{ key, target: "value", op: "equal", operand: encodeUtf8("w") }, true],
            [{ key, target: "value", op: "less", operand: encodeUtf8("w") }, false],
            [{ key: `${prefix}absent`, target: "value", op: "equal", operand: encodeUtf8("") }, false],
            [{ key: `${prefix}absent`, target: "version", op: "equal", operand: 0 }, true],
          ];
          for (const [compare, want] of holds) {
            const { succeeded } = await client.expect("txnDone", txn([compare], []));
            expect([compare, succeeded]).toEqual([compare, want]);
          }
          await client.expect("leaseRevoked", { t: "leaseRevoke", lease });
        });

        test("a transaction deletes, and says how many; one that writes nothing moves no revision", async () => {
          const client = open();
          await client.put(`${prefix}a`, "1");
          const before = await client.put(`${prefix}b`, "2");
          const gone = await client.expect("txnDone", txn([], [{ t: "delete", range: under(prefix) }]));
          expect(gone.replies).toEqual([{ t: "delete", deleted: 2 }]);
          expect(gone.header.revision).toBe(before + 1);
          const nothing = await client.expect("txnDone", txn([], [{ t: "delete", range: under(prefix) }]));
          expect(nothing.header.revision).toBe(before + 1);
        });

        test("a key written twice in a transaction is refused, and nothing of it is done", async () => {
          const client = open();
          const failed = await client.expect(
            "opFailed",
            txn([], [put(`${prefix}a`, "1"), put(`${prefix}a`, "2")]),
          );
          expect(failed).toMatchObject({
            code: "invalid",
            message: "etcdserver: duplicate key given in txn request",
          });
          expect((await client.expect("rangeDone", { t: "range", range: under(prefix) })).kvs).toEqual([]);
        });

        describe("a lease", () => {
          test("lives, is kept alive, and takes its keys along when it is revoked, in one revision", async () => {
            const client = open();
            const granted = await client.expect("leaseGranted", { t: "leaseGrant", ttlSec: 30 });
            expect(granted.ttlSec).toBe(30);
            expect(granted.lease).toMatch(/^[1-9]\d{0,18}$/);
            const { lease } = granted;
            await client.put(`${prefix}b`, "1", lease);
            const last = await client.put(`${prefix}a`, "1", lease);
            expect(await client.expect("leaseKeptAlive", { t: "leaseKeepAlive", lease })).toMatchObject({
              lease,
              ttlSec: 30,
            });
            const ttl = await client.expect("leaseTimeToLive", { t: "leaseTimeToLive", lease });
            expect(ttl.grantedTtlSec).toBe(30);
            expect(ttl.ttlSec).toBeGreaterThanOrEqual(28);
            await client.watch(1, under(prefix), last + 1);
            await client.expect("leaseRevoked", { t: "leaseRevoke", lease });
            await client.until((event) => event.t === "watchEvents");
            const [deletes] = client.of("watchEvents", 1);
            expect(deletes?.events).toEqual(
              ["a", "b"].map((name) => ({
                t: "delete",
                kv: {
                  key: prefix + name,
                  value: new Uint8Array(0),
                  createRevision: 0,
                  modRevision: last + 1,
                  version: 0,
                  lease: NO_LEASE,
                },
              })),
            );
          });

          test("that nobody keeps alive expires", async () => {
            const client = open();
            const { lease } = await client.expect("leaseGranted", { t: "leaseGrant", ttlSec: 2 });
            const revision = await client.put(`${prefix}k`, "1", lease);
            await client.watch(1, under(prefix), revision + 1);
            const since = performance.now();
            await client.until((event) => event.t === "watchEvents");
            expect(performance.now() - since).toBeGreaterThan(1000);
            expect(client.of("watchEvents", 1)[0]?.events[0]?.t).toBe("delete");
            expect(await client.expect("leaseKeptAlive", { t: "leaseKeepAlive", lease })).toMatchObject({
              ttlSec: 0,
            });
          });

          test("that does not exist: no error for a keep-alive, -1 to live, an error for the rest", async () => {
            const client = open();
            const lease = "1234567890123456789";
            expect(await client.expect("leaseKeptAlive", { t: "leaseKeepAlive", lease })).toMatchObject({
              lease,
              ttlSec: 0,
            });
            expect(await client.expect("leaseTimeToLive", { t: "leaseTimeToLive", lease })).toMatchObject({
              ttlSec: -1,
            });
            const failed = { code: "leaseNotFound", message: "etcdserver: requested lease not found" };
            expect(await client.ask({ t: "leaseRevoke", lease })).toMatchObject(failed);
            expect(await client.ask(txn([], [put(`${prefix}k`, "1", lease)]))).toMatchObject(failed);
          });

          test("shares its stream: many keep-alives of several leases are each answered", async () => {
            const client = open();
            const a = await client.expect("leaseGranted", { t: "leaseGrant", ttlSec: 30 });
            const b = await client.expect("leaseGranted", { t: "leaseGrant", ttlSec: 40 });
            const asked = [a, b, a, b, b].map(({ lease, ttlSec }) => ({ lease, ttlSec }));
            const ids = asked.map(({ lease }) => client.start({ t: "leaseKeepAlive", lease }));
            for (const [i, id] of ids.entries()) {
              expect(await client.until((event) => "id" in event && event.id === id)).toEqual({
                t: "leaseKeptAlive",
                id,
                ...asked[i],
              });
            }
            for (const { lease } of [a, b]) await client.expect("leaseRevoked", { t: "leaseRevoke", lease });
          });
        });

        describe("a watch", () => {
          test("tells of every change after it was confirmed, in order, and of nothing else", async () => {
            const client = open();
            const before = await client.put(`${prefix}old`, "0");
            const created = await client.watch(1, under(prefix), before + 1);
            expect(created.header.revision).toBeGreaterThanOrEqual(before);
            const first = await client.put(`${prefix}a`, "1");
            await client.put("/elsewhere", "x");
            await client.expect(
              "txnDone",
              txn([], [{ t: "delete", range: { key: `${prefix}a`, rangeEnd: undefined } }]),
            );
            await client.until(
              (event) => event.t === "watchEvents" && event.events.some(({ t }) => t === "delete"),
            );
            const events = client.of("watchEvents", 1).flatMap((event) => event.events);
            expect(events.map(({ t, kv }) => [t, kv.key, decodeUtf8(kv.value), kv.modRevision])).toEqual([
              ["put", `${prefix}a`, "1", first],
              ["delete", `${prefix}a`, "", first + 2],
            ]);
          });

          test("has all changes of one transaction in one piece", async () => {
            const client = open();
            await client.watch(1, under(prefix), 0);
            const keys = Array.from({ length: 100 }, (_, i) => `${prefix}${String(i).padStart(3, "0")}`);
            await client.expect(
              "txnDone",
              txn(
                [],
                keys.map((key) => put(key, "1")),
              ),
            );
            await client.until((event) => event.t === "watchEvents");
            const pieces = client.of("watchEvents", 1);
            expect(pieces).toHaveLength(1);
            expect(pieces[0]?.events.map(({ kv }) => kv.key)).toEqual(keys);
          });

          test("resumes at a revision: nothing missing, nothing twice, however long the history", async () => {
            const client = open();
            let revision = 0;
            for (let i = 0; i < 300; i++) revision = await client.put(`${prefix}k`, String(i));
            const from = revision - 249;
            await client.watch(1, under(prefix), from);
            const last = (event: StoreEvent): boolean =>
              event.t === "watchEvents" && event.events.some(({ kv }) => kv.modRevision === revision);
            await client.until(last);
            const revisions = client
              .of("watchEvents", 1)
              .flatMap((event) => event.events.map(({ kv }) => kv.modRevision));
            expect(revisions).toEqual(Array.from({ length: 250 }, (_, i) => from + i));
          });

          test("from a compacted revision is cancelled with the revision that is left", async () => {
            const client = open();
            await client.put(`${prefix}k`, "1");
            await client.put(`${prefix}k`, "2");
            const revision = await client.put(`${prefix}k`, "3");
            await client.transport.compact(revision);
            client.driver.perform({
              t: "watchOpen",
              watch: 1,
              range: under(prefix),
              startRevision: revision - 1,
            });
            const canceled = await client.until((event) => event.t === "watchCanceled");
            expect(canceled).toMatchObject({ watch: 1, compactRevision: revision });
            // The revision of the compaction itself can still be watched.
            await client.watch(2, under(prefix), revision);
            await client.until((event) => event.t === "watchEvents" && event.watch === 2);
          });

          test("answers a question for progress with an empty message", async () => {
            const client = open();
            const revision = await client.put(`${prefix}k`, "1");
            await client.watch(1, under(prefix), revision + 1);
            client.driver.perform({ t: "watchProgress", watch: 1 });
            const progress = await client.until((event) => event.t === "watchProgressed");
            expect(progress).toMatchObject({ watch: 1, header: { revision } });
          });

          test("that was cancelled says nothing more; its neighbour goes on", async () => {
            const client = open();
            await client.watch(1, under(prefix), 0);
            await client.watch(2, under(prefix), 0);
            client.driver.perform({ t: "watchCancel", watch: 1 });
            await client.put(`${prefix}k`, "1");
            await client.until((event) => event.t === "watchEvents" && event.watch === 2);
            client.driver.perform({ t: "watchProgress", watch: 1 });
            await client.put(`${prefix}k`, "2");
            await client.until((event) => event.t === "watchEvents" && event.events[0]?.kv.version === 2);
            expect(client.events.filter((event) => "watch" in event && event.watch === 1)).toHaveLength(1);
          });

          test("of a range that ends before it begins is refused by the server, not by a crash", async () => {
            const client = open();
            client.driver.perform({
              t: "watchOpen",
              watch: 1,
              range: { key: "/z", rangeEnd: "/a" },
              startRevision: 0,
            });
            await client.until((event) => event.t === "watchCanceled" || event.t === "watchCreated");
            await client.put(`${prefix}k`, "1");
          });
        });

        describe("the transport alone", () => {
          test("puts, deletes, reads the past, and knows the past that is gone and the future", async () => {
            const { transport: store } = open();
            const one = await store.put(`${prefix}k`, encodeUtf8("1"), NO_LEASE);
            const two = await store.put(`${prefix}k`, encodeUtf8("2"), NO_LEASE);
            const then = await store.range(under(prefix), one.revision);
            expect(decodeUtf8(then.kvs[0]?.value as Uint8Array)).toBe("1");
            expect((await store.delete(under(prefix))).deleted).toBe(1);
            await store.compact(two.revision);
            await expect(store.range(under(prefix), one.revision)).rejects.toMatchObject({
              reason: "compacted",
              code: "PL_ETCD_COMPACTED",
              message: "etcdserver: mvcc: required revision has been compacted",
            });
            await expect(store.range(under(prefix), two.revision + 1000)).rejects.toMatchObject({
              reason: "invalid",
              message: "etcdserver: mvcc: required revision is a future revision",
            });
          });

          test("names the server's version and its members", async () => {
            const { transport: store } = open();
            const status = await store.status();
            expect(status.version).toMatch(/^3\.\d+\.\d+/);
            expect(status.dbSizeBytes).toBeGreaterThanOrEqual(0);
            const members = await store.memberList();
            expect(members).toHaveLength(1);
            expect(members[0]?.clientUrls.length).toBeGreaterThan(0);
          });

          test("refuses an empty key with the server's words", async () => {
            const { transport: store } = open();
            const failed = store.put("", encodeUtf8("1"), NO_LEASE);
            await expect(failed).rejects.toBeInstanceOf(StoreError);
            await expect(failed).rejects.toMatchObject({
              reason: "invalid",
              message: "etcdserver: key is not provided",
            });
          });

          test("one endpoint of two dead: half of the calls fail fast, none hangs", async () => {
            const { transport: store } = open({ endpoints: [server.url, "http://127.0.0.1:1"] });
            const since = performance.now();
            const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => store.status()));
            expect(performance.now() - since).toBeLessThan(2000);
            for (const outcome of outcomes) {
              if (outcome.status === "rejected")
                expect(outcome.reason).toMatchObject({ reason: "unavailable" });
            }
          });
        });

        describe("when the server", () => {
          test("stands still: calls end after 3 s, the standing watch survives and misses nothing", async () => {
            const client = open();
            const revision = await client.put(`${prefix}k`, "1");
            await client.watch(1, under(prefix), revision + 1);
            const { lease } = await client.expect("leaseGranted", { t: "leaseGrant", ttlSec: 60 });
            await server.pause();
            try {
              const since = performance.now();
              client.driver.perform({ t: "watchOpen", watch: 2, range: under(prefix), startRevision: 0 });
              const outcomes = await Promise.all([
                client.ask({ t: "range", range: under(prefix) }),
                client.ask({ t: "leaseKeepAlive", lease }),
                client.until((event) => event.t === "watchBroken" && event.watch === 2),
              ]);
              expect(outcomes[0]).toMatchObject({ t: "opFailed", code: "timeout" });
              expect(outcomes[1]).toMatchObject({ t: "opFailed", code: "timeout" });
              expect(performance.now() - since).toBeGreaterThan(2800);
              expect(performance.now() - since).toBeLessThan(4500);
            } finally {
              server.resume();
            }
            await client.put(`${prefix}k`, "2");
            await client.until((event) => event.t === "watchEvents" && event.watch === 1);
            expect(await client.expect("leaseKeptAlive", { t: "leaseKeepAlive", lease })).toMatchObject({
              ttlSec: 60,
            });
            await client.expect("leaseRevoked", { t: "leaseRevoke", lease });
          });

          test("is killed and comes back: streams break at once, calls fail at once, and all works again", async () => {
            const client = open();
            const first = await client.expect("txnDone", txn([], [put(`${prefix}k`, "1")]));
            await client.watch(1, under(prefix), 0);
            const { lease } = await client.expect("leaseGranted", { t: "leaseGrant", ttlSec: 60 });
            await client.expect("leaseKeptAlive", { t: "leaseKeepAlive", lease });
            const since = performance.now();
            await server.kill();
            await client.until((event) => event.t === "watchBroken" && event.watch === 1);
            expect(await client.ask({ t: "range", range: under(prefix) })).toMatchObject({
              t: "opFailed",
              code: "unavailable",
            });
            expect(await client.ask({ t: "leaseKeepAlive", lease })).toMatchObject({
              t: "opFailed",
              code: "unavailable",
            });
            expect(performance.now() - since).toBeLessThan(2500);
            await server.start();
            const read = async (): Promise<StoreEvent> => client.ask({ t: "range", range: under(prefix) });
            await expect.poll(async () => (await read()).t, { timeout: 5000 }).toBe("rangeDone");
            const { header, kvs } = (await read()) as EventOf<"rangeDone">;
            const kept = await client.expect("leaseKeptAlive", { t: "leaseKeepAlive", lease });
            if (kind.durable) {
              // The same lease goes on: an outage alone ends none.
              expect([header.clusterId, kvs.length, kept.ttlSec]).toEqual([first.header.clusterId, 1, 60]);
            } else {
              // A new cluster id is what tells a client that it is another store.
              expect([kvs.length, kept.ttlSec]).toEqual([0, 0]);
              expect(header.clusterId).not.toBe(first.header.clusterId);
            }
            await client.watch(2, under(prefix), 0);
          });
        });

        test("a client that is closed says nothing more and leaves no socket", async () => {
          const before = sockets();
          const client = open();
          await client.watch(1, under(prefix), 0);
          const { lease } = await client.expect("leaseGranted", { t: "leaseGrant", ttlSec: 2 });
          client.start({ t: "leaseKeepAlive", lease });
          client.start({ t: "range", range: under(prefix) });
          const said = client.events.length;
          await client.driver.close();
          client.start({ t: "range", range: under(prefix) });
          await expect(client.transport.status()).rejects.toMatchObject({ reason: "unavailable" });
          await expect.poll(sockets, { timeout: 3000 }).toBeLessThanOrEqual(before);
          expect(client.events).toHaveLength(said);
        });

        test("a process whose client was closed ends by itself, even while the server stands still", async () => {
          const main = fileURLToPath(new URL(`../../dist/io/etcd/${transport.module}`, import.meta.url));
          const script = `
          const { ${transport.exported} } = await import(${JSON.stringify(main)});
          const store = new ${transport.exported}({ endpoints: [${JSON.stringify(server.url)}] });
          await store.status();
          const sink = { message: () => {}, broken: () => {} };
          store.openWatch({ key: "/", rangeEnd: "0" }, 0, sink);
          store.openKeepAlive(sink).send("1");
          await store.status();
          process.kill(${server.pid}, "SIGSTOP");
          store.status().catch(() => {});
          await new Promise((resolve) => setTimeout(resolve, 50));
          await store.close();
          console.log("closed");`;
          const folder = mkdtempSync(join(tmpdir(), "pl-closed-"));
          const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
            cwd: folder,
            stdio: ["ignore", "pipe", "inherit"],
          });
          try {
            const closed = once(child.stdout as NodeJS.ReadableStream, "data");
            const exited = once(child, "exit");
            expect(String(await closed)).toBe("closed\n");
            const since = performance.now();
            expect(await exited).toEqual([0, null]);
            expect(performance.now() - since).toBeLessThan(2000);
          } finally {
            server.resume();
            child.kill("SIGKILL");
            rmSync(folder, { recursive: true, force: true });
          }
        });

        // The embedded store has no users.
        test.runIf(kind.name === "etcd" && hasEtcdctl())(
          "a store with users: denied without a password and with a wrong one",
          async () => {
            const guarded = await startStore("etcd");
            try {
              for (const args of [
                ["user", "add", "root:right"],
                ["auth", "enable"],
              ]) {
                expect(await etcdctl(guarded.endpoint, args)).toMatchObject({ code: 0 });
              }
              const as = (username: string, password: string): EtcdTransport =>
                open({ endpoints: [guarded.url], auth: { username, password } }).transport;
              await as("root", "right").put("/k", encodeUtf8("1"), NO_LEASE);
              const nobody = open({ endpoints: [guarded.url] }).transport;
              await expect(nobody.range(under("/"))).rejects.toMatchObject({ reason: "denied" });
              await expect(as("root", "wrong").range(under("/"))).rejects.toMatchObject({ reason: "denied" });
            } finally {
              for (const client of clients.splice(0)) await client.driver.close();
              await guarded.stop();
            }
          },
        );
      },
    );
  }
}
