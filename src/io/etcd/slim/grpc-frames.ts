// gRPC's frames within an HTTP/2 stream: a byte that says whether the message is compressed, its length in four, the message.
import { type Draft, encodeInto, type Fields, type Table, type ValueOf } from "./protobuf-table.ts";
import { WireWriter } from "./protobuf-wire.ts";

const HEAD_BYTES = 5;
/** The longest message that is taken in. etcd refuses requests above 1.5 MiB, but a list or a transaction's events are longer. */
export const MESSAGE_MAX_BYTES = 256 * 2 ** 20;

/** A message in its frame. */
export function frame<F extends Fields>(of: Table<F>, value: Draft<ValueOf<F>>): Buffer {
  const out = new WireWriter(HEAD_BYTES);
  encodeInto(out, of as unknown as Table, value as Readonly<Record<string, unknown>>);
  const bytes = out.finish();
  const framed = Buffer.from(bytes.buffer, 0, bytes.length);
  framed.writeUInt32BE(bytes.length - HEAD_BYTES, 1);
  return framed;
}

/** Puts messages together from the pieces that arrive. */
export class FrameReader {
  #pieces: Buffer[] = [];
  #length = 0;
  /** How many bytes the next message needs, head and all; 0 until its head is here. */
  #wanted = 0;

  /** Takes a piece in. What it completes is for {@link next} to answer. */
  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
  }

  /** The next whole message, a view; undefined until there is one. Answers text when the stream makes no sense. */
  next(): Uint8Array | string | undefined {
    if (this.#wanted === 0) {
      if (this.#length < HEAD_BYTES) return undefined;
      const head = this.#joined(HEAD_BYTES);
      if (head[0] !== 0) return "the server sent a compressed message, which was not asked for";
      const length = head.readUInt32BE(1);
      if (length > MESSAGE_MAX_BYTES)
        return `the server sent a message of ${length} bytes, which is too large`;
      this.#wanted = HEAD_BYTES + length;
    }
    if (this.#length < this.#wanted) return undefined;
    const all = this.#joined(this.#wanted);
    const message = all.subarray(HEAD_BYTES, this.#wanted);
    this.#length -= this.#wanted;
    if (all.length === this.#wanted) this.#pieces.shift();
    else this.#pieces[0] = all.subarray(this.#wanted);
    this.#wanted = 0;
    return message;
  }

  /** The first piece, made to have at least `count` bytes. */
  #joined(count: number): Buffer {
    const first = this.#pieces[0] as Buffer;
    if (first.length >= count) return first;
    const all = Buffer.concat(this.#pieces);
    this.#pieces = [all];
    return all;
  }
}
