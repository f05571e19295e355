// Calico's part of the store as one node follows it: what configures the network, the blocks of addresses, and the node's own
// affinities, each a `reflector` on one range. Every value is checked; one that cannot be used is as good as gone, and a line of the
// log names its key. Kinds that nobody here reads are passed over before their JSON is parsed.
//
// Driving it: `start`, then after each of `handle` and `tick` drain `poll`. Specs on Calico §1.1 and §1.3.
import { formatPrefix, type Prefix } from "../../base/ipv4-addr.ts";
import { printable } from "../../base/printable.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { Rng } from "../../base/rng.ts";
import { type Instant, NEVER } from "../../base/time.ts";
import type { KeyRange, KeyValue, StoreEvent } from "../datastore/messages.ts";
import type { OpIds } from "../datastore/pending-ops.ts";
import { Reflector, type ReflectorOutput, type StoreStatus } from "../datastore/reflector.ts";
import { logOutput } from "../log.ts";
import { parseAffinityValue } from "./affinity-value.ts";
import { configurationRange, kindRange, parseResourceKey } from "./calico-keys.ts";
import type { CalicoUpdate, SyncerOutput } from "./calico-updates.ts";
import { readResource } from "./check-resource.ts";
import type { IpamBlock } from "./ipam/ipam-block.ts";
import { BLOCKS_RANGE, hostAffinitiesRange, parseAffinityKey, parseBlockKey } from "./ipam/ipam-keys.ts";

export interface CalicoSyncerOptions {
  readonly node: string;
  readonly ids: OpIds;
  readonly rng: Rng;
  readonly parseBlock: (bytes: Uint8Array) => Result<IpamBlock, string>;
  /** Follow this node's affinities? Default: yes. Whoever runs no pods has none. */
  readonly affinities?: boolean;
  /** Follow all WorkloadEndpoints? Default: no. They are many, and only listings want them. */
  readonly workloadEndpoints?: boolean;
}

/** What one key says. `gone`: nothing that anybody could use. */
interface Reading {
  readonly update: CalicoUpdate;
  readonly gone: boolean;
  readonly fault: string | undefined;
}

/** Reads a key with its value; without one it is gone. Undefined: nobody reads this key. */
type Reader = (kv: KeyValue, value: Uint8Array | undefined) => Reading | undefined;

interface Range {
  readonly reflector: Reflector;
  readonly read: Reader;
  synced: boolean;
}

export class CalicoSyncer {
  readonly #ranges: readonly Range[];
  readonly #outputs: SyncerOutput[] = [];
  /** Keys of which the last update had no value, although they stand in the store. */
  readonly #unusable = new Set<string>();
  #status: StoreStatus = "Syncing";
  #inSync = false;

  constructor(options: CalicoSyncerOptions) {
    const { ids, rng, node, parseBlock } = options;
    const range = (over: KeyRange, read: Reader): Range => ({
      reflector: new Reflector({ range: over, ids, rng }),
      read,
      synced: false,
    });
    this.#ranges = [
      range(configurationRange(), readResourceKey),
      range(BLOCKS_RANGE, (kv, value) => readBlockKey(kv, value, parseBlock)),
      ...(options.affinities === false
        ? []
        : [range(hostAffinitiesRange(node), (kv, value) => readAffinityKey(kv, value, node))]),
      ...(options.workloadEndpoints === true ? [range(kindRange("WorkloadEndpoint"), readResourceKey)] : []),
    ];
  }

  /** `Synced`: all ranges are watched. `Disconnected`: one of them is not, its last attempt failed. */
  get status(): StoreStatus {
    return this.#status;
  }

  get isInSync(): boolean {
    return this.#inSync;
  }

  start(now: Instant): void {
    for (const { reflector } of this.#ranges) reflector.start(now);
    this.#drain();
  }

  /** Ends the watches. Of what is still to be polled only the operations matter. */
  stop(): void {
    for (const { reflector } of this.#ranges) reflector.stop();
    this.#drain();
  }

  /** Takes an event of the store. Answers false when it is somebody else's. */
  handle(event: StoreEvent, now: Instant): boolean {
    const taken = this.#ranges.some(({ reflector }) => reflector.handle(event, now));
    if (taken) this.#drain();
    return taken;
  }

  /** Does what is due. Call when {@link nextDeadline} has come. */
  tick(now: Instant): void {
    for (const { reflector } of this.#ranges) reflector.tick(now);
    this.#drain();
  }

  poll(): SyncerOutput | undefined {
    return this.#outputs.shift();
  }

  nextDeadline(): Instant {
    let at = NEVER;
    for (const { reflector } of this.#ranges) at = Math.min(at, reflector.nextDeadline());
    return at;
  }

  #drain(): void {
    for (const range of this.#ranges) {
      for (let out = range.reflector.poll(); out !== undefined; out = range.reflector.poll()) {
        this.#onReflector(range, out);
      }
    }
  }

  #onReflector(range: Range, output: ReflectorOutput): void {
    switch (output.t) {
      case "put":
        this.#report(output.kv.key, true, range.read(output.kv, output.kv.value));
        return;
      case "delete":
        this.#report(output.kv.key, false, range.read(output.kv, undefined));
        return;
      case "snapshot":
        return;
      case "synced":
        range.synced = true;
        this.#noteSynced();
        return;
      case "status":
        this.#noteStatus();
        return;
      default:
        this.#outputs.push(output);
    }
  }

  #report(key: string, stands: boolean, reading: Reading | undefined): void {
    if (reading === undefined) return;
    const { update, gone, fault } = reading;
    // The key is a stranger's text: quoted, it stays on its line.
    if (fault !== undefined)
      this.#outputs.push(logOutput("warn", `Ignoring ${printable(JSON.stringify(key))}: ${fault}`));
    // What was of no use before is not told again to be of no use.
    if (!gone || !this.#unusable.has(key)) this.#outputs.push(update);
    if (gone && stands) this.#unusable.add(key);
    else this.#unusable.delete(key);
  }

  #noteSynced(): void {
    if (this.#inSync || !this.#ranges.every((range) => range.synced)) return;
    this.#inSync = true;
    this.#outputs.push({ t: "inSync" });
  }

  #noteStatus(): void {
    const all = this.#ranges.map(({ reflector }) => reflector.status);
    const worst = (["Disconnected", "Syncing"] as const).find((each) => all.includes(each)) ?? "Synced";
    if (worst === this.#status) return;
    this.#status = worst;
    this.#outputs.push({ t: "status", status: worst });
  }
}

function readResourceKey(kv: KeyValue, value: Uint8Array | undefined): Reading | undefined {
  const id = parseResourceKey(kv.key);
  if (id === undefined) return undefined;
  const read = value === undefined ? ok(undefined) : readResource(id, value);
  return reading(read, (resource) => ({
    t: "resource",
    ...id,
    value: resource,
    modRevision: kv.modRevision,
  }));
}

function readBlockKey(
  kv: KeyValue,
  value: Uint8Array | undefined,
  parseBlock: CalicoSyncerOptions["parseBlock"],
): Reading | undefined {
  const cidr = parseBlockKey(kv.key);
  if (cidr === undefined) return undefined;
  const read = value === undefined ? ok(undefined) : checkBlock(cidr, parseBlock(value));
  return reading(read, (block) => ({ t: "block", cidr, value: block }));
}

function checkBlock(cidr: Prefix, read: Result<IpamBlock, string>): Result<IpamBlock | undefined, string> {
  if (!read.ok) return read;
  const block = read.value;
  if (block.cidr.addr !== cidr.addr || block.cidr.len !== cidr.len) {
    return err(`cidr: is ${formatPrefix(block.cidr)}, the key says ${formatPrefix(cidr)}`);
  }
  return ok(block.deleted ? undefined : block);
}

function readAffinityKey(kv: KeyValue, value: Uint8Array | undefined, node: string): Reading | undefined {
  const name = parseAffinityKey(kv.key);
  if (name?.host !== node) return undefined;
  const { cidr } = name;
  const read = value === undefined ? ok(undefined) : parseAffinityValue(value);
  return reading(read, (state) => ({ t: "affinity", cidr, value: state }));
}

function reading<T>(
  read: Result<T | undefined, string>,
  update: (value: T | undefined) => CalicoUpdate,
): Reading {
  const value = read.ok ? read.value : undefined;
  return { update: update(value), gone: value === undefined, fault: read.ok ? undefined : read.error };
}
