import { constants } from "node:http2";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FrameReader, frame, MESSAGE_MAX_BYTES } from "../../../../../src/io/etcd/slim/grpc-frames.ts";
import {
  outcomeOf,
  outcomeOfReset,
  percentDecode,
  refusalOf,
  storeErrorOf,
} from "../../../../../src/io/etcd/slim/grpc-outcome.ts";
import { PutRequest } from "../../../../../src/io/etcd/slim/rpc-tables.ts";

function framed(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function read(pieces: readonly Buffer[]): (Uint8Array | string)[] {
  const reader = new FrameReader();
  const got: (Uint8Array | string)[] = [];
  for (const piece of pieces) {
    reader.push(piece);
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      got.push(typeof next === "string" ? next : Uint8Array.from(next));
      if (typeof next === "string") return got;
    }
  }
  return got;
}

describe("frames", () => {
  test("however a stream is cut, the same messages come out", () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 40 })), (sent, cuts) => {
        let rest = Buffer.concat(sent.map(framed));
        const pieces: Buffer[] = [];
        for (const cut of cuts) {
          if (rest.length === 0) break;
          pieces.push(rest.subarray(0, cut));
          rest = rest.subarray(cut);
        }
        expect(read([...pieces, rest])).toEqual(sent);
      }),
    );
  });

  test("a message of many pieces costs one copy, not one a piece", () => {
    const big = new Uint8Array(8 * 2 ** 20).fill(7);
    const all = framed(big);
    const pieces = Array.from({ length: Math.ceil(all.length / 100) }, (_, i) =>
      all.subarray(i * 100, i * 100 + 100),
    );
    const since = performance.now();
    expect(read(pieces)[0]?.length).toBe(big.length);
    expect(performance.now() - since).toBeLessThan(2000);
  });

  test("what is compressed or too long is refused by its head alone", () => {
    expect(read([Buffer.from([1, 0, 0, 0, 1])])).toEqual([
      "the server sent a compressed message, which was not asked for",
    ]);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(MESSAGE_MAX_BYTES + 1, 1);
    expect(read([head])[0]).toContain("too large");
  });

  test("a request is framed in one piece", () => {
    expect(frame(PutRequest, { key: Buffer.from("k"), value: Buffer.from("vw") }).toString("hex")).toBe(
      "00000000070a016b12027677",
    );
  });
});

describe("outcomes", () => {
  test("a message is decoded if it was encoded, and left alone else", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(percentDecode(encodeURIComponent(text))).toBe(text);
      }),
    );
    expect(percentDecode("etcdserver: 100%25 f%C3%BCr 50% %zz %")).toBe("etcdserver: 100% für 50% %zz %");
  });

  test.each([
    [{ "grpc-status": "5", "grpc-message": "etcdserver: requested lease not found" }, "leaseNotFound"],
    [{ "grpc-status": "7" }, "denied"],
    [{ "grpc-status": "-1" }, "unknown"],
    [{ "grpc-status": "fourteen" }, "unknown"],
  ])("trailers %j: %s", (headers, reason) => {
    const outcome = outcomeOf(headers);
    expect(outcome && storeErrorOf(outcome).reason).toBe(reason);
  });

  test.each([
    [{ ":status": 200, "content-type": "application/grpc+proto" }, undefined],
    [{ ":status": 200, "content-type": "text/html" }, "unknown"],
    [{ ":status": 404 }, "unimplemented"],
    [{ ":status": 401 }, "denied"],
    [{ ":status": 503 }, "unavailable"],
    [{ ":status": 400 }, "unknown"],
  ])("headers %j: %s", (headers, reason) => {
    const outcome = refusalOf(headers as never);
    expect(outcome && storeErrorOf(outcome).reason).toBe(reason);
  });

  test.each([
    [constants.NGHTTP2_NO_ERROR, "unknown"],
    [constants.NGHTTP2_REFUSED_STREAM, "unavailable"],
    [constants.NGHTTP2_CANCEL, "unavailable"],
    [constants.NGHTTP2_ENHANCE_YOUR_CALM, "unavailable"],
    [constants.NGHTTP2_INADEQUATE_SECURITY, "denied"],
    [constants.NGHTTP2_INTERNAL_ERROR, "unknown"],
  ])("a reset with code %i: %s", (code, reason) => {
    expect(storeErrorOf(outcomeOfReset(code)).reason).toBe(reason);
  });

  test("the server's own words are found within what a proxy put around them", () => {
    const error = storeErrorOf({
      status: 11,
      text: "rpc error: code = OutOfRange desc = etcdserver: mvcc: required revision has been compacted",
    });
    expect([error.reason, error.message]).toEqual([
      "compacted",
      "etcdserver: mvcc: required revision has been compacted",
    ]);
  });
});
