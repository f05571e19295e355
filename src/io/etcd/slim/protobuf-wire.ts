// The protobuf wire format: varints, lengths and tags, read from bytes that may be anything.

/** Bytes that are not the message that they should be. Caught by whoever decodes; never leaves this folder. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}

export const WireType = { VARINT: 0, I64: 1, LEN: 2, I32: 5 } as const;

const TWO_32 = 2 ** 32;
const TWO_63 = 2n ** 63n;

/** Reads forward through `bytes`, between `pos` and `end`. */
export class WireReader {
  readonly bytes: Uint8Array;
  pos = 0;
  end: number;
  /** The halves of the last varint, as unsigned 32-bit numbers. */
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.end = bytes.length;
  }

  /** A tag or a length: a number below 2^32. */
  uint32(): number {
    // One byte is nearly always all.
    const first = this.bytes[this.pos] as number;
    if (this.pos < this.end && first < 0x80) {
      this.pos++;
      return first;
    }
    this.#varint();
    if (this.#high !== 0) throw new MalformedError("a tag or a length is beyond 32 bits");
    return this.#low;
  }

  /** A signed 64-bit number that must be one that JavaScript can hold. */
  int64(): number {
    this.#varint();
    const value = (this.#high | 0) * TWO_32 + this.#low;
    if (!Number.isSafeInteger(value)) throw new MalformedError("a number is beyond 2^53");
    return value;
  }

  /** An enum's number, which has 32 bits and a sign. */
  enum(): number {
    this.#varint();
    return this.#low | 0;
  }

  bool(): boolean {
    this.#varint();
    return this.#low !== 0 || this.#high !== 0;
  }

  /** Any 64-bit number as decimal text. */
  decimal(signed: boolean): string {
    this.#varint();
    if (this.#high < 0x200000) return String(this.#high * TWO_32 + this.#low);
    const value = (BigInt(this.#high) << 32n) | BigInt(this.#low);
    return String(signed ? BigInt.asIntN(64, value) : value);
  }

  /** A length and so many bytes: a view, not a copy. */
  slice(): Uint8Array {
    const end = this.limit();
    const slice = this.bytes.subarray(this.pos, end);
    this.pos = end;
    return slice;
  }

  /** A length; answers where what it measures ends. */
  limit(): number {
    const length = this.uint32();
    const end = this.pos + length;
    if (end > this.end) throw new MalformedError("a length is beyond the end");
    return end;
  }

  /** Steps over a field that is not known. */
  skip(wireType: number): void {
    switch (wireType) {
      case WireType.VARINT:
        this.#varint();
        return;
      case WireType.I64:
        this.#advance(8);
        return;
      case WireType.LEN:
        this.pos = this.limit();
        return;
      case WireType.I32:
        this.#advance(4);
        return;
      default:
        throw new MalformedError(`there is no wire type ${wireType}`);
    }
  }

  #advance(count: number): void {
    if (this.pos + count > this.end) throw new MalformedError("a number is cut short");
    this.pos += count;
  }

  #varint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.pos >= this.end) throw new MalformedError("a varint is cut short");
      const byte = this.bytes[this.pos++] as number;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    throw new MalformedError("a varint has more than ten bytes");
  }
}

/** Appends to a buffer that grows. */
export class WireWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** @param reserved bytes to leave free at the front, for a frame's head */
  constructor(reserved = 0) {
    this.#bytes = new Uint8Array(256);
    this.#length = reserved;
  }

  get length(): number {
    return this.#length;
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A whole number, up to 2^53 either way. */
  int64(value: number): void {
    if (value >= 0 && value < TWO_32) this.#small(value);
    else this.#big(BigInt(value));
  }

  /** A 64-bit number from decimal text. @throws RangeError when it is none */
  decimal(text: string): void {
    const value = decimalValue(text);
    if (value >= 0n && value < TWO_32) this.#small(Number(value));
    else this.#big(value);
  }

  tag(field: number, wireType: number): void {
    this.#small(field * 8 + wireType);
  }

  bytes(bytes: Uint8Array): void {
    this.#small(bytes.length);
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Puts the length of what `write` writes before it. */
  nested(write: () => void): void {
    // Room for the longest length is left, and closed up when the length is known: messages within messages are short.
    const at = this.#length;
    this.#room(5);
    this.#length += 5;
    write();
    const [start, end] = [at + 5, this.#length];
    this.#length = at;
    this.#small(end - start);
    this.#bytes.copyWithin(this.#length, start, end);
    this.#length += end - start;
  }

  #small(value: number): void {
    this.#room(5);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
    this.#bytes[this.#length++] = rest;
  }

  #big(value: bigint): void {
    this.#room(10);
    let rest = BigInt.asUintN(64, value);
    for (; rest >= 0x80n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
    this.#bytes[this.#length++] = Number(rest);
  }

  #room(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** @throws RangeError */
function decimalValue(text: string): bigint {
  const value = /^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  if (value === undefined || value < -TWO_63 || value >= 2n * TWO_63) {
    throw new RangeError(`"${text}" is not a 64-bit number`);
  }
  return value;
}
