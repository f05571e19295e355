// The speaker as a process: how it begins, what it answers, what a reload touches, and how it ends.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectIpc } from "../../src/io/ipc/client.ts";
import type { BgpRouteRow } from "../../src/io/ipc/speaker-protocol.ts";
import { HEADER_LEN, messageLength, messageType } from "../../src/wire/bgp/header.ts";
import { parse as parsePcapng } from "../../src/wire/pcapng.ts";
import { type BgpCommand, BgpFolder, speakerText } from "../support/bgp-command.ts";

let folder: BgpFolder;
beforeEach(() => {
  folder = new BgpFolder();
});
afterEach(() => folder.remove());

/** A speaker 10.96.0.NUMBER. */
function file(number: number, rest: string): string {
  return speakerText(`10.96.0.${number}`, rest);
}

const A = file(2, "networks: [10.244.1.0/24]\nneighbors: [{ name: b, address: 10.96.0.3, as: internal }]\n");
const B = file(3, "networks: [10.244.2.0/24]\nneighbors: [{ name: a, address: 10.96.0.2, as: internal }]\n");

/** Two speakers with a session, each with the other's network. */
async function pair(a = A, b = B, args: readonly string[] = []): Promise<readonly [BgpCommand, BgpCommand]> {
  // One after the other: so the first does not reach the second, and there is no collision.
  const one = await folder.start("a", a, args).ready();
  const two = await folder.start("b", b).ready();
  await Promise.all([one.established("b"), two.established("a")]);
  return [one, two];
}

describe("two speakers", { timeout: 60_000 }, () => {
  test("exchange networks, and answer every question", async () => {
    const [a, b] = await pair();
    await a.hasRoutes("10.244.1.0/24 via self", "10.244.2.0/24 via 10.96.0.3");
    await b.hasRoutes("10.244.1.0/24 via 10.96.0.2", "10.244.2.0/24 via self");
    const client = await a.client();
    expect(await client.ask("ping", {})).toEqual({ name: "a", pid: a.child.pid });
    expect(await client.ask("bgp-status", {})).toMatchObject({
      name: "a",
      as: 64512,
      routerId: "10.96.0.2",
      listening: ["10.96.0.2:1790"],
      phase: "running",
      neighbors: 1,
      established: 1,
      destinations: 2,
      paths: 2,
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    const rows: BgpRouteRow[] = [];
    const collect = (some: readonly BgpRouteRow[]) => void rows.push(...some);
    expect(await client.rows("bgp-rib-in", { neighbor: "b" }, collect)).toBe(1);
    expect(await client.rows("bgp-rib-out", { neighbor: "10.96.0.3" }, collect)).toBe(1);
    expect(await client.rows("bgp-routes", { prefix: "10.244.2.77", longest: true }, collect)).toBe(1);
    expect(await client.rows("bgp-routes", { prefix: "10.244.9.0/24" }, collect)).toBe(0);
    expect(rows.map(({ prefix, from }) => `${prefix} ${from}`)).toEqual([
      "10.244.2.0/24 b",
      "10.244.1.0/24 local",
      "10.244.2.0/24 b",
    ]);
    expect(await client.ask("bgp-explain", { prefix: "10.244.1.9" })).toMatchObject({
      prefix: "10.244.1.0/24",
      paths: [{ chosen: "best", from: "local" }],
      told: [{ neighbor: "b", addr: "10.96.0.3", why: "told" }],
    });
    expect(await client.ask("bgp-explain", { prefix: "10.244.2.0/24", neighbor: "b" })).toMatchObject({
      told: [{ why: "learnt from it" }],
    });
    let text = "";
    const code = await client.birdc(["show", "route"], (piece) => {
      text += piece;
    });
    expect(code).toBe(0);
    expect(text).toContain("10.244.2.0/24");
    expect(await client.ask("metrics", {})).toContain('podloom_bgp_session_up{neighbor="b"} 1\n');
  });

  test("do as they are told: announce, withdraw, reset, shut down, enable", async () => {
    const [a, b] = await pair();
    const client = await a.client();
    const network = { prefix: "10.244.3.0/24", communities: ["64512:7"] };
    expect(await client.ask("bgp-announce", { network })).toEqual({ prefix: "10.244.3.0/24" });
    await b.hasRoutes("10.244.1.0/24 via 10.96.0.2", "10.244.2.0/24 via self", "10.244.3.0/24 via 10.96.0.2");
    await client.ask("bgp-withdraw", { prefix: "10.244.3.0/24" });
    await b.hasRoutes("10.244.1.0/24 via 10.96.0.2", "10.244.2.0/24 via self");
    await client.ask("bgp-reset", { neighbor: "b", soft: "in" });
    await client.ask("bgp-reset", { neighbor: "b", soft: "out" });
    await expect
      .poll(async () => (await b.peer("a"))?.messagesIn["ROUTE-REFRESH"], { timeout: 15_000 })
      .toBeGreaterThan(0);
    expect(await b.peer("a")).toMatchObject({ state: "Established", dropped: 0 });
    await client.ask("bgp-reset", { neighbor: "b", text: "new cable" });
    await expect.poll(async () => (await b.peer("a"))?.established, { timeout: 15_000 }).toBe(2);
    expect((await b.peer("a"))?.lastDown).toBe(
      "ended by the neighbour: Cease/Administrative Reset: new cable",
    );
    // Established is not told yet: else the next look would take what has not come for what is gone.
    await b.hasRoutes("10.244.1.0/24 via 10.96.0.2", "10.244.2.0/24 via self");
    await client.ask("bgp-shutdown", { neighbor: "b", text: "lunch" });
    await b.hasRoutes("10.244.2.0/24 via self");
    expect((await b.peer("a"))?.lastDown).toBe(
      "ended by the neighbour: Cease/Administrative Shutdown: lunch",
    );
    expect(await a.peer("b")).toMatchObject({ enabled: false, state: "Idle" });
    await client.ask("bgp-enable", { neighbor: "b" });
    await a.established("b");
    await b.hasRoutes("10.244.1.0/24 via 10.96.0.2", "10.244.2.0/24 via self");
  });

  test("take in a changed file without touching the session; a wrong one changes nothing", async () => {
    const [a, b] = await pair();
    const more = A.replace("[10.244.1.0/24]", "[10.244.1.0/24, 10.244.5.0/24]").replace(
      "neighbors: [",
      "neighbors: [{ name: c, address: 172.16.96.4, as: 64999, passive: true }, ",
    );
    folder.write("a.yaml", more);
    a.child.kill("SIGHUP");
    await b.hasRoutes("10.244.1.0/24 via 10.96.0.2", "10.244.2.0/24 via self", "10.244.5.0/24 via 10.96.0.2");
    expect(await a.peers()).toMatchObject([{ name: "b", established: 1, dropped: 0 }, { name: "c" }]);
    expect(a.logOf("reload").at(-1)?.msg).toMatch(
      /was read again: neighbor c \(172\.16\.96\.4\) is new; network 10\.244\.5\.0\/24 is new$/,
    );

    // Which address calls from 127.16.96.4 is known by now, too.
    const c = speakerText("172.16.96.4", "neighbors: [{ name: a, address: 10.96.0.2, as: any }]\n");
    folder.start("c", c.replace("64512", "64999"));
    await a.established("c");

    folder.write("a.yaml", more.replace("64999", "0").replace("10.244.5.0/24", "10.244.6.0/24"));
    a.child.kill("SIGHUP");
    await expect.poll(() => a.logOf("reload").at(-1)?.code, { timeout: 15_000 }).toBe("PL_SPEAKER_FILE");
    expect(a.logOf("reload").at(-1)?.msg).toMatch(
      /a\.yaml:\d+:\d+: neighbors\[0\]\.as: must be at least 1, not 0/,
    );
    const client = await a.client();
    await expect(client.ask("bgp-reload", {})).rejects.toMatchObject({ code: "PL_SPEAKER_FILE" });

    folder.write("a.yaml", more.replace("as: 64512", "as: 64513"));
    await expect(client.ask("bgp-reload", {})).rejects.toMatchObject({
      code: "PL_SPEAKER_FILE",
      message: expect.stringMatching(/a\.yaml:4:5: as: cannot change while the speaker runs\n {2}Stop it/),
    });
    expect(await a.peers()).toMatchObject([{ name: "b", established: 1, dropped: 0 }, { name: "c" }]);

    folder.write("a.yaml", A);
    expect(await client.ask("bgp-reload", {})).toEqual({
      changes: ["neighbor c (172.16.96.4) is gone", "network 10.244.5.0/24 is gone"],
      needRestart: [],
    });
    await b.hasRoutes("10.244.1.0/24 via 10.96.0.2", "10.244.2.0/24 via self");
    expect(await b.peer("a")).toMatchObject({ established: 1, dropped: 0 });

    folder.write("a.yaml", A.replace("as: internal", "as: internal, holdTimeSec: 30"));
    await client.ask("bgp-reload", {});
    await expect
      .poll(() => b.peer("a"), { timeout: 15_000 })
      .toMatchObject({
        established: 2,
        holdTimeSec: 30,
        lastDown: "ended by the neighbour: Cease/Other Configuration Change",
      });
  });

  test("end with a word: Cease/2, exit code 0, and no socket left", async () => {
    const [a, b] = await pair();
    a.child.kill("SIGTERM");
    expect(await a.exited).toEqual([0, null]);
    expect(folder.hasSocket("a")).toBe(false);
    await b.hasRoutes("10.244.2.0/24 via self");
    expect((await b.peer("a"))?.lastDown).toBe("ended by the neighbour: Cease/Administrative Shutdown");
    expect(b.logOf("notification").at(-1)).toMatchObject({ code: 6, subcode: 2, neighbor: "a" });
    expect(a.log.at(-1)).toMatchObject({ event: "exit" });
    const client = await b.client();
    await client.ask("stop", { text: "good night" });
    expect(await b.exited).toEqual([0, null]);
    expect(folder.hasSocket("b")).toBe(false);
  });

  test("keep each other's routes over a restart that was asked for", async () => {
    const graceful = B.replace("networks:", "restart: { graceful: true }\nnetworks:");
    const [a, b] = await pair(A, graceful);
    await a.hasRoutes("10.244.1.0/24 via self", "10.244.2.0/24 via 10.96.0.3");
    await (await b.client()).ask("stop", { silent: true });
    expect(await b.exited).toEqual([0, null]);
    await expect.poll(async () => (await a.peer("b"))?.families[0]?.stale, { timeout: 15_000 }).toBe(true);
    expect(await a.routes()).toEqual(["10.244.1.0/24 via self", "10.244.2.0/24 via 10.96.0.3"]);
    const again = folder.start("b", graceful, ["--restarting"]);
    await expect.poll(() => again.logOf("restartComplete").length, { timeout: 15_000 }).toBe(1);
    await again.hasRoutes("10.244.1.0/24 via 10.96.0.2", "10.244.2.0/24 via self");
    await expect.poll(async () => (await a.peer("b"))?.families[0]?.stale, { timeout: 15_000 }).toBe(false);
    expect(await a.routes()).toEqual(["10.244.1.0/24 via self", "10.244.2.0/24 via 10.96.0.3"]);
    expect(await (await again.client()).ask("bgp-status", {})).toMatchObject({ phase: "running" });
  });

  test("notice by BFD, long before the hold time, that the other is silent", async () => {
    const watched = (text: string) => text.replace("as: internal", "as: internal, bfd: true");
    const [a, b] = await pair(watched(A), watched(B));
    await expect
      .poll(() => a.logOf("bfd").at(-1)?.msg, { timeout: 15_000 })
      .toBe("BFD with 10.96.0.3: Init -> Up");
    b.child.kill("SIGSTOP");
    await a.hasRoutes("10.244.1.0/24 via self");
    expect((await a.peer("b"))?.lastDown).toBe("ended by us: Cease/BFD Down");
    b.child.kill("SIGCONT");
    await a.established("b");
  });

  test("a call from a range becomes a neighbor, and leaves with its session", async () => {
    const reflector = folder.start(
      "rr",
      file(9, "ranges: [{ name: r, prefix: 10.96.0.0/24, as: internal, rrClient: true }]\n"),
    );
    await reflector.ready();
    const clients = [2, 3].map((number) =>
      folder.start(
        `c${number}`,
        file(
          number,
          `networks: [10.244.${number}.0/24]\nlisten: false\nneighbors: [{ name: rr, address: 10.96.0.9, as: internal }]\n`,
        ),
      ),
    );
    for (const client of clients) await client.ready();
    await clients[0]?.hasRoutes("10.244.2.0/24 via self", "10.244.3.0/24 via 10.96.0.3");
    expect(await reflector.peers()).toMatchObject([
      { name: "r-10.96.0.2", addr: "10.96.0.2", role: "rr-client" },
      { name: "r-10.96.0.3", addr: "10.96.0.3", role: "rr-client" },
    ]);
    clients[1]?.child.kill("SIGTERM");
    await expect
      .poll(async () => (await reflector.peers()).map(({ name }) => name), { timeout: 15_000 })
      .toEqual(["r-10.96.0.2"]);
  });
});

describe("what a speaker is asked", { timeout: 60_000 }, () => {
  test("a table of 100,000 routes comes in pieces, and can be had enough of", async () => {
    const networks = Array.from(
      { length: 100_000 },
      (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32`,
    );
    const json = JSON.stringify({
      apiVersion: "podloom/v1",
      kind: "BGPSpeaker",
      carrier: "loopback",
      as: 64512,
      routerId: "10.96.0.2",
      networks,
    });
    const a = await folder.start("a", json).ready();
    const client = await a.client();
    let last = "";
    let largest = 0;
    const count = await client.rows("bgp-routes", {}, (rows) => {
      largest = Math.max(largest, rows.length);
      last = rows.at(-1)?.prefix ?? "";
    });
    expect([count, largest, last]).toEqual([100_000, 256, "10.1.134.159/32"]);
    const connection = await connectIpc(join(folder.path, "podloom/bgp/a.sock"), { from: "test" });
    const call = connection.request("bgp-routes", {}, { onChunk: () => call.interrupt() });
    const { rows } = (await call.done) as { readonly rows: number };
    expect(rows).toBeLessThan(100_000);
    await connection.end();
  });

  test("nonsense is answered, with what is wrong", async () => {
    const a = await folder.start("a", A).ready();
    const connection = await connectIpc(join(folder.path, "podloom/bgp/a.sock"), { from: "test" });
    const ask = (verb: string, args: unknown) => connection.request(verb, args, { timeoutMs: 5000 }).done;
    await expect(ask("dance", {})).rejects.toMatchObject({ code: "PL_IPC_UNKNOWN_VERB" });
    await expect(ask("__proto__", {})).rejects.toMatchObject({ code: "PL_IPC_UNKNOWN_VERB" });
    await expect(ask("bgp-routes", { prefix: 5 })).rejects.toMatchObject({ code: "PL_IPC_BAD_ARGS" });
    await expect(ask("bgp-routes", { prefix: "10.0.0.1/8" })).rejects.toMatchObject({
      code: "PL_IPC_BAD_ARGS",
      message: '"10.0.0.1/8" must have no bits set beyond its length: the prefix is 10.0.0.0/8',
    });
    await expect(ask("bgp-rib-in", { neighbor: "bb" })).rejects.toMatchObject({
      code: "PL_BGP_NEIGHBOR",
      message: 'there is no neighbor "bb"',
      remedy: 'Did you mean "b"?',
    });
    await expect(ask("bgp-explain", { prefix: "192.0.2.1" })).rejects.toMatchObject({ code: "PL_BGP_ROUTE" });
    await expect(ask("bgp-withdraw", { prefix: "192.0.2.0/24" })).rejects.toMatchObject({
      code: "PL_BGP_NETWORK",
    });
    await expect(ask("bgp-announce", { network: "fd00::/64" })).rejects.toMatchObject({
      code: "PL_BGP_NETWORK",
      remedy: "Write our own IPv6 address as address6, or a nextHop here.",
    });
    await expect(ask("bgp-announce", { network: { prefix: "ten" } })).rejects.toMatchObject({
      code: "PL_IPC_BAD_ARGS",
    });
    await expect(ask("birdc", { argv: "show route" })).rejects.toMatchObject({ code: "PL_IPC_BAD_ARGS" });
    expect(await ask("bgp-explain", { prefix: "10.244.1.0/24", neighbor: "b" })).toMatchObject({
      told: [{ neighbor: "b", why: "there is no session with it" }],
    });
    expect(await ask("ping", {})).toMatchObject({ name: "a" });
    await connection.end();
    expect(a.logOf("uncaughtException")).toEqual([]);
  });
});

describe("metrics and captures", { timeout: 60_000 }, () => {
  test("Prometheus is answered at the address that the log names", async () => {
    const [a] = await pair(A, B, ["--metrics", "127.0.0.1:0"]);
    const url = a.logOf("ready")[0]?.metrics ?? "";
    const answer = await fetch(url);
    expect(answer.headers.get("content-type")).toContain("text/plain; version=0.0.4");
    expect(await answer.text()).toContain('podloom_bgp_sessions{state="Established"} 1\n');
    a.child.kill("SIGINT");
    expect(await a.exited).toEqual([0, null]);
    await expect(fetch(url)).rejects.toThrow();
  });

  test("nobody off this machine is told without a token", async () => {
    const refused = folder.start("a", A, ["--metrics", "0.0.0.0:0"]);
    expect(await refused.exited).toEqual([5, null]);
    expect(refused.log.at(-1)).toMatchObject({ code: "PL_METRICS_OPEN" });
    expect(folder.hasSocket("a")).toBe(false);
    const token = { PODLOOM_METRICS_TOKEN: "s3cret" };
    const open = await folder.start("a", A, ["--metrics", "0.0.0.0:0"], token).ready();
    const url = (open.logOf("ready")[0]?.metrics ?? "").replace("0.0.0.0", "127.0.0.1");
    expect((await fetch(url)).status).toBe(401);
    expect((await fetch(url, { headers: { authorization: "Bearer s3cret" } })).status).toBe(200);
  });

  test("a capture is whole when the speaker has ended", async () => {
    const [a] = await pair(A.replace("internal", "internal, passive: true"), B, ["--capture", "a.pcapng"]);
    await a.hasRoutes("10.244.1.0/24 via self", "10.244.2.0/24 via 10.96.0.3");
    a.child.kill("SIGTERM");
    await a.exited;
    const blocks = parsePcapng(readFileSync(join(folder.path, "a.pcapng")));
    if (!blocks.ok) throw new Error(blocks.error);
    expect(blocks.value.at(-1)).toMatchObject({ t: "statistics", dropped: 0 });
    const types = new Map<string, number[]>();
    for (const block of blocks.value) {
      if (block.t !== "packet") continue;
      // Ethernet, IPv4 without options, TCP with its own length.
      const tcp = 14 + 20;
      const payload = block.bytes.subarray(tcp + ((block.bytes[tcp + 12] as number) >> 4) * 4);
      const list = types.get(block.direction ?? "") ?? [];
      types.set(block.direction ?? "", list);
      for (let at = 0; at + HEADER_LEN <= payload.length; at += messageLength(payload, at)) {
        list.push(messageType(payload, at));
      }
    }
    // OPEN, KEEPALIVE, an UPDATE and the End-of-RIB each way; and our Cease.
    expect([types.get("out"), types.get("in")]).toEqual([
      [1, 4, 2, 2, 3],
      [1, 4, 2, 2],
    ]);
  });
});
