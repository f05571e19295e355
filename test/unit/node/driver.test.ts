import { afterEach, expect, test, vi } from "vitest";
import type { AgentOutput } from "../../../src/agent/agent-messages.ts";
import type { NodeAgent } from "../../../src/agent/node-agent.ts";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
import { err } from "../../../src/base/result.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { NEVER } from "../../../src/base/time.ts";
import type { StoreEvent } from "../../../src/control/datastore/messages.ts";
import { MonotonicClock } from "../../../src/io/clock.ts";
import type { EtcdTransport } from "../../../src/io/etcd/etcd-transport.ts";
import type { Logger } from "../../../src/io/logger.ts";
import { type DriverDeps, NodeDriver } from "../../../src/node/driver.ts";
import type { StateFolder } from "../../../src/node/state-folder.ts";

test("a node learns that the machine has slept before it moves a packet", async () => {
  const did: (string | StoreEvent)[] = [];
  const outputs: AgentOutput[] = [];
  const agent = {
    handle: (event: StoreEvent) => did.push(event),
    run: () => {
      did.push("run");
      return false;
    },
    stop: () => outputs.push({ t: "exit", code: 0, reason: "the end" }),
    poll: () => outputs.shift(),
    close: () => {},
    stack: { pool: { outstanding: 0 } },
    nextDeadline: () => NEVER,
  };
  let sleptUs = 0;
  const deps: DriverDeps = {
    clock: new MonotonicClock(),
    rng: new SeededRng(1),
    logger: { log: () => {}, error: () => {} } as unknown as Logger,
    agent: agent as unknown as NodeAgent,
    transport: { close: () => Promise.resolve() } as unknown as EtcdTransport,
    folder: {} as StateFolder,
    sleepClock: { sleptUs: () => sleptUs },
  };
  const config = { name: "node1", address: ipv4("192.168.56.11"), carrier: "loopback", pods: [] } as const;
  const driver = new NodeDriver(config, deps);
  sleptUs = 90_000_000;
  driver.change(() => {});
  await expect.poll(() => did).toContain("run");
  expect(did.slice(0, 2)).toEqual([{ t: "slept", forUs: 90_000_000 }, "run"]);
  driver.change((stopping) => stopping.stop(false, 0));
  expect(await driver.ended).toMatchObject({ code: 0, reason: "the end" });
});

/** An agent that does what a test says, and its driver, by timers that stand still. */
class Bench {
  readonly told: unknown[] = [];
  readonly logged: string[] = [];
  readonly outputs: AgentOutput[] = [];
  state = { store: "Synced", leases: [] as unknown[] };
  podAdds = 0;
  turns = 0;
  readonly driver: NodeDriver;

  constructor(pods: readonly { readonly name: string }[] = []) {
    const agent = {
      start: () => {},
      handle: () => {},
      run: () => {
        this.turns++;
        return false;
      },
      stop: () => this.outputs.push({ t: "exit", code: 0, reason: "the end" }),
      poll: () => this.outputs.shift(),
      close: () => {},
      state: () => this.state,
      takesPods: true,
      // For a reason that passes: it would be tried again.
      podAdd: (request: number) => {
        this.podAdds++;
        this.outputs.push({ t: "podDone", request, result: err("no address yet"), passing: true });
      },
      stack: { pool: { outstanding: 0 } },
      nextDeadline: () => NEVER,
    };
    const range = () => Promise.resolve({ header: { clusterId: "1", revision: 5 }, kvs: [] });
    this.driver = new NodeDriver(
      { name: "node1", address: ipv4("192.168.56.11"), carrier: "loopback", pods: pods as [] },
      {
        clock: new MonotonicClock(),
        rng: new SeededRng(1),
        logger: {
          log: (_: string, __: string, event: string) => this.logged.push(event),
          error: () => {},
        } as unknown as Logger,
        agent: agent as unknown as NodeAgent,
        transport: { range, close: () => Promise.resolve() } as unknown as EtcdTransport,
        folder: {} as StateFolder,
        sleepClock: { sleptUs: () => 0 },
      },
    );
    this.driver.onState = (state) => this.told.push(state.leases.length);
    this.driver.start();
  }

  /** Lets the agent ask for it, and waits for the turns that carry it out. */
  async say(...outputs: AgentOutput[]): Promise<void> {
    this.outputs.push(...outputs);
    this.driver.change(() => {});
    for (const from = this.turns; this.turns < from + 1; ) await new Promise(setImmediate);
    await new Promise(setImmediate);
  }

  async end(): Promise<void> {
    this.driver.stop(false, "the end");
    await this.driver.ended;
  }
}

afterEach(() => {
  vi.useRealTimers();
});

test("since when the store is away counts from its last answer, and is said once each way", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: 1_000_000_000_000 });
  const bench = new Bench();
  vi.setSystemTime(1_000_000_060_000);
  await bench.say({ t: "op", op: { t: "range", id: 1, range: { key: "/", rangeEnd: undefined } } });
  vi.setSystemTime(1_000_000_070_000);
  expect(bench.driver.storeReach.awaySince).toBeUndefined();
  bench.state = { store: "Disconnected", leases: [] };
  await bench.say({ t: "state" });
  await expect.poll(() => bench.driver.storeReach.awaySince).toBe(new Date(1_000_000_060_000).toISOString());
  bench.state = { store: "Synced", leases: [] };
  await bench.say({ t: "state" });
  await expect.poll(() => bench.driver.storeReach.awaySince).toBeUndefined();
  expect(bench.logged.filter((event) => event.startsWith("store"))).toEqual(["store-away", "store-back"]);
  await bench.end();
});

test("a node that ends tells its last state, and tries no pod again", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const bench = new Bench([{ name: "pod1" }]);
  bench.state = { store: "Synced", leases: Array.from({ length: 500 }) };
  await bench.say({ t: "state" });
  expect(bench.told).toEqual([500]);
  expect(bench.podAdds).toBe(1);
  // Too soon after the first to be told at once.
  bench.state = { store: "Synced", leases: Array.from({ length: 501 }) };
  await bench.say({ t: "state" });
  expect(bench.told).toEqual([500]);
  await bench.end();
  expect(bench.told).toEqual([500, 501]);
  vi.advanceTimersByTime(60_000);
  await new Promise(setImmediate);
  expect(bench.podAdds).toBe(1);
  expect(bench.told).toEqual([500, 501]);
});
