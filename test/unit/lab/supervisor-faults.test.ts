// What a supervisor makes of folders that it cannot write, and of faults of its own.
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PodloomError } from "../../../src/io/podloom-error.ts";
import { describeEvent } from "../../../src/lab/describe-event.ts";
import { labDirs } from "../../../src/lab/lab-dirs.ts";
import type { SupervisorEvent } from "../../../src/lab/lab-protocol.ts";
import { isAlive } from "../../../src/lab/process-identity.ts";
import { allReady, children, FaultyLab, logOf } from "../../support/faulty-lab.ts";

let fake: FaultyLab;
beforeEach(() => {
  fake = new FaultyLab();
});
afterEach(() => fake.dispose());

describe("folders that cannot be written", () => {
  test("the state folder: nothing is left, and its fault is the one that is told", async () => {
    writeFileSync(join(fake.root, "file"), "");
    fake.env.XDG_STATE_HOME = join(fake.root, "file");
    await expect(fake.start({})).rejects.toMatchObject({
      code: "PL_STATE_DIR",
      remedy: expect.stringContaining("XDG_STATE_HOME"),
    });
    expect(readdirSync(fake.root)).toEqual(["file"]);
    // And so the next start has nobody to clean up after.
    fake.env.XDG_STATE_HOME = join(fake.root, "state");
    await fake.start({}, { nodes: { count: 1, pods: 0 } });
    expect(fake.events.map(({ t }) => t)).not.toContain("tookOver");
  });

  test("the list of children: a warning, for only a later clean-up would use it", async () => {
    const supervisor = await fake.start({}, { nodes: { count: 1, pods: 0 } });
    const [node] = supervisor.nodes;
    await fake.until("ready", allReady(supervisor));
    mkdirSync(`${supervisor.dirs.children}.new`);
    node?.child?.signal("SIGKILL");
    await fake.until("its return", () => node?.restarts === 1 && allReady(supervisor)());
    await supervisor.stop();
    expect(logOf(supervisor)).toContainEqual(
      expect.objectContaining({ level: 40, event: "noteChildren", code: "PL_RUNTIME_DIR" }),
    );
  });

  test("the logs, which somebody has removed: they are made anew", async () => {
    const supervisor = await fake.start({}, { nodes: { count: 1, pods: 0 } });
    const [node] = supervisor.nodes;
    await fake.until("ready", allReady(supervisor));
    rmSync(supervisor.dirs.logs, { recursive: true });
    node?.child?.signal("SIGKILL");
    await fake.until("its return", () => node?.restarts === 1 && allReady(supervisor)());
    expect(statSync(supervisor.dirs.logs).mode & 0o777).toBe(0o700);
    expect(readdirSync(supervisor.dirs.logs)).toEqual(["node1.log"]);
  });

  test("a log: its node is tried again as if it had ended, and lives as soon as it can", async () => {
    const supervisor = await fake.start({}, { nodes: { count: 2, pods: 0 }, restart: { backoffMs: 40 } });
    const node = supervisor.node("node2");
    await fake.until("ready", allReady(supervisor));
    const log = join(supervisor.dirs.logs, "node2.log");
    rmSync(log);
    mkdirSync(log);
    node?.child?.signal("SIGKILL");
    await fake.until("a second failure", () => node?.restarts === 2);
    expect(node?.status).toBe("backoff");
    const failed = fake.events.findLast((event) => event.t === "nodeEnded");
    expect(failed).toMatchObject({
      name: "node2",
      cause: expect.stringMatching(/^it could not be started: .*EISDIR/),
    });
    expect(describeEvent(failed as SupervisorEvent)).toMatch(
      /^node node2 could not be started: .*; restarts in \d+ ms$/,
    );
    rmdirSync(log);
    await fake.until("its return", allReady(supervisor));
    expect(supervisor.node("node1")?.restarts).toBe(0);
  });

  test("a log, for good, while the lab comes up: an environment fault that names the node", async () => {
    // The folders are made before the store starts, so a node's log can only be spoilt from within.
    const supervisor = await fake.start(
      {},
      { nodes: { count: 1, pods: 0 } },
      {
        onEvent: (event) => {
          if (event.t === "store") mkdirSync(join(labDirs("fake", fake.env).logs, "node1.log"));
        },
      },
    );
    expect(await supervisor.finished).toMatchObject({
      code: "PL_STATE_DIR",
      message: expect.stringMatching(/^node node1 could not be started: .*EISDIR/),
      remedy: expect.stringContaining("XDG_STATE_HOME"),
    });
    expect(existsSync(join(fake.root, "podloom"))).toBe(false);
  });
});

describe("a fault of the supervisor itself", () => {
  test("is logged with its stack, and stops the lab in order", async () => {
    const supervisor = await fake.start({});
    await fake.until("ready", allReady(supervisor));
    const pids = children(supervisor);
    supervisor.crashed("uncaughtException", new Error("boom"));
    expect(await supervisor.finished).toMatchObject({
      code: "PL_CRASHED",
      message: expect.stringContaining("boom"),
      remedy: expect.stringContaining("supervisor.log"),
    });
    // In order: every node was asked to leave, none had to be killed.
    expect(fake.events.at(-1)).toEqual({ t: "stopped", killed: [] });
    expect(pids.some(isAlive)).toBe(false);
    expect(existsSync(join(fake.root, "podloom"))).toBe(false);
    const fatal = logOf(supervisor).find((line) => line.level === 60);
    expect(fatal).toMatchObject({
      event: "uncaughtException",
      err: { stack: expect.stringContaining("supervisor-faults.test") },
    });
  });

  test.each(["nodeStarted", "stopping", "failed"])("also when telling %s fails", async (deaf) => {
    const onEvent = (event: SupervisorEvent): void => {
      if (event.t === deaf) throw new Error("boom");
    };
    const running = await fake.start({}, {}, { onEvent });
    await fake.until("ready", () => deaf === "nodeStarted" || allReady(running)());
    const pids = children(running);
    if (deaf === "stopping") void running.stop();
    if (deaf === "failed") expect(() => running.fail(new PodloomError("PL_X", "x"))).toThrow("boom");
    expect(await running.finished).toMatchObject({ code: deaf === "failed" ? "PL_X" : "PL_CRASHED" });
    await fake.until("their end", () => !pids.some(isAlive));
    expect(existsSync(join(fake.root, "podloom"))).toBe(false);
  });
});
