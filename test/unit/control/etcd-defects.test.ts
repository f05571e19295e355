// The defects D1 to D12 that the specs found in an etcd client library, each turned into what must hold here instead.
// One test a defect, on a virtual clock, with the numbers that were measured.
import { describe, expect, test } from "vitest";
import { SeededRng } from "../../../src/base/rng.ts";
import { type Instant, MS_US, NEVER, SEC_US } from "../../../src/base/time.ts";
import { OpIds } from "../../../src/control/datastore/pending-ops.ts";
import { Reflector, type StoreStatus } from "../../../src/control/datastore/reflector.ts";
import { type Connection, FakeStore } from "../../support/fake-store.ts";
import { PREFIX, runUntil, SubnetNode } from "../../support/subnet-node.ts";

const CONFIG = '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}';

function newStore(seed = 1): FakeStore {
  const store = new FakeStore(new SeededRng(seed));
  store.put(`${PREFIX}/config`, CONFIG);
  return store;
}

/** A reflector of `/p` on a connection of its own. */
class Watching {
  readonly conn: Connection;
  readonly reflector: Reflector;
  readonly statuses: { readonly status: StoreStatus; readonly at: Instant }[] = [];
  deletes = 0;
  operations = 0;

  constructor(store: FakeStore, seed = 1) {
    this.conn = store.connect();
    this.reflector = new Reflector({
      range: { key: "/p", rangeEnd: "/q" },
      ids: new OpIds(),
      rng: new SeededRng(seed),
    });
    this.reflector.start(0);
    this.#drain(0);
  }

  step(now: Instant): void {
    this.reflector.tick(now);
    this.#drain(now);
    for (let event = this.conn.poll(now); event !== undefined; event = this.conn.poll(now)) {
      this.reflector.handle(event, now);
      this.#drain(now);
    }
  }

  #drain(now: Instant): void {
    for (let out = this.reflector.poll(); out !== undefined; out = this.reflector.poll()) {
      if (out.t === "op") {
        this.operations++;
        this.conn.submit(out.op, now);
      } else if (out.t === "status") this.statuses.push({ status: out.status, at: now });
      else if (out.t === "delete") this.deletes++;
    }
  }
}

function run(store: FakeStore, watchers: readonly Watching[], now: Instant, until: Instant): Instant {
  for (;;) {
    const next = Math.min(store.nextDeadline(), ...watchers.map((w) => w.reflector.nextDeadline()));
    if (next > until) break;
    now = Math.max(now, next);
    store.run(now);
    for (const watcher of watchers) watcher.step(now);
  }
  store.run(until);
  return until;
}

function nodeAt(store: FakeStore, ttlSec: number, until: Instant): { node: SubnetNode; now: Instant } {
  const node = new SubnetNode(store, { lease: { mode: "keepalive", ttlSec } }).start(0);
  const now = runUntil(store, [node], 0, until);
  expect(node.said("acquired")).toHaveLength(1);
  return { node, now };
}

describe("what an etcd client must not do", () => {
  test("D1: a link cut in the middle of a backlog loses none of its 3002 events", () => {
    const store = newStore();
    const watching = new Watching(store);
    let now = run(store, [watching], 0, SEC_US);
    watching.conn.breakWatches(now);
    for (let i = 0; i < 3002; i++) store.put(`/p/${i}`, "v");
    // Cut again and again while it catches up.
    for (let i = 0; i < 20; i++) {
      now = run(store, [watching], now, now + 7 * MS_US);
      watching.conn.breakWatches(now);
    }
    run(store, [watching], now, now + 5 * SEC_US);
    expect(watching.reflector.items.size).toBe(3002);
  });

  test("D2: a partitioned holder is fenced before the server gives its key away, not 5 s after", () => {
    const store = newStore();
    const { node, now } = nodeAt(store, 5, 10 * SEC_US);
    node.conn.blackHole(now, NEVER);
    let fencedAt = NEVER;
    node.onOutput = (output, at) => {
      if (output.t === "fenced") fencedAt = at;
    };
    let deletedAt = NEVER;
    for (let t = now; deletedAt === NEVER; t += 10 * MS_US) {
      runUntil(store, [node], t, t + 10 * MS_US);
      if (store.dump().length === 1) deletedAt = t + 10 * MS_US;
    }
    expect(fencedAt).toBeLessThan(deletedAt);
    expect(deletedAt - now).toBeLessThanOrEqual(5.01 * SEC_US);
  });

  test("D3: an outage of twice the time to live ends no lease: the same one goes on", () => {
    const store = newStore();
    const { node, now } = nodeAt(store, 10, 5 * SEC_US);
    const lease = node.own?.lease;
    store.outage(now, now + 21_700 * MS_US);
    runUntil(store, [node], now, now + 40 * SEC_US);
    expect(node.said("acquired")).toHaveLength(1);
    expect(node.said("fenced")).toHaveLength(1);
    expect(node.said("unfenced")).toHaveLength(1);
    expect(store.dump().find((kv) => kv.key.includes("subnets"))?.lease).toBe(lease);
  });

  test("D4: a call that times out blocks nothing else", () => {
    const store = newStore();
    const { node, now } = nodeAt(store, 20, 5 * SEC_US);
    store.faults.loseRequest = 1;
    // Every unary call is lost, keep-alives too; the watch goes on.
    store.put(`${PREFIX}/subnets/10.244.250.0-24`, '{"PublicIP":"192.168.56.250"}');
    runUntil(store, [node], now, now + 10 * MS_US);
    expect(node.peers.size).toBe(1);
    runUntil(store, [node], now, now + 12 * SEC_US);
    store.faults.loseRequest = 0;
    store.del(`${PREFIX}/subnets/10.244.250.0-24`);
    runUntil(store, [node], now, now + 12_010 * MS_US);
    expect(node.peers.size).toBe(0);
    runUntil(store, [node], now, now + 30 * SEC_US);
    expect(node.fenced).toBe(false);
    expect(node.said("acquired")).toHaveLength(1);
  });

  test("D5: two hundred watches stand again within 2.1 s after an outage of 21.7 s", () => {
    const store = newStore();
    const all = Array.from({ length: 200 }, (_, seed) => new Watching(store, seed));
    const now = run(store, all, 0, 2 * SEC_US);
    const back = now + 21_700 * MS_US;
    store.outage(now, back);
    run(store, all, now, back + 5 * SEC_US);
    const late = all.map(
      (w) => (w.statuses.findLast((s) => s.status === "Synced") as { at: Instant }).at - back,
    );
    expect(Math.max(...late)).toBeLessThan(2_100 * MS_US);
    // And not all at once.
    expect(Math.max(...late) - Math.min(...late)).toBeGreaterThan(SEC_US);
  });

  test("D6: an outage of 20 s costs a lease some tens of attempts, not two hundred", () => {
    const store = newStore();
    const { node, now } = nodeAt(store, 20, 5 * SEC_US);
    let attempts = 0;
    const submit = node.conn.submit.bind(node.conn);
    node.conn.submit = (op, at) => {
      if (op.t === "leaseKeepAlive") attempts++;
      submit(op, at);
    };
    store.outage(now, now + 20 * SEC_US);
    runUntil(store, [node], now, now + 20 * SEC_US);
    expect(attempts).toBeGreaterThan(5);
    expect(attempts).toBeLessThan(40);
  });

  test("D7: a store that hangs is noticed after 4 s, and an operation that nobody answers after 5 s", () => {
    const store = newStore();
    const { node, now } = nodeAt(store, 30, 5 * SEC_US);
    store.faults.callDeadlineUs = NEVER;
    node.conn.blackHole(now, now + 8 * SEC_US);
    let noticedAt = NEVER;
    node.onOutput = (output, at) => {
      if (output.t === "status" && output.status === "Disconnected") noticedAt = Math.min(noticedAt, at);
    };
    runUntil(store, [node], now, now + 20 * SEC_US);
    expect(noticedAt - now).toBeGreaterThan(2 * SEC_US);
    expect(noticedAt - now).toBeLessThanOrEqual(4 * SEC_US);
    expect(node.manager.status().store).toBe("Synced");

    const silent = newStore();
    silent.faults.callDeadlineUs = NEVER;
    silent.faults.loseRequest = 1;
    const starting = new SubnetNode(silent).start(0);
    runUntil(silent, [starting], 0, 5 * SEC_US);
    silent.faults.loseRequest = 0;
    runUntil(silent, [starting], 5 * SEC_US, 8 * SEC_US);
    expect(starting.said("acquired")).toHaveLength(1);
  });

  test("D8: a compaction that is told by a number alone leads to a list, and its removals come out", () => {
    const store = newStore();
    store.put("/p/stays", "v");
    store.put("/p/goes", "v");
    const watching = new Watching(store);
    const now = run(store, [watching], 0, SEC_US);
    watching.conn.breakWatches(now);
    store.del("/p/goes");
    for (let i = 0; i < 10; i++) store.put("/p/stays", String(i));
    store.compact();
    run(store, [watching], now, now + 5 * SEC_US);
    expect([...watching.reflector.items.keys()]).toEqual(["/p/stays"]);
    expect(watching.deletes).toBe(1);
    expect(watching.statuses.at(-1)?.status).toBe("Synced");
  });

  test("D9: after a stop nothing is left open and nothing is due", () => {
    const store = newStore();
    const { node, now } = nodeAt(store, 20, 5 * SEC_US);
    node.stop(true, now);
    runUntil(store, [node], now, now + 100 * MS_US);
    expect(node.end?.t).toBe("stopped");
    expect(node.manager.nextDeadline()).toBe(NEVER);
    expect(store.dump()).toHaveLength(1);
    expect(store.etcd.leases()).toEqual([]);
    store.put(`${PREFIX}/subnets/10.244.250.0-24`, '{"PublicIP":"192.168.56.250"}');
    runUntil(store, [node], now, now + 60 * SEC_US);
    expect(node.outputs.at(-1)?.t).toBe("stopped");
  });

  test("D10: what an error is, its code tells; its text may be anything", () => {
    const store = newStore();
    const { node, now } = nodeAt(store, 20, 5 * SEC_US);
    node.manager.handle({ t: "opFailed", id: 999_999, code: "leaseNotFound", message: "not ours" }, now);
    const submit = node.conn.submit.bind(node.conn);
    node.conn.submit = (op, at) => {
      if (op.t !== "leaseKeepAlive") return submit(op, at);
      node.conn.submit = submit;
      store.revoke(op.lease);
      node.manager.handle({ t: "opFailed", id: op.id, code: "leaseNotFound", message: "⚡ garbled" }, at);
      return undefined;
    };
    runUntil(store, [node], now, now + 30 * SEC_US);
    expect(node.said("acquired")).toHaveLength(2);
    expect(node.fenced).toBe(false);
  });

  test("D11: a store that is down at the start is waited for, and each loss is said once", () => {
    const store = newStore();
    store.outage(0, 10 * SEC_US);
    const node = new SubnetNode(store).start(0);
    const watching = new Watching(store);
    runUntil(store, [node], 0, 10 * SEC_US);
    expect(node.manager.status().store).toBe("Disconnected");
    runUntil(store, [node], 10 * SEC_US, 15 * SEC_US);
    expect(node.said("acquired")).toHaveLength(1);
    run(store, [watching], 15 * SEC_US, 20 * SEC_US);
    watching.statuses.length = 0;
    watching.conn.breakWatches(20 * SEC_US);
    run(store, [watching], 20 * SEC_US, 25 * SEC_US);
    expect(watching.statuses.map((s) => s.status)).toEqual(["Disconnected", "Synced"]);
  });

  test("D12: lease ids beyond 2^53 and revisions beyond 2^31 keep every digit", () => {
    const store = newStore();
    store.etcd.revision = 2 ** 40;
    const { node } = nodeAt(store, 20, 5 * SEC_US);
    const lease = node.own?.lease as string;
    expect(BigInt(lease)).toBeGreaterThan(2n ** 53n);
    expect(store.etcd.leases()).toEqual([lease]);
    expect(String(Number(lease))).not.toBe(lease);
    expect(node.own?.epoch).toBe(2 ** 40 + 1);
    runUntil(store, [node], 5 * SEC_US, 40 * SEC_US);
    expect(node.fenced).toBe(false);
  });
});
