// `podloom bgp` as a node of a mesh. Node addresses are 10.0.x.y, carried on 127.0.x.y: the socket addresses of every daemon here.
import { join } from "node:path";
import { SpeakerClient } from "../../src/io/ipc/speaker-client.ts";
import type { BgpPeerRow, BgpRouteRow } from "../../src/io/ipc/speaker-protocol.ts";
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
  waitsFor,
} from "./mesh-plan.ts";

const TIMERS: Readonly<Record<Profile, object>> = {
  calico: { connectDelaySec: 2, connectRetrySec: 5, errorWaitSec: [5, 30] },
  own: {},
};

export class PodloomDaemon implements MeshDaemon {
  readonly version = "podloom bgp";
  readonly fileSuffix = ".json";
  readonly #order: MeshOrder;
  readonly #folder: string;
  readonly #clients = new Map<number, SpeakerClient>();

  constructor(order: MeshOrder, folder: string) {
    this.#order = order;
    this.#folder = folder;
  }

  configuration(i: number, dials: boolean): string {
    const { nodes, profile } = this.#order;
    return JSON.stringify({
      apiVersion: "podloom/v1",
      kind: "BGPSpeaker",
      name: `n${i}`,
      as: MESH_AS,
      routerId: routerId(i),
      carrier: "loopback",
      listen: { port: MESH_PORT },
      networks: [ownPrefix(i)],
      templates: {
        mesh: {
          as: "internal",
          holdTimeSec: HOLD_SEC,
          gracefulRestart: true,
          addPath: "both",
          ...TIMERS[profile],
        },
      },
      neighbors: othersOf(i, nodes).map((other) => ({
        name: `p${other}`,
        address: routerId(other),
        template: "mesh",
        passive: waitsFor(i, other) || !dials,
      })),
    });
  }

  command(i: number): readonly [string, ...string[]] {
    const where = ["--socket", this.#socket(i), "--log-file", join(this.#folder, `n${i}.log`)];
    return [
      process.execPath,
      this.#order.program,
      "bgp",
      "-f",
      join(this.#folder, `n${i}.json`),
      "--log-level",
      "warn",
      ...where,
    ];
  }

  async prefixCount(i: number): Promise<number> {
    return (await (await this.#client(i)).ask("bgp-status", {})).destinations;
  }

  async view(i: number): Promise<NodeView> {
    const client = await this.#client(i);
    const peers: BgpPeerRow[] = [];
    await client.rows("bgp-peers", {}, (rows) => peers.push(...rows));
    const peersAt = Date.now();
    const routes: BgpRouteRow[] = [];
    await client.rows("bgp-routes", {}, (rows) => routes.push(...rows));
    const routesAt = Date.now();
    const up = peers.filter((peer) => peer.state === "Established");
    const learnt = routes.filter((route) => route.chosen === "best" && route.source !== "local");
    return {
      established: up.length,
      lastEstablishedAt: peersAt - youngest(up.map(({ sinceSec }) => sinceSec)),
      lastRouteAt: routesAt - youngest(learnt.map(({ ageSec }) => ageSec)),
    };
  }

  async announce(i: number): Promise<void> {
    await (await this.#client(i)).ask("bgp-announce", { network: EXTRA_PREFIX });
  }

  async withdraw(i: number): Promise<void> {
    await (await this.#client(i)).ask("bgp-withdraw", { prefix: EXTRA_PREFIX });
  }

  async heardAt(i: number): Promise<number | undefined> {
    const client = await this.#client(i);
    const routes: BgpRouteRow[] = [];
    await client.rows("bgp-routes", { prefix: EXTRA_PREFIX }, (rows) => routes.push(...rows));
    const now = Date.now();
    const best = routes.find((route) => route.chosen === "best");
    return best === undefined ? undefined : now - best.ageSec * 1000;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()));
    this.#clients.clear();
  }

  async #client(i: number): Promise<SpeakerClient> {
    let client = this.#clients.get(i);
    if (client === undefined) {
      client = await SpeakerClient.connect(this.#socket(i));
      this.#clients.set(i, client);
    }
    return client;
  }

  #socket(i: number): string {
    return join(this.#folder, `n${i}.sock`);
  }
}

/** In milliseconds. */
function youngest(agesSec: readonly number[]): number {
  return Math.min(...agesSec) * 1000;
}
