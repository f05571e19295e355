// A protobuf codec that is driven by tables. A table is a message as its `.proto` file has it, and TypeScript knows from it
// what decodes; `test/unit/io/etcd/slim` holds every table against the files that the etcd3 package ships.
import { err, ok, type Result } from "../../../base/result.ts";
import { MalformedError, WireReader, WireType, WireWriter } from "./protobuf-wire.ts";

/** How a field's value is written. `int64` is a number below 2^53; `id` and `uid` are 64 bits as decimal text. */
export type Kind = "bytes" | "string" | "bool" | "int64" | "id" | "uid" | "enum" | "message";

/** A field of a table. `T` is what it decodes to; it exists for the compiler alone. */
export interface Field<T> {
  readonly no: number;
  readonly kind: Kind;
  readonly repeated: boolean;
  /** Its message's table. */
  readonly table: Table | undefined;
  /** What it decodes to when it is absent. Shared: nobody writes into it. */
  readonly absent: T;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;
export type ValueOf<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** A message to be encoded: what is left out means zero. */
export type Draft<T> = T extends Uint8Array | string | number | boolean | undefined
  ? T
  : T extends readonly (infer I)[]
    ? readonly Draft<I>[]
    : { readonly [K in keyof T]?: Draft<T[K]> };

/** One message. */
export interface Table<F extends Fields = Fields> {
  /** As the `.proto` file has it, with the package. */
  readonly name: string;
  readonly fields: F;
  readonly list: readonly Entry[];
  readonly byNo: ReadonlyMap<number, Entry>;
  readonly blank: ValueOf<F>;
}

interface Entry {
  readonly key: string;
  readonly field: Field<unknown>;
}

/** What `table` decodes to. */
export type Decoded<T> = T extends Table<infer F> ? ValueOf<F> : never;

const NO_BYTES = new Uint8Array(0);
const NONE: readonly never[] = [];
// As the server's own text has it: a key or a name that is not UTF-8 is better shown garbled than not at all.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

function field<T>(no: number, kind: Kind, absent: T): Field<T> {
  return { no, kind, repeated: false, table: undefined, absent };
}

export const bytes = (no: number): Field<Uint8Array> => field<Uint8Array>(no, "bytes", NO_BYTES);
export const string = (no: number): Field<string> => field(no, "string", "");
export const bool = (no: number): Field<boolean> => field<boolean>(no, "bool", false);
export const int64 = (no: number): Field<number> => field(no, "int64", 0);
/** An int64 that may be beyond 2^53. */
export const id = (no: number): Field<string> => field(no, "id", "0");
/** A uint64 that may be beyond 2^53. */
export const uid = (no: number): Field<string> => field(no, "uid", "0");
export const enumeration = (no: number): Field<number> => field(no, "enum", 0);

export function message<F extends Fields>(no: number, table: Table<F>): Field<ValueOf<F> | undefined> {
  return { no, kind: "message", repeated: false, table: table as unknown as Table, absent: undefined };
}

export function repeated<T>(of: Field<T>): Field<readonly NonNullable<T>[]> {
  return { ...of, repeated: true, absent: NONE };
}

/** A member of a oneof: absent is another thing than zero. */
export function member<T>(of: Field<T>): Field<T | undefined> {
  return { ...of, absent: undefined };
}

export function table<F extends Fields>(name: string, fields: F): Table<F> {
  const list = Object.entries(fields).map(([key, of]) => ({ key, field: of }));
  return {
    name,
    fields,
    list,
    byNo: new Map(list.map((entry) => [entry.field.no, entry])),
    blank: Object.fromEntries(list.map((entry) => [entry.key, entry.field.absent])) as ValueOf<F>,
  };
}

/** The bytes of a message; what is not given, or is what an absent field means, is left out. */
export function encode<F extends Fields>(of: Table<F>, value: Draft<ValueOf<F>>): Uint8Array<ArrayBuffer> {
  const out = new WireWriter();
  encodeInto(out, of as unknown as Table, value as Readonly<Record<string, unknown>>);
  return out.finish();
}

/** The same, into a writer. @throws RangeError for an id that is no 64-bit number */
export function encodeInto(out: WireWriter, of: Table, value: Readonly<Record<string, unknown>>): void {
  for (const { key, field: each } of of.list) {
    const given = value[key];
    if (given === undefined) continue;
    if (each.repeated) for (const item of given as readonly unknown[]) encodeField(out, each, item);
    else if (!isAbsent(each, given)) encodeField(out, each, given);
  }
}

function isAbsent(of: Field<unknown>, value: unknown): boolean {
  return of.kind === "bytes"
    ? of.absent !== undefined && (value as Uint8Array).length === 0
    : value === of.absent;
}

function encodeField(out: WireWriter, of: Field<unknown>, value: unknown): void {
  switch (of.kind) {
    case "bytes":
      out.tag(of.no, WireType.LEN);
      out.bytes(value as Uint8Array);
      return;
    case "string":
      out.tag(of.no, WireType.LEN);
      out.bytes(encoder.encode(value as string));
      return;
    case "message":
      out.tag(of.no, WireType.LEN);
      out.nested(() => encodeInto(out, of.table as Table, value as Record<string, unknown>));
      return;
    case "id":
    case "uid":
      out.tag(of.no, WireType.VARINT);
      out.decimal(value as string);
      return;
    default:
      out.tag(of.no, WireType.VARINT);
      out.int64(Number(value));
  }
}

/**
 * The message in `data`, whatever bytes these are: fields that the table does not have are stepped over, and the error says what
 * is wrong. Byte fields are views into `data`.
 */
export function decode<F extends Fields>(of: Table<F>, data: Uint8Array): Result<ValueOf<F>, string> {
  try {
    return ok(decodeFrom(new WireReader(data), of as unknown as Table) as ValueOf<F>);
  } catch (thrown) {
    if (!(thrown instanceof MalformedError)) throw thrown;
    return err(`${of.name}: ${thrown.message}`);
  }
}

/** Up to `input.end`. A table is finite and no message in it contains itself, so this ends. */
function decodeFrom(input: WireReader, of: Table): Record<string, unknown> {
  const value: Record<string, unknown> = { ...of.blank };
  while (input.pos < input.end) {
    const tag = input.uint32();
    const no = tag >>> 3;
    if (no === 0) throw new MalformedError("there is no field 0");
    const entry = of.byNo.get(no);
    if (entry === undefined) {
      input.skip(tag & 7);
      continue;
    }
    const { key, field: each } = entry;
    if ((tag & 7) !== wireTypeOf(each.kind)) throw new MalformedError(`${key} has the wrong wire type`);
    const item = decodeField(input, each);
    if (!each.repeated) value[key] = item;
    else if (value[key] === NONE) value[key] = [item];
    else (value[key] as unknown[]).push(item);
  }
  return value;
}

function wireTypeOf(kind: Kind): number {
  return kind === "bytes" || kind === "string" || kind === "message" ? WireType.LEN : WireType.VARINT;
}

function decodeField(input: WireReader, of: Field<unknown>): unknown {
  switch (of.kind) {
    case "bytes":
      return input.slice();
    case "string":
      return utf8.decode(input.slice());
    case "bool":
      return input.bool();
    case "int64":
      return input.int64();
    case "enum":
      return input.enum();
    case "id":
      return input.decimal(true);
    case "uid":
      return input.decimal(false);
    case "message": {
      const end = input.limit();
      const outer = input.end;
      input.end = end;
      const value = decodeFrom(input, of.table as Table);
      input.end = outer;
      return value;
    }
  }
}
