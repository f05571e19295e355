import { describe, expect, test } from "vitest";
import { formatPrefix, prefix } from "../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { type Instant, MS_US, NEVER, SEC_US } from "../../../src/base/time.ts";
import type { StoreOp } from "../../../src/control/datastore/messages.ts";
import { FakeStore } from "../../support/fake-store.ts";
import { PREFIX, runUntil, SubnetNode, type SubnetNodeOptions } from "../../support/subnet-node.ts";

const CONFIG = `${PREFIX}/config`;
const UPSTREAM_CONFIG = '{ "Network": "10.3.0.0/16", "SubnetMin": "10.3.1.0", "SubnetMax": "10.3.25.0" }';
const key = (name: string) => `${PREFIX}/subnets/${name}`;
const attrs = (ip: string) => `{"PublicIP":"${ip}","PublicIPv6":null}`;
const VALUE =
  '{"PublicIP":"192.168.56.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:01"}}';

/** A store, its nodes, and a clock. */
class Lab {
  readonly store: FakeStore;
  readonly nodes: SubnetNode[] = [];
  now: Instant = 0;

  constructor(config: string | undefined = UPSTREAM_CONFIG, seed = 1) {
    this.store = new FakeStore(new SeededRng(seed));
    if (config !== undefined) this.store.put(CONFIG, config);
  }

  node(options: SubnetNodeOptions = {}): SubnetNode {
    const node = new SubnetNode(this.store, options);
    this.nodes.push(node);
    return node.start(this.now);
  }

  wait(us: number): this {
    this.now = runUntil(this.store, this.nodes, this.now, this.now + us);
    return this;
  }

  /** kill -9: the process is gone, its keys are not. */
  kill(node: SubnetNode): void {
    node.suspended = true;
    this.nodes.splice(this.nodes.indexOf(node), 1);
  }

  get keys(): string[] {
    return this.store
      .dump()
      .flatMap((kv) => (kv.key.startsWith(key("")) ? [kv.key.slice(key("").length)] : []));
  }
}

const subnetOf = (node: SubnetNode) => (node.own === undefined ? "none" : formatPrefix(node.own.subnet));
const fatalOf = (node: SubnetNode) =>
  node.end?.t === "fatal" ? node.end.message : `not fatal: ${node.end?.t}`;
const OPERATIONS = (node: SubnetNode): StoreOp[] => {
  const ops: StoreOp[] = [];
  const submit = node.conn.submit.bind(node.conn);
  node.conn.submit = (op, now) => {
    ops.push(op);
    submit(op, now);
  };
  return ops;
};

describe("the configuration", () => {
  test("that is missing is waited for, every second, with flanneld's words", () => {
    const lab = new Lab(undefined);
    lab.store.del(CONFIG);
    const node = lab.node({ hold: true });
    lab.wait(5 * SEC_US);
    expect(node.log.split("\n")[0]).toBe(
      "Couldn't fetch network config: flannel config not found in etcd store. Did you create your config using etcdv3 API?",
    );
    expect(node.said("log")).toHaveLength(5);
    lab.store.put(CONFIG, UPSTREAM_CONFIG);
    lab.wait(1_100 * MS_US);
    expect(node.said("config")[0]?.config.subnetLen).toBe(24);
  });

  test("that is refused ends the daemon; with strict it is read again for ever, as flanneld does", () => {
    const lab = new Lab('{"Network":"10.3.0.0/29"}');
    const node = lab.node();
    const strict = lab.node({ strict: true, hold: true });
    lab.wait(3 * SEC_US);
    expect(fatalOf(node)).toBe("network is too small. Minimum useful network prefix is /28");
    expect(strict.end).toBeUndefined();
    lab.store.put(CONFIG, UPSTREAM_CONFIG);
    lab.wait(2 * SEC_US);
    expect(strict.said("config")).toHaveLength(1);
  });

  test("with EnableIPv6, or that is not text, has a sentence", () => {
    const ipv6 = new Lab('{"Network":"10.3.0.0/16","EnableIPv6":true,"IPv6Network":"fc00::/48"}');
    const node = ipv6.node();
    ipv6.wait(SEC_US);
    expect(fatalOf(node)).toBe(
      'podloom does not support IPv6 yet: remove "EnableIPv6" from the flannel config',
    );
    const binary = new Lab();
    binary.store.put(CONFIG, new Uint8Array([0xff]));
    const other = binary.node();
    binary.wait(SEC_US);
    expect(fatalOf(other)).toBe("the value of /coreos.com/network/config is not UTF-8 text");
  });

  test("is read again when the lease is acquired: TestConfigChanged", () => {
    const lab = new Lab();
    const node = lab.node({ hold: true });
    lab.wait(SEC_US);
    lab.store.put(CONFIG, '{ "Network": "10.4.0.0/16" }');
    node.acquire(lab.now);
    lab.wait(SEC_US);
    expect(subnetOf(node)).toMatch(/^10\.4\./);
    expect(node.said("acquired")[0]?.config.network).toEqual(prefix("10.4.0.0/16"));
  });

  test("a store that refuses is said", () => {
    const lab = new Lab();
    const node = lab.node();
    node.manager.handle(
      { t: "opFailed", id: 1, code: "denied", message: "etcdserver: permission denied" },
      0,
    );
    node.drain(0);
    expect(fatalOf(node)).toBe("the store refuses: etcdserver: permission denied");
  });
});

describe("TestAcquireLease", () => {
  const taken = ["10.3.1.0-24", "10.3.2.0-24", "10.3.4.0-24", "10.3.5.0-24", "10.3.31.0-24"];
  function upstream(): Lab {
    const lab = new Lab();
    const lease = lab.store.grant(86_400);
    for (const name of taken) lab.store.put(key(name), attrs("1.1.1.1"), lease);
    return lab;
  }

  test("a free subnet in the range, written byte for byte on a lease, and the same one again", () => {
    const lab = upstream();
    const node = lab.node();
    lab.wait(SEC_US);
    const name = lab.keys.find((n) => !taken.includes(n)) as string;
    expect(Number(name.split(".")[2])).toBeLessThanOrEqual(25);
    expect(lab.store.text(key(name))).toBe(VALUE);
    expect(node.own?.lease).toBe(lab.store.etcd.get(key(name))?.lease);
    expect(node.own?.epoch).toBe(lab.store.etcd.get(key(name))?.createRevision);
    expect(node.log).toContain(
      `Allocated lease (ip: ${subnetOf(node)} ipv6: ::/0) to current node (192.168.56.1) `,
    );
    lab.kill(node);
    const again = lab.node({ previousLease: node.own?.lease as string });
    lab.wait(SEC_US);
    expect(subnetOf(again)).toBe(subnetOf(node));
    expect(again.log).toContain(
      `Found lease (ip: ${subnetOf(node)} ipv6: ::/0) for current IP (192.168.56.1), reusing`,
    );
    expect(again.own?.epoch).toBe(node.own?.epoch);
    expect(lab.store.etcd.leases()).not.toContain(node.own?.lease);
  });

  test("the previous subnet when it is free and suits", () => {
    const lab = upstream();
    const node = lab.node({ previousSubnet: prefix("10.3.6.0/24") });
    lab.wait(SEC_US);
    expect(subnetOf(node)).toBe("10.3.6.0/24");
    expect(node.log).toContain("Found previously leased subnet (10.3.6.0/24), reusing");
  });

  test.each([
    ["10.4.1.0/24", "outside the network"],
    ["10.3.6.0/25", "of another length"],
    ["10.3.30.0/24", "beyond SubnetMax"],
  ])("not the previous subnet %s, %s", (text) => {
    const lab = upstream();
    const node = lab.node({ previousSubnet: prefix(text) });
    lab.wait(SEC_US);
    expect(subnetOf(node)).toMatch(/^10\.3\.\d+\.0\/24$/);
    expect(subnetOf(node)).not.toBe(text);
    expect(node.log).toContain(
      `Found previously leased subnet (${text}) that is not compatible with the Etcd network config, ignoring`,
    );
    expect(node.log).toContain("Picking subnet in range 10.3.1.0 ... 10.3.25.0");
  });

  test("not the previous subnet when somebody has it", () => {
    const lab = upstream();
    const node = lab.node({ previousSubnet: prefix("10.3.4.0/24") });
    lab.wait(SEC_US);
    expect(subnetOf(node)).not.toBe("10.3.4.0/24");
    expect(node.log).not.toContain("previously");
  });

  test("a lease with our address that does not suit is deleted, and blocks its subnet in this round still", () => {
    const lab = new Lab('{"Network":"10.3.0.0/28","SubnetLen":30}');
    lab.store.put(key("10.3.0.4-31"), attrs("192.168.56.1"));
    const seen = new Set<string>();
    for (let seed = 0; seed < 8; seed++) {
      const node = lab.node({ seed });
      lab.wait(SEC_US);
      expect(node.log).toContain("but not compatible with current config, deleting");
      seen.add(subnetOf(node));
      node.stop(true, lab.now);
      lab.wait(SEC_US);
      expect(lab.keys).toEqual([]);
      lab.store.put(key("10.3.0.4-31"), attrs("192.168.56.1"));
    }
    expect([...seen].sort()).toEqual(["10.3.0.12/30", "10.3.0.8/30"]);
  });

  test("only the first hundred free subnets are candidates, and all of them are", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 600; seed++) {
      const lab = new Lab('{"Network":"10.0.0.0/8"}', seed);
      const node = lab.node({ seed });
      lab.wait(100 * MS_US);
      seen.add(subnetOf(node));
    }
    expect(seen.size).toBeGreaterThan(95);
    for (const subnet of seen)
      expect(Number(subnet.split(".")[1]) * 256 + Number(subnet.split(".")[2])).toBeLessThanOrEqual(100);
  });

  test("out of subnets", () => {
    const lab = new Lab('{"Network":"10.3.0.0/28","SubnetLen":30}');
    for (const name of ["10.3.0.4-30", "10.3.0.8-30", "10.3.0.12-30"])
      lab.store.put(key(name), attrs("1.1.1.1"));
    const [node, strict] = [lab.node(), lab.node({ strict: true, publicIp: "192.168.56.2" })];
    lab.wait(SEC_US);
    const words = "Error registering network: failed to acquire lease: out of subnets";
    expect(fatalOf(strict)).toBe(words);
    expect(fatalOf(node)).toBe(
      `${words} (every /30 from 10.3.0.4 to 10.3.0.12 is leased; widen Network, lengthen SubnetLen, or wait for dead leases to expire)`,
    );
  });

  test("a larger or smaller lease blocks all that it overlaps", () => {
    const lab = new Lab('{"Network":"10.3.0.0/21"}');
    lab.store.put(key("10.3.0.0-22"), attrs("1.1.1.1"));
    lab.store.put(key("10.3.4.192-26"), attrs("1.1.1.2"));
    lab.store.put(key("10.3.5.0-24&fd00::-64"), attrs("1.1.1.3"));
    lab.store.put(key("10.3.6.0-24"), "garbage");
    const node = lab.node();
    lab.wait(SEC_US);
    expect(subnetOf(node)).toBe("10.3.7.0/24");
  });
});

describe("claims that meet", () => {
  test("two hundred nodes on two hundred free subnets all get one, with few transactions", () => {
    const lab = new Lab('{"Network":"10.3.0.0/16","SubnetMax":"10.3.200.0"}');
    let transactions = 0;
    for (let i = 0; i < 200; i++) {
      const node = lab.node({ publicIp: `192.168.56.${i + 1}`, seed: i });
      const submit = node.conn.submit.bind(node.conn);
      node.conn.submit = (op, now) => {
        if (op.t === "txn") transactions++;
        submit(op, now);
      };
    }
    lab.wait(2 * SEC_US);
    expect(new Set(lab.nodes.map(subnetOf)).size).toBe(200);
    expect(lab.keys).toHaveLength(200);
    expect(transactions).toBeLessThan(600);
  });

  /** Somebody takes whatever this node is about to claim, a moment before it does. */
  function rivalled(lab: Lab, node: SubnetNode, races: number): void {
    const submit = node.conn.submit.bind(node.conn);
    node.conn.submit = (op, now) => {
      const claimed = op.t === "txn" ? op.success.find((o) => o.t === "put") : undefined;
      if (claimed?.t === "put" && races-- > 0) lab.store.put(claimed.key, attrs("1.1.1.1"));
      submit(op, now);
    };
  }

  test("a lost race is tried again by default, from the list of the failed transaction", () => {
    const lab = new Lab();
    const node = lab.node();
    const ops = OPERATIONS(node);
    rivalled(lab, node, 3);
    lab.wait(SEC_US);
    expect(node.end).toBeUndefined();
    expect(lab.keys).toHaveLength(4);
    const lists = ops.filter((op) => op.t === "range" && op.range.key === `${PREFIX}/subnets`);
    expect(lists).toHaveLength(2); // one to acquire, one to watch from
  });

  test("a lost race is the end with strict, in flanneld's words, and the lease is revoked", () => {
    const lab = new Lab();
    const node = lab.node({ strict: true });
    rivalled(lab, node, 1);
    lab.wait(SEC_US);
    expect(fatalOf(node)).toBe("Error registering network: failed to acquire lease: subnet already exists");
    expect(lab.store.etcd.leases()).toEqual([]);
  });

  test("ten rounds of ten lost races are the end", () => {
    const lab = new Lab('{"Network":"10.0.0.0/8"}');
    const node = lab.node();
    rivalled(lab, node, 1_000);
    lab.wait(60 * SEC_US);
    expect(fatalOf(node)).toBe(
      "Error registering network: failed to acquire lease: max retries reached trying to acquire a subnet",
    );
    expect(lab.keys).toHaveLength(100);
  });

  test("a claim whose answer is lost is found again by its lease, not made twice", () => {
    const lab = new Lab();
    const node = lab.node();
    const submit = node.conn.submit.bind(node.conn);
    node.conn.submit = (op, now) => {
      lab.store.faults.loseReply = op.t === "txn" ? 1 : 0;
      submit(op, now);
      if (op.t === "txn") lab.store.run(now + 5 * MS_US);
      lab.store.faults.loseReply = 0;
    };
    lab.wait(10 * SEC_US);
    expect(lab.keys).toHaveLength(1);
    expect(subnetOf(node)).toBe(lab.keys[0]?.replace("-", "/"));
    expect(lab.store.etcd.leases()).toHaveLength(1);
  });

  test("a claim that is carried out long after it was given up is cleaned up", () => {
    const lab = new Lab();
    const node = lab.node();
    const submit = node.conn.submit.bind(node.conn);
    let late: (() => void) | undefined;
    node.conn.submit = (op, now) => {
      if (op.t === "txn" && late === undefined) {
        late = () => lab.store.etcd.execute(op, lab.now);
        node.manager.handle({ t: "opFailed", id: op.id, code: "timeout", message: "deadline exceeded" }, now);
      } else submit(op, now);
    };
    lab.wait(5 * SEC_US);
    expect(lab.keys).toHaveLength(1);
    late?.();
    expect(lab.keys).toHaveLength(2);
    lab.store.put("/elsewhere", "x");
    lab.wait(SEC_US);
    expect(lab.keys).toEqual([subnetOf(node).replace("/", "-")]);
    expect(node.log).toContain("was left by a claim that came too late: deleting it");
  });
});

describe("a lease that names our address", () => {
  test("is our own orphan when its etcd lease is the last run's: taken at once", () => {
    const lab = new Lab();
    const first = lab.node();
    lab.wait(5 * SEC_US);
    lab.kill(first);
    const second = lab.node({ previousLease: first.own?.lease as string });
    lab.wait(50 * MS_US);
    expect(subnetOf(second)).toBe(subnetOf(first));
  });

  test("is watched otherwise, and taken over once nobody renews it: after TTL/3 + a little", () => {
    const lab = new Lab();
    const first = lab.node();
    lab.wait(30 * SEC_US);
    lab.kill(first);
    const from = lab.now;
    const second = lab.node({});
    while (second.own === undefined && lab.now < from + 60 * SEC_US) lab.wait(100 * MS_US);
    expect(subnetOf(second)).toBe(subnetOf(first));
    expect(lab.now - from).toBeLessThan(9.5 * SEC_US);
    expect(second.log).toContain("is not known as ours: watching whether it is renewed");
    expect(second.end).toBeUndefined();
    expect(second.own?.lease).not.toBe(first.own?.lease);
  });

  test("is another live node's when it is renewed: a clear end, and nothing is disturbed", () => {
    for (let seed = 0; seed < 20; seed++) {
      const lab = new Lab(UPSTREAM_CONFIG, seed);
      const first = lab.node({ seed });
      lab.wait((20 + seed / 3) * SEC_US);
      const second = lab.node({ seed: seed + 100 });
      lab.wait(10 * SEC_US);
      expect(fatalOf(second)).toContain(
        "lease for 192.168.56.1 is held by another live node: /coreos.com/network/subnets/10.3.",
      );
      expect(first.fenced).toBe(false);
      expect(lab.store.dump().at(-1)?.lease).toBe(first.own?.lease);
    }
  });

  test("is reused by flanneld, live or not: with strict both share it", () => {
    const lab = new Lab();
    const lease = { mode: "renew", ttlSec: 86_400, renewMarginSec: 3_600 } as const;
    const first = lab.node({ strict: true, lease });
    lab.wait(SEC_US);
    const second = lab.node({ strict: true, lease });
    lab.wait(SEC_US);
    expect(subnetOf(second)).toBe(subnetOf(first));
    expect([first.end, second.end]).toEqual([undefined, undefined]);
  });

  test("with a lease of a day is flanneld's kind, of which nothing can be said: reused", () => {
    const lab = new Lab();
    lab.store.put(key("10.3.7.0-24"), attrs("192.168.56.1"), lab.store.grant(86_400));
    const node = lab.node();
    lab.wait(SEC_US);
    expect(subnetOf(node)).toBe("10.3.7.0/24");
    expect(lab.store.text(key("10.3.7.0-24"))).toBe(VALUE);
  });

  test("below subnets-old, or with leading zeros, is not ours", () => {
    const lab = new Lab();
    lab.store.put(`${PREFIX}/subnets-old/10.3.7.0-24`, attrs("192.168.56.1"));
    lab.store.put(key("10.3.8.0-024"), attrs("192.168.56.1"));
    const node = lab.node();
    lab.wait(SEC_US);
    expect(node.own).toBeDefined();
    expect(["10.3.7.0/24", "10.3.8.0/24"]).not.toContain(subnetOf(node));
  });
});

describe("reservations: keys without an etcd lease", () => {
  test("are never handed to another node", () => {
    const lab = new Lab('{"Network":"10.3.0.0/28","SubnetLen":30}');
    lab.store.put(key("10.3.0.4-30"), attrs("9.9.9.9"));
    lab.store.put(key("10.3.0.8-30"), attrs("9.9.9.8"));
    const node = lab.node({ previousSubnet: prefix("10.3.0.4/30") });
    lab.wait(SEC_US);
    expect(subnetOf(node)).toBe("10.3.0.12/30");
    expect(lab.store.etcd.get(key("10.3.0.4-30"))?.lease).toBe("0");
  });

  test.each([false, true])("become a lease of the node that they name (strict %s)", (strict) => {
    const lab = new Lab();
    lab.store.put(key("10.3.9.0-24"), attrs("192.168.56.1"));
    const node = lab.node({ strict });
    lab.wait(SEC_US);
    expect(subnetOf(node)).toBe("10.3.9.0/24");
    expect(lab.store.etcd.get(key("10.3.9.0-24"))?.lease).toBe(node.own?.lease);
  });
});

describe("losing the subnet (keepalive)", () => {
  function running(ttlSec = 20): { lab: Lab; node: SubnetNode; ownKey: string } {
    const lab = new Lab();
    const node = lab.node({ lease: { mode: "keepalive", ttlSec } });
    lab.wait(5 * SEC_US);
    return { lab, node, ownKey: key(lab.keys[0] as string) };
  }

  test("by hand, while its lease lives: revoked, in flanneld's words", () => {
    const { lab, node, ownKey } = running();
    lab.store.del(ownKey);
    lab.wait(SEC_US);
    expect(node.end).toEqual({ t: "revoked" });
    expect(node.fenced).toBe(true);
    expect(node.log).toContain("Lease has been revoked. Shutting down daemon.");
    expect(lab.store.etcd.leases()).toEqual([]);
  });

  test("by hand, while the watch was broken and its history compacted: revoked all the same", () => {
    const { lab, node, ownKey } = running();
    node.conn.breakWatches(lab.now);
    lab.store.del(ownKey);
    lab.store.put(`${PREFIX}/subnets/10.3.99.0-24`, attrs("1.1.1.1"));
    lab.store.compact();
    lab.wait(3 * SEC_US);
    expect(node.end).toEqual({ t: "revoked" });
  });

  test("to another node that wrote its key: revoked", () => {
    const { lab, node, ownKey } = running();
    lab.store.put(ownKey, attrs("1.1.1.1"), lab.store.grant(60));
    lab.wait(SEC_US);
    expect(node.end).toEqual({ t: "revoked" });
    expect(node.log).toContain("was taken over by another node");
    expect(lab.store.text(ownKey)).toBe(attrs("1.1.1.1"));
  });

  test("to another node that wrote its key while the watch was broken: revoked all the same", () => {
    const { lab, node, ownKey } = running();
    node.conn.breakWatches(lab.now);
    lab.store.put(ownKey, attrs("1.1.1.1"), lab.store.grant(60));
    lab.store.put(`${PREFIX}/subnets/10.3.99.0-24`, attrs("1.1.1.1"));
    lab.store.compact();
    lab.wait(3 * SEC_US);
    expect(node.end).toEqual({ t: "revoked" });
    expect(lab.store.text(ownKey)).toBe(attrs("1.1.1.1"));
  });

  test("not by a store that was restored with its key in it: held as before, by the new revisions", () => {
    const { lab, node, ownKey } = running();
    expect(node.said("acquired")).toHaveLength(1);
    lab.store.etcd.clusterId = "2002";
    node.conn.breakWatches(lab.now);
    lab.wait(5 * SEC_US);
    expect(node.said("acquired")).toHaveLength(2);
    expect(node.own?.epoch).toBe(lab.store.etcd.get(ownKey)?.createRevision);
    lab.wait(60 * SEC_US);
    expect(node.end).toBeUndefined();
    expect(node.fenced).toBe(false);
  });

  test("by a wiped store of the same cluster id that has grown past what we knew: the same subnet, and all peers anew", () => {
    const { lab, node, ownKey } = running();
    const [stays, went, came] = ["10.3.97.0-24", "10.3.98.0-24", "10.3.99.0-24"] as const;
    for (const name of [stays, went]) lab.store.put(key(name), attrs("1.1.1.1"));
    lab.wait(SEC_US);
    expect([...node.peers.keys()].sort()).toEqual([key(stays), key(went)]);
    const { clusterId, revision } = lab.store.etcd;
    lab.store.wipe();
    lab.store.etcd.clusterId = clusterId;
    for (const name of [stays, came]) lab.store.put(key(name), attrs("1.1.1.2"));
    while (lab.store.etcd.revision <= revision) lab.store.put("/other", "x");
    lab.wait(30 * SEC_US);
    expect(node.end).toBeUndefined();
    expect([...node.peers.keys()].sort()).toEqual([key(stays), key(came)]);
    expect(lab.store.etcd.get(ownKey)?.lease).toBe(node.own?.lease);
    expect(node.fenced).toBe(false);
  });

  test("by the end of its etcd lease: the same subnet again, with a new epoch", () => {
    const { lab, node, ownKey } = running();
    const before = node.own;
    lab.store.revoke(node.own?.lease as string);
    lab.wait(SEC_US);
    expect(node.end).toBeUndefined();
    expect(node.said("acquired")).toHaveLength(2);
    expect(subnetOf(node)).toBe(before === undefined ? "" : formatPrefix(before.subnet));
    expect(node.own?.epoch).toBeGreaterThan(before?.epoch as number);
    expect(lab.store.etcd.get(ownKey)?.lease).toBe(node.own?.lease);
    expect(node.fenced).toBe(false);
    const order = node.outputs.flatMap((o) =>
      ["acquired", "fenced", "unfenced"].includes(o.t) ? [o.t] : [],
    );
    expect(order).toEqual(["acquired", "fenced", "acquired", "unfenced"]);
  });

  test("by a partition longer than the time to live: fenced, then the same subnet again if it is free", () => {
    const { lab, node } = running(6);
    const before = subnetOf(node);
    node.conn.blackHole(lab.now, lab.now + 15 * SEC_US);
    lab.wait(10 * SEC_US);
    expect(node.fenced).toBe(true);
    expect(lab.keys).toEqual([]);
    lab.wait(15 * SEC_US);
    expect(subnetOf(node)).toBe(before);
    expect(node.fenced).toBe(false);
    expect(node.said("acquired")).toHaveLength(2);
  });

  test("by a partition, to a node that came meanwhile: revoked", () => {
    const { lab, node, ownKey } = running(6);
    node.conn.blackHole(lab.now, lab.now + 15 * SEC_US);
    lab.wait(10 * SEC_US);
    lab.store.put(ownKey, attrs("1.1.1.1"), lab.store.grant(600));
    lab.wait(15 * SEC_US);
    expect(node.end).toEqual({ t: "revoked" });
    expect(node.log).toMatch(/1\.1\.1\.1 holds it now|was taken over by another node/);
    expect(lab.store.text(ownKey)).toBe(attrs("1.1.1.1"));
  });

  test("by sleeping past it: fenced before anything else, and never taken back from its new holder", () => {
    const { lab, node, ownKey } = running(6);
    node.suspended = true;
    lab.wait(10 * SEC_US);
    expect(node.manager.isValid(lab.now)).toBe(false);
    lab.store.put(ownKey, attrs("1.1.1.1"), lab.store.grant(600));
    const had = node.outputs.length;
    node.suspended = false;
    lab.wait(5 * SEC_US);
    expect(node.outputs[had]).toMatchObject({ t: "fenced" });
    expect(node.end).toEqual({ t: "revoked" });
    expect(lab.store.text(ownKey)).toBe(attrs("1.1.1.1"));
  });

  test("by a wiped store: everybody claims their own subnet anew, and finds the others again", () => {
    const lab = new Lab();
    for (let i = 0; i < 8; i++) lab.node({ publicIp: `192.168.56.${i + 1}`, seed: i });
    lab.wait(5 * SEC_US);
    const before = lab.nodes.map(subnetOf);
    lab.store.wipe();
    lab.store.put(CONFIG, UPSTREAM_CONFIG);
    lab.wait(10 * SEC_US);
    expect(lab.nodes.map(subnetOf)).toEqual(before);
    for (const node of lab.nodes) {
      expect(node.end).toBeUndefined();
      expect(node.fenced).toBe(false);
      expect(node.peers.size).toBe(7);
    }
    expect(lab.keys).toHaveLength(8);
  });

  test("not by a hand that writes its key without a lease: it hangs on ours again", () => {
    const { lab, node, ownKey } = running();
    lab.store.put(ownKey, attrs("192.168.56.1"));
    lab.wait(SEC_US);
    expect(node.end).toBeUndefined();
    expect(lab.store.etcd.get(ownKey)?.lease).toBe(node.own?.lease);
    expect(lab.store.text(ownKey)).toBe(VALUE);
    lab.wait(60 * SEC_US);
    expect(node.fenced).toBe(false);
  });
});

describe("watching the others", () => {
  test("TestWatchLeaseAdded and TestWatchLeaseRemoved: by hand, by expiry", () => {
    const lab = new Lab();
    const node = lab.node();
    lab.wait(SEC_US);
    expect(node.said("synced")).toHaveLength(1);
    const other = key("10.3.30.0-24");
    lab.store.put(other, attrs("1.1.1.1"), lab.store.grant(3));
    lab.wait(10 * MS_US);
    expect(node.said("added").map((o) => o.lease.key)).toEqual([other]);
    lab.wait(3 * SEC_US);
    expect(node.said("removed").map((o) => o.lease.key)).toEqual([other]);
    expect(node.said("added").some((o) => o.lease.key === key(subnetOf(node).replace("/", "-")))).toBe(false);
  });

  test("compaction while disconnected: what changed in the gap is delivered", () => {
    const lab = new Lab();
    for (const n of [30, 31]) lab.store.put(key(`10.3.${n}.0-24`), attrs(`1.1.1.${n}`));
    const node = lab.node();
    lab.wait(SEC_US);
    node.conn.breakWatches(lab.now);
    lab.store.put(key("10.3.30.0-24"), attrs("1.1.1.99"));
    lab.store.del(key("10.3.31.0-24"));
    lab.store.put(key("10.3.32.0-24"), attrs("1.1.1.32"));
    lab.store.compact();
    lab.wait(SEC_US);
    const addresses = [...node.peers.values()]
      .map((peer) => peer.attrs.publicIp & 0xff)
      .sort((a, b) => a - b);
    expect(addresses).toEqual([32, 99]);
    expect(node.said("synced")).toHaveLength(1);
  });

  test("what is ignored is told when it changes, and shown in the status", () => {
    const lab = new Lab();
    const node = lab.node();
    lab.wait(SEC_US);
    expect(node.said("ignored")).toEqual([]);
    lab.store.put(`${PREFIX}/subnets/10.5.250.0-24`, "{ not json");
    lab.wait(SEC_US);
    expect(node.said("ignored")).toHaveLength(1);
    expect(node.manager.status().ignored.map(formatPrefix)).toEqual(["10.5.250.0/24"]);
    lab.store.del(`${PREFIX}/subnets/10.5.250.0-24`);
    lab.wait(SEC_US);
    expect(node.said("ignored")).toHaveLength(2);
    expect(node.manager.status().ignored).toEqual([]);
  });

  test("hostile content is logged and ignored, key by key", () => {
    const lab = new Lab();
    lab.store.put(`${PREFIX}/subnets`, "x");
    lab.store.put(key("10.3.30.0-24"), attrs("1.1.1.1"));
    lab.store.put(key("10.3.31.0-24"), new Uint8Array([0xc3, 0x28]));
    lab.store.put(key("10.3.32.0-24"), "[".repeat(20_000));
    lab.store.put(key("💥"), '{"PublicIP":"1.1.1.1"}');
    lab.store.put(key("0.0.0.0-0&::-0"), attrs("1.1.1.3"));
    const node = lab.node();
    lab.wait(SEC_US);
    // A lease on all addresses blocks every subnet: that is what "taken" means, and it has a sentence.
    expect(fatalOf(node)).toContain("out of subnets");
    lab.store.del(key("0.0.0.0-0&::-0"));
    const second = lab.node();
    lab.wait(SEC_US);
    expect([...second.peers.keys()]).toEqual([key("10.3.30.0-24")]);
    lab.store.put(key("10.3.30.0-24"), "{");
    lab.store.put(key("0.0.0.0-0&::-0"), attrs("1.1.1.3"));
    lab.wait(SEC_US);
    expect(second.end).toBeUndefined();
    expect([...second.peers.keys()]).toEqual([key("10.3.30.0-24")]);
    expect(second.said("log").filter((o) => o.level === "warn").length).toBeGreaterThanOrEqual(5);
  });
});

describe("renew mode", () => {
  const HOUR = 3_600 * SEC_US;
  const renew = { mode: "renew", ttlSec: 86_400, renewMarginSec: 3_600 } as const;

  function running(strict: boolean): { lab: Lab; node: SubnetNode; ownKey: string; ops: StoreOp[] } {
    const lab = new Lab();
    const node = lab.node({ lease: renew, strict });
    const ops = OPERATIONS(node);
    lab.wait(SEC_US);
    return { lab, node, ownKey: key(lab.keys[0] as string), ops };
  }

  test.each([false, true])(
    "TestRenewLease: a new lease an hour before the end, the same value (strict %s)",
    (strict) => {
      const { lab, node, ownKey } = running(strict);
      const first = lab.store.etcd.get(ownKey);
      lab.wait(22.9 * HOUR);
      expect(lab.store.etcd.get(ownKey)?.lease).toBe(first?.lease);
      lab.wait(0.2 * HOUR);
      const second = lab.store.etcd.get(ownKey);
      expect(second?.lease).not.toBe(first?.lease);
      expect(lab.store.text(ownKey)).toBe(VALUE);
      expect(second?.createRevision).toBe(first?.createRevision);
      expect(node.own?.lease).toBe(second?.lease);
      lab.wait(100 * HOUR);
      expect(node.end).toBeUndefined();
      expect(node.fenced).toBe(false);
      expect(node.log).toContain("Lease renewed, new expiration");
    },
  );

  test("TestCompleteLease: a deleted key is the end", () => {
    for (const strict of [false, true]) {
      const { lab, node, ownKey } = running(strict);
      lab.store.del(ownKey);
      lab.wait(SEC_US);
      expect(node.end).toEqual({ t: "revoked" });
      expect(node.log).toContain("Lease has been revoked. Shutting down daemon.");
    }
  });

  test("a sleep that stops the clock brings the renewal nearer, and past the end of the lease it fences", () => {
    const { lab, node, ownKey } = running(false);
    const first = lab.store.etcd.get(ownKey)?.lease;
    node.manager.handle({ t: "slept", forUs: 22.5 * HOUR }, lab.now);
    node.drain(lab.now);
    lab.wait(0.4 * HOUR);
    expect(lab.store.etcd.get(ownKey)?.lease).toBe(first);
    lab.wait(0.2 * HOUR);
    expect(lab.store.etcd.get(ownKey)?.lease).not.toBe(first);
    expect(node.fenced).toBe(false);
    node.manager.handle({ t: "slept", forUs: 25 * HOUR }, lab.now);
    node.drain(lab.now);
    expect(node.manager.isValid(lab.now)).toBe(false);
    expect(node.fenced).toBe(true);
  });

  test.each(["leaseGrant", "txn"])(
    "a sleep while the renewal's %s is under way counts against the new lease, too",
    (underWay) => {
      const { lab, node } = running(false);
      lab.wait(22.9 * HOUR);
      const submit = node.conn.submit.bind(node.conn);
      let sentAt = 0;
      node.conn.submit = (op, now) => {
        submit(op, now);
        if (op.t === "leaseGrant") sentAt = now;
        if (op.t === underWay) node.manager.handle({ t: "slept", forUs: 0.3 * HOUR }, now);
      };
      lab.wait(0.2 * HOUR);
      expect(sentAt).toBeGreaterThan(0);
      // A day from the sending, less what was slept, less the margin of half an hour.
      expect(node.manager.status().validUntil).toBe(sentAt + (24 - 0.3 - 0.5) * HOUR);
      expect(node.fenced).toBe(false);
    },
  );

  test("a renewal that fails is tried again in a minute", () => {
    const { lab, node } = running(true);
    lab.store.outage(lab.now + 22.9 * HOUR, lab.now + 23.5 * HOUR);
    lab.wait(23.4 * HOUR);
    const tries = node
      .said("log")
      .filter((o) => o.message.startsWith("Error renewing lease (trying again in 1 min): "));
    expect(tries.length).toBeGreaterThan(20);
    lab.wait(0.3 * HOUR);
    expect(node.log).toContain("Lease renewed");
  });

  test("a renewal whose answer is lost is recognised", () => {
    const { lab, node, ownKey } = running(false);
    lab.wait(22.9 * HOUR);
    const submit = node.conn.submit.bind(node.conn);
    let lost = 0;
    node.conn.submit = (op, now) => {
      if (op.t !== "txn" || lost++ > 0) return submit(op, now);
      lab.store.etcd.execute(op, now);
      node.manager.handle({ t: "opFailed", id: op.id, code: "timeout", message: "deadline exceeded" }, now);
      return undefined;
    };
    lab.wait(0.2 * HOUR);
    expect(lost).toBeGreaterThan(0);
    expect(node.end).toBeUndefined();
    expect(node.own?.lease).toBe(lab.store.etcd.get(ownKey)?.lease);
    lab.wait(3 * HOUR);
    expect(node.end).toBeUndefined();
  });

  /** The node sleeps past its lease, and its subnet goes to somebody else. */
  function sleepPast(strict: boolean): { lab: Lab; node: SubnetNode; ownKey: string } {
    const { lab, node, ownKey } = running(strict);
    node.suspended = true;
    lab.wait(25 * HOUR);
    expect(lab.keys).toEqual([]);
    expect(node.manager.isValid(lab.now)).toBe(strict);
    lab.store.put(ownKey, attrs("1.1.1.1"), lab.store.grant(864_000));
    // The renewal is on its way before the watch can tell.
    node.conn.breakWatches(lab.now);
    node.suspended = false;
    lab.wait(10 * SEC_US);
    return { lab, node, ownKey };
  }

  test("a node that slept past its lease never takes its subnet back by default", () => {
    const { lab, node, ownKey } = sleepPast(false);
    expect(node.end).toEqual({ t: "revoked" });
    expect(lab.store.text(ownKey)).toBe(attrs("1.1.1.1"));
  });

  test("a node that slept past its lease overwrites the new holder with strict: split brain, as flanneld", () => {
    const { lab, ownKey } = sleepPast(true);
    expect(lab.store.text(ownKey)).toBe(VALUE);
  });

  test("Q3 (strict): one failed first read of the own lease, and the lease dies a day later while the daemon runs on", () => {
    const lab = new Lab();
    const node = lab.node({ lease: renew, strict: true });
    const submit = node.conn.submit.bind(node.conn);
    node.conn.submit = (op, now) => {
      if (op.t !== "range" || op.range.rangeEnd !== undefined || op.range.key === CONFIG)
        return submit(op, now);
      node.manager.handle({ t: "opFailed", id: op.id, code: "unavailable", message: "etcd hiccup" }, now);
      return undefined;
    };
    lab.wait(SEC_US);
    expect(node.log).toContain("Subnet watch failed: etcd hiccup\nStopped monitoring lease");
    lab.wait(25 * HOUR);
    expect(lab.keys).toEqual([]);
    expect(node.end).toBeUndefined();
  });

  test("strict: a hand that detaches the own key is answered with a renewal at once", () => {
    const { lab, node, ownKey } = running(true);
    lab.store.put(ownKey, VALUE);
    lab.wait(SEC_US);
    expect(node.end).toBeUndefined();
    expect(lab.store.etcd.get(ownKey)?.lease).not.toBe("0");
  });

  test("no keep-alive is ever sent", () => {
    const { lab, ops } = running(false);
    lab.wait(24 * HOUR);
    expect(ops.filter((op) => op.t === "leaseKeepAlive")).toEqual([]);
  });
});

describe("stop", () => {
  test("with revoke: the others see it within milliseconds, and this node is fenced first", () => {
    const lab = new Lab();
    const [node, other] = [lab.node(), lab.node({ publicIp: "192.168.56.2", seed: 9 })];
    lab.wait(SEC_US);
    expect(other.peers.size).toBe(1);
    node.stop(true, lab.now);
    expect(node.fenced).toBe(true);
    expect(node.manager.isValid(lab.now)).toBe(false);
    lab.wait(10 * MS_US);
    expect(node.end).toEqual({ t: "stopped" });
    expect(other.peers.size).toBe(0);
  });

  test("without revoke: the key stays for the next run", () => {
    const lab = new Lab();
    const node = lab.node();
    lab.wait(SEC_US);
    node.stop(false, lab.now);
    expect(node.end).toEqual({ t: "stopped" });
    expect(lab.keys).toHaveLength(1);
  });

  test("before anything was acquired, while the store is down, and twice", () => {
    const lab = new Lab();
    lab.store.outage(0, NEVER);
    const node = lab.node();
    lab.wait(3 * SEC_US);
    node.stop(true, lab.now);
    node.stop(true, lab.now);
    lab.wait(10 * SEC_US);
    expect(node.said("stopped")).toHaveLength(1);
    expect(node.manager.nextDeadline()).toBe(NEVER);
  });
});
