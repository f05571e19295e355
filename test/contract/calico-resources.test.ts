// Calico's resources over the real driver and real stores: what the writer writes, the syncer reports, and etcdctl would show.

import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { err } from "../../src/base/result.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { decodeUtf8 } from "../../src/base/utf8.ts";
import { CalicoSyncer } from "../../src/control/calico/calico-syncer.ts";
import type { SyncerOutput } from "../../src/control/calico/calico-updates.ts";
import { defaultIpPool } from "../../src/control/calico/cluster-defaults.ts";
import type { ResourceOutcome, ResourceRequest } from "../../src/control/calico/resource-messages.ts";
import { disablePool } from "../../src/control/calico/resource-request.ts";
import { ResourceWriter } from "../../src/control/calico/resource-writer.ts";
import type { StoreEvent } from "../../src/control/datastore/messages.ts";
import { OpIds } from "../../src/control/datastore/pending-ops.ts";
import { MonotonicClock } from "../../src/io/clock.ts";
import { Etcd3Transport } from "../../src/io/etcd/etcd3-transport.ts";
import { StoreDriver } from "../../src/io/etcd/store-driver.ts";
import { hasEtcd, type StoreKind, startStore } from "../support/etcd-process.ts";

/** A writer and a syncer on one connection, as a node has them. */
class Session {
  readonly driver: StoreDriver;
  readonly said: SyncerOutput[] = [];
  readonly #clock = new MonotonicClock();
  readonly #ids = new OpIds();
  readonly #writer = new ResourceWriter({ ids: this.#ids, rng: new SeededRng(1) });
  readonly #syncer = new CalicoSyncer({
    node: "n1",
    ids: this.#ids,
    rng: new SeededRng(2),
    parseBlock: () => err("no blocks here"),
  });
  readonly #outcomes = new Map<number, ResourceOutcome>();

  constructor(url: string) {
    this.driver = new StoreDriver(new Etcd3Transport({ endpoints: [url] }), (event: StoreEvent) => {
      if (!this.#writer.handle(event, this.#clock.now())) this.#syncer.handle(event, this.#clock.now());
      this.#drain();
    });
    this.#syncer.start(this.#clock.now());
    this.#drain();
  }

  async ask(request: ResourceRequest): Promise<ResourceOutcome> {
    const number = this.#writer.submit(request, this.#clock.now(), Date.now());
    this.#drain();
    return this.until(() => this.#outcomes.get(number));
  }

  async until<T>(found: () => T | undefined): Promise<T> {
    for (let tries = 0; tries < 500; tries++) {
      const value = found();
      if (value !== undefined) return value;
      await sleep(10);
    }
    throw new Error("waited in vain");
  }

  async close(): Promise<void> {
    this.#writer.stop();
    this.#syncer.stop();
    await this.driver.close();
  }

  #drain(): void {
    for (let out = this.#writer.poll(); out !== undefined; out = this.#writer.poll()) {
      if (out.t === "op") this.driver.perform(out.op);
      else if (out.t === "done") this.#outcomes.set(out.request, out.outcome);
    }
    for (let out = this.#syncer.poll(); out !== undefined; out = this.#syncer.poll()) {
      if (out.t === "op") this.driver.perform(out.op);
      else this.said.push(out);
    }
  }
}

const KINDS: readonly StoreKind[] = ["embedded", "etcd"];
const KEY = "/calico/resources/v3/projectcalico.org/ippools/default-ipv4-ippool";

describe.each(KINDS)("Calico's resources over %s", (kind) => {
  test.skipIf(kind === "etcd" && !hasEtcd())(
    "are created, changed and deleted, and each change is reported",
    async () => {
      const store = await startStore(kind);
      const reader = new Etcd3Transport({ endpoints: [store.url] });
      const session = new Session(store.url);
      try {
        await session.until(() => session.said.find((out) => out.t === "inSync"));
        const pool = defaultIpPool({ cidr: "10.244.0.0/16" });
        expect(await session.ask({ t: "create", resource: pool })).toMatchObject({ change: "created" });
        expect(await session.ask({ t: "create", resource: pool })).toMatchObject({ code: "alreadyExists" });
        const { kvs } = await reader.range({ key: KEY, rangeEnd: undefined });
        expect(decodeUtf8(kvs[0]?.value as Uint8Array)).toMatch(
          /^\{"kind":"IPPool","apiVersion":"projectcalico.org\/v3","metadata":\{"name":"default-ipv4-ippool","uid":"[-0-9a-f]{36}","creationTimestamp":"[-0-9T:]{19}Z"\},"spec":\{"cidr":"10.244.0.0\/16",/,
        );
        const second = { ...pool, metadata: { name: "second" } };
        expect(await session.ask({ t: "apply", resource: second })).toMatchObject({ code: "invalid" });
        expect(await session.ask(disablePool("default-ipv4-ippool"))).toMatchObject({ change: "updated" });
        expect(await session.ask({ t: "list", kind: "IPPool" })).toMatchObject({
          t: "listed",
          stored: [{ resource: { spec: { disabled: true } } }],
        });
        const id = { kind: "IPPool", name: "default-ipv4-ippool" } as const;
        expect(await session.ask({ t: "delete", id, modRevision: 1 })).toMatchObject({
          code: "updateConflict",
        });
        expect(await session.ask({ t: "delete", id })).toMatchObject({ t: "deleted" });
        expect(await session.ask({ t: "delete", id })).toMatchObject({ code: "doesNotExist" });
        const updates = await session.until(() => {
          const seen = session.said.flatMap((out) => (out.t === "resource" ? [out.value] : []));
          return seen.length >= 3 ? seen : undefined;
        });
        expect(updates).toMatchObject([{ spec: { blockSize: 26 } }, { spec: { disabled: true } }, undefined]);
      } finally {
        await session.close();
        await reader.close();
        await store.stop();
      }
    },
  );
});
