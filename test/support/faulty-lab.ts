// A supervisor with nodes that misbehave on purpose (fake-podloom.mjs) and the real embedded store, in folders of its own.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { logPath } from "../../src/lab/lab-dirs.ts";
import type { SupervisorEvent } from "../../src/lab/lab-protocol.ts";
import { labFileSchema } from "../../src/lab/lab-schema.ts";
import type { ProcessIdentity } from "../../src/lab/process-identity.ts";
import { type Lab, resolveLab } from "../../src/lab/resolve-lab.ts";
import { Supervisor, type SupervisorOptions } from "../../src/lab/supervisor.ts";

const FAKE_PODLOOM = fileURLToPath(new URL("fake-podloom.mjs", import.meta.url));

/** One lab, "fake" unless it is named otherwise. */
export class FaultyLab {
  readonly root = mkdtempSync(join(tmpdir(), "pl-"));
  readonly env: Record<string, string | undefined> = {
    ...process.env,
    XDG_RUNTIME_DIR: this.root,
    XDG_STATE_HOME: join(this.root, "state"),
  };
  readonly events: SupervisorEvent[] = [];
  #running: Supervisor | undefined;

  /** A lab file with these keys, resolved. */
  lab(change: Record<string, unknown> = {}): Lab {
    const file = labFileSchema.parse({
      apiVersion: "podloom/v1",
      name: "fake",
      underlay: { subnet: "192.168.240.0/24" },
      restart: { backoffMs: 20, maxRetries: 3 },
      ...change,
    });
    const resolved = resolveLab(file, "fake");
    if (!resolved.ok) throw new Error(JSON.stringify(resolved.error));
    return resolved.value;
  }

  options(change: Partial<SupervisorOptions> = {}): SupervisorOptions {
    return {
      env: this.env,
      forceConfig: false,
      onEvent: (event) => this.events.push(event),
      program: [process.execPath, FAKE_PODLOOM],
      stopTimeoutMs: 1500,
      ...change,
    };
  }

  /** @param fakes what each node does, as fake-podloom.mjs reads it */
  async start(
    fakes: Record<string, unknown>,
    change?: Record<string, unknown>,
    options?: Partial<SupervisorOptions>,
  ): Promise<Supervisor> {
    this.env.FAKE_NODES = JSON.stringify(fakes);
    this.#running = await Supervisor.start(this.lab(change), this.options(options));
    return this.#running;
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const deadline = performance.now() + 10_000;
    while (!holds()) {
      if (performance.now() > deadline)
        throw new Error(`${what} did not happen; events: ${JSON.stringify(this.events)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async dispose(): Promise<void> {
    await this.#running?.stop();
    rmSync(this.root, { recursive: true, force: true });
  }
}

export const allReady = (supervisor: Supervisor) => (): boolean =>
  supervisor.nodes.every((node) => node.state?.phase === "ready");

/** The nodes' processes. */
export function children(supervisor: Supervisor): ProcessIdentity[] {
  return supervisor.nodes.flatMap((node) =>
    node.child?.identity === undefined ? [] : [node.child.identity],
  );
}

/** The lines of its log. */
export function logOf({ dirs }: Supervisor): Record<string, unknown>[] {
  const lines = readFileSync(logPath(dirs, "supervisor"), "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}
