import { createServer, type Server, type Socket } from "node:net";
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import { PodloomError } from "../podloom-error.ts";
import type { TcpMd5 } from "./tcp-md5.ts";
import type { TcpTtl } from "./tcp-ttl.ts";

/** Calls that the kernel keeps for us while we are busy: a whole mesh may call at once, and what does not fit comes a second late. */
const BACKLOG = 511;

/** Where to listen, as the nodes know it. */
export interface ListenAddress {
  readonly addr: Ipv4Addr;
  /** 0: any that is free. */
  readonly port: number;
}

export interface ListenerEvents {
  /** A call. The socket is the receiver's. */
  called(listener: BgpListener, socket: Socket): void;
  /** The system could not take a call; later ones may succeed. */
  listenerFailed(listener: BgpListener, message: string): void;
}

/** One address on which neighbours may call. */
export class BgpListener {
  readonly addr: Ipv4Addr;
  /** The address on this machine. */
  readonly host: string;
  readonly port: number;
  readonly #server: Server;

  /**
   * @param host the address on this machine that carries `at.addr`
   * @throws PodloomError PL_BGP_PORT, with address, port and a remedy
   */
  static async open(at: ListenAddress, host: string, events: ListenerEvents): Promise<BgpListener> {
    const server = createServer();
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen({ host, port: at.port, backlog: BACKLOG, exclusive: true }, resolve);
      });
    } catch (cause) {
      throw listenError(cause, host, at.port);
    }
    server.removeAllListeners("error");
    return new BgpListener(at.addr, host, server, events);
  }

  private constructor(addr: Ipv4Addr, host: string, server: Server, events: ListenerEvents) {
    this.addr = addr;
    this.host = host;
    this.#server = server;
    const bound = server.address();
    this.port = bound === null || typeof bound === "string" ? 0 : bound.port;
    server.on("connection", (socket) => events.called(this, socket));
    server.on("error", (error) => events.listenerFailed(this, error.message));
  }

  /**
   * Calls from `host` must be signed with this password from now on; undefined: need not be signed.
   *
   * @throws PodloomError PL_BGP_MD5
   */
  setPassword(md5: TcpMd5, host: string, password: string | undefined): void {
    md5.setPassword(this.#fd, host, password);
  }

  /** Calls are answered with the highest TTL from now on. @throws PodloomError PL_BGP_TTL */
  answerFully(ttl: TcpTtl): void {
    ttl.answerFully(this.#fd);
  }

  get #fd(): number {
    const { fd } = (this.#server as unknown as { _handle: { fd: number } | null })._handle ?? { fd: -1 };
    return fd;
  }

  /** Takes no more calls. Those that were taken go on; resolves when their sockets are closed too. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

function listenError(cause: unknown, host: string, port: number): PodloomError {
  const { code } = cause as NodeJS.ErrnoException;
  const at = `${host}:${port}`;
  if (code === "EADDRINUSE") {
    return new PodloomError("PL_BGP_PORT", `TCP port ${at}, for BGP, is in use by another process`, {
      remedy: `Find it with \`ss -ltnp 'sport = :${port}'\` and stop it, or choose another port.`,
      cause,
    });
  }
  if (code === "EACCES" || code === "EPERM") {
    return new PodloomError("PL_BGP_PORT", `this process may not listen on TCP port ${at}, for BGP`, {
      remedy:
        "Use port 1790, or let node open ports below 1024: `sudo setcap cap_net_bind_service=+ep $(readlink -f $(command -v node))`.",
      cause,
    });
  }
  if (code === "EADDRNOTAVAIL") {
    return new PodloomError("PL_BGP_PORT", `no interface of this machine has the address ${host}, for BGP`, {
      remedy: host.startsWith("127.")
        ? "The loopback interface must be up and own 127.0.0.0/8."
        : "Give the node an address of this machine, or carry it on a loopback address.",
      cause,
    });
  }
  return new PodloomError(
    "PL_BGP_PORT",
    `TCP port ${at}, for BGP, could not be opened: ${String(code ?? cause)}`,
    { remedy: "See that this process may open more sockets (`ulimit -n`), or choose another port.", cause },
  );
}
