import { describe, expect, test } from "vitest";
import { DEFAULT_LIMITS, parseStoreOptions, STORE_USAGE } from "../../../../src/io/embedded/store-options.ts";

function parsed(...argv: string[]) {
  const result = parseStoreOptions(argv);
  if (!result.ok || result.value === "help") throw new Error("expected options");
  return result.value;
}

function refused(...argv: string[]): string {
  const result = parseStoreOptions(argv);
  if (result.ok) throw new Error("expected a refusal");
  return result.error;
}

describe("podloom store's options", () => {
  test("serve on the loopback address and keep 10,000 revisions unless told otherwise", () => {
    expect(parsed()).toEqual({
      host: "127.0.0.1",
      port: 2379,
      data: undefined,
      limits: DEFAULT_LIMITS,
      tls: undefined,
      controlStdin: false,
    });
  });

  test("take what they are given", () => {
    const argv = ["--listen", "127.168.56.9:0", "--data", "/x", "--control-stdin", "--max-txn-ops", "9"];
    expect(parsed(...argv, "--auto-compaction-retention", "0")).toEqual({
      host: "127.168.56.9",
      port: 0,
      data: "/x",
      limits: { ...DEFAULT_LIMITS, retention: { mode: "off" }, txnOpsMax: 9 },
      tls: undefined,
      controlStdin: true,
    });
    expect(parsed("--data", "/x", "--ephemeral").data).toBeUndefined();
    const periodic = ["--auto-compaction-mode", "periodic", "--auto-compaction-retention"];
    expect(parsed(...periodic, "1h30m").limits.retention).toEqual({ mode: "periodic", periodUs: 5_400e6 });
    expect(parsed(...periodic, "2").limits.retention).toEqual({ mode: "periodic", periodUs: 7_200e6 });
    expect(parsed(...periodic, "0").limits.retention).toEqual({ mode: "off" });
    expect(parsed("--listen", "[::1]:5")).toMatchObject({ host: "[::1]", port: 5 });
  });

  test.each(["0.0.0.0:2379", "192.168.1.5:2379", "[::]:2379", "[fe80::1]:1"])(
    "%s is refused without --insecure-listen-any",
    (listen) => {
      expect(refused("--listen", listen)).toContain("--insecure-listen-any");
      expect(parsed("--listen", listen, "--insecure-listen-any").port).toBeGreaterThan(0);
    },
  );

  test.each([
    "localhost:1",
    "127.0.0.1",
    "127.0.0.1:65536",
    "::1:5",
    "[127.0.0.1]:5",
    "127.0.0.1:x",
    ":2379",
  ])("%s is not an address to listen on", (listen) => {
    expect(refused("--listen", listen)).toContain("write it as 127.0.0.1:2379");
  });

  test("an unknown option, a stray word and a retention that is no number are named", () => {
    expect(refused("--frobnicate")).toContain("--frobnicate");
    expect(refused("now")).toContain("now");
    expect(refused("--auto-compaction-mode", "hourly")).toContain("revision or periodic");
    expect(refused("--quota-backend-bytes", "2GB")).toContain("--quota-backend-bytes must be a whole number");
    expect(refused("--auto-compaction-retention", "1h")).toContain("whole number");
  });

  test("TLS needs certificate and key; with a CA for the clients, other machines may reach it", () => {
    expect(refused("--cert-file", "a")).toContain("both --cert-file and --key-file");
    expect(refused("--trusted-ca-file", "a")).toContain("both --cert-file and --key-file");
    expect(refused("--client-cert-auth")).toContain("needs --trusted-ca-file");
    const tls = ["--cert-file", "c", "--key-file", "k"];
    expect(refused(...tls, "--listen", "0.0.0.0:1")).toContain("--trusted-ca-file");
    expect(parsed(...tls, "--trusted-ca-file", "ca", "--listen", "0.0.0.0:1").tls).toEqual({
      certFile: "c",
      keyFile: "k",
      trustedCaFile: "ca",
    });
  });

  test("help says that the contents live in memory", () => {
    expect(parseStoreOptions(["--help"])).toEqual({ ok: true, value: "help" });
    expect(STORE_USAGE).toContain("in memory");
  });
});
