// The supervisor with nodes that misbehave on purpose and the real embedded store. Its own faults: supervisor-faults.test.ts.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectIpc } from "../../../src/io/ipc/client.ts";
import type { PodloomError } from "../../../src/io/podloom-error.ts";
import { findLab, LabClient, stopLab } from "../../../src/lab/lab-client.ts";
import { labDirs } from "../../../src/lab/lab-dirs.ts";
import { isAlive } from "../../../src/lab/process-identity.ts";
import { Supervisor } from "../../../src/lab/supervisor.ts";
import { allReady, children, FaultyLab } from "../../support/faulty-lab.ts";

let fake: FaultyLab;
beforeEach(() => {
  fake = new FaultyLab();
});
afterEach(() => fake.dispose());

describe("a lab", () => {
  test("comes up, answers, and goes without a trace", async () => {
    const supervisor = await fake.start({});
    const { dirs } = supervisor;
    await fake.until("ready", allReady(supervisor));
    expect(statSync(dirs.runtime).mode & 0o777).toBe(0o700);
    expect(statSync(dirs.socket).mode & 0o777).toBe(0o600);

    const client = await LabClient.connect(findLab(fake.env, undefined));
    const status = await client.ask("status", { withStore: true });
    expect(status).toMatchObject({
      name: "fake",
      network: "10.244.0.0/16",
      backend: "vxlan",
      storeLeases: [],
    });
    expect(status.store.text).toMatch(/^embedded etcd v3 server, durable, at http:\/\/127\.0\.0\.1:23\d+$/);
    const { rows } = await client.ask("get", { noun: "nodes" });
    expect(rows).toMatchObject([{ name: "node1", restarts: 0 }, { name: "node2" }, { name: "node3" }]);
    await client.close();

    const pids = children(supervisor);
    expect(await supervisor.stop()).toEqual([]);
    expect(pids).toHaveLength(3);
    expect(pids.some(isAlive)).toBe(false);
    expect(readdirSync(fake.root)).toEqual(["state"]);
    expect(readdirSync(dirs.state).sort()).toEqual(["lab.json", "logs"]);
    expect(await supervisor.finished).toBeUndefined();
  });

  test("starts its nodes a few at a time: twice as many as there are processors, until each has said hello", async () => {
    const few = 2 * availableParallelism();
    const started: Supervisor[] = [];
    let most = 0;
    const supervisor = await fake.start(
      {},
      { nodes: { count: few + 6, pods: 0 } },
      {
        onEvent: ({ t }) => {
          if (t !== "nodeStarted") return;
          const nodes = started.flatMap((one) => one.nodes);
          const starting = nodes.filter(
            ({ child, connection }) =>
              child !== undefined && child.exit === undefined && connection === undefined,
          );
          most = Math.max(most, starting.length);
        },
      },
    );
    started.push(supervisor);
    await fake.until("ready", allReady(supervisor));
    expect(most).toBe(few);
  });

  test("forwards exec with both streams, the exit code and the interrupt", async () => {
    const supervisor = await fake.start({});
    await fake.until("ready", allReady(supervisor));
    const client = await LabClient.connect(findLab(fake.env, "fake"));
    const heard: unknown[] = [];
    const call = client.exec(
      { target: { t: "pod", pod: "node2-pod1" }, argv: ["ping", "-c", "1"] },
      (...chunk) => heard.push(chunk),
    );
    expect(await call.done).toEqual({ exitCode: 7 });
    expect(heard).toEqual([
      ["stdout", "node2-pod1: ping -c 1\n"],
      ["stderr", "warned\n"],
    ]);
    const waiting = client.exec({ target: { t: "node", node: "node1" }, argv: ["wait"] }, () =>
      waiting.interrupt(),
    );
    expect(await waiting.done).toEqual({ exitCode: 130 });
    const lost = client.exec({ target: { t: "pod", pod: "node1" }, argv: ["x"] }, undefined).done;
    await expect(lost).rejects.toThrow(
      /no pod "node1"; there are node1-pod1, .*; for the node itself write node\/node1/,
    );
    await client.close();
  });

  test("is stopped by whoever may open its socket, and says so when it is gone", async () => {
    const supervisor = await fake.start({});
    await fake.until("ready", allReady(supervisor));
    const client = await LabClient.connect(findLab(fake.env, "fake"));
    expect(await client.ask("down", {})).toEqual({ killed: [] });
    await client.closed;
    expect(await supervisor.finished).toBeUndefined();
    expect(existsSync(join(fake.root, "podloom"))).toBe(false);
    await expect(stopLab(client.lab, 1000)).rejects.toMatchObject({
      code: "PL_SOCKET_GONE",
      message: 'the lab "fake" has just ended',
      remedy: expect.stringContaining("podloom up"),
    });
  });

  test("refuses a second one of its name, and one on its addresses", async () => {
    await fake.start({});
    const other = fake.options({ onEvent: () => undefined });
    await expect(Supervisor.start(fake.lab(), other)).rejects.toMatchObject({ code: "PL_LAB_RUNNING" });
    await expect(Supervisor.start(fake.lab({ name: "other" }), other)).rejects.toMatchObject({
      code: "PL_UNDERLAY_IN_USE",
    });
    expect(existsSync(labDirs("other", fake.env).runtime)).toBe(false);
  });
});

describe("a node", () => {
  test("that hangs is described so, not as one that has not come yet", async () => {
    const supervisor = await fake.start({}, { nodes: { count: 2, pods: 0 } });
    await fake.until("ready", allReady(supervisor));
    const hung = supervisor.node("node2")?.child;
    hung?.signal("SIGSTOP");
    const client = await LabClient.connect(findLab(fake.env, "fake"));
    try {
      const [{ rows }, { missing }] = await Promise.all([
        client.ask("get", { noun: "nodes" }),
        client.ask("get", { noun: "routes" }),
      ]);
      expect(rows).toMatchObject([
        { name: "node1", status: "Ready" },
        { name: "node2", status: "NotReady", reason: "it does not answer (5 s)" },
      ]);
      expect(missing).toEqual([{ node: "node2", why: "it does not answer (5 s)" }]);
    } finally {
      hung?.signal("SIGCONT");
      await client.close();
    }
  });

  test("that dies is started again, with its cause told, until it lives", async () => {
    const supervisor = await fake.start({
      node2: { exitCode: 3, afterMs: 30, lives: 2, log: { level: 50, msg: "boom" } },
    });
    await fake.until(
      "the third life",
      () => supervisor.node("node2")?.restarts === 2 && allReady(supervisor)(),
    );
    const ends = fake.events.filter((event) => event.t === "nodeEnded");
    expect(ends).toMatchObject([
      { name: "node2", cause: "exit code 3: boom", restartInMs: 20 },
      { name: "node2", cause: "exit code 3: boom", restartInMs: 40 },
    ]);
  });

  test("that dies again and again while the lab comes up ends the lab, with the cause", async () => {
    const supervisor = await fake.start({ node3: { exitCode: 1, log: { level: 60, msg: "no such thing" } } });
    const failure = (await supervisor.finished) as PodloomError;
    expect(failure.code).toBe("PL_NODE_FAILED");
    expect(failure.message).toBe(
      "node node3 ended with exit code 1: no such thing; it was started again 3 times in a row and ended within 30 s each time",
    );
    expect(children(supervisor).some(isAlive)).toBe(false);
    expect(existsSync(supervisor.dirs.runtime)).toBe(false);
  });

  test("whose port is in use ends the lab at once: no restart cures that", async () => {
    const message = "cannot listen on UDP 127.168.240.3:8472: address in use";
    const supervisor = await fake.start({
      node2: { exitCode: 5, log: { level: 50, code: "PL_PORT_IN_USE", msg: message, remedy: "Stop it." } },
    });
    const failure = (await supervisor.finished) as PodloomError;
    expect(failure).toMatchObject({ code: "PL_PORT_IN_USE", message: `node node2: ${message}` });
    expect(failure.remedy).toBe("Stop it.");
    expect(fake.events.filter((event) => event.t === "nodeEnded")).toEqual([]);
  });

  test("that was ready once and then dies for good leaves the others alone", async () => {
    const supervisor = await fake.start({}, { restart: { policy: "never" } });
    // Before all are ready, its death would be the lab's.
    await fake.until("ready", allReady(supervisor));
    const client = await LabClient.connect(findLab(fake.env, "fake"));
    const death = client.exec({ target: { t: "node", node: "node2" }, argv: ["exit", "1"] }, undefined).done;
    await expect(death).rejects.toThrow();
    await fake.until("the end of node2", () => supervisor.node("node2")?.status === "dead");
    expect(await supervisor.status(false)).toMatchObject({
      nodes: [
        { status: "running" },
        { status: "dead", pid: undefined, lastExit: "exit code 1" },
        { status: "running" },
      ],
    });
    const { rows } = await client.ask("get", { noun: "nodes" });
    expect(rows[1]).toMatchObject({ name: "node2", status: "Dead", reason: "exit code 1" });
    expect((await client.ask("get", { noun: "routes" })).missing).toEqual([
      { node: "node2", why: "it does not run (exit code 1)" },
    ]);
    await client.close();
  });

  test("that does not want to end is killed, and named", async () => {
    const supervisor = await fake.start({ node1: { deaf: true } }, { nodes: { count: 2, pods: 0 } });
    await fake.until("ready", allReady(supervisor));
    expect(await supervisor.stop()).toEqual(["node1"]);
    expect(children(supervisor).some(isAlive)).toBe(false);
  });

  test("that does not know the token is not let in", async () => {
    const supervisor = await fake.start(
      { node1: { token: "wrong" } },
      { nodes: { count: 1, pods: 0 }, restart: { policy: "never" } },
    );
    // The fake takes the closed connection for the end of its supervisor and leaves.
    const failure = (await supervisor.finished) as PodloomError;
    expect(failure.code).toBe("PL_NODE_FAILED");
    expect(supervisor.nodes[0]?.wasReady).toBe(false);
  });

  test("cannot be posed as by a stranger", async () => {
    const supervisor = await fake.start({}, { nodes: { count: 1, pods: 0 } });
    await fake.until("ready", allReady(supervisor));
    const genuine = supervisor.nodes[0]?.connection;
    const stranger = connectIpc(supervisor.dirs.socket, { from: "node1", token: "0".repeat(32) });
    const posed = await stranger.then((connection) => connection.closed).catch((error: unknown) => error);
    expect(posed === undefined || posed instanceof Error).toBe(true);
    expect(supervisor.nodes[0]?.connection).toBe(genuine);
  });
});

describe("the store", () => {
  test("that is killed comes back on its address with the configuration in it", async () => {
    const supervisor = await fake.start({}, { nodes: { count: 1, pods: 0 } });
    await fake.until("ready", allReady(supervisor));
    const before = (await supervisor.status(false)).store;
    process.kill(before.pid as number, "SIGKILL");
    await fake.until("the store's return", () => fake.events.some((event) => event.t === "storeBack"));
    const after = await supervisor.status(true);
    expect(after.store.endpoints).toEqual(before.endpoints);
    expect(after.store.pid).not.toBe(before.pid);
    expect(after.storeLeases).toEqual([]);
    expect(fake.events.find((event) => event.t === "storeEnded")).toMatchObject({ cause: "signal SIGKILL" });
  });

  test("that nobody runs is an environment fault that names it", async () => {
    const starting = fake.start({}, { store: "http://127.0.0.1:9" });
    await expect(starting).rejects.toMatchObject({
      code: "PL_ETCD_UNREACHABLE",
      message: expect.stringContaining("127.0.0.1:9"),
    });
    expect(readdirSync(fake.root)).toEqual(["state"]);
  });

  test("etcd without an etcd on PATH says how to get one", async () => {
    fake.env.PATH = "/nowhere";
    await expect(fake.start({}, { store: "etcd" })).rejects.toMatchObject({
      code: "PL_ETCD_MISSING",
      remedy: expect.stringContaining("Install"),
    });
  });

  test("of somebody else keeps its configuration unless told otherwise", async () => {
    const first = await fake.start({}, { nodes: { count: 1, pods: 0 } });
    const [endpoint] = (await first.status(false)).store.endpoints;
    const options = fake.options({ onEvent: () => undefined });
    const change = {
      name: "other",
      store: endpoint,
      underlay: { subnet: "192.168.241.0/24" },
      nodes: { count: 1, pods: 0 },
    };
    const foreign = fake.lab({ ...change, network: { Network: "10.99.0.0/16" } });
    await expect(Supervisor.start(foreign, options)).rejects.toMatchObject({
      code: "PL_CONFIG_FOREIGN",
      message: expect.stringContaining("10.244.0.0/16"),
      remedy: expect.stringContaining("--force-config"),
    });
    // The same configuration, only written in another order, is no conflict.
    const same = fake.lab({ ...change, network: { Backend: { Type: "vxlan" }, Network: "10.244.0.0/16" } });
    await (await Supervisor.start(same, options)).stop();
    await (await Supervisor.start(foreign, { ...options, forceConfig: true })).stop();
    await expect(Supervisor.start(same, options)).rejects.toMatchObject({
      message: expect.stringContaining("10.99.0.0/16"),
    });
  });
});

test("leases stay behind that nodes could not give back, in a store that goes on without the lab, and that is said", async () => {
  const cutOff = { state: { store: "Disconnected", subnet: "10.244.1.0/24" } };
  const own = await fake.start({ node1: cutOff }, { nodes: { count: 1, pods: 0 } });
  const [store] = (await own.status(false)).store.endpoints;
  const stopped = async (state: object, change: Record<string, unknown> = {}): Promise<unknown> => {
    fake.env.FAKE_NODES = JSON.stringify({ node1: state });
    const other = { name: "other", store, underlay: { subnet: "192.168.241.0/24" }, nodes: { count: 1 } };
    const lab = fake.lab({ ...other, ...change });
    const supervisor = await Supervisor.start(lab, fake.options({ onEvent: () => undefined }));
    await fake.until("ready", allReady(supervisor));
    return supervisor.downResult(await supervisor.stop());
  };
  expect(await stopped(cutOff)).toEqual({ killed: [], leasesStay: true });
  expect(await stopped({ state: { ...cutOff.state, store: "Synced" } })).toEqual({ killed: [] });
  expect(await stopped({ state: { store: "Disconnected" } })).toEqual({ killed: [] });
  // Calico has no leases, and a lab's own store ends with the lab.
  expect(await stopped(cutOff, { cni: "calico" })).toEqual({ killed: [] });
  await fake.until("ready", allReady(own));
  expect(own.downResult(await own.stop())).toEqual({ killed: [] });
});

test("etcd itself serves as the store where it is installed, and dies with its supervisor's pipe", async (context) => {
  if (spawnSync("etcd", ["--version"]).error !== undefined) context.skip("etcd is not on PATH");
  const supervisor = await fake.start({}, { store: "etcd", nodes: { count: 1, pods: 0 } });
  await fake.until("ready", allReady(supervisor));
  const { store } = await supervisor.status(true);
  expect(store).toMatchObject({
    kind: "etcd",
    text: expect.stringMatching(/^etcd \d+\.\d+\.\d+, started from PATH, at /),
  });
  process.kill(store.pid as number, "SIGKILL");
  await fake.until("the store's return", () => fake.events.some((event) => event.t === "storeBack"));
  expect(await supervisor.stop()).toEqual([]);
  expect(readdirSync(supervisor.dirs.state).sort()).toEqual(["lab.json", "logs"]);
});
