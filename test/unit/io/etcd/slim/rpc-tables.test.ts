// The tables against the `.proto` files that the etcd3 package ships, and the codec against protobufjs, both ways.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { loadSync, type MessageTypeDefinition, type ServiceDefinition } from "@grpc/proto-loader";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode, type Table, table } from "../../../../../src/io/etcd/slim/protobuf-table.ts";
import * as rpc from "../../../../../src/io/etcd/slim/rpc-tables.ts";

type Values = Record<string, unknown>;
/** A field as protobuf's own descriptors have it. */
interface ProtoField {
  readonly name: string;
  readonly number: number;
  readonly label: string;
  readonly type: string;
  readonly typeName: string;
}
interface ProtoMessage {
  readonly name: string;
  readonly field: readonly ProtoField[];
  readonly enumType: readonly {
    readonly name: string;
    readonly value: readonly { name: string; number: number }[];
  }[];
}
interface Codec {
  serialize(value: object): Buffer;
  deserialize(bytes: Buffer): Values;
}

const etcd3 = dirname(createRequire(import.meta.url).resolve("etcd3/package.json"));
const definition = loadSync("rpc.proto", {
  includeDirs: [join(etcd3, "proto")],
  keepCase: true,
  longs: String,
  enums: Number,
  defaults: true,
});
const TABLES = Object.values(rpc).filter(
  (value): value is Table<never> => "byNo" in value,
) as unknown as Table[];

function protoOf(name: string): ProtoMessage {
  const found = definition[name] as MessageTypeDefinition<object, object> | undefined;
  if (found === undefined) throw new Error(`there is no ${name} in the .proto files`);
  return found.type as unknown as ProtoMessage;
}

/** protobufjs' codec of every message that is a request or an answer. */
const codecs = new Map<string, Codec>();
for (const service of Object.values(definition)) {
  if ("format" in service) continue;
  for (const method of Object.values(service as ServiceDefinition)) {
    const { requestType, responseType } = method;
    codecs.set((requestType.type as ProtoMessage).name, {
      serialize: method.requestSerialize,
      deserialize: method.requestDeserialize as (bytes: Buffer) => Values,
    });
    codecs.set((responseType.type as ProtoMessage).name, {
      serialize: method.responseSerialize,
      deserialize: method.responseDeserialize as (bytes: Buffer) => Values,
    });
  }
}
/** Which fields of a message are members of its oneof: proto-loader's descriptors do not tell. etcd has one at most. */
const oneofs = new Map<string, string[]>();
const source = readFileSync(join(etcd3, "proto", "rpc.proto"), "utf8");
const ONEOF = /message (\w+) \{(?:[^{}]|enum \w+ \{[^}]*\})*?oneof \w+ \{([^}]*)\}/g;
for (const [, name, members] of source.matchAll(ONEOF)) {
  oneofs.set(
    name as string,
    [...(members as string).matchAll(/(\w+) = \d+;/g)].map(([, field]) => field as string),
  );
}
const shortName = (name: string): string => name.slice(name.lastIndexOf(".") + 1);
const ROOTS = TABLES.filter(({ name }) => codecs.has(shortName(name)));

const TYPES: Readonly<Record<string, readonly string[]>> = {
  TYPE_BYTES: ["bytes"],
  TYPE_STRING: ["string"],
  TYPE_BOOL: ["bool"],
  TYPE_INT64: ["int64", "id"],
  TYPE_UINT64: ["uid"],
  TYPE_ENUM: ["enum"],
  TYPE_MESSAGE: ["message"],
};

describe("a table agrees with its .proto file", () => {
  test.each(TABLES.map((each) => [each.name, each] as const))("%s", (name, of) => {
    const proto = protoOf(name);
    expect(proto.name).toBe(shortName(name));
    for (const { key, field } of of.list) {
      const theirs = proto.field.find((each) => each.name === key);
      if (theirs === undefined) throw new Error(`${name} has no field ${key}`);
      expect([key, field.no, field.repeated]).toEqual([
        key,
        theirs.number,
        theirs.label === "LABEL_REPEATED",
      ]);
      expect(TYPES[theirs.type]).toContain(field.kind);
      if (field.table !== undefined) expect(shortName(field.table.name)).toBe(shortName(theirs.typeName));
      // Absent is another thing than zero in a oneof, and there alone.
      if (field.kind !== "message")
        expect(field.absent === undefined).toBe(oneofs.get(proto.name)?.includes(key) === true);
    }
  });

  test("the oneofs were found", () => {
    expect(Object.fromEntries(oneofs)).toMatchObject({
      RequestOp: ["request_range", "request_put", "request_delete_range", "request_txn"],
      Compare: ["version", "create_revision", "mod_revision", "value", "lease"],
      WatchRequest: ["create_request", "cancel_request", "progress_request"],
    });
  });

  test("and so do the enums", () => {
    const enumOf = (message: string, name: string): Values =>
      Object.fromEntries(
        protoOf(message)
          .enumType.find((each) => each.name === name)
          ?.value.map(({ name: key, number }) => [key.toLowerCase(), number]) ?? [],
      );
    const lower = (ours: Values): Values =>
      Object.fromEntries(Object.entries(ours).map(([key, number]) => [key.toLowerCase(), number]));
    expect(lower(rpc.CompareResult)).toEqual(enumOf("etcdserverpb.Compare", "CompareResult"));
    expect(lower(rpc.CompareTarget)).toEqual(enumOf("etcdserverpb.Compare", "CompareTarget"));
    expect(lower(rpc.EventType)).toEqual(enumOf("mvccpb.Event", "EventType"));
  });

  test("numbers of any size are decimal text where they are ids, and nowhere else", () => {
    const big = TABLES.flatMap(({ name, list }) =>
      list
        .filter(({ field }) => field.kind === "id" || field.kind === "uid")
        .map(({ key }) => `${shortName(name)}.${key}`),
    );
    expect(big.filter((each) => !/\.(lease|ID|cluster_id)$/.test(each))).toEqual([]);
    const small = TABLES.flatMap(({ list }) =>
      list.filter(({ field }) => field.kind === "int64").map(({ key }) => key),
    );
    expect(small.filter((each) => /^(lease|ID|cluster_id)$/.test(each))).toEqual([]);
  });
});

const SAFE = fc.oneof(fc.nat(300), fc.maxSafeInteger(), fc.constantFrom(-1, 2 ** 31, 2 ** 32, 2 ** 53 - 1));
const signed = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const unsigned = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
const bytes = fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each));

/** Random messages of a kind, with the fields that our tables leave out too; `known`: what the tables have. */
function arbitrary(proto: ProtoMessage, known: Table | undefined, depth = 0): fc.Arbitrary<Values> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of proto.field) {
    const ours = known?.fields[field.name];
    const one = valueOf(field, ours?.kind, ours?.table, depth);
    if (one === undefined) continue;
    fields[field.name] = field.label === "LABEL_REPEATED" ? fc.array(one, { maxLength: 3 }) : one;
  }
  return fc.tuple(fc.record(fields, { requiredKeys: [] }), fc.nat(7)).map(([value, which]) => {
    const members = oneofs.get(proto.name) ?? [];
    for (const name of members) if (name !== members[which % members.length]) delete value[name];
    return value as Values;
  });
}

function valueOf(
  field: ProtoField,
  kind: string | undefined,
  of: Table | undefined,
  depth: number,
): fc.Arbitrary<unknown> | undefined {
  switch (field.type) {
    case "TYPE_BYTES":
      return bytes;
    case "TYPE_STRING":
      return fc.string({ unit: "binary", maxLength: 30 });
    case "TYPE_BOOL":
      return fc.boolean();
    case "TYPE_INT64":
      return kind === "int64" ? SAFE : signed;
    case "TYPE_UINT64":
      return unsigned;
    case "TYPE_UINT32":
      return fc.nat();
    case "TYPE_ENUM":
      return fc.constantFrom(0, 1);
    case "TYPE_MESSAGE": {
      if (depth >= 3) return undefined;
      const name = ["etcdserverpb", "mvccpb", "authpb"]
        .map((space) => `${space}.${shortName(field.typeName)}`)
        .find((each) => definition[each] !== undefined);
      return arbitrary(protoOf(name as string), of, depth + 1);
    }
    default:
      throw new Error(`${field.name} is of a type that the test does not know: ${field.type}`);
  }
}

/** What our decoder must make of `value`: the fields that the table has, and what absent ones mean. */
function expected(of: Table, value: Values): Values {
  return Object.fromEntries(
    of.list.map(({ key, field }) => {
      const given = value[key];
      if (given === undefined) return [key, field.absent];
      if (field.table === undefined) return [key, given];
      const inner = field.table;
      return [
        key,
        field.repeated
          ? (given as Values[]).map((each) => expected(inner, each))
          : expected(inner, given as Values),
      ];
    }),
  );
}

/** As numbers, texts and plain arrays, so that Buffers and Longs compare. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
  }
  return value;
}

describe.each(ROOTS.map((each) => [shortName(each.name), each] as const))("%s", (name, of) => {
  const theirs = codecs.get(name) as Codec;
  const messages = arbitrary(protoOf(of.name), of);

  test("what protobufjs writes, we read, stepping over what we do not know", () => {
    fc.assert(
      fc.property(messages, (value) => {
        const read = decode(of, theirs.serialize(value));
        expect(plain(read)).toEqual(plain({ ok: true, value: expected(of, value) }));
      }),
      { numRuns: 60 },
    );
  });

  test("what we write, protobufjs reads, and writes with the same bytes", () => {
    fc.assert(
      fc.property(messages, (value) => {
        const known = expected(of, value);
        const ours = encode(of, known as never);
        expect(plain(decode(of, theirs.serialize(theirs.deserialize(Buffer.from(ours)))))).toEqual(
          plain({ ok: true, value: known }),
        );
        expect(plain(decode(of, ours))).toEqual(plain({ ok: true, value: known }));
      }),
      { numRuns: 60 },
    );
  });

  test("no bytes make the decoder throw", () => {
    const mangled = fc
      .tuple(messages, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 6 }))
      .map(([value, at, noise]) => {
        const good = theirs.serialize(value);
        const where = at % (good.length + 1);
        return Buffer.concat([good.subarray(0, where), noise, good.subarray(where + (at % 3))]);
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), mangled), (data) => {
        const read = decode(of, data);
        if (!read.ok) expect(read.error).toContain(of.name);
      }),
      { numRuns: 300 },
    );
  });
});

describe("bytes that are wrong", () => {
  const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

  test.each([
    ["0a", "a varint is cut short"],
    ["0a 05 08 01", "a length is beyond the end"],
    ["10 ff ff ff ff ff ff ff ff ff ff 01", "a varint has more than ten bytes"],
    ["10 80 80 80 80 80 80 80 10", "a number is beyond 2^53"],
    ["12 01 00", "watch_id has the wrong wire type"],
    ["00 01", "there is no field 0"],
    ["9b 06", "there is no wire type 3"],
    ["99 06 00 00", "a number is cut short"],
    // A message within a message may not end beyond the outer one.
    ["5a 04 12 06 08 01 00 00 00", "a length is beyond the end"],
  ])("%s: %s", (text, error) => {
    expect(decode(rpc.WatchResponse, hex(text))).toEqual({
      ok: false,
      error: `etcdserverpb.WatchResponse: ${error}`,
    });
  });

  test("numbers keep every digit, whatever their sign", () => {
    expect(encode(rpc.WatchCancelRequest, { watch_id: -1 })).toEqual(
      new Uint8Array(hex("08 ff ff ff ff ff ff ff ff ff 01")),
    );
    const lease = "9223372036854775807";
    expect(decode(rpc.LeaseRevokeRequest, encode(rpc.LeaseRevokeRequest, { ID: lease }))).toEqual({
      ok: true,
      value: { ID: lease },
    });
    expect(() => encode(rpc.LeaseRevokeRequest, { ID: "many" })).toThrow(RangeError);
    expect(() => encode(rpc.LeaseRevokeRequest, { ID: "18446744073709551616" })).toThrow(RangeError);
  });

  test("a table of nothing takes anything", () => {
    expect(
      decode(table("nothing", {}), hex("08 01 12 02 00 00 1d 00 00 00 00 21 00 00 00 00 00 00 00 00")),
    ).toEqual({ ok: true, value: {} });
  });
});
