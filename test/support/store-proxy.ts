// A proxy before a store that can cut single processes off. Whose connection it is, Linux tells by the socket's inode: both ends
// are processes of this machine.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** `refuse`: connections are cut, new ones at once. `hole`: nothing is said any more, neither on old connections nor on new ones. */
export type Cut = "refuse" | "hole";

interface Passage {
  readonly near: Socket;
  /** Undefined: it was taken while its caller was in a hole. */
  far: Socket | undefined;
  joined: boolean;
}

export class StoreProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #target: number;
  readonly #passages = new Set<Passage>();
  readonly #cuts = new Map<number, Cut>();
  readonly #attempts = new Map<number, number>();

  /** @param target the store's port on 127.0.0.1 */
  static async listen(target: number): Promise<StoreProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
    return new StoreProxy(server, target);
  }

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (near) => this.#accept(near));
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** How often this process has called since it was cut off last. */
  attempts(pid: number): number {
    return this.#attempts.get(pid) ?? 0;
  }

  /** From now on the store is out of this process's reach. */
  cut(pid: number, how: Cut): void {
    this.#cuts.set(pid, how);
    this.#attempts.set(pid, 0);
    for (const passage of this.#passages) {
      if (callerOf(passage.near, [pid]) === undefined) continue;
      if (how === "refuse") this.#end(passage);
      else silence(passage);
    }
  }

  /** Everything passes again; what was held back, too. */
  heal(): void {
    this.#cuts.clear();
    for (const passage of this.#passages) this.#join(passage);
  }

  async close(): Promise<void> {
    for (const passage of this.#passages) this.#end(passage);
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near: Socket): void {
    const passage: Passage = { near, far: undefined, joined: false };
    this.#passages.add(passage);
    near.setNoDelay(true);
    near.on("error", () => this.#end(passage));
    near.on("close", () => this.#end(passage));
    const pid = callerOf(near, [...this.#cuts.keys()]);
    if (pid === undefined) {
      this.#join(passage);
      return;
    }
    this.#attempts.set(pid, this.attempts(pid) + 1);
    if (this.#cuts.get(pid) === "refuse") this.#end(passage);
  }

  #join(passage: Passage): void {
    const { near } = passage;
    if (passage.joined) return;
    passage.joined = true;
    if (passage.far === undefined) {
      const far = connect(this.#target, "127.0.0.1");
      far.setNoDelay(true);
      far.on("error", () => this.#end(passage));
      far.on("close", () => this.#end(passage));
      passage.far = far;
    }
    near.pipe(passage.far);
    passage.far.pipe(near);
  }

  #end(passage: Passage): void {
    this.#passages.delete(passage);
    passage.near.destroy();
    passage.far?.destroy();
  }
}

/** What either end says stays where it is. */
function silence(passage: Passage): void {
  const { near, far } = passage;
  if (far === undefined) return;
  passage.joined = false;
  near.unpipe(far);
  far.unpipe(near);
  near.pause();
  far.pause();
}

/** Which of these processes holds the other end of a connection to us. */
function callerOf(near: Socket, pids: readonly number[]): number | undefined {
  if (pids.length === 0 || near.remotePort === undefined || near.localPort === undefined) return undefined;
  const inode = inodeOf(near.remotePort, near.localPort);
  return inode === undefined ? undefined : pids.find((pid) => holds(pid, inode));
}

/** Of the socket that is connected from one port of 127.0.0.1 to the other. Neither alone names it: others may use the same. */
function inodeOf(from: number, to: number): string | undefined {
  const hex = (port: number): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "latin1").split("\n");
  const fields = rows.map((row) => row.trim().split(/\s+/));
  return fields.find(([, local, remote]) => local === hex(from) && remote === hex(to))?.[9];
}

function holds(pid: number, inode: string): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((fd) => linkOf(`${folder}/${fd}`) === `socket:[${inode}]`);
  } catch {
    return false;
  }
}

/** Undefined: closed meanwhile. */
function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
