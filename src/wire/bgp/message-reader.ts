import { assert } from "../../base/assert.ts";
import type { BgpError } from "./errors.ts";
import { checkHeader, HEADER_LEN, MESSAGE_MAX, messageLength } from "./header.ts";
import { NO_OCTETS } from "./octets.ts";

/**
 * Cuts a byte stream into messages, whatever the chunks. Whole messages are views into the chunk itself; only what a chunk
 * begins and does not end is copied, so the reader never holds more than one message (19 octets while its header is not
 * complete, its own length afterwards). The header is judged as soon as its 19 octets are there.
 *
 * One chunk in, drain {@link next}, then the next chunk.
 *
 * @rfc 4271#4.1 @rfc 8654#4
 */
export class MessageReader {
  #maxBytes: number;
  /** The beginning of a message whose end has not come. */
  #stash: Uint8Array = NO_OCTETS;
  #stashed = 0;
  #chunk: Uint8Array = NO_OCTETS;
  #at = 0;
  #error: BgpError | undefined;

  /** @param maxBytes 4096 or 65535: see {@link checkHeader} */
  constructor(maxBytes: number = MESSAGE_MAX) {
    this.#maxBytes = maxBytes;
  }

  /** From now on, messages may be this long: 65535 after an OPEN with which we announced extended messages. @rfc 8654#4 */
  setMaxBytes(maxBytes: number): void {
    this.#maxBytes = maxBytes;
  }

  /** What was wrong with a header. Set once and for good: after it the stream has no message boundaries any more. */
  get error(): BgpError | undefined {
    return this.#error;
  }

  /** Octets that wait for the rest of their message. */
  get stashed(): number {
    return this.#stashed;
  }

  /** Takes the next chunk of the stream, which is borrowed until {@link next} has answered undefined. */
  push(chunk: Uint8Array): void {
    assert(this.#at === this.#chunk.length, "drain the reader before the next chunk");
    this.#chunk = plain(chunk);
    this.#at = 0;
  }

  /**
   * The next whole message, header included, or undefined when more octets are needed or {@link error} is set. The view is
   * borrowed: it holds until the next call of `next` or `push`.
   */
  next(): Uint8Array | undefined {
    if (this.#error !== undefined) return this.#drop();
    if (this.#stashed > 0) return this.#nextFromStash();
    const chunk = this.#chunk;
    const at = this.#at;
    const left = chunk.length - at;
    if (left < HEADER_LEN) return this.#keep(HEADER_LEN);
    this.#error = checkHeader(chunk, at, this.#maxBytes);
    if (this.#error !== undefined) return this.#drop();
    const length = messageLength(chunk, at);
    if (left < length) return this.#keep(length);
    this.#at = at + length;
    return chunk.subarray(at, at + length);
  }

  #nextFromStash(): Uint8Array | undefined {
    const judged = this.#stashed >= HEADER_LEN;
    if (!judged) {
      if (!this.#fill(HEADER_LEN)) return undefined;
      this.#error = checkHeader(this.#stash, 0, this.#maxBytes);
      if (this.#error !== undefined) return this.#drop();
    }
    const length = messageLength(this.#stash);
    if (!this.#fill(length)) return undefined;
    this.#stashed = 0;
    const message = this.#stash.subarray(0, length);
    // A large stash would stay for the session's life, and there are thousands of sessions.
    if (this.#stash.length > MESSAGE_MAX) this.#stash = NO_OCTETS;
    return message;
  }

  /** Moves octets from the chunk until the stash holds `length`; false when the chunk ends before. */
  #fill(length: number): boolean {
    const n = Math.min(length - this.#stashed, this.#chunk.length - this.#at);
    this.#reserve(length);
    this.#stash.set(this.#chunk.subarray(this.#at, this.#at + n), this.#stashed);
    this.#stashed += n;
    this.#at += n;
    if (this.#at === this.#chunk.length) this.#forgetChunk();
    return this.#stashed === length;
  }

  /** Stashes what is left of the chunk, the beginning of `length` octets. */
  #keep(length: number): undefined {
    if (this.#at < this.#chunk.length) this.#fill(length);
    else this.#forgetChunk();
    return undefined;
  }

  /** Half as much again at a time: a peer must send a message before it makes us hold its size. */
  #reserve(length: number): void {
    if (length <= this.#stash.length) return;
    const needed = Math.min(length, this.#stashed + this.#chunk.length - this.#at);
    if (needed <= this.#stash.length) return;
    const grown = new Uint8Array(Math.min(length, Math.max(needed, 64, 2 * this.#stash.length)));
    grown.set(this.#stash.subarray(0, this.#stashed));
    this.#stash = grown;
  }

  #forgetChunk(): void {
    this.#chunk = NO_OCTETS;
    this.#at = 0;
  }

  #drop(): undefined {
    this.#stash = NO_OCTETS;
    this.#stashed = 0;
    this.#forgetChunk();
    return undefined;
  }
}

/** Sockets hand out a subclass whose slice() copies nothing: what readers keep of a message would stay borrowed, and hold all of the chunk. */
function plain(bytes: Uint8Array): Uint8Array {
  if (bytes.constructor === Uint8Array) return bytes;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
