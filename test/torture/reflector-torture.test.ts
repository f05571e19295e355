// Reflectors over the real driver while everything that can go wrong does: cut and frozen connections, a server that stands
// still, dies and comes back, compactions behind their backs. In the end each must know what the store holds.

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { below, SeededRng } from "../../src/base/rng.ts";
import { NEVER } from "../../src/base/time.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { type KeyRange, NO_LEASE, prefixEnd, type StoreEvent } from "../../src/control/datastore/messages.ts";
import { OpIds } from "../../src/control/datastore/pending-ops.ts";
import { Reflector } from "../../src/control/datastore/reflector.ts";
import { MonotonicClock } from "../../src/io/clock.ts";
import { StoreDriver } from "../../src/io/etcd/store-driver.ts";
import { hasEtcd, startStore } from "../support/etcd-process.ts";
import { TRANSPORTS, type TransportKind } from "../support/transports.ts";

const SEED = Number(process.env.PODLOOM_SEED ?? "20261120");
const CHAOS_MS = 9_000;
const QUIET_MS = 15_000;
const PREFIX = "/torture/";
const RANGE: KeyRange = { key: PREFIX, rangeEnd: prefixEnd(PREFIX) };

/** A TCP relay that can be cut (connections reset) or frozen (nothing passes, nothing ends). */
class Relay {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #frozen = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<Relay> {
    const server = createServer();
    const relay = new Relay(server);
    server.on("connection", (inner) => relay.#join(inner, connect(port, "127.0.0.1")));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Freezes it: bytes stay in the kernel until it thaws. */
  set frozen(frozen: boolean) {
    this.#frozen = frozen;
    for (const pair of this.#pairs) {
      for (const socket of pair) {
        if (frozen) socket.pause();
        else socket.resume();
      }
    }
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #join(inner: Socket, outer: Socket): void {
    const pair = [inner, outer] as const;
    this.#pairs.add(pair);
    const pass = (from: Socket, to: Socket): void => {
      from.on("data", (bytes: Buffer) => to.write(bytes));
      from.on("error", () => {});
      from.on("close", () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
      if (this.#frozen) from.pause();
    };
    pass(inner, outer);
    pass(outer, inner);
  }
}

type Open = TransportKind["open"];

/** A Reflector, driven as a node drives it. */
class Watcher {
  readonly reflector: Reflector;
  readonly driver: StoreDriver;
  readonly #clock = new MonotonicClock();
  /** What a follower of its outputs would know: must equal its items. */
  readonly follower = new Map<string, number>();
  relists = -1;
  #timer: NodeJS.Timeout | undefined;

  constructor(open: Open, port: number, seed: number) {
    this.reflector = new Reflector({ range: RANGE, ids: new OpIds(), rng: new SeededRng(seed) });
    this.driver = new StoreDriver(open({ endpoints: [`http://127.0.0.1:${port}`] }), (event: StoreEvent) => {
      this.reflector.handle(event, this.#clock.now());
      this.#drain();
    });
    this.reflector.start(this.#clock.now());
    this.#drain();
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.reflector.stop();
    await this.driver.close();
  }

  /** Key to mod revision, as the reflector has them. */
  known(): Map<string, number> {
    return new Map([...this.reflector.items].map(([key, kv]) => [key, kv.modRevision]));
  }

  #drain(): void {
    for (let out = this.reflector.poll(); out !== undefined; out = this.reflector.poll()) {
      if (out.t === "op") this.driver.perform(out.op);
      else if (out.t === "put") this.follower.set(out.kv.key, out.kv.modRevision);
      else if (out.t === "delete") this.follower.delete(out.kv.key);
      else if (out.t === "synced") this.relists++;
    }
    clearTimeout(this.#timer);
    const deadline = this.reflector.nextDeadline();
    if (deadline === NEVER) return;
    this.#timer = setTimeout(
      () => {
        this.reflector.tick(this.#clock.now());
        this.#drain();
      },
      Math.max(0, Math.ceil((deadline - this.#clock.now()) / 1000)),
    );
  }
}

const sorted = (map: ReadonlyMap<string, number>): [string, number][] =>
  [...map].sort(([a], [b]) => (a < b ? -1 : 1));

const WORLDS = (["embedded", "etcd"] as const).flatMap((kind) =>
  TRANSPORTS.map(({ name, open }) => [kind, name, open] as const),
);

describe.each(WORLDS)("reflectors over %s through %s", (kind, _, open) => {
  test.skipIf(kind === "etcd" && !hasEtcd())(
    `know what the store holds, whatever happened (seed ${SEED})`,
    async () => {
      const rng = new SeededRng(SEED);
      const store = await startStore(kind);
      const writer = open({ endpoints: [store.url] });
      const relays = [await Relay.to(store.port), await Relay.to(store.port), await Relay.to(store.port)];
      const watchers = relays.map((relay, i) => new Watcher(open, relay.port, SEED + i));
      let writing = true;
      let writes = 0;
      const write = async (): Promise<void> => {
        while (writing) {
          const key = `${PREFIX}${below(rng, 60)}`;
          const done =
            below(rng, 3) === 0
              ? writer.delete({ key, rangeEnd: undefined })
              : writer.put(key, encodeUtf8(String(writes)), NO_LEASE);
          await done.then(
            () => writes++,
            () => sleep(50),
          );
          if (below(rng, 400) === 0) {
            await writer
              .status()
              .then(
                ({ header }) => writer.compact(header.revision),
                () => undefined,
              )
              .catch(() => undefined);
          }
        }
      };
      let froze = false;
      const faults: (() => Promise<void>)[] = [
        async () => relays[below(rng, 3)]?.cut(),
        async () => relays[below(rng, 3)]?.cut(),
        async () => {
          // The first time longer than a watch may be silent, and with a compaction while nobody hears: so somebody has to list again.
          const relay = relays[below(rng, 3)] as Relay;
          relay.frozen = true;
          await sleep(froze && below(rng, 2) === 0 ? 300 : 4500);
          froze = true;
          await writer
            .status()
            .then(({ header }) => writer.compact(header.revision))
            .catch(() => undefined);
          relay.frozen = false;
        },
        async () => {
          await store.pause();
          await sleep(200 + below(rng, 800));
          store.resume();
        },
        async () => {
          await store.kill();
          await store.start();
        },
      ];
      try {
        const writers = [write(), write()];
        const end = performance.now() + CHAOS_MS;
        const happened: number[] = [];
        while (performance.now() < end) {
          // Every kind of fault at least once, then any.
          const which = happened.length < faults.length ? happened.length : below(rng, faults.length);
          happened.push(which);
          await (faults[which] as () => Promise<void>)();
          await sleep(100 + below(rng, 300));
        }
        writing = false;
        await Promise.all(writers);
        expect(writes).toBeGreaterThan(100);
        const { kvs } = await writer.range(RANGE);
        const want = sorted(new Map(kvs.map((kv) => [kv.key, kv.modRevision])));
        const since = performance.now();
        for (const watcher of watchers) {
          // What it knows may be right while the last cut is still being mended: both are waited for.
          while (
            (watcher.reflector.status !== "Synced" ||
              JSON.stringify(sorted(watcher.known())) !== JSON.stringify(want)) &&
            performance.now() - since < QUIET_MS
          ) {
            await sleep(50);
          }
          expect(sorted(watcher.known())).toEqual(want);
          expect(sorted(watcher.follower)).toEqual(want);
          expect(watcher.reflector.status).toBe("Synced");
        }
        // The compactions in the dark were noticed: somebody had to list again.
        expect(watchers.reduce((sum, watcher) => sum + watcher.relists, 0)).toBeGreaterThan(0);
      } finally {
        writing = false;
        for (const relay of relays) relay.frozen = false;
        for (const watcher of watchers) await watcher.close();
        for (const relay of relays) relay.close();
        await writer.close();
        await store.stop();
      }
    },
  );
});
