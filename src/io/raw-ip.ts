// IP protocol 4 on a raw socket: how ipip packets leave and arrive where the process may open one. Read raw(7) and RFC 2003 first.
//
// - The outer header is written here, addresses of this machine and all (IP_HDRINCL). The kernel completes the checksum, and the
//   identification of what may be fragmented. It does not fragment: what exceeds its device's MTU is refused (EMSGSIZE).
// - What arrives has its outer header in front, reassembled by the kernel. That header is checked and taken off here.
// - A raw socket takes in a *copy*: a host that has an ipip device of its own up sees the packets too, and one that has the
//   ipip module loaded but no such device also answers with ICMP (port unreachable), which nobody here listens to. A host
//   with neither is content that somebody took the packet.
//
// Node has no raw sockets. Its UDP sockets adopt a descriptor that they are given, though, and use it by sendmsg and recvmsg, which
// raw sockets understand. They only look whether it is a UDP socket when they adopt it. So they are given one, and before the event
// loop has registered it, the raw socket takes its place under the same number (dup2). All of it is public API; the C
// library is called through the optional package koffi.
import type { Socket } from "node:dgram";
import { constants } from "node:os";
import { DropReason } from "../base/drop-reason.ts";
import { formatIpv4, type Ipv4Addr } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import { type SegmentReceiver, segment } from "../stack/gso.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { StackContext } from "../stack/stack-context.ts";
import type { IpipCarrier, IpipReceiver } from "../tunnel/ipip-carrier.ts";
import * as ipv4 from "../wire/ipv4.ts";
import { type CarriedPeer, CarriedPeers, type OnUncarried } from "./carried-peers.ts";
import type { Clock } from "./clock.ts";
import {
  DatagramSender,
  type DatagramSenderStats,
  newSocket,
  RECV_BUFFER_BYTES,
  SEND_BUFFER_BYTES,
  TxSocket,
} from "./datagram-sender.ts";
import type { CarrierMap } from "./host-address.ts";
import { errnoName, findKoffi, type Koffi, type NativeNeed } from "./native-library.ts";
import { PodloomError } from "./podloom-error.ts";
import { bindError } from "./udp-bind-error.ts";

const NEED: NativeNeed = {
  code: "PL_RAW_IP_UNAVAILABLE",
  what: "raw sockets (IP protocol 4)",
  without: "carry IPIP in UDP (FOU)",
};

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x8_0000;
const IPPROTO_IP = 0;
const IP_HDRINCL = 3;
const SOCKADDR_IN_BYTES = 16;

/** Node wants a port to send to; raw sockets ignore it. */
const ANY_PORT = 1;

/** Counters of one raw socket. Plain numbers; read them at any time. */
export interface RawIpStats extends DatagramSenderStats {
  rxPackets: number;
  rxBytes: number;
  /** Lost because the pool was exhausted. */
  rxNoBuffer: number;
  /** Outer headers that are not sound, and errors that the kernel reported. */
  rxErrors: number;
}

export interface RawIpOptions {
  /** The node's underlay address. */
  readonly local: Ipv4Addr;
  readonly carriers: CarrierMap;
  readonly ctx: StackContext;
  readonly clock: Clock;
  /** Called after each packet was handed over: run the stack soon. Must be cheap and idempotent. */
  readonly wake: () => void;
  readonly onUncarried?: OnUncarried;
}

/** Protocol 4 of one node. */
export class RawIp implements IpipCarrier, SegmentReceiver {
  readonly kind = "proto4";
  readonly local: Ipv4Addr;
  readonly stats: RawIpStats = {
    rxPackets: 0,
    rxBytes: 0,
    rxNoBuffer: 0,
    rxErrors: 0,
    txDatagrams: 0,
    txBytes: 0,
    txErrors: 0,
    txQueueFull: 0,
  };
  readonly #ctx: StackContext;
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #carriers: CarrierMap;
  /** The socket address of `local`, as in {@link CarriedPeer}. */
  readonly #word: number;
  readonly #peers: CarriedPeers;
  readonly #sender: DatagramSender;
  readonly #tx: TxSocket;
  #receiver: IpipReceiver | undefined;
  #closed = false;
  // What the outer headers of the packet that is being sent say, and where it goes.
  #to: CarriedPeer | undefined;
  #ttl = 0;
  #tos = 0;
  #df = false;

  private constructor(options: RawIpOptions, socket: Socket, host: Ipv4Addr) {
    this.local = options.local;
    this.#ctx = options.ctx;
    this.#clock = options.clock;
    this.#wake = options.wake;
    this.#carriers = options.carriers;
    this.#word = host | 0;
    this.#peers = new CarriedPeers(options.carriers, options.onUncarried);
    this.#sender = new DatagramSender(options.ctx, options.clock, this.stats);
    this.#tx = new TxSocket(socket, this.#sender);
    socket.on("message", (bytes) => this.#received(bytes));
    socket.on("error", () => {
      this.stats.rxErrors++;
    });
  }

  /**
   * Opens a raw socket on the socket address of `local`.
   *
   * @throws PodloomError PL_RAW_IP_UNAVAILABLE (no Linux, no koffi), PL_RAW_IP_FORBIDDEN, PL_ADDRESS_UNAVAILABLE or PL_RAW_IP_FAILED,
   *   each with a remedy
   */
  static open(options: RawIpOptions): RawIp {
    const host = options.carriers.learn(options.local);
    return new RawIp(options, openSocket(findKoffi(NEED), host, options.carriers), host);
  }

  /** Gives what arrives to `receiver` from now on; before the first call, packets are lost. */
  attach(receiver: IpipReceiver): void {
    this.#receiver = receiver;
  }

  /** Packets that are queued or with the kernel. */
  get pending(): number {
    return this.#sender.pending;
  }

  send(pkt: PacketBuffer, dst: Ipv4Addr, ttl: number, tos: number, df: boolean, now: Instant): void {
    const peer = this.#peers.destination(dst);
    if (peer === null || this.#closed) {
      this.stats.txErrors++;
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
      return;
    }
    this.#to = peer;
    this.#ttl = ttl;
    this.#tos = tos;
    this.#df = df;
    segment(pkt, this.#ctx, this, now);
  }

  /** One packet of what {@link send} was given. Takes ownership. @drops UNDERLAY_TX @rfc 2003#3.1 */
  segment(pkt: PacketBuffer, now: Instant): void {
    const to = this.#to as CarriedPeer;
    const totalBytes = pkt.length + ipv4.HEADER_LEN;
    if (totalBytes > ipv4.PACKET_LEN_MAX) {
      this.stats.txErrors++;
      this.#ctx.drop(pkt, DropReason.UNDERLAY_TX, now);
      return;
    }
    const at = pkt.push(ipv4.HEADER_LEN);
    const protocol = ipv4.Protocol.IPIP;
    ipv4.emit(pkt.view, at, totalBytes, 0, this.#df, this.#ttl, protocol, this.#word, to.word, this.#tos);
    this.#sender.enqueue(pkt, to.text, ANY_PORT, this.#tx, now);
  }

  /** Closes the socket; what is still queued is dropped. Resolves when nothing is left. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#receiver = undefined;
    await this.#sender.close([this.#tx.socket]);
  }

  #received(bytes: Buffer): void {
    const receiver = this.#receiver;
    if (receiver === undefined) return;
    const pkt = this.#ctx.pool.acquire(bytes.length);
    if (pkt === undefined) {
      this.stats.rxNoBuffer++;
      return;
    }
    pkt.bytes.set(bytes, pkt.put(bytes.length));
    const now = this.#clock.now();
    const { view, head } = pkt;
    const reason = ipv4.check(view, head, pkt.tail);
    if (reason !== DropReason.NOT_DROPPED) {
      this.stats.rxErrors++;
      this.#ctx.drop(pkt, reason, now);
      return;
    }
    this.stats.rxPackets++;
    this.stats.rxBytes += bytes.length;
    const src = this.#carriers.underlayOf(ipv4.src(view, head));
    const tos = ipv4.tos(view, head);
    pkt.trim(ipv4.totalLen(view, head));
    pkt.pull(ipv4.headerLen(view, head));
    receiver.receiveIpip(pkt, src, tos, now);
    this.#wake();
  }
}

/** A socket of Node's over a raw one that is bound to `host`. */
function openSocket(koffi: Koffi, host: Ipv4Addr, { carrier }: CarrierMap): Socket {
  const libc = koffi.load(null);
  const open = libc.func("int socket(int domain, int type, int protocol)");
  const setsockopt = libc.func(
    "int setsockopt(int fd, int level, int name, const void *value, unsigned int length)",
  );
  const bind = libc.func("int bind(int fd, const void *address, unsigned int length)");
  const dup2 = libc.func("int dup2(int from, int to)");
  const close = libc.func("int close(int fd)");
  const must = (result: number, call: string): number => {
    if (result >= 0) return result;
    const errno = koffi.errno();
    if (call === "bind" && errno === constants.errno.EADDRNOTAVAIL) {
      throw bindError(
        Object.assign(new Error(call), { code: "EADDRNOTAVAIL" }),
        formatIpv4(host),
        0,
        carrier,
      );
    }
    throw refusal(host, call, errno);
  };
  const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  const raw = must(open(AF_INET, SOCK_RAW | flags, ipv4.Protocol.IPIP), "socket");
  try {
    // An `int` of 1 in either byte order: any value but 0 will do.
    must(setsockopt(raw, IPPROTO_IP, IP_HDRINCL, Uint8Array.of(1, 1, 1, 1), 4), "setsockopt");
    must(bind(raw, socketAddress(host), SOCKADDR_IN_BYTES), "bind");
    const fd = must(open(AF_INET, SOCK_DGRAM | flags, 0), "socket");
    const socket = newSocket(false);
    try {
      socket.bind({ fd, exclusive: true });
    } catch (thrown) {
      close(fd);
      throw thrown;
    }
    try {
      must(dup2(raw, fd), "dup2");
    } catch (thrown) {
      socket.close();
      throw thrown;
    }
    socket.setRecvBufferSize(RECV_BUFFER_BYTES);
    socket.setSendBufferSize(SEND_BUFFER_BYTES);
    return socket;
  } finally {
    close(raw);
  }
}

/** A `struct sockaddr_in`: the family in the machine's byte order, a port of 0, the address in the network's. */
function socketAddress(host: Ipv4Addr): Uint8Array {
  const bytes = new Uint8Array(SOCKADDR_IN_BYTES);
  new Uint16Array(bytes.buffer)[0] = AF_INET;
  new DataView(bytes.buffer).setUint32(4, host);
  return bytes;
}

function refusal(host: Ipv4Addr, call: string, errno: number): PodloomError {
  const at = formatIpv4(host);
  if (errno === constants.errno.EPERM || errno === constants.errno.EACCES) {
    return new PodloomError("PL_RAW_IP_FORBIDDEN", `this process may not open a raw socket on ${at}`, {
      remedy: "Run as root, give the process the capability CAP_NET_RAW, or carry IPIP in UDP (FOU).",
    });
  }
  const name = errnoName(errno);
  return new PodloomError("PL_RAW_IP_FAILED", `a raw socket on ${at} cannot be had: ${call} says ${name}`, {
    remedy: "See that this process may open more files (`ulimit -n`), or carry IPIP in UDP (FOU).",
  });
}
