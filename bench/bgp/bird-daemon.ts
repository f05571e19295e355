// BIRD 2 as a node of a mesh.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { BirdControl, birdMoment } from "./bird-control.ts";
import type { MeshDaemon, NodeView } from "./mesh-daemon.ts";
import {
  EXTRA_PREFIX,
  HOLD_SEC,
  MESH_AS,
  MESH_PORT,
  type MeshOrder,
  othersOf,
  ownPrefix,
  type Profile,
  routerId,
  socketAddress,
  waitsFor,
} from "./mesh-plan.ts";

/** Options of every session. A delay of one second is the least that BIRD takes; it is shortened by up to a quarter. */
const TIMERS: Readonly<Record<Profile, string>> = {
  calico: "connect delay time 2; connect retry time 5; error wait time 5,30; graceful restart;",
  own: "connect delay time 1; connect retry time 1; error wait time 1,2; graceful restart;",
};

/** "2.17.5"; undefined when the program is not there or is no BIRD. */
export function birdVersion(program: string): string | undefined {
  const { stdout, stderr } = spawnSync(program, ["--version"], { encoding: "utf8" });
  return /BIRD version (\S+)/.exec(`${stderr ?? ""}${stdout ?? ""}`)?.[1];
}

export class BirdDaemon implements MeshDaemon {
  readonly version: string;
  readonly fileSuffix = ".conf";
  readonly #order: MeshOrder;
  readonly #folder: string;
  readonly #controls = new Map<number, BirdControl>();

  constructor(order: MeshOrder, folder: string) {
    this.#order = order;
    this.#folder = folder;
    this.version = `BIRD ${birdVersion(order.program) ?? "?"}`;
  }

  configuration(i: number, dials: boolean): string {
    const { nodes, profile } = this.#order;
    const extra =
      i === 1 ? `protocol static extra { disabled; ipv4; route ${EXTRA_PREFIX} blackhole; }\n` : "";
    const sessions = othersOf(i, nodes).map((other) => {
      const passive = waitsFor(i, other) || !dials ? " passive;" : "";
      return `protocol bgp p${other} from mesh { neighbor ${socketAddress(other)} port ${MESH_PORT} as ${MESH_AS};${passive} }`;
    });
    return `router id ${routerId(i)};
timeformat protocol iso long us;
timeformat route iso long us;
timeformat log iso long us;
log "n${i}.log" { warning, error, fatal, bug };
protocol device { scan time 2; }
protocol static { ipv4; route ${ownPrefix(i)} blackhole; }
${extra}template bgp mesh {
  local ${socketAddress(i)} port ${MESH_PORT} as ${MESH_AS};
  strict bind yes; multihop; hold time ${HOLD_SEC}; ${TIMERS[profile]}
  ipv4 { import all; export where source = RTS_STATIC; add paths on; };
}
${sessions.join("\n")}
`;
  }

  command(i: number): readonly [string, ...string[]] {
    return [this.#order.program, "-f", "-c", `n${i}.conf`, "-s", `n${i}.ctl`];
  }

  async prefixCount(i: number): Promise<number> {
    const lines = await this.#ask(i, "show route count");
    return Number(/routes for (\d+) networks/.exec(lines.join("\n"))?.[1] ?? 0);
  }

  async view(i: number): Promise<NodeView> {
    const sessions = (await this.#ask(i, "show protocols")).filter(
      (line) => line.includes(" BGP ") && line.includes("Established"),
    );
    const routes = (await this.#ask(i, "show route")).filter((line) => line.includes("[p"));
    return {
      established: sessions.length,
      lastEstablishedAt: latest(sessions),
      lastRouteAt: latest(routes),
    };
  }

  async announce(i: number): Promise<void> {
    await this.#ask(i, "enable extra");
  }

  async withdraw(i: number): Promise<void> {
    await this.#ask(i, "disable extra");
  }

  async heardAt(i: number): Promise<number | undefined> {
    const lines = await this.#ask(i, `show route for ${EXTRA_PREFIX}`);
    const line = lines.find((one) => one.includes("[p"));
    return line === undefined ? undefined : birdMoment(line);
  }

  async close(): Promise<void> {
    for (const control of this.#controls.values()) control.close();
    this.#controls.clear();
  }

  async #ask(i: number, command: string): Promise<readonly string[]> {
    let control = this.#controls.get(i);
    if (control === undefined) {
      control = await BirdControl.connect(join(this.#folder, `n${i}.ctl`));
      this.#controls.set(i, control);
    }
    return await control.ask(command);
  }
}

function latest(lines: readonly string[]): number {
  return lines.reduce((last, line) => Math.max(last, birdMoment(line) ?? Number.NaN), 0);
}
