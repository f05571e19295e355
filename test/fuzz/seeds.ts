import { readdirSync, readFileSync } from "node:fs";
import * as checksum from "../../src/wire/checksum.ts";
import { bytesOf } from "../support/dissect.ts";

const folder = new URL("../vectors/", import.meta.url);

/** The Ethernet frames of test/vectors. */
export const frames: readonly Uint8Array<ArrayBuffer>[] = readdirSync(folder)
  .filter((name) => name.endsWith(".hex"))
  .map((name) => bytesOf(readFileSync(new URL(name, folder), "utf8")))
  .filter((bytes) => bytes[0] !== 0x45);

const text = (value: string) => new TextEncoder().encode(value);

/** Texts as seeds, and the words that break JSON readers. */
export const seedTexts = (...values: string[]): readonly Uint8Array[] => values.map(text);
export const JSON_WORDS = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "\\",
  "null",
  "true",
  "-1",
  "1e999",
  "0.5",
  "4294967296",
]
  .concat([
    "9007199254740993",
    '"__proto__":',
    '"\\ud800"',
    '"VNI":',
    '"Type":',
    "/",
    "-",
    "&",
    "\u0000",
    "\u00e9",
  ])
  .map(text);

/** Makes the header checksum of the IPv4 packet at the start right again, if there is a header at all. */
export function repairPacket(bytes: Uint8Array<ArrayBuffer>, end: number): void {
  repairAt(bytes, 0, end);
}

/** The same for an Ethernet frame. */
export function repairFrame(bytes: Uint8Array<ArrayBuffer>, end: number): void {
  repairAt(bytes, 14, end);
}

/** The same for an IPv4 packet that starts at `off`; its total length is made to fit, too. */
export function repairAt(bytes: Uint8Array<ArrayBuffer>, off: number, end: number): void {
  if (end - off < 20) return;
  const view = new DataView(bytes.buffer);
  if (view.getUint8(off) >>> 4 !== 4) view.setUint8(off, 0x45);
  const header = (view.getUint8(off) & 15) << 2;
  if (header < 20 || end - off < header) return;
  if (view.getUint16(off + 2) > end - off) view.setUint16(off + 2, end - off);
  view.setUint16(off + 10, 0);
  view.setUint16(off + 10, checksum.compute(view, off, off + header));
}
