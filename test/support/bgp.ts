// BGP messages for tests: built from hexadecimal, and as plain data that JSON can hold, by way of the codec under test.
import { formatIpv4, ipv4 } from "../../src/base/ipv4-addr.ts";
import type { AsPath } from "../../src/wire/bgp/as-path.ts";
import { emitAttributes } from "../../src/wire/bgp/attributes/emit-attributes.ts";
import { NO_ATTRIBUTES, type PathAttributes } from "../../src/wire/bgp/attributes/path-attributes.ts";
import type { Capability } from "../../src/wire/bgp/capabilities.ts";
import type { Ipv6ExtCommunity } from "../../src/wire/bgp/communities.ts";
import { emitEndOfRib, emitReachable, emitWithdrawn } from "../../src/wire/bgp/emit-update.ts";
import { Family } from "../../src/wire/bgp/family.ts";
import { emitKeepalive, MessageType, messageType } from "../../src/wire/bgp/header.ts";
import { formatIpv6, type Ipv6Addr, ipv6PrefixOf, parseIpv6 } from "../../src/wire/bgp/ipv6-addr.ts";
import { DEFAULT_RULES, type Negotiated } from "../../src/wire/bgp/negotiated.ts";
import type { NextHop } from "../../src/wire/bgp/next-hop.ts";
import { emitNotification, parseNotification } from "../../src/wire/bgp/notification.ts";
import { OctetWriter } from "../../src/wire/bgp/octets.ts";
import { emitOpen, parseOpen } from "../../src/wire/bgp/open.ts";
import { formatPrefixAt, PrefixBuffer, type PrefixList, pathIdAt } from "../../src/wire/bgp/prefix-list.ts";
import { emitRouteRefresh, parseRouteRefresh } from "../../src/wire/bgp/route-refresh.ts";
import { parseUpdate } from "../../src/wire/bgp/update.ts";
import { bytesOf, hexOf } from "./dissect.ts";

/** A session inside AS 64512 with both families and everything but ADD-PATH. */
export const IBGP: Negotiated = {
  ...DEFAULT_RULES,
  localAs: 64512,
  peerAs: 64512,
  internal: true,
  as4: true,
  families: [Family.IPV4_UNICAST, Family.IPV6_UNICAST],
  addPathRx: [],
  addPathTx: [],
  extNextHop: [],
  txMaxBytes: 4096,
  rxMaxBytes: 4096,
  refresh: true,
  enhancedRefresh: true,
  gracefulRestart: undefined,
  holdTimeSec: 90,
};

/** The same with a peer in AS 65001. */
export const EBGP: Negotiated = { ...IBGP, peerAs: 65001, internal: false };

/** The whole message of a type around a body. */
export function message(type: number, body: string): Uint8Array<ArrayBuffer> {
  const octets = bytesOf(body);
  const length = (19 + octets.length).toString(16).padStart(4, "0");
  return bytesOf(`${"ff".repeat(16)}${length}${type.toString(16).padStart(2, "0")}${hexOf(octets)}`);
}

/** An UPDATE from the octets of its three parts, lengths filled in. */
export function update(
  parts: { withdrawn?: string; attributes?: string; nlri?: string } = {},
): Uint8Array<ArrayBuffer> {
  const counted = (hex = ""): string => {
    const octets = hexOf(bytesOf(hex));
    return (octets.length / 2).toString(16).padStart(4, "0") + octets;
  };
  return message(
    MessageType.UPDATE,
    counted(parts.withdrawn) + counted(parts.attributes) + (parts.nlri ?? ""),
  );
}

/** What a writer wrote. */
export function written(write: (out: OctetWriter) => void): Uint8Array {
  const out = new OctetWriter(8);
  write(out);
  return out.take();
}

/** IPv4 prefixes from text: "10.0.0.0/8", or "10.0.0.0/8 path 3". */
export function prefixes(family: Family, texts: readonly string[]): PrefixBuffer {
  const list = new PrefixBuffer(family, 1);
  for (const text of texts) {
    const [prefix, id] = text.split(" path ");
    const [addr, len] = (prefix as string).split("/");
    const pathId = Number(id ?? 0);
    if (family === Family.IPV4_UNICAST) list.addIpv4(ipv4(addr as string), Number(len), pathId);
    else list.addIpv6(ipv6PrefixOf(ipv6(addr as string), Number(len)), pathId);
  }
  return list;
}

export function ipv6(text: string): Ipv6Addr {
  const addr = parseIpv6(text);
  if (addr === undefined) throw new Error(`not an IPv6 address: ${text}`);
  return addr;
}

/** The reverse of {@link prefixes}. @param ids with path identifiers? */
export function textsOf(list: PrefixList, ids = list.pathIds !== undefined): string[] {
  return Array.from({ length: list.count }, (_, i) => {
    return formatPrefixAt(list, i) + (ids ? ` path ${pathIdAt(list, i)}` : "");
  });
}

// Plain data, for vectors.

interface PlainRoutes {
  readonly family: number;
  readonly nextHop?: string;
  readonly prefixes: readonly string[];
}

interface PlainAttributes {
  readonly origin?: number;
  /** Segments as arrays: the type, then the AS numbers. */
  readonly asPath?: readonly (readonly number[])[];
  readonly nextHop?: string;
  readonly med?: number;
  readonly localPref?: number;
  readonly atomicAggregate?: boolean;
  readonly aggregator?: { readonly as: number; readonly addr: string };
  readonly communities?: readonly number[];
  readonly originatorId?: string;
  readonly clusterList?: readonly string[];
  readonly extCommunities?: readonly string[];
  readonly pmsiTunnel?: string;
  readonly ipv6ExtCommunities?: readonly (readonly number[])[];
  readonly largeCommunities?: readonly (readonly [number, number, number])[];
  readonly unknown?: readonly { readonly type: number; readonly flags: number; readonly hex: string }[];
  readonly partial?: readonly number[];
}

export type PlainMessage =
  | {
      t: "open";
      myAs: number;
      holdTimeSec: number;
      bgpId: string;
      capabilities: readonly (Capability | { t: "unknown"; code: number; hex: string })[];
    }
  | {
      t: "update";
      withdrawn?: readonly PlainRoutes[];
      attributes?: PlainAttributes;
      announced?: readonly PlainRoutes[];
      endOfRib?: number;
      rung?: string;
      errors?: readonly string[];
    }
  | { t: "notification"; code: number; subcode: number; hex: string }
  | { t: "keepalive" }
  | { t: "route-refresh"; family: number; subtype: number };

export function plainOf(bytes: Uint8Array, ctx: Negotiated): PlainMessage {
  switch (messageType(bytes)) {
    case MessageType.OPEN: {
      const parsed = parseOpen(bytes);
      if (!parsed.ok) throw new Error(parsed.error.message);
      const { open } = parsed.value;
      const capabilities = open.capabilities.map((one) =>
        one.t === "unknown" ? { t: one.t, code: one.code, hex: hexOf(one.value) } : one,
      );
      return { t: "open", ...open, bgpId: formatIpv4(open.bgpId), capabilities };
    }
    case MessageType.UPDATE:
      return plainUpdate(bytes, ctx);
    case MessageType.NOTIFICATION: {
      const { code, subcode, data } = parseNotification(bytes);
      return { t: "notification", code, subcode, hex: hexOf(data) };
    }
    case MessageType.ROUTE_REFRESH: {
      const parsed = parseRouteRefresh(bytes);
      if (!parsed.ok) throw new Error(parsed.error.message);
      return { t: "route-refresh", ...parsed.value };
    }
    default:
      return { t: "keepalive" };
  }
}

function plainUpdate(bytes: Uint8Array, ctx: Negotiated): PlainMessage {
  const parsed = parseUpdate(bytes, ctx);
  return dense({
    t: "update" as const,
    withdrawn: parsed.withdrawn.map((list) => ({ family: list.family, prefixes: textsOf(list) })),
    attributes: parsed.attributes && plainAttributes(parsed.attributes),
    announced: parsed.announced.map(({ nextHop, prefixes }) => ({
      family: prefixes.family,
      nextHop: plainNextHop(nextHop),
      prefixes: textsOf(prefixes),
    })),
    endOfRib: parsed.endOfRib,
    rung: parsed.rung === "none" ? undefined : parsed.rung,
    errors: parsed.errors.map((error) => error.message),
  });
}

function plainNextHop(nextHop: NextHop): string {
  if (typeof nextHop === "number") return formatIpv4(nextHop);
  return [nextHop.global, nextHop.linkLocal].flatMap((addr) => (addr ? [formatIpv6(addr)] : [])).join(" ");
}

function plainAttributes(a: PathAttributes): PlainAttributes {
  return dense({
    origin: a.origin,
    asPath: a.asPath?.map(({ type, asns }) => [type, ...asns]),
    nextHop: a.nextHop === undefined ? undefined : formatIpv4(a.nextHop),
    med: a.med,
    localPref: a.localPref,
    atomicAggregate: a.atomicAggregate || undefined,
    aggregator: a.aggregator && { as: a.aggregator.as, addr: formatIpv4(a.aggregator.addr) },
    communities: a.communities,
    originatorId: a.originatorId === undefined ? undefined : formatIpv4(a.originatorId),
    clusterList: a.clusterList.map(formatIpv4),
    extCommunities: a.extCommunities.map(
      ({ high, low }) => high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0"),
    ),
    pmsiTunnel: a.pmsiTunnel && hexOf(a.pmsiTunnel),
    ipv6ExtCommunities: a.ipv6ExtCommunities,
    largeCommunities: a.largeCommunities.map(({ global, local1, local2 }) => [global, local1, local2]),
    unknown: a.unknown.map(({ type, flags, value }) => ({ type, flags, hex: hexOf(value) })),
    partial: a.partial,
  }) as PlainAttributes;
}

/** Leaves out what is undefined, and empty lists, except the AS path, whose emptiness says something. */
function dense<T extends object>(record: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const kept = Object.entries(record).filter(
    ([key, value]) => value !== undefined && (key === "asPath" || !Array.isArray(value) || value.length > 0),
  );
  return Object.fromEntries(kept) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** The octets of a message from its plain form: what our own encoder makes of it. */
export function bytesFrom(plain: PlainMessage, ctx: Negotiated): Uint8Array {
  return written((out) => {
    switch (plain.t) {
      case "open": {
        const capabilities = plain.capabilities.map(
          (one): Capability =>
            one.t === "unknown" && "hex" in one
              ? { t: "unknown", code: one.code, value: bytesOf(one.hex) }
              : (one as Capability),
        );
        return emitOpen(out, { ...plain, bgpId: ipv4(plain.bgpId), capabilities });
      }
      case "notification":
        return emitNotification(out, { ...plain, data: bytesOf(plain.hex) });
      case "route-refresh":
        return emitRouteRefresh(out, plain);
      case "keepalive":
        return emitKeepalive(out);
      case "update":
        return emitPlainUpdate(out, plain, ctx);
    }
  });
}

function emitPlainUpdate(
  out: OctetWriter,
  plain: Extract<PlainMessage, { t: "update" }>,
  ctx: Negotiated,
): void {
  if (plain.endOfRib !== undefined) emitEndOfRib(out, plain.endOfRib);
  for (const one of plain.withdrawn ?? []) emitWithdrawn(out, ctx, prefixes(one.family, one.prefixes));
  for (const one of plain.announced ?? []) {
    const nextHop = nextHopFrom(one.nextHop as string);
    const classic = one.family === Family.IPV4_UNICAST && typeof nextHop === "number";
    const attributes = attributesFrom(plain.attributes ?? {});
    const block = emitAttributes(classic ? attributes : { ...attributes, nextHop: undefined }, ctx);
    emitReachable(out, ctx, block, prefixes(one.family, one.prefixes), classic ? undefined : nextHop);
  }
}

function nextHopFrom(text: string): NextHop {
  if (text.includes(".")) return ipv4(text);
  const [global, linkLocal] = text.split(" ");
  return { global: ipv6(global as string), linkLocal: linkLocal === undefined ? undefined : ipv6(linkLocal) };
}

function attributesFrom(plain: PlainAttributes): PathAttributes {
  const addr = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : ipv4(text);
  const asPath = plain.asPath?.map(([type, ...asns]) => ({ type: type as number, asns }));
  return {
    ...NO_ATTRIBUTES,
    origin: plain.origin,
    asPath: asPath as AsPath | undefined,
    nextHop: addr(plain.nextHop),
    med: plain.med,
    localPref: plain.localPref,
    atomicAggregate: plain.atomicAggregate ?? false,
    aggregator: plain.aggregator && { as: plain.aggregator.as, addr: ipv4(plain.aggregator.addr) },
    communities: plain.communities ?? [],
    originatorId: addr(plain.originatorId),
    clusterList: (plain.clusterList ?? []).map(ipv4),
    extCommunities: (plain.extCommunities ?? []).map((hex) => ({
      high: Number.parseInt(hex.slice(0, 8), 16),
      low: Number.parseInt(hex.slice(8), 16),
    })),
    pmsiTunnel: plain.pmsiTunnel === undefined ? undefined : bytesOf(plain.pmsiTunnel),
    ipv6ExtCommunities: (plain.ipv6ExtCommunities ?? []) as unknown as readonly Ipv6ExtCommunity[],
    largeCommunities: (plain.largeCommunities ?? []).map(([global, local1, local2]) => ({
      global,
      local1,
      local2,
    })),
    unknown: (plain.unknown ?? []).map(({ type, flags, hex }) => ({ type, flags, value: bytesOf(hex) })),
    partial: plain.partial ?? [],
  };
}
