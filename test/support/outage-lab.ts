// A lab whose store goes away and comes back: what is looked at at each step, over one connection that stays open.
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import type { LeaseRow, NodeRow, PodRow, RouteRow } from "../../src/control/inspect.ts";
import { findLab, LabClient } from "../../src/lab/lab-client.ts";
import type { LabStatus } from "../../src/lab/lab-protocol.ts";
import { eventually, type Sandbox } from "./e2e-lab.ts";

/** Longest wait for anything: a machine with other work takes longer. */
const PATIENCE_MS = 60_000;
/** Pods that ping, each the next of them. */
const PINGERS = 4;

/** What must be the same after an outage. */
interface Picture {
  readonly subnets: Readonly<Record<string, string | undefined>>;
  /** `SUBNET PUBLIC-IP` */
  readonly leases: readonly string[];
  readonly routes: readonly RouteRow[];
}

export class OutageLab {
  readonly #client: LabClient;
  #pods: readonly PodRow[] = [];

  private constructor(client: LabClient) {
    this.#client = client;
  }

  /** To the only lab of the sandbox, which is up. */
  static async connect(box: Sandbox): Promise<OutageLab> {
    const lab = new OutageLab(await LabClient.connect(findLab(box.env, undefined)));
    const { rows } = await lab.#client.ask("get", { noun: "pods" });
    lab.#pods = rows as PodRow[];
    return lab;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  status(): Promise<LabStatus> {
    return this.#client.ask("status", { withStore: true });
  }

  async nodes(): Promise<readonly NodeRow[]> {
    return (await this.#client.ask("get", { noun: "nodes" })).rows as NodeRow[];
  }

  /** Waits until every row of `get nodes`, or of these nodes, is as said. */
  async all(what: string, holds: (row: NodeRow) => boolean, names?: readonly string[]): Promise<void> {
    let rows: readonly NodeRow[] = [];
    await eventually(
      async () => {
        rows = (await this.nodes()).filter(({ name }) => names?.includes(name) ?? true);
        return rows.every(holds);
      },
      PATIENCE_MS,
      () => `${what}: ${rows.map((row) => `${row.name} ${row.status} ${row.store}`).join(", ")}`,
    );
  }

  /** Waits until the store runs as another process. */
  async storeRestarted(pid: number | undefined): Promise<void> {
    const isNew = async (): Promise<boolean> => {
      const { store } = await this.status();
      return store.pid !== undefined && store.pid !== pid;
    };
    await eventually(isNew, PATIENCE_MS, () => "the store's return");
  }

  /** Waits until every node is ready and lists exactly the store's leases. */
  async agreed(): Promise<void> {
    let last: LabStatus | undefined;
    const agree = async (): Promise<boolean> => {
      last = await this.status();
      const want = JSON.stringify(last.storeLeases);
      return (
        last.storeLeases !== undefined &&
        last.nodes.every(
          ({ state }) =>
            state?.phase === "ready" && state.store === "Synced" && JSON.stringify(state.leases) === want,
        )
      );
    };
    await eventually(agree, PATIENCE_MS, () => {
      const nodes = last?.nodes.map(({ name, state }) => `${name} ${state?.phase} ${state?.leases.length}`);
      return `agreement on ${last?.storeLeases?.length} leases: ${nodes?.join(", ")}`;
    });
  }

  async picture(): Promise<Picture> {
    const subnets = Object.fromEntries((await this.nodes()).map(({ name, subnet }) => [name, subnet]));
    const leases = (await this.#client.ask("get", { noun: "leases" })).rows as LeaseRow[];
    const routes = (await this.#client.ask("get", { noun: "routes" })).rows as RouteRow[];
    const order = (route: RouteRow): string => `${route.node} ${route.netns} ${route.dst} ${route.dev}`;
    return {
      subnets,
      leases: leases.map((lease) => `${lease.subnet} ${lease.publicIp}`).sort(),
      routes: [...routes].sort((a, b) => (order(a) < order(b) ? -1 : 1)),
    };
  }

  /** Waits until the log of every node, or of these, says so. */
  async logged(pattern: RegExp, names?: readonly string[]): Promise<void> {
    const { nodes } = await this.status();
    const silent = (): string[] =>
      nodes
        .filter(
          ({ name, log }) => (names?.includes(name) ?? true) && !pattern.test(readFileSync(log, "utf8")),
        )
        .map(({ name }) => name);
    await eventually(
      () => silent().length === 0,
      PATIENCE_MS,
      () => `${pattern} in the log of ${silent().join(", ")}`,
    );
  }

  /** Begins to ping, and goes on until {@link Pings.stop}. */
  ping(): Pings {
    return new Pings(this, this.#client, this.#pods);
  }
}

/** Pings in rounds. A round in which something is lost is fine only when one of the two nodes has fenced itself. */
export class Pings {
  readonly #lab: OutageLab;
  readonly #client: LabClient;
  readonly #pods: readonly PodRow[];
  readonly #running: Promise<void>;
  #stopped = false;
  #whole = 0;

  constructor(lab: OutageLab, client: LabClient, pods: readonly PodRow[]) {
    this.#lab = lab;
    this.#client = client;
    this.#pods = pods;
    this.#running = this.#run();
    // Told by `stop`.
    this.#running.catch(() => undefined);
  }

  /** Ends it. Answers in how many rounds nothing was lost. */
  async stop(): Promise<number> {
    this.#stopped = true;
    await this.#running;
    return this.#whole;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const step = Math.max(1, Math.floor(this.#pods.length / PINGERS));
      const pairs = Array.from({ length: PINGERS }, (_, i): readonly [PodRow, PodRow] => {
        const at = (n: number): PodRow => this.#pods[(n * step) % this.#pods.length] as PodRow;
        return [at(i), at(i + 1)];
      });
      const lost = await Promise.all(pairs.map((pair) => this.#losses(...pair)));
      const lossy = pairs.filter((_, i) => (lost[i] as number) > 0);
      if (lossy.length === 0) this.#whole++;
      else await this.#excuse(lossy);
    }
  }

  async #losses(from: PodRow, to: PodRow): Promise<number> {
    const args = { pod: from.name, targets: [to.ip], count: 5, intervalMs: 100, timeoutMs: 5000 };
    const [result] = await this.#client.probe(args);
    return result === undefined ? 5 : result.sent - result.received;
  }

  async #excuse(lossy: readonly (readonly [PodRow, PodRow])[]): Promise<void> {
    const fenced = new Set(
      (await this.#lab.nodes()).flatMap(({ name, status }) => (status === "Fenced" ? [name] : [])),
    );
    for (const [from, to] of lossy) {
      const excused = fenced.has(from.node) || fenced.has(to.node);
      expect(excused, `pings from ${from.name} to ${to.name} were lost, and neither node is fenced`).toBe(
        true,
      );
    }
  }
}
