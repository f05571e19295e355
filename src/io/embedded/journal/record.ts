// What the store writes down: results, not requests. Replaying them decides nothing, so that a file from an older podloom
// gives the same contents as it did then.
import type { LeaseId } from "../../../control/datastore/messages.ts";
import { NO_LEASE } from "../../../control/datastore/messages.ts";
import { isTombstone, type KeyValue } from "../operations.ts";
import { readU16, readU32, readU48 } from "./frame.ts";

/** Version of the files. A podloom refuses those of a later one. */
export const FORMAT = 1;

export type JournalRecord =
  /** The server was started: who it is, and how often that was. */
  | {
      readonly t: "start";
      readonly format: number;
      readonly clusterId: string;
      readonly memberId: string;
      readonly term: number;
    }
  /** One revision: all of its changes, in order. */
  | { readonly t: "commit"; readonly revision: number; readonly changes: readonly KeyValue[] }
  | { readonly t: "grant"; readonly id: LeaseId; readonly ttlSec: number }
  /** A lease ended, and its keys with it: one record, because it must not happen by half. No changes: no revision. */
  | {
      readonly t: "revoke";
      readonly id: LeaseId;
      readonly revision: number;
      readonly changes: readonly KeyValue[];
    }
  | { readonly t: "compact"; readonly revision: number }
  | { readonly t: "alarm"; readonly memberId: string; readonly alarm: number; readonly active: boolean }
  /** Begins a snapshot: what it stands for. */
  | {
      readonly t: "image";
      readonly sequence: number;
      readonly revision: number;
      readonly compactRevision: number;
    }
  /** Versions that are older than the history which follows in a snapshot. */
  | { readonly t: "base"; readonly versions: readonly KeyValue[] }
  /** Ends a snapshot: without it, it is not one. */
  | { readonly t: "end" };

const Type = {
  start: 1,
  commit: 2,
  grant: 3,
  revoke: 4,
  compact: 5,
  alarm: 6,
  image: 7,
  base: 8,
  end: 9,
} as const;

/** Flags of a version. */
const TOMBSTONE = 1;
const ON_LEASE = 2;

const NO_VALUE = new Uint8Array(0);

/** At most so many bytes does the body of `record` take. */
export function bodyBytesMax(record: JournalRecord): number {
  const kvs = record.t === "base" ? record.versions : "changes" in record ? record.changes : [];
  let bytes = 64;
  for (const kv of kvs) bytes += 40 + kv.key.length + kv.value.length;
  return bytes;
}

/** Writes the body of `record`; there must be room for it. Returns where it ends. */
export function writeRecord(bytes: Buffer, from: number, record: JournalRecord): number {
  let at = bytes.writeUInt8(Type[record.t], from);
  switch (record.t) {
    case "start":
      at = bytes.writeUInt16LE(record.format, at);
      at = bytes.writeBigUInt64LE(BigInt(record.clusterId), at);
      at = bytes.writeBigUInt64LE(BigInt(record.memberId), at);
      return bytes.writeUIntLE(record.term, at, 6);
    case "commit":
      at = bytes.writeUIntLE(record.revision, at, 6);
      return writeVersions(bytes, at, record.changes);
    case "grant":
      at = bytes.writeBigInt64LE(BigInt(record.id), at);
      return bytes.writeUIntLE(record.ttlSec, at, 6);
    case "revoke":
      at = bytes.writeBigInt64LE(BigInt(record.id), at);
      at = bytes.writeUIntLE(record.revision, at, 6);
      return writeVersions(bytes, at, record.changes);
    case "compact":
      return bytes.writeIntLE(record.revision, at, 6);
    case "alarm":
      at = bytes.writeBigUInt64LE(BigInt(record.memberId), at);
      at = bytes.writeInt32LE(record.alarm, at);
      return bytes.writeUInt8(record.active ? 1 : 0, at);
    case "image":
      at = bytes.writeUIntLE(record.sequence, at, 6);
      at = bytes.writeUIntLE(record.revision, at, 6);
      return bytes.writeIntLE(record.compactRevision, at, 6);
    case "base":
      return writeVersions(bytes, at, record.versions);
    case "end":
      return at;
  }
}

/** The record in `bytes[from, to)`; undefined when that is none. Values are views of `bytes`, which must not change any more. */
export function parseRecord(bytes: Buffer, from: number, to: number): JournalRecord | undefined {
  const reader = new Reader(bytes, from, to);
  try {
    const record = readRecord(reader);
    return reader.at === to ? record : undefined;
  } catch (thrown) {
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

function readRecord(reader: Reader): JournalRecord | undefined {
  switch (reader.u8()) {
    case Type.start:
      return {
        t: "start",
        format: reader.u16(),
        clusterId: reader.u64(),
        memberId: reader.u64(),
        term: reader.u48(),
      };
    case Type.commit:
      return { t: "commit", revision: reader.u48(), changes: readVersions(reader) };
    case Type.grant:
      return { t: "grant", id: reader.i64(), ttlSec: reader.u48() };
    case Type.revoke:
      return { t: "revoke", id: reader.i64(), revision: reader.u48(), changes: readVersions(reader) };
    case Type.compact:
      return { t: "compact", revision: reader.i48() };
    case Type.alarm:
      return { t: "alarm", memberId: reader.u64(), alarm: reader.i32(), active: reader.u8() === 1 };
    case Type.image:
      return {
        t: "image",
        sequence: reader.u48(),
        revision: reader.u48(),
        compactRevision: reader.i48(),
      };
    case Type.base:
      return { t: "base", versions: readVersions(reader) };
    case Type.end:
      return { t: "end" };
    default:
      return undefined;
  }
}

function writeVersions(bytes: Buffer, from: number, kvs: readonly KeyValue[]): number {
  let at = bytes.writeUInt32LE(kvs.length, from);
  for (const kv of kvs) {
    const leased = kv.lease !== NO_LEASE;
    at = bytes.writeUInt8((isTombstone(kv) ? TOMBSTONE : 0) | (leased ? ON_LEASE : 0), at);
    at = bytes.writeUInt32LE(kv.key.length, at);
    at += bytes.write(kv.key, at, "latin1");
    at = bytes.writeUIntLE(kv.modRevision, at, 6);
    if (isTombstone(kv)) continue;
    at = bytes.writeUIntLE(kv.createRevision, at, 6);
    at = bytes.writeUIntLE(kv.version, at, 6);
    if (leased) at = bytes.writeBigInt64LE(BigInt(kv.lease), at);
    at = bytes.writeUInt32LE(kv.value.length, at);
    bytes.set(kv.value, at);
    at += kv.value.length;
  }
  return at;
}

function readVersions(reader: Reader): readonly KeyValue[] {
  const kvs: KeyValue[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    const flags = reader.u8();
    const key = reader.latin1(reader.u32());
    const modRevision = reader.u48();
    if ((flags & TOMBSTONE) !== 0) {
      kvs.push({ key, value: NO_VALUE, createRevision: 0, modRevision, version: 0, lease: NO_LEASE });
      continue;
    }
    const createRevision = reader.u48();
    const version = reader.u48();
    const lease = (flags & ON_LEASE) === 0 ? NO_LEASE : reader.i64();
    kvs.push({ key, value: reader.view(reader.u32()), createRevision, modRevision, version, lease });
  }
  return kvs;
}

/** Throws a RangeError when it is asked for more than there is. */
class Reader {
  readonly #bytes: Buffer;
  readonly #to: number;
  at: number;

  constructor(bytes: Buffer, from: number, to: number) {
    this.#bytes = bytes;
    this.#to = to;
    this.at = from;
  }

  u8(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  u16(): number {
    return readU16(this.#bytes, this.#take(2));
  }

  u32(): number {
    return readU32(this.#bytes, this.#take(4));
  }

  i32(): number {
    return readU32(this.#bytes, this.#take(4)) | 0;
  }

  u48(): number {
    return readU48(this.#bytes, this.#take(6));
  }

  i48(): number {
    return this.#bytes.readIntLE(this.#take(6), 6);
  }

  u64(): string {
    return this.#bytes.readBigUInt64LE(this.#take(8)).toString();
  }

  i64(): string {
    return this.#bytes.readBigInt64LE(this.#take(8)).toString();
  }

  latin1(bytes: number): string {
    const from = this.#take(bytes);
    return this.#bytes.toString("latin1", from, from + bytes);
  }

  view(bytes: number): Uint8Array {
    const { buffer, byteOffset } = this.#bytes;
    return new Uint8Array(buffer, byteOffset + this.#take(bytes), bytes);
  }

  #take(bytes: number): number {
    const from = this.at;
    if (bytes > this.#to - from) throw new RangeError("the record ends early");
    this.at += bytes;
    return from;
  }
}
