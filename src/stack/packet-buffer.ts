import { assert } from "../base/assert.ts";
import type { Ipv4Addr } from "../base/ipv4-addr.ts";
import type { NetDevice } from "./net-device.ts";

/** Bytes kept free in front of a packet, so that three layers of headers can be pushed without moving the payload. */
export const HEADROOM = 128;

/**
 * To whom a received frame was addressed at layer 2, as `skb->pkt_type`. LOOPBACK is set by a tunnel on what it hands back
 * to this very node: the device that takes it in calls it HOST, though the destination is another's address.
 */
export const PacketType = {
  HOST: 0,
  BROADCAST: 1,
  MULTICAST: 2,
  OTHERHOST: 3,
  OUTGOING: 4,
  LOOPBACK: 5,
} as const;

/**
 * One packet, as Linux's skb: a pooled byte array for life and integer offsets into it.
 *
 *     0        head                    tail                capacity
 *     |headroom |headers and payload    |whatever was there before|
 *               push ◀                  ▶ put
 *               pull ▶                  ◀ trim
 *
 * Exactly one owner: `transmit`, `receive`, `input`, `output`, `forward`, `send` and `drop` take it; a caller that still
 * needs the bytes clones first. Bytes beyond `tail` are the previous packet's: every check is bounded by `tail`.
 */
export class PacketBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** First byte of the packet at the layer that works on it now. */
  head = HEADROOM;
  /** One past the last byte. */
  tail = HEADROOM;
  /**
   * Where the Ethernet, IP and transport headers start; meaningful from the layer that set them upwards. They stay where
   * they are when headers are pushed in front, so a tunnelled super-packet still knows its *inner* headers; see gso.ts.
   */
  l2 = HEADROOM;
  l3 = HEADROOM;
  l4 = HEADROOM;
  /** EtherType of what starts at l3. */
  protocol = 0;
  /** One of {@link PacketType}. */
  packetType = 0;
  /** The device it came in by or goes out by. */
  dev: NetDevice | undefined = undefined;
  /** ifindex of the device it entered the namespace by; 0 for packets made here. */
  iif = 0;
  /** Netfilter mark. */
  mark = 0;
  /** 0, or the payload bytes of each segment of a super-packet (Linux's gso_size); then l3 and l4 must be right. */
  gsoSize = 0;
  /** The tunnel's peer: outer source of what was decapsulated. 0 outside a tunnel. */
  tunnelRemote: Ipv4Addr = 0;
  /**
   * Where the route leads, on a device of bare IP packets: what a tunnel without a fixed remote sends to. A signed integer: a
   * small one, that makes no heap number. 0 when unset.
   */
  nextHop = 0;
  /** Set by the pool: is the buffer with an owner? */
  live = false;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  get capacity(): number {
    return this.bytes.length;
  }

  /** Bytes from head to tail. */
  get length(): number {
    return this.tail - this.head;
  }

  /** Grows the packet by `n` bytes in front; returns the new head. */
  push(n: number): number {
    assert(n <= this.head, "packet: no headroom left");
    this.head -= n;
    return this.head;
  }

  /** Removes `n` bytes in front; returns the new head. */
  pull(n: number): number {
    assert(n <= this.tail - this.head, "packet: pulled past the tail");
    this.head += n;
    return this.head;
  }

  /** Grows the packet by `n` bytes at the end; returns where they start. Their content is undefined. */
  put(n: number): number {
    const at = this.tail;
    assert(at + n <= this.bytes.length, "packet: no tailroom left");
    this.tail = at + n;
    return at;
  }

  /** Shortens the packet to `length` bytes from head; a packet already shorter stays as it is. */
  trim(length: number): void {
    if (this.tail - this.head > length) this.tail = this.head + length;
  }
}
