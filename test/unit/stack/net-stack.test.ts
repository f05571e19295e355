import { afterEach, expect, test } from "vitest";
import { DropReason } from "../../../src/base/drop-reason.ts";
import { mac } from "../../../src/base/mac-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { NEVER } from "../../../src/base/time.ts";
import { Timer } from "../../../src/base/timer-queue.ts";
import { NetStack } from "../../../src/stack/net-stack.ts";
import type { Netns } from "../../../src/stack/netns.ts";
import { PacketPool } from "../../../src/stack/packet-pool.ts";
import { type Veth, vethPair } from "../../../src/stack/veth.ts";
import { packetOf, Sink, udpFrame } from "../../support/frames.ts";

const A = mac("02:00:00:00:00:0a");
const B = mac("02:00:00:00:00:0b");
const traced: string[] = [];
const pool = new PacketPool(5000, true);
const newStack = () =>
  new NetStack({
    rng: new SeededRng(1),
    pool,
    trace: { drop: (reason, dev, pkt) => traced.push(`${dev?.name ?? "-"} ${reason} ${pkt.length}`) },
  });

afterEach(() => {
  traced.length = 0;
  expect(pool.outstanding).toBe(0);
});

/** A veth pair between two namespaces, both ends up; what arrives at B's end goes to the sink. */
function pair(stack: NetStack, one: Netns, other: Netns): { a: Veth; b: Veth; sink: Sink } {
  const [a, b] = vethPair(stack, `to-${other.name}`, `to-${one.name}`, A, B, 1500);
  one.addDevice(a);
  other.addDevice(b);
  one.setLink(a, true, 0);
  other.setLink(b, true, 0);
  const sink = new Sink(stack);
  b.upper = sink;
  return { a, b, sink };
}

const frame = () => packetOf(pool, udpFrame({ dst: B, src: A }));

test("nothing moves until run, which then delivers in order", () => {
  const stack = newStack();
  const { a, sink } = pair(stack, stack.addNetns("one"), stack.addNetns("two"));
  expect(stack.nextDeadline()).toBe(NEVER);
  for (let port = 1; port <= 3; port++) {
    a.transmit(packetOf(pool, udpFrame({ dst: B, src: A, dstPort: port })), 5);
  }
  expect(sink.received).toEqual([]);
  expect(stack.nextDeadline()).toBe(0);
  expect(stack.run(7)).toBe(false);
  expect(sink.received.map(({ frame, at }) => [frame[37], at])).toEqual([
    [1, 7],
    [2, 7],
    [3, 7],
  ]);
  expect(stack.nextDeadline()).toBe(NEVER);
});

test("a busy namespace does not keep another one waiting", () => {
  const stack = newStack();
  const [from, busy, idle] = ["from", "busy", "idle"].map((name) => stack.addNetns(name)) as [
    Netns,
    Netns,
    Netns,
  ];
  const toBusy = pair(stack, from, busy);
  const toIdle = pair(stack, from, idle);
  for (let i = 0; i < 300; i++) toBusy.a.transmit(frame(), 0);
  toIdle.a.transmit(frame(), 0);
  expect(stack.run(0, 65)).toBe(true);
  expect(toBusy.sink.received.length).toBe(64);
  expect(toIdle.sink.received.length).toBe(1);
  expect(stack.run(0, 1000)).toBe(false);
  expect(toBusy.sink.received.length).toBe(300);
});

test("run keeps to its budget", () => {
  const stack = newStack();
  const { a, sink } = pair(stack, stack.addNetns("one"), stack.addNetns("two"));
  for (let i = 0; i < 5; i++) a.transmit(frame(), 0);
  expect(stack.run(0, 3)).toBe(true);
  expect(sink.take().length).toBe(3);
  expect(stack.run(0, 3)).toBe(false);
  expect(sink.take().length).toBe(2);
});

test("a full backlog drops with CPU_BACKLOG, counted at the receiver and at the sender", () => {
  const stack = newStack();
  const { a, b, sink } = pair(stack, stack.addNetns("one"), stack.addNetns("two"));
  for (let i = 0; i < 1003; i++) a.transmit(frame(), 0);
  expect(stack.drops.get(DropReason.CPU_BACKLOG)).toBe(3);
  expect(b.stats.rxDropped).toBe(3);
  expect(a.stats).toMatchObject({ txPackets: 1000, txDropped: 3 });
  expect(b.drops.get(DropReason.CPU_BACKLOG)).toBe(3);
  while (stack.run(0)) continue;
  expect(sink.received.length).toBe(1000);
});

test("a drop is counted in all and at the device, traced before it is released; CONSUMED is neither", () => {
  const stack = newStack();
  const { a } = pair(stack, stack.addNetns("one"), stack.addNetns("two"));
  const lost = frame();
  lost.dev = a;
  stack.drop(lost, DropReason.UNHANDLED_PROTO, 0);
  stack.drop(frame(), DropReason.NOMEM, 0);
  stack.drop(frame(), DropReason.CONSUMED, 0);
  expect(stack.drops.entries()).toEqual([
    ["NOMEM", 1],
    ["UNHANDLED_PROTO", 1],
  ]);
  expect([...a.drops]).toEqual([[DropReason.UNHANDLED_PROTO, 1]]);
  expect(traced).toEqual([`to-two ${DropReason.UNHANDLED_PROTO} 74`, `- ${DropReason.NOMEM} 74`]);
  const sound = frame();
  expect(() => stack.drop(sound, DropReason.NOT_DROPPED, 0)).toThrow("needs a reason");
  stack.consume(sound);
});

test("timers fire when due, and a deadline that has come means more work", () => {
  const stack = newStack();
  const fired: number[] = [];
  const timer = new Timer((now) => {
    fired.push(now);
    if (fired.length < 3) stack.timers.set(timer, fired.length * 10);
  });
  stack.timers.set(timer, 5);
  expect(stack.nextDeadline()).toBe(5);
  expect(stack.run(4)).toBe(false);
  expect(fired).toEqual([]);
  stack.run(12);
  expect(fired).toEqual([12, 12]);
  expect(stack.nextDeadline()).toBe(20);
});

test("deleting a namespace releases what waits there, and takes the peer of its veth along", () => {
  const stack = newStack();
  const one = stack.addNetns("one");
  const { a, b } = pair(stack, one, stack.addNetns("two"));
  a.transmit(frame(), 0);
  b.transmit(frame(), 0);
  stack.delNetns("two");
  expect(stack.netns("two")).toBeUndefined();
  expect(one.device("to-two")).toBeUndefined();
  expect([a.home, b.home, a.peer, b.peer]).toEqual([undefined, undefined, undefined, undefined]);
  // What was on its way to the peer finds it gone.
  expect(stack.run(1)).toBe(false);
  expect(stack.drops.get(DropReason.DEV_READY)).toBe(2);
  stack.delNetns("two");
  stack.delNetns("one");
  expect([...stack.namespaces()]).toEqual([]);
});

test("a frame for a device that moved away meanwhile is not delivered", () => {
  const stack = newStack();
  const [one, two, three] = ["one", "two", "three"].map((name) => stack.addNetns(name)) as [
    Netns,
    Netns,
    Netns,
  ];
  const { a, b, sink } = pair(stack, one, two);
  a.transmit(frame(), 0);
  two.moveDevice(b, three, 0);
  three.setLink(b, true, 0);
  b.upper = sink;
  stack.run(0);
  expect(sink.received).toEqual([]);
  a.transmit(frame(), 0);
  stack.run(0);
  expect(sink.received.length).toBe(1);
});
