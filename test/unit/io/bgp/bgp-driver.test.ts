import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatIpv4, type Ipv4Addr, ipv4, parseIpv4 } from "../../../../src/base/ipv4-addr.ts";
import { NEVER } from "../../../../src/base/time.ts";
import { BgpDriver, type OtherOutput } from "../../../../src/io/bgp/bgp-driver.ts";
import type { SpeakerEngine } from "../../../../src/io/bgp/speaker-loop.ts";
import { MonotonicClock } from "../../../../src/io/clock.ts";
import { peerConfig } from "../../../../src/routing/bgp/session/peer-config.ts";
import type { ConnIds } from "../../../../src/routing/bgp/session/peer-messages.ts";
import type { SpeakerInput } from "../../../../src/routing/bgp/speaker/speaker-messages.ts";
import { ErrorCode } from "../../../../src/wire/bgp/errors.ts";
import { parseNotification } from "../../../../src/wire/bgp/notification.ts";
import { carry, PeersSpeaker, ScriptedSpeaker, until } from "../../../support/bgp-engines.ts";

// Nodes that no other test has.
const A = ipv4("10.91.1.1");
const B = ipv4("10.91.1.2");
const C = ipv4("10.91.1.3");
const STRANGER = ipv4("10.91.1.99");

const clock = new MonotonicClock();
const nodes = new Map([A, B, C].map((addr) => [carry(addr), addr]));

const drivers: BgpDriver[] = [];
const sockets: Socket[] = [];
const servers: Server[] = [];
let before: string[] = [];

function tcpResources(): string[] {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP") || name === "Timeout");
}

beforeEach(() => {
  before = tcpResources();
});

afterEach(async () => {
  await Promise.all(drivers.splice(0).map((driver) => driver.stop()));
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  await until("every socket and timer gone", () => tcpResources().length <= before.length);
});

interface Started {
  readonly driver: BgpDriver;
  readonly port: number;
  readonly said: OtherOutput[];
}

async function drive(addr: Ipv4Addr, speaker: SpeakerEngine & { ids: ConnIds }): Promise<Started> {
  const said: OtherOutput[] = [];
  const driver = new BgpDriver({
    speaker,
    ids: speaker.ids,
    clock,
    listen: [{ addr, port: 0 }],
    carry,
    uncarry: (host) => nodes.get(host),
    onOutput: (output) => said.push(output),
  });
  drivers.push(driver);
  await driver.start();
  return { driver, port: driver.listening[0]?.port ?? 0, said };
}

/** A socket of the test's own that calls from a node's address. */
async function call(from: Ipv4Addr, to: Ipv4Addr, port: number): Promise<Socket> {
  const socket = connect({ host: carry(to), port, localAddress: carry(from), noDelay: true });
  sockets.push(socket);
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** A listening socket of the test's own, which reads nothing unless it is told to. */
async function answer(
  addr: Ipv4Addr,
): Promise<{ port: number; taken: readonly Socket[]; next: () => Promise<Socket> }> {
  const server = createServer({ pauseOnConnect: true });
  servers.push(server);
  const taken: Socket[] = [];
  server.on("connection", (socket) => {
    socket.on("error", () => {});
    taken.push(socket);
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen({ host: carry(addr), port: 0 }, resolve);
  });
  const { port } = server.address() as { port: number };
  const next = async (): Promise<Socket> => {
    await until("a call", () => taken.length > 0);
    return taken.shift() as Socket;
  };
  return { port, taken, next };
}

/** A driver whose speaker has dialled a socket of the test's own. */
async function dialled(): Promise<{
  speaker: ScriptedSpeaker;
  driver: BgpDriver;
  theirs: Socket;
  conn: number;
}> {
  const speaker = new ScriptedSpeaker();
  const { driver } = await drive(A, speaker);
  const { port, next } = await answer(B);
  const conn = speaker.ids.next();
  speaker.outputs.push({ t: "dial", conn, local: A, remote: B, port, password: undefined });
  driver.change(() => {});
  const theirs = await next();
  await until("the connection", () => speaker.count("connected") === 1);
  return { speaker, driver, theirs, conn };
}

function ofConn(speaker: ScriptedSpeaker, conn: number): string[] {
  return speaker.inputs.filter((input) => "conn" in input && input.conn === conn).map(({ t }) => t);
}

describe("sessions", () => {
  const config = (routerId: Ipv4Addr, passive: boolean) => {
    const plain = peerConfig({ localAs: 64512, peerAs: 64512, routerId });
    return { ...plain, fsm: { ...plain.fsm, passive, connectRetrySec: 1 } };
  };

  test("come up between two speakers, by the nodes' addresses, and end with a Cease that says why", async () => {
    const [a, b] = [new PeersSpeaker(A), new PeersSpeaker(B)];
    const ofA = a.add(B, 0, config(A, true));
    const first = await drive(A, a);
    const ofB = b.add(A, first.port, config(B, false));
    const second = await drive(B, b);
    const states = (): string[] => [ofA.peer.status().state, ofB.peer.status().state];
    await until("Established", () => states().every((state) => state === "Established"));
    expect(ofA.peer.status().incoming).toBe(true);
    expect([first.driver.stats.accepted, second.driver.stats.dialled]).toEqual([1, 1]);

    await second.driver.stop({ text: "maintenance" });
    await until("the end", () => ofA.outputs.some(({ t }) => t === "peerDown"));
    expect(ofA.outputs.find(({ t }) => t === "peerDown")).toMatchObject({
      reason: { t: "remote", notice: { code: ErrorCode.CEASE, subcode: 2 } },
    });
    expect(second.driver.socketCount).toBe(0);
    expect(second.said).toContainEqual({ t: "stopped" });
  });

  test("come up although both sides dial", async () => {
    const [a, b] = [new PeersSpeaker(A), new PeersSpeaker(B)];
    const first = await drive(A, a);
    const second = await drive(B, b);
    const ofA = a.add(B, second.port, config(A, false));
    const ofB = b.add(A, first.port, config(B, false));
    first.driver.handle({ t: "start" });
    second.driver.handle({ t: "start" });
    const settled = (): boolean => {
      const up = [ofA, ofB].every(({ peer }) => peer.status().state === "Established");
      return up && first.driver.socketCount === 1 && second.driver.socketCount === 1;
    };
    await until("one session", settled);
    expect(ofA.peer.status().incoming).not.toBe(ofB.peer.status().incoming);
  });

  test("that nobody answers are dialled again", async () => {
    const a = new PeersSpeaker(A);
    const { port } = await answer(B);
    servers.pop()?.close();
    const ofA = a.add(B, port, config(A, false));
    const { driver } = await drive(A, a);
    await until("a second dial", () => driver.stats.dialled === 2);
    const failures = ofA.outputs.filter((one) => one.t === "trace" && one.trace.t === "connectFailed");
    expect(failures[0]).toMatchObject({
      trace: { message: `nobody listens on ${carry(B)}:${port} (ECONNREFUSED)` },
    });
  });
});

describe("reading", () => {
  test("keeps the order of octets that come one at a time", async () => {
    const speaker = new ScriptedSpeaker();
    const { port } = await drive(A, speaker);
    const socket = await call(B, A, port);
    const text = Array.from({ length: 300 }, (_, i) => String.fromCharCode(32 + (i % 90))).join("");
    for (const char of text) {
      socket.write(char);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until("all of it", () => speaker.text(1).length === text.length);
    expect(speaker.text(1)).toBe(text);
    expect(speaker.inputs[1]).toEqual({ t: "incoming", conn: 1, remote: B });
    expect(speaker.count("received")).toBeGreaterThan(100);
  });

  test("comes before a timer that ran out while the process was busy", async () => {
    const speaker = new ScriptedSpeaker();
    const { driver, port } = await drive(A, speaker);
    const socket = await call(B, A, port);
    await until("the call", () => speaker.count("incoming") === 1);
    driver.change((now) => {
      speaker.deadline = now + 20_000;
    });
    speaker.react = (input) => {
      if (input.t === "tick") speaker.deadline = NEVER;
    };
    // The timer of the deadline is armed by now; then this process hears and does nothing for longer than that.
    await new Promise((resolve) => setTimeout(resolve, 2));
    socket.write("in time");
    const busyUntil = performance.now() + 60;
    while (performance.now() < busyUntil);
    await until("the tick", () => speaker.count("tick") === 1);
    expect(ofConn(speaker, 1)).toEqual(["incoming", "received"]);
    expect(speaker.inputs.at(-1)).toEqual({ t: "tick" });
  });

  test("hands over what was said before the end, then the end, once", async () => {
    const { speaker, theirs, conn } = await dialled();
    theirs.end("last words");
    await until("the end", () => speaker.count("closed") === 1);
    expect(ofConn(speaker, conn)).toEqual(["connected", "received", "closed"]);
    expect(speaker.inputs.at(-1)).toEqual({ t: "closed", conn });
  });

  test("says that the other side has reset the connection", async () => {
    const { speaker, theirs, conn } = await dialled();
    theirs.resetAndDestroy();
    await until("the end", () => speaker.count("closed") === 1);
    expect(speaker.inputs.at(-1)).toMatchObject({
      t: "closed",
      conn,
      message: expect.stringMatching(/reset/),
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(speaker.count("closed")).toBe(1);
  });
});

describe("writing", () => {
  test("to a slow reader blocks, goes on, and loses nothing", async () => {
    const { speaker, driver, theirs, conn } = await dialled();
    const chunks = Array.from({ length: 160 }, (_, i) => new Uint8Array(64 * 1024).fill(i));
    let blocked = false;
    let sent = 0;
    speaker.react = ({ t }) => {
      if (t === "blocked") blocked = true;
      if (t === "drained") blocked = false;
    };
    speaker.more = () => {
      const bytes = blocked ? undefined : chunks[sent];
      if (bytes === undefined) return undefined;
      sent++;
      return { t: "send", conn, bytes };
    };
    let heard = 0;
    let wrong = 0;
    theirs.on("data", (bytes) => {
      for (const octet of bytes) if (octet !== Math.floor(heard++ / (64 * 1024))) wrong++;
    });
    driver.change(() => {});
    await until("it blocks", () => blocked);
    const before = sent;
    expect(before).toBeLessThan(chunks.length);
    theirs.resume();
    await until("all of it", () => heard === chunks.length * 64 * 1024);
    expect(wrong).toBe(0);
    expect(speaker.count("drained")).toBe(speaker.count("blocked"));
    expect(speaker.count("blocked")).toBeGreaterThanOrEqual(1);
  });

  test("large pieces that the system takes at once do not block", async () => {
    const { speaker, driver, theirs, conn } = await dialled();
    theirs.resume();
    speaker.outputs.push({ t: "send", conn, bytes: new Uint8Array(64 * 1024) });
    driver.change(() => {});
    await until("it arrives", () => theirs.bytesRead === 64 * 1024);
    expect(speaker.count("blocked")).toBe(0);
  });

  test("that goes on, however slowly, is told as progress", async () => {
    const { speaker, driver, theirs, conn } = await dialled();
    speaker.outputs.push({ t: "send", conn, bytes: new Uint8Array(24 * 1024 * 1024) });
    driver.change(() => {});
    await until("it blocks", () => speaker.count("blocked") === 1);
    const sips = setInterval(() => theirs.read(), 20);
    await until("progress", () => speaker.count("progress") > 0);
    expect(speaker.count("drained")).toBe(0);
    clearInterval(sips);
    theirs.resume();
    await until("the end", () => speaker.count("drained") === 1);
  });

  test("to somebody who reads nothing is no progress, and bounded once it is given up", async () => {
    const { speaker, driver, conn } = await dialled();
    speaker.outputs.push({ t: "send", conn, bytes: new Uint8Array(24 * 1024 * 1024) });
    driver.change(() => {});
    await until("it blocks", () => speaker.count("blocked") === 1);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(ofConn(speaker, conn)).toEqual(["connected", "blocked"]);
    speaker.outputs.push({ t: "close", conn, afterFlush: true });
    const closedAt = performance.now();
    driver.change(() => {});
    await until("the socket gone", () => driver.socketCount === 0);
    expect(performance.now() - closedAt).toBeLessThan(3000);
    expect(speaker.count("closed")).toBe(0);
  });
});

describe("closing", () => {
  test("behind a NOTIFICATION lets a late reader have it, and what came before it", async () => {
    const speaker = new ScriptedSpeaker();
    const { driver } = await drive(A, speaker);
    const { port, next } = await answer(B);
    const conn = speaker.ids.next();
    speaker.outputs.push({ t: "dial", conn, local: A, remote: B, port, password: undefined });
    driver.change(() => {});
    const theirs = await next();
    await until("the connection", () => speaker.count("connected") === 1);
    // More than the other side's system keeps for it, so that some of it waits on ours.
    const table = new Uint8Array(256 * 1024).fill(1);
    const notification = Uint8Array.of(...new Uint8Array(16).fill(255), 0, 21, 3, 6, 2);
    speaker.outputs.push(
      { t: "send", conn, bytes: table },
      { t: "send", conn, bytes: notification },
      { t: "close", conn, afterFlush: true },
    );
    // It goes on talking while we close: what is left unread when a socket is closed resets the connection.
    const talk = Buffer.alloc(64 * 1024);
    driver.change(() => {});
    const talking = setInterval(() => theirs.write(talk), 50);
    await new Promise((resolve) => setTimeout(resolve, 300));
    clearInterval(talking);
    await until("the socket gone", () => driver.socketCount === 0);
    const heard: Buffer[] = [];
    theirs.on("data", (bytes) => heard.push(bytes));
    theirs.resume();
    await once(theirs, "end");
    const all = Buffer.concat(heard);
    expect(all.length).toBe(table.length + notification.length);
    expect(parseNotification(all.subarray(table.length))).toMatchObject({ code: 6, subcode: 2 });
    expect(speaker.count("closed")).toBe(0);
  });

  test("a dial that would succeed later leaves nothing behind", async () => {
    const speaker = new ScriptedSpeaker();
    const { driver } = await drive(A, speaker);
    const { port, taken } = await answer(B);
    const conn = speaker.ids.next();
    speaker.outputs.push(
      { t: "dial", conn, local: A, remote: B, port, password: undefined },
      { t: "close", conn, afterFlush: false },
    );
    driver.change(() => {});
    await until("the socket gone", () => driver.stats.dialled === 1 && driver.socketCount === 0);
    // On this machine the handshake may have been over before we gave up; then the other side sees the end at once.
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (const theirs of taken) {
      theirs.resume();
      await until("their end", () => theirs.readableEnded || theirs.destroyed);
    }
    expect(ofConn(speaker, conn)).toEqual([]);
  });
});

describe("dialling", () => {
  test("fails once where nobody listens", async () => {
    const speaker = new ScriptedSpeaker();
    const { driver } = await drive(A, speaker);
    const { port } = await answer(B);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    const conn = speaker.ids.next();
    speaker.outputs.push({ t: "dial", conn, local: A, remote: B, port, password: undefined });
    driver.change(() => {});
    await until("the failure", () => speaker.count("connectFailed") > 0);
    await until("the socket gone", () => driver.socketCount === 0);
    expect(ofConn(speaker, conn)).toEqual(["connectFailed"]);
    expect(speaker.inputs.at(-1)).toMatchObject({
      message: `nobody listens on ${carry(B)}:${port} (ECONNREFUSED)`,
    });
  });

  test("comes from the node's own address", async () => {
    const { theirs } = await dialled();
    expect(parseIpv4(theirs.remoteAddress ?? "")).toBe(parseIpv4(carry(A)));
  });

  test("to an address that this machine cannot carry fails, and says why", async () => {
    const speaker = new ScriptedSpeaker();
    const { driver } = await drive(A, speaker);
    const remote = ipv4("10.0.0.1");
    speaker.outputs.push({ t: "dial", conn: 7, local: A, remote, port: 179, password: undefined });
    driver.change(() => {});
    await until("the failure", () => speaker.count("connectFailed") === 1);
    expect(speaker.inputs.at(-1)).toMatchObject({
      conn: 7,
      message: expect.stringMatching(/would be carried on 127\.0\.0\.1/),
    });
  });
});

describe("calls", () => {
  test("from an address of no node are closed, and the speaker hears nothing of them", async () => {
    const speaker = new ScriptedSpeaker();
    const { driver, port } = await drive(A, speaker);
    const socket = await call(STRANGER, A, port);
    socket.write("hello");
    socket.resume();
    await until("it is closed", () => socket.closed);
    expect(speaker.inputs.map(({ t }) => t)).toEqual(["start"]);
    expect(driver.stats).toMatchObject({ accepted: 0, refused: 1 });
  });

  test("that the speaker does not want are closed", async () => {
    const a = new PeersSpeaker(A);
    const { driver, port } = await drive(A, a);
    const socket = await call(C, A, port);
    socket.resume();
    await until("it is closed", () => socket.closed);
    expect(driver.stats.accepted).toBe(1);
    expect(driver.socketCount).toBe(0);
  });
});

describe("starting", () => {
  test("on a port that is taken names it, says what to do, and leaves nothing open", async () => {
    const { port } = await answer(A);
    const speaker = new ScriptedSpeaker();
    const driver = new BgpDriver({
      speaker,
      ids: speaker.ids,
      clock,
      listen: [
        { addr: B, port: 0 },
        { addr: A, port },
      ],
      carry,
      uncarry: () => undefined,
      onOutput: () => {},
    });
    await expect(driver.start()).rejects.toMatchObject({
      code: "PL_BGP_PORT",
      message: `TCP port ${carry(A)}:${port}, for BGP, is in use by another process`,
      remedy: expect.stringContaining(`sport = :${port}`),
    });
    expect(driver.listening).toEqual([]);
    expect(speaker.inputs).toEqual([]);
    await driver.stop();
  });

  test("on an address that is nobody's says so", async () => {
    const speaker = new ScriptedSpeaker();
    const driver = new BgpDriver({
      speaker,
      ids: speaker.ids,
      clock,
      listen: [{ addr: ipv4("192.0.2.1"), port: 1790 }],
      carry: formatIpv4,
      uncarry: () => undefined,
      onOutput: () => {},
    });
    await expect(driver.start()).rejects.toMatchObject({
      code: "PL_BGP_PORT",
      message: expect.stringContaining("192.0.2.1"),
    });
  });
});

describe("stopping", () => {
  test("closes what the speaker does not close, in bounded time", async () => {
    const { speaker, driver, theirs } = await dialled();
    speaker.stops = false;
    const begun = performance.now();
    await driver.stop();
    expect(performance.now() - begun).toBeLessThan(3500);
    expect(driver.socketCount).toBe(0);
    expect(driver.listening).toEqual([]);
    theirs.resume();
    await until("their end", () => theirs.readableEnded || theirs.destroyed);
  });

  test("before or amid the start is no start", async () => {
    const speaker = new ScriptedSpeaker();
    const make = () =>
      new BgpDriver({
        speaker,
        ids: speaker.ids,
        clock,
        listen: [{ addr: A, port: 0 }],
        carry,
        uncarry: () => undefined,
        onOutput: () => {},
      });
    const never = make();
    await never.stop();
    await never.start();
    expect(never.listening).toEqual([]);
    const early = make();
    const starting = early.start();
    await early.stop();
    await starting;
    expect(early.listening).toEqual([]);
    expect(speaker.inputs).toEqual([]);
  });
});

describe("turns", () => {
  test("go on with work that is left, and let sockets in between", async () => {
    const speaker = new ScriptedSpeaker();
    const { driver } = await drive(A, speaker);
    let ticks = 0;
    speaker.react = (input: SpeakerInput, now) => {
      if (input.t !== "tick") return;
      speaker.deadline = ++ticks < 50 ? now : NEVER;
    };
    let immediates = 0;
    const watch = (): void => {
      immediates++;
      if (ticks < 50) setImmediate(watch);
    };
    setImmediate(watch);
    driver.change((now) => {
      speaker.deadline = now;
    });
    await until("the work", () => ticks === 50);
    expect(immediates).toBeGreaterThan(40);
  });

  test("carry out everything, however much is said at once", async () => {
    const speaker = new ScriptedSpeaker();
    const { driver, said } = await drive(A, speaker);
    for (let i = 0; i < 5000; i++) {
      speaker.outputs.push({ t: "log", level: "debug", event: "x", message: String(i) });
    }
    driver.change(() => {});
    await until("all of it", () => said.length === 5000);
    expect(said.at(-1)).toMatchObject({ message: "4999" });
  });

  test("wake at the deadline and not before", async () => {
    const speaker = new ScriptedSpeaker();
    const { driver } = await drive(A, speaker);
    let early = 0;
    let due = 0;
    speaker.react = (input, now) => {
      if (input.t !== "tick") return;
      if (now < due) early++;
      speaker.deadline = NEVER;
    };
    driver.change((now) => {
      due = now + 30_000;
      speaker.deadline = due;
    });
    await until("the tick", () => speaker.count("tick") === 1);
    expect(early).toBe(0);
  });
});
