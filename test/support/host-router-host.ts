// Three namespaces on one stack: a host, a router, a host. The fixture of every test above layer 2.
//
//     a ── eth0 10.0.1.2 ═══ 10.0.1.1 eth0 ── r ── eth1 10.0.2.1 ═══ 10.0.2.2 eth0 ── b
import { type Ipv4Addr, ipv4, prefix } from "../../src/base/ipv4-addr.ts";
import { mac } from "../../src/base/mac-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { type Instant, NEVER } from "../../src/base/time.ts";
import type { NetDevice } from "../../src/stack/net-device.ts";
import { NetStack } from "../../src/stack/net-stack.ts";
import type { Netns } from "../../src/stack/netns.ts";
import { PacketPool } from "../../src/stack/packet-pool.ts";
import { vethPair } from "../../src/stack/veth.ts";

export const A: Ipv4Addr = ipv4("10.0.1.2");
export const R_TO_A: Ipv4Addr = ipv4("10.0.1.1");
export const R_TO_B: Ipv4Addr = ipv4("10.0.2.1");
export const B: Ipv4Addr = ipv4("10.0.2.2");

export interface Lab {
  readonly stack: NetStack;
  readonly a: Netns;
  readonly r: Netns;
  readonly b: Netns;
  /** The device on each side of the two cables. */
  readonly aDev: NetDevice;
  readonly rDevA: NetDevice;
  readonly rDevB: NetDevice;
  readonly bDev: NetDevice;
  /** Virtual time, in microseconds. */
  now: Instant;
}

/** Builds it, up and with default routes. @param mtuBytes of the cable between r and b; the other has 1500 */
export function hostRouterHost(mtuBytes = 1500): Lab {
  const stack = new NetStack({ rng: new SeededRng(7), pool: new PacketPool(8192, true) });
  const a = stack.addNetns("a");
  const r = stack.addNetns("r");
  const b = stack.addNetns("b");
  const [aDev, rDevA] = vethPair(
    stack,
    "eth0",
    "eth0",
    mac("02:00:00:00:01:02"),
    mac("02:00:00:00:01:01"),
    1500,
  );
  const [rDevB, bDev] = vethPair(
    stack,
    "eth1",
    "eth0",
    mac("02:00:00:00:02:01"),
    mac("02:00:00:00:02:02"),
    mtuBytes,
  );
  plug(a, aDev, A);
  plug(r, rDevA, R_TO_A);
  plug(r, rDevB, R_TO_B);
  plug(b, bDev, B);
  r.sysctl.ipForward = true;
  must(a.addRoute({ dst: prefix("0.0.0.0/0"), via: R_TO_A }, 0));
  must(b.addRoute({ dst: prefix("0.0.0.0/0"), via: R_TO_B }, 0));
  return { stack, a, r, b, aDev, rDevA, rDevB, bDev, now: 1_000_000 };
}

function plug(netns: Netns, dev: NetDevice, addr: Ipv4Addr): void {
  netns.addDevice(dev);
  netns.setLink(dev, true, 0);
  must(netns.addAddress(dev, { addr, len: 24 }, 0));
}

/** Dies on a refusal: for set-up that cannot fail. */
export function must<T>(result: { ok: true; value: T } | { ok: false; error: string }): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

/** Runs until nothing is left to do at this moment. */
export function settle(lab: { readonly stack: NetStack; readonly now: Instant }): void {
  for (let i = 0; lab.stack.run(lab.now); i++)
    if (i > 10_000) throw new Error("the stack does not come to rest");
}

/** Lets time pass, firing every timer at its moment. */
export function advance(lab: { readonly stack: NetStack; now: Instant }, us: number): void {
  const until = lab.now + us;
  settle(lab);
  for (
    let next = lab.stack.nextDeadline();
    next !== NEVER && next <= until;
    next = lab.stack.nextDeadline()
  ) {
    lab.now = Math.max(lab.now, next);
    settle(lab);
  }
  lab.now = until;
  settle(lab);
}

/** Takes everything down. Afterwards no packet may have an owner, and no timer be armed. */
export function tearDown(lab: { readonly stack: NetStack; readonly now: Instant }): void {
  for (const netns of lab.stack.namespaces()) lab.stack.delNetns(netns.name, lab.now);
}
