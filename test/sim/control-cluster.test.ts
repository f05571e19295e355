// Twenty nodes on one store and a virtual clock. Faults by seed: lost, late and reordered calls, broken watches, black
// holes, outages, compactions, a suspended node, kill -9, nodes that leave and others that come.
//   S1: at no instant do two nodes that may act hold the same subnet.
//   S2: once quiet, every node holds a key, every key is held by a node, and every node's peers are the store's leases.
import { describe, expect, test } from "vitest";
import { overlaps } from "../../src/base/ipv4-addr.ts";
import { below, SeededRng } from "../../src/base/rng.ts";
import { type Instant, MS_US, SEC_US } from "../../src/base/time.ts";
import { emitLeaseAttrs } from "../../src/control/flannel/lease-attrs.ts";
import { emitSubnetKey } from "../../src/control/flannel/subnet-key.ts";
import type { LeaseOptions, OwnLease } from "../../src/control/flannel/subnet-manager.ts";
import { FakeStore } from "../support/fake-store.ts";
import { PREFIX, runUntil, SubnetNode } from "../support/subnet-node.ts";

const NODES = 20;
/** Whole agents have two hundred (agent-cluster.test.ts); so has this in CI. */
const SEEDS = Number(process.env["PODLOOM_SIM_SEEDS"] ?? 40);
const FAULTS_END: Instant = 24 * SEC_US;
const QUIET_END: Instant = 45 * SEC_US;
/** A machine with other work takes longer. */
const PATIENCE_MS = 60_000 + 1000 * SEEDS;
/** 31 subnets for 20 nodes: races, and subnets that pass from hand to hand. */
const CONFIG = '{"Network":"10.244.0.0/19","SubnetLen":24,"Backend":{"Type":"vxlan"}}';

class Cluster {
  readonly store: FakeStore;
  readonly rng: SeededRng;
  readonly nodes: SubnetNode[] = [];
  readonly lease: LeaseOptions;
  readonly strict: boolean;
  now: Instant = 0;
  acquisitions = 0;
  #addresses = 0;

  constructor(seed: number, lease: LeaseOptions, strict = false) {
    this.rng = new SeededRng(seed);
    this.store = new FakeStore(new SeededRng(seed + 1_000_000));
    this.lease = lease;
    this.strict = strict;
    this.store.put(`${PREFIX}/config`, CONFIG);
    for (let i = 0; i < NODES; i++) this.add();
  }

  /** A node with an address of its own, or the successor of one that died. */
  add(dead?: SubnetNode, keepsState = true): void {
    const own = dead?.own;
    const node = new SubnetNode(this.store, {
      publicIp:
        dead?.publicIp ??
        `192.168.${56 + Math.floor(this.#addresses / 200)}.${(this.#addresses++ % 200) + 1}`,
      lease: this.lease,
      strict: this.strict,
      seed: this.rng.u32(),
      ...(own === undefined || !keepsState ? {} : { previousSubnet: own.subnet, previousLease: own.lease }),
    });
    node.onOutput = (output, now) => {
      if (!this.strict && (output.t === "acquired" || output.t === "unfenced")) this.#checkOwner(node, now);
      if (output.t === "acquired") this.acquisitions++;
    };
    this.nodes.push(node);
    node.start(this.now);
  }

  remove(node: SubnetNode): void {
    this.nodes.splice(this.nodes.indexOf(node), 1);
    // Its process is dead: nothing that arrives for it is ever handled.
    node.suspended = true;
  }

  any(): SubnetNode {
    return this.nodes[below(this.rng, this.nodes.length)] as SubnetNode;
  }

  runFor(us: number): void {
    const until = this.now + us;
    while (this.now < until) {
      this.now = runUntil(this.store, this.nodes, this.now, Math.min(until, this.now + 250 * MS_US));
      for (const node of [...this.nodes]) {
        if (node.end === undefined) continue;
        this.remove(node);
        this.add(node);
      }
      if (!this.strict) for (const node of this.nodes) this.#checkBelief(node);
    }
  }

  /** S1, at the only moments at which it can begin to be violated: somebody becomes a valid holder. */
  #checkOwner(node: SubnetNode, now: Instant): void {
    const own = node.manager.status().own;
    if (own === undefined || !node.manager.isValid(now)) return;
    for (const other of this.nodes) {
      const theirs = other.manager.status().own;
      if (other === node || theirs === undefined || !overlaps(theirs.subnet, own.subnet)) continue;
      if (other.manager.isValid(now)) {
        throw new Error(`two valid holders at ${now}: ${node.publicIp} and ${other.publicIp}`);
      }
    }
  }

  /** What the outputs have told an agent agrees with the truth. */
  #checkBelief(node: SubnetNode): void {
    if (node.suspended || node.own === undefined || node.end !== undefined) return;
    if (!node.fenced !== node.manager.isValid(this.now)) {
      throw new Error(
        `${node.publicIp} believes that it is ${node.fenced ? "fenced" : "valid"} at ${this.now}`,
      );
    }
  }

  /** S2. */
  checkQuiet(): void {
    const keys = this.store.dump().filter((kv) => kv.key !== `${PREFIX}/config`);
    const held = new Map(keys.map((kv) => [kv.key, kv]));
    expect(this.nodes).toHaveLength(NODES);
    const own = this.nodes.map((node) => {
      const own = node.own as OwnLease;
      expect(own, `${node.publicIp} has no subnet`).toBeDefined();
      expect(node.fenced, `${node.publicIp} is fenced`).toBe(false);
      const key = emitSubnetKey(PREFIX, own.subnet);
      expect(held.get(key)?.lease, `${node.publicIp} does not hold ${key}`).toBe(own.lease);
      return key;
    });
    expect([...held.keys()].sort()).toEqual([...own].sort());
    for (const [i, node] of this.nodes.entries()) {
      const want = keys.filter((kv) => kv.key !== own[i]);
      expect([...node.peers.keys()].sort(), node.publicIp).toEqual(want.map((kv) => kv.key));
      for (const kv of want) {
        const peer = node.peers.get(kv.key);
        expect(peer?.createRevision).toBe(kv.createRevision);
        expect(peer === undefined ? "" : emitLeaseAttrs(peer.attrs)).toBe(this.store.text(kv.key));
      }
    }
  }
}

/** One thing that goes wrong. */
function disturb(cluster: Cluster, resume: Map<SubnetNode, Instant>): void {
  const { store, rng, now } = cluster;
  const node = cluster.any();
  switch (below(rng, 12)) {
    case 0:
      store.outage(now, now + 200 * MS_US + below(rng, 9 * SEC_US));
      return;
    case 1:
    case 2:
      store.compact();
      return;
    case 3:
    case 4:
      node.conn.breakWatches(now);
      return;
    case 5:
    case 6:
      node.conn.blackHole(now, now + SEC_US + below(rng, 9 * SEC_US));
      return;
    case 7:
      if (resume.size > 0) return;
      node.suspended = true;
      resume.set(node, now + SEC_US + below(rng, 12 * SEC_US));
      return;
    case 8:
    case 9:
      if (resume.has(node)) return;
      cluster.remove(node);
      cluster.add(node, below(rng, 2) === 0);
      return;
    case 10:
      if (resume.has(node)) return;
      node.stop(true, now);
      runUntil(store, [node], now, now);
      cluster.remove(node);
      cluster.add();
      return;
    default:
      store.compact(Math.max(0, store.etcd.revision - below(rng, 10)));
  }
}

function simulate(seed: number, lease: LeaseOptions, strict = false): Cluster {
  const cluster = new Cluster(seed, lease, strict);
  const { store, rng } = cluster;
  Object.assign(store.faults, { delayMaxUs: 30 * MS_US, loseRequest: 0.03, loseReply: 0.03, straggle: 0.02 });
  const resume = new Map<SubnetNode, Instant>();
  const wake = () => {
    for (const [node, at] of resume) {
      if (at > cluster.now) continue;
      resume.delete(node);
      node.suspended = false;
    }
  };
  while (cluster.now < FAULTS_END) {
    cluster.runFor(100 * MS_US + below(rng, 1_500 * MS_US));
    wake();
    disturb(cluster, resume);
  }
  Object.assign(store.faults, { delayMaxUs: 2 * MS_US, loseRequest: 0, loseReply: 0, straggle: 0 });
  while (cluster.now < QUIET_END) {
    cluster.runFor(SEC_US);
    wake();
  }
  if (!strict) cluster.checkQuiet();
  return cluster;
}

/** SIM_SEED=n runs one seed alone, as a failure's message says. */
function seeds(count: number): number[] {
  const only = process.env["SIM_SEED"];
  return only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(only)];
}

function simulateAll(count: number, lease: LeaseOptions): void {
  let acquisitions = 0;
  for (const seed of seeds(count)) {
    try {
      acquisitions += simulate(seed, lease).acquisitions;
    } catch (cause) {
      throw new Error(`SIM_SEED=${seed}: ${(cause as Error).message}`, { cause });
    }
  }
  // The faults did something: many more subnets were acquired than there are nodes.
  if (process.env["SIM_SEED"] === undefined) expect(acquisitions).toBeGreaterThan(count * NODES * 1.1);
}

describe("twenty nodes on one store: one holder a subnet, and routes = leases once quiet", () => {
  test(
    `a lease kept alive, ${SEEDS} seeds`,
    () => simulateAll(SEEDS, { mode: "keepalive", ttlSec: 6 }),
    PATIENCE_MS,
  );

  test(
    `a lease renewed as flanneld does it, but guarded, ${Math.floor(SEEDS / 8)} seeds`,
    () => simulateAll(SEEDS / 8, { mode: "renew", ttlSec: 12, renewMarginSec: 4 }),
    PATIENCE_MS,
  );

  test("strict nodes keep flanneld's quirks, but none of them falls over, 10 seeds", () => {
    for (const seed of seeds(10)) {
      const cluster = simulate(seed, { mode: "renew", ttlSec: 12, renewMarginSec: 4 }, true);
      expect(cluster.nodes.filter((node) => node.own !== undefined).length).toBeGreaterThan(NODES / 2);
    }
  });
});
