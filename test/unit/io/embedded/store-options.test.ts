import { describe, expect, test } from "vitest";
import { parseStoreOptions, STORE_USAGE } from "../../../../src/io/embedded/store-options.ts";

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
      autoCompactionRetention: 10_000,
      controlStdin: false,
    });
  });

  test("take what they are given", () => {
    const argv = ["--listen", "127.168.56.9:0", "--data", "/x", "--ephemeral", "--control-stdin"];
    expect(parsed(...argv, "--auto-compaction-retention", "0")).toEqual({
      host: "127.168.56.9",
      port: 0,
      data: "/x",
      autoCompactionRetention: 0,
      controlStdin: true,
    });
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
    expect(refused("--auto-compaction-retention", "1h")).toContain("whole number");
  });

  test("help says that the contents live in memory", () => {
    expect(parseStoreOptions(["--help"])).toEqual({ ok: true, value: "help" });
    expect(STORE_USAGE).toContain("in memory");
  });
});
