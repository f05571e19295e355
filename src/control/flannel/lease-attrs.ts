// The value of a lease: who holds the subnet and how to reach it. Read specs on flannel §1.3 first.
import { formatIpv4, type Ipv4Addr, type Prefix, parseIpv4 } from "../../base/ipv4-addr.ts";
import { formatMac, type MacAddr, parseMac } from "../../base/mac-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";
import type { LeaseId } from "../datastore/messages.ts";
import { decodeObject, GoStruct } from "./go-decode.ts";
import { emitGoRaw, emitGoString, type GoValue, parseGoJson, wellFormed } from "./go-json.ts";
import { formatIpv6, type Ipv6Addr, parseIpv6, unmapIpv4 } from "./ipv6-addr.ts";

export interface LeaseAttrs {
  readonly publicIp: Ipv4Addr;
  /** Canonical text; undefined is JSON's null. */
  readonly publicIpv6?: string | undefined;
  /** undefined for the backends that write none (udp, alloc). */
  readonly backendType: string | undefined;
  /** Of a vxlan lease, when its BackendData has one. */
  readonly vni?: number | undefined;
  readonly vtepMac?: MacAddr | undefined;
  /** BackendData as JSON, undefined when there is none. Emitting prefers this to `vni` and `vtepMac`. */
  readonly backendData: unknown;
  readonly backendV6Data?: unknown;
}

/** A lease of another node, as the store holds it. */
export interface PeerLease {
  readonly key: string;
  readonly subnet: Prefix;
  readonly attrs: LeaseAttrs;
  readonly modRevision: number;
  /** The lease's epoch: it changes exactly when the subnet has been given away anew. */
  readonly createRevision: number;
  /** The etcd lease that the key hangs on; "0" for a reservation. */
  readonly lease: LeaseId;
}

/** The subnet that this node holds. */
export interface OwnLease {
  readonly subnet: Prefix;
  readonly lease: LeaseId;
  /** The key's create revision. */
  readonly epoch: number;
  readonly attrs: LeaseAttrs;
}

/** BackendData of the vxlan backend. */
export function vxlanBackendData(vni: number, vtepMac: MacAddr): unknown {
  return { VNI: vni, VtepMAC: formatMac(vtepMac) };
}

/** The bytes that flanneld's json.Marshal writes: this order, no spaces, PublicIPv6 always, the rest only when there. */
export function emitLeaseAttrs(attrs: LeaseAttrs): string {
  const { publicIp, publicIpv6, backendType, vni, vtepMac } = attrs;
  const data =
    attrs.backendData === undefined && vni !== undefined && vtepMac !== undefined
      ? vxlanBackendData(vni, vtepMac)
      : attrs.backendData;
  let json = `{"PublicIP":"${formatIpv4(publicIp)}","PublicIPv6":`;
  json += publicIpv6 === undefined ? "null" : `"${publicIpv6}"`;
  if (backendType !== undefined && backendType !== "") json += `,"BackendType":${emitGoString(backendType)}`;
  if (data !== undefined) json += `,"BackendData":${emitGoRaw(data)}`;
  if (attrs.backendV6Data !== undefined) json += `,"BackendV6Data":${emitGoRaw(attrs.backendV6Data)}`;
  return `${json}}`;
}

/** Deeper nesting than this in BackendData is no backend's data. Printing it again must not exhaust the stack. */
const DATA_DEPTH_MAX = 64;

/**
 * Parses a lease's value with Go's rules. Hostile input is the normal case here: anyone may write below the prefix.
 * A lease without a PublicIP is refused, since nothing can be sent to it (flanneld would take 0.0.0.0).
 */
export function parseLeaseAttrs(text: string): Result<LeaseAttrs, string> {
  const json = parseGoJson(text);
  if (!json.ok) return json;
  const object = decodeObject(json.value, "lease.LeaseAttrs");
  if (!object.ok) return object;
  if (object.value === undefined) return err("PublicIP is missing");
  const go = new GoStruct(object.value, "LeaseAttrs");
  const publicIp = go.custom("PublicIP", parsePublicIp, false);
  const publicIpv6 = go.custom("PublicIPv6", parsePublicIpv6, true);
  const backendType = go.string("BackendType");
  if (go.error !== undefined) return err(go.error);
  if (publicIp === undefined || publicIp === 0) return err("PublicIP is missing");
  const data = go.raw("BackendData");
  const v6Data = go.raw("BackendV6Data");
  for (const value of [data, v6Data]) {
    if (value !== undefined && depth(value) > DATA_DEPTH_MAX) return err("BackendData is nested too deeply");
  }
  return ok({
    publicIp,
    ...(publicIpv6 === undefined ? {} : { publicIpv6: formatIpv6(publicIpv6) }),
    backendType: backendType === "" ? undefined : backendType,
    ...parseVxlanData(backendType, data),
    backendData: toJs(data),
    ...(v6Data === undefined ? {} : { backendV6Data: toJs(v6Data) }),
  });
}

/** What of the data a vxlan backend can use. Data that does not fit is left out: the agent then cannot install the peer. */
function parseVxlanData(
  backendType: string,
  data: GoValue | undefined,
): { readonly vni?: number; readonly vtepMac?: MacAddr } {
  if (backendType !== "vxlan" || data?.t !== "object") return {};
  const go = new GoStruct(data, "vxlanLeaseAttrs");
  const vni = go.uint32("VNI", 0);
  const vtepMac = go.custom("VtepMAC", parseGoMac, false);
  if (go.error !== undefined || vtepMac === undefined) return {};
  return { vni, vtepMac };
}

function parsePublicIp(text: string): Result<Ipv4Addr, string> {
  const v4 = parseIpv4(text);
  if (v4 !== undefined) return ok(v4);
  const v6 = parseIpv6(text);
  const inner = v6 === undefined ? undefined : unmapIpv4(v6);
  return inner === undefined ? err("invalid IP address format") : ok(inner);
}

function parsePublicIpv6(text: string): Result<Ipv6Addr, string> {
  const v6 = parseIpv6(text);
  return v6 === undefined ? err("invalid IP address format") : ok(v6);
}

/** Go's net.ParseMAC for 48 bits: colons, hyphens, or dots between groups of four digits. */
function parseGoMac(text: string): Result<MacAddr, string> {
  const dotted = /^[0-9a-f]{4}(\.[0-9a-f]{4}){2}$/i.test(text);
  const hyphened = /^[0-9a-f]{2}(-[0-9a-f]{2}){5}$/i.test(text);
  const plain = dotted ? text.replaceAll(".", "").replace(/..(?!$)/g, "$&:") : text;
  const mac = parseMac(hyphened ? plain.replaceAll("-", ":") : plain);
  return mac === undefined ? err(`address ${text}: invalid MAC address`) : ok(mac);
}

function depth(value: GoValue): number {
  let level: readonly GoValue[] = [value];
  let n = 0;
  while (level.length > 0 && n <= DATA_DEPTH_MAX) {
    n++;
    level = level.flatMap((v) =>
      v.t === "array" ? v.items : v.t === "object" ? v.members.map((member) => member.value) : [],
    );
  }
  return n;
}

function toJs(value: GoValue | undefined): unknown {
  if (value === undefined) return undefined;
  switch (value.t) {
    case "null":
      return null;
    case "bool":
    case "string":
      return value.value;
    case "number":
      return Number(value.raw);
    case "array":
      return value.items.map(toJs);
    case "object":
      return Object.fromEntries(value.members.map((member) => [wellFormed(member.key), toJs(member.value)]));
  }
}
