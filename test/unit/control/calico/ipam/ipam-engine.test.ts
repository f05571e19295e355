import { describe, expect, test } from "vitest";
import { formatIpv4, ipv4, prefix } from "../../../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../../../src/base/rng.ts";
import { SEC_US } from "../../../../../src/base/time.ts";
import { blocksOf, fnv1 } from "../../../../../src/control/calico/ipam/block-search.ts";
import type { IpamPool } from "../../../../../src/control/calico/ipam/ipam-context.ts";
import {
  affinityKey,
  blockKey,
  handleKey,
  IPAM_CONFIG_KEY,
} from "../../../../../src/control/calico/ipam/ipam-keys.ts";
import type { IpamAnswer, IpamRequest } from "../../../../../src/control/calico/ipam/ipam-messages.ts";
import { FakeStore } from "../../../../support/fake-store.ts";
import { IpamHost, type IpamHostOptions, poolOf, runHosts, stateOf } from "../../../../support/ipam-host.ts";

class Bench {
  readonly store = new FakeStore(new SeededRng(1));
  readonly host: IpamHost;
  now = 0;

  constructor(pools: readonly IpamPool[], options: IpamHostOptions = {}) {
    this.host = new IpamHost(this.store, "w1", pools, options);
  }

  do(request: IpamRequest, host = this.host): IpamAnswer {
    const id = host.ask(request, this.now);
    this.now = runHosts(this.store, [host], this.now, this.now + 200 * SEC_US);
    return host.answers.get(id) as IpamAnswer;
  }

  assign(
    handle: string,
    count = 1,
    more: Partial<Extract<IpamRequest, { t: "autoAssign" }>> = {},
  ): IpamAnswer {
    const attributes = { node: "w1", pod: handle };
    return this.do({ t: "autoAssign", host: "w1", count, handle, attributes, use: "Workload", ...more });
  }

  config(text: string): this {
    this.store.put(IPAM_CONFIG_KEY, text);
    return this;
  }
}

const strict = (more = "") => `{"strict_affinity":true,"auto_allocate_blocks":true${more}}`;

describe("errors, in Calico's words", () => {
  test("no pools", () => {
    const pools = [
      poolOf("10.0.0.0/24", 26, { disabled: true }),
      poolOf("10.1.0.0/24", 26, { selectsNode: false }),
    ];
    const bench = new Bench([...pools, poolOf("10.2.0.0/24", 26, { automatic: false })]);
    expect(bench.assign("a").error).toEqual({
      code: "noPools",
      message: "no configured Calico pools for node w1",
    });
    expect(bench.assign("a", 1, { pools: [prefix("10.0.0.0/24")] }).error?.message).toBe(
      "the given pool (10.0.0.0/24) does not exist, or is not enabled",
    );
    // Asked for by name, a manual pool is used, and so is one that does not select the node.
    expect(
      bench.assign("a", 1, { pools: [prefix("10.2.0.0/24"), prefix("10.1.0.0/24")] }).addrs,
    ).toHaveLength(1);
    const tunnels = new Bench([poolOf("10.0.0.0/24", 26, { allowedUses: ["Workload"] })]);
    expect(tunnels.assign("a", 1, { use: "Tunnel" }).error?.message).toBe(
      "cannot find a qualified ippool, no pools match the required use (Tunnel)",
    );
  });

  test("nothing left, loosely and strictly; what could be had is answered too", () => {
    const loose = new Bench([poolOf("10.0.0.0/30", 31)]);
    const answer = loose.assign("a", 5);
    expect(answer.addrs).toHaveLength(4);
    expect(answer.error).toEqual({
      code: "noAddresses",
      message: "Assigned 4 out of 5 requested IPv4 addresses; No IPs available in pools: [10.0.0.0/30]",
    });
    const tight = new Bench([poolOf("10.0.0.0/30", 31)]).config(strict());
    expect(tight.assign("a", 5).error?.message).toBe(
      "Assigned 4 out of 5 requested IPv4 addresses; No more free affine blocks and strict affinity enabled",
    );
  });

  test("the limit of blocks: 20, or what is configured; nothing is borrowed", () => {
    const bench = new Bench([poolOf("10.0.0.0/24", 31)]);
    expect(bench.assign("a", 41)).toMatchObject({
      error: { code: "blockLimit", message: "cannot allocate new block due to per host block limit" },
    });
    expect(stateOf(bench.store).blocks).toHaveLength(20);
    const two = new Bench([poolOf("10.0.0.0/24", 31)]).config(strict(',"maxBlocksPerHost":2'));
    expect(two.assign("a", 5).addrs).toHaveLength(4);
    expect(two.assign("b", 1).error?.code).toBe("blockLimit");
  });

  test("a particular address", () => {
    const bench = new Bench([poolOf("10.0.0.0/24", 26)]).config(strict());
    const ask = (addr: string, host = "w1") =>
      bench.do({ t: "assignIp", host, addr: ipv4(addr), handle: "a", attributes: {} });
    expect(ask("10.9.0.1").error).toEqual({
      code: "notInPool",
      message: "The provided IP address is not in a configured pool",
    });
    expect(ask("10.0.0.70").addrs.map(formatIpv4)).toEqual(["10.0.0.70"]);
    expect(ask("10.0.0.70").error?.code).toBe("taken");
    expect(ask("10.0.0.71", "w2").error).toEqual({
      code: "notAffine",
      message: "Block host affinity does not match",
    });
    expect(bench.store.text(handleKey("a"))).toBe('{"block":{"10.0.0.64/26":1},"deleted":false}');
  });

  test("names that would be other keys", () => {
    expect(new Bench([]).do({ t: "releaseByHandle", handle: "a/b" }).error?.message).toContain(
      '"a/b" cannot name',
    );
  });

  test("a release that is out of date", () => {
    const bench = new Bench([poolOf("10.0.0.0/24", 26)]);
    const [addr] = bench.assign("a").addrs as [number];
    const ask = (handle: string) =>
      bench.do({ t: "releaseIps", addrs: [addr], believed: new Map([[addr, { handle }]]) });
    expect(ask("b").error?.message).toBe(
      'update conflict: bad handle: the address belongs to "a", not to "b"',
    );
    expect(ask("a")).toEqual({ addrs: [addr], error: undefined });
    expect(ask("a")).toEqual({ addrs: [], error: undefined });
    expect(bench.store.text(handleKey("a"))).toBeUndefined();
  });
});

describe("what stands in the store may be anything", () => {
  test("a corrupt block is nobody's to use, and others are used", () => {
    const bench = new Bench([poolOf("10.0.0.0/29", 30)]);
    const [first] = blocksOf(poolOf("10.0.0.0/29", 30), "w1", new SeededRng(1));
    bench.store.put(blockKey(first as never), '{"cidr":"10.0.0.0/8"}');
    bench.store.put(affinityKey("w1", first as never), "");
    expect(bench.assign("a", 4).addrs).toHaveLength(4);
    expect(bench.host.logs.join("\n")).toContain("cannot be used: cidr");
    expect(bench.assign("b").error?.code).toBe("noAddresses");
    expect(bench.store.text(blockKey(first as never))).toBe('{"cidr":"10.0.0.0/8"}');
  });

  test("a corrupt handle, and a corrupt configuration, are named", () => {
    const bench = new Bench([poolOf("10.0.0.0/29", 30)]);
    bench.store.put(handleKey("a"), "[]");
    expect(bench.assign("a").error).toEqual({
      code: "corrupt",
      message: "/calico/ipam/v2/handle/a cannot be used: it is JSON, but a list instead of an object",
    });
    expect(bench.config("7").assign("b").error?.message).toContain("/calico/ipam/v2/config cannot be used");
  });

  test("an affinity that another host's block contradicts is deleted; a legacy one is confirmed", () => {
    const bench = new Bench([poolOf("10.0.0.0/29", 30)]);
    const other = new IpamHost(bench.store, "w2", [poolOf("10.0.0.0/29", 30)]);
    bench.do({ t: "autoAssign", host: "w2", count: 1, handle: "o", attributes: {}, use: "Workload" }, other);
    const [block] = stateOf(bench.store).blocks;
    bench.store.put(affinityKey("w1", block?.cidr as never), "");
    expect(bench.assign("a").addrs).toHaveLength(1);
    expect(bench.store.text(affinityKey("w1", block?.cidr as never))).toBeUndefined();
    expect(new Set(stateOf(bench.store).blocks.map(({ host }) => host))).toEqual(new Set(["w1", "w2"]));
  });
});

test("an empty block of a pool that no longer selects the host is given up, one with addresses is kept", () => {
  let selected = "10.0.0.0/29";
  const all = () => ["10.0.0.0/29", "10.0.1.0/29"].map((c) => poolOf(c, 29, { selectsNode: c === selected }));
  const bench = new Bench([], { pools: all });
  bench.assign("a");
  selected = "10.0.1.0/29";
  bench.assign("b");
  expect(stateOf(bench.store).affinities).toHaveLength(2);
  bench.do({ t: "releaseByHandle", handle: "a" });
  bench.assign("c");
  expect(stateOf(bench.store).affinities.map(({ cidr }) => cidr)).toEqual([prefix("10.0.1.0/29")]);
  expect(stateOf(bench.store).blocks).toHaveLength(1);
});

test("the configuration changes, unless it would be one that Calico refuses", () => {
  const bench = new Bench([]);
  expect(
    bench.do({ t: "configure", change: { strictAffinity: true, maxBlocksPerHost: 4 } }).error,
  ).toBeUndefined();
  expect(bench.store.text(IPAM_CONFIG_KEY)).toBe(strict(',"maxBlocksPerHost":4'));
  expect(bench.do({ t: "configure", change: { strictAffinity: false } }).error).toEqual({
    code: "invalid",
    message: "MaxBlocksPerHost requires StrictAffinity=true: set it, or set MaxBlocksPerHost to 0",
  });
  expect(bench.store.text(IPAM_CONFIG_KEY)).toBe(strict(',"maxBlocksPerHost":4'));
});

test("reservations are passed over, whole blocks and single addresses", () => {
  const reserved = [prefix("10.0.0.0/30"), prefix("10.0.0.5/32")];
  const bench = new Bench([poolOf("10.0.0.0/29", 30)], { reservations: () => reserved });
  expect(bench.assign("a", 4).addrs.map(formatIpv4)).toEqual(["10.0.0.4", "10.0.0.6", "10.0.0.7"]);
});

test("requests wait for each other, and a store that never answers ends them", () => {
  const bench = new Bench([poolOf("10.0.0.0/24", 26)]);
  bench.store.outage(0, 1_000 * SEC_US);
  bench.store.run(0);
  const ids = [bench.host.assign("a", 0), bench.host.assign("b", 10 * SEC_US)];
  bench.now = runHosts(bench.store, [bench.host], 0, 200 * SEC_US);
  const [a, b] = ids.map((id) => bench.host.answers.get(id));
  expect(a?.error?.message).toContain("the store did not answer in time: connection refused");
  expect(b?.error?.code).toBe("unavailable");
  expect(bench.host.engine.pending).toBe(0);
  expect(bench.host.engine.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
});

test("the start in a pool is FNV-1 of the name, and the walk visits every block once", () => {
  expect([fnv1(""), fnv1("a"), fnv1("foobar")]).toEqual([0x811c9dc5, 0x050c5d7e, 0x31f0b262]);
  const pool = poolOf("10.0.0.0/16", 26);
  const walk = [...blocksOf(pool, "worker-1", new SeededRng(1))];
  expect(walk[0]?.addr).toBe(pool.cidr.addr + (fnv1("worker-1") % 1024) * 64);
  expect(new Set(walk.map(({ addr }) => addr)).size).toBe(1024);
});
