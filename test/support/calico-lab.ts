// What the end-to-end tests of Calico ask of a lab: routes as `ip route` prints them, changes by `podloom apply` and `etcdctl`, and
// what pods lose of each other meanwhile.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NodeRow, PodRow } from "../../src/control/inspect.ts";
import type { ProbeResult } from "../../src/io/ipc/protocol.ts";
import { findLab, LabClient } from "../../src/lab/lab-client.ts";
import { eventually, type Sandbox } from "./e2e-lab.ts";

export const HAS_ETCDCTL =
  spawnSync("etcdctl", ["version"], { env: { ...process.env, ETCDCTL_API: "3" } }).error === undefined;
export const HAS_ETCD = spawnSync("etcd", ["--version"]).error === undefined;

/** May a process open a raw socket here? */
export const MAY_RAW =
  process.getuid?.() === 0 && spawnSync(process.execPath, ["-e", "require('koffi')"]).status === 0;

export function example(name: string): string {
  return fileURLToPath(new URL(`../../examples/${name}.yaml`, import.meta.url));
}

/** An example with something else in it. */
export function changedExample(box: Sandbox, name: string, change: (text: string) => string): string {
  const path = join(box.root, `${name}.yaml`);
  const text = readFileSync(example(name), "utf8");
  const changed = change(text);
  if (changed === text) throw new Error(`nothing of ${name} was changed`);
  writeFileSync(path, changed);
  return path;
}

/** `ip route` of a node, its lines without the space at their ends. */
export async function routesOf(box: Sandbox, node: string): Promise<string[]> {
  const text = await box.ok("exec", node.includes("/") ? node : `node/${node}`, "--", "ip", "route");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd());
}

/** Waits until the routes of a node hold. */
export async function routesBecome(
  box: Sandbox,
  node: string,
  holds: (routes: readonly string[]) => boolean,
  timeoutMs = 15_000,
): Promise<string[]> {
  let routes: string[] = [];
  await eventually(
    async () => {
      routes = await routesOf(box, node);
      return holds(routes);
    },
    timeoutMs,
    () => `routes of ${node}:\n${routes.join("\n")}`,
  );
  return routes;
}

/** `podloom apply` of these documents. */
export async function apply(box: Sandbox, ...documents: readonly object[]): Promise<string> {
  const path = join(box.root, "apply.yaml");
  const texts = documents.map((one) => JSON.stringify({ apiVersion: "projectcalico.org/v3", ...one }));
  writeFileSync(path, texts.join("\n---\n"));
  return box.ok("apply", "-f", path);
}

export const poolOf = (spec: object): object => ({
  kind: "IPPool",
  metadata: { name: "default-ipv4-ippool" },
  spec: { cidr: "192.168.0.0/16", blockSize: 26, ...spec },
});

export function etcdctl(endpoint: string, argv: readonly string[], input?: string): string {
  const { stdout, stderr, status } = spawnSync("etcdctl", [`--endpoints=${endpoint}`, ...argv], {
    env: { ...process.env, ETCDCTL_API: "3" },
    encoding: "utf8",
    ...(input === undefined ? {} : { input }),
  });
  if (status !== 0) throw new Error(`etcdctl ${argv.join(" ")}: ${stderr}`);
  return stdout;
}

/** The store's endpoint, from what `up` prints. */
export function endpointOf(stdout: string): string {
  return /at http:\/\/(127\.0\.0\.1:\d+)/.exec(stdout)?.[1] as string;
}

/** The rows of `get NOUN`, also when some nodes are dead and cannot be asked. */
async function livingRows<T>(box: Sandbox, noun: string): Promise<T[]> {
  const { stdout } = await box.run("get", noun, "-o", "json");
  return (JSON.parse(stdout) as { items: T[] }).items;
}

export async function nodeNamed(box: Sandbox, name: string): Promise<NodeRow> {
  const rows = await livingRows<NodeRow>(box, "nodes");
  return rows.find((row) => row.name === name) as NodeRow;
}

export async function nodeBecomes(
  box: Sandbox,
  name: string,
  holds: (row: NodeRow) => boolean,
  timeoutMs = 30_000,
): Promise<NodeRow> {
  let row: NodeRow | undefined;
  await eventually(
    async () => {
      row = await nodeNamed(box, name);
      return row !== undefined && holds(row);
    },
    timeoutMs,
    () => JSON.stringify(row),
  );
  return row as NodeRow;
}

/** Waits until a node has heard of another one's block in each of these sessions, named as BIRD's protocols are. */
export async function heardFrom(
  box: Sandbox,
  node: string,
  other: string,
  sessions: readonly string[],
): Promise<void> {
  const { subnet } = await nodeNamed(box, other);
  let heard: string[] = [];
  await eventually(
    async () => {
      const table = await box.ok("exec", `node/${node}`, "--", "birdc", "show", "route");
      // A prefix stands at the head of the first of its paths alone.
      const [, paths = ""] = table.split(new RegExp(`^${subnet as string} `, "m"));
      heard = [...(paths.split(/^\d/m)[0] as string).matchAll(/\[(\w+) /g)].map(([, name]) => name as string);
      return sessions.every((name) => heard.includes(name));
    },
    30_000,
    () => `${node} has heard of ${other} from: ${heard.join(", ")}`,
  );
}

/** What was lost between two pods. */
export interface PairLoss {
  readonly from: string;
  readonly to: string;
  readonly sent: number;
  readonly lost: number;
}

/** Pings between all pairs of pods, in the background. Each ping that was not answered within a second is lost. */
export class PairProbes {
  readonly #client: LabClient;
  readonly #running: Promise<readonly PairLoss[]>;

  private constructor(client: LabClient, running: Promise<readonly PairLoss[]>) {
    this.#client = client;
    this.#running = running;
  }

  static async start(box: Sandbox, durationSec: number, intervalMs = 50): Promise<PairProbes> {
    const pods = await livingRows<PodRow>(box, "pods");
    const names = new Map(pods.map(({ ip, name }) => [ip, name]));
    const client = await LabClient.connect(findLab(box.env, undefined));
    const count = Math.round((durationSec * 1000) / intervalMs);
    const asked = pods.map(async ({ name: from }): Promise<readonly PairLoss[]> => {
      const targets = pods.filter(({ name }) => name !== from).map(({ ip }) => ip);
      const args = { pod: from, targets, count, intervalMs, timeoutMs: 1000 };
      const results: readonly ProbeResult[] = await client.ask("probe", args, {
        timeoutMs: durationSec * 1000 + 30_000,
      });
      return results.map(({ target, sent, received }) => ({
        from,
        to: names.get(target) ?? target,
        sent,
        lost: sent - received,
      }));
    });
    return new PairProbes(
      client,
      Promise.all(asked).then((all) => all.flat()),
    );
  }

  async end(): Promise<readonly PairLoss[]> {
    try {
      return await this.#running;
    } finally {
      await this.#client.close();
    }
  }
}

/** The worst pair, and all of them together; printed, for it is a measurement. */
export function summarize(what: string, losses: readonly PairLoss[], intervalMs = 50): string {
  const sent = losses.reduce((sum, one) => sum + one.sent, 0);
  const lost = losses.reduce((sum, one) => sum + one.lost, 0);
  const worst = Math.max(...losses.map((one) => one.lost));
  const line = `${what}: ${lost} of ${sent} pings lost, ${losses.length} pairs, worst pair ${worst * intervalMs} ms`;
  process.stderr.write(`${line}\n`);
  return line;
}
