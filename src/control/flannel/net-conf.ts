// Flannel's network configuration, the value of `<prefix>/config`: parsed with Go's rules, validated in flanneld's order
// and with its words. Read specs on flannel §1.2 first. IPv6 is validated in full, then refused: podloom does not route it.
import {
  contains,
  formatIpv4,
  type Ipv4Addr,
  netmask,
  type Prefix,
  parseIpv4,
  prefixOf,
} from "../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { decodeObject, GoStruct } from "./go-decode.ts";
import { type GoValue, parseGoJson } from "./go-json.ts";
import {
  formatIpv6,
  type Ipv6Addr,
  type Ipv6Prefix,
  ipv6Netmask,
  parseIpv6,
  unmapIpv4,
} from "./ipv6-addr.ts";

/** What a node needs to know of the network. */
export interface NetConf {
  readonly network: Prefix;
  /** Prefix length of each node's subnet. */
  readonly subnetLen: number;
  /** First address of the first and of the last subnet that may be leased. */
  readonly subnetMin: Ipv4Addr;
  readonly subnetMax: Ipv4Addr;
  readonly backend: BackendConf;
}

/** The `Backend` object. All but `type` and `raw` are what the vxlan backend reads from it, with its defaults. */
interface BackendConf {
  /** Lower case. `udp` when the configuration has no Backend, empty when the Backend has no Type. */
  readonly type: string;
  readonly vni: number;
  /** UDP port; 0 leaves it to the kernel, whose default is 8472. */
  readonly port: number;
  /** MTU of the underlay interface (not of the tunnel); undefined: the interface's own. */
  readonly mtuBytes: number | undefined;
  readonly gbp: boolean;
  readonly learning: boolean;
  readonly directRouting: boolean;
  /** The object's JSON text as it was written; undefined when there is none. */
  readonly raw: string | undefined;
}

/** flanneld's words when `<prefix>/config` does not exist. */
export const CONFIG_NOT_FOUND =
  "flannel config not found in etcd store. Did you create your config using etcdv3 API?";

/** Go's `Config` after decoding and before validation. Zero is Go's zero value, which stands for "not given". */
interface RawConf {
  enableIpv4: boolean;
  enableIpv6: boolean;
  network: Prefix;
  subnetMin: Ipv4Addr;
  subnetMax: Ipv4Addr;
  subnetLen: number;
  ipv6Network: Ipv6Prefix;
  ipv6SubnetMin: Ipv6Addr;
  ipv6SubnetMax: Ipv6Addr;
  ipv6SubnetLen: number;
  backend: GoValue | undefined;
}

const NO_PREFIX: Prefix = { addr: 0, len: 0 };
const NO_PREFIX6: Ipv6Prefix = { addr: 0n, len: 0 };

/**
 * Parses and validates the text of `<prefix>/config`. The error is flanneld's sentence, or ours where flanneld would panic
 * or where podloom cannot do what is asked. Whether the backend's type is known is the agent's question.
 */
export function parseNetConf(text: string): Result<NetConf, string> {
  const decoded = decode(text);
  if (!decoded.ok) return decoded;
  const raw = decoded.value;
  const type = parseBackendType(raw.backend);
  if (!type.ok) return type;
  const v4 = raw.enableIpv4 ? checkIpv4(raw) : undefined;
  const v6 = raw.enableIpv6 ? checkIpv6(raw) : undefined;
  const invalid = v4 ?? v6;
  if (invalid !== undefined) return err(invalid);
  if (!raw.enableIpv4 && !raw.enableIpv6) return err("none defined stack");
  if (raw.enableIpv6) {
    return err('podloom does not support IPv6 yet: remove "EnableIPv6" from the flannel config');
  }
  const backend = parseBackend(type.value, raw.backend);
  if (!backend.ok) return backend;
  const { network, subnetLen, subnetMin, subnetMax } = raw;
  return ok({ network, subnetLen, subnetMin, subnetMax, backend: backend.value });
}

function decode(text: string): Result<RawConf, string> {
  const json = parseGoJson(text);
  if (!json.ok) return json;
  const object = decodeObject(json.value, "subnet.Config");
  if (!object.ok) return object;
  const config = new GoStruct(object.value ?? { t: "object", raw: "{}", members: [] }, "Config");
  const raw: RawConf = {
    enableIpv4: config.bool("EnableIPv4", true),
    enableIpv6: config.bool("EnableIPv6", false),
    network: config.custom("Network", parseNetwork, false) ?? NO_PREFIX,
    ipv6Network: config.custom("IPv6Network", parseNetwork6, false) ?? NO_PREFIX6,
    subnetMin: config.custom("SubnetMin", parseAddr, false) ?? 0,
    subnetMax: config.custom("SubnetMax", parseAddr, false) ?? 0,
    ipv6SubnetMin: config.custom("IPv6SubnetMin", parseAddr6, true) ?? 0n,
    ipv6SubnetMax: config.custom("IPv6SubnetMax", parseAddr6, true) ?? 0n,
    subnetLen: config.uint("SubnetLen"),
    ipv6SubnetLen: config.uint("IPv6SubnetLen"),
    backend: config.raw("Backend"),
  };
  // Fields of Go's struct that etcd mode decodes and then throws away.
  config.customSlice("Networks", "[]ip.IP4Net", parseNetwork);
  config.customSlice("IPv6Networks", "[]ip.IP6Net", parseNetwork6);
  return config.error === undefined ? ok(raw) : err(config.error);
}

// ---- IPv4 ----

/** Checks in flanneld's order and fills in the defaults. @returns the complaint */
function checkIpv4(raw: RawConf): string | undefined {
  const { network } = raw;
  if (network.addr === 0 && network.len === 0) {
    return "please define a correct Network parameter in the flannel config";
  }
  if (raw.subnetLen > 0) {
    if (raw.subnetLen > 30) return "SubnetLen must be less than /31";
    if (raw.subnetLen < network.len + 2) return "network must be able to accommodate at least four subnets";
  } else {
    if (network.len > 28) return "network is too small. Minimum useful network prefix is /28";
    raw.subnetLen = network.len <= 22 ? 24 : network.len + 2;
  }
  const size = 2 ** (32 - raw.subnetLen);
  // The first subnet is skipped: its first address is the network's own, which some systems treat as a broadcast address.
  if (raw.subnetMin === 0) raw.subnetMin = (network.addr + size) >>> 0;
  else if (!contains(network, raw.subnetMin)) return "SubnetMin is not in the range of the Network";
  if (raw.subnetMax === 0) raw.subnetMax = (network.addr + 2 ** (32 - network.len) - size) >>> 0;
  else if (!contains(network, raw.subnetMax)) return "SubnetMax is not in the range of the Network";
  for (const [name, addr] of [
    ["SubnetMin", raw.subnetMin],
    ["SubnetMax", raw.subnetMax],
  ] as const) {
    if ((addr & ~netmask(raw.subnetLen)) !== 0)
      return `${name} is not on a SubnetLen boundary: ${formatIpv4(addr)}`;
  }
  return undefined;
}

// ---- IPv6 ----

function checkIpv6(raw: RawConf): string | undefined {
  const { ipv6Network: network } = raw;
  if (network.addr === 0n && network.len === 0) {
    return "please define a correct IPv6Network parameter in the flannel config";
  }
  if (raw.ipv6SubnetLen > 0) {
    if (raw.ipv6SubnetLen > 126) return "SubnetLen must be less than /127";
    if (raw.ipv6SubnetLen < network.len + 2)
      return "network must be able to accommodate at least four subnets";
  } else {
    if (network.len > 124) return "IPv6Network is too small. Minimum useful network prefix is /124";
    raw.ipv6SubnetLen = network.len <= 62 ? 64 : network.len + 2;
  }
  const size = 1n << BigInt(128 - raw.ipv6SubnetLen);
  const mask = ipv6Netmask(network.len);
  const outside = (addr: Ipv6Addr) => (addr & mask) !== network.addr;
  if (raw.ipv6SubnetMin === 0n) raw.ipv6SubnetMin = network.addr + size;
  else if (outside(raw.ipv6SubnetMin)) return "IPv6SubnetMin is not in the range of the IPv6Network";
  if (raw.ipv6SubnetMax === 0n) raw.ipv6SubnetMax = network.addr + (1n << BigInt(128 - network.len)) - size;
  else if (outside(raw.ipv6SubnetMax)) return "IPv6SubnetMax is not in the range of the IPv6Network";
  for (const [name, addr] of [
    ["IPv6SubnetMin", raw.ipv6SubnetMin],
    ["IPv6SubnetMax", raw.ipv6SubnetMax],
  ] as const) {
    if (addr % size !== 0n) return `${name} is not on a SubnetLen boundary: ${formatIpv6(addr)}`;
  }
  return undefined;
}

// ---- the values of fields, with Go's complaints ----

/** Splits `addr/len` as net.ParseCIDR does. */
function parseGoCidr(text: string): Result<{ v4: Prefix } | { v6: Ipv6Prefix }, string> {
  const invalid = err(`invalid CIDR address: ${text}`);
  const slash = text.indexOf("/");
  if (slash < 0) return invalid;
  const lenText = text.slice(slash + 1);
  const len = /^\d{1,7}$/.test(lenText) ? Number(lenText) : 999;
  const v4 = parseIpv4(text.slice(0, slash));
  if (v4 !== undefined) return len <= 32 ? ok({ v4: prefixOf(v4, len) }) : invalid;
  const v6 = parseIpv6(text.slice(0, slash));
  if (v6 === undefined || len > 128) return invalid;
  return ok({ v6: { addr: v6 & ipv6Netmask(len), len } });
}

function parseNetwork(text: string): Result<Prefix, string> {
  const cidr = parseGoCidr(text);
  if (!cidr.ok) return cidr;
  return "v4" in cidr.value
    ? ok(cidr.value.v4)
    : err(`"${text}" is not an IPv4 network; IPv6 goes into IPv6Network`);
}

function parseNetwork6(text: string): Result<Ipv6Prefix, string> {
  const cidr = parseGoCidr(text);
  if (!cidr.ok) return cidr;
  return "v6" in cidr.value
    ? ok(cidr.value.v6)
    : err(`"${text}" is not an IPv6 network; IPv4 goes into Network`);
}

function parseAddr(text: string): Result<Ipv4Addr, string> {
  const v4 = parseIpv4(text);
  if (v4 !== undefined) return ok(v4);
  const v6 = parseIpv6(text);
  if (v6 === undefined) return err("invalid IP address format");
  const inner = unmapIpv4(v6);
  return inner === undefined ? err(`"${text}" is not an IPv4 address`) : ok(inner);
}

function parseAddr6(text: string): Result<Ipv6Addr, string> {
  const v6 = parseIpv6(text);
  if (v6 !== undefined) return ok(v6);
  return err(
    parseIpv4(text) === undefined ? "invalid IP address format" : `"${text}" is not an IPv6 address`,
  );
}

// ---- backend ----

function parseBackendType(raw: GoValue | undefined): Result<string, string> {
  if (raw === undefined) return ok("udp");
  const object = decodeObject(raw, "struct { Type string }");
  if (!object.ok) return err(`error decoding Backend property of config: ${object.error}`);
  if (object.value === undefined) return ok("");
  const backend = new GoStruct(object.value, "");
  const type = backend.string("Type");
  if (backend.error !== undefined) return err(`error decoding Backend property of config: ${backend.error}`);
  return ok(type.toLowerCase());
}

const VNI_MAX = 0xff_ffff;
/** IPv4's minimum for a link plus VXLAN's 50 bytes: below it, the tunnel could not carry IPv4 at all. */
const MTU_MIN = 118;

/** What the vxlan backend makes of its object. Other backends read other keys of theirs, from `raw`. */
function parseBackend(type: string, raw: GoValue | undefined): Result<BackendConf, string> {
  const object = raw?.t === "object" ? raw : ({ t: "object", raw: "{}", members: [] } as const);
  const empty = { t: "object", raw: "{}", members: [] } as const;
  const backend = new GoStruct(type === "vxlan" ? object : empty, "");
  const mtu = backend.int("MTU", 0);
  const conf: BackendConf = {
    type,
    vni: backend.int("VNI", 1),
    port: Math.max(0, backend.int("Port", 0)),
    mtuBytes: mtu === 0 ? undefined : mtu,
    gbp: backend.bool("GBP", false),
    learning: backend.bool("Learning", false),
    directRouting: backend.bool("DirectRouting", false),
    raw: raw?.raw,
  };
  if (backend.error !== undefined) return err(`error decoding VXLAN backend config: ${backend.error}`);
  // flanneld leaves these to the kernel, which answers with an errno.
  if (conf.vni < 0 || conf.vni > VNI_MAX) return err(`VNI ${conf.vni} is out of range: use 0 to ${VNI_MAX}`);
  if (conf.port > 65_535)
    return err(`Port ${conf.port} is out of range: use 1 to 65535, or 0 for the default`);
  if (mtu !== 0 && (mtu < MTU_MIN || mtu > 65_535)) {
    return err(`MTU ${mtu} is out of range: it is the underlay's, use ${MTU_MIN} to 65535`);
  }
  return ok(conf);
}
