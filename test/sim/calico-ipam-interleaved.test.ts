// One host stands still before each operation of its request, another performs a whole request meanwhile, and the first goes on
// with what it had read: every guard of every write is put to the test.
import { describe, expect, test } from "vitest";
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import { SEC_US } from "../../src/base/time.ts";
import type { IpamPool } from "../../src/control/calico/ipam/ipam-context.ts";
import type { IpamRequest } from "../../src/control/calico/ipam/ipam-messages.ts";
import { autoAssign, IpamCluster, releaseHandle } from "../support/ipam-cluster.ts";
import { poolOf } from "../support/ipam-host.ts";

interface Pair {
  readonly what: string;
  readonly pool: IpamPool;
  readonly prepare: (cluster: IpamCluster) => void;
  /** What host-1 asks, and is interrupted at. */
  readonly request: IpamRequest;
  readonly meanwhile: (cluster: IpamCluster) => void;
  /** How many addresses are held in the end, whatever the order. */
  readonly held: number;
  /** The first operation to be interrupted at; default 1. */
  readonly from?: number;
}

const BLOCK = poolOf("10.0.0.0/30", 30);
const TWO_BLOCKS = poolOf("10.0.0.0/29", 30);
const ONE_ADDRESS = poolOf("10.0.0.0/32", 32);

function emptyBlockOf(cluster: IpamCluster, host: string): void {
  cluster.assign(host, "old");
  cluster.do(host, releaseHandle("old"));
  cluster.wait(61 * SEC_US);
}

function giveUp(host: string): IpamRequest {
  return { t: "releaseHostAffinities", host, requireEmpty: false };
}

const PAIRS: readonly Pair[] = [
  {
    what: "two claim the same block",
    pool: BLOCK,
    prepare: () => undefined,
    request: autoAssign("host-1", "a"),
    meanwhile: (cluster) => cluster.assign("host-2", "b"),
    held: 2,
  },
  {
    what: "a block is reclaimed while its host allocates",
    pool: BLOCK,
    prepare: (cluster) => emptyBlockOf(cluster, "host-2"),
    request: autoAssign("host-1", "a"),
    meanwhile: (cluster) => cluster.assign("host-2", "b"),
    held: 2,
  },
  {
    what: "a host allocates while its block is reclaimed",
    pool: BLOCK,
    prepare: (cluster) => emptyBlockOf(cluster, "host-1"),
    request: autoAssign("host-1", "a"),
    meanwhile: (cluster) => cluster.assign("host-2", "b"),
    held: 2,
  },
  {
    what: "two reclaim the same block",
    pool: BLOCK,
    prepare: (cluster) => emptyBlockOf(cluster, "host-3"),
    request: autoAssign("host-1", "a"),
    meanwhile: (cluster) => cluster.assign("host-2", "b"),
    held: 2,
  },
  {
    what: "an empty block is given up while another host borrows from it",
    pool: BLOCK,
    prepare: (cluster) => emptyBlockOf(cluster, "host-1"),
    request: giveUp("host-1"),
    meanwhile: (cluster) => cluster.assign("host-2", "b"),
    held: 1,
  },
  {
    what: "a host is given up by others while it allocates",
    pool: TWO_BLOCKS,
    prepare: (cluster) => cluster.assign("host-1", "before"),
    request: autoAssign("host-1", "a", 5),
    meanwhile: (cluster) => cluster.do("host-2", giveUp("host-1")),
    held: 6,
  },
  {
    what: "an address is released by a person while its pod goes and another comes",
    pool: ONE_ADDRESS,
    prepare: (cluster) => cluster.assign("host-2", "a"),
    request: { t: "releaseIps", addrs: [ipv4("10.0.0.0")] },
    meanwhile: (cluster) => {
      cluster.do("host-2", releaseHandle("a"));
      cluster.assign("host-2", "b");
    },
    held: 1,
    // Before the block has been read, the address is the next pod's, and the person gets what was asked for.
    from: 2,
  },
  {
    what: "the last address of nobody's block is released while another is borrowed",
    pool: BLOCK,
    prepare: (cluster) => {
      cluster.assign("host-1", "a");
      cluster.do("host-1", giveUp("host-1"));
    },
    request: releaseHandle("a"),
    meanwhile: (cluster) => cluster.assign("host-2", "b"),
    held: 1,
  },
  {
    what: "two pods of one block go at once",
    pool: BLOCK,
    prepare: (cluster) => {
      cluster.assign("host-1", "a");
      cluster.assign("host-2", "b");
    },
    request: releaseHandle("a"),
    meanwhile: (cluster) => cluster.do("host-2", releaseHandle("b")),
    held: 0,
  },
];

describe("two requests at once, in every order of their operations", () => {
  test.each(PAIRS)("$what", (pair) => {
    let at = pair.from ?? 1;
    for (; ; at++) {
      const cluster = new IpamCluster(at, [pair.pool]);
      pair.prepare(cluster);
      const host = cluster.host("host-1");
      host.ops.length = 0;
      host.holdAt = at;
      if (cluster.do("host-1", pair.request) !== undefined) break;
      cluster.hosts.delete("host-1");
      pair.meanwhile(cluster);
      cluster.hosts.set("host-1", host);
      host.resume(cluster.now);
      cluster.run(600 * SEC_US);
      const answer = [...host.answers.values()].at(-1);
      expect(answer?.error, `operation ${at}`).toBeUndefined();
      expect(cluster.held.size, `operation ${at}`).toBe(pair.held);
      expect(cluster.residue(), `operation ${at}`).not.toMatch(/leaked|counts/);
      cluster.releaseAll();
    }
    expect(at).toBeGreaterThan(2);
  });
});
