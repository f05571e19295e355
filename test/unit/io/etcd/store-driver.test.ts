// What the contract suite cannot provoke from a real server.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { StoreEvent } from "../../../../src/control/datastore/messages.ts";
import {
  type EtcdTransport,
  type KeptAlive,
  StoreError,
  type StreamSink,
  type WatchMessage,
} from "../../../../src/io/etcd/etcd-transport.ts";
import { StoreDriver } from "../../../../src/io/etcd/store-driver.ts";

const HEADER = { clusterId: "7", revision: 5 };
const MESSAGE: WatchMessage = {
  header: HEADER,
  created: false,
  canceled: false,
  compactRevision: 0,
  reason: "",
  events: [],
};

/** A transport whose streams the test speaks on. */
class Scripted {
  readonly watches: { sink: StreamSink<WatchMessage>; cancelled: boolean }[] = [];
  readonly keepAlives: { sink: StreamSink<KeptAlive>; sent: string[]; cancelled: boolean }[] = [];
  range = () => new Promise<never>(() => {});

  openWatch(_range: unknown, _revision: number, sink: StreamSink<WatchMessage>) {
    const watch = { sink, cancelled: false };
    this.watches.push(watch);
    return { progress: () => {}, cancel: () => void (watch.cancelled = true) };
  }
  openKeepAlive(sink: StreamSink<KeptAlive>) {
    const stream = { sink, sent: [] as string[], cancelled: false };
    this.keepAlives.push(stream);
    return {
      send: (lease: string) => void stream.sent.push(lease),
      cancel: () => void (stream.cancelled = true),
    };
  }
  close = () => Promise.resolve();
}

let events: StoreEvent[];
let transport: Scripted;
let driver: StoreDriver;
let sleptUs: number;

beforeEach(() => {
  sleptUs = 7_000;
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
  events = [];
  transport = new Scripted();
  driver = new StoreDriver(transport as unknown as EtcdTransport, (event) => events.push(event), {
    sleptUs: () => sleptUs,
  });
});
afterEach(async () => {
  await driver.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const RANGE = { key: "/", rangeEnd: "0" };

describe("a watch", () => {
  test("that nobody confirms in 3 s is broken and cancelled", () => {
    driver.perform({ t: "watchOpen", watch: 1, range: RANGE, startRevision: 1 });
    vi.advanceTimersByTime(2999);
    expect(events).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(events).toMatchObject([{ t: "watchBroken", watch: 1 }]);
    expect(transport.watches[0]?.cancelled).toBe(true);
  });

  test("that is confirmed may be silent as long as it likes", () => {
    driver.perform({ t: "watchOpen", watch: 1, range: RANGE, startRevision: 1 });
    transport.watches[0]?.sink.message({ ...MESSAGE, created: true });
    vi.advanceTimersByTime(60_000);
    expect(events).toMatchObject([{ t: "watchCreated", watch: 1, header: HEADER }]);
  });

  test("confirmed and refused in one message is only refused", () => {
    driver.perform({ t: "watchOpen", watch: 1, range: RANGE, startRevision: 1 });
    transport.watches[0]?.sink.message({
      ...MESSAGE,
      created: true,
      canceled: true,
      reason: "permission denied",
    });
    expect(events).toEqual([
      { t: "watchCanceled", watch: 1, compactRevision: 0, reason: "permission denied" },
    ]);
  });

  test("opened again under its number replaces the first, whose last words are not heard", () => {
    driver.perform({ t: "watchOpen", watch: 1, range: RANGE, startRevision: 1 });
    driver.perform({ t: "watchOpen", watch: 1, range: RANGE, startRevision: 2 });
    expect(transport.watches.map((watch) => watch.cancelled)).toEqual([true, false]);
    transport.watches[1]?.sink.message({ ...MESSAGE, created: true });
    expect(events).toHaveLength(1);
  });
});

describe("keep-alives", () => {
  test("that are not answered in 3 s fail together, and the next opens another stream", () => {
    driver.perform({ t: "leaseKeepAlive", id: 1, lease: "8" });
    vi.advanceTimersByTime(1000);
    driver.perform({ t: "leaseKeepAlive", id: 2, lease: "9" });
    vi.advanceTimersByTime(2000);
    expect(events).toMatchObject([
      { t: "opFailed", id: 1, code: "timeout" },
      { t: "opFailed", id: 2, code: "timeout" },
    ]);
    expect(transport.keepAlives[0]?.cancelled).toBe(true);
    driver.perform({ t: "leaseKeepAlive", id: 3, lease: "8" });
    transport.keepAlives[1]?.sink.message({ lease: "8", ttlSec: 20 });
    expect(events.at(-1)).toEqual({ t: "leaseKeptAlive", id: 3, lease: "8", ttlSec: 20 });
  });

  test("the wait counts for each from its own sending", () => {
    driver.perform({ t: "leaseKeepAlive", id: 1, lease: "8" });
    vi.advanceTimersByTime(2000);
    driver.perform({ t: "leaseKeepAlive", id: 2, lease: "8" });
    transport.keepAlives[0]?.sink.message({ lease: "8", ttlSec: 20 });
    vi.advanceTimersByTime(2999);
    expect(events).toMatchObject([{ t: "leaseKeptAlive", id: 1 }]);
    vi.advanceTimersByTime(1);
    expect(events.at(-1)).toMatchObject({ t: "opFailed", id: 2 });
  });

  test("a broken stream fails what waits on it, once", () => {
    driver.perform({ t: "leaseKeepAlive", id: 1, lease: "8" });
    transport.keepAlives[0]?.sink.broken(new StoreError("unavailable", "gone"));
    vi.advanceTimersByTime(10_000);
    expect(events).toEqual([{ t: "opFailed", id: 1, code: "unavailable", message: "gone" }]);
  });

  test("an answer for a lease that nobody asked about is ignored", () => {
    driver.perform({ t: "leaseKeepAlive", id: 1, lease: "8" });
    transport.keepAlives[0]?.sink.message({ lease: "99", ttlSec: 20 });
    expect(events).toEqual([]);
  });
});

test("operations under way are bounded", async () => {
  for (let id = 1; id <= 1025; id++) driver.perform({ t: "range", id, range: RANGE });
  expect(events).toEqual([]);
  await Promise.resolve();
  expect(events).toMatchObject([{ t: "opFailed", id: 1025, code: "unavailable" }]);
});

test("a sleep of the machine is told before an answer that came after it, once, and short ones when they add up", () => {
  driver.perform({ t: "leaseKeepAlive", id: 1, lease: "9" });
  sleptUs += 60_000_000;
  transport.keepAlives[0]?.sink.message({ lease: "9", ttlSec: 20 });
  expect(events).toEqual([
    { t: "slept", forUs: 60_000_000 },
    { t: "leaseKeptAlive", id: 1, lease: "9", ttlSec: 20 },
  ]);
  for (let i = 0; i < 3; i++) {
    sleptUs += 40_000;
    driver.checkSleep();
  }
  expect(events.slice(2)).toEqual([{ t: "slept", forUs: 120_000 }]);
});

test("a sleep of the machine is told within five seconds, when nothing else happens", () => {
  sleptUs += 60_000_000;
  vi.advanceTimersByTime(5000);
  expect(events).toEqual([{ t: "slept", forUs: 60_000_000 }]);
  vi.advanceTimersByTime(60_000);
  expect(events).toHaveLength(1);
});
