import { formatIpv4, type Ipv4Addr } from "../../src/base/ipv4-addr.ts";
import { type Rng, unit } from "../../src/base/rng.ts";
import { type Instant, NEVER } from "../../src/base/time.ts";
import { Timer, TimerQueue } from "../../src/base/timer-queue.ts";
import type { PacketBuffer } from "../../src/stack/packet-buffer.ts";
import type { StackContext } from "../../src/stack/stack-context.ts";
import type { DatagramReceiver, Underlay } from "../../src/tunnel/underlay.ts";

// The network between nodes on a virtual clock: datagrams take a while, may be lost, and overtake each other.

export interface FabricOptions {
  readonly delayUs: number;
  /** Added to the delay, uniformly: more than the spacing of packets means reordering. */
  readonly jitterUs: number;
  /** 0..1 */
  readonly loss: number;
}

export class MemoryFabric {
  readonly #rng: Rng;
  readonly #ports = new Map<string, MemoryPort>();
  readonly #timers = new TimerQueue();
  options: FabricOptions;
  /** Datagrams that reached a port. */
  delivered = 0;

  constructor(rng: Rng, options: FabricOptions = { delayUs: 100, jitterUs: 0, loss: 0 }) {
    this.#rng = rng;
    this.options = options;
  }

  /** Opens a port of a node; give what it answers a receiver before datagrams arrive. */
  open(address: Ipv4Addr, port: number, ctx: StackContext): MemoryPort {
    const key = `${formatIpv4(address)}:${port}`;
    if (this.#ports.has(key)) throw new Error(`${key} is in use`);
    const opened = new MemoryPort(this, address, port, ctx);
    this.#ports.set(key, opened);
    return opened;
  }

  /** The node's process is gone: what is on its way to it is lost. */
  close(address: Ipv4Addr, port: number): void {
    this.#ports.delete(`${formatIpv4(address)}:${port}`);
  }

  carry(from: MemoryPort, bytes: Uint8Array, dst: Ipv4Addr, dstPort: number, now: Instant): void {
    if (unit(this.#rng) < this.options.loss) return;
    const at = now + this.options.delayUs + Math.floor(unit(this.#rng) * this.options.jitterUs);
    const timer = new Timer((when) => {
      const to = this.#ports.get(`${formatIpv4(dst)}:${dstPort}`);
      if (to?.receiver === undefined) return;
      const pkt = to.ctx.pool.acquire(bytes.length);
      if (pkt === undefined) return;
      pkt.bytes.set(bytes, pkt.put(bytes.length));
      this.delivered++;
      to.receiver.receive(pkt, from.local, from.port, when);
    });
    this.#timers.set(timer, at);
  }

  run(now: Instant): void {
    this.#timers.run(now, Number.POSITIVE_INFINITY);
  }

  nextDeadline(): Instant {
    return this.#timers.size === 0 ? NEVER : this.#timers.nextDeadline();
  }
}

export class MemoryPort implements Underlay {
  readonly local: Ipv4Addr;
  readonly port: number;
  readonly ctx: StackContext;
  receiver: DatagramReceiver | undefined;
  readonly #fabric: MemoryFabric;

  constructor(fabric: MemoryFabric, local: Ipv4Addr, port: number, ctx: StackContext) {
    this.#fabric = fabric;
    this.local = local;
    this.port = port;
    this.ctx = ctx;
  }

  send(pkt: PacketBuffer, dst: Ipv4Addr, dstPort: number, _flowHash: number, now: Instant): void {
    this.#fabric.carry(this, pkt.bytes.slice(pkt.head, pkt.tail), dst, dstPort, now);
    this.ctx.consume(pkt);
  }
}
