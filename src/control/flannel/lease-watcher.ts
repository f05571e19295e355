// Turns what the store says below `<prefix>/subnets` into leases of peers that come and go. Read specs on flannel §1.7
// first. Two watchers with one interface: ours, and flanneld's own with its quirks Q1 and Q2 for `strict`.
//
// Ours differs from flanneld's where that one loses connectivity: a value that cannot be parsed changes nothing (the last
// good one of that key stays until the key goes), a snapshot after a gap delivers changed attributes, and the own lease is
// never reported. Of several keys that name one IPv4 subnet, the one with the highest epoch is installed.
import { formatIpv4, formatPrefix, type Ipv4Addr, overlaps, type Prefix } from "../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { decodeUtf8 } from "../../base/utf8.ts";
import type { KeyValue } from "../datastore/messages.ts";
import { type LogOutput, logOutput } from "../log.ts";
import { IgnoredLeases } from "./ignored-leases.ts";
import { emitLeaseAttrs, type PeerLease, parseLeaseAttrs } from "./lease-attrs.ts";
import { emitSubnetName, parseSubnetKey } from "./subnet-key.ts";

export type LeaseWatcherOutput = { readonly t: "added" | "removed"; readonly lease: PeerLease } | LogOutput;

export interface LeaseWatcher {
  /** One event of the watch. A deleted key's `kv` has no value. */
  update(event: { readonly t: "put" | "delete"; readonly kv: KeyValue }): readonly LeaseWatcherOutput[];
  /** All keys that there are: at the start, and after a gap in the watch. */
  reset(kvs: readonly KeyValue[]): readonly LeaseWatcherOutput[];
  /** The leases of peers as last reported. */
  peers(): readonly PeerLease[];
  /** Keys that were read and are no peer's. Those that name the own subnet are among neither. */
  readonly ignored: IgnoredLeases;
}

/** Who is watching: what names this node is not a peer. */
export interface WatcherSelf {
  readonly subnet: Prefix;
  readonly publicIp: Ipv4Addr;
}

/** Parses one key and value. The error is flanneld's, without its `Ignoring bad subnet node: `. */
export function parsePeer(kv: KeyValue): Result<PeerLease, string> {
  const name = parseSubnetKey(kv.key);
  if (name === undefined) return err(`failed to parse subnet key ${quoteKey(kv.key)}`);
  const text = decodeUtf8(kv.value);
  if (text === undefined) return err(`${quoteKey(kv.key)}: the value is not UTF-8 text`);
  const attrs = parseLeaseAttrs(text);
  if (!attrs.ok) return err(`${quoteKey(kv.key)}: ${attrs.error}`);
  return ok({
    key: kv.key,
    subnet: name.subnet,
    attrs: attrs.value,
    modRevision: kv.modRevision,
    createRevision: kv.createRevision,
    lease: kv.lease,
  });
}

/** A key for the log: hostile keys may be long and may hold control characters. */
function quoteKey(key: string): string {
  return JSON.stringify(key.length > 200 ? `${key.slice(0, 200)}…` : key);
}

const samePrefix = (a: Prefix, b: Prefix) => a.addr === b.addr && a.len === b.len;

/** The watcher of the default mode. What is installed depends on the keys alone, not on the order in which they came. */
export class SafeLeaseWatcher implements LeaseWatcher {
  readonly ignored = new IgnoredLeases();
  readonly #self: WatcherSelf;
  /** The last good lease of every key. */
  readonly #byKey = new Map<string, PeerLease>();
  /** What was reported, by subnet. */
  readonly #installed = new Map<string, PeerLease>();

  constructor(self: WatcherSelf) {
    this.#self = self;
  }

  update(event: { readonly t: "put" | "delete"; readonly kv: KeyValue }): readonly LeaseWatcherOutput[] {
    const { kv } = event;
    if (event.t === "delete") {
      this.ignored.delete(kv.key);
      const old = this.#byKey.get(kv.key);
      if (old === undefined) return [];
      this.#byKey.delete(kv.key);
      return this.#settle(old.subnet, false);
    }
    const lease = this.#accept(kv);
    if (!lease.ok) return [lease.error];
    if (lease.value === undefined) return [];
    this.#byKey.set(kv.key, lease.value);
    return this.#settle(lease.value.subnet, true);
  }

  reset(kvs: readonly KeyValue[]): readonly LeaseWatcherOutput[] {
    const outputs: LeaseWatcherOutput[] = [];
    const touched = new Map<string, Prefix>();
    const present = new Set<string>();
    for (const kv of kvs) {
      present.add(kv.key);
      const lease = this.#accept(kv);
      if (!lease.ok) outputs.push(lease.error);
      else if (lease.value !== undefined) {
        this.#byKey.set(kv.key, lease.value);
        touched.set(formatPrefix(lease.value.subnet), lease.value.subnet);
      }
    }
    this.ignored.keep(present);
    for (const [key, lease] of this.#byKey) {
      if (present.has(key)) continue;
      this.#byKey.delete(key);
      touched.set(formatPrefix(lease.subnet), lease.subnet);
    }
    const changes = [...touched.values()].flatMap((subnet) => this.#settle(subnet, false));
    // What goes, goes first: a node that came back with another subnet has its old VTEP address still.
    const rank = (output: LeaseWatcherOutput) => (output.t === "removed" ? 0 : 1);
    return [...outputs, ...changes.sort((a, b) => rank(a) - rank(b))];
  }

  peers(): readonly PeerLease[] {
    return [...this.#installed.values()];
  }

  /** A lease to know of; nothing for what is not a peer's; a line for the log for what is wrong, which is then ignored. */
  #accept(kv: KeyValue): Result<PeerLease | undefined, LogOutput> {
    const judged = this.#judge(kv);
    if (judged.ok) this.ignored.delete(kv.key);
    else this.ignored.add(kv.key);
    return judged;
  }

  #judge(kv: KeyValue): Result<PeerLease | undefined, LogOutput> {
    const parsed = parsePeer(kv);
    if (!parsed.ok) return err(logOutput("warn", `Ignoring bad subnet node: ${parsed.error}`));
    const lease = parsed.value;
    const { subnet, publicIp } = this.#self;
    if (samePrefix(lease.subnet, subnet)) return ok(undefined);
    const ignoring = (why: string) => err(logOutput("warn", `Ignoring lease ${quoteKey(kv.key)}: ${why}`));
    if (parseSubnetKey(kv.key)?.addr !== lease.subnet.addr) return ignoring("its address has host bits set");
    if (overlaps(lease.subnet, subnet)) return ignoring(`it overlaps this node's ${formatPrefix(subnet)}`);
    if (lease.attrs.publicIp === publicIp)
      return ignoring(`it names this node's address ${formatIpv4(publicIp)}`);
    return ok(lease);
  }

  /** Reports what has become of `subnet`. @param always report it even if its attributes are the same */
  #settle(subnet: Prefix, always: boolean): readonly LeaseWatcherOutput[] {
    const name = formatPrefix(subnet);
    const old = this.#installed.get(name);
    const now = this.#winner(subnet);
    if (now === undefined) {
      if (old === undefined) return [];
      this.#installed.delete(name);
      return [{ t: "removed", lease: old }];
    }
    this.#installed.set(name, now);
    if (old !== undefined && old.key !== now.key) {
      // Whoever keeps leases by key must forget the loser.
      return [
        { t: "removed", lease: old },
        { t: "added", lease: now },
      ];
    }
    const changed =
      old === undefined ||
      old.createRevision !== now.createRevision ||
      emitLeaseAttrs(old.attrs) !== emitLeaseAttrs(now.attrs);
    return changed || always ? [{ t: "added", lease: now }] : [];
  }

  /** The lease that holds the subnet: the youngest claim, then the youngest write. */
  #winner(subnet: Prefix): PeerLease | undefined {
    let best: PeerLease | undefined;
    for (const lease of this.#byKey.values()) {
      if (!samePrefix(lease.subnet, subnet)) continue;
      if (best === undefined || isYounger(lease, best)) best = lease;
    }
    return best;
  }
}

function isYounger(a: PeerLease, b: PeerLease): boolean {
  if (a.createRevision !== b.createRevision) return a.createRevision > b.createRevision;
  if (a.modRevision !== b.modRevision) return a.modRevision > b.modRevision;
  return a.key > b.key;
}

/** One entry of flanneld's list: the subnets decide identity, the IPv6 one only for a dual-stack entry. */
interface StrictEntry {
  readonly subnet: Prefix;
  readonly name: string;
  readonly dual: boolean;
  readonly lease: PeerLease;
}

/** flanneld's watcher, quirks and all. */
export class StrictLeaseWatcher implements LeaseWatcher {
  readonly ignored = new IgnoredLeases();
  readonly #self: WatcherSelf;
  #entries: StrictEntry[] = [];

  constructor(self: WatcherSelf) {
    this.#self = self;
  }

  update(event: { readonly t: "put" | "delete"; readonly kv: KeyValue }): readonly LeaseWatcherOutput[] {
    const entry = event.t === "put" ? parseEntry(event.kv) : bareEntry(event.kv);
    if (entry.ok || event.t === "delete") this.ignored.delete(event.kv.key);
    else this.ignored.add(event.kv.key);
    if (!entry.ok) {
      // Q2: an event that cannot be parsed has neither events nor a snapshot, which reads as an empty snapshot.
      return [logOutput("error", `error parsing etcd event: ${entry.error}`), ...this.#resetTo([])];
    }
    if (this.#isOwn(entry.value)) return [];
    const at = this.#entries.findIndex((old) => isSame(old, entry.value));
    if (event.t === "put") {
      if (at >= 0) this.#entries[at] = entry.value;
      else this.#entries.push(entry.value);
      return [{ t: "added", lease: entry.value.lease }];
    }
    const old = this.#entries[at];
    if (old !== undefined) {
      this.#entries.splice(at, 1);
      return [{ t: "removed", lease: old.lease }];
    }
    const subnet = formatPrefix(entry.value.subnet);
    const line = `Removed subnet (${subnet}) and ipv6 subnet (::/0) were not found`;
    return [logOutput("error", line), { t: "removed", lease: entry.value.lease }];
  }

  reset(kvs: readonly KeyValue[]): readonly LeaseWatcherOutput[] {
    const outputs: LeaseWatcherOutput[] = [];
    const entries: StrictEntry[] = [];
    for (const kv of kvs) {
      const entry = parseEntry(kv);
      if (entry.ok) {
        entries.push(entry.value);
        this.ignored.delete(kv.key);
      } else {
        outputs.push(logOutput("warn", `Ignoring bad subnet node: ${entry.error}`));
        this.ignored.add(kv.key);
      }
    }
    this.ignored.keep(new Set(kvs.map((kv) => kv.key)));
    return [...outputs, ...this.#resetTo(entries)];
  }

  peers(): readonly PeerLease[] {
    return this.#entries.filter((entry) => !this.#isOwn(entry)).map((entry) => entry.lease);
  }

  #resetTo(entries: readonly StrictEntry[]): readonly LeaseWatcherOutput[] {
    const outputs: LeaseWatcherOutput[] = [];
    for (const entry of entries) {
      if (this.#isOwn(entry)) continue;
      const at = this.#entries.findIndex((old) => isSame(old, entry));
      if (at >= 0) this.#entries.splice(at, 1);
      else outputs.push({ t: "added", lease: entry.lease });
    }
    // Q1: the own lease was cached by the last reset and is matched by nothing, so it is reported as removed.
    for (const gone of this.#entries) outputs.push({ t: "removed", lease: gone.lease });
    this.#entries = [...entries];
    return outputs;
  }

  #isOwn(entry: StrictEntry): boolean {
    return !entry.dual && samePrefix(entry.subnet, this.#self.subnet);
  }
}

function isSame(old: StrictEntry, entry: StrictEntry): boolean {
  return old.dual ? old.name === entry.name : samePrefix(old.subnet, entry.subnet);
}

function parseEntry(kv: KeyValue): Result<StrictEntry, string> {
  const name = parseSubnetKey(kv.key);
  const lease = parsePeer(kv);
  if (name === undefined || !lease.ok) return err(lease.ok ? "not a subnet, skipping" : lease.error);
  return ok({
    subnet: name.subnet,
    name: emitSubnetName(name.subnet, name.subnet6),
    dual: name.subnet6 !== undefined,
    lease: lease.value,
  });
}

/** What a delete event tells: the key alone. */
function bareEntry(kv: KeyValue): Result<StrictEntry, string> {
  const name = parseSubnetKey(kv.key);
  if (name === undefined) return err(`DELETE ${quoteKey(kv.key)}: not a subnet, skipping`);
  const { key, modRevision, createRevision, lease } = kv;
  const attrs = { publicIp: 0, backendType: undefined, backendData: undefined };
  return ok({
    subnet: name.subnet,
    name: emitSubnetName(name.subnet, name.subnet6),
    dual: name.subnet6 !== undefined,
    lease: { key, subnet: name.subnet, attrs, modRevision, createRevision, lease },
  });
}
