// One TCP connection as a capture would have shown it. Node hands over a stream of octets, not segments; so the segments
// here are made up, but what they say is true: who called, what was said in which direction and order, who closed.
import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import * as ethernet from "../../wire/ethernet.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import type { Direction } from "../../wire/pcapng.ts";
import * as tcp from "../../wire/tcp.ts";

/** One end of a connection. */
export interface Endpoint {
  readonly addr: Ipv4Addr;
  readonly port: number;
}

/** Octets of payload in one segment at most: what a capture on a host with segmentation offload shows. */
const SEGMENT_BYTES_MAX = 32 * 1024;
/** Octets that go one way at most before the other side acknowledges them by a segment of its own. */
const UNACKED_BYTES_MAX = 128 * 1024;
/** Segment size, and a window that is scaled by 2^8, so that no reader finds it full. */
const SYN_OPTIONS = Uint8Array.of(2, 4, 0x05, 0xb4, 1, 3, 3, 8);
const WINDOW = 0xffff;
const TTL = 64;
const TCP = 6;
/** Locally administered addresses that end in the IPv4 address. */
const MAC_BASE = 0x0200_0000_0000;

/** Octets before the payload of a segment. */
const HEADERS_LEN = ethernet.HEADER_LEN + ipv4.HEADER_LEN + tcp.HEADER_LEN;

/** Room for a frame. */
export interface FrameSink {
  /** Where the next frame of `bytes` octets goes; undefined: it is not wanted any more. */
  reserve(
    bytes: number,
  ): { readonly view: DataView; readonly bytes: Uint8Array; readonly off: number } | undefined;
  /** The frame stands where {@link reserve} said. */
  commit(bytes: number, direction: Direction): void;
}

interface Side {
  readonly addr: Ipv4Addr;
  readonly port: number;
  /** Number of the next octet that this side sends. */
  seq: number;
  /** What it has acknowledged of the other's. */
  acked: number;
  finished: boolean;
  /** Identification of its next packet. */
  id: number;
}

/** Writes the frames of one connection, which begins here. */
export class CaptureFlow {
  readonly #sink: FrameSink;
  readonly #local: Side;
  readonly #remote: Side;

  /** Writes the three segments that open it. @param incoming did the remote end call? */
  constructor(sink: FrameSink, local: Endpoint, remote: Endpoint, incoming: boolean) {
    this.#sink = sink;
    this.#local = newSide(local);
    this.#remote = newSide(remote);
    const caller: Direction = incoming ? "in" : "out";
    const called: Direction = incoming ? "out" : "in";
    this.#emit(caller, tcp.Flag.SYN, SYN_OPTIONS);
    this.#emit(called, tcp.Flag.SYN | tcp.Flag.ACK, SYN_OPTIONS);
    this.#emit(caller, tcp.Flag.ACK);
  }

  /** Octets of the stream. Borrowed. */
  data(direction: Direction, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SEGMENT_BYTES_MAX) {
      this.#emit(direction, tcp.Flag.ACK | tcp.Flag.PSH, bytes.subarray(at, at + SEGMENT_BYTES_MAX));
      const [from, to] = this.#sides(direction);
      if ((from.seq - to.acked) >>> 0 > UNACKED_BYTES_MAX) this.#emit(opposite(direction), tcp.Flag.ACK);
    }
  }

  /** The side that speaks in `direction` has said all. */
  finish(direction: Direction): void {
    const [from, to] = this.#sides(direction);
    if (from.finished) return;
    this.#emit(direction, tcp.Flag.FIN | tcp.Flag.ACK);
    from.finished = true;
    if (to.finished) this.#emit(opposite(direction), tcp.Flag.ACK);
  }

  /** The side that speaks in `direction` has broken off. */
  reset(direction: Direction): void {
    this.#emit(direction, tcp.Flag.RST | tcp.Flag.ACK);
  }

  #sides(direction: Direction): readonly [from: Side, to: Side] {
    return direction === "out" ? [this.#local, this.#remote] : [this.#remote, this.#local];
  }

  /** @param content options of a SYN, else payload */
  #emit(direction: Direction, flags: number, content: Uint8Array = NOTHING): void {
    const [from, to] = this.#sides(direction);
    const length = HEADERS_LEN + content.length;
    const room = this.#sink.reserve(length);
    if (room === undefined) return;
    const { view, off } = room;
    const syn = (flags & tcp.Flag.SYN) !== 0;
    const ip = off + ethernet.HEADER_LEN;
    const segment = ip + ipv4.HEADER_LEN;
    const ack = (flags & tcp.Flag.ACK) === 0 ? 0 : to.seq;
    ethernet.emit(view, off, MAC_BASE + to.addr, MAC_BASE + from.addr, ethernet.EtherType.IPV4);
    ipv4.emit(view, ip, length - ethernet.HEADER_LEN, from.id, true, TTL, TCP, from.addr, to.addr);
    const optionBytes = syn ? content.length : 0;
    tcp.emit(view, segment, from.port, to.port, from.seq, ack, flags, WINDOW, optionBytes);
    room.bytes.set(content, segment + tcp.HEADER_LEN);
    tcp.updateChecksum(view, segment, off + length, from.addr, to.addr);
    this.#sink.commit(length, direction);
    const counted = syn || (flags & tcp.Flag.FIN) !== 0 ? 1 : content.length;
    from.seq = (from.seq + counted) >>> 0;
    from.acked = ack;
    from.id = (from.id + 1) & 0xffff;
  }
}

const NOTHING = new Uint8Array(0);

function newSide({ addr, port }: Endpoint): Side {
  return { addr, port, seq: 0, acked: 0, finished: false, id: 0 };
}

function opposite(direction: Direction): Direction {
  return direction === "out" ? "in" : "out";
}
