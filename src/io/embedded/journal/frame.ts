// How a record lies in a file of the store:
//
//    0        4        8                 14       18
//   +--------+--------+-----------------+--------+------------- - -
//   | length | crc32c | sequence        | open   | body, `length` bytes
//   +--------+--------+-----------------+--------+------------- - -
//
// All little-endian. The checksum covers everything but itself. `sequence` counts records without a gap. `open` is how many
// records before and with this one were not known to be on the disk when it was written: sequence - open was. That tells a
// torn tail from damage. What follows a bad record says whether that one had been acknowledged.
import { crc32c } from "./crc32c.ts";

export const FRAME_BYTES = 18;

export interface FrameHeader {
  readonly bodyBytes: number;
  readonly sequence: number;
  /** The last record that was on the disk when this one was written. */
  readonly durable: number;
}

/** Writes the header of a frame whose body is in place. @param at where the frame begins */
export function sealFrame(
  bytes: Buffer,
  at: number,
  bodyBytes: number,
  sequence: number,
  durable: number,
): void {
  bytes.writeUInt32LE(bodyBytes, at);
  bytes.writeUIntLE(sequence, at + 8, 6);
  bytes.writeUInt32LE(Math.min(sequence - durable, 0xffff_ffff), at + 14);
  bytes.writeUInt32LE(frameCrc(bytes, at, bodyBytes), at + 4);
}

/** The frame at `at`, or undefined when what is there is none: cut short, damaged, or something else. */
export function readFrame(bytes: Buffer, at: number, end: number): FrameHeader | undefined {
  if (end - at < FRAME_BYTES) return undefined;
  const bodyBytes = readU32(bytes, at);
  // A length of 0 is what zeros on the disk look like; no record is empty.
  if (bodyBytes === 0 || bodyBytes > end - at - FRAME_BYTES) return undefined;
  const sequence = readU48(bytes, at + 8);
  const open = readU32(bytes, at + 14);
  if (open > sequence || readU32(bytes, at + 4) !== frameCrc(bytes, at, bodyBytes)) return undefined;
  return { bodyBytes, sequence, durable: sequence - open };
}

/** The length that the frame at `at` claims, checked or not; undefined when not even its header is there. */
export function claimedBytes(bytes: Buffer, at: number, end: number): number | undefined {
  return end - at < FRAME_BYTES ? undefined : FRAME_BYTES + readU32(bytes, at);
}

/**
 * Looks behind a bad record for a good one that was written when record `sequence` was on the disk already. Where there is
 * one, the bad record had been acknowledged: the file is damaged, and not merely cut short.
 */
export function findWitness(bytes: Buffer, from: number, end: number, sequence: number): number | undefined {
  for (let at = from; at + FRAME_BYTES < end; at++) {
    const bodyBytes = readU32(bytes, at);
    if (bodyBytes === 0 || bodyBytes > end - at - FRAME_BYTES) continue;
    const claimed = readU48(bytes, at + 8);
    // Cheap, and so rarely true of other bytes that the checksum is computed next to never.
    if (claimed < sequence || claimed > sequence + (end - from)) continue;
    const frame = readFrame(bytes, at, end);
    if (frame !== undefined && frame.durable >= sequence) return at;
  }
  return undefined;
}

/** What Buffer's own readers do, for bytes that are known to be there: a hundred thousand records are read before anything is compiled. */
export function readU32(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at) + readU16(bytes, at + 2) * 0x1_0000;
}

export function readU48(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + readU16(bytes, at + 4) * 0x1_0000_0000;
}

export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}

function frameCrc(bytes: Buffer, at: number, bodyBytes: number): number {
  return crc32c(bytes, at + 8, at + FRAME_BYTES + bodyBytes, crc32c(bytes, at, at + 4));
}
