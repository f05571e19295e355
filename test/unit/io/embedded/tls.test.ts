// The server over TLS, with certificates that openssl makes.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SystemRng } from "../../../../src/io/clock.ts";
import { EmbeddedServer } from "../../../../src/io/embedded/server.ts";
import { ephemeralData } from "../../../../src/io/embedded/store-data.ts";
import { DEFAULT_LIMITS } from "../../../../src/io/embedded/store-options.ts";
import type { TlsFiles } from "../../../../src/io/embedded/tls-credentials.ts";
import { RawEtcd } from "../../../support/etcd-raw.ts";

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

describe.skipIf(!hasOpenssl)("TLS", () => {
  let folder: string;
  const file = (name: string): string => join(folder, name);

  function openssl(...args: readonly string[]): void {
    const { status, stderr } = spawnSync("openssl", args, { cwd: folder });
    if (status !== 0) throw new Error(`openssl ${args.join(" ")}: ${String(stderr)}`);
  }

  /** A key and a certificate, signed by `issuer` or by itself. */
  function certify(name: string, issuer?: string): void {
    const key = [
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-keyout",
      `${name}.key`,
    ];
    const signed = issuer === undefined ? [] : ["-CA", `${issuer}.crt`, "-CAkey", `${issuer}.key`];
    const names = issuer === undefined ? [] : ["-addext", "subjectAltName=IP:127.0.0.1"];
    openssl(
      "req",
      "-x509",
      ...key,
      "-subj",
      `/CN=${name}`,
      "-days",
      "2",
      "-out",
      `${name}.crt`,
      ...signed,
      ...names,
    );
  }

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "podloom-test-tls-"));
    certify("ca");
    certify("server", "ca");
    certify("client", "ca");
    certify("stranger");
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function serve(tls: TlsFiles): Promise<EmbeddedServer> {
    const options = { host: "127.0.0.1", port: 0, limits: DEFAULT_LIMITS, tls };
    const server = new EmbeddedServer(options, ephemeralData(new SystemRng()));
    await server.listen();
    return server;
  }

  /** Does a put get through? */
  async function reaches(server: EmbeddedServer, name: string | undefined): Promise<boolean> {
    const read = (path: string): Buffer => readFileSync(file(path));
    const channel =
      name === undefined
        ? credentials.createSsl(read("ca.crt"))
        : credentials.createSsl(read("ca.crt"), read(`${name}.key`), read(`${name}.crt`));
    const etcd = new RawEtcd(`127.0.0.1:${server.port}`, channel);
    const outcome = await etcd.call("KV", "Put", { key: Buffer.from("k") });
    etcd.close();
    return "reply" in outcome;
  }

  test("serves whoever trusts its certificate, and nobody in plain text", async () => {
    const server = await serve({
      certFile: file("server.crt"),
      keyFile: file("server.key"),
      trustedCaFile: undefined,
    });
    expect(await reaches(server, undefined)).toBe(true);
    const plain = new RawEtcd(`127.0.0.1:${server.port}`);
    expect(await plain.call("KV", "Put", { key: Buffer.from("k") })).toMatchObject({ code: 14 });
    plain.close();
    await server.stop();
  });

  test("with a CA for its clients, serves those that it signed", async () => {
    const server = await serve({
      certFile: file("server.crt"),
      keyFile: file("server.key"),
      trustedCaFile: file("ca.crt"),
    });
    expect(await reaches(server, "client")).toBe(true);
    expect(await reaches(server, undefined)).toBe(false);
    expect(await reaches(server, "stranger")).toBe(false);
    await server.stop();
  });

  test("files that do not fit are named", async () => {
    const good = { certFile: file("server.crt"), keyFile: file("server.key"), trustedCaFile: undefined };
    const tried: readonly [TlsFiles, string][] = [
      [{ ...good, certFile: file("none") }, `cannot read --cert-file ${file("none")}`],
      [{ ...good, keyFile: "/proc/self/stat" }, "--key-file /proc/self/stat is not PEM"],
    ];
    for (const [files, message] of tried) {
      await expect(serve(files)).rejects.toMatchObject({
        code: "PL_STORE_TLS",
        message: expect.stringContaining(message) as string,
      });
    }
  });
});
