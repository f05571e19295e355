// A data folder as JSON lines, and back. The first line says what it is, the last that nothing is missing. Keys and values are
// text where they are UTF-8 (`key`, `value`) and base64 else (`keyBase64`, `valueBase64`).

import { PodloomError } from "../podloom-error.ts";
import { type ByteKey, bytesOfKey, keyOfBytes } from "./byte-key.ts";
import type { Contents, Identity } from "./journal/replay.ts";
import { isTombstone, type KeyValue } from "./operations.ts";

const FORMAT_NAME = "podloom-store-dump";

/** All lines, without their ends. */
export function* dumpLines(contents: Contents, identity: Identity | undefined): Generator<string> {
  const { mvcc, lessor, alarms } = contents;
  const { revision, compactRevision } = mvcc;
  const { base, history } = mvcc.image();
  let lines = 1;
  const clusterId = identity?.clusterId ?? "0";
  yield JSON.stringify({ format: FORMAT_NAME, version: 1, clusterId, revision, compactRevision });
  for (const { id, ttlSec } of lessor.grants()) {
    lines++;
    yield JSON.stringify({ lease: id, ttlSec });
  }
  for (const { memberId, alarm } of alarms.list()) {
    lines++;
    yield JSON.stringify({ alarm, memberId });
  }
  for (const kv of [...base, ...history]) {
    lines++;
    yield JSON.stringify(versionLine(kv));
  }
  yield JSON.stringify({ end: true, lines: lines + 1 });
}

function versionLine(kv: KeyValue): object {
  const key = bytesField("key", bytesOfKey(kv.key));
  if (isTombstone(kv)) return { ...key, deleted: true, mod: kv.modRevision };
  const lease = kv.lease === "0" ? {} : { lease: kv.lease };
  const { createRevision: create, modRevision: mod, version } = kv;
  return { ...key, ...bytesField("value", kv.value), create, mod, version, ...lease };
}

function bytesField(name: string, bytes: Uint8Array): object {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString("utf8");
  return Buffer.from(text, "utf8").equals(buffer)
    ? { [name]: text }
    : { [`${name}Base64`]: buffer.toString("base64") };
}

/** What the lines of a dump say. */
export interface Dump {
  readonly revision: number;
  readonly compactRevision: number;
  readonly leases: readonly { readonly id: string; readonly ttlSec: number }[];
  readonly alarms: readonly { readonly memberId: string; readonly alarm: number }[];
  readonly versions: readonly KeyValue[];
}

/** Reads a dump. @throws PodloomError PL_STORE_DUMP, with the number of the line */
export function parseDump(text: string): Dump {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const rows = lines.map((line, i) => parseLine(line, i + 1));
  const [head] = rows;
  if (head?.format !== FORMAT_NAME || head.version !== 1)
    throw dumpError(1, `it does not begin with {"format":"${FORMAT_NAME}","version":1,…}`);
  const end = rows.at(-1) as Row;
  if (end.end !== true || end.lines !== rows.length)
    throw dumpError(rows.length, "the last line is missing or counts others: the dump is not whole");
  const leases: { id: string; ttlSec: number }[] = [];
  const alarms: { memberId: string; alarm: number }[] = [];
  const versions: KeyValue[] = [];
  for (let i = 1; i < rows.length - 1; i++) {
    const row = new FieldReader(rows[i] as Row, i + 1);
    if (row.has("ttlSec")) leases.push({ id: row.lease("lease"), ttlSec: row.number("ttlSec") });
    else if (row.has("alarm")) alarms.push({ memberId: row.lease("memberId"), alarm: row.number("alarm") });
    else versions.push(versionOf(row));
  }
  const first = new FieldReader(head, 1);
  return {
    revision: first.number("revision"),
    compactRevision: first.number("compactRevision", -1),
    leases,
    alarms,
    versions,
  };
}

function versionOf(row: FieldReader): KeyValue {
  const key: ByteKey = keyOfBytes(row.bytes("key"));
  const modRevision = row.number("mod");
  if (row.has("deleted"))
    return { key, value: Buffer.alloc(0), createRevision: 0, modRevision, version: 0, lease: "0" };
  return {
    key,
    value: row.bytes("value"),
    createRevision: row.number("create"),
    modRevision,
    version: row.number("version", 1),
    lease: row.has("lease") ? row.lease("lease") : "0",
  };
}

type Row = Readonly<Record<string, unknown>>;

function parseLine(line: string, number: number): Row {
  try {
    const row: unknown = JSON.parse(line);
    if (typeof row === "object" && row !== null) return row as Row;
  } catch {
    // Said below.
  }
  throw dumpError(number, "it is not a JSON object");
}

class FieldReader {
  readonly #row: Row;
  readonly #line: number;

  constructor(row: Row, line: number) {
    this.#row = row;
    this.#line = line;
  }

  has(name: string): boolean {
    return this.#row[name] !== undefined;
  }

  number(name: string, min = 0): number {
    const value = this.#row[name];
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) < 2 ** 47)
      return value as number;
    throw dumpError(this.#line, `"${name}" is not a whole number from ${min} on`);
  }

  /** A 64-bit number as text. */
  lease(name: string): string {
    const value = this.#row[name];
    if (typeof value === "string" && /^-?\d{1,20}$/.test(value)) return value;
    throw dumpError(this.#line, `"${name}" is not a number in quotes`);
  }

  bytes(name: string): Buffer {
    const value = this.#row[name];
    const base64 = this.#row[`${name}Base64`];
    if (typeof value === "string") return Buffer.from(value, "utf8");
    if (typeof base64 === "string") return Buffer.from(base64, "base64");
    throw dumpError(this.#line, `there is neither "${name}" nor "${name}Base64"`);
  }
}

function dumpError(line: number, what: string): PodloomError {
  return new PodloomError("PL_STORE_DUMP", `line ${line} of the dump: ${what}`, {
    remedy: "Give it what `podloom store dump` has printed, unchanged.",
  });
}
