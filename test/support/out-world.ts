// Tables of routes out with neighbours that read what they are sent, octet by octet, and hold it against what they knew.
import { formatIpv4, ipv4 } from "../../src/base/ipv4-addr.ts";
import { SeededRng } from "../../src/base/rng.ts";
import type { Instant } from "../../src/base/time.ts";
import { rank } from "../../src/routing/bgp/rib/decision.ts";
import type { ExportConfig, OutMember } from "../../src/routing/bgp/rib/export-config.ts";
import { type ExportTarget, exportRoute } from "../../src/routing/bgp/rib/export-route.ts";
import type { RibOptions } from "../../src/routing/bgp/rib/rib-options.ts";
import type { RibPeer, RibPeerConfig } from "../../src/routing/bgp/rib/rib-peer.ts";
import { RibsOut } from "../../src/routing/bgp/rib/ribs-out.ts";
import type { Destination, RouteAttributes } from "../../src/routing/bgp/rib/route.ts";
import { formatAsPath } from "../../src/wire/bgp/as-path.ts";
import { emitAttributes } from "../../src/wire/bgp/attributes/emit-attributes.ts";
import { attributesKey, type PathAttributes } from "../../src/wire/bgp/attributes/path-attributes.ts";
import type { Family } from "../../src/wire/bgp/family.ts";
import { MessageType, messageLength, messageType } from "../../src/wire/bgp/header.ts";
import { formatIpv6 } from "../../src/wire/bgp/ipv6-addr.ts";
import type { Negotiated } from "../../src/wire/bgp/negotiated.ts";
import type { NextHop } from "../../src/wire/bgp/next-hop.ts";
import { formatPrefixAt, type PrefixList, pathIdAt } from "../../src/wire/bgp/prefix-list.ts";
import { parseRouteRefresh } from "../../src/wire/bgp/route-refresh.ts";
import { parseUpdate } from "../../src/wire/bgp/update.ts";
import { EBGP, IBGP } from "./bgp.ts";
import { ACCEPT, RibWorld, textOf, V4 } from "./rib-world.ts";

export const EXPORT: ExportConfig = {
  policy: ACCEPT,
  nextHop: "auto",
  localAddr: ipv4("10.0.0.1"),
  localAddr6: undefined,
  localAs: 64512,
  checkPeerAs: true,
  addPathMax: 1,
  mraiSec: 0,
};

/** What a neighbour that receives our messages has settled with us. */
function otherSide(ours: Negotiated): Negotiated {
  return {
    ...ours,
    localAs: ours.peerAs,
    peerAs: ours.localAs,
    addPathRx: ours.addPathTx,
    addPathTx: ours.addPathRx,
    rxMaxBytes: ours.txMaxBytes,
  };
}

/** "10.1.0.0/16", with " path 3" where ADD-PATH is spoken. */
function keysOf(list: PrefixList, addPath: boolean): string[] {
  return Array.from({ length: list.count }, (_, i) => {
    return formatPrefixAt(list, i) + (addPath ? ` path ${pathIdAt(list, i)}` : "");
  });
}

/** A route as octets: equal for equal routes, whatever message they came in. */
export function routeKey(attributes: PathAttributes, nextHop: NextHop): string {
  const block = emitAttributes({ ...attributes, nextHop: undefined }, { as4: true });
  return `${nextHopText(nextHop)} ${Buffer.from(attributesKey(block), "latin1").toString("hex")}`;
}

export function nextHopText(nextHop: NextHop): string {
  if (typeof nextHop === "number") return formatIpv4(nextHop);
  const { global, linkLocal } = nextHop;
  return formatIpv6(global) + (linkLocal === undefined ? "" : `%${formatIpv6(linkLocal)}`);
}

/** A neighbour's end of a session. */
export class Listener implements OutMember {
  readonly peer: RibPeer;
  readonly negotiated: Negotiated;
  readonly config: ExportConfig;
  readonly #ctx: Negotiated;
  /** How many more chunks it takes before it is blocked. */
  room = Number.POSITIVE_INFINITY;
  /** Has it refused something since it last had room? */
  refused = false;
  /** What it knows, by prefix. */
  readonly table = new Map<string, { readonly attributes: PathAttributes; readonly nextHop: NextHop }>();
  /** "+10.1.0.0/16 via 10.0.0.1 [64512]", "-10.1.0.0/16", "eor 257", "borr 257" ... in the order in which they came. */
  heard: string[] = [];
  chunks: Uint8Array[] = [];
  /** Octets of each UPDATE. */
  lengths: number[] = [];
  /** What it was told though it knew it. */
  redundant: string[] = [];
  /** Families of which it is being told everything again. */
  readonly refreshing = new Set<Family>();
  readonly ended: Family[] = [];

  constructor(peer: RibPeer, negotiated: Negotiated, config: ExportConfig) {
    this.peer = peer;
    this.negotiated = negotiated;
    this.config = config;
    this.#ctx = otherSide(negotiated);
  }

  transmit(bytes: Uint8Array, _now: Instant): boolean {
    if (this.room <= 0) {
      this.refused = true;
      return false;
    }
    this.room--;
    this.chunks.push(bytes);
    for (let at = 0; at < bytes.length; at += messageLength(bytes, at)) {
      this.#read(bytes.subarray(at, at + messageLength(bytes, at)));
    }
    return true;
  }

  refresh(family: Family, subtype: number, _now: Instant): boolean {
    if (this.room <= 0) {
      this.refused = true;
      return false;
    }
    if (subtype === 1) this.refreshing.add(family);
    else this.refreshing.delete(family);
    this.heard.push(`${subtype === 1 ? "borr" : "eorr"} ${family}`);
    return true;
  }

  /** Takes what was heard so far. */
  take(): string[] {
    const { heard } = this;
    this.heard = [];
    return heard;
  }

  #read(message: Uint8Array): void {
    if (messageType(message) === MessageType.ROUTE_REFRESH) {
      const parsed = parseRouteRefresh(message);
      if (!parsed.ok) throw new Error("not a ROUTE-REFRESH");
      return;
    }
    const update = parseUpdate(message, this.#ctx);
    if (update.rung !== "none") throw new Error(update.errors.map((error) => error.message).join("; "));
    if (message.length > this.negotiated.txMaxBytes) throw new Error(`${message.length} octets`);
    this.lengths.push(message.length);
    if (update.endOfRib !== undefined) {
      this.ended.push(update.endOfRib);
      this.heard.push(`eor ${update.endOfRib}`);
      return;
    }
    const { attributes } = update;
    for (const list of update.withdrawn) {
      for (const key of keysOf(list, this.#ctx.addPathRx.includes(list.family))) {
        if (!this.table.delete(key)) this.redundant.push(`-${key}`);
        this.heard.push(`-${key}`);
      }
    }
    if (attributes === undefined) return;
    for (const { nextHop, prefixes } of update.announced) {
      const route = { attributes, nextHop };
      const told = routeKey(attributes, nextHop);
      for (const key of keysOf(prefixes, this.#ctx.addPathRx.includes(prefixes.family))) {
        const known = this.table.get(key);
        const same = known !== undefined && routeKey(known.attributes, known.nextHop) === told;
        if (same && !this.refreshing.has(prefixes.family)) this.redundant.push(`+${key}`);
        this.table.set(key, route);
        const path = formatAsPath(attributes.asPath ?? []);
        this.heard.push(`+${key} via ${nextHopText(nextHop)} [${path}]`);
      }
    }
  }
}

/** AS 64512, router 10.0.0.1, with neighbours that listen. */
export class OutWorld extends RibWorld {
  readonly out: RibsOut;
  readonly listeners = new Set<Listener>();

  constructor(given: Partial<RibOptions> = {}, logMaxBytes?: number) {
    super({ clusterId: ipv4("10.0.0.1"), ...given });
    const { localAs, routerId, clusterId } = this.rib.options;
    const options = { localAs, routerId, clusterId, rng: new SeededRng(1) };
    this.out = new RibsOut(this.rib, logMaxBytes === undefined ? options : { ...options, logMaxBytes });
    this.rib.listen(this.out);
  }

  /** A session with a neighbour of the RIB comes up. */
  join(peer: RibPeer, given: Partial<ExportConfig> = {}, session: Partial<Negotiated> = {}): Listener {
    const { internal } = peer.config;
    const base = internal ? IBGP : { ...EBGP, peerAs: peer.as };
    const listener = new Listener(peer, { ...base, families: [V4], ...session }, { ...EXPORT, ...given });
    this.listeners.add(listener);
    this.out.join(listener, this.now);
    return listener;
  }

  leave(listener: Listener): void {
    this.listeners.delete(listener);
    this.out.leave(listener.peer, this.now);
  }

  /** A neighbour that has been added, and listens. */
  neighbor(
    n: number,
    role: Partial<RibPeerConfig> = {},
    given: Partial<ExportConfig> = {},
    session: Partial<Negotiated> = {},
  ): Listener {
    return this.join(this.peer(n, role), given, session);
  }

  /** Lets a listener that was blocked take `room` chunks more. */
  unblock(listener: Listener, room = Number.POSITIVE_INFINITY): void {
    listener.room = room;
    if (!listener.refused || room === 0) return;
    listener.refused = false;
    this.out.writable(listener.peer, this.now);
  }

  /** Decides and sends until there is nothing left. */
  settle(budget = 1000): void {
    this.run();
    for (let turns = 0; this.out.run(this.now, budget); turns++) {
      if (turns > 100_000) throw new Error("it never comes to an end");
    }
  }

  /** {@link settle}, and what the listener heard. */
  hear(listener: Listener): string[] {
    this.settle();
    return listener.take();
  }
}

/** What a listener should know in the end: the export rules applied to what was chosen. */
export function expectedTable(
  world: OutWorld,
  listener: Listener,
  config: ExportConfig = listener.config,
): Map<string, string> {
  const { negotiated, peer } = listener;
  const target: ExportTarget = {
    internal: peer.config.internal,
    peerAs: negotiated.peerAs,
    rrClient: peer.config.internal && peer.config.rrClient,
    clusterId: world.rib.options.clusterId,
    extNextHop: negotiated.extNextHop,
    config,
  };
  const table = new Map<string, string>();
  for (const family of negotiated.families) {
    const addPath = negotiated.addPathTx.includes(family);
    for (const dest of world.rib.destinations(family)) {
      for (const { route, source, localId } of told(world, dest, target, addPath)) {
        if (source === peer || route.nextHop === peer.config.addr) continue;
        const key = textOf(dest) + (addPath ? ` path ${localId}` : "");
        table.set(key, routeKey(route.attributes, route.nextHop));
      }
    }
  }
  return table;
}

interface Expected {
  readonly route: RouteAttributes;
  readonly source: RibPeer;
  readonly localId: number;
}

function told(world: OutWorld, dest: Destination, to: ExportTarget, addPath: boolean): Expected[] {
  if (dest.best === undefined) return [];
  const max = addPath ? to.config.addPathMax : 1;
  const paths = max === 1 ? [dest.best] : rank(dest.paths, world.rib.options.decision, undefined, dest.best);
  const list: Expected[] = [];
  for (const path of paths) {
    const exported = exportRoute(path, to);
    if ("refused" in exported) continue;
    list.push({ route: exported.route, source: path.source, localId: path.localId });
  }
  return list.slice(0, max);
}

/** The same of what it does know. */
export function knownTable(listener: Listener): Map<string, string> {
  return new Map(
    [...listener.table].map(([key, { attributes, nextHop }]) => [key, routeKey(attributes, nextHop)]),
  );
}

/** "10.0.0.0/24" and so on, in blocks of 256. */
export function block(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => {
    const n = from + i;
    return `${10 + (n >>> 16)}.${(n >>> 8) & 255}.${n & 255}.0/24`;
  });
}
