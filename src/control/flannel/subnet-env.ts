// subnet.env, by which flanneld tells the CNI plugin (and its own next run) what it got. Read specs on flannel §4 first.
import { formatIpv4, formatPrefix, type Prefix, parseCidr, prefixOf } from "../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../base/result.ts";

export interface SubnetEnv {
  readonly network: Prefix;
  /** The node's subnet, host bits cleared. In the file stands its first usable address, base + 1. */
  readonly subnet: Prefix;
  /** MTU of pods. */
  readonly mtuBytes: number;
  readonly ipMasq: boolean;
}

/** The file's text, byte for byte as flanneld writes it. */
export function emitSubnetEnv(env: SubnetEnv): string {
  const first = formatIpv4((env.subnet.addr + 1) >>> 0);
  return (
    `FLANNEL_NETWORK=${formatPrefix(env.network)}\n` +
    `FLANNEL_SUBNET=${first}/${env.subnet.len}\n` +
    `FLANNEL_MTU=${env.mtuBytes}\n` +
    `FLANNEL_IPMASQ=${env.ipMasq ? "true" : "false"}\n`
  );
}

/**
 * Parses the file as the CNI plugin does; IPv6 lines and unknown ones are ignored.
 * @returns an error that ends as the plugin's does: `is missing <vars>`
 */
export function parseSubnetEnv(text: string): Result<SubnetEnv, string> {
  const vars = readVars(text);
  const network = parseNetwork(vars.get("FLANNEL_NETWORK"));
  const subnet = parseNetwork(vars.get("FLANNEL_SUBNET"));
  const mtu = vars.get("FLANNEL_MTU");
  const mtuBytes = mtu !== undefined && /^\d{1,5}$/.test(mtu) ? Number(mtu) : undefined;
  const masq = vars.get("FLANNEL_IPMASQ");
  const missing: string[] = [];
  if (network === undefined) missing.push("FLANNEL_NETWORK");
  if (subnet === undefined) missing.push("FLANNEL_SUBNET");
  if (mtuBytes === undefined) missing.push("FLANNEL_MTU");
  if (masq === undefined) missing.push("FLANNEL_IPMASQ");
  if (network === undefined || subnet === undefined || mtuBytes === undefined || masq === undefined) {
    return err(`is missing ${missing.join(", ")}`);
  }
  return ok({ network, subnet, mtuBytes, ipMasq: masq === "true" });
}

/**
 * The subnet that flanneld takes from the file of an earlier run, whatever else the file lacks: a list with bad entries
 * counts its good ones, and more than one good entry counts as none.
 */
export function parsePreviousSubnet(text: string): Prefix | undefined {
  const value = readVars(text).get("FLANNEL_SUBNET");
  if (value === undefined) return undefined;
  const good = value
    .split(",")
    .map((part) => parseNetwork(part.trim()))
    .filter((subnet) => subnet !== undefined);
  return good.length === 1 ? good[0] : undefined;
}

/** `NAME=value` lines; quotes around a value, comments and `export` are what dotenv files may have. */
function readVars(text: string): Map<string, string> {
  const vars = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line);
    if (match === null) continue;
    const value = match[2] as string;
    const quoted = /^(["'])(.*)\1$/.exec(value);
    vars.set(match[1] as string, quoted === null ? value : (quoted[2] as string));
  }
  return vars;
}

function parseNetwork(text: string | undefined): Prefix | undefined {
  const cidr = text === undefined ? undefined : parseCidr(text);
  return cidr?.ok === true ? prefixOf(cidr.value.addr, cidr.value.len) : undefined;
}
