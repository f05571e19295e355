// Where a BGP speaker meets its neighbours: listening sockets, TCP connections, and nothing that decides.
import type { Socket } from "node:net";
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { Instant } from "../../base/time.ts";
import type { ConnId, ConnIds } from "../../routing/bgp/session/peer-messages.ts";
import type { SpeakerInput, SpeakerOutput } from "../../routing/bgp/speaker/speaker-messages.ts";
import type { Clock } from "../clock.ts";
import { messageOf, PodloomError } from "../podloom-error.ts";
import { BgpListener, type ListenAddress, type ListenerEvents } from "./bgp-listener.ts";
import { openDialSocket } from "./dial-socket.ts";
import { PasswordTable } from "./password-table.ts";
import type { SessionCapture } from "./session-capture.ts";
import { type SpeakerEngine, SpeakerLoop } from "./speaker-loop.ts";
import { type ConnectionEvents, TcpConnection } from "./tcp-connection.ts";
import { TcpMd5 } from "./tcp-md5.ts";
import { TcpTtl } from "./tcp-ttl.ts";
import { TtlTable } from "./ttl-table.ts";

/** How often blocked connections are asked whether anything leaves them. */
const PROGRESS_MS = 1000;
/** How long the speaker may take to stop. */
const STOP_BOUND_MS = 2000;

/** An output that is not about TCP. */
export type OtherOutput = Exclude<
  SpeakerOutput,
  { readonly t: "dial" | "send" | "close" | "password" | "ttlSecurity" }
>;

export interface BgpDriverOptions {
  readonly speaker: SpeakerEngine;
  /** The speaker's own: calls and dials are numbered together. */
  readonly ids: ConnIds;
  readonly clock: Clock;
  /** Where neighbours may call; nowhere, if it is empty. */
  readonly listen: readonly ListenAddress[];
  /** The address on this machine that carries a node's. May throw a PodloomError: then the dial has failed. */
  readonly carry: (addr: Ipv4Addr) => string;
  /** The reverse. Undefined: no node has this address, and its call is closed unheard. */
  readonly uncarry: (host: string) => Ipv4Addr | undefined;
  /** What sets passwords on sockets, or throws PL_BGP_MD5; {@link TcpMd5.load} by default. */
  readonly md5?: () => TcpMd5;
  /** What sets TTLs on sockets, or throws PL_BGP_TTL; {@link TcpTtl.load} by default. */
  readonly ttl?: () => TcpTtl;
  /** Is closed with the driver. */
  readonly capture?: SessionCapture;
  /** Told what the speaker says otherwise, and what there is to say about sockets, as a `log`. May call {@link BgpDriver.handle}. */
  readonly onOutput: (output: OtherOutput) => void;
}

export interface BgpDriverStats {
  /** Calls that were handed to the speaker. */
  accepted: number;
  /** Calls that were closed unheard: from addresses of no node, or of one whose password or TTL cannot be checked. */
  refused: number;
  dialled: number;
  rxBytes: number;
  txBytes: number;
}

/** How to stop; see the speaker's `stop`. */
export interface StopOptions {
  readonly text?: string;
  readonly silent?: boolean;
}

/** Drives one speaker. */
export class BgpDriver implements ConnectionEvents, ListenerEvents {
  readonly stats: BgpDriverStats = { accepted: 0, refused: 0, dialled: 0, rxBytes: 0, txBytes: 0 };
  readonly #options: BgpDriverOptions;
  readonly #loop: SpeakerLoop;
  readonly #md5: () => TcpMd5;
  readonly #ttl: () => TcpTtl;
  readonly #passwords: PasswordTable;
  readonly #ttls: TtlTable;
  readonly #listeners: BgpListener[] = [];
  /** Those that the speaker knows. */
  readonly #connections = new Map<ConnId, TcpConnection>();
  /** All that have a socket, the ones that are being closed too. */
  readonly #open = new Set<TcpConnection>();
  #state: "new" | "starting" | "running" | "stopping" | "stopped" = "new";
  #progressTimer: NodeJS.Timeout | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #onStopped: () => void = () => {};
  #onAllEnded: () => void = () => {};

  constructor(options: BgpDriverOptions) {
    const { speaker, clock, capture } = options;
    this.#options = options;
    this.#md5 = options.md5 ?? TcpMd5.load;
    this.#ttl = options.ttl ?? TcpTtl.load;
    this.#passwords = new PasswordTable(this.#md5, options.carry);
    this.#ttls = new TtlTable(this.#ttl);
    this.#loop = new SpeakerLoop({
      speaker,
      clock,
      perform: (output) => this.#perform(output),
      turned: () => capture?.flush(),
    });
  }

  /** Where it listens, with the ports that the system chose. */
  get listening(): readonly ListenAddress[] {
    return this.#listeners.map(({ addr, port }) => ({ addr, port }));
  }

  /** Sockets of connections, the ones that are being closed too. */
  get socketCount(): number {
    return this.#open.size;
  }

  /**
   * Listens, then starts the speaker. What it has said before is heard first. When this fails, nothing is left open.
   *
   * @throws PodloomError PL_BGP_PORT; PL_BGP_MD5 or PL_BGP_TTL when a neighbour has a password or a bound on hops that cannot be used here
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Gives the speaker an input that is not about TCP: from BFD, from people. */
  handle(input: SpeakerInput): void {
    this.#loop.give(input);
  }

  /** Lets `act` change the speaker, then carries out what follows. Answers what `act` answers. */
  change<T>(act: (now: Instant) => T): T {
    const result = act(this.#options.clock.now());
    this.#loop.arm();
    return result;
  }

  /**
   * Stops the speaker, closes everything and resolves when no socket is left: after three seconds at the latest, and the sooner
   * the neighbours close their ends. Never rejects.
   */
  stop(how: StopOptions = {}): Promise<void> {
    this.#stopping ??= this.#stop(how);
    return this.#stopping;
  }

  async #start(): Promise<void> {
    if (this.#state !== "new") return;
    this.#state = "starting";
    const { listen, carry, capture } = this.#options;
    this.#loop.drainAll();
    try {
      this.#passwords.check();
      this.#ttls.check();
      for (const at of listen) {
        const listener = await BgpListener.open(at, carry(at.addr), this);
        this.#listeners.push(listener);
        this.#passwords.join(listener);
        this.#ttls.join(listener);
      }
    } catch (thrown) {
      this.#state = "stopped";
      await this.#closeListeners();
      capture?.close();
      throw thrown;
    }
    // It may have been told to stop meanwhile.
    if (this.#stopping !== undefined) return;
    this.#state = "running";
    this.#loop.run();
    this.#loop.give({ t: "start" });
  }

  async #stop(how: StopOptions): Promise<void> {
    await this.#starting?.catch(() => {});
    if (this.#state === "stopped") return;
    const closed = this.#closeListeners();
    if (this.#state === "running") {
      this.#state = "stopping";
      await this.#stopSpeaker(how);
    }
    this.#state = "stopped";
    this.#loop.halt();
    clearInterval(this.#progressTimer);
    for (const connection of this.#connections.values()) this.#abandon(connection);
    await this.#allEnded();
    await closed;
    this.#options.capture?.close();
  }

  /** In bounded time. */
  async #stopSpeaker(how: StopOptions): Promise<void> {
    await new Promise<void>((resolve) => {
      const bound = setTimeout(resolve, STOP_BOUND_MS);
      this.#onStopped = () => {
        clearTimeout(bound);
        resolve();
      };
      this.#loop.give({ t: "stop", ...how });
    });
  }

  async #closeListeners(): Promise<void> {
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }

  async #allEnded(): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onAllEnded = resolve;
    });
  }

  // What the speaker asks for.

  #perform(output: SpeakerOutput): void {
    switch (output.t) {
      case "dial":
        this.#dial(output);
        return;
      case "send":
        this.#send(output.conn, output.bytes);
        return;
      case "close":
        this.#close(output.conn, output.afterFlush);
        return;
      case "password":
        this.#change(output.t, () => this.#passwords.set(output.remote, output.password, this.#listeners));
        return;
      case "ttlSecurity":
        this.#change(output.t, () => this.#ttls.set(output.remote, output.hops, this.#listeners));
        return;
      default:
        if (output.t === "stopped") this.#onStopped();
        this.#options.onOutput(output);
    }
  }

  #dial(output: SpeakerOutput & { readonly t: "dial" }): void {
    const { conn, local, remote, port, password, ttlSecurityHops } = output;
    const { carry } = this.#options;
    this.stats.dialled++;
    try {
      const remoteHost = carry(remote);
      const localHost = carry(local);
      const fd = openDialSocket({ remoteHost, password, ttlSecurityHops, md5: this.#md5, ttl: this.#ttl });
      const signed = password !== undefined;
      const where = { local, remote, localHost, remoteHost, port, fd, signed };
      this.#add(TcpConnection.dial(conn, where, this));
    } catch (thrown) {
      if (!(thrown instanceof PodloomError)) throw thrown;
      this.#loop.tell({ t: "connectFailed", conn, message: thrown.message });
    }
  }

  #send(conn: ConnId, bytes: Uint8Array): void {
    const connection = this.#connections.get(conn);
    if (connection === undefined) return;
    this.stats.txBytes += bytes.length;
    this.#options.capture?.data(conn, "out", bytes);
    const wasBlocked = connection.blocked;
    if (connection.write(bytes) || wasBlocked) return;
    this.#loop.tell({ t: "blocked", conn });
    this.#progressTimer ??= setInterval(() => this.#askForProgress(), PROGRESS_MS);
  }

  #close(conn: ConnId, afterFlush: boolean): void {
    const connection = this.#connections.get(conn);
    if (connection === undefined) return;
    this.#connections.delete(conn);
    this.#options.capture?.finished(conn, "out");
    connection.close(afterFlush);
  }

  /** Changes what listening sockets know; a failure is logged, and calls that it concerns are not taken. */
  #change(what: string, change: () => void): void {
    try {
      change();
    } catch (thrown) {
      const remedy = thrown instanceof PodloomError ? thrown.remedy : undefined;
      this.#log(what, remedy === undefined ? messageOf(thrown) : `${messageOf(thrown)}. ${remedy}`);
    }
  }

  /** Closes one that the speaker did not close in time. */
  #abandon(connection: TcpConnection): void {
    this.#connections.delete(connection.conn);
    this.#options.capture?.gone(connection.conn, "out");
    connection.close(false);
  }

  #add(connection: TcpConnection): void {
    this.#connections.set(connection.conn, connection);
    this.#open.add(connection);
  }

  // What the sockets say.

  called(listener: BgpListener, socket: Socket): void {
    const { ids, uncarry } = this.#options;
    const { addr } = listener;
    const remote = uncarry(socket.remoteAddress ?? "");
    if (remote === undefined || this.#state !== "running" || !this.#admits(remote, socket)) {
      this.stats.refused++;
      socket.on("error", () => {});
      socket.destroy();
      return;
    }
    this.stats.accepted++;
    const connection = TcpConnection.accepted(ids.next(), { local: addr, remote }, socket, this);
    this.#add(connection);
    this.#captureOpened(connection, true);
    this.#loop.give({ t: "incoming", conn: connection.conn, remote });
  }

  #admits(remote: Ipv4Addr, socket: Socket): boolean {
    return this.#passwords.admits(remote, socket) && this.#ttls.admits(remote, socket);
  }

  listenerFailed({ host, port }: BgpListener, message: string): void {
    this.#log("accept", `a call to ${host}:${port} could not be taken: ${message}`);
  }

  connected(connection: TcpConnection): void {
    this.#captureOpened(connection, false);
    this.#loop.give({ t: "connected", conn: connection.conn });
  }

  received({ conn }: TcpConnection, bytes: Uint8Array): void {
    this.stats.rxBytes += bytes.length;
    this.#options.capture?.data(conn, "in", bytes);
    this.#loop.give({ t: "received", conn, bytes });
  }

  drained({ conn }: TcpConnection): void {
    this.#loop.give({ t: "drained", conn });
  }

  failed({ conn }: TcpConnection, message: string): void {
    this.#connections.delete(conn);
    this.#loop.give({ t: "connectFailed", conn, message });
  }

  lost({ conn, heardAll }: TcpConnection, message: string | undefined, reset: boolean): void {
    const { capture } = this.#options;
    this.#connections.delete(conn);
    if (heardAll) capture?.finished(conn, "in");
    if (reset) capture?.gone(conn, "in");
    else capture?.finished(conn, "out");
    this.#loop.give({ t: "closed", conn, ...(message === undefined ? {} : { message }) });
  }

  ended(connection: TcpConnection): void {
    const { capture } = this.#options;
    if (connection.heardAll) capture?.finished(connection.conn, "in");
    capture?.gone(connection.conn);
    this.#open.delete(connection);
    if (this.#open.size === 0) this.#onAllEnded();
  }

  #captureOpened(connection: TcpConnection, incoming: boolean): void {
    const { capture } = this.#options;
    // Without a capture, nobody asks the system for the ports.
    if (capture === undefined) return;
    const { conn, local, remote, localPort, remotePort } = connection;
    const ends = [
      { addr: local, port: localPort },
      { addr: remote, port: remotePort },
    ] as const;
    capture.opened(conn, ...ends, incoming);
  }

  #askForProgress(): void {
    let blocked = false;
    for (const connection of this.#connections.values()) {
      if (!connection.blocked) continue;
      blocked = true;
      if (connection.hasProgressed()) this.#loop.give({ t: "progress", conn: connection.conn });
    }
    if (blocked) return;
    clearInterval(this.#progressTimer);
    this.#progressTimer = undefined;
  }

  #log(event: string, message: string): void {
    this.#options.onOutput({ t: "log", level: "error", event, message });
  }
}
