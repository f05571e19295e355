// BIRD as the other end of a BFD session, over one hop:
//
//   [ ours: 10.219.5.1 ] --veth-- [ BIRD: 10.219.5.2 ]
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { MS_US, SEC_US } from "../../src/base/time.ts";
import type { BfdStateChange, BfdStatus, BfdTimers } from "../../src/routing/bfd/bfd-messages.ts";
import { Diag } from "../../src/wire/bfd.ts";
import { commandUnavailable } from "../support/command.ts";
import { Namespaces, namespacesUnavailable } from "../support/network-namespace.ts";

const WAIT = { timeout: 20_000, interval: 50 };
const TIMERS: BfdTimers = { desiredMinTxUs: 200 * MS_US, requiredMinRxUs: 250 * MS_US, detectMult: 8 };

const namespaces = namespacesUnavailable();
const unavailable =
  (namespaces === undefined ? undefined : ` (${namespaces})`) ??
  commandUnavailable("bird") ??
  commandUnavailable("tcpdump") ??
  commandUnavailable("tshark");

type OurStatus = BfdStatus & {
  readonly idle: boolean;
  readonly discarded: object;
  readonly socket: { readonly txErrors: number };
};

/** Our end: a process in the namespace. */
class Ours {
  readonly changes: (BfdStateChange & { readonly at: number })[] = [];
  readonly #child: ChildProcess;
  readonly #answers: ((status: OurStatus) => void)[] = [];

  constructor(child: ChildProcess) {
    this.#child = child;
    // The first status comes unasked.
    this.#answers.push(() => {});
    if (child.stdout === null) throw new Error("no output");
    createInterface({ input: child.stdout }).on("line", (line) => {
      const said = JSON.parse(line) as { change?: Ours["changes"][number]; status?: OurStatus };
      if (said.change !== undefined) this.changes.push(said.change);
      if (said.status !== undefined) this.#answers.shift()?.(said.status);
    });
  }

  tell(command: "add" | "configure" | "del" | "status", timers?: BfdTimers): Promise<OurStatus> {
    return new Promise((resolve) => {
      this.#answers.push(resolve);
      this.#child.stdin?.write(`${command} ${timers === undefined ? "" : JSON.stringify(timers)}\n`);
    });
  }

  async until(want: object): Promise<OurStatus> {
    await vi.waitFor(async () => expect(await this.tell("status")).toMatchObject(want), WAIT);
    return this.tell("status");
  }
}

describe.skipIf(unavailable !== undefined)(`BIRD as a neighbour${unavailable ?? ""}`, () => {
  const spaces = new Namespaces();
  const folder = mkdtempSync(join(tmpdir(), "podloom-bfd-"));
  const path = (name: string): string => join(folder, name);
  let home = "";
  let away = "";
  let ours: Ours;
  let child: ChildProcess;
  let bird: ChildProcess;

  const startBird = (): void => {
    bird = spaces.spawn(away, "bird", ["-f", "-c", path("bird.conf"), "-s", path("ctl"), "-P", path("pid")]);
  };

  const kill = async (victim: ChildProcess): Promise<void> => {
    const ended = new Promise((resolve) => victim.once("exit", resolve));
    victim.kill("SIGKILL");
    await ended;
  };

  /** BIRD's line about us: address, device, state, since, interval, timeout. */
  const session = (): readonly string[] => {
    const rows = spaces.run("birdc", "-s", path("ctl"), "show", "bfd", "sessions").split("\n");
    return rows.find((row) => row.startsWith("10.219.5.1"))?.split(/\s+/) ?? [];
  };

  const birdSays = (state: string): Promise<void> => vi.waitFor(() => expect(session()[2]).toBe(state), WAIT);

  beforeAll(() => {
    home = spaces.add("bfd-home");
    away = spaces.add("bfd-bird");
    spaces.link(home, "eth1", "10.219.5.1/24", away, "eth1", "10.219.5.2/24");
    // Otherwise checksums are left to a network card that is not there, and tshark complains of them.
    spaces.exec(home, "ethtool -K eth1 tx-checksum-ip-generic off");
    writeFileSync(
      path("bird.conf"),
      `log "${path("log")}" all;
router id 10.219.5.2;
protocol device { }
protocol bfd {
  debug { states, events };
  interface "eth1" { min rx interval 300 ms; min tx interval 150 ms; idle tx interval 1 s; multiplier 8; };
  neighbor 10.219.5.1 dev "eth1";
}
`,
    );
    buildSync({
      entryPoints: [join(import.meta.dirname, "../support/bfd-process.mjs")],
      outfile: path("ours.mjs"),
      bundle: true,
      platform: "node",
      format: "esm",
    });
    startBird();
    child = spaces.spawn(
      home,
      process.execPath,
      [path("ours.mjs"), "10.219.5.1", "10.219.5.2", JSON.stringify(TIMERS)],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    ours = new Ours(child);
  });

  afterAll(async () => {
    await spaces.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("comes Up, and both know each other's timers", async () => {
    const status = await ours.until({ state: "Up", polling: false, remoteState: "Up" });
    expect(status).toMatchObject({
      told: TIMERS,
      remote: { desiredMinTxUs: 150 * MS_US, requiredMinRxUs: 300 * MS_US, detectMult: 8 },
      // The larger of what we want to send and what it can take; and eight of what it sends, which we can take less often.
      txIntervalUs: 300 * MS_US,
      detectionTimeUs: 8 * 250 * MS_US,
      discarded: {},
      socket: { txErrors: 0 },
    });
    await birdSays("Up");
    // It shows its own interval, and eight of ours.
    await vi.waitFor(() => expect(session().slice(4)).toEqual(["0.250", "2.400"]), WAIT);
  });

  test("our packets decode without a warning, with a time to live of 255, from one high port", async () => {
    const capture = path("wire.pcap");
    const filter = ["-i", "eth1", "-U", "--immediate-mode", "-Z", "root", "-c", "20", "-w", capture];
    const dump = spaces.spawn(away, "tcpdump", [...filter, "udp port 3784"], { stdio: "ignore" });
    await new Promise((resolve) => dump.once("exit", resolve));
    const shark = (show: string, ...fields: string[]): string[] => {
      const args = fields.flatMap((field) => ["-e", field]);
      const checks = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"];
      return spaces
        .run("tshark", "-r", capture, ...checks, "-Y", show, "-T", "fields", ...args)
        .split("\n")
        .filter((line) => line !== "");
    };
    const own = "ip.src==10.219.5.1";
    const packets = shark(`${own} && bfd`, "ip.ttl", "udp.srcport", "udp.dstport");
    expect(packets.length).toBeGreaterThanOrEqual(5);
    expect(new Set(packets)).toEqual(new Set(["255\t49153\t3784"]));
    const bad = "_ws.malformed || ip.checksum.status==0 || udp.checksum.status==0 || _ws.expert";
    expect(shark(`${own} && (${bad})`, "frame.number")).toEqual([]);
  });

  test("other timers are told in a poll sequence, and the session stays", async () => {
    const before = await ours.tell("status");
    await ours.tell("configure", {
      desiredMinTxUs: 700 * MS_US,
      requiredMinRxUs: 100 * MS_US,
      detectMult: 3,
    });
    await ours.until({ polling: false, txIntervalUs: 700 * MS_US, detectionTimeUs: 8 * 150 * MS_US });
    await vi.waitFor(() => expect(session().slice(4)).toEqual(["0.150", "2.100"]), WAIT);
    await ours.tell("configure", TIMERS);
    await ours.until({ polling: false, txIntervalUs: 300 * MS_US, detectionTimeUs: 8 * 250 * MS_US });
    await vi.waitFor(() => expect(session().slice(4)).toEqual(["0.250", "2.400"]), WAIT);
    const after = await ours.tell("status");
    expect(after).toMatchObject({ state: "Up", since: before.since });
    expect(readFileSync(path("log"), "utf8")).not.toMatch(/from Up to|expired|Bad packet/);
  });

  test("BIRD is killed: Down when the detection time is over; it starts again: Up", async () => {
    const before = await ours.until({ state: "Up" });
    await kill(bird);
    const silent = await ours.tell("status");
    await ours.until({ state: "Down", diag: Diag.DETECTION_TIME_EXPIRED, remoteDiscriminator: 0 });
    const change = ours.changes.at(-1);
    expect(change).toMatchObject({ from: "Up", to: "Down", failed: true, remoteIndependent: false });
    const tookUs = (change?.at ?? 0) - silent.heardAt;
    expect(tookUs).toBeGreaterThanOrEqual(silent.detectionTimeUs);
    expect(tookUs).toBeLessThan(silent.detectionTimeUs + 5 * SEC_US);
    startBird();
    const after = await ours.until({ state: "Up", polling: false });
    expect(after.remoteDiscriminator).not.toBe(before.remoteDiscriminator);
    await birdSays("Up");
  });

  test("ours is taken down: BIRD knows it at once; and Up again", async () => {
    await ours.tell("del");
    await birdSays("Down");
    expect(readFileSync(path("log"), "utf8")).not.toMatch(/expired/);
    await ours.until({ idle: true });
    await ours.tell("add", TIMERS);
    await ours.until({ state: "Up" });
    await birdSays("Up");
  });

  test("ours is killed: BIRD detects it", async () => {
    await kill(child);
    await birdSays("Down");
    expect(readFileSync(path("log"), "utf8")).toMatch(/Session to 10\.219\.5\.1 expired/);
  });
});
