import { describe, expect, test } from "vitest";
import { prefix } from "../../../../src/base/ipv4-addr.ts";
import { err, ok } from "../../../../src/base/result.ts";
import { below, SeededRng } from "../../../../src/base/rng.ts";
import { type Instant, MS_US, SEC_US } from "../../../../src/base/time.ts";
import { decodeUtf8, encodeUtf8 } from "../../../../src/base/utf8.ts";
import { parseResourceKey } from "../../../../src/control/calico/calico-keys.ts";
import { CalicoSyncer, type CalicoSyncerOptions } from "../../../../src/control/calico/calico-syncer.ts";
import type { CalicoUpdate, SyncerOutput } from "../../../../src/control/calico/calico-updates.ts";
import { readResource } from "../../../../src/control/calico/check-resource.ts";
import type { IpamBlock } from "../../../../src/control/calico/ipam/ipam-block.ts";
import { OpIds } from "../../../../src/control/datastore/pending-ops.ts";
import { type Connection, FakeStore } from "../../../support/fake-store.ts";

const RESOURCES = "/calico/resources/v3/projectcalico.org/";
const BLOCKS = "/calico/ipam/v2/assignment/ipv4/block/";
const OWN = "/calico/ipam/v2/host/n1/ipv4/block/";
const WEP = `${RESOURCES}workloadendpoints/shop/n1-k8s-web-eth0`;

/** A decoder of our own: the text is the CIDR, "-" a deleted block. */
const parseBlock: CalicoSyncerOptions["parseBlock"] = (bytes) => {
  const text = decodeUtf8(bytes) ?? "";
  if (!/^10\.244\.\d+\.0\/26-?$/.test(text)) return err("not a block");
  const block = { cidr: prefix(text.replace("-", "")), deleted: text.endsWith("-") };
  return ok(block as unknown as IpamBlock);
};

/** A syncer and what somebody who believes it knows. */
class Follower {
  readonly syncer: CalicoSyncer;
  readonly conn: Connection;
  readonly said: SyncerOutput[] = [];
  readonly known = new Map<string, unknown>();
  readonly watches: string[] = [];
  inSync = 0;

  constructor(store: FakeStore, options: Partial<CalicoSyncerOptions> = {}) {
    this.conn = store.connect();
    this.syncer = new CalicoSyncer({
      node: "n1",
      ids: new OpIds(),
      rng: new SeededRng(5),
      parseBlock,
      ...options,
    });
    this.syncer.start(store.now);
    this.drain(store.now);
  }

  drain(now: Instant): void {
    for (let out = this.syncer.poll(); out !== undefined; out = this.syncer.poll()) {
      if (out.t === "op") {
        if (out.op.t === "watchOpen") this.watches.push(out.op.range.key);
        this.conn.submit(out.op, now);
        continue;
      }
      this.said.push(out);
      if (out.t === "inSync") this.inSync++;
      else if (out.t === "resource" || out.t === "block" || out.t === "affinity") this.#learn(out);
    }
  }

  #learn(update: Exclude<CalicoUpdate, { t: "inSync" }>): void {
    const name =
      update.t === "resource"
        ? `${update.kind} ${update.namespace ?? ""}/${update.name}`
        : `${update.t} ${update.cidr.addr}/${update.cidr.len}`;
    if (update.value === undefined) this.known.delete(name);
    else this.known.set(name, update.value);
  }

  updates(): readonly SyncerOutput[] {
    return this.said.filter((out) => out.t !== "status" && out.t !== "log");
  }

  logs(): readonly string[] {
    return this.said.flatMap((out) => (out.t === "log" && out.level === "warn" ? [out.message] : []));
  }
}

function run(store: FakeStore, followers: readonly Follower[], until: Instant): void {
  for (;;) {
    const at = Math.min(
      ...followers.map(({ syncer, conn }) => Math.min(syncer.nextDeadline(), conn.nextDeadline())),
    );
    if (at > until) break;
    const now = Math.max(store.now, at);
    for (const follower of followers) {
      for (let event = follower.conn.poll(now); event !== undefined; event = follower.conn.poll(now)) {
        follower.syncer.handle(event, now);
        follower.drain(now);
      }
      follower.syncer.tick(now);
      follower.drain(now);
    }
  }
  store.run(until);
}

function peer(name: string, asNumber: number): string {
  return `{"kind":"BGPPeer","apiVersion":"projectcalico.org/v3","metadata":{"name":"${name}"},"spec":{"asNumber":${asNumber}}}`;
}

describe("a syncer", () => {
  test("finds a store that was emptied, has the same cluster id and has outgrown what was known of it", () => {
    const store = new FakeStore(new SeededRng(1));
    store.put(`${RESOURCES}bgppeers/went`, peer("went", 1));
    store.put(`${BLOCKS}10.244.0.0-26`, "10.244.0.0/26");
    const follower = new Follower(store);
    run(store, [follower], SEC_US);
    expect([...follower.known.keys()].sort()).toEqual(["BGPPeer /went", expect.stringMatching(/^block/)]);
    const { clusterId, revision } = store.etcd;
    store.wipe();
    store.etcd.clusterId = clusterId;
    // Before the revision at which the watches go on: none of them will ever tell.
    store.put(`${RESOURCES}bgppeers/came`, peer("came", 2));
    store.put(`${OWN}10.244.1.0-26`, '{"state":"confirmed","deleted":false}');
    while (store.etcd.revision <= revision) store.put("/other", "x");
    run(store, [follower], 10 * SEC_US);
    expect([...follower.known.keys()].sort()).toEqual(["BGPPeer /came", expect.stringMatching(/^affinity/)]);
    expect(follower.watches.length).toBeGreaterThan(3);
  });

  test("reports three ranges, then says once that it is in sync", () => {
    const store = new FakeStore(new SeededRng(1));
    store.put(`${RESOURCES}bgppeers/tor`, peer("tor", 1));
    // Nobody here reads profiles: not even that this is no JSON is noticed.
    store.put(`${RESOURCES}profiles/kns.shop`, "{");
    store.put(WEP, "{");
    store.put(`${BLOCKS}10.244.7.0-26`, "10.244.7.0/26");
    store.put(`${OWN}10.244.7.0-26`, '{"state":"pending","deleted":false}');
    store.put("/calico/ipam/v2/host/n2/ipv4/block/10.244.8.0-26", "");
    const one = new Follower(store);
    expect(one.syncer.isInSync).toBe(false);
    run(store, [one], SEC_US);
    expect(one.watches.sort()).toEqual([BLOCKS, OWN, RESOURCES]);
    const cidr = prefix("10.244.7.0/26");
    const updates = one.updates();
    expect(updates.at(-1)).toEqual({ t: "inSync" });
    expect(updates).toHaveLength(4);
    expect(updates).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ t: "resource", kind: "BGPPeer", name: "tor", modRevision: 2 }),
        { t: "block", cidr, value: { cidr, deleted: false } },
        { t: "affinity", cidr, value: "pending" },
      ]),
    );
    expect(one.syncer.status).toBe("Synced");
    expect(one.logs()).toEqual([]);
    one.said.length = 0;
    store.put(`${OWN}10.244.7.0-26`, "");
    store.del(`${RESOURCES}bgppeers/tor`);
    run(store, [one], 2 * SEC_US);
    expect(one.updates()).toEqual(
      expect.arrayContaining([
        { t: "affinity", cidr, value: "confirmed" },
        { t: "resource", kind: "BGPPeer", name: "tor", value: undefined, modRevision: 9 },
      ]),
    );
    expect(one.updates()).toHaveLength(2);
  });

  test("follows endpoints when asked, and leaves affinities out", () => {
    const store = new FakeStore(new SeededRng(1));
    const text = (namespace: string) =>
      `{"kind":"WorkloadEndpoint","apiVersion":"projectcalico.org/v3","metadata":{"name":"n1-k8s-web-eth0","namespace":"${namespace}"},"spec":{"orchestrator":"k8s","node":"n1","pod":"web","endpoint":"eth0","interfaceName":"cali1","ipNetworks":["10.244.7.3/32"]}}`;
    store.put(WEP, text("shop"));
    store.put(WEP.replace("shop", "blog"), text("blog"));
    const one = new Follower(store, { affinities: false, workloadEndpoints: true });
    run(store, [one], SEC_US);
    expect([...one.known.keys()].sort()).toEqual([
      "WorkloadEndpoint blog/n1-k8s-web-eth0",
      "WorkloadEndpoint shop/n1-k8s-web-eth0",
    ]);
    expect(one.watches.sort()).toEqual([BLOCKS, RESOURCES, `${RESOURCES}workloadendpoints/`]);
    store.del(WEP);
    run(store, [one], 2 * SEC_US);
    expect([...one.known.keys()]).toEqual(["WorkloadEndpoint blog/n1-k8s-web-eth0"]);
  });

  test("what is of no use is named, and gone until it is mended", () => {
    const store = new FakeStore(new SeededRng(1));
    const one = new Follower(store);
    const key = `${RESOURCES}bgppeers/tor`;
    let until = SEC_US;
    const said = (change: () => void) => {
      run(store, [one], until);
      one.said.length = 0;
      change();
      until += SEC_US;
      run(store, [one], until);
      const values = one.updates().map((out) => ("value" in out ? out.value !== undefined : out.t));
      return [values, one.logs()];
    };
    expect(said(() => store.put(key, peer("tor", 1)))).toEqual([[true], []]);
    expect(said(() => store.put(key, "{"))).toEqual([
      [false],
      [`Ignoring "${key}": unexpected end of JSON input`],
    ]);
    expect(said(() => store.put(key, peer("other", 1)))).toEqual([
      [],
      [`Ignoring "${key}": metadata.name: is "other", the key says "tor"`],
    ]);
    expect(said(() => store.del(key))).toEqual([[], []]);
    expect(said(() => store.put(key, "[]"))).toEqual([[false], [`Ignoring "${key}": not a JSON object`]]);
    expect(said(() => store.put(key, peer("tor", 2)))).toEqual([[true], []]);
    expect(said(() => store.del(key))).toEqual([[false], []]);
    // A block under another's key, a block that is marked as deleted, a state that there is none of.
    const block = `${BLOCKS}10.244.7.0-26`;
    expect(said(() => store.put(block, "10.244.8.0/26"))).toEqual([
      [false],
      [`Ignoring "${block}": cidr: is 10.244.8.0/26, the key says 10.244.7.0/26`],
    ]);
    expect(said(() => store.put(block, "10.244.7.0/26-"))).toEqual([[], []]);
    expect(said(() => store.put(block, "10.244.7.0/26"))).toEqual([[true], []]);
    const affinity = `${OWN}10.244.7.0-26`;
    expect(said(() => store.put(affinity, '{"state":"mine"}'))[1]).toEqual([
      `Ignoring "${affinity}": the state is none of pending, confirmed, pendingDeletion`,
    ]);
    // A key that would write into the log.
    expect(said(() => store.put(`${RESOURCES}bgppeers/a\nb`, "x"))[1]).toEqual([
      expect.stringContaining('bgppeers/a\\nb": invalid character'),
    ]);
  });

  test("after stop nothing is asked any more", () => {
    const store = new FakeStore(new SeededRng(1));
    const one = new Follower(store);
    run(store, [one], SEC_US);
    one.syncer.stop();
    const ops: string[] = [];
    for (let out = one.syncer.poll(); out !== undefined; out = one.syncer.poll()) {
      if (out.t === "op") ops.push(out.op.t);
    }
    expect(ops).toEqual(["watchCancel", "watchCancel", "watchCancel"]);
    expect(one.syncer.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });
});

/** What a follower should know of the store. */
function expected(store: FakeStore): Map<string, unknown> {
  const out = new Map<string, unknown>();
  for (const kv of store.dump()) {
    const id = parseResourceKey(kv.key);
    if (id !== undefined) {
      const read = readResource(id, kv.value);
      if (read.ok) out.set(`${id.kind} /${id.name}`, read.value);
    } else if (kv.key.startsWith(BLOCKS)) {
      const read = parseBlock(kv.value);
      if (read.ok && !read.value.deleted) out.set(`block ${read.value.cidr.addr}/26`, read.value);
    }
  }
  return out;
}

const HOSTILE = [
  "",
  "{",
  "null",
  '"',
  '{"kind":"BGPPeer"}',
  '{"kind":{"a":[]},"metadata":7,"spec":null}',
  "\u0000",
];

function disturb(store: FakeStore, rng: SeededRng, followers: readonly Follower[]): void {
  const n = below(rng, 6);
  const key = below(rng, 2) === 0 ? `${RESOURCES}bgppeers/p${n}` : `${BLOCKS}10.244.${n}.0-26`;
  const good = key.startsWith(BLOCKS)
    ? `10.244.${n}.0/26${below(rng, 4) === 0 ? "-" : ""}`
    : peer(`p${n}`, 1 + below(rng, 9));
  switch (below(rng, 12)) {
    case 0:
      store.outage(store.now, store.now + below(rng, 6 * SEC_US));
      return;
    case 1:
      store.compact();
      return;
    case 2:
      (followers[below(rng, followers.length)] as Follower).conn.breakWatches(store.now);
      return;
    case 3:
      if (below(rng, 4) === 0) store.wipe();
      return;
    case 4:
    case 5:
      store.del(key);
      return;
    case 6:
    case 7:
      store.put(key, HOSTILE[below(rng, HOSTILE.length)] as string);
      return;
    case 8:
      store.put(key, encodeUtf8(good).fill(0xff, 3, 4));
      return;
    default:
      store.put(key, good);
  }
}

describe("whatever happens to the store", () => {
  test.each(Array.from({ length: 25 }, (_, i) => i + 1))("followers know it in the end (seed %i)", (seed) => {
    const rng = new SeededRng(seed);
    const store = new FakeStore(rng);
    store.put(`${BLOCKS}10.244.0.0-26`, "10.244.0.0/26");
    const followers = [new Follower(store), new Follower(store)];
    let now = 0;
    for (let i = 0; i < 60; i++) {
      now += below(rng, 700 * MS_US);
      run(store, followers, now);
      disturb(store, rng, followers);
    }
    run(store, followers, now + 30 * SEC_US);
    for (const follower of followers) {
      expect(follower.known).toEqual(expected(store));
      expect(follower.inSync).toBe(1);
      expect(follower.syncer.status).toBe("Synced");
      const statuses = follower.said.flatMap((out) => (out.t === "status" ? [out.status] : []));
      expect(statuses.every((status, i) => status !== statuses[i - 1])).toBe(true);
    }
  });
});
