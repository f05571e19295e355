import { assert } from "../base/assert.ts";
import { HEADROOM, PacketBuffer } from "./packet-buffer.ts";

/** Capacity of an ordinary buffer: headroom, a 1,500-byte frame and its tunnel headers. */
export const SMALL_BYTES = 2048;
/** Capacity of a super-packet's buffer: 64 KiB of packet and the headroom. */
export const LARGE_BYTES = 65536 + HEADROOM;

/**
 * Where packets come from and return to. Two classes, 2 KiB and 64 KiB, each a bounded free list; `outstanding` must be 0
 * when everything is quiet, and every test ends by saying so.
 */
export class PacketPool {
  readonly #small: PacketBuffer[] = [];
  readonly #large: PacketBuffer[] = [];
  readonly #limit: number;
  readonly #poison: boolean;
  /** Buffers that have an owner now. */
  outstanding = 0;
  /** Buffers made since the start; stays flat once the pool is warm. */
  created = 0;
  /** Requests refused because `limit` buffers were out. */
  exhausted = 0;

  /**
   * @param limit most buffers out at once; beyond it `acquire` answers undefined (drop reason NOMEM)
   * @param poison fill released buffers with 0xa5, so that a read past `tail` shows; for tests
   */
  constructor(limit = 65536, poison = false) {
    this.#limit = limit;
    this.#poison = poison;
  }

  /** An empty packet that can hold `bytes` after the headroom; the caller owns it. Undefined when too many are out. */
  acquire(bytes: number): PacketBuffer | undefined {
    if (this.outstanding >= this.#limit) {
      this.exhausted++;
      return undefined;
    }
    const large = bytes > SMALL_BYTES - HEADROOM;
    assert(bytes <= LARGE_BYTES - HEADROOM, "packet: larger than 64 KiB");
    let pkt = large ? this.#large.pop() : this.#small.pop();
    if (pkt === undefined) {
      pkt = new PacketBuffer(large ? LARGE_BYTES : SMALL_BYTES);
      this.created++;
    }
    pkt.live = true;
    this.outstanding++;
    return pkt;
  }

  /** Gives a buffer back. Only `drop`, a delivery that consumed it, or the socket edge may do so. */
  release(pkt: PacketBuffer): void {
    assert(pkt.live, "packet released twice");
    pkt.live = false;
    this.outstanding--;
    if (this.#poison) pkt.bytes.fill(0xa5);
    pkt.head = HEADROOM;
    pkt.tail = HEADROOM;
    pkt.l2 = HEADROOM;
    pkt.l3 = HEADROOM;
    pkt.l4 = HEADROOM;
    pkt.protocol = 0;
    pkt.packetType = 0;
    pkt.dev = undefined;
    pkt.iif = 0;
    pkt.mark = 0;
    pkt.gsoSize = 0;
    pkt.tunnelRemote = 0;
    pkt.nextHop = 0;
    if (pkt.capacity === SMALL_BYTES) {
      if (this.#small.length < 4096) this.#small.push(pkt);
    } else if (this.#large.length < 64) this.#large.push(pkt);
  }

  /** A second packet with the same bytes, offsets and metadata; the caller owns it, the original stays with its owner. */
  clone(pkt: PacketBuffer): PacketBuffer | undefined {
    const copy = this.acquire(Math.max(0, pkt.tail - HEADROOM));
    if (copy === undefined) return undefined;
    if (copy.capacity === pkt.capacity && copy.capacity === SMALL_BYTES) {
      // All of it: cheaper than the view that a part would need, and nobody may read beyond tail anyway.
      copy.bytes.set(pkt.bytes);
    } else {
      const from = Math.min(pkt.l2, pkt.head);
      copy.bytes.set(pkt.bytes.subarray(from, pkt.tail), from);
    }
    copy.head = pkt.head;
    copy.tail = pkt.tail;
    copy.l2 = pkt.l2;
    copy.l3 = pkt.l3;
    copy.l4 = pkt.l4;
    copy.protocol = pkt.protocol;
    copy.packetType = pkt.packetType;
    copy.dev = pkt.dev;
    copy.iif = pkt.iif;
    copy.mark = pkt.mark;
    copy.gsoSize = pkt.gsoSize;
    copy.tunnelRemote = pkt.tunnelRemote;
    copy.nextHop = pkt.nextHop;
    return copy;
  }
}
