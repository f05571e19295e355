import type { Ipv4Addr } from "../../base/ipv4-addr.ts";
import type { MacAddr } from "../../base/mac-addr.ts";
import type { Ring } from "../../base/ring.ts";
import type { Timer } from "../../base/timer-queue.ts";
import { EtherType } from "../../wire/ethernet.ts";
import type { NetDevice } from "../net-device.ts";
import type { PacketBuffer } from "../packet-buffer.ts";
import type { Nud, NudState } from "./nud.ts";

/** One neighbour: what `ip neigh` shows in one line. Changed by its table only. */
export class NeighEntry {
  readonly dev: NetDevice;
  readonly ip: Ipv4Addr;
  #nud: Nud;
  /** Of {@link nud}, read for every packet. */
  state: NudState;
  /** The link-layer address; undefined while there is none to send to. */
  mac: MacAddr | undefined;
  /** Packets that wait for the address; made when the first one waits. Owned. */
  queue: Ring<PacketBuffer> | undefined = undefined;
  /** Made when it is first armed. */
  timer: Timer | undefined = undefined;
  /** Removed from its table: nothing may bring it to life again. */
  dead = false;
  // The Ethernet header up to the EtherType as three big-endian words, made for source `#src` (Linux's hh_cache).
  #src: MacAddr = -1;
  #word0 = 0;
  #word1 = 0;
  #word2 = 0;

  constructor(dev: NetDevice, ip: Ipv4Addr, nud: Nud) {
    this.dev = dev;
    this.ip = ip;
    this.#nud = nud;
    this.state = nud.state;
    this.mac = nud.mac;
  }

  /** The state machine's data. */
  get nud(): Nud {
    return this.#nud;
  }

  set nud(nud: Nud) {
    this.#nud = nud;
    this.state = nud.state;
    if (this.mac !== nud.mac) this.#src = -1;
    this.mac = nud.mac;
  }

  /** Writes the 14 bytes of an Ethernet header for IPv4 at `off`. The address must be known. Allocates nothing. */
  emitHeader(view: DataView, off: number): void {
    if (this.#src !== this.dev.mac) this.#cacheHeader();
    view.setInt32(off, this.#word0);
    view.setInt32(off + 4, this.#word1);
    view.setInt32(off + 8, this.#word2);
    view.setInt16(off + 12, EtherType.IPV4);
  }

  #cacheHeader(): void {
    const dst = this.mac ?? 0;
    const src = this.dev.mac;
    this.#src = src;
    this.#word0 = Math.floor(dst / 0x1_0000) | 0;
    this.#word1 = ((dst & 0xffff) << 16) | Math.floor(src / 0x1_0000_0000);
    this.#word2 = src | 0;
  }
}
