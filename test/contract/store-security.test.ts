// TLS and client certificates against both servers, users and passwords against the real etcd, which alone has them: every
// transport, the same outcomes.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { NO_LEASE } from "../../src/control/datastore/messages.ts";
import type {
  EtcdEndpoints,
  EtcdTransport,
  StoreError,
  WatchMessage,
} from "../../src/io/etcd/etcd-transport.ts";
import { describeStores } from "../support/each-store.ts";
import { etcdctl, hasEtcd, hasEtcdctl, type StoreProcess, startStore } from "../support/etcd-process.ts";
import { createTestCertificates, hasOpenssl, type TestCertificates } from "../support/test-certificates.ts";
import { TRANSPORTS } from "../support/transports.ts";

const open: EtcdTransport[] = [];
afterEach(async () => {
  for (const store of open.splice(0)) await store.close();
});

describeStores("TLS that asks for certificates:", !hasOpenssl(), (kind) => {
  let folder: string;
  let certificates: TestCertificates;
  let server: StoreProcess;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "pl-tls-"));
    certificates = createTestCertificates(folder);
    const { ca, server: own } = certificates;
    const args = [
      `--cert-file=${own.cert}`,
      `--key-file=${own.key}`,
      `--trusted-ca-file=${ca}`,
      // Ours asks whenever it has a CA.
      ...(kind === "etcd" ? ["--client-cert-auth"] : []),
    ];
    server = await startStore(kind, { args, tls: certificates });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const read = (path: string): Buffer => readFileSync(path);

  test.each(TRANSPORTS)("$name: with the right ones everything works", async (transport) => {
    const { ca, client } = certificates;
    const tls = { ca: read(ca), cert: read(client.cert), key: read(client.key) };
    const store = transport.open({ endpoints: [server.url], tls });
    open.push(store);
    await store.put("/k", encodeUtf8("1"), NO_LEASE);
    expect((await store.range({ key: "/k", rangeEnd: undefined })).kvs).toHaveLength(1);
    const messages: WatchMessage[] = [];
    store.openWatch({ key: "/k", rangeEnd: undefined }, 0, {
      message: (m) => messages.push(m),
      broken: () => {},
    });
    await expect.poll(() => messages.length).toBe(1);
    await store.put("/k", encodeUtf8("2"), NO_LEASE);
    await expect.poll(() => messages[1]?.events.length).toBe(1);
  });

  test.each(TRANSPORTS)(
    "$name: without a certificate, or with another CA, nothing does",
    async (transport) => {
      const { ca, otherCa, client } = certificates;
      const attempts: EtcdEndpoints["tls"][] = [
        { ca: read(ca) },
        { ca: read(otherCa), cert: read(client.cert), key: read(client.key) },
      ];
      for (const tls of attempts) {
        const store = transport.open({ endpoints: [server.url], ...(tls && { tls }) });
        open.push(store);
        const error: StoreError = await store.status().then(
          () => expect.fail("it was let in"),
          (thrown: StoreError) => thrown,
        );
        expect(["unavailable", "timeout"]).toContain(error.reason);
      }
    },
  );
});

describe.skipIf(!hasEtcd() || !hasEtcdctl())("an etcd with users", () => {
  let server: StoreProcess;

  beforeAll(async () => {
    server = await startStore("etcd");
    const steps = [
      ["user", "add", "root:right"],
      ["user", "add", "reader:read"],
      ["role", "add", "readers"],
      ["role", "grant-permission", "readers", "--prefix=true", "read", "/open/"],
      ["user", "grant-role", "reader", "readers"],
      ["auth", "enable"],
    ];
    for (const args of steps) expect(await etcdctl(server.endpoint, args)).toMatchObject({ code: 0 });
  });
  afterAll(() => server.stop());

  test.each(TRANSPORTS)("$name: each may what its roles allow", async (transport) => {
    const as = (username: string, password: string): EtcdTransport => {
      const store = transport.open({ endpoints: [server.url], auth: { username, password } });
      open.push(store);
      return store;
    };
    const root = as("root", "right");
    const reader = as("reader", "read");
    const openKeys = { key: "/open/", rangeEnd: "/open0" };
    await root.put("/open/k", encodeUtf8("1"), NO_LEASE);
    expect((await reader.range(openKeys)).kvs).toHaveLength(1);
    await expect(reader.put("/open/k", encodeUtf8("2"), NO_LEASE)).rejects.toMatchObject({
      reason: "denied",
      message: "etcdserver: permission denied",
    });
    await expect(as("root", "wrong").range(openKeys)).rejects.toMatchObject({ reason: "denied" });

    const allowed: WatchMessage[] = [];
    reader.openWatch(openKeys, 0, { message: (message) => allowed.push(message), broken: () => {} });
    await expect.poll(() => allowed[0]?.created).toBe(true);
    const denied: (WatchMessage | StoreError)[] = [];
    reader.openWatch({ key: "/closed/", rangeEnd: "/closed0" }, 0, {
      message: (m) => denied.push(m),
      broken: (e) => denied.push(e),
    });
    await expect
      .poll(() => denied[0])
      .toMatchObject({ canceled: true, reason: expect.stringContaining("permission denied") });
  });

  test.each(TRANSPORTS)(
    "$name: a server that was started anew, and knows no tokens, serves again",
    async (transport) => {
      const store = transport.open({
        endpoints: [server.url],
        auth: { username: "root", password: "right" },
      });
      open.push(store);
      await store.put("/k", encodeUtf8("1"), NO_LEASE);
      await server.kill();
      await server.start();
      const again = (): Promise<boolean> =>
        store.range({ key: "/k", rangeEnd: undefined }).then(
          ({ kvs }) => kvs.length === 1,
          () => false,
        );
      await expect.poll(again, { timeout: 10_000 }).toBe(true);
    },
  );

  test("slim: a watch is the first call after the restart, and stands", async () => {
    const [, slim] = TRANSPORTS;
    const store = slim?.open({
      endpoints: [server.url],
      auth: { username: "root", password: "right" },
    }) as EtcdTransport;
    open.push(store);
    const { revision } = await store.put("/k", encodeUtf8("1"), NO_LEASE);
    await server.kill();
    await server.start();
    const messages: WatchMessage[] = [];
    const watch = async (): Promise<boolean> => {
      let over = false;
      store.openWatch({ key: "/k", rangeEnd: undefined }, revision, {
        message: (message) => messages.push(message),
        broken: () => {
          over = true;
        },
      });
      for (let i = 0; i < 100 && !over && messages.length === 0; i++)
        await new Promise((resolve) => setTimeout(resolve, 20));
      return messages.length > 0;
    };
    await expect.poll(watch, { timeout: 15_000 }).toBe(true);
    expect(messages[0]).toMatchObject({ created: true, canceled: false });
    await expect.poll(() => messages[1]?.events.length).toBe(1);
  });
});
