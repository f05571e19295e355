// Where BFD's packets leave and arrive: real UDP sockets of this machine. Read RFC 5881 sections 4 and 5 first.
//
// - Received on port 3784 of each of the node's addresses. Sent from one socket a session, whose port is its own for life.
// - Packets leave with a time to live of 255. Which one a packet arrives with, Node does not tell, so the check that keeps distant senders
//   out cannot be made here: what is received has `ttl: undefined`. On an untrusted network, filter port 3784 by TTL before it.
// - Silence is judged by whoever drives the sessions. When a process was stopped for a while, its timers come due before its sockets are
//   read: give the `tick` from a setImmediate, so that what has arrived meanwhile is heard first.
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import { PORT, TTL } from "../wire/bfd.ts";
import { messageOf, PodloomError } from "./podloom-error.ts";

/** The range that packets may come from. @rfc 5881#4 */
const SOURCE_PORT_MIN = 49152;
const SOURCE_PORTS = 16384;
/** Ports that are tried for a session when others hold the one that it should have. */
const SOURCE_PORT_TRIES = 64;
/** Coprime to the number of ports: steps visit all of them. */
const SOURCE_PORT_STEP = 2503;
/** Packets that wait for a socket to be bound; the newest say all that the others did. */
const WAITING_MAX = 4;

/** What a session wants sent: the `send` of a `BfdTable`. */
export interface BfdDatagram {
  readonly local: Ipv4Addr;
  readonly to: Ipv4Addr;
  readonly sourcePort: number;
  readonly bytes: Uint8Array;
}

/** Plain numbers; read them at any time. */
export interface BfdSocketStats {
  rxDatagrams: number;
  /** From addresses of no node. */
  rxUnknown: number;
  rxErrors: number;
  txDatagrams: number;
  /** No socket could be opened, the address cannot be carried, or the kernel refused the packet. */
  txErrors: number;
}

export interface BfdSocketOptions {
  /** Where packets are sent to and received. Default: 3784. 0, for tests: any, which {@link BfdSocket.port} tells after the first listen. */
  readonly port?: number;
  /** The address on this machine that carries a node's. May throw a PodloomError: then the packet is not sent. */
  readonly carry: (addr: Ipv4Addr) => string;
  /** The reverse. Undefined: no node has this address, and its packet is not received. */
  readonly uncarry: (host: string) => Ipv4Addr | undefined;
  /** Called with every datagram; `bytes` is borrowed for the call. */
  readonly onReceived: (from: Ipv4Addr, bytes: Uint8Array) => void;
}

type LookupCallback = (error: Error | null, address: string, family: number) => void;

/** Addresses are literals already: no resolver, no thread pool, no delay. */
function literalLookup(host: string, options: unknown, callback?: LookupCallback): void {
  const answer = callback ?? (options as LookupCallback);
  answer(null, host, 4);
}

function newSocket(): Socket {
  return createSocket({ type: "udp4", lookup: literalLookup as never });
}

/** The BFD sockets of one node. @rfc 5881#4 @rfc 5881#5 */
export class BfdSocket {
  readonly stats: BfdSocketStats = {
    rxDatagrams: 0,
    rxUnknown: 0,
    rxErrors: 0,
    txDatagrams: 0,
    txErrors: 0,
  };
  /** Why a packet could not be sent, the last time. */
  lastError: string | undefined;
  readonly #options: BfdSocketOptions;
  readonly #listeners = new Map<Ipv4Addr, Socket>();
  /** By local address and source port. */
  readonly #senders = new Map<number, Sender>();
  #port: number;
  #closed = false;

  constructor(options: BfdSocketOptions) {
    this.#options = options;
    this.#port = options.port ?? PORT;
  }

  /** The port that packets are sent to and received on. */
  get port(): number {
    return this.#port;
  }

  /**
   * Receives on the address that carries `local`, from now on; does nothing when it does already.
   *
   * @throws PodloomError PL_BFD_PORT, naming address:port and a remedy; or what `carry` throws
   */
  async listen(local: Ipv4Addr): Promise<void> {
    if (this.#closed || this.#listeners.has(local)) return;
    const host = this.#options.carry(local);
    const listener = newSocket();
    this.#listeners.set(local, listener);
    try {
      await new Promise<void>((resolve, reject) => {
        listener.once("error", reject);
        listener.once("listening", resolve);
        listener.bind({ port: this.#port, address: host, exclusive: true });
      });
    } catch (cause) {
      this.#listeners.delete(local);
      listener.close();
      throw listenError(cause, `${host}:${this.#port}`);
    }
    if (this.#closed) return;
    listener.removeAllListeners();
    listener.on("message", (bytes, from) => this.#received(bytes, from));
    listener.on("error", () => {
      this.stats.rxErrors++;
    });
    this.#port = listener.address().port;
  }

  /** Sends a packet, soon. `bytes` is this socket's from now on. */
  send(datagram: BfdDatagram): void {
    if (this.#closed) return;
    let to: string;
    try {
      to = this.#options.carry(datagram.to);
      this.#sender(datagram.local, datagram.sourcePort).send(datagram.bytes, this.#port, to);
    } catch (thrown) {
      if (!(thrown instanceof PodloomError)) throw thrown;
      this.failed(thrown);
    }
  }

  /** Closes all sockets; what was not sent yet is lost. Resolves when nothing is left. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const sockets = [...this.#listeners.values(), ...[...this.#senders.values()].map((one) => one.close())];
    this.#listeners.clear();
    this.#senders.clear();
    await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  }

  /** A packet was not sent. */
  failed(error: unknown): void {
    this.stats.txErrors++;
    this.lastError = messageOf(error);
  }

  #received(bytes: Uint8Array, info: RemoteInfo): void {
    if (this.#closed) return;
    const from = this.#options.uncarry(info.address);
    if (from === undefined) {
      this.stats.rxUnknown++;
      return;
    }
    this.stats.rxDatagrams++;
    this.#options.onReceived(from, bytes);
  }

  #sender(local: Ipv4Addr, sourcePort: number): Sender {
    const key = local * 0x1_0000 + sourcePort;
    const known = this.#senders.get(key);
    if (known !== undefined) return known;
    const sender = new Sender(this, this.#options.carry(local), sourcePort, () => this.#senders.delete(key));
    this.#senders.set(key, sender);
    sender.open();
    return sender;
  }
}

/** The socket of one session. Its port is the session's, or another one of the range if somebody else has that. */
class Sender {
  readonly #owner: BfdSocket;
  readonly #host: string;
  readonly #port: number;
  readonly #onLost: () => void;
  readonly #onSent: (error: Error | null) => void;
  /** Set by {@link open}. */
  #socket!: Socket;
  #bound = false;
  #closed = false;
  #waiting: { readonly bytes: Uint8Array; readonly port: number; readonly to: string }[] = [];

  /** @param onLost called when no socket can be had; the next packet is to try again with a new sender */
  constructor(owner: BfdSocket, host: string, port: number, onLost: () => void) {
    this.#owner = owner;
    this.#host = host;
    this.#port = port;
    this.#onLost = onLost;
    this.#onSent = (error) => {
      if (error === null) owner.stats.txDatagrams++;
      else owner.failed(error);
    };
  }

  /** Binds the socket, which may end before this returns. */
  open(attempt = 0): void {
    const offset = (this.#port - SOURCE_PORT_MIN + attempt * SOURCE_PORT_STEP) % SOURCE_PORTS;
    const socket = newSocket();
    this.#socket = socket;
    socket.once("listening", () => {
      socket.setTTL(TTL);
      this.#bound = true;
      for (const { bytes, port, to } of this.#waiting) this.send(bytes, port, to);
      this.#waiting = [];
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (this.#closed) return;
      if (this.#bound) {
        this.#owner.failed(error);
        return;
      }
      socket.close();
      if (error.code === "EADDRINUSE" && attempt + 1 < SOURCE_PORT_TRIES) {
        this.open(attempt + 1);
        return;
      }
      this.#owner.failed(error);
      this.#onLost();
    });
    socket.bind({ port: SOURCE_PORT_MIN + offset, address: this.#host, exclusive: true });
  }

  send(bytes: Uint8Array, port: number, to: string): void {
    if (this.#bound) {
      this.#socket.send(bytes, port, to, this.#onSent);
      return;
    }
    if (this.#waiting.length === WAITING_MAX) this.#waiting.shift();
    this.#waiting.push({ bytes, port, to });
  }

  /** Gives the socket to whoever closes it. */
  close(): Socket {
    this.#closed = true;
    this.#waiting = [];
    return this.#socket;
  }
}

function listenError(cause: unknown, at: string): PodloomError {
  const code = (cause as NodeJS.ErrnoException).code;
  const [why, remedy] = LISTEN_ERRORS[code ?? ""] ?? [`could not be opened: ${messageOf(cause)}`, undefined];
  return new PodloomError("PL_BFD_PORT", `BFD's UDP port ${at} ${why}`, { remedy, cause });
}

const LISTEN_ERRORS: Readonly<Record<string, readonly [why: string, remedy: string]>> = {
  EADDRINUSE: [
    "is in use by another process",
    "Find it with `ss -lunp 'sport = :3784'` and stop it (a routing daemon that runs BFD holds the port on all addresses), or run without BFD.",
  ],
  EADDRNOTAVAIL: [
    "cannot be opened: no interface of this machine has the address",
    "With `--carrier host` the node's address must be one of this machine's; on one machine use `--carrier loopback`.",
  ],
  EACCES: [
    "may not be opened by this process",
    "Choose a port above 1023, or give the process the capability CAP_NET_BIND_SERVICE.",
  ],
};
