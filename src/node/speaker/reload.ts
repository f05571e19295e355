// From the plan that a speaker runs to another one: as little as possible is touched.
import { isDeepStrictEqual } from "node:util";
import { formatIpv4 } from "../../base/ipv4-addr.ts";
import type { Result } from "../../base/result.ts";
import type { Instant } from "../../base/time.ts";
import type { DocumentFault } from "../../io/document/problem.ts";
import { formatRibPrefix } from "../../routing/bgp/speaker/inspect.ts";
import type { BgpSpeaker } from "../../routing/bgp/speaker/speaker.ts";
import type { NeighborConfig, NetworkConfig, RangeConfig } from "../../routing/bgp/speaker/speaker-config.ts";
import { CeaseError } from "../../wire/bgp/errors.ts";
import type { SpeakerPlan } from "./plan.ts";

/** One thing to be done. */
export type PlanChange =
  /** `replaced`: it comes back with another configuration, because its session cannot take that on. */
  | { readonly t: "delNeighbor"; readonly config: NeighborConfig; readonly replaced: boolean }
  | { readonly t: "addNeighbor"; readonly config: NeighborConfig; readonly replacing: boolean }
  /** The session stays. */
  | { readonly t: "reconfigure"; readonly config: NeighborConfig }
  | { readonly t: "shutdown" | "enable"; readonly config: NeighborConfig }
  | { readonly t: "delRange"; readonly config: RangeConfig; readonly replaced: boolean }
  | { readonly t: "addRange"; readonly config: RangeConfig; readonly replacing: boolean }
  | { readonly t: "reconfigureRange"; readonly before: RangeConfig; readonly config: RangeConfig }
  | { readonly t: "originate"; readonly network: NetworkConfig; readonly replacing: boolean }
  | { readonly t: "withdraw"; readonly network: NetworkConfig };

/** How to get from one plan to the other. */
export interface PlanDifference {
  /** In the order in which they are to be done: what goes makes room for what comes. */
  readonly changes: readonly PlanChange[];
  /** The other plan; what is equal in both is the object that it was. */
  readonly plan: SpeakerPlan;
  /** What only a restart can change, as sentences; the rest can be done without. */
  readonly needRestart: readonly string[];
}

/** What no running speaker can change, and what else depends on: with such a fault, nothing of a file is done. */
export function frozenFaults(before: SpeakerPlan, after: SpeakerPlan): DocumentFault[] {
  const parts: readonly (readonly [string, (plan: SpeakerPlan) => unknown])[] = [
    ["as", (plan) => plan.speaker.localAs],
    ["routerId", (plan) => plan.speaker.routerId],
    ["clusterId", (plan) => plan.speaker.clusterId],
    ["address", (plan) => plan.address],
    ["carrier", (plan) => plan.carrier],
    ["listen", (plan) => plan.listen],
    ["decision", (plan) => plan.speaker.decision],
    ["dynamicLimit", (plan) => plan.speaker.dynamicLimit],
  ];
  return parts
    .filter(([, of]) => !isDeepStrictEqual(of(before), of(after)))
    .map(([key]) => ({
      path: [key],
      message: "cannot change while the speaker runs",
      remedy: "Stop it and start it again with this file, or undo this change; nothing has been changed.",
    }));
}

export function differences(before: SpeakerPlan, after: SpeakerPlan): PlanDifference {
  const neighbors = neighborChanges(before, after);
  const { changes: ranges, kept } = rangeChanges(before, after);
  const networks = networkChanges(before, after);
  const changes = [...neighbors, ...ranges, ...networks];
  return {
    changes: [...changes.filter(isRemoval), ...changes.filter((change) => !isRemoval(change))],
    plan: { ...after, ranges: kept },
    needRestart: restartNeeds(before, after),
  };
}

function isRemoval({ t }: PlanChange): boolean {
  return t === "delNeighbor" || t === "delRange" || t === "withdraw";
}

function restartNeeds(before: SpeakerPlan, after: SpeakerPlan): string[] {
  const needs: string[] = [];
  if (before.name !== after.name) needs.push(`name: it is still ${before.name}`);
  for (const key of ["metrics", "capture"] as const) {
    if (!isDeepStrictEqual(before[key], after[key]))
      needs.push(`${key}: it takes effect with the next start`);
  }
  return needs;
}

function neighborChanges(before: SpeakerPlan, after: SpeakerPlan): PlanChange[] {
  const changes: PlanChange[] = [];
  const old = new Map(before.neighbors.map((config) => [config.addr, config]));
  for (const config of after.neighbors) {
    const was = old.get(config.addr);
    old.delete(config.addr);
    if (was === undefined) changes.push({ t: "addNeighbor", config, replacing: false });
    else if (!isDeepStrictEqual(sessionOf(was), sessionOf(config))) {
      changes.push({ t: "delNeighbor", config: was, replaced: true });
      changes.push({ t: "addNeighbor", config, replacing: true });
    } else {
      if (!isDeepStrictEqual(was.routes, config.routes)) changes.push({ t: "reconfigure", config });
      if (was.shutdown !== config.shutdown) {
        changes.push({ t: config.shutdown ? "shutdown" : "enable", config });
      }
    }
  }
  for (const config of old.values()) changes.push({ t: "delNeighbor", config, replaced: false });
  return changes;
}

/** What a session cannot change under way. */
function sessionOf(config: NeighborConfig): unknown {
  return { ...config, routes: undefined, shutdown: undefined };
}

function rangeChanges(
  before: SpeakerPlan,
  after: SpeakerPlan,
): { readonly changes: PlanChange[]; readonly kept: RangeConfig[] } {
  const changes: PlanChange[] = [];
  const keyOf = ({ prefix }: RangeConfig) => `${prefix.addr}/${prefix.len}`;
  const old = new Map(before.ranges.map((config) => [keyOf(config), config]));
  const kept = after.ranges.map((config): RangeConfig => {
    const was = old.get(keyOf(config));
    old.delete(keyOf(config));
    if (was === undefined) {
      changes.push({ t: "addRange", config, replacing: false });
      return config;
    }
    if (isDeepStrictEqual(was, config)) return was;
    if (isDeepStrictEqual({ ...was, routes: config.routes }, config))
      changes.push({ t: "reconfigureRange", before: was, config });
    else {
      changes.push({ t: "delRange", config: was, replaced: true });
      changes.push({ t: "addRange", config, replacing: true });
    }
    return config;
  });
  for (const config of old.values()) changes.push({ t: "delRange", config, replaced: false });
  return { changes, kept };
}

function networkChanges(before: SpeakerPlan, after: SpeakerPlan): PlanChange[] {
  const changes: PlanChange[] = [];
  const old = new Map(before.networks.map((network) => [formatRibPrefix(network.prefix), network]));
  for (const network of after.networks) {
    const prefix = formatRibPrefix(network.prefix);
    const was = old.get(prefix);
    old.delete(prefix);
    if (was !== undefined && isDeepStrictEqual(was, network)) continue;
    changes.push({ t: "originate", network, replacing: was !== undefined });
  }
  for (const network of old.values()) changes.push({ t: "withdraw", network });
  return changes;
}

/** Does one of them. Refused: why, which is a fault of ours, since all of it has been checked. */
export function applyChange(
  change: PlanChange,
  speaker: BgpSpeaker,
  now: Instant,
): Result<void, string> | void {
  switch (change.t) {
    case "delNeighbor": {
      const why = change.replaced ? CeaseError.CONFIG_CHANGE : CeaseError.PEER_DECONFIGURED;
      speaker.delNeighbor(change.config.addr, now, why);
      return;
    }
    case "addNeighbor":
      return speaker.addNeighbor(change.config, now);
    case "delRange":
      speaker.delRange(change.config, now);
      return;
    case "addRange":
      return speaker.addRange(change.config);
    case "reconfigureRange":
      return speaker.reconfigureRange(change.before, change.config, now);
    case "originate":
      speaker.originate(change.network, now);
      return;
    case "withdraw":
      speaker.withdraw(change.network.prefix, now);
      return;
    default:
      return applyToNeighbor(change, speaker, now);
  }
}

function applyToNeighbor(
  change: PlanChange & { readonly t: "reconfigure" | "shutdown" | "enable" },
  speaker: BgpSpeaker,
  now: Instant,
): Result<void, string> | void {
  const neighbor = speaker.neighbors.lookup(change.config.addr);
  if (neighbor === undefined) return;
  switch (change.t) {
    case "reconfigure":
      return speaker.reconfigure(neighbor, change.config.routes, now);
    case "shutdown":
      speaker.shutdown(neighbor, undefined, now);
      return;
    case "enable":
      speaker.enable(neighbor, now);
  }
}

/** One change as a sentence. */
export function describeChange(change: PlanChange): string | undefined {
  switch (change.t) {
    case "delNeighbor":
      return change.replaced ? undefined : `neighbor ${nameOf(change.config)} is gone`;
    case "addNeighbor":
      return change.replacing
        ? `neighbor ${nameOf(change.config)} begins anew with another configuration`
        : `neighbor ${nameOf(change.config)} is new`;
    case "reconfigure":
      return `neighbor ${nameOf(change.config)} keeps its session, its routes are treated otherwise`;
    case "shutdown":
      return `neighbor ${nameOf(change.config)} is shut down`;
    case "enable":
      return `neighbor ${nameOf(change.config)} is enabled`;
    case "delRange":
      return change.replaced ? undefined : `range ${change.config.name} is gone`;
    case "addRange":
      return change.replacing
        ? `range ${change.config.name} begins anew`
        : `range ${change.config.name} is new`;
    case "reconfigureRange":
      return `range ${change.config.name} keeps its sessions, their routes are treated otherwise`;
    case "originate": {
      const prefix = formatRibPrefix(change.network.prefix);
      return change.replacing ? `network ${prefix} has other attributes` : `network ${prefix} is new`;
    }
    case "withdraw":
      return `network ${formatRibPrefix(change.network.prefix)} is gone`;
  }
}

function nameOf({ name, addr }: NeighborConfig): string {
  const address = formatIpv4(addr);
  return name === address ? name : `${name} (${address})`;
}
