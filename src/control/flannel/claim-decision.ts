// What to do next about a list of leases: the pure half of `lease-acquirer.ts`. Read specs on flannel §1.4 to §1.6 first.
import { formatIpv4, formatPrefix, type Ipv4Addr, overlaps, type Prefix } from "../../base/ipv4-addr.ts";
import type { Rng } from "../../base/rng.ts";
import { decodeUtf8 } from "../../base/utf8.ts";
import { type KeyValue, type LeaseId, NO_LEASE } from "../datastore/messages.ts";
import { type LogOutput, logOutput } from "../log.ts";
import type { Claim, Seize } from "./claim.ts";
import type { NetConf } from "./net-conf.ts";
import {
  CANDIDATES_AFTER_RACE,
  CANDIDATES_MAX,
  chooseSubnet,
  type ListedLease,
  listLeases,
} from "./subnet-allocator.ts";
import { emitSubnetKey } from "./subnet-key.ts";

/** Any subnet by the configuration, or the one that was ours until its etcd lease `oldLease` ended. */
export type ClaimJob =
  | { readonly t: "acquire"; readonly config: NetConf }
  | { readonly t: "reclaim"; readonly subnet: Prefix; readonly oldLease: LeaseId };

export interface ClaimContext {
  readonly prefix: string;
  readonly publicIp: Ipv4Addr;
  readonly previousSubnet: Prefix | undefined;
  /** The etcd lease of this node's last run: a key on it is our own orphan. */
  readonly previousLease: LeaseId | undefined;
  /** Can a live holder be told from an orphan? Not where leases are renewed once a day. */
  readonly judgeHolders: boolean;
  readonly strict: boolean;
  readonly rng: Rng;
}

export type ClaimDecision =
  /** The key is ours already: an earlier claim succeeded although its answer was lost. */
  | { readonly t: "held"; readonly subnet: Prefix; readonly kv: KeyValue }
  | { readonly t: "claim"; readonly claim: Claim }
  /** A lease with our address. `ask`: first find out whether its holder lives. */
  | { readonly t: "seize"; readonly seize: Seize; readonly ask: boolean }
  /** The subnet to be got back is somebody else's. */
  | { readonly t: "taken"; readonly message: string }
  | { readonly t: "exhausted"; readonly message: string };

/** What the acquisition has seen so far. */
export interface ClaimProgress {
  readonly kvs: readonly KeyValue[];
  /** The etcd lease to claim with, once there is one. */
  readonly lease: LeaseId | undefined;
  /** The value that a claim writes. */
  readonly value: Uint8Array;
  /** The key that this round has removed. */
  readonly removed: string | undefined;
  /** Has a race been lost on this list? */
  readonly raced: boolean;
}

export function decideClaim(
  cx: ClaimContext,
  job: ClaimJob,
  progress: ClaimProgress,
): { readonly decision: ClaimDecision; readonly logs: readonly LogOutput[] } {
  const { leases, complaints } = listLeases(progress.kvs, cx.prefix);
  const logs = complaints.map((complaint) => logOutput("warn", complaint));
  const ours = cx.strict ? undefined : findOurs(cx, job, leases, progress.lease);
  if (ours !== undefined) {
    const { subnet } = ours.name;
    const asWritten = decodeUtf8(ours.kv.value) === decodeUtf8(progress.value);
    const decision: ClaimDecision = asWritten
      ? { t: "held", subnet, kv: ours.kv }
      : { t: "claim", claim: { kind: "seen", subnet, seen: ours.kv } };
    return { decision, logs };
  }
  if (job.t === "reclaim") return { decision: decideReclaim(cx, job.subnet, job.oldLease, leases), logs };
  const chosen = decideAcquire(cx, job.config, leases, progress);
  return { decision: chosen.decision, logs: [...logs, ...chosen.logs] };
}

/** A key on our own etcd lease, whose id nobody else can have. */
function findOurs(
  cx: ClaimContext,
  job: ClaimJob,
  leases: readonly ListedLease[],
  lease: LeaseId | undefined,
): ListedLease | undefined {
  if (lease === undefined) return undefined;
  const ours = leases.filter((l) => l.kv.lease === lease && l.canonical && l.name.subnet6 === undefined);
  if (job.t === "acquire") return ours[0];
  const key = emitSubnetKey(cx.prefix, job.subnet);
  return ours.find((l) => l.kv.key === key);
}

function decideReclaim(
  cx: ClaimContext,
  subnet: Prefix,
  oldLease: LeaseId,
  leases: readonly ListedLease[],
): ClaimDecision {
  const key = emitSubnetKey(cx.prefix, subnet);
  const holder = leases.find((l) => l.kv.key === key) ?? leases.find((l) => overlaps(l.name.subnet, subnet));
  if (holder === undefined) return { t: "claim", claim: { kind: "fresh", subnet } };
  const reserved = holder.kv.lease === NO_LEASE && holder.attrs?.publicIp === cx.publicIp;
  if (holder.kv.key === key && (holder.kv.lease === oldLease || reserved)) {
    return { t: "claim", claim: { kind: "seen", subnet, seen: holder.kv } };
  }
  const who = holder.attrs === undefined ? "somebody else" : formatIpv4(holder.attrs.publicIp);
  const lost = `subnet ${formatPrefix(subnet)} was lost while this node could not renew its lease`;
  return { t: "taken", message: `${lost}: ${who} holds it now` };
}

function decideAcquire(
  cx: ClaimContext,
  config: NetConf,
  leases: readonly ListedLease[],
  progress: ClaimProgress,
): { readonly decision: ClaimDecision; readonly logs: readonly LogOutput[] } {
  const { strict } = cx;
  const candidates = progress.raced && !strict ? CANDIDATES_AFTER_RACE : CANDIDATES_MAX;
  const choice = chooseSubnet({ ...cx, config, leases, removed: progress.removed, candidates });
  const { logs } = choice;
  switch (choice.t) {
    case "exhausted":
      return {
        decision: { t: "exhausted", message: `out of subnets${strict ? "" : explain(config)}` },
        logs,
      };
    case "claim":
      return { decision: { t: "claim", claim: { kind: "fresh", subnet: choice.subnet } }, logs };
    case "reuse":
    case "remove": {
      const { kv, name } = choice.lease;
      const kind = strict ? "force" : "seen";
      const seize: Seize = { kind, subnet: name.subnet, seen: kv, remove: choice.t === "remove" };
      return { decision: { t: "seize", seize, ask: !isKnownOurs(cx, kv) }, logs };
    }
  }
}

/** May the key be taken without asking whether its holder lives? */
function isKnownOurs(cx: ClaimContext, kv: KeyValue): boolean {
  return cx.strict || !cx.judgeHolders || kv.lease === NO_LEASE || kv.lease === cx.previousLease;
}

function explain(config: NetConf): string {
  const range = `${formatIpv4(config.subnetMin)} to ${formatIpv4(config.subnetMax)}`;
  return ` (every /${config.subnetLen} from ${range} is leased; widen Network, lengthen SubnetLen, or wait for dead leases to expire)`;
}
