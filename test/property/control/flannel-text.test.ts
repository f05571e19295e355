import fc from "fast-check";
import { expect, test } from "vitest";
import { prefixOf } from "../../../src/base/ipv4-addr.ts";
import { decodeUtf8, encodeUtf8 } from "../../../src/base/utf8.ts";
import { parseGoJson } from "../../../src/control/flannel/go-json.ts";
import { formatIpv6, parseIpv6 } from "../../../src/control/flannel/ipv6-addr.ts";
import {
  emitLeaseAttrs,
  type LeaseAttrs,
  parseLeaseAttrs,
} from "../../../src/control/flannel/lease-attrs.ts";
import { parsePeer } from "../../../src/control/flannel/lease-watcher.ts";
import { parseNetConf } from "../../../src/control/flannel/net-conf.ts";
import {
  emitSubnetEnv,
  parsePreviousSubnet,
  parseSubnetEnv,
} from "../../../src/control/flannel/subnet-env.ts";
import { emitSubnetKey, parseSubnetKey } from "../../../src/control/flannel/subnet-key.ts";

const addr = fc.integer({ min: 1, max: 0xffff_ffff });
const subnet = fc.tuple(addr, fc.integer({ min: 8, max: 30 })).map(([a, len]) => prefixOf(a, len));

/** Attributes of every backend, with texts that need escaping. */
const attrs: fc.Arbitrary<LeaseAttrs> = fc.oneof(
  fc.record({ publicIp: addr, backendType: fc.constant(undefined), backendData: fc.constant(undefined) }),
  fc
    .record({
      publicIp: addr,
      vni: fc.integer({ min: 0, max: 0xff_ffff }),
      vtepMac: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    })
    .map((a) => ({ ...a, backendType: "vxlan", backendData: undefined })),
  fc.record({
    publicIp: addr,
    publicIpv6: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map(formatIpv6),
    backendType: fc.string({ minLength: 1, unit: "grapheme" }).filter((type) => type !== "vxlan"),
    backendData: fc.jsonValue({ maxDepth: 4 }),
    backendV6Data: fc.jsonValue({ maxDepth: 4 }),
  }),
);

test("lease attributes: what is written is read back, and written again the same", () => {
  fc.assert(
    fc.property(attrs, (value) => {
      const text = emitLeaseAttrs(value);
      const parsed = parseLeaseAttrs(text);
      expect(parsed.ok).toBe(true);
      if (!parsed.ok) return;
      expect(parsed.value).toMatchObject({ publicIp: value.publicIp, backendType: value.backendType });
      if (value.vtepMac !== undefined)
        expect(parsed.value).toMatchObject({ vni: value.vni, vtepMac: value.vtepMac });
      expect(emitLeaseAttrs(parsed.value)).toBe(text);
      // What Go's marshaller never writes: spaces outside strings, and the characters that it escapes.
      expect(text).not.toMatch(/[<>&\u2028\u2029]/);
    }),
  );
});

test("subnet keys: parse after emit is the identity, under any prefix", () => {
  fc.assert(
    fc.property(subnet, fc.webPath(), (value, prefix) => {
      expect(parseSubnetKey(emitSubnetKey(prefix, value))).toMatchObject({ subnet: value, addr: value.addr });
    }),
  );
});

test("IPv6 text: parse after format is the identity", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), (value) => {
      expect(parseIpv6(formatIpv6(value))).toBe(value);
    }),
  );
});

test("subnet.env: parse after emit is the identity", () => {
  fc.assert(
    fc.property(
      subnet,
      subnet,
      fc.integer({ min: 0, max: 65_535 }),
      fc.boolean(),
      (network, own, mtuBytes, ipMasq) => {
        const env = { network, subnet: own, mtuBytes, ipMasq };
        expect(parseSubnetEnv(emitSubnetEnv(env))).toEqual({ ok: true, value: env });
        expect(parsePreviousSubnet(emitSubnetEnv(env))).toEqual(own);
      },
    ),
  );
});

test("our reader of Go's JSON accepts exactly what JSON.parse accepts", () => {
  // Documents, and documents with a character inserted, removed or changed.
  const nearly = fc
    .tuple(
      fc.json(),
      fc.nat(),
      fc.constantFrom("", "{", "}", "[", "]", '"', ",", ":", "\\", "0", "-", ".", "e", "\n", "é"),
      fc.nat({ max: 1 }),
    )
    .map(
      ([text, at, insert, drop]) =>
        text.slice(0, at % (text.length + 1)) + insert + text.slice((at % (text.length + 1)) + drop),
    );
  fc.assert(
    fc.property(fc.oneof(fc.json(), nearly), (text) => {
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      const parsed = parseGoJson(text);
      expect(parsed.ok).toBe(valid);
      if (parsed.ok) expect(parsed.value.raw).toBe(text.trim());
      else expect(parsed.error).toMatch(/^(unexpected end of JSON input|invalid character '.{1,6}' .+)$/su);
    }),
    { numRuns: 500 },
  );
});

/** Text that looks like what belongs there, and text that does not. */
const hostile = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.json(),
  fc.uint8Array().map((bytes) => String.fromCharCode(...bytes)),
  fc
    .record(
      {
        Network: fc.anything(),
        SubnetLen: fc.anything(),
        SubnetMin: fc.anything(),
        Backend: fc.anything(),
        PublicIP: fc.oneof(fc.ipV4(), fc.ipV6(), fc.anything()),
        PublicIPv6: fc.anything(),
        BackendType: fc.oneof(fc.constant("vxlan"), fc.anything()),
        BackendData: fc.oneof(fc.record({ VNI: fc.anything(), VtepMAC: fc.anything() }), fc.anything()),
        EnableIPv6: fc.anything(),
        IPv6Network: fc.oneof(fc.ipV6(), fc.anything()),
      },
      { requiredKeys: [] },
    )
    .map((object) => {
      try {
        return JSON.stringify(object) ?? "";
      } catch {
        return "";
      }
    }),
);

test("no parser throws, whatever the text", () => {
  fc.assert(
    fc.property(hostile, (text) => {
      parseNetConf(text);
      parseSubnetKey(text);
      parseSubnetEnv(text);
      parsePreviousSubnet(text);
      const parsed = parseLeaseAttrs(text);
      if (parsed.ok) emitLeaseAttrs(parsed.value);
    }),
    { numRuns: 1_000 },
  );
});

test("no key and no bytes in the store make a peer's parser throw", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.uint8Array(), (key, value) => {
      const kv = { key, value, createRevision: 1, modRevision: 1, version: 1, lease: "0" };
      parsePeer(kv);
      parsePeer({ ...kv, key: "/subnets/10.5.1.0-24" });
      const text = decodeUtf8(value);
      if (text !== undefined) expect(decodeUtf8(encodeUtf8(text))).toBe(text);
    }),
  );
});
