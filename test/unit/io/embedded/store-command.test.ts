// `podloom store dump|restore|check`, on folders that a real server has written.
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SystemRng } from "../../../../src/io/clock.ts";
import { NodeFiles } from "../../../../src/io/embedded/journal/data-files.ts";
import { Store } from "../../../../src/io/embedded/store.ts";
import { openData } from "../../../../src/io/embedded/store-data.ts";
import { DEFAULT_LIMITS } from "../../../../src/io/embedded/store-options.ts";
import { deleteOf, putOf } from "./requests.ts";

const MAIN = fileURLToPath(new URL("../../../../dist/bundle/store.js", import.meta.url));

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(args: readonly string[], input = ""): Promise<Run> {
  const child = spawn(process.execPath, [MAIN, "store", ...args], { stdio: ["pipe", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

let folder: string;
let logs: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "podloom-test-data-"));
  logs = mkdtempSync(join(tmpdir(), "podloom-test-restored-"));
});

afterEach(() => {
  for (const path of [folder, logs]) rmSync(path, { recursive: true, force: true });
});

/** Fills the folder with some history. Returns its log. */
async function fill(puts = 20): Promise<string> {
  const rng = new SystemRng();
  const fail = (fault: unknown): never => {
    throw fault;
  };
  const data = await openData(new NodeFiles(folder), { rng, onFatal: fail, onSnapshotFault: fail });
  const { retention: _, ...limits } = DEFAULT_LIMITS;
  const store = new Store(
    {
      ...limits,
      rng,
      journal: data.journal,
      retention: { mode: "off" },
      fragmentBytes: 1 << 20,
      wake: () => undefined,
    },
    0,
    data.contents,
  );
  store.resume(0, data.identity.memberId);
  store.leaseGrant("9223372036854775807", 60, 0);
  for (let i = 0; i < puts; i++)
    store.put(putOf(`k${i % 5}`, `value ${i}`, { lease: "9223372036854775807" }));
  store.put(putOf("\xff\x00", "\u00e4"));
  store.deleteRange(deleteOf("k1"));
  store.compact(8);
  await data.close();
  const log = readdirSync(folder).find((name) => name.startsWith("wal-")) as string;
  return join(folder, log);
}

describe("podloom store", () => {
  test("check says what a folder holds", async () => {
    await fill();
    const { code, stdout } = await run(["check", folder]);
    expect(stdout).toMatch(
      /^sound: 25 records, revision 23, compacted to 8, 6 keys, 1 leases, cluster \d+\n$/,
    );
    expect(code).toBe(0);
  });

  test("dump and restore give the same contents, history included, as a new cluster", async () => {
    await fill();
    const { stdout: lines } = await run(["dump", folder]);
    expect(lines).toContain('{"lease":"9223372036854775807","ttlSec":60}');
    expect(lines).toContain('{"keyBase64":"/wA=","value":"ä","create":22,"mod":22,"version":1}');
    expect(lines).toContain('{"key":"k1","deleted":true,"mod":23}');
    const restored = await run(["restore", logs], lines);
    expect(restored.stderr).toBe("");
    expect(restored.code).toBe(0);
    const again = (await run(["dump", logs])).stdout;
    const cluster = /"clusterId":"(\d+)"/;
    expect(again.replace(cluster, "")).toBe(lines.replace(cluster, ""));
    expect(cluster.exec(again)?.[1]).not.toBe(cluster.exec(lines)?.[1]);
    expect((await run(["restore", logs], lines)).stderr).toContain("is not empty");
  });

  test("a dump that is not whole, or not one, is refused with its line", async () => {
    await fill();
    const lines = (await run(["dump", folder])).stdout.split("\n");
    const without = lines.toSpliced(3, 1).join("\n");
    expect(await run(["restore", logs], without)).toMatchObject({ code: 5 });
    expect((await run(["restore", logs], "hello\n")).stderr).toContain("line 1 of the dump");
    const end = `{"end":true,"lines":${lines.length - 2}}\n`;
    const lying = [...lines.slice(0, 5), ...lines.slice(6, -2), end].join("\n");
    expect((await run(["restore", logs], lying)).stderr).toContain("the dump contradicts itself");
  });

  test("a tail that was cut short is named by check, and cut off by the next start", async () => {
    const log = await fill();
    const bytes = statSync(log).size;
    truncateSync(log, bytes - 3);
    const { code, stdout } = await run(["check", folder]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /wal-0000000000000001: the last \d+ bytes, from byte \d+ on, are a record that was half/,
    );
    const data = await openData(new NodeFiles(folder), {
      rng: new SystemRng(),
      onFatal: () => undefined,
      onSnapshotFault: () => undefined,
    });
    expect(data.torn?.file).toBe("wal-0000000000000001");
    await data.close();
    expect((await run(["check", folder])).stdout).toMatch(/^sound: 25 records/);
  });

  test("damage before the end is no torn tail: check and a start say where it is, and change nothing", async () => {
    const log = await fill();
    // Another start: its record was written when all before it was on the disk.
    const fault = (): void => undefined;
    const options = { rng: new SystemRng(), onFatal: fault, onSnapshotFault: fault };
    await (await openData(new NodeFiles(folder), options)).close();
    const bytes = readFileSync(log);
    const at = bytes.indexOf("value 7");
    bytes[at] = 0x56;
    writeFileSync(log, bytes);
    const { code, stdout } = await run(["check", folder]);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^damaged: .*wal-0000000000000001 at byte \d+: record 10 is damaged, though it had been acknowledged\n$/,
    );
    const started = await run(["--listen", "127.0.0.1:0", "--data", folder, "--control-stdin"]);
    expect(started.code).toBe(5);
    expect(started.stderr).toContain("PL_STORE_DAMAGED");
    expect(readFileSync(log).equals(bytes)).toBe(true);
    expect(readdirSync(folder)).toEqual(["wal-0000000000000001"]);
  });

  test("no folder, a wrong one, and one that is in use are refused", async () => {
    expect((await run(["check"])).code).toBe(2);
    expect((await run(["dump", logs])).stderr).toContain("is not a data folder of the store");
    await fill();
    writeFileSync(join(folder, "lock"), `${process.pid} ${startTime()}\n`);
    expect((await run(["check", folder])).stderr).toContain(`PL_STORE_IN_USE: process ${process.pid}`);
  });
});

function startTime(): string {
  const stat = readFileSync("/proc/self/stat", "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] as string;
}
