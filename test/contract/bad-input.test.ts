// Bad input as a real node process meets it, each with the message that its log, its exit code or its counters show.
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { NO_LEASE } from "../../src/control/datastore/messages.ts";
import type { LinkRow, NodeRow } from "../../src/control/inspect.ts";
import { Etcd3Transport } from "../../src/io/etcd/etcd3-transport.ts";
import { type StoreProcess, startStore } from "../support/etcd-process.ts";
import { StandaloneNode } from "../support/standalone-node.ts";

const PODLOOM = fileURLToPath(new URL("../../bin/podloom.js", import.meta.url));
const SEGMENT = "192.168.245.0/24";
const PREFIX = "/coreos.com/network";

let store: StoreProcess;
let etcd: Etcd3Transport;
let folder: string;
const running: StandaloneNode[] = [];
/** Nodes that are expected to end by themselves. */
const ending: ChildProcess[] = [];

beforeEach(async () => {
  store = await startStore("embedded");
  etcd = new Etcd3Transport({ endpoints: [store.url] });
  folder = mkdtempSync(join(tmpdir(), "pl-bad-"));
});
afterEach(async () => {
  for (const node of running.splice(0)) await node.stop();
  for (const child of ending.splice(0)) child.kill("SIGKILL");
  await etcd.close();
  await store.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function put(key: string, value: unknown): Promise<void> {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  await etcd.put(`${PREFIX}/${key}`, encodeUtf8(text), NO_LEASE);
}

const VXLAN = { Network: "10.245.0.0/16", Backend: { Type: "vxlan" } };

/** Where a node keeps its state, its log among it. */
function stateOf(last: number): string {
  const path = join(folder, `n${last}`);
  mkdirSync(path, { recursive: true });
  return path;
}

/** A node that is expected to come up, with an address that no other test has. */
async function node(last: number, pods: readonly string[] = []): Promise<StandaloneNode> {
  const started = await StandaloneNode.start({
    podloom: PODLOOM,
    folder: stateOf(last),
    name: `n${last}`,
    address: `192.168.245.${last}`,
    segment: SEGMENT,
    carrier: "loopback",
    etcd: store.url,
    pods,
  });
  running.push(started);
  return started;
}

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly code?: string;
  readonly remedy?: string;
}

/** A node that is expected to give up: its exit code and its log. */
async function refused(last: number, endpoint = store.url): Promise<{ code: number | null; log: LogLine[] }> {
  const flags = ["--name", `n${last}`, "--address", `192.168.245.${last}`, "--segment", SEGMENT];
  const child: ChildProcess = spawn(
    process.execPath,
    [PODLOOM, "node", ...flags, "--etcd", endpoint, "--state", join(folder, `refused${last}`)],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  ending.push(child);
  let text = "";
  child.stderr?.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  const log = text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as LogLine);
  return { code, log };
}

const WARN = 40;
const ERROR = 50;

function logOf(last: number): LogLine[] {
  return readFileSync(join(stateOf(last), "node.log"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as LogLine);
}

describe("what a node cannot live with ends it, with the reason as the last error", () => {
  test.each([
    [{ Network: "10.245.0.0/16", Backend: { Type: "ipip" } }, /^unknown backend type: ipip \(.*vxlan\)/],
    [{ Network: "10.245.0.0/16" }, /^unknown backend type: udp/],
    [{ Network: "10.245.0.0/29", Backend: { Type: "vxlan" } }, /^network is too small\. Minimum useful/],
    [{ ...VXLAN, SubnetLen: 31 }, /^SubnetLen must be less than \/31/],
    ["{ not json", /invalid character/],
  ])("the configuration %j", async (config, message) => {
    await put("config", config);
    const { code, log } = await refused(2);
    expect(code).toBe(1);
    expect(log.findLast((line) => line.level === ERROR)?.msg).toMatch(message);
  });

  test("a network in which every subnet is leased", async () => {
    await put("config", { Network: "10.245.0.0/28", SubnetLen: 30, Backend: { Type: "vxlan" } });
    const lease = (i: number) => ({ PublicIP: `192.0.2.${i}`, PublicIPv6: null, BackendType: "vxlan" });
    for (const base of [4, 8, 12]) await put(`subnets/10.245.0.${base}-30`, lease(base));
    const { code, log } = await refused(2);
    expect(code).toBe(1);
    expect(log.findLast((line) => line.level === ERROR)?.msg).toMatch(
      /out of subnets \(every \/30 from 10\.245\.0\.4 to 10\.245\.0\.12 is leased; widen Network/,
    );
  });

  test.each([
    // What an etcd with authentication answers who has no user, and a user who may not.
    [3, "etcdserver: user name is empty"],
    [7, "etcdserver: permission denied"],
  ])("a store that refuses it with status %d, %s", async (status, message) => {
    const server = createServer();
    server.on("stream", (stream) => {
      stream.on("error", () => {});
      const grpc = { "grpc-status": String(status), "grpc-message": message };
      stream.respond({ ":status": 200, "content-type": "application/grpc", ...grpc }, { endStream: true });
    });
    const sessions = new Set<ServerHttp2Session>();
    server.on("session", (session) => sessions.add(session));
    await once(server.listen(0, "127.0.0.1"), "listening");
    try {
      const { port } = server.address() as AddressInfo;
      const { code, log } = await refused(2, `http://127.0.0.1:${port}`);
      expect(code).toBe(1);
      expect(log.findLast((line) => line.level === ERROR)?.msg).toBe(`the store refuses: ${message}`);
    } finally {
      for (const session of sessions) session.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });

  test("an address that another node has: it names socket and remedy, and the first one does not notice", async () => {
    await put("config", VXLAN);
    const owner = await node(3);
    const { code, log } = await refused(3);
    expect(code).toBe(5);
    const last = log.findLast((line) => line.level === ERROR);
    expect(last).toMatchObject({ code: "PL_PORT_IN_USE", remedy: expect.stringContaining("ss -lunp") });
    expect(last?.msg).toContain("127.168.245.3:8472");
    expect(owner.state()).toMatchObject({ phase: "ready" });
    expect(await owner.exec("", ["ip", "-br", "link", "show", "flannel.1"])).toMatchObject({ exitCode: 0 });
  });
});

describe("what it can live with is said once, and changes nothing else", () => {
  test("malformed leases", async () => {
    await put("config", VXLAN);
    const a = await node(4);
    const b = await node(5);
    await a.until((state) => state.leases.length === 2, 5000);
    await put("subnets/10.245.201.0-24", "{ not json");
    await put("subnets/nonsense", "x");
    await put("subnets/10.245.202.0-24", { PublicIP: "192.168.245.9", BackendType: "vxlan" });
    await put("subnets/10.245.203.0-24", { PublicIP: "192.168.245.9", BackendType: "host-gw" });
    const own = a.state().subnet?.replace(".0/24", ".128-25") as string;
    await put(`subnets/${own}`, {
      PublicIP: "192.168.245.9",
      BackendType: "vxlan",
      BackendData: { VNI: 1, VtepMAC: "c6:d2:32:6f:8f:44" },
    });
    const warnings = (): string[] =>
      logOf(4)
        .filter((line) => line.level === WARN)
        .map((line) => line.msg);
    await expect.poll(warnings).toHaveLength(5);
    expect(warnings()).toEqual([
      expect.stringMatching(/^Ignoring bad subnet node: ".*10\.245\.201\.0-24": invalid character 'n'/),
      expect.stringMatching(/^Ignoring bad subnet node: failed to parse subnet key ".*\/nonsense"/),
      expect.stringMatching(/^lease .*10\.245\.202\.0-24 has no VtepMAC/),
      expect.stringMatching(/^ignoring non-vxlan v4Subnet\(10\.245\.203\.0\/24\): type=host-gw/),
      expect.stringMatching(/^Ignoring lease ".*-25": it overlaps this node's /),
    ]);
    expect(new Set(a.state().leases)).toEqual(new Set([a.state().subnet, b.state().subnet]));
    const overlapping = own.replace(".128-25", ".128/25");
    const everybodys = ["10.245.201.0/24", "10.245.202.0/24", "10.245.203.0/24"];
    await a.until(({ ignored }) => ignored.length === 4, 5000);
    expect(new Set(a.state().ignored)).toEqual(new Set([...everybodys, overlapping]));
    await b.until(({ ignored }) => ignored.length === 3, 5000);
    expect(b.state().ignored).toEqual(everybodys);
  });

  test("a lease whose address cannot be carried beside another's: one warning, with the lease and the remedy", async () => {
    await put("config", VXLAN);
    const a = await node(8, ["web"]);
    const lease = (publicIp: string, last: number) => ({
      PublicIP: publicIp,
      BackendType: "vxlan",
      BackendData: { VNI: 1, VtepMAC: `c6:d2:32:6f:8f:0${last}` },
    });
    await put("subnets/10.245.210.0-24", lease("192.168.245.9", 1));
    await put("subnets/10.245.211.0-24", lease("10.168.245.9", 2));
    await a.until(({ leases }) => leases.length === 3, 5000);
    for (const target of ["10.245.210.2", "10.245.211.2", "10.245.211.2"]) {
      await a.exec("web", ["ping", "-c", "2", "-i", "0.2", "-W", "1", target]);
    }
    const warnings = logOf(8).filter((line) => line.level === WARN);
    expect(warnings).toMatchObject([
      {
        code: "PL_UNDERLAY_COLLISION",
        msg: "lease 10.245.211.0/24 cannot be carried here: the underlay addresses 192.168.245.9 and 10.168.245.9 are both carried on 127.168.245.9",
        remedy: expect.stringContaining("last three octets"),
      },
    ]);
  });

  test("frames that are cut short, foreign or not VXLAN at all: dropped, each by name, and the next sound one arrives", async () => {
    await put("config", VXLAN);
    const a = await node(6, ["web"]);
    const b = await node(7, ["db"]);
    await a.until((state) => state.leases.length === 2, 5000);
    const vxlan = [0x08, 0, 0, 0, 0, 0, 1, 0];
    const frames = {
      // Inner frame shorter than an Ethernet header, and one whose IPv4 header is cut.
      PKT_TOO_SMALL: [
        [...vxlan, 1, 2, 3],
        [...vxlan, ...Array.from({ length: 12 }, () => 2), 0x08, 0x00, 0x45, 0x00],
      ],
      VXLAN_INVALID_HDR: [[0x09, ...vxlan.slice(1), ...Array.from({ length: 60 }, () => 0)]],
    };
    // Of these no device is to blame: cut within the VXLAN header, without the I flag, of an unknown VNI, empty.
    const homeless = [
      vxlan.slice(0, 7),
      Array.from({ length: 60 }, () => 0),
      [...vxlan.slice(0, 6), 9, 0, 1],
      [],
    ];
    const socket = createSocket("udp4");
    const all = [...Object.values(frames).flat(), ...homeless];
    for (const bytes of all) socket.send(Buffer.from(bytes), 8472, "127.168.245.6");
    const nodeRow = async () => (await a.request<NodeRow[]>("get", { noun: "nodes" }))[0] as NodeRow;
    const count = async (): Promise<number> =>
      Object.values((await nodeRow()).drops).reduce((sum, n) => sum + n, 0);
    await expect.poll(count).toBe(all.length);
    // Those without a device, too, each by its reason.
    expect((await nodeRow()).drops).toEqual({
      PKT_TOO_SMALL: 4,
      VXLAN_INVALID_HDR: 2,
      VXLAN_VNI_NOT_FOUND: 1,
    });
    socket.close();

    const links = await a.request<LinkRow[]>("get", { noun: "links" });
    const vtep = links.find((link) => link.name === "flannel.1");
    expect(vtep?.drops).toEqual({ PKT_TOO_SMALL: 2, VXLAN_INVALID_HDR: 1 });
    expect(vtep).toMatchObject({ rxPackets: 0, rxErrors: 3 });
    const shown = await a.exec("", ["ip", "-s", "link", "show", "flannel.1"]);
    expect(shown.stdout).toMatch(/dropped: PKT_TOO_SMALL 2, VXLAN_INVALID_HDR 1/);

    const address = (await b.exec("db", ["ip", "-br", "addr", "show", "eth0"])).stdout;
    const [, target] = / (10\.245\.\d+\.\d+)\//.exec(address) as unknown as [string, string];
    const ping = await a.exec("web", ["ping", "-c", "2", "-i", "0.2", target]);
    expect(ping.stdout).toContain("2 received, 0% packet loss");
  });
});
