import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { StandaloneNode } from "../test/support/standalone-node.ts";

export const PODLOOM = resolve(import.meta.dirname, "../../bin/podloom.js");

/** Two node processes on loopback addresses, one pod each, and an embedded store: what the packet benchmarks run on. */
export class Pair {
  readonly a: StandaloneNode;
  readonly b: StandaloneNode;
  /** Address of b's pod. */
  readonly target: string;
  readonly #folder: string;

  private constructor(a: StandaloneNode, b: StandaloneNode, target: string, folder: string) {
    this.a = a;
    this.b = b;
    this.target = target;
    this.#folder = folder;
  }

  static async start(): Promise<Pair> {
    const folder = mkdtempSync(join(tmpdir(), "podloom-bench-"));
    const folders = ["a", "b"].map((name) => join(folder, name));
    for (const each of folders) mkdirSync(each);
    const common = { podloom: PODLOOM, carrier: "loopback", segment: "192.168.250.0/24" } as const;
    const a = await StandaloneNode.start({
      ...common,
      folder: folders[0] as string,
      name: "bench-a",
      address: "192.168.250.2",
      pods: ["a"],
      network: { Network: "10.250.0.0/16", Backend: { Type: "vxlan" } },
      putConfig: (config, endpoint) => {
        execFileSync(process.execPath, [resolve(import.meta.dirname, "put-config.js"), endpoint, config]);
      },
    });
    const b = await StandaloneNode.start({
      ...common,
      folder: folders[1] as string,
      name: "bench-b",
      address: "192.168.250.3",
      pods: ["b"],
      etcd: a.etcd,
    });
    for (const node of [a, b]) await node.until((state) => state.leases.length === 2, 10_000);
    const pods = await b.request<{ ip: string }[]>("get", { noun: "pods" });
    return new Pair(a, b, pods[0]?.ip ?? "", folder);
  }

  async stop(): Promise<void> {
    await this.b.stop();
    await this.a.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
