// The slim client against a server that does what no good server does, and what good ones do on bad days.
import { once } from "node:events";
import { constants } from "node:http2";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { type KeyRange, NO_LEASE } from "../../src/control/datastore/messages.ts";
import type { EtcdEndpoints, StoreError, WatchMessage } from "../../src/io/etcd/etcd-transport.ts";
import { encode } from "../../src/io/etcd/slim/protobuf-table.ts";
import * as rpc from "../../src/io/etcd/slim/rpc-tables.ts";
import { SlimTransport } from "../../src/io/etcd/slim/slim-transport.ts";
import { type FakeCall, FakeGrpc } from "../support/fake-grpc.ts";
import { TcpGate } from "../support/tcp-gate.ts";

const HEADER = { cluster_id: "77", revision: 5 };
const ALL: KeyRange = { key: "/", rangeEnd: "0" };
const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function serve(handle: (call: FakeCall) => void): Promise<FakeGrpc> {
  const server = await FakeGrpc.start(handle);
  ending.push(() => server.stop());
  return server;
}

function client(endpoints: readonly string[], more: Partial<EtcdEndpoints> = {}): SlimTransport {
  const store = new SlimTransport({ endpoints, ...more });
  ending.push(() => store.close());
  return store;
}

/** Everything that a watch or a keep-alive says. */
class Heard<T> {
  readonly messages: T[] = [];
  readonly errors: StoreError[] = [];
  message(message: T): void {
    this.messages.push(message);
  }
  broken(error: StoreError): void {
    this.errors.push(error);
  }
}

const okRange = (call: FakeCall): void => call.answer(rpc.RangeResponse, { header: HEADER, kvs: [] });

/** A server whose watches are confirmed with the number `next()`. */
function watching(onMessage: (call: FakeCall, message: rpc.WatchRequest) => void = () => {}) {
  let next = 0;
  return (call: FakeCall): void => {
    if (!call.path.endsWith("/Watch")) return okRange(call);
    call.onMessage(rpc.WatchRequest, (message) => {
      if (message.create_request !== undefined) {
        call.send(rpc.WatchResponse, { header: HEADER, watch_id: next++, created: true });
      }
      onMessage(call, message);
    });
  };
}

describe("an answer", () => {
  test("in pieces of one byte", async () => {
    const kv = {
      key: encodeUtf8("/a"),
      value: new Uint8Array(300),
      mod_revision: 5,
      lease: "9223372036854775807",
    };
    const server = await serve((call) => {
      const bytes = encode(rpc.RangeResponse, { header: HEADER, kvs: [kv] });
      void (async () => {
        const head = Buffer.from([0, 0, 0, bytes.length >> 8, bytes.length & 255]);
        for (const byte of Buffer.concat([head, bytes])) {
          call.raw(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        call.finish(0);
      })();
    });
    const { header, kvs } = await client([server.url]).range(ALL);
    expect(header).toEqual({ clusterId: "77", revision: 5 });
    expect(kvs[0]).toMatchObject({ key: "/a", lease: "9223372036854775807", value: new Uint8Array(300) });
  });

  test.each<[string, (call: FakeCall) => void, string, RegExp]>([
    [
      "trailers at once, encoded",
      (call) => call.refuse(9, "etcdserver: f%C3%BCr nichts%0A"),
      "invalid",
      /für nichts\n$/,
    ],
    [
      "a status after a message",
      (call) => (call.send(rpc.RangeResponse, {}), call.finish(14, "gone")),
      "unavailable",
      /gone/,
    ],
    ["OK and no message", (call) => call.finish(0), "unknown", /without a message/],
    ["no header in it", (call) => call.answer(rpc.RangeResponse, {}), "unknown", /without a header/],
    [
      "no trailers",
      (call) => (
        call.stream.respond({ ":status": 200, "content-type": "application/grpc" }), call.stream.end()
      ),
      "unknown",
      /without a status/,
    ],
    [
      "a web page",
      (call) => (
        call.stream.respond({ ":status": 200, "content-type": "text/html" }), call.stream.end("<p>")
      ),
      "unknown",
      /does not speak gRPC/,
    ],
    [
      "HTTP 404",
      (call) => call.stream.respond({ ":status": 404 }, { endStream: true }),
      "unimplemented",
      /HTTP status 404/,
    ],
    [
      "HTTP 503",
      (call) => call.stream.respond({ ":status": 503 }, { endStream: true }),
      "unavailable",
      /HTTP status 503/,
    ],
    [
      "garbage",
      (call) => (call.raw(Buffer.from([0, 0, 0, 0, 2, 0xff, 0xff])), call.finish(0)),
      "unknown",
      /malformed.*varint/,
    ],
    [
      "a head that promises 4 GiB",
      (call) => call.raw(Buffer.from([0, 255, 255, 255, 255])),
      "unknown",
      /too large/,
    ],
    ["compressed", (call) => call.raw(Buffer.from([1, 0, 0, 0, 1, 0])), "unknown", /compressed/],
    [
      "RST_STREAM: refused",
      (call) => call.stream.close(constants.NGHTTP2_REFUSED_STREAM),
      "unavailable",
      /refused/,
    ],
    [
      "RST_STREAM: cancelled",
      (call) => call.stream.close(constants.NGHTTP2_CANCEL),
      "unavailable",
      /cancelled/,
    ],
    [
      "RST_STREAM: internal",
      (call) => call.stream.close(constants.NGHTTP2_INTERNAL_ERROR),
      "unknown",
      /HTTP\/2 error 2/,
    ],
    [
      "the connection cut",
      (call) => call.stream.session?.destroy(),
      "unavailable",
      /closed|lost|reset|going away/,
    ],
  ])("%s", async (_, handle, reason, message) => {
    const server = await serve(handle);
    const failed = client([server.url]).range(ALL);
    await expect(failed).rejects.toMatchObject({ name: "PodloomError", reason });
    await expect(failed).rejects.toThrow(message);
  });

  test("that never comes: 3 s, told to the server beforehand, and the call is taken back", async () => {
    const server = await serve((call) => setTimeout(() => okRange(call), 4000));
    const store = client([server.url]);
    const since = performance.now();
    const first = store.range(ALL);
    await expect(first).rejects.toMatchObject({ reason: "timeout" });
    expect(performance.now() - since).toBeGreaterThan(2900);
    expect(performance.now() - since).toBeLessThan(3800);
    expect(Number(/^(\d+)m$/.exec(String(server.calls[0]?.headers["grpc-timeout"]))?.[1])).toBeGreaterThan(
      2000,
    );
    await expect.poll(() => server.calls[0]?.stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
    // The connection answers pings: it stands, and serves the next call.
    server.handle = okRange;
    await store.range(ALL);
    expect(server.sessions).toHaveLength(1);
    expect(server.pings).toHaveLength(1);
  });

  test("to a request that the server does not hear out", async () => {
    const server = await serve((call) => {
      call.stream.pause();
      call.refuse(8, "grpc: received message larger than max");
    });
    const put = client([server.url]).put("/a", new Uint8Array(8 * 2 ** 20), NO_LEASE);
    await expect(put).rejects.toMatchObject({
      reason: "invalid",
      message: "grpc: received message larger than max",
    });
  });

  test("is not even asked for when the lease is no number", async () => {
    const server = await serve(okRange);
    await expect(client([server.url]).put("/a", new Uint8Array(0), "many")).rejects.toMatchObject({
      reason: "invalid",
    });
  });
});

describe("a connection", () => {
  test("carries any number of calls, and resets none that was answered", async () => {
    // Node's own servers end a connection after a thousand resets.
    const server = await serve(okRange);
    const store = client([server.url]);
    for (let i = 0; i < 1500; i++) await store.range(ALL);
    expect(server.sessions).toHaveLength(1);
    await expect.poll(() => server.calls.every(({ stream }) => stream.closed)).toBe(true);
    expect(new Set(server.calls.map(({ stream }) => stream.rstCode))).toEqual(new Set([0]));
  });

  test("that says GOAWAY: its streams go on, new calls go elsewhere", async () => {
    const server = await serve(watching());
    const store = client([server.url]);
    const heard = new Heard<WatchMessage>();
    store.openWatch(ALL, 1, heard);
    await expect.poll(() => heard.messages.length).toBe(1);
    server.sessions[0]?.goaway(0);
    await expect.poll(async () => (await store.range(ALL), server.sessions.length)).toBe(2);
    expect(heard.errors).toEqual([]);
    const kv = { key: encodeUtf8("/a"), mod_revision: 6 };
    server.calls[0]?.send(rpc.WatchResponse, { header: HEADER, watch_id: 0, events: [{ type: 0, kv }] });
    await expect.poll(() => heard.messages.length).toBe(2);
    server.sessions[0]?.destroy();
    await expect.poll(() => heard.errors.map(({ reason }) => reason)).toEqual(["unavailable"]);
    await store.range(ALL);
    expect(server.sessions).toHaveLength(2);
  });

  test("that says GOAWAY in anger: its streams break, the next call opens another", async () => {
    const server = await serve(watching());
    const store = client([server.url]);
    const heard = new Heard<WatchMessage>();
    store.openWatch(ALL, 1, heard);
    await expect.poll(() => heard.messages.length).toBe(1);
    server.sessions[0]?.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    await expect.poll(() => heard.errors.map(({ reason }) => reason)).toEqual(["unavailable"]);
    await store.range(ALL);
    expect(server.sessions).toHaveLength(2);
  });

  test("into a black hole is given up a few seconds after the first call that it swallowed", async () => {
    const server = await serve(watching());
    const gate = await TcpGate.listen("127.0.0.1", {
      host: "127.0.0.1",
      port: server.port,
      from: "127.0.0.1",
    });
    ending.push(() => gate.close());
    gate.open();
    const store = client([`http://127.0.0.1:${gate.port}`]);
    const heard = new Heard<WatchMessage>();
    store.openWatch(ALL, 1, heard);
    await expect.poll(() => heard.messages.length).toBe(1);
    gate.freeze();
    const since = performance.now();
    await expect(store.range(ALL)).rejects.toMatchObject({ reason: "timeout" });
    await expect
      .poll(() => heard.errors.map(({ message }) => message), { timeout: 6000 })
      .toEqual(["the server does not answer"]);
    expect(performance.now() - since).toBeLessThan(8000);
    await store.range(ALL);
  });

  test("that is taken by a kernel alone: the call ends after 3 s, and close ends the attempt", async () => {
    const silent = createServer(() => {});
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    ending.push(() => silent.close());
    const store = client([`http://127.0.0.1:${(silent.address() as AddressInfo).port}`]);
    const since = performance.now();
    await expect(store.status()).rejects.toMatchObject({ reason: "timeout" });
    expect(performance.now() - since).toBeLessThan(3800);
    const waiting = store.status();
    await store.close();
    await expect(waiting).rejects.toMatchObject({
      reason: "unavailable",
      message: "the etcd client is closed",
    });
  });

  test("pings every 10 s, not more often than etcd's 5 s, whatever is suspected", async () => {
    const server = await serve((call) => (call.path.endsWith("/Range") ? okRange(call) : undefined));
    const store = client([server.url]);
    await store.range(ALL);
    const lost = Array.from({ length: 6 }, (_, i) =>
      sleep(i * 900).then(() => store.status().catch(() => undefined)),
    );
    await Promise.all(lost);
    await sleep(5000);
    expect(server.pings.length).toBeGreaterThanOrEqual(2);
    const gaps = server.pings.slice(1).map((at, i) => at - (server.pings[i] as number));
    for (const gap of gaps) expect(gap).toBeGreaterThan(5000);
    expect(server.sessions).toHaveLength(1);
  });

  test("is refused: attempts come with growing pauses, and calls wait for the next one", async () => {
    const store = client(["http://127.0.0.1:1"]);
    const since = performance.now();
    let failures = 0;
    while (performance.now() - since < 4000) {
      await expect(store.status()).rejects.toMatchObject({
        reason: "unavailable",
        message: expect.stringContaining("127.0.0.1:1: connect ECONNREFUSED"),
      });
      failures++;
    }
    expect(failures).toBeGreaterThan(3);
    expect(failures).toBeLessThan(60);
  });
});

describe("several endpoints", () => {
  test("one is refused, one says nothing: the third is used, within a call", async () => {
    const server = await serve(okRange);
    const silent = createServer(() => {});
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    ending.push(() => silent.close());
    for (let i = 0; i < 6; i++) {
      const store = client([
        "http://127.0.0.1:1",
        `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
        server.url,
      ]);
      const since = performance.now();
      await store.range(ALL);
      expect(performance.now() - since).toBeLessThan(2500);
      await store.close();
    }
  });

  test("one is lost: the other takes over, and is kept", async () => {
    const [one, two] = [await serve(okRange), await serve(okRange)];
    const store = client([one.url, two.url]);
    await store.range(ALL);
    const [first, second] = one.calls.length === 1 ? [one, two] : [two, one];
    for (const session of first.sessions) session.destroy();
    await expect
      .poll(() =>
        store.range(ALL).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    await store.range(ALL);
    expect(first.calls).toHaveLength(1);
    expect(second.sessions).toHaveLength(1);
  });

  test("one has no leader: later calls go to the other", async () => {
    const noLeader = (call: FakeCall): void => call.refuse(14, "etcdserver: no leader");
    const [one, two] = [await serve(noLeader), await serve(noLeader)];
    const store = client([one.url, two.url]);
    await expect(store.range(ALL)).rejects.toMatchObject({ reason: "unavailable" });
    const other = one.calls.length === 1 ? two : one;
    other.handle = okRange;
    await store.range(ALL);
    const heard = new Heard<WatchMessage>();
    store.openWatch(ALL, 1, heard);
    await expect.poll(() => other.calls.at(-1)?.headers.hasleader).toBe("true");
  });
});

describe("watches on one stream", () => {
  test("have numbers of the server's; what is for one is not told to another", async () => {
    const cancelled: number[] = [];
    const server = await serve(
      watching((_, message) => {
        if (message.cancel_request !== undefined) cancelled.push(message.cancel_request.watch_id);
      }),
    );
    const store = client([server.url]);
    const heard = [new Heard<WatchMessage>(), new Heard<WatchMessage>(), new Heard<WatchMessage>()];
    const streams = heard.map((each) => store.openWatch(ALL, 1, each));
    // Given up before it was confirmed: it is cancelled when its number is known.
    streams[1]?.cancel();
    await expect.poll(() => heard.map(({ messages }) => messages.length)).toEqual([1, 0, 1]);
    await expect.poll(() => cancelled).toEqual([1]);
    const [call] = server.calls as [FakeCall];
    expect(server.calls).toHaveLength(1);
    const event = (name: string) => ({ type: 0, kv: { key: encodeUtf8(name), mod_revision: 6 } });
    for (const id of [0, 1, 2, 9])
      call.send(rpc.WatchResponse, { header: HEADER, watch_id: id, events: [event(`/${id}`)] });
    await expect.poll(() => heard[2]?.messages.length).toBe(2);
    expect(
      heard.map(({ messages }) => messages.flatMap(({ events }) => events.map(({ kv }) => kv.key))),
    ).toEqual([["/0"], [], ["/2"]]);
    // The last one takes the stream along.
    streams[0]?.cancel();
    expect(call.stream.closed).toBe(false);
    streams[2]?.cancel();
    await expect.poll(() => call.stream.closed).toBe(true);
    expect(heard.flatMap(({ errors }) => errors)).toEqual([]);
  });

  test("a message in fragments is told in one piece", async () => {
    const server = await serve(watching());
    const store = client([server.url]);
    const heard = new Heard<WatchMessage>();
    store.openWatch(ALL, 1, heard);
    await expect.poll(() => heard.messages.length).toBe(1);
    const [call] = server.calls as [FakeCall];
    const event = (name: string) => ({ type: 1, kv: { key: encodeUtf8(name), mod_revision: 6 } });
    const piece = (name: string, fragment: boolean): void =>
      call.send(rpc.WatchResponse, { header: HEADER, watch_id: 0, fragment, events: [event(name)] });
    piece("/a", true);
    piece("/b", true);
    piece("/c", false);
    piece("/d", false);
    await expect.poll(() => heard.messages.length).toBe(3);
    expect(heard.messages.slice(1).map(({ events }) => events.map(({ t, kv }) => t + kv.key))).toEqual([
      ["delete/a", "delete/b", "delete/c"],
      ["delete/d"],
    ]);
  });

  test("progress is for those who asked", async () => {
    const server = await serve(
      watching((call, message) => {
        if (message.progress_request !== undefined)
          call.send(rpc.WatchResponse, { header: HEADER, watch_id: -1 });
      }),
    );
    const store = client([server.url]);
    const heard = [new Heard<WatchMessage>(), new Heard<WatchMessage>()];
    const streams = heard.map((each) => store.openWatch(ALL, 1, each));
    await expect.poll(() => heard.map(({ messages }) => messages.length)).toEqual([1, 1]);
    streams[0]?.progress();
    await expect.poll(() => heard[0]?.messages.length).toBe(2);
    expect(heard[1]?.messages).toHaveLength(1);
  });

  test("one that falls silent is replaced on a stream of its own", async () => {
    const server = await serve(watching());
    const store = client([server.url]);
    const heard = [new Heard<WatchMessage>(), new Heard<WatchMessage>(), new Heard<WatchMessage>()];
    const [, silent] = heard.slice(0, 2).map((each) => store.openWatch(ALL, 1, each));
    await expect.poll(() => heard[1]?.messages.length).toBe(1);
    silent?.progress();
    silent?.cancel();
    store.openWatch(ALL, 1, heard[2] as Heard<WatchMessage>);
    await expect.poll(() => heard[2]?.messages.length).toBe(1);
    expect(server.calls).toHaveLength(2);
  });

  test.each([
    ["an event without a key", { header: HEADER, watch_id: 0, events: [{ type: 0 }] }],
    ["no header", { watch_id: 0, events: [] }],
    ["a confirmation that nobody asked for", { header: HEADER, watch_id: 8, created: true }],
  ])("%s breaks the stream, not the process", async (_, message) => {
    const server = await serve(watching());
    const store = client([server.url]);
    const heard = new Heard<WatchMessage>();
    store.openWatch(ALL, 1, heard);
    await expect.poll(() => heard.messages.length).toBe(1);
    server.calls[0]?.send(rpc.WatchResponse, message);
    await expect.poll(() => heard.errors.map(({ reason }) => reason)).toEqual(["unknown"]);
  });
});

describe("a token", () => {
  /** A server that wants one, and forgets those that it gave when `forget()` is called. */
  async function guarded() {
    let valid = "";
    let given = 0;
    const server = await serve((call) => {
      if (call.path.endsWith("/Authenticate")) {
        valid = `token${++given}`;
        call.answer(rpc.AuthenticateResponse, { token: valid });
        return;
      }
      const knows = (): boolean => call.headers.token === valid;
      if (call.path.endsWith("/Watch")) {
        call.onMessage(rpc.WatchRequest, () => {
          const denied = {
            canceled: true,
            watch_id: 0,
            cancel_reason: "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
          };
          call.send(rpc.WatchResponse, { header: HEADER, created: true, ...(knows() ? {} : denied) });
        });
      } else if (knows()) okRange(call);
      else call.refuse(16, "etcdserver: invalid auth token");
    });
    const forget = (): void => {
      valid = "";
    };
    return { server, forget, given: () => given };
  }
  const auth = { username: "root", password: "right" };

  test("is asked for once, for any number of calls, and again when it is forgotten", async () => {
    const { server, forget, given } = await guarded();
    const store = client([server.url], { auth });
    await Promise.all(Array.from({ length: 10 }, () => store.range(ALL)));
    expect(given()).toBe(1);
    forget();
    await Promise.all(Array.from({ length: 10 }, () => store.range(ALL)));
    expect(given()).toBe(2);
  });

  test("that a watch finds forgotten after a restart is replaced, and a watch that is really denied is told so", async () => {
    const { server, forget, given } = await guarded();
    const store = client([server.url], { auth });
    await store.range(ALL);
    for (const session of server.sessions) session.destroy();
    forget();
    const heard = new Heard<WatchMessage>();
    await expect
      .poll(async () => {
        store.openWatch(ALL, 1, heard);
        await sleep(50);
        return heard.messages.some(({ created, canceled }) => created && !canceled);
      })
      .toBe(true);
    expect(given()).toBe(2);
    expect(heard.errors.every(({ reason }) => reason === "unavailable")).toBe(true);
    // Now the token is known to be good where we are.
    forget();
    const denied = new Heard<WatchMessage>();
    store.openWatch(ALL, 1, denied);
    await expect.poll(() => denied.messages[0]?.canceled).toBe(true);
    expect(denied.messages[0]?.reason).toContain("permission denied");
  });
});
