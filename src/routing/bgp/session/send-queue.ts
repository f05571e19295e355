import { Ring } from "../../../base/ring.ts";

/** Octets that wait at most before {@link SendQueue.full}. */
const HIGH_WATER_BYTES = 256 * 1024;
/** Octets that are written to the socket in one piece, unless one chunk alone is longer. */
const WRITE_BYTES = 64 * 1024;
/** More chunks than this are never needed: the shortest message has 19 octets. */
const CHUNKS_MAX = 1 << 16;

/**
 * What is to be written to one connection: chunks of whole messages in order, which leave as few large writes. While the
 * connection is blocked nothing leaves, and a queue that is full takes nothing more but what the session itself must say.
 */
export class SendQueue {
  readonly #chunks = new Ring<Uint8Array>(CHUNKS_MAX);
  #last: Uint8Array | undefined;
  #bytes = 0;
  /** The socket takes no more for now. */
  blocked = false;

  /** Octets that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#bytes >= HIGH_WATER_BYTES || this.#chunks.size >= CHUNKS_MAX - 16;
  }

  /** Appends whole messages. The array is borrowed until it has left, and may be shared: nobody writes to it. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0 || !this.#chunks.push(chunk)) return;
    this.#last = chunk;
    this.#bytes += chunk.length;
  }

  /** Like {@link push}, unless the very same array is what waits last: one KEEPALIVE says as much as ten. */
  pushOnce(chunk: Uint8Array): void {
    if (this.#bytes === 0 || this.#last !== chunk) this.push(chunk);
  }

  /** Takes what is to be written next, or undefined when there is nothing, or the connection is blocked. */
  take(): Uint8Array | undefined {
    return this.blocked ? undefined : this.#shift(WRITE_BYTES);
  }

  /** Takes everything, whether the connection is blocked or not. */
  takeAll(): Uint8Array | undefined {
    return this.#shift(Number.POSITIVE_INFINITY);
  }

  clear(): void {
    while (this.#chunks.shift() !== undefined);
    this.#last = undefined;
    this.#bytes = 0;
  }

  #shift(bytesMax: number): Uint8Array | undefined {
    const first = this.#chunks.shift();
    if (first === undefined) return undefined;
    this.#bytes -= first.length;
    const second = this.#chunks.peek();
    if (second === undefined || first.length + second.length > bytesMax) return first;
    const parts = [first];
    let length = first.length;
    for (let next: Uint8Array | undefined = second; next !== undefined; next = this.#chunks.peek()) {
      if (length + next.length > bytesMax) break;
      this.#chunks.shift();
      parts.push(next);
      length += next.length;
    }
    this.#bytes -= length - first.length;
    return concat(parts, length);
  }
}

function concat(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
