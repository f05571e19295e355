import type { DropReason } from "../base/drop-reason.ts";
import type { Rng } from "../base/rng.ts";
import type { Instant } from "../base/time.ts";
import type { TimerQueue } from "../base/timer-queue.ts";
import type { NetDevice } from "./net-device.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import type { PacketPool } from "./packet-pool.ts";

/** What every layer of one node's stack shares. {@link NetStack} is the one implementation. */
export interface StackContext {
  readonly pool: PacketPool;
  readonly timers: TimerQueue;
  readonly rng: Rng;

  /** The one end of a lost packet: counts `reason` (in all, and on `pkt.dev`), traces it, releases the buffer. */
  drop(pkt: PacketBuffer, reason: DropReason, now: Instant): void;

  /** The end of a packet that did its work (delivered, answered, transmitted by copy): releases the buffer, counts nothing. */
  consume(pkt: PacketBuffer): void;

  /**
   * Hands a frame to `dev` as if it had arrived on its wire, through the bounded backlog of the device's namespace, as
   * Linux's `netif_rx`: never a nested call. Takes ownership; a full backlog drops with CPU_BACKLOG, a device without a
   * namespace with DEV_READY, both counted as received and dropped there.
   *
   * @returns was it taken in?
   */
  netifRx(pkt: PacketBuffer, dev: NetDevice, now: Instant): boolean;
}
