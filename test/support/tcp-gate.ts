import { connect, createServer, type Server, type Socket } from "node:net";

/** Where a gate leads: calls arrive there as if their callers had called themselves. */
export interface GateTarget {
  readonly host: string;
  readonly port: number;
  /** The address that calls seem to come from. */
  readonly from: string;
}

/** One call through a gate. */
interface Passage {
  frozen: boolean;
  readonly ends: readonly [Socket, Socket];
  /** What each end has said and the other has not heard; null: that it has said all. */
  readonly held: readonly [(Buffer | null)[], (Buffer | null)[]];
}

/** A door in the way of TCP connections: both ends are connected, and what they say waits until it is opened. */
export class TcpGate {
  readonly port: number;
  readonly #server: Server;
  readonly #passages: Passage[] = [];
  /** Does what the caller says pass, and what the called one says? */
  readonly #opened = [false, false];

  /** @param host where callers call */
  static async listen(host: string, target: GateTarget): Promise<TcpGate> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port: 0 }, resolve);
    });
    return new TcpGate(server, target);
  }

  private constructor(server: Server, { host, port, from }: GateTarget) {
    this.#server = server;
    this.port = (server.address() as { port: number }).port;
    server.on("connection", (caller) => {
      const called = connect({ host, port, localAddress: from, allowHalfOpen: true });
      this.#pass({ frozen: false, ends: [caller, called], held: [[], []] });
    });
  }

  /** Has each end of a call said something that the other has not heard? */
  get bothWait(): boolean {
    return this.#passages.some(({ held }) => held[0].length > 0 && held[1].length > 0);
  }

  /** From now on everything passes, or what is for one of the two ends alone. */
  open(to?: "caller" | "called"): void {
    for (const side of [0, 1] as const) {
      if (to === (side === 0 ? "caller" : "called")) continue;
      this.#opened[side] = true;
      for (const { ends, held } of this.#passages) {
        for (const bytes of held[side].splice(0)) say(ends[1 - side] as Socket, bytes);
      }
    }
  }

  /** What passes now says nothing more to anybody, not even its end: a host has crashed. Later calls pass as before. */
  freeze(): void {
    for (const passage of this.#passages) passage.frozen = true;
  }

  /** Cuts all that passes, and takes no more calls. */
  async close(): Promise<void> {
    for (const { ends } of this.#passages) for (const end of ends) end.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(passage: Passage): void {
    this.#passages.push(passage);
    const { ends, held } = passage;
    for (const side of [0, 1] as const) {
      const [from, to] = [ends[side], ends[1 - side] as Socket];
      from.setNoDelay(true);
      const hear = (bytes: Buffer | null): void => {
        if (passage.frozen) return;
        if (this.#opened[side]) say(to, bytes);
        else held[side].push(bytes);
      };
      from.on("data", hear);
      from.on("end", () => hear(null));
      from.on("close", () => hear(null));
      // Whoever is gone hears no more, but what it has said is still worth hearing.
      from.on("error", () => {});
    }
  }
}

function say(to: Socket, bytes: Buffer | null): void {
  if (to.destroyed) return;
  if (bytes === null) to.end();
  else to.write(bytes);
}
