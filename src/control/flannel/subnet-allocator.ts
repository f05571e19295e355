// Which subnet a node takes: flanneld's decision as a pure function of what is listed. Read specs on flannel §1.4 first.
import { formatIpv4, formatPrefix, type Ipv4Addr, overlaps, type Prefix } from "../../base/ipv4-addr.ts";
import { below, type Rng } from "../../base/rng.ts";
import type { KeyValue } from "../datastore/messages.ts";
import { type LogOutput, logOutput } from "../log.ts";
import type { LeaseAttrs } from "./lease-attrs.ts";
import { parsePeer } from "./lease-watcher.ts";
import type { NetConf } from "./net-conf.ts";
import { emitSubnetKey, parseSubnetKey, type SubnetKey } from "./subnet-key.ts";

/** flanneld chooses among the first so many free subnets. */
export const CANDIDATES_MAX = 100;
/** After a lost race we look further, so that many nodes that start together do not keep meeting. */
export const CANDIDATES_AFTER_RACE = 4_096;

/** One key below `<prefix>/subnets`. */
export interface ListedLease {
  readonly kv: KeyValue;
  readonly name: SubnetKey;
  /** undefined: the value cannot be parsed. The key takes up its subnet all the same. */
  readonly attrs: LeaseAttrs | undefined;
  /** Is the key spelt as Flannel would spell it? `subnets-old/…`, or a length with leading zeros, is not. */
  readonly canonical: boolean;
}

/** What is listed, in key order, with a line for the log for each key that cannot be used. */
export function listLeases(
  kvs: readonly KeyValue[],
  prefix: string,
): {
  readonly leases: readonly ListedLease[];
  readonly complaints: readonly string[];
} {
  const leases: ListedLease[] = [];
  const complaints: string[] = [];
  for (const kv of [...kvs].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))) {
    const name = parseSubnetKey(kv.key);
    const peer = parsePeer(kv);
    if (!peer.ok) complaints.push(`Ignoring bad subnet node: ${peer.error}`);
    if (name === undefined) continue;
    const canonical =
      name.addr === name.subnet.addr && kv.key === emitSubnetKey(prefix, name.subnet, name.subnet6);
    leases.push({ kv, name, attrs: peer.ok ? peer.value.attrs : undefined, canonical });
  }
  return { leases, complaints };
}

/** Is the lease one that this configuration could have given? A dual-stack one could not, as IPv6 is off. */
export function isCompatible(config: NetConf, subnet: Prefix, dual: boolean): boolean {
  if (subnet.addr < config.subnetMin || subnet.addr > config.subnetMax) return false;
  return subnet.len === config.subnetLen && !dual;
}

export type AllocatorChoice =
  /** A lease names our PublicIP and suits the configuration. */
  | { readonly t: "reuse"; readonly lease: ListedLease; readonly logs: readonly LogOutput[] }
  /** A lease names our PublicIP but does not suit: it has to go first. */
  | { readonly t: "remove"; readonly lease: ListedLease; readonly logs: readonly LogOutput[] }
  /** Claim this free subnet. */
  | { readonly t: "claim"; readonly subnet: Prefix; readonly logs: readonly LogOutput[] }
  | { readonly t: "exhausted"; readonly logs: readonly LogOutput[] };

export interface AllocatorInput {
  readonly config: NetConf;
  readonly leases: readonly ListedLease[];
  readonly publicIp: Ipv4Addr;
  readonly previousSubnet: Prefix | undefined;
  /** The key that was removed in this round: it blocks its subnet still, and step 3 is done. */
  readonly removed: string | undefined;
  /** flanneld ignores keys whose value it cannot parse, and then loses the race against them. */
  readonly strict: boolean;
  /** How many free subnets to choose among. */
  readonly candidates: number;
  readonly rng: Rng;
}

/** Steps 3 to 5 of acquiring: the lease with our address, the subnet of our last run, a random free one. */
export function chooseSubnet(input: AllocatorInput): AllocatorChoice {
  const { config, leases, publicIp, previousSubnet } = input;
  // A key that we could not have written is no lease of ours; flanneld would write another one beside it.
  const mine = leases.find((l) => l.attrs?.publicIp === publicIp && (l.canonical || input.strict));
  if (mine !== undefined && input.removed === undefined) return judgeOwn(config, mine, publicIp);
  const blocking = input.strict ? leases.filter((l) => l.attrs !== undefined) : leases;
  const logs: LogOutput[] = [];
  if (previousSubnet !== undefined && !blocking.some((l) => isSame(l.name.subnet, previousSubnet))) {
    const name = formatPrefix(previousSubnet);
    // flanneld asks only whether the very same subnet is taken; one that overlaps would share addresses.
    const free = input.strict || !blocking.some((l) => overlaps(l.name.subnet, previousSubnet));
    if (isCompatible(config, previousSubnet, false) && free) {
      const log = logOutput("info", `Found previously leased subnet (${name}), reusing`);
      return { t: "claim", subnet: previousSubnet, logs: [log] };
    }
    const refused = `Found previously leased subnet (${name}) that is not compatible with the Etcd network config, ignoring`;
    logs.push(logOutput("error", refused));
  }
  const range = `${formatIpv4(config.subnetMin)} ... ${formatIpv4(config.subnetMax)}`;
  logs.push(logOutput("info", `Picking subnet in range ${range}`));
  const subnet = pickSubnet(config, blocking, input.candidates, input.rng);
  return subnet === undefined ? { t: "exhausted", logs } : { t: "claim", subnet, logs };
}

function judgeOwn(config: NetConf, mine: ListedLease, publicIp: Ipv4Addr): AllocatorChoice {
  const { subnet, subnet6 } = mine.name;
  const compatible = isCompatible(config, subnet, subnet6 !== undefined);
  const found = `Found lease (ip: ${formatPrefix(subnet)} ipv6: ::/0) for current IP (${formatIpv4(publicIp)})`;
  const logs = [
    logOutput(
      "info",
      compatible ? `${found}, reusing` : `${found} but not compatible with current config, deleting`,
    ),
  ];
  return { t: compatible ? "reuse" : "remove", lease: mine, logs };
}

/** One of the first `candidates` subnets that overlap no lease, at random; undefined when there is none. */
function pickSubnet(
  config: NetConf,
  leases: readonly ListedLease[],
  candidates: number,
  rng: Rng,
): Prefix | undefined {
  const taken = new OverlapIndex(leases.map((l) => l.name.subnet));
  const size = 2 ** (32 - config.subnetLen);
  const free: Ipv4Addr[] = [];
  for (let addr = config.subnetMin; addr <= config.subnetMax && free.length < candidates; addr += size) {
    if (!taken.has({ addr, len: config.subnetLen })) free.push(addr);
  }
  const addr = free[below(rng, Math.max(1, free.length))];
  return addr === undefined ? undefined : { addr, len: config.subnetLen };
}

/** Leased ranges, sorted and merged, so that a large network is walked in a moment. */
class OverlapIndex {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  constructor(prefixes: readonly Prefix[]) {
    const ranges = prefixes
      .map((p) => ({ start: p.addr, end: p.addr + 2 ** (32 - p.len) }))
      .sort((a, b) => a.start - b.start);
    for (const { start, end } of ranges) {
      const last = this.#ends.length - 1;
      if (last >= 0 && start <= (this.#ends[last] as number)) {
        this.#ends[last] = Math.max(this.#ends[last] as number, end);
      } else {
        this.#starts.push(start);
        this.#ends.push(end);
      }
    }
  }

  has(prefix: Prefix): boolean {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ends[middle] as number) <= prefix.addr) low = middle + 1;
      else high = middle;
    }
    const start = this.#starts[low];
    return start !== undefined && start < prefix.addr + 2 ** (32 - prefix.len);
  }
}

function isSame(a: Prefix, b: Prefix): boolean {
  return a.addr === b.addr && a.len === b.len;
}
