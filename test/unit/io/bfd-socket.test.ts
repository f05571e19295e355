import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, test, vi } from "vitest";
import { formatIpv4, type Ipv4Addr, ipv4, parseIpv4 } from "../../../src/base/ipv4-addr.ts";
import { MS_US } from "../../../src/base/time.ts";
import { BfdSocket, type BfdSocketOptions } from "../../../src/io/bfd-socket.ts";
import { CarrierMap } from "../../../src/io/host-address.ts";
import { PodloomError } from "../../../src/io/podloom-error.ts";
import type { BfdTimers } from "../../../src/routing/bfd/bfd-messages.ts";
import { Diag } from "../../../src/wire/bfd.ts";
import { BfdSide } from "../../support/bfd-side.ts";

// Loopback addresses that no lab in the other tests uses.
const A = ipv4("10.213.9.2");
const B = ipv4("10.213.9.3");
const WAIT = { timeout: 15_000, interval: 20 };
const TIMERS: BfdTimers = { desiredMinTxUs: 100 * MS_US, requiredMinRxUs: 100 * MS_US, detectMult: 10 };

/** Each test's own; all are closed after it. */
const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

function carriers(local: Ipv4Addr): Pick<BfdSocketOptions, "carry" | "uncarry"> {
  const map = new CarrierMap(local, "loopback");
  return {
    carry: (addr) => formatIpv4(map.learn(addr)),
    uncarry: (host) => map.underlayOf(parseIpv4(host) ?? 0),
  };
}

async function side(local: Ipv4Addr, port: number): Promise<BfdSide> {
  const side = await BfdSide.open(local, { port, ...carriers(local) });
  open.push(side);
  return side;
}

function socket(local: Ipv4Addr, options: Partial<BfdSocketOptions> = {}): BfdSocket {
  const socket = new BfdSocket({ port: 0, ...carriers(local), onReceived: () => {}, ...options });
  open.push(socket);
  return socket;
}

async function bound(address: string, port: number): Promise<Socket> {
  const socket = createSocket("udp4");
  open.push({ close: () => new Promise<void>((resolve) => socket.close(() => resolve())) });
  socket.bind({ address, port, exclusive: true });
  await once(socket, "listening");
  return socket;
}

describe("two tables on real sockets", () => {
  test("come Up; one goes silent, and the other reports it Down when the detection time is over", async () => {
    const a = await side(A, 0);
    const b = await side(B, a.socket.port);
    a.add(B, TIMERS);
    b.add(A, TIMERS);
    await vi.waitFor(() => {
      for (const status of [a.status(B), b.status(A)]) {
        expect(status).toMatchObject({ state: "Up", polling: false, txIntervalUs: 100 * MS_US });
      }
    }, WAIT);
    expect(a.status(B)).toMatchObject({ detectionTimeUs: 1_000 * MS_US });
    // It stays so.
    const received = a.status(B)?.counters.received ?? 0;
    await vi.waitFor(() => expect(a.status(B)?.counters.received).toBeGreaterThan(received + 10), WAIT);
    await b.close();
    const heardAt = a.status(B)?.heardAt ?? 0;
    await vi.waitFor(() => expect(a.status(B)?.state).toBe("Down"), WAIT);
    const change = a.changes.at(-1);
    expect(change).toMatchObject({ from: "Up", to: "Down", diag: Diag.DETECTION_TIME_EXPIRED, failed: true });
    // The last packet may have been on its way when the other was closed, so not before; and not by accident much later.
    const tookUs = (change?.at ?? 0) - heardAt;
    expect(tookUs).toBeGreaterThanOrEqual(1_000 * MS_US);
    expect(tookUs).toBeLessThan(5_000 * MS_US);
    expect(a.socket.stats).toMatchObject({ rxUnknown: 0, txErrors: 0 });
    expect(a.table.stats.discarded).toEqual({});
  });

  test("one that is deleted says so", async () => {
    const a = await side(A, 0);
    const b = await side(B, a.socket.port);
    a.add(B, TIMERS);
    b.add(A, TIMERS);
    await vi.waitFor(() => expect([a.status(B)?.state, b.status(A)?.state]).toEqual(["Up", "Up"]), WAIT);
    b.del(A);
    await vi.waitFor(() => expect(a.status(B)?.state).toBe("Down"), WAIT);
    expect(a.changes.at(-1)).toMatchObject({ remoteState: "AdminDown", failed: false });
  });
});

describe("packets", () => {
  test("come from the session's port, always, and are received with the sender's node address", async () => {
    const arrivals: string[] = [];
    const a = socket(A);
    await a.listen(A);
    const b = socket(B, {
      port: a.port,
      onReceived: (from, bytes) => arrivals.push(`${formatIpv4(from)} ${Buffer.from(bytes).toString()}`),
    });
    await b.listen(B);
    for (const text of ["one", "two", "three"]) {
      a.send({ local: A, to: B, sourcePort: 49153, bytes: Buffer.from(text) });
    }
    await vi.waitFor(() =>
      expect(arrivals).toEqual(["10.213.9.2 one", "10.213.9.2 two", "10.213.9.2 three"]),
    );
    expect(a.stats).toMatchObject({ txDatagrams: 3, txErrors: 0 });
    expect(b.stats.rxDatagrams).toBe(3);
  });

  test("come from another port of the range when the session's is taken, and go on from that", async () => {
    await bound("127.213.9.2", 50_000);
    const receiver = await bound("127.213.9.3", 0);
    const ports: number[] = [];
    receiver.on("message", (_bytes: Buffer, from: RemoteInfo) => ports.push(from.port));
    const a = socket(A, { port: receiver.address().port });
    for (let i = 0; i < 3; i++) a.send({ local: A, to: B, sourcePort: 50_000, bytes: Buffer.from("x") });
    a.send({ local: A, to: B, sourcePort: 50_001, bytes: Buffer.from("x") });
    await vi.waitFor(() => expect(ports).toHaveLength(4));
    expect(new Set(ports.slice(0, 3)).size).toBe(1);
    expect(ports[0]).not.toBe(50_000);
    expect(ports[0]).toBeGreaterThanOrEqual(49_152);
    expect(ports[3]).toBe(50_001);
    expect(a.stats.txErrors).toBe(0);
  });

  test("from addresses of no node are not received", async () => {
    const arrivals: Ipv4Addr[] = [];
    const b = socket(B, { uncarry: () => undefined, onReceived: (from) => arrivals.push(from) });
    await b.listen(B);
    const sender = await bound("127.213.9.2", 0);
    sender.send("x", b.port, "127.213.9.3");
    await vi.waitFor(() => expect(b.stats.rxUnknown).toBe(1));
    expect(arrivals).toEqual([]);
  });

  test("to or from an address that cannot be carried are counted, and the next one is tried again", async () => {
    const unable = () => {
      throw new PodloomError("PL_UNDERLAY_UNUSABLE", "no such address");
    };
    const a = socket(A, { carry: unable });
    a.send({ local: A, to: B, sourcePort: 49153, bytes: Buffer.from("x") });
    expect(a.stats.txErrors).toBe(1);
    expect(a.lastError).toBe("no such address");
    const foreign = socket(A, { carry: () => "198.51.100.77" });
    for (const errors of [1, 2]) {
      foreign.send({ local: A, to: B, sourcePort: 49153, bytes: Buffer.from("x") });
      await vi.waitFor(() => expect(foreign.stats.txErrors).toBe(errors));
    }
    expect(foreign.lastError).toContain("EADDRNOTAVAIL");
  });

  test("are neither sent nor received after close", async () => {
    const a = socket(A);
    await a.listen(A);
    await a.close();
    a.send({ local: A, to: B, sourcePort: 49153, bytes: Buffer.from("x") });
    await a.listen(A);
    await a.close();
    expect(a.stats).toEqual({ rxDatagrams: 0, rxUnknown: 0, rxErrors: 0, txDatagrams: 0, txErrors: 0 });
    // The address is free again.
    await bound("127.213.9.2", a.port);
  });
});

describe("listening", () => {
  test("a port that is taken is told, with what to do", async () => {
    const other = await bound("127.213.9.2", 0);
    const { port } = other.address();
    await expect(socket(A, { port }).listen(A)).rejects.toMatchObject({
      code: "PL_BFD_PORT",
      message: `BFD's UDP port 127.213.9.2:${port} is in use by another process`,
      remedy: expect.stringContaining("ss -lunp"),
    });
  });

  test("so is an address that this machine does not have", async () => {
    await expect(socket(A, { carry: () => "198.51.100.77" }).listen(A)).rejects.toMatchObject({
      code: "PL_BFD_PORT",
      message: expect.stringContaining("no interface of this machine has the address"),
      remedy: expect.stringContaining("--carrier"),
    });
  });

  test("on several addresses, each once", async () => {
    const a = socket(A);
    await a.listen(A);
    const { port } = a;
    await a.listen(A);
    await a.listen(B);
    expect(a.port).toBe(port);
  });
});
