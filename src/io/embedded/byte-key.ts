/**
 * A key of the store. etcd's keys are bytes; here each byte is one character (latin1), so that JavaScript's own string
 * comparison is etcd's byte-wise order and a key can be a Map key.
 */
export type ByteKey = string;

/** Greater than every key: the end of the range that etcd writes as range_end "\0" (all keys from `key` on). */
export const KEYSPACE_END: ByteKey = "\uffff";

/** One key when `end` is undefined, else the keys k with key <= k < end. */
export interface Span {
  readonly key: ByteKey;
  readonly end: ByteKey | undefined;
}

/** The key of the bytes, which are copied. */
export function keyOfBytes(bytes: Buffer): ByteKey {
  return bytes.toString("latin1");
}

/** The bytes of a key, freshly allocated. */
export function bytesOfKey(key: ByteKey): Buffer {
  return Buffer.from(key, "latin1");
}

/** Is `key` in the span? */
export function spanContains(span: Span, key: ByteKey): boolean {
  return span.end === undefined ? key === span.key : key >= span.key && key < span.end;
}

/** The end of the range of all keys that start with `prefix`, as clients compute it. */
export function prefixEnd(prefix: ByteKey): ByteKey {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const code = prefix.charCodeAt(i);
    if (code < 0xff) return prefix.slice(0, i) + String.fromCharCode(code + 1);
  }
  return KEYSPACE_END;
}
