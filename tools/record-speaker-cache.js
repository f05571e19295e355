// Writes speaker-code.cache beside a bundled speaker-code.cjs, and the same for packages: what V8 has compiled of them in a speaker that
// started, was called by a neighbor and called another, told and was told routes, was asked for them, and stopped. A mesh starts a
// hundred speakers at a time. On a busy machine, four pairs of runs: 203 ms of CPU from the start until ready became 107 ms, and 49
// sessions cost 89 ms instead of 118 ms. It is good for this very V8 alone, and nothing depends on it: see run-speaker.cjs.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const TOOLS = dirname(fileURLToPath(import.meta.url));
const BOUND_MS = 15_000;
/** Addresses that nobody else uses, carried on 127.255.254.x. The second is recorded: it calls the first, and the third calls it. */
const ADDRESSES = ["10.255.254.1", "10.255.254.2", "10.255.254.3"];

/** @returns {Promise<number>} a port that is free at the second address */
function freePort() {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.255.254.2", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** @param {number} i @param {number} port */
function configuration(i, port) {
  return {
    apiVersion: "podloom/v1",
    kind: "BGPSpeaker",
    name: `record${i}`,
    as: 64_512,
    routerId: ADDRESSES[i],
    carrier: "loopback",
    listen: { port },
    networks: [`10.244.${i}.0/26`],
    templates: { mesh: { as: "internal", gracefulRestart: true, addPath: "both", holdTimeSec: 240 } },
    neighbors: ADDRESSES.filter((address) => address !== ADDRESSES[i]).map((address) => ({
      address,
      template: "mesh",
      passive: address > ADDRESSES[i],
      connectRetrySec: 1,
    })),
  };
}

/** Asks the recorded speaker what people ask. @param {string} socket */
async function ask(socket) {
  const { SpeakerClient } = await import("../dist/io/ipc/speaker-client.js");
  const until = Date.now() + BOUND_MS / 2;
  for (;;) {
    await sleep(50);
    const client = await SpeakerClient.connect(socket).catch(() => undefined);
    if (client === undefined && Date.now() < until) continue;
    if (client === undefined) return;
    const { established, destinations } = await client.ask("bgp-status", {});
    const done =
      (established === ADDRESSES.length - 1 && destinations === ADDRESSES.length) || Date.now() > until;
    if (done) {
      await client.rows("bgp-peers", {}, () => {});
      await client.rows("bgp-routes", {}, () => {});
      await client.ask("bgp-announce", { network: "10.243.0.0/26" });
      await sleep(50);
      await client.ask("bgp-withdraw", { prefix: "10.243.0.0/26" });
    }
    await client.close();
    if (done) return;
  }
}

/** Where it cannot be done, it says so, and speakers start the slower. @param {string} bundle the folder of speaker-code.cjs */
export async function recordSpeakerCache(bundle) {
  const folder = mkdtempSync(join(tmpdir(), "podloom-record-"));
  const cache = join(bundle, `speaker-code-${process.version}-${process.arch}.cache`);
  const children = [];
  try {
    const port = await freePort();
    for (const i of ADDRESSES.keys()) {
      const at = (/** @type {string} */ suffix) => join(folder, `${i}.${suffix}`);
      writeFileSync(at("json"), JSON.stringify(configuration(i, port)));
      const program = i === 1 ? [join(TOOLS, "recorded-speaker.cjs")] : [join(bundle, "speaker.cjs")];
      const files = ["-f", at("json"), "--socket", at("sock"), "--log-file", at("log")];
      const env = { PATH: process.env.PATH, PODLOOM_RECORD_BUNDLE: bundle };
      children.push(
        spawn(process.execPath, [...program, "bgp", ...files], { stdio: "ignore", env, timeout: BOUND_MS }),
      );
    }
    const ended = Promise.all(children.map((child) => new Promise((resolve) => child.once("exit", resolve))));
    await ask(join(folder, "1.sock"));
    for (const child of children) child.kill("SIGTERM");
    await ended;
    statSync(cache);
  } catch (thrown) {
    process.stderr.write(`bundle: no compiled code of the speaker is kept: ${String(thrown)}\n`);
  } finally {
    for (const child of children) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}
