// One full mesh of daemons, one process a node, from nothing to complete, in a network namespace of its own:
//
//   unshare --net --pid --fork --kill-child --mount-proc node mesh-run.js ORDER        ORDER: a MeshOrder as JSON
//
// Prints one line: a MeshResult. Nothing is asked of the daemons before the loopback interface has been silent for seconds, and what
// is read meanwhile the kernel counts anyway.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { median } from "../result.ts";
import { BareDaemon } from "./bare-daemon.ts";
import { BirdDaemon } from "./bird-daemon.ts";
import { loopbackBytes, tcpCounters } from "./loopback-counters.ts";
import type { MeshDaemon, NodeView } from "./mesh-daemon.ts";
import { type MeshOrder, type MeshResult, othersOf } from "./mesh-plan.ts";
import { PodloomDaemon } from "./podloom-daemon.ts";
import { machineBusyMs, ProcessGroup } from "./process-group.ts";

const SAMPLE_MS = 20;
/** After so much silence the work is done, unless it turns out that it is not. */
const PAUSE_MS = 300;
/** After so much the daemons are asked. */
const SILENCE_MS = 4000;
const TIMEOUT_MS = 180_000;
/** A prefix has reached everybody long before. */
const ANNOUNCED_MS = 1000;

/** Milliseconds since 1970, as the daemons' clocks have them. */
function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

const MESH_DAEMONS = { podloom: PodloomDaemon, bird: BirdDaemon, bare: BareDaemon } as const;

class MeshRun {
  readonly #order: MeshOrder;
  readonly #daemon: MeshDaemon;
  readonly #folder: string;

  constructor(order: MeshOrder, folder: string) {
    this.#order = order;
    this.#folder = folder;
    this.#daemon = new MESH_DAEMONS[order.daemon](order, folder);
  }

  async run(): Promise<MeshResult> {
    const startCpuMs = await this.#startAlone();
    const group = new ProcessGroup(this.#folder);
    try {
      return { ...(await this.#mesh(group)), startCpuMs };
    } finally {
      await this.#daemon.close();
      await group.kill();
    }
  }

  /** What as many processes take to start, with the same neighbours in their files but none that dials. */
  async #startAlone(): Promise<number> {
    const group = new ProcessGroup(this.#folder);
    try {
      this.#launch(group, false);
      for (const seen = [0]; ; ) {
        await sleep(500);
        group.check();
        const cpuMs = group.cpuMs();
        // Settled: as good as nothing in the last one and a half seconds.
        if (seen.length > 3 && cpuMs - (seen.at(-3) as number) < cpuMs / 200) return cpuMs;
        seen.push(cpuMs);
      }
    } finally {
      await group.kill();
    }
  }

  #launch(group: ProcessGroup, dials: boolean): number {
    const nodes = Array.from({ length: this.#order.nodes }, (_, at) => at + 1);
    for (const i of nodes) {
      const file = join(this.#folder, `n${i}${this.#daemon.fileSuffix}`);
      writeFileSync(file, this.#daemon.configuration(i, dials));
    }
    const start = wallMs();
    for (const i of nodes) group.start(`n${i}`, this.#daemon.command(i));
    return start;
  }

  async #mesh(group: ProcessGroup): Promise<Omit<MeshResult, "startCpuMs">> {
    const { nodes, idleSec } = this.#order;
    const tcpBefore = tcpCounters();
    const busyBefore = machineBusyMs();
    const bytesBefore = loopbackBytes();
    const start = this.#launch(group, true);
    const { burstAt, cpuMs, busyMs } = await this.#silence(group, start);
    const loBytes = loopbackBytes() - bytesBefore;
    const tcp = tcpCounters();
    const idleFrom = group.cpuMs();
    await sleep(idleSec * 1000);
    const idlePercent = (group.cpuMs() - idleFrom) / idleSec / 10;
    const memory = group.memory();
    const views = await this.#views();
    const ends = views.reduce((sum, { established }) => sum + established, 0);
    const routesMs = Math.max(...views.map(({ lastRouteAt }) => lastRouteAt)) - start;
    return {
      version: this.#daemon.version,
      sessions: ends / 2,
      complete: ends === nodes * (nodes - 1),
      establishedMs: Math.max(...views.map(({ lastEstablishedAt }) => lastEstablishedAt)) - start,
      routesMs,
      burstMs: burstAt - start,
      cpuMs,
      idlePercent,
      ...memory,
      loBytes,
      listenOverflows: tcp.listenOverflows - tcpBefore.listenOverflows,
      retransmits: tcp.retransmits - tcpBefore.retransmits,
      ...(await this.#announcements()),
      otherPercent: ((busyMs - busyBefore - cpuMs) / (burstAt + PAUSE_MS - start)) * 100,
    };
  }

  /** Waits until every node has every route, and the interface has been silent. CPU as it was soon after the last octet. */
  async #silence(
    group: ProcessGroup,
    start: number,
  ): Promise<{ readonly burstAt: number; readonly cpuMs: number; readonly busyMs: number }> {
    let bytes = loopbackBytes();
    const before = bytes;
    let burstAt = wallMs();
    let askAt = burstAt + SILENCE_MS;
    let after: { readonly cpuMs: number; readonly busyMs: number } | undefined;
    for (;;) {
      await sleep(SAMPLE_MS);
      const now = wallMs();
      const current = loopbackBytes();
      if (current !== bytes) {
        bytes = current;
        burstAt = now;
        askAt = now + SILENCE_MS;
        after = undefined;
      }
      if (now - start > TIMEOUT_MS) throw new Error("the mesh is not complete after three minutes");
      if (bytes === before) {
        group.check();
        continue;
      }
      if (after === undefined && now - burstAt >= PAUSE_MS) {
        after = { cpuMs: group.cpuMs(), busyMs: machineBusyMs() };
      }
      if (after === undefined || now < askAt) continue;
      group.check();
      if (await this.#allKnown()) return { burstAt, ...after };
      askAt = wallMs() + SILENCE_MS;
    }
  }

  async #allKnown(): Promise<boolean> {
    for (let i = 1; i <= this.#order.nodes; i++) {
      if ((await this.#daemon.prefixCount(i)) < this.#order.nodes) return false;
    }
    return true;
  }

  async #views(): Promise<NodeView[]> {
    const views: NodeView[] = [];
    for (let i = 1; i <= this.#order.nodes; i++) views.push(await this.#daemon.view(i));
    return views;
  }

  /** One more prefix at node 1 of the idle mesh, again and again: when did the others hear of it? */
  async #announcements(): Promise<Pick<MeshResult, "lastHeardMs" | "medianHeardMs">> {
    const lastHeardMs: number[] = [];
    const medianHeardMs: number[] = [];
    for (let round = 0; round < this.#order.announcements; round++) {
      const start = wallMs();
      await this.#daemon.announce(1);
      await sleep(ANNOUNCED_MS);
      const heard: number[] = [];
      for (const i of othersOf(1, this.#order.nodes)) {
        const at = await this.#daemon.heardAt(i);
        if (at === undefined) throw new Error(`node ${i} has not heard of a prefix after a second`);
        heard.push(at - start);
      }
      lastHeardMs.push(Math.max(...heard));
      medianHeardMs.push(median(heard));
      await this.#daemon.withdraw(1);
      await sleep(ANNOUNCED_MS);
    }
    return { lastHeardMs, medianHeardMs };
  }
}

const order = JSON.parse(process.argv[2] ?? "") as MeshOrder;
execFileSync("ip", ["link", "set", "lo", "up"]);
const folder = mkdtempSync(join(tmpdir(), "podloom-mesh-"));
// Being the first process of its namespace, it takes all others with it, however it ends.
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    rmSync(folder, { recursive: true, force: true });
    process.exit(1);
  });
}
try {
  process.stdout.write(`${JSON.stringify(await new MeshRun(order, folder).run())}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
