// One HTTP/2 connection to one etcd: opened within a time, watched over with pings, and given up when they stay unanswered.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from "node:http2";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { messageOf } from "../../podloom-error.ts";
import type { EtcdEndpoints } from "../etcd-transport.ts";

/** How often the other side is pinged. etcd refuses whoever does it more often than every 5 s. */
const PING_EVERY_MS = 10_000;
/** How soon after a ping another may follow. */
const PING_GAP_MS = 5_500;
/** How long a ping may stay unanswered. */
const PING_WAIT_MS = 3_000;
/** How long it may take to connect, TLS and the server's first word included. */
const CONNECT_WAIT_MS = 5_000;
/** How much a stream, and all together, may have on the way to us: a list is one message. */
const WINDOW_BYTES = 4 * 2 ** 20;

export class Http2Connection {
  readonly endpoint: string;
  readonly #session: ClientHttp2Session;
  readonly #socket: Socket;
  /** Hears once, when no more calls can be begun here. Those under way end by themselves. */
  onRetired: () => void = () => {};
  /** Hears once, when nothing of it is left. */
  onGone: () => void = () => {};
  #retired = false;
  #pingTimer: NodeJS.Timeout | undefined;
  #pingedAtMs = Number.NEGATIVE_INFINITY;
  #waiting: NodeJS.Timeout | undefined;
  #why: string | undefined;

  private constructor(endpoint: string, tls: EtcdEndpoints["tls"]) {
    this.endpoint = endpoint;
    this.#socket = socketTo(new URL(endpoint), tls);
    this.#session = connect(endpoint, {
      createConnection: () => this.#socket,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
      // In MiB, and counted with what waits to be sent: a node talks to one server only.
      maxSessionMemory: 64,
    });
    const gone = (): void => {
      clearTimeout(this.#pingTimer);
      clearTimeout(this.#waiting);
      this.#retire("the connection was closed");
      this.onGone();
    };
    // Node's session says nothing of an error of TLS, and leaves the socket open: the socket itself is listened to as well.
    this.#socket.on("error", (error) => this.destroy(reasonText(error)));
    this.#socket.on("close", gone);
    this.#session.on("error", (error) => this.#retire(reasonText(error)));
    this.#session.on("close", gone);
    this.#session.on("goaway", (code) => {
      this.#retire(
        code === 0 ? "the server is going away" : `the server ended the connection (HTTP/2 error ${code})`,
      );
    });
  }

  /** Connects. `signal` gives it up. @throws Error that names the endpoint */
  static async open(
    endpoint: string,
    tls: EtcdEndpoints["tls"],
    signal: AbortSignal,
  ): Promise<Http2Connection> {
    const connection = new Http2Connection(endpoint, tls);
    const session = connection.#session;
    let timer: NodeJS.Timeout | undefined;
    let abort = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        // A stopped server's kernel accepts connections all the same: only its own first word counts.
        session.once("remoteSettings", () => resolve());
        connection.onRetired = () => reject(new Error(connection.why));
        abort = () => reject(new Error("given up"));
        signal.addEventListener("abort", abort);
        timer = setTimeout(() => reject(new Error("no answer in time")), CONNECT_WAIT_MS);
      });
    } catch (thrown) {
      connection.destroy("given up");
      throw new Error(`cannot connect to etcd at ${endpoint}: ${messageOf(thrown)}`, { cause: thrown });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
    session.setLocalWindowSize(WINDOW_BYTES);
    connection.#schedulePing(PING_EVERY_MS);
    return connection;
  }

  /** Can calls be begun here? */
  get usable(): boolean {
    return !this.#retired;
  }

  /** Why it ended, as a sentence. */
  get why(): string {
    return this.#why ?? "the connection to etcd was lost";
  }

  /** Was it lost, and whatever ran on it with it? */
  get lost(): boolean {
    return this.#session.destroyed;
  }

  request(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    return this.#session.request(headers);
  }

  /** Something went unanswered: ping now, or as soon as the server allows it, rather than at the next occasion. */
  suspect(): void {
    if (this.#session.destroyed || this.#waiting !== undefined) return;
    this.#schedulePing(Math.max(0, this.#pingedAtMs + PING_GAP_MS - performance.now()));
  }

  /** No new calls here. The connection ends when the last call has. */
  retire(why: string): void {
    this.#retire(why);
    this.#session.close();
  }

  /** Ends it, and all that runs on it. */
  destroy(why: string): void {
    this.#retire(why);
    this.#session.destroy();
    this.#socket.destroy();
  }

  #retire(why: string): void {
    this.#why ??= why;
    if (this.#retired) return;
    this.#retired = true;
    this.onRetired();
  }

  #schedulePing(waitMs: number): void {
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => this.#ping(), waitMs);
  }

  #ping(): void {
    if (this.#session.destroyed) return;
    this.#pingedAtMs = performance.now();
    this.#schedulePing(PING_EVERY_MS);
    if (this.#waiting !== undefined) return;
    this.#await(this.#heard());
    this.#session.ping((error) => {
      if (error !== null) return;
      clearTimeout(this.#waiting);
      this.#waiting = undefined;
    });
  }

  /** Gives the connection up unless something is heard. A long message before the pong is a sign of life, too. */
  #await(before: number): void {
    this.#waiting = setTimeout(() => {
      // We may have been stopped ourselves: what came meanwhile is read before the connection is judged.
      setImmediate(() => {
        if (this.#waiting === undefined || this.#session.destroyed) return;
        const heard = this.#heard();
        if (heard !== before) this.#await(heard);
        else this.destroy("the server does not answer");
      });
    }, PING_WAIT_MS);
  }

  #heard(): number {
    return this.#socket.bytesRead;
  }
}

function socketTo({ protocol, hostname, port }: URL, tls: EtcdEndpoints["tls"]): Socket {
  const host = hostname.replace(/^\[|\]$/g, "");
  const to = { host, port: Number(port || (protocol === "https:" ? 443 : 80)) };
  if (protocol !== "https:") return connectTcp({ ...to, noDelay: true });
  const { ca, key, cert } = tls ?? {};
  const files = { ...(ca && { ca }), ...(key && { key }), ...(cert && { cert }) };
  // A name for the server to choose its certificate by; an address is none.
  // Not imported: a module that is gives all of its exports, and making node:tls's list of root certificates takes 0.6 MB of every process.
  const socket = process.getBuiltinModule("node:tls").connect({
    ...to,
    ...files,
    ALPNProtocols: ["h2"],
    servername: isIP(host) === 0 ? host : "",
  });
  socket.setNoDelay(true);
  return socket;
}

/** An AggregateError (localhost has two addresses) says nothing by itself, and OpenSSL says too much. */
function reasonText(thrown: unknown): string {
  const first = thrown instanceof AggregateError ? (thrown.errors[0] as unknown) : thrown;
  const { reason } = first as { readonly reason?: unknown };
  return typeof reason === "string" ? reason : messageOf(first);
}
