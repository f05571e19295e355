// One TCP connection of a session: dialled or taken, written, read, closed. Tells its owner what happens, each end once.
import { closeSync } from "node:fs";
import { connect, Socket, type TcpNetConnectOpts } from "node:net";
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { ConnId } from "../../routing/bgp/session/peer-messages.ts";
import { describeTcpError, type Whereabouts } from "./tcp-error-text.ts";

/** How long what was said last may take to arrive, and the other side to close too. */
const LINGER_MS = 1000;
/** After so much silence the system asks whether the other side is still there; where KEEPALIVEs flow, it never does. */
const TCP_KEEPALIVE_MS = 60_000;

/** What an owner is told. After `failed`, `lost` and its own close(), nothing but `ended`. */
export interface ConnectionEvents {
  /** What was dialled is there. */
  connected(connection: TcpConnection): void;
  /** Borrowed, but never overwritten. */
  received(connection: TcpConnection, bytes: Uint8Array): void;
  /** It can be written again. */
  drained(connection: TcpConnection): void;
  /** What was dialled will not be there. */
  failed(connection: TcpConnection, message: string): void;
  /** It is no more. @param message undefined: the other side has closed it @param reset has the other side broken it off? */
  lost(connection: TcpConnection, message: string | undefined, reset: boolean): void;
  /** The socket is closed: the last that is heard of it. */
  ended(connection: TcpConnection): void;
}

/** Both ends of a connection, by the addresses of the nodes. */
export interface Ends {
  readonly local: Ipv4Addr;
  readonly remote: Ipv4Addr;
}

export interface DialOptions extends Ends {
  /** The addresses on this machine that carry them. */
  readonly localHost: string;
  readonly remoteHost: string;
  readonly port: number;
  /** The socket to use, a descriptor with options that Node cannot set; undefined: any. Taken over in any case. */
  readonly fd: number | undefined;
  /** It signs what it says. */
  readonly signed: boolean;
}

export class TcpConnection implements Ends {
  readonly conn: ConnId;
  readonly local: Ipv4Addr;
  readonly remote: Ipv4Addr;
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  #state: "dialling" | "up" | "over" = "up";
  #blocked = false;
  /** What the system had not taken when it was asked last. */
  #unsentBytes = 0;
  #linger: NodeJS.Timeout | undefined;

  /** Begins to dial. */
  static dial(conn: ConnId, options: DialOptions, events: ConnectionEvents): TcpConnection {
    const { localHost, remoteHost, port, fd, signed } = options;
    const where = { host: remoteHost, port, localAddress: localHost };
    const socket = fd === undefined ? connect(where) : socketOf(fd);
    if (fd !== undefined) connectOwn(socket, where);
    const at = { host: remoteHost, port, localHost, signed };
    const connection = new TcpConnection(conn, options, socket, events, at);
    connection.#state = "dialling";
    socket.once("connect", () => connection.#connected());
    return connection;
  }

  /** Takes over a call. */
  static accepted(conn: ConnId, ends: Ends, socket: Socket, events: ConnectionEvents): TcpConnection {
    const { remoteAddress: host = "", remotePort: port = 0, localAddress: localHost = "" } = socket;
    const at = { host, port, localHost, signed: false };
    const connection = new TcpConnection(conn, ends, socket, events, at);
    connection.#tune();
    return connection;
  }

  private constructor(conn: ConnId, ends: Ends, socket: Socket, events: ConnectionEvents, at: Whereabouts) {
    this.conn = conn;
    this.local = ends.local;
    this.remote = ends.remote;
    this.#socket = socket;
    this.#events = events;
    socket.on("data", (bytes) => {
      // Behind our own close, reading goes on for nobody: a system that closes a socket with something unread in it resets the
      // connection, and the other side may lose what we said last.
      if (this.#state === "up") events.received(this, bytes);
    });
    socket.on("end", () => this.#lost());
    socket.on("error", (error) => this.#lost(error, at));
    socket.once("close", () => {
      this.#lost();
      clearTimeout(this.#linger);
      events.ended(this);
    });
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  get remotePort(): number {
    return this.#socket.remotePort ?? 0;
  }

  /** It takes no more for now. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Has the other side said that it has said all? */
  get heardAll(): boolean {
    return this.#socket.readableEnded;
  }

  /** Writes. False: the system has not taken all of it; `drained` will come. @param bytes borrowed until they were taken; never written to */
  write(bytes: Uint8Array): boolean {
    if (this.#state !== "up") return true;
    // Not what write() answers: that lets some of it gather first, and a system that takes nothing more is to be noticed by the
    // first KEEPALIVE. @rfc 9687#4.3
    this.#socket.write(bytes, this.#onWritten);
    if (!this.#blocked && this.#socket.writableLength > 0) {
      this.#blocked = true;
      this.#unsentBytes = this.#queuedBytes();
    }
    return !this.#blocked;
  }

  /** Has the system taken anything since the last time, while it is blocked? */
  hasProgressed(): boolean {
    const before = this.#unsentBytes;
    this.#unsentBytes = this.#queuedBytes();
    return this.#unsentBytes !== before;
  }

  /** Closes it, or gives up dialling. @param afterFlush behind what was written; a second later at the latest */
  close(afterFlush: boolean): void {
    const up = this.#state === "up";
    this.#state = "over";
    if (!up || !afterFlush) {
      this.#socket.destroy();
      return;
    }
    this.#socket.end();
    this.#linger = setTimeout(() => this.#socket.destroy(), LINGER_MS);
  }

  #connected(): void {
    if (this.#state !== "dialling") return;
    this.#state = "up";
    this.#tune();
    this.#events.connected(this);
  }

  #tune(): void {
    this.#socket.setNoDelay(true);
    this.#socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
  }

  #lost(error?: NodeJS.ErrnoException, at?: Whereabouts): void {
    if (this.#state === "over") return;
    const dialling = this.#state === "dialling";
    const message = error === undefined || at === undefined ? undefined : describeTcpError(error, at);
    this.close(false);
    if (dialling) this.#events.failed(this, message ?? "the connection was closed before it was there");
    else this.#events.lost(this, message, error?.code === "ECONNRESET" || error?.code === "EPIPE");
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (!this.#blocked || error || this.#socket.writableLength > 0) return;
    this.#blocked = false;
    if (this.#state === "up") this.#events.drained(this);
  };

  /** Exact, where Node's own count goes by whole writes. */
  #queuedBytes(): number {
    const handle = (this.#socket as unknown as { _handle?: { writeQueueSize?: number } | null })._handle;
    return handle?.writeQueueSize ?? 0;
  }
}

/** Dials with a socket of ours. */
function connectOwn(socket: Socket, where: TcpNetConnectOpts): void {
  try {
    socket.connect(where);
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  }
}

/** A socket with options that Node cannot set, given to it before it is connected. */
function socketOf(fd: number): Socket {
  try {
    // Not known to the types: reading begins when it is connected, not now.
    return new Socket({ fd, readable: true, writable: true, manualStart: true } as object);
  } catch (thrown) {
    closeSync(fd);
    throw thrown;
  }
}
