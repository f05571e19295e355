import fc from "fast-check";
import { expect, test } from "vitest";
import { ipv4, overlaps, prefix, prefixOf } from "../../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../../src/base/rng.ts";
import { encodeUtf8 } from "../../../src/base/utf8.ts";
import type { KeyValue } from "../../../src/control/datastore/messages.ts";
import { SafeLeaseWatcher } from "../../../src/control/flannel/lease-watcher.ts";
import { parseNetConf } from "../../../src/control/flannel/net-conf.ts";
import { chooseSubnet, isCompatible, listLeases } from "../../../src/control/flannel/subnet-allocator.ts";
import { emitSubnetKey } from "../../../src/control/flannel/subnet-key.ts";

const PREFIX = "/coreos.com/network";
const SELF = { subnet: prefix("10.5.0.0/24"), publicIp: ipv4("192.168.56.1") };

interface Change {
  readonly name: string;
  /** undefined deletes. */
  readonly ip: number | undefined;
}

const change: fc.Arbitrary<Change> = fc.record({
  name: fc.constantFrom(
    "10.5.1.0-24",
    "10.5.1.0-24&fd00::-64",
    "10.5.2.0-24",
    "10.5.2.128-25",
    "10.5.0.0-24",
    "bad",
  ),
  ip: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
});

function toKv(name: string, ip: number, revision: number): KeyValue {
  const value = encodeUtf8(`{"PublicIP":"192.168.57.${ip}","PublicIPv6":null}`);
  return {
    key: `${PREFIX}/subnets/${name}`,
    value,
    createRevision: revision,
    modRevision: revision,
    version: 1,
    lease: "7",
  };
}

/** What the outputs, believed one after the other, add up to. */
class Believer {
  readonly watcher = new SafeLeaseWatcher(SELF);
  readonly installed = new Map<string, number>();

  take(outputs: ReturnType<SafeLeaseWatcher["reset"]>): void {
    for (const output of outputs) {
      if (output.t === "added") this.installed.set(output.lease.key, output.lease.attrs.publicIp);
      if (output.t === "removed") expect(this.installed.delete(output.lease.key)).toBe(true);
    }
  }

  get state(): unknown {
    return [...this.installed].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

test("following the watch, or missing any part of it and resetting, ends at the same peers", () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 30 }),
      fc.array(fc.boolean(), { maxLength: 30 }),
      (changes, gaps) => {
        const followed = new Believer();
        const gapped = new Believer();
        const late = new Believer();
        const store = new Map<string, KeyValue>();
        let missed = false;
        for (const [i, { name, ip }] of changes.entries()) {
          const old = store.get(name);
          const now = toKv(name, ip ?? 1, i + 1);
          const kv =
            ip === undefined || old === undefined ? now : { ...now, createRevision: old.createRevision };
          if (ip === undefined) store.delete(name);
          else store.set(name, kv);
          const event = { t: ip === undefined ? "delete" : "put", kv } as const;
          followed.take(followed.watcher.update(event));
          if (gaps[i] === true) missed = true;
          else if (missed) {
            gapped.take(gapped.watcher.reset([...store.values()]));
            missed = false;
          } else gapped.take(gapped.watcher.update(event));
        }
        gapped.take(gapped.watcher.reset([...store.values()]));
        late.take(late.watcher.reset([...store.values()].reverse()));
        expect(gapped.state).toEqual(followed.state);
        expect(late.state).toEqual(followed.state);
        // What is installed never overlaps the own subnet, and is the peers' list.
        const peers = followed.watcher.peers();
        expect(peers.map((peer) => peer.key).sort()).toEqual([...followed.installed.keys()].sort());
        for (const peer of peers) expect(overlaps(peer.subnet, SELF.subnet)).toBe(false);
      },
    ),
  );
});

test("a subnet that is chosen suits the configuration and overlaps nothing that is listed", () => {
  const lease = fc.tuple(fc.nat({ max: 0xffff }), fc.integer({ min: 20, max: 30 }));
  fc.assert(
    fc.property(
      fc.array(lease, { maxLength: 40 }),
      fc.integer({ min: 18, max: 28 }),
      fc.nat(),
      (listed, len, seed) => {
        const conf = parseNetConf(`{"Network":"10.5.0.0/16","SubnetLen":${len}}`);
        if (!conf.ok) throw new Error(conf.error);
        const config = conf.value;
        const kvs = listed.map(([low, bits], i) => {
          const kv = toKv("x", 2, i + 1);
          return { ...kv, key: emitSubnetKey(PREFIX, prefixOf(ipv4("10.5.0.0") + low, bits)) };
        });
        const { leases } = listLeases(kvs, PREFIX);
        const choice = chooseSubnet({
          config,
          leases,
          publicIp: SELF.publicIp,
          previousSubnet: undefined,
          removed: undefined,
          strict: false,
          candidates: 100,
          rng: new SeededRng(seed),
        });
        const free: number[] = [];
        const size = 2 ** (32 - len);
        for (let a = config.subnetMin; a <= config.subnetMax; a += size) {
          if (!leases.some((l) => overlaps(l.name.subnet, { addr: a, len }))) free.push(a);
        }
        if (choice.t === "claim") {
          expect(isCompatible(config, choice.subnet, false)).toBe(true);
          expect(free.slice(0, 100)).toContain(choice.subnet.addr);
        } else {
          expect(choice.t).toBe("exhausted");
          expect(free).toEqual([]);
        }
      },
    ),
  );
});
