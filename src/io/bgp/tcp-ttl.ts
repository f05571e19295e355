// The Generalized TTL Security Mechanism. Read RFC 5082 and ip(7), IP_TTL and IP_MINTTL, first. What we send has TTL 255, which nobody
// further away can give to a packet that arrives here with more than 255 less the hops between; the kernel drops what has less.
import { errnoName, type NativeNeed } from "../native-library.ts";
import { PodloomError } from "../podloom-error.ts";
import { IPPROTO_IP, NativeTcp } from "./native-tcp.ts";

const IP_TTL = 2;
const IP_MINTTL = 21;
const TTL_MAX = 255;

const NEED: NativeNeed = {
  code: "PL_BGP_TTL",
  what: "TTL security of BGP (GTSM)",
  without: "run the sessions without ttlSecurityHops",
};

let loaded: TcpTtl | undefined;

/** Sets what a socket sends, and what it takes in. @rfc 5082#3 */
export class TcpTtl {
  readonly tcp: NativeTcp;

  /**
   * The one of this process.
   *
   * @throws PodloomError PL_BGP_TTL where these options cannot be set
   */
  static load(this: void): TcpTtl {
    loaded ??= new TcpTtl(new NativeTcp(NEED));
    return loaded;
  }

  private constructor(tcp: NativeTcp) {
    this.tcp = tcp;
  }

  /**
   * From now on this socket sends with TTL 255, and takes nothing in that has come over more than `hops` links.
   *
   * @param hops 1..255: how many links away the neighbour is at most
   * @throws PodloomError PL_BGP_TTL when the kernel refuses
   */
  secure(fd: number, hops: number): void {
    this.#set(fd, IP_TTL, TTL_MAX);
    this.#set(fd, IP_MINTTL, TTL_MAX + 1 - hops);
  }

  /** From now on a listening socket answers calls with TTL 255, for neighbours that look at it. @throws PodloomError PL_BGP_TTL */
  answerFully(fd: number): void {
    this.#set(fd, IP_TTL, TTL_MAX);
  }

  #set(fd: number, name: number, value: number): void {
    const errno = this.tcp.set(fd, IPPROTO_IP, name, Int32Array.of(value));
    if (errno === 0) return;
    throw new PodloomError(
      "PL_BGP_TTL",
      `the kernel does not take the TTL of a BGP socket: ${errnoName(errno)}`,
      {
        remedy: "Run the sessions without ttlSecurityHops.",
      },
    );
  }
}
