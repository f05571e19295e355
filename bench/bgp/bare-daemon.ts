// A mesh without BGP: bench/baseline/tcp-mesh.cjs as a node of it, which says what Node's sockets alone cost.
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { MeshDaemon, NodeView } from "./mesh-daemon.ts";
import { MESH_PORT, type MeshOrder } from "./mesh-plan.ts";

/** Calico's connect delay; the program shortens it by up to a quarter, as BIRD does. */
const DIAL_MS = 2000;

interface Seen {
  readonly established: number;
  readonly updates: number;
  readonly establishedAt: number;
  readonly updateAt: number;
}

export class BareDaemon implements MeshDaemon {
  readonly version = "bare node:net";
  readonly fileSuffix = ".txt";
  readonly #order: MeshOrder;
  readonly #folder: string;
  /** Nodes that dial; the others only wait. */
  readonly #dialling = new Set<number>();

  constructor(order: MeshOrder, folder: string) {
    this.#order = order;
    this.#folder = folder;
  }

  /** It has no file: all is in its command. */
  configuration(i: number, dials: boolean): string {
    if (dials) this.#dialling.add(i);
    else this.#dialling.delete(i);
    return "";
  }

  command(i: number): readonly [string, ...string[]] {
    const { program, nodes } = this.#order;
    const dialMs = this.#dialling.has(i) ? DIAL_MS : 0;
    return [process.execPath, program, ...[i, nodes, MESH_PORT, dialMs].map(String), this.#socket(i)];
  }

  async prefixCount(i: number): Promise<number> {
    return (await this.#ask(i)).updates + 1;
  }

  async view(i: number): Promise<NodeView> {
    const { established, establishedAt, updateAt } = await this.#ask(i);
    return { established, lastEstablishedAt: establishedAt, lastRouteAt: updateAt };
  }

  announce(): Promise<void> {
    throw new Error("a mesh without BGP announces nothing");
  }

  withdraw(): Promise<void> {
    throw new Error("a mesh without BGP withdraws nothing");
  }

  heardAt(): Promise<number | undefined> {
    throw new Error("a mesh without BGP hears of nothing");
  }

  async close(): Promise<void> {}

  async #ask(i: number): Promise<Seen> {
    const socket = connect(this.#socket(i));
    await once(socket, "connect");
    return JSON.parse(await text(socket)) as Seen;
  }

  #socket(i: number): string {
    return join(this.#folder, `b${i}.sock`);
  }
}
