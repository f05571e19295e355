import fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, test } from "vitest";
import { encodeFrame, FrameDecoder } from "../../../../src/io/ipc/frame.ts";
import { FRAME_BYTES_MAX } from "../../../../src/io/ipc/protocol.ts";
import { PodloomError } from "../../../../src/io/podloom-error.ts";

function decodeAll(decoder: FrameDecoder, chunks: readonly Buffer[]): unknown[] {
  const values: unknown[] = [];
  for (const chunk of chunks) decoder.push(chunk, (value) => values.push(value));
  return values;
}

/** `bytes` in pieces, cut at `cuts` (fractions). */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

describe("frames", () => {
  test("come out as they went in, however the stream is cut", () => {
    const value = fc.jsonValue({ depthSize: "small" });
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 5 }),
        fc.array(fc.float({ min: 0, max: 1, noNaN: true })),
        (values, cuts) => {
          const bytes = Buffer.concat(values.map(encodeFrame));
          const decoder = new FrameDecoder();
          // As JSON, because it writes -0 as 0. The decoder renames a key that would change a prototype.
          const want = JSON.stringify(values).replaceAll('"__proto__":', '"__proto_":');
          expect(JSON.stringify(decodeAll(decoder, pieces(bytes, cuts)))).toBe(want);
          expect(decoder.buffered).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("hold bytes and 53-bit integers exactly", () => {
    const value = { bytes: Buffer.from([0, 255, 1]), big: Number.MAX_SAFE_INTEGER, text: "gruß" };
    expect(decodeAll(new FrameDecoder(), [encodeFrame(value)])).toEqual([value]);
  });

  test("random bytes end in a PodloomError or wait for more, never in another error", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.array(fc.float({ min: 0, max: 1, noNaN: true })),
        (noise, cuts) => {
          const body = Buffer.from(noise);
          const framed = Buffer.concat([Buffer.alloc(4), body]);
          framed.writeUInt32BE(body.length);
          for (const bytes of [body, framed]) {
            try {
              decodeAll(new FrameDecoder(), pieces(bytes, cuts));
            } catch (thrown) {
              expect(thrown).toBeInstanceOf(PodloomError);
            }
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("mutations of real messages do no harm", () => {
    const frame = encodeFrame({
      t: "request",
      id: 7,
      verb: "exec",
      args: { pod: "a", argv: ["ping", "-c", "3"] },
    });
    fc.assert(
      fc.property(fc.nat(frame.length - 1), fc.nat(255), (at, byte) => {
        const bytes = Buffer.from(frame);
        bytes[at] = byte;
        try {
          decodeAll(new FrameDecoder(), [bytes]);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(PodloomError);
        }
        expect(({} as Record<string, unknown>).polluted).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });

  test("a length beyond the limit is refused before its bytes are waited for", () => {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(FRAME_BYTES_MAX + 1);
    expect(() => decodeAll(new FrameDecoder(), [header])).toThrow(
      expect.objectContaining({ code: "PL_FRAME_TOO_LONG" }),
    );
  });

  test("a value that is too long is not sent", () => {
    expect(() => encodeFrame(Buffer.alloc(FRAME_BYTES_MAX + 1))).toThrow(
      expect.objectContaining({ code: "PL_FRAME_TOO_LONG" }),
    );
  });

  test("nesting without end is an error, not a crash", () => {
    const body = Buffer.alloc(2_000_000, 0x91); // An array of one array of one array …
    const frame = Buffer.concat([Buffer.alloc(4), body]);
    frame.writeUInt32BE(body.length);
    expect(() => decodeAll(new FrameDecoder(), [frame])).toThrow(
      expect.objectContaining({ code: "PL_FRAME_MALFORMED" }),
    );
  });

  test("a key __proto__ changes no prototype", () => {
    const body = new Packr({ useRecords: false }).pack(JSON.parse('{"__proto__":{"polluted":1}}'));
    const frame = Buffer.concat([Buffer.alloc(4), body]);
    frame.writeUInt32BE(body.length);
    const [value] = decodeAll(new FrameDecoder(), [frame]);
    expect((value as Record<string, unknown>).polluted).toBeUndefined();
  });
});
