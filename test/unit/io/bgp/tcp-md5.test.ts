import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { type Ipv4Addr, ipv4 } from "../../../../src/base/ipv4-addr.ts";
import { BgpDriver, type OtherOutput } from "../../../../src/io/bgp/bgp-driver.ts";
import type { SpeakerEngine } from "../../../../src/io/bgp/speaker-loop.ts";
import { TcpMd5 } from "../../../../src/io/bgp/tcp-md5.ts";
import { MonotonicClock } from "../../../../src/io/clock.ts";
import { PodloomError } from "../../../../src/io/podloom-error.ts";
import { peerConfig } from "../../../../src/routing/bgp/session/peer-config.ts";
import type { ConnIds } from "../../../../src/routing/bgp/session/peer-messages.ts";
import { carry, PeersSpeaker, ScriptedSpeaker, until } from "../../../support/bgp-engines.ts";

// Nodes that no other test has.
const A = ipv4("10.92.1.1");
const B = ipv4("10.92.1.2");
const nodes = new Map([A, B].map((addr) => [carry(addr), addr]));
const clock = new MonotonicClock();
const drivers: BgpDriver[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  await Promise.all(drivers.splice(0).map((driver) => driver.stop()));
  for (const socket of sockets.splice(0)) socket.destroy();
});

function driverOf(
  addr: Ipv4Addr,
  speaker: SpeakerEngine & { ids: ConnIds },
  md5: () => TcpMd5 = TcpMd5.load,
): { driver: BgpDriver; said: OtherOutput[] } {
  const said: OtherOutput[] = [];
  const driver = new BgpDriver({
    speaker,
    ids: speaker.ids,
    clock,
    listen: [{ addr, port: 0 }],
    carry,
    uncarry: (host) => nodes.get(host),
    md5,
    onOutput: (output) => said.push(output),
  });
  drivers.push(driver);
  return { driver, said };
}

function call(port: number): Socket {
  const socket = connect({ host: carry(A), port, localAddress: carry(B) });
  sockets.push(socket);
  socket.on("error", () => {});
  return socket;
}

/** Why signatures cannot be had here, or undefined when they can. */
function unavailable(): string | undefined {
  try {
    const md5 = TcpMd5.load();
    const fd = md5.tcp.open();
    try {
      md5.setPassword(fd, "127.0.0.2", "probe");
    } finally {
      md5.tcp.close(fd);
    }
    return undefined;
  } catch (thrown) {
    return String(thrown);
  }
}

describe("where there are no signatures", () => {
  const missing = (): never => {
    throw new PodloomError("PL_BGP_MD5", "no koffi", { remedy: "Install it." });
  };

  test("a speaker with passwords does not start, and nothing is dialled or opened", async () => {
    const speaker = new PeersSpeaker(A);
    speaker.add(B, 1790, peerConfig({ localAs: 1, peerAs: 1, routerId: A }), "secret");
    const { driver } = driverOf(A, speaker, missing);
    await expect(driver.start()).rejects.toMatchObject({ code: "PL_BGP_MD5" });
    expect(driver.listening).toEqual([]);
    expect(driver.stats.dialled).toBe(0);
  });

  test("a password that comes later is an error in the log; its neighbour is neither heard nor dialled", async () => {
    const speaker = new ScriptedSpeaker();
    const { driver, said } = driverOf(A, speaker, missing);
    await driver.start();
    const port = driver.listening[0]?.port ?? 0;
    speaker.outputs.push(
      { t: "password", remote: B, password: "secret" },
      { t: "dial", conn: 1, local: A, remote: B, port: 1790, password: "secret" },
    );
    driver.change(() => {});
    await until("the failure", () => speaker.count("connectFailed") === 1);
    expect(speaker.inputs.at(-1)).toEqual({ t: "connectFailed", conn: 1, message: "no koffi" });
    expect(said).toEqual([{ t: "log", level: "error", event: "password", message: "no koffi. Install it." }]);
    const socket = call(port);
    await once(socket, "close");
    expect(driver.stats).toMatchObject({ accepted: 0, refused: 1 });
    // Without the password it is welcome again.
    speaker.outputs.push({ t: "password", remote: B, password: undefined });
    driver.change(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    await once(call(port), "connect");
    await until("the call", () => driver.stats.accepted === 1);
    expect(said).toHaveLength(1);
  });
});

const why = unavailable();

describe.skipIf(why !== undefined)(`signatures${why === undefined ? "" : ` (${why})`}`, () => {
  const sessions = async (ours: string, theirs: string) => {
    const config = (routerId: Ipv4Addr, passive: boolean) => {
      const plain = peerConfig({ localAs: 64512, peerAs: 64512, routerId });
      return { ...plain, fsm: { ...plain.fsm, passive, connectRetrySec: 1 } };
    };
    const [a, b] = [new PeersSpeaker(A), new PeersSpeaker(B)];
    const ofA = a.add(B, 0, config(A, true), ours);
    const first = driverOf(A, a).driver;
    await first.start();
    const ofB = b.add(A, first.listening[0]?.port ?? 0, config(B, false), theirs);
    const second = driverOf(B, b).driver;
    await second.start();
    return { ofA, ofB, first, second };
  };

  test("with the same password on both sides bring a session up", async () => {
    const { ofA, ofB, second } = await sessions("secret", "secret");
    await until("Established", () => [ofA, ofB].every(({ peer }) => peer.status().state === "Established"));
    await second.stop();
    await until("the end", () => ofA.peer.status().state !== "Established");
  });

  test("with different ones do not", async () => {
    const { ofB, first, second } = await sessions("secret", "other");
    await until("a second attempt", () => second.stats.dialled === 2);
    expect(ofB.peer.status().state).not.toBe("Established");
    expect(first.stats).toMatchObject({ accepted: 0, refused: 0 });
  });

  test("are asked of a neighbour's calls as long as it has a password", async () => {
    const speaker = new ScriptedSpeaker();
    const { driver, said } = driverOf(A, speaker);
    await driver.start();
    const port = driver.listening[0]?.port ?? 0;
    speaker.outputs.push({ t: "password", remote: B, password: "secret" });
    driver.change(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    const unsigned = call(port);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(unsigned.connecting).toBe(true);
    unsigned.destroy();
    expect(driver.stats.accepted).toBe(0);
    speaker.outputs.push({ t: "password", remote: B, password: undefined });
    driver.change(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    await once(call(port), "connect");
    await until("the call", () => driver.stats.accepted === 1);
    expect(said).toEqual([]);
  });

  test("with a password that is too long are refused", () => {
    expect(() => TcpMd5.load().setPassword(-1, "127.0.0.2", "é".repeat(41))).toThrow(
      expect.objectContaining({
        code: "PL_BGP_MD5",
        message: "the BGP password for 127.0.0.2 has 82 octets, and TCP takes at most 80",
      }),
    );
  });

  test("that the kernel does not take are named by its error", () => {
    expect(() => TcpMd5.load().setPassword(-1, "127.0.0.2", "secret")).toThrow(/EBADF/);
  });
});
