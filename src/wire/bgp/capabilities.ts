// Capabilities, as an OPEN announces them. Read RFC 5492 first; the codes are IANA's "Capability Codes".
//
// +------------------------------+
// | Capability code (1)          |
// +------------------------------+
// | Capability length (1)        |
// +------------------------------+
// | Capability value (variable)  |
// +------------------------------+
//
// What is not acted on but shown: role, long-lived graceful restart, host name, software version. Everything else is kept as octets.
import { assert } from "../../base/assert.ts";
import { decodeUtf8, encodeUtf8 } from "../../base/utf8.ts";
import { type Family, familyOf } from "./family.ts";
import { OctetWriter, u16, u32 } from "./octets.ts";

/** Capability codes. @rfc 5492#4 @rfc 2918#2 @rfc 7313#3.1 @rfc 8654#3 */
export const CapabilityCode = {
  MULTIPROTOCOL: 1,
  ROUTE_REFRESH: 2,
  EXTENDED_NEXT_HOP: 5,
  EXTENDED_MESSAGE: 6,
  ROLE: 9,
  GRACEFUL_RESTART: 64,
  FOUR_OCTET_AS: 65,
  ADD_PATH: 69,
  ENHANCED_ROUTE_REFRESH: 70,
  LONG_LIVED_GRACEFUL_RESTART: 71,
  HOSTNAME: 73,
  SOFTWARE_VERSION: 75,
} as const;

/** What an ADD-PATH capability allows its sender: bit 1 to receive, bit 2 to send. @rfc 7911#4 */
export const AddPath = { RECEIVE: 1, SEND: 2, BOTH: 3 } as const;

/** Roles of an eBGP neighbour. @rfc 9234#4.1 */
export const Role = { PROVIDER: 0, RS: 1, RS_CLIENT: 2, CUSTOMER: 3, PEER: 4 } as const;

/** Routes of `family` may be reached by next hops of `nextHopAfi`. @rfc 8950#4 */
export interface ExtendedNextHopEntry {
  readonly family: Family;
  readonly nextHopAfi: number;
}

/** A family whose routes outlive a restart. @rfc 4724#3 */
export interface GracefulRestartFamily {
  readonly family: Family;
  /** F: the forwarding state was preserved over the restart. */
  readonly forwarding: boolean;
}

/** In which directions path identifiers are understood. @rfc 7911#4 */
export interface AddPathFamily {
  readonly family: Family;
  /** One of {@link AddPath}. */
  readonly direction: number;
}

/** For how long routes may be stale. @rfc 9494#3.1 */
export interface LongLivedFamily {
  readonly family: Family;
  readonly forwarding: boolean;
  /** 0..2^24-1 */
  readonly staleTimeSec: number;
}

/** @rfc 4724#3 @rfc 8538#2 */
export interface GracefulRestart {
  readonly t: "graceful-restart";
  /** R: the sender has just restarted. */
  readonly restarting: boolean;
  /** N: graceful restart also after a NOTIFICATION. */
  readonly notification: boolean;
  /** 0..4095 */
  readonly restartTimeSec: number;
  readonly families: readonly GracefulRestartFamily[];
}

/** One capability, immutable. Unknown ones, and those whose value is malformed, are octets. @rfc 5492#4 */
export type Capability =
  | { readonly t: "multiprotocol"; readonly family: Family }
  | { readonly t: "route-refresh" }
  | { readonly t: "extended-next-hop"; readonly entries: readonly ExtendedNextHopEntry[] }
  | { readonly t: "extended-message" }
  | { readonly t: "role"; readonly role: number }
  | GracefulRestart
  | { readonly t: "four-octet-as"; readonly as: number }
  | { readonly t: "add-path"; readonly families: readonly AddPathFamily[] }
  | { readonly t: "enhanced-route-refresh" }
  | { readonly t: "long-lived-graceful-restart"; readonly families: readonly LongLivedFamily[] }
  | { readonly t: "hostname"; readonly host: string; readonly domain: string }
  | { readonly t: "software-version"; readonly text: string }
  | { readonly t: "unknown"; readonly code: number; readonly value: Uint8Array };

/** A capability by the name of its kind. */
export type CapabilityOf<T extends Capability["t"]> = Extract<Capability, { readonly t: T }>;

/** What a run of capabilities says. */
export interface ParsedCapabilities {
  readonly capabilities: readonly Capability[];
  /** A sentence for each capability that was ignored because its value is malformed. */
  readonly warnings: readonly string[];
}

/**
 * The capabilities in `off`..`end`; undefined when a code or a value is cut off, which makes the OPEN malformed. A value of the
 * wrong length only makes that capability unknown. @rfc 5492#4
 */
export function parseCapabilities(
  bytes: Uint8Array,
  off: number,
  end: number,
): ParsedCapabilities | undefined {
  const capabilities: Capability[] = [];
  const warnings: string[] = [];
  while (off < end) {
    if (end - off < 2) return undefined;
    const code = bytes[off] as number;
    const length = bytes[off + 1] as number;
    off += 2;
    if (length > end - off) return undefined;
    const value = bytes.slice(off, off + length);
    off += length;
    const parse = PARSERS.get(code);
    const capability = parse?.(value);
    if (parse !== undefined && capability === undefined) {
      warnings.push(`capability ${code} has a malformed value of ${length} octets and was ignored`);
    }
    capabilities.push(capability ?? { t: "unknown", code, value });
  }
  return { capabilities, warnings };
}

type Parser = (value: Uint8Array) => Capability | undefined;

/** Capabilities without a value. */
function flag(capability: Capability): Parser {
  return (value) => (value.length === 0 ? capability : undefined);
}

/** Entries of `size` octets from `off` on; undefined when the value is no whole number of them. */
function entries<T>(
  value: Uint8Array,
  off: number,
  size: number,
  read: (at: number) => T | undefined,
): T[] | undefined {
  if (value.length < off || (value.length - off) % size !== 0) return undefined;
  const list: T[] = [];
  for (let at = off; at < value.length; at += size) {
    const entry = read(at);
    if (entry !== undefined) list.push(entry);
  }
  return list;
}

function familyAt(value: Uint8Array, at: number): Family {
  return familyOf(u16(value, at), value[at + 2] as number);
}

const PARSERS: ReadonlyMap<number, Parser> = new Map<number, Parser>([
  [
    CapabilityCode.MULTIPROTOCOL,
    (v) => (v.length === 4 ? { t: "multiprotocol", family: familyOf(u16(v, 0), v[3] as number) } : undefined),
  ],
  [CapabilityCode.ROUTE_REFRESH, flag({ t: "route-refresh" })],
  [CapabilityCode.EXTENDED_NEXT_HOP, parseExtendedNextHop],
  [CapabilityCode.EXTENDED_MESSAGE, flag({ t: "extended-message" })],
  [CapabilityCode.ROLE, (v) => (v.length === 1 ? { t: "role", role: v[0] as number } : undefined)],
  [CapabilityCode.GRACEFUL_RESTART, parseGracefulRestart],
  [CapabilityCode.FOUR_OCTET_AS, (v) => (v.length === 4 ? { t: "four-octet-as", as: u32(v, 0) } : undefined)],
  [CapabilityCode.ADD_PATH, parseAddPath],
  [CapabilityCode.ENHANCED_ROUTE_REFRESH, flag({ t: "enhanced-route-refresh" })],
  [CapabilityCode.LONG_LIVED_GRACEFUL_RESTART, parseLongLived],
  [CapabilityCode.HOSTNAME, parseHostname],
  [CapabilityCode.SOFTWARE_VERSION, parseSoftwareVersion],
]);

/** The SAFI has two octets here. @rfc 8950#4 */
function parseExtendedNextHop(value: Uint8Array): Capability | undefined {
  const list = entries(value, 0, 6, (at) => ({
    family: familyOf(u16(value, at), u16(value, at + 2) & 0xff),
    nextHopAfi: u16(value, at + 4),
  }));
  return list && { t: "extended-next-hop", entries: list };
}

function parseGracefulRestart(value: Uint8Array): Capability | undefined {
  const families = entries(value, 2, 4, (at) => ({
    family: familyAt(value, at),
    forwarding: ((value[at + 3] as number) & 0x80) !== 0,
  }));
  if (families === undefined) return undefined;
  const head = u16(value, 0);
  return {
    t: "graceful-restart",
    restarting: (head & 0x8000) !== 0,
    notification: (head & 0x4000) !== 0,
    restartTimeSec: head & 0x0fff,
    families,
  };
}

/** Entries with another direction than 1, 2 or 3 are ignored. @rfc 7911#4 */
function parseAddPath(value: Uint8Array): Capability | undefined {
  const families = entries(value, 0, 4, (at) => {
    const direction = value[at + 3] as number;
    return direction >= AddPath.RECEIVE && direction <= AddPath.BOTH
      ? { family: familyAt(value, at), direction }
      : undefined;
  });
  return families && { t: "add-path", families };
}

function parseLongLived(value: Uint8Array): Capability | undefined {
  const families = entries(value, 0, 7, (at) => ({
    family: familyAt(value, at),
    forwarding: ((value[at + 3] as number) & 0x80) !== 0,
    staleTimeSec: ((value[at + 4] as number) << 16) | u16(value, at + 5),
  }));
  return families && { t: "long-lived-graceful-restart", families };
}

/** Two counted texts, and nothing behind them. */
function parseHostname(value: Uint8Array): Capability | undefined {
  const host = textAt(value, 0);
  const domain = host && textAt(value, host.end);
  if (domain === undefined || domain.end !== value.length) return undefined;
  return { t: "hostname", host: (host as { text: string }).text, domain: domain.text };
}

function parseSoftwareVersion(value: Uint8Array): Capability | undefined {
  const version = textAt(value, 0);
  return version?.end === value.length ? { t: "software-version", text: version.text } : undefined;
}

function textAt(value: Uint8Array, at: number): { readonly text: string; readonly end: number } | undefined {
  const length = value[at];
  if (length === undefined || length > value.length - at - 1) return undefined;
  const text = decodeUtf8(value.subarray(at + 1, at + 1 + length));
  return text === undefined ? undefined : { text, end: at + 1 + length };
}

/** Appends code, length and value. @rfc 5492#4 */
export function emitCapability(out: OctetWriter, capability: Capability): void {
  const start = out.length;
  out.u8(codeOf(capability));
  out.u8(0);
  emitValue(out, capability);
  const length = out.length - start - 2;
  assert(length <= 255, `a capability's value has at most 255 octets, and ${capability.t} has ${length}`);
  out.setU8(start + 1, length);
}

/** The capabilities one after the other: what a NOTIFICATION 2/7 quotes. @rfc 5492#5 */
export function emitCapabilities(capabilities: readonly Capability[]): Uint8Array {
  const out = new OctetWriter(64);
  for (const capability of capabilities) emitCapability(out, capability);
  return out.take();
}

/** The code under which the capability travels. */
export function codeOf(capability: Capability): number {
  switch (capability.t) {
    case "multiprotocol":
      return CapabilityCode.MULTIPROTOCOL;
    case "route-refresh":
      return CapabilityCode.ROUTE_REFRESH;
    case "extended-next-hop":
      return CapabilityCode.EXTENDED_NEXT_HOP;
    case "extended-message":
      return CapabilityCode.EXTENDED_MESSAGE;
    case "role":
      return CapabilityCode.ROLE;
    case "graceful-restart":
      return CapabilityCode.GRACEFUL_RESTART;
    case "four-octet-as":
      return CapabilityCode.FOUR_OCTET_AS;
    case "add-path":
      return CapabilityCode.ADD_PATH;
    case "enhanced-route-refresh":
      return CapabilityCode.ENHANCED_ROUTE_REFRESH;
    case "long-lived-graceful-restart":
      return CapabilityCode.LONG_LIVED_GRACEFUL_RESTART;
    case "hostname":
      return CapabilityCode.HOSTNAME;
    case "software-version":
      return CapabilityCode.SOFTWARE_VERSION;
    case "unknown":
      return capability.code;
  }
}

function emitValue(out: OctetWriter, capability: Capability): void {
  switch (capability.t) {
    case "multiprotocol":
      // The octet between AFI and SAFI is reserved here, so the family does not go out in one piece.
      out.u16(capability.family >>> 8);
      out.u16(capability.family & 0xff);
      return;
    case "extended-next-hop":
      for (const { family, nextHopAfi } of capability.entries) {
        out.u16(family >>> 8);
        out.u16(family & 0xff);
        out.u16(nextHopAfi);
      }
      return;
    case "graceful-restart":
      emitGracefulRestart(out, capability);
      return;
    case "add-path":
      for (const { family, direction } of capability.families) emitFamily(out, family, direction);
      return;
    case "long-lived-graceful-restart":
      for (const { family, forwarding, staleTimeSec } of capability.families) {
        emitFamily(out, family, forwarding ? 0x80 : 0);
        out.u8(staleTimeSec >>> 16);
        out.u16(staleTimeSec);
      }
      return;
    case "four-octet-as":
      out.u32(capability.as);
      return;
    case "role":
      out.u8(capability.role);
      return;
    case "hostname":
      emitText(out, capability.host);
      emitText(out, capability.domain);
      return;
    case "software-version":
      emitText(out, capability.text);
      return;
    case "unknown":
      out.octets(capability.value);
      return;
    case "route-refresh":
    case "extended-message":
    case "enhanced-route-refresh":
      return;
  }
}

function emitGracefulRestart(out: OctetWriter, gr: GracefulRestart): void {
  const flags = (gr.restarting ? 0x8000 : 0) | (gr.notification ? 0x4000 : 0);
  out.u16(flags | (gr.restartTimeSec & 0x0fff));
  for (const { family, forwarding } of gr.families) emitFamily(out, family, forwarding ? 0x80 : 0);
}

function emitFamily(out: OctetWriter, family: Family, last: number): void {
  out.u16(family >>> 8);
  out.u16(((family & 0xff) << 8) | last);
}

function emitText(out: OctetWriter, text: string): void {
  const octets = encodeUtf8(text);
  out.u8(octets.length);
  out.octets(octets);
}
