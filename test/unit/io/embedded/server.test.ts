// The server over real sockets, spoken to with a plain gRPC client: what the logic's own tests cannot see.
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import {
  Client,
  type ClientDuplexStream,
  credentials,
  loadPackageDefinition,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SystemRng } from "../../../../src/io/clock.ts";
import { EmbeddedServer } from "../../../../src/io/embedded/server.ts";
import { ephemeralData, type StoreData } from "../../../../src/io/embedded/store-data.ts";
import { DEFAULT_LIMITS } from "../../../../src/io/embedded/store-options.ts";

const memory = (): StoreData => ephemeralData(new SystemRng());

const etcd3 = dirname(createRequire(import.meta.url).resolve("etcd3/package.json"));
const definition = loadSync("rpc.proto", {
  includeDirs: [join(etcd3, "proto")],
  keepCase: true,
  longs: String,
  arrays: true,
});
const services = loadPackageDefinition(definition).etcdserverpb as unknown as Record<
  string,
  { service: ServiceDefinition }
>;

type Message = Record<string, unknown>;

let server: EmbeddedServer;
let client: Client;

beforeEach(async () => {
  server = new EmbeddedServer({ host: "127.0.0.1", port: 0, limits: DEFAULT_LIMITS }, memory());
  await server.listen();
  client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
});

afterEach(async () => {
  client.close();
  await server.stop();
});

async function call(service: string, method: string, request: Message): Promise<Message> {
  const { path, requestSerialize, responseDeserialize } = (
    services[service] as { service: ServiceDefinition }
  ).service[method] as ServiceDefinition[string];
  return await new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, reply) =>
      error === null ? resolve(reply as Message) : reject(error),
    );
  });
}

function stream(service: string, method: string): ClientDuplexStream<Message, Message> {
  const { path, requestSerialize, responseDeserialize } = (
    services[service] as { service: ServiceDefinition }
  ).service[method] as ServiceDefinition[string];
  return client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize) as ClientDuplexStream<
    Message,
    Message
  >;
}

const put = (key: string, value: string | Buffer, more: Message = {}): Promise<Message> =>
  call("KV", "Put", { key: Buffer.from(key), value: Buffer.from(value), ...more });

describe("embedded server", () => {
  test("every reply names the cluster, and each start is a new one", async () => {
    const { header } = (await put("a", "1")) as { header: Message };
    expect(header).toMatchObject({ cluster_id: server.clusterId, revision: "2", raft_term: "2" });
    expect(header.member_id).toMatch(/^[1-9]\d*$/);
    const other = new EmbeddedServer({ host: "127.0.0.1", port: 0, limits: DEFAULT_LIMITS }, memory());
    expect(other.clusterId).not.toBe(server.clusterId);
  });

  test("refusals arrive with etcd's code and words", async () => {
    await expect(put("", "1")).rejects.toMatchObject({ code: 3, details: "etcdserver: key is not provided" });
    await expect(call("KV", "Range", { key: Buffer.from("a"), revision: 99 })).rejects.toMatchObject({
      code: 11,
      details: "etcdserver: mvcc: required revision is a future revision",
    });
    await expect(call("Lease", "LeaseRevoke", { ID: "5" })).rejects.toMatchObject({
      code: 5,
      details: "etcdserver: requested lease not found",
    });
  });

  test("a write above 1.5 MiB is refused at the byte where etcd refuses it", async () => {
    await put("k", Buffer.alloc(1_572_839));
    const tooLarge = { code: 3, details: "etcdserver: request is too large" };
    await expect(put("k", Buffer.alloc(1_572_840))).rejects.toMatchObject(tooLarge);
    await expect(put("k", Buffer.alloc(2_200_000))).rejects.toMatchObject({ code: 8 });
  });

  test("what it does not serve is UNIMPLEMENTED", async () => {
    await expect(call("Auth", "AuthEnable", {})).rejects.toMatchObject({ code: 12 });
    await expect(call("Maintenance", "HashKV", {})).rejects.toMatchObject({ code: 12 });
    await expect(call("Cluster", "MemberAdd", {})).rejects.toMatchObject({ code: 12 });
  });

  test("lease ids beyond 2^53 survive, in grants, keys and keep-alives", async () => {
    const ID = "9223372036854775807";
    expect(await call("Lease", "LeaseGrant", { ID, TTL: 60 })).toMatchObject({ ID, TTL: "60" });
    await put("a", "1", { lease: ID });
    expect(await call("KV", "Range", { key: Buffer.from("a") })).toMatchObject({ kvs: [{ lease: ID }] });
    expect(await call("Lease", "LeaseLeases", {})).toMatchObject({ leases: [{ ID }] });
    const keepAlive = stream("Lease", "LeaseKeepAlive");
    keepAlive.write({ ID });
    expect((await once(keepAlive, "data"))[0]).toMatchObject({ ID, TTL: "60" });
    keepAlive.write({ ID: "1" });
    // TTL 0 is not on the wire: that is how clients know a lost lease.
    expect((await once(keepAlive, "data"))[0]).not.toHaveProperty("TTL");
    keepAlive.end();
    await once(keepAlive, "status");
  });

  test("a lease of 2 s is gone after them, with its key, and a watch says so", async () => {
    await call("Lease", "LeaseGrant", { ID: "5", TTL: 1 });
    await put("a", "1", { lease: "5" });
    const watch = stream("Watch", "Watch");
    watch.write({ create_request: { key: Buffer.from("a") } });
    await once(watch, "data");
    const before = performance.now();
    const [message] = await once(watch, "data");
    expect(message).toMatchObject({ events: [{ kv: { mod_revision: "3" } }] });
    expect(performance.now() - before).toBeGreaterThan(1_500);
    expect(performance.now() - before).toBeLessThan(3_500);
    watch.cancel();
    watch.on("error", () => undefined);
  });

  test("values and keys are bytes, whatever they are", async () => {
    const key = Buffer.from([0, 255, 1, 128]);
    const value = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await call("KV", "Put", { key, value });
    expect(await call("KV", "Range", { key })).toMatchObject({ kvs: [{ key, value }] });
  });

  test("one stream carries many watches, also for many clients at once", async () => {
    const watches = Array.from({ length: 20 }, () => stream("Watch", "Watch"));
    const events: string[] = [];
    for (const watch of watches) {
      watch.on("error", () => undefined);
      watch.write({ create_request: { key: Buffer.from("a") } });
      watch.write({ create_request: { key: Buffer.from("a"), range_end: Buffer.from("b"), prev_kv: true } });
      // Sees what the first one sees, under another id.
      watch.write({ create_request: { key: Buffer.from("a") } });
      await once(watch, "data");
    }
    await new Promise<void>((resolve) => {
      for (const watch of watches) {
        watch.on("data", (message: { watch_id?: string; events: readonly Message[] }) => {
          for (const { kv } of message.events) {
            events.push(`${message.watch_id ?? "0"}:${String((kv as { key: Buffer }).key)}`);
          }
          if (events.length === 80) resolve();
        });
      }
      void put("a", "1").then(() => put("ab", "1"));
    });
    expect(events.filter((event) => event === "0:a")).toHaveLength(20);
    expect(events.filter((event) => event === "1:a")).toHaveLength(20);
    expect(events.filter((event) => event === "1:ab")).toHaveLength(20);
    expect(events.filter((event) => event === "2:a")).toHaveLength(20);
    for (const watch of watches) watch.cancel();
  });

  test("a client that stops reading gets everything once it reads again", async () => {
    const watch = stream("Watch", "Watch");
    watch.on("error", () => undefined);
    watch.write({ create_request: { key: Buffer.from("k") } });
    await once(watch, "data");
    watch.pause();
    const count = 400;
    const value = Buffer.alloc(10_000, "x");
    for (let i = 0; i < count; i++) await put("k", value);
    const revisions: number[] = [];
    let largest = 0;
    await new Promise<void>((resolve) => {
      watch.on("data", (message: { events: readonly { kv: { mod_revision: string } }[] }) => {
        largest = Math.max(largest, message.events.length);
        for (const { kv } of message.events) revisions.push(Number(kv.mod_revision));
        if (revisions.length >= count) resolve();
      });
      watch.resume();
    });
    expect(revisions).toEqual(Array.from({ length: count }, (_, i) => i + 2));
    // The server did not queue them one by one: it read them from its history, many at a time.
    expect(largest).toBeGreaterThan(10);
    watch.cancel();
  });

  test("stopping ends open streams with UNAVAILABLE", async () => {
    const watch = stream("Watch", "Watch");
    watch.write({ create_request: { key: Buffer.from("a") } });
    await once(watch, "data");
    const ended = once(watch, "error");
    await server.stop();
    expect((await ended)[0]).toMatchObject({ code: 14, details: "etcdserver: server stopped" });
  });

  test("a port that is taken is a clear error", async () => {
    const second = new EmbeddedServer(
      { host: "127.0.0.1", port: server.port, limits: DEFAULT_LIMITS },
      memory(),
    );
    await expect(second.listen()).rejects.toMatchObject({
      code: "PL_STORE_ADDRESS_IN_USE",
      message: expect.stringContaining(`127.0.0.1:${server.port}`) as string,
    });
  });

  test("an address that this machine does not have is a clear error too", async () => {
    const elsewhere = new EmbeddedServer({ host: "192.0.2.1", port: 0, limits: DEFAULT_LIMITS }, memory());
    await expect(elsewhere.listen()).rejects.toMatchObject({ code: "PL_STORE_LISTEN" });
  });
});
