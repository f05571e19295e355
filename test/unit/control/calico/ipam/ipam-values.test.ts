import { describe, expect, test } from "vitest";
import { prefix } from "../../../../../src/base/ipv4-addr.ts";
import {
  affinityKey,
  blockKey,
  handleKey,
  parseAffinityKey,
  parseBlockKey,
  parseHandleKey,
} from "../../../../../src/control/calico/ipam/ipam-keys.ts";
import {
  checkIpamConfig,
  DEFAULT_IPAM_CONFIG,
  emitAffinity,
  emitHandle,
  emitIpamConfig,
  parseAffinity,
  parseHandle,
  parseIpamConfig,
} from "../../../../../src/control/calico/ipam/ipam-values.ts";

const CIDR = prefix("10.244.7.0/26");

describe("keys", () => {
  test("both ways", () => {
    expect(blockKey(CIDR)).toBe("/calico/ipam/v2/assignment/ipv4/block/10.244.7.0-26");
    expect(parseBlockKey(blockKey(CIDR))).toEqual(CIDR);
    expect(affinityKey("worker-1", CIDR)).toBe("/calico/ipam/v2/host/worker-1/ipv4/block/10.244.7.0-26");
    expect(parseAffinityKey(affinityKey("worker-1", CIDR))).toEqual({ host: "worker-1", cidr: CIDR });
    expect(handleKey("k8s-pod-network.8f2c")).toBe("/calico/ipam/v2/handle/k8s-pod-network.8f2c");
    expect(parseHandleKey(handleKey("a"))).toBe("a");
  });

  test.each(["10.244.7.1-26", "10.244.7.0-8", "10.244.7.0", "10.244.7.0-26/x", "010.244.7.0-26", ""])(
    "a block called %s is none",
    (name) => expect(parseBlockKey(`/calico/ipam/v2/assignment/ipv4/block/${name}`)).toBeUndefined(),
  );

  test("a handle with a slash is none", () => {
    expect(parseHandleKey("/calico/ipam/v2/handle/a/b")).toBeUndefined();
    expect(parseAffinityKey("/calico/ipam/v2/host/a/ipv6/block/fd00::-122")).toBeUndefined();
  });
});

describe("values", () => {
  test("affinities", () => {
    for (const state of ["pending", "confirmed", "pendingDeletion"] as const) {
      expect(emitAffinity(state)).toBe(`{"state":"${state}","deleted":false}`);
      expect(parseAffinity(emitAffinity(state))).toEqual({ ok: true, value: state });
    }
    expect(parseAffinity("")).toEqual({ ok: true, value: "confirmed" });
    expect(parseAffinity("{}")).toEqual({ ok: true, value: "confirmed" });
    expect(parseAffinity('{"state":"mine"}')).toMatchObject({ ok: false });
    expect(parseAffinity('{"state":1}')).toEqual({ ok: false, error: "state must be a string, not 1" });
  });

  test("handles", () => {
    const text = '{"block":{"10.244.10.0/26":3,"10.244.7.0/26":1},"deleted":false}';
    const handle = parseHandle(text);
    expect(handle.ok && emitHandle(handle.value)).toBe(text);
    expect(emitHandle(new Map())).toBe('{"block":{},"deleted":false}');
    for (const bad of ['{"block":{"10.244.7.0/26":-1}}', '{"block":{"x":1}}', '{"block":[]}', "null"]) {
      expect(parseHandle(bad).ok, bad).toBe(false);
    }
  });

  test("the configuration", () => {
    expect(emitIpamConfig(DEFAULT_IPAM_CONFIG)).toBe('{"auto_allocate_blocks":true}');
    const text = '{"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":4}';
    const config = parseIpamConfig(text);
    expect(config.ok && emitIpamConfig(config.value)).toBe(text);
    expect(parseIpamConfig('{"maxBlocksPerHost":-4}').ok).toBe(false);
    const strict = { ...DEFAULT_IPAM_CONFIG, strictAffinity: true };
    expect(checkIpamConfig({ ...strict, maxBlocksPerHost: 4 }).ok).toBe(true);
    expect(checkIpamConfig({ ...DEFAULT_IPAM_CONFIG, maxBlocksPerHost: 4 }).ok).toBe(false);
    expect(checkIpamConfig({ ...DEFAULT_IPAM_CONFIG, autoAllocateBlocks: false }).ok).toBe(false);
    expect(checkIpamConfig({ ...strict, autoAllocateBlocks: false }).ok).toBe(true);
  });
});
