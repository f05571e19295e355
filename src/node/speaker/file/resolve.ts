// A speaker's file → a plan that can be carried out, or all that does not go together in it.
import { countOf } from "../../../base/count-of.ts";
import { formatIpv4, type Ipv4Addr } from "../../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import { type DocPath, type DocumentFault, DocumentFaults, keyText } from "../../../io/document/problem.ts";
import { CarrierMap } from "../../../io/host-address.ts";
import { PodloomError } from "../../../io/podloom-error.ts";
import { DEFAULT_DECISION } from "../../../routing/bgp/rib/decision.ts";
import { NEXT_HOP_SELF, type RibPrefix } from "../../../routing/bgp/rib/route.ts";
import { formatRibPrefix } from "../../../routing/bgp/speaker/inspect.ts";
import type {
  NeighborConfig,
  NetworkConfig,
  RangeConfig,
  SpeakerConfig,
} from "../../../routing/bgp/speaker/speaker-config.ts";
import { DEFAULT_PORT, speakerConfig } from "../../../routing/bgp/speaker/speaker-defaults.ts";
import { Family } from "../../../wire/bgp/family.ts";
import type { PlanSurroundings, SpeakerPlan } from "../plan.ts";
import { ORIGINS } from "./policy-schema.ts";
import { type NeighborContext, resolveNeighbor, resolveRange } from "./resolve-neighbor.ts";
import { checkDirection, resolvePolicies } from "./resolve-policy.ts";
import type { NetworkText, SpeakerFile } from "./speaker-schema.ts";

/**
 * @throws PodloomError PL_CARRIER_UNSUPPORTED where this system cannot carry addresses on its loopback interface
 */
export function resolveSpeaker(
  file: SpeakerFile,
  around: PlanSurroundings,
): Result<SpeakerPlan, readonly DocumentFault[]> {
  const faults = new DocumentFaults();
  const address = file.address ?? file.routerId;
  const carrier = file.carrier ?? "host";
  const port = file.listen === false ? DEFAULT_PORT : (file.listen.port ?? DEFAULT_PORT);
  checkNames(file, faults);
  const sources = new Set(file.neighbors.map(({ name, address: addr }) => name ?? formatIpv4(addr)));
  const ranges = file.ranges.map(({ name }) => `${name}-`);
  const isSource = (name: string) => sources.has(name) || ranges.some((range) => name.startsWith(range));
  const policies = resolvePolicies(file.policies, isSource, around.policies, faults);
  const cx: NeighborContext = {
    localAs: file.as,
    routerId: file.routerId,
    address,
    address6: file.address6,
    port: port === 0 ? DEFAULT_PORT : port,
    gracefulRestart: file.restart.graceful ?? false,
    requirePolicy: file.requirePolicy ?? false,
    traceMessages: around.traceMessages,
    templates: file.templates,
    policies,
    faults,
  };
  const plan: SpeakerPlan = {
    name: around.name ?? file.name ?? around.defaultName,
    carrier,
    address,
    address6: file.address6,
    listen: listenOf(file, address, port, faults),
    speaker: speakerOf(file, around),
    policies,
    neighbors: resolveAll(file.neighbors, (text, i) => resolveNeighbor(text, i, cx)),
    ranges: resolveAll(file.ranges, (text, i) => resolveRange(text, i, cx)),
    networks: resolveNetworks(file, faults),
    metrics: around.metrics ?? file.metrics,
    capture: around.capture ?? file.capture,
  };
  checkDirections(plan, faults);
  checkAddresses(file, plan, faults);
  return faults.list.length === 0 ? ok(plan) : err(once(faults.list));
}

function speakerOf(file: SpeakerFile, { restarting }: PlanSurroundings): SpeakerConfig {
  const { as: localAs, routerId, clusterId, decision, dynamicLimit, restart } = file;
  return speakerConfig({
    localAs,
    routerId,
    decision: { ...DEFAULT_DECISION, ...decision },
    restarting,
    ...(clusterId === undefined ? {} : { clusterId }),
    ...(dynamicLimit === undefined ? {} : { dynamicLimit }),
    ...(restart.deferralSec === undefined ? {} : { deferralSec: restart.deferralSec }),
  });
}

function resolveAll<T, U>(texts: readonly T[], resolve: (text: T, i: number) => U | undefined): U[] {
  return texts.map(resolve).filter((one) => one !== undefined);
}

/** A fault in a template would else be told for each neighbour that uses it. */
function once(faults: readonly DocumentFault[]): DocumentFault[] {
  const told = new Map(faults.map((fault) => [`${keyText(fault.path)}: ${fault.message}`, fault]));
  return [...told.values()];
}

function listenOf(
  { listen }: SpeakerFile,
  address: Ipv4Addr,
  port: number,
  faults: DocumentFaults,
): SpeakerPlan["listen"] {
  if (listen === false) return [];
  const addresses = listen.addresses ?? [address];
  for (const [i, addr] of addresses.entries()) {
    if (addresses.indexOf(addr) === i) continue;
    faults.add(
      ["listen", "addresses", i],
      `${formatIpv4(addr)} is in the list twice`,
      "Take one of them out.",
    );
  }
  return addresses.map((addr) => ({ addr, port }));
}

function checkNames(file: SpeakerFile, faults: DocumentFaults): void {
  const where = new Map<string, DocPath>();
  const check = (name: string, path: DocPath): void => {
    const before = where.get(name);
    if (before === undefined) where.set(name, path);
    else {
      const message = `${keyText(before)} is called "${name}" already`;
      faults.add([...path, "name"], message, "Give one of them another name.");
    }
  };
  for (const [i, { name }] of file.neighbors.entries()) {
    if (name !== undefined) check(name, ["neighbors", i]);
  }
  for (const [i, { name }] of file.ranges.entries()) check(name, ["ranges", i]);
}

// Addresses.

function checkAddresses(file: SpeakerFile, plan: SpeakerPlan, faults: DocumentFaults): void {
  const carriers = carrierMap(file, plan, faults);
  const ours = new Set([plan.address, ...plan.listen.map(({ addr }) => addr)]);
  const seen = new Map<Ipv4Addr, number>();
  for (const [i, { address }] of file.neighbors.entries()) {
    const path: DocPath = ["neighbors", i, "address"];
    const before = seen.get(address);
    if (ours.has(address)) {
      faults.add(path, `${formatIpv4(address)} is our own address`, "Write the neighbor's.");
    } else if (before !== undefined) {
      const message = `neighbors[${before}] has the address ${formatIpv4(address)} already`;
      faults.add(path, message, "A neighbor stands in the list once: take one of them out.");
    } else learn(carriers, address, path, faults);
    seen.set(address, before ?? i);
  }
  const prefixes = new Map<string, number>();
  for (const [i, { prefix }] of file.ranges.entries()) {
    const text = formatRibPrefix(prefix);
    const before = prefixes.get(text);
    if (before === undefined) prefixes.set(text, i);
    else {
      const message = `ranges[${before}] is ${text} already`;
      faults.add(["ranges", i, "prefix"], message, "A prefix stands in the list once: take one of them out.");
    }
  }
}

/** With our own addresses in it; undefined when not even they can be carried. */
function carrierMap(file: SpeakerFile, plan: SpeakerPlan, faults: DocumentFaults): CarrierMap | undefined {
  let carriers: CarrierMap;
  try {
    carriers = new CarrierMap(plan.address, plan.carrier);
  } catch (thrown) {
    noteUncarried(thrown, [file.address === undefined ? "routerId" : "address"], faults);
    return undefined;
  }
  if (file.listen === false) return carriers;
  for (const [i, addr] of (file.listen.addresses ?? []).entries()) {
    learn(carriers, addr, ["listen", "addresses", i], faults);
  }
  return carriers;
}

function learn(
  carriers: CarrierMap | undefined,
  addr: Ipv4Addr,
  path: DocPath,
  faults: DocumentFaults,
): void {
  try {
    carriers?.learn(addr);
  } catch (thrown) {
    noteUncarried(thrown, path, faults);
  }
}

/** That two addresses do not go together is a fault of the file; that this system cannot carry any is not. */
function noteUncarried(thrown: unknown, path: DocPath, faults: DocumentFaults): void {
  const known = thrown instanceof PodloomError && thrown.code !== "PL_CARRIER_UNSUPPORTED";
  if (!known) throw thrown;
  faults.add(path, thrown.message, thrown.remedy ?? "Choose another address.");
}

// Policies.

function checkDirections({ policies, neighbors, ranges }: SpeakerPlan, faults: DocumentFaults): void {
  const users: readonly (NeighborConfig | RangeConfig)[] = [...neighbors, ...ranges];
  for (const policy of policies.values()) {
    for (const direction of ["import", "export"] as const) {
      const key = direction === "import" ? "importPolicy" : "exportPolicy";
      const user = users.find(({ routes }) => routes[key] === policy);
      if (user !== undefined) checkDirection(policy, direction, user.name, faults);
    }
  }
}

// Networks.

function resolveNetworks({ networks, address6 }: SpeakerFile, faults: DocumentFaults): NetworkConfig[] {
  const seen = new Map<string, number>();
  const resolved: NetworkConfig[] = [];
  for (const [i, text] of networks.entries()) {
    const network = networkOf(text);
    const prefix = formatRibPrefix(network.prefix);
    const before = seen.get(prefix);
    if (before !== undefined) {
      const remedy = "A network stands in the list once: take one of them out.";
      faults.add(["networks", i], `networks[${before}] is ${prefix} already`, remedy);
      continue;
    }
    seen.set(prefix, i);
    const wrong = networkFault(network, address6 !== undefined);
    if (wrong !== undefined) faults.add(["networks", i], wrong.message, wrong.remedy);
    resolved.push(network);
  }
  return resolved;
}

/** A network as the engine has it. */
export function networkOf(text: NetworkText): NetworkConfig {
  if (isPrefix(text)) return { prefix: text, nextHop: NEXT_HOP_SELF };
  const { origin, nextHop = "self", ...same } = text;
  return {
    ...same,
    nextHop: nextHop === "self" ? NEXT_HOP_SELF : nextHop,
    ...(origin === undefined ? {} : { origin: ORIGINS.indexOf(origin) }),
  };
}

function isPrefix(text: NetworkText): text is RibPrefix {
  return "family" in text;
}

/** Why a network cannot be told to anybody. @param hasAddress6 have we an IPv6 address of our own? */
export function networkFault(
  { prefix, nextHop }: NetworkConfig,
  hasAddress6: boolean,
): { readonly message: string; readonly remedy: string } | undefined {
  if (prefix.family === Family.IPV4_UNICAST || typeof nextHop === "object") return undefined;
  if (nextHop !== NEXT_HOP_SELF) {
    return {
      message: "an IPv6 network has an IPv4 next hop",
      remedy: "Write an IPv6 address as its nextHop.",
    };
  }
  if (hasAddress6) return undefined;
  return {
    message: "nobody can be told an IPv6 network without an IPv6 next hop",
    remedy: "Write our own IPv6 address as address6, or a nextHop here.",
  };
}

/** What `--check` says of a file that is right. */
export function summary({ name, speaker, neighbors, ranges, networks, carrier }: SpeakerPlan): string {
  const parts = [
    countOf(neighbors.length, "neighbor"),
    countOf(ranges.length, "range"),
    countOf(networks.length, "network"),
  ];
  return `speaker ${name}, AS ${speaker.localAs}, ${parts.join(", ")}, carrier ${carrier}`;
}
