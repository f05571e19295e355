// The node as a process: what it answers, what it keeps, how it ends, and what it says when it cannot begin.
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { NO_LEASE, prefixEnd } from "../../src/control/datastore/messages.ts";
import type { NodeRow, PodRow } from "../../src/control/inspect.ts";
import { Etcd3Transport } from "../../src/io/etcd/etcd3-transport.ts";
import { connectIpc } from "../../src/io/ipc/client.ts";
import type { Connection } from "../../src/io/ipc/connection.ts";
import { type NodeState, type ProbeResult, TOKEN_VARIABLE } from "../../src/io/ipc/protocol.ts";
import { IpcServer } from "../../src/io/ipc/server.ts";
import { type StoreProcess, startStore } from "../support/etcd-process.ts";

const PODLOOM = fileURLToPath(new URL("../../bin/podloom.js", import.meta.url));
const SUBNETS = { key: "/coreos.com/network/subnets/", rangeEnd: prefixEnd("/coreos.com/network/subnets/") };

let store: StoreProcess;
let etcd: Etcd3Transport;
let folder: string;
const nodes: Node[] = [];

beforeAll(async () => {
  store = await startStore("embedded");
  etcd = new Etcd3Transport({ endpoints: [store.url] });
  const config = JSON.stringify({ Network: "10.243.0.0/16", Backend: { Type: "vxlan" } });
  await etcd.put("/coreos.com/network/config", encodeUtf8(config), NO_LEASE);
});
afterAll(async () => {
  await etcd.close();
  await store.stop();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pl-node-"));
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.kill();
  await etcd.delete(SUBNETS);
  rmSync(folder, { recursive: true, force: true });
});

interface LogLine {
  readonly level: number;
  readonly event: string;
  readonly msg: string;
  readonly code?: string;
  readonly remedy?: string;
}

class Node {
  readonly child: ChildProcess;
  readonly state: string;
  readonly exited: Promise<readonly [number | null, string | null]>;
  #stderr = "";
  connection: Connection | undefined;
  readonly states: NodeState[] = [];

  constructor(number: number, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
    this.state = join(folder, `n${number}`);
    const argv = [
      "--name",
      `n${number}`,
      "--address",
      `192.168.243.${number}`,
      "--segment",
      "192.168.243.0/24",
    ];
    const more = ["--etcd", store.url, "--state", this.state, ...args];
    this.child = spawn(process.execPath, [PODLOOM, "node", ...argv, ...more], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.child.stderr?.on("data", (bytes: Buffer) => {
      this.#stderr += bytes.toString();
    });
    this.exited = once(this.child, "close") as Promise<[number | null, string | null]>;
    nodes.push(this);
  }

  get socket(): string {
    return join(this.state, "node.sock");
  }
  get stderr(): string {
    return this.#stderr;
  }
  /** What it said of itself last. */
  get last(): NodeState | undefined {
    return this.states.at(-1);
  }
  get log(): LogLine[] {
    const lines = this.#stderr.split("\n").filter((line) => line.startsWith("{"));
    return lines.map((line) => JSON.parse(line) as LogLine);
  }

  /** Connects to its own socket and waits until it is ready, its watch of the store stands, and it has this many leases. */
  async ready(leases = 1): Promise<this> {
    const onNotice = (_: string, data: unknown): void => void this.states.push(data as NodeState);
    const connect = async (): Promise<boolean> => {
      // The socket of a node that was killed lies there until the next one replaces it.
      this.connection ??= await connectIpc(this.socket, { from: "test", onNotice }).catch(() => undefined);
      return this.connection !== undefined;
    };
    await expect.poll(connect, { timeout: 10_000 }).toBe(true);
    await expect
      .poll(() => [this.last?.phase, this.last?.store, this.last?.leases.length], { timeout: 15_000 })
      .toEqual(["ready", "Synced", leases]);
    return this;
  }

  async ask<T>(verb: string, args: unknown = {}): Promise<T> {
    return (await (this.connection as Connection).request(verb, args, { timeoutMs: 10_000 }).done) as T;
  }

  /** Runs a command in a pod, interrupting it after `interruptMs` if given. */
  async exec(
    pod: string,
    argv: readonly string[],
    interruptMs?: number,
  ): Promise<{ exitCode: number; out: string }> {
    let out = "";
    const onChunk = (_: string, data: unknown): void => {
      out += String(data);
    };
    const call = (this.connection as Connection).request("exec", { pod, argv }, { onChunk });
    if (interruptMs !== undefined) setTimeout(() => call.interrupt(), interruptMs);
    const { exitCode } = (await call.done) as { exitCode: number };
    return { exitCode, out };
  }

  async kill(): Promise<void> {
    this.connection?.destroy();
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGKILL");
    await this.exited;
  }
}

const leases = async (): Promise<string[]> => (await etcd.range(SUBNETS)).kvs.map((kv) => kv.key);

describe("two nodes", () => {
  test("exchange leases, and their pods reach each other", async () => {
    const a = new Node(2, ["--pod", "web"]);
    const b = new Node(3, ["--pod", "db"]);
    await Promise.all([a.ready(2), b.ready(2)]);
    const [db] = await b.ask<PodRow[]>("get", { noun: "pods" });
    const target = db?.ip as string;

    const ping = await a.exec("web", ["ping", "-c", "3", "-i", "0.2", target]);
    expect(ping.out).toContain("3 packets transmitted, 3 received, 0% packet loss");
    expect(ping.exitCode).toBe(0);

    const [probed] = await a.ask<ProbeResult[]>("probe", {
      pod: "web",
      targets: [target],
      count: 20,
      intervalMs: 5,
      timeoutMs: 1000,
    });
    expect(probed).toMatchObject({ target, sent: 20, received: 20 });

    const [row] = await a.ask<NodeRow[]>("get", { noun: "nodes" });
    expect(row).toMatchObject({
      name: "n2",
      status: "Ready",
      pid: a.child.pid,
      peers: 1,
      pods: 1,
      drops: {},
      ignored: [],
      store: "Synced",
    });
    expect(row?.rssBytes).toBeGreaterThan(1e7);

    const env = await a.exec("", ["cat", "/run/flannel/subnet.env"]);
    expect(env.out).toBe(readFileSync(join(a.state, "run/flannel/subnet.env"), "utf8"));
    expect(env.out).toContain("FLANNEL_NETWORK=10.243.0.0/16");
  });

  test("a ping is interrupted as by Ctrl-C; one whose pod is deleted ends at once", async () => {
    const a = await new Node(2, ["--pod", "web"]).ready();
    const interrupted = await a.exec("web", ["ping", "-i", "0.1", "127.0.0.1"], 350);
    expect(interrupted.out).toMatch(/[34] packets transmitted, [34] received/);
    expect(interrupted.exitCode).toBe(0);

    const endless = a.exec("web", ["ping", "-i", "0.1", "127.0.0.1"]);
    await a.ask("state");
    await a.ask("pod-del", { name: "web" });
    expect(await endless).toMatchObject({
      exitCode: 137,
      out: expect.stringContaining("pod web was deleted"),
    });
    await expect(a.ask("pod-del", { name: "web" })).rejects.toMatchObject({ code: "PL_POD_UNKNOWN" });
    await expect(a.exec("web", ["ping", "127.0.0.1"])).rejects.toMatchObject({ code: "PL_POD_UNKNOWN" });
  });

  test("pods come and go on demand; a wish outside the subnet is refused with why", async () => {
    const a = await new Node(2).ready();
    const added = await a.ask<PodRow>("pod-add", { name: "p" });
    expect(added).toMatchObject({ name: "p", node: "n2", ip: expect.stringMatching(/^10\.243\.\d+\.\d+$/) });
    await expect(a.ask("pod-add", { name: "p" })).rejects.toMatchObject({
      code: "PL_POD_REFUSED",
      message: /exists already/,
    });
    await expect(a.ask("pod-add", { name: "q", ip: "192.0.2.1" })).rejects.toMatchObject({
      code: "PL_POD_REFUSED",
      message: expect.stringContaining("192.0.2.1"),
      remedy: expect.stringContaining("this node's subnet"),
    });
    await expect.poll(() => a.states.at(-1)?.pods).toEqual(["p"]);
  });

  test("a pod that cannot have its address is told in the state, with why; the others are there", async () => {
    const a = await new Node(2, ["--pod", "web=192.0.2.7", "--pod", "db"]).ready();
    expect(a.last).toMatchObject({
      pods: ["db"],
      failedPods: [
        {
          name: "web",
          reason: expect.stringMatching(/192\.0\.2\.7 is not available in range set 10\.243\./),
        },
      ],
    });
    await a.ask("pod-add", { name: "web" });
    await expect.poll(() => a.last).toMatchObject({ pods: ["db", "web"], failedPods: [] });
  });

  test("with a subnet of its own wish, a pod can have an address of its own wish", async () => {
    // The address that any other pod would get first.
    const pods = ["--pod", "any", "--pod", "web=10.243.77.2"];
    const a = await new Node(2, ["--subnet", "10.243.77.0/24", ...pods]).ready();
    expect(a.last).toMatchObject({ subnet: "10.243.77.0/24", pods: ["any", "web"], failedPods: [] });
    expect(await a.ask<PodRow[]>("get", { noun: "pods" })).toMatchObject([
      { name: "any", ip: "10.243.77.3" },
      { name: "web", ip: "10.243.77.2" },
    ]);
  });

  test("questions that make no sense are answered with what is wrong", async () => {
    const a = await new Node(2).ready();
    await expect(a.ask("fly")).rejects.toMatchObject({
      code: "PL_IPC_UNKNOWN_VERB",
      message: expect.stringContaining("fly"),
      remedy: expect.stringContaining("pod-add"),
    });
    await expect(a.ask("toString")).rejects.toMatchObject({ code: "PL_IPC_UNKNOWN_VERB" });
    await expect(a.ask("get", { noun: "elephants" })).rejects.toMatchObject({
      code: "PL_IPC_BAD_ARGS",
      message: /noun/,
    });
    await expect(a.ask("pod-add", { name: 7 })).rejects.toMatchObject({
      code: "PL_IPC_BAD_ARGS",
      message: /name/,
    });
    await expect(a.ask("pod-add", null)).rejects.toMatchObject({ code: "PL_IPC_BAD_ARGS" });
    const flood = {
      pod: "",
      targets: Array.from({ length: 1000 }, () => "127.0.0.1"),
      count: 100,
      intervalMs: 0,
      timeoutMs: 1000,
    };
    await expect(a.ask("probe", flood)).rejects.toMatchObject({ code: "PL_IPC_BAD_ARGS" });
    expect(await a.exec("", ["rm", "-rf", "/"])).toMatchObject({ exitCode: 127 });
    expect(await a.ask("ping")).toMatchObject({ name: "n2" });
  });
});

describe("the end", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s: the lease is revoked, exit code 0, nothing is left",
    async (signal) => {
      const a = await new Node(2).ready();
      expect(await leases()).toHaveLength(1);
      a.child.kill(signal);
      expect(await a.exited).toEqual([0, null]);
      expect(await leases()).toEqual([]);
      expect(existsSync(a.socket)).toBe(false);
    },
  );

  test("under traffic: every packet buffer is back, and the log says so", async () => {
    const [a, b] = [new Node(2, ["--pod", "web"]), new Node(3, ["--pod", "db"])];
    await Promise.all([a.ready(2), b.ready(2)]);
    const [db] = await b.ask<PodRow[]>("get", { noun: "pods" });
    // One answers, one has no route, and nobody is there to resolve the third.
    const nobody = a.last?.subnet?.replace(".0/24", ".200") as string;
    const args = { pod: "web", targets: [db?.ip as string, "10.243.99.99", nobody] };
    const probe = { count: 1000, intervalMs: 1, timeoutMs: 5000, payloadBytes: 3000 };
    const probing = a.ask("probe", { ...args, ...probe }).catch((thrown: unknown) => thrown);
    await expect
      .poll(async () => (await b.ask<NodeRow[]>("get", { noun: "nodes" }))[0]?.rxPackets)
      .toBeGreaterThan(50);
    for (const node of [a, b]) {
      node.child.kill("SIGTERM");
      expect(await node.exited).toEqual([0, null]);
      const [counted] = node.log.filter((line) => line.event === "buffers");
      expect(counted).toMatchObject({ level: 30, outstanding: 0, msg: "every packet buffer is back" });
    }
    expect(await probing).toBeInstanceOf(Error);
  });

  test("the verb stop: with or without giving the lease back", async () => {
    const a = await new Node(2).ready();
    await a.ask("stop", { revoke: false });
    expect(await a.exited).toEqual([0, null]);
    expect(await leases()).toHaveLength(1);
  });

  test("a store that stands still does not hold it up for more than its bound", async () => {
    const a = await new Node(2).ready();
    await store.pause();
    try {
      const since = performance.now();
      a.child.kill("SIGTERM");
      expect(await a.exited).toEqual([0, null]);
      expect(performance.now() - since).toBeLessThan(5000);
    } finally {
      store.resume();
    }
  });

  test("killed and started again: the same subnet, the same addresses", async () => {
    const before = await new Node(2, ["--pod", "a", "--pod", "b"]).ready();
    const was = await before.ask<PodRow[]>("get", { noun: "pods" });
    const subnet = before.states.at(-1)?.subnet;
    await before.kill();
    // Asked for in another order: an address belongs to its name.
    const again = await new Node(2, ["--pod", "b", "--pod", "a"]).ready();
    const is = await again.ask<PodRow[]>("get", { noun: "pods" });
    const byName = (rows: PodRow[]): string[] => rows.map((row) => `${row.name} ${row.ip}`).sort();
    expect(byName(is)).toEqual(byName(was));
    expect(again.states.at(-1)?.subnet).toBe(subnet);
    expect(await leases()).toHaveLength(1);
  });

  test("a fault of our own: fatal with the stack in the log, exit code 70", async () => {
    const bug = "setTimeout(() => { throw new TypeError('a bug') }, 1500)";
    const a = new Node(2, [], { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(bug)}` });
    expect(await a.exited).toEqual([70, null]);
    expect(a.log.at(-1)).toMatchObject({
      level: 60,
      event: "uncaughtException",
      msg: "a bug",
      err: { stack: /TypeError/ },
    });
  });
});

describe("with a supervisor", () => {
  test("it says who it is and how it is; it answers; it ends when the supervisor does", async () => {
    const states: NodeState[] = [];
    const hellos: unknown[] = [];
    const supervisor = await IpcServer.listen(join(folder, "lab.sock"), {
      from: "supervisor",
      onHello: (hello) => hellos.push(hello),
      onNotice: (event, data) => void (event === "state" && states.push(data as NodeState)),
    });
    try {
      const a = new Node(2, ["--control", join(folder, "lab.sock"), "--pod", "x"], {
        [TOKEN_VARIABLE]: "secret",
      });
      await expect.poll(() => states.at(-1)?.phase, { timeout: 15_000 }).toBe("ready");
      expect(hellos).toMatchObject([{ from: "n2", token: "secret" }]);
      expect(states[0]?.phase).toBe("starting");
      // Ready is the lease; the list of the others' leases may come after it.
      await expect.poll(() => states.at(-1)?.store, { timeout: 15_000 }).toBe("Synced");
      expect(states.at(-1)).toMatchObject({ name: "n2", pid: a.child.pid, pods: ["x"], phase: "ready" });
      expect(existsSync(a.socket)).toBe(false);
      const [connection] = supervisor.connections;
      expect(await connection?.request("state", {}).done).toMatchObject({ name: "n2" });
      connection?.destroy();
      expect(await a.exited).toEqual([0, null]);
      expect(await leases()).toEqual([]);
    } finally {
      await supervisor.close();
    }
  });

  test("that is not there: exit code 5, named", async () => {
    const a = new Node(2, ["--control", join(folder, "none.sock")]);
    expect(await a.exited).toEqual([5, null]);
    expect(a.log.at(-1)).toMatchObject({
      level: 50,
      code: "PL_SOCKET_GONE",
      msg: expect.stringContaining("none.sock"),
      remedy: expect.stringMatching(/./),
    });
  });
});

describe("what keeps it from starting", () => {
  test("its port is taken: exit code 5, address and port, and the remedy", async () => {
    const taken = createSocket("udp4").bind(8472, "127.168.243.2");
    await once(taken, "listening");
    try {
      const a = new Node(2);
      expect(await a.exited).toEqual([5, null]);
      const last = a.log.at(-1);
      expect(last).toMatchObject({ level: 50, event: "exit", code: "PL_PORT_IN_USE" });
      expect(last?.msg).toContain("127.168.243.2:8472");
      expect(last?.remedy).toContain("ss -lunp");
    } finally {
      taken.close();
    }
  });

  test("its state folder belongs to a node that runs", async () => {
    const a = await new Node(2).ready();
    const b = new Node(3, ["--state", a.state]);
    expect(await b.exited).toEqual([5, null]);
    expect(b.log.at(-1)).toMatchObject({ code: "PL_SOCKET_IN_USE", remedy: expect.any(String) });
  });

  test("a flag is wrong: exit code 2, before anything is touched", async () => {
    const a = new Node(2, ["--carrier", "pigeon"]);
    expect(await a.exited).toEqual([2, null]);
    expect(a.stderr).toContain("--carrier");
    expect(a.stderr).toContain("podloom node --help");
    expect(existsSync(a.state)).toBe(false);
  });

  test("an address that the carrier cannot carry", async () => {
    const a = new Node(2, ["--address", "10.0.0.1", "--segment", "10.0.0.0/24"]);
    expect(await a.exited).toEqual([5, null]);
    expect(a.log.at(-1)).toMatchObject({ code: "PL_UNDERLAY_UNUSABLE" });
  });

  test("no etcd: it waits, says so, and goes on when there is one", async () => {
    const a = new Node(2, ["--etcd", "http://127.0.0.1:1"]);
    await expect.poll(() => a.stderr, { timeout: 10_000 }).toMatch(/ECONNREFUSED|No connection|unavailable/i);
    expect(a.child.exitCode).toBeNull();
    a.child.kill("SIGTERM");
    expect(await a.exited).toEqual([0, null]);
  });
});
