// Raw sockets. Read raw(7) first.
//
// Node has none. Its UDP sockets adopt a descriptor that they are given, though, and use it by sendmsg and recvmsg, which
// raw sockets understand. They only look whether it is a UDP socket when they adopt it. So they are given one, and before the event
// loop has registered it, the raw socket takes its place under the same number (dup2). All of it is public API; the C
// library is called through the optional package koffi.
import type { Socket } from "node:dgram";
import { constants } from "node:os";
import { formatIpv4, type Ipv4Addr } from "../base/ipv4-addr.ts";
import { newSocket, RECV_BUFFER_BYTES, SEND_BUFFER_BYTES } from "./datagram-sender.ts";
import type { Carrier } from "./host-address.ts";
import { errnoName, findKoffi, type Koffi, type NativeFunction, type NativeNeed } from "./native-library.ts";
import { PodloomError } from "./podloom-error.ts";
import { bindError } from "./udp-bind-error.ts";

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x8_0000;
/** Levels of socket options. */
export const IPPROTO_IP = 0;
export const SOL_RAW = 255;
const IP_MTU = 14;
const SOCKADDR_IN_BYTES = 16;
/** To connect a UDP socket that never sends: any port will do. */
const ANY_PORT = 9;

/** `setsockopt`. */
export interface SocketOption {
  readonly level: number;
  readonly name: number;
  /** A 32-bit word in the machine's byte order. */
  readonly word: number;
}

export interface RawSocketSpec {
  /** Who needs it, and what to do without: errors say so. */
  readonly what: string;
  readonly without: string;
  /** IP protocol that it takes in. */
  readonly protocol: number;
  /** Socket address that it is bound to. */
  readonly host: Ipv4Addr;
  readonly carrier: Carrier;
  readonly options: readonly SocketOption[];
}

/** The calls that are made of the C library. */
interface Libc {
  readonly koffi: Koffi;
  readonly socket: NativeFunction;
  readonly setsockopt: NativeFunction;
  readonly getsockopt: NativeFunction;
  readonly bind: NativeFunction;
  readonly connect: NativeFunction;
  readonly dup2: NativeFunction;
  readonly close: NativeFunction;
}

/**
 * A socket of Node's over a raw one.
 *
 * @throws PodloomError PL_RAW_IP_UNAVAILABLE (no Linux, no koffi), PL_RAW_IP_FORBIDDEN, PL_ADDRESS_UNAVAILABLE or PL_RAW_IP_FAILED,
 *   each with a remedy
 */
export function openRawSocket(spec: RawSocketSpec): Socket {
  const libc = loadLibc(spec);
  const must = (result: number, call: string): number => {
    if (result >= 0) return result;
    throw refusal(spec, call, libc.koffi.errno());
  };
  const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  const raw = must(libc.socket(AF_INET, SOCK_RAW | flags, spec.protocol), "socket");
  try {
    for (const { level, name, word } of spec.options) {
      must(libc.setsockopt(raw, level, name, Uint32Array.of(word), 4), "setsockopt");
    }
    must(libc.bind(raw, socketAddress(spec.host, 0), SOCKADDR_IN_BYTES), "bind");
    const fd = must(libc.socket(AF_INET, SOCK_DGRAM | flags, 0), "socket");
    const socket = newSocket(false);
    try {
      socket.bind({ fd, exclusive: true });
    } catch (thrown) {
      libc.close(fd);
      throw thrown;
    }
    try {
      must(libc.dup2(raw, fd), "dup2");
    } catch (thrown) {
      socket.close();
      throw thrown;
    }
    socket.setRecvBufferSize(RECV_BUFFER_BYTES);
    socket.setSendBufferSize(SEND_BUFFER_BYTES);
    return socket;
  } finally {
    libc.close(raw);
  }
}

/** Asks the kernel what it knows of paths, by a UDP socket that sends nothing (IP_MTU of ip(7)). For cold paths: four calls a question. */
export class KernelPathMtu {
  readonly #need: NativeNeed;
  readonly #from: Ipv4Addr;
  #libc: Libc | undefined;

  /** @param from socket address to send from */
  constructor(need: Omit<NativeNeed, "code">, from: Ipv4Addr) {
    this.#need = { ...need, code: "PL_RAW_IP_UNAVAILABLE" };
    this.#from = from;
  }

  /** Of the path to the socket address `to`, in bytes; 0 when the kernel does not say. @throws PodloomError PL_RAW_IP_UNAVAILABLE */
  ask(to: Ipv4Addr): number {
    this.#libc ??= loadLibc(this.#need);
    const libc = this.#libc;
    const fd = libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    try {
      if (libc.bind(fd, socketAddress(this.#from, 0), SOCKADDR_IN_BYTES) < 0) return 0;
      if (libc.connect(fd, socketAddress(to, ANY_PORT), SOCKADDR_IN_BYTES) < 0) return 0;
      const value = Int32Array.of(0);
      const length = Uint32Array.of(value.byteLength);
      return libc.getsockopt(fd, IPPROTO_IP, IP_MTU, value, length) < 0 ? 0 : Math.max(0, value[0] ?? 0);
    } finally {
      libc.close(fd);
    }
  }
}

function loadLibc({ what, without }: Pick<NativeNeed, "what" | "without">): Libc {
  const koffi = findKoffi({ code: "PL_RAW_IP_UNAVAILABLE", what, without });
  const libc = koffi.load(null);
  const address = "const void *address, unsigned int length";
  return {
    koffi,
    socket: libc.func("int socket(int domain, int type, int protocol)"),
    setsockopt: libc.func(
      "int setsockopt(int fd, int level, int name, const void *value, unsigned int length)",
    ),
    getsockopt: libc.func("int getsockopt(int fd, int level, int name, void *value, void *length)"),
    bind: libc.func(`int bind(int fd, ${address})`),
    connect: libc.func(`int connect(int fd, ${address})`),
    dup2: libc.func("int dup2(int from, int to)"),
    close: libc.func("int close(int fd)"),
  };
}

/** A `struct sockaddr_in`: the family in the machine's byte order, port and address in the network's. */
function socketAddress(host: Ipv4Addr, port: number): Uint8Array {
  const bytes = new Uint8Array(SOCKADDR_IN_BYTES);
  new Uint16Array(bytes.buffer)[0] = AF_INET;
  const view = new DataView(bytes.buffer);
  view.setUint16(2, port);
  view.setUint32(4, host);
  return bytes;
}

function refusal({ host, carrier, without }: RawSocketSpec, call: string, errno: number): Error {
  const at = formatIpv4(host);
  if (call === "bind" && errno === constants.errno.EADDRNOTAVAIL) {
    return bindError(Object.assign(new Error(call), { code: "EADDRNOTAVAIL" }), at, 0, carrier);
  }
  if (errno === constants.errno.EPERM || errno === constants.errno.EACCES) {
    return new PodloomError("PL_RAW_IP_FORBIDDEN", `this process may not open a raw socket on ${at}`, {
      remedy: `Run as root, give the process the capability CAP_NET_RAW, or ${without}.`,
    });
  }
  const name = errnoName(errno);
  return new PodloomError("PL_RAW_IP_FAILED", `a raw socket on ${at} cannot be had: ${call} says ${name}`, {
    remedy: `See that this process may open more files (\`ulimit -n\`), or ${without}.`,
  });
}
