// A TCP relay that can be cut (connections reset) or made a black hole (nothing passes, nothing ends).
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { HoleWay } from "./torture-plan.ts";

export class TortureLink {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [client: Socket, server: Socket]>();
  /** How many holes there are now in what clients ask, and in what they are answered. */
  readonly #holes = { asked: 0, answered: 0 };

  private constructor(server: Server) {
    this.#server = server;
  }

  /** A relay to a port of this machine. */
  static async to(port: number): Promise<TortureLink> {
    const server = createServer();
    const link = new TortureLink(server);
    server.on("connection", (client) => link.#join(client, connect(port, "127.0.0.1")));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return link;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on nothing passes that way; what is said waits. Ends with as many calls of {@link mend}. */
  breach(way: HoleWay): void {
    this.#dig(way, 1);
  }

  mend(way: HoleWay): void {
    this.#dig(way, -1);
  }

  /** Resets all connections. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  close(): void {
    this.#server.close();
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  #dig(way: HoleWay, by: number): void {
    if (way !== "answered") this.#holes.asked += by;
    if (way !== "asked") this.#holes.answered += by;
    for (const pair of this.#pairs) this.#flow(pair);
  }

  #flow([client, server]: readonly [Socket, Socket]): void {
    if (this.#holes.asked > 0) client.pause();
    else client.resume();
    if (this.#holes.answered > 0) server.pause();
    else server.resume();
  }

  #join(client: Socket, server: Socket): void {
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    this.#pass(pair, client, server);
    this.#pass(pair, server, client);
    this.#flow(pair);
  }

  #pass(pair: readonly [Socket, Socket], from: Socket, to: Socket): void {
    from.setNoDelay(true);
    from.on("data", (bytes: Buffer) => to.write(bytes));
    from.on("error", () => {});
    from.on("close", () => {
      // What was said before the end is still worth hearing.
      to.destroySoon();
      this.#pairs.delete(pair);
    });
  }
}
