// IP packets directly in UDP, Linux's "foo over UDP" with `ipproto 4`: the payload of a datagram is the inner packet, with no
// header between. What an ipip device uses where the process may open no raw socket. Read `fou_build_udp` and `fou_udp_recv`.
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import type { Instant } from "../base/time.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { StackContext } from "../stack/stack-context.ts";
import { packetFlowHash } from "./flow-hash.ts";
import type { IpipCarrier, IpipReceiver } from "./ipip-carrier.ts";
import type { DatagramReceiver, Underlay } from "./underlay.ts";

/** The port of Linux's examples, and of every podloom node. */
export const FOU_PORT = 5555;

/** Of an outer header that cannot be seen: nothing is known about congestion. */
const TOS_UNKNOWN = 0;

/** What ipip packets leave and arrive by in UDP. Give the port's datagrams to it. */
export class Fou implements IpipCarrier, DatagramReceiver {
  readonly kind = "fou";
  readonly #underlay: Underlay;
  readonly #receiver: IpipReceiver;
  readonly #salt: number;

  /** @param underlay the UDP port; peers are reached at the same one */
  constructor(ctx: StackContext, underlay: Underlay, receiver: IpipReceiver) {
    this.#underlay = underlay;
    this.#receiver = receiver;
    this.#salt = ctx.rng.u32() | 0;
  }

  get local(): Ipv4Addr {
    return this.#underlay.local;
  }

  send(pkt: PacketBuffer, dst: Ipv4Addr, _ttl: number, _tos: number, _df: boolean, now: Instant): void {
    const hash = packetFlowHash(pkt.view, pkt.head, pkt.tail, this.#salt);
    this.#underlay.send(pkt, dst, this.#underlay.port, hash, now);
  }

  receive(pkt: PacketBuffer, src: Ipv4Addr, _srcPort: number, now: Instant): void {
    this.#receiver.receiveIpip(pkt, src, TOS_UNKNOWN, now);
  }
}
