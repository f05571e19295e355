// What a speaker says when it cannot begin.
import { once } from "node:events";
import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BgpFolder, speakerText } from "../support/bgp-command.ts";

let folder: BgpFolder;
beforeEach(() => {
  folder = new BgpFolder();
});
afterEach(() => folder.remove());

const A = speakerText(
  "10.97.0.2",
  "networks: [10.244.1.0/24]\nneighbors: [{ name: b, address: 10.97.0.3, as: internal }]\n",
);
const B = speakerText(
  "10.97.0.3",
  "networks: [10.244.2.0/24]\nneighbors: [{ name: a, address: 10.97.0.2, as: internal }]\n",
);

describe("a speaker that cannot begin", () => {
  test("with a file that is wrong: exit code 2, every problem, and nothing is touched", async () => {
    const bad = folder.start(
      "a",
      A.replace("internal", "internul").replace("10.244.1.0/24", "10.244.1.1/24"),
    );
    expect(await bad.exited).toEqual([2, null]);
    expect(bad.stderr).toMatch(/^\/.*a\.yaml:6:12: networks\[0\]: must have no bits set/);
    expect(bad.stderr).toMatch(/a\.yaml:7:\d+: neighbors\[0\]\.as: does not take "internul"/);
    expect(folder.hasSocket("a")).toBe(false);
  });

  test("a file that there is not; and --check, which says whether one is right and does no more", async () => {
    const missing = folder.run(["-f", "nowhere.yaml"]);
    expect(await missing.exited).toEqual([2, null]);
    expect(missing.stderr).toContain(
      "nowhere.yaml: there is no such file\n  Name a speaker's file with -f FILE",
    );
    const right = folder.start("a", A, ["--check"]);
    expect(await right.exited).toEqual([0, null]);
    expect(right.stdout).toMatch(
      /a\.yaml: speaker a, AS 64512, 1 neighbor, 0 ranges, 1 network, carrier loopback\n$/,
    );
    const wrong = folder.start("b", `${B}x: 1\n`, ["--check"]);
    expect(await wrong.exited).toEqual([2, null]);
    expect(folder.hasSocket("a")).toBe(false);
  });

  test("with flags that there are not: exit code 2", async () => {
    const flags = folder.run(["--speed", "11"]);
    expect(await flags.exited).toEqual([2, null]);
    expect(flags.stderr).toContain("`podloom bgp --help` lists the flags.");
    const help = folder.run(["--help"]);
    expect(await help.exited).toEqual([0, null]);
    expect(help.stdout).toContain("--restarting");
  });

  test("on a port that somebody has: exit code 5, and its socket is gone again", async () => {
    const taken = createServer().listen(1790, "127.97.0.2");
    await once(taken, "listening");
    try {
      const a = folder.start("a", A);
      expect(await a.exited).toEqual([5, null]);
      expect(a.log.at(-1)).toMatchObject({
        code: "PL_BGP_PORT",
        msg: "TCP port 127.97.0.2:1790, for BGP, is in use by another process",
        remedy: expect.stringContaining("ss -ltnp"),
      });
      expect(folder.hasSocket("a")).toBe(false);
    } finally {
      taken.close();
    }
  });

  test("with a name that one has that runs: exit code 5, and that one goes on", async () => {
    const a = await folder.start("a", A).ready();
    const second = folder.run(["-f", folder.write("b.yaml", B), "--name", "a"]);
    expect(await second.exited).toEqual([5, null]);
    expect(second.log.at(-1)).toMatchObject({
      code: "PL_SPEAKER_NAME",
      msg: 'a speaker called "a" runs already',
      remedy: "Stop that one, or give this one another name with --name.",
    });
    expect(await (await a.client()).ask("ping", {})).toEqual({ name: "a", pid: a.child.pid });
  });

  test("what a killed one left is no hindrance", async () => {
    const a = await folder.start("a", A).ready();
    await a.kill();
    expect(folder.hasSocket("a")).toBe(true);
    await folder.start("a", A).ready();
  });

  test("with a log or a capture that cannot be written: exit code 5", async () => {
    const log = folder.start("a", A, ["--log-file", "/proc/nowhere/bgp.log"]);
    expect(await log.exited).toEqual([5, null]);
    expect(log.stderr).toContain("PL_LOG_FAILED");
    const capture = folder.start("a", A, ["--capture", "/proc/nowhere/a.pcapng"]);
    expect(await capture.exited).toEqual([5, null]);
    expect(capture.log.at(-1)).toMatchObject({ code: "PL_CAPTURE_FAILED" });
  });
});
