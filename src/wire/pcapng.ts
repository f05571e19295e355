// Capture files. Read the pcapng draft (draft-ietf-opsawg-pcapng) sections 3 and 4 first. Written is what every reader
// knows: one section, little-endian, microseconds, whole packets. Read are sections of either order.
//
//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                          block type                           |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                      block total length                       |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// /         body, then options, each padded to 32 bits            /
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                      block total length                       |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { err, ok, type Result } from "../base/result.ts";
import { decodeUtf8, encodeUtf8 } from "../base/utf8.ts";

const BlockType = { SECTION: 0x0a0d0d0a, INTERFACE: 1, STATISTICS: 5, PACKET: 6 } as const;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const OptionCode = {
  END: 0,
  COMMENT: 1,
  IF_NAME: 2,
  IF_DESCRIPTION: 3,
  PACKET_FLAGS: 2,
  IF_TSRESOL: 9,
  RECEIVED: 4,
  DROPPED: 5,
} as const;

/** What the bytes of an interface's packets begin with. */
export const LinkType = { ETHERNET: 1, RAW_IP: 101 } as const;

/** Which way a packet went, seen from the one who captured. */
export type Direction = "in" | "out";

/** Where a packet's bytes lie in its block. */
export const PACKET_OFFSET = 28;
/** The option with the direction, the end of the options, the second length. */
const PACKET_TRAILER_LEN = 8 + 4 + 4;

interface RawOption {
  readonly code: number;
  readonly value: Uint8Array;
}

/** The block that a file begins with. @param comment for people */
export function emitSection(comment: string): Uint8Array {
  const body = new Uint8Array(16);
  const view = new DataView(body.buffer);
  view.setUint32(0, BYTE_ORDER_MAGIC, true);
  view.setUint16(4, 1, true);
  view.setUint16(6, 0, true);
  // How long the section is, is not known yet.
  view.setInt32(8, -1, true);
  view.setInt32(12, -1, true);
  return block(BlockType.SECTION, body, [text(OptionCode.COMMENT, comment)]);
}

/** Describes the next interface; they are numbered from 0. Packets are whole, whatever their length. */
export function emitInterface(linkType: number, name: string, description: string): Uint8Array {
  const body = new Uint8Array(8);
  new DataView(body.buffer).setUint16(0, linkType, true);
  return block(BlockType.INTERFACE, body, [
    text(OptionCode.IF_NAME, name),
    text(OptionCode.IF_DESCRIPTION, description),
  ]);
}

/** How many packets an interface has seen, and how many of them are not in the file. */
export function emitStatistics(
  interfaceId: number,
  atUs: number,
  counts: { readonly received: number; readonly dropped: number },
): Uint8Array {
  const body = new Uint8Array(12);
  const view = new DataView(body.buffer);
  view.setUint32(0, interfaceId, true);
  putTime(view, 4, atUs);
  return block(BlockType.STATISTICS, body, [
    { code: OptionCode.RECEIVED, value: u64(counts.received) },
    { code: OptionCode.DROPPED, value: u64(counts.dropped) },
  ]);
}

/** Octets of the block around a packet of `bytes` octets. */
export function packetBlockLen(bytes: number): number {
  return PACKET_OFFSET + padded(bytes) + PACKET_TRAILER_LEN;
}

/**
 * Writes a block at `off` around a packet that stands at `off + PACKET_OFFSET` already. Allocates nothing.
 *
 * @param atUs microseconds since 1970
 * @param bytes octets of the packet
 */
export function emitPacket(
  view: DataView,
  off: number,
  interfaceId: number,
  atUs: number,
  bytes: number,
  direction: Direction,
): void {
  const length = packetBlockLen(bytes);
  view.setUint32(off, BlockType.PACKET, true);
  view.setUint32(off + 4, length, true);
  view.setUint32(off + 8, interfaceId, true);
  putTime(view, off + 12, atUs);
  view.setUint32(off + 20, bytes, true);
  view.setUint32(off + 24, bytes, true);
  let at = off + PACKET_OFFSET + bytes;
  const end = off + PACKET_OFFSET + padded(bytes);
  while (at < end) view.setUint8(at++, 0);
  view.setUint16(at, OptionCode.PACKET_FLAGS, true);
  view.setUint16(at + 2, 4, true);
  view.setUint32(at + 4, direction === "in" ? 1 : 2, true);
  view.setUint32(at + 8, OptionCode.END, true);
  view.setUint32(at + 12, length, true);
}

/** A block as data. */
export type PcapngBlock =
  | { readonly t: "section"; readonly comment: string | undefined }
  | {
      readonly t: "interface";
      readonly linkType: number;
      readonly name: string | undefined;
      readonly description: string | undefined;
    }
  | {
      readonly t: "packet";
      readonly interfaceId: number;
      /** Microseconds since 1970, whatever the interface counts in. */
      readonly atUs: number;
      readonly direction: Direction | undefined;
      /** A view of the file; may be less than the packet had. */
      readonly bytes: Uint8Array;
      readonly originalBytes: number;
    }
  | {
      readonly t: "statistics";
      readonly interfaceId: number;
      readonly received: number | undefined;
      readonly dropped: number | undefined;
    }
  /** Of a type that is not read here. */
  | { readonly t: "other"; readonly type: number };

/** What holds for the blocks that follow. */
interface Section {
  readonly little: boolean;
  /** Microseconds of one tick, by interface. */
  readonly ticksUs: number[];
}

/** Reads a file, all of it. A last block that was cut short is an error, and so is anything that contradicts itself. */
export function parse(bytes: Uint8Array): Result<PcapngBlock[], string> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks: PcapngBlock[] = [];
  let section: Section | undefined;
  let off = 0;
  while (off < bytes.length) {
    if (bytes.length - off < 12) return err(`a block at ${off} is cut short`);
    if (view.getUint32(off) === BlockType.SECTION) {
      const little = view.getUint32(off + 8, true) === BYTE_ORDER_MAGIC;
      if (!little && view.getUint32(off + 8) !== BYTE_ORDER_MAGIC) return err("not a pcapng file");
      section = { little, ticksUs: [] };
    }
    if (section === undefined) return err("not a pcapng file");
    const length = view.getUint32(off + 4, section.little);
    if (length < 12 || length % 4 !== 0) return err(`the block at ${off} cannot be ${length} octets long`);
    if (length > bytes.length - off) return err(`the block at ${off} is cut short`);
    const end = off + length - 4;
    if (view.getUint32(end, section.little) !== length) return err(`the block at ${off} has two lengths`);
    const parsed = parseBlock(view, off, end, section);
    if (!parsed.ok) return parsed;
    blocks.push(parsed.value);
    off += length;
  }
  return ok(blocks);
}

/** @param end where the second length stands */
function parseBlock(view: DataView, off: number, end: number, section: Section): Result<PcapngBlock, string> {
  const { little } = section;
  const type = view.getUint32(off, little);
  const body = off + 8;
  const least = MIN_BODY[type];
  if (least === undefined) return ok({ t: "other", type });
  if (end - body < least) return err(`the block at ${off} is too short for its type`);
  if (type === BlockType.PACKET) return parsePacket(view, off, end, section);
  const options = parseOptions(view, body + least, end, little);
  if (type === BlockType.SECTION) {
    return ok({ t: "section", comment: textOf(options.get(OptionCode.COMMENT)) });
  }
  if (type === BlockType.INTERFACE) {
    section.ticksUs.push(tickUs(options.get(OptionCode.IF_TSRESOL)?.[0] ?? 6));
    const name = textOf(options.get(OptionCode.IF_NAME));
    const description = textOf(options.get(OptionCode.IF_DESCRIPTION));
    return ok({ t: "interface", linkType: view.getUint16(body, little), name, description });
  }
  const received = numberOf(options.get(OptionCode.RECEIVED), little);
  const dropped = numberOf(options.get(OptionCode.DROPPED), little);
  return ok({ t: "statistics", interfaceId: view.getUint32(body, little), received, dropped });
}

/** Octets of a block's body before its options. */
const MIN_BODY: Readonly<Record<number, number>> = {
  [BlockType.SECTION]: 16,
  [BlockType.INTERFACE]: 8,
  [BlockType.STATISTICS]: 12,
  [BlockType.PACKET]: 20,
};

function parsePacket(
  view: DataView,
  off: number,
  end: number,
  { little, ticksUs }: Section,
): Result<PcapngBlock, string> {
  const interfaceId = view.getUint32(off + 8, little);
  const tick = ticksUs[interfaceId];
  if (tick === undefined) return err(`the packet at ${off} is of an interface that was not described`);
  const captured = view.getUint32(off + 20, little);
  const from = off + PACKET_OFFSET;
  if (captured > end - from) return err(`the packet at ${off} does not fit into its block`);
  const ticks = view.getUint32(off + 12, little) * 0x1_0000_0000 + view.getUint32(off + 16, little);
  const flags = numberOf(
    parseOptions(view, from + padded(captured), end, little).get(OptionCode.PACKET_FLAGS),
    little,
  );
  return ok({
    t: "packet",
    interfaceId,
    atUs: Math.floor(ticks * tick),
    direction: flags === undefined ? undefined : DIRECTIONS[flags & 3],
    bytes: new Uint8Array(view.buffer, view.byteOffset + from, captured),
    originalBytes: view.getUint32(off + 24, little),
  });
}

const DIRECTIONS: readonly (Direction | undefined)[] = [undefined, "in", "out", undefined];

/** The first of each code; what does not fit ends them. */
function parseOptions(view: DataView, from: number, end: number, little: boolean): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  for (let at = from; end - at >= 4; ) {
    const code = view.getUint16(at, little);
    const length = view.getUint16(at + 2, little);
    if (code === OptionCode.END || length > end - at - 4) break;
    if (!options.has(code)) {
      options.set(code, new Uint8Array(view.buffer, view.byteOffset + at + 4, length));
    }
    at += 4 + padded(length);
  }
  return options;
}

function textOf(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : decodeUtf8(value);
}

/** An option's number of 32 or 64 bits. */
function numberOf(value: Uint8Array | undefined, little: boolean): number | undefined {
  if (value === undefined || (value.length !== 4 && value.length !== 8)) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const first = view.getUint32(0, little);
  if (value.length === 4) return first;
  const second = view.getUint32(4, little);
  return little ? second * 0x1_0000_0000 + first : first * 0x1_0000_0000 + second;
}

function tickUs(resolution: number): number {
  const perSec = resolution >= 0x80 ? 2 ** (resolution & 0x7f) : 10 ** resolution;
  return 1_000_000 / perSec;
}

function block(type: number, body: Uint8Array, options: readonly RawOption[]): Uint8Array {
  const optionsLen = options.reduce((sum, { value }) => sum + 4 + padded(value.length), 4);
  const length = 8 + body.length + optionsLen + 4;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  bytes.set(body, 8);
  let at = 8 + body.length;
  for (const { code, value } of options) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, value.length, true);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  view.setUint32(length - 4, length, true);
  return bytes;
}

function text(code: number, value: string): RawOption {
  return { code, value: encodeUtf8(value) };
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, value >>> 0, true);
  view.setUint32(4, Math.floor(value / 0x1_0000_0000), true);
  return bytes;
}

/** Timestamps are two halves, the higher first in either byte order. */
function putTime(view: DataView, off: number, atUs: number): void {
  view.setUint32(off, Math.floor(atUs / 0x1_0000_0000), true);
  view.setUint32(off + 4, atUs >>> 0, true);
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
