// A capture file of BGP sessions, for Wireshark. It shows the sessions as they are in the network that is emulated: between the
// nodes' own addresses and on port 179, whatever addresses and ports carry them on this machine.
import { closeSync, openSync, writeSync } from "node:fs";
import type { Instant } from "../../base/time.ts";
import type { ConnId } from "../../routing/bgp/session/peer-messages.ts";
import {
  type Direction,
  emitInterface,
  emitPacket,
  emitSection,
  emitStatistics,
  LinkType,
  PACKET_OFFSET,
  packetBlockLen,
} from "../../wire/pcapng.ts";
import type { Clock } from "../clock.ts";
import { messageOf, PodloomError } from "../podloom-error.ts";
import { CaptureFlow, type Endpoint, type FrameSink } from "./capture-flow.ts";

/** The port by which readers know BGP. */
export const BGP_PORT = 179;
/** Several times the longest frame. */
const BUFFER_BYTES = 256 * 1024;
/** What the statistics at the end take. */
const EPILOGUE_BYTES = 128;
export const CAPTURE_BYTES_MAX = 64 * 1024 * 1024;

export interface SessionCaptureOptions {
  /** Made anew, with mode 0600. */
  readonly path: string;
  readonly clock: Clock;
  /** Whose sessions: the name of the interface in the file. */
  readonly name: string;
  /** The file does not grow beyond this; what comes later is counted, and the count is the last block of the file. */
  readonly bytesMax?: number;
  /** Told once, when the file is full or cannot be written any more. The sessions go on. */
  readonly onEnd?: (why: string) => void;
}

/** Writes what the sessions of one speaker say into a file. Buffers until {@link flush}. */
export class SessionCapture implements FrameSink {
  readonly stats = { frames: 0, dropped: 0, bytes: 0 };
  readonly #fd: number;
  readonly #clock: Clock;
  readonly #bytesMax: number;
  readonly #onEnd: (why: string) => void;
  /** From the clock's origin to 1970. */
  readonly #epochUs: number;
  readonly #flows = new Map<ConnId, CaptureFlow>();
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  #used = 0;
  #now: Instant = 0;
  /** "full": nothing more fits; "failed": nothing can be written, not even the end. */
  #state: "open" | "full" | "failed" | "closed" = "open";

  /** @throws PodloomError PL_CAPTURE_FAILED when the file cannot be made */
  static open(options: SessionCaptureOptions): SessionCapture {
    try {
      return new SessionCapture(options, openSync(options.path, "w", 0o600));
    } catch (cause) {
      throw new PodloomError(
        "PL_CAPTURE_FAILED",
        `the capture file ${options.path} cannot be made: ${messageOf(cause)}`,
        { remedy: "Name a file in a folder that exists and is writable.", cause },
      );
    }
  }

  private constructor(options: SessionCaptureOptions, fd: number) {
    this.#fd = fd;
    this.#clock = options.clock;
    this.#bytesMax = options.bytesMax ?? CAPTURE_BYTES_MAX;
    this.#onEnd = options.onEnd ?? (() => {});
    this.#epochUs = Date.now() * 1000 - options.clock.now();
    this.#append(
      emitSection(
        `BGP sessions of ${options.name}. The octets are what was said; the segments around them were made up: the addresses are the nodes' own, and the called port is ${BGP_PORT} whatever it was.`,
      ),
    );
    this.#append(emitInterface(LinkType.ETHERNET, options.name, "BGP sessions"));
  }

  /** A connection is there. @param incoming did the remote end call? Then our port is shown as 179, else theirs. */
  opened(conn: ConnId, local: Endpoint, remote: Endpoint, incoming: boolean): void {
    if (this.#state === "failed" || this.#state === "closed") return;
    this.#now = this.#clock.now();
    const ours = incoming ? { ...local, port: BGP_PORT } : local;
    const theirs = incoming ? remote : { ...remote, port: BGP_PORT };
    this.#flows.set(conn, new CaptureFlow(this, ours, theirs, incoming));
  }

  /** @param bytes borrowed */
  data(conn: ConnId, direction: Direction, bytes: Uint8Array): void {
    this.#now = this.#clock.now();
    this.#flows.get(conn)?.data(direction, bytes);
  }

  /** We (`out`) or they (`in`) have said all. */
  finished(conn: ConnId, direction: Direction): void {
    this.#now = this.#clock.now();
    this.#flows.get(conn)?.finish(direction);
  }

  /** The connection is no more, and was broken off by us (`out`) or them (`in`) if `reset` says so. */
  gone(conn: ConnId, reset?: Direction): void {
    const flow = this.#flows.get(conn);
    if (flow === undefined) return;
    this.#now = this.#clock.now();
    if (reset !== undefined) flow.reset(reset);
    this.#flows.delete(conn);
  }

  /** Writes what is buffered. */
  flush(): void {
    if (this.#used === 0 || this.#state === "failed" || this.#state === "closed") return;
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#used = 0;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
    } catch (thrown) {
      this.#state = "failed";
      this.#flows.clear();
      this.#onEnd(`the capture ends here, its file cannot be written: ${messageOf(thrown)}`);
    }
  }

  /** Ends the file, with the number of packets that are not in it. */
  close(): void {
    if (this.#state === "closed") return;
    const { frames, dropped } = this.stats;
    const atUs = this.#epochUs + this.#clock.now();
    this.#append(emitStatistics(0, atUs, { received: frames + dropped, dropped }));
    this.flush();
    this.#state = "closed";
    this.#flows.clear();
    closeSync(this.#fd);
  }

  reserve(
    bytes: number,
  ): { readonly view: DataView; readonly bytes: Uint8Array; readonly off: number } | undefined {
    const length = packetBlockLen(bytes);
    const full = this.stats.bytes + length + EPILOGUE_BYTES > this.#bytesMax;
    if (full && this.#state === "open") {
      this.#state = "full";
      this.#onEnd(`the capture ends here, its file has the ${this.#bytesMax} octets that it may have`);
    }
    if (this.#state !== "open") {
      this.stats.dropped++;
      return undefined;
    }
    if (this.#used + length > BUFFER_BYTES) this.flush();
    return { view: this.#view, bytes: this.#buffer, off: this.#used + PACKET_OFFSET };
  }

  commit(bytes: number, direction: Direction): void {
    emitPacket(this.#view, this.#used, 0, this.#epochUs + this.#now, bytes, direction);
    const length = packetBlockLen(bytes);
    this.#used += length;
    this.stats.bytes += length;
    this.stats.frames++;
  }

  #append(block: Uint8Array): void {
    if (this.#used + block.length > BUFFER_BYTES) this.flush();
    this.#buffer.set(block, this.#used);
    this.#used += block.length;
    this.stats.bytes += block.length;
  }
}
