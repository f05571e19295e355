// The framing of podloom's local sockets: a 4-byte big-endian length, then one msgpackr value. Whoever is at the other end
// may be broken: lengths are bounded before anything is kept, and memory grows only with bytes that have arrived.
import type { Packr } from "msgpackr";
import { loadPackr } from "../late-packr.ts";
import { messageOf, PodloomError } from "../podloom-error.ts";
import { FRAME_BYTES_MAX } from "./protocol.ts";

const LENGTH_BYTES = 4;
const NOT_PODLOOM =
  "What speaks on this socket is not the same version of podloom; stop it and start it again.";

let made: Packr | undefined;

/** Plain maps, not msgpackr's records: these carry no state from frame to frame. */
function codec(): Packr {
  if (made === undefined) {
    const Codec = loadPackr();
    made = new Codec({ useRecords: false, mapsAsObjects: true });
  }
  return made;
}

/** One frame. @throws PodloomError PL_FRAME_TOO_LONG when `value` needs more than FRAME_BYTES_MAX */
export function encodeFrame(value: unknown): Buffer {
  const body = codec().pack(value);
  if (body.length > FRAME_BYTES_MAX) {
    throw new PodloomError(
      "PL_FRAME_TOO_LONG",
      `a message of ${body.length} bytes is more than ${FRAME_BYTES_MAX}`,
      { remedy: "Ask for less at once, for example of one node with --node." },
    );
  }
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + body.length);
  frame.writeUInt32BE(body.length);
  body.copy(frame, LENGTH_BYTES);
  return frame;
}

/** Cuts a stream of bytes into values. After it threw, the stream makes no sense any more: give it up. */
export class FrameDecoder {
  /** What has arrived of frames that are not complete. */
  #chunks: Buffer[] = [];
  #size = 0;
  /** Bytes that must be here before anything can be done. */
  #wanted = LENGTH_BYTES;

  /** Bytes kept for a frame that is not complete. */
  get buffered(): number {
    return this.#size;
  }

  /**
   * Takes in the next bytes (borrowed until it returns, then kept if incomplete) and hands every complete value to `each`.
   *
   * @throws PodloomError PL_FRAME_TOO_LONG, PL_FRAME_MALFORMED
   */
  push(chunk: Buffer, each: (value: unknown) => void): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#size >= this.#wanted) {
      const bytes = this.#joined();
      const length = bytes.readUInt32BE();
      if (length > FRAME_BYTES_MAX || length === 0) {
        throw new PodloomError(
          "PL_FRAME_TOO_LONG",
          `a frame announces ${length} bytes; 1 to ${FRAME_BYTES_MAX} are allowed`,
          { remedy: NOT_PODLOOM },
        );
      }
      const end = LENGTH_BYTES + length;
      if (bytes.length < end) {
        this.#wanted = end;
        return;
      }
      const rest = bytes.subarray(end);
      this.#chunks = rest.length === 0 ? [] : [rest];
      this.#size = rest.length;
      this.#wanted = LENGTH_BYTES;
      each(decode(bytes.subarray(LENGTH_BYTES, end)));
    }
  }

  #joined(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] as Buffer;
  }
}

function decode(body: Buffer): unknown {
  try {
    return codec().unpack(body) as unknown;
  } catch (cause) {
    throw new PodloomError(
      "PL_FRAME_MALFORMED",
      `a frame does not hold a msgpack value: ${messageOf(cause)}`,
      { remedy: NOT_PODLOOM, cause },
    );
  }
}
