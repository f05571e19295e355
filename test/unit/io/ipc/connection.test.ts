import { existsSync, linkSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectIpc, connectSocket } from "../../../../src/io/ipc/client.ts";
import {
  Connection,
  type ConnectionOptions,
  type IncomingRequest,
} from "../../../../src/io/ipc/connection.ts";
import { encodeFrame, FrameDecoder } from "../../../../src/io/ipc/frame.ts";
import { PROTOCOL_VERSION } from "../../../../src/io/ipc/protocol.ts";
import { IpcServer } from "../../../../src/io/ipc/server.ts";
import { describeError, PodloomError } from "../../../../src/io/podloom-error.ts";

let folder: string;
let path: string;
const closers: (() => Promise<void> | void)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pl-ipc-"));
  path = join(folder, "run", "x.sock");
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

async function listen(options: Partial<ConnectionOptions> = {}): Promise<IpcServer> {
  const server = await IpcServer.listen(path, { from: "server", ...options });
  closers.push(() => server.close());
  return server;
}

async function dial(options: Partial<ConnectionOptions> = {}): Promise<Connection> {
  const connection = await connectIpc(path, { from: "cli", ...options });
  closers.push(() => connection.end());
  return connection;
}

function deferred<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

const code = (wanted: string) => expect.objectContaining({ code: wanted });

describe("requests", () => {
  test("are answered, side by side and out of order", async () => {
    const held: IncomingRequest[] = [];
    await listen({ onRequest: (request) => held.push(request) });
    const client = await dial();
    const answers = [1, 2, 3].map((n) => client.request("echo", n).done);
    await expect.poll(() => held.length).toBe(3);
    for (const request of held.reverse()) request.done({ was: request.args });
    expect(await Promise.all(answers)).toEqual([{ was: 1 }, { was: 2 }, { was: 3 }]);
  });

  test("stream pieces in order, and are interrupted by the asker", async () => {
    await listen({
      onRequest: (request) => {
        request.chunk("stdout", "a");
        request.chunk("stderr", "b");
        request.onInterrupt = () => request.done({ exitCode: 130 });
      },
    });
    const client = await dial();
    const pieces: unknown[] = [];
    const call = client.request("exec", {}, { onChunk: (stream, data) => pieces.push([stream, data]) });
    await expect
      .poll(() => pieces)
      .toEqual([
        ["stdout", "a"],
        ["stderr", "b"],
      ]);
    call.interrupt();
    expect(await call.done).toEqual({ exitCode: 130 });
  });

  test("fail with the other side's code, words and remedy, whether thrown or said", async () => {
    await listen({
      onRequest: (request) => {
        if (request.verb === "throw") throw new PodloomError("PL_NO_SUCH_POD", "no pod x");
        if (request.verb === "bug") throw new TypeError("oops");
        if (request.verb === "bare") request.fail(new PodloomError("PL_SAID", "said"));
        request.fail(new PodloomError("PL_SAID", "said", { remedy: "Say it again." }));
      },
    });
    const client = await dial();
    await expect(client.request("throw", {}).done).rejects.toMatchObject({
      code: "PL_NO_SUCH_POD",
      message: "no pod x",
    });
    await expect(client.request("bug", {}).done).rejects.toMatchObject({ code: "PL_INTERNAL" });
    await expect(client.request("say", {}).done).rejects.toMatchObject({
      code: "PL_SAID",
      remedy: "Say it again.",
    });
    await expect(client.request("bare", {}).done).rejects.toMatchObject({ remedy: undefined });
    // And through whoever stands in between.
    const passed = await client.request("say", {}).done.catch((thrown: unknown) => thrown);
    expect(describeError(passed)).toBe("PL_SAID: said\n  Say it again.");
  });

  test("that nobody answers time out and are interrupted", async () => {
    let interrupted = false;
    await listen({ onRequest: (request) => void (request.onInterrupt = () => (interrupted = true)) });
    const client = await dial();
    await expect(client.request("slow", {}, { timeoutMs: 30 }).done).rejects.toMatchObject({
      code: "PL_IPC_TIMEOUT",
    });
    await expect.poll(() => interrupted).toBe(true);
  });

  test("go both ways, and notices too", async () => {
    const notices: unknown[] = [];
    const asked = deferred<unknown>();
    await listen({
      onHello: (_, connection) => void connection.request("who", {}).done.then(asked.resolve, asked.reject),
      onNotice: (event, data) => notices.push([event, data]),
    });
    const client = await dial({ onRequest: (request) => request.done("me") });
    client.notify("state", { phase: "ready" });
    expect(await asked.promise).toBe("me");
    await expect.poll(() => notices).toEqual([["state", { phase: "ready" }]]);
  });
});

describe("when the other side goes away", () => {
  test("what was asked fails, and what it asked is interrupted", async () => {
    let interrupted = false;
    const seen = deferred<void>();
    const server = await listen({
      onRequest: (request) => {
        request.onInterrupt = () => (interrupted = true);
        seen.resolve();
      },
    });
    const client = await dial();
    const call = client.request("exec", {});
    await seen.promise;
    client.destroy();
    await expect(call.done).rejects.toMatchObject({ code: "PL_IPC_CLOSED" });
    await expect(client.request("late", {}).done).rejects.toMatchObject({ code: "PL_IPC_CLOSED" });
    await expect.poll(() => [interrupted, server.connections.size]).toEqual([true, 0]);
  });

  test("what was said before an orderly end arrives", async () => {
    const notices: unknown[] = [];
    await listen({ onNotice: (_, data) => notices.push(data) });
    const client = await dial();
    for (let i = 0; i < 2000; i++) client.notify("n", i);
    await client.end();
    await expect.poll(() => notices.length).toBe(2000);
  });
});

describe("a peer that misbehaves", () => {
  const greeting = encodeFrame({ t: "hello", version: PROTOCOL_VERSION, from: "x" });

  async function closedBecause(...frames: Buffer[]): Promise<unknown> {
    const closed = deferred<unknown>();
    await listen({ onClosed: (_, error) => closed.resolve(error) });
    const socket = await connectSocket(path);
    closers.push(() => void socket.destroy());
    socket.on("error", () => {});
    for (const frame of frames) socket.write(frame);
    return closed.promise;
  }

  test("speaks another version: told so, with the remedy", async () => {
    const error = await closedBecause(encodeFrame({ t: "hello", version: 99, from: "future" }));
    expect(error).toEqual(code("PL_IPC_VERSION"));
    expect((error as Error).message).toContain("99");
  });
  test("does not say hello first", async () => {
    expect(await closedBecause(encodeFrame({ t: "notice", event: "x", data: 0 }))).toEqual(
      code("PL_IPC_MALFORMED"),
    );
  });
  test("says hello twice", async () => {
    expect(await closedBecause(greeting, greeting)).toEqual(code("PL_IPC_MALFORMED"));
  });
  test.each([
    [{ t: "request", id: -1, verb: "x" }],
    [{ t: "request", id: 1 }],
    [{ t: "chunk", id: 1, stream: "x" }],
    [{ t: "failed", id: 1, code: "PL_X", message: "x", remedy: 7 }],
    [null],
    [[]],
    ["hello"],
  ])("sends %j, which is no message", async (message) => {
    expect(await closedBecause(greeting, encodeFrame(message))).toEqual(code("PL_IPC_MALFORMED"));
  });
  test("sends noise", async () => {
    expect(await closedBecause(Buffer.from("GET / HTTP/1.1\r\n\r\n"))).toEqual(code("PL_FRAME_TOO_LONG"));
  });

  test("is refused by the one who listens", async () => {
    await listen({
      onHello: (hello) => {
        if (hello.token !== "secret") throw new PodloomError("PL_IPC_REFUSED", "wrong token");
      },
    });
    const refused = new Connection(await connectSocket(path), { from: "a", token: "guess" });
    await refused.closed;
    await expect(refused.request("get", {}).done).rejects.toMatchObject({ code: "PL_IPC_CLOSED" });
    const accepted = await dial({ token: "secret" });
    expect(accepted.peer?.from).toBe("server");
  });

  test("does not read: the sender is told to wait, and gives up at a bound", async () => {
    const stuck = new Duplex({ read() {}, write() {} }); // Never calls back: nothing is ever written.
    const connection = new Connection(stuck, { from: "x" });
    const big = Buffer.alloc(1024 * 1024);
    expect(connection.notify("big", big)).toBe(false);
    for (let i = 0; i < 70; i++) connection.notify("big", big);
    expect(await connection.closed).toEqual(code("PL_IPC_BACKLOG"));
  });
});

describe("the socket", () => {
  test("may be opened by its owner only, and so may the folder that was made for it", async () => {
    const server = await listen();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "run")).mode & 0o777).toBe(0o700);
    await server.close();
    expect(existsSync(path)).toBe(false);
  });

  test("of a live process is left alone, with the remedy", async () => {
    await listen();
    await expect(IpcServer.listen(path, { from: "second" })).rejects.toMatchObject({
      code: "PL_SOCKET_IN_USE",
      message: expect.stringContaining(path),
      remedy: expect.any(String),
    });
    const client = await dial();
    expect(client.peer?.from).toBe("server");
  });

  test("that a killed process left behind is replaced", async () => {
    path = join(folder, "stale.sock");
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(path, resolve));
    // What SIGKILL does: the file stays, nobody listens.
    const stale = `${path}.kept`;
    linkSync(path, stale);
    await new Promise((resolve) => dead.close(resolve));
    renameSync(stale, path);
    await expect(connectSocket(path)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await listen();
    expect((await dial()).peer?.from).toBe("server");
  });

  test("that is longer than the system allows is refused with how much too long", async () => {
    const long = join(folder, "x".repeat(120), "s.sock");
    await expect(IpcServer.listen(long, { from: "x" })).rejects.toMatchObject({
      code: "PL_SOCKET_PATH_TOO_LONG",
    });
  });

  test("in a folder that cannot be written says which", async () => {
    writeFileSync(join(folder, "file"), "");
    await expect(IpcServer.listen(join(folder, "file", "s"), { from: "x" })).rejects.toMatchObject({
      code: "PL_SOCKET_FAILED",
      message: expect.stringContaining("file"),
    });
  });

  test("that nobody listens on is gone", async () => {
    await expect(connectIpc(join(folder, "none"), { from: "cli" })).rejects.toMatchObject({
      code: "PL_SOCKET_GONE",
    });
  });

  test("leaves nothing open when it is closed", async () => {
    const server = await listen();
    const raw = connect(path);
    raw.on("error", () => {});
    const decoder = new FrameDecoder();
    const hello = new Promise<unknown>((resolve) => raw.on("data", (bytes) => decoder.push(bytes, resolve)));
    expect(await hello).toMatchObject({ t: "hello", from: "server" });
    await server.close();
    await expect.poll(() => raw.destroyed).toBe(true);
    expect(server.connections.size).toBe(0);
  });
});
