// One daemon, and a neighbour that has a table for it, in a network namespace of its own:
//
//   unshare --net --pid --fork --kill-child --mount-proc node table-run.js ORDER        ORDER: a TableOrder as JSON
//
// Prints one line: a TableResult. What the daemon takes of a CPU is read from outside, and it is asked nothing before it rests.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ipv4 } from "../../src/base/ipv4-addr.ts";
import { SpeakerClient } from "../../src/io/ipc/speaker-client.ts";
import { BirdControl } from "./bird-control.ts";
import { birdVersion } from "./bird-daemon.ts";
import { HOLD_SEC, MESH_AS, MESH_PORT, ownPrefix, routerId, socketAddress } from "./mesh-plan.ts";
import { machineBusyMs, ProcessGroup } from "./process-group.ts";
import { tableBytes } from "./table-bytes.ts";
import { TableFeeder } from "./table-feeder.ts";
import { FEEDER_AS, TABLE_PREFIXES, type TableOrder, type TableResult } from "./table-plan.ts";

const SAMPLE_MS = 5;
/** It rests when it has taken less than this of a CPU … */
const REST_CPU_MS = 1;
/** … for so long. */
const REST_MS = 300;
const TIMEOUT_MS = 120_000;

/** What is different from daemon to daemon. */
interface Receiver {
  readonly version: string;
  readonly configuration: string;
  readonly command: readonly [string, ...string[]];
  prefixCount(): Promise<number>;
}

function podloom(program: string, folder: string): Receiver {
  const at = (file: string): string => join(folder, file);
  const configuration = {
    apiVersion: "podloom/v1",
    kind: "BGPSpeaker",
    name: "n1",
    as: MESH_AS,
    routerId: routerId(1),
    carrier: "loopback",
    listen: { port: MESH_PORT },
    networks: [ownPrefix(1)],
    policies: { own: { default: "reject", rules: [{ match: { source: "local" } }] } },
    neighbors: [{ address: routerId(2), as: FEEDER_AS, passive: true, holdTimeSec: HOLD_SEC, export: "own" }],
  };
  return {
    version: "podloom bgp",
    configuration: JSON.stringify(configuration),
    command: [
      process.execPath,
      program,
      "bgp",
      "-f",
      at("n1.conf"),
      "--log-level",
      "warn",
      "--log-file",
      at("n1.log"),
      "--socket",
      at("n1.sock"),
    ],
    async prefixCount() {
      const client = await SpeakerClient.connect(at("n1.sock"));
      const { destinations } = await client.ask("bgp-status", {});
      await client.close();
      return destinations;
    },
  };
}

function bird(program: string, folder: string): Receiver {
  return {
    version: `BIRD ${birdVersion(program) ?? "?"}`,
    configuration: `router id ${routerId(1)};
log "n1.log" { warning, error, fatal, bug };
protocol device { scan time 2; }
protocol static { ipv4; route ${ownPrefix(1)} blackhole; }
protocol bgp feeder {
  local ${socketAddress(1)} port ${MESH_PORT} as ${MESH_AS};
  neighbor ${socketAddress(2)} as ${FEEDER_AS};
  strict bind yes; multihop; passive; hold time ${HOLD_SEC};
  ipv4 { import all; export where source = RTS_STATIC; };
}
`,
    command: [program, "-f", "-c", "n1.conf", "-s", "n1.ctl"],
    async prefixCount() {
      const control = await BirdControl.connect(join(folder, "n1.ctl"));
      const lines = await control.ask("show route count");
      control.close();
      return Number(/routes for (\d+) networks/.exec(lines.join("\n"))?.[1] ?? 0);
    },
  };
}

/** Waits until the process rests. Answers when that began, and its CPU time then. */
async function rest(group: ProcessGroup): Promise<{ readonly at: number; readonly cpuMs: number }> {
  const timeout = performance.now() + TIMEOUT_MS;
  let since = { at: performance.now(), cpuMs: group.cpuMs() };
  for (;;) {
    await sleep(SAMPLE_MS);
    group.check();
    const now = { at: performance.now(), cpuMs: group.cpuMs() };
    if (now.cpuMs - since.cpuMs >= REST_CPU_MS) since = now;
    else if (now.at - since.at >= REST_MS) return since;
    if (now.at > timeout) throw new Error("the daemon does not come to rest");
  }
}

async function measure(receiver: Receiver, group: ProcessGroup, table: Uint8Array): Promise<TableResult> {
  const feeder = await TableFeeder.connect();
  await rest(group);
  const before = { pssMiB: group.memory().pssMiB, cpuMs: group.cpuMs(), busyMs: machineBusyMs() };
  const start = performance.now();
  await feeder.feed(table);
  const readMs = performance.now() - start;
  // If it rests at once, it has done all by the time of its answer.
  const { at, cpuMs } = await rest(group);
  const busyMs = machineBusyMs() - before.busyMs;
  const spentMs = performance.now() - start;
  const prefixes = (await receiver.prefixCount()) - 1;
  if (prefixes !== TABLE_PREFIXES) throw new Error(`${receiver.version} has ${prefixes} prefixes`);
  const result = {
    version: receiver.version,
    prefixes,
    octets: table.length,
    readMs,
    restMs: at - start,
    cpuMs: cpuMs - before.cpuMs,
    pssMiB: group.memory().pssMiB - before.pssMiB,
    otherPercent: ((busyMs - (cpuMs - before.cpuMs)) / spentMs) * 100,
  };
  feeder.close();
  return result;
}

const order = JSON.parse(process.argv[2] ?? "") as TableOrder;
execFileSync("ip", ["link", "set", "lo", "up"]);
const folder = mkdtempSync(join(tmpdir(), "podloom-table-"));
const group = new ProcessGroup(folder);
try {
  const receiver = (order.daemon === "bird" ? bird : podloom)(order.program, folder);
  const table = tableBytes(order.shape, ipv4(routerId(2)));
  writeFileSync(join(folder, "n1.conf"), receiver.configuration);
  group.start("n1", receiver.command);
  process.stdout.write(`${JSON.stringify(await measure(receiver, group, table))}\n`);
} finally {
  await group.kill();
  rmSync(folder, { recursive: true, force: true });
}
