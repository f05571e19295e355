// `podloom store` as a process: what it prints, how it ends, and with which exit code. Runs the build (`npm test` makes it).
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { type StoreProcess, startStore } from "../../../support/etcd-process.ts";

const MAIN = fileURLToPath(new URL("../../../../dist/bundle/store.js", import.meta.url));

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs it to its end; stdin is empty and closed. */
async function run(...args: readonly string[]): Promise<Run> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

let store: StoreProcess | undefined;

afterEach(async () => {
  await store?.stop();
  store = undefined;
});

describe("podloom store", () => {
  test("prints one JSON line, says on stderr that contents are in memory, and ends when stdin ends", async () => {
    const { code, stdout, stderr } = await run("store", "--listen", "127.0.0.1:0", "--control-stdin");
    const lines = stdout.trim().split("\n");
    expect(lines).toHaveLength(1);
    const ready = JSON.parse(lines[0] as string) as { port: number };
    expect(ready).toMatchObject({ ready: true, listen: `127.0.0.1:${ready.port}` });
    expect(stderr).toContain("in memory");
    expect(code).toBe(0);
  });

  test("SIGTERM and SIGINT end it with 0", async () => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      store = await startStore("embedded");
      expect(await store.kill(signal)).toBe(0);
      await store.stop();
    }
  });

  test("a folder that another store uses is refused; the lock of a killed one is not", async () => {
    store = await startStore("embedded");
    const { code, stderr } = await run("--listen", "127.0.0.1:0", "--data", store.dataDir);
    expect(code).toBe(5);
    expect(stderr).toContain(`PL_STORE_IN_USE: process ${store.pid} is using the data in ${store.dataDir}`);
    await store.kill();
    await store.start();
    expect(store.log).toContain("the leases begin anew");
  });

  test("a port that is taken ends it with 5 and says what to do", async () => {
    store = await startStore("embedded");
    const { code, stdout, stderr } = await run("--listen", store.endpoint);
    expect(code).toBe(5);
    expect(stdout).toBe("");
    expect(stderr).toBe(
      `podloom store: PL_STORE_ADDRESS_IN_USE: cannot serve etcd on ${store.endpoint}: the port is taken\n` +
        "  Stop what listens there, or give --listen another port (port 0 picks a free one).\n",
    );
  });

  test("a data folder that cannot be made ends it with 5", async () => {
    const { code, stderr } = await run("--listen", "127.0.0.1:0", "--data", join(MAIN, "data"));
    expect(code).toBe(5);
    expect(stderr).toContain("PL_STORE_DATA");
  });

  test("wrong use ends it with 2; help with 0", async () => {
    expect(await run("--listen", "0.0.0.0:2379")).toMatchObject({ code: 2, stdout: "" });
    expect((await run("--help")).stdout).toContain("Usage: podloom store");
  });
});
