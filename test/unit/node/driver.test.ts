import { expect, test } from "vitest";
import type { AgentOutput } from "../../../src/agent/agent-messages.ts";
import type { NodeAgent } from "../../../src/agent/node-agent.ts";
import { ipv4 } from "../../../src/base/ipv4-addr.ts";
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
