import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type Ipv4Addr, ipv4 } from "../../src/base/ipv4-addr.ts";
import { BgpDriver } from "../../src/io/bgp/bgp-driver.ts";
import { TcpMd5 } from "../../src/io/bgp/tcp-md5.ts";
import { TcpTtl } from "../../src/io/bgp/tcp-ttl.ts";
import { MonotonicClock } from "../../src/io/clock.ts";
import { peerConfig } from "../../src/routing/bgp/session/peer-config.ts";
import { carry, PeersSpeaker, type SpeakerPeer, until } from "../support/bgp-engines.ts";
import { commandUnavailable } from "../support/command.ts";

// BIRD as a neighbour with a password (TCP MD5 signatures) or with TTL security (GTSM), on loopback addresses of this machine. It reads the interfaces and
// touches nothing: no kernel protocol.

const OURS = ipv4("10.95.1.1");
const BIRD = ipv4("10.95.1.2");
const nodes = new Map([[carry(BIRD), BIRD]]);
const clock = new MonotonicClock();

function unavailable(): string | undefined {
  if (process.getuid?.() !== 0) return " (needs root)";
  try {
    TcpMd5.load();
    TcpTtl.load();
  } catch (thrown) {
    return ` (${String(thrown)})`;
  }
  return commandUnavailable("bird");
}

const why = unavailable();

/** What is asked of BIRD's segments. */
interface Guard {
  readonly password?: string;
  readonly hops?: number;
}

describe.skipIf(why !== undefined)(`BIRD with guarded segments${why ?? ""}`, () => {
  let folder = "";
  let bird: ChildProcess | undefined;
  let driver: BgpDriver | undefined;
  let log = "";

  afterEach(async () => {
    await driver?.stop();
    if (bird !== undefined && bird.exitCode === null) {
      const ended = new Promise((resolve) => bird?.once("exit", resolve));
      bird.kill("SIGTERM");
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  });

  const startBird = (port: number, ourPort: number, line: string): void => {
    folder = mkdtempSync(join(tmpdir(), "podloom-bird-"));
    const config = join(folder, "bird.conf");
    writeFileSync(
      config,
      `router id 10.95.1.2;
protocol device {}
protocol static { ipv4; route 10.244.7.0/26 blackhole; }
protocol bgp ours {
  local ${carry(BIRD)} port ${port} as 64512; neighbor ${carry(OURS)} port ${ourPort} as 64512;
  strict bind yes; multihop; connect delay time 1; connect retry time 1; ${line}
  ipv4 { import all; export where source = RTS_STATIC; next hop address 10.95.1.2; };
}
`,
    );
    bird = spawn("bird", ["-f", "-c", config, "-s", join(folder, "ctl"), "-P", join(folder, "pid")]);
    log = "";
    bird.stderr?.on("data", (text) => {
      log += String(text);
    });
  };

  const startOurs = async (passive: boolean, guard: Guard, birdPort: number): Promise<SpeakerPeer> => {
    const speaker = new PeersSpeaker(OURS);
    // Whoever is not heard is given up soon.
    const plain = peerConfig({ localAs: 64512, peerAs: 64512, routerId: OURS, holdTimeSec: 3 });
    const config = {
      ...plain,
      fsm: {
        ...plain.fsm,
        passive,
        connectRetrySec: 1,
        openHoldSec: 3,
        idleHoldMinSec: 1,
        idleHoldMaxSec: 1,
      },
    };
    const ofBird = speaker.add(BIRD, birdPort, config, guard.password, guard.hops);
    driver = new BgpDriver({
      speaker,
      ids: speaker.ids,
      clock,
      listen: [{ addr: OURS, port: 0 }],
      carry,
      uncarry: (host) => nodes.get(host),
      onOutput: () => {},
    });
    await driver.start();
    return ofBird;
  };

  const listening = (): number => driver?.listening[0]?.port ?? 0;

  const guards: [string, Guard, string][] = [
    ["a password", { password: "a secret" }, 'password "a secret";'],
    ["TTL security", { hops: 1 }, "ttl security on;"],
    ["both", { password: "a secret", hops: 2 }, 'password "a secret"; ttl security on;'],
  ];

  test.each(guards)("calls us with %s", async (_, guard, line) => {
    const ofBird = await startOurs(true, guard, 0);
    startBird(await freePort(BIRD), listening(), line);
    await until(`Established (${log})`, () => ofBird.peer.status().state === "Established", 20_000);
    await until("its route", () => ofBird.outputs.some(({ t }) => t === "update"), 20_000);
    expect(ofBird.peer.status().incoming).toBe(true);
  });

  test.each(guards)("is called by us with %s", async (_, guard, line) => {
    const port = await freePort(BIRD);
    const ofBird = await startOurs(false, guard, port);
    startBird(port, listening(), `${line} passive;`);
    await until("Established", () => ofBird.peer.status().state === "Established", 20_000);
    await until("its route", () => ofBird.outputs.some(({ t }) => t === "update"), 20_000);
    expect(ofBird.peer.status().incoming).toBe(false);
  });

  test.each(['password "another";', ""])("does not get through with: %s", async (line) => {
    const port = await freePort(BIRD);
    const ofBird = await startOurs(false, { password: "a secret" }, port);
    startBird(port, listening(), line);
    await until("BIRD", () => existsSync(join(folder, "ctl")));
    const before = driver?.stats.dialled ?? 0;
    await until("several attempts", () => (driver?.stats.dialled ?? 0) >= before + 4, 20_000);
    expect(ofBird.peer.status().state).not.toBe("Established");
    expect(driver?.stats.accepted).toBe(0);
    expect(bird?.exitCode).toBeNull();
  });

  test("that sends as if it were far away does not get through to TTL security", async () => {
    const port = await freePort(BIRD);
    const ofBird = await startOurs(false, { hops: 1 }, port);
    // Its TTL is what it takes for the way.
    startBird(port, listening(), "multihop 5;");
    const before = driver?.stats.dialled ?? 0;
    await until("several attempts", () => (driver?.stats.dialled ?? 0) >= before + 3, 60_000);
    // What comes before our side has set the bound is heard; nothing after it.
    expect(ofBird.outputs.filter(({ t }) => t === "peerUp" || t === "update")).toEqual([]);
  });
});

/** A port that nobody uses now. */
async function freePort(addr: Ipv4Addr): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen({ host: carry(addr), port: 0 }, resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
