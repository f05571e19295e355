// A tunnel's address while pools change their minds: nothing is told to others that IPAM has not given.
import { beforeEach, expect, test } from "vitest";
import { TunnelHolder } from "../../../../src/agent/calico/tunnel-holder.ts";
import { formatIpv4, type Ipv4Addr, ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { type Instant, SEC_US } from "../../../../src/base/time.ts";
import { type Pool, poolOf } from "../../../../src/control/calico/calc/pool-table.ts";
import type { IpamBlock } from "../../../../src/control/calico/ipam/ipam-block.ts";
import type { IpamRequest } from "../../../../src/control/calico/ipam/ipam-messages.ts";
import { block, pool } from "../../../support/calico.ts";

const FIRST = ipv4("192.168.0.1");
const ASKING = poolOf(pool("p", { cidr: "192.168.0.0/16", vxlanMode: "Always" })) as Pool;

let now: Instant;
let pools: Pool[];
let blocks: IpamBlock[];
let asked: IpamRequest[];
let settled: string[];
let holder: TunnelHolder;

beforeEach(() => {
  now = SEC_US;
  pools = [ASKING];
  blocks = [];
  asked = [];
  settled = [];
  holder = new TunnelHolder({
    kind: "vxlan",
    node: "a",
    pools: () => pools,
    blocks: () => blocks,
    request: (request) => asked.push(request),
    log: () => {},
    settled: (addr) => settled.push(addr === undefined ? "none" : formatIpv4(addr)),
  });
});

/** IPAM's answer to the last request, and what is known of the block from then on. */
function answer(addrs: Ipv4Addr[], seen: IpamBlock[]): void {
  holder.onIpam(asked.length, { addrs, error: undefined }, now);
  blocks = seen;
  holder.work(now);
}

function later(): void {
  now += 10 * SEC_US;
  holder.work(now);
}

/** The block of node a, in which the tunnel has an address. */
function held(addr: Ipv4Addr): IpamBlock {
  const made = block("192.168.0.0/26", "a", { [formatIpv4(addr)]: "a" });
  return { ...made, attributes: [{ handleId: "vxlan-tunnel-addr-a", secondary: { node: "a" } }] };
}

const kinds = (): string[] => asked.map(({ t }) => t);

test("an address that was given back is not told when a pool asks again: IPAM is", () => {
  holder.work(now);
  // Given, but no pool asks any more.
  pools = [];
  answer([FIRST], [held(FIRST)]);
  expect(kinds()).toEqual(["autoAssign", "releaseByHandle"]);
  answer([FIRST], [block("192.168.0.0/26", "a")]);
  expect([holder.addr, settled]).toEqual([undefined, ["none"]]);
  pools = [ASKING];
  later();
  expect(holder.addr).toBeUndefined();
  expect(kinds()).toEqual(["autoAssign", "releaseByHandle", "autoAssign"]);
  const second = ipv4("192.168.0.2");
  answer([second], [held(second)]);
  expect([holder.addr, settled]).toEqual([second, ["none", "192.168.0.2"]]);
});

test("nor while the block still seems to hold it", () => {
  holder.work(now);
  pools = [];
  answer([FIRST], [held(FIRST)]);
  pools = [ASKING];
  answer([FIRST], [held(FIRST)]);
  expect(holder.addr).toBeUndefined();
  blocks = [block("192.168.0.0/26", "a")];
  later();
  expect(kinds()).toEqual(["autoAssign", "releaseByHandle", "autoAssign"]);
});

test("an address of a life that ended before it was told is told", () => {
  blocks = [held(FIRST)];
  holder.work(now);
  expect([holder.addr, holder.isSettled, kinds()]).toEqual([FIRST, true, []]);
});
